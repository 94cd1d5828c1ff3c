//! Answers read as plainly as RFC 9112 says, by the client of a simulation. Shares nothing with `http`.

use std::io::Read;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// Its body, out of its framing.
    pub body: Vec<u8>,
    /// The connection ends behind it.
    pub closes: bool,
    /// Its body ends with the connection, for whatever reason that ends.
    pub may_be_cut: bool,
}

/// The status that a client gets whose request does not come to its end in time.
pub const REQUEST_TIMEOUT: u16 = 408;

impl Answer {
    /// Reads the answer that `bytes` begin with, and how long it is; `None` if it is not complete. `is_head` if the
    /// request was a HEAD, `is_over` if nothing follows.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8], is_head: bool, is_over: bool) -> Result<Option<(Self, usize)>, String> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head is not text".to_owned())?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = status(first).ok_or_else(|| format!("no status line: {first:?}"))?;
        let headers: Option<Vec<_>> = lines.map(header).collect();
        let headers = headers.ok_or_else(|| format!("no headers: {head:?}"))?;
        let mut answer = Self { status, headers, body: Vec::new(), closes: false, may_be_cut: false };
        if status == 100 {
            return Ok(Some((answer, end + 4)));
        }
        answer.check_headers(first)?;
        let rest = &bytes[end + 4..];
        // Who is given up within a head gets a text, whatever the head was going to ask for.
        let is_head = is_head && status != REQUEST_TIMEOUT;
        let Some((body, used)) = answer.read_body(rest, is_head, is_over)? else { return Ok(None) };
        answer.body = body;
        let is_persistent = if first.starts_with("HTTP/1.0") {
            answer.header("connection") == Some("keep-alive")
        } else {
            answer.header("connection") != Some("close")
        };
        answer.closes = !is_persistent;
        answer.may_be_cut = ["content-length", "transfer-encoding"].iter().all(|name| answer.header(name).is_none());
        Ok(Some((answer, end + 4 + used)))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    fn check_headers(&self, first: &str) -> Result<(), String> {
        let count = |name: &str| self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| count(name) > 1) {
            return Err(format!("two headers {name}"));
        }
        if self.header("date").is_none_or(|date| date.len() != 29 || !date.ends_with(" GMT")) {
            return Err("no date".to_owned());
        }
        let framings = count("content-length") + count("transfer-encoding");
        if framings != 1 && !(framings == 0 && first.starts_with("HTTP/1.0")) {
            return Err(format!("{framings} framings"));
        }
        Ok(())
    }

    fn read_body(&self, rest: &[u8], is_head: bool, is_over: bool) -> Result<Option<(Vec<u8>, usize)>, String> {
        if is_head || matches!(self.status, 204 | 304) {
            return Ok(Some((Vec::new(), 0)));
        }
        if self.header("transfer-encoding") == Some("chunked") {
            return dechunked(rest);
        }
        let Some(length) = self.header("content-length") else {
            return Ok(is_over.then(|| (rest.to_vec(), rest.len())));
        };
        let length: usize = length.parse().map_err(|_| format!("content-length: {length}"))?;
        Ok(rest.get(..length).map(|body| (body.to_vec(), length)))
    }

    /// The body as text, out of its coding.
    ///
    /// # Errors
    /// Why it is none.
    pub fn text(&self) -> Result<String, String> {
        let mut text = String::new();
        if self.header("content-encoding") == Some("gzip") {
            let mut decoder = flate2::bufread::GzDecoder::new(&*self.body);
            decoder.read_to_string(&mut text).map_err(|error| format!("no gzip: {error}"))?;
            if !decoder.into_inner().is_empty() {
                return Err("more than one member".to_owned());
            }
            return Ok(text);
        }
        String::from_utf8(self.body.clone()).map_err(|_| "a body is not text".to_owned())
    }
}

fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let (status, reason) = rest.split_once(' ')?;
    let status: u16 = status.parse().ok()?;
    (!reason.is_empty() && (100..600).contains(&status)).then_some(status)
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_token.then(|| (name.to_owned(), value.to_owned()))
}

fn dechunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = bytes[at..].windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size =
            std::str::from_utf8(&bytes[at..at + line]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.ok_or_else(|| format!("size of a chunk: {}", bytes[at..at + line].escape_ascii()))?;
        at += line + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk does not end".to_owned());
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}
