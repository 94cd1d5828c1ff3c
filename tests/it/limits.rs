//! Limits: what is beyond one is refused with its name, value and flag, is counted, and changes nothing.

use std::io::Write;

use crate::server::Server;
use crate::wire::{self, Response};

/// A push of so many series with one label each.
fn series(count: usize) -> Vec<u8> {
    (0..count).map(|at| format!("m{{id=\"{at}\"}} 1\n")).collect::<String>().into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

fn put(gateway: &Server, path: &str, headers: &str, body: &[u8]) -> Response {
    wire::request_with(gateway.addr, "PUT", path, headers, Some(body))
}

/// The scrape without what the gateway says about itself.
fn stored(gateway: &Server) -> String {
    let scrape = gateway.scrape();
    let lines =
        scrape.lines().filter(|line| !["pushgateway_", "process_", "promhttp_"].iter().any(|own| line.contains(own)));
    lines.map(|line| format!("{line}\n")).collect()
}

fn refusals(gateway: &Server, limit: &str) -> String {
    let series = format!("pushgateway_limit_refusals_total{{limit=\"{limit}\"}} ");
    let scrape = gateway.scrape();
    let line = scrape.lines().find_map(|line| line.strip_prefix(&*series));
    line.expect("every limit has its counter").to_owned()
}

/// A gateway with one limit, a push that keeps it and one that does not.
#[track_caller]
fn check(limit: &str, kept: (&str, &str, &[u8]), refused: (&str, &str, &[u8]), status: u16, text: &str) {
    let flag = format!("--limit.{limit}");
    let gateway = Server::start(&[&flag], "");
    let name = limit.split('=').next().expect("a name");
    assert_eq!(put(&gateway, kept.0, kept.1, kept.2).status, Some(200), "{limit}");
    let before = stored(&gateway);
    let response = put(&gateway, refused.0, refused.1, refused.2);
    assert_eq!((response.status, response.text_lossy()), (Some(status), format!("{text} ({flag})\n")), "{limit}");
    assert_eq!(refusals(&gateway, name), "1", "{limit}");
    assert_eq!(stored(&gateway), before, "{limit}");
    assert_eq!(put(&gateway, kept.0, kept.1, kept.2).status, Some(200), "{limit}");
}

#[test]
fn what_a_push_may_be() {
    let (job, none) = ("/metrics/job/j", "");
    let long = format!("m{{l=\"{}\"}} 1\n", "v".repeat(21)).into_bytes();
    let name = format!("m{{{}=\"v\"}} 1\n", "l".repeat(21)).into_bytes();
    let chunked = "Transfer-Encoding: chunked\r\n";
    check("body-bytes=20", (job, none, b"m 1\n"), (job, none, &series(5)), 413, "the body is longer than 20 bytes");
    let text = "the body decompresses to more than 100 bytes";
    let coded = "Content-Encoding: gzip\r\n";
    check("inflated-bytes=100", (job, coded, &gzip(&series(5))), (job, coded, &gzip(&series(9))), 413, text);
    check("push-series=5", (job, none, &series(5)), (job, none, &series(6)), 413, "the push has more than 5 series");
    let path = "/metrics/job/j/a/1/b/2";
    let text = "a series has more than 3 labels";
    check("series-labels=3", (path, none, b"m{a=\"x\"} 1\n"), (path, none, b"m{c=\"x\"} 1\n"), 413, text);
    check("series-labels=2", (job, none, b"m 1\n"), (path, none, b"m 1\n"), 413, "a series has more than 2 labels");
    let text = "a label's name is longer than 20 bytes";
    check("label-name-bytes=20", (job, none, &long), (job, none, &name), 413, text);
    let text = "a label's value, a metric's name or a help text is longer than 20 bytes";
    let [short_help, long_help] = [20, 21].map(|len| format!("# HELP m {}\n", "h".repeat(len)).into_bytes());
    check("label-value-bytes=20", (job, none, &short_help), (job, none, &long_help), 413, text);
    check("label-value-bytes=20", (job, none, &name), (job, none, &long), 413, text);
    check("label-value-bytes=20", (job, none, &name), ("/metrics/job/j/a/123456789012345678901", none, b""), 413, text);
    let gateway = Server::start(&["--limit.body-bytes=20"], "");
    let body = b"c\r\n# a comment \r\nc\r\nand more of \r\n0\r\n\r\n";
    let head = format!("PUT {job} HTTP/1.1\r\nHost: x\r\n{chunked}\r\n");
    let response = wire::exchange(gateway.addr, &[head.as_bytes(), body].concat(), "PUT", false, wire::TIMEOUT);
    assert_eq!(response.status, Some(413), "{}", response.text_lossy());
}

#[test]
fn what_a_push_may_look_up() {
    let gateway = Server::start(&["--limit.push-lookups=115"], "");
    let labels = ["a", "b", "c", "d", "e"];
    let path = |job: &str, set: usize| {
        let chosen = labels.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        chosen.fold(format!("/metrics/job/{job}"), |path, (_, name)| format!("{path}/{name}/v"))
    };
    let all = (1 << labels.len()) - 1;
    for set in 1..all {
        assert_eq!(put(&gateway, &path("j", set), "", b"m 1\n").status, Some(200), "{set}");
    }
    let before = stored(&gateway);
    let response = put(&gateway, &path("j", all), "", b"m 1\n");
    let text = "the push takes more than 115 look-ups of groups with other label names (--limit.push-lookups=115)\n";
    assert_eq!((response.status, response.text_lossy().as_str()), (Some(413), text));
    assert_eq!((refusals(&gateway, "push-lookups").as_str(), stored(&gateway)), ("1", before));
    let status = put(&gateway, &path("k", all), "", b"m 1\n").status;
    assert_eq!(status, Some(200), "no group of that job has other labels");
}

#[test]
fn what_the_store_may_hold() {
    let (job, other, none) = ("/metrics/job/j", "/metrics/job/k", "");
    let text = "the store has no room for another group: it may hold 1";
    check("groups=1", (job, none, b"m 1\n"), (other, none, b"m 1\n"), 503, text);
    let text = "the store has no room for these series: it may hold 7";
    check("series=7", (job, none, &series(5)), (other, none, b""), 503, text);
    check("series=7", (job, none, &series(5)), (job, none, &series(6)), 503, text);
    let text = "the store has no room for a group with these label names: groups may have 1 different sets of them";
    check("grouping-names=1", (job, none, b"m 1\n"), ("/metrics/job/j/a/b", none, b"m 1\n"), 503, text);
    let text = "the store has no room for this push: it may hold 40000 bytes";
    check("store-bytes=40000", (job, none, &series(500)), (other, none, &series(500)), 503, text);
}

const PROTOBUF: &str = "Content-Type: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                        encoding=delimited\r\n";

/// A field of a protobuf message that has bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
    out
}

/// A delimited family `h` of one metric with these labels, and this message of a histogram.
fn histogram(labels: &[Vec<u8>], message: &[u8]) -> Vec<u8> {
    let metric = [labels.concat(), field(7, message)].concat();
    let family = [field(1, b"h"), b"\x18\x04".to_vec(), field(4, &metric)].concat();
    field(1, &family).split_off(1)
}

/// A native histogram with two spans of one byte's length, and packed deltas on both sides.
fn native(negative: u8, positive: u8) -> Vec<u8> {
    let side = |first: u8, buckets: u8| {
        let deltas = vec![0; usize::from(buckets)];
        [field(first, &[0x10, buckets]), field(first + 1, &deltas)].concat()
    };
    histogram(&[], &[side(9, negative), side(12, positive)].concat())
}

/// Beside its line for infinity, sum and count, each native bucket and each span is a series, of a push and of the store.
#[test]
fn native_buckets_are_series() {
    let (job, other) = ("/metrics/job/j", "/metrics/job/k");
    let text = "the push has more than 25 series";
    check("push-series=25", (job, PROTOBUF, &native(10, 10)), (job, PROTOBUF, &native(10, 11)), 413, text);
    let gzipped = format!("{PROTOBUF}Content-Encoding: gzip\r\n");
    check("push-series=25", (job, PROTOBUF, &native(0, 20)), (job, &gzipped, &gzip(&native(100, 100))), 413, text);
    let text = "the store has no room for these series: it may hold 32";
    check("series=32", (job, PROTOBUF, &native(10, 10)), (other, PROTOBUF, &native(0, 0)), 503, text);
    check("series=32", (job, PROTOBUF, &native(15, 10)), (job, PROTOBUF, &native(15, 11)), 503, text);
    let unpacked = histogram(&[], &[field(12, &[0x10, 20]), b"\x68\x00".repeat(20)].concat());
    let text = "the push has more than 23 series";
    check("push-series=23", (job, "", b"m 1\n"), (job, PROTOBUF, &unpacked), 413, text);
    // What goes gives its room back.
    let gateway = Server::start(&["--limit.series=32"], "");
    for (path, body, status) in
        [(job, native(12, 12), 200), (job, native(1, 1), 200), (other, native(5, 5), 200), (other, native(9, 9), 503)]
    {
        assert_eq!(put(&gateway, path, PROTOBUF, &body).status, Some(status), "{path}");
    }
    assert_eq!(gateway.request("DELETE", job, None).status, Some(202));
    assert_eq!(put(&gateway, other, PROTOBUF, &native(12, 12)).status, Some(200));
}

#[test]
fn a_span_claims_no_more_buckets_than_there_are() {
    let gateway = Server::start(&[], "");
    for spans in [&[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f][..], b"\x10\x02", b"\x08\xfe\xff\xff\xff\x0f\x10\x03"] {
        let body = histogram(&[], &[field(12, spans), field(13, &[0; 3])].concat());
        let response = put(&gateway, "/metrics/job/j", PROTOBUF, &body);
        let text = "metric family \"h\": native histogram with impossible spans\n";
        assert_eq!((response.status, response.text_lossy().as_str()), (Some(400), text));
    }
    assert_eq!(stored(&gateway), "");
}

/// A label of a megabyte, and two bytes for each of 65,000 buckets: the lines would be 65 GB.
#[test]
fn a_body_does_not_become_any_multiple_of_itself() {
    let gateway = Server::start(&["--limit.received-bytes=50000000"], "");
    let label = field(1, &[field(1, b"l"), field(2, &[b'v'; 1 << 20])].concat());
    let body = histogram(&[label], &b"\x1a\x00".repeat(65_000));
    let response = put(&gateway, "/metrics/job/j", PROTOBUF, &body);
    assert_eq!(response.status, Some(503), "{}", response.text_lossy());
    let path = format!("/metrics/job/{}", "j".repeat(1 << 20));
    let response = put(&gateway, &path, "", &series(10_000));
    assert_eq!(response.status, Some(503), "{}", response.text_lossy());
    assert_eq!(refusals(&gateway, "received-bytes"), "2");
    assert_eq!(put(&gateway, "/metrics/job/j", "", b"m 1\n").status, Some(200));
}

#[test]
fn a_head_that_is_too_long_names_the_flag() {
    let gateway = Server::start(&["--limit.head-bytes=2048"], "");
    let check = |bytes: usize, status: u16| {
        let head =
            format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n", "x".repeat(bytes));
        let response = wire::exchange(gateway.addr, head.as_bytes(), "GET", false, wire::TIMEOUT);
        assert_eq!(response.status, Some(status), "{bytes}: {}", response.text_lossy());
        response.text_lossy()
    };
    check(1900, 200);
    let text = "431 Request Header Fields Too Large: more than 2048 bytes (--limit.head-bytes=2048)";
    assert_eq!(check(2100, 431), text);
    assert_eq!(check(300_000, 431), text);
    assert_eq!(refusals(&gateway, "head-bytes"), "2");
}

#[test]
fn readiness_is_more_than_liveness() {
    let gateway = Server::start(&["--limit.series=3"], "");
    let status = |path: &str| gateway.request("GET", path, None).status;
    assert_eq!((status("/-/healthy"), status("/-/ready")), (Some(200), Some(200)));
    assert_eq!(gateway.request("PUT", "/metrics/job/j", Some(b"m 1\n")).status, Some(200));
    let response = gateway.request("GET", "/-/ready", None);
    let text =
        "not available now, try again: the store has no room for these series: it may hold 3 (--limit.series=3)\n";
    assert_eq!((response.status, response.text_lossy().as_str()), (Some(503), text));
    assert_eq!(status("/-/healthy"), Some(200));
    assert_eq!(gateway.request("DELETE", "/metrics/job/j", None).status, Some(202));
    assert_eq!(status("/-/ready"), Some(200));
}

#[test]
fn a_store_that_cannot_be_scraped_is_not_ready() {
    let gateway = Server::start(&["--push.disable-consistency-check"], "");
    let status = |path: &str| gateway.request("GET", path, None).status;
    assert_eq!(gateway.request("PUT", "/metrics/job/j", Some(b"# TYPE m gauge\nm 1\n")).status, Some(202));
    assert_eq!((status("/-/ready"), status("/metrics")), (Some(200), Some(200)));
    assert_eq!(gateway.request("PUT", "/metrics/job/k", Some(b"# TYPE m counter\nm 1\n")).status, Some(202));
    assert_eq!((status("/-/ready"), status("/metrics"), status("/-/healthy")), (Some(503), Some(500), Some(200)));
    assert_eq!(gateway.request("DELETE", "/metrics/job/k", None).status, Some(202));
    assert_eq!((status("/-/ready"), status("/metrics")), (Some(200), Some(200)));
}

#[test]
fn flags_for_limits_are_listed() {
    let gateway = Server::start(&["--limit.groups=7", "--limit.head-time=90s"], "");
    let status: serde_json::Value =
        serde_json::from_slice(&gateway.request("GET", "/api/v1/status", None).body).expect("it is JSON");
    let flags = &status["data"]["flags"];
    assert_eq!((&flags["limit.groups"], &flags["limit.head-time"]), (&"7".into(), &"1m30s".into()));
    assert_eq!((&flags["limit.series"], &flags["limit.idle-time"]), (&"10000000".into(), &"15m0s".into()));
}

#[test]
fn the_readme_lists_every_limit_with_its_default() {
    let readme = include_str!("../../README.md");
    let gateway = Server::start(&[], "");
    let status: serde_json::Value =
        serde_json::from_slice(&gateway.request("GET", "/api/v1/status", None).body).expect("it is JSON");
    let flags = status["data"]["flags"].as_object().expect("an object");
    let limits: Vec<_> = flags.iter().filter(|(name, _)| name.starts_with("limit.")).collect();
    assert!(limits.len() > 20);
    for (name, value) in limits {
        let row = format!("| `--{name}` | `{}` |", value.as_str().expect("a text"));
        assert!(readme.contains(&row), "{row}");
    }
}
