//! Sockets that systemd opened for this process (`LISTEN_FDS`, SPEC 11.1).

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;

/// Takes the sockets that were passed, each of which listens for TCP. To be called before any thread is started, and
/// once: the environment says so to one process and one time only.
///
/// # Errors
/// If there are none, or one is something else.
pub fn passed_listeners() -> io::Result<Vec<TcpListener>> {
    let mut passed = ListenFd::from_env();
    let count = passed.len();
    if count == 0 {
        let reason = "no socket activation file descriptors found";
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    let listeners = (0..count).map(|at| passed.take_tcp_listener(at));
    listeners.filter_map(Result::transpose).collect()
}
