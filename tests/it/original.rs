//! Debian's package of the Go original: runs it with a persistence file, pushes to it, and takes what it leaves.

use std::path::PathBuf;
use std::process::Command;

use crate::server::Server;
use crate::tools::{self, Scratch};
use crate::wire::{self, DELIMITED};

const PROGRAM: &str = "prometheus-pushgateway";
const INSTALL: &str = "apt-get install --no-install-recommends prometheus-pushgateway";

/// What a run of the original left behind.
pub struct Original {
    /// Its persistence file.
    pub file: PathBuf,
    /// The exposition at the end, in text; if it failed, why.
    pub text: Result<String, String>,
    /// The same as delimited protobuf.
    pub protobuf: Vec<u8>,
    /// `/api/v1/metrics` at the end.
    pub json: serde_json::Value,
    /// The directory of the file.
    _scratch: Scratch,
}

/// One push: method, what stands behind `/metrics/` in its path, the body, which is protobuf if it is not text, and
/// the status that is expected.
pub type Push<'a> = (&'a str, &'a str, Body<'a>, u16);

/// The body of a push.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// In the text format.
    Text(&'a str),
    /// Delimited protobuf.
    Protobuf(&'a [u8]),
}

/// Starts the original, pushes, asks it for all that it has, and stops it, upon which it writes its file.
#[track_caller]
pub fn run(pushes: &[Push<'_>]) -> Original {
    tools::run(Command::new(PROGRAM).arg("--version"), b"", INSTALL);
    let scratch = Scratch::new("original");
    let file = scratch.0.join("metrics.gob");
    let mut server = Server::start_program(PROGRAM, &[&format!("--persistence.file={}", file.display())], "");
    for (method, path, body, status) in pushes {
        let (headers, bytes) = match body {
            Body::Text(text) => (String::new(), text.as_bytes()),
            Body::Protobuf(bytes) => (format!("Content-Type: {DELIMITED}\r\n"), *bytes),
        };
        let response = wire::request_with(server.addr, method, &format!("/metrics/{path}"), &headers, Some(bytes));
        assert_eq!(response.status, Some(*status), "{method} {path}: {}", response.text_lossy());
    }
    let get =
        |path: &str, accept: &str| wire::request_with(server.addr, "GET", path, &format!("Accept: {accept}\r\n"), None);
    let text = get("/metrics", "text/plain");
    let text = if text.status == Some(200) { Ok(text.text_lossy()) } else { Err(text.text_lossy()) };
    let protobuf = get("/metrics", DELIMITED).body;
    let json = get("/api/v1/metrics", "application/json");
    let json = serde_json::from_slice(&json.text()).unwrap_or_else(|error| panic!("{error}: {}", json.text_lossy()));
    server.signal("TERM");
    let status = server.wait_for_exit().expect("it stops");
    assert!(status.success() && file.exists(), "{status}");
    Original { file, text, protobuf, json, _scratch: scratch }
}
