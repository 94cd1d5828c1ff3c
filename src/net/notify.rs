//! Telling systemd how the service is (`sd_notify`): a datagram to the socket that `NOTIFY_SOCKET` names.
//!
//! Never fails: without such a socket there is nobody to be told, and a message that is lost is one that systemd does
//! without. Decides nothing about when something is worth telling.

use std::time::Duration;

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The service serves.
    Ready,
    /// It is about to end.
    Stopping,
    /// It is alive.
    Watchdog,
}

impl State {
    /// The line of the protocol.
    const fn line(self) -> &'static str {
        match self {
            State::Ready => "READY=1",
            State::Stopping => "STOPPING=1",
            State::Watchdog => "WATCHDOG=1",
        }
    }
}

/// Whoever started the process and wants to be told.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<imp::Socket>,
    /// How often it has to be told that the service is alive, if it has to.
    pub watchdog_interval: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    pub fn from_env() -> Self {
        let read = |name: &str| std::env::var(name).ok();
        let path = std::env::var_os("NOTIFY_SOCKET");
        Self {
            socket: path.and_then(|path| imp::Socket::open(&path)),
            watchdog_interval: watchdog(read("WATCHDOG_USEC"), read("WATCHDOG_PID"), std::process::id()),
        }
    }

    /// Tells it.
    pub fn tell(&self, state: State) {
        if let Some(socket) = &self.socket {
            socket.send(state.line().as_bytes());
        }
    }
}

/// Half of the time after which the supervisor gives up, if it watches the process `own`.
fn watchdog(microseconds: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let limit = microseconds?.parse().ok().filter(|limit| *limit > 0)?;
    Some(Duration::from_micros(limit) / 2)
}

#[cfg(unix)]
mod imp {
    //! Datagrams between processes.

    use std::ffi::OsStr;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[derive(Debug)]
    pub(super) struct Socket {
        socket: UnixDatagram,
        address: SocketAddr,
    }

    impl Socket {
        pub(super) fn open(path: &OsStr) -> Option<Self> {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(Self { socket, address: address(path)? })
        }

        pub(super) fn send(&self, line: &[u8]) {
            // Nobody waits for this one; the next comes soon.
            let _ = self.socket.send_to_addr(line, &self.address);
        }
    }

    #[cfg(target_os = "linux")]
    fn address(path: &OsStr) -> Option<SocketAddr> {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;

        // An `@` stands for the zero byte of a name that is in no file system.
        match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(path).ok(),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn address(path: &OsStr) -> Option<SocketAddr> {
        SocketAddr::from_pathname(path).ok()
    }
}

#[cfg(not(unix))]
mod imp {
    //! There are no such sockets.

    use std::ffi::OsStr;

    #[derive(Debug)]
    pub(super) enum Socket {}

    impl Socket {
        pub(super) fn open(_: &OsStr) -> Option<Self> {
            None
        }

        pub(super) fn send(&self, _: &[u8]) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_time_is_left_for_accidents() {
        let check = |microseconds: Option<&str>, pid: Option<&str>, expected: Option<u64>| {
            let interval = watchdog(microseconds.map(str::to_owned), pid.map(str::to_owned), 7);
            assert_eq!(interval, expected.map(Duration::from_micros), "{microseconds:?} {pid:?}");
        };
        check(Some("3000000"), None, Some(1_500_000));
        check(Some("3000000"), Some("7"), Some(1_500_000));
        check(Some("3000000"), Some("8"), None);
        check(Some("3000000"), Some(""), None);
        check(Some("0"), None, None);
        check(Some("soon"), None, None);
        check(None, Some("7"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn states_are_told_by_path_and_by_name() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::{SocketAddr, UnixDatagram};

        let name = format!("pushgateway-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let _ = std::fs::remove_file(&path);
        let abstract_name = SocketAddr::from_abstract_name(&name).expect("a name");
        let peers = [
            (UnixDatagram::bind(&path).expect("a socket"), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name).expect("a socket"), format!("@{name}").into()),
        ];
        for (peer, named) in peers {
            let supervisor = Supervisor { socket: imp::Socket::open(&named), watchdog_interval: None };
            for (state, line) in
                [(State::Ready, "READY=1"), (State::Watchdog, "WATCHDOG=1"), (State::Stopping, "STOPPING=1")]
            {
                supervisor.tell(state);
                let mut told = [0; 64];
                let len = peer.recv(&mut told).expect("it was told");
                assert_eq!(&told[..len], line.as_bytes(), "{named:?}");
            }
            drop(peer);
            supervisor.tell(State::Ready); // Nobody is there any more.
        }
        let _ = std::fs::remove_file(&path);
    }
}
