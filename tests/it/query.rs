//! The part of the JSON API that the original lacks: pages of groups, and one group.

use serde_json::{Value, json};

use crate::server::Server;
use crate::wire::Response;

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
    assert_eq!(page["data"]["totals"], json!({"groups": 3, "matching": 1, "series": 2}));
    let listed = &page["data"]["groups"][0];
    assert_eq!(listed["labels"], json!({"dir": "/var/tmp", "job": "b"}));
    let path = listed["path"].as_str().expect("a group has a path");
    assert_eq!(path, "job/b/dir@base64/L3Zhci90bXA");

    let one = json_of(&get(&format!("/{path}")));
    let all = json_of(&gateway.request("GET", "/pre/api/v1/metrics", None));
    let groups = all["data"].as_array().expect("data is a list");
    let same = groups.iter().find(|group| group["labels"]["dir"] == "/var/tmp").expect("the group is there");
    assert_eq!(one["data"], json!({"group": same, "path": path}));

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
