//! How connections end: what a client that stops sending, or never starts, gets to see; and what a stop does to them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::wire;

/// The end of the input often arrives together with the last bytes; many tries, as that is a matter of timing.
#[test]
fn the_end_of_the_input_is_seen_behind_its_last_bytes() {
    let gateway = Server::start(&[], "");
    let check = |bytes: &str, status: Option<u16>| {
        for _ in 0..20 {
            let response = wire::exchange(gateway.addr, bytes.as_bytes(), "GET", true, Duration::from_secs(5));
            assert_eq!((response.status, response.timed_out), (status, false), "{bytes:?}");
        }
    };
    check("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", Some(200));
    check("PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\na 1\n", Some(400));
    check("PUT /metr", None);
    check("", None);
}

/// Long pushes are not dealt with in one turn of the loop: what comes behind one of them waits for it, and each gets its
/// own answer, though the client sends no more.
#[test]
fn long_pushes_are_answered_in_their_order() {
    let gateway = Server::start(&[], "");
    let lines = |repeat: &str| {
        let mut body: String = (0..100_000).map(|at| format!("long{{at=\"{at}\"}} {at}\n")).collect();
        body.push_str(repeat);
        body
    };
    let requests = [
        ("PUT", "whole", lines("")),
        ("PUT", "repeating", lines("long{at=\"17\"} 1\n")),
        ("POST", "unreadable", lines("long{at=\"17\"")),
        ("DELETE", "whole", String::new()),
        ("POST", "whole", lines("short 1\n")),
    ];
    let mut bytes = String::new();
    for (method, job, body) in &requests {
        bytes +=
            &format!("{method} /metrics/job/{job} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    }
    let response = wire::exchange(gateway.addr, bytes.as_bytes(), "PUT", true, Duration::from_secs(30));
    assert!(!response.timed_out);
    let raw = String::from_utf8_lossy(&response.raw);
    let statuses: Vec<&str> = raw.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "400", "400", "202", "200"], "{raw}");
    assert!(raw.contains("was collected before with the same name and label values"), "{raw}");
    let metrics = gateway.request("GET", "/metrics", None).text_lossy();
    assert_eq!(metrics.matches("\nlong{").count(), 100_000);
    assert!(metrics.contains("\nshort{instance=\"\",job=\"whole\"} 1\n"));
}

/// Listeners close at once, the push under way is taken to its end, the exit is a regular one.
#[test]
fn a_request_under_way_finishes_at_a_stop() {
    for signal in ["TERM", "INT"] {
        let mut gateway = Server::start(&[], "");
        let mut client = TcpStream::connect(gateway.addr).expect("the gateway listens");
        let head = b"PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\na 1\n";
        client.write_all(head).expect("the gateway reads");
        thread::sleep(Duration::from_millis(100));
        gateway.signal(signal);
        let end = Instant::now() + wire::TIMEOUT;
        while TcpStream::connect(gateway.addr).is_ok() {
            assert!(Instant::now() < end, "the listener is still open");
            thread::sleep(Duration::from_millis(10));
        }
        client.write_all(b"b 2\n").expect("the gateway still reads");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("the gateway answers and closes");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Connection: close\r\n"), "{answer}");
        assert!(gateway.wait_for_exit().is_some_and(|status| status.success()), "{signal}");
    }
}

/// A connection that was kept alive and one that never spoke do not hold up the end.
#[test]
fn idle_connections_do_not_hold_up_a_stop() {
    let mut gateway = Server::start(&[], "");
    let silent = TcpStream::connect(gateway.addr).expect("the gateway listens");
    let mut kept = TcpStream::connect(gateway.addr).expect("the gateway listens");
    kept.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").expect("the gateway reads");
    let mut answer = [0; 15];
    kept.read_exact(&mut answer).expect("the gateway answers");
    let begin = Instant::now();
    gateway.signal("TERM");
    assert!(gateway.wait_for_exit().is_some_and(|status| status.success()));
    assert!(begin.elapsed() < Duration::from_secs(8), "the grace of requests under way is not waited for");
    drop(silent);
}

/// The flag may be repeated, with IPv6 as well where the machine has it; a port in use is an error with its address.
#[test]
fn listens_on_every_address_or_not_at_all() {
    let mut flags = vec!["--web.listen-address=127.0.0.2:0"];
    if TcpListener::bind("[::1]:0").is_ok() {
        flags.push("--web.listen-address=[::1]:0");
    }
    let gateway = Server::start(&flags, "");
    let own = gateway.addr.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_pushgateway"))
        .arg(format!("--web.listen-address={own}"))
        .output()
        .expect("the gateway can be started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("level=error") && log.contains(&own) && log.contains("in use"), "{log}");
}
