//! Disks that fail while the gateway runs: pushes are refused, nothing that was acknowledged is lost, and service resumes
//! by itself.
//!
//! The disk is made full by a limit of the size of files, which `prlimit` sets on the running process: writes behind it
//! fail as they do without space.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::kept::{self, Home, Shown, Start};
use crate::server::Server;
use crate::tools;
use crate::wire::Response;

const FAILURES: &str = "pushgateway_persistence_commit_failures_total";

/// How soon service has to resume; generous, as the machine may be busy.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(10);

fn push(server: &Server, group: &str, body: &str) -> Response {
    server.request("PUT", &format!("/metrics/job/{group}"), Some(body.as_bytes()))
}

/// Sets the limit of the size of files, bytes.
fn limit(server: &Server, bytes: &str) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &server.pid().to_string(), &format!("--fsize={bytes}:unlimited")]);
    let output = tools::run(&mut command, b"", "apt-get install util-linux");
    assert!(output.status.success(), "{}", tools::said(&output));
}

/// Waits until `/-/ready` answers this.
#[track_caller]
fn wait_for(server: &Server, status: u16) {
    let end = Instant::now() + RECOVERY_TIME_MAX;
    loop {
        let response = server.request("GET", "/-/ready", None);
        if response.status == Some(status) {
            return;
        }
        assert!(Instant::now() < end, "/-/ready is not {status}: {:?} {}", response.status, response.text_lossy());
        thread::sleep(Duration::from_millis(20));
    }
}

/// A body that compression makes hardly smaller.
fn large(series: u64, seed: u64) -> String {
    let mut random = pushgateway::random::Random::new(seed);
    (0..series).map(|at| format!("large{{at=\"{at}\",x=\"{:x}\"}} {}\n", random.bits(), random.bits())).collect()
}

#[track_caller]
fn check_unavailable(response: &Response, reason: &str) {
    let text = response.text_lossy();
    assert_eq!(response.status, Some(503), "{text}");
    assert!(text.contains(reason), "the reason is {text}");
    let retry = response.header("Retry-After").and_then(|value| value.parse::<u32>().ok());
    assert!(retry.is_some_and(|seconds| seconds > 0), "{response:?}");
}

/// What holds while the disk is full.
fn check_while_full(server: &Server) {
    wait_for(server, 503);
    for (method, path) in [
        ("PUT", "/metrics/job/a"),
        ("POST", "/metrics/job/new"),
        ("DELETE", "/metrics/job/a"),
        ("PUT", "/api/v1/admin/wipe"),
    ] {
        check_unavailable(&server.request(method, path, Some(b"a 1\n")), "File too large");
    }
    check_unavailable(&server.request("GET", "/-/ready", None), "File too large");
    for path in ["/-/healthy", "/metrics", "/api/v1/metrics", "/api/v1/groups", "/api/v1/status", "/"] {
        assert_eq!(server.request("GET", path, None).status, Some(200), "{path}");
    }
    let failures = kept::own(server, FAILURES);
    assert!(failures >= 1.0);
    let end = Instant::now() + RECOVERY_TIME_MAX;
    while kept::own(server, FAILURES) < failures + 1.0 {
        assert!(Instant::now() < end, "it is not tried again");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(kept::own(server, "pushgateway_persistence_queue_length") >= 1.0);
}

#[test]
fn a_full_disk_refuses_pushes_and_loses_nothing() {
    // Full at once, or when the file has to grow.
    for is_growing in [false, true] {
        let home = Home::new("full");
        let mut server = home.start(&[]);
        for at in 0..20 {
            assert_eq!(push(&server, &format!("a/at/{at}"), &format!("a {at}\nb 1\n")).status, Some(200));
        }
        let bytes = fs::metadata(&home.path).expect("the file is there").len();
        limit(&server, &if is_growing { bytes.to_string() } else { "4096".to_owned() });
        let mut accepted = 0;
        let refused = loop {
            let response = push(&server, &format!("large/at/{accepted}"), &large(500, accepted));
            if response.status != Some(200) {
                break response;
            }
            accepted += 1;
            assert!(is_growing && accepted < 1000, "it never fails");
        };
        check_unavailable(&refused, "File too large");
        check_while_full(&server);
        let log = server.log();
        assert!(log.contains("msg=\"error persisting metrics\"") && log.contains("File too large"), "{log}");

        // What a kill leaves now is all that was acknowledged.
        let copy = home.directory().join("copy.db");
        fs::copy(&home.path, &copy).expect("the file can be copied");
        let Start::Ready(text) = kept::try_start(&copy, &[]) else { panic!("the file of a full disk is no good") };
        for at in 0..20 {
            assert!(text.contains(&format!("a{{at=\"{at}\",instance=\"\",job=\"a\"}} {at}\n")), "{at} is lost: {text}");
        }
        let series = text.matches(",instance=\"\",job=\"large\",x=").count() as u64;
        assert!(series >= 500 * accepted, "{accepted} pushes were accepted, and {series} series are there");

        limit(&server, "unlimited");
        wait_for(&server, 200);
        assert_eq!(push(&server, "behind", "a 1\n").status, Some(200));
        assert_eq!(server.request("DELETE", "/metrics/job/a/at/0", None).status, Some(202));
        assert_eq!(kept::own(&server, "pushgateway_persistence_queue_length"), 0.0);
        let before = Shown::of(&server);
        server.kill();
        Shown::of(&home.start(&[])).assert_same(&before, "behind a full disk");
    }
}

/// Filled and emptied again and again, with a kill in the middle: acknowledged is acknowledged.
#[test]
fn a_disk_that_fails_now_and_then_loses_nothing() {
    let home = Home::new("flaky");
    let mut accepted = [None; 6];
    let mut tried = vec![Vec::new(); 6];
    for round in 0..2u64 {
        let mut server = home.start(&[]);
        for step in 0..120 {
            if step % 20 == 10 {
                limit(&server, "12288");
            } else if step % 20 == 15 {
                limit(&server, "unlimited");
                wait_for(&server, 200);
            }
            let (at, value) = (step as usize % 6, 1000 * round + step);
            tried[at].push(value);
            let response = push(&server, &format!("g/at/{at}"), &format!("a {value}\nb {value}\n"));
            match response.status {
                Some(200) => (accepted[at], tried[at]) = (Some(value), Vec::new()),
                _ => check_unavailable(&response, "File too large"),
            }
        }
        server.kill();
        let text = Shown::of(&home.start(&[])).text;
        for (at, accepted) in accepted.iter_mut().enumerate() {
            let value = |name: &str| {
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix(&format!("{name}{{at=\"{at}\",instance=\"\",job=\"g\"}} ")));
                line.and_then(|value| value.parse::<u64>().ok())
            };
            assert_eq!(value("a"), value("b"), "half of a push: {text}");
            let is_expected = value("a") == *accepted || value("a").is_some_and(|value| tried[at].contains(&value));
            assert!(is_expected, "{at}: {:?} instead of {accepted:?} or one of {:?}", value("a"), tried[at]);
            (*accepted, tried[at]) = (value("a"), Vec::new());
        }
    }
}

#[test]
fn a_full_disk_in_interval_mode_shows_in_readiness_only() {
    let home = Home::new("full-interval");
    let mut server = home.start(&["--persistence.sync=interval", "--persistence.interval=100ms"]);
    assert_eq!(push(&server, "a", "a 1\n").status, Some(200));
    limit(&server, "4096");
    let begin = Instant::now();
    let mut count = 0;
    while server.request("GET", "/-/ready", None).status == Some(200) {
        assert!(begin.elapsed() < RECOVERY_TIME_MAX, "it stays ready");
        assert_eq!(push(&server, &format!("b/at/{count}"), "b 1\n").status, Some(200));
        count += 1;
        thread::sleep(Duration::from_millis(10));
    }
    check_unavailable(&server.request("GET", "/-/ready", None), "File too large");
    assert_eq!(server.request("GET", "/-/healthy", None).status, Some(200));
    assert_eq!(push(&server, "c", "c 1\n").status, Some(200));
    assert_eq!(server.request("DELETE", "/metrics/job/a", None).status, Some(202));
    assert!(kept::own(&server, FAILURES) >= 1.0);
    limit(&server, "unlimited");
    wait_for(&server, 200);
    let end = Instant::now() + RECOVERY_TIME_MAX;
    while kept::own(&server, "pushgateway_persistence_queue_length") > 0.0 {
        assert!(Instant::now() < end, "changes stay unwritten");
        thread::sleep(Duration::from_millis(20));
    }
    let before = Shown::of(&server);
    assert!(before.text.contains("job=\"c\"") && !before.text.contains("job=\"a\""), "{}", before.text);
    server.kill();
    Shown::of(&home.start(&[])).assert_same(&before, "behind a full disk");
}

#[test]
fn a_stop_that_cannot_store_everything_says_so() {
    for (flags, way) in [
        (&[][..], "TERM"),
        (&["--persistence.sync=interval", "--persistence.interval=1h"], "TERM"),
        (&["--persistence.sync=interval", "--persistence.interval=1h", "--web.enable-lifecycle"], "quit"),
    ] {
        let home = Home::new("stop");
        let mut server = home.start(flags);
        assert_eq!(push(&server, "kept", "a 1\n").status, Some(200));
        limit(&server, "4096");
        let status = push(&server, "lost", "a 2\n").status;
        assert_eq!(status, Some(if flags.is_empty() { 503 } else { 200 }), "{flags:?}");
        let begin = Instant::now();
        match way {
            "quit" => assert_eq!(server.request("PUT", "/-/quit", None).status, Some(200)),
            signal => server.signal(signal),
        }
        let (status, log) = server.end();
        assert!(status.is_some_and(|status| !status.success()), "{flags:?}: {status:?} {log}");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
        let line = log.lines().find(|line| line.contains("msg=\"problem shutting down metric storage\""));
        assert!(line.is_some_and(|line| line.contains("File too large") && line.contains("level=error")), "{log}");
        assert!(log.contains("not everything could be stored"), "{log}");
        let Start::Ready(text) = kept::try_start(&home.path, &[]) else { panic!("the file is no good") };
        assert_eq!(text.contains("job=\"kept\""), flags.is_empty(), "{text}");
    }
}

/// Whatever becomes of the file: what is acknowledged is under its name, or it is not acknowledged.
#[test]
fn a_file_that_was_deleted_takes_no_more_pushes() {
    check_gone("deleted", |path| fs::remove_file(path).expect("the file can be removed"));
}

#[test]
fn a_file_that_was_moved_takes_no_more_pushes() {
    check_gone("moved", |path| fs::rename(path, path.with_extension("moved")).expect("the file can be moved"));
}

#[test]
fn a_file_that_was_replaced_takes_no_more_pushes() {
    check_gone("replaced", |path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).expect("the file can be copied");
        fs::rename(copy, path).expect("the file can be replaced");
    });
}

fn check_gone(name: &str, change: impl Fn(&Path)) {
    let home = Home::new(name);
    let mut server = home.start(&[]);
    assert_eq!(push(&server, "before", "a 1\n").status, Some(200));
    change(&home.path);
    let status = push(&server, "after", "a 2\n").status;
    let again = push(&server, "again", "a 2\n").status;
    assert_eq!(server.request("GET", "/-/healthy", None).status, Some(200));
    let ready = server.request("GET", "/-/ready", None).status;
    server.kill();
    let text = match kept::try_start(&home.path, &[]) {
        Start::Ready(text) => text,
        other => format!("{other:?}"),
    };
    for (group, status) in [("after", status), ("again", again)] {
        let is_kept = text.contains(&format!("job=\"{group}\""));
        assert!(
            status != Some(200) || is_kept,
            "the file was {name}: {group} was acknowledged and is lost (ready: {ready:?})"
        );
    }
}

#[test]
fn a_file_that_was_moved_and_put_back_is_gone_on_with() {
    let home = Home::new("back");
    let mut server = home.start(&[]);
    assert_eq!(push(&server, "before", "a 1\n").status, Some(200));
    let elsewhere = home.directory().join("elsewhere");
    fs::rename(&home.path, &elsewhere).expect("the file can be moved");
    check_unavailable(&push(&server, "meanwhile", "a 2\n"), "removed or replaced");
    check_unavailable(&server.request("GET", "/-/ready", None), "removed or replaced");
    fs::rename(&elsewhere, &home.path).expect("the file can be moved");
    wait_for(&server, 200);
    assert_eq!(push(&server, "after", "a 3\n").status, Some(200));
    let before = Shown::of(&server);
    server.kill();
    Shown::of(&home.start(&[])).assert_same(&before, "behind a move");
}

/// A disk that failed, and meanwhile an old file was put in the place of the file: what is there now is not what was.
#[test]
fn a_file_that_was_replaced_by_an_older_one_is_not_gone_on_with() {
    let home = Home::new("older");
    let mut server = home.start(&[]);
    assert_eq!(push(&server, "old", "a 1\n").status, Some(200));
    let older = home.directory().join("older.db");
    fs::copy(&home.path, &older).expect("the file can be copied");
    assert_eq!(push(&server, "acknowledged", "a 1\n").status, Some(200));
    limit(&server, "4096");
    check_unavailable(&push(&server, "x", "a 1\n"), "File too large");
    fs::rename(&older, &home.path).expect("the file can be replaced");
    limit(&server, "unlimited");
    thread::sleep(Duration::from_secs(3));
    let is_ready = server.request("GET", "/-/ready", None).status == Some(200);
    let status = push(&server, "later", "a 1\n").status;
    server.kill();
    if is_ready || status == Some(200) {
        let text = Shown::of(&home.start(&[])).text;
        assert!(text.contains("job=\"acknowledged\""), "an acknowledged push is lost (ready: {is_ready}): {text}");
    }
}

/// Somebody cuts the file while it is in use. Nothing can be done about it; but there is an answer to everything, an end,
/// and no start from the ruin as if nothing had been stored.
#[test]
fn a_file_that_was_cut_while_in_use_stops_nothing() {
    for length in [0, 4096, 16384] {
        let home = Home::new("cut");
        let mut server = home.start(&[]);
        for at in 0..100 {
            assert_eq!(push(&server, &format!("a/at/{at}"), &large(100, at)).status, Some(200));
        }
        let file = fs::File::options().write(true).open(&home.path).expect("the file can be opened");
        file.set_len(length).expect("the file can be cut");
        for at in 0..20 {
            let response = push(&server, &format!("a/at/{}", 5 * at), &large(100, at + 100));
            assert!(matches!(response.status, Some(200 | 503)), "cut to {length}: {response:?} {}", server.log());
            assert_eq!(server.request("GET", "/-/healthy", None).status, Some(200));
        }
        server.signal("TERM");
        let (status, log) = server.end();
        assert!(status.is_some_and(|status| status.code().is_some()), "cut to {length}: {status:?} {log}");
        let bytes = fs::read(&home.path).ok();
        let start = kept::try_start(&home.path, &[]);
        kept::is_refused(&home.path, &start).unwrap_or_else(|why| panic!("cut to {length}: {why}"));
        assert!(fs::read(&home.path).ok() == bytes, "cut to {length}: the refused file has changed");
    }
}

/// A file that may not be opened any more is no reason to give up: it may come back.
#[test]
fn a_file_that_may_not_be_written_for_a_while_is_waited_for() {
    let home = Home::new("mode");
    // Root may open everything; without these privileges it is as everybody.
    let dropped = "-dac_override,-dac_read_search";
    let gateway = kept::command_on(&home.path, &[]);
    let mut command = Command::new("setpriv");
    command.args([format!("--bounding-set={dropped}"), format!("--inh-caps={dropped}")]);
    command.arg(gateway.get_program()).args(gateway.get_args());
    if !kept::is_root() {
        command = gateway;
    }
    let mut server = Server::try_launch(&mut command).unwrap_or_else(|why| panic!("{why:?}"));
    server.wait_until_ready("", "");
    let set_mode =
        |mode| fs::set_permissions(&home.path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    assert_eq!(push(&server, "a", "a 1\n").status, Some(200));
    set_mode(0o400);
    limit(&server, "4096");
    check_unavailable(&push(&server, "b", "b 1\n"), "File too large");
    limit(&server, "unlimited");
    thread::sleep(Duration::from_millis(2500));
    check_unavailable(&push(&server, "c", "c 1\n"), "Permission denied");
    assert_eq!(server.request("GET", "/-/ready", None).status, Some(503));
    set_mode(0o600);
    wait_for(&server, 200);
    assert_eq!(push(&server, "c", "c 1\n").status, Some(200));
    let before = Shown::of(&server);
    server.kill();
    Shown::of(&home.start(&[])).assert_same(&before, "behind a change of modes");
}

/// A start on a full disk: refused, and the file is as it was; there is none where there was none.
#[test]
fn a_start_on_a_full_disk_is_refused() {
    let home = Home::new("start-full");
    let start = || {
        let gateway = kept::command_on(&home.path, &[]);
        let mut command = Command::new("prlimit");
        command.arg("--fsize=0:unlimited").arg(gateway.get_program()).args(gateway.get_args());
        kept::try_start_command(&mut command)
    };
    kept::is_refused(&home.path, &start()).expect("there is no room for a file");
    assert!(!home.path.exists());
    let mut server = home.start(&[]);
    assert_eq!(push(&server, "a", "a 1\n").status, Some(200));
    let before = Shown::of(&server);
    server.kill();
    let bytes = fs::read(&home.path).expect("the file can be read");
    match start() {
        Start::Ready(text) => assert_eq!(text, before.text),
        start => kept::is_refused(&home.path, &start).expect("it is refused or ready"),
    }
    assert!(fs::read(&home.path).expect("the file can be read") == bytes);
    Shown::of(&home.start(&[])).assert_same(&before, "behind a start on a full disk");
}
