//! Compares an answer with what a case expects of it. Every check returns what is wrong, in words.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use memchr::memmem;
use regex::bytes::Regex;
use serde_json::Value;

use super::runner::{items, latin1, text};
use crate::wire::Response;

/// What is wrong with the answer to a step.
pub fn answer(response: &Response, expect: &Value) -> Vec<String> {
    if let Some(error) = &response.refused {
        return vec![format!("no connection: {error}")];
    }
    if expect["closed"] == true {
        let silent = response.raw.is_empty() && !response.timed_out;
        return if silent { Vec::new() } else { vec![format!("wanted a close, got {}", shown(&response.raw))] };
    }
    let mut bad = Vec::new();
    if response.timed_out && expect["allow_timeout"] != true {
        bad.push("timed out".to_owned());
    }
    status(response, &expect["status"], &mut bad);
    body(&response.text(), expect, &mut bad);
    headers(response, &expect["header"], &mut bad);
    parts(response, expect, &mut bad);
    json(&response.text(), expect, &mut bad);
    bad
}

/// What is wrong with the scrape that follows the steps.
pub fn scrape(response: &Response, after: &Value) -> Vec<String> {
    let mut bad = Vec::new();
    let wanted = if after["status"].is_null() { &Value::from(200) } else { &after["status"] };
    status(response, wanted, &mut bad);
    let body = response.text();
    let lines: Vec<&[u8]> = body.split(|&byte| byte == b'\n').collect();
    let have: HashSet<&[u8]> = lines.iter().copied().collect();
    for line in items(&after["present"]).filter(|line| !have.contains(text(line).as_bytes())) {
        bad.push(format!("scrape lacks {line}; near: {}", near(&lines, text(line))));
    }
    for line in items(&after["absent"]).filter(|line| have.contains(text(line).as_bytes())) {
        bad.push(format!("scrape has {line}"));
    }
    for prefix in items(&after["absent_prefix"]) {
        if let Some(line) = lines.iter().find(|line| line.starts_with(text(prefix).as_bytes())) {
            bad.push(format!("scrape has {}", shown(line)));
        }
    }
    for pattern in items(&after["regex"]) {
        let whole = regex(&format!(r"\A(?:{})\z", text(pattern)));
        if !lines.iter().any(|line| whole.is_match(line)) {
            bad.push(format!("no scrape line matches {pattern}; near: {}", near(&lines, text(pattern))));
        }
    }
    order(&lines, &after["order"], &mut bad);
    headers(response, &after["header"], &mut bad);
    bad
}

fn status(response: &Response, wanted: &Value, bad: &mut Vec<String>) {
    let got = response.status.map_or(Value::Null, Value::from);
    let fits = match wanted {
        Value::Null => true,
        Value::Array(any) => any.contains(&got),
        one => *one == got,
    };
    if !fits {
        bad.push(format!("status {got}, wanted {wanted}; body {}", shown(&response.text())));
    }
}

fn body(got: &[u8], expect: &Value, bad: &mut Vec<String>) {
    let contains = |wanted: &Value| memmem::find(got, text(wanted).as_bytes()).is_some();
    if let Some(wanted) = expect["body"].as_str().filter(|wanted| wanted.as_bytes() != got) {
        bad.push(format!("body {}, wanted {wanted:?}", shown(got)));
    }
    for wanted in items(&expect["body_contains"]).filter(|wanted| !contains(wanted)) {
        bad.push(format!("body lacks {wanted}: {}", shown(got)));
    }
    for unwanted in items(&expect["body_not_contains"]).filter(|unwanted| contains(unwanted)) {
        bad.push(format!("body contains {unwanted}"));
    }
    for pattern in items(&expect["body_regex"]).filter(|pattern| !regex(text(pattern)).is_match(got)) {
        bad.push(format!("body does not match {pattern}: {}", shown(got)));
    }
    let any = &expect["body_any_of"];
    if !any.is_null() && !items(any).any(contains) {
        bad.push(format!("body has none of {any}: {}", shown(got)));
    }
}

/// Headers must have exactly this value; null stands for absent.
fn headers(response: &Response, wanted: &Value, bad: &mut Vec<String>) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let got = response.header(name);
        if got.as_deref() != value.as_str() {
            bad.push(format!("header {name} is {got:?}, wanted {value}"));
        }
    }
}

/// The rarer expectations.
fn parts(response: &Response, expect: &Value, bad: &mut Vec<String>) {
    for (name, value) in expect["header_contains"].as_object().into_iter().flatten() {
        if !response.header(name).unwrap_or_default().contains(text(value)) {
            bad.push(format!("header {name} is {:?}, wanted it to contain {value}", response.header(name)));
        }
    }
    let interim = Value::from(response.interim.clone());
    if !expect["interim"].is_null() && expect["interim"] != interim {
        bad.push(format!("interim answers {interim}, wanted {}", expect["interim"]));
    }
    for wanted in items(&expect["raw_contains"]) {
        if memmem::find(&response.raw, &latin1(text(wanted))).is_none() {
            bad.push(format!("raw answer lacks {wanted}: {}", shown(&response.raw)));
        }
    }
    let decoded = |wanted: &Value| BASE64_STANDARD.decode(text(wanted)).expect("base64 in the case");
    let prefix = &expect["body_prefix_b64"];
    if !prefix.is_null() && !response.body.starts_with(&decoded(prefix)) {
        bad.push(format!("body starts {}, wanted {}", shown(&response.body), shown(&decoded(prefix))));
    }
    for wanted in items(&expect["body_bytes_contains_b64"]) {
        if memmem::find(&response.body, &decoded(wanted)).is_none() {
            bad.push(format!("body lacks bytes {}", shown(&decoded(wanted))));
        }
    }
}

fn json(got: &[u8], expect: &Value, bad: &mut Vec<String>) {
    if expect["json"].is_null() && expect["json_keys"].is_null() {
        return;
    }
    let document: Value = match serde_json::from_slice(got) {
        Ok(document) => document,
        Err(error) => return bad.push(format!("not JSON ({error}): {}", shown(got))),
    };
    for pair in items(&expect["json"]) {
        let (path, wanted) = (&pair[0], &pair[1]);
        match at(&document, path) {
            None => bad.push(format!("JSON has nothing at {path}")),
            Some(got) if got != wanted => bad.push(format!("JSON at {path} is {got}, wanted {wanted}")),
            Some(_) => {}
        }
    }
    for pair in items(&expect["json_keys"]) {
        let (path, wanted) = (&pair[0], &pair[1]);
        let wanted: BTreeSet<&str> = items(wanted).map(text).collect();
        let got = at(&document, path).and_then(Value::as_object);
        let got: BTreeSet<&str> = got.into_iter().flat_map(|object| object.keys()).map(String::as_str).collect();
        // A replacement may have flags of its own.
        let fits = if text(&path[1]) == "flags" { got.is_superset(&wanted) } else { got == wanted };
        if !fits {
            bad.push(format!("JSON keys at {path} are {got:?}, wanted {wanted:?}"));
        }
    }
}

/// The value at a path of keys and indices.
fn at<'a>(document: &'a Value, path: &Value) -> Option<&'a Value> {
    items(path).try_fold(document, |current, step| match step {
        Value::String(key) => current.get(key),
        index => current.get(usize::try_from(index.as_u64()?).ok()?),
    })
}

/// The lines must be there, in this order.
fn order(lines: &[&[u8]], wanted: &Value, bad: &mut Vec<String>) {
    let position = |wanted: &Value| lines.iter().position(|line| *line == text(wanted).as_bytes());
    for line in items(wanted).filter(|line| position(line).is_none()) {
        bad.push(format!("scrape lacks {line}; near: {}", near(lines, text(line))));
    }
    if !items(wanted).filter_map(position).is_sorted() {
        bad.push(format!("lines are not in the order {wanted}"));
    }
}

/// A few lines of the same family, for the message.
fn near(lines: &[&[u8]], wanted: &str) -> String {
    let name = wanted.split(['{', ' ', '\\']).next().unwrap_or_default();
    let mut same = lines.iter().filter(|line| line.strip_prefix(name.as_bytes()).is_some_and(|rest| !rest.is_empty()));
    same.by_ref().take(4).fold(String::new(), |mut all, line| {
        let _ = write!(all, "{} ", shown(line));
        all
    })
}

/// The beginning of some bytes, quoted.
fn shown(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes[..bytes.len().min(300)].escape_ascii())
}

/// Compiles a pattern written in Python's syntax, where `\Z` is the end of the text.
fn regex(pattern: &str) -> Regex {
    Regex::new(&pattern.replace(r"\Z", r"\z")).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, body: &str) -> Response {
        let headers = vec![("Allow".to_owned(), "GET".to_owned())];
        Response { status: Some(status), body: body.into(), headers, ..Response::default() }
    }

    #[test]
    fn every_kind_of_expectation_can_fail() {
        let good = json!({"status": [200, 202], "body_contains": ["b"], "body_regex": [r"\Aa.c\Z"],
            "body_any_of": ["x", "c"], "header": {"allow": "GET", "Vary": null}, "header_contains": {"Allow": "E"}});
        assert_eq!(answer(&reply(200, "abc"), &good), Vec::<String>::new());
        for wrong in [
            json!({"status": 404}),
            json!({"body": "abcd"}),
            json!({"body_contains": ["d"]}),
            json!({"body_not_contains": ["b"]}),
            json!({"body_regex": [r"\Ab"]}),
            json!({"body_any_of": ["x", "y"]}),
            json!({"header": {"Allow": null}}),
            json!({"header": {"Vary": "Accept"}}),
            json!({"header_contains": {"Allow": "PUT"}}),
            json!({"interim": [100]}),
            json!({"raw_contains": ["HTTP/1.0"]}),
            json!({"body_prefix_b64": "Yg=="}),
            json!({"body_bytes_contains_b64": ["eA=="]}),
            json!({"json": [[["status"], "success"]]}),
        ] {
            assert_eq!(answer(&reply(200, "abc"), &wrong).len(), 1, "{wrong}");
        }
        let silent = Response::default();
        assert!(answer(&silent, &json!({"closed": true})).is_empty());
        assert!(!answer(&Response { timed_out: true, ..silent }, &json!({"closed": true})).is_empty());
    }

    #[test]
    fn json_is_looked_up_by_path() {
        let document = r#"{"data":{"flags":{"a":"1","b":"2"},"list":[{"x":true}]}}"#;
        let good = json!({"json": [[["data", "list", 0, "x"], true]], "json_keys": [[["data", "flags"], ["a"]],
            [["data", "list", 0], ["x"]]]});
        assert_eq!(answer(&reply(200, document), &good), Vec::<String>::new());
        for wrong in [
            json!({"json": [[["data", "list", 1], 1]]}),
            json!({"json": [[["data", "flags", "a"], "2"]]}),
            json!({"json_keys": [[["data"], ["flags"]]]}),
            json!({"json_keys": [[["data", "flags"], ["c"]]]}),
        ] {
            assert_eq!(answer(&reply(200, document), &wrong).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn every_kind_of_scrape_expectation_can_fail() {
        let body = "a{x=\"1\"} 1\nb 2\n";
        let good = json!({"present": ["b 2"], "absent": ["c 3"], "absent_prefix": ["c"], "regex": ["b [0-9]"],
            "order": ["a{x=\"1\"} 1", "b 2"]});
        assert_eq!(scrape(&reply(200, body), &good), Vec::<String>::new());
        for wrong in [
            json!({"status": 500}),
            json!({"present": ["b 3"]}),
            json!({"absent": ["b 2"]}),
            json!({"absent_prefix": ["a{"]}),
            json!({"regex": ["b"]}),
            json!({"order": ["b 2", "a{x=\"1\"} 1"]}),
            json!({"header": {"Allow": "PUT"}}),
        ] {
            assert_eq!(scrape(&reply(200, body), &wrong).len(), 1, "{wrong}");
        }
    }
}
