//! A hash table that never takes long to grow: a large one is cut into parts, each of which grows by itself.
//!
//! A plain table moves all of its items at once when it is full: a million of them take tens of milliseconds, for which
//! everybody would wait.

use hashbrown::HashTable;
use hashbrown::hash_table::{AbsentEntry, OccupiedEntry};

/// Items of a table that is still in one piece: to move them takes well below a millisecond.
const WHOLE_ITEMS_MAX: usize = 4096;

/// Parts of a large table. A part of a table of a million items has as many as a whole one may have.
const PARTS: usize = 256;

/// Items, probed by hash: keys are compared in place.
#[derive(Debug)]
pub struct Table<T> {
    whole: HashTable<T>,
    /// By the hash, once there are too many items for one piece.
    parts: Option<Box<[HashTable<T>; PARTS]>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { whole: HashTable::new(), parts: None }
    }
}

impl<T> Table<T> {
    /// The item of this hash that is meant.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        match &self.parts {
            None => self.whole.find(hash, is_it),
            Some(parts) => parts[part_of(hash)].find(hash, is_it),
        }
    }

    /// The place of the item of this hash that is meant.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_entry(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
    ) -> Result<OccupiedEntry<'_, T>, AbsentEntry<'_, T>> {
        self.table_mut(hash).find_entry(hash, is_it)
    }

    /// Adds an item that is not there yet. `hash_of` gives the hash of any item.
    pub fn insert_unique(&mut self, hash: u64, item: T, hash_of: impl Fn(&T) -> u64) {
        if self.parts.is_none() && self.whole.len() == WHOLE_ITEMS_MAX {
            let mut parts = Box::new([const { HashTable::new() }; PARTS]);
            for item in std::mem::take(&mut self.whole) {
                let hash = hash_of(&item);
                parts[part_of(hash)].insert_unique(hash, item, &hash_of);
            }
            self.parts = Some(parts);
        }
        self.table_mut(hash).insert_unique(hash, item, hash_of);
    }

    /// Takes all items out; a small table keeps its memory.
    pub fn clear(&mut self) {
        self.whole.clear();
        self.parts = None;
    }

    /// Memory that it takes, bytes.
    pub fn allocation_size(&self) -> usize {
        let parts = self.parts.iter().flat_map(|parts| parts.iter());
        let part_bytes = if self.parts.is_some() { PARTS * size_of::<HashTable<T>>() } else { 0 };
        self.whole.allocation_size() + parts.map(HashTable::allocation_size).sum::<usize>() + part_bytes
    }

    fn table_mut(&mut self, hash: u64) -> &mut HashTable<T> {
        match &mut self.parts {
            None => &mut self.whole,
            Some(parts) => &mut parts[part_of(hash)],
        }
    }
}

/// The part in which items of a hash are. The table itself goes by the lowest and the highest bits.
fn part_of(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use foldhash::fast::RandomState;

    use super::*;
    use crate::random::Random;

    #[test]
    fn items_are_found_whatever_its_size() {
        let (mut table, mut random, hasher) = (Table::default(), Random::for_test(3), RandomState::default());
        let hash_of = |item: &u64| hasher.hash_one(item);
        for round in 0..3 {
            let mut expected = BTreeSet::new();
            for _ in 0..4 * WHOLE_ITEMS_MAX {
                let item = random.below(3 * WHOLE_ITEMS_MAX as u64);
                let found = table.find(hash_of(&item), |found| *found == item);
                assert_eq!(found.is_some(), expected.contains(&item));
                if expected.insert(item) {
                    table.insert_unique(hash_of(&item), item, hash_of);
                } else if random.one_in(3) {
                    expected.remove(&item);
                    let entry = table.find_entry(hash_of(&item), |found| *found == item);
                    entry.expect("it is there").remove();
                }
            }
            assert!(expected.len() > WHOLE_ITEMS_MAX && table.parts.is_some(), "round {round}");
            assert!(table.allocation_size() > expected.len() * size_of::<u64>());
            table.clear();
            assert!(expected.iter().all(|item| table.find(hash_of(item), |found| found == item).is_none()));
        }
    }
}
