//! Content codings of request bodies: decoders for gzip and for framed snappy, sans IO (SPEC 1.5).
//!
//! Owns the formats, their checksums and the words for what is wrong with a body. A body goes in in pieces of any size
//! and comes out in pieces of the caller's buffer, so that nothing a body claims decides about memory. How large a body
//! may become is not decided here, nor what it means.

mod gzip;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod replay;
mod snappy;
#[cfg(test)]
mod tests;

pub use gzip::GzipHeader;

use std::fmt;

use crate::limits::DECODED_PIECE_BYTES;
use gzip::Gzip;
use snappy::Snappy;

/// A coding that is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952, with any number of members.
    Gzip,
    /// The framed stream format of snappy.
    Snappy,
}

impl Coding {
    /// The coding that a `Content-Encoding` names: the whole value, in any case. Anything else is no coding at all, and
    /// the body is taken as it is (SPEC 1.5).
    pub fn of(value: &[u8]) -> Option<Self> {
        if value.eq_ignore_ascii_case(b"gzip") {
            Some(Self::Gzip)
        } else if value.eq_ignore_ascii_case(b"snappy") {
            Some(Self::Snappy)
        } else {
            None
        }
    }
}

/// Why a body cannot be decoded; shown as the original shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodingError {
    /// gzip: there is nothing.
    Empty,
    /// gzip: the body ends too early.
    UnexpectedEof,
    /// gzip: what stands in front of a member is no gzip header.
    GzipHeader,
    /// gzip: the data are not those that were compressed.
    GzipChecksum,
    /// gzip: the data are not deflated.
    Deflate {
        /// About how many bytes of the member's data were read.
        offset: u64,
    },
    /// snappy: not framed, damaged, or cut short.
    SnappyCorrupt,
    /// snappy: a chunk that only a later version of the format could explain.
    SnappyUnsupported,
}

impl std::error::Error for CodingError {}

impl fmt::Display for CodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("EOF"),
            Self::UnexpectedEof => f.write_str("unexpected EOF"),
            Self::GzipHeader => f.write_str("gzip: invalid header"),
            Self::GzipChecksum => f.write_str("gzip: invalid checksum"),
            Self::Deflate { offset } => write!(f, "flate: corrupt input before offset {offset}"),
            Self::SnappyCorrupt => f.write_str("snappy: corrupt input"),
            Self::SnappyUnsupported => f.write_str("snappy: unsupported input"),
        }
    }
}

/// What a step of a decoder did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are dealt with.
    pub used: usize,
    /// Bytes written to the buffer.
    pub produced: usize,
}

/// Decodes one body after the other. Takes memory with the first body of a coding and keeps it: some 50 KiB for gzip, and
/// for snappy as much as a chunk that comes in pieces has, less than 80 KiB.
#[derive(Debug, Default)]
pub struct Decoder {
    at_work: AtWork,
    gzip: Gzip,
    snappy: Snappy,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AtWork {
    #[default]
    Gzip,
    Snappy,
    Failed(CodingError),
}

impl Decoder {
    /// Starts a new body.
    pub fn begin(&mut self, coding: Coding) {
        match coding {
            Coding::Gzip => self.begin_behind(GzipHeader::default()),
            Coding::Snappy => {
                self.at_work = AtWork::Snappy;
                self.snappy.begin();
            }
        }
    }

    /// Starts a gzip body of whose first header so much has been read already.
    pub fn begin_behind(&mut self, header: GzipHeader) {
        self.at_work = AtWork::Gzip;
        self.gzip.begin(header);
    }

    /// Decodes a part of the input into `out`, which has at least [`DECODED_PIECE_BYTES`].
    ///
    /// Uses or produces at least one byte, unless the input is empty. Nothing is left to be produced without more input
    /// once all of it was used and `out` was not filled. What was decoded in front of an error comes in a step of its own.
    pub fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, CodingError> {
        assert!(out.len() >= DECODED_PIECE_BYTES, "a block has to fit");
        let result = match self.at_work {
            AtWork::Gzip => self.gzip.decode(input, out),
            AtWork::Snappy => self.snappy.decode(input, out),
            AtWork::Failed(error) => Err(error),
        };
        result.inspect_err(|error| self.at_work = AtWork::Failed(*error))
    }

    /// The body has ended, and everything was decoded: whether it may end here.
    pub fn finish(&self) -> Result<(), CodingError> {
        match self.at_work {
            AtWork::Gzip => self.gzip.finish(),
            AtWork::Snappy => self.snappy.finish(),
            AtWork::Failed(error) => Err(error),
        }
    }
}
