//! Where things are served and linked: `--web.external-url`, `--web.route-prefix` and `--web.telemetry-path` together
//! (SPEC 11.2), and the combinations that are refused.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::server::Server;

/// Flags, the prefix and the path of the exposition that they amount to, and what links in the page begin with.
struct Site {
    flags: &'static [&'static str],
    prefix: &'static str,
    metrics: &'static str,
    links: &'static str,
}

const SITES: [Site; 9] = [
    Site { flags: &[], prefix: "", metrics: "/metrics", links: "./" },
    Site { flags: &["--web.external-url=http://h/"], prefix: "", metrics: "/metrics", links: "./" },
    Site { flags: &["--web.external-url=http://h:1/ext/"], prefix: "/ext", metrics: "/ext/metrics", links: "/ext/" },
    Site { flags: &["--web.external-url=ext"], prefix: "/ext", metrics: "/ext/metrics", links: "/ext/" },
    Site {
        flags: &["--web.external-url=http://h/ext", "--web.route-prefix=/"],
        prefix: "",
        metrics: "/metrics",
        links: "/ext/",
    },
    Site {
        flags: &["--web.external-url=http://h/ext", "--web.route-prefix=in/side/", "--web.telemetry-path=/m/"],
        prefix: "/in/side",
        metrics: "/in/side/m",
        links: "/ext/",
    },
    Site { flags: &["--web.route-prefix=/in"], prefix: "/in", metrics: "/in/metrics", links: "./" },
    Site { flags: &["--web.telemetry-path=//a/./b/../c/"], prefix: "", metrics: "/a/c", links: "./" },
    Site {
        flags: &["--web.route-prefix=/in", "--web.telemetry-path=/-/quit"],
        prefix: "/in",
        metrics: "/in/-/quit",
        links: "./",
    },
];

#[test]
fn everything_is_below_the_prefix() {
    for site in &SITES {
        let server = Server::start(site.flags, site.prefix);
        routes_are_found(&server, site);
        nothing_else_is_found(&server, site);
        flags_are_listed(&server, site);
    }
}

fn status(server: &Server, method: &str, path: &str, body: Option<&[u8]>) -> Option<u16> {
    server.request(method, path, body).status
}

fn routes_are_found(server: &Server, Site { flags, prefix, metrics, links }: &Site) {
    let push = format!("{prefix}/metrics/job/j");
    assert_eq!(status(server, "PUT", &push, Some(b"a 1\n")), Some(200), "{flags:?} {push}");
    let scrape = server.request("GET", metrics, None);
    assert_eq!(scrape.status, Some(200), "{flags:?} {metrics}");
    assert!(scrape.text_lossy().contains("a{instance=\"\",job=\"j\"} 1\n"), "{flags:?}");
    assert_eq!(status(server, "DELETE", &push, None), Some(202), "{flags:?} {push}");
    for path in ["/", "/status", "/static/functions.js", "/-/healthy", "/-/ready", "/api/v1/status", "/api/v1/metrics"]
    {
        assert_eq!(status(server, "GET", &format!("{prefix}{path}"), None), Some(200), "{flags:?} {path}");
    }
    assert_eq!(status(server, "PUT", &format!("{prefix}/-/quit"), None), Some(403), "{flags:?}");
    let page = server.request("GET", &format!("{prefix}/"), None).text_lossy();
    let script = page.split('"').find(|link| link.ends_with("/functions.js")).expect("the page has a script");
    let file = script.strip_prefix(links).unwrap_or_else(|| panic!("{flags:?} {script}"));
    let asset = server.request("GET", &format!("{prefix}/{file}"), None);
    assert_eq!(asset.status, Some(200), "{flags:?} {script}");
    assert!(asset.header("Cache-Control").is_some_and(|caching| caching.contains("immutable")), "{flags:?} {script}");
}

fn nothing_else_is_found(server: &Server, Site { flags, prefix, metrics, .. }: &Site) {
    assert_eq!(status(server, "GET", "/-/quit", None), Some(405), "{flags:?}");
    if *metrics != format!("{prefix}/metrics") {
        assert_eq!(status(server, "GET", &format!("{prefix}/metrics"), None), Some(404), "{flags:?}");
    }
    if prefix.is_empty() {
        return;
    }
    let bare = server.request("GET", prefix, None);
    let location = bare.header("Location");
    assert_eq!((bare.status, location), (Some(301), Some(format!("{prefix}/"))), "{flags:?}");
    for path in ["/", "/metrics", "/status", "/-/ready", "/api/v1/status", "/static/functions.js"] {
        assert_eq!(status(server, "GET", path, None), Some(404), "{flags:?} {path}");
    }
    assert_eq!(status(server, "PUT", "/metrics/job/j", Some(b"a 1\n")), Some(404), "{flags:?}");
}

/// As they were given, but for the route prefix, which is the effective one (SPEC 8.2).
fn flags_are_listed(server: &Server, Site { flags, prefix, .. }: &Site) {
    let body = server.request("GET", &format!("{prefix}/api/v1/status"), None).body;
    let document: Value = serde_json::from_slice(&body).expect("the status is JSON");
    let listed = |name: &str| document["data"]["flags"][name].as_str().expect("every flag is listed").to_owned();
    let given = |name: &str, default: &str| {
        let value = flags.iter().find_map(|flag| flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or(default).to_owned()
    };
    assert_eq!(listed("web.route-prefix"), *prefix, "{flags:?}");
    assert_eq!(listed("web.external-url"), given("web.external-url", ""), "{flags:?}");
    assert_eq!(listed("web.telemetry-path"), given("web.telemetry-path", "/metrics"), "{flags:?}");
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    for (flags, reason) in [
        (&["--web.telemetry-path="][..], "telemetry path '' does not begin with '/'"),
        (&["--web.telemetry-path=metrics"], "telemetry path 'metrics' does not begin with '/'"),
        (&["--web.telemetry-path=/"], "telemetry path '/' is another endpoint's"),
        (&["--web.telemetry-path=/x/../status/"], "telemetry path '/x/../status/' is another endpoint's"),
        (
            &["--web.telemetry-path=/-/ready", "--web.route-prefix=/p"],
            "telemetry path '/-/ready' is another endpoint's",
        ),
        (&["--web.telemetry-path=/-/quit"], "telemetry path '/-/quit' is another endpoint's"),
        (&["--web.telemetry-path=/api/v1/status"], "telemetry path '/api/v1/status' is another endpoint's"),
        (&["--web.telemetry-path=/static/x"], "telemetry path '/static/x' is another endpoint's"),
        (&["--web.route-prefix=/a b"], "route prefix '/a b' contains a blank"),
        (&["--web.external-url=http://h/a%20b"], "route prefix '/a b' contains a blank"),
        (&["--web.external-url=http://h/%zz"], "invalid URL: parse \"http://h/%zz\": invalid URL escape \"%zz\""),
        (&["--web.external-url=http://h:x/"], "invalid URL: parse \"http://h:x/\": invalid port \":x\" after host"),
        (&["--web.route-prefix=/a", "--web.route-prefix=/b"], "flag 'web.route-prefix' cannot be repeated"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_pushgateway"))
            // No port at all: a gateway that takes the flags ends with another message instead of serving.
            .arg("--web.listen-address=127.0.0.1:99999")
            .args(flags)
            .stdin(Stdio::null())
            .output()
            .expect("the gateway can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code != 0), "{flags:?} {:?} {said}", output.status);
        assert_eq!(said, format!("pushgateway: error: {reason}, try --help\n"), "{flags:?}");
    }
}
