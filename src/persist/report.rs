//! What the helper thread tells the loop, and how it wakes it.

use std::fmt;
use std::path::PathBuf;

use super::batch::Batch;
use super::record::RecordError;
use crate::limits::LABELS_QUOTED_BYTES_MAX;
use crate::model::cut::bounded;
use crate::model::quote::{Literal, Plain};
use crate::store::GroupKey;

/// Wakes the loop, from the helper thread.
pub type Wake = Box<dyn Fn() + Send>;

/// A group on its way in.
#[derive(Debug)]
pub struct LoadedGroup {
    /// Its labels.
    pub key: GroupKey,
    /// What [`super::record::parse`] reads.
    pub body: Vec<u8>,
}

/// What the helper tells the loop.
#[derive(Debug)]
pub enum Report {
    /// The file cannot be used: the process has to end.
    Refused(String),
    /// Groups that were stored.
    Loaded(Vec<LoadedGroup>),
    /// The original's file, whose groups are to be committed before anything else.
    Foreign(Vec<u8>),
    /// The database is in the place of the original's file, which is kept under this name.
    Replaced(PathBuf),
    /// All groups have been loaded.
    Ready {
        /// Whether all of them were checked when they were pushed.
        is_verified: bool,
        /// The length of the file.
        file_bytes: u64,
    },
    /// The batch is on the disk.
    Committed {
        /// The batch.
        batch: Batch,
        /// How long it took.
        seconds: f64,
        /// The length of the file.
        file_bytes: u64,
    },
    /// Nothing of the batch is on the disk.
    Failed {
        /// The batch.
        batch: Batch,
        /// Why.
        reason: String,
    },
}

/// The message about a record that cannot be read.
pub fn bad_record(key: &[u8], error: RecordError) -> String {
    let labels = GroupKey::from_bytes(key).map(|key| {
        let pairs = fmt::from_fn(|f| {
            key.labels().enumerate().try_for_each(|(at, (name, value))| {
                let comma = if at == 0 { "" } else { "," };
                write!(f, "{comma}{}={}", Plain(name.as_bytes()), Literal(&value))
            })
        });
        bounded(pairs, LABELS_QUOTED_BYTES_MAX)
    });
    match labels {
        Some(labels) => format!("the group {{{labels}}} cannot be read: {error}"),
        None => format!("a group cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_by_their_labels() {
        let check = |labels: &[(&str, &str)], expected: &str| {
            let key = GroupKey::new(labels.iter().copied());
            let text = bad_record(key.as_bytes(), RecordError::Damaged);
            let why = "cannot be read: the checksum or form of a record does not hold";
            assert_eq!(text, format!("the group {{{expected}}} {why}"));
        };
        check(&[("a", "x\"y"), ("job", "j")], r#"a="x\"y",job="j""#);
        let long = "x".repeat(LABELS_QUOTED_BYTES_MAX);
        check(&[("a", &long), ("job", "j")], &format!("a=\"{}\"...(3072 bytes),job=\"j\"", &long[..1024]));
        let names: Vec<_> = (0..10_000).map(|at| format!("l{at:05}")).collect();
        let labels: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let shown: String = names.iter().map(|name| format!("{name}=\"v\",")).collect();
        check(&labels, &format!("{}...", &shown[..LABELS_QUOTED_BYTES_MAX - 3]));
    }
}
