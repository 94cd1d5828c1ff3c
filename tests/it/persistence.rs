//! A gateway with `--persistence.file` and the ends that a process can take: what was there before is there after.

mod damage;
mod files;
mod loading;

use std::thread;
use std::time::{Duration, Instant};

use pushgateway::random::Random;

use crate::kept::{self, Home, Shown};
use crate::roundtrip;
use crate::server::Server;
use crate::wire::{self, DELIMITED};

/// Requests that together leave everything behind that can be stored.
const REQUESTS: &[(&str, &str, &str)] = &[
    (
        "PUT",
        "job/z",
        "# HELP f Here and there.\n# TYPE f gauge\nf 1\n# HELP g \\\\ and\\n\"more\".\n# TYPE g counter\ng{a=\"b\"} 2\n",
    ),
    (
        "PUT",
        "job/a",
        "# HELP f Here and there.\n# TYPE f gauge\nf 2\nf{x=\"-0\"} -0\nf{x=\"n\"} NaN\nf{x=\"i\"} +Inf\nf{x=\"j\"} -Inf\n",
    ),
    ("PUT", "job/k", "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns{quantile=\"0.9\"} 1\ns_sum -1\ns_count 1.7e19\n"),
    (
        "POST",
        "job/k",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 4\nh_count 3\nh_bucket{a=\"b\",le=\"+Inf\"} 3\n",
    ),
    ("POST", "job/k", "# TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 2.5\ngh_gsum -1\ngh_gcount 3.5\n"),
    ("POST", "job/k", "u 5e-324\nu{l=\"q\\\"\\\\\\n\"} 1e300\n"),
    ("PUT", "job/e/instance@base64/=", "# TYPE e histogram\n# HELP n Nothing.\n# TYPE n gauge\n"),
    ("PUT", "job/e/x@base64/", ""),
    (
        "PUT",
        "job@base64/YS9i/p%C3%B6rt@base64/w7wvLi4v",
        "{\"a.b\",\"é ü\"=\"1\"} 1\n# TYPE \"h.x\" histogram\n{\"h.x_count\"} 3\n",
    ),
    ("POST", "job/j/instance/own", "m{job=\"other\",instance=\"\"} 2\n"),
    ("POST", "job/j/instance/own", "# HELP m2 Help 🎈.\nm2 3\n"),
    ("PUT", "job/replaced", "old 1\nolder 1\n"),
    ("PUT", "job/replaced", "new 1\n"),
    ("POST", "job/replaced", "new 2\nmore 3\n"),
    ("PUT", "job/gone", "gone 1\n"),
    ("DELETE", "job/gone", ""),
    ("PUT", "job/refused", "a 1\na 1\n"),
    ("PUT", "job/a", "f 1\nf 1\n"),
    ("PUT", "job/timed", "a 1 1000\n"),
    ("PUT", "job/unread", "a b\n"),
];

fn send(server: &Server, method: &str, group: &str, body: &str) -> Option<u16> {
    let body = (method != "DELETE").then_some(body.as_bytes());
    server.request(method, &format!("/metrics/{group}"), body).status
}

fn send_everything(server: &Server) {
    for (method, group, body) in REQUESTS {
        let status = send(server, method, group, body);
        assert!(matches!(status, Some(200 | 202 | 400)), "{method} {group}: {status:?}");
    }
    for run in 0..3 {
        let families = roundtrip::random_families(&mut Random::for_test(run));
        let body = roundtrip::delimited(&families);
        let response = roundtrip::put(server, &format!("job/protobuf/run/{run}"), DELIMITED, &body);
        assert!(matches!(response.status, Some(200 | 400)), "{response:?}");
    }
    let many: String = (0..3000).map(|at| format!("long{{at=\"{at}\"}} {at}.5\n")).collect();
    assert_eq!(send(server, "PUT", "job/long", &format!("# TYPE long gauge\n{many}")), Some(200));
}

/// Ends it in one of the ways that lose nothing.
fn end(server: &mut Server, way: &str) {
    match way {
        "KILL" => return server.kill(),
        "quit" => assert_eq!(server.request("PUT", "/-/quit", None).status, Some(200)),
        signal => server.signal(signal),
    }
    let (status, log) = server.end();
    assert!(status.is_some_and(|status| status.success()), "{way}: {status:?} {log}");
}

#[test]
fn everything_is_there_again() {
    for (way, flags) in [
        ("KILL", &["--persistence.sync=always"][..]),
        ("TERM", &[]),
        ("INT", &["--persistence.sync=interval"]),
        ("TERM", &["--persistence.sync=interval", "--persistence.interval=100h"]),
        ("quit", &["--persistence.sync=interval", "--web.enable-lifecycle"]),
    ] {
        let home = Home::new("again");
        let mut server = home.start(flags);
        assert_eq!(Shown::of(&server).text, "");
        send_everything(&server);
        let before = Shown::of(&server);
        for part in ["f{instance=\"\",job=\"a\",x=\"-0\"} ", "job=\"refused\"} 1.", "\"h.x_count\"", "le=\"+Inf\"} 3\n"]
        {
            assert!(before.text.contains(part), "{part} is missing in {before:?}");
        }
        for restart in 0..2 {
            end(&mut server, way);
            server = home.start(flags);
            Shown::of(&server).assert_same(&before, &format!("restart {restart} behind {way} with {flags:?}"));
        }
        assert_eq!(server.request("PUT", "/api/v1/admin/wipe", None).status, Some(202));
        assert_eq!(send(&server, "PUT", "job/behind", "a 1\n"), Some(200));
        let before = Shown::of(&server);
        assert_eq!(before.json.matches("push_time_seconds").count(), 1, "{}", before.json);
        end(&mut server, way);
        Shown::of(&home.start(flags)).assert_same(&before, &format!("a wipe, then {way} with {flags:?}"));
    }
}

/// Two gateways get the same requests; one is killed and started again all the time. Nobody can tell which.
#[test]
fn a_gateway_that_was_restarted_goes_on_as_if_it_was_not() {
    const GROUPS: [&str; 6] =
        ["job/j", "job/j/instance@base64/=", "job/j/a/b", "job/i/instance/x", "job/U%C3%BC/l/", "job/z/zz/y"];
    let mut random = Random::for_test(4);
    let home = Home::new("restarted");
    let steady = Server::start(&["--web.enable-admin-api", "--push.enable-utf8-names"], "");
    let mut restarted = home.start(&[]);
    let mut accepted = 0;
    for step in 0..120 {
        let group = GROUPS[random.index(GROUPS.len())];
        let (method, path) = match random.below(20) {
            0 => ("PUT", "/api/v1/admin/wipe".to_owned()),
            1 | 2 => ("DELETE", format!("/metrics/{group}")),
            3..10 => ("PUT", format!("/metrics/{group}")),
            _ => ("POST", format!("/metrics/{group}")),
        };
        let (content_type, body) = match random.below(6) {
            0 => ("text/plain", b"m 1\nm 1\n".to_vec()),
            1 => ("text/plain", b"m".to_vec()),
            2 | 3 => (DELIMITED, roundtrip::delimited(&roundtrip::random_families(&mut random))),
            _ => ("text/plain", roundtrip::random_text(&mut random).into_bytes()),
        };
        let headers = format!("Content-Type: {content_type}\r\n");
        let ask = |server: &Server| wire::request_with(server.addr, method, &path, &headers, Some(&body));
        let (one, two) = (ask(&steady), ask(&restarted));
        let context = format!("step {step}: {method} {path} {}", body.escape_ascii());
        // In which order the errors of a push stand says nothing.
        let sorted = |response: &wire::Response| {
            let text = response.text_lossy();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!((one.status, sorted(&one)), (two.status, sorted(&two)), "{context}");
        accepted += u32::from(one.status == Some(200));
        if random.one_in(4) {
            let before = Shown::of(&restarted);
            end(&mut restarted, random.pick(&["KILL", "KILL", "TERM"]));
            restarted = home.start(&[]);
            let after = Shown::of(&restarted);
            after.assert_same(&before, &context);
            after.without_times().assert_same(&Shown::of(&steady).without_times(), &context);
        }
    }
    assert!(accepted > 30, "{accepted} pushes were accepted");
}

/// Two groups have a family with different help texts; one of them is shown.
#[test]
fn the_help_that_is_shown_stays() {
    let home = Home::new("help");
    let mut server = home.start(&[]);
    let put = |server: &Server, group: &str| {
        let body = format!("# HELP f From {group}.\nf 1\n");
        assert_eq!(send(server, "PUT", &format!("job/{group}"), &body), Some(200));
    };
    for group in ["m", "z", "x"] {
        put(&server, group);
    }
    let before = Shown::of(&server);
    assert!(before.text.contains("# HELP f From m.\n"), "{}", before.text);
    end(&mut server, "TERM");
    let mut server = home.start(&[]);
    Shown::of(&server).assert_same(&before, "behind a restart");
    // That of another group takes its place, and stays though a group in front of it has one, too.
    assert_eq!(send(&server, "DELETE", "job/m", ""), Some(202));
    put(&server, "a");
    let before = Shown::of(&server);
    assert!(before.text.contains("# HELP f From x.\n"), "{}", before.text);
    end(&mut server, "KILL");
    Shown::of(&home.start(&[])).assert_same(&before, "behind another restart");
}

/// Any interval that is accepted works, at whose end the gateway commits everything.
#[test]
fn odd_intervals_lose_nothing() {
    for interval in ["0s", "-1s", "1ns", "2562047h47m16s"] {
        let home = Home::new("odd");
        let flags = ["--persistence.sync=interval", &format!("--persistence.interval={interval}")];
        let mut server = home.start(&flags);
        assert_eq!(send(&server, "PUT", "job/a", "a 1\n"), Some(200));
        assert_eq!(send(&server, "PUT", "job/b", "a 1\n"), Some(200));
        let before = Shown::of(&server);
        let cpu = kept::own(&server, "process_cpu_seconds_total");
        thread::sleep(Duration::from_millis(300));
        assert!(kept::own(&server, "process_cpu_seconds_total") - cpu < 0.25, "{interval}: it is never at rest");
        end(&mut server, "TERM");
        Shown::of(&home.start(&[])).assert_same(&before, interval);
    }
}

/// SPEC 12.1: an interval behind the start of the last write, at first that of the process; at once if that is past.
#[test]
fn interval_is_the_least_distance_of_two_writes() {
    const INTERVAL: Duration = Duration::from_secs(3);
    let home = Home::new("interval");
    let spawned = Instant::now();
    let mut server = home.start(&["--persistence.sync=interval", "--persistence.interval=3s"]);
    let commits = |server: &Server| kept::own(server, "pushgateway_persistence_commits_total");
    // When the commits that are counted have become this many.
    let reached = |server: &Server, wanted: f64| {
        let end = Instant::now() + 4 * INTERVAL;
        while commits(server) < wanted {
            assert!(Instant::now() < end, "there is no commit {wanted}");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(commits(server), wanted, "a burst is written once");
        Instant::now()
    };
    for at in 0..20 {
        assert_eq!(send(&server, "PUT", &format!("job/{at}"), "a 1\n"), Some(200));
    }
    assert_eq!(commits(&server), 0.0);
    let first = reached(&server, 1.0);
    assert!(first - spawned >= INTERVAL, "the first write came {:?} behind the start", first - spawned);

    thread::sleep(INTERVAL + Duration::from_millis(200));
    assert_eq!(commits(&server), 1.0, "nothing has changed");
    let quiet = Instant::now();
    // The least of changes: one that has no effect but a time.
    assert_eq!(send(&server, "PUT", "job/1", "a 1\na 1\n"), Some(400));
    let second = reached(&server, 2.0);
    assert!(second - quiet < INTERVAL / 2, "behind a quiet time it took {:?}", second - quiet);

    for at in 0..20 {
        assert_eq!(send(&server, "PUT", &format!("job/{at}"), "a 2\n"), Some(200));
    }
    assert_eq!(send(&server, "DELETE", "job/0", ""), Some(202));
    let third = reached(&server, 3.0);
    assert!(third - quiet >= INTERVAL, "the next write came {:?} behind the last", third - quiet);
    let before = Shown::of(&server);
    server.kill();
    Shown::of(&home.start(&[])).assert_same(&before, "what was written");
}

/// Without `always` what was not written may be lost, and nothing else: the state is that of the last write.
#[test]
fn a_kill_between_two_writes_leaves_the_last_one() {
    let home = Home::new("between");
    let mut server = home.start(&["--persistence.sync=interval", "--persistence.interval=1h"]);
    send_everything(&server);
    let before = Shown::of(&server);
    end(&mut server, "TERM");
    server = home.start(&["--persistence.sync=interval", "--persistence.interval=1h"]);
    assert_eq!(send(&server, "PUT", "job/later", "a 1\n"), Some(200));
    assert_eq!(send(&server, "DELETE", "job/long", ""), Some(202));
    server.kill();
    Shown::of(&home.start(&[])).assert_same(&before, "behind a kill");
}

#[test]
fn flags_are_checked_and_listed() {
    let home = Home::new("flags");
    for (flag, wanted) in [
        ("--persistence.sync=never", "always"),
        ("--persistence.sync=", "always"),
        ("--persistence.sync=Always", "always"),
        ("--persistence.interval=5", "missing unit"),
    ] {
        let kept::Start::Ended(status, log) = kept::try_start(&home.path, &[flag]) else {
            panic!("{flag} is accepted")
        };
        assert_eq!(status.code(), Some(1), "{flag}: {log}");
        assert!(log.contains("error") && log.contains(wanted), "{flag}: {log}");
    }
    assert!(!home.path.exists());
    for (flags, sync, interval) in [
        (&[][..], "always", "5m0s"),
        (&["--persistence.sync=interval", "--persistence.interval=90s"], "interval", "1m30s"),
    ] {
        let status = home.start(flags).request("GET", "/api/v1/status", None).text_lossy();
        for (name, value) in
            [("sync", sync), ("interval", interval), ("file", home.path.to_str().expect("the path is UTF-8"))]
        {
            let listed = format!("\"persistence.{name}\":\"{value}\"");
            assert!(status.contains(&listed), "{listed} is not in {status}");
        }
    }
}

/// A file may hold what was pushed unchecked. Checked, it is taken if it would have passed, and refused otherwise.
#[test]
fn what_was_pushed_unchecked_is_checked_at_the_start() {
    let home = Home::new("unchecked");
    let unchecked = &["--push.disable-consistency-check"][..];
    let mut server = home.start(unchecked);
    assert_eq!(send(&server, "PUT", "job/one", "# TYPE a gauge\na 1\n"), Some(202));
    end(&mut server, "KILL");
    let text = |start: kept::Start| match start {
        kept::Start::Ready(text) => text,
        other => panic!("{other:?}"),
    };
    let consistent = text(kept::try_start(&home.path, &[]));
    assert!(consistent.contains("a{instance=\"\",job=\"one\"} 1\n"), "{consistent}");

    server = home.start(unchecked);
    assert_eq!(send(&server, "PUT", "job/two", "# TYPE a counter\na 2\n"), Some(202));
    let json = server.request("GET", "/api/v1/metrics", None).text_lossy();
    end(&mut server, "TERM");
    let bytes = std::fs::read(&home.path).expect("the file can be read");
    let refused = kept::try_start(&home.path, &[]);
    kept::is_refused(&home.path, &refused).expect("it is inconsistent");
    let kept::Start::Ended(_, log) = &refused else { unreachable!("it is refused") };
    assert!(log.contains("--push.disable-consistency-check"), "{log}");
    assert!(log.contains("is not a"), "{log}");
    assert!(std::fs::read(&home.path).expect("the file can be read") == bytes, "the refused file has changed");

    // It is not ready, as it cannot be scraped.
    server = home.launch(unchecked);
    server.wait_for_log("persisted metrics loaded");
    assert_eq!(server.request("GET", "/-/ready", None).status, Some(503));
    assert_eq!(server.request("GET", "/api/v1/metrics", None).text_lossy(), json);
    assert_eq!(server.request("GET", "/metrics", None).status, Some(500));
    assert_eq!(send(&server, "DELETE", "job/two", ""), Some(202));
    end(&mut server, "KILL");
    assert_eq!(text(kept::try_start(&home.path, &[])), consistent);
}
