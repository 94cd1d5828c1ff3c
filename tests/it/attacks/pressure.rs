//! Clients that are slow, many, or hold on to memory: when they are given up, what they are told, and that honest ones
//! are served meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::resident;
use crate::server::Server;
use crate::wire;

/// Sends some bytes, nothing more, and reads to the end.
fn stall(gateway: &Server, bytes: &[u8]) -> wire::Response {
    wire::exchange(gateway.addr, bytes, "PUT", false, wire::TIMEOUT)
}

fn connect(gateway: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.addr).expect("the gateway listens");
    stream.write_all(bytes).expect("the gateway reads");
    stream
}

/// Whether the gateway has closed the connection; waits for a while.
fn is_closed(stream: &mut TcpStream, wait: Duration) -> bool {
    stream.set_read_timeout(Some(wait)).expect("a timeout above zero can be set");
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    }
}

#[test]
fn who_is_too_slow_is_told() {
    let gateway = Server::start(&["--limit.head-time=1s", "--limit.body-pause=1s", "--limit.idle-time=2s"], "");
    let head = "PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\n";
    let check = |bytes: &str, status: Option<u16>, text: &str| {
        let begin = Instant::now();
        let response = stall(&gateway, bytes.as_bytes());
        assert_eq!((response.status, response.timed_out), (status, false), "{bytes:?}: {}", response.text_lossy());
        assert_eq!(response.text_lossy().trim_end(), text, "{bytes:?}");
        assert!(begin.elapsed() < Duration::from_secs(9), "{bytes:?}: {:?}", begin.elapsed());
    };
    check("", None, "");
    check("PUT /metr", Some(408), "the head took 1s (--limit.head-time=1s)");
    check(head, Some(408), "the head took 1s (--limit.head-time=1s)");
    let text = "the body paused for 1s (--limit.body-pause=1s)";
    check(&format!("{head}Content-Length: 10\r\n\r\na 1\n"), Some(408), text);
    check(&format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\na"), Some(408), text);
    check(&format!("{head}Content-Length: 10\r\nContent-Encoding: gzip\r\n\r\n"), Some(408), text);
    assert_eq!(gateway.scrape().matches("job=\"j\"").count(), 0);
    let mut idle = connect(&gateway, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(is_closed(&mut idle, Duration::from_secs(8)));
}

#[test]
fn connections_beyond_the_cap_wait_and_idle_ones_make_room() {
    let gateway = Server::start(&["--limit.connections=20"], "");
    let mut idle: Vec<_> = (0..20).map(|_| connect(&gateway, b"")).collect();
    thread::sleep(Duration::from_millis(200));
    idle.extend((0..20).map(|_| TcpStream::connect(gateway.addr).expect("the kernel takes it")));
    let begin = Instant::now();
    for _ in 0..3 {
        assert_eq!(gateway.request("PUT", "/metrics/job/j", Some(b"m 1\n")).status, Some(200));
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    drop(idle);
    let scrape = gateway.scrape();
    assert!(!scrape.contains("pushgateway_limit_refusals_total{limit=\"connections\"} 0\n"), "{scrape}");
}

#[test]
fn connections_of_one_address_are_counted() {
    let gateway = Server::start(&["--limit.connections-per-address=3"], "");
    let mut open: Vec<_> = (0..3).map(|_| connect(&gateway, b"")).collect();
    thread::sleep(Duration::from_millis(200));
    let response = stall(&gateway, b"");
    assert_eq!(response.status, Some(429), "{}", response.text_lossy());
    assert_eq!(response.text_lossy(), "there are 3 connections from your address (--limit.connections-per-address=3)");
    open.pop();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(gateway.request("GET", "/-/healthy", None).status, Some(200));
}

/// Bodies that come to a stop hold what has come of them; where that is too much the oldest goes, and a new one is taken.
#[test]
fn bodies_on_their_way_in_hold_a_bounded_amount() {
    let gateway = Server::start(&["--limit.received-bytes=20000000"], "");
    let before = resident(&gateway);
    let lines: String = (0..30_000).map(|at| format!("metric_of_a_stalled_push{{id=\"{at}\"}} 1\n")).collect();
    let head = "PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
    let mut stalled: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(gateway.addr).expect("the gateway listens");
            // The gateway may answer and close in the middle of it.
            let _ = stream.write_all(format!("{head}{lines}").as_bytes());
            stream
        })
        .collect();
    assert_eq!(gateway.request("PUT", "/metrics/job/k", Some(lines.as_bytes())).status, Some(200));
    let grown = resident(&gateway).saturating_sub(before);
    assert!(grown < 70 << 20, "grew by {grown} bytes");
    let mut answer = [0; 12];
    stalled[0].read_exact(&mut answer).expect("the oldest is answered");
    assert_eq!(&answer, b"HTTP/1.1 503");
    assert!(!is_closed(stalled.last_mut().expect("there are some"), Duration::from_millis(100)));
}

/// Every scrape holds the store as it was; with everything replaced between them that would be one store for each.
#[test]
fn slow_scrapers_hold_a_bounded_amount() {
    const STORE_BYTES: u64 = 14 << 20;
    let gateway = Server::start(&["--limit.answered-bytes=1000000"], "");
    let replace = |value: usize| {
        for group in 0..10 {
            let lines: String = (0..14_000)
                .map(|at| format!("metric_that_is_replaced{{id=\"{at}\",pad=\"{:040}\"}} {value}\n", at))
                .collect();
            let response = gateway.request("PUT", &format!("/metrics/job/{group}"), Some(lines.as_bytes()));
            assert_eq!(response.status, Some(200), "{}", response.text_lossy());
        }
    };
    replace(1);
    let length = gateway.scrape().len() as u64;
    assert!(length > STORE_BYTES / 2, "{length}");
    let before = resident(&gateway);
    let mut slow = Vec::new();
    for value in 2..14 {
        slow.push(connect(&gateway, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
        thread::sleep(Duration::from_millis(50));
        replace(value);
    }
    let grown = resident(&gateway).saturating_sub(before);
    // Twice the store for readers, and what the allocator has not given back of it.
    assert!(grown < 4 * length, "{} slow scrapes of {length} bytes hold {grown} bytes", slow.len());
    assert!(is_closed(&mut slow[0], Duration::from_secs(5)), "the oldest was given up");
    assert!(gateway.scrape().len() as u64 > length / 2, "a scrape is answered");
    println!("{} slow scrapes of {length} bytes each hold {grown} bytes", slow.len());
}
