//! What systemd does for a service and wants to hear from it: sockets that are passed, readiness, the watchdog, units.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::tools::{Scratch, run, said};
use crate::wire;

/// Opens sockets as descriptors from 3 on, says so in the environment, and becomes the gateway: what systemd does.
const ACTIVATE: &str = "\
import os, socket, sys
kinds, binary, args = sys.argv[1], sys.argv[2], sys.argv[3:]
opened = []
for kind in kinds.split(','):
    if kind == 'unix':
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.bind('')
        one.listen()
    elif kind == 'udp':
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(('127.0.0.1', 0))
    else:
        one = socket.create_server((kind, 0))
    opened.append(one)
copies = [os.dup(one.fileno()) for one in opened]
base = max([20] + copies) + 1
for at, fd in enumerate(copies): os.dup2(fd, base + at)
for at in range(len(copies)): os.dup2(base + at, 3 + at, inheritable=True)
os.environ['LISTEN_FDS'] = str(len(copies))
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(binary, [binary] + args)
";

fn binary() -> String {
    Server::command().get_program().display().to_string()
}

fn activated(kinds: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", ACTIVATE, kinds, &binary(), "--web.systemd-socket"]);
    command
}

#[test]
fn serves_on_every_socket_that_is_passed() {
    let server = Server::launch(&mut activated("127.0.0.1,127.0.0.2"));
    server.wait_for_log("address=127.0.0.2:");
    let log = server.log();
    assert!(log.contains("Listening on systemd activated listeners instead of port listeners."), "{log}");
    let second = log.split("address=127.0.0.2:").nth(1).and_then(|rest| rest.split_whitespace().next());
    let second = format!("127.0.0.2:{}", second.expect("it listens there")).parse().expect("an address");
    assert_eq!(log.matches("msg=\"Listening on\"").count(), 2, "{log}");
    for addr in [server.addr, second] {
        assert_eq!(wire::request(addr, "GET", "/-/ready", None).status, Some(200), "{addr}");
    }
}

#[test]
fn without_a_socket_it_cannot_serve() {
    let mut alone = Server::command();
    alone.arg("--web.systemd-socket").env_remove("LISTEN_FDS").env_remove("LISTEN_PID");
    let mut of_another = Server::command();
    of_another.arg("--web.systemd-socket").env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let cases = [
        (alone, "no socket activation file descriptors found"),
        (of_another, "no socket activation file descriptors found"),
        (activated("unix"), "fd 3 is not a valid tcp socket"),
        (activated("127.0.0.1,udp"), "fd 4 is not a valid tcp socket"),
    ];
    for (mut command, expected) in cases {
        let output = command.output().expect("the gateway can be started");
        let log = said(&output);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains("level=error") && log.contains(expected), "{log}");
    }
}

#[test]
fn says_that_it_is_ready_alive_and_stopping() {
    let folder = Scratch::new("systemd");
    // Paths of sockets are short, and those of target directories may not be.
    let path = std::env::temp_dir().join(format!("pushgateway-it-{}.socket", std::process::id()));
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    let hear = || {
        let mut line = [0; 64];
        let len = socket.recv(&mut line).expect("it says something");
        String::from_utf8_lossy(&line[..len]).into_owned()
    };
    let mut command = Server::command();
    command.arg("--web.listen-address=127.0.0.1:0").current_dir(&folder.0);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").env_remove("WATCHDOG_PID");
    let mut server = Server::launch(&mut command);
    assert_eq!(hear(), "READY=1");
    assert_eq!(wire::request(server.addr, "GET", "/-/ready", None).status, Some(200));
    assert_eq!(hear(), "WATCHDOG=1");
    let begin = Instant::now();
    for _ in 0..4 {
        // Nobody asks it anything meanwhile.
        assert_eq!(hear(), "WATCHDOG=1");
    }
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(500) && took < Duration::from_secs(4), "{took:?}");
    server.signal("TERM");
    while hear() != "STOPPING=1" {}
    assert!(server.wait_for_exit().is_some_and(|status| status.success()));
    let _ = fs::remove_file(&path);
}

/// The units that come with the program are understood by systemd, and their hardening by its own measure.
#[test]
fn units_are_sound() {
    const INSTALL: &str = "apt-get install systemd";
    let folder = Scratch::new("units");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd");
    let copy = |name: &str| -> PathBuf {
        let text = fs::read_to_string(source.join(name)).expect("the unit is there");
        assert!(name.ends_with(".socket") || text.contains("ExecStart=/usr/local/bin/pushgateway "), "{text}");
        folder.file(name, text.replace("/usr/local/bin/pushgateway", &binary()))
    };
    let (service, socket) = (copy("pushgateway.service"), copy("pushgateway.socket"));
    let verified = run(Command::new("systemd-analyze").arg("verify").args([&service, &socket]), b"", INSTALL);
    assert!(verified.status.success() && said(&verified).is_empty(), "{}", said(&verified));
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20"]).arg(&service);
    let measured = run(&mut security, b"", INSTALL);
    assert!(measured.status.success(), "{}", said(&measured));
}
