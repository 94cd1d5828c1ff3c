//! Requests that do not go on: what their beginnings hold is counted in `--limit.received-bytes`, whatever it is that
//! they wait for, and some are given up for others.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use pushgateway::limits;

use super::{Honest, gzip, memory, pass_turns, peak_growth, put_well, refusals, stalled};
use crate::pki::Authority;
use crate::server::Server;
use crate::tools::Scratch;

const RECEIVED: u64 = 8_000_000;
const CONNECTIONS: usize = 30;

/// What the gateway may hold beside what is counted: what an allocator keeps, and what each connection has anyway.
const BESIDE: u64 = (12 << 20) + CONNECTIONS as u64 * (64 << 10);

/// Opens connections that send this and then nothing, and judges what they hold.
fn check(what: &str, bytes: &[u8]) {
    let gateway = Server::start(&[&format!("--limit.received-bytes={RECEIVED}")], "");
    // What is read and parsed for a moment is there before.
    drop(stalled(&gateway, bytes));
    put_well(&gateway, "/metrics/job/j", "m 1\n");
    let (before, honest) = (memory(&gateway, "VmRSS"), Honest::start(&gateway));
    let slow: Vec<TcpStream> = (0..CONNECTIONS).map(|_| taken(&gateway, bytes)).collect();
    // A sweep, which is once a second.
    std::thread::sleep(Duration::from_millis(1200));
    let grown = peak_growth(&gateway, before);
    honest.end();
    println!("{what}: {CONNECTIONS} connections of {} bytes let memory grow by {grown} bytes", bytes.len());
    assert!(grown < RECEIVED + BESIDE, "{what}: {CONNECTIONS} connections let memory grow by {grown} bytes");
    let given_up = slow.iter().filter(|stream| is_given_up(what, stream)).count();
    assert!(given_up < CONNECTIONS, "{what}: nobody goes on");
    if (CONNECTIONS * bytes.len()) as u64 > RECEIVED {
        assert!(given_up > 0 && refusals(&gateway, "received-bytes") > 0, "{what}: nobody was given up");
    }
}

/// Whether a client was told that there is too much, and was not answered anything else.
fn is_given_up(what: &str, mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(10))).expect("a timeout above zero can be set");
    let mut answer = [0; 200];
    let Ok(read) = stream.read(&mut answer) else { return false };
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 503"), "{what}: {answer}");
    true
}

/// A connection of which the gateway has read everything.
fn taken(gateway: &Server, bytes: &[u8]) -> TcpStream {
    let stream = stalled(gateway, bytes);
    pass_turns(gateway, bytes.len() / limits::READ_BYTES_PER_TURN_MAX + 2);
    stream
}

fn head(more: &str) -> Vec<u8> {
    format!("PUT /metrics/job/j?{} HTTP/1.1\r\nHost: x\r\n{more}", "q".repeat(1_000_000)).into_bytes()
}

#[test]
fn heads_that_do_not_end() {
    check("a request line", &head("")[..1_000_000]);
    check("a header", &head(&format!("X: {}", "x".repeat(40_000))));
}

#[test]
fn heads_that_wait_for_a_gzip_header() {
    let coded = "Content-Encoding: gzip\r\n";
    check("before the body", &head(&format!("{coded}Content-Length: 100000\r\n\r\n")));
    check("before the first chunk", &head(&format!("{coded}Transfer-Encoding: chunked\r\n\r\n")));
    let begun =
        [&head(&format!("{coded}Content-Length: 100000\r\n\r\n"))[..], b"\x1f\x8b\x08\x08\0\0\0\0\0\0name"].concat();
    check("within the header", &begun);
    let get = String::from_utf8(head(&format!("{coded}Content-Length: 100000\r\n\r\n"))).expect("it is text");
    check("of a scrape", get.replace("PUT /metrics/job/j", "GET /metrics").as_bytes());
}

#[test]
fn bodies_that_stop() {
    let lines: String = (0..4000).map(|at| format!("metric_{at}{{id=\"{at}\"}} 1\n")).collect();
    let push = |coding: &str, body: &[u8]| {
        let head = format!("PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\n{coding}Content-Length: 100000000\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    check("lines", &push("", lines.as_bytes()));
    check("a line", &push("", format!("m{{l=\"{}", "v".repeat(900_000)).as_bytes()));
    let coded = gzip(lines.as_bytes(), 6);
    check("compressed lines", &push("Content-Encoding: gzip\r\n", &coded[..coded.len() - 8]));
    let long = gzip(format!("m{{l=\"{}", "v".repeat(3_000_000)).as_bytes(), 6);
    check("a compressed line", &push("Content-Encoding: gzip\r\n", &long[..long.len() - 8]));
    let message = [b"\x80\x80\x80\x04".to_vec(), b"\x0a".repeat(900_000)].concat();
    check("a message", &push(&super::proto::header(), &message));
}

/// Clients that say hello and do not go on: a record that claims to be as long as it may, and most of it.
#[test]
fn hellos_that_do_not_end() {
    const HELLOS: usize = 400;
    let folder = Scratch::new("hellos");
    Authority::new(&folder, "ca").server(&folder, "server");
    let config = "tls_server_config:\n  cert_file: server-cert.pem\n  key_file: server-key.pem\n";
    let file = folder.file("web.yml", config);
    let flags = [format!("--web.config.file={}", file.display()), format!("--limit.received-bytes={}", 2 << 20)];
    let gateway = Server::spawn(&flags.each_ref().map(String::as_str));
    // A handshake message of 65 kB in records of 16 KiB, without its end.
    let record = |bytes: &[u8]| [&[22, 3, 1][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let message = [&[1, 0, 0xff, 0xff][..], &[0; 0xfff0]].concat();
    let hello: Vec<u8> = message.chunks(16_384).flat_map(record).collect();
    drop(stalled(&gateway, &hello));
    std::thread::sleep(Duration::from_millis(200));
    let before = memory(&gateway, "VmRSS");
    let slow: Vec<TcpStream> = (0..HELLOS).map(|_| stalled(&gateway, &hello[..hello.len() - 1])).collect();
    std::thread::sleep(Duration::from_millis(1500));
    let grown = peak_growth(&gateway, before);
    println!("{HELLOS} hellos of {} bytes let memory grow by {grown} bytes", hello.len());
    // Beside what is counted each has buffers of a record.
    assert!(grown < (2 << 20) + (8 << 20) + ((HELLOS as u64) << 12), "hellos let memory grow by {grown} bytes");
    drop(slow);
}
