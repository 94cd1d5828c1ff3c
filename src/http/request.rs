//! A request head as the application sees it: method, target, version and headers, borrowed from the bytes they came in.
//!
//! Owns looking things up in a head that [`super::head`] has accepted; checks nothing and copies nothing. It does not
//! decode the path: routing decides what an escape means (SPEC 2.2).

use std::fmt;

/// The protocol version that a request is served as: `HTTP/1.2` and its like count as 1.1 (SPEC 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// As a request or status line writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// A complete, accepted request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method as sent; methods are case-sensitive (RFC 9110 9.1).
    pub method: &'a str,
    /// The request target as sent: any bytes but blanks and control characters.
    pub target: &'a [u8],
    /// The version it is served as.
    pub version: Version,
    /// The headers in the order in which they were sent.
    pub headers: Headers<'a>,
    /// Length of the body as announced, zero without any announcement; `None` if the body is chunked.
    pub content_length: Option<u64>,
    /// Length of the head with its empty line, bytes.
    pub head_bytes: usize,
    /// Lengths of all header names but Host's, and of all values, bytes.
    pub(super) field_bytes: usize,
    /// Invariant: starts with `/` or `?`, or is `*`, or is empty (authority form, or `http://host`).
    pub(super) origin_form: &'a [u8],
}

impl<'a> Request<'a> {
    /// The path, still percent-encoded, whatever form the target has (RFC 9112 3.2); `*` for the asterisk form, empty
    /// for a CONNECT target.
    pub fn path(&self) -> &'a [u8] {
        let path = &self.origin_form[..self.path_len()];
        match path {
            b"" if self.method != "CONNECT" => b"/",
            _ => path,
        }
    }

    /// Path and query as sent, whatever form the target has; see [`Request::path`].
    pub fn path_and_query(&self) -> &'a [u8] {
        match self.origin_form {
            b"" => self.path(),
            both => both,
        }
    }

    /// What follows the first `?`; `None` if there is none.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.origin_form.get(self.path_len() + 1..)
    }

    /// Whether a body of at least one byte may follow.
    pub fn has_body(&self) -> bool {
        self.content_length != Some(0)
    }

    /// The size that `pushgateway_http_push_size_bytes` observes (SPEC 7.8).
    pub fn size(&self) -> u64 {
        let line = self.target.len() + self.method.len() + self.version.as_str().len();
        (line + self.field_bytes) as u64 + self.content_length.unwrap_or(0)
    }

    fn path_len(&self) -> usize {
        memchr::memchr(b'?', self.origin_form).unwrap_or(self.origin_form.len())
    }
}

/// A copy of a request's head that outlives the bytes it came in. Reused for its memory.
#[derive(Clone, Debug, Default)]
pub struct KeptRequest {
    method: String,
    target: Vec<u8>,
    origin_form: Vec<u8>,
    headers: Vec<u8>,
    version: Option<Version>,
    content_length: Option<u64>,
    head_bytes: usize,
    field_bytes: usize,
}

impl KeptRequest {
    /// Copies a head in the place of the last one.
    pub fn keep(&mut self, request: &Request<'_>) {
        self.method.clear();
        self.method.push_str(request.method);
        let parts = [
            (&mut self.target, request.target),
            (&mut self.origin_form, request.origin_form),
            (&mut self.headers, request.headers.block),
        ];
        for (kept, part) in parts {
            kept.clear();
            kept.extend_from_slice(part);
        }
        self.version = Some(request.version);
        self.content_length = request.content_length;
        self.head_bytes = request.head_bytes;
        self.field_bytes = request.field_bytes;
    }

    /// The head that was copied.
    pub fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            target: &self.target,
            version: self.version.unwrap_or(Version::Http11),
            headers: Headers { block: &self.headers },
            content_length: self.content_length,
            head_bytes: self.head_bytes,
            field_bytes: self.field_bytes,
            origin_form: &self.origin_form,
        }
    }

    /// Memory that the copy takes, bytes.
    pub fn bytes(&self) -> usize {
        self.method.capacity() + self.target.capacity() + self.origin_form.capacity() + self.headers.capacity()
    }

    /// Gives memory back that an unusually long head took, down to so many bytes a part.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.target.shrink_to(bytes);
        self.origin_form.shrink_to(bytes);
        self.headers.shrink_to(bytes);
    }
}

/// The headers of a request. A look-up walks the lines: the few that are made cost less than any index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// Invariant: header lines that httparse accepted, behind them possibly an empty line.
    pub(super) block: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Name and value of every header, in order; values without the blanks around them.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.lines().map_while(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some((str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
        })
    }

    /// Each line without its line feed; the empty one, too.
    fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.block;
        std::iter::from_fn(move || {
            let line_end = memchr::memchr(b'\n', rest)?;
            let line = &rest[..line_end];
            rest = &rest[line_end + 1..];
            Some(line)
        })
    }

    /// The value of the first header of that name, in any case.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all headers of that name, in any case and in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        // Between a name and its colon stands nothing, so that the name need not be read to its end.
        self.lines().filter_map(|line| {
            let (found, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
        })
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::head;

    fn with<T>(head: &str, then: impl FnOnce(super::Request<'_>) -> T) -> T {
        then(head::parse(head.as_bytes()).expect(head).request)
    }

    #[test]
    fn target_forms() {
        let check = |line: &str, path: &str, query: Option<&str>| {
            with(&format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n"), |request| {
                assert_eq!(request.path().escape_ascii().to_string(), path, "{line}");
                assert_eq!(request.query(), query.map(str::as_bytes), "{line}");
            });
        };
        check("GET /", "/", None);
        check("GET /a/b%2Fc?d=e?f", "/a/b%2Fc", Some("d=e?f"));
        check("GET /a?", "/a", Some(""));
        check("GET /?a=%zz", "/", Some("a=%zz"));
        check("GET /a#b?c", "/a#b", Some("c"));
        check("GET //h/p", "//h/p", None);
        check("GET http://h/p?q", "/p", Some("q"));
        check("GET HTTP://u@h:9091/p://x", "/p://x", None);
        check("GET http://h", "/", None);
        check("GET http://h?q/", "/", Some("q/"));
        check("OPTIONS *", "*", None);
        check("CONNECT h:1", "", None);
        check("GET /ä", "/\\xc3\\xa4", None);
    }

    #[test]
    fn header_lookup() {
        let head = "GET / HTTP/1.0\r\naccept: a\nX:\r\nACCEPT:\t b c \t\r\nNon-Ascii: \u{e4}\r\n\r\n";
        with(head, |request| {
            let values: Vec<_> = request.headers.all("Accept").collect();
            assert_eq!(values, [&b"a"[..], b"b c"]);
            assert_eq!(request.headers.first("x"), Some(&b""[..]));
            assert_eq!(request.headers.first("accep"), None);
            assert_eq!(request.headers.first("non-ascii"), Some("\u{e4}".as_bytes()));
            assert_eq!(request.headers.iter().count(), 4);
            assert_eq!(request.head_bytes, head.len());
        });
    }

    #[test]
    fn size_as_spec_7_8_counts() {
        with("PUT /metrics/job/x HTTP/1.1\r\nHost: h:1\r\nA: bc\r\nContent-Length: 10\r\n\r\n", |request| {
            let expected = "/metrics/job/x".len() + 3 + 8 + "h:1".len() + "Abc".len() + "Content-Length10".len() + 10;
            assert_eq!(request.size(), expected as u64);
        });
        with("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", |request| {
            assert_eq!(request.size(), 1 + 3 + 8 + 1 + "Transfer-Encodingchunked".len() as u64);
        });
    }
}
