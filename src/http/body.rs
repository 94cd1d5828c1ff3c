//! Where a request body ends: Content-Length and the chunked transfer coding (RFC 9112 6.3 and 7.1), incrementally.
//!
//! Takes the bytes behind a head and gives back slices of them; copies nothing and keeps nothing but its position.
//! Knows no content coding and no application. What a body contains is never looked at.
//!
//! Chunked, strictly: every line end is CRLF. A decoder that forgives a bare LF or blanks in a size disagrees with
//! some proxy about where the next request starts, and that is request smuggling.

use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};
use std::fmt;

/// Why a request body cannot be read to its end. `Display` is the text that the answer's 400 carries (SPEC 1.5, 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The peer stopped sending before the end of the body.
    UnexpectedEof,
    /// A chunk without a size.
    EmptyChunkSize,
    /// Something else than a hexadecimal digit where the size of a chunk stands.
    InvalidChunkSize,
    /// A size of more than sixteen digits.
    ChunkSizeTooLarge,
    /// A chunk line that goes on and on.
    ChunkLineTooLong,
    /// A chunk or trailer line that ends without a carriage return.
    BareLineFeed,
    /// A chunk that does not end where its size says, or a carriage return alone.
    MalformedChunk,
    /// More trailer than a head may have.
    TrailerTooLong,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEof => "unexpected EOF",
            Self::EmptyChunkSize => "empty hex number for chunk length",
            Self::InvalidChunkSize => "invalid byte in chunk length",
            Self::ChunkSizeTooLarge => "http chunk length too large",
            Self::ChunkLineTooLong => "header line too long",
            Self::BareLineFeed => "chunked line ends with bare LF",
            Self::MalformedChunk => "malformed chunked encoding",
            Self::TrailerTooLong => "http: trailer too large",
        })
    }
}

impl std::error::Error for BodyError {}

/// How the end of a body is found, and how far the body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come; a request without a body has zero.
    Sized(u64),
    /// The chunked transfer coding.
    Chunked(Chunked),
}

/// What one step through a body found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The next bytes of the body; never empty.
    Piece(&'a [u8]),
    /// The body is complete; the bytes that follow belong to the next request.
    Complete,
    /// All input is used up and the body is not complete.
    NeedMore,
    /// The body is broken for good.
    Failed(BodyError),
}

impl Framing {
    /// The beginning of a chunked body.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunked::START);

    /// Consumes a prefix of `input`; how much, and what it was.
    pub(super) fn advance<'a>(&mut self, input: &'a [u8]) -> (usize, Step<'a>) {
        match self {
            Self::Sized(0) => (0, Step::Complete),
            Self::Sized(left) => take_piece(left, input),
            Self::Chunked(chunked) => chunked.advance(input),
        }
    }

    /// The peer sends no more: is that right?
    pub(super) const fn is_complete(&self) -> bool {
        matches!(self, Self::Sized(0) | Self::Chunked(Chunked::Done))
    }

    /// Bytes still to come, where that is known.
    pub(super) const fn bytes_left(&self) -> Option<u64> {
        match self {
            Self::Sized(left) => Some(*left),
            Self::Chunked(_) => None,
        }
    }
}

fn take_piece<'a>(left: &mut u64, input: &'a [u8]) -> (usize, Step<'a>) {
    if input.is_empty() {
        return (0, Step::NeedMore);
    }
    let taken = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= taken as u64;
    (taken, Step::Piece(&input[..taken]))
}

/// The position in a chunked body.
///
/// ```text
/// Size --> Padding --> Extension          DataCr --> DataLf --> Size
///   \__________\___________\__> SizeLf      ^
///                                |--> Data -'
///                                '--> LineStart <--> LineText, LineLf
///                                         '--> LastLf --> Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// At or inside the hexadecimal size.
    Size { size: u64, digits: u8 },
    /// In blanks behind the size (RFC 9112 7.1.1, BWS), `line` bytes behind the size.
    Padding { size: u64, line: u32 },
    /// In an extension, `line` bytes behind the size.
    Extension { size: u64, line: u32 },
    /// Behind the carriage return of the size's line.
    SizeLf { size: u64 },
    /// In the data, `left` bytes of which are to come.
    Data { left: u64 },
    /// Behind the data.
    DataCr,
    /// Behind the carriage return behind the data.
    DataLf,
    /// In the trailer section, `bytes` bytes behind the last chunk.
    Trailer { bytes: u32, place: TrailerPlace },
    /// Behind the whole body.
    Done,
}

/// The position in a line of the trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrailerPlace {
    LineStart,
    LineText,
    LineLf,
    LastLf,
}

impl Chunked {
    const START: Self = Self::Size { size: 0, digits: 0 };

    fn advance<'a>(&mut self, input: &'a [u8]) -> (usize, Step<'a>) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self {
                Self::Done => return (used, Step::Complete),
                _ if rest.is_empty() => return (used, Step::NeedMore),
                Self::Data { left } => {
                    let (taken, piece) = take_piece(left, rest);
                    if *left == 0 {
                        *self = Self::DataCr;
                    }
                    return (used + taken, piece);
                }
                _ => match self.framing(rest) {
                    Ok((next, taken)) => {
                        *self = next;
                        used += taken;
                    }
                    Err(error) => return (used, Step::Failed(error)),
                },
            }
        }
    }

    /// One step through what is not data. `rest` is not empty, and at least one byte of it is taken.
    fn framing(self, rest: &[u8]) -> Result<(Self, usize), BodyError> {
        let byte = rest[0];
        let next = match self {
            Self::Size { size, digits } => in_size(size, digits, byte)?,
            Self::Padding { size, line } => in_padding(size, line, byte)?,
            Self::Extension { size, line } => return in_extension(size, line, rest),
            Self::SizeLf { .. } | Self::DataLf if byte != b'\n' => return Err(BodyError::MalformedChunk),
            Self::SizeLf { size: 0 } => Self::Trailer { bytes: 0, place: TrailerPlace::LineStart },
            Self::SizeLf { size } => Self::Data { left: size },
            Self::DataCr if byte == b'\r' => Self::DataLf,
            Self::DataCr => return Err(BodyError::MalformedChunk),
            Self::DataLf => Self::START,
            Self::Trailer { bytes, place } => return in_trailer(bytes, place, rest),
            Self::Data { .. } | Self::Done => unreachable!("advance() answers for these places itself"),
        };
        Ok((next, 1))
    }
}

fn in_size(size: u64, digits: u8, byte: u8) -> Result<Chunked, BodyError> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        return match digits {
            16.. => Err(BodyError::ChunkSizeTooLarge),
            _ => Ok(Chunked::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }),
        };
    }
    match byte {
        b'\r' | b'\n' | b';' | b' ' | b'\t' if digits == 0 => Err(BodyError::EmptyChunkSize),
        _ => in_padding(size, 0, byte),
    }
}

fn in_padding(size: u64, line: u32, byte: u8) -> Result<Chunked, BodyError> {
    match byte {
        b'\r' => Ok(Chunked::SizeLf { size }),
        b'\n' => Err(BodyError::BareLineFeed),
        _ if line == CHUNK_EXTENSION_BYTES_MAX => Err(BodyError::ChunkLineTooLong),
        b' ' | b'\t' => Ok(Chunked::Padding { size, line: line + 1 }),
        b';' => Ok(Chunked::Extension { size, line: line + 1 }),
        _ => Err(BodyError::InvalidChunkSize),
    }
}

fn in_extension(size: u64, line: u32, rest: &[u8]) -> Result<(Chunked, usize), BodyError> {
    match text_len(rest) {
        0 if rest[0] == b'\r' => Ok((Chunked::SizeLf { size }, 1)),
        0 => Err(BodyError::BareLineFeed),
        skipped => match within(line, skipped, CHUNK_EXTENSION_BYTES_MAX) {
            Some(line) => Ok((Chunked::Extension { size, line }, skipped)),
            None => Err(BodyError::ChunkLineTooLong),
        },
    }
}

fn in_trailer(bytes: u32, place: TrailerPlace, rest: &[u8]) -> Result<(Chunked, usize), BodyError> {
    let (place, taken) = match (place, rest[0]) {
        (TrailerPlace::LastLf, b'\n') => return Ok((Chunked::Done, 1)),
        (TrailerPlace::LineLf, b'\n') => (TrailerPlace::LineStart, 1),
        (TrailerPlace::LastLf | TrailerPlace::LineLf, _) => return Err(BodyError::MalformedChunk),
        (_, b'\n') => return Err(BodyError::BareLineFeed),
        (TrailerPlace::LineStart, b'\r') => (TrailerPlace::LastLf, 1),
        (TrailerPlace::LineText, b'\r') => (TrailerPlace::LineLf, 1),
        (TrailerPlace::LineStart | TrailerPlace::LineText, _) => (TrailerPlace::LineText, text_len(rest)),
    };
    match within(bytes, taken, TRAILER_BYTES_MAX) {
        Some(bytes) => Ok((Chunked::Trailer { bytes, place }, taken)),
        None => Err(BodyError::TrailerTooLong),
    }
}

/// Bytes up to the next line end of either kind.
fn text_len(rest: &[u8]) -> usize {
    memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len())
}

fn within(count: u32, more: usize, max: u32) -> Option<u32> {
    let sum = count.checked_add(u32::try_from(more).ok()?)?;
    (sum <= max).then_some(sum)
}
