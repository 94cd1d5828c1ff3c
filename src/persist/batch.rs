//! What is committed at once: records of changed groups, and the keys of groups that are gone.

use std::ops::Range;

use crate::limits::BATCH_KEPT_BYTES_MAX;
use crate::store::GroupKey;

/// Changes that one transaction makes.
#[derive(Debug, Default)]
pub struct Batch {
    /// Everything that was there goes first.
    pub is_wipe: bool,
    /// What is stored behind this batch has passed the consistency check as a whole.
    pub is_verified: bool,
    /// Records, one behind the other.
    pub records: Vec<u8>,
    changes: Vec<(GroupKey, Option<Range<usize>>)>,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.is_wipe && !self.is_verified
    }

    /// How many groups change.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The group is gone.
    pub fn remove(&mut self, key: GroupKey) {
        self.changes.push((key, None));
    }

    /// The group's record is what stands in [`Batch::records`] from `start` on.
    pub fn put(&mut self, key: GroupKey, start: usize) {
        self.changes.push((key, Some(start..self.records.len())));
    }

    /// The changes: keys, and the records of those groups that are there.
    pub fn changes(&self) -> impl Iterator<Item = (&GroupKey, Option<&[u8]>)> {
        self.changes.iter().map(|(key, range)| (key, range.clone().map(|range| &self.records[range])))
    }

    /// Takes the keys out.
    pub fn take_keys(&mut self) -> impl Iterator<Item = GroupKey> {
        self.changes.drain(..).map(|(key, _)| key)
    }

    /// Forgets everything but some memory.
    pub fn clear(&mut self) {
        (self.is_wipe, self.is_verified) = (false, false);
        self.records.clear();
        self.records.shrink_to(BATCH_KEPT_BYTES_MAX);
        self.changes.clear();
        self.changes.shrink_to(BATCH_KEPT_BYTES_MAX / size_of::<(GroupKey, Option<Range<usize>>)>());
    }
}
