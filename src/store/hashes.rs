//! The hashes of the series of one push, and which of them come more than once.
//!
//! Those of a short push are sorted when it is complete. Sorting a million takes longer than other connections may wait,
//! so those of a long push are sorted out by their leading bits as they come, and sorted part by part in the end, as many
//! at a time as the caller's patience allows.

use crate::limits::{HASHES_SORTED_MAX, STAGING_KEPT_BYTES_MAX};

/// How many leading bits of a hash tell its part: so few that the places where hashes are added stay in the cache.
const PART_BITS: u32 = 9;

/// Hashes in a block.
const BLOCK_HASHES: usize = 32;

/// Hashes that come in any order.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    /// All of them, as long as they are few; then working memory.
    few: Vec<u64>,
    /// None as long as they are few.
    parts: Vec<Part>,
    /// All of them, once they are many; a block belongs to one part.
    blocks: Vec<[u64; BLOCK_HASHES]>,
    /// For each block the one before it in its part, or itself if it is the first.
    before: Vec<u32>,
    /// How many parts have been sorted.
    sorted: usize,
    /// Those that are there more than once, as far as they have been sorted.
    repeated: Vec<u64>,
}

/// Where hashes with the same leading bits are.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The last block. Those before it are full.
    last: u32,
    /// How many there are in the last block.
    used: u32,
}

impl Hashes {
    /// Forgets all, and gives back what an unusual number took.
    pub(super) fn clear(&mut self) {
        self.few.clear();
        self.parts.clear();
        self.blocks.clear();
        self.before.clear();
        self.sorted = 0;
        self.repeated = Vec::new();
        self.few.shrink_to(HASHES_SORTED_MAX);
        self.blocks.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<[u64; BLOCK_HASHES]>());
        self.before.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<u32>());
    }

    /// Memory that they take, bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let lists = size_of_val(&*self.few) + size_of_val(&*self.parts) + size_of_val(&*self.before);
        lists + size_of_val(&*self.blocks) + size_of_val(&*self.repeated)
    }

    /// Adds one. To be called before any are sorted.
    pub(super) fn add(&mut self, hash: u64) {
        if !self.parts.is_empty() {
            return self.sort_out(hash);
        }
        self.few.push(hash);
        if self.few.len() > HASHES_SORTED_MAX {
            self.spread();
        }
    }

    /// Whether some are left to be sorted that are too many to be sorted at once.
    pub(super) fn is_unsorted(&self) -> bool {
        self.sorted < self.parts.len()
    }

    /// Sorts a bounded number of those.
    pub(super) fn sort_some(&mut self) {
        let mut budget = HASHES_SORTED_MAX;
        while let Some(part) = self.parts.get(self.sorted)
            && budget > 0
        {
            self.few.clear();
            let (mut at, mut used) = (part.last as usize, part.used as usize);
            loop {
                self.few.extend_from_slice(&self.blocks[at][..used]);
                let before = self.before[at] as usize;
                if before == at {
                    break;
                }
                (at, used) = (before, BLOCK_HASHES);
            }
            self.note_repeated();
            self.sorted += 1;
            budget = budget.saturating_sub(self.few.len());
        }
    }

    /// Takes out those that were added more than once, sorted.
    pub(super) fn take_repeated(&mut self) -> Vec<u64> {
        if self.parts.is_empty() {
            self.repeated.clear();
            self.note_repeated();
        }
        while self.is_unsorted() {
            self.sort_some();
        }
        std::mem::take(&mut self.repeated)
    }

    #[cold]
    fn spread(&mut self) {
        self.parts.extend((0..1 << PART_BITS).map(|last| Part { last, used: 0 }));
        self.before.extend(0..1 << PART_BITS);
        self.blocks.resize(self.parts.len(), [0; BLOCK_HASHES]);
        let mut few = std::mem::take(&mut self.few);
        for hash in few.drain(..) {
            self.sort_out(hash);
        }
        self.few = few;
    }

    fn sort_out(&mut self, hash: u64) {
        let part = &mut self.parts[(hash >> (u64::BITS - PART_BITS)) as usize];
        if part.used as usize == BLOCK_HASHES {
            let next = self.blocks.len() as u32;
            self.before.push(std::mem::replace(&mut part.last, next));
            self.blocks.push([0; BLOCK_HASHES]);
            part.used = 0;
        }
        self.blocks[part.last as usize][part.used as usize] = hash;
        part.used += 1;
    }

    /// Sorts those in `few`, which come behind all that were sorted before.
    fn note_repeated(&mut self) {
        self.few.sort_unstable();
        let runs = self.few.chunk_by(|left, right| left == right);
        self.repeated.extend(runs.filter(|run| run.len() > 1).map(|run| run[0]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;

    /// Few and many, with and without repeats, spread over all parts and crowded in one.
    #[test]
    fn repeats_are_found_among_few_and_many() {
        const ANY: u64 = u64::MAX;
        let mut random = Random::for_test(11);
        let mut hashes = Hashes::default();
        for (count, values, shift) in [
            (0, 1, 0),
            (1, 1, 0),
            (100, ANY, 0),
            (100, 50, 0),
            (HASHES_SORTED_MAX + 1, ANY, 0),
            (HASHES_SORTED_MAX * 2, ANY, 0),
            (HASHES_SORTED_MAX * 2, ANY, PART_BITS),
            (HASHES_SORTED_MAX * 2, 20_000, 0),
            (HASHES_SORTED_MAX * 2, 2_000_000, 0),
            (HASHES_SORTED_MAX * 2, 1, 0),
        ] {
            let mut counts = BTreeMap::<u64, u32>::new();
            for _ in 0..count {
                // Spread over all parts, as hashes are.
                let hash = random.below(values).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift;
                hashes.add(hash);
                *counts.entry(hash).or_default() += 1;
            }
            let bytes = hashes.held_bytes();
            assert!(bytes <= count * 9 + (280 << PART_BITS), "{count}: {bytes}");
            let expected: Vec<u64> = counts.iter().filter(|(_, count)| **count > 1).map(|(hash, _)| *hash).collect();
            assert_eq!(hashes.take_repeated(), expected, "{count} of {values}");
            hashes.clear();
            assert_eq!(hashes.held_bytes(), 0);
        }
    }
}
