//! Real clients push to the gateway: Python's `prometheus_client`, Node's `prom-client`, Rust's `prometheus` and curl.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Server;
use crate::tools::{self, Scratch};

/// What `tests/clients/push.py` leaves in the scrape.
const PYTHON_LINES: &[&str] = &[
    "# HELP client_rows_total Rows written.",
    "# TYPE client_rows_total counter",
    r#"client_rows_total{instance="db1",job="python",table="users"} 3"#,
    r#"# HELP client_progress Progress, "quoted" \\ and\nbroken."#,
    r#"client_progress{instance="db1",job="python",step="a \"b\" \\ c\nd"} 0.25"#,
    "# TYPE client_lag_seconds summary",
    r#"client_lag_seconds_sum{instance="db1",job="python"} 3.5"#,
    r#"client_lag_seconds_count{instance="db1",job="python"} 2"#,
    "# TYPE client_size_bytes histogram",
    r#"client_size_bytes_bucket{instance="db1",job="python",le="1"} 0"#,
    r#"client_size_bytes_bucket{instance="db1",job="python",le="1e+06"} 1"#,
    r#"client_size_bytes_bucket{instance="db1",job="python",le="+Inf"} 2"#,
    r#"client_size_bytes_sum{instance="db1",job="python"} 1.000000005e+09"#,
    r#"client_build_info{instance="db1",job="python",version="1.2.3"} 1"#,
    r#"client_state{client_state="busy",instance="db1",job="python"} 1"#,
    r#"client_state{client_state="idle",instance="db1",job="python"} 0"#,
    r#"client_new{instance="",job="replaced"} 2"#,
    r#"client_added{instance="",job="replaced"} 3"#,
    r#"client_key{instance="",job="keys",path="/var/tmp"} 0"#,
    r#"client_key{instance="",job="keys",place="Frankfurt am Main"} 1"#,
    r#"client_key{instance="",job="keys"} 2"#,
    r#"client_key{city="Zürich",instance="",job="keys",sign="100 %+?&#"} 3"#,
    r#"client_key{instance="",job="keys",name="Προμηθεύς"} 4"#,
    r#"client_job{instance="",job="a/b c"} 1"#,
    r#"client_packed{instance="",job="gzip"} 1"#,
];

#[test]
fn python_pushes_every_kind_of_metric_and_deletes_it() {
    let gateway = Server::start(&[], "");
    python(&gateway, "push");
    let scrape = gateway.scrape();
    let lines: Vec<&str> = scrape.lines().collect();
    for line in PYTHON_LINES {
        assert!(lines.contains(line), "the scrape lacks {line}\n{scrape}");
    }
    assert!(!scrape.contains("client_old"), "PUT left the old family\n{scrape}");
    process_metrics_merge(&lines);

    python(&gateway, "delete");
    let scrape = gateway.scrape();
    assert!(!scrape.contains("client_"), "deleted series are still there\n{scrape}");
}

/// The pushed process metrics stand beside the gateway's own, in one family.
fn process_metrics_merge(lines: &[&str]) {
    let family = "process_resident_memory_bytes";
    let of_family = |prefix: String| lines.iter().filter(|line| line.starts_with(&prefix)).count();
    assert_eq!(of_family(format!("# TYPE {family} ")), 1, "{lines:#?}");
    assert_eq!(of_family(format!("{family} ")), 1, "the gateway's own\n{lines:#?}");
    assert_eq!(of_family(format!("{family}{{instance=\"db1\",job=\"python\"}} ")), 1, "the pushed one\n{lines:#?}");
}

fn python(gateway: &Server, action: &str) {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let requirements = clients.join("requirements.txt");
    let venv = virtual_environment();
    let (venv, requirements) = (venv.display(), requirements.display());
    let install = format!("python3 -m venv {venv} && {venv}/bin/pip install -r {requirements}");
    let mut command = Command::new(python_program());
    command.arg(clients.join("push.py")).args([&gateway.addr.to_string(), action]);
    let output = tools::run(&mut command, b"", &install);
    assert!(output.status.success(), "push.py {action}: {}\nif a module is missing: {install}", tools::said(&output));
}

/// Python with the modules of `tests/clients/requirements.txt`.
pub fn python_program() -> PathBuf {
    virtual_environment().join("bin/python")
}

/// Where the Makefile puts the Python client: in the target directory.
fn virtual_environment() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients")
}

/// What `tests/clients/push.js` leaves in the scrape.
const NODE_LINES: &[&str] = &[
    "# HELP node_rows_total Rows written.",
    "# TYPE node_rows_total counter",
    r#"node_rows_total{instance="db1",job="node",table="users"} 3"#,
    r#"# HELP node_progress Progress, "quoted" \\ and\nbroken."#,
    r#"node_progress{instance="db1",job="node",step="a \"b\" \\ c\nd"} 0.25"#,
    r#"node_lag_seconds_sum{instance="db1",job="node"} 3.5"#,
    r#"node_lag_seconds_count{instance="db1",job="node"} 2"#,
    r#"node_size_bytes_bucket{instance="db1",job="node",le="1e+06"} 1"#,
    r#"node_size_bytes_bucket{instance="db1",job="node",le="+Inf"} 2"#,
    r#"node_new{instance="",job="replaced"} 2"#,
    r#"node_added{instance="",job="replaced"} 3"#,
    r#"node_key{instance="",job="Zürich & co",path="/var/tmp"} 4"#,
    r#"node_key{instance="",job="replies"} 5"#,
];

/// It sends no Content-Type, and its bodies in chunks.
#[test]
fn node_pushes_every_kind_of_metric_and_deletes_it() {
    let gateway = Server::start(&[], "");
    node(&gateway, "push");
    let scrape = gateway.scrape();
    let lines: Vec<&str> = scrape.lines().collect();
    for line in NODE_LINES {
        assert!(lines.contains(line), "the scrape lacks {line}\n{scrape}");
    }
    assert!(!scrape.contains("node_old"), "PUT left the old family\n{scrape}");

    node(&gateway, "delete");
    let scrape = gateway.scrape();
    assert!(!scrape.contains("node_"), "deleted series are still there\n{scrape}");
}

fn node(gateway: &Server, action: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/push.js");
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients-node");
    let install = format!("tests/install-tools.sh {}", modules.with_file_name("").display());
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules.join("node_modules")).arg(script).args([&gateway.addr.to_string(), action]);
    let output = tools::run(&mut command, b"", &install);
    assert!(output.status.success(), "push.js {action}: {}\nif a module is missing: {install}", tools::said(&output));
}

/// What `tests/clients/rust` leaves in the scrape, all of it.
const RUST_LINES: &[&str] = &[
    "# HELP rust_added One gauge.",
    "# TYPE rust_added gauge",
    r#"rust_added{instance="",job="replaced"} 3"#,
    "# HELP rust_collected One gauge.",
    "# TYPE rust_collected gauge",
    r#"rust_collected{instance="",job="Zürich & co",sign="+&=@:"} 0"#,
    "# HELP rust_new One gauge.",
    "# TYPE rust_new gauge",
    r#"rust_new{instance="",job="replaced"} 2"#,
    r#"# HELP rust_progress Progress, "quoted" \\ and\nbroken."#,
    "# TYPE rust_progress gauge",
    r#"rust_progress{instance="db1",job="rust",place="Frankfurt am Main",step="a \"b\" \\ c\nd"} 0.25"#,
    "# HELP rust_rows_total Rows written.",
    "# TYPE rust_rows_total counter",
    r#"rust_rows_total{instance="db1",job="rust",place="Frankfurt am Main",table="users"} 3"#,
    "# HELP rust_size_bytes Size.",
    "# TYPE rust_size_bytes histogram",
    r#"rust_size_bytes_bucket{instance="db1",job="rust",place="Frankfurt am Main",le="1"} 0"#,
    r#"rust_size_bytes_bucket{instance="db1",job="rust",place="Frankfurt am Main",le="10"} 1"#,
    r#"rust_size_bytes_bucket{instance="db1",job="rust",place="Frankfurt am Main",le="1e+06"} 1"#,
    r#"rust_size_bytes_bucket{instance="db1",job="rust",place="Frankfurt am Main",le="+Inf"} 2"#,
    r#"rust_size_bytes_sum{instance="db1",job="rust",place="Frankfurt am Main"} 1.000000005e+09"#,
    r#"rust_size_bytes_count{instance="db1",job="rust",place="Frankfurt am Main"} 2"#,
];

/// It sends delimited protobuf.
#[test]
fn rust_pushes_every_kind_of_metric() {
    let gateway = Server::start(&[], "");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients-rust/debug/push");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients-rust");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/rust/Cargo.toml");
    let (target, project) = (target.display(), project.display());
    let build = format!("cargo build --locked --manifest-path {project} --target-dir {target}");
    let output = tools::run(Command::new(program).arg(gateway.addr.to_string()), b"", &build);
    assert!(output.status.success(), "the Rust client: {}", tools::said(&output));
    let scrape = gateway.scrape();
    let lines: Vec<&str> = scrape.lines().filter(|line| line.contains("rust_")).collect();
    assert_eq!(lines, RUST_LINES, "{scrape}");
}

#[test]
fn curl_pushes_in_every_way() {
    let gateway = Server::start(&[], "");
    let scratch = Scratch::new("curl");
    let file = scratch.file("body", "curl_file 1\n").display().to_string();
    let url = |job: &str| format!("http://{}/metrics/job/{job}", gateway.addr);

    curl(&["--data-binary", "curl_data 1\n", &url("data")], "");
    let said = curl(&["-T", &file, "-H", "Expect: 100-continue", &url("upload")], "");
    assert!(said.contains("< HTTP/1.1 100 Continue"), "no interim answer: {said}");
    let said = curl(&["-T", "-", &url("chunked")], "curl_chunked 1\n");
    assert!(said.to_lowercase().contains("> transfer-encoding: chunked"), "not chunked: {said}");
    let packed = format!("@{}", scratch.file("packed", gzip("curl_packed 1\n")).display());
    curl(&["--data-binary", &packed, "-H", "Content-Encoding: gzip", &url("packed")], "");
    let coding = ["-H", "Content-Encoding: gzip", "-H", "Expect: 100-continue"];
    let said = curl(&["-T", &packed[1..], coding[0], coding[1], coding[2], coding[3], &url("repacked")], "");
    assert!(said.contains("< HTTP/1.1 100 Continue"), "no interim answer: {said}");
    let said = curl(&["--data-binary", "curl_twice 1\n", &url("first"), &url("second")], "");
    assert!(said.contains("Re-using existing connection"), "the connection was not kept: {said}");

    let scrape = gateway.scrape();
    for (family, job) in [
        ("data", "data"),
        ("file", "upload"),
        ("chunked", "chunked"),
        ("packed", "packed"),
        ("packed", "repacked"),
        ("twice", "first"),
        ("twice", "second"),
    ] {
        let line = format!("curl_{family}{{instance=\"\",job=\"{job}\"}} 1\n");
        assert!(scrape.contains(&line), "the scrape lacks {line}\n{scrape}");
    }
}

#[test]
fn curl_pushes_two_megabytes() {
    let gateway = Server::start(&[], "");
    let scratch = Scratch::new("curl");
    let body: String = (0..).map(|i| format!("curl_big{{i=\"{i:030}\"}} {i}\n")).take(50_000).collect();
    assert!(body.len() > 2 << 20);
    let file = format!("@{}", scratch.file("body", body).display());
    let url = format!("http://{}/metrics/job/big", gateway.addr);
    curl(&["--data-binary", &file, &url], "");
    let scrape = gateway.scrape();
    assert_eq!(scrape.lines().filter(|line| line.starts_with("curl_big{")).count(), 50_000);
    assert!(scrape.contains("curl_big{i=\"000000000000000000000000049999\",instance=\"\",job=\"big\"} 49999\n"));
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Runs curl, which must be answered below 400; returns its talk about the exchange.
fn curl(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["-v", "-sS", "--fail", "--max-time", "30"]).args(arguments);
    let output = tools::run(&mut command, input.as_bytes(), "apt-get install --no-install-recommends curl");
    let said = tools::said(&output);
    assert!(output.status.success(), "curl {arguments:?}: {said}");
    said
}
