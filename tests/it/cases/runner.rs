//! Runs one case at a time against a server: empties the store, takes the steps, scrapes, compares counters.
//!
//! An answer 202 may come before the change is visible, so reads are repeated for a bounded time until they fit.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::Value;

use super::expect;
use crate::wire::{self, Response};

/// What a case needs of the server's flags unless its `requires` says otherwise.
const REQUIRED: &[(&str, &str)] = &[
    ("push.disable-consistency-check", "false"),
    ("push.enable-utf8-names", "false"),
    ("web.route-prefix", ""),
    ("web.telemetry-path", "/metrics"),
    ("web.config.file", ""),
];

/// How long a read is repeated until it fits, and how long it takes until the next try.
const RETRY: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(20);

/// A server to run cases against, and what is known of it.
pub struct Runner {
    addr: SocketAddr,
    prefix: String,
    metrics_path: String,
    /// Header lines that every request has unless a case says otherwise.
    headers: String,
    flags: Value,
    /// How many times in a row the store could not be emptied.
    stuck: u32,
}

impl Runner {
    /// Asks the server for its flags.
    pub fn new(addr: SocketAddr, prefix: &str, metrics_path: &str, headers: &str) -> Runner {
        let status = wire::request_with(addr, "GET", &format!("{prefix}/api/v1/status"), headers, None);
        let document: Value = serde_json::from_slice(&status.text()).unwrap_or_default();
        let flags = document["data"]["flags"].clone();
        assert!(flags.is_object(), "no flags in the server's status: {:?} {}", status.status, status.text_lossy());
        let (prefix, metrics_path, headers) = (prefix.to_owned(), metrics_path.to_owned(), headers.to_owned());
        Runner { addr, prefix, metrics_path, headers, flags, stuck: 0 }
    }

    /// Whether the server's flags are what the case needs: `*` stands for any value, `+` for any but the empty one.
    pub fn fits(&self, case: &Value) -> bool {
        let requires = &case["requires"];
        let defaults = REQUIRED.iter().filter(|(flag, _)| requires[flag].is_null()).copied();
        let own = requires.as_object().into_iter().flatten().map(|(flag, wanted)| (flag.as_str(), text(wanted)));
        defaults.chain(own).all(|(flag, wanted)| match wanted {
            "*" => true,
            "+" => !self.flag(flag).is_empty(),
            wanted => self.flag(flag) == wanted,
        })
    }

    /// The value of a flag; one the server does not know has its default.
    fn flag<'a>(&'a self, name: &'a str) -> &'a str {
        let default = REQUIRED.iter().find(|(flag, _)| *flag == name).map(|(_, default)| *default);
        let default = default.unwrap_or(if name.contains(".enable") { "false" } else { "" });
        self.flags[name].as_str().unwrap_or(default)
    }

    /// Whether there is no point in going on.
    pub fn gave_up(&self) -> bool {
        self.stuck >= 3
    }

    /// Runs one case and returns what is wrong.
    pub fn run(&mut self, case: &Value) -> Vec<String> {
        if case["keep"] != true && !self.wipe() {
            self.stuck += 1;
            return vec!["could not empty the store".to_owned()];
        }
        self.stuck = 0;
        let delta = &case["delta"];
        let before = if delta.is_null() { HashMap::new() } else { self.counters() };
        for (at, step) in items(&case["steps"]).enumerate() {
            let bad = self.step(step);
            if !bad.is_empty() {
                let what = format!("step {} {} {}", at + 1, step["method"], step["path"]);
                return vec![format!("{what}: {}", bad.join("; "))];
            }
        }
        let after = &case["after"];
        if !after.is_null() {
            let bytes = self.head("GET", &self.metrics_path, &after["headers"], "1.1", None);
            let bad = retried(RETRY, || expect::scrape(&self.exchange(&bytes, "GET", after), after));
            if !bad.is_empty() {
                return bad;
            }
        }
        let wait = if delta.is_null() { Duration::ZERO } else { RETRY };
        retried(wait, || moved(&before, &if delta.is_null() { HashMap::new() } else { self.counters() }, delta))
    }

    fn step(&self, step: &Value) -> Vec<String> {
        thread::sleep(Duration::from_secs_f64(step["wait"].as_f64().unwrap_or(0.0)));
        let method = step["method"].as_str().unwrap_or("GET");
        let bytes = match step["raw_b64"].as_str() {
            Some(raw) => filled(&decoded(raw), step["raw_fill"].as_u64()),
            None => {
                let version = step["http"].as_str().unwrap_or("1.1");
                let body = body(step);
                self.head(method, text(&step["path"]), &step["headers"], version, body.as_deref())
            }
        };
        let reads = method == "GET" && step["retry"] != false && step["raw_b64"].is_null();
        let wait = if reads { RETRY } else { Duration::ZERO };
        retried(wait, || expect::answer(&self.exchange(&bytes, method, step), &step["expect"]))
    }

    fn exchange(&self, bytes: &[u8], method: &str, step: &Value) -> Response {
        let timeout = step["timeout"].as_f64().map_or(wire::TIMEOUT, Duration::from_secs_f64);
        wire::exchange(self.addr, bytes, method, step["half_close"] == true, timeout)
    }

    /// The bytes of a request. The case's headers replace those sent by default; null takes one away.
    fn head(&self, method: &str, path: &str, own: &Value, version: &str, body: Option<&[u8]>) -> Vec<u8> {
        let mut headers = vec![("Host".to_owned(), self.addr.to_string()), ("Connection".into(), "close".into())];
        if let Some(body) = body {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let usual = self.headers.lines().filter_map(|line| line.split_once(": "));
        headers.extend(usual.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (name, value) in own.as_object().into_iter().flatten() {
            headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
            if let Some(value) = value.as_str() {
                headers.push((name.clone(), value.to_owned()));
            }
        }
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut bytes = latin1(&format!("{method} {path} HTTP/{version}\r\n{lines}\r\n"));
        bytes.extend_from_slice(body.unwrap_or_default());
        bytes
    }

    /// Empties the store: by the admin API if there is one, else group by group.
    fn wipe(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(5);
        let wipe = format!("{}/api/v1/admin/wipe", self.prefix);
        while Instant::now() < end {
            let wiped = self.request("PUT", &wipe).status == Some(202);
            let groups = self.groups();
            if groups.as_ref().is_some_and(Vec::is_empty) {
                return true;
            }
            for group in groups.iter().flatten().filter(|_| !wiped) {
                self.delete(&group["labels"]);
            }
            if self.groups().is_some_and(|groups| groups.is_empty()) {
                return true;
            }
            thread::sleep(PAUSE);
        }
        false
    }

    fn request(&self, method: &str, path: &str) -> Response {
        wire::request_with(self.addr, method, path, &self.headers, None)
    }

    fn groups(&self) -> Option<Vec<Value>> {
        let response = self.request("GET", &format!("{}/api/v1/metrics", self.prefix));
        let document: Value = serde_json::from_slice(&response.text()).ok()?;
        match &document["data"] {
            Value::Null if response.status == Some(200) => Some(Vec::new()),
            data => data.as_array().cloned(),
        }
    }

    /// Deletes a group. Every value goes as base64; names are plain ones, as UTF-8 names come with the admin API.
    fn delete(&self, labels: &Value) {
        let coded = |value: &Value| format!("{}=", BASE64_URL_SAFE_NO_PAD.encode(text(value)));
        let mut path = format!("{}/metrics/job@base64/{}", self.prefix, coded(&labels["job"]));
        for (name, value) in labels.as_object().into_iter().flatten().filter(|(name, _)| *name != "job") {
            path += &format!("/{name}@base64/{}", coded(value));
        }
        self.request("DELETE", &path);
    }

    /// Every series of the scrape with its value.
    fn counters(&self) -> HashMap<String, f64> {
        let scrape = self.request("GET", &self.metrics_path).text_lossy();
        let samples = scrape.lines().filter(|line| !line.starts_with('#'));
        let pairs = samples.filter_map(|line| line.rsplit_once(' '));
        pairs.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect()
    }
}

/// Repeats a check until it finds nothing wrong or the time is up.
fn retried(wait: Duration, mut check: impl FnMut() -> Vec<String>) -> Vec<String> {
    let end = Instant::now() + wait;
    loop {
        let bad = check();
        if bad.is_empty() || Instant::now() >= end {
            return bad;
        }
        thread::sleep(PAUSE);
    }
}

/// Which counters did not move by what they should.
fn moved(before: &HashMap<String, f64>, now: &HashMap<String, f64>, delta: &Value) -> Vec<String> {
    let wanted = delta.as_object().into_iter().flatten();
    wanted
        .filter_map(|(series, wanted)| {
            let moved = now.get(series).unwrap_or(&0.0) - before.get(series).unwrap_or(&0.0);
            (Some(moved) != wanted.as_f64()).then(|| format!("{series} moved by {moved}, wanted {wanted}"))
        })
        .collect()
}

/// The body of a step, if it has one.
fn body(step: &Value) -> Option<Vec<u8>> {
    let repeat = &step["body_repeat"];
    if let Some(plain) = step["body"].as_str() {
        Some(plain.into())
    } else if let Some(coded) = step["body_b64"].as_str() {
        Some(decoded(coded))
    } else if repeat.is_object() {
        let each = (0..repeat["n"].as_u64()?).map(|number| text(&repeat["each"]).replace("%d", &number.to_string()));
        Some(format!("{}{}{}", text(&repeat["head"]), each.collect::<String>(), text(&repeat["tail"])).into())
    } else {
        None
    }
}

/// A raw request with so many `a` in place of its filler, which keeps long headers out of the file.
fn filled(raw: &[u8], fill: Option<u64>) -> Vec<u8> {
    match (memchr::memmem::find(raw, b"@FILL@"), fill) {
        (Some(at), Some(count)) => {
            let fill = vec![b'a'; usize::try_from(count).expect("a filler fits in memory")];
            [&raw[..at], &fill, &raw[at + b"@FILL@".len()..]].concat()
        }
        _ => raw.to_vec(),
    }
}

fn decoded(coded: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(coded).expect("base64 in the case")
}

/// One byte per character: heads may hold any byte.
pub fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("heads hold characters of one byte only")).collect()
}

/// A string of the case; empty where it has none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements of an array; none where the case has no array.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
