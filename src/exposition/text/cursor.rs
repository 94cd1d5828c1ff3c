//! A place in one line, and the tokens read there: names, label values, words (SPEC 3.3, 3.5, 3.7).
//!
//! Does not know families or what a token is for. Tokens borrow from the line; only a name with escapes, or one
//! glued together from a bare and a quoted part, is put together in the scratch buffer.

use crate::limits::QUOTE_BYTES_MAX;
use crate::model::cut::Start;
use crate::model::number::{self, Number};
use crate::model::quote::Excerpt;

use super::error::{Parsed, QuotedPart, Reason, end_of_input};

const METRIC_FIRST: u8 = 1;
const METRIC_NEXT: u8 = 2;
const LABEL_FIRST: u8 = 4;
const LABEL_NEXT: u8 = 8;
const WORD_END: u8 = 16;

/// What each byte may be part of.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => METRIC_FIRST | METRIC_NEXT | LABEL_FIRST | LABEL_NEXT,
            b'0'..=b'9' => METRIC_NEXT | LABEL_NEXT,
            b':' => METRIC_FIRST | METRIC_NEXT,
            b' ' | b'\t' | b'\n' => WORD_END,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// A name as read: unescaped, without quotes; not checked beyond what stands outside of quotes.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    /// No quotes were needed, so it is a classic name; empty if none could start here.
    Bare(&'a str),
    /// In quotes, at least in part.
    Quoted(&'a str),
    /// In quotes and not UTF-8.
    Bytes(&'a [u8]),
}

impl<'a> Name<'a> {
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Name::Bare(text) | Name::Quoted(text) => text.as_bytes(),
            Name::Bytes(bytes) => bytes,
        }
    }
}

/// Room for the names of a line that do not stand in it as they are; made when the first of them is met.
pub(super) struct Scratch<'a> {
    buffer: Option<&'a mut Vec<u8>>,
    free: &'a mut [u8],
}

impl<'a> Scratch<'a> {
    pub(super) fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self { buffer: Some(buffer), free: &mut [] }
    }

    /// Takes `len` bytes. The names of a line are together never longer than the line.
    fn take(&mut self, len: usize, line_len: usize) -> &'a mut [u8] {
        if let Some(buffer) = self.buffer.take() {
            buffer.resize(line_len, 0);
            self.free = buffer;
        }
        let (taken, free) = std::mem::take(&mut self.free).split_at_mut(len);
        self.free = free;
        taken
    }
}

pub(super) struct Cursor<'a> {
    /// The line: with its LF, or without if the body ends in it.
    line: &'a [u8],
    /// The same as text, if it is UTF-8: then no token has to be checked for it.
    text: Option<&'a str>,
    /// Invariant: at most `line.len()`.
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(line: &'a [u8], text: Option<&'a str>) -> Self {
        Self { line, text, at: 0 }
    }

    /// The whole line as text, if it is UTF-8.
    #[inline]
    pub(super) fn text(&self) -> Option<&'a str> {
        self.text
    }

    #[inline]
    pub(super) fn peek(&self) -> Parsed<u8> {
        self.line.get(self.at).copied().ok_or_else(end_of_input)
    }

    /// Steps over the byte that was peeked at.
    #[inline]
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Where it stands in the line.
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// What stands between two places; empty if that is not UTF-8.
    #[inline]
    pub(super) fn text_between(&self, start: usize, end: usize) -> &'a str {
        self.text_of(start, end).unwrap_or_default()
    }

    /// Steps over bytes that are known to be there.
    #[inline]
    pub(super) fn step_over(&mut self, len: usize) {
        self.at += len;
    }

    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.line.get(self.at) {
            self.at += 1;
        }
    }

    /// Skips blanks and shows the byte after them.
    #[inline]
    pub(super) fn peek_past_blanks(&mut self) -> Parsed<u8> {
        self.skip_blanks();
        self.peek()
    }

    /// The run of bytes up to a blank or LF, which must come.
    #[inline]
    pub(super) fn word(&mut self) -> Parsed<(&'a [u8], Option<&'a str>)> {
        let start = self.at;
        self.skip_while(|class| class & WORD_END == 0);
        self.peek()?;
        Ok((&self.line[start..self.at], self.text_of(start, self.at)))
    }

    /// The rest of the line up to its LF, if it is a number without sign of anything else; and that number.
    #[inline]
    pub(super) fn plain_number(&mut self) -> Option<(&'a str, Number)> {
        let rest = self.rest_of_line()?;
        let number = number::read_decimal(rest)?;
        let start = self.at;
        self.at += rest.len();
        // Digits are always text.
        Some((self.text_of(start, self.at).unwrap_or_default(), number))
    }

    /// The rest of the line without its LF, which must come; `None` if it does not.
    #[inline]
    pub(super) fn rest_of_line(&self) -> Option<&'a [u8]> {
        self.line[self.at..].strip_suffix(b"\n")
    }

    /// What is left of the line, LF included.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    /// Steps over a bare metric name of `len` bytes that is known to stand here; `false`, without a step, if the
    /// name that stands here goes on after that.
    #[inline]
    pub(super) fn step_over_metric_name(&mut self, len: usize) -> bool {
        let ends = match self.line.get(self.at + len) {
            Some(byte) => CLASS[usize::from(*byte)] & METRIC_NEXT == 0 && *byte != b'"',
            None => false,
        };
        if ends {
            self.at += len;
        }
        ends
    }

    /// A metric name, empty if none can start here. The byte after it must exist.
    #[inline]
    pub(super) fn metric_name<'s>(&mut self, scratch: &mut Scratch<'s>) -> Parsed<Name<'s>>
    where
        'a: 's,
    {
        self.name(METRIC_FIRST, METRIC_NEXT, QuotedPart::MetricName, scratch)
    }

    /// A label name, empty if none can start here. The byte after it must exist.
    #[inline(always)]
    pub(super) fn label_name<'s>(&mut self, scratch: &mut Scratch<'s>) -> Parsed<Name<'s>>
    where
        'a: 's,
    {
        self.name(LABEL_FIRST, LABEL_NEXT, QuotedPart::LabelName, scratch)
    }

    // Inlined for sure: a name returned through memory costs more than reading it.
    #[inline(always)]
    fn name<'s>(&mut self, first: u8, next: u8, part: QuotedPart, scratch: &mut Scratch<'s>) -> Parsed<Name<'s>>
    where
        'a: 's,
    {
        let start = self.at;
        if CLASS[usize::from(self.peek()?)] & first != 0 {
            self.at += 1;
            self.skip_while(|class| class & next != 0);
        }
        if self.peek()? == b'"' {
            return self.name_with_quotes(start, part, scratch);
        }
        // Letters, digits, underscores and colons are always text.
        Ok(Name::Bare(self.text_of(start, self.at).unwrap_or_default()))
    }

    /// A name whose bare part, most often empty, began at `start` and ended at the quote that stands here.
    #[cold]
    fn name_with_quotes<'s>(&mut self, start: usize, part: QuotedPart, scratch: &mut Scratch<'s>) -> Parsed<Name<'s>>
    where
        'a: 's,
    {
        let bare = &self.line[start..self.at];
        let open = self.at + 1;
        let has_escapes = self.skip_quoted(bare, part)?;
        let close = self.at - 1;
        self.peek()?;
        if bare.is_empty() && !has_escapes {
            return Ok(self.text_of(open, close).map_or(Name::Bytes(&self.line[open..close]), Name::Quoted));
        }
        let name = scratch.take(bare.len() + close - open, self.line.len());
        name[..bare.len()].copy_from_slice(bare);
        let mut len = bare.len();
        for byte in unescaped(&self.line[open..close]) {
            name[len] = byte;
            len += 1;
        }
        let bytes: &'s [u8] = &name[..len];
        Ok(str::from_utf8(bytes).map_or(Name::Bytes(bytes), Name::Quoted))
    }

    /// A label value as escaped in the body, from the quote that stands here to behind the closing one, and as text
    /// unless it is not UTF-8.
    #[inline]
    pub(super) fn label_value(&mut self) -> Parsed<(&'a [u8], Option<&'a str>)> {
        let open = self.at + 1;
        self.skip_quoted(b"", QuotedPart::LabelValue)?;
        let close = self.at - 1;
        Ok((&self.line[open..close], self.text_of(open, close)))
    }

    /// Steps from an opening quote to behind the closing one; `true` if there are escapes in between. `before`: what
    /// the token already consists of.
    #[inline]
    fn skip_quoted(&mut self, before: &[u8], part: QuotedPart) -> Parsed<bool> {
        let open = self.at + 1;
        let mut has_escapes = false;
        self.at = open;
        loop {
            let Some(len) = quote_or_escape(&self.line[self.at..]) else {
                return Err(self.unclosed(before, open, part).into());
            };
            self.at += len + 1;
            if self.line[self.at - 1] == b'"' {
                return Ok(has_escapes);
            }
            has_escapes = true;
            match self.peek()? {
                b'\\' | b'n' | b'"' => self.at += 1,
                other => return Err(Reason::Escape(other).into()),
            }
        }
    }

    #[cold]
    fn unclosed(&self, before: &[u8], open: usize, part: QuotedPart) -> Reason {
        match self.line[open..].strip_suffix(b"\n") {
            Some(so_far) => Reason::NewLine(part, unescaped_excerpt(before, so_far)),
            None => Reason::EndOfInput,
        }
    }

    #[inline]
    fn text_of(&self, start: usize, end: usize) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(start..end),
            None => str::from_utf8(&self.line[start..end]).ok(),
        }
    }

    #[inline]
    fn skip_while(&mut self, is_wanted: impl Fn(u8) -> bool) {
        let mut at = self.at;
        while self.line.get(at).is_some_and(|byte| is_wanted(CLASS[usize::from(*byte)])) {
            at += 1;
        }
        self.at = at;
    }
}

/// How many bytes there are up to a quote; `None` if there is none, or an escape in between.
#[inline]
pub(super) fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let len = quote_or_escape(bytes)?;
    (bytes[len] == b'"').then_some(len)
}

/// Where the first quote or backslash is.
#[inline]
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // Most values are so short that looking at some words takes less than a call.
    const WORDS_MAX: usize = 4;
    // The lowest bit that is left belongs to the first byte that is zero.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, _) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().take(WORDS_MAX).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let seen = words.len().min(WORDS_MAX) * 8;
    memchr::memchr2(b'"', b'\\', &bytes[seen..]).map(|at| seen + at)
}

/// The bytes that escaped text stands for. The escapes have been checked.
pub(super) fn unescaped(escaped: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = escaped.iter().copied();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' => bytes.next().map(|byte| if byte == b'n' { b'\n' } else { byte }),
        byte => Some(byte),
    })
}

/// An excerpt of a token that consists of a bare name, most often empty, and escaped text. What is left out is counted
/// as sent, since unescaping all of it would take as long as it is.
#[cold]
pub(super) fn unescaped_excerpt(bare: &[u8], escaped: &[u8]) -> Excerpt {
    let bare = Start::of(bare);
    let escaped = Start::of_escaped(escaped, QUOTE_BYTES_MAX - bare.bytes.len());
    let shown: Box<[u8]> = bare.bytes.iter().copied().chain(unescaped(escaped.bytes)).collect();
    Excerpt::new(shown, bare.left_out + escaped.left_out)
}

/// An excerpt of the rest of a line, of which the original drops the backslashes.
#[cold]
pub(super) fn excerpt_without_backslashes(rest: &[u8]) -> Excerpt {
    let start = Start::of(rest);
    let shown: Box<[u8]> = start.bytes.iter().copied().filter(|byte| *byte != b'\\').collect();
    Excerpt::new(shown, start.left_out)
}
