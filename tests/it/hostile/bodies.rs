//! A body that is complete is answered, wherever it ends: exactly at one of the budgets that a session has for a turn,
//! a byte before or after; plain or compressed; with a length or in chunks; at once or with its end in a read of its
//! own; with another request right after it or none.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pushgateway::limits;

use super::{get_head, gzip};
use crate::server::Server;
use crate::wire::{self, DELIMITED};

/// How long an answer may take. Without the right answer there is none until `--limit.body-pause`, a minute.
const PATIENCE: Duration = Duration::from_secs(10);

/// Unanswered bodies after which a test gives up.
const UNANSWERED_MOST: usize = 3;

/// Bytes at which something ends in the way of a body: a read, a piece that is decoded, a share of a turn; and at
/// which it ends for the second or fourth time.
fn ends() -> Vec<usize> {
    let budgets = [
        limits::READ_BYTES,
        limits::READ_BYTES_PER_TURN_MAX,
        limits::DECODED_PIECE_BYTES,
        limits::CODED_PIECE_BYTES,
        limits::DECODED_BYTES_PER_TURN_MAX,
    ];
    let mut ends: Vec<usize> = budgets.iter().flat_map(|budget| [1, 2, 4].map(|times| budget * times)).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// A text body of exactly so many bytes that ends with a line of its own.
fn text(bytes: usize, is_alike: bool, value: usize) -> Vec<u8> {
    let line = format!("end {value}\n");
    let mut body = Vec::with_capacity(bytes);
    let mut random = pushgateway::random::Random::new(bytes as u64);
    while body.len() + line.len() < bytes {
        let comment = if is_alike {
            "#".repeat(1000)
        } else {
            format!("#{:016x}{:016x}{:016x}{:016x}", random.bits(), random.bits(), random.bits(), random.bits())
        };
        let left = bytes - line.len() - body.len();
        body.extend_from_slice(&comment.as_bytes()[..comment.len().min(left - 1)]);
        body.push(b'\n');
    }
    body.extend_from_slice(line.as_bytes());
    body
}

/// A delimited protobuf body of exactly so many bytes: a gauge with a help text of the length that is needed.
fn protobuf(bytes: usize, value: usize) -> Vec<u8> {
    use pushgateway::exposition::wire as pb;
    let family = |help: usize| {
        let (mut family, mut gauge, mut metric) = (Vec::new(), Vec::new(), Vec::new());
        pb::write_bytes(&mut family, 1, b"end");
        pb::write_bytes(&mut family, 2, "h".repeat(help).as_bytes());
        pb::write_uint(&mut family, 3, 1);
        pb::write_double(&mut gauge, 1, value as f64);
        pb::write_bytes(&mut metric, 2, &gauge);
        pb::write_bytes(&mut family, 4, &metric);
        let mut body = Vec::new();
        pb::write_varint(&mut body, family.len() as u64);
        body.extend_from_slice(&family);
        body
    };
    exactly(bytes, family)
}

/// What `make` makes of the number with which it has exactly so many bytes; the nearest below if none has.
fn exactly(bytes: usize, make: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let (mut size, mut made) = (bytes, make(bytes));
    while made.len() > bytes {
        size -= made.len() - bytes;
        made = make(size);
    }
    made
}

fn snappy(body: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.into_inner().expect("a vector takes everything")
}

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
enum Sending {
    /// With its length, in one write together with the head.
    Length,
    /// With its length, the head and the last byte in reads of their own.
    Pieces,
    /// As one chunk.
    Chunk,
    /// In chunks of a thousand bytes.
    Chunks,
}

const SENDINGS: [Sending; 4] = [Sending::Length, Sending::Pieces, Sending::Chunk, Sending::Chunks];

fn chunked(body: &[u8], bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / bytes * 8 + 16);
    for chunk in body.chunks(bytes) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The bytes of a push in the pieces in which they are sent.
fn pieces(headers: &str, body: &[u8], sending: Sending) -> Vec<Vec<u8>> {
    let head = |framing: &str| format!("PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\n{headers}{framing}\r\n").into_bytes();
    let length = head(&format!("Content-Length: {}\r\n", body.len()));
    let coded = |bytes| [head("Transfer-Encoding: chunked\r\n"), chunked(body, bytes)].concat();
    match sending {
        Sending::Length => vec![[&length[..], body].concat()],
        Sending::Pieces => {
            let (most, last) = body.split_at(body.len() - 1);
            vec![length, most.to_vec(), last.to_vec()]
        }
        Sending::Chunk => vec![coded(body.len())],
        Sending::Chunks => vec![coded(1000)],
    }
}

/// Sends a push and then asks for what is stored: in the same write, or when the push is answered. What came of it.
fn send(gateway: &Server, mut push: Vec<Vec<u8>>, is_followed: bool) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(gateway.addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let ask = get_head("/api/v1/groups/job/j", "Accept: text/plain\r\nConnection: close\r\n");
    if is_followed {
        push.last_mut().expect("there is a piece").extend_from_slice(ask.as_bytes());
    }
    for (at, piece) in push.iter().enumerate() {
        if at > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        stream.write_all(piece)?;
    }
    let mut answers = Vec::new();
    if !is_followed {
        let mut buffer = [0; 4096];
        while !answers.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer)?;
            answers.extend_from_slice(&buffer[..read]);
            if read == 0 {
                return Ok(answers);
            }
        }
        stream.write_all(ask.as_bytes())?;
    }
    stream.read_to_end(&mut answers)?;
    Ok(answers)
}

/// Pushes a body of every length that matters, and a byte less and more, in every way. `make` makes it of exactly so
/// many bytes, or as many as the coding allows, and with that value.
fn check(headers: &str, make: impl Fn(usize, usize) -> Vec<u8>) {
    let lengths = ends().into_iter().flat_map(|end| [end - 1, end, end + 1]);
    check_lengths(headers, lengths, make);
}

fn check_lengths(headers: &str, lengths: impl Iterator<Item = usize>, make: impl Fn(usize, usize) -> Vec<u8>) {
    let gateway = Server::start(&[], "");
    let mut unanswered = Vec::new();
    for (value, bytes) in lengths.enumerate() {
        let body = make(bytes, value);
        for (sending, is_followed) in SENDINGS.into_iter().flat_map(|sending| [(sending, false), (sending, true)]) {
            let what = format!("{bytes} ({} sent), {sending:?}, followed: {is_followed}", body.len());
            match send(&gateway, pieces(headers, &body, sending), is_followed) {
                Ok(answers) => judge(answers, value, &what),
                Err(error) => unanswered.push(format!("{what}: {error}")),
            }
            assert!(unanswered.len() < UNANSWERED_MOST, "bodies that were not answered: {unanswered:#?}");
        }
    }
    assert!(unanswered.is_empty(), "bodies that were not answered: {unanswered:#?}");
}

#[track_caller]
fn judge(answers: Vec<u8>, value: usize, what: &str) {
    let pushed = wire::parse(answers.clone(), false, "PUT");
    assert_eq!(pushed.status, Some(200), "{what}: {:.300}", String::from_utf8_lossy(&answers));
    let end = memchr::memmem::find(&answers, b"\r\n\r\n").expect("it has a status") + 4;
    let stored = wire::parse(answers[end..].to_vec(), false, "GET").text_lossy();
    let line = format!("end{{instance=\"\",job=\"j\"}} {value}\n");
    assert!(stored.contains(&line), "{what}: {stored:.300}");
}

#[test]
fn plain_text() {
    check("", |bytes, value| text(bytes, false, value));
}

/// As many bytes as are read count the head as well: requests that end there as a whole.
#[test]
fn whole_requests() {
    check("", |bytes, value| {
        let head = pieces("", &vec![0; bytes], Sending::Length).concat().len() - bytes;
        text(bytes - head, true, value)
    });
}

#[test]
fn plain_protobuf() {
    check(&format!("Content-Type: {DELIMITED}\r\n"), protobuf);
}

const GZIP: &str = "Content-Encoding: gzip\r\n";

#[test]
fn gzip_of_text_that_is_alike() {
    check(GZIP, |bytes, value| gzip(&text(bytes, true, value), 9));
}

#[test]
fn gzip_of_text_that_is_not() {
    let lengths = [limits::DECODED_PIECE_BYTES, limits::DECODED_BYTES_PER_TURN_MAX].map(|end| [end - 1, end, end + 1]);
    check_lengths(GZIP, lengths.into_iter().flatten(), |bytes, value| gzip(&text(bytes, false, value), 1));
}

/// What batch jobs send. The share of a turn ends with the last piece of some of these, though none ends exactly there.
#[test]
fn gzip_of_usual_text() {
    let share = limits::DECODED_BYTES_PER_TURN_MAX;
    let lengths = (0..10).flat_map(|more| [share + more * 1500, 2 * share + more * 1500]);
    check_lengths(GZIP, lengths, |bytes, value| {
        let (mut body, mut random) = (format!("end {value}\n"), pushgateway::random::Random::new(bytes as u64));
        while body.len() < bytes {
            let (host, task) = (random.below(1000), body.len());
            body += &format!("job_seconds{{host=\"host-{host}\",task=\"task-{task}\"}} {:.3}\n", random.unit());
        }
        gzip(body.as_bytes(), 6)
    });
}

/// The compressed bytes are what ends there.
#[test]
fn gzip_as_sent() {
    check(GZIP, |bytes, value| exactly(bytes, |size| gzip(&text(size, false, value), 0)));
}

/// Many members that are nothing: what is decoded ends long before what is read.
#[test]
fn gzip_with_empty_members() {
    let nothing = gzip(b"", 9);
    check(GZIP, |bytes, value| {
        let members = gzip(&text(bytes.min(1000), true, value), 9);
        [members, nothing.repeat(bytes / nothing.len() / 16)].concat()
    });
}

#[test]
fn gzip_of_protobuf() {
    let headers = format!("{GZIP}Content-Type: {DELIMITED}\r\n");
    check(&headers, |bytes, value| gzip(&protobuf(bytes, value), 6));
}

const SNAPPY: &str = "Content-Encoding: snappy\r\n";

#[test]
fn snappy_of_text() {
    check(SNAPPY, |bytes, value| snappy(&text(bytes, true, value)));
}

#[test]
fn snappy_as_sent() {
    check(SNAPPY, |bytes, value| exactly(bytes, |size| snappy(&text(size, false, value))));
}

/// As many requests at once as are answered in a turn, one less and one more: all of them are.
#[test]
fn requests_that_end_with_their_share() {
    let gateway = Server::start(&[], "");
    for end in [limits::REQUESTS_PER_TURN_MAX, 2 * limits::REQUESTS_PER_TURN_MAX] {
        for requests in [end - 1, end, end + 1] {
            let body = format!("end {requests}\n");
            let push =
                format!("PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let mut stream = TcpStream::connect(gateway.addr).expect("the gateway listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero can be set");
            stream.write_all(push.repeat(requests).as_bytes()).expect("the gateway reads");
            let (mut answers, mut buffer) = (Vec::new(), [0; 1 << 16]);
            while memchr::memmem::find_iter(&answers, b"HTTP/1.1 200 OK\r\n").count() < requests {
                let read = stream.read(&mut buffer);
                let read = read.unwrap_or_else(|error| panic!("{requests} requests: {error}, {} bytes", answers.len()));
                assert_ne!(read, 0, "{requests} requests: closed");
                answers.extend_from_slice(&buffer[..read]);
            }
        }
    }
}
