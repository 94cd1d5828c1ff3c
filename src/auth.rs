//! Who is let in: basic authentication against bcrypt hashes (SPEC 11.3, RFC 7617).
//!
//! A comparison takes a twentieth of a second on purpose, so it is made by a helper thread behind a bounded queue, and its
//! outcome is remembered. Knows no route and no answer.
//!
//! ```text
//! check:   header -> user, password -> digest of (user, stored hash, password) -> remembered? else queue -> Wait
//! helper:  job -> bcrypt -> outcome, wake
//! collect: outcomes -> remembered; whoever waited asks again
//! ```
//!
//! Nobody can tell whether a user exists: for a name that nobody has, a comparison is made as well, at the highest cost
//! in the file. Names are looked up by a keyed digest, so that no comparison ends early.

mod basic;
mod cache;
mod digest;
mod worker;
#[cfg(test)]
pub use worker::inline::Hand;

use std::collections::{HashMap, HashSet};

use crate::config::hash::BcryptHash;
use crate::config::web::User;
use crate::limits::{DENIALS_CACHED_MAX, GRANTS_CACHED_MAX};

use basic::Credentials;
use cache::Cache;
use digest::{Digest, Key};
use worker::{Job, Worker};

/// What is known about a request's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// They are right, or none are needed.
    Granted,
    /// There are none, or they are wrong.
    Denied,
    /// Too many comparisons wait already.
    Busy,
    /// They are being compared; ask again when this is done.
    Wait(Comparison),
}

/// A comparison on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison(Digest);

/// The users, and what is known about credentials.
pub struct Authenticator {
    key: Key,
    /// By the digest of the name.
    users: HashMap<Digest, BcryptHash>,
    /// What the password of a user that is not there is compared with.
    stranger: Option<BcryptHash>,
    granted: Cache,
    /// Apart, so that a flood of wrong passwords takes no place from a right one.
    denied: Cache,
    under_way: HashSet<Digest>,
    /// Started by the first comparison.
    worker: Option<Worker>,
    wake: Option<Box<dyn Fn() + Send>>,
    comparisons: u64,
}

impl Authenticator {
    /// Without users, so that everybody is let in. `wake` is called by the helper thread when an outcome is there.
    pub fn new(wake: Box<dyn Fn() + Send>) -> Self {
        Self {
            key: Key::new(),
            users: HashMap::new(),
            stranger: None,
            granted: Cache::new(GRANTS_CACHED_MAX),
            denied: Cache::new(DENIALS_CACHED_MAX),
            under_way: HashSet::new(),
            worker: None,
            wake: Some(wake),
            comparisons: 0,
        }
    }

    /// These users are let in from now on; everybody if there are none.
    pub fn set_users(&mut self, users: &[User]) {
        self.users = users.iter().map(|user| (self.key.of(&[user.name.as_bytes()]), user.hash.clone())).collect();
        let costliest = users.iter().map(|user| &user.hash).max_by_key(|hash| hash.cost);
        // Its digest counts for nothing; what counts is that it takes as long.
        self.stranger = costliest.cloned();
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// Looks at the value of an `Authorization` header.
    pub fn check(&mut self, authorization: Option<&[u8]>) -> Check {
        let Some(stranger) = &self.stranger else { return Check::Granted };
        let Some(credentials) = authorization.and_then(Credentials::parse) else { return Check::Denied };
        let user = self.users.get(&self.key.of(&[&credentials.user]));
        let hash = user.unwrap_or(stranger);
        // A stranger has no hash: what was remembered of a user must not count when that user is gone.
        let stored = user.map_or("", |hash| &hash.text);
        let digest = self.key.of(&[&credentials.user, stored.as_bytes(), &credentials.password]);
        if self.granted.has(digest) {
            return Check::Granted;
        }
        if self.denied.has(digest) {
            return Check::Denied;
        }
        let job = Job::new(digest, hash, user.is_some(), &credentials.password);
        self.enqueue(job)
    }

    fn enqueue(&mut self, job: Job) -> Check {
        let digest = job.digest;
        if self.under_way.contains(&digest) {
            return Check::Wait(Comparison(digest));
        }
        if self.worker.is_none() {
            self.worker = self.wake.take().and_then(Worker::start);
        }
        if !self.worker.as_ref().is_some_and(|worker| worker.enqueue(job)) {
            return Check::Busy;
        }
        self.comparisons += 1;
        self.under_way.insert(digest);
        Check::Wait(Comparison(digest))
    }

    /// Takes an outcome from the helper thread, if there is one: whoever waits for it may ask again.
    pub fn collect(&mut self) -> Option<Comparison> {
        let outcome = self.worker.as_ref()?.outcome()?;
        self.under_way.remove(&outcome.digest);
        let cache = if outcome.is_granted { &mut self.granted } else { &mut self.denied };
        cache.insert(outcome.digest);
        Some(Comparison(outcome.digest))
    }

    /// Has a simulation make the comparisons, in the place of the helper thread.
    #[cfg(test)]
    pub fn simulate(&mut self) -> worker::inline::Hand {
        let (worker, hand) = worker::inline::Hand::new();
        self.worker = Some(worker);
        hand
    }

    /// How many comparisons were asked for.
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }
}

impl std::fmt::Debug for Authenticator {
    /// Tells nothing about users and passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
