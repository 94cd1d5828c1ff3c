//! gzip: members one behind the other, each a header, deflated data and a trailer (RFC 1952).
//!
//! Owns headers and trailers; deflate itself is a library's.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{CodingError, Step};

/// Length of the part of a header that is always there, bytes.
const FIXED_BYTES: usize = 10;

/// Identification, and the only method there is: deflate.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// The original's bound for a file name or a comment with its NUL, bytes.
const TEXT_BYTES_MAX: usize = 512;

// The flags for the optional parts of a header.
const HEADER_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// Checksum and length of the data, bytes.
const TRAILER_BYTES: usize = 8;

/// The header of a member, read as it arrives.
#[derive(Debug, Default)]
pub struct GzipHeader {
    part: Part,
    /// The bytes of a part of fixed length that have come.
    bytes: [u8; FIXED_BYTES],
    filled: usize,
    flags: u8,
    crc: Crc,
}

/// The parts of a header in the order in which they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Fixed,
    ExtraLength,
    Extra {
        /// Bytes still to come, at least one.
        left: usize,
    },
    Name {
        /// Bytes that have come.
        len: usize,
    },
    Comment {
        /// Bytes that have come.
        len: usize,
    },
    Checksum,
    Complete,
}

const NAME_START: Part = Part::Name { len: 0 };
const COMMENT_START: Part = Part::Comment { len: 0 };

impl GzipHeader {
    /// Takes what belongs to the header off the input's front; how many bytes. All of the input, unless the header is
    /// complete.
    pub fn read(&mut self, input: &[u8]) -> Result<usize, CodingError> {
        let mut used = 0;
        while used < input.len() && !self.is_complete() {
            used += self.read_part(&input[used..])?;
        }
        Ok(used)
    }

    /// Whether the data begin.
    pub fn is_complete(&self) -> bool {
        self.part == Part::Complete
    }

    /// What is wrong if the body ends inside this header.
    pub fn cut_short(&self) -> CodingError {
        if self.is_empty() { CodingError::Empty } else { CodingError::UnexpectedEof }
    }

    fn is_empty(&self) -> bool {
        self.part == Part::Fixed && self.filled == 0
    }

    /// Reads a part of the header, or a piece of one: at least a byte.
    fn read_part(&mut self, input: &[u8]) -> Result<usize, CodingError> {
        match self.part {
            Part::Fixed => self.read_fixed(input),
            Part::ExtraLength => Ok(self.read_extra_length(input)),
            Part::Extra { left } => {
                let used = self.hash(&input[..left.min(input.len())]);
                if used == left {
                    self.enter(NAME_START)
                } else {
                    self.part = Part::Extra { left: left - used }
                }
                Ok(used)
            }
            Part::Name { len } => {
                let (used, is_complete) = self.read_text(len, input)?;
                if is_complete {
                    self.enter(COMMENT_START)
                } else {
                    self.part = Part::Name { len: len + used }
                }
                Ok(used)
            }
            Part::Comment { len } => {
                let (used, is_complete) = self.read_text(len, input)?;
                if is_complete {
                    self.enter(Part::Checksum)
                } else {
                    self.part = Part::Comment { len: len + used }
                }
                Ok(used)
            }
            Part::Checksum => self.read_checksum(input),
            Part::Complete => Ok(0),
        }
    }

    fn read_fixed(&mut self, input: &[u8]) -> Result<usize, CodingError> {
        let used = self.collect(FIXED_BYTES, input);
        if self.filled == FIXED_BYTES {
            if self.bytes[..3] != MAGIC {
                return Err(CodingError::GzipHeader);
            }
            self.crc.update(&self.bytes);
            self.flags = self.bytes[3];
            self.enter(Part::ExtraLength);
        }
        Ok(used)
    }

    fn read_extra_length(&mut self, input: &[u8]) -> usize {
        let used = self.collect(2, input);
        if self.filled == 2 {
            self.crc.update(&self.bytes[..2]);
            match usize::from(self.two_bytes()) {
                0 => self.enter(NAME_START),
                left => self.part = Part::Extra { left },
            }
        }
        used
    }

    /// How much of the input belongs to a text of which `len` bytes were there, and whether its NUL was among it.
    fn read_text(&mut self, len: usize, input: &[u8]) -> Result<(usize, bool), CodingError> {
        let room = &input[..input.len().min(TEXT_BYTES_MAX - len)];
        match memchr::memchr(0, room) {
            Some(nul) => Ok((self.hash(&room[..=nul]), true)),
            None if len + room.len() == TEXT_BYTES_MAX => Err(CodingError::GzipHeader),
            None => Ok((self.hash(room), false)),
        }
    }

    fn read_checksum(&mut self, input: &[u8]) -> Result<usize, CodingError> {
        let used = self.collect(2, input);
        if self.filled == 2 {
            if u32::from(self.two_bytes()) != self.crc.sum() & 0xffff {
                return Err(CodingError::GzipHeader);
            }
            self.enter(Part::Complete);
        }
        Ok(used)
    }

    /// Goes on with this part, or with the first one behind it that the flags announce.
    fn enter(&mut self, part: Part) {
        self.filled = 0;
        match part {
            Part::ExtraLength if self.flags & EXTRA == 0 => self.enter(NAME_START),
            Part::Name { .. } if self.flags & NAME == 0 => self.enter(COMMENT_START),
            Part::Comment { .. } if self.flags & COMMENT == 0 => self.enter(Part::Checksum),
            Part::Checksum if self.flags & HEADER_CHECKSUM == 0 => self.part = Part::Complete,
            part => self.part = part,
        }
    }

    fn collect(&mut self, want: usize, input: &[u8]) -> usize {
        collect(&mut self.bytes[..want], &mut self.filled, input)
    }

    fn two_bytes(&self) -> u16 {
        u16::from_le_bytes([self.bytes[0], self.bytes[1]])
    }

    fn hash(&mut self, bytes: &[u8]) -> usize {
        self.crc.update(bytes);
        bytes.len()
    }
}

/// Fills up `bytes`, of which `filled` are there, from the input's front; how many were taken.
fn collect(bytes: &mut [u8], filled: &mut usize, input: &[u8]) -> usize {
    let missing = &mut bytes[*filled..];
    let len = missing.len().min(input.len());
    missing[..len].copy_from_slice(&input[..len]);
    *filled += len;
    len
}

/// A gzip body.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    place: Place,
    /// Whether the header of the first member is behind.
    has_begun: bool,
    inflate: Option<Decompress>,
    crc: Crc,
}

#[derive(Debug)]
enum Place {
    Header(GzipHeader),
    Data,
    Trailer {
        bytes: [u8; TRAILER_BYTES],
        filled: usize,
    },
    /// Behind data that made sense and in front of some that did not.
    Broken(CodingError),
}

impl Default for Place {
    fn default() -> Self {
        Self::Header(GzipHeader::default())
    }
}

impl Gzip {
    pub(super) fn begin(&mut self, header: GzipHeader) {
        self.place = Place::Header(header);
        self.has_begun = false;
    }

    pub(super) fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, CodingError> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match &mut self.place {
                Place::Header(header) => {
                    used += header.read(rest)?;
                    if !header.is_complete() {
                        return Ok(Step { used, produced: 0 });
                    }
                    self.begin_data();
                }
                Place::Data => {
                    let step = self.inflate(rest, out)?;
                    used += step.used;
                    if step.produced > 0 || matches!(self.place, Place::Data) {
                        return Ok(Step { used, ..step });
                    }
                }
                Place::Trailer { bytes, filled } => {
                    used += collect(bytes, filled, rest);
                    if *filled < TRAILER_BYTES {
                        return Ok(Step { used, produced: 0 });
                    }
                    let bytes = *bytes;
                    self.check(bytes)?;
                    self.place = Place::default();
                }
                Place::Broken(error) => return Err(*error),
            }
        }
    }

    /// A body ends behind a member; there has to be one.
    pub(super) fn finish(&self) -> Result<(), CodingError> {
        match &self.place {
            Place::Header(header) if self.has_begun && header.is_empty() => Ok(()),
            Place::Header(header) => Err(header.cut_short()),
            Place::Data | Place::Trailer { .. } => Err(CodingError::UnexpectedEof),
            Place::Broken(error) => Err(*error),
        }
    }

    fn begin_data(&mut self) {
        match &mut self.inflate {
            Some(inflate) => inflate.reset(false),
            None => self.inflate = Some(Decompress::new(false)),
        }
        self.crc.reset();
        self.has_begun = true;
        self.place = Place::Data;
    }

    /// Inflates until the input is used up, `out` is full or the member's data end.
    fn inflate(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, CodingError> {
        let inflate = self.inflate.as_mut().unwrap_or_else(|| unreachable!("made when the data began"));
        let (used, produced) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(input, out, FlushDecompress::None);
        let offset = inflate.total_in();
        let step = Step { used: length(offset - used), produced: length(inflate.total_out() - produced) };
        self.crc.update(&out[..step.produced]);
        let stands_still = step == Step::default() && !input.is_empty();
        match status {
            Ok(Status::StreamEnd) => self.place = Place::Trailer { bytes: [0; TRAILER_BYTES], filled: 0 },
            Ok(_) if !stands_still => {}
            Ok(_) | Err(_) if step.produced == 0 => return Err(CodingError::Deflate { offset }),
            Ok(_) | Err(_) => self.place = Place::Broken(CodingError::Deflate { offset }),
        }
        Ok(step)
    }

    /// Compares the data with checksum and length (modulo 2^32) as the trailer has them.
    fn check(&self, trailer: [u8; TRAILER_BYTES]) -> Result<(), CodingError> {
        let size = self.inflate.as_ref().map_or(0, Decompress::total_out);
        let expected = u64::from(self.crc.sum()) | (size & 0xffff_ffff) << 32;
        if u64::from_le_bytes(trailer) == expected { Ok(()) } else { Err(CodingError::GzipChecksum) }
    }
}

/// What one step of a few bytes in memory counted.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or_else(|_| unreachable!("no longer than the buffers handed in"))
}
