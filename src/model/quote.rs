//! How a token from a client is shown in a message: Go's `%q` (SPEC 3.10), or as it is. No more of it than
//! [`QUOTE_BYTES_MAX`](crate::limits::QUOTE_BYTES_MAX) is looked at; a mark after it says how much is left out.

use std::fmt;

use super::cut::{LeftOut, Start};

/// Shows the beginning of a token in double quotes, escaped as Go's `%q` does.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Start::of(self.0);
        write_quoted(f, start.bytes)?;
        LeftOut(start.left_out).fmt(f)
    }
}

/// Shows the beginning of a token as it is, without quotes; bytes that are not UTF-8 as U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a [u8]);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Start::of(self.0);
        write_plain(f, start.bytes)?;
        LeftOut(start.left_out).fmt(f)
    }
}

/// Shows the beginning of a text in double quotes, escaped as in the source of this program. The answers that the
/// original does not have quote like that.
#[derive(Clone, Copy, Debug)]
pub struct Literal<'a>(pub &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Start::of(self.0.as_bytes());
        write!(f, "{:?}{}", &self.0[..start.bytes.len()], LeftOut(start.left_out))
    }
}

/// The beginning of a token, kept for a message that outlives the input. Shown as [`Quoted`] shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    start: Box<[u8]>,
    /// Bytes of the token that were not kept.
    left_out: usize,
}

impl Excerpt {
    /// An excerpt that shows `start`, which stands for the first bytes of a token; so many bytes of it are left out.
    pub fn new(start: impl Into<Box<[u8]>>, left_out: usize) -> Self {
        Self { start: start.into(), left_out }
    }

    /// The bytes that were kept.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Shows it without quotes, as [`Plain`] does.
    pub fn plain(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            write_plain(f, &self.start)?;
            write!(f, "{}", LeftOut(self.left_out))
        })
    }
}

impl From<&[u8]> for Excerpt {
    fn from(token: &[u8]) -> Self {
        let Start { bytes, left_out } = Start::of(token);
        Self::new(bytes, left_out)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.start)?;
        LeftOut(self.left_out).fmt(f)
    }
}

/// Writes all of a text in double quotes, escaped as Go's `%q` does. For texts whose length somebody else bounds.
pub fn write_quoted(out: &mut impl fmt::Write, text: &[u8]) -> fmt::Result {
    out.write_str("\"")?;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            write_char(out, c, '"')?;
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.write_str("\"")
}

fn write_plain(out: &mut impl fmt::Write, text: &[u8]) -> fmt::Result {
    for chunk in text.utf8_chunks() {
        out.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

/// Shows one byte in single quotes, escaped as Go's `%q` does for a byte: as the code point of that number.
#[derive(Clone, Copy, Debug)]
pub struct QuotedByte(pub u8);

impl fmt::Display for QuotedByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        write_char(f, char::from(self.0), '\'')?;
        f.write_str("'")
    }
}

fn write_char(f: &mut impl fmt::Write, c: char, quote: char) -> fmt::Result {
    match c {
        '\\' => f.write_str("\\\\"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0c' => f.write_str("\\f"),
        '\x0b' => f.write_str("\\v"),
        c if c == quote => write!(f, "\\{c}"),
        c if c == ' ' || c.is_ascii_graphic() => write!(f, "{c}"),
        c if u32::from(c) < 0x20 || c == '\x7f' => write!(f, "\\x{:02x}", u32::from(c)),
        c if is_printable(c) => write!(f, "{c}"),
        c if u32::from(c) < 0x1_0000 => write!(f, "\\u{:04x}", u32::from(c)),
        c => write!(f, "\\U{:08x}", u32::from(c)),
    }
}

/// Approximates Go's `unicode.IsPrint`: neither control, nor white space other than the ASCII blank, nor one of the
/// invisible, unassigned or private characters that the standard library's `escape_debug` escapes.
fn is_printable(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && {
        let mut escaped = c.escape_debug();
        escaped.next() == Some(c) || is_grapheme_extend(c)
    }
}

/// `escape_debug` also escapes combining marks, which Go prints; they are the ones whose escape starts with a
/// backslash but which do not stay escaped behind another character.
fn is_grapheme_extend(c: char) -> bool {
    let shown: String = ['a', c].iter().collect::<String>().escape_debug().collect();
    !shown.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        let check = |input: &[u8], expected: &str| assert_eq!(Quoted(input).to_string(), expected);
        check(b"", r#""""#);
        check(b"a b", r#""a b""#);
        check(b"1\r", r#""1\r""#);
        check(b"\"\\\n\t\x07\x08\x0b\x0c", r#""\"\\\n\t\a\b\v\f""#);
        check(b"x\xff", r#""x\xff""#);
        check(b"\x00\x7f", r#""\x00\x7f""#);
        check("\u{a0}é日😊".as_bytes(), r#""\u00a0é日😊""#);
        check("e\u{301}".as_bytes(), "\"e\u{301}\"");
        check(b"'", r#""'""#);
    }

    #[test]
    fn long_tokens_are_cut_before_they_are_escaped() {
        use crate::limits::QUOTE_BYTES_MAX;
        let check = |unit: &str, quoted: &str, literal: &str, lossy: &str| {
            let kept = QUOTE_BYTES_MAX / unit.len();
            let token = unit.repeat(kept + 9);
            let rest = format!("...({} bytes)", 9 * unit.len());
            assert_eq!(Quoted(token.as_bytes()).to_string(), format!("\"{}\"{rest}", quoted.repeat(kept)));
            assert_eq!(Literal(&token).to_string(), format!("\"{}\"{rest}", literal.repeat(kept)));
            assert_eq!(Plain(token.as_bytes()).to_string(), format!("{}{rest}", lossy.repeat(kept)));
            let excerpt = Excerpt::from(token.as_bytes());
            assert_eq!(excerpt.start().len(), kept * unit.len());
            assert_eq!(excerpt.to_string(), Quoted(token.as_bytes()).to_string());
            assert_eq!(excerpt.plain().to_string(), Plain(token.as_bytes()).to_string());
            // One that just fits is shown whole.
            let fits = &token[..kept * unit.len()];
            assert_eq!(Quoted(fits.as_bytes()).to_string(), format!("\"{}\"", quoted.repeat(kept)));
        };
        check("x", "x", "x", "x");
        check("\x01", "\\x01", "\\u{1}", "\x01");
        check("日", "日", "日", "日");
        check("\"", "\\\"", "\\\"", "\"");
        let broken = vec![0xff; QUOTE_BYTES_MAX + 1];
        assert_eq!(Quoted(&broken).to_string(), format!("\"{}\"...(1 bytes)", "\\xff".repeat(QUOTE_BYTES_MAX)));
        assert_eq!(Plain(b"a\xffb\xe6\x97").to_string(), String::from_utf8_lossy(b"a\xffb\xe6\x97"));
    }

    /// Tokens of any length take the same memory.
    #[test]
    fn quotes_of_large_tokens_are_small() {
        let token = vec![1; 16 << 20];
        let measured = allocation_counter::measure(|| {
            assert!(Quoted(&token).to_string().len() < 5000);
            assert!(Excerpt::from(&*token).to_string().len() < 5000);
        });
        assert!(measured.bytes_max < 20_000, "{measured:?}");
    }

    #[test]
    fn quotes_bytes_as_go_does() {
        let check = |input: u8, expected: &str| assert_eq!(QuotedByte(input).to_string(), expected);
        check(b'\'', r"'\''");
        check(b'"', "'\"'");
        check(b'\n', r"'\n'");
        check(b'\\', r"'\\'");
        check(b'1', "'1'");
        check(0xc3, "'Ã'");
    }
}
