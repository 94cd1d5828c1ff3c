//! How connections end: what a client that stops sending, or never starts, gets to see.

use std::time::Duration;

use crate::server::Server;
use crate::wire;

/// The end of the input often arrives together with the last bytes; many tries, as that is a matter of timing.
#[test]
fn the_end_of_the_input_is_seen_behind_its_last_bytes() {
    let gateway = Server::start(&[], "");
    let check = |bytes: &str, status: Option<u16>| {
        for _ in 0..20 {
            let response = wire::exchange(gateway.addr, bytes.as_bytes(), "GET", true, Duration::from_secs(5));
            assert_eq!((response.status, response.timed_out), (status, false), "{bytes:?}");
        }
    };
    check("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", Some(200));
    check("PUT /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\na 1\n", Some(400));
    check("PUT /metr", None);
    check("", None);
}
