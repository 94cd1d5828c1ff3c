//! Refusals quote what they are about. A quote is cut, and so is an answer, however long the input is; clients that do
//! not read such answers hold little, and do not take anything from others.

use std::time::Duration;

use super::{Honest, gzip, memory, pass_turns, peak_growth, proto, put_well, rest, stalled};
use crate::server::Server;
use crate::wire;

/// The longest answer to something that is refused, bytes.
const ANSWER_MOST: usize = 64 << 10;

/// The longest answer that quotes only one thing.
const ONE_QUOTE_MOST: usize = 8 << 10;

/// What is quoted at four times its length, as an escape for each byte.
fn odd(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

struct Case {
    what: &'static str,
    path: String,
    headers: String,
    body: Vec<u8>,
    most: usize,
}

fn text(what: &'static str, body: String) -> Case {
    let path = "/metrics/job/a".to_owned();
    Case { what, path, headers: String::new(), body: body.into_bytes(), most: ONE_QUOTE_MOST }
}

fn path(what: &'static str, path: String) -> Case {
    Case { what, path, headers: String::new(), body: b"m 1\n".to_vec(), most: ONE_QUOTE_MOST }
}

/// Everything of a push that an answer might quote, long.
fn cases() -> Vec<Case> {
    let (long, name) = (odd(1_000_000), "n".repeat(1_000_000));
    let many = |count: usize, line: &str| line.repeat(count);
    let (label, odd_label) = ("l".repeat(60_000), odd(100_000));
    let family = |name: &str, help: &str| {
        use pushgateway::exposition::wire as pb;
        let (mut family, mut body) = (Vec::new(), Vec::new());
        pb::write_bytes(&mut family, 1, name.as_bytes());
        pb::write_bytes(&mut family, 2, help.as_bytes());
        pb::write_uint(&mut family, 3, 4);
        pb::write_bytes(&mut family, 4, b"\x3a\x02\x28\x63");
        pb::write_varint(&mut body, family.len() as u64);
        body.extend_from_slice(&family);
        body
    };
    let mut list = vec![
        text("a value", format!("m {long}\n")),
        text("a value of letters", format!("m {name}\n")),
        text("a line", format!("{long}\n")),
        text("a metric's name", format!("{name}{long} 1\n")),
        text("a label's name", format!("m{{{long}=\"x\"}} 1\n")),
        text("a label twice", format!("m{{{label}=\"x\",{label}=\"y\"}} 1\n")),
        text("what comes after a label", format!("m{{a=\"x\"{long}}} 1\n")),
        text("an escape", format!("m{{a=\"\\{long}\"}} 1\n")),
        text("a time", format!("m 1 {long}\n")),
        text("a time that is one", format!("{} 1 1\n", "n".repeat(60_000))),
        text("a type", format!("# TYPE m {long}\n")),
        text("the name of a type", format!("# TYPE {name}! gauge\n")),
        text("a type twice", format!("# TYPE {0} gauge\n# TYPE {0} gauge\n", "n".repeat(60_000))),
        text("help twice", format!("# HELP m {name}\n# HELP m {name}\n")),
        text("a family twice", format!("{0} 1\nx 1\n{0} 1\n", "n".repeat(60_000))),
        text("a bucket's bound", format!("# TYPE h histogram\nh_bucket{{le=\"{odd_label}\"}} 1\n")),
        text("a quantile", format!("# TYPE s summary\ns{{quantile=\"{odd_label}\"}} 1\n")),
        text("a label of the group", format!("m{{job=\"{odd_label}\"}} 1\nm{{job=\"{odd_label}\"}} 1\n")),
        text("bytes that are no text", format!("m{{a=\"{odd_label}\"}} 1\nm{{a=\"{odd_label}\"}} 1\n")),
        path("base64", format!("/metrics/job/a/b@base64/{name}!")),
        path("an escape in a path", format!("/metrics/job/a/b/{}%zz", "n".repeat(900_000))),
        path("a label's name in a path", format!("/metrics/job/a/{}-/x", "n".repeat(900_000))),
        path("an odd path", format!("/metrics/job/a/{}", "n".repeat(900_000))),
        path("two slashes", format!("/metrics//job/{}", "n".repeat(900_000))),
        path("nowhere", format!("/{}", "n".repeat(900_000))),
        path("an order", format!("/api/v1/groups?sort={}", "%01".repeat(2000))),
    ];
    list.push(Case {
        what: "a protobuf family's name",
        headers: proto::header(),
        body: family(&long, "help"),
        ..text("", String::new())
    });
    let values: String = (0..4).map(|at| format!("l{at}=\"{odd_label}\",")).collect();
    for (what, line) in [
        ("many equal series", format!("m{{{values}}} 1\n")),
        ("many equal names", format!("{}{{a=\"x\"}} 1\n", "n".repeat(60_000))),
    ] {
        list.push(Case { most: ANSWER_MOST, ..text(what, many(21, &line)) });
    }
    list
}

/// A request, compressed if it has a body that is worth it.
fn request(case: &Case) -> Vec<u8> {
    let body = gzip(&case.body, 1);
    let Case { path, headers, .. } = case;
    let method = if path.starts_with("/api") { "GET" } else { "PUT" };
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\n{headers}");
    [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
}

#[test]
fn answers_are_short_whatever_they_are_about() {
    let mut gateway = Server::start(&[], "");
    put_well(&gateway, "/metrics/job/a", "kept 1\n");
    let (before, mut long) = (memory(&gateway, "VmRSS"), Vec::new());
    for case in cases() {
        let (answer, is_closed) = rest(&mut stalled(&gateway, request(&case)), wire::TIMEOUT);
        assert!(is_closed && !gateway.has_ended(), "{}: {}", case.what, gateway.log());
        let response = wire::parse(answer, false, "PUT");
        let status = response.status;
        assert!(status.is_some_and(|status| (300..500).contains(&status)), "{}: {status:?}", case.what);
        // Of a redirect the address is what it is for.
        if status < Some(400) {
            continue;
        }
        if response.raw.len() > case.most + 1024 {
            long.push(format!("{}: {} bytes", case.what, response.raw.len()));
        }
    }
    assert!(long.is_empty(), "answers that are too long: {long:#?}");
    println!("memory grew by {} bytes", peak_growth(&gateway, before));
}

/// The reason of a refused push is shown with its group and in the log: cut as well.
#[test]
fn what_is_kept_of_refusals_is_short() {
    let gateway = Server::start(&["--log.level=debug"], "");
    put_well(&gateway, "/metrics/job/a", "kept 1\n");
    let list = cases();
    for case in &list {
        rest(&mut stalled(&gateway, request(case)), wire::TIMEOUT);
    }
    let group = gateway.request("GET", "/api/v1/groups/job/a", None);
    assert_eq!(group.status, Some(200), "{}", group.text_lossy());
    assert!(group.body.len() < 8 << 10, "{} bytes", group.body.len());
    assert!(gateway.scrape().contains("kept{instance=\"\",job=\"a\"} 1\n"));
    let longest = gateway.log().lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 64 << 10, "a line of the log has {longest} bytes");
}

/// Clients that do not read what they are told.
#[test]
fn answers_that_nobody_reads_hold_little() {
    const UNREAD: usize = 8;
    const ANSWERED: u64 = 4_000_000;
    let gateway = Server::start(&[&format!("--limit.answered-bytes={ANSWERED}")], "");
    let all = cases();
    let wanted = ["a value", "a line", "a metric's name", "many equal series", "two slashes", "nowhere"];
    for case in all.iter().filter(|case| wanted.contains(&case.what)) {
        let request = request(case);
        rest(&mut stalled(&gateway, &request), wire::TIMEOUT);
        let (before, honest) = (memory(&gateway, "VmRSS"), Honest::start(&gateway));
        let kept: Vec<_> = (0..UNREAD).map(|_| stalled(&gateway, &request)).collect();
        pass_turns(&gateway, 100);
        honest.end();
        let grown = peak_growth(&gateway, before);
        println!("{}: {UNREAD} unread answers let memory grow by {grown} bytes", case.what);
        // What they take while they are read, side by side, and what is on its way out.
        let most = UNREAD as u64 * (3 * case.body.len() as u64 + (256 << 10)) + ANSWERED + (16 << 20);
        assert!(grown < most, "{}: {UNREAD} unread answers let memory grow by {grown} bytes", case.what);
        drop(kept);
    }
}

/// Redirects that nobody reads: they are what has to go when there is too much, not the scrape of somebody else.
#[test]
fn unread_redirects_take_nothing_from_a_scrape() {
    let gateway = Server::start(&["--limit.answered-bytes=3000000"], "");
    let body: String = (0..8000).map(|at| format!("m{{i=\"{at:0100}\"}} 1\n")).collect();
    put_well(&gateway, "/metrics/job/a", body);
    // More of them than the kernel takes from the gateway.
    let redirects = format!("GET //{} HTTP/1.1\r\nHost: x\r\n\r\n", "n".repeat(1_000_000)).repeat(3);
    let unread: Vec<_> = (0..12)
        .map(|_| {
            let stream = stalled(&gateway, &redirects);
            pass_turns(&gateway, 50);
            stream
        })
        .collect();
    // A sweep, which is once a second.
    std::thread::sleep(Duration::from_millis(1200));
    let before = memory(&gateway, "VmRSS");
    for encoding in ["identity", "gzip"] {
        // A reader that takes its time: a scrape that is cut ends early.
        let question = super::get_head("/metrics", &format!("Accept-Encoding: {encoding}\r\nConnection: close\r\n"));
        let mut stream = super::reading(&gateway, &question);
        std::thread::sleep(Duration::from_millis(2500));
        let (answer, _) = rest(&mut stream, wire::TIMEOUT);
        let response = wire::parse(answer, false, "GET");
        assert_eq!(response.status, Some(200), "{encoding}");
        assert_eq!(response.text_lossy().matches("\nm{").count(), 8000, "{encoding}: cut");
    }
    println!("{} clients do not read redirects: {before} bytes", unread.len());
    assert!(before < 28 << 20, "{} clients that do not read redirects: {before} bytes", unread.len());
}
