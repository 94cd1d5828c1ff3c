//! Whatever one client does, the others do not notice: the gateway stays alive, answers what is right, keeps its memory
//! within its limits, and serves an honest client meanwhile.
//!
//! A file for each kind of harm. Speed is not judged here, as machines that run tests are busy: what is judged is
//! answers and memory, and that nobody waits for many seconds. `make bench BENCH_ROWS=hostile` measures the waits.

mod bodies;
mod buckets;
mod errors;
mod heads;
mod names;
mod readers;
mod texts;
mod total;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::wire;

/// The longest time that an honest client may wait while somebody attacks a debug build on a busy machine. A gateway
/// that does expensive work in one go exceeds it many times over.
const WAIT_MOST: Duration = Duration::from_secs(20);

/// A field of `/proc/<pid>/status` that counts memory, in bytes.
fn memory(gateway: &Server, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.expect("Linux knows it").trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// By how many bytes resident memory has grown at its highest since it was `before`.
fn peak_growth(gateway: &Server, before: u64) -> u64 {
    memory(gateway, "VmHWM").saturating_sub(before)
}

fn put(gateway: &Server, path: &str, body: impl AsRef<[u8]>) -> wire::Response {
    gateway.request("PUT", path, Some(body.as_ref()))
}

#[track_caller]
fn put_well(gateway: &Server, path: &str, body: impl AsRef<[u8]>) {
    let response = put(gateway, path, body);
    assert_eq!(response.status, Some(200), "{path}: {:.300}\n{}", response.text_lossy(), gateway.log());
}

fn get_head(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

fn gzip(body: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// A connection on which these bytes were sent, as far as the gateway takes them within a few seconds, and nothing is
/// read.
fn stalled(gateway: &Server, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.addr).expect("the gateway listens");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout above zero can be set");
    // The gateway may answer and close before it has read everything.
    let _ = stream.write_all(bytes.as_ref());
    stream
}

/// Everything that comes on a connection until it is closed, or until so much time has passed.
fn rest(stream: &mut TcpStream, time: Duration) -> (Vec<u8>, bool) {
    let (end, mut all, mut buffer) = (Instant::now() + time, Vec::new(), vec![0; 64 << 10]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (all, false);
        }
        stream.set_read_timeout(Some(left)).expect("a timeout above zero can be set");
        match stream.read(&mut buffer) {
            Ok(0) => return (all, true),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return (all, true),
        }
    }
}

/// Lets so many turns of the gateway's loop go by: it answers on one connection once a turn.
fn pass_turns(gateway: &Server, turns: usize) {
    let mut stream = TcpStream::connect(gateway.addr).expect("the gateway listens");
    stream.set_read_timeout(Some(wire::TIMEOUT)).expect("a timeout above zero can be set");
    for _ in 0..turns {
        stream.write_all(get_head("/-/healthy", "").as_bytes()).expect("the gateway reads");
        let read = stream.read(&mut [0; 4096]);
        assert!(read.as_ref().is_ok_and(|read| *read > 0), "{read:?}\n{}", gateway.log());
    }
}

/// A connection on which this was asked, whose answer has begun to come and is not read.
fn reading(gateway: &Server, question: &str) -> TcpStream {
    let stream = stalled(gateway, question);
    stream.set_read_timeout(Some(wire::TIMEOUT)).expect("a timeout above zero can be set");
    let begun = stream.peek(&mut [0; 1]);
    assert!(begun.as_ref().is_ok_and(|read| *read == 1), "{question}: {begun:?}\n{}", gateway.log());
    stream
}

/// How often the gateway has refused or cut something for a limit.
fn refusals(gateway: &Server, limit: &str) -> u64 {
    let series = format!("pushgateway_limit_refusals_total{{limit=\"{limit}\"}} ");
    let scrape = gateway.scrape();
    let line = scrape.lines().find_map(|line| line.strip_prefix(&*series)).expect("every limit has its counter");
    line.parse().expect("a number")
}

/// An honest client that pushes every few milliseconds on a kept connection.
struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Honest {
    fn start(gateway: &Server) -> Honest {
        let stop = Arc::new(AtomicBool::new(false));
        let (addr, is_over) = (gateway.addr, Arc::clone(&stop));
        Honest { stop, thread: thread::spawn(move || push_until(addr, &is_over)) }
    }

    /// Ends it. All its pushes were accepted, and none waited for long.
    #[track_caller]
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let waits = self.thread.join().expect("every honest push is accepted");
        let worst = waits.iter().max().copied().unwrap_or_default();
        assert!(worst <= WAIT_MOST, "one of {} honest pushes waited {worst:?}", waits.len());
    }
}

fn push_until(addr: SocketAddr, is_over: &AtomicBool) -> Vec<Duration> {
    let mut stream = TcpStream::connect(addr).expect("the gateway listens");
    stream.set_nodelay(true).expect("an open connection");
    let (mut waits, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_over.load(Ordering::Relaxed) {
        // Of the same length each time, so that it has room in a full store.
        let body = format!("honest 1{:08}\n", waits.len());
        let begin = Instant::now();
        write!(stream, "PUT /metrics/job/honest HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("the gateway reads");
        let read = stream.read(&mut buffer).expect("the gateway answers");
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
        waits.push(begin.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    waits
}

/// Bodies in delimited protobuf.
mod proto {
    use pushgateway::exposition::wire::{write_bytes, write_double, write_uint, write_varint};

    /// Types of families by their numbers in the format.
    pub const SUMMARY: u64 = 2;
    pub const HISTOGRAM: u64 = 4;

    /// The header line of such a push.
    pub fn header() -> String {
        format!("Content-Type: {}\r\n", crate::wire::DELIMITED)
    }

    /// A family with these metrics.
    pub fn family(name: &str, kind: u64, metrics: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        let (mut family, mut body) = (Vec::new(), Vec::new());
        write_bytes(&mut family, 1, name.as_bytes());
        write_uint(&mut family, 3, kind);
        for metric in metrics {
            write_bytes(&mut family, 4, &metric);
        }
        write_varint(&mut body, family.len() as u64);
        body.extend_from_slice(&family);
        body
    }

    /// A metric with one label and a value in this field of the message.
    pub fn metric(label: (&str, &str), field: u32, value: &[u8]) -> Vec<u8> {
        let (mut pair, mut metric) = (Vec::new(), Vec::new());
        write_bytes(&mut pair, 1, label.0.as_bytes());
        write_bytes(&mut pair, 2, label.1.as_bytes());
        write_bytes(&mut metric, 1, &pair);
        write_bytes(&mut metric, field, value);
        metric
    }

    /// The value of a native histogram with so many buckets, each with one observation, in one span.
    pub fn native(buckets: usize) -> Vec<u8> {
        let (mut value, mut span) = (Vec::new(), Vec::new());
        write_uint(&mut value, 1, buckets as u64);
        write_double(&mut value, 2, 1.0);
        write_uint(&mut value, 5, 6);
        write_double(&mut value, 6, 0.001);
        write_uint(&mut span, 1, 0);
        write_uint(&mut span, 2, buckets as u64);
        write_bytes(&mut value, 12, &span);
        // Differences as signed numbers: one more than none in the first bucket, then always as many as before.
        let mut differences = vec![0; buckets];
        differences[0] = 2;
        write_bytes(&mut value, 13, &differences);
        value
    }
}
