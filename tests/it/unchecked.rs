//! `--push.disable-consistency-check`: what the black-box cases do not show. Every way to make the store inconsistent
//! breaks the scrape and nothing else, and deleting the group repairs it.

use crate::server::Server;

const SCRAPE_FAILED: &str = "An error has occurred while serving metrics:\n\n";

fn start() -> Server {
    Server::start(&["--push.disable-consistency-check", "--web.enable-admin-api"], "")
}

fn push(server: &Server, path: &str, body: &str) {
    let response = server.request("PUT", &format!("/metrics/job/{path}"), Some(body.as_bytes()));
    assert_eq!((response.status, response.body.len()), (Some(202), 0), "{path}: {}", response.text_lossy());
}

fn delete(server: &Server, path: &str) {
    let response = server.request("DELETE", &format!("/metrics/job/{path}"), None);
    assert_eq!(response.status, Some(202), "{path}: {response:?}");
}

/// The text of a failed scrape behind its fixed beginning.
fn failure(server: &Server) -> String {
    let response = server.request("GET", "/metrics", None);
    assert_eq!(response.status, Some(500), "{}", response.text_lossy());
    assert_eq!(response.header("X-Content-Type-Options").as_deref(), Some("nosniff"));
    assert_eq!(response.header("Content-Type").as_deref(), Some("text/plain; charset=utf-8"));
    let text = response.text_lossy();
    text.strip_prefix(SCRAPE_FAILED).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn every_inconsistency_breaks_scrapes_until_its_group_is_deleted() {
    let server = start();
    push(&server, "good", "# TYPE a counter\na 1\n# TYPE h histogram\nh_count 1\n");
    let before = server.scrape();
    for (path, body, wanted) in [
        ("bad", "# TYPE a gauge\na 2\n", r#"collected metric "a" {"#),
        ("bad", "# TYPE a gauge\na 2\n", "} is not a COUNTER\n"),
        ("bad", "b 1\nb 2\n", "was collected before with the same name and label values\n"),
        (
            "bad",
            "h_sum 1\n",
            "collected metric named \"h_sum\" collides with previously collected histogram named \"h\"\n",
        ),
        ("bad", "b{__c=\"d\"} 1\n", "has a label with an invalid name: __c\n"),
        ("bad/quantile/1", "# TYPE s summary\ns_sum 1\n", "must not have an explicit \"quantile\" label\n"),
        ("bad/le/1", "# TYPE i histogram\ni_sum 1\n", "must not have an explicit \"le\" label\n"),
        ("good/instance/", "", "collected metric \"push_time_seconds\" {"),
        ("bad", "process_open_fds 1\n", "metric family process_open_fds has type UNTYPED but should have GAUGE\n"),
        (
            "bad",
            "# TYPE pushgateway_http_push_size_bytes summary\npushgateway_http_push_size_bytes_sum 1\n",
            "metric family pushgateway_http_push_size_bytes has help \"\" but should have ",
        ),
    ] {
        push(&server, path, body);
        let text = failure(&server);
        assert!(text.contains(wanted), "{body}: {text}");
        assert_eq!(server.request("GET", "/-/ready", None).status, Some(503), "not ready beside {body}");
        for path in ["/-/healthy", "/", "/api/v1/status", "/api/v1/metrics"] {
            assert_eq!(server.request("GET", path, None).status, Some(200), "{path} beside {body}");
        }
        delete(&server, path);
        let after = server.scrape();
        let lines = |text: &str| text.lines().filter(|line| line.contains("job=\"good\"")).count();
        assert_eq!(lines(&after), lines(&before), "{after}");
        assert!(after.contains("# TYPE a counter\n"), "{after}");
    }
    assert!(server.scrape().contains("promhttp_metric_handler_requests_total{code=\"500\"} 10\n"));
}

#[test]
fn the_kind_shown_is_that_of_who_is_left() {
    let server = start();
    push(&server, "1", "# TYPE a counter\na 1\n");
    push(&server, "2", "# TYPE a summary\na{quantile=\"0.5\"} 3\na_sum 1\na_count 1\n");
    let text = failure(&server);
    assert!(text.ends_with("summary:{sample_count:1}} is not a COUNTER\n"), "{text}");
    let json = server.request("GET", "/api/v1/metrics", None).text_lossy();
    assert!(json.contains(r#""type":"COUNTER""#) && json.contains(r#""type":"SUMMARY""#), "{json}");
    delete(&server, "1");
    assert!(server.scrape().contains("# TYPE a summary\na{instance=\"\",job=\"2\",quantile=\"0.5\"} 3\n"));
    push(&server, "1", "# TYPE a gauge\na 1\n");
    failure(&server);
    push(&server, "2", "# TYPE a gauge\na 2\n");
    let text = server.scrape();
    assert!(text.contains("# TYPE a gauge\na{instance=\"\",job=\"1\"} 1\na{instance=\"\",job=\"2\"} 2\n"), "{text}");
}

#[test]
fn bad_requests_are_refused_as_ever_and_timestamps_silently() {
    let server = start();
    let refused = |path: &str, body: &str| {
        let response = server.request("POST", path, Some(body.as_bytes()));
        assert_eq!(response.status, Some(400), "{path}: {}", response.text_lossy());
    };
    refused("/metrics/job/j", "a b\n");
    refused("/metrics/job@base64/+", "a 1\n");
    refused("/metrics/job/j/x", "a 1\n");
    push(&server, "j", "a 1 1000\n");
    let text = server.scrape();
    assert!(text.contains("push_time_seconds{instance=\"\",job=\"j\"} 0\n"), "{text}");
    assert!(text.contains("push_failure_time_seconds{instance=\"\",job=\"j\"} 1."), "{text}");
    assert!(!text.contains("\na{"), "{text}");
}

#[test]
fn many_errors_are_counted_and_some_listed() {
    let server = start();
    push(&server, "j", &"a 1\n".repeat(1001));
    let text = failure(&server);
    assert!(text.starts_with("1000 error(s) occurred:\n* collected metric \"a\" {"), "{text}");
    assert!(text.ends_with("\n* and 980 more\n"), "{text}");
    assert_eq!(server.request("PUT", "/api/v1/admin/wipe", None).status, Some(202));
    server.scrape();
}

/// A scrape of a large store takes steps; pushes come in between, and the answer is as right as that of a small one.
#[test]
fn a_large_store_is_looked_at_step_by_step() {
    let server = start();
    let family =
        |name: &str, from: usize| (from..from + 100_000).map(|at| format!("{name}{{id=\"{at}\"}} 1\n")).collect();
    let body: String = family("a", 0);
    push(&server, "large", &body);
    let is_ready = || server.request("GET", "/-/ready", None).status == Some(200);
    std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..4).map(|_| scope.spawn(|| server.scrape().len())).collect();
        for at in 0..100 {
            push(&server, "small", &format!("a{{id=\"small\"}} {at}\nb {at}\n"));
            push(&server, "other", &format!("c{{id=\"{at}\"}} 1\n"));
        }
        assert!(scrapes.into_iter().all(|scrape| scrape.join().expect("a scrape succeeds") > body.len()));
    });
    assert!(is_ready());
    let twice: String = family("d", 0) + &family("d", 50_000);
    push(&server, "twice", &twice);
    assert!(failure(&server).starts_with("50000 error(s) occurred:\n* collected metric \"d\" {"));
    assert!(!is_ready());
    delete(&server, "twice");
    assert!(is_ready() && server.scrape().len() > body.len());
}
