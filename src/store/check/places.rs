//! Where the series of one family of a push are, to be found by their labels. Holds no text: that is the push's.

use hashbrown::HashTable;

use crate::limits::SERIES_INDEXED_MAX;

/// Tables that the places of many series are spread over.
const PARTS: usize = 256;

/// A place among the lines of a pushed family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The piece, from 0.
    pub piece: u32,
    /// The byte in it.
    pub at: u32,
}

/// Places by hash.
#[derive(Debug, Default)]
pub struct Places {
    parts: Vec<HashTable<(u32, Place)>>,
    len: usize,
}

impl Places {
    /// Forgets all. Expects those of `series` series.
    pub fn begin(&mut self, series: u32) {
        if self.len > 0 {
            self.parts.truncate(1);
            if let Some(part) = self.parts.first_mut() {
                part.clear();
                part.shrink_to(SERIES_INDEXED_MAX, |(hash, _)| spread(*hash));
            }
        }
        let parts = if series as usize > SERIES_INDEXED_MAX { PARTS } else { 1 };
        self.parts.resize_with(parts, HashTable::new);
        self.len = 0;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Place> {
        self.parts.iter().flatten().map(|(_, place)| *place)
    }

    /// The place of a series with this hash that is the wanted one.
    pub fn find(&self, hash: u64, mut is_wanted: impl FnMut(Place) -> bool) -> Option<Place> {
        let part = self.parts.get(self.part(hash))?;
        part.find(spread(hash as u32), |(found, place)| *found == hash as u32 && is_wanted(*place)).map(|found| found.1)
    }

    /// Adds one.
    pub fn add(&mut self, hash: u64, place: Place) {
        let part = self.part(hash);
        self.parts[part].insert_unique(spread(hash as u32), (hash as u32, place), |(hash, _)| spread(*hash));
        self.len += 1;
    }

    fn part(&self, hash: u64) -> usize {
        if self.parts.len() > 1 { hash as usize % PARTS } else { 0 }
    }

    /// Memory that they take, bytes.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.parts.iter().map(HashTable::allocation_size).sum()
    }
}

/// Spreads the bits that are kept of a hash over all that a table wants.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
