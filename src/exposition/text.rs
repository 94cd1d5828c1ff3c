//! The text format, read as it arrives (SPEC 3).
//!
//! No token crosses the end of a line, so a body is a sequence of lines: those that are complete in a piece are read
//! in place, and only the unfinished rest of a piece is copied, to be completed by the next one. Owns where lines
//! begin and end, and their numbers. What the samples mean for the store is not known here.

mod comment;
mod cursor;
mod error;
mod families;
mod labels;
mod line;
#[cfg(any(test, feature = "fuzz"))]
pub mod naive;
mod run;
mod shape;
#[cfg(test)]
mod tests;

pub use error::{ParseError, QuotedPart, Reason};

use crate::limits::{LINE_BYTES_MAX, PARSER_RETAINED_BYTES_MAX, SHAPE_BYTES_MAX};
use crate::model::name::Names;
use crate::model::sample::{BodyShape, Repeat, Sink};
use cursor::{Cursor, Scratch};
use line::Body;
use run::Run;
use shape::{Noted, Shapes};

/// Reads one body after the other. After an error only [`Parser::reset`] makes sense.
#[derive(Default)]
pub struct Parser {
    body: Body,
    /// The unfinished line at the end of the last piece. Invariant: no LF in it.
    tail: Vec<u8>,
    /// Names of the current line that had to be put together.
    scratch: Vec<u8>,
    /// Lines started.
    lines: u64,
    shapes: Shapes,
    /// That of the body at hand, if it is known.
    shape: Option<BodyShape>,
}

impl Parser {
    /// A parser for classic names; no memory is taken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a new body. Buffers are kept, unless an unusually large body has made them large.
    pub fn reset(&mut self, names: Names) {
        self.lines = 0;
        self.shape = None;
        self.tail.clear();
        self.body.reset(names);
        for buffer in [&mut self.tail, &mut self.scratch] {
            if buffer.capacity() > PARSER_RETAINED_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
    }

    /// Heap memory held, bytes; after [`Parser::reset`] a small multiple of [`PARSER_RETAINED_BYTES_MAX`] at most.
    pub fn retained_bytes(&self) -> usize {
        let buffers = self.tail.capacity() + self.scratch.capacity();
        self.body.retained_bytes() + buffers + self.shapes.retained_bytes()
    }

    /// Whether a body, all of it, repeats one that was fed as a whole, but for its values. Then it is not to be fed, and no
    /// sink is told anything before [`Parser::tell`].
    pub fn recognize(&mut self, body: &[u8]) -> bool {
        self.shape = if may_have_shape(body) { self.shapes.recognize(body, self.body.names) } else { None };
        self.shape.is_some()
    }

    /// The shape and the values of the body that was recognized, unless there is more to a value than what is written of it.
    pub fn repeat(&self) -> Option<Repeat<'_>> {
        self.shapes.repeat(self.shape?)
    }

    /// Tells the sink what the body that was recognized says.
    pub fn tell<S: Sink>(&self, sink: &mut S) {
        self.shapes.tell(sink);
    }

    /// Takes all of a body that was not recognized at once, and may recognize later ones like it.
    pub fn feed_whole<S: Sink>(&mut self, body: &[u8], sink: &mut S) -> Result<(), ParseError> {
        let shape = if may_have_shape(body) { self.shapes.begin(body, self.body.names) } else { None };
        let Some(mut shape) = shape else { return self.feed(body, sink) };
        self.feed_noted(body, &mut Noted { sink, shape: Some(&mut shape), line_end: 0 })?;
        self.shape = self.shapes.end(shape);
        Ok(())
    }

    /// The shape of the body at hand, if it is known.
    pub fn shape(&self) -> Option<BodyShape> {
        self.shape
    }

    /// Takes the next piece of the body, of any size.
    pub fn feed<S: Sink>(&mut self, piece: &[u8], sink: &mut S) -> Result<(), ParseError> {
        self.feed_noted(piece, &mut Noted::plain(sink))
    }

    fn feed_noted<S: Sink>(&mut self, piece: &[u8], sink: &mut Noted<'_, S>) -> Result<(), ParseError> {
        let mut rest = piece;
        if !self.tail.is_empty() {
            let Some(lf) = memchr::memchr(b'\n', piece) else { return self.keep(piece) };
            self.keep(&piece[..lf])?;
            rest = &piece[lf + 1..];
            let mut line = std::mem::take(&mut self.tail);
            line.push(b'\n');
            let result = self.complete_lines(&line, sink);
            line.clear();
            self.tail = line;
            result?;
        }
        let complete = memchr::memrchr(b'\n', rest).map_or(0, |lf| lf + 1);
        let (lines, unfinished) = rest.split_at(complete);
        self.complete_lines(lines, sink)?;
        self.keep(unfinished)
    }

    /// The body has ended.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) -> Result<(), ParseError> {
        let tail = std::mem::take(&mut self.tail);
        self.lines += 1;
        let result = self.line(&tail, str::from_utf8(&tail).ok(), &mut Run::default(), &mut Noted::plain(sink));
        self.tail = tail;
        self.tail.clear();
        result
    }

    fn complete_lines<S: Sink>(&mut self, lines: &[u8], sink: &mut Noted<'_, S>) -> Result<(), ParseError> {
        // Checked once for all of them; if it is not UTF-8 as a whole, each token is checked by itself.
        let text = str::from_utf8(lines).ok();
        let (mut start, mut run) = (0, Run::default());
        for lf in memchr::memchr_iter(b'\n', lines) {
            self.lines += 1;
            if lf - start > LINE_BYTES_MAX {
                return Err(self.error(Reason::LineTooLong));
            }
            sink.line_end = lf;
            self.line(&lines[start..=lf], text.map(|text| &text[start..=lf]), &mut run, sink)?;
            start = lf + 1;
        }
        Ok(())
    }

    fn line<'a, S: Sink>(
        &mut self,
        line: &'a [u8],
        text: Option<&'a str>,
        run: &mut Run<'a>,
        sink: &mut Noted<'_, S>,
    ) -> Result<(), ParseError> {
        let scratch = Scratch::new(&mut self.scratch);
        let result = self.body.line(Cursor::new(line, text), scratch, run, sink);
        result.map_err(|reason| self.error(*reason))
    }

    /// Keeps a part of a line for later.
    fn keep(&mut self, part: &[u8]) -> Result<(), ParseError> {
        if self.tail.len() + part.len() > LINE_BYTES_MAX {
            self.lines += 1;
            return Err(self.error(Reason::LineTooLong));
        }
        self.tail.extend_from_slice(part);
        Ok(())
    }

    #[cold]
    fn error(&self, reason: Reason) -> ParseError {
        ParseError { line: self.lines, reason }
    }
}

/// Whether it is worth looking for the shape of a body.
fn may_have_shape(body: &[u8]) -> bool {
    body.len() <= SHAPE_BYTES_MAX && body.ends_with(b"\n")
}
