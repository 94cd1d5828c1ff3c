//! The framed stream format of snappy: chunks, each with a type, a length and mostly a checksum.
//!
//! Owns the framing; the blocks inside and the checksum are libraries'. What the format leaves open is answered as the
//! original does: a body without any chunk is empty, and one that is cut short is corrupt (SPEC 1.5).

use std::fmt;

use super::{CodingError, Step};
use crate::limits::DECODED_PIECE_BYTES;

const IDENTIFIER: u8 = 0xff;
const COMPRESSED: u8 = 0x00;
const UNCOMPRESSED: u8 = 0x01;

/// The types that a reader must not skip without knowing them.
const UNSKIPPABLE: std::ops::RangeInclusive<u8> = 0x02..=0x7f;

/// What the chunk of an identifier holds.
const MAGIC: &[u8] = b"sNaPpY";

/// Type and length in front of every chunk, bytes.
const HEAD_BYTES: usize = 4;

const CHECKSUM_BYTES: usize = 4;

/// Most that a chunk of data decodes to, bytes.
const BLOCK_BYTES_MAX: usize = 64 << 10;

/// Most bytes that a chunk of data needs, with its checksum: a block that could not be compressed at all.
const CHUNK_BYTES_MAX: usize = CHECKSUM_BYTES + 32 + BLOCK_BYTES_MAX + BLOCK_BYTES_MAX / 6;

const _: () = assert!(BLOCK_BYTES_MAX <= DECODED_PIECE_BYTES, "a block is decoded in one step");

/// A framed body.
#[derive(Default)]
pub(super) struct Snappy {
    place: Place,
    /// Whether the first identifier is behind.
    has_begun: bool,
    /// What has come of a chunk that did not come in one piece. Invariant: empty between chunks.
    chunk: Vec<u8>,
    blocks: snap::raw::Decoder,
}

impl fmt::Debug for Snappy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snappy").field("place", &self.place).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In front of a chunk or inside its head.
    Head { bytes: [u8; HEAD_BYTES], filled: usize },
    /// Inside a chunk that is looked at.
    Chunk { kind: u8, len: usize },
    /// Inside a chunk that nobody needs to know.
    Skipped { left: usize },
}

impl Default for Place {
    fn default() -> Self {
        Self::Head { bytes: [0; HEAD_BYTES], filled: 0 }
    }
}

impl Snappy {
    pub(super) fn begin(&mut self) {
        self.place = Place::default();
        self.has_begun = false;
        self.chunk.clear();
    }

    pub(super) fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, CodingError> {
        let mut step = Step::default();
        while step.used < input.len() && step.produced == 0 {
            let rest = &input[step.used..];
            step.used += match self.place {
                Place::Head { bytes, filled } => self.read_head(bytes, filled, rest)?,
                Place::Chunk { kind, len } => {
                    let (used, produced) = self.read_chunk(kind, len, rest, out)?;
                    step.produced = produced;
                    used
                }
                Place::Skipped { left } => {
                    let used = left.min(rest.len());
                    self.place = if used < left { Place::Skipped { left: left - used } } else { Place::default() };
                    used
                }
            };
        }
        Ok(step)
    }

    /// A body ends in front of a chunk.
    pub(super) fn finish(&self) -> Result<(), CodingError> {
        match self.place {
            Place::Head { filled: 0, .. } => Ok(()),
            _ => Err(CodingError::SnappyCorrupt),
        }
    }

    fn read_head(&mut self, mut bytes: [u8; 4], filled: usize, input: &[u8]) -> Result<usize, CodingError> {
        let used = input.len().min(HEAD_BYTES - filled);
        bytes[filled..filled + used].copy_from_slice(&input[..used]);
        let filled = filled + used;
        self.place = if filled < HEAD_BYTES { Place::Head { bytes, filled } } else { self.place_behind(bytes)? };
        Ok(used)
    }

    fn place_behind(&mut self, head: [u8; HEAD_BYTES]) -> Result<Place, CodingError> {
        let [kind, low, middle, high] = head;
        let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
        if kind != IDENTIFIER && !self.has_begun {
            return Err(CodingError::SnappyCorrupt);
        }
        self.has_begun = true;
        match kind {
            COMPRESSED | UNCOMPRESSED if len > CHUNK_BYTES_MAX => Err(CodingError::SnappyUnsupported),
            COMPRESSED | UNCOMPRESSED if len < CHECKSUM_BYTES => Err(CodingError::SnappyCorrupt),
            IDENTIFIER if len != MAGIC.len() => Err(CodingError::SnappyCorrupt),
            COMPRESSED | UNCOMPRESSED | IDENTIFIER => Ok(Place::Chunk { kind, len }),
            kind if UNSKIPPABLE.contains(&kind) => Err(CodingError::SnappyUnsupported),
            _ if len == 0 => Ok(Place::default()),
            _ => Ok(Place::Skipped { left: len }),
        }
    }

    /// How much was used, and how much produced.
    fn read_chunk(
        &mut self,
        kind: u8,
        len: usize,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, usize), CodingError> {
        let used = input.len().min(len - self.chunk.len());
        if used < len {
            self.chunk.extend_from_slice(&input[..used]);
            if self.chunk.len() < len {
                return Ok((used, 0));
            }
        }
        self.place = Place::default();
        let chunk = if used < len { &self.chunk[..] } else { &input[..len] };
        let produced = match kind {
            IDENTIFIER if chunk == MAGIC => 0,
            IDENTIFIER => return Err(CodingError::SnappyCorrupt),
            _ => decode_block(&mut self.blocks, kind, chunk, out).ok_or(CodingError::SnappyCorrupt)?,
        };
        self.chunk.clear();
        Ok((used, produced))
    }
}

/// Decodes a chunk of data and compares its checksum; the length of what is now in `out`, none if it is damaged.
fn decode_block(blocks: &mut snap::raw::Decoder, kind: u8, chunk: &[u8], out: &mut [u8]) -> Option<usize> {
    let (checksum, data) = chunk.split_first_chunk::<CHECKSUM_BYTES>()?;
    let compressed = kind == COMPRESSED;
    let len = if compressed { snap::raw::decompress_len(data).ok()? } else { data.len() };
    let out = out.get_mut(..len).filter(|_| len <= BLOCK_BYTES_MAX)?;
    if compressed {
        blocks.decompress(data, out).ok()?;
    } else {
        out.copy_from_slice(data);
    }
    (u32::from_le_bytes(*checksum) == masked(crc32c::crc32c(out))).then_some(len)
}

/// As the format keeps a checksum: turned and offset, as it says that checksums of checksums are no good.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}
