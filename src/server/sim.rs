//! The whole server without sockets, disk and clock, under a script of clients that follows from a seed.
//!
//! The server, its sessions, HTTP, the application, the store and the journal are the real ones. What a run checks: each
//! answer belongs to its request and is what a plain model says; scrapes show the model; what was promised survives a
//! crash; nobody waits while the loop sleeps, or longer than is right; memory and work of a turn are bounded.
//!
//! `PUSHGATEWAY_SEED` names the first seed and `PUSHGATEWAY_SEEDS` how many there are (`make sim`).

mod answer;
mod cases;
mod client;
mod model;
mod request;
mod transcript;
mod world;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Control, Server};
use transcript::Transcript;
use world::World;

/// A request that was decided about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    /// Whose it is.
    pub peer: SocketAddr,
    /// What was decided.
    pub verdict: Verdict,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered with this status.
    Answered(u16),
    /// Its answer waits for the disk.
    Waits,
    /// It is none, which is answered with this status.
    Refused(u16),
}

/// Lines of a transcript that are kept of a seed that is replayed.
const LINES_MAX: usize = 1000;

/// Seeds of one run of the tests.
const SEEDS: u64 = 1000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays one seed; the number of its transcript, and how many turns it took.
///
/// # Errors
/// What went wrong, and what happened in front of it.
fn play(seed: u64) -> Result<(u64, u64), String> {
    // A seed that is played alone is looked at closely.
    let is_replay = number("PUSHGATEWAY_SEEDS") == Some(1);
    let transcript = Transcript::new(if is_replay { LINES_MAX } else { LINES_MAX / 20 });
    let played = catch_unwind(AssertUnwindSafe(|| World::new(seed, transcript.clone()).play()));
    match played {
        Ok(turns) => Ok((transcript.digest(), turns)),
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned())).unwrap_or_default();
            Err(format!("{}{why}\nreplay: PUSHGATEWAY_SEED={seed} make sim", transcript.end()))
        }
    }
}

/// Plays every other seed, so that two tests share them.
fn play_some(first: u64) {
    let (base, count) = (number("PUSHGATEWAY_SEED").unwrap_or(0), number("PUSHGATEWAY_SEEDS").unwrap_or(SEEDS));
    let mut total = 0;
    for seed in (base + first..base + count).step_by(2) {
        match play(seed) {
            Ok((_, turns)) => total += turns,
            Err(why) => panic!("seed {seed}:\n{why}"),
        }
    }
    println!("{} seeds from {base} on, {total} turns of the loop", count.saturating_sub(first).div_ceil(2));
}

#[test]
fn even_seeds() {
    play_some(0);
}

#[test]
fn odd_seeds() {
    play_some(1);
}

/// The same seed gives the same run, or a seed that fails could not be replayed.
#[test]
fn a_seed_is_a_run() {
    for seed in 0..40 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
    assert_ne!(play(0).map(|(digest, _)| digest), play(1).map(|(digest, _)| digest));
}
