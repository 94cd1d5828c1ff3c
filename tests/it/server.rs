//! Starts the gateway on a free loopback port and stops it again.
//!
//! `PUSHGATEWAY_BIN` names another binary to test, the Go original say: the flags and log lines used are common.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::wire;

/// How long a start and a stop may take; generous, as the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway. Dropping it kills the process.
pub struct Server {
    child: Child,
    /// What it logs from here on.
    lines: Mutex<Receiver<String>>,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// Starts the gateway with these flags (not the listen address) and waits until `<prefix>/-/ready` answers 200.
    pub fn start(flags: &[&str], prefix: &str) -> Server {
        Server::start_program(&binary(), flags, prefix)
    }

    /// The same with another program that understands those flags and logs its address as the gateway does. It is run in
    /// UTC, as the original writes times in the zone of the machine.
    pub fn start_program(program: &str, flags: &[&str], prefix: &str) -> Server {
        let launched = Server::try_launch(Command::new(program).args(flags).env("TZ", "UTC"));
        let server = launched.unwrap_or_else(|(status, log)| {
            panic!("{program} {flags:?} does not listen: {status:?}\n{log}");
        });
        server.wait_until_ready(prefix);
        server
    }

    /// Runs a command that becomes the gateway. If it does not listen: how it ended, if it did, and what it said.
    pub fn try_launch(command: &mut Command) -> Result<Server, (Option<ExitStatus>, String)> {
        let mut child = spawn(command);
        let lines = log_of(&mut child);
        let found = listening_address(&lines);
        let addr = found.as_ref().copied().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut server = Server { child, lines: Mutex::new(lines), addr };
        match found {
            Ok(_) => Ok(server),
            Err(log) => Err((server.wait_for_exit(), log)),
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged since it listens, or since the last call.
    pub fn log(&self) -> String {
        self.lines().try_iter().fold(String::new(), |log, line| log + &line + "\n")
    }

    fn lines(&self) -> MutexGuard<'_, Receiver<String>> {
        self.lines.lock().expect("nobody panics with the log in hand")
    }

    /// Kills it as nothing can be done about, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("an own child can be killed");
        self.child.wait().expect("an own child can be waited for");
    }

    /// Waits until the process has ended by itself: how, and what it logged.
    pub fn end(&mut self) -> (Option<ExitStatus>, String) {
        let status = self.wait_for_exit();
        if status.is_none() {
            return (None, self.log());
        }
        // The log ends with the process, so that all of it comes.
        (status, self.lines().iter().fold(String::new(), |log, line| log + &line + "\n"))
    }

    /// One request on a connection of its own.
    pub fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> wire::Response {
        wire::request(self.addr, method, path, body)
    }

    /// The exposition at `/metrics`, as text.
    pub fn scrape(&self) -> String {
        let response = self.request("GET", "/metrics", None);
        assert_eq!(response.status, Some(200), "scrape: {}", response.text_lossy());
        response.text_lossy()
    }

    /// Sends it a signal by its name, as an operator would.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill can be run").success(), "kill -s {name}");
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child can be waited for").is_some()
    }

    /// Waits until the process has ended by itself.
    pub fn wait_for_exit(&mut self) -> Option<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Waits until it says that it is ready.
    pub fn wait_until_ready(&self, prefix: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let response = self.request("GET", &format!("{prefix}/-/ready"), None);
            if response.status == Some(200) {
                return;
            }
            assert!(Instant::now() < end, "not ready: {:?} {}", response.status, response.text_lossy());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program to test.
pub fn binary() -> String {
    std::env::var("PUSHGATEWAY_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_pushgateway").to_owned())
}

fn spawn(command: &mut Command) -> Child {
    command.arg("--web.listen-address=127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()))
}

fn log_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let stderr = child.stderr.take().expect("stderr is piped");
    thread::spawn(move || follow(stderr, &sender));
    lines
}

/// Reads the log to its end: a gateway with a full stderr pipe would stand still.
fn follow(stderr: ChildStderr, sender: &Sender<String>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        let _ = sender.send(line);
    }
}

/// The address in the `Listening on` line, else everything logged until the process ended or patience ran out.
fn listening_address(lines: &Receiver<String>) -> Result<SocketAddr, String> {
    let end = Instant::now() + PATIENCE;
    let mut log = String::new();
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some(addr) = line.contains("Listening on").then(|| loopback_address(&line)).flatten() {
            return Ok(addr);
        }
        log.push_str(&line);
        log.push('\n');
    }
    Err(log)
}

/// The first `127.0.0.1:PORT` of a line.
fn loopback_address(line: &str) -> Option<SocketAddr> {
    let address = &line[line.find("127.0.0.1:")?..];
    let end = address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(address.len());
    address[..end].parse().ok()
}

#[test]
fn the_address_is_found_in_both_log_formats() {
    let addr = Some(SocketAddr::from(([127, 0, 0, 1], 36027)));
    for line in [
        r#"ts=2026-11-23T13:11:16.729Z level=info msg="Listening on" address=127.0.0.1:36027"#,
        r#"{"level":"info","msg":"Listening on","address":"127.0.0.1:36027"}"#,
    ] {
        assert_eq!(loopback_address(line), addr, "{line}");
    }
    assert_eq!(loopback_address("Listening on [::]:9091"), None);
}
