//! The web page in a real browser: starts two gateways, fills one, and lets `tests/browser/run.js` loose on them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::server::Server;
use crate::tools;

/// Groups of the large gateway.
const GROUPS: usize = 20_000;

/// Pushes that are sent before their answers are read.
const PIPELINED: usize = 200;

const JOBS: [&str; 8] =
    ["import", "backup", "nightly-report", "etl-orders", "cert-renewal", "reindex", "thumbnailer", "billing"];

#[test]
fn the_page_works_in_a_browser() {
    let flags = ["--web.external-url=http://localhost/pre/", "--web.enable-admin-api", "--push.enable-utf8-names"];
    let few = Server::start(&flags, "/pre");
    let many = Server::start(&[], "");
    fill(many.addr);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("");
    let install = format!("tests/install-tools.sh {}", target.display());
    let mut command = Command::new("node");
    command
        .env("NODE_PATH", target.join("browser/node_modules"))
        .arg(root.join("tests/browser/run.js"))
        .args([format!("http://{}/pre/", few.addr), format!("http://{}/", many.addr)])
        .arg("--pictures")
        .arg(target.join("browser/pictures"));
    let output = tools::run(&mut command, b"", &install);
    let said = tools::said(&output);
    assert!(output.status.success(), "{said}\nif chromium or a module is missing: {install}");
    // Who runs the tests sees how long it took to be interactive.
    println!("{said}");
    assert!(said.contains("time to interactive with 20000 groups"), "{said}");
}

/// Pushes all groups over one connection, many requests at a time.
fn fill(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).expect("the gateway listens");
    let mut answers = BufReader::new(stream.try_clone().expect("a socket can be shared"));
    for start in (0..GROUPS).step_by(PIPELINED) {
        let requests: String = (start..(start + PIPELINED).min(GROUPS)).map(request).collect();
        stream.write_all(requests.as_bytes()).expect("the gateway reads");
        for _ in start..(start + PIPELINED).min(GROUPS) {
            assert_eq!(status(&mut answers), "HTTP/1.1 200 OK\r\n");
        }
    }
}

fn request(number: usize) -> String {
    let job = JOBS[number % JOBS.len()];
    let name = job.replace('-', "_");
    let body = format!(
        "# HELP {name}_rows_total Rows written.\n# TYPE {name}_rows_total counter\n\
         {name}_rows_total{{table=\"users\"}} {number}\n{name}_rows_total{{table=\"orders\"}} 1\n\
         # TYPE job_duration_seconds gauge\njob_duration_seconds {number}\n"
    );
    let path = format!("/metrics/job/{job}/instance/db{number}.example.com/dc/fra{}", number % 3);
    format!("PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The status line of an answer without body; its headers are passed over.
fn status(answers: &mut impl BufRead) -> String {
    let mut line = || {
        let mut line = String::new();
        answers.read_line(&mut line).expect("the gateway answers");
        line
    };
    let status = line();
    while !matches!(&*line(), "\r\n" | "") {}
    status
}
