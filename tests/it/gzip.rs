//! Scrapes with gzip: one member that equals the plain scrape, however much of it was compressed before.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::tools::{self, Scratch};
use crate::wire::{self, Response, TIMEOUT};

/// Series in the store, of some 300 bytes each: more than is compressed in one turn of the server's loop.
const SERIES: usize = 10_000;

#[test]
fn a_member_equals_the_plain_scrape() {
    let gateway = Server::start(&[], "");
    let check = |is_chunked: bool| {
        let response = scrape(gateway.addr, "HTTP/1.1");
        assert_eq!(response.header("Content-Encoding").as_deref(), Some("gzip"));
        assert_eq!(response.header("Transfer-Encoding").is_some(), is_chunked);
        assert_eq!(response.header("Content-Length").is_some(), !is_chunked);
        assert_eq!(pushed(&one_member(&response.body)), pushed(&gateway.scrape()));
    };
    check(false);
    push(&gateway, "big", SERIES, 1);
    check(true);
    check(false);
    push(&gateway, "small", 10, 1);
    check(false);
    assert_eq!(gateway.request("DELETE", "/metrics/job/big", None).status, Some(202));
    check(false);
}

#[test]
fn the_tool_reads_it() {
    let gateway = Server::start(&[], "");
    push(&gateway, "big", SERIES, 1);
    let scratch = Scratch::new("gzip");
    for _ in 0..2 {
        let response = scrape(gateway.addr, "HTTP/1.1");
        let file = scratch.file("scrape.gz", &response.body);
        let output = tools::run(Command::new("gzip").arg("-dc").arg(file), b"", "apt-get install gzip");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", tools::said(&output)); // Trailing bytes?
        assert_eq!(pushed(&String::from_utf8(output.stdout).unwrap()), pushed(&gateway.scrape()));
    }
}

#[test]
fn old_clients_and_heads() {
    let gateway = Server::start(&[], "");
    push(&gateway, "big", SERIES, 1);
    let plain = gateway.scrape();
    // The first is compressed while it is sent: only the close of the connection ends it.
    for has_length in [false, true] {
        let response = scrape(gateway.addr, "HTTP/1.0");
        assert_eq!(response.header("Transfer-Encoding"), None);
        assert_eq!(response.header("Content-Length").is_some(), has_length);
        assert_eq!(pushed(&one_member(&response.body)), pushed(&plain));
    }
    let head = "HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n";
    let response = wire::exchange(gateway.addr, head.as_bytes(), "HEAD", false, TIMEOUT);
    let get = scrape(gateway.addr, "HTTP/1.1");
    assert_eq!((response.status, get.status), (Some(405), Some(200)), "HEAD is no method of this path");
    assert_eq!(response.header("Content-Encoding"), None, "errors are never compressed");
}

#[test]
fn only_changed_pages_are_compressed_again() {
    let gateway = Server::start(&[], "");
    let compressed = |gateway: &Server| {
        let text = one_member(&scrape(gateway.addr, "HTTP/1.1").body);
        value_of(&text, "pushgateway_scrape_pages_compressed_total ")
    };
    for job in 0..300 {
        push(&gateway, &format!("job{job:03}"), 10, 1);
    }
    assert_eq!(compressed(&gateway), 0.0, "a scrape shows what was before it");
    let all = compressed(&gateway);
    assert!(all > 9.0, "300 KB of text: {all}");
    assert_eq!(compressed(&gateway), all, "nothing was pushed");
    push(&gateway, "job123", 10, 2); // Its series and its time of push.
    compressed(&gateway);
    assert_eq!(compressed(&gateway), all + 2.0);
    push(&gateway, "job007", 10, 1); // The same series: only the time changes.
    compressed(&gateway);
    assert_eq!(compressed(&gateway), all + 3.0);
    gateway.scrape();
    assert_eq!(compressed(&gateway), all + 3.0, "a plain scrape compresses nothing");
}

/// Of a long group that a long push is about to replace nothing compressed is kept. If nothing comes of that push, it is
/// made again.
#[test]
fn a_long_push_makes_room() {
    let gateway = Server::start(&[], "");
    let compressed = || {
        let text = one_member(&scrape(gateway.addr, "HTTP/1.1").body);
        let pages = value_of(&text, "pushgateway_scrape_pages_compressed_total ");
        (pages, pushed(&text).len())
    };
    push(&gateway, "big", SERIES, 1);
    push(&gateway, "other", SERIES / 10, 1);
    compressed();
    let (all, len) = compressed();
    let mut stream = TcpStream::connect(gateway.addr).unwrap();
    let body = body(SERIES, 2);
    let (little, much) = body[..body.len() - 1].split_at(body.len() / 8);
    let head = format!("PUT /metrics/job/big HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + little).as_bytes()).unwrap();
    compressed();
    assert_eq!(compressed().0, all, "a short push costs nothing");
    stream.write_all(much.as_bytes()).unwrap();
    let deadline = Instant::now() + TIMEOUT;
    let again = loop {
        let again = compressed().0 - all;
        if again > 0.0 || Instant::now() > deadline {
            break again;
        }
    };
    assert!(again > all / 2.0 && again < all, "{again} of {all}");
    drop(stream);
    assert_eq!(compressed().1, len);
}

/// A client that stops reading gets the state that it asked for, whatever is pushed meanwhile.
#[test]
fn a_slow_reader_sees_one_state() {
    let gateway = Server::start(&[], "");
    for is_warm in [false, true] {
        push(&gateway, "big", 2 * SERIES, 1);
        let plain = gateway.scrape();
        if is_warm {
            scrape(gateway.addr, "HTTP/1.1");
        }
        let mut stream = TcpStream::connect(gateway.addr).unwrap();
        stream.write_all(request("HTTP/1.1").as_bytes()).unwrap();
        let mut raw = vec![0; 1000];
        stream.read_exact(&mut raw).unwrap();
        push(&gateway, "big", 10, 2);
        scrape(gateway.addr, "HTTP/1.1");
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.read_to_end(&mut raw).unwrap();
        let response = wire::parse(raw, false, "GET");
        assert_eq!(response.header("Content-Length").is_some(), is_warm);
        assert!(pushed(&one_member(&response.body)) == pushed(&plain), "warm: {is_warm}");
    }
}

/// Several scrapers that want different states at once all get theirs, and pipelined ones in order.
#[test]
fn many_at_once() {
    let gateway = Server::start(&[], "");
    std::thread::scope(|scope| {
        for client in 0..4 {
            let gateway = &gateway;
            scope.spawn(move || {
                for value in 0..5 {
                    push(gateway, &format!("client{client}"), SERIES / 8, value);
                    let text = one_member(&scrape(gateway.addr, "HTTP/1.1").body);
                    let own = text.lines().filter(|line| line.contains(&format!("job=\"client{client}\"")));
                    let series: Vec<_> = own.filter(|line| line.starts_with("big")).collect();
                    assert_eq!(series.len(), SERIES / 8);
                    assert!(series.iter().all(|line| line.ends_with(&format!(" {value}"))));
                }
            });
        }
    });
    let keep = "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    let bytes = format!("{keep}{}", request("HTTP/1.1"));
    let response = wire::exchange(gateway.addr, bytes.as_bytes(), "GET", false, Duration::from_secs(10));
    assert!(pushed(&one_member(&response.body)) == pushed(&gateway.scrape()));
    assert_eq!(memchr::memmem::find_iter(&response.raw, b"HTTP/1.1 200 OK\r\n").count(), 2);
}

fn request(version: &str) -> String {
    format!("GET /metrics {version}\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n")
}

fn scrape(addr: SocketAddr, version: &str) -> Response {
    let response = wire::exchange(addr, request(version).as_bytes(), "GET", false, TIMEOUT);
    assert_eq!((response.status, response.timed_out), (Some(200), false));
    response
}

fn push(gateway: &Server, job: &str, series: usize, value: usize) {
    let body = body(series, value);
    let response = gateway.request("PUT", &format!("/metrics/job/{job}"), Some(body.as_bytes()));
    assert_eq!(response.status, Some(200), "{}", response.text_lossy());
}

fn body(series: usize, value: usize) -> String {
    let mut body = String::new();
    for at in 0..series {
        // Digits that compress badly, so that sockets cannot swallow a scrape whole.
        let mut noise = String::new();
        for word in 1..=16 {
            let bits = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(word)).rotate_left(31);
            write!(noise, "{:016x}", bits.wrapping_mul(bits | 1)).expect("a string can be written");
        }
        writeln!(body, "big{{id=\"{at}\",noise=\"{noise}\"}} {value}").expect("a string can be written");
    }
    body
}

fn one_member(body: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = flate2::bufread::GzDecoder::new(body);
    decoder.read_to_string(&mut text).expect("it is gzip");
    assert!(decoder.into_inner().is_empty(), "something behind the member");
    text
}

/// The text without what the gateway says of itself.
fn pushed(text: &str) -> String {
    let own = ["process_", "promhttp_", "pushgateway_"];
    let is_own = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        own.iter().any(|prefix| name.starts_with(prefix))
    };
    text.lines().filter(|line| !is_own(line)).fold(String::new(), |text, line| text + line + "\n")
}

fn value_of(text: &str, series: &str) -> f64 {
    text.lines().find_map(|line| line.strip_prefix(series)).and_then(|value| value.parse().ok()).expect("it is there")
}
