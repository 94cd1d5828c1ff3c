//! The helper without its thread: it makes the next comparison when a simulation says so.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::*;

/// The simulation's end.
pub struct Hand {
    queues: Arc<Queues>,
    job: Option<Job>,
}

/// Comparisons that were made once already: they take longest of all in a simulation, and come out the same.
static MADE: OnceLock<Mutex<HashMap<Made, bool>>> = OnceLock::new();

/// Salt, digest, password, and whether it is that of a user.
type Made = ([u8; 16], [u8; 23], [u8; PASSWORD_BYTES_MAX], bool);

impl Hand {
    pub(in crate::auth) fn new() -> (Worker, Self) {
        let queues = Arc::<Queues>::default();
        (Worker(Arc::clone(&queues)), Self { queues, job: None })
    }

    /// Whether there is something to compare.
    pub fn has_work(&mut self) -> bool {
        self.job = self.job.take().or_else(|| self.queues.lock().jobs.pop_front());
        self.job.is_some()
    }

    /// Makes the next comparison; the loop would be woken.
    pub fn work(&mut self) {
        self.has_work();
        let Some(job) = self.job.take() else { return };
        let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
        let key = (job.salt, job.expected, job.password, job.can_match);
        let is_granted = *made.entry(key).or_insert_with(|| job.run().is_granted);
        self.queues.lock().outcomes.push_back(Outcome { digest: job.digest, is_granted });
    }
}
