//! Replays the black-box cases of `tests/data/cases.jsonl`, one test per profile of server flags.
//!
//! The cases were validated against the Go original. Kinds: `core` and `detail` must pass here; `quirk` pins a defect
//! of the original and is not run.

mod expect;
mod runner;

use std::collections::HashSet;

use serde_json::Value;

use crate::server::Server;
use runner::{Runner, text};

/// How a server is started for a run, and how it is spoken to.
struct Profile {
    flags: &'static [&'static str],
    prefix: &'static str,
    metrics_path: &'static str,
    /// Header lines that every request has unless a case says otherwise.
    headers: &'static str,
    /// How many cases run in it: a profile whose flags are misread would otherwise pass with none.
    cases: usize,
    /// Whether the cases that stop the server run too, as the last ones.
    destructive: bool,
}

const DEFAULT: Profile =
    Profile { flags: &[], prefix: "", metrics_path: "/metrics", headers: "", cases: CASES, destructive: false };

/// How many cases run with default flags.
const CASES: usize = 496;

#[test]
fn default_flags() {
    run(&DEFAULT);
}

#[test]
fn admin_api() {
    run(&Profile { flags: &["--web.enable-admin-api"], cases: CASES + 4, ..DEFAULT });
}

#[test]
fn lifecycle() {
    run(&Profile { flags: &["--web.enable-lifecycle"], cases: CASES + 1, destructive: true, ..DEFAULT });
}

#[test]
fn unchecked() {
    let flags = &["--web.enable-admin-api", "--push.disable-consistency-check"];
    run(&Profile { flags, cases: 4, ..DEFAULT });
}

#[test]
fn route_prefix() {
    let flags = &["--web.enable-admin-api", "--web.external-url=http://example.org/pre/"];
    run(&Profile { flags, prefix: "/pre", metrics_path: "/pre/metrics", cases: 5, ..DEFAULT });
}

#[test]
fn telemetry_path() {
    let flags = &["--web.enable-admin-api", "--web.telemetry-path=/scrape"];
    run(&Profile { flags, metrics_path: "/scrape", cases: 1, ..DEFAULT });
}

#[test]
fn utf8_names() {
    run(&Profile { flags: &["--web.enable-admin-api", "--push.enable-utf8-names"], cases: 404, ..DEFAULT });
}

#[test]
fn basic_auth() {
    const FILE: &str = concat!("--web.config.file=", env!("CARGO_MANIFEST_DIR"), "/tests/data/web-auth.yml");
    const BOB: &str = "Authorization: Basic Ym9iOnNlY3JldA==\r\n";
    run(&Profile { flags: &["--web.enable-admin-api", FILE], headers: BOB, cases: 4, ..DEFAULT });
}

#[test]
fn every_case_has_an_id_of_its_own() {
    let cases = load();
    let ids: HashSet<&str> = cases.iter().map(|case| text(&case["id"])).collect();
    assert_eq!(ids.len(), cases.len(), "ids are used twice");
}

/// Runs every case that fits the profile and fails with all that went wrong.
fn run(profile: &Profile) {
    let mut server = Server::start_for(profile.flags, profile.prefix, profile.headers);
    let mut runner = Runner::new(server.addr, profile.prefix, profile.metrics_path, profile.headers);
    let cases = selected(profile, &runner);
    let mut failures = Vec::new();
    let mut passed = 0;
    for case in &cases {
        let bad = runner.run(case);
        if bad.is_empty() {
            passed += 1;
        } else {
            let (id, title) = (text(&case["id"]), text(&case["title"]));
            failures.push(format!("FAIL {id} [{}] {title}\n     {}", text(&case["kind"]), bad.join("\n     ")));
        }
        if runner.gave_up() {
            failures.push("the store cannot be emptied any more: the run ends here".to_owned());
            break;
        }
    }
    println!("{:?}: {passed} passed, {} failed", profile.flags, failures.len());
    assert!(failures.is_empty(), "{passed} passed, {} failed\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases.len(), profile.cases, "the number of cases that fit these flags");
    if profile.destructive {
        let status = server.wait_for_exit();
        assert!(status.is_some_and(|status| status.success()), "the server should have ended well: {status:?}");
    }
}

/// The cases that run in this profile, those that stop the server last.
fn selected(profile: &Profile, runner: &Runner) -> Vec<Value> {
    let mut cases = load();
    cases.retain(|case| {
        let destructive = case["destructive"] == true;
        case["kind"] != "quirk" && (profile.destructive || !destructive) && runner.fits(case)
    });
    cases.sort_by_key(|case| case["destructive"] == true);
    cases
}

fn load() -> Vec<Value> {
    let lines = include_str!("../data/cases.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
