//! A plain blocking HTTP/1.1 client: bytes out, everything up to the close of the connection back in.
//!
//! It judges nothing: a broken or missing answer is a response without status, for the test to complain about.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long one exchange may take unless the test says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What came back on one connection.
#[derive(Debug, Default)]
pub struct Response {
    /// The final status; absent if there was no readable answer.
    pub status: Option<u16>,
    /// Header fields in order.
    pub headers: Vec<(String, String)>,
    /// The body without its framing, content coding left on.
    pub body: Vec<u8>,
    /// Every byte received after the interim answers.
    pub raw: Vec<u8>,
    /// The connection was still open when the time was up.
    pub timed_out: bool,
    /// The statuses of the interim answers.
    pub interim: Vec<u16>,
    /// Why there was no connection to begin with.
    pub refused: Option<String>,
}

impl Response {
    /// The values of a header joined with `, `, as a proxy may do.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The body with gzip taken off. A body that is not gzip in spite of its header stays as it is.
    pub fn text(&self) -> Vec<u8> {
        let gzip = self.header("Content-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let mut plain = Vec::new();
        if gzip && flate2::read::MultiGzDecoder::new(&self.body[..]).read_to_end(&mut plain).is_ok() {
            return plain;
        }
        self.body.clone()
    }

    /// `text` for reading by people and for bodies known to be UTF-8.
    pub fn text_lossy(&self) -> String {
        String::from_utf8_lossy(&self.text()).into_owned()
    }
}

/// The media type of delimited protobuf.
pub const DELIMITED: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// One request with a Host header and `Connection: close`.
pub fn request(addr: SocketAddr, method: &str, path: &str, body: Option<&[u8]>) -> Response {
    request_with(addr, method, path, "", body)
}

/// The same with further header lines, each with its CRLF.
pub fn request_with(addr: SocketAddr, method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Response {
    let length = body.map_or(String::new(), |body| format!("Content-Length: {}\r\n", body.len()));
    let mut bytes =
        format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{headers}{length}\r\n").into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    exchange(addr, &bytes, method, false, TIMEOUT)
}

/// Sends bytes on a new connection and reads until the peer closes or the time is up.
/// A failing send is no error: the peer may answer and close early.
pub fn exchange(addr: SocketAddr, bytes: &[u8], method: &str, half_close: bool, timeout: Duration) -> Response {
    let end = Instant::now() + timeout;
    let mut stream = match TcpStream::connect_timeout(&addr, timeout) {
        Ok(stream) => stream,
        Err(error) => return Response { refused: Some(error.to_string()), ..Response::default() },
    };
    stream.set_write_timeout(Some(timeout)).expect("a timeout above zero can be set");
    let sent = stream.write_all(bytes);
    if half_close && sent.is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let (raw, timed_out) = read_until(&mut stream, end);
    parse(raw, timed_out, method)
}

/// Everything received before the close, and whether the time ran out instead. A reset counts as a close.
fn read_until(stream: &mut TcpStream, end: Instant) -> (Vec<u8>, bool) {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    let mut raw = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (raw, true);
        }
        stream.set_read_timeout(Some(left)).expect("a timeout above zero can be set");
        match stream.read(&mut buffer) {
            Ok(0) => return (raw, false),
            Ok(count) => raw.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == Interrupted => {}
            Err(error) => return (raw, matches!(error.kind(), WouldBlock | TimedOut)),
        }
    }
}

/// Splits what was received into interim answers, head and body.
pub fn parse(mut raw: Vec<u8>, timed_out: bool, method: &str) -> Response {
    let mut interim = Vec::new();
    loop {
        let Some((status, headers, body_at)) = head(&raw) else {
            return Response { raw, timed_out, interim, ..Response::default() };
        };
        if (100..200).contains(&status) && status != 101 {
            interim.push(status);
            raw.drain(..body_at);
            continue;
        }
        let mut response = Response { status: Some(status), headers, raw, timed_out, interim, ..Response::default() };
        response.body = body(&response, body_at, method);
        return response;
    }
}

/// Status, header fields and the position behind the head.
#[allow(clippy::type_complexity, reason = "used once, right above")]
fn head(raw: &[u8]) -> Option<(u16, Vec<(String, String)>, usize)> {
    let end = memchr::memmem::find(raw, b"\r\n\r\n")?;
    let text: String = raw[..end].iter().map(|&byte| char::from(byte)).collect();
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect();
    Some((status, headers, end + 4))
}

/// The body, by the framing that the head announces.
fn body(response: &Response, body_at: usize, method: &str) -> Vec<u8> {
    let rest = &response.raw[body_at..];
    if method == "HEAD" {
        return Vec::new();
    }
    if response.header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return dechunked(rest);
    }
    let length = response.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(rest.len());
    rest[..length.min(rest.len())].to_vec()
}

/// The chunks put together; stops at the first that is broken or cut short.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = memchr::memmem::find(rest, b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..line]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        rest = &rest[line + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        if size == 0 || rest.len() < size + 2 {
            break;
        }
        rest = &rest[size + 2..];
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, method: &str, status: Option<u16>, body: &str, interim: &[u16]) {
        let response = parse(raw.as_bytes().to_vec(), false, method);
        assert_eq!((response.status, response.text_lossy().as_str()), (status, body), "{raw:?}");
        assert_eq!(response.interim, interim, "{raw:?}");
    }

    #[test]
    fn answers_are_taken_apart() {
        check("", "GET", None, "", &[]);
        check("garbage\r\n\r\n", "GET", None, "", &[]);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOKHTTP/1.1 404", "GET", Some(200), "OK", &[]);
        check("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 19\r\n\r\n", "HEAD", Some(405), "", &[]);
        check("HTTP/1.0 200 OK\r\n\r\nto the end", "GET", Some(200), "to the end", &[]);
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "PUT", Some(200), "", &[100]);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        check(chunked, "GET", Some(200), "abcde", &[]);
    }

    #[test]
    fn headers_are_joined_and_compared_without_case() {
        let response = parse(b"HTTP/1.1 200 OK\r\nallow: GET\r\nAllow: PUT\r\n\r\n".to_vec(), false, "GET");
        assert_eq!(response.header("ALLOW").as_deref(), Some("GET, PUT"));
        assert_eq!(response.header("Vary"), None);
    }
}
