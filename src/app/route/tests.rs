//! The routing tables of SPEC 1.1-1.4 and 11.2, row by row.

use super::*;

const PUSH: &str = "DELETE, OPTIONS, POST, PUT";

fn routed(router: &Router, method: &str, target: &str) -> String {
    let mut scratch = Vec::new();
    shown(router.route(method, target.as_bytes(), &mut scratch))
}

/// A decision in one line: status, then `Location` or `Allow`, or the endpoint.
fn shown(decision: Decision<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let group = |path: GroupingPath<'_>| {
        let mark = if path.job_is_base64 { "@base64" } else { "" };
        format!("job{mark}={} rest={}", text(path.job), text(path.rest))
    };
    match decision {
        Decision::Found(Endpoint::Push { replace, path }) => {
            format!("{} {}", if replace { "replace" } else { "add" }, group(path))
        }
        Decision::Found(Endpoint::Delete { path }) => format!("delete {}", group(path)),
        Decision::Found(Endpoint::ApiGroup { path }) => format!("group {}", group(path)),
        Decision::Found(endpoint) => format!("{endpoint:?}"),
        Decision::Redirect { status, location, html } => {
            format!("{status} {location}{}", if html { " html" } else { "" })
        }
        Decision::MethodNotAllowed { allow } => format!("405 {allow}"),
        Decision::Options { allow } => format!("200 {allow}"),
        Decision::NotFound => "404".to_owned(),
        Decision::BadRequest => "400".to_owned(),
    }
}

fn check_all(router: &Router, rows: &[(&str, &str, &str)]) {
    for (method, target, expected) in rows {
        assert_eq!(routed(router, method, target), *expected, "{method} {target}");
    }
}

fn plain() -> Router {
    Router::new("", "/metrics", false)
}

#[test]
fn endpoints() {
    check_all(
        &Router::new("", "/metrics", true),
        &[
            ("GET", "/metrics", "Scrape"),
            ("GET", "/metrics?a=b//c", "Scrape"),
            ("PUT", "/metrics/job/x", "replace job=x rest="),
            ("POST", "/metrics/job/x", "add job=x rest="),
            ("POST", "/metrics/job/x/", "add job=x rest=/"),
            ("POST", "/metrics/job/x/a/b?q", "add job=x rest=/a/b"),
            ("POST", "/metrics/job/x/l/", "add job=x rest=/l/"),
            ("DELETE", "/metrics/job/x/a/b", "delete job=x rest=/a/b"),
            ("PUT", "/metrics/job@base64/eA", "replace job@base64=eA rest="),
            ("POST", "/metrics/job@base64/eA/a@base64/=", "add job@base64=eA rest=/a@base64/="),
            ("DELETE", "/metrics/job@base64/!!", "delete job@base64=!! rest="),
            ("GET", "/", "Page"),
            ("GET", "/?a", "Page"),
            ("GET", "/status", "Page"),
            ("GET", "/static/functions.js?v=1", "Static(\"functions.js\")"),
            ("GET", "/static/", "Static(\"\")"),
            ("GET", "/static/%ff", "Static(\"\")"),
            ("GET", "/static/..%2ftemplate.html", "Static(\"../template.html\")"),
            ("GET", "/-/healthy", "Healthy"),
            ("GET", "/-/ready", "Ready"),
            ("PUT", "/-/quit", "Quit"),
            ("POST", "/-/quit", "Quit"),
            ("GET", "/-/quit", "QuitExplain"),
            ("GET", "/debug/pprof/", "Debug { is_known: true }"),
            ("GET", "/debug/pprof/heap", "Debug { is_known: true }"),
            ("GET", "/debug/pprof/nope", "Debug { is_known: false }"),
            ("GET", "/debug/pprof/trace", "Debug { is_known: false }"),
            ("GET", "/api/v1/status", "ApiStatus"),
            ("GET", "/api/v1/metrics", "ApiMetrics"),
            ("GET", "/api/v1/groups", "ApiGroups"),
            ("GET", "/api/v1/groups?search=a/b", "ApiGroups"),
            ("GET", "/api/v1/groups/job/x", "group job=x rest="),
            ("GET", "/api/v1/groups/job@base64/eA/a%20b/c?d", "group job@base64=eA rest=/a b/c"),
            ("PUT", "/api/v1/groups/delete?search=x", "ApiGroupsDelete"),
            ("GET", "/api/v1/groups/delete", "405 OPTIONS, PUT"),
            ("DELETE", "/api/v1/groups", "405 GET, OPTIONS"),
            ("GET", "/api/v1/telemetry", "ApiTelemetry"),
            ("OPTIONS", "/api/v1/", "ApiOptions"),
            ("OPTIONS", "/api/v1/anything/at/all", "ApiOptions"),
            ("PUT", "/api/v1/admin/wipe", "Wipe"),
            ("OPTIONS", "/api/v1/admin/wipe", "ApiOptions"),
            ("OPTIONS", "*", "Star"),
        ],
    );
}

#[test]
fn paths_are_decoded_before_they_are_matched() {
    check_all(
        &plain(),
        &[
            ("POST", "/metrics%2Fjob%2Fx", "add job=x rest="),
            ("POST", "/metrics/%6Aob/x", "add job=x rest="),
            ("POST", "/metrics/job%40base64/eA", "add job@base64=eA rest="),
            ("POST", "/metrics/job/a%2Fb/c", "add job=a rest=/b/c"),
            ("POST", "/metrics/job/a%2Fb", "add job=a rest=/b"),
            ("POST", "/metrics/job/%2Fa/b", "add job= rest=/a/b"),
            ("POST", "/metrics/job/%2F", "add job= rest=/"),
            ("POST", "/metrics/job/%2e%2e", "add job=.. rest="),
            ("POST", "/metrics/job/x/l/%2Fb/c", "add job=x rest=/l//b/c"),
            ("POST", "/metrics/job/a+b%2Bc%25%20", "add job=a+b+c%  rest="),
            ("POST", "/metrics/job/%00%0A%ff%22", "add job=\\x00\\n\\xff\\\" rest="),
            ("POST", "/metrics/job/a%3Fb#c", "add job=a?b#c rest="),
            ("GET", "/%61pi/v1/status", "ApiStatus"),
            ("POST", "/metrics/job/%zz", "400"),
            ("POST", "/metrics/job//%zz", "400"),
            ("GET", "/metrics%", "400"),
            ("GET", "/metrics?%zz", "Scrape"),
            ("GET", "*", "400"),
            ("GET", "metrics", "400"),
            ("GET", "", "400"),
        ],
    );
}

#[test]
fn other_methods_are_told_which_there_are() {
    for path in ["/metrics", "/", "/status", "/-/healthy", "/-/ready", "/static/x", "/static/", "/debug/pprof/x"] {
        for method in ["PUT", "POST", "DELETE", "HEAD", "PATCH", "get", "TRACE", "CONNECT", "X"] {
            assert_eq!(routed(&plain(), method, path), "405 GET, OPTIONS", "{method} {path}");
        }
        assert_eq!(routed(&plain(), "OPTIONS", path), "200 GET, OPTIONS", "{path}");
    }
    for path in ["/metrics/job/x", "/metrics/job/x/", "/metrics/job/x/a", "/metrics/job/x/a/b", "/metrics/job@base64/!"]
    {
        for method in ["GET", "HEAD", "PATCH", "get"] {
            assert_eq!(routed(&plain(), method, path), format!("405 {PUSH}"), "{method} {path}");
        }
        assert_eq!(routed(&plain(), "OPTIONS", path), format!("200 {PUSH}"), "{path}");
    }
    check_all(
        &Router::new("", "/metrics", true),
        &[
            ("DELETE", "/-/quit", "405 GET, OPTIONS, POST, PUT"),
            ("HEAD", "/-/quit", "405 GET, OPTIONS, POST, PUT"),
            ("OPTIONS", "/-/quit", "200 GET, OPTIONS, POST, PUT"),
            ("POST", "/api/v1/status", "405 GET, OPTIONS"),
            ("HEAD", "/api/v1/metrics", "405 GET, OPTIONS"),
            ("POST", "/api/v1/groups", "405 GET, OPTIONS"),
            ("DELETE", "/api/v1/groups/job/x/a/b", "405 GET, OPTIONS"),
            ("GET", "/api/v1/admin/wipe", "405 OPTIONS, PUT"),
            ("POST", "/api/v1/admin/wipe", "405 OPTIONS, PUT"),
        ],
    );
}

#[test]
fn not_found() {
    for path in [
        "/nope",
        "/metrics/job",
        "/metrics/x/job/y",
        "/metrics/jobs/x",
        "/api",
        "/api/",
        "/api/v2/status",
        "/-/",
        "/-",
        "/favicon.ico",
        "/debug",
        "/template.html",
        "/metrics/job/",
        "/metrics/job@base64/",
        "/metrics/job@base64x/y",
        "/api/v1/",
        "/api/v1/nope",
        "/api/v1/metrics/x",
        "/api/v1/groups/x",
        "/api/v1/groups/job",
        "/api/v1/admin/wipe",
        "/api%2",
        "/metricsx",
    ] {
        let expected = if path == "/api%2" { "400" } else { "404" };
        assert_eq!(routed(&plain(), "GET", path), expected, "{path}");
    }
    check_all(
        &plain(),
        &[
            ("HEAD", "/metrics/", "404"),
            ("OPTIONS", "/metrics/", "404"),
            ("OPTIONS", "/METRICS", "404"),
            ("OPTIONS", "/nope", "404"),
            ("PATCH", "/METRICS", "404"),
            ("POST", "/metrics/", "404"),
            ("PUT", "/metrics/job", "404"),
            ("POST", "/metrics/job@base64x/y", "404"),
            ("PUT", "/api/v1/admin/wipe", "404"),
            ("HEAD", "/metrics/job/", "404"),
            ("CONNECT", "example.org:443", "404"),
        ],
    );
}

#[test]
fn redirects_to_what_was_meant() {
    check_all(
        &Router::new("", "/metrics", true),
        &[
            ("GET", "/metrics/", "301 /metrics html"),
            ("GET", "/metrics/?a=b&c", "301 /metrics?a=b&c html"),
            ("GET", "/metrics/?", "301 /metrics? html"),
            ("GET", "/status/", "301 /status html"),
            ("GET", "/-/healthy/", "301 /-/healthy html"),
            ("GET", "/-/quit/", "301 /-/quit html"),
            ("POST", "/-/quit/", "307 /-/quit"),
            ("GET", "/static", "301 /static/ html"),
            ("GET", "/debug/pprof", "301 /debug/pprof/ html"),
            ("GET", "/METRICS", "301 /metrics html"),
            ("GET", "/Status/", "301 /status html"),
            ("GET", "/STATIC", "301 /static/ html"),
            ("GET", "/STATIC/Functions.js", "301 /static/Functions.js html"),
            ("POST", "/Metrics/JOB/X", "307 /metrics/job/X"),
            ("POST", "/Metrics/JOB/X/a/B?Q=1", "307 /metrics/job/X/a/B?Q=1"),
            ("PUT", "/metrics/JOB@BASE64/eA/L/", "307 /metrics/job@base64/eA/L/"),
            ("DELETE", "/METRICS/job/a%20b%25%0D%0A%C3%A9", "307 /metrics/job/a%20b%25%0D%0A%C3%A9"),
            ("POST", "/METRICS/job/a%2F%2Fb", "307 /metrics/job/a/b"),
            ("GET", "/%2Fmetrics", "301 /metrics html"),
            ("GET", "/%2F%2Fevil.example", "404"),
            ("PUT", "/metrics/job/", "307 /metrics/job"),
            ("POST", "/metrics/job/", "307 /metrics/job"),
            ("DELETE", "/metrics/job/", "307 /metrics/job"),
            ("DELETE", "/metrics/job@base64/", "307 /metrics/job@base64"),
            ("GET", "/api/v1", "307 /api/v1/ html"),
            ("POST", "/api/v1?x", "307 /api/v1/?x"),
            ("HEAD", "/api/v1", "307 /api/v1/"),
            ("GET", "/api/v1/status/", "301 /status html"),
            ("GET", "/api/v1/STATUS?x", "301 /status?x html"),
            ("PUT", "/api/v1/Admin/Wipe", "307 /admin/wipe"),
        ],
    );
}

#[test]
fn unclean_paths_are_redirected_with_their_escapes() {
    check_all(
        &plain(),
        &[
            ("GET", "//metrics", "307 /metrics html"),
            ("PUT", "/metrics/job/x/../y", "307 /metrics/job/y"),
            ("PUT", "/metrics/job/x/.", "307 /metrics/job/x"),
            ("PUT", "/metrics/job/x/l//", "307 /metrics/job/x/l/"),
            ("PUT", "/metrics/job/a%20b//i/x", "307 /metrics/job/a%20b/i/x"),
            ("PUT", "/metrics/job/a%2f%2e//b?c//d", "307 /metrics/job/a%2f%2e/b?c//d"),
            ("HEAD", "/a//b", "307 /a/b"),
            ("OPTIONS", "/a/./b", "307 /a/b"),
            ("X", "/..", "307 /"),
            ("GET", "///evil.example/%2F..", "307 /evil.example/%2F.. html"),
            ("GET", "//\\evil.example", "307 /%5Cevil.example html"),
            ("GET", "//%5cevil", "307 /%5cevil html"),
            ("CONNECT", "//metrics", "404"),
        ],
    );
}

#[test]
fn a_prefix_moves_everything() {
    check_all(
        &Router::new("/pre", "/metrics", true),
        &[
            ("GET", "/pre/metrics", "Scrape"),
            ("POST", "/pre/metrics/job/j", "add job=j rest="),
            ("GET", "/pre/", "Page"),
            ("GET", "/pre", "301 /pre/ html"),
            ("GET", "/PRE/Metrics", "301 /pre/metrics html"),
            ("POST", "/pre", "404"),
            ("GET", "/pre/api/v1/status", "ApiStatus"),
            ("GET", "/pre/api/v1/groups/job/x", "group job=x rest="),
            ("GET", "/pre/api/v1", "307 /pre/api/v1/ html"),
            ("PUT", "/pre/api/v1/admin/wipe", "Wipe"),
            ("GET", "/pre/-/ready", "Ready"),
            ("PUT", "/pre/-/quit", "Quit"),
            ("GET", "/pre/-/quit", "405 OPTIONS, POST, PUT"),
            ("GET", "/-/quit", "QuitExplain"),
            ("PUT", "/-/quit", "405 GET, OPTIONS"),
            ("PUT", "/metrics/job/j", "404"),
            ("GET", "/metrics", "404"),
            ("GET", "/", "404"),
            ("GET", "/api/v1/status", "404"),
            ("GET", "/api/v1", "404"),
            ("GET", "/prefix/metrics", "404"),
        ],
    );
}

#[test]
fn the_telemetry_path_moves_the_scrape_alone() {
    let moved = Router::new("", "/scrape/", false);
    check_all(
        &moved,
        &[
            ("GET", "/scrape", "Scrape"),
            ("GET", "/scrape/", "301 /scrape html"),
            ("GET", "/metrics", "404"),
            ("POST", "/metrics/job/j", "add job=j rest="),
        ],
    );
    check_all(&Router::new("/pre", "/a/../m/", false), &[("GET", "/pre/m", "Scrape")]);
    check_all(
        &Router::new("", "/metrics/job/x", false),
        &[
            ("GET", "/metrics/job/x", "Scrape"),
            ("PUT", "/metrics/job/x", "replace job=x rest="),
            ("HEAD", "/metrics/job/x", "405 DELETE, GET, OPTIONS, POST, PUT"),
        ],
    );
}

#[test]
fn redirect_bodies_cannot_be_broken_out_of() {
    assert_eq!(redirect_body(301, "/metrics"), "<a href=\"/metrics\">Moved Permanently</a>.\n\n");
    assert_eq!(
        redirect_body(307, "/a?b&\"'<script>"),
        "<a href=\"/a?b&amp;&#34;&#39;&lt;script&gt;\">Temporary Redirect</a>.\n\n"
    );
    let path = format!("/{}", "&".repeat(QUOTE_BYTES_MAX - 1));
    let link = format!("<a href=\"/{}\">Moved Permanently</a>.\n\n", "&amp;".repeat(QUOTE_BYTES_MAX - 1));
    assert_eq!(redirect_body(301, &path), link);
    assert_eq!(redirect_body(301, &(path.clone() + "&")), "Moved Permanently.\n\n");
    assert_eq!(redirect_body(307, &(path + "&")), "Temporary Redirect.\n\n");
}

#[test]
fn a_plain_push_path_allocates_nothing() {
    let router = plain();
    let mut scratch = Vec::with_capacity(64);
    let allocations = allocation_counter::measure(|| {
        let decision = router.route("POST", b"/metrics/job/x/instance/y", &mut scratch);
        assert!(matches!(decision, Decision::Found(Endpoint::Push { replace: false, .. })));
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_gzip_header_is_read_before_most_routes() {
    let router = Router::new("/pre", "/metrics", true);
    for (method, target, expected) in [
        ("PUT", "/pre/metrics/job/j", true),
        ("GET", "/", true),
        ("GET", "/nowhere?x", true),
        ("GET", "/api/v1/status", true),
        ("GET", "/pre/api/v1/status", false),
        ("GET", "/pre/api/v1", false),
        ("GET", "/pre/api/v1x", true),
        ("PUT", "/pre//metrics/job/j", false),
        ("OPTIONS", "*", false),
        ("GET", "/%zz", false),
    ] {
        let reads = router.reads_body_first(method, target.as_bytes(), &mut Vec::new());
        assert_eq!(reads, expected, "{method} {target}");
    }
}
