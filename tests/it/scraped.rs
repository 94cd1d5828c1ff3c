//! One push cannot spoil the scrapes of all: whatever the gateway takes with default flags can be read by parsers that are
//! not its own. These are promtool, the text parser of Python's client, Google's protobuf and a real Prometheus.
//!
//! Pushes are random: bodies of awkward pieces, whole families in protobuf, and mutations of fuzz seeds. Each gateway gets a
//! batch of them, and the exposition of what it took is read by all. If one of them cannot, the push is looked for that it
//! takes.

mod generate;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pushgateway::exposition::wire as pb;
use pushgateway::random::Random;

use crate::clients;
use crate::prometheus::{self, Prometheus};
use crate::server::Server;
use crate::tools;
use crate::wire::{self, DELIMITED};
use generate::Push;

/// Gateways, and how many pushes each of them gets.
const BATCHES: u64 = 16;
const PUSHES: usize = 60;

/// How names can be escaped, and who reads such text. Promtool knows classic names only. With `dots` a name may begin with
/// two underscores, as that of `_a` does, and Python's parser takes no such label.
const ESCAPINGS: [(&str, bool, bool); 4] =
    [("underscores", true, true), ("dots", false, true), ("values", true, true), ("allow-utf-8", true, false)];

/// The programs that read.
struct Readers {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Readers {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/read.py");
        let mut command = Command::new(clients::python_program());
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.spawn();
        let mut child = spawned.unwrap_or_else(|error| tools::missing(&command, &error, "make tools"));
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, stdin, stdout }
    }

    /// Has everything that a gateway shows read by all of them; what one of them complains about.
    fn read(&mut self, gateway: SocketAddr) -> Result<(), String> {
        for (escaping, by_python, by_promtool) in ESCAPINGS {
            let text = scrape(gateway, &format!("text/plain;escaping={escaping}"));
            let protobuf = scrape(gateway, &format!("{DELIMITED};escaping={escaping}"));
            let mut outcome = if by_python { self.python(&text, &protobuf) } else { Ok(()) };
            if by_promtool {
                outcome = outcome.and_then(|()| promtool(&text));
            }
            outcome.map_err(|problem| format!("escaping={escaping}: {problem}"))?;
        }
        Ok(())
    }

    /// Python's parsers have to find the same in both, and as many samples as there are lines.
    fn python(&mut self, text: &[u8], protobuf: &[u8]) -> Result<(), String> {
        let mut input = format!("{} {}\n", text.len(), protobuf.len()).into_bytes();
        input.extend_from_slice(text);
        input.extend_from_slice(protobuf);
        self.stdin.write_all(&input).expect("the script reads all of it");
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).expect("the script answers in text");
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("the script answers in JSON");
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let samples = samples(text);
        if answer["text"] != samples { Err(format!("{samples} lines of samples, {answer}")) } else { Ok(()) }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn promtool(text: &[u8]) -> Result<(), String> {
    let output = tools::run(Command::new("promtool").args(["check", "metrics"]), text, prometheus::INSTALL);
    let said = tools::said(&output);
    // 0: clean, 3: read but not in the style that the linter wants.
    let is_read = matches!(output.status.code(), Some(0 | 3)) && !said.contains("error while linting");
    if is_read { Ok(()) } else { Err(format!("promtool: {said}")) }
}

fn scrape(gateway: SocketAddr, accept: &str) -> Vec<u8> {
    let response = wire::request_with(gateway, "GET", "/metrics", &format!("Accept: {accept}\r\n"), None);
    assert_eq!(response.status, Some(200), "{}", response.text_lossy());
    response.text()
}

/// How many samples a text exposition has.
fn samples(text: &[u8]) -> usize {
    text.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#")).count()
}

fn put(gateway: SocketAddr, push: &Push) -> wire::Response {
    let headers = format!("Content-Type: {}\r\n", push.content_type);
    wire::request_with(gateway, "PUT", &push.path, &headers, Some(&push.body))
}

/// A gateway and the pushes that it took, each to a group of its own.
struct Batch {
    gateway: Server,
    taken: Vec<Push>,
}

impl Batch {
    fn new(pushes: impl IntoIterator<Item = Push>) -> Self {
        let gateway = Server::start(&[], "");
        let mut taken = Vec::new();
        for push in pushes {
            let response = put(gateway.addr, &push);
            match response.status {
                Some(200) => taken.push(push),
                Some(400) => {}
                status => panic!("{push}: {status:?} {}", response.text_lossy()),
            }
        }
        Self { gateway, taken }
    }

    /// Fails, and names the push that is at fault, if there is a complaint about the gateway.
    fn check(&self, mut check: impl FnMut(SocketAddr) -> Result<(), String>) {
        let gateway = self.gateway.addr;
        let Err(complaint) = check(gateway) else { return };
        // The first pushes are fine by themselves, the first `spoiled` are not.
        let (mut fine, mut spoiled) = (0, self.taken.len());
        let mut shown = spoiled;
        while spoiled - fine > 1 {
            let wanted = fine.midpoint(spoiled);
            for push in self.taken.get(wanted..shown).unwrap_or_default() {
                assert_eq!(wire::request(gateway, "DELETE", &push.path, None).status, Some(202), "{push}");
            }
            for push in self.taken.get(shown..wanted).unwrap_or_default() {
                assert_eq!(put(gateway, push).status, Some(200), "{push}");
            }
            shown = wanted;
            if check(gateway).is_ok() { fine = wanted } else { spoiled = wanted }
        }
        let push = self.taken.get(fine).map(ToString::to_string).unwrap_or_default();
        panic!("{complaint}\nas soon as there is {push}");
    }
}

/// Of each of these, one is enough for a real Prometheus to drop the whole target.
#[test]
fn what_ends_all_scrapes_is_refused() {
    let gateway = Server::start(&[], "");
    let native = |count: u64, first: u64| {
        let mut value = Vec::new();
        pb::write_uint(&mut value, 1, count);
        pb::write_nested(&mut value, 12, |out| pb::write_uint(out, 2, 2));
        pb::write_bytes(&mut value, 13, &[first as u8, 2]);
        generate::histogram(&value)
    };
    let cases = [
        (generate::TEXT, b"# HELP e x\xff\n# TYPE e gauge\ne 1\n".to_vec(), "line 1: invalid help text \"x\\xff\""),
        (DELIMITED, generate::helped(b"x\xff"), "help text is not UTF-8"),
        (DELIMITED, native(6, 6), "native histogram with impossible counts"),
        (DELIMITED, native(9, 1), "native histogram with impossible counts"),
    ];
    for (content_type, body, reason) in cases {
        let push = Push { path: "/metrics/job/evil".to_owned(), content_type, body };
        let response = put(gateway.addr, &push);
        assert_eq!(response.status, Some(400), "{push}");
        assert!(response.text_lossy().contains(reason), "{push}: {}", response.text_lossy());
    }
    for (content_type, body) in [(DELIMITED, native(7, 6)), (DELIMITED, generate::helped("é".as_bytes()))] {
        let push = Push { path: "/metrics/job/good".to_owned(), content_type, body };
        assert_eq!(put(gateway.addr, &push).status, Some(200), "{push}");
    }
}

#[test]
fn what_is_taken_can_be_read_by_others() {
    let mut readers = Readers::start();
    let mut batches = vec![Batch::new(generate::awkward())];
    assert!(batches[0].taken.len() >= generate::AWKWARD_TAKEN, "{} are taken", batches[0].taken.len());
    for run in 0..BATCHES {
        let mut random = Random::for_test(run);
        let batch = Batch::new((0..PUSHES).map(|at| generate::push(&mut random, at)));
        batches.push(batch);
    }
    let taken: usize = batches.iter().map(|batch| batch.taken.len()).sum();
    println!("{taken} of {} pushes were taken", BATCHES as usize * PUSHES);
    for batch in &batches {
        batch.check(|gateway| readers.read(gateway));
    }
    let addresses: Vec<_> = batches.iter().map(|batch| batch.gateway.addr).collect();
    for flags in [&[][..], &["--enable-feature=native-histograms"]] {
        let prometheus = Prometheus::start_for(&addresses, "scheme: http", flags);
        for batch in &batches {
            if prometheus.has_scraped(batch.gateway.addr).is_err() {
                batch.check(|gateway| prometheus.scrapes(gateway));
            }
        }
    }
    assert!(taken > BATCHES as usize * PUSHES / 4, "{taken} pushes were taken");
}
