//! Compressed bodies on a running gateway: what is counted, what the routes see, and bombs.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::wire;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Sends a request with a body in this coding, in pieces of its own.
fn send(gateway: &Server, method: &str, path: &str, coding: &str, body: &[u8]) -> wire::Response {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: {coding}\r\n");
    let bytes = [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), body].concat();
    wire::exchange(gateway.addr, &bytes, method, false, wire::TIMEOUT)
}

#[test]
fn the_gzip_header_comes_before_the_routes() {
    let gateway = Server::start(&[], "");
    let good = gzip(b"m 1\n");
    let mut damaged = good.clone();
    let at = damaged.len() - 8;
    damaged[at] ^= 1;
    let long_name = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0], &[b'n'; 600][..]].concat();
    let cases: &[(&str, &str, &[u8], u16, &str)] = &[
        ("PUT", "/metrics/job/good", &good, 200, ""),
        ("PUT", "/metrics/job/bad", b"m 1\n", 400, "unexpected EOF\n"),
        ("POST", "/metrics/job/bad", b"", 400, "EOF\n"),
        ("POST", "/metrics/job/bad", &long_name, 400, "gzip: invalid header\n"),
        ("POST", "/metrics/job/bad", &damaged, 400, "gzip: invalid checksum\n"),
        ("POST", "/metrics/job/bad/odd", b"m 1\nm 2\nm 3\n", 400, "gzip: invalid header\n"),
        ("DELETE", "/metrics/job/bad", b"", 400, "EOF\n"),
        ("DELETE", "/metrics/job/bad", &good, 202, ""),
        ("GET", "/metrics", b"", 400, "EOF\n"),
        ("GET", "/-/healthy", &good, 200, "OK"),
        ("GET", "/nowhere", b"", 400, "EOF\n"),
        ("GET", "/nowhere", &good, 404, "404 page not found\n"),
        ("PUT", "/metrics//job/bad", b"", 307, ""),
        ("GET", "/api/v1/nowhere", b"", 404, "404 page not found\n"),
    ];
    for (method, path, body, status, text) in cases {
        let response = send(&gateway, method, path, "gzip", body);
        assert_eq!(response.status, Some(*status), "{method} {path}: {}", response.text_lossy());
        assert_eq!(response.text_lossy(), *text, "{method} {path}");
    }
    let scrape = gateway.scrape();
    let counted: Vec<&str> = scrape
        .lines()
        .filter(|line| line.starts_with("pushgateway_http_requests_total") && !line.contains("ready"))
        .collect();
    // The requests whose body has no gzip header are missing.
    let expected = [
        r#"pushgateway_http_requests_total{code="200",handler="healthy",method="get"} 1"#,
        r#"pushgateway_http_requests_total{code="200",handler="push",method="put"} 1"#,
        r#"pushgateway_http_requests_total{code="202",handler="delete",method="delete"} 1"#,
        r#"pushgateway_http_requests_total{code="400",handler="push",method="post"} 1"#,
    ];
    assert_eq!(counted, expected, "{scrape}");
}

/// Lines after lines, a thousand times smaller on the way: other clients are served meanwhile.
#[test]
fn a_bomb_does_not_stop_the_loop() {
    let gateway = Server::start(&[], "");
    let bomb = gzip(&vec![b'\n'; 4 << 20]);
    std::thread::scope(|scope| {
        let push = scope.spawn(|| send(&gateway, "PUT", "/metrics/job/bomb", "gzip", &bomb));
        let begin = Instant::now();
        let mut longest = Duration::ZERO;
        while !push.is_finished() {
            let asked = Instant::now();
            assert_eq!(gateway.request("GET", "/-/healthy", None).status, Some(200));
            longest = longest.max(asked.elapsed());
        }
        let all = begin.elapsed();
        assert!(longest < all / 2, "the loop stood still for {longest:?} of {all:?}");
        assert_eq!(push.join().expect("it was sent").status, Some(200));
    });
    // A line without an end is refused at its bound, not held.
    let response = send(&gateway, "PUT", "/metrics/job/bomb", "gzip", &gzip(&vec![0; 20 << 20]));
    assert_eq!(response.text_lossy(), "text format parsing error in line 1: line longer than 16777216 bytes\n");
}
