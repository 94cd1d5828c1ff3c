//! The hashes of the series of one push, and which of them come more than once.
//!
//! Those of a short push are sorted when it is complete. Sorting a million takes longer than other connections may wait,
//! so those of a long push are sorted out by their leading bits as they come. In the end each part leaves marks in a small
//! bitmap, and only what finds a mark there is looked at, which takes a fraction of the time.

use crate::limits::{HASHES_SORTED_MAX, STAGING_KEPT_BYTES_MAX};

/// How many leading bits of a hash tell its part: so few that the places where hashes are added stay in the cache.
const PART_BITS: u32 = 9;

/// Hashes in a block.
const BLOCK_HASHES: usize = 32;

/// How many of the bits behind those of the part choose a mark: so few that all marks stay in the cache.
const MARK_BITS: u32 = 18;

/// So many hashes of a part that found a mark are searched for one by one; if there are more, it has real repeats, and is
/// sorted.
const SEARCHED_MAX: usize = 32;

/// Hashes that come in any order.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    /// All of them, as long as they are few.
    few: Vec<u64>,
    /// None as long as they are few.
    parts: Vec<Part>,
    /// All of them, once they are many; a block belongs to one part.
    blocks: Vec<[u64; BLOCK_HASHES]>,
    /// For each block the one before it in its part, or itself if it is the first.
    before: Vec<u32>,
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
        self.blocks.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<[u64; BLOCK_HASHES]>());
        self.before.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<u32>());
    }

    /// Memory that they take, bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of_val(&*self.few) + size_of_val(&*self.parts) + size_of_val(&*self.blocks) + size_of_val(&*self.before)
    }

    /// Adds one.
    pub(super) fn add(&mut self, hash: u64) {
        if !self.parts.is_empty() {
            return self.sort_out(hash);
        }
        self.few.push(hash);
        if self.few.len() == HASHES_SORTED_MAX {
            self.spread();
        }
    }

    /// Those that were added more than once, sorted.
    pub(super) fn repeated(&mut self) -> Vec<u64> {
        let mut repeated = Vec::new();
        if self.parts.is_empty() {
            note_repeated(&mut self.few, &mut repeated);
            return repeated;
        }
        let mut marks = vec![0; MARK_WORDS];
        for part in &self.parts {
            let (mut at, mut used) = (part.last as usize, part.used as usize);
            loop {
                self.few.extend_from_slice(&self.blocks[at][..used]);
                let before = self.before[at] as usize;
                if before == at {
                    break;
                }
                (at, used) = (before, BLOCK_HASHES);
            }
            find_repeated(&mut self.few, &mut marks, &mut repeated);
            self.few.clear();
        }
        repeated
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
}

const MARK_WORDS: usize = (1 << MARK_BITS) / u64::BITS as usize;

/// Appends those of these hashes, all of one part, that are there more than once, sorted. `marks`: a bit for each value of
/// some bits of a hash.
fn find_repeated(hashes: &mut [u64], marks: &mut [u64], repeated: &mut Vec<u64>) {
    marks.fill(0);
    let mut marked = [0; SEARCHED_MAX];
    let mut count = 0;
    for hash in hashes.iter() {
        let mark = (hash << PART_BITS) >> (u64::BITS - MARK_BITS);
        let (word, bit) = (&mut marks[(mark / 64) as usize], 1 << (mark % 64));
        if *word & bit != 0 {
            if count == SEARCHED_MAX {
                return note_repeated(hashes, repeated);
            }
            marked[count] = *hash;
            count += 1;
        }
        *word |= bit;
    }
    let marked = &mut marked[..count];
    marked.sort_unstable();
    let is_repeated = |wanted: u64| hashes.iter().filter(|hash| **hash == wanted).count() > 1;
    for (at, hash) in marked.iter().enumerate() {
        if (at == 0 || marked[at - 1] != *hash) && is_repeated(*hash) {
            repeated.push(*hash);
        }
    }
}

/// Sorts hashes and appends those that are there more than once.
fn note_repeated(hashes: &mut [u64], repeated: &mut Vec<u64>) {
    hashes.sort_unstable();
    for chunk in hashes.chunk_by(|left, right| left == right).filter(|chunk| chunk.len() > 1) {
        repeated.push(chunk[0]);
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
            let expected: Vec<u64> = counts.iter().filter(|(_, count)| **count > 1).map(|(hash, _)| *hash).collect();
            assert_eq!(hashes.repeated(), expected, "{count} of {values}");
            let bytes = hashes.held_bytes();
            assert!(bytes <= count * 9 + (280 << PART_BITS), "{count}: {bytes}");
            hashes.clear();
            assert_eq!(hashes.held_bytes(), 0);
        }
    }
}
