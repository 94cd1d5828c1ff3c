//! The helper thread that compares passwords with hashes: one, so that no flood takes more than one processor.

#[cfg(test)]
pub mod inline;

use std::hint;
use std::sync::mpsc::{self, Receiver, SyncSender};
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

/// The thread's two ends. It ends when they are dropped.
pub(super) struct Worker {
    jobs: SyncSender<Job>,
    outcomes: Receiver<Outcome>,
}

impl Worker {
    /// Starts the thread; `None` if the system has none left.
    pub(super) fn start(wake: Box<dyn Fn() + Send>) -> Option<Self> {
        let (jobs, incoming) = mpsc::sync_channel::<Job>(COMPARISONS_QUEUED_MAX);
        let (outgoing, outcomes) = mpsc::channel();
        let run = move || {
            for job in incoming {
                if outgoing.send(job.run()).is_err() {
                    return;
                }
                wake();
            }
        };
        thread::Builder::new().name("bcrypt".to_owned()).spawn(run).ok()?;
        Some(Self { jobs, outcomes })
    }

    /// Whether there was room for it.
    pub(super) fn enqueue(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }
}
