//! Starts the gateway on a free loopback port and stops it again.
//!
//! `PUSHGATEWAY_BIN` names another binary to test, the Go original say: the flags and log lines used are common.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
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
    /// Everything logged so far.
    log: Arc<Mutex<String>>,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// Starts the gateway with these flags (not the listen address) and waits until `<prefix>/-/ready` answers 200.
    pub fn start(flags: &[&str], prefix: &str) -> Server {
        Server::start_for(flags, prefix, "")
    }

    /// The same for a gateway that wants header lines, each with its CRLF.
    pub fn start_for(flags: &[&str], prefix: &str, headers: &str) -> Server {
        let server = Server::spawn(flags);
        server.wait_until_ready(prefix, headers);
        server
    }

    /// The same as `start` with another program that understands those flags and logs its address as the gateway does. It
    /// is run in UTC, as the original writes times in the zone of the machine.
    pub fn start_program(program: &str, flags: &[&str], prefix: &str) -> Server {
        let server = Server::launch(on_free_port(Command::new(program).args(flags).env("TZ", "UTC")));
        server.wait_until_ready(prefix, "");
        server
    }

    /// Starts the gateway with these flags (not the listen address) and waits until it listens.
    pub fn spawn(flags: &[&str]) -> Server {
        Server::launch(on_free_port(Server::command().args(flags)))
    }

    /// The program to test.
    pub fn command() -> Command {
        Command::new(std::env::var("PUSHGATEWAY_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_pushgateway").to_owned()))
    }

    /// Runs the command until it listens.
    pub fn launch(command: &mut Command) -> Server {
        Server::try_launch(command).unwrap_or_else(|(status, log)| {
            panic!("{command:?} does not listen: {status:?}\n{log}");
        })
    }

    /// Runs a command that becomes the gateway. If it does not listen: how it ended, if it did, and what it said.
    pub fn try_launch(command: &mut Command) -> Result<Server, (Option<ExitStatus>, String)> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let whole = Arc::clone(&log);
        thread::spawn(move || follow(stderr, &sender, &whole));
        let found = listening_address(&lines);
        let addr = found.as_ref().copied().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut server = Server { child, lines: Mutex::new(lines), log, addr };
        match found {
            Ok(_) => Ok(server),
            Err(log) => Err((server.wait_for_exit(), log)),
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// Waits until a line with this text was logged.
    pub fn wait_for_log(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "not logged: {text}\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it as nothing can be done about, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("an own child can be killed");
        self.child.wait().expect("an own child can be waited for");
    }

    /// Waits until the process has ended by itself: how, and what it logged.
    pub fn end(&mut self) -> (Option<ExitStatus>, String) {
        let status = self.wait_for_exit();
        if status.is_some() {
            // The log ends with the process, so that all of it comes.
            self.lines.lock().expect("nobody panics with it").iter().for_each(drop);
        }
        (status, self.log())
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
    pub fn wait_until_ready(&self, prefix: &str, headers: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let response = wire::request_with(self.addr, "GET", &format!("{prefix}/-/ready"), headers, None);
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

/// Has the gateway that a command starts listen on a free port.
pub fn on_free_port(command: &mut Command) -> &mut Command {
    command.arg("--web.listen-address=127.0.0.1:0")
}

/// Reads the log to its end: a gateway with a full stderr pipe would stand still.
fn follow(stderr: ChildStderr, sender: &Sender<String>, log: &Mutex<String>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        let mut log = log.lock().expect("nobody panics with it");
        log.push_str(&line);
        log.push('\n');
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
pub fn loopback_address(line: &str) -> Option<SocketAddr> {
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
