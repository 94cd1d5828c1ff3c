//! How names, label values and help texts are written in the exposition format (SPEC 7.4), and read back.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use super::name::{is_classic_label_name, is_classic_metric_name};
use super::sample::Kind;

/// Writes a label value with `\`, `"` and LF escaped.
pub fn write_label_value(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(at) = memchr3(b'\\', b'"', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'"' => b"\\\"",
            _ => b"\\n",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes a help text with `\` and LF escaped.
pub fn write_help(out: &mut Vec<u8>, help: &[u8]) {
    let mut rest = help;
    while let Some(at) = memchr2(b'\\', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(if rest[at] == b'\\' { b"\\\\" } else { b"\\n" });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes a metric name: bare if it has the classic form, else quoted (SPEC 7.4); whether it is quoted.
pub fn write_name(out: &mut Vec<u8>, name: &str) -> bool {
    write_name_of(out, name, is_classic_metric_name(name.as_bytes()))
}

/// The same for a label name. One with a colon is quoted, which a metric name is not: no scraper would read it bare.
pub fn write_label_name(out: &mut Vec<u8>, name: &str) -> bool {
    write_name_of(out, name, is_classic_label_name(name.as_bytes()))
}

#[inline]
fn write_name_of(out: &mut Vec<u8>, name: &str, is_classic: bool) -> bool {
    if is_classic {
        out.extend_from_slice(name.as_bytes());
        return false;
    }
    out.push(b'"');
    write_label_value(out, name);
    out.push(b'"');
    true
}

/// Writes the lines in front of a family's samples: `# HELP`, if there is a text, and `# TYPE`.
pub fn write_header(out: &mut Vec<u8>, name: &str, kind: Kind, help: Option<&[u8]>) {
    if let Some(help) = help {
        out.extend_from_slice(b"# HELP ");
        write_name(out, name);
        out.push(b' ');
        write_help(out, help);
        out.push(b'\n');
    }
    out.extend_from_slice(b"# TYPE ");
    write_name(out, name);
    out.push(b' ');
    out.extend_from_slice(kind.text_name().as_bytes());
    out.push(b'\n');
}

/// The text that an escaped label value or quoted name stands for.
pub fn unescape(escaped: &str) -> Cow<'_, str> {
    if memchr(b'\\', escaped.as_bytes()).is_none() {
        return Cow::Borrowed(escaped);
    }
    let mut plain = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_survive() {
        let check = |plain: &str, escaped: &str| {
            let mut out = Vec::new();
            write_label_value(&mut out, plain);
            assert_eq!(str::from_utf8(&out).unwrap(), escaped);
            assert_eq!(unescape(escaped), plain);
        };
        check("", "");
        check("plain é", "plain é");
        check("a\\b\"c\nd", "a\\\\b\\\"c\\nd");
        check("\\n", "\\\\n");
        check("\t\r\0", "\t\r\0");
    }

    #[test]
    fn help_keeps_its_quotes() {
        let mut out = Vec::new();
        write_help(&mut out, b"q\" b\\ n\n \xff");
        assert_eq!(out, b"q\" b\\\\ n\\n \xff");
    }

    #[test]
    fn names_are_quoted_when_they_must_be() {
        let check = |name: &str, expected: &str| {
            let mut out = Vec::new();
            assert_eq!(write_name(&mut out, name), expected.starts_with('"'));
            assert_eq!(str::from_utf8(&out).unwrap(), expected);
        };
        check("a_b:c1", "a_b:c1");
        check("a.b", "\"a.b\"");
        check("1a", "\"1a\"");
        check("x\n\"y", "\"x\\n\\\"y\"");
        let mut out = Vec::new();
        assert!(!write_label_name(&mut out, "a_b1") && write_label_name(&mut out, "a:b"));
        assert_eq!(out, b"a_b1\"a:b\"");
    }
}
