//! A snapshot as one gzip member (RFC 1952): a header, the runs of its texts as they stand, and a trailer.

use super::Snapshot;
use super::compress::LAST_BLOCK;
use super::text::PageText;

/// No name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

const TRAILER_BYTES: usize = LAST_BLOCK.len() + 8;

/// How far the member of a snapshot is made, from the front. Its parts are the header, each run, and the trailer.
#[derive(Debug)]
pub struct Member {
    /// How many runs there are so far, and the CRC-32 of their text.
    runs: usize,
    sum: u32,
    /// Once all runs are there.
    trailer: Option<[u8; TRAILER_BYTES]>,
}

impl Member {
    /// Nothing of it yet.
    pub const NONE: Self = Self { runs: 0, sum: 0, trailer: None };

    /// Goes on, over texts that have their run or get it from `compress`, until one has none or so many bytes came to
    /// it; how many did.
    pub fn extend(&mut self, snapshot: &Snapshot, bytes_max: usize, mut compress: impl FnMut(&PageText)) -> usize {
        let texts = snapshot.pieces();
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(text) = texts.get(self.runs)
        {
            if text.run.get().is_none() {
                compress(text);
            }
            let Some(run) = text.run.get() else { break };
            bytes += run.deflated().len();
            if self.runs == 0 {
                bytes += HEADER.len();
            }
            self.sum = run.checksum().behind(self.sum);
            self.runs += 1;
        }
        if self.runs == texts.len() && self.trailer.is_none() {
            bytes += if texts.is_empty() { HEADER.len() + TRAILER_BYTES } else { TRAILER_BYTES };
            self.trailer = Some(trailer(self.sum, snapshot.bytes()));
        }
        bytes
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.trailer.is_some()
    }

    /// One of its parts, if it is there already.
    pub fn part<'a>(&'a self, snapshot: &'a Snapshot, at: usize) -> Option<&'a [u8]> {
        let trailer = self.trailer.as_ref().map(|trailer| &trailer[..]);
        match at {
            0 => (self.runs > 0 || self.is_complete()).then_some(&HEADER),
            _ if at <= self.runs => snapshot.pieces()[at - 1].run(),
            _ => trailer.filter(|_| at == self.runs + 1),
        }
    }
}

/// An empty final block, then checksum and length of the whole text.
fn trailer(sum: u32, text_bytes: u64) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..2].copy_from_slice(&LAST_BLOCK);
    trailer[2..6].copy_from_slice(&sum.to_le_bytes());
    trailer[6..].copy_from_slice(&(text_bytes as u32).to_le_bytes()); // Modulo 2^32, as the RFC has it.
    trailer
}
