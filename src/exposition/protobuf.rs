//! Delimited protobuf, read as it arrives: messages `io.prometheus.client.MetricFamily`, each behind its length
//! (SPEC 4.2).
//!
//! A message that is complete in a piece is read in place; only an unfinished one is copied, to be completed by the
//! next piece. A length is only a promise: memory grows with what arrives. Owns where messages begin and end; what
//! their metrics mean for the store is not known here.

mod error;
mod family;
mod histogram;
mod message;
#[cfg(any(test, feature = "fuzz"))]
pub mod naive;
mod wire;

pub use error::{FamilyFault, ReadError};
pub use family::summary_count;
pub use histogram::{Count, Histogram, Side, Sign, native_series};
pub use wire::Malformed;

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_KEPT_BYTES_MAX};
use crate::model::sample::{FamilyIx, WholeSink};
use family::Elements;

/// Longest length of a message, bytes: 64 bits, seven in each.
const LENGTH_BYTES_MAX: u32 = 10;

/// Reads one body after the other. After an error only [`Reader::reset`] makes sense.
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
    /// The unfinished message at the end of the last piece.
    tail: Vec<u8>,
    /// Families read.
    families: u32,
    /// Working memory.
    elements: Elements,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the length of a message: its value so far and how many bytes of it there were.
    Length { value: u64, bytes: u32 },
    /// In a message of this length.
    Message(u64),
}

impl Default for State {
    fn default() -> Self {
        State::Length { value: 0, bytes: 0 }
    }
}

impl Reader {
    /// Starts a new body. Buffers are kept, unless an unusually large body has made them large.
    pub fn reset(&mut self) {
        self.state = State::default();
        self.families = 0;
        self.tail.clear();
        self.tail.shrink_to(MESSAGE_KEPT_BYTES_MAX);
        self.elements.clear();
        self.elements.shrink_to(MESSAGE_KEPT_BYTES_MAX / size_of::<(f64, f64)>());
    }

    /// Heap memory held, bytes; after [`Reader::reset`] a small multiple of [`MESSAGE_KEPT_BYTES_MAX`] at most.
    pub fn retained_bytes(&self) -> usize {
        self.tail.capacity() + self.elements.capacity() * size_of::<(f64, f64)>()
    }

    /// Takes the next piece of the body, of any size.
    pub fn feed<S: WholeSink>(&mut self, piece: &[u8], sink: &mut S) -> Result<(), ReadError> {
        let mut rest = piece;
        loop {
            match self.state {
                State::Length { value, bytes } => {
                    let Some((byte, behind)) = rest.split_first() else { return Ok(()) };
                    self.state = length_state(value, bytes, *byte)?;
                    rest = behind;
                }
                State::Message(len) => {
                    let missing = len - self.tail.len() as u64;
                    if missing > rest.len() as u64 {
                        return self.keep(len, rest);
                    }
                    let (end, behind) = rest.split_at(missing as usize);
                    self.message(end, sink)?;
                    self.state = State::default();
                    rest = behind;
                }
            }
        }
    }

    /// The body has ended.
    pub fn finish(&self) -> Result<(), ReadError> {
        match self.state {
            State::Length { bytes: 0, .. } => Ok(()),
            _ => Err(ReadError::UnexpectedEnd),
        }
    }

    /// Reads the message whose last bytes are `end`.
    fn message<S: WholeSink>(&mut self, end: &[u8], sink: &mut S) -> Result<(), ReadError> {
        let family = FamilyIx(self.families);
        self.families += 1;
        if self.tail.is_empty() {
            return family::read(end, family, &mut self.elements, sink);
        }
        self.tail.extend_from_slice(end);
        let result = family::read(&self.tail, family, &mut self.elements, sink);
        self.tail.clear();
        result
    }

    /// Keeps a part of a message of `len` bytes for later. A message that is too long is only refused when more of it
    /// comes: a body that ends here is refused as one that is cut off.
    fn keep(&mut self, len: u64, part: &[u8]) -> Result<(), ReadError> {
        if len > MESSAGE_BYTES_MAX as u64 && !part.is_empty() {
            return Err(ReadError::TooLong(len));
        }
        self.tail.extend_from_slice(part);
        Ok(())
    }
}

/// Takes one byte of a length.
fn length_state(value: u64, bytes: u32, byte: u8) -> Result<State, ReadError> {
    if bytes + 1 == LENGTH_BYTES_MAX && byte > 1 {
        return Err(ReadError::LengthOverflow);
    }
    let value = value | u64::from(byte & 0x7f) << (7 * bytes);
    Ok(if byte < 0x80 { State::Message(value) } else { State::Length { value, bytes: bytes + 1 } })
}
