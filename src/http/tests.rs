//! The rules of SPEC 1.6 as tables, each line played as a whole stream.
//!
//! Body framing and the cutting of streams have files of their own.

mod bodies;
mod cuts;

use super::replay::{Transcript, play, play_bytewise};
use super::*;
use crate::limits::HEADERS_MAX;
use crate::model::time::Timestamp;

fn sent(transcript: &Transcript) -> String {
    String::from_utf8(transcript.sent.clone()).unwrap()
}

/// The statuses of all answers, in order. No body of these tests contains the word.
fn statuses(transcript: &Transcript) -> Vec<u16> {
    let sent = sent(transcript);
    let lines = sent.split("HTTP/1.").skip(1);
    lines.map(|line| line[2..5].parse().unwrap()).collect()
}

fn events(transcript: &Transcript, prefix: &str) -> Vec<String> {
    transcript.events.iter().filter_map(|line| line.strip_prefix(prefix)).map(String::from).collect()
}

// ---- heads ----

#[test]
fn refused_heads() {
    let bad = "400 400 Bad Request";
    let check = |head: &str, expected: &str| {
        let transcript = play(head.as_bytes(), []);
        assert_eq!(events(&transcript, "refused: "), [expected], "{head:?}");
        let (status, body) = expected.split_once(' ').unwrap();
        let sent = sent(&transcript);
        let (head_sent, body_sent) = sent.split_once("\r\n\r\n").unwrap();
        assert!(head_sent.starts_with(&format!("HTTP/1.1 {status} ")), "{sent}");
        assert!(head_sent.contains("\r\nConnection: close") && head_sent.contains("\r\nDate: "), "{sent}");
        assert!(head_sent.contains(&format!("\r\nContent-Length: {}", body.len())), "{sent}");
        assert_eq!(head_sent.contains("\r\nContent-Type: text/plain; charset=utf-8"), !body.is_empty(), "{sent}");
        assert!(!head_sent.contains("nosniff") && !head_sent.contains("Server"), "{sent}");
        assert_eq!(body_sent, body);
        assert_eq!(transcript.disposition, Some(Disposition::LingerClose));
        assert_eq!(transcript, play_bytewise(head.as_bytes()), "{head:?}");
    };
    for line in REQUEST_LINES_REFUSED {
        check(&format!("{line}\r\nHost: h\r\n\r\n"), bad);
    }
    for headers in HEADERS_REFUSED {
        check(&format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n"), bad);
    }
    let version = "505 505 HTTP Version Not Supported: unsupported protocol version";
    check("GET / HTTP/2.0\r\nHost: h\r\n\r\n", version);
    check("GET / HTTP/0.9\r\n\r\n", version);
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", version);
    check("hello\r\n", bad);
    check("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", bad);
    check("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", bad);
    check("\x16\x03\x01", bad);
    check("GET / HTTP/1.1\r\n\r\n", "400 400 Bad Request: missing required Host header");
    check("GET / HTTP/1.2\r\n\r\n", "400 400 Bad Request: missing required Host header");
    let host = "400 400 Bad Request: malformed Host header";
    check("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", host);
    check("GET / HTTP/1.1\r\nHost: h/p\r\n\r\n", host);
    check("GET / HTTP/1.0\r\nHost: u@h\r\n\r\n", host);
    check("GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", "417 ");
    check("GET / HTTP/1.0\r\nExpect: x\r\n\r\n", "417 ");
    for coding in ["gzip", "chunked, chunked", "gzip, chunked", "chunked, identity", "identity", "", "chunked;q=1"] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\n\r\n");
        check(&head, "501 Unsupported transfer encoding");
    }
    let twice = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(twice, "501 Unsupported transfer encoding");
}

const REQUEST_LINES_REFUSED: &[&str] = &[
    "hello",
    "GET /",
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    "GET / HTTP/1.1 ",
    " GET / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET\t/\tHTTP/1.1",
    "GET / http/1.1",
    "GET / HTTP/1",
    "GET / HTTP/1.10",
    "GET / HTTP/11",
    "GET / HTP/1.1",
    "GET  HTTP/1.1",
    "G\u{e4}T / HTTP/1.1",
    "G(T / HTTP/1.1",
    "GET /\x01 HTTP/1.1",
    "GET /\x7f HTTP/1.1",
    "GET /\0 HTTP/1.1",
    "GET /a\rb HTTP/1.1",
    "GET / HTTP/1.1\r",
    "GET /%zz HTTP/1.1",
    "GET /%4 HTTP/1.1",
    "GET /% HTTP/1.1",
    "GET /%4?a HTTP/1.1",
    "GET http://h/%4g HTTP/1.1",
    "GET * HTTP/1.1",
    "PUT * HTTP/1.1",
    "GET a/b HTTP/1.1",
    "GET ?a HTTP/1.1",
    "GET 1http://h/ HTTP/1.1",
    "GET mailto:x HTTP/1.1",
];

const HEADERS_REFUSED: &[&str] = &[
    "no colon",
    "X",
    ": value",
    "X : blank before the colon",
    "X\t: y",
    "X: folded\r\n over lines",
    "X: folded\r\n\tover lines",
    " X: blank in front",
    "X: bare\rreturn",
    "X: nul\0",
    "X: bell\x07",
    "X: delete\x7f",
    "X(Y): z",
    "X\u{e4}: z",
    "X: y\r\r",
    "Host: h",
    "host: h",
    "Content-Length: +4",
    "Content-Length: -1",
    "Content-Length:",
    "Content-Length: 4x",
    "Content-Length: 0x4",
    "Content-Length: 4 4",
    "Content-Length: 4, 4",
    "Content-Length: 4, 5",
    "Content-Length: 9223372036854775808",
    "Content-Length: 99999999999999999999",
    "Content-Length: 4\r\nContent-Length: 5",
    "Content-Length: 4\r\ncontent-length: 04",
    "Content-Length: x\r\nTransfer-Encoding: chunked",
];

#[test]
fn accepted_heads() {
    let check = |stream: &str| {
        let transcript = play(stream.as_bytes(), []);
        assert_eq!(statuses(&transcript), [200], "{stream:?} {transcript:?}");
    };
    for line in ["OPTIONS * HTTP/1.1", "get /a#b HTTP/1.1", "M-X! /?%zz HTTP/1.1", "GET http://h/a HTTP/1.1"] {
        check(&format!("{line}\r\nHost: h\r\n\r\n"));
    }
    check("GET /a?%zz&b=%4 HTTP/1.1\r\nHost: h\r\n\r\n");
    check("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n");
    check("GET / HTTP/1.9\nHost:\n\n");
    check("GET / HTTP/1.1\nHost: [::1]:9091\r\nX:y\n\r\n");
    check("GET / HTTP/1.1\r\nHost: h\r\nX: \u{e4}\t tab\r\nEmpty:\r\nUpgrade: h2c\r\n\r\n");
    check("GET / HTTP/1.0\r\n\r\n");
    check("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: \t2 \r\ncontent-length: 2\r\n\r\nab");
    check("PUT / HTTP/1.1\r\nHost: h\r\nExpect:\r\n\r\n");
    check("PUT / HTTP/1.0\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\na");
    check(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "p".repeat(200 << 10)));
    check(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(64 << 10)));
    assert_eq!(statuses(&play(b"GET /\xff\x80 HTTP/1.1\r\nHost: h\r\n\r\n", [])), [200]);
}

#[test]
fn head_limits() {
    let check = |head: String, expected: &[u16]| {
        let whole = play(head.as_bytes(), []);
        assert_eq!(statuses(&whole), expected, "{} bytes", head.len());
        assert_eq!(whole, play(head.as_bytes(), (0..head.len()).step_by(4096)));
    };
    let sized = |bytes: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(bytes - frame))
    };
    check(sized(HEAD_BYTES_MAX), &[200]);
    check(sized(HEAD_BYTES_MAX + 1), &[431]);
    check(sized(2 << 20), &[431]);
    check(format!("GET /{}", "a".repeat(2 << 20)), &[431]);
    check("G".repeat(2 << 20), &[431]);
    let many = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    check(many(33), &[200]);
    check(many(HEADERS_MAX), &[200]);
    check(many(HEADERS_MAX + 1), &[431]);
}

/// A search that starts over with every byte would take minutes here.
#[test]
fn long_heads_byte_by_byte() {
    let head = format!("GET /{} HTTP/1.1\r\n{}Host: h\r\n\r\n", "a".repeat(500 << 10), "X: yyyy\r\n".repeat(900));
    assert_eq!(statuses(&play_bytewise(head.as_bytes())), [200]);
}

// ---- interim answers ----

#[test]
fn expectations() {
    let check = |line: &str, headers: &str, body: &str, expected: &[u16]| {
        let stream = format!("{line}\r\nHost: h\r\n{headers}\r\n\r\n{body}");
        assert_eq!(statuses(&play(stream.as_bytes(), [])), expected, "{stream:?}");
        assert_eq!(statuses(&play_bytewise(stream.as_bytes())), expected, "{stream:?}");
    };
    let sized = "Content-Length: 2\r\nExpect: 100-Continue";
    check("PUT / HTTP/1.1", sized, "ab", &[100, 200]);
    check("PUT / HTTP/1.1", "Transfer-Encoding: chunked\r\nExpect: 100-continue", "0\r\n\r\n", &[100, 200]);
    check("PUT / HTTP/1.1", "Expect: 100-continue", "", &[200]);
    check("PUT / HTTP/1.0", sized, "ab", &[200]);
    check("PUT /early HTTP/1.1", sized, "abGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400]);
    check("PUT /unwanted HTTP/1.1", sized, "ab", &[200]);
}

#[test]
fn no_interim_answer_behind_body_bytes() {
    let mut connection = Connection::new();
    let mut out = Vec::new();
    let head = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    assert!(matches!(connection.receive(head), (_, Some(Event::Request(_)))));
    assert!(matches!(connection.receive(b"a"), (1, Some(Event::Body(b"a")))));
    connection.accept_body(&mut out);
    assert!(out.is_empty());
}

// ---- what becomes of the connection ----

#[test]
fn keep_alive() {
    let check = |request: &str, keeps: bool, header: Option<&str>| {
        let stream = format!("{request}GET /second HTTP/1.0\r\n\r\n");
        let transcript = play(stream.as_bytes(), []);
        assert_eq!(statuses(&transcript).len(), if keeps { 2 } else { 1 }, "{request:?}");
        let sent = sent(&transcript);
        let first = sent.split("\r\n\r\n").next().unwrap();
        assert_eq!(first.split("\r\nConnection: ").nth(1), header, "{request:?}");
    };
    check("GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, None);
    check("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true, None);
    check("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", false, Some("close"));
    check("GET / HTTP/1.1\r\nHost: h\r\nConnection: x , close\r\n\r\n", false, Some("close"));
    check("GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n", false, Some("close"));
    check("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true, None);
    check("GET / HTTP/1.0\r\n\r\n", false, None);
    check("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, Some("keep-alive"));
    check("GET /chunked HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false, None);
    check("HEAD /chunked HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, Some("keep-alive"));
    check("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, None);
    check("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", true, None);
}

/// A request that a proxy could frame in another way than this server is the last of its connection: what one of the
/// two takes for the next request is never run.
#[test]
fn smuggling_pairs() {
    let second = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let check = |headers: &str, body: &str, version: &str| {
        let stream = format!("POST / HTTP/{version}\r\nHost: h\r\n{headers}\r\n\r\n{body}{second}");
        let transcript = play(stream.as_bytes(), []);
        assert_eq!(statuses(&transcript).len(), 1, "{stream:?}");
        assert!(!transcript.events.iter().any(|event| event.contains("smuggled")), "{stream:?}");
    };
    let chunked = "Transfer-Encoding: chunked";
    check(&format!("Content-Length: 5\r\n{chunked}"), "0\r\n\r\n", "1.1");
    check(&format!("{chunked}\r\nContent-Length: 50"), "0\r\n\r\n", "1.1");
    check(&format!("Connection: keep-alive\r\n{chunked}"), "", "1.0");
    check(&format!("Connection: keep-alive\r\nContent-Length: 5\r\n{chunked}"), "0\r\n\r\n", "1.0");
    check("Content-Length: 0\r\nContent-Length: 44", "", "1.1");
    check("Content-Length : 44", "", "1.1");
    check("Transfer-Encoding : chunked", "0\r\n\r\n", "1.1");
    check("Transfer-Encoding: xchunked", "0\r\n\r\n", "1.1");
    check("X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n", "1.1");
    check("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n", "1.1");
    check(chunked, "0\n\r\n", "1.1");
    check(chunked, "0\r\n\n", "1.1");
    check(chunked, "1\r\na0\r\n\r\n", "1.1");
}

#[test]
fn early_answers() {
    let next = "GET /next HTTP/1.0\r\n\r\n";
    let check = |headers: &str, body: &str, expected: &[u16], disposition: Disposition| {
        let stream = format!("PUT /early HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n{body}{next}");
        let transcript = play(stream.as_bytes(), []);
        assert_eq!(statuses(&transcript), expected, "{headers}");
        assert_eq!(transcript.disposition, Some(disposition), "{headers}");
        assert_eq!(transcript, play(stream.as_bytes(), (0..stream.len()).step_by(1000)));
        let announced = sent(&transcript).split("\r\n\r\n").next().unwrap().contains("Connection: close");
        assert_eq!(announced, disposition == Disposition::LingerClose && !headers.contains("chunked"), "{headers}");
    };
    let max = DRAIN_BYTES_MAX as usize;
    let body = "x".repeat(max + 1);
    check("Content-Length: 3", "abc", &[400, 200], Disposition::Close);
    check(&format!("Content-Length: {max}"), &body[1..], &[400, 200], Disposition::Close);
    check(&format!("Content-Length: {}", max + 1), &body, &[400], Disposition::LingerClose);
    check("Content-Length: 3\r\nConnection: close", "abc", &[400], Disposition::LingerClose);
    let chunked = "Transfer-Encoding: chunked";
    check(chunked, "3\r\nabc\r\n0\r\n\r\n", &[400, 200], Disposition::Close);
    check(chunked, "3\r\nabcd", &[400], Disposition::LingerClose);
    let frame = format!("{:x}\r\n\r\n0\r\n\r\n", max).len();
    let wire = |bytes: usize| format!("{:x}\r\n{}\r\n0\r\n\r\n", bytes - frame, &body[..bytes - frame]);
    check(chunked, &wire(max), &[400, 200], Disposition::Close);
    check(chunked, &wire(max + 1), &[400], Disposition::LingerClose);
}

#[test]
fn half_close() {
    let check = |stream: &str, expected: &[u16]| {
        let transcript = play(stream.as_bytes(), []);
        assert_eq!(statuses(&transcript), expected, "{stream:?}");
    };
    check("", &[]);
    check("GET / HT", &[]);
    check("GET / HTTP/1.1\r\nHost: h\r\n", &[]);
    check("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET", &[200]);
    check("PUT /early HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", &[400]);
}

/// The response to a request that was followed by the end of the stream is the last one.
#[test]
fn end_of_stream_while_a_response_is_owed() {
    let mut connection = Connection::new();
    let mut out = Vec::new();
    let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(matches!(connection.receive(head), (_, Some(Event::Request(_)))));
    assert_eq!(connection.receive(b""), (0, Some(Event::End)));
    assert_eq!(connection.receive(b"GET"), (0, None));
    assert_eq!(connection.receive_end(), None);
    assert_eq!(connection.disposition(), Disposition::Continue);
    let response = Response { status: 200, content_type: None, headers: &[], body: Body::Empty };
    connection.respond(&response, &HttpDate::new(Timestamp(0)), &mut out);
    assert_eq!(connection.disposition(), Disposition::Close);
    assert!(out.ends_with(b"\r\nConnection: close\r\n\r\n"));
}

// ---- responses ----

#[test]
fn response_bytes() {
    let date = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let check = |request: &str, response: Response<'_>, expected: &str| {
        let mut connection = Connection::new();
        assert!(matches!(connection.receive(request.as_bytes()), (_, Some(Event::Request(_)))));
        let mut out = Vec::new();
        connection.respond(&response, &HttpDate::new(Timestamp(0)), &mut out);
        connection.write_chunk(b"", &mut out);
        if matches!(response.body, Body::Chunked) {
            connection.write_chunk(&[b'x'; 17], &mut out);
            connection.write_last_chunk(&mut out);
        }
        assert_eq!(String::from_utf8(out).unwrap(), expected.replace("DATE\r\n", date));
    };
    let (get, head) = ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    let empty = Response { status: 200, content_type: None, headers: &[], body: Body::Empty };
    check(get, empty, "HTTP/1.1 200 OK\r\nDATE\r\nContent-Length: 0\r\n\r\n");
    check(get, Response { status: 204, ..empty }, "HTTP/1.1 204 No Content\r\nDATE\r\n\r\n");
    check(get, Response { status: 599, ..empty }, "HTTP/1.1 599 status code 599\r\nDATE\r\nContent-Length: 0\r\n\r\n");
    let error = Response {
        status: 405,
        content_type: Some("text/plain; charset=utf-8"),
        headers: &[("Allow", "GET, OPTIONS"), ("Location", "/a\r\nX: y")],
        body: Body::Bytes(b"Method Not Allowed\n"),
    };
    let error_head = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Allow: GET, OPTIONS\r\nLocation: /a  X: y\r\nDATE\r\nContent-Length: 19\r\n\r\n";
    check(get, error, &format!("{error_head}Method Not Allowed\n"));
    check(head, error, error_head);
    let sized = Response { body: Body::Sized(12_345_678_901), ..empty };
    check(get, sized, "HTTP/1.1 200 OK\r\nDATE\r\nContent-Length: 12345678901\r\n\r\n");
    let chunked = Response { body: Body::Chunked, ..empty };
    let chunked_head = "HTTP/1.1 200 OK\r\nDATE\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(get, chunked, &format!("{chunked_head}11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"));
    check(head, chunked, chunked_head);
    check("GET / HTTP/1.0\r\n\r\n", chunked, "HTTP/1.0 200 OK\r\nDATE\r\n\r\nxxxxxxxxxxxxxxxxx");
    check("HEAD / HTTP/1.0\r\n\r\n", chunked, "HTTP/1.0 200 OK\r\nDATE\r\n\r\n");
}

#[test]
fn date_follows_the_second() {
    let mut date = HttpDate::new(Timestamp(999_999_999));
    assert_eq!(date.as_bytes(), b"Thu, 01 Jan 1970 00:00:00 GMT");
    date.update(Timestamp(1_000_000_000));
    assert_eq!(date.as_bytes(), b"Thu, 01 Jan 1970 00:00:01 GMT");
}

// ---- costs ----

#[test]
fn a_connection_is_small_and_idle_without_heap() {
    assert!(size_of::<Connection>() <= 96, "{} bytes", size_of::<Connection>());
    let mut connection = Connection::new();
    assert!(connection.is_idle());
    connection.receive(b"GET / ");
    assert!(!connection.is_idle() && connection.stashed_bytes() > 0);
    assert!(matches!(connection.receive(b"HTTP/1.0\n\n"), (10, Some(Event::Request(_)))));
    assert_eq!(connection.receive(b""), (0, Some(Event::End)));
    assert!(!connection.is_idle() && connection.stashed_bytes() == 0);
}

#[test]
fn a_push_on_a_kept_connection_allocates_nothing() {
    let push =
        b"PUT /metrics/job/a HTTP/1.1\r\nHost: localhost:9091\r\nUser-Agent: x\r\nContent-Length: 4\r\n\r\nm 1\n";
    let date = HttpDate::new(Timestamp(0));
    let mut connection = Connection::new();
    let mut out = Vec::with_capacity(1024);
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            out.clear();
            serve(&mut connection, push, &date, &mut out);
        }
    });
    assert_eq!(counted.count_total, 0);
}

/// One request, answered with 200 when its body is complete.
fn serve(connection: &mut Connection, mut input: &[u8], date: &HttpDate, out: &mut Vec<u8>) {
    let response = Response { status: 200, content_type: None, headers: &[], body: Body::Empty };
    loop {
        let (used, event) = connection.receive(input);
        let ended = matches!(event, Some(Event::End));
        input = &input[used..];
        if ended {
            return connection.respond(&response, date, out);
        }
    }
}
