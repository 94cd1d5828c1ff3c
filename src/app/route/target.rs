//! The request target as text: finding its parts, percent-decoding, cleaning, and escaping it again for `Location` and
//! HTML. Knows no route.

use std::fmt::Write as _;

/// What one look at a request target tells.
pub(super) struct Target<'t> {
    /// The path, still percent-encoded.
    pub path: &'t [u8],
    /// What follows the first `?`, if there is one; may be empty.
    pub query: Option<&'t [u8]>,
    is_escaped: bool,
    /// Whether the path has to be cleaned (SPEC 1.4). Looked for before decoding: `%2e` and `%2F` are not cleaned.
    pub is_unclean: bool,
}

impl<'t> Target<'t> {
    /// Looks at each byte once: most targets are short, and neither escaped nor unclean.
    pub(super) fn new(target: &'t [u8]) -> Self {
        let (mut is_escaped, mut is_suspicious) = (false, false);
        let (mut end, mut last) = (target.len(), 0);
        for (at, byte) in target.iter().enumerate() {
            match byte {
                b'?' => {
                    end = at;
                    break;
                }
                b'%' => is_escaped = true,
                b'/' | b'.' => is_suspicious |= last == b'/',
                _ => {}
            }
            last = *byte;
        }
        let path = &target[..end];
        Self { path, query: target.get(end + 1..), is_escaped, is_unclean: is_suspicious && is_unclean(path) }
    }

    /// Percent-decodes the path into `out`, replacing what was there. `None` if an escape is not `%` and two hex digits.
    pub(super) fn decode(&self, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        if self.is_escaped {
            return decode(self.path, out);
        }
        out.extend_from_slice(self.path);
        Some(())
    }
}

/// Whether an empty or a dot segment is in the path.
fn is_unclean(path: &[u8]) -> bool {
    memchr::memchr_iter(b'/', path).any(|at| {
        matches!(path[at + 1..], [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
    })
}

/// Writes what percent-encoded text stands for. `None` if an escape is not `%` and two hex digits.
pub(crate) fn decode(encoded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = encoded;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let [high, low] = rest.get(at + 1..at + 3)?.try_into().ok()?;
        out.extend_from_slice(&rest[..at]);
        out.push(hex_digit(high)? << 4 | hex_digit(low)?);
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    Some(())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// The path without empty, `.` and `..` segments. A trailing slash stays, one that a dot segment leaves behind does not.
pub(super) fn cleaned(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => out.truncate(memchr::memrchr(b'/', &out).unwrap_or(0)),
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    if out.is_empty() || path.ends_with(b"/") {
        out.push(b'/');
    }
    out
}

/// Whether the escapes of a path are to be kept or its `%` are plain characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// The path is as the client sent it.
    Kept,
    /// The path is decoded.
    None,
}

/// Writes a path and query for a `Location` header: a path that starts with exactly one slash, in printable ASCII.
///
/// Two slashes would make the rest a host name, and so would a backslash, which some clients read as a slash.
pub(super) fn location(path: &[u8], escapes: Escapes, query: Option<&[u8]>) -> String {
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    let mut out = String::from("/");
    write_escaped(&mut out, &path[slashes..], |byte| {
        byte.is_ascii_alphanumeric()
            || b"-_.~$&+,/:;=@".contains(&byte)
            || (escapes == Escapes::Kept && b"%!'()*[]".contains(&byte))
    });
    if let Some(query) = query {
        out.push('?');
        write_escaped(&mut out, query, |byte| byte.is_ascii_graphic());
    }
    out
}

fn write_escaped(out: &mut String, bytes: &[u8], stays: impl Fn(u8) -> bool) {
    for byte in bytes {
        if stays(*byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // Writing to a string does not fail.
        }
    }
}

/// Writes `text` so that it is itself in HTML text and in a quoted attribute.
pub(crate) fn write_html(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclean_paths_are_found_and_cleaned() {
        let check = |path: &str, expected: &str| {
            assert_eq!(Target::new(path.as_bytes()).is_unclean, path != expected, "{path}");
            assert_eq!(String::from_utf8(cleaned(path.as_bytes())).unwrap(), expected, "{path}");
        };
        check("/", "/");
        check("//", "/");
        check("/a/b/", "/a/b/");
        check("/a//b", "/a/b");
        check("/a/b//", "/a/b/");
        check("/a/./b", "/a/b");
        check("/a/../b", "/b");
        check("/a/b/.", "/a/b");
        check("/a/b/..", "/a");
        check("/a/b/../", "/a/");
        check("/../../a", "/a");
        check("/..", "/");
        check("/./", "/");
        check("/a/.b/..c/d../e./...", "/a/.b/..c/d../e./...");
        check("/a/%2e%2e/%2F%2F/b", "/a/%2e%2e/%2F%2F/b");
    }

    #[test]
    fn the_query_is_not_part_of_the_path() {
        let target = Target::new(b"/a?b//c/../d?e");
        assert_eq!((target.path, target.query, target.is_unclean), (&b"/a"[..], Some(&b"b//c/../d?e"[..]), false));
        assert_eq!(Target::new(b"/a?").query, Some(&b""[..]));
        assert!(Target::new(b"/a/.?b").is_unclean);
        assert!(Target::new(b"/a/..?b").is_unclean);
        assert_eq!(Target::new(b"/a").query, None);
        assert_eq!(Target::new(b"/a#b").path, b"/a#b");
    }

    #[test]
    fn decodes_escapes_once() {
        let check = |path: &str, expected: Option<&[u8]>| {
            let mut out = b"old".to_vec();
            let decoded = Target::new(path.as_bytes()).decode(&mut out).map(|()| out.as_slice());
            assert_eq!(decoded, expected, "{path}");
        };
        check("/a+b", Some(b"/a+b"));
        check("/a%2fb%2F%00%ff%25%32%35", Some(b"/a/b/\0\xff%25"));
        for bad in ["/%", "/%2", "/%zz", "/%2g", "/%+1", "/%%20"] {
            check(bad, None);
        }
    }

    #[test]
    fn locations_are_paths_in_printable_ascii() {
        let check = |path: &[u8], escapes, query: Option<&[u8]>, expected: &str| {
            assert_eq!(location(path, escapes, query), expected);
        };
        check(b"/a%20b\xc3\xa9", Escapes::Kept, Some(b"q=%20\xff\r\n<"), "/a%20b%C3%A9?q=%20%FF%0D%0A<");
        check(b"/a% b?", Escapes::None, None, "/a%25%20b%3F");
        check(b"//evil.example/\\x\r\n\"<>", Escapes::Kept, Some(b""), "/evil.example/%5Cx%0D%0A%22%3C%3E?");
        check(b"/\\evil", Escapes::None, None, "/%5Cevil");
        check(b"", Escapes::None, None, "/");
    }
}
