//! Requests that are refused with a text about something large: what is answered, logged and kept is short.

use std::io::Write;
use std::net::TcpStream;

use pushgateway::exposition::wire as pb;
use pushgateway::limits::{ERROR_BYTES_MAX, FAILURE_REASON_BYTES_MAX, LOG_VALUE_BYTES_MAX};

use super::{gzip, resident};
use crate::server::Server;
use crate::wire::{self, DELIMITED, Response};

/// What a long token consists of: plain, escaped to four bytes each, not UTF-8.
const UNITS: [&[u8]; 3] = [b"x", b"\x01", b"\xff"];

/// Bytes of a long token: more than an answer may have. A head takes it, and so does the value of a label.
const LONG: usize = 120_000;

/// Longest line of the log: two values that are as long as they may be, escaped to six bytes each, and some words.
const LOG_LINE_BYTES_MAX: usize = 2 * 6 * LOG_VALUE_BYTES_MAX + 1000;

/// Checks that an answer is as short as errors have to be. A `Location` stays whole, as clients need it.
#[track_caller]
fn check_short(response: &Response, what: &str) {
    let status = response.status.unwrap_or_default();
    assert!((300..600).contains(&status), "{what}: {status}");
    let location = response.header("Location").unwrap_or_default().len();
    assert!(response.body.len() <= ERROR_BYTES_MAX, "{what}: {status} with {} bytes", response.body.len());
    assert!(response.raw.len() - location <= ERROR_BYTES_MAX + 1000, "{what}: {} bytes", response.raw.len());
}

fn check_log(log: &str) {
    for line in log.lines() {
        assert!(line.len() <= LOG_LINE_BYTES_MAX, "{} bytes: {line:.300}", line.len());
    }
}

/// Text bodies with `*` for a token that makes the body wrong, or is what a message is about.
const BODIES: [&str; 20] = [
    "m *\n",
    "m 1 *\n",
    "m 1 1 *\n",
    "# TYPE m *\n",
    "m{l=\"*\n",
    "m{l=\"*\"x} 1\n",
    "m{l=\"*\u{ff}\"} 1\n",
    "m{*\n",
    "m{\"-*\"=\"v\"} 1\n",
    "{\"-*\"} 1\n",
    "# TYPE s summary\ns{quantile=\"*\"} 1\n",
    "m{l=\"*\"} 1\nm{l=\"*\"} 1\n",
    "m{a=\"*\",b=\"*\",c=\"*\",d=\"*\"} 1\nm{a=\"*\",b=\"*\",c=\"*\",d=\"*\"} 2\n",
    "m{__a=\"*\"} 1\n",
    "# TYPE h histogram\nh_count{__a=\"*\"} 1\n",
    "n_*{__a=\"\"} 1\n",
    "# TYPE n_* histogram\nn_*_count 1\n# TYPE n_*_count gauge\nn_*_count{x=\"y\"} 1\n",
    "# HELP n_* x\n# HELP n_* x\n",
    "# TYPE taken counter\ntaken{l=\"*\"} 1\n",
    "# HELP pushgateway_http_requests_total *\n# TYPE pushgateway_http_requests_total counter\npushgateway_http_requests_total 1\n",
];

fn text(template: &str, token: &[u8]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = template.split('*').map(|part| part.chars().map(|c| c as u8).collect()).collect();
    parts.join(token)
}

/// A family in protobuf with so many metrics of these labels, whose values are those of gauges.
fn family(name: &[u8], kind: u64, labels: &[(&[u8], &[u8])], metrics: usize) -> Vec<u8> {
    let (mut family, mut metric) = (Vec::new(), Vec::new());
    for (name, value) in labels {
        let mut label = Vec::new();
        pb::write_bytes(&mut label, 1, name);
        pb::write_bytes(&mut label, 2, value);
        pb::write_bytes(&mut metric, 1, &label);
    }
    metric.extend_from_slice(b"\x12\x09\x09\0\0\0\0\0\0\0\0");
    pb::write_bytes(&mut family, 1, name);
    family.push(0x18);
    pb::write_varint(&mut family, kind);
    for _ in 0..metrics {
        pb::write_bytes(&mut family, 4, &metric);
    }
    let mut body = Vec::new();
    pb::write_varint(&mut body, family.len() as u64);
    body.extend_from_slice(&family);
    body
}

fn protobufs(token: &[u8]) -> Vec<Vec<u8>> {
    const GAUGE: u64 = 1;
    let label: (&[u8], &[u8]) = (b"l", token);
    let tenth = &token[..LONG / 10];
    vec![
        family(token, 99, &[], 1),
        family(&[token, b"\xff"].concat(), GAUGE, &[], 1),
        family(b"m", 4, &[label], 1),
        family(b"m", GAUGE, &[label, label], 1),
        family(b"m", GAUGE, &[(&[b"__", token].concat(), token)], 1),
        family(b"m", GAUGE, &[(b"l", &[token, b"\xff"].concat())], 1),
        family(b"m", GAUGE, &vec![(&tenth[..10], &tenth[..10]); LONG / 20], 1),
        family(b"m", GAUGE, &[(b"l", tenth)], 30),
    ]
}

/// Method and target of requests whose target is wrong, with `*` for a part that is long.
const TARGETS: [(&str, &str); 14] = [
    ("PUT", "/metrics/job@base64/*!"),
    ("PUT", "/metrics/job/j/*"),
    ("PUT", "/metrics/job/j/-*/v"),
    ("PUT", "/metrics/job/j/a@base64/*!"),
    ("PUT", "/metrics/job/j/a/*%ff"),
    ("DELETE", "/metrics/job@base64/*!"),
    ("DELETE", "/metrics/job/j/*"),
    ("GET", "/api/v1/groups/job/j/*"),
    ("GET", "/metrics//job/*"),
    ("GET", "/METRICS/?*"),
    ("PUT", "/metrics//job/*"),
    ("GET", "/*"),
    ("PATCH", "/-/healthy?*"),
    ("GET", "/static/*"),
];

/// The same with what a query may have.
const QUERIES: [(&str, &str); 6] = [
    ("GET", "/api/v1/groups?*"),
    ("GET", "/api/v1/groups?sort=*"),
    ("GET", "/api/v1/groups?limit=*"),
    ("GET", "/api/v1/groups?search=%22*"),
    ("GET", "/api/v1/groups?state=*"),
    ("PUT", "/api/v1/groups/delete?search=%3D*&expect=1"),
];

fn escaped(token: &[u8]) -> String {
    if token[0] == b'x' {
        return String::from_utf8_lossy(token).into_owned();
    }
    format!("%{:02x}", token[0]).repeat(token.len() / 3)
}

fn send_targets(gateway: &Server, token: &[u8]) {
    let all = TARGETS.iter().map(|target| (target, LONG)).chain(QUERIES.iter().map(|query| (query, 7000)));
    for ((method, target), bytes) in all {
        let path = target.replace('*', &escaped(&token[..bytes]));
        let response = gateway.request(method, &path, None);
        check_short(&response, target);
        // A link to the same target is no quote of it.
        if let Some(location) = response.header("Location") {
            assert!(location.len() >= bytes && response.body.len() < 2000, "{target}");
        }
    }
}

fn send_heads(gateway: &Server) {
    let long = "x".repeat(LONG);
    for head in [
        format!("GET / HTTP/1.1\r\nHost: {long}<\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nExpect: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {long}\r\n\r\n"),
        format!("GET / HTTP/{long}\r\nHost: x\r\n\r\n"),
        format!("{long} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        format!("GET {long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{long}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(2 << 20)),
    ] {
        let response = wire::exchange(gateway.addr, head.as_bytes(), "GET", false, wire::TIMEOUT);
        check_short(&response, &head[..50.min(head.len())]);
    }
}

fn send_bodies(gateway: &Server, token: &[u8]) {
    for template in BODIES {
        let response = gateway.request("PUT", "/metrics/job/j", Some(&text(template, token)));
        // Without names in UTF-8, and with bytes that are not text, some are refused for another reason.
        check_short(&response, template);
    }
    let headers = format!("Content-Type: {DELIMITED}\r\n");
    for (at, body) in protobufs(token).iter().enumerate() {
        let response = wire::request_with(gateway.addr, "PUT", "/metrics/job/j", &headers, Some(body));
        check_short(&response, &format!("protobuf {at}"));
    }
    // Twenty problems about something long each, and many more that are not listed.
    let value = [b"m{l=\"", &token[..LONG / 10], b"\"} 1\n"].concat();
    let reserved: Vec<u8> =
        (0..30).flat_map(|at| text(&format!("m{{__{at}=\"*\"}} 1\n"), &token[..LONG / 10])).collect();
    for body in [value.repeat(21), reserved] {
        check_short(&gateway.request("PUT", "/metrics/job/j", Some(&body)), "many problems");
    }
}

/// Everything of that kind, with all levels of the log on.
#[test]
fn what_is_sent_makes_no_answer_no_line_and_no_reason_large() {
    for format in ["logfmt", "json"] {
        let gateway = Server::start(&["--log.level=debug", &format!("--log.format={format}")], "");
        assert_eq!(
            gateway.request("PUT", "/metrics/job/other", Some(b"# TYPE taken gauge\ntaken 1\n")).status,
            Some(200)
        );
        for unit in UNITS {
            let token = unit.repeat(LONG);
            send_bodies(&gateway, &token);
            send_targets(&gateway, &token);
        }
        send_heads(&gateway);
        let list: serde_json::Value =
            serde_json::from_slice(&gateway.request("GET", "/api/v1/groups", None).body).expect("it is JSON");
        let reasons = list["data"]["groups"].as_array().expect("a list").iter();
        let reasons: Vec<_> = reasons.filter_map(|group| group["failure"].as_str()).collect();
        assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason.len() <= FAILURE_REASON_BYTES_MAX));
        let log = gateway.log();
        for message in ["failed to parse text", "failed to parse URL", "invalid base64 encoding in job name"] {
            assert!(log.contains(message), "{message} is logged");
        }
        check_log(&log);
    }
}

/// Nor does what was pushed unchecked make a large answer to those who scrape, or ask whether they could.
#[test]
fn what_was_pushed_unchecked_makes_no_answer_large() {
    let gateway = Server::start(&["--push.disable-consistency-check"], "");
    let (value, name) = ("\u{1}".repeat(LONG / 10), "n".repeat(LONG / 10));
    let series: String = (0..30).map(|at| format!("m{{a=\"{value}\",b=\"{at}\"}} 1\n")).collect();
    for (job, kind) in [("a", "gauge"), ("b", "counter")] {
        let body = format!("# TYPE m {kind}\n{series}# TYPE {name} {kind}\n{name} 1\n");
        assert_eq!(gateway.request("PUT", &format!("/metrics/job/{job}"), Some(body.as_bytes())).status, Some(202));
    }
    let scrape = gateway.request("GET", "/metrics", None);
    check_short(&scrape, "a scrape");
    let text = scrape.text_lossy();
    assert!(text.contains("31 error(s) occurred:") && text.contains(" more\n"), "{text:.300}");
    check_short(&gateway.request("GET", "/-/ready", None), "readiness");
    check_log(&gateway.log());
}

/// Small requests of which each would have a large answer, from clients that do not read it.
#[test]
fn unread_errors_take_little_memory() {
    const CLIENTS: usize = 40;
    let gateway = Server::start(&[], "");
    let body = gzip(&[b"m ", &*vec![1; 1 << 20], b"\n"].concat());
    let head = format!(
        "PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    let send = || {
        let mut stream = TcpStream::connect(gateway.addr).expect("the gateway listens");
        stream.write_all(&request).expect("the gateway reads");
        // The first byte of the answer shows that it is made.
        assert_eq!(stream.peek(&mut [0]).expect("the gateway answers"), 1);
        stream
    };
    drop(send());
    let before = resident(&gateway);
    let clients: Vec<_> = (0..CLIENTS).map(|_| send()).collect();
    let grown = resident(&gateway).saturating_sub(before);
    assert!(grown < 8 << 20, "{} unread answers take {grown} bytes", clients.len());
}
