//! Basic authentication, headers and rate limit (`--web.config.file`) against a running gateway.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::server::Server;
use crate::tools::{Scratch, run, said};
use crate::wire::{self, Response};

/// Hashes of `secret` as Python's bcrypt makes them: the quickest, one that takes a while, and one that takes longer.
const QUICK: &str = "$2b$04$R1qQz7aslX944EMgk1qUluuq2xZKuLhgDTg4uvoHZOLmj1uEHY9Fq";
const SLOWEST: &str = "$2a$12$YVDQdIXE551fVabM.ES2Qu3QK984lvZImRzIXXy/XdwMId8RJvEH6";
const SLOW: &str = "$2a$10$2jum88dutldIds1sn5RIT.7ctnT/P8aOnM3aoQJh2KjliV.qoS1py";

const HEADERS: &str =
    "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n";

/// Longer than the gateway takes to notice that a file changed.
const NOTICE: Duration = Duration::from_millis(300);

/// A gateway with a configuration that can be changed.
struct Guarded {
    folder: Scratch,
    server: Server,
}

impl Guarded {
    fn start(config: &str, flags: &[&str]) -> Guarded {
        let folder = Scratch::new("auth");
        let file = folder.file("web.yml", config);
        let file = format!("--web.config.file={}", file.display());
        let server = Server::spawn(&[flags, &[&file]].concat());
        Guarded { folder, server }
    }

    /// Changes the configuration.
    fn configure(&self, config: &str) {
        self.folder.file("web.yml", config);
        thread::sleep(NOTICE);
    }

    fn get(&self, path: &str, credentials: Option<(&str, &str)>) -> Response {
        wire::request_with(self.server.addr, "GET", path, &authorization(credentials), None)
    }

    #[track_caller]
    fn check(&self, path: &str, credentials: Option<(&str, &str)>, status: u16) -> Response {
        let response = self.get(path, credentials);
        assert_eq!(response.status, Some(status), "{path} {credentials:?}: {}", response.text_lossy());
        response
    }
}

/// The header line of these credentials.
fn authorization(credentials: Option<(&str, &str)>) -> String {
    credentials.map_or(String::new(), |(user, password)| {
        format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
    })
}

fn users(users: &[(&str, &str)]) -> String {
    let lines = users.iter().map(|(user, hash)| format!("  {user}: {hash}\n"));
    format!("basic_auth_users:\n{}", lines.collect::<String>())
}

const BOB: Option<(&str, &str)> = Some(("bob", "secret"));

#[test]
fn hashes_of_all_versions_count() {
    let variants = ["$2a$", "$2b$", "$2y$"].map(|version| QUICK.replace("$2b$", version));
    let named: Vec<(&str, &str)> = ["a", "b", "y"].into_iter().zip(variants.iter().map(String::as_str)).collect();
    let gateway = Guarded::start(&users(&[&named[..], &[("slow", SLOW)]].concat()), &[]);
    for name in ["a", "b", "y", "slow"] {
        gateway.check("/-/ready", Some((name, "secret")), 200);
        gateway.check("/-/ready", Some((name, "Secret")), 401);
    }
    gateway.check("/-/ready", Some(("nobody", "secret")), 401);
    let url = |password: &str| format!("http://slow:{password}@{}/metrics", gateway.server.addr);
    for (password, status) in [("secret", "200"), ("wrong", "401")] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", &url(password)]);
        assert_eq!(said(&run(&mut curl, b"", "apt-get install curl")), status);
    }
}

/// Everything is behind the gate: pushes, redirects of unclean paths, what is not there.
#[test]
fn nothing_passes_without_credentials() {
    let config = users(&[("bob", QUICK)]) + HEADERS;
    let gateway = Guarded::start(&config, &["--web.enable-admin-api", "--web.enable-lifecycle"]);
    let requests = [
        ("GET", "/metrics"),
        ("GET", "/"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
        ("GET", "/nope"),
        ("GET", "//metrics"),
        ("GET", "/api/v1/metrics"),
        ("OPTIONS", "/api/v1/status"),
        ("OPTIONS", "*"),
        ("HEAD", "/metrics"),
        ("PUT", "/metrics/job/x"),
        ("POST", "/metrics/job/x"),
        ("DELETE", "/metrics/job/x"),
        ("PUT", "/-/quit"),
        ("PUT", "/api/v1/admin/wipe"),
        ("BREW", "/"),
    ];
    for (method, path) in requests {
        for headers in ["", "Authorization: Basic\r\n", "Authorization: Bearer x\r\n", "Authorization: Basic eA==\r\n"]
        {
            let response = wire::request_with(gateway.server.addr, method, path, headers, None);
            assert_eq!(response.status, Some(401), "{method} {path} {headers}");
            assert_eq!(response.header("Www-Authenticate").as_deref(), Some("Basic"), "{method} {path}");
            assert_eq!(response.header("X-Frame-Options").as_deref(), Some("deny"), "{method} {path}");
            // It has this header already, and once is enough.
            assert_eq!(response.header("X-Content-Type-Options").as_deref(), Some("nosniff"), "{method} {path}");
            let body = if method == "HEAD" { "" } else { "Unauthorized\n" };
            assert_eq!(response.text_lossy(), body, "{method} {path}");
        }
    }
    // The first of several counts, as in the original; and a gzip header is read behind the gate.
    let twice = authorization(Some(("bob", "x"))) + &authorization(BOB);
    assert_eq!(wire::request_with(gateway.server.addr, "GET", "/metrics", &twice, None).status, Some(401));
    let gzip =
        wire::request_with(gateway.server.addr, "PUT", "/metrics/job/x", "Content-Encoding: gzip\r\n", Some(b"x"));
    assert_eq!(gzip.status, Some(401));
    let headers = authorization(BOB) + "Content-Encoding: gzip\r\n";
    let gzip = wire::request_with(gateway.server.addr, "PUT", "/metrics/job/x", &headers, Some(b"not a gzip header"));
    assert_eq!((gzip.status, gzip.text_lossy().as_str()), (Some(400), "gzip: invalid header\n"));
    assert_eq!(gzip.header("X-Frame-Options").as_deref(), Some("deny"));
    let scrape = gateway.check("/metrics", BOB, 200);
    assert_eq!(scrape.header("X-Frame-Options").as_deref(), Some("deny"));
    assert!(!scrape.text_lossy().contains("job=\"x\""));
}

#[test]
fn users_and_headers_change_at_once() {
    let gateway = Guarded::start("", &[]);
    assert_eq!(gateway.check("/-/ready", None, 200).header("X-Frame-Options"), None);
    gateway.configure(&users(&[("bob", QUICK)]));
    gateway.check("/-/ready", None, 401);
    gateway.check("/-/ready", BOB, 200);
    gateway.configure(&(users(&[("eve", QUICK)]) + HEADERS));
    gateway.check("/-/ready", BOB, 401);
    let response = gateway.check("/-/ready", Some(("eve", "secret")), 200);
    assert_eq!(response.header("X-Frame-Options").as_deref(), Some("deny"));
    // A file that cannot be used lets nobody in, without headers, and says why in the log.
    for broken in ["basic_auth_users: [", "bogus: 1\n", "basic_auth_users: {bob: x}\n"] {
        gateway.configure(broken);
        let response = gateway.check("/-/ready", Some(("eve", "secret")), 500);
        assert_eq!(response.text_lossy(), "Internal Server Error\n");
        assert_eq!(response.header("X-Frame-Options"), None);
    }
    fs::remove_file(gateway.folder.0.join("web.yml")).expect("it is there");
    thread::sleep(NOTICE);
    gateway.check("/-/ready", Some(("eve", "secret")), 500);
    gateway.server.wait_for_log("no such file or directory");
    assert!(gateway.server.log().contains("msg=\"Unable to parse configuration\""));
    gateway.configure(&users(&[("bob", QUICK)]));
    gateway.check("/-/ready", BOB, 200);
    // An empty file lets everybody in, once it is clear that nobody is still writing it.
    gateway.configure("");
    gateway.check("/-/ready", None, 401);
    thread::sleep(Duration::from_secs(2));
    gateway.check("/-/ready", None, 200);
}

#[test]
fn probes_may_be_exempt() {
    let config = users(&[("bob", QUICK)]) + HEADERS;
    let exempt = Guarded::start(&config, &["--web.auth-exempt-probes", "--web.route-prefix=/pre"]);
    for path in ["/pre/-/healthy", "/pre/-/ready", "/pre/-/ready?x=y"] {
        let response = exempt.check(path, None, 200);
        assert_eq!(response.header("X-Frame-Options").as_deref(), Some("deny"));
        // Whoever shows wrong credentials there is not asked for them.
        exempt.check(path, Some(("bob", "wrong")), 200);
    }
    for path in ["/pre/metrics", "/-/ready", "/pre/-/ready/", "/pre/-/READY", "/pre//-/ready", "/pre/-/quit", "/pre/"] {
        exempt.check(path, None, 401);
    }
    let post = wire::request(exempt.server.addr, "POST", "/pre/-/ready", None);
    assert_eq!(post.status, Some(401));
    let strict = Guarded::start(&config, &[]);
    strict.check("/-/ready", None, 401);
    strict.check("/-/healthy", None, 401);
}

/// Reads an answer's head off a connection that stays open.
fn head(peer: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match peer.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            outcome => panic!("{outcome:?} behind {}", head.escape_ascii()),
        }
    }
    String::from_utf8(head).expect("ASCII")
}

fn connect(gateway: &Guarded) -> TcpStream {
    let peer = TcpStream::connect(gateway.server.addr).expect("the gateway listens");
    peer.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    peer
}

/// The interim answer asks for the body: it comes when it is clear that the body is wanted, and not before.
#[test]
fn bodies_are_asked_for_behind_the_gate() {
    let gateway = Guarded::start(&users(&[("bob", SLOW)]), &[]);
    let push = |password: &str| {
        let mut peer = connect(&gateway);
        let credentials = authorization(Some(("bob", password)));
        let text = format!(
            "PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\n{credentials}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        );
        peer.write_all(text.as_bytes()).expect("the gateway reads");
        peer
    };
    let mut wrong = push("wrong");
    assert!(head(&mut wrong).starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    for _ in 0..2 {
        let mut right = push("secret");
        assert_eq!(head(&mut right), "HTTP/1.1 100 Continue\r\n\r\n");
        right.write_all(b"a 1\n").expect("the gateway reads");
        assert!(head(&mut right).starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

/// Whoever comes with a password for the first time waits for a comparison, and is then served like anybody else: a body
/// may be empty, and a change may have to be on the disk first.
#[test]
fn the_first_request_with_a_password_is_answered() {
    let crowd = ["ann", "bob", "cid", "dan", "eve"];
    let config = users(&crowd.map(|name| (name, QUICK))) + &format!("  fay: {QUICK}\n");
    let folder = Scratch::new("first");
    let kept = format!("--persistence.file={}", folder.0.join("kept.db").display());
    for flags in [&["--web.enable-admin-api"][..], &["--web.enable-admin-api", &kept]] {
        let gateway = Guarded::start(&config, flags);
        gateway.server.wait_until_ready("", &authorization(Some(("fay", "secret"))));
        let requests = [
            ("PUT /metrics/job/x HTTP/1.1\r\nContent-Length: 0\r\n", 200),
            ("POST /metrics/job/y HTTP/1.1\r\n", 200),
            ("DELETE /metrics/job/x HTTP/1.1\r\n", 202),
            ("PUT /api/v1/admin/wipe HTTP/1.1\r\n", 202),
            ("PUT /metrics/job/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 200),
        ];
        // All at once: what one of them waits for must not pass for what another does.
        let peers = requests.iter().zip(crowd).map(|((begin, _), name)| {
            let mut peer = connect(&gateway);
            let body = if begin.contains("chunked") { "0\r\n\r\n" } else { "" };
            let credentials = authorization(Some((name, "secret")));
            write!(peer, "{begin}Host: x\r\n{credentials}\r\n{body}").expect("the gateway reads");
            peer
        });
        for (mut peer, (begin, status)) in peers.collect::<Vec<_>>().into_iter().zip(requests) {
            let head = head(&mut peer);
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{flags:?} {begin}: {head}");
        }
    }
}

/// While a password is being compared nothing is read: a body waits in the sockets and not in the gateway.
#[test]
fn bodies_wait_outside() {
    let gateway = Guarded::start(&users(&[("bob", SLOW)]), &[]);
    gateway.check("/-/ready", None, 401);
    let before = resident(&gateway);
    let mut grown = 0;
    for (password, expected) in [("wrong", "HTTP/1.1 401 "), ("secret", "HTTP/1.1 200 ")] {
        let body: String = (0..400_000).map(|number| format!("large{{number=\"{number}\"}} 1\n")).collect();
        let credentials = authorization(Some(("bob", password)));
        let head_text =
            format!("PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\n{credentials}Content-Length: {}\r\n\r\n", body.len());
        let mut peer = connect(&gateway);
        peer.write_all(head_text.as_bytes()).expect("the gateway reads");
        let mut writer = peer.try_clone().expect("it can be");
        let answer = thread::scope(|scope| {
            // The gateway may close before it has all of it.
            scope.spawn(move || writer.write_all(body.as_bytes()).unwrap_or_default());
            if password == "wrong" {
                thread::sleep(Duration::from_millis(80));
                grown = resident(&gateway).saturating_sub(before);
            }
            head(&mut peer)
        });
        assert!(answer.starts_with(expected), "{answer}");
    }
    assert!(grown < 4_000, "grown by {grown} KiB while it compared");
}

/// Resident memory of the gateway, KiB.
fn resident(gateway: &Guarded) -> u64 {
    let path = format!("/proc/{}/status", gateway.server.pid());
    let status = fs::read_to_string(path).expect("the gateway runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Requests behind one that waits are answered behind it, and a client that leaves meanwhile does no harm.
#[test]
fn requests_that_wait_stay_in_order() {
    let gateway = Guarded::start(&users(&[("bob", SLOW)]), &[]);
    let leaving = |password: &str| {
        let mut peer = connect(&gateway);
        let text = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", authorization(Some(("bob", password))));
        peer.write_all(text.as_bytes()).expect("the gateway reads");
    };
    leaving("one");
    leaving("two");
    let mut peer = connect(&gateway);
    let request = |password: &str, path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\n{}\r\n", authorization(Some(("bob", password))))
    };
    let requests = [
        request("secret", "/nope"),
        request("three", "/-/ready"),
        request("secret", "/-/ready"),
        "GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    peer.write_all(requests.concat().as_bytes()).expect("the gateway reads");
    let mut text = String::new();
    peer.read_to_string(&mut text).expect("the gateway answers and closes");
    let statuses: Vec<&str> = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["404", "401", "200", "401"], "{text}");
}

/// Guesses queue up to a bound, then are sent away; who is known is served at once all the while.
#[test]
fn floods_of_guesses_are_bounded() {
    let gateway = Guarded::start(&users(&[("bob", SLOWEST)]), &[]);
    gateway.check("/-/ready", BOB, 200);
    let mut peers = Vec::new();
    for number in 0..300 {
        let mut peer = connect(&gateway);
        let credentials = authorization(Some(("bob", &format!("guess {number}"))));
        let text = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{credentials}\r\n");
        peer.write_all(text.as_bytes()).expect("the gateway reads");
        peers.push(peer);
    }
    let begin = Instant::now();
    for _ in 0..20 {
        gateway.check("/metrics", BOB, 200);
    }
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    // One thread compares, so those that were let into the queue would take minutes; those that were not know already.
    let end = Instant::now() + Duration::from_secs(20);
    let (mut answers, mut sent_away) = (vec![Vec::new(); peers.len()], 0);
    while sent_away < 200 {
        assert!(Instant::now() < end, "only {sent_away} were sent away");
        for (peer, answer) in peers.iter_mut().zip(&mut answers) {
            peer.set_nonblocking(true).expect("it can be");
            let _ = peer.read_to_end(answer);
        }
        let busy = answers.iter().filter(|answer| answer.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"));
        sent_away = busy.filter(|answer| memchr::memmem::find(answer, b"\r\nRetry-After: 1\r\n").is_some()).count();
    }
    // A stop does not wait for the comparisons, as their requests are given no more time than others.
    drop(peers);
    let mut gateway = gateway;
    let begin = Instant::now();
    gateway.server.signal("TERM");
    assert!(gateway.server.wait_for_exit().is_some_and(|status| status.success()));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

/// Long heads that wait for one and the same comparison are bounded all together.
#[test]
fn heads_that_wait_are_bounded() {
    let gateway = Guarded::start(&users(&[("bob", SLOWEST)]), &[]);
    let before = resident(&gateway);
    let padding = "x".repeat(900_000);
    let mut peers = Vec::new();
    let mut answers = String::new();
    for _ in 0..60 {
        let mut peer = connect(&gateway);
        let credentials = authorization(Some(("bob", "the same")));
        let text =
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{credentials}X: {padding}\r\n\r\n");
        peer.write_all(text.as_bytes()).expect("the gateway reads");
        peers.push(peer);
    }
    let grown = resident(&gateway).saturating_sub(before);
    for peer in &mut peers {
        answers.push_str(&head(peer));
    }
    let (denied, busy) = (answers.matches("HTTP/1.1 401 ").count(), answers.matches("HTTP/1.1 503 ").count());
    assert_eq!(denied + busy, 60, "{answers}");
    assert!(denied > 0, "some waited");
    assert!(grown < 60_000, "grown by {grown} KiB");
}

#[test]
fn requests_are_limited_in_front_of_credentials() {
    let config = users(&[("bob", QUICK)]) + HEADERS + "rate_limit:\n  interval: 1h\n  burst: 3\n";
    let gateway = Guarded::start(&config, &[]);
    assert!(gateway.server.log().contains("msg=\"Rate Limiter is enabled.\" burst=3 interval=1h0m0s"));
    gateway.check("/-/ready", None, 401);
    gateway.check("/-/ready", BOB, 200);
    gateway.check("/nope", BOB, 404);
    for credentials in [None, BOB] {
        let response = gateway.check("/-/ready", credentials, 429);
        assert_eq!(response.text_lossy(), "Too Many Requests\n");
        assert_eq!(response.header("X-Frame-Options"), None);
        assert_eq!(response.header("X-Content-Type-Options").as_deref(), Some("nosniff"));
    }
    // The limit is fixed at the start; a file that is broken comes first.
    gateway.configure(&users(&[("bob", QUICK)]));
    gateway.check("/-/ready", BOB, 429);
    gateway.configure("bogus");
    gateway.check("/-/ready", BOB, 500);
}
