//! A long run under a mixed load: pushes, deletions, scrapes, clients that give up, pushes that are refused, a disk that
//! fails for a while, restarts. What the gateway takes has to be flat: memory, descriptors, and the time of pushes.
//!
//! `SOAK_SECONDS` says how long (`make soak`: against the release build); some seconds unless it does, which show that it
//! works. One gateway runs all the time and is measured, another one is restarted again and again.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pushgateway::random::Random;

use crate::kept::Home;
use crate::server::Server;
use crate::tools;
use crate::wire;

/// Seconds unless the environment says otherwise.
const SECONDS: u64 = 3;

/// Groups that are pushed to.
const GROUPS: u64 = 60;

/// Time in which caches fill and the allocator finds its size.
const SETTLE_TIME: Duration = Duration::from_secs(120);

/// How long the disk fails, once a period.
const FAULT_TIME: Duration = Duration::from_secs(2);

/// Growth that is put up with between the first quarter behind the settling and the last one: a tenth and something for
/// the allocator, which takes memory in steps; connections that happen to be open; the moods of a shared machine.
const RSS_GROWTH_MAX: (f64, f64) = (1.1, 4.0 * 1024.0 * 1024.0);
const FDS_GROWTH_MAX: (f64, f64) = (1.0, 10.0);
const P99_GROWTH_MAX: (f64, f64) = (2.0, 0.020);

/// Runs shorter than this say nothing about how long pushes take.
const JUDGED_SECONDS_MIN: u64 = 120;

/// Everything that the load shares.
struct Load {
    /// Where the gateway is now.
    addr: Mutex<SocketAddr>,
    is_over: AtomicBool,
    /// How long acknowledged pushes took since this was looked at last, seconds.
    times: Mutex<Vec<f64>>,
    refused: AtomicU64,
    broken: AtomicU64,
    /// Wipes that were asked for.
    wipes: AtomicU64,
}

impl Load {
    fn new(server: &Server) -> Load {
        Load {
            addr: Mutex::new(server.addr),
            is_over: AtomicBool::new(false),
            times: Mutex::default(),
            refused: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            wipes: AtomicU64::new(0),
        }
    }

    fn addr(&self) -> SocketAddr {
        *self.addr.lock().expect("nobody panics with it")
    }

    /// Does something again and again until the run is over, with a pause of so many milliseconds.
    fn repeat(&self, pause: u64, mut action: impl FnMut()) {
        while !self.is_over.load(Ordering::Relaxed) {
            action();
            thread::sleep(Duration::from_millis(pause));
        }
    }

    // ---- what clients do ----

    /// Pushes on a connection that is kept, and takes the time.
    fn push(&self, seed: u64) {
        let mut random = Random::new(seed);
        let mut connection: Option<(SocketAddr, TcpStream)> = None;
        self.repeat(3, || {
            let addr = self.addr();
            let stream = match connection.take().filter(|(other, _)| *other == addr) {
                Some((_, stream)) => Ok(stream),
                None => TcpStream::connect(addr),
            };
            let begin = Instant::now();
            let outcome = stream.and_then(|mut stream| Ok((exchange(&mut stream, &push(&mut random))?, stream)));
            match outcome {
                Ok((status, stream)) => {
                    connection = Some((addr, stream));
                    if status == 200 {
                        self.times.lock().expect("nobody panics with it").push(begin.elapsed().as_secs_f64());
                    } else {
                        assert!(matches!(status, 400 | 503), "a push is answered with {status}");
                        self.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(_) => {
                    self.broken.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            }
        });
    }

    /// Deletes groups, and now and then all.
    fn delete(&self, seed: u64) {
        let mut random = Random::new(seed);
        self.repeat(40, || {
            if random.one_in(250) {
                self.wipes.fetch_add(1, Ordering::SeqCst);
                wire::request(self.addr(), "PUT", "/api/v1/admin/wipe", None);
            } else {
                let path = format!("/metrics/job/soak/at/{}", random.below(GROUPS));
                wire::request(self.addr(), "DELETE", &path, None);
            }
        });
    }

    /// Scrapes in turn as text, compressed, and in messages; asks for groups.
    fn scrape(&self) {
        let mut turn = 0;
        self.repeat(200, || {
            turn += 1;
            let (path, headers) = match turn % 4 {
                0 => ("/metrics", ""),
                1 => ("/metrics", "Accept-Encoding: gzip\r\n"),
                2 => ("/metrics", "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n"),
                _ => ("/api/v1/metrics", ""),
            };
            wire::request_with(self.addr(), "GET", path, headers, None);
        });
    }

    /// Gives up in the middle of things, asks for what cannot be, and leaves connections lying about.
    fn disturb(&self, seed: u64) {
        let mut random = Random::new(seed);
        let mut idle = VecDeque::new();
        self.repeat(20, || {
            let Ok(mut stream) = TcpStream::connect(self.addr()) else { return };
            let kind = random.below(6);
            let bytes: &[u8] = match kind {
                0 => b"POST /metrics/job/soak HTTP/1.1\r\nHo",
                1 => b"POST /metrics/job/soak HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\na 1\nb",
                2 => b"POST /metrics/job/soak HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\na 1 7\n",
                3 => b"POST /metrics/job/soak HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n}{=\n",
                4 => b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\nGET /metrics HTTP/1.1\r\nHost: h\r\n\r\n",
                _ => b"\x16\x03\x01 no request at all\r\n\r\n",
            };
            // It may be restarting.
            let _ = stream.write_all(bytes);
            if random.one_in(2) {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
                let _ = stream.read(&mut [0; 500]);
            }
            // Half a request would hold up a stop.
            if kind > 1 && random.one_in(4) {
                idle.push_back(stream);
                idle.drain(..idle.len().saturating_sub(10));
            }
        });
    }
}

/// A push to one of the groups.
fn push(random: &mut Random) -> String {
    let series = 1 + random.below(60);
    let body: String =
        (0..series).map(|at| format!("soak_{}{{series=\"{at}\"}} {}\n", at % 4, random.below(1_000_000))).collect();
    let method = random.pick(&["PUT", "POST"]);
    let group = random.below(GROUPS);
    format!("{method} /metrics/job/soak/at/{group} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Sends a request; the status of its answer, whose body has a length.
fn exchange(stream: &mut TcpStream, request: &str) -> std::io::Result<u16> {
    stream.set_read_timeout(Some(wire::TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(usize::MAX) {
                return head.get(9..12).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::Other.into());
            }
        }
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What a gateway takes at some time.
#[derive(Clone, Copy, Debug)]
struct Reading {
    rss: f64,
    fds: f64,
    p50: f64,
    p99: f64,
}

impl Reading {
    fn of(server: &Server, load: &Load) -> Reading {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("there is such a line");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let fds = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it runs").count() as f64;
        let mut times = std::mem::take(&mut *load.times.lock().expect("nobody panics with it"));
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        Reading { rss: kib * 1024.0, fds, p50: at(0.5), p99: at(0.99) }
    }
}

/// The middle one of some values.
fn median(readings: &[Reading], value: impl Fn(&Reading) -> f64) -> f64 {
    let mut values: Vec<f64> = readings.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What has grown beyond its bound between the first quarter and the last one.
fn growth(readings: &[Reading], is_long: bool) -> Vec<String> {
    let quarter = readings.len().div_ceil(4);
    let (early, late) = (&readings[..quarter], &readings[readings.len() - quarter..]);
    let compare = |name: &str, value: fn(&Reading) -> f64, (factor, slack): (f64, f64)| {
        let (before, after) = (median(early, value), median(late, value));
        println!("{name}: {before:.4} at first, {after:.4} at last, {:.4} at most", before * factor + slack);
        (after > before * factor + slack).then(|| format!("{name} grows from {before} to {after}"))
    };
    let mut grown = vec![
        compare("resident memory, bytes", |reading| reading.rss, RSS_GROWTH_MAX),
        compare("descriptors", |reading| reading.fds, FDS_GROWTH_MAX),
    ];
    if is_long {
        grown.push(compare("p99 of pushes, seconds", |reading| reading.p99, P99_GROWTH_MAX));
    }
    grown.into_iter().flatten().collect()
}

/// Sets the limit of the size of files, bytes.
fn limit(server: &Server, bytes: &str) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &server.pid().to_string(), &format!("--fsize={bytes}:unlimited")]);
    let output = tools::run(&mut command, b"", "apt-get install util-linux");
    assert!(output.status.success(), "{}", tools::said(&output));
}

/// Ends a gateway, in good order or not, and starts it again: what was acknowledged last is there.
fn restart(server: &mut Server, home: &Home, load: &Load, number: u64) {
    let wipes = load.wipes.load(Ordering::SeqCst);
    let status = server.request("PUT", "/metrics/job/mark", Some(format!("mark {number}\n").as_bytes())).status;
    assert_eq!(status, Some(200), "the mark in front of restart {number}");
    if number.is_multiple_of(2) {
        server.signal("TERM");
        let (status, log) = server.end();
        assert!(status.is_some_and(|status| status.success()), "{status:?} {log}");
    } else {
        server.kill();
    }
    *server = home.start(&[]);
    let is_there = server.scrape().contains(&format!("mark{{instance=\"\",job=\"mark\"}} {number}\n"));
    assert!(is_there || load.wipes.load(Ordering::SeqCst) != wipes, "the mark is gone behind restart {number}");
    *load.addr.lock().expect("nobody panics with it") = server.addr;
    let bytes = fs::metadata(&home.path).map_or(0, |metadata| metadata.len());
    println!("  restart {number}: file of {} KiB", bytes >> 10);
}

/// Puts both gateways under load; what the first one took, period by period.
fn soak(time: Duration, period: Duration) -> Vec<Reading> {
    let (home, other_home) = (Home::new("soak"), Home::new("soak-restarts"));
    let (mut steady, mut restarted) = (home.start(&[]), other_home.start(&[]));
    let (load, other_load) = (Load::new(&steady), Load::new(&restarted));
    let mut readings = Vec::new();
    thread::scope(|scope| {
        for (load, seed) in [(&load, 1), (&other_load, 10)] {
            scope.spawn(move || load.push(seed));
            scope.spawn(move || load.push(seed + 1));
            scope.spawn(move || load.delete(seed + 2));
            scope.spawn(move || load.disturb(seed + 3));
            scope.spawn(move || load.scrape());
        }
        let watch = || {
            let begin = Instant::now();
            for number in 1.. {
                let fault = FAULT_TIME.min(period / 3);
                limit(&steady, "4096");
                thread::sleep(fault);
                limit(&steady, "unlimited");
                restart(&mut restarted, &other_home, &other_load, number);
                thread::sleep((period * number as u32).saturating_sub(begin.elapsed()));
                let reading = Reading::of(&steady, &load);
                println!(
                    "{:4} s: {:.1} MiB, {} descriptors, pushes p50 {:.2} ms, p99 {:.2} ms; {} refused",
                    begin.elapsed().as_secs(),
                    reading.rss / f64::from(1 << 20),
                    reading.fds,
                    reading.p50 * 1e3,
                    reading.p99 * 1e3,
                    load.refused.load(Ordering::Relaxed),
                );
                readings.push(reading);
                if begin.elapsed() >= time {
                    break;
                }
            }
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(watch));
        load.is_over.store(true, Ordering::Relaxed);
        other_load.is_over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(load.broken.load(Ordering::Relaxed), 0, "connections of honest clients break");
    steady.signal("TERM");
    let (status, log) = steady.end();
    assert!(status.is_some_and(|status| status.success()), "{status:?} {log}");
    readings
}

#[test]
fn a_long_mixed_load_leaves_no_traces() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS);
    let time = Duration::from_secs(seconds);
    let is_long = seconds >= JUDGED_SECONDS_MIN;
    // Once a minute, or some times in a short run.
    let period = if seconds >= 600 { Duration::from_secs(60) } else { (time / 10).max(Duration::from_secs(1)) };
    let readings = soak(time, period);
    let settled = (SETTLE_TIME.min(time / 3).as_secs_f64() / period.as_secs_f64()) as usize;
    let grown = growth(&readings[settled.min(readings.len() - 1)..], is_long);
    assert!(grown.is_empty(), "{grown:?}");
}
