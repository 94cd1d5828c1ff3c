//! How a token from a client is shown in a message: Go's `%q` (SPEC 3.10).

use std::fmt;

/// Shows bytes in double quotes, escaped as Go's `%q` does.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                write_char(f, c, '"')?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
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

fn write_char(f: &mut fmt::Formatter<'_>, c: char, quote: char) -> fmt::Result {
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
