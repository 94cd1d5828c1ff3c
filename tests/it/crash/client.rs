//! A connection that pushes, deletes and wipes, and takes down when it sent what, and when that was acknowledged; and
//! the form of what it pushes, from which the scrape can be read back.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pushgateway::random::Random;

use super::history::{FAMILIES, Record, State, Writes};

/// How long an answer may take; a gateway that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who pushes what where.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many groups there are.
    pub groups: usize,
    /// How many connections push to them.
    pub connections: usize,
    /// How many families a group may have.
    pub families: usize,
    /// How many samples a family has; if zero, some that its generation and number tell.
    pub samples: usize,
}

impl Shape {
    fn samples_of(self, family: usize, generation: u64) -> usize {
        if self.samples > 0 { self.samples } else { 1 + (family + generation as usize) % 4 }
    }

    /// The text of some families, each sample of which tells the generation.
    fn body(self, writes: &Writes) -> String {
        let mut body = String::new();
        for (family, generation) in writes.iter().enumerate() {
            let Some(generation) = generation else { continue };
            for at in 0..self.samples_of(family, *generation) {
                writeln!(body, "f{family}{{at=\"{at}\"}} {generation}").expect("a string takes everything");
            }
        }
        body
    }

    /// What a scrape shows of a group.
    ///
    /// # Errors
    /// If a family is not all of one generation.
    pub fn state(self, group: usize, text: &str) -> Result<State, String> {
        let mut state = State::default();
        let mut samples = [0; FAMILIES];
        let labels = format!(",instance=\"\",job=\"{group}\"}} ");
        let pushed = format!("push_time_seconds{{instance=\"\",job=\"{group}\"}} ");
        for line in text.lines() {
            if let Some(value) = line.strip_prefix(&pushed) {
                state.pushed = value.parse().map_err(|_| line.to_owned())?;
            }
            let Some((name, rest)) = line.strip_prefix('f').and_then(|line| line.split_once("{at=\"")) else {
                continue;
            };
            let Some((_, value)) = rest.split_once(&labels) else { continue };
            let family: usize = name.parse().map_err(|_| line.to_owned())?;
            // Large numbers are shown with an exponent.
            let generation = value.parse::<f64>().map_err(|_| line.to_owned())? as u64;
            samples[family] += 1;
            if state.families[family].replace(generation).is_some_and(|other| other != generation) {
                return Err(format!("family {family} is of two generations: {line}"));
            }
        }
        for (family, generation) in state.families.iter().enumerate() {
            let wanted = generation.map_or(0, |generation| self.samples_of(family, generation));
            if samples[family] != wanted {
                return Err(format!("family {family} of {generation:?} has {} of {wanted} samples", samples[family]));
            }
        }
        let is_there = state.families.iter().any(Option::is_some);
        if is_there != (state.pushed > 0.0) {
            return Err(format!("families and push time do not go together: {state:?}"));
        }
        Ok(state)
    }
}

/// See the module.
pub struct Client<'a> {
    addr: SocketAddr,
    shape: Shape,
    random: Random,
    generations: &'a AtomicU64,
    /// Whether the gateway has been ended.
    is_over: &'a AtomicBool,
    /// Requests, and the group they are for; all groups if there is none.
    records: Vec<(Option<usize>, Record)>,
}

impl<'a> Client<'a> {
    /// A client of the gateway there.
    pub fn new(
        addr: SocketAddr,
        shape: Shape,
        random: Random,
        generations: &'a AtomicU64,
        is_over: &'a AtomicBool,
    ) -> Self {
        Self { addr, shape, random, generations, is_over, records: Vec::new() }
    }

    /// Goes on until the gateway is gone; what was sent.
    pub fn run(mut self) -> Vec<(Option<usize>, Record)> {
        while !self.is_over.load(Ordering::Relaxed) {
            match TcpStream::connect(self.addr) {
                Ok(stream) => self.talk(&stream),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        self.records
    }

    /// Sends requests until the connection ends.
    fn talk(&mut self, mut stream: &TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero can be set");
        let mut input = Vec::new();
        loop {
            // Now and then some requests go out before the first is answered.
            let count = if self.random.one_in(4) { 2 + self.random.index(4) } else { 1 };
            let first = self.records.len();
            let bytes: Vec<u8> = (0..count).flat_map(|_| self.request()).collect();
            if stream.write_all(&bytes).is_err() {
                return;
            }
            for at in first..first + count {
                let Some(status) = answer(stream, &mut input) else { return };
                match status {
                    200 | 202 => self.records[at].1.acknowledged = Some(Instant::now()),
                    503 => thread::sleep(Duration::from_millis(1)),
                    other => panic!("a request is answered {other}"),
                }
            }
        }
    }

    /// The bytes of a request, which is taken down as sent.
    fn request(&mut self) -> Vec<u8> {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let group = self.random.index(self.shape.groups);
        let mut writes: Writes = [None; FAMILIES];
        let head = |method: &str, path: &str, body: &str| {
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        let path = format!("/metrics/job/{group}");
        let (bytes, group, is_whole) = match self.random.below(40) {
            0 => (head("PUT", "/api/v1/admin/wipe", ""), None, true),
            1..5 => (head("DELETE", &path, ""), Some(group), true),
            chance => {
                for _ in 0..1 + self.random.index(self.shape.families) {
                    writes[self.random.index(self.shape.families)] = Some(generation);
                }
                let method = if chance < 22 { "PUT" } else { "POST" };
                (head(method, &path, &self.shape.body(&writes)), Some(group), method == "PUT")
            }
        };
        let (sent, wall) = (Instant::now(), SystemTime::now());
        self.records.push((group, Record { writes, is_whole, sent: Some(sent), wall: Some(wall), acknowledged: None }));
        bytes
    }
}

/// The status of the next answer; `None` if the connection ends before it is complete.
fn answer(mut stream: &TcpStream, input: &mut Vec<u8>) -> Option<u16> {
    let mut buffer = [0; 4096];
    loop {
        if let Some((status, bytes)) = complete(input) {
            input.drain(..bytes);
            return Some(status);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => input.extend_from_slice(&buffer[..count]),
            Err(error) => {
                let is_late = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                assert!(!is_late, "there is no answer for {PATIENCE:?}");
                return None;
            }
        }
    }
}

/// The status of a complete answer and its length.
fn complete(input: &[u8]) -> Option<(u16, usize)> {
    let end = memchr::memmem::find(input, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&input[..end]).expect("a head is ASCII");
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let body: usize = length.and_then(|length| length.parse().ok()).unwrap_or_else(|| panic!("no length: {head}"));
    (input.len() >= end + body).then_some((status, end + body))
}
