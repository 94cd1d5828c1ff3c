//! What all limits add up to: with everything at once that clients can make grow, the gateway takes no more memory than
//! its flags say, and a constant.

use std::net::TcpStream;
use std::time::Duration;

use super::readers::questions;
use super::{Honest, get_head, gzip, memory, pass_turns, proto, put, reading, stalled};
use crate::server::{Server, on_free_port};
use crate::wire;

const STORE: u64 = 12_000_000;
const RECEIVED: u64 = 8_000_000;
/// More than twice the store, below which it is not taken at its word.
const ANSWERED: u64 = 26_000_000;
const CONNECTIONS: u64 = 400;

/// What each connection has in any case, bytes.
const PER_CONNECTION: u64 = 16 << 10;

/// The program itself, what it works with for a moment, and what an allocator keeps, bytes.
const CONSTANT: u64 = 32 << 20;

fn start() -> Server {
    let flags = [
        format!("--limit.store-bytes={STORE}"),
        format!("--limit.received-bytes={RECEIVED}"),
        format!("--limit.answered-bytes={ANSWERED}"),
        format!("--limit.connections={CONNECTIONS}"),
    ];
    let mut command = Server::command();
    // What the allocator keeps for later is not what the gateway holds.
    command.args(&flags).env("MALLOC_TRIM_THRESHOLD_", "65536");
    let server = Server::launch(on_free_port(&mut command));
    server.wait_until_ready("", "");
    server
}

/// Pushes groups of all sorts, each time with other values; they are refused once the store is full.
fn fill(gateway: &Server, turn: usize) -> usize {
    let lines: String = (0..800).map(|at| format!("m{{i=\"{at:0500}\"}} {turn}\n")).collect();
    let help = format!("{turn:04}").repeat(10_000);
    let helps: String = (0..10).map(|at| format!("# HELP h{at} {help}\n# TYPE h{at} gauge\nh{at} 1\n")).collect();
    let families: String = (0..1000).map(|at| format!("f{at} {turn}\n")).collect();
    let metrics = (0..20).map(|at| proto::metric(("i", &at.to_string()), 7, &proto::native(5000 + turn)));
    let native = proto::family("n", proto::HISTOGRAM, metrics);
    let mut refused = 0;
    for group in 0..14 {
        for (job, headers, body) in [
            ("lines", String::new(), lines.as_bytes()),
            ("help", String::new(), helps.as_bytes()),
            ("families", String::new(), families.as_bytes()),
            ("native", proto::header(), &native),
        ] {
            let path = format!("/metrics/job/{job}{group}");
            let status = wire::request_with(gateway.addr, "PUT", &path, &headers, Some(body)).status;
            assert!(matches!(status, Some(200 | 503)), "{job}: {status:?}\n{}", gateway.log());
            refused += usize::from(status == Some(503));
        }
    }
    refused
}

/// Requests of which no more comes.
fn unfinished(gateway: &Server) -> Vec<TcpStream> {
    let query = "q".repeat(900_000);
    let coded =
        format!("PUT /metrics/job/x?{query} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n");
    let length = "PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n";
    let lines: String = (0..4000).map(|at| format!("stalled_{at}{{id=\"{at:0100}\"}} 1\n")).collect();
    let line = gzip(format!("m{{l=\"{}", "v".repeat(3_000_000)).as_bytes(), 6);
    let kinds = [
        format!("{coded}X: x").into_bytes(),
        format!("{coded}\r\n").into_bytes(),
        format!("{length}\r\n{lines}").into_bytes(),
        [format!("{length}Content-Encoding: gzip\r\n\r\n").as_bytes(), &line[..line.len() - 8]].concat(),
        [format!("{length}{}\r\n", proto::header()).as_bytes(), b"\x80\x80\x80\x04", &[0x0a; 900_000]].concat(),
    ];
    let all = (0..7).flat_map(|_| &kinds).map(|bytes| {
        let stream = stalled(gateway, bytes);
        pass_turns(gateway, bytes.len() / (64 << 10) + 2);
        stream
    });
    all.collect()
}

/// Answers to bad requests that nobody reads, more than the kernel takes.
fn unread(gateway: &Server) -> Vec<TcpStream> {
    let body = gzip(format!("m {}\n", "\u{1}".repeat(1_000_000)).as_bytes(), 6);
    let head = format!(
        "PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let refused = [head.as_bytes(), &body].concat().repeat(3);
    let redirects = format!("GET //{} HTTP/1.1\r\nHost: x\r\n\r\n", "n".repeat(900_000)).repeat(3);
    let all = (0..7).flat_map(|_| [&refused[..], redirects.as_bytes()]).map(|bytes| {
        let stream = stalled(gateway, bytes);
        pass_turns(gateway, bytes.len() / (64 << 10) + 6);
        stream
    });
    all.collect()
}

/// A reader of each kind that stops, and some for groups of their own.
fn readers(gateway: &Server) -> Vec<TcpStream> {
    let groups =
        ["lines1", "help2", "families3", "native0"].map(|group| get_head(&format!("/api/v1/groups/job/{group}"), ""));
    let questions = questions().into_iter().map(|(_, question)| question);
    // The group that all of them know is not there, and what answers of that is short.
    questions
        .filter(|question| !question.contains("/job/a "))
        .chain(groups)
        .map(|question| reading(gateway, &question))
        .collect()
}

#[test]
fn memory_stays_within_what_the_flags_add_up_to() {
    let mut gateway = start();
    let honest = Honest::start(&gateway);
    let (mut held, mut refused) = (Vec::new(), fill(&gateway, 0));
    for turn in 1..4 {
        held.extend(readers(&gateway));
        if turn % 2 == 1 {
            held.extend(unfinished(&gateway));
            held.extend(unread(&gateway));
        }
        refused += fill(&gateway, turn);
        assert!(!gateway.has_ended(), "{}", gateway.log());
        println!("turn {turn}: {} connections, {} bytes", held.len(), memory(&gateway, "VmRSS"));
    }
    // A sweep, which is once a second.
    std::thread::sleep(Duration::from_millis(1200));
    let (peak, sum) = (memory(&gateway, "VmHWM"), STORE + RECEIVED + ANSWERED + CONNECTIONS * PER_CONNECTION);
    println!("{refused} pushes refused, {} connections, {peak} bytes; the flags add up to {sum}", held.len());
    assert!(refused > 0, "the store was never full");
    assert!(peak < sum + CONSTANT, "{peak} bytes, where the flags add up to {sum}");
    honest.end();
    // When all have left, what is left is the store.
    drop(held);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(gateway.request("GET", "/-/healthy", None).status, Some(200));
    let resident = memory(&gateway, "VmRSS");
    assert!(resident < 2 * STORE + CONSTANT, "{resident} bytes are left of {peak}");
    assert_eq!(gateway.request("DELETE", "/metrics/job/lines0", None).status, Some(202));
    assert_eq!(put(&gateway, "/metrics/job/last", "m 1\n").status, Some(200));
}
