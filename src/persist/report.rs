//! What the helper thread tells the loop, and how it wakes it.

use std::path::PathBuf;

use super::batch::Batch;
use super::record::RecordError;
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
        let labels: Vec<_> = key.labels().map(|(name, value)| format!("{name}={value:?}")).collect();
        labels.join(",")
    });
    match labels {
        Some(labels) => format!("the group {{{labels}}} cannot be read: {error}"),
        None => format!("a group cannot be read: {error}"),
    }
}
