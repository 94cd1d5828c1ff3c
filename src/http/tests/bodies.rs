//! Content-Length and chunked bodies: tables, bounds, and the incremental decoder against the plain one.

use super::super::body::{Framing, Step};
use super::super::replay::{dechunk, play};
use super::{Disposition, events, sent, statuses};
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};
use crate::random::Random;

#[test]
fn chunked_bodies() {
    let check = |wire: &str, expected: Result<&str, &str>| {
        let stream = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n{wire}");
        let transcript = play(stream.as_bytes(), []);
        match expected {
            Ok("") => assert_eq!(statuses(&transcript), [200], "{wire:?}"),
            Ok(body) => assert_eq!(events(&transcript, "body "), [body], "{wire:?}"),
            Err(error) => {
                assert_eq!(events(&transcript, "body failed: "), [error], "{wire:?}");
                assert!(sent(&transcript).ends_with(&format!("\r\n\r\n{error}\n")), "{wire:?}");
                assert_eq!(transcript.disposition, Some(Disposition::LingerClose));
            }
        }
        assert_eq!(dechunk(wire.as_bytes()).is_err(), expected.is_err_and(|error| error != EOF), "{wire:?}");
    };
    for &(wire, expected) in CHUNKED {
        check(wire, expected);
    }
    let max = CHUNK_EXTENSION_BYTES_MAX as usize;
    check(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(max - 1)), Ok("a"));
    check(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(max)), Err("header line too long"));
    check(&format!("1{}\r\na\r\n0\r\n\r\n", " ".repeat(max + 1)), Err("header line too long"));
}

const EOF: &str = "unexpected EOF";

const CHUNKED: &[(&str, Result<&str, &str>)] = &[
    ("0\r\n\r\n", Ok("")),
    ("3\r\nabc\r\n0\r\n\r\n", Ok("abc")),
    ("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", Ok("abc")),
    ("A\r\n0123456789\r\n0\r\n\r\n", Ok("0123456789")),
    ("0000000000000001\r\na\r\n0\r\n\r\n", Ok("a")),
    ("1 \t\r\na\r\n0 \r\n\r\n", Ok("a")),
    ("1;a=b;c=\"d;e\"\r\na\r\n0;x\r\n\r\n", Ok("a")),
    ("1 ; a\r\na\r\n0\r\nTrailer: x\r\nY: z\r\n\r\n", Ok("a")),
    ("\r\n", Err("empty hex number for chunk length")),
    (";x\r\n", Err("empty hex number for chunk length")),
    (" 1\r\na\r\n0\r\n\r\n", Err("empty hex number for chunk length")),
    ("zz\r\nm 1\n", Err("invalid byte in chunk length")),
    ("0x1\r\na\r\n", Err("invalid byte in chunk length")),
    ("-1\r\n", Err("invalid byte in chunk length")),
    ("+1\r\n", Err("invalid byte in chunk length")),
    ("1 2\r\n", Err("invalid byte in chunk length")),
    ("10000000000000000\r\n", Err("http chunk length too large")),
    ("00000000000000001\r\n", Err("http chunk length too large")),
    ("1\na\r\n0\r\n\r\n", Err("chunked line ends with bare LF")),
    ("1;x\na\r\n0\r\n\r\n", Err("chunked line ends with bare LF")),
    ("0\r\n\n", Err("chunked line ends with bare LF")),
    ("0\r\nX: y\n\r\n", Err("chunked line ends with bare LF")),
    ("1\rXa\r\n", Err("malformed chunked encoding")),
    ("1\r\nab\r\n", Err("malformed chunked encoding")),
    ("1\r\na\n0\r\n\r\n", Err("malformed chunked encoding")),
    ("1\r\na\rX", Err("malformed chunked encoding")),
    ("0\r\nX: \ry\r\n\r\n", Err("malformed chunked encoding")),
    ("0\r\n\rX", Err("malformed chunked encoding")),
    ("", Err(EOF)),
    ("1", Err(EOF)),
    ("1\r\n", Err(EOF)),
    ("FFFFFFFFFFFFFFFF\r\na", Err(EOF)),
    ("1\r\na\r\n", Err(EOF)),
    ("0\r\n", Err(EOF)),
    ("0\r\nX: y\r\n", Err(EOF)),
];

#[test]
fn trailer_limit() {
    let stream = |bytes: u32| {
        let text = "x".repeat(bytes as usize - "\r\n\r".len());
        format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{text}\r\n\r\n")
    };
    assert_eq!(statuses(&play(stream(TRAILER_BYTES_MAX).as_bytes(), [])), [200]);
    assert_eq!(statuses(&play(stream(TRAILER_BYTES_MAX + 1).as_bytes(), [])), [400]);
}

#[test]
fn sized_bodies() {
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n";
    let transcript = play(format!("{head}m 1\n").as_bytes(), []);
    assert_eq!(events(&transcript, "body "), ["m 1\\n"]);
    let transcript = play(format!("{head}m 1").as_bytes(), []);
    assert_eq!(events(&transcript, "body "), ["m 1", "failed: unexpected EOF"]);
    assert_eq!(statuses(&transcript), [400]);
}

/// The incremental decoder against the plain one, on bodies that are nearly right.
#[test]
fn chunked_against_the_plain_decoder() {
    const PARTS: &[&str] =
        &["0", "1", "3", "a", "\r\n", "\r\n", "\r\n", "abc", ";x=y", " ", "\n", "\r", "0\r\n\r\n", "3\r\nabc\r\n", "g"];
    let mut random = Random::for_test(0);
    for round in 0..20_000 {
        let wire: String = (0..random.below(9)).map(|_| PARTS[random.index(PARTS.len())]).collect();
        let mut framing = Framing::CHUNKED;
        let (mut used, mut body) = (0, Vec::new());
        let last = loop {
            let end = used + random.index(wire.len() - used + 1);
            let (taken, step) = framing.advance(&wire.as_bytes()[used..end]);
            used += taken;
            match step {
                Step::Piece(piece) => body.extend_from_slice(piece),
                Step::NeedMore if used < wire.len() => {}
                last => break last,
            }
        };
        match dechunk(wire.as_bytes()) {
            Ok(Some(expected)) => assert_eq!((last, (body, used)), (Step::Complete, expected), "{round}: {wire:?}"),
            Ok(None) => assert_eq!(last, Step::NeedMore, "{round}: {wire:?}"),
            Err(()) => assert!(matches!(last, Step::Failed(_)), "{round}: {wire:?} {last:?}"),
        }
    }
}
