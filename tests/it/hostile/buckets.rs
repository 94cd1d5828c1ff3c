//! One metric may be as large as a push: histograms with many buckets, native ones and others. They are taken, shown
//! and scraped piece by piece, within little memory.

use serde_json::Value;

use super::{Honest, get_head, gzip, memory, peak_growth, proto, put_well, reading, stalled};
use crate::server::Server;
use crate::wire;

const BUCKETS: usize = 150_000;

fn classic(buckets: usize) -> String {
    let lines: String = (0..buckets).map(|at| format!("h_bucket{{le=\"{at}\"}} {at}\n")).collect();
    format!("# TYPE h histogram\n{lines}h_bucket{{le=\"+Inf\"}} {buckets}\nh_sum 1\nh_count {buckets}\n")
}

fn quantiles(count: usize) -> String {
    let lines: String = (0..count).map(|at| format!("s{{quantile=\"0.{at:06}\"}} {at}\n")).collect();
    format!("# TYPE s summary\n{lines}s_sum 1\ns_count {count}\n")
}

fn push_coded(gateway: &Server, headers: &str, body: &[u8]) -> wire::Response {
    let headers = format!("{headers}Content-Encoding: gzip\r\n");
    wire::request_with(gateway.addr, "PUT", "/metrics/job/a", &headers, Some(&gzip(body, 6)))
}

/// Pushes a metric and shows it in all ways, beside an honest client. What is shown, as JSON.
fn check(what: &str, headers: &str, body: &[u8]) -> Value {
    let mut gateway = Server::start(&[], "");
    let honest = Honest::start(&gateway);
    let response = push_coded(&gateway, headers, body);
    assert_eq!(response.status, Some(200), "{what}: {:.300}", response.text_lossy());
    let before = memory(&gateway, "VmRSS");
    let json = gateway.request("GET", "/api/v1/groups/job/a", None);
    let grown = peak_growth(&gateway, before);
    assert_eq!(json.status, Some(200), "{what}: {}", gateway.log());
    let most = 2 * before + (16 << 20);
    println!("{what}: {before} bytes, JSON of {} bytes let memory grow by {grown} bytes", json.body.len());
    assert!(grown < most, "{what}: JSON of {} bytes let memory grow by {grown} bytes", json.body.len());
    let accept = format!("Accept: {}\r\n", wire::DELIMITED);
    assert_eq!(wire::request_with(gateway.addr, "GET", "/metrics", &accept, None).status, Some(200), "{what}");
    honest.end();
    assert!(!gateway.has_ended(), "{what}: {}", gateway.log());
    serde_json::from_slice(&json.body).expect("it is JSON")
}

fn metric<'a>(shown: &'a Value, family: &str) -> &'a Value {
    &shown["data"]["group"][family]["metrics"][0]
}

#[test]
fn a_histogram_with_many_buckets_is_shown() {
    let shown = check("classic", "", classic(BUCKETS).as_bytes());
    let buckets = metric(&shown, "h")["buckets"].as_object().expect("an object");
    assert_eq!(buckets.len(), BUCKETS + 1);
    assert_eq!((&buckets["7"], &buckets["+Inf"]), (&"7".into(), &BUCKETS.to_string().into()));
}

#[test]
fn a_summary_with_many_quantiles_is_shown() {
    let shown = check("summary", "", quantiles(BUCKETS).as_bytes());
    assert_eq!(metric(&shown, "s")["quantiles"].as_object().map(|quantiles| quantiles.len()), Some(BUCKETS));
}

#[test]
fn a_native_histogram_with_many_buckets_is_shown() {
    let metrics = std::iter::once(proto::metric(("i", "x"), 7, &proto::native(BUCKETS)));
    let shown = check("native", &proto::header(), &proto::family("h", proto::HISTOGRAM, metrics));
    let text = metric(&shown, "h").to_string();
    assert!(text.matches("\"1\"").count() >= BUCKETS, "{text:.300}");
}

/// A small body that is a large histogram counts as what it is: refused with the flag if it is more than it may be.
#[test]
fn compressed_native_buckets_are_counted() {
    let mut gateway = Server::start(&["--limit.push-series=100000"], "");
    put_well(&gateway, "/metrics/job/a", "kept 1\n");
    let before = memory(&gateway, "VmRSS");
    let body = |buckets: usize| {
        let metrics = std::iter::once(proto::metric(("i", "x"), 7, &proto::native(buckets)));
        proto::family("h", proto::HISTOGRAM, metrics)
    };
    let response = push_coded(&gateway, &proto::header(), &body(20_000_000));
    let text = response.text_lossy();
    assert_eq!(response.status, Some(413), "{text:.300}");
    assert!(text.contains("--limit.push-series=100000"), "{text}");
    assert!(gateway.scrape().contains("kept{instance=\"\",job=\"a\"} 1\n"), "nothing has changed");
    assert_eq!(push_coded(&gateway, &proto::header(), &body(50_000)).status, Some(200));
    let shown = stalled(&gateway, get_head("/api/v1/groups/job/a", ""));
    drop(shown);
    drop(reading(&gateway, &get_head("/api/v1/groups/job/a", "")));
    assert!(!gateway.has_ended(), "{}", gateway.log());
    // The message stands in memory once before it is refused, which may double what holds it.
    let grown = peak_growth(&gateway, before);
    assert!(grown < 80 << 20, "memory grew by {grown} bytes");
}
