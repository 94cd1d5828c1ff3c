//! Deflate (RFC 1951) for short pieces of exposition text, each of which can be made by itself.
//!
//! A library's encoder clears its memory of what came before, more than the text that a changed entry is, for every
//! piece. This one takes what it remembers for a hint: a place is tried if it lies in the text that may be referred to,
//! and is good if its bytes are the same. Lines are mostly equal to lines before them, so the distance of the last
//! copy is tried first: behind what differs, it is right again.
//!
//! Pieces are bits inside a block, which somebody else begins and ends, and can be moved to any place among other pieces
//! in the same codes that has the same text before it.

mod bits;
mod code;

use std::ops::Range;

pub use bits::Bits;
use code::{COPY_BYTES_MAX, Tokens};
pub use code::{Code, Counts, WRITTEN_BYTES_MAX, Writer};

use crate::limits::COPY_DISTANCE_MAX;

/// Bits of a place in the memory: 16 KiB, a fraction of the fastest cache.
const PLACE_BITS: u32 = 12;

/// Shortest copy that is looked for: a shorter one takes as many bits as its bytes do.
const MATCH_BYTES_MIN: usize = 4;

/// Most text of a block that holds it as it is.
const STORED_BYTES_MAX: usize = 0xffff;

/// Finds what is there already.
#[derive(Debug)]
pub struct Matcher {
    /// Where four bytes were last seen, by their hash: positions of all texts so far one behind the other.
    places: Box<[u32; 1 << PLACE_BITS]>,
    /// The position of the text at hand, and the first behind it.
    base: u32,
    next_base: u32,
}

impl Default for Matcher {
    fn default() -> Self {
        // Asked for as zeros, so that it is no memory before somebody asks for gzip.
        let places = vec![0; 1 << PLACE_BITS].into_boxed_slice().try_into().expect("it has that length");
        Self { places, base: 1, next_base: 1 }
    }
}

impl Matcher {
    /// Goes on to another text of this length.
    pub fn begin(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("a page is far below 4 GiB");
        if self.next_base.checked_add(bytes).is_none() {
            (self.next_base, _) = (1, self.places.fill(0));
        }
        self.base = self.next_base;
        self.next_base += bytes;
    }

    /// Looks at `range` of the text at hand without telling anybody, as what comes behind it may refer to it.
    pub fn learn(&mut self, text: &[u8], range: Range<usize>) {
        for at in range.step_by(4) {
            let Some(word) = word(text, at) else { break };
            self.places[place(word)] = self.base + at as u32;
            self.places[place(word >> 16)] = self.base + at as u32 + 2;
        }
    }

    /// Tells what `range` of the text at hand consists of, with copies of what stands before it from `floor` on.
    #[inline]
    pub fn tell(&mut self, text: &[u8], floor: usize, range: Range<usize>, tokens: &mut impl Tokens) {
        let Range { start: mut told, end } = range;
        let mut at = told;
        // Text before the range tends to be as the range is.
        let mut distance = at - floor;
        while at + MATCH_BYTES_MIN <= end
            && let Some(here) = word(text, at)
        {
            let position = self.base + at as u32;
            let seen = std::mem::replace(&mut self.places[place(here)], position);
            let is_same = |from: usize| word(text, from).is_some_and(|there| there as u32 == here as u32);
            let seen_distance = position.wrapping_sub(seen) as usize;
            let reach = (at - floor).min(COPY_DISTANCE_MAX);
            if !(distance > 0 && distance <= reach && is_same(at - distance)) {
                if !(seen_distance > 0 && seen_distance <= reach && is_same(at - seen_distance)) {
                    at += 1;
                    continue;
                }
                distance = seen_distance;
            }
            let behind = at + MATCH_BYTES_MIN;
            let copy_end = behind + same(text, behind - distance, behind, end.min(at + COPY_BYTES_MAX) - behind);
            while at > told
                && at - distance > floor
                && copy_end - at < COPY_BYTES_MAX
                && text[at - 1] == text[at - 1 - distance]
            {
                at -= 1;
            }
            if told < at {
                tokens.literals(&text[told..at]);
            }
            tokens.copy(copy_end - at, distance);
            (told, at) = (copy_end, copy_end);
        }
        if told < end {
            tokens.literals(&text[told..end]);
        }
    }
}

/// Blocks that hold `text` as it is.
pub fn stored(text: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(stored_bytes(text.len()));
    for part in text.chunks(STORED_BYTES_MAX) {
        let bytes = part.len() as u16;
        blocks.push(0);
        blocks.extend_from_slice(&bytes.to_le_bytes());
        blocks.extend_from_slice(&(!bytes).to_le_bytes());
        blocks.extend_from_slice(part);
    }
    blocks
}

/// The length of such blocks, bytes.
pub fn stored_bytes(text_bytes: usize) -> usize {
    text_bytes + text_bytes.div_ceil(STORED_BYTES_MAX) * 5
}

/// A whole stream that holds a text in segments which end at `cuts` and refer back no further than `history` bytes.
#[cfg(any(test, feature = "fuzz"))]
pub fn deflated_in_segments(text: &[u8], cuts: &[usize], history: usize) -> Vec<u8> {
    let (mut matcher, mut counts, mut bits) = (Matcher::default(), Counts::NONE, Bits::default());
    matcher.begin(text.len());
    // Of a part of the text, so that there are bytes that nobody counted.
    matcher.tell(text, 0, 0..text.len() / 2, &mut counts);
    let code = Code::new(&counts);
    code.begin(&mut bits);
    let mut start = 0;
    for end in cuts.iter().copied().chain([text.len()]) {
        bits.reserve((end - start) * WRITTEN_BYTES_MAX);
        let floor = start.saturating_sub(history);
        matcher.learn(text, floor..start);
        matcher.tell(text, floor, start..end, &mut Writer { code: &code, bits: &mut bits });
        start = end;
    }
    code.end(&mut bits);
    // A last block, which is empty.
    [bits.bytes(), &[3, 0]].concat()
}

fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Where the lowest four bytes of a word are remembered.
fn place(word: u64) -> usize {
    ((word as u32).wrapping_mul(0x9e37_79b1) >> (32 - PLACE_BITS)) as usize
}

/// How many bytes are the same at `left` and, further on, at `right`; no more than `most`, which the text has.
#[inline]
fn same(text: &[u8], left: usize, right: usize, most: usize) -> usize {
    let mut bytes = 0;
    while bytes < most
        && let (Some(before), Some(here)) = (word(text, left + bytes), word(text, right + bytes))
    {
        let differing = before ^ here;
        if differing != 0 {
            return most.min(bytes + (differing.trailing_zeros() / 8) as usize);
        }
        bytes += 8;
    }
    while bytes < most && text[left + bytes] == text[right + bytes] {
        bytes += 1;
    }
    bytes.min(most)
}

#[cfg(test)]
mod tests;
