//! Counts heap allocations: a gateway that is warm answers its everyday requests without any.
//!
//! The server runs in this thread, turn by turn, so that only its own work is counted and not the client's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pushgateway::app::{App, Settings};
use pushgateway::cli::address::ListenAddress;
use pushgateway::log::{Format, Level, Logger};
use pushgateway::model::time::Timestamp;
use pushgateway::server::Server;

/// Requests of one sort before allocations are counted, and while they are.
const WARM_UP: usize = 300;
const COUNTED: usize = 500;

/// Longest wait of one turn; every turn of these tests has something to do.
const TURN: Duration = Duration::from_millis(50);

/// A server in this thread and one kept connection to it.
struct Bench {
    server: Server,
    client: TcpStream,
    answer: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings::plain(Timestamp(0));
        let log = Logger::stderr(Level::Error, Format::Logfmt);
        let mut server = Server::new(App::new(settings, log)).expect("a server can be made");
        let address = ListenAddress::parse("127.0.0.1:0").expect("an address");
        let bound = server.listen(&address).expect("a free port");
        let client = TcpStream::connect(bound).expect("the server listens");
        client.set_nodelay(true).expect("an open connection");
        client.set_nonblocking(true).expect("an open connection");
        Self { server, client, answer: vec![0; 1 << 20] }
    }

    /// Sends a request, turns the server until the answer is there, and returns how often it allocated.
    fn exchange(&mut self, request: &[u8], status: &str) -> u64 {
        self.client.write_all(request).expect("requests are shorter than socket buffers");
        let (mut allocations, mut received) = (0, 0);
        while !is_complete(&self.answer[..received]) {
            let counted = allocation_counter::measure(|| {
                self.server.turn(Some(TURN)).expect("the loop goes on");
            });
            allocations += counted.count_total;
            if let Ok(read) = self.client.read(&mut self.answer[received..]) {
                assert_ne!(read, 0, "the connection was closed");
                received += read;
            }
        }
        let answer = String::from_utf8_lossy(&self.answer[..received]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        allocations
    }

    /// How often the server allocates for many requests, once it has seen enough of them. Takes turns between the
    /// requests, as values that change their length are part of every day.
    fn steady(&mut self, requests: &[Vec<u8>]) -> u64 {
        for request in requests.iter().cycle().take(WARM_UP) {
            self.exchange(request, "200");
        }
        requests.iter().cycle().take(COUNTED).map(|request| self.exchange(request, "200")).sum()
    }
}

/// Whether this is a whole answer with a Content-Length.
fn is_complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let text = str::from_utf8(&answer[..head]).expect("heads are text");
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a length is a number"));
    answer.len() >= head + 4 + length
}

fn push(job: &str, body: &str) -> Vec<u8> {
    let head = format!("PUT /metrics/job/{job} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n\r\n", body.len());
    (head + body).into_bytes()
}

fn scrape() -> Vec<u8> {
    b"GET /metrics HTTP/1.1\r\nHost: gateway\r\nAccept-Encoding: identity\r\n\r\n".to_vec()
}

fn gauges(value: usize) -> String {
    (0..5).fold(String::new(), |body, at| {
        body + &format!(
            "# HELP batch_{at} Some help.\n# TYPE batch_{at} gauge\nbatch_{at}{{part=\"a\"}} {value}.{at}\n"
        )
    })
}

fn compounds(value: usize) -> String {
    format!(
        "# TYPE took_seconds histogram\ntook_seconds_bucket{{le=\"0.5\"}} {value}\ntook_seconds_bucket{{le=\"+Inf\"}} \
         {value}\ntook_seconds_sum {value}.5\ntook_seconds_count {value}\n# TYPE size_bytes summary\n\
         size_bytes{{quantile=\"0.5\"}} {value}\nsize_bytes_sum {value}\nsize_bytes_count {value}\n"
    )
}

/// The same push with values of different lengths.
fn pushes(job: &str, body: fn(usize) -> String) -> Vec<Vec<u8>> {
    [7, 123_456, 89, 4_567].map(|value| push(job, &body(value))).to_vec()
}

#[test]
fn a_push_of_gauges_that_replaces_a_group_allocates_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.steady(&pushes("a", gauges)), 0);
}

#[test]
fn a_push_of_histograms_and_summaries_that_replaces_a_group_allocates_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.steady(&pushes("a", compounds)), 0);
}

#[test]
fn a_push_beside_groups_of_other_shapes_allocates_nothing() {
    let mut bench = Bench::new();
    for job in ["b/x/1", "b/y/2", "b/x/1/y/2"] {
        bench.exchange(&push(job, &gauges(1)), "200");
        bench.exchange(&push(&format!("{job}/z/1"), &compounds(1)), "200");
    }
    assert_eq!(bench.steady(&pushes("a", gauges)), 0);
    assert_eq!(bench.steady(&pushes("c", compounds)), 0);
}

#[test]
fn a_scrape_of_many_groups_allocates_nothing() {
    let mut bench = Bench::new();
    for at in 0..300 {
        bench.exchange(&push(&format!("job-{at}"), &gauges(at)), "200");
    }
    assert_eq!(bench.steady(&[scrape()]), 0);
}

#[test]
fn pushes_and_scrapes_in_turn_allocate_nothing() {
    let mut bench = Bench::new();
    let mut requests = pushes("a", gauges);
    requests.push(scrape());
    requests.extend(pushes("b", compounds));
    requests.push(scrape());
    assert_eq!(bench.steady(&requests), 0);
}
