//! How much of what a client sent a message shows: the beginning of it, and how much was left out.
//!
//! Input is cut before it is escaped and formatted, so that neither the time nor the memory that a message takes grows
//! with the input. Escaping what is shown is the concern of `quote`.

use std::fmt;

use crate::limits::QUOTE_BYTES_MAX;

/// The beginning of a text that a client sent, as long as a message may quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// The bytes that are shown. They end between two characters if the text is UTF-8.
    pub bytes: &'a [u8],
    /// How many bytes follow in the text.
    pub left_out: usize,
}

impl<'a> Start<'a> {
    /// The first [`QUOTE_BYTES_MAX`] bytes of a text.
    pub fn of(text: &'a [u8]) -> Self {
        Self::within(text, QUOTE_BYTES_MAX)
    }

    /// The first `most` bytes of a text, or up to three less, so that no character is cut in two.
    pub fn within(text: &'a [u8], most: usize) -> Self {
        let (bytes, rest) = text.split_at(boundary(text, most));
        Self { bytes, left_out: rest.len() }
    }

    /// The first `most` bytes of a text with escapes that begin with a backslash and have one more byte; up to four
    /// bytes less, so that neither a character nor an escape is cut in two.
    pub fn of_escaped(text: &'a [u8], most: usize) -> Self {
        let start = Self::within(text, most);
        let backslashes = start.bytes.iter().rev().take_while(|byte| **byte == b'\\').count();
        if start.left_out == 0 || backslashes.is_multiple_of(2) {
            return start;
        }
        Self { bytes: &start.bytes[..start.bytes.len() - 1], left_out: start.left_out + 1 }
    }
}

/// Where the first `most` bytes of a text end if no character may be cut in two.
fn boundary(text: &[u8], most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    // In UTF-8 the first byte of a character that goes on at `most` is one of the three before it.
    let first = (most.saturating_sub(3)..=most).rev().find(|at| text[*at] & 0xc0 != 0x80);
    first.filter(|at| text[*at] >= 0xc0).unwrap_or(most)
}

/// What stands after a text that was cut: how many bytes of it are not shown. Nothing if none are missing.
#[derive(Clone, Copy, Debug)]
pub struct LeftOut(pub usize);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            bytes => write!(f, "...({bytes} bytes)"),
        }
    }
}

/// Collects a text up to a number of bytes. What does not fit is replaced by `...`, and writing it fails, so that the
/// rest of it is not even made.
#[derive(Debug)]
pub struct Bounded<'a> {
    text: &'a mut String,
    most: usize,
    is_cut: bool,
}

impl<'a> Bounded<'a> {
    const MARK: &'static str = "...";

    /// Appends to `text` until it is `most` bytes long.
    pub fn new(text: &'a mut String, most: usize) -> Self {
        debug_assert!(most >= Self::MARK.len() && text.len() <= most, "there is room for the mark");
        Self { text, most, is_cut: false }
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let room = self.most - self.text.len();
        if piece.len() <= room {
            self.text.push_str(piece);
            return Ok(());
        }
        self.text.push_str(&piece[..piece.floor_char_boundary(room)]);
        self.text.truncate(self.text.floor_char_boundary(self.most - Self::MARK.len()));
        self.text.push_str(Self::MARK);
        self.is_cut = true;
        Err(fmt::Error)
    }
}

/// What a value shows, at most `most` bytes of it, ending in `...` if it is longer.
pub fn bounded(value: impl fmt::Display, most: usize) -> String {
    let mut text = String::new();
    // The only error is that the rest does not fit, which is what the bound is for.
    let _ = fmt::write(&mut Bounded::new(&mut text, most), format_args!("{value}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// Checks what is shown of a text.
    #[track_caller]
    fn check_cut(start: Start<'_>, text: &[u8], most: usize, shown: &[u8]) {
        let expected = Start { bytes: shown, left_out: text.len() - shown.len() };
        assert_eq!(start, expected, "{} {most}", text.escape_ascii());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let check = |text: &[u8], most: usize, shown: &[u8]| check_cut(Start::within(text, most), text, most, shown);
        check(b"", 0, b"");
        check(b"abc", 3, b"abc");
        check(b"abc", 2, b"ab");
        check(b"abc", 0, b"");
        check("aé".as_bytes(), 2, b"a");
        check("aéb".as_bytes(), 3, "aé".as_bytes());
        check("日本".as_bytes(), 5, "日".as_bytes());
        check("日本".as_bytes(), 1, b"");
        check("a😊".as_bytes(), 4, b"a");
        check("a😊".as_bytes(), 5, "a😊".as_bytes());
        // What is not UTF-8 may be cut anywhere, and what comes before it is not lost.
        check(b"a\x80\x80\x80", 3, b"a\x80\x80");
        check(&[0x80; 9], 5, &[0x80; 5]);
        check(b"a\xff\xff", 2, b"a\xff");
    }

    #[test]
    fn escapes_are_not_cut() {
        let check =
            |text: &[u8], most: usize, shown: &[u8]| check_cut(Start::of_escaped(text, most), text, most, shown);
        check(br"a\n", 3, br"a\n");
        check(br"a\n", 2, b"a");
        check(br"a\\n", 3, br"a\\");
        check(br"a\\\n", 4, br"a\\");
        check(br"\\\\", 3, br"\\");
        check(b"a", 9, b"a");
    }

    #[test]
    fn a_quote_has_the_bytes_of_the_bound_at_most() {
        let long = vec![b'x'; QUOTE_BYTES_MAX + 7];
        assert_eq!(Start::of(&long), Start { bytes: &long[7..], left_out: 7 });
        assert_eq!(Start::of(&long[7..]), Start { bytes: &long[7..], left_out: 0 });
        assert_eq!((LeftOut(0).to_string(), LeftOut(7).to_string()), (String::new(), "...(7 bytes)".to_owned()));
    }

    #[test]
    fn long_texts_end_in_dots() {
        let check = |text: &str, most: usize, expected: &str| assert_eq!(bounded(text, most), expected, "{most}");
        check("abcdef", 6, "abcdef");
        check("abcdef", 5, "ab...");
        check("ééé", 5, "é...");
        check("ééé", 4, "...");
        check("abcdef", 3, "...");
        let (mut text, mut count) = ("a".to_owned(), 0);
        let mut out = Bounded::new(&mut text, 6);
        while out.write_str("bc").is_ok() {
            count += 1;
        }
        assert!(out.write_str("d").is_err(), "nothing is taken after the cut");
        assert_eq!((count, text.as_str()), (2, "abc..."));
    }
}
