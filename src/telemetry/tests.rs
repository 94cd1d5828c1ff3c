//! The rendered lines as a whole.

use super::*;

fn build() -> Build {
    Build {
        version: "1.2.3",
        revision: "a\"b\\c\nd",
        branch: "main",
        user: "",
        date: "",
        go_version: "rustc 1.95.0",
        goos: "linux",
        goarch: "amd64",
        tags: "",
    }
}

/// All lines but those of `process_*`, whose values are the machine's, and those of the limits, which are many.
fn rendered(telemetry: &mut Telemetry, seconds: u64) -> String {
    let mut out = Vec::new();
    let mut next = 0;
    telemetry.render(Duration::from_secs(seconds), None, &mut |index, lines| {
        assert_eq!(index, next);
        next += 1;
        if index >= SCRAPES_IN_FLIGHT && index != LIMIT_REFUSALS {
            out.extend_from_slice(lines);
        }
    });
    assert_eq!(next, FAMILIES.len());
    String::from_utf8(out).unwrap()
}

#[test]
fn families_are_in_name_order_and_their_places_known() {
    assert!(FAMILIES.is_sorted_by(|a, b| a.name < b.name));
    let check = |index: usize, name: &str| assert_eq!(FAMILIES[index].name, name);
    check(SCRAPES_IN_FLIGHT, "promhttp_metric_handler_requests_in_flight");
    check(SCRAPES, "promhttp_metric_handler_requests_total");
    check(BUILD_INFO, "pushgateway_build_info");
    check(PUSH_DURATION, "pushgateway_http_push_duration_seconds");
    check(PUSH_SIZE, "pushgateway_http_push_size_bytes");
    check(REQUESTS, "pushgateway_http_requests_total");
    check(LIMIT_REFUSALS, "pushgateway_limit_refusals_total");
    check(PAGES_COMPRESSED, "pushgateway_scrape_pages_compressed_total");
    assert!(FAMILIES[..process::READINGS].iter().all(|family| family.name.starts_with("process_")));
}

#[test]
fn label_values_are_in_their_order() {
    use {Handler as H, Method as M};
    let handlers = [
        H::ApiMetrics,
        H::ApiOptions,
        H::ApiStatus,
        H::Delete,
        H::Healthy,
        H::Push,
        H::Ready,
        H::Static,
        H::Status,
        H::Wipe,
    ];
    assert!(handlers.is_sorted() && handlers.is_sorted_by_key(|handler| handler.name()));
    let methods = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "get"];
    let methods = methods.map(|token| M::of(token.as_bytes()));
    assert!(methods.is_sorted() && methods.is_sorted_by_key(|method| method.name()));
    assert_eq!(methods[9], M::Unknown);
}

#[test]
fn a_fresh_server() {
    let expected = r#"promhttp_metric_handler_requests_in_flight 0
promhttp_metric_handler_requests_total{code="200"} 0
promhttp_metric_handler_requests_total{code="500"} 0
promhttp_metric_handler_requests_total{code="503"} 0
pushgateway_build_info{branch="main",goarch="amd64",goos="linux",goversion="rustc 1.95.0",revision="a\"b\\c\nd",tags="",version="1.2.3"} 1
pushgateway_scrape_pages_compressed_total 0
"#;
    assert_eq!(rendered(&mut Telemetry::new(&build(), Timestamp(0)), 0), expected);
}

#[test]
fn a_used_server() {
    let mut telemetry = Telemetry::new(&build(), Timestamp(0));
    telemetry.scrape_started();
    telemetry.scrape_started();
    telemetry.scrape_ended(200);
    telemetry.scrape_started();
    telemetry.scrape_ended(418);
    telemetry.count_request(Handler::Push, Method::Put, 400);
    telemetry.count_request(Handler::Push, Method::Post, 200);
    telemetry.count_request(Handler::ApiStatus, Method::Get, 200);
    telemetry.count_request(Handler::Push, Method::Put, 400);
    telemetry.count_compressed_page();
    telemetry.count_compressed_page();
    telemetry.observe_push(Method::Put, 147, 0.000_326_585, Duration::from_secs(10));
    telemetry.observe_push(Method::Post, 2_000_000, 1.5, Duration::from_secs(10));
    telemetry.observe_push(Method::Post, 2_000_000, 1.5, Duration::from_secs(700));
    let expected = r#"promhttp_metric_handler_requests_in_flight 1
promhttp_metric_handler_requests_total{code="200"} 1
promhttp_metric_handler_requests_total{code="500"} 1
promhttp_metric_handler_requests_total{code="503"} 0
pushgateway_build_info{branch="main",goarch="amd64",goos="linux",goversion="rustc 1.95.0",revision="a\"b\\c\nd",tags="",version="1.2.3"} 1
pushgateway_http_push_duration_seconds{method="post",quantile="0.1"} 1.5
pushgateway_http_push_duration_seconds{method="post",quantile="0.5"} 1.5
pushgateway_http_push_duration_seconds{method="post",quantile="0.9"} 1.5
pushgateway_http_push_duration_seconds_sum{method="post"} 3
pushgateway_http_push_duration_seconds_count{method="post"} 2
pushgateway_http_push_duration_seconds{method="put",quantile="0.1"} NaN
pushgateway_http_push_duration_seconds{method="put",quantile="0.5"} NaN
pushgateway_http_push_duration_seconds{method="put",quantile="0.9"} NaN
pushgateway_http_push_duration_seconds_sum{method="put"} 0.000326585
pushgateway_http_push_duration_seconds_count{method="put"} 1
pushgateway_http_push_size_bytes{method="post",quantile="0.1"} 2e+06
pushgateway_http_push_size_bytes{method="post",quantile="0.5"} 2e+06
pushgateway_http_push_size_bytes{method="post",quantile="0.9"} 2e+06
pushgateway_http_push_size_bytes_sum{method="post"} 4e+06
pushgateway_http_push_size_bytes_count{method="post"} 2
pushgateway_http_push_size_bytes{method="put",quantile="0.1"} NaN
pushgateway_http_push_size_bytes{method="put",quantile="0.5"} NaN
pushgateway_http_push_size_bytes{method="put",quantile="0.9"} NaN
pushgateway_http_push_size_bytes_sum{method="put"} 147
pushgateway_http_push_size_bytes_count{method="put"} 1
pushgateway_http_requests_total{code="200",handler="api/v1/status",method="get"} 1
pushgateway_http_requests_total{code="200",handler="push",method="post"} 1
pushgateway_http_requests_total{code="400",handler="push",method="put"} 2
pushgateway_scrape_pages_compressed_total 2
"#;
    assert_eq!(rendered(&mut telemetry, 700), expected);
}

#[test]
fn nothing_is_allocated_once_warm() {
    let mut telemetry = Telemetry::new(&build(), Timestamp(0));
    let mut bytes = 0;
    let mut turn = |seconds: u64| {
        let now = Duration::from_secs(seconds);
        telemetry.scrape_started();
        telemetry.count_request(Handler::Push, Method::Put, 200);
        telemetry.count_request(Handler::Push, Method::Post, 400);
        telemetry.observe_push(Method::Put, 1000 + seconds, 0.001, now);
        telemetry.observe_push(Method::Post, 3000 + seconds, 0.002, now);
        telemetry.render(now, Some(&Persistence::default()), &mut |_, lines| bytes += lines.len());
        telemetry.scrape_ended(200);
    };
    // The numbers of the second phase are no longer than those of the first.
    (0..1000).for_each(|step| turn(step * 7));
    let info = allocation_counter::measure(|| (0..1000).for_each(|step| turn(step * 7)));
    assert_eq!(info.count_total, 0, "{info:?}");
    assert!(bytes > 0);
}

#[test]
fn refusals_are_counted_by_limit() {
    let mut telemetry = Telemetry::new(&build(), Timestamp(0));
    telemetry.count_refusal(Limit::Groups);
    telemetry.count_refusal(Limit::Groups);
    let mut lines = Vec::new();
    telemetry.render(Duration::ZERO, None, &mut |index, family| {
        if index == LIMIT_REFUSALS {
            lines.extend_from_slice(family);
        }
    });
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().count(), LIMITS_COUNT);
    assert!(lines.contains("pushgateway_limit_refusals_total{limit=\"groups\"} 2\n"), "{lines}");
    assert!(lines.contains("pushgateway_limit_refusals_total{limit=\"body-bytes\"} 0\n"), "{lines}");
}
