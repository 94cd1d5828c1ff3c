//! A push while its body arrives: the states of its decoder and parser, and what has been read so far.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::exposition::protobuf::{ReadError, Reader};
use crate::exposition::text::{ParseError, Parser};
use crate::http::coding::{Coding, CodingError, Decoder, GzipHeader};
use crate::limits::{DECODER_BYTES, Limit, Limits, Reached};
use crate::model::name::Names;
use crate::model::sample::Repeat;
use crate::store::{GroupKey, Mode, Staged};
use crate::telemetry::Method;

/// A push on its way in. Reused from push to push for its working memory.
#[derive(Default)]
pub struct Push {
    /// Whether the body goes through `decoder`.
    is_coded: bool,
    decoder: Decoder,
    limits: Limits,
    /// Length of the body, if it was announced.
    announced_bytes: Option<u64>,
    /// Bytes of the body that have come.
    received_bytes: u64,
    /// Bytes that came out of `decoder`.
    decoded_bytes: u64,
    format: BodyFormat,
    parser: Parser,
    reader: Reader,
    staged: Staged,
    /// The body repeats another one but for its values; nothing is staged before [`Push::finish`].
    is_repeat: bool,
    /// It is known to be long.
    is_long: bool,
    /// It takes the store more than one step.
    pub(super) is_stepwise: bool,
    /// What is known of its request.
    pub origin: Option<Origin>,
}

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// Text, with names of this scheme.
    Text(Names),
    /// Delimited protobuf, whose names are not looked at (SPEC 4.3).
    Protobuf,
}

impl Default for BodyFormat {
    fn default() -> Self {
        BodyFormat::Text(Names::Classic)
    }
}

/// The request of a push.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// PUT or POST.
    pub mode: Mode,
    /// The same for the own metrics.
    pub method: Method,
    /// Its size as the own metrics count it, bytes (SPEC 7.8).
    pub size: u64,
    /// When its head was complete, since the start of the process.
    pub started: Duration,
    /// Who sent it.
    pub peer: SocketAddr,
}

/// Why the body of a push cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// It is not in the text format (SPEC 3).
    Text(ParseError),
    /// It is not in the protobuf format (SPEC 4.2), or states what cannot be shown.
    Protobuf(ReadError),
    /// It cannot be decoded (SPEC 1.5).
    Coding(CodingError),
    /// It is more than a push may be; bounds of ours, the original has none.
    Limit(Reached),
}

impl PushError {
    /// The status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Limit(reached) => reached.limit.status(),
            _ => 400,
        }
    }
}

impl std::error::Error for PushError {}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::Protobuf(error) => error.fmt(f),
            Self::Coding(error) => error.fmt(f),
            Self::Limit(reached) => reached.fmt(f),
        }
    }
}

impl From<ParseError> for PushError {
    fn from(error: ParseError) -> Self {
        Self::Text(error)
    }
}

impl From<ReadError> for PushError {
    fn from(error: ReadError) -> Self {
        Self::Protobuf(error)
    }
}

impl From<CodingError> for PushError {
    fn from(error: CodingError) -> Self {
        Self::Coding(error)
    }
}

impl From<Reached> for PushError {
    fn from(reached: Reached) -> Self {
        Self::Limit(reached)
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Push {
    /// A push within these limits, and so are those that use its memory later.
    pub fn new(limits: Limits) -> Self {
        let mut push = Self { limits, ..Self::default() };
        push.staged.set_limits(limits);
        push
    }

    /// Starts a push to the group of these labels, sorted by name, with a body of so many bytes, if that is known.
    pub fn begin<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        format: BodyFormat,
        announced_bytes: Option<u64>,
        origin: Origin,
    ) {
        self.announced_bytes = announced_bytes;
        (self.is_coded, self.is_repeat, self.is_long, self.is_stepwise) = (false, false, false, false);
        (self.received_bytes, self.decoded_bytes) = (0, 0);
        self.format = format;
        if let BodyFormat::Text(names) = format {
            self.parser.reset(names);
        }
        self.staged.begin(labels);
        self.origin = Some(origin);
    }

    /// The body comes in this coding. To be called in front of its first piece.
    pub fn decode(&mut self, coding: Coding) {
        self.is_coded = true;
        self.decoder.begin(coding);
    }

    /// The body comes in gzip, and its first header has been read.
    pub fn decode_behind(&mut self, header: GzipHeader) {
        self.is_coded = true;
        self.decoder.begin_behind(header);
    }

    /// Whether the body comes in a coding: a little of it may be much.
    pub fn is_coded(&self) -> bool {
        self.is_coded
    }

    /// Takes a piece of the body; how many bytes it was decoded to, if it is coded. `buffer` is used for those, and has
    /// the size that [`Decoder::decode`] asks for.
    pub fn feed(&mut self, piece: &[u8], buffer: &mut [u8]) -> Result<usize, PushError> {
        self.received_bytes += piece.len() as u64;
        self.limits.check([(Limit::BodyBytes, self.received_bytes)])?;
        if !self.is_coded {
            self.parse(piece)?;
            return Ok(0);
        }
        let mut rest = piece;
        let mut decoded = 0;
        loop {
            let step = self.decoder.decode(rest, buffer)?;
            rest = &rest[step.used..];
            decoded += step.produced;
            self.decoded_bytes += step.produced as u64;
            self.limits.check([(Limit::InflatedBytes, self.decoded_bytes)])?;
            self.parse(&buffer[..step.produced])?;
            if rest.is_empty() && step.produced < buffer.len() {
                return Ok(decoded);
            }
        }
    }

    fn parse(&mut self, piece: &[u8]) -> Result<(), PushError> {
        match self.format {
            BodyFormat::Text(_) if self.is_whole(piece) => {
                self.is_repeat = self.parser.recognize(piece);
                if self.is_repeat {
                    return Ok(());
                }
                self.parser.feed_whole(piece, &mut self.staged)?;
            }
            BodyFormat::Text(_) => self.parser.feed(piece, &mut self.staged)?,
            BodyFormat::Protobuf => self.reader.feed(piece, &mut self.staged)?,
        }
        Ok(self.staged.check_bounds()?)
    }

    /// Whether a piece that was received, not decoded, is all of the body.
    fn is_whole(&self, piece: &[u8]) -> bool {
        !self.is_coded && self.announced_bytes == Some(piece.len() as u64)
    }

    /// Whether it is an unusual amount since the last piece.
    pub fn has_become_long(&mut self) -> bool {
        !std::mem::replace(&mut self.is_long, self.staged.is_long()) && self.is_long
    }

    /// Memory that the push holds, bytes.
    pub fn held_bytes(&self) -> usize {
        let decoder = if self.is_coded { size_of::<Decoder>() + DECODER_BYTES } else { 0 };
        self.staged.held_bytes() + self.parser.retained_bytes() + self.reader.retained_bytes() + decoder
    }

    /// The body, which is complete, if it repeats another one but for its values.
    pub fn repeat(&self) -> Option<Repeat<'_>> {
        self.is_repeat.then(|| self.parser.repeat()).flatten()
    }

    /// The body is complete, and is to be staged if it is not yet.
    pub fn finish(&mut self) -> Result<(), PushError> {
        if self.is_coded {
            self.decoder.finish()?;
        }
        match self.format {
            BodyFormat::Text(_) => {
                if self.is_repeat {
                    self.parser.tell(&mut self.staged);
                }
                self.parser.finish(&mut self.staged)?;
                self.staged.set_shape(self.parser.shape());
            }
            BodyFormat::Protobuf => self.reader.finish()?,
        }
        self.staged.begin_seal();
        Ok(self.staged.check_bounds()?)
    }

    /// The group that it goes to.
    pub fn key(&self) -> &GroupKey {
        self.staged.key()
    }

    /// What is to be stored, once [`Push::finish`] was called.
    pub fn staged(&mut self) -> &mut Staged {
        &mut self.staged
    }

    /// Forgets the push, so that it can be kept for the next one.
    pub fn clear(&mut self) {
        self.staged.clear();
        self.parser.reset(Names::Classic);
        self.reader.reset();
        self.origin = None;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::limits::DECODED_PIECE_BYTES;

    fn begin(push: &mut Push) {
        let peer = (Ipv4Addr::LOCALHOST, 1).into();
        let origin = Origin { mode: Mode::Replace, method: Method::Put, size: 0, started: Duration::ZERO, peer };
        push.begin([("instance", ""), ("job", "j")].into_iter(), BodyFormat::Text(Names::Classic), None, origin);
    }

    #[test]
    fn a_decoded_body_is_bounded() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[b'\n'; 100]).unwrap();
        let body = encoder.finish().unwrap();
        let mut buffer = vec![0; DECODED_PIECE_BYTES];
        let limits = Limits::default().with(Limit::InflatedBytes, 1000);
        let mut push = Push::new(limits);
        let too_large = PushError::Limit(limits.reached(Limit::InflatedBytes));
        for (before, expected) in [(0, Ok(100)), (900, Ok(100)), (901, Err(too_large.clone()))] {
            begin(&mut push);
            push.decode(Coding::Gzip);
            push.decoded_bytes = before;
            assert_eq!(push.feed(&body, &mut buffer), expected, "behind {before} bytes");
        }
        assert_eq!(too_large.status(), 413);
        let text = "the body decompresses to more than 1000 bytes (--limit.inflated-bytes=1000)";
        assert_eq!(too_large.to_string(), text);
        // The next push begins at nothing, and without a coding.
        begin(&mut push);
        assert_eq!(push.feed(b"m 1\n", &mut []), Ok(0));
        assert!(push.finish().is_ok());
    }
}
