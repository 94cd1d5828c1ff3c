//! A real Prometheus scrapes the gateway, and `promtool` reads its exposition.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pki::Authority;
use crate::server::Server;
use crate::tools::{self, Scratch};
use crate::wire;

/// What installs it.
pub const INSTALL: &str = "apt-get install --no-install-recommends prometheus";

/// How long Prometheus may take to show what it should: it scrapes once a second.
const PATIENCE: Duration = Duration::from_secs(30);

const PUSHED: &str = "# TYPE backup_rows counter\nbackup_rows{table=\"users\"} 42\nbackup_rows{table=\"orders\"} 7\n";

/// `nh` in delimited protobuf: eight observations in native buckets, whose sum is 12.5.
const NATIVE: &[u8] = b"\x44\x0a\x02nh\x12\x06native\x18\x04\x22\x34\x3a\x32\x08\x08\x11\0\0\0\0\0\0\x29\x40\x28\x02\
    \x31\xfc\xa9\xf1\xd2\x4d\x62\x50\x3f\x38\x01\x62\x04\x08\x00\x10\x02\x62\x04\x08\x04\x10\x01\x68\x02\x68\x02\
    \x68\x01\x4a\x04\x08\x02\x10\x01\x50\x06";

#[test]
fn pushed_series_are_scraped_with_their_own_labels_and_go_stale() {
    let gateway = Server::start(&[], "");
    let prometheus = Prometheus::start(gateway.addr);
    push(&gateway, "/metrics/job/backup/instance/db1", PUSHED);
    push(&gateway, "/metrics/job/report", "report_done 1\n");
    let rows = json!([
        [{"__name__": "backup_rows", "instance": "db1", "job": "backup", "table": "orders"}, "7"],
        [{"__name__": "backup_rows", "instance": "db1", "job": "backup", "table": "users"}, "42"],
    ]);
    prometheus.wait_for("backup_rows", &rows);
    // A group without instance: Prometheus drops the empty label and must not put its own target there.
    prometheus.wait_for("report_done", &json!([[{"__name__": "report_done", "job": "report"}, "1"]]));
    let target = json!({"__name__": "up", "instance": gateway.addr.to_string(), "job": "pushgateway"});
    prometheus.wait_for("up", &json!([[target, "1"]]));

    let deleted = gateway.request("DELETE", "/metrics/job/backup/instance/db1", None);
    assert_eq!(deleted.status, Some(202));
    prometheus.wait_for("backup_rows", &json!([]));
    prometheus.wait_for("report_done", &json!([[{"__name__": "report_done", "job": "report"}, "1"]]));
}

/// Over TLS, with a certificate of its own, a user and a password.
#[test]
fn scrapes_go_through_tls_and_credentials() {
    let folder = Scratch::new("secured");
    let authority = Authority::new(&folder, "ca");
    authority.server(&folder, "server");
    let client = authority.client(&folder, "client", Vec::new());
    // The password is `secret`.
    let config = "tls_server_config:\n  cert_file: server-cert.pem\n  key_file: server-key.pem\n  \
        client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n\
        basic_auth_users:\n  prometheus: $2b$10$cQz2xCZv6.QqqejmLaFIhuSJIrbdOIqKscgoXzpTGBGJ72Zr6fxre\n";
    let file = folder.file("web.yml", config);
    let gateway = Server::spawn(&[&format!("--web.config.file={}", file.display())]);
    let scrape = format!(
        "scheme: https\n  basic_auth: {{username: prometheus, password: secret}}\n  \
         tls_config: {{ca_file: '{}', cert_file: '{}', key_file: '{}'}}",
        authority.file.display(),
        client.cert.display(),
        client.key.display()
    );
    let prometheus = Prometheus::start_as(gateway.addr, &scrape, &[]);
    let target = json!({"__name__": "up", "instance": gateway.addr.to_string(), "job": "pushgateway"});
    prometheus.wait_for("up", &json!([[target, "1"]]));
}

/// With native histograms switched on, Prometheus asks for protobuf first, compressed.
#[test]
fn protobuf_is_scraped_where_prometheus_prefers_it() {
    let gateway = Server::start(&["--push.enable-utf8-names"], "");
    let prometheus = Prometheus::start_with(gateway.addr, &["--enable-feature=native-histograms"]);
    push(&gateway, "/metrics/job/backup/instance/db1", PUSHED);
    let histogram = "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 4\nh_sum 7.5\n\
        h_count 4\n# TYPE s summary\ns{quantile=\"0.9\"} 1e6\ns_sum 3\ns_count 2\n{\"u.x\"} 5\n";
    push(&gateway, "/metrics/job/report", histogram);
    let rows = json!([
        [{"__name__": "backup_rows", "instance": "db1", "job": "backup", "table": "orders"}, "7"],
        [{"__name__": "backup_rows", "instance": "db1", "job": "backup", "table": "users"}, "42"],
    ]);
    prometheus.wait_for("backup_rows", &rows);
    let series = |name: &str, value: &str| json!([[{"__name__": name, "job": "report"}, value]]);
    prometheus.wait_for("h_sum", &series("h_sum", "7.5"));
    prometheus.wait_for("h_count", &series("h_count", "4"));
    prometheus.wait_for("s_count", &series("s_count", "2"));
    prometheus.wait_for("u_x", &series("u_x", "5"));
    let buckets = json!([[{"job": "report"}, "5"]]);
    prometheus.wait_for("sum%20by%20(job)%20(h_bucket)", &buckets);
    let headers = format!("Accept: {}\r\nAccept-Encoding: gzip\r\n", wire::DELIMITED);
    let response = wire::request_with(gateway.addr, "GET", "/metrics", &headers, None);
    assert_eq!(response.header("Content-Encoding").as_deref(), Some("gzip"));
    assert!(response.text().windows(3).any(|bytes| bytes == b"u_x"));

    // A native histogram comes through, with the labels it was pushed with.
    let content_type = format!("Content-Type: {}\r\n", wire::DELIMITED);
    let path = "/metrics/job/native/instance/db1";
    let response = wire::request_with(gateway.addr, "PUT", path, &content_type, Some(NATIVE));
    assert_eq!(response.status, Some(200), "{}", response.text_lossy());
    let labels = json!({"instance": "db1", "job": "native"});
    prometheus.wait_for("histogram_count(nh)", &json!([[labels, "8"]]));
    prometheus.wait_for("histogram_sum(nh)", &json!([[labels, "12.5"]]));
    let histogram = json!({"count": "8", "sum": "12.5", "buckets": [
        [1, "-1.414213562373095", "-1", "3"],
        [3, "-0.001", "0.001", "1"],
        [0, "0.7071067811865475", "1", "1"],
        [0, "1", "1.414213562373095", "2"],
        [0, "2.82842712474619", "4", "1"],
    ]});
    let labels = json!({"__name__": "nh", "instance": "db1", "job": "native"});
    prometheus.wait_for("nh", &json!([[labels, histogram]]));
}

#[test]
fn promtool_reads_escaped_names() {
    let gateway = Server::start(&["--push.enable-utf8-names"], "");
    push(
        &gateway,
        "/metrics/job/j/U__g_2e_l/v",
        "# HELP \"a.b\" Help.\n# TYPE \"a.b\" gauge\n{\"a.b\",\"é\"=\"1\"} 1\n",
    );
    for escaping in ["underscores", "dots", "values"] {
        let request = format!("GET /metrics HTTP/1.0\r\nAccept: text/plain;escaping={escaping}\r\n\r\n");
        let response = wire::exchange(gateway.addr, request.as_bytes(), "GET", false, wire::TIMEOUT);
        let output = tools::run(Command::new("promtool").args(["check", "metrics"]), &response.text(), INSTALL);
        let said = tools::said(&output);
        assert!(matches!(output.status.code(), Some(0 | 3)), "promtool: {said}\n{}", response.text_lossy());
        assert!(!said.contains("error while linting"), "promtool: {said}\n{}", response.text_lossy());
    }
}

#[test]
fn promtool_reads_the_exposition() {
    let gateway = Server::start(&[], "");
    push(&gateway, "/metrics/job/backup/instance/db1", PUSHED);
    push(
        &gateway,
        "/metrics/job@base64/YS9i",
        "# HELP h Help \\\\ and \\n.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n",
    );
    push(
        &gateway,
        "/metrics/job/s",
        "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 1e300\ns_count 3\nu{v=\"\\\"\"} -Inf\n",
    );
    let scrape = gateway.scrape();
    let output = tools::run(Command::new("promtool").args(["check", "metrics"]), scrape.as_bytes(), INSTALL);
    // 0: clean, 3: read but not in the style that the linter wants. A parse error is 1.
    let said = tools::said(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "promtool: {:?} {said}\n{scrape}", output.status);
    assert!(!said.contains("error while linting"), "promtool: {said}\n{scrape}");
}

fn push(gateway: &Server, path: &str, body: &str) {
    let response = gateway.request("PUT", path, Some(body.as_bytes()));
    assert_eq!(response.status, Some(200), "{path}: {}", response.text_lossy());
}

/// A running Prometheus that scrapes gateways. Dropping it kills the process.
pub struct Prometheus {
    child: Child,
    addr: SocketAddr,
    scratch: Scratch,
}

impl Prometheus {
    fn start(gateway: SocketAddr) -> Prometheus {
        Prometheus::start_with(gateway, &[])
    }

    fn start_with(gateway: SocketAddr, flags: &[&str]) -> Prometheus {
        Prometheus::start_as(gateway, "scheme: http", flags)
    }

    /// Starts it with further lines about the scrape.
    fn start_as(gateway: SocketAddr, scrape: &str, flags: &[&str]) -> Prometheus {
        Prometheus::start_for(&[gateway], scrape, flags)
    }

    /// The same for several gateways.
    pub fn start_for(gateways: &[SocketAddr], scrape: &str, flags: &[&str]) -> Prometheus {
        let scratch = Scratch::new("prometheus");
        let targets: Vec<_> = gateways.iter().map(|gateway| format!("'{gateway}'")).collect();
        let targets = targets.join(", ");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: pushgateway\n  \
             honor_labels: true\n  {scrape}\n  static_configs: [{{targets: [{targets}]}}]\n"
        );
        let config = scratch.file("prometheus.yml", config);
        let log = File::create(scratch.0.join("log")).expect("the log can be written");
        let addr = free_address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", scratch.0.join("data").display()))
            .arg(format!("--web.listen-address={addr}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| tools::missing(&command, &error, INSTALL));
        Prometheus { child, addr, scratch }
    }

    /// Whether a scrape of a gateway that ends from now on can be read; what is wrong with it.
    pub fn scrapes(&self, gateway: SocketAddr) -> Result<(), String> {
        let before = self.last_scrape(gateway);
        let end = Instant::now() + PATIENCE;
        loop {
            let last = self.last_scrape(gateway);
            if let Some(outcome) = last.outcome.filter(|_| last.at != before.at) {
                return outcome;
            }
            assert!(Instant::now() < end, "Prometheus does not scrape {gateway}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the first scrape of a gateway, or a later one, could be read.
    pub fn has_scraped(&self, gateway: SocketAddr) -> Result<(), String> {
        self.last_scrape(gateway).outcome.unwrap_or_else(|| self.scrapes(gateway))
    }

    fn last_scrape(&self, gateway: SocketAddr) -> Scrape {
        let response = wire::request(self.addr, "GET", "/api/v1/targets", None);
        let document: Value = serde_json::from_slice(&response.text()).unwrap_or_default();
        let targets = document["data"]["activeTargets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_it = |target: &&Value| target["discoveredLabels"]["__address__"] == gateway.to_string();
        let target = targets.iter().find(is_it).unwrap_or(&Value::Null);
        let outcome = match target["health"].as_str() {
            None | Some("unknown") => None,
            Some("up") => Some(Ok(())),
            Some(_) => Some(Err(format!("Prometheus: {}", target["lastError"]))),
        };
        Scrape { at: target["lastScrape"].clone(), outcome }
    }

    /// Waits until an instant query has exactly this result: pairs of labels and value, in the order of the labels.
    #[track_caller]
    fn wait_for(&self, query: &str, wanted: &Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            let response = wire::request(self.addr, "GET", &format!("/api/v1/query?query={query}"), None);
            let got = serde_json::from_slice(&response.text()).map(|document| result(&document)).unwrap_or_default();
            if got == *wanted {
                return;
            }
            if Instant::now() >= end {
                let log = std::fs::read_to_string(self.scratch.0.join("log")).unwrap_or_default();
                panic!("{query} is {got}, wanted {wanted}; the log of Prometheus:\n{log}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A scrape as Prometheus tells it.
struct Scrape {
    at: Value,
    /// None if there was none.
    outcome: Option<Result<(), String>>,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The result of an instant query as sorted pairs of labels and value, be it a histogram; null while there is none.
fn result(document: &Value) -> Value {
    let Some(series) = document["data"]["result"].as_array() else { return Value::Null };
    let value = |one: &Value| one.get("histogram").unwrap_or(&one["value"])[1].clone();
    let mut pairs: Vec<Value> = series.iter().map(|one| json!([one["metric"], value(one)])).collect();
    pairs.sort_by_key(Value::to_string);
    Value::Array(pairs)
}

/// A port that was free a moment ago: Prometheus does not say which one it was given for port 0.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address")
}
