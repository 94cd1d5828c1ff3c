//! The persistence file of the original: a stream of gob, the encoding of Go's `encoding/gob`, read into groups.
//!
//! The stream is a run of messages, each behind its length. Messages that define types come first; the last one is a
//! value, a map of groups. A group is a struct with the maps `Labels` (strings) and `Metrics`; an element of the latter
//! is a struct with a `Timestamp` and a `GobbableMetricFamily`, both as opaque bytes: a time in Go's binary form, and a
//! message `io.prometheus.client.MetricFamily`. Keys of groups are made from the labels and not looked at.
//!
//! As with gob itself, fields are found by their names in the definitions, in whatever order; those that nobody knows
//! are skipped, and those that are absent are zero. Values borrow from the file. Nothing is trusted: memory is at most
//! some twenty times what was read, and damage is an error that names its place. What the families say is not looked
//! at here.

mod cursor;
mod error;
mod groups;
#[cfg(any(test, feature = "fuzz"))]
pub mod naive;
#[cfg(test)]
mod tests;
mod time;
mod types;
#[cfg(any(test, feature = "fuzz"))]
pub mod write;

pub use error::GobError;

use crate::model::time::Timestamp;
use cursor::Cursor;
use types::{TypeId, Types};

/// The name and the value of a label. Any bytes: the original takes values that are not UTF-8.
pub type ForeignLabel<'a> = (&'a [u8], &'a [u8]);

/// A group of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignGroup<'a> {
    /// Its labels, sorted by name; at least one, names distinct and not empty.
    pub labels: Vec<ForeignLabel<'a>>,
    /// Its families sorted by name, names distinct; the two families of push times are among them.
    pub families: Vec<ForeignFamily<'a>>,
}

/// A family of one group of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignFamily<'a> {
    /// The name under which the group holds it; any bytes.
    pub name: &'a [u8],
    /// When it was pushed.
    pub written: Timestamp,
    /// The message `io.prometheus.client.MetricFamily`, not looked at.
    pub message: &'a [u8],
}

/// Whether this begins as a stream of gob does that defines a type, as every file of the original does: then an error
/// of [`read`] says where it is damaged, else it is some other file. The first bytes are enough.
pub fn looks_like(file: &[u8]) -> bool {
    let mut head = Cursor::new(file);
    let begin = |head: &mut Cursor<'_>| {
        head.uint("a length")?;
        let id = head.int("a type")?;
        Ok::<_, GobError>((id, head.uint("a definition")?))
    };
    matches!(begin(&mut head), Ok((id, kind)) if types::can_define(id) && types::is_kind(kind))
}

/// Reads a whole file; groups in the order of their labels.
pub fn read(file: &[u8]) -> Result<Vec<ForeignGroup<'_>>, GobError> {
    let mut types = Types::default();
    let mut rest = Cursor::new(file);
    loop {
        let mut message = rest.message()?;
        let start = message;
        let id = message.int("a type")?;
        if id < 0 {
            if !types::can_define(id) {
                return Err(start.error("a type that can be defined"));
            }
            types.define(TypeId(-id), &mut message)?;
            message.end("the end of a definition")?;
        } else {
            let groups = groups::read(&types, TypeId(id), message)?;
            rest.end("the end of the file")?;
            return Ok(groups);
        }
    }
}
