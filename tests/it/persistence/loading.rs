//! While groups are being loaded: alive, not ready, and nothing is taken or shown.
//!
//! Loading takes no time with a small file, so the file is held back: a lease on it makes whoever opens it wait.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{end, send, send_everything};
use crate::kept::{Home, Shown};
use crate::tools;

/// Holds a lease until its standard input ends (fcntl(2), `F_SETLEASE`).
const HOLDER: &str = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, lambda *ignored: None)
held = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
";

/// A file that nobody can open. The kernel lets it go by itself after a while (`/proc/sys/fs/lease-break-time`, 45 s).
struct Held(Child);

impl Held {
    fn new(path: &Path) -> Held {
        let mut command = Command::new("python3");
        command.args(["-c", HOLDER]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| tools::missing(&command, &error, "apt-get install python3"));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout can be read");
        assert_eq!(line, "held\n", "no lease on {}", path.display());
        Held(child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn nothing_is_taken_or_shown_while_groups_are_loaded() {
    let home = Home::new("loading");
    let mut server = home.start(&[]);
    send_everything(&server);
    let before = Shown::of(&server);
    end(&mut server, "KILL");
    for flags in [&[][..], &["--persistence.sync=interval", "--persistence.interval=1ms"]] {
        let held = Held::new(&home.path);
        let mut server = home.launch(flags);
        for _ in 0..2 {
            for (method, path, body) in [
                ("PUT", "/metrics/job/new", Some("a 1\n")),
                ("POST", "/metrics/job/a", Some("f 7\n")),
                ("PUT", "/metrics/job/refused", Some("a 1\na 1\n")),
                ("DELETE", "/metrics/job/a", None),
                ("PUT", "/api/v1/admin/wipe", None),
                ("GET", "/metrics", None),
                ("GET", "/api/v1/metrics", None),
                ("GET", "/api/v1/groups", None),
                ("GET", "/-/ready", None),
            ] {
                let response = server.request(method, path, body.map(str::as_bytes));
                let text = response.text_lossy();
                assert_eq!(response.status, Some(503), "{method} {path}: {text}");
                let retry = response.header("Retry-After").and_then(|value| value.parse::<u32>().ok());
                assert!(retry.is_some_and(|seconds| seconds > 0), "{method} {path}: {response:?}");
                assert!(text.contains("load"), "{method} {path}: {text}");
            }
            for path in ["/-/healthy", "/api/v1/status"] {
                assert_eq!(server.request("GET", path, None).status, Some(200), "{path}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(held);
        server.wait_until_ready("", "");
        Shown::of(&server).assert_same(&before, &format!("loaded with {flags:?}"));
        assert_eq!(send(&server, "DELETE", "job/not-there", ""), Some(202));
        end(&mut server, "TERM");
    }
}

/// A disk that does not answer keeps nobody from stopping the gateway.
#[test]
fn a_gateway_that_still_loads_can_be_stopped() {
    let home = Home::new("stopped");
    let mut server = home.start(&[]);
    send_everything(&server);
    let before = Shown::of(&server);
    end(&mut server, "TERM");
    let held = Held::new(&home.path);
    let mut server = home.launch(&[]);
    assert_eq!(server.request("GET", "/-/ready", None).status, Some(503));
    server.signal("TERM");
    let (status, log) = server.end();
    assert!(status.is_some_and(|status| status.success()), "{status:?} {log}");
    drop(held);
    Shown::of(&home.start(&[])).assert_same(&before, "stopped while it loaded");
}

/// A push whose head came while groups were loaded and whose body came later.
#[test]
fn a_push_that_began_while_groups_were_loaded_is_refused_or_kept() {
    let home = Home::new("began");
    let mut server = home.start(&[]);
    send_everything(&server);
    end(&mut server, "TERM");
    let held = Held::new(&home.path);
    let server = home.launch(&[]);
    let mut stream = std::net::TcpStream::connect(server.addr).expect("it listens");
    stream
        .write_all(b"PUT /metrics/job/late HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\na 1\n")
        .expect("it reads");
    std::thread::sleep(Duration::from_millis(50));
    drop(held);
    server.wait_until_ready("", "");
    let _ = stream.write_all(b"b 2\n");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("it answers");
    let is_shown = Shown::of(&server).text.contains("job=\"late\"");
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && !is_shown || answer.starts_with("HTTP/1.1 200 ") && is_shown,
        "{answer}"
    );
}
