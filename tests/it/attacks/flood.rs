//! The big one: thousands of connections that send heads and bodies byte by byte and read answers as slowly, while one
//! client pushes as every day. `make test-attack` runs it at length; in `make test` it is small.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::resident;
use crate::server::Server;

/// How an attacker spends the time of a connection.
#[derive(Clone, Copy)]
enum Sloth {
    Head,
    Body,
    Reader,
}

impl Sloth {
    fn of(at: usize) -> Self {
        match at % 10 {
            0 => Sloth::Reader,
            odd if odd % 2 == 1 => Sloth::Head,
            _ => Sloth::Body,
        }
    }

    const fn opening(self) -> &'static [u8] {
        match self {
            Sloth::Head => b"PUT /metrics/job/slow HTTP/1.1\r\nHost: x\r\nX: ",
            Sloth::Body => b"PUT /metrics/job/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nslow{l=\"",
            Sloth::Reader => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        }
    }
}

/// One slow connection; it comes again when it is thrown out.
struct Attacker {
    sloth: Sloth,
    stream: Option<TcpStream>,
}

impl Attacker {
    /// Does as little as it can; whether it had to connect.
    fn act(&mut self, addr: SocketAddr) -> bool {
        let Some(stream) = &mut self.stream else {
            self.stream = TcpStream::connect(addr).ok().and_then(|mut stream| {
                stream.write_all(self.sloth.opening()).ok()?;
                stream.set_nonblocking(true).ok()?;
                Some(stream)
            });
            return true;
        };
        let outcome = match self.sloth {
            Sloth::Head | Sloth::Body => stream.write(b"x"),
            Sloth::Reader => match stream.read(&mut [0; 1]) {
                Ok(0) => Err(ErrorKind::ConnectionReset.into()),
                outcome => outcome,
            },
        };
        if outcome.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            self.stream = None;
        }
        false
    }
}

/// Attacks until told to stop; counts the connections made and those that are open.
fn attack(addr: SocketAddr, share: std::ops::Range<usize>, stop: &AtomicBool, made: &AtomicU64, open: &AtomicU64) {
    let mut attackers: Vec<_> = share.map(|at| Attacker { sloth: Sloth::of(at), stream: None }).collect();
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        for group in attackers.chunks_mut(50) {
            let connected = group.iter_mut().filter_map(|attacker| attacker.act(addr).then_some(())).count();
            made.fetch_add(connected as u64, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
        open.store(attackers.iter().filter(|attacker| attacker.stream.is_some()).count() as u64, Ordering::Relaxed);
        thread::sleep(Duration::from_secs(1).saturating_sub(begin.elapsed()));
    }
}

/// Pushes on one kept connection until the time is over; how long each push took, sorted.
fn push_honestly(addr: SocketAddr, time: Duration) -> Vec<Duration> {
    let mut stream = TcpStream::connect(addr).expect("the gateway listens");
    stream.set_nodelay(true).expect("an open connection");
    let (end, mut latencies) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        let count = latencies.len();
        let body: String = (0..5).map(|at| format!("honest_{at} {count}\n")).collect();
        let head = format!("PUT /metrics/job/honest/instance/{} HTTP/1.1\r\nHost: x\r\n", count % 100);
        let begin = Instant::now();
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("the gateway reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut buffer = [0; 1024];
            let read = stream.read(&mut buffer).expect("the gateway answers");
            assert_ne!(read, 0, "the gateway closed an honest connection");
            answer.extend_from_slice(&buffer[..read]);
        }
        latencies.push(begin.elapsed());
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
        thread::sleep(Duration::from_millis(2));
    }
    latencies.sort_unstable();
    latencies
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn slow_crowds_do_not_slow_down_honest_pushes() {
    let connections = setting("PUSHGATEWAY_ATTACK_CONNECTIONS", 1000) as usize;
    let seconds = setting("PUSHGATEWAY_ATTACK_SECONDS", 5);
    // A debug build beside other tests is slower by an order of magnitude than what is measured at length.
    let p99_most = Duration::from_millis(setting("PUSHGATEWAY_ATTACK_P99_MS", 100));
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be raised");
    assert!(descriptors > connections as u64 + 200, "{descriptors} descriptors are too few: raise the hard limit");
    let gateway = Server::start(&[], "");
    let store: String = (0..40_000).map(|at| format!("stored_{at}{{pad=\"{}\"}} {at}\n", "p".repeat(60))).collect();
    assert_eq!(gateway.request("PUT", "/metrics/job/stored", Some(store.as_bytes())).status, Some(200));
    let before = resident(&gateway);
    let (stop, made, open) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let addr = gateway.addr;
    let attackers = {
        let (stop, made, open) = (Arc::clone(&stop), Arc::clone(&made), Arc::clone(&open));
        thread::spawn(move || attack(addr, 0..connections, &stop, &made, &open))
    };
    let begin = Instant::now();
    while made.load(Ordering::Relaxed) < connections as u64 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the attackers do not get through");
        thread::sleep(Duration::from_millis(20));
    }
    let latencies = push_honestly(addr, Duration::from_secs(seconds));
    let grown = resident(&gateway).saturating_sub(before);
    let (opened, at_once) = (made.load(Ordering::Relaxed), open.load(Ordering::Relaxed));
    stop.store(true, Ordering::Relaxed);
    attackers.join().expect("no panic");
    let part = |share: usize| latencies[latencies.len() * share / 1000];
    println!(
        "{at_once} slow connections at once, {opened} in all, {seconds} s: {} honest pushes, p50 {:?}, p99 {:?}, p99.9 {:?}, most \
         {:?}; memory grew by {} KiB",
        latencies.len(),
        part(500),
        part(990),
        part(999),
        latencies.last().expect("there were pushes"),
        grown >> 10
    );
    assert!(latencies.len() as u64 > 20 * seconds, "{} pushes", latencies.len());
    assert!(part(990) <= p99_most, "p99 of honest pushes: {:?}", part(990));
    // Each connection may hold some kilobytes; readers share what was replaced.
    assert!(grown < (64 << 20) + ((connections as u64) << 14), "memory grew by {grown} bytes");
    assert!(gateway.scrape().contains("honest_4"), "the gateway is as it was");
}
