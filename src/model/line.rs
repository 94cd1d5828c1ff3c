//! Finished lines of the exposition, taken apart: sample lines, label sets and the headers of families.
//!
//! Only for text that this program wrote: one fixed form, always valid (SPEC 7.4). Bodies are the parser's.

use memchr::{memchr, memchr2, memrchr};

const CLOSED: &str = "quotes of finished lines are closed";

/// One finished sample line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The name of the series as written, without quotes (with `_bucket`, `_sum` and so on), escaped.
    pub name: &'a str,
    /// The label set between the braces, without the name.
    pub labels: &'a str,
    /// The value.
    pub value: &'a str,
}

impl<'a> Line<'a> {
    /// Takes a finished line apart; `line` is without its LF.
    pub fn parse(line: &'a [u8]) -> Self {
        let line = str::from_utf8(line).expect("finished lines are UTF-8");
        let blank = memrchr(b' ', line.as_bytes()).expect("a finished line has a value");
        let (series, value) = (&line[..blank], &line[blank + 1..]);
        let Some(series) = series.strip_suffix('}') else {
            return Self { name: series, labels: "", value };
        };
        let (name, labels) = match series.strip_prefix("{\"") {
            Some(quoted) => {
                let end = quoted_len(quoted.as_bytes()).expect(CLOSED);
                let labels = &quoted[end + 1..];
                (&quoted[..end], labels.strip_prefix(',').unwrap_or(labels))
            }
            None => series.split_once('{').expect("a finished line opens the brace that it closes"),
        };
        Self { name, labels, value }
    }
}

/// A line of a family's header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Whether it is the HELP line; otherwise it is the TYPE line, which every family has and which stands last.
    pub is_help: bool,
    /// The family's name as written, without quotes, escaped.
    pub name: &'a str,
    /// Whether the name is in quotes: it is not classic.
    pub is_quoted: bool,
    /// The help text, escaped, or the kind.
    pub rest: &'a [u8],
}

impl<'a> Header<'a> {
    /// Takes a header line apart, without its LF; `None` for a sample line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let (is_help, text) = match line.strip_prefix(b"# HELP ") {
            Some(text) => (true, text),
            None => (false, line.strip_prefix(b"# TYPE ")?),
        };
        let quoted = text.strip_prefix(b"\"");
        let (name, rest) = match quoted {
            Some(quoted) => {
                let end = quoted_len(quoted).expect(CLOSED);
                (&quoted[..end], &quoted[end + 2..])
            }
            None => {
                let end = memchr(b' ', text).expect("a blank stands behind the name in a finished header");
                (&text[..end], &text[end + 1..])
            }
        };
        let name = str::from_utf8(name).expect("names are UTF-8");
        Some(Self { is_help, name, is_quoted: quoted.is_some(), rest })
    }
}

/// The label set and the value of a finished line, of which nothing but the ends is looked at. It is without its LF.
pub fn labels_and_value(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(blank) = memrchr(b' ', line) else { return (b"", b"") };
    let (series, value) = (&line[..blank], &line[blank + 1..]);
    let Some(series) = series.strip_suffix(b"}") else { return (b"", value) };
    let labels = match series.strip_prefix(b"{\"") {
        Some(quoted) => {
            let behind = quoted_len(quoted).map_or(&b""[..], |end| &quoted[end + 1..]);
            behind.strip_prefix(b",").unwrap_or(behind)
        }
        None => memchr(b'{', series).map_or(&b""[..], |open| &series[open + 1..]),
    };
    (labels, value)
}

/// Splits a label set as written into (name, escaped value) pairs; the names are without quotes, escaped. Where the set
/// was cut, the last pair has what is left of its name and value.
pub fn label_pairs(labels: &str) -> impl Iterator<Item = (&str, &str)> + Clone {
    let mut rest = labels;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => split(quoted, quoted_len(quoted.as_bytes()), "\"=".len()),
            None => split(rest, memchr(b'=', rest.as_bytes()), "=".len()),
        };
        let quoted = behind.get(1..).unwrap_or_default();
        let (value, behind) = split(quoted, quoted_len(quoted.as_bytes()), "\"".len());
        rest = behind.strip_prefix(',').unwrap_or(behind);
        Some((name, value))
    })
}

/// What stands before `end` and what stands `skipped` bytes after it; all of the text and nothing if it has no end.
#[inline]
fn split(text: &str, end: Option<usize>, skipped: usize) -> (&str, &str) {
    match end {
        Some(end) => (&text[..end], text.get(end + skipped..).unwrap_or_default()),
        None => (text, ""),
    }
}

/// The length of escaped text up to the quote that ends it, if it is there.
fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_apart() {
        let check = |line: &str, name: &str, labels: &str, value: &str| {
            assert_eq!(Line::parse(line.as_bytes()), Line { name, labels, value });
            assert_eq!(labels_and_value(line.as_bytes()), (labels.as_bytes(), value.as_bytes()));
        };
        check("a 1", "a", "", "1");
        check(r#"a{b="} 1"} NaN"#, "a", r#"b="} 1""#, "NaN");
        check(r#"{"a.b",b="c"} 1"#, "a.b", r#"b="c""#, "1");
        check(r#"{"a\"{b"} 1"#, r#"a\"{b"#, "", "1");
    }

    #[test]
    fn label_sets_come_apart() {
        let check = |labels: &str, expected: &[(&str, &str)]| {
            assert_eq!(label_pairs(labels).collect::<Vec<_>>(), expected);
        };
        check("", &[]);
        check(r#"a="b",c="""#, &[("a", "b"), ("c", "")]);
        check(r#"a="\",=\\",c="d""#, &[("a", r#"\",=\\"#), ("c", "d")]);
        check(r#""a.b"="c","x\"y"="z""#, &[("a.b", "c"), (r#"x\"y"#, "z")]);
    }

    #[test]
    fn label_sets_that_are_cut_come_apart_up_to_there() {
        let check = |labels: &str, expected: &[(&str, &str)]| {
            assert_eq!(label_pairs(labels).collect::<Vec<_>>(), expected, "{labels}");
        };
        let whole = r#"a="b","x.y"="c\"d""#;
        check(whole, &[("a", "b"), ("x.y", r#"c\"d"#)]);
        check(r#"a="b","x.y"="c\""#, &[("a", "b"), ("x.y", r#"c\""#)]);
        check(r#"a="b","x.y"="c\"#, &[("a", "b"), ("x.y", r"c\")]);
        check(r#"a="b","x.y"=""#, &[("a", "b"), ("x.y", "")]);
        check(r#"a="b","x.y"="#, &[("a", "b"), ("x.y", "")]);
        check(r#"a="b","x.y""#, &[("a", "b"), ("x.y", "")]);
        check(r#"a="b","x.y"#, &[("a", "b"), ("x.y", "")]);
        check(r#"a="b",""#, &[("a", "b"), ("", "")]);
        check(r#"a="b","#, &[("a", "b")]);
        check("a", &[("a", "")]);
        for end in 0..whole.len() {
            assert!(label_pairs(&whole[..end]).count() <= 2);
        }
    }

    #[test]
    fn headers_come_apart() {
        let check = |line: &[u8], is_help: bool, name: &str, rest: &[u8]| {
            let is_quoted = line[7] == b'"';
            assert_eq!(Header::parse(line), Some(Header { is_help, name, is_quoted, rest }));
        };
        check(b"# TYPE a gauge", false, "a", b"gauge");
        check(b"# HELP a ", true, "a", b"");
        check(b"# HELP a:b x \xff", true, "a:b", b"x \xff");
        check(b"# HELP \"a\\\" b\" x \"", true, "a\\\" b", b"x \"");
        assert_eq!(Header::parse(b"a{b=\"# TYPE \"} 1"), None);
    }
}
