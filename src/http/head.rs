//! From bytes to a request head: finding its end, the request line, and the headers that decide about the connection.
//!
//! Owns every rule by which a head is refused (SPEC 1.6; RFC 9112 2.2, 3, 5, 6). httparse reads the header lines; the
//! request line is read here, because httparse wants UTF-8 targets, skips empty lines in front, and knows two versions
//! only. Remembers nothing between heads and writes nothing.

use super::body::Framing;
use super::refusal::Refusal;
use super::request::{Headers, Request, Version};
use crate::limits::HEADERS_MAX;
use httparse::{EMPTY_HEADER, Header, Status};

/// Header slots of the first attempt; they cover what clients and proxies really send and cost 1 KiB of stack.
const HEADERS_FEW: usize = 32;

/// How far the search for the end of a head has come, so that bytes arriving one by one are not searched twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// The end does not start before this position.
    scanned: u32,
    /// The request line is complete and was accepted.
    line_accepted: bool,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The head with its empty line has this length.
    End(usize),
    /// More bytes are needed.
    Partial,
    /// Nothing that may follow makes this a request.
    Refused(Refusal),
}

impl Search {
    /// Searches `bytes`, which starts where the head does and holds all bytes of earlier calls.
    ///
    /// Bytes beyond `most` are not looked at, so that the answer does not depend on how the head arrives.
    pub(super) fn run(&mut self, bytes: &[u8], most: usize) -> Found {
        let window = &bytes[..bytes.len().min(most)];
        if window.first().is_some_and(|&byte| !is_token_byte(byte)) {
            return Found::Refused(Refusal::BadRequest);
        }
        let from = self.scanned as usize;
        match head_end(window, from) {
            Ok(end) => return Found::End(end),
            Err(scanned) => self.scanned = scanned as u32,
        }
        if !self.line_accepted
            && let Some(length) = memchr::memchr(b'\n', &window[from..])
        {
            if let Err(refusal) = RequestLine::parse(&window[..from + length]) {
                return Found::Refused(refusal);
            }
            self.line_accepted = true;
        }
        if window.len() == most { Found::Refused(Refusal::HeadTooLarge { most }) } else { Found::Partial }
    }
}

/// Position behind the first empty line; otherwise the position from which to look again.
fn head_end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
        let line_feed = at + length;
        match bytes[line_feed + 1..] {
            [b'\n', ..] => return Ok(line_feed + 2),
            [b'\r', b'\n', ..] => return Ok(line_feed + 3),
            [] | [b'\r'] => return Err(line_feed),
            _ => at = line_feed + 1,
        }
    }
    Err(bytes.len())
}

/// An accepted head: what the application sees and what the connection has to know.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub request: Request<'a>,
    pub framing: Framing,
    /// The connection may serve another request behind this one.
    pub keep_alive: bool,
    /// The client waits for an interim answer before it sends the body.
    pub expects_continue: bool,
}

/// Reads the head that `bytes` is, including its empty line.
pub(super) fn parse(bytes: &[u8]) -> Result<Head<'_>, Refusal> {
    let line_len = memchr::memchr(b'\n', bytes).ok_or(Refusal::BadRequest)?;
    let line = RequestLine::parse(&bytes[..line_len])?;
    let block = &bytes[line_len + 1..];
    let fields = Fields::parse(block)?;
    let (framing, unambiguous) = fields.framing(line.version)?;
    fields.check_host(line.version)?;
    let keep_alive = match line.version {
        Version::Http11 => !fields.close,
        Version::Http10 => fields.keep_alive && !fields.close,
    };
    let request = Request {
        method: line.method,
        target: line.target,
        version: line.version,
        headers: Headers { block },
        content_length: framing.bytes_left(),
        head_bytes: bytes.len(),
        field_bytes: fields.bytes,
        origin_form: line.origin_form,
    };
    let expects_continue = fields.expects_continue()? && line.version == Version::Http11 && request.has_body();
    Ok(Head { request, framing, keep_alive: keep_alive && unambiguous, expects_continue })
}

struct RequestLine<'a> {
    method: &'a str,
    target: &'a [u8],
    origin_form: &'a [u8],
    version: Version,
}

impl<'a> RequestLine<'a> {
    /// Reads a request line without its line feed (RFC 9112 3): exactly two blanks.
    fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let first = memchr::memchr(b' ', line).ok_or(Refusal::BadRequest)?;
        let (method, rest) = (&line[..first], &line[first + 1..]);
        let second = memchr::memchr(b' ', rest).ok_or(Refusal::BadRequest)?;
        let (target, version) = (&rest[..second], &rest[second + 1..]);
        if method.is_empty() || !method.iter().copied().all(is_token_byte) {
            return Err(Refusal::BadRequest);
        }
        let method = str::from_utf8(method).map_err(|_| Refusal::BadRequest)?;
        let version = parse_version(version)?;
        let origin_form = origin_form(method, target).ok_or(Refusal::BadRequest)?;
        Ok(Self { method, target, origin_form, version })
    }
}

fn parse_version(version: &[u8]) -> Result<Version, Refusal> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Refusal::UnsupportedVersion),
        _ => Err(Refusal::BadRequest),
    }
}

/// Path and query of a target of any form (RFC 9112 3.2); `None` if the target is no target.
fn origin_form<'a>(method: &str, target: &'a [u8]) -> Option<&'a [u8]> {
    // Without an early exit this is a handful of vector instructions, which long paths are worth.
    let unfit = target.iter().fold(false, |unfit, &byte| unfit | (byte <= b' ') | (byte == 0x7F));
    if unfit {
        return None;
    }
    let origin_form = match target {
        [b'/', ..] => target,
        b"*" if method == "OPTIONS" => target,
        [_, ..] if method == "CONNECT" => b"",
        _ => behind_authority(target)?,
    };
    has_sound_escapes(origin_form).then_some(origin_form)
}

fn behind_authority(target: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', target)?;
    let scheme_rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if !target[0].is_ascii_alphabetic() || !target[..colon].iter().all(scheme_rest) {
        return None;
    }
    let authority = target[colon + 1..].strip_prefix(b"//")?;
    let end = memchr::memchr2(b'/', b'?', authority).unwrap_or(authority.len());
    Some(&authority[end..])
}

/// Whether every `%` of the path has two hexadecimal digits behind it. The query is nobody's business (SPEC 1.5).
fn has_sound_escapes(origin_form: &[u8]) -> bool {
    let path = &origin_form[..memchr::memchr(b'?', origin_form).unwrap_or(origin_form.len())];
    memchr::memchr_iter(b'%', path).all(|at| match path[at + 1..] {
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    })
}

/// The headers that decide about framing and the connection's future.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Coding,
    expect: Option<&'a [u8]>,
    close: bool,
    keep_alive: bool,
    /// See [`Request::field_bytes`].
    bytes: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Unsupported,
}

impl<'a> Fields<'a> {
    /// Reads header lines and the empty line behind them.
    fn parse(block: &'a [u8]) -> Result<Self, Refusal> {
        let mut few = [EMPTY_HEADER; HEADERS_FEW];
        match httparse::parse_headers(block, &mut few) {
            Ok(Status::Complete((_, headers))) => Self::collect(headers),
            Err(httparse::Error::TooManyHeaders) => Self::parse_many(block),
            Ok(Status::Partial) | Err(_) => Err(Refusal::BadRequest),
        }
    }

    /// Kept out of line: its 32 KiB of stack are for the few who need them.
    #[cold]
    #[inline(never)]
    fn parse_many(block: &'a [u8]) -> Result<Self, Refusal> {
        let mut many = [EMPTY_HEADER; HEADERS_MAX];
        match httparse::parse_headers(block, &mut many) {
            Ok(Status::Complete((_, headers))) => Self::collect(headers),
            Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooManyHeaders),
            Ok(Status::Partial) | Err(_) => Err(Refusal::BadRequest),
        }
    }

    fn collect(headers: &[Header<'a>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for &Header { name, value } in headers {
            fields.bytes += name.len() + value.len();
            // The length tells most headers apart without reading their names.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => match fields.host {
                    Some(_) => return Err(Refusal::BadRequest),
                    None => (fields.host, fields.bytes) = (Some(value), fields.bytes - name.len()),
                },
                6 if name.eq_ignore_ascii_case("expect") => fields.expect = fields.expect.or(Some(value)),
                10 if name.eq_ignore_ascii_case("connection") => {
                    fields.close |= has_token(value, "close");
                    fields.keep_alive |= has_token(value, "keep-alive");
                }
                14 if name.eq_ignore_ascii_case("content-length") => match fields.content_length {
                    Some(earlier) if earlier != value => return Err(Refusal::BadRequest),
                    _ => fields.content_length = Some(value),
                },
                17 if name.eq_ignore_ascii_case("transfer-encoding") => fields.transfer_encoding.add(value),
                _ => {}
            }
        }
        Ok(fields)
    }

    /// How the body ends, and whether everybody on the way must have read that the same way (RFC 9112 6.3): a request
    /// that other software could frame differently is served, but is the last one on its connection.
    fn framing(&self, version: Version) -> Result<(Framing, bool), Refusal> {
        let announced = self.content_length.map(parse_length).transpose()?;
        let sized = Framing::Sized(announced.unwrap_or(0));
        match (self.transfer_encoding, version) {
            (Coding::None, _) => Ok((sized, true)),
            (_, Version::Http10) => Ok((sized, false)),
            (Coding::Chunked, Version::Http11) => Ok((Framing::CHUNKED, announced.is_none())),
            (Coding::Unsupported, Version::Http11) => Err(Refusal::UnsupportedTransferEncoding),
        }
    }

    fn check_host(&self, version: Version) -> Result<(), Refusal> {
        match self.host {
            None if version == Version::Http11 => Err(Refusal::MissingHost),
            Some(host) if !host.iter().copied().all(is_host_byte) => Err(Refusal::MalformedHost),
            _ => Ok(()),
        }
    }

    fn expects_continue(&self) -> Result<bool, Refusal> {
        match self.expect {
            None | Some(b"") => Ok(false),
            Some(value) if has_token(value, "100-continue") => Ok(true),
            Some(_) => Err(Refusal::UnknownExpectation),
        }
    }
}

impl Coding {
    /// Only one header with the one value `chunked` is understood (SPEC 1.6).
    fn add(&mut self, value: &[u8]) {
        let chunked = *self == Self::None && value.eq_ignore_ascii_case(b"chunked");
        *self = if chunked { Self::Chunked } else { Self::Unsupported };
    }
}

/// Digits and nothing else, below 2^63 (RFC 9112 6.2).
fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::BadRequest);
    }
    let length: Option<i64> = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    length.and_then(|length| u64::try_from(length).ok()).ok_or(Refusal::BadRequest)
}

/// Whether a comma-separated list holds `token` in any case (RFC 9110 5.6.1).
fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|&byte| byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// `tchar` of RFC 9110 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What may stand in a Host header: RFC 3986 host and port, and the escapes of a registered name.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}
