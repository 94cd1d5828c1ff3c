//! What the tests of persistence share: a file of their own, gateways on it, and everything that a gateway shows of
//! what was pushed to it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use pushgateway::exposition::wire as pb;

use crate::server::{self, Server};
use crate::tools::{self, Scratch};
use crate::wire::{self, DELIMITED};

/// A persistence file, which is not there yet, in a directory of its own.
pub struct Home {
    directory: Scratch,
    /// The file.
    pub path: PathBuf,
}

impl Home {
    /// See there.
    pub fn new(name: &str) -> Home {
        let directory = Scratch::new(name);
        let path = directory.0.join("kept.db");
        Home { directory, path }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// A gateway on the file, with the admin API and UTF-8 names, and ready.
    pub fn start(&self, flags: &[&str]) -> Server {
        let server = self.launch(flags);
        server.wait_until_ready("", "");
        server
    }

    /// The same, not waited for.
    pub fn launch(&self, flags: &[&str]) -> Server {
        launch_on(&self.path, flags)
    }
}

/// A gateway on this file that listens.
pub fn launch_on(path: &Path, flags: &[&str]) -> Server {
    Server::launch(&mut command_on(path, flags))
}

/// The command for a gateway on this file.
pub fn command_on(path: &Path, flags: &[&str]) -> Command {
    let mut command = Server::command();
    server::on_free_port(&mut command).args(["--web.enable-admin-api", "--push.enable-utf8-names"]);
    command.arg(format!("--persistence.file={}", path.display())).args(flags);
    command
}

/// What became of a gateway on a file that may be no good.
#[derive(Debug)]
pub enum Start {
    /// It is ready and shows this.
    Ready(String),
    /// It has ended: how, and what it logged.
    Ended(ExitStatus, String),
    /// Neither, for as long as was waited.
    Hangs(String),
}

/// Starts a gateway on this file and waits for what becomes of it. If it is ready it is killed.
pub fn try_start(path: &Path, flags: &[&str]) -> Start {
    try_start_command(&mut command_on(path, flags))
}

/// The same with a command for a gateway.
pub fn try_start_command(command: &mut Command) -> Start {
    let mut server = match Server::try_launch(command) {
        Ok(server) => server,
        Err((Some(status), log)) => return Start::Ended(status, log),
        Err((None, log)) => return Start::Hangs(log),
    };
    let end = std::time::Instant::now() + wire::TIMEOUT;
    while std::time::Instant::now() < end {
        if server.request("GET", "/-/ready", None).status == Some(200) {
            let shown = Shown::of(&server).text;
            server.kill();
            return Start::Ready(shown);
        }
        if server.has_ended() {
            let (status, log) = server.end();
            return Start::Ended(status.expect("it has ended"), log);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Start::Hangs(server.log())
}

/// Whether it refuses to start as it has to: status 1, and a message that names the file and the way out.
pub fn is_refused(path: &Path, start: &Start) -> Result<(), String> {
    let (status, log) = match start {
        Start::Ended(status, log) => (status, log),
        Start::Hangs(log) => return Err(format!("neither ready nor at an end: {log}")),
        Start::Ready(text) => return Err(format!("it starts, and shows {text}")),
    };
    let name = path.display().to_string();
    let message = log.lines().find(|line| line.contains("level=error") && line.contains(&name));
    let has_way_out = message.is_some_and(|line| line.contains("Move it away") || line.contains("--persistence.file"));
    if status.code() == Some(1) && has_way_out { Ok(()) } else { Err(format!("{status}: {log}")) }
}

/// Everything that a gateway shows of what was pushed to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// The text of the scrape.
    pub text: String,
    /// The messages of families.
    pub protobuf: String,
    /// The answer of `/api/v1/metrics`, its groups in an order of their own: it says nothing.
    pub json: String,
    /// The answer of `/api/v1/groups`.
    pub groups: String,
}

impl Shown {
    /// What it shows now.
    pub fn of(server: &Server) -> Shown {
        let get = |path: &str, accept: &str| {
            let headers = format!("Accept: {accept}\r\n");
            let response = wire::request_with(server.addr, "GET", path, &headers, None);
            assert_eq!(response.status, Some(200), "{path}: {}", response.text_lossy());
            response.body
        };
        let string = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is shown is UTF-8");
        let text = string(get("/metrics", "text/plain;escaping=allow-utf-8"));
        Shown {
            text: text.lines().filter(|line| !is_own(name_of(line))).fold(String::new(), |all, line| all + line + "\n"),
            protobuf: families(&get("/metrics", &format!("{DELIMITED};escaping=allow-utf-8"))),
            json: sorted(&string(get("/api/v1/metrics", "*/*"))),
            groups: string(get("/api/v1/groups?limit=10000", "*/*")),
        }
    }

    /// Fails with the first difference.
    #[track_caller]
    pub fn assert_same(&self, other: &Shown, context: &str) {
        for (what, one, two) in [
            ("text", &self.text, &other.text),
            ("protobuf", &self.protobuf, &other.protobuf),
            ("JSON", &self.json, &other.json),
            ("groups", &self.groups, &other.groups),
        ] {
            assert!(one == two, "{context}: {what} differs{}", difference(one, two));
        }
    }

    /// With all times taken out.
    pub fn without_times(&self) -> Shown {
        // How long the lines of a group are depends on the digits of its times, and which error stands first in a reason
        // says nothing.
        let times = r#"\d{4}-\d\d-\d\dT[^"]*|\b1\.\d+e\+09|"bytes":\d+|"failure":"(?:[^"\\]|\\.)*""#;
        let times = regex::Regex::new(times).expect("it is a pattern");
        let number = regex::Regex::new(r"(push_(?:failure_)?time_seconds\{.*\}) [1-9].*").expect("it is a pattern");
        let clean = |text: &str| times.replace_all(text, "TIME").into_owned();
        let lines: Vec<_> = self.protobuf.lines().filter(|line| !line.contains("push_")).collect();
        Shown {
            text: number.replace_all(&self.text, "$1 TIME").into_owned(),
            protobuf: lines.join("\n"),
            json: clean(&self.json),
            groups: clean(&self.groups),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The first line in which two texts differ, or where.
pub fn difference(one: &str, two: &str) -> String {
    let lines = |text: &str| text.replace("},", "},\n").lines().map(str::to_owned).collect::<Vec<_>>();
    let (left, right) = (lines(one), lines(two));
    let at = left.iter().zip(&right).position(|(left, right)| left != right).unwrap_or(left.len().min(right.len()));
    let part = |lines: &[String]| lines[at.saturating_sub(2).min(lines.len())..(at + 3).min(lines.len())].join("\n  ");
    format!(" at {at} of {} and {}\n  {}\nand\n  {}", left.len(), right.len(), part(&left), part(&right))
}

/// The groups of an answer in the order of their texts, one a line.
fn sorted(json: &str) -> String {
    let parsed: serde_json::Value = serde_json::from_str(json).expect("the answer is JSON");
    let groups = parsed["data"].as_array().expect("the answer lists groups");
    let mut lines: Vec<String> = groups.iter().map(|group| format!("{}{group}", group["labels"])).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Whether the gateway adds this family by itself.
fn is_own(name: &str) -> bool {
    ["process_", "promhttp_", "pushgateway_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The family's name in a line, as far as that tells own ones apart.
fn name_of(line: &str) -> &str {
    line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ")
}

/// The messages of what was pushed, a line each.
fn families(body: &[u8]) -> String {
    let mut rest = body;
    let mut shown = String::new();
    while let Some((len, behind)) = pb::varint(rest) {
        let (family, behind) = behind.split_at(usize::try_from(len).expect("it is in memory"));
        rest = behind;
        let name = pb::fields(family).find_map(|field| match field.value {
            pb::Value::Bytes(bytes) if field.number == 1 => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
        if !is_own(&name.expect("a family has a name")) {
            shown += &format!("{}\n", family.escape_ascii());
        }
    }
    shown
}

/// The value of one of the gateway's own metrics without labels.
pub fn own(server: &Server, name: &str) -> f64 {
    let text = server.scrape();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    let output = tools::run(Command::new("id").arg("-u"), b"", "apt-get install coreutils");
    output.stdout == b"0\n"
}
