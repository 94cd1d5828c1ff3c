//! Attacks, each with its expected answer: what a hostile client sends, what it gets, and what is left of the gateway.
//!
//! Framing is in `smuggling`, slow and many clients in `flood`; here is what stands in heads and bodies.

mod flood;
mod pressure;
mod quotes;
mod smuggling;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::tools::Scratch;
use crate::wire;

/// What markup and scripts are made of, and what ends a line in JavaScript.
const MARKUP: &str = "</script><script>alert('1')</script><img src=x onerror=alert(1)>&amp;\u{2028}\u{2029}";

fn put(gateway: &Server, path: &str, body: &[u8]) -> wire::Response {
    gateway.request("PUT", path, Some(body))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Resident memory, bytes.
pub fn resident(gateway: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn no_path_leads_out_of_the_static_files() {
    let gateway = Server::start(&[], "");
    for path in [
        "/static/../../etc/passwd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2fetc%2fpasswd",
        "/static/..%5c..%5cetc%5cpasswd",
        "/static/....//....//etc/passwd",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/functions.js%00.css",
        "/static/%00",
        "/static/.",
        "/static/",
        "/static/functions.js/..",
        "/static/%252e%252e/%252e%252e/etc/passwd",
        "/static/file:///etc/passwd",
        "//etc/passwd",
        "/../etc/passwd",
    ] {
        let response = gateway.request("GET", path, None);
        assert!(matches!(response.status, Some(301 | 307 | 404 | 400)), "{path}: {:?}", response.status);
        assert!(!response.text_lossy().contains("root:"), "{path}");
    }
    assert_eq!(gateway.request("GET", "/static/functions.js", None).status, Some(200));
}

#[test]
fn nothing_that_is_pushed_becomes_markup() {
    let gateway = Server::start(&["--push.enable-utf8-names"], "");
    let escaped = MARKUP.replace('"', "\\\"");
    let body = format!("# HELP \"n{escaped}\" {escaped}\n{{\"n{escaped}\",\"l{escaped}\"=\"{escaped}\"}} 1\n");
    let path: String = MARKUP.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>().replace("%2f", "~");
    assert_eq!(put(&gateway, &format!("/metrics/job/{path}"), body.as_bytes()).status, Some(200));
    for path in ["/api/v1/metrics", "/api/v1/groups", "/api/v1/status"] {
        let response = gateway.request("GET", path, None);
        let text = response.text_lossy();
        assert_eq!(response.header("Content-Type").as_deref(), Some("application/json"), "{path}");
        for mark in ["<", ">", "&", "\u{2028}", "\u{2029}"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
        let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let shown = value.to_string();
        assert!(path == "/api/v1/status" || shown.contains("<script>alert('1')"), "{path}: {shown}");
    }
    let page = gateway.request("GET", "/", None).text_lossy();
    assert!(!page.contains("alert("), "the page holds nothing of the store");
}

#[test]
fn errors_are_plain_text_for_every_browser() {
    let gateway = Server::start(&[], "");
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    for (method, path, body) in [
        ("GET", format!("/{script}"), ""),
        ("PUT", format!("/metrics/job@base64/{script}"), ""),
        ("PUT", format!("/metrics/job/j/{script}"), ""),
        ("PUT", "/metrics/job/j".to_owned(), "<script>alert(1)</script>\n"),
        ("PUT", "/metrics/job/j".to_owned(), "m{l=\"<script>\"} 1\nm{l=\"<script>\"} 1\n"),
        ("GET", format!("/api/v1/groups?sort={script}"), ""),
        ("GET", format!("/static/{script}"), ""),
        ("PATCH", "/-/healthy".to_owned(), ""),
    ] {
        let response = gateway.request(method, &path, Some(body.as_bytes()));
        assert!(response.status.is_some_and(|status| status >= 400), "{method} {path}: {:?}", response.status);
        assert_eq!(response.header("Content-Type").as_deref(), Some("text/plain; charset=utf-8"), "{method} {path}");
        assert_eq!(response.header("X-Content-Type-Options").as_deref(), Some("nosniff"), "{method} {path}");
    }
    let redirect = gateway.request("GET", &format!("/a/../{script}"), None);
    assert!(!redirect.text_lossy().contains("<script>"), "{}", redirect.text_lossy());
}

/// Everything that clients can have written to the log, with all levels on.
fn logged(format: &str) -> String {
    let scratch = Scratch::new("log");
    let path = scratch.0.join("stderr");
    let file = File::create(&path).expect("the target directory can be written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_pushgateway"))
        .args(["--web.listen-address=127.0.0.1:0", "--log.level=debug", &format!("--log.format={format}")])
        .args(["--web.external-url=http://h/a%0alevel=error", "--web.route-prefix=/"])
        .stdin(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("the gateway can be started");
    let end = Instant::now() + wire::TIMEOUT;
    let addr = loop {
        let log = fs::read_to_string(&path).expect("it was just made");
        if let Some(addr) =
            log.lines().filter(|line| line.contains("Listening on")).find_map(crate::server::loopback_address)
        {
            break addr;
        }
        assert!(Instant::now() < end, "{log}");
        thread::sleep(Duration::from_millis(20));
    };
    let evil = "x%0ats=1 level=error msg=forged%0d%00%1b[31m%22%5c%e2%80%a8".replace(' ', "%20");
    for path in [
        format!("/metrics/job@base64/{evil}"),
        format!("/metrics/job/j/{evil}"),
        format!("/metrics/job/{evil}/a/b/c"),
        format!("/metrics/job/{evil}"),
    ] {
        for body in ["x\u{1b}[31m\"\\ \rts=1 level=error msg=forged\n", "m 1 1\n", "m 1\nm 1\n"] {
            wire::request(addr, "PUT", &path, Some(body.as_bytes()));
        }
    }
    wire::request(
        addr,
        "PUT",
        "/metrics/job/j",
        Some(b"m{l=\"a\\nts=1 level=error msg=forged\"} 1\n".repeat(2).as_slice()),
    );
    let _ = child.kill();
    let _ = child.wait();
    fs::read_to_string(&path).expect("it was just made")
}

#[test]
fn nothing_that_is_sent_makes_a_line_in_the_log() {
    let logfmt = logged("logfmt");
    let line = regex::Regex::new(
        r#"^ts=\S+ level=(debug|info|warn|error) caller=\S+ msg=("([^"\\]|\\.)*"|[^\s"=]+)( [A-Za-z_0-9]+=("([^"\\]|\\.)*"|[^\s"=]*))*$"#,
    );
    let line = line.expect("a pattern");
    for text in logfmt.lines() {
        assert!(line.is_match(text), "{text}");
    }
    assert!(logfmt.matches("forged").count() >= 4, "the attack is in the log, and harmless: {logfmt}");
    let json = logged("json");
    for text in json.lines() {
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_ne!(value["msg"], "forged", "{text}");
    }
    assert!(json.matches("forged").count() >= 4, "{json}");
    for log in [logfmt, json] {
        assert!(!log.contains(|c: char| c.is_control() && c != '\n'), "{log:?}");
    }
}

#[test]
fn heads_that_are_floods_are_refused() {
    let gateway = Server::start(&[], "");
    let check = |head: &str, status: u16| {
        let response = wire::exchange(gateway.addr, head.as_bytes(), "GET", false, wire::TIMEOUT);
        assert_eq!(response.status, Some(status), "{:.100}: {}", head, response.text_lossy());
    };
    let start = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    check(&format!("{start}{}\r\n", "a: b\r\n".repeat(1000)), 200);
    check(&format!("{start}{}\r\n", "a: b\r\n".repeat(2000)), 431);
    check(&format!("{start}{}\r\n", "a: b\r\n".repeat(400_000)), 431);
    check(&format!("{start}X: {}\r\n\r\n", "x".repeat(2 << 20)), 431);
    check(&format!("{start}{}: x\r\n\r\n", "x".repeat(2 << 20)), 431);
    check(&format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(2 << 20)), 431);
    check(&"x".repeat(2 << 20), 431);
    check(&format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "/a".repeat(200_000)), 404);
}

#[test]
fn what_a_body_becomes_is_bounded() {
    let gateway = Server::start(&["--limit.inflated-bytes=2000000"], "");
    let before = resident(&gateway);
    let check = |coding: &str, body: &[u8], status: u16| {
        let headers = format!("Content-Encoding: {coding}\r\n");
        let response = wire::request_with(gateway.addr, "PUT", "/metrics/job/j", &headers, Some(body));
        assert_eq!(response.status, Some(status), "{coding}: {}", response.text_lossy());
    };
    let bomb = gzip(&vec![b'\n'; 60 << 20]);
    check("gzip", &bomb, 413);
    check("gzip", &gzip(&vec![b'#'; 20 << 20]), 413);
    check("gzip", &gzip(b"m 1\n").repeat(100), 400); // As many members as one likes, and as often the same series.
    check("gzip", &gzip(b"\n").repeat(60_000), 200);
    check("gzip", &gzip(&bomb), 400);
    let mut framed = snap::write::FrameEncoder::new(Vec::new());
    framed.write_all(&vec![b'\n'; 30 << 20]).expect("a vector takes everything");
    check("snappy", &framed.into_inner().expect("a vector takes everything"), 413);
    // A block that claims four gigabytes.
    let claim = b"\xff\x06\x00\x00sNaPpY\x00\x0a\x00\x00\0\0\0\0\xff\xff\xff\xff\x0f\0";
    check("snappy", claim, 400);
    let grown = resident(&gateway).saturating_sub(before);
    assert!(grown < 24 << 20, "grew by {grown} bytes");
}

#[test]
fn long_values_and_deep_escapes_are_values() {
    let gateway = Server::start(&[], "");
    let line = |bytes: usize| format!("m{{l=\"{}\"}} 1\n", "v".repeat(bytes)).into_bytes();
    assert_eq!(put(&gateway, "/metrics/job/j", &line(1 << 20)).status, Some(200));
    assert_eq!(put(&gateway, "/metrics/job/j", &line((1 << 20) + 1)).status, Some(413));
    assert_eq!(put(&gateway, "/metrics/job/j", &line(17 << 20)).status, Some(400));
    assert_eq!(gateway.request("DELETE", "/metrics/job/j", None).status, Some(202));
    let deep = format!("%{}41", "25".repeat(1000));
    assert_eq!(put(&gateway, &format!("/metrics/job/{deep}"), b"m 1\n").status, Some(200));
    let expected = format!("job=\"%{}41\"", "25".repeat(999));
    assert!(gateway.scrape().contains(&expected), "a path is decoded once");
    let long = "%41".repeat(300_000);
    assert_eq!(put(&gateway, &format!("/metrics/job/{long}"), b"m 1\n").status, Some(200));
    let labels: String = (0..1500).fold(String::new(), |mut path, at| {
        let _ = write!(path, "/l{at}/v");
        path
    });
    assert_eq!(put(&gateway, &format!("/metrics/job/j{labels}"), b"m 1\n").status, Some(413));
    for path in ["/metrics/job/%", "/metrics/job/%4", "/metrics/job/%zz"] {
        assert_eq!(put(&gateway, path, b"m 1\n").status, Some(400), "{path}");
    }
}

/// How long a push takes.
fn time(gateway: &Server, path: &str, body: &str) -> f64 {
    let begin = Instant::now();
    let response = put(gateway, path, body.as_bytes());
    assert_eq!(response.status, Some(200), "{:.200}", response.text_lossy());
    begin.elapsed().as_secs_f64()
}

/// Hashes are seeded, so no set of names is worse than others. Those here are what breaks a hash that is not: many with
/// the same beginning, the same end, or bits that cancel each other.
#[test]
fn names_that_flood_hash_tables_cost_what_others_cost() {
    let gateway = Server::start(&[], "");
    type Name = fn(usize) -> String;
    let plain: Name = |at| format!("n{at}");
    let patterns: [(&str, Name); 4] = [
        ("same beginning", |at| format!("{}{at}", "a".repeat(64))),
        ("same end", |at| format!("n{at}{}", "a".repeat(64))),
        ("steps", |at| format!("n{}", at << 16)),
        ("Java's strings", |at| (0..14).map(|bit| if at >> bit & 1 == 0 { "Aa" } else { "BB" }).collect()),
    ];
    let families = |name: Name, count: usize| (0..count).map(|at| format!("{} 1\n", name(at))).collect::<String>();
    let series =
        |name: Name, count: usize| (0..count).map(|at| format!("m{{l=\"{}\"}} 1\n", name(at))).collect::<String>();
    let labels = |name: Name, count: usize| {
        let lines = (0..count / 500).map(|line| {
            let labels: Vec<_> = (0..500).map(|at| format!("{}=\"{line}\"", name(at))).collect();
            format!("m{{{}}} 1\n", labels.join(","))
        });
        lines.collect::<String>()
    };
    type Body<'a> = &'a dyn Fn(Name, usize) -> String;
    let bodies: [(&str, Body<'_>); 3] = [("families", &families), ("series", &series), ("labels", &labels)];
    for (what, body) in bodies {
        let usual = time(&gateway, "/metrics/job/j", &body(plain, 16_000)).max(0.02);
        for (pattern, name) in patterns {
            let taken = time(&gateway, "/metrics/job/j", &body(name, 16_000));
            // Bytes are worth a factor of their own; a flood would be a factor of thousands.
            assert!(taken < 12.0 * usual + 0.5, "{what}, {pattern}: {taken} s instead of {usual} s");
        }
    }
}

/// A group of another set of label names is a place where a series might be already: one look-up for each set.
#[test]
fn groups_of_many_shapes_do_not_stop_pushes() {
    let gateway = Server::start(&[], "");
    let mut stored = 0;
    for at in 0..1100 {
        let response = put(&gateway, &format!("/metrics/job/j/name_{at}/v"), b"m 1\n");
        stored += usize::from(response.status == Some(200));
        assert!(matches!(response.status, Some(200 | 503)), "{}", response.text_lossy());
    }
    assert_eq!(stored, 1000);
    let body: String = (0..5000).map(|at| format!("m{{l=\"{at}\"}} 1\n")).collect();
    let taken = time(&gateway, "/metrics/job/j/name_7/v", &body);
    assert!(taken < 5.0, "{taken} s");
}

#[test]
fn many_families_come_and_go_with_their_group() {
    let gateway = Server::start(&[], "");
    let body: String = (0..60_000).map(|at| format!("# HELP family_{at} Help.\nfamily_{at} {at}\n")).collect();
    for job in ["a", "b", "c"] {
        let taken = time(&gateway, &format!("/metrics/job/{job}"), &body);
        assert!(taken < 20.0, "{taken} s");
    }
    let begin = Instant::now();
    assert_eq!(gateway.request("DELETE", "/metrics/job/b", None).status, Some(202));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let scrape = gateway.scrape();
    assert_eq!(scrape.matches("\nfamily_").count(), 120_000);
    assert!(!scrape.contains("job=\"b\""));
}

/// Many requests before the first answer is read: each is answered, in order, and others do not wait for it.
#[test]
fn a_flood_of_pipelined_requests_is_answered_in_turns() {
    const REQUESTS: usize = 20_000;
    let gateway = Server::start(&[], "");
    let before = resident(&gateway);
    let mut client = TcpStream::connect(gateway.addr).expect("the gateway listens");
    let mut sender = client.try_clone().expect("a descriptor");
    let writer = thread::spawn(move || {
        let requests = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n".repeat(REQUESTS);
        sender.write_all(requests.as_bytes())
    });
    thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    assert_eq!(put(&gateway, "/metrics/job/j", b"m 1\n").status, Some(200));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let grown = resident(&gateway).saturating_sub(before);
    assert!(grown < 16 << 20, "grew by {grown} bytes");
    let mut answers = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    // All answers are equally long.
    while answers.len() < memchr::memmem::find(&answers, b"\r\n\r\nOK").map_or(usize::MAX, |at| (at + 6) * REQUESTS) {
        let read = client.read(&mut buffer).expect("the gateway answers");
        assert_ne!(read, 0, "the gateway closed the connection");
        answers.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(memchr::memmem::find_iter(&answers, b"HTTP/1.1 200 OK\r\n").count(), REQUESTS);
    writer.join().expect("no panic").expect("the gateway reads");
}
