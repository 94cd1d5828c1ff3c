//! The part of the JSON API that the original lacks: pages of groups, and one group.

use serde_json::{Value, json};

use crate::server::Server;
use crate::wire::{self, Response};

fn json_of(response: &Response) -> Value {
    assert_eq!(response.status, Some(200), "{}", response.text_lossy());
    assert_eq!(response.header("Content-Type").as_deref(), Some("application/json"));
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text_lossy()))
}

#[test]
fn groups_are_found_and_shown() {
    let gateway = Server::start(&["--web.route-prefix=/pre"], "/pre");
    for path in ["job/a", "job/b/dir@base64/L3Zhci90bXA", "job/b/dir/x"] {
        gateway.request("PUT", &format!("/pre/metrics/{path}"), Some(b"x 1\ny{a=\"b\"} 2\n"));
    }
    let get = |path: &str| gateway.request("GET", &format!("/pre/api/v1/groups{path}"), None);

    let page = json_of(&get("?search=job%3Db+TMP&sort=-series&limit=5"));
    assert_eq!(page["data"]["totals"], json!({"failing": 0, "groups": 3, "matching": 1, "series": 2}));
    let listed = &page["data"]["groups"][0];
    assert_eq!(listed["labels"], json!({"dir": "/var/tmp", "job": "b"}));
    let path = listed["path"].as_str().expect("a group has a path");
    assert_eq!(path, "job/b/dir@base64/L3Zhci90bXA");

    let one = json_of(&get(&format!("/{path}")));
    let all = json_of(&gateway.request("GET", "/pre/api/v1/metrics", None));
    let groups = all["data"].as_array().expect("data is a list");
    let same = groups.iter().find(|group| group["labels"]["dir"] == "/var/tmp").expect("the group is there");
    assert_eq!((&one["data"]["group"], &one["data"]["path"]), (same, &json!(path)));
    for fact in ["bytes", "failed", "failure", "families", "pushed", "series"] {
        assert_eq!(one["data"][fact], listed[fact], "{fact}");
    }

    for (path, status, text) in [
        ("/job/none", 404, "there is no such group\n"),
        ("/job/%ff", 404, "there is no such group\n"),
        ("/job/a/b", 400, "odd number of components in label string \"/b\"\n"),
        ("?sort=x", 400, "cannot sort by \"x\"; there are job, pushed, failed and series, and - in front of them\n"),
    ] {
        let response = get(path);
        assert_eq!((response.status, &*response.text_lossy()), (Some(status), text), "{path}");
        assert_eq!(response.header("Access-Control-Allow-Origin").as_deref(), Some("*"), "{path}");
    }
    assert!(gateway.request("GET", "/pre/metrics", None).text_lossy().contains("handler=\"api/v1/groups\""));
}

#[test]
fn a_group_is_shown_as_text_and_only_if_it_changed() {
    let gateway = Server::start(&[], "");
    gateway.request("PUT", "/metrics/job/a", Some(b"# HELP x Text.\n# TYPE x gauge\nx{y=\"z\"} 1\n"));
    let get = |headers: &[(&str, &str)]| {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        wire::request_with(gateway.addr, "GET", "/api/v1/groups/job/a", &lines, None)
    };
    let text = get(&[("Accept", "text/plain")]);
    assert_eq!(text.header("Content-Type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    let family = "# HELP x Text.\n# TYPE x gauge\nx{instance=\"\",job=\"a\",y=\"z\"} 1\n";
    assert!(text.text_lossy().ends_with(family), "{}", text.text_lossy());
    let tag = |response: &Response| response.header("ETag").expect("a group has a tag");
    let as_json = get(&[]);
    assert_ne!(tag(&as_json), tag(&text));
    assert_eq!(get(&[("If-None-Match", &tag(&as_json))]).status, Some(304));
    assert_eq!(get(&[("If-None-Match", &tag(&text))]).status, Some(200));
    assert_eq!(get(&[("Accept", "text/plain"), ("If-None-Match", &tag(&text))]).status, Some(304));
    gateway.request("PUT", "/metrics/job/a", Some(b"x 1 2\n"));
    let failed = get(&[("If-None-Match", &tag(&as_json))]);
    assert_eq!(json_of(&failed)["data"]["failure"], "pushed metrics must not have timestamps");
}

#[test]
fn groups_that_a_search_finds_are_deleted() {
    let gateway = Server::start(&[], "");
    for number in 0..1500 {
        gateway.request("PUT", &format!("/metrics/job/j{number}"), Some(b"x 1\n"));
    }
    gateway.request("PUT", "/metrics/job/other", Some(b"x 1\n"));
    let delete = |query: &str| gateway.request("PUT", &format!("/api/v1/groups/delete?{query}"), None);
    let refused = delete("search=job%3D~j*&expect=1499");
    assert_eq!(refused.status, Some(409));
    assert_eq!(refused.text_lossy(), "the search matches 1500 groups; nothing was deleted\n");
    assert_eq!(delete("expect=1501").status, Some(400));
    let first = delete("search=job%3D~j*&expect=1500");
    assert_eq!(json_of(&first)["data"], json!({"deleted": 1000, "left": 500}));
    // Other sites must not read what was there, nor be allowed to send such a request.
    assert_eq!(first.header("Access-Control-Allow-Origin"), None);
    assert_eq!(json_of(&delete("search=job%3D~j*&expect=500"))["data"], json!({"deleted": 500, "left": 0}));
    let left = json_of(&gateway.request("GET", "/api/v1/groups", None));
    assert_eq!(left["data"]["totals"]["groups"], 1);
    let scrape = gateway.scrape();
    assert!(!scrape.contains("job=\"j"), "{scrape}");
    assert!(scrape.contains("{code=\"409\",handler=\"api/v1/groups\",method=\"put\"} 1\n"), "{scrape}");
}

#[test]
fn own_metrics_and_changed_flags_are_told() {
    let gateway = Server::start(&["--web.enable-admin-api", "--log.level=info"], "");
    gateway.request("PUT", "/metrics/job/a", Some(b"x 1\n"));
    let status = json_of(&gateway.request("GET", "/api/v1/status", None));
    assert_eq!(status["data"]["flags_changed"], json!(["web.enable-admin-api", "web.listen-address"]));
    let own = json_of(&gateway.request("GET", "/api/v1/telemetry", None));
    assert_eq!(own["data"]["store"]["groups"], 1);
    let pushes = &own["data"]["families"]["pushgateway_http_requests_total"]["samples"];
    assert!(pushes.to_string().contains("\"handler\":\"push\""), "{pushes}");
    assert!(gateway.scrape().contains("handler=\"api/v1/telemetry\""));
}
