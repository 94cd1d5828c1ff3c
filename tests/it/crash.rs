//! The gateway is killed at random moments while several connections push, delete and wipe; whatever it has acknowledged
//! is there when it starts again, and every group is what one order of the requests makes of it.
//!
//! `PUSHGATEWAY_CRASH_ROUNDS` says how often (`make test-crash`), `PUSHGATEWAY_SEED` which kills.

mod client;
mod history;

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use pushgateway::random::Random;

use crate::kept::{self, Home, Shown, Start};
use crate::server::Server;
use client::{Client, Shape};
use history::History;

/// Kills unless the environment says otherwise.
const ROUNDS: u64 = 20;

/// What connections push to, all of them to all.
const GROUPS: usize = 6;

const CONNECTIONS: usize = 5;

/// When after the start a gateway is killed, at the latest.
const KILL_MS_MAX: u64 = 200;

fn rounds() -> u64 {
    std::env::var("PUSHGATEWAY_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// What was seen in all rounds.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    killed_at_start: u64,
    stopped: u64,
    sent: usize,
    acknowledged: usize,
    /// Changed copies that were recovered, and refused.
    recovered: u64,
    refused: u64,
}

/// One driver: a file, and what it has to hold.
struct Driver {
    home: Home,
    flags: &'static [&'static str],
    shape: Shape,
    histories: Vec<History>,
    generations: AtomicU64,
    random: Random,
    tally: Tally,
}

impl Driver {
    fn new(name: &str, shape: Shape, random: Random) -> Driver {
        let histories = (0..shape.groups).map(|_| History::default()).collect();
        let (home, generations) = (Home::new(name), AtomicU64::new(1));
        Driver { home, flags: &[], shape, histories, generations, random, tally: Tally::default() }
    }

    /// Starts a gateway, lets everybody push, ends it within this time, and takes down what was sent and acknowledged.
    fn round(&mut self, end_ms: u64) {
        let spawned = Instant::now();
        let mut server = self.home.launch(self.flags);
        let is_over = AtomicBool::new(false);
        let end_at = spawned + Duration::from_millis(self.random.below(end_ms) + 1);
        let clients = (0..self.shape.connections).map(|_| {
            let random = Random::new(self.random.bits());
            Client::new(server.addr, self.shape, random, &self.generations, &is_over)
        });
        let clients: Vec<_> = clients.collect();
        let random = &mut self.random;
        let tally = &mut self.tally;
        let records = thread::scope(|scope| {
            let threads: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || client.run())).collect();
            thread::sleep(end_at.saturating_duration_since(Instant::now()));
            end(&mut server, random, tally);
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect::<Vec<_>>()
        });
        self.tally.rounds += 1;
        for (group, record) in records {
            self.tally.sent += 1;
            self.tally.acknowledged += usize::from(record.acknowledged.is_some());
            match group {
                Some(group) => self.histories[group].add(record),
                None => self.histories.iter_mut().for_each(|history| history.add(record.clone())),
            }
        }
    }

    /// Kills some gateways before they are ready, then looks at what one shows that gets there.
    ///
    /// # Errors
    /// What cannot be.
    fn check(&mut self) -> Result<(), String> {
        while self.random.one_in(3) {
            let mut command = kept::command_on(&self.home.path, &[]);
            let mut child = command.stderr(Stdio::null()).spawn().expect("the gateway can be started");
            thread::sleep(Duration::from_micros(self.random.below(40_000)));
            child.kill().expect("an own child can be killed");
            child.wait().expect("an own child can be waited for");
            self.tally.killed_at_start += 1;
        }
        let server = self.home.start(&[]);
        let text = Shown::of(&server).text;
        let round = self.tally.rounds;
        for (group, history) in self.histories.iter_mut().enumerate() {
            let place = |why| format!("round {round}, group {group}: {why}");
            let state = self.shape.state(group, &text).map_err(place)?;
            history.check(&state).map_err(place)?;
            history.begin(state);
        }
        Ok(())
    }

    /// Copies of the file as the kill has left it, with damage: recovered with all that was acknowledged, or refused.
    /// What is recovered wrong.
    fn damage(&mut self) -> Vec<String> {
        let mut bytes = fs::read(&self.home.path).expect("the file can be read");
        let what = match self.random.below(3) {
            0 => {
                // Writes reach the disk in whole pages, and the end of the file may lack some.
                bytes.truncate(4096 * self.random.index(bytes.len() / 4096));
                format!("cut to {}", bytes.len())
            }
            1 => {
                let at = 4096 * self.random.index(bytes.len() / 4096);
                bytes[at..at + 4096].fill(0);
                format!("no page at {at}")
            }
            _ => {
                let (at, bit) = (self.random.index(bytes.len()), 1 << self.random.below(8));
                bytes[at] ^= bit;
                format!("byte {at} ^ {bit:#x}")
            }
        };
        let copy = self.home.directory().join("copy.db");
        fs::write(&copy, &bytes).expect("the copy can be written");
        let start = kept::try_start(&copy, &[]);
        let outcome = match &start {
            Start::Ready(text) => self.histories.iter().enumerate().try_for_each(|(group, history)| {
                self.shape
                    .state(group, text)
                    .and_then(|state| history.check(&state))
                    .map_err(|why| format!("group {group}: {why}"))
            }),
            start => kept::is_refused(&copy, start).and_then(|()| {
                let is_same = fs::read(&copy).expect("the copy can be read") == bytes;
                if is_same { Ok(()) } else { Err(format!("refused and changed: {start:?}")) }
            }),
        };
        match start {
            Start::Ready(_) => self.tally.recovered += 1,
            _ => self.tally.refused += 1,
        }
        outcome
            .err()
            .map(|why| format!("round {}: {what} of {}: {why}", self.tally.rounds, bytes.len()))
            .into_iter()
            .collect()
    }
}

/// Ends a gateway: a kill most times, sometimes a stop, or both.
fn end(server: &mut Server, random: &mut Random, tally: &mut Tally) {
    if random.one_in(5) {
        server.signal("TERM");
        tally.stopped += 1;
        if random.one_in(2) {
            let (status, log) = server.end();
            assert!(status.is_some_and(|status| status.success()), "{status:?} {log}");
            return;
        }
        thread::sleep(Duration::from_micros(random.below(30_000)));
    }
    server.kill();
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_gateway_is_killed() {
    let shape = Shape { groups: GROUPS, connections: CONNECTIONS, families: history::FAMILIES, samples: 0 };
    let mut driver = Driver::new("crash", shape, Random::for_test(6));
    for _ in 0..rounds() {
        driver.round(KILL_MS_MAX);
        driver.check().unwrap_or_else(|why| panic!("{why}"));
    }
    println!("{:?}", driver.tally);
    assert!(driver.tally.acknowledged as u64 > 10 * rounds(), "{:?}: hardly anything was acknowledged", driver.tally);
}

/// A gateway that acknowledges what is not on the disk yet is found out.
#[test]
fn what_is_acknowledged_too_early_is_missed() {
    let shape = Shape { groups: GROUPS, connections: CONNECTIONS, families: history::FAMILIES, samples: 0 };
    let mut driver = Driver::new("early", shape, Random::for_test(9));
    driver.flags = &["--persistence.sync=interval", "--persistence.interval=20ms"];
    let missed = (0..20).find_map(|_| {
        driver.round(KILL_MS_MAX);
        driver.check().err()
    });
    let missed = missed.unwrap_or_else(|| panic!("nothing is missed: {:?}", driver.tally));
    assert!(missed.contains("no order of requests"), "{missed}");
}

#[test]
fn damage_behind_a_kill_is_recovered_or_found() {
    let shape = Shape { groups: GROUPS, connections: CONNECTIONS, families: history::FAMILIES, samples: 0 };
    let mut driver = Driver::new("torn", shape, Random::for_test(7));
    let mut bad = Vec::new();
    for _ in 0..rounds().div_ceil(4) {
        driver.round(KILL_MS_MAX);
        for _ in 0..6 {
            bad.extend(driver.damage());
        }
        driver.check().unwrap_or_else(|why| panic!("{why}"));
    }
    println!("{:?}", driver.tally);
    assert!(bad.is_empty(), "{} of {:?}:\n{}", bad.len(), driver.tally, bad.join("\n"));
}

/// A push of a group this large takes many turns to write, and a batch of its own.
#[test]
fn large_groups_are_whole_whenever_the_gateway_is_killed() {
    let shape = Shape { groups: 2, connections: 2, families: 1, samples: 100_000 };
    let mut driver = Driver::new("large", shape, Random::for_test(8));
    let mut end_ms = 3000;
    while driver.tally.rounds < rounds().div_ceil(10) || driver.tally.acknowledged == 0 {
        driver.round(end_ms);
        driver.check().unwrap_or_else(|why| panic!("{why}"));
        // A machine that is busy may not have acknowledged anything yet.
        if driver.tally.acknowledged == 0 {
            end_ms *= 2;
        }
        assert!(end_ms < 100_000, "{:?}: nothing was acknowledged", driver.tally);
    }
    println!("{:?}", driver.tally);
}
