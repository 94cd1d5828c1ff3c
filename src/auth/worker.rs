//! The helper thread that compares passwords with hashes: one, so that no flood takes more than one processor.

#[cfg(test)]
pub mod inline;

use std::collections::VecDeque;
use std::hint;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::digest::Digest;
use crate::config::hash::BcryptHash;
use crate::limits::COMPARISONS_QUEUED_MAX;

/// What bcrypt looks at of a password, the zero at its end included, bytes.
const PASSWORD_BYTES_MAX: usize = 72;

/// A comparison to be made.
pub(super) struct Job {
    pub(super) digest: Digest,
    cost: u32,
    salt: [u8; 16],
    expected: [u8; 23],
    /// Whether the hash is that of a user: if not, the comparison is made for nothing.
    can_match: bool,
    password: [u8; PASSWORD_BYTES_MAX],
    password_len: usize,
}

/// What came of a comparison.
pub(super) struct Outcome {
    pub(super) digest: Digest,
    pub(super) is_granted: bool,
}

impl Job {
    pub(super) fn new(digest: Digest, hash: &BcryptHash, can_match: bool, secret: &[u8]) -> Self {
        // Like everybody's bcrypt: a zero at the end, and nothing behind 72 bytes.
        let mut password = [0; PASSWORD_BYTES_MAX];
        let kept = secret.len().min(PASSWORD_BYTES_MAX);
        password[..kept].copy_from_slice(&secret[..kept]);
        let password_len = (kept + 1).min(PASSWORD_BYTES_MAX);
        Self { digest, cost: hash.cost, salt: hash.salt, expected: hash.digest, can_match, password, password_len }
    }

    fn run(&self) -> Outcome {
        let computed = bcrypt::bcrypt(self.cost, self.salt, &self.password[..self.password_len]);
        let difference = self.expected.iter().zip(&computed).fold(0, |difference, (a, b)| difference | (a ^ b));
        // All bytes are looked at, wherever the first difference is.
        let is_equal = hint::black_box(difference) == 0;
        Outcome { digest: self.digest, is_granted: is_equal & self.can_match }
    }
}

/// What waits between the loop and the thread. The channels of the standard library are made for more than that, and
/// some 15 kB of program.
#[derive(Default)]
struct Queues {
    waiting: Mutex<Waiting>,
    /// There is a job, or nobody wants any more.
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    outcomes: VecDeque<Outcome>,
    is_over: bool,
}

impl Queues {
    /// Held for a push or a pop only, so that the loop does not wait for a comparison.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, once there is one; `None` if nobody wants any more.
    fn next(&self) -> Option<Job> {
        let is_idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.is_over;
        let mut waiting = self.news.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.is_over { None } else { waiting.jobs.pop_front() }
    }
}

/// The loop's end of the thread, which ends when this is dropped.
pub(super) struct Worker(Arc<Queues>);

impl Worker {
    /// Starts the thread; `None` if the system has none left.
    pub(super) fn start(wake: Box<dyn Fn() + Send>) -> Option<Self> {
        let queues = Arc::<Queues>::default();
        let shared = Arc::clone(&queues);
        let run = move || {
            while let Some(job) = shared.next() {
                let outcome = job.run();
                shared.lock().outcomes.push_back(outcome);
                wake();
            }
        };
        thread::Builder::new().name("bcrypt".to_owned()).spawn(run).ok()?;
        Some(Self(queues))
    }

    /// Whether there was room for it.
    pub(super) fn enqueue(&self, job: Job) -> bool {
        let mut waiting = self.0.lock();
        let has_room = waiting.jobs.len() < COMPARISONS_QUEUED_MAX;
        if has_room {
            waiting.jobs.push_back(job);
            self.0.news.notify_one();
        }
        has_room
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.0.lock().outcomes.pop_front()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.news.notify_one();
    }
}
