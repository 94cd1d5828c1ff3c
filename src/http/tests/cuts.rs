//! However a stream is cut into segments, the same is seen and the same is sent.

use super::super::replay::{play, play_bytewise};
use crate::random::Random;

/// Streams of every kind, small enough to be cut everywhere.
const STREAMS: &[&str] = &[
    "",
    "G",
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\nHost: h\n\n",
    "GET / HTTP/1.1\r\nHost: h\n\r\nGET /2 HTTP/1.1\nHost: h\r\n\n",
    "GET /a HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.0\r\n\r\nGET /d",
    "GET /chunked HTTP/1.1\r\nHost: h\r\n\r\nHEAD /chunked HTTP/1.1\r\nHost: h\r\n\r\nGET /sized HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /no HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\nrest",
    "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nm 1\nPUT /q HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "PUT /p HTTP/1.0\r\nContent-Length: 4\r\n\r\nm 1\n",
    "PUT /p HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\nshort",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nm 1\n\r\n4;x=\"y\"\r\nm 2\n\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n1 \t;z\r\na\r\n00\r\nA: b\r\nC: d\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\nGET /no HTTP/1.0\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nm 1\n",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
    "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nabGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-CONTINUE\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab",
    "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcdeGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\nabcde",
    "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nabcde",
    "POST /early HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nabcde",
    "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\nT: t\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    "GET /early HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /unwanted HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab",
    "hello\r\n\r\n",
    "hello\r\nworld",
    "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.2\r\nHost: h\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\nGET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n",
];

#[test]
fn every_cut_gives_the_same() {
    let mut random = Random::for_test(0);
    for stream in STREAMS.iter().map(|stream| stream.as_bytes()) {
        let whole = play(stream, []);
        let name = stream.escape_ascii();
        assert_eq!(whole, play_bytewise(stream), "byte by byte: {name}");
        for cut in 0..=stream.len() {
            assert_eq!(whole, play(stream, [cut]), "cut at {cut}: {name}");
        }
        for _ in 0..200 {
            let mut cuts: Vec<_> = (0..random.below(8)).map(|_| random.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            assert_eq!(whole, play(stream, cuts.iter().copied()), "cuts {cuts:?}: {name}");
        }
    }
}
