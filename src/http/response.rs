//! Writing responses: status line, headers, body framing (RFC 9112 4, 6, 7.1), and the `Date` header's cached text.
//!
//! Owns the bytes of a response head and of chunk lines. Does not decide whether the connection goes on: it is told.

use super::request::Version;
use crate::model::time::Timestamp;
use std::io::Write as _;

/// A response as the application gives it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The value of Content-Type, if there is to be one.
    pub content_type: Option<&'a str>,
    /// Further headers (Allow, Location, ...). The connection adds Date, Content-Length, Transfer-Encoding and
    /// Connection itself. Line breaks in a value are written as blanks.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: Body<'a>,
}

/// The body of a response.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// No bytes; `Content-Length: 0`.
    Empty,
    /// These bytes, written right behind the head.
    Bytes(&'a [u8]),
    /// So many bytes, which the caller sends behind the head.
    Sized(u64),
    /// A body of unknown length, which the caller sends piece by piece. For HTTP/1.0 the connection's end is its end.
    Chunked,
}

/// How the caller's pieces of a body are framed on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// No body is sent: HEAD, 204, 304.
    #[default]
    Nothing,
    /// As they are.
    Plain,
    /// Each as a chunk.
    Chunked,
}

/// The value of the `Date` header, written once a second rather than once a response (RFC 9110 6.6.1).
#[derive(Clone, Copy, Debug)]
pub struct HttpDate {
    second: i64,
    text: [u8; 29],
}

impl HttpDate {
    /// The date of `now`.
    pub fn new(now: Timestamp) -> Self {
        let mut text = [b' '; 29];
        // IMF-fixdate has 29 bytes for every year of four digits, and a `Timestamp` knows no others.
        let _ = write!(&mut text[..], "{}", now.http_date());
        Self { second: now.unix(), text }
    }

    /// Follows the clock; cheap while the second is the same.
    pub fn update(&mut self, now: Timestamp) {
        if self.second != now.unix() {
            *self = Self::new(now);
        }
    }

    /// The date in the form of RFC 9110 5.6.7.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// What the connection has decided about a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub version: Version,
    /// The request was HEAD: all headers, no body.
    pub head_only: bool,
    pub keep_alive: bool,
}

impl Terms {
    /// How the pieces of `response` go out under these terms, `keep_alive` aside.
    pub(super) const fn outgoing(&self, response: &Response<'_>) -> Outgoing {
        match response.body {
            _ if self.head_only || !may_have_body(response.status) => Outgoing::Nothing,
            Body::Chunked if matches!(self.version, Version::Http11) => Outgoing::Chunked,
            _ => Outgoing::Plain,
        }
    }
}

/// Writes the head of `response`, and the body if it is [`Body::Bytes`].
pub(super) fn write(response: &Response<'_>, terms: Terms, date: &HttpDate, out: &mut Vec<u8>) {
    write_status_line(terms.version, response.status, out);
    if let Some(content_type) = response.content_type {
        write_header("Content-Type", content_type, out);
    }
    for (name, value) in response.headers {
        write_header(name, value, out);
    }
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\n");
    write_framing(response, terms, out);
    out.extend_from_slice(match (terms.version, terms.keep_alive) {
        (Version::Http11, false) => b"Connection: close\r\n\r\n",
        (Version::Http10, true) => b"Connection: keep-alive\r\n\r\n",
        _ => b"\r\n",
    });
    if let Body::Bytes(bytes) = response.body
        && terms.outgoing(response) != Outgoing::Nothing
    {
        out.extend_from_slice(bytes);
    }
}

fn write_status_line(version: Version, status: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(version.as_str().as_bytes());
    out.push(b' ');
    write_decimal(u64::from(status), out);
    out.push(b' ');
    match reason(status) {
        "" => {
            out.extend_from_slice(b"status code ");
            write_decimal(u64::from(status), out);
        }
        reason => out.extend_from_slice(reason.as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
}

fn write_header(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(value.as_bytes());
    // A value may hold what a client sent, as Location does: it must not end its line.
    while let Some(at) = memchr::memchr2(b'\r', b'\n', &out[start..]) {
        out[start + at] = b' ';
    }
    out.extend_from_slice(b"\r\n");
}

/// Content-Length or Transfer-Encoding; for HEAD the same as for GET (RFC 9110 8.6).
fn write_framing(response: &Response<'_>, terms: Terms, out: &mut Vec<u8>) {
    if !may_have_body(response.status) {
        return;
    }
    let length = match response.body {
        Body::Empty => 0,
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::Sized(length) => length,
        Body::Chunked => {
            if terms.version == Version::Http11 {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            return;
        }
    };
    out.extend_from_slice(b"Content-Length: ");
    write_decimal(length, out);
    out.extend_from_slice(b"\r\n");
}

/// 1xx, 204 and 304 end with their head (RFC 9112 6.3).
const fn may_have_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

fn write_decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the line in front of a chunk's data.
pub(super) fn write_chunk_size(size: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[size >> (place * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase of a status as Go's net/http has it; empty for those this program has no use for.
pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
