//! Request smuggling, and bodies that are framed to hurt: where a body ends is read in one way only, and what others may
//! read differently is refused, or is the last thing on its connection.

use std::time::{Duration, Instant};

use crate::server::Server;
use crate::wire;

/// What an attacker wants to be taken for a request of somebody else.
const SMUGGLED: &str = "PUT /metrics/job/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ns 1\n";

/// The statuses of all answers on one connection.
fn statuses(raw: &[u8]) -> Vec<u16> {
    let starts = memchr::memmem::find_iter(raw, b"HTTP/1.").filter(|at| raw.get(at + 8) == Some(&b' '));
    let digits = starts.filter_map(|at| str::from_utf8(raw.get(at + 9..at + 12)?).ok());
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

struct Bench(Server);

impl Bench {
    fn send(&self, bytes: &str) -> Vec<u16> {
        let response = wire::exchange(self.0.addr, bytes.as_bytes(), "PUT", true, wire::TIMEOUT);
        assert!(!response.timed_out, "{bytes:?}");
        statuses(&[wire_interim(&response), response.raw.clone()].concat())
    }

    /// A push with these headers and this body, and the smuggled one behind it.
    #[track_caller]
    fn check(&self, headers: &str, body: &str, expected: &[u16]) {
        let bytes = format!("PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}{SMUGGLED}");
        assert_eq!(self.send(&bytes), expected, "{headers:?} {body:?}");
        assert!(!self.0.scrape().contains("smuggled"), "{headers:?} {body:?}");
    }
}

fn wire_interim(response: &wire::Response) -> Vec<u8> {
    response.interim.iter().flat_map(|status| format!("HTTP/1.1 {status}\r\n").into_bytes()).collect()
}

#[test]
fn lengths_that_can_be_read_in_two_ways_are_refused() {
    let bench = Bench(Server::start(&[], ""));
    for headers in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4.0\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length: \r\n",
        "Content-Length: 4_0\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 4\r\n",
        "Content-Length\t: 4\r\n",
        " Content-Length: 4\r\n",
        "Content-Length:\r\n 4\r\n",
        "Content-Length: 4\r\n Content-Length: 5\r\n",
        "Content-Length: \u{ff14}\r\n",
        "X: y\0Content-Length: 4\r\n",
        "X: y\rContent-Length: 4\r\n",
        "Content\u{0}-Length: 4\r\n",
        "Host: y\r\nContent-Length: 4\r\n",
    ] {
        bench.check(headers, "a 1\n", &[400]);
    }
}

#[test]
fn codings_that_can_be_read_in_two_ways_are_refused() {
    let bench = Bench(Server::start(&[], ""));
    let chunked = "4\r\na 1\n\r\n0\r\n\r\n";
    for headers in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;x=y\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: chun ked\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        bench.check(headers, chunked, &[501]);
        bench.check(&format!("Content-Length: 18\r\n{headers}"), chunked, &[501]);
    }
    for headers in [
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer\u{0}-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
    ] {
        bench.check(headers, chunked, &[400]);
    }
}

/// With both, or in an old version, the request is served, and whatever stands behind it is not.
#[test]
fn a_request_that_others_frame_differently_is_the_last_one() {
    let bench = Bench(Server::start(&[], ""));
    let chunked = "4\r\na 1\n\r\n0\r\n\r\n";
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding: CHUNKED\r\nContent-Length: 18\r\n",
        "Transfer-Encoding:\tchunked \r\nContent-Length: 0\r\n",
    ] {
        bench.check(headers, chunked, &[200]);
    }
    for (headers, status) in
        [("Transfer-Encoding: chunked\r\n", 200), ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", 400)]
    {
        let head = format!("PUT /metrics/job/j HTTP/1.0\r\nConnection: keep-alive\r\n{headers}\r\n");
        assert_eq!(bench.send(&format!("{head}{chunked}{SMUGGLED}")), [status], "{headers:?}");
        assert!(!bench.0.scrape().contains("smuggled"));
    }
}

#[test]
fn chunks_end_where_they_say_or_not_at_all() {
    let bench = Bench(Server::start(&[], ""));
    for body in [
        "4\na 1\n\r\n0\r\n\r\n",
        "4\r\na 1\n\n0\r\n\r\n",
        "4\r\na 1\nXX0\r\n\r\n",
        "4\r\na 1\n\r\n0\n\r\n",
        "0x4\r\na 1\n\r\n0\r\n\r\n",
        "+4\r\na 1\n\r\n0\r\n\r\n",
        "-4\r\na 1\n\r\n0\r\n\r\n",
        " 4\r\na 1\n\r\n0\r\n\r\n",
        "4_\r\na 1\n\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "00000000000000004\r\na 1\n\r\n0\r\n\r\n",
        "10000000000000004\r\na 1\n\r\n0\r\n\r\n",
        "4\r\na 1\n\r\n0\r\nX: y\n\r\n",
        "4;\n\r\na 1\n\r\n0\r\n\r\n",
        "5\r\na 1\n\r\n0\r\n\r\n",
    ] {
        bench.check("Transfer-Encoding: chunked\r\n", body, &[400]);
    }
}

/// Without a body that is read, what was announced as one is not taken for a request either.
#[test]
fn bodies_that_nobody_reads_are_bodies() {
    let bench = Bench(Server::start(&[], ""));
    for (method, path, status) in [
        ("GET", "/-/healthy", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/metrics/job@base64/!", 400),
        ("DELETE", "/metrics/job/j", 202),
    ] {
        let framed = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
        let sized = format!("Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
        let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{framed}");
        for rest in [sized, chunked] {
            let bytes =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{rest}GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(bench.send(&bytes), [status, 200], "{method} {path}");
        }
        assert!(!bench.0.scrape().contains("smuggled"), "{method} {path}");
    }
    // Headers in a trailer say nothing.
    let trailer = "0\r\nContent-Length: 70\r\nTransfer-Encoding: chunked\r\nHost: y\r\n\r\n";
    let head = "PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(bench.send(&format!("{head}{trailer}GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")), [200, 200]);
}

#[test]
fn chunk_bombs_cost_what_their_bytes_cost() {
    let bench = Bench(Server::start(&[], ""));
    let head = "PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let begin = Instant::now();
    let check = |body: &str, status: u16| assert_eq!(bench.send(&format!("{head}{body}")), [status], "{:.60}", body);
    check(&format!("{}0\r\n\r\n", "1\r\n\n\r\n".repeat(300_000)), 200);
    check(&format!("{}0\r\n\r\n", "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\n\r\n".repeat(30_000)), 200);
    check(&format!("1;{}\r\n\n\r\n0\r\n\r\n", "x".repeat(4000)), 200);
    check(&format!("1;{}\r\n\n\r\n0\r\n\r\n", "x".repeat(5000)), 400);
    check(&format!("1{}\r\n\n\r\n0\r\n\r\n", " ".repeat(5000)), 400);
    check(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(1000)), 200);
    check(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(400_000)), 400);
    check(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(2 << 20)), 400);
    check("ffffffffffffffff\r\nm 1\n", 400);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
