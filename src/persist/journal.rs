//! The loop's side of persistence: which groups have changed, when they are written, and who waits for it.
//!
//! ```text
//! changes -> dirty keys -> round: all keys that are dirty now -> batches of records -> helper -> settled up to a ticket
//! ```
//! A change only notes the key of its group. What is written is the group as it is when its turn comes, so that many
//! changes of a group while a commit runs cost one record, and all changes of a turn share one commit.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

// What is written comes in the order of hashes, which has to be the same every time in a simulation.
#[cfg(test)]
use foldhash::fast::FixedState as RandomState;
#[cfg(not(test))]
use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::batch::Batch;
use super::record::Encoder;
use super::report::{LoadedGroup, Report};
use super::worker::Worker;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_GROUPS_MAX, COMMIT_RETRY_INTERVAL, COMMIT_TIME_MAX, ENCODED_BYTES_PER_GROUP,
    ENCODED_BYTES_PER_TURN_MAX,
};
use crate::model::time::Timestamp;
use crate::store::{GroupKey, Store};

/// When changes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before they are answered.
    Always,
    /// This long after the start of the last write, or at once if that is past (SPEC 12.1).
    Interval(Duration),
}

/// The number of a change: what was answered with one is settled together with all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What became of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// They are those up to this ticket that were not settled before.
    pub up_to: Ticket,
    /// Whether they are on the disk; if not, why.
    pub outcome: Result<(), Rc<str>>,
}

/// What the application has to know.
#[derive(Debug)]
pub enum Event {
    /// The file cannot be used.
    Refused(String),
    /// A group to be put into the store.
    Loaded(LoadedGroup),
    /// The file of the original, whose groups are to be put into the store and marked.
    Foreign(Vec<u8>),
    /// The groups of the original's file are in the database; under which name it is kept.
    Imported(PathBuf),
    /// All groups were handed over. Tells whether they were checked when they were pushed.
    Ready {
        /// Whether all of them were.
        is_verified: bool,
    },
    /// A batch is on the disk.
    Committed {
        /// How long it took.
        seconds: f64,
        /// Whether the commit before it had failed.
        is_recovery: bool,
    },
    /// A commit failed for this reason.
    Failed(Rc<str>),
}

/// Figures for the own metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Groups whose last change is not on the disk.
    pub queue_length: u64,
    /// When a commit last succeeded; zero if none did.
    pub last_commit: Timestamp,
    /// The length of the file, bytes.
    pub file_bytes: u64,
}

/// What is being written: the keys that were dirty when it began.
#[derive(Debug)]
struct Round {
    keys: std::vec::IntoIter<GroupKey>,
    /// The key of the record under way.
    current: Option<(GroupKey, usize)>,
    up_to: Ticket,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Groups are on their way in.
    Loading,
    /// The groups of a file of the original are on their way into the database.
    Importing,
    /// Nothing is wrong.
    Running,
    /// The last commit failed.
    Failing { reason: Rc<str>, retry_at: Duration },
}

/// See the module.
#[derive(Debug)]
pub struct Journal {
    worker: Worker,
    path: PathBuf,
    sync: Sync,
    phase: Phase,
    loaded: std::vec::IntoIter<LoadedGroup>,
    dirty: HashSet<GroupKey, RandomState>,
    /// Everything was wiped before what is dirty now.
    is_wiped: bool,
    /// The store as a whole has passed the check, which the file does not know.
    is_verified: bool,
    issued: Ticket,
    settled_up_to: Ticket,
    settled: VecDeque<Settled>,
    round: Option<Round>,
    batch: Batch,
    encoder: Encoder,
    /// When the batch that the helper has was handed over.
    committing_since: Option<Duration>,
    /// That batch takes so long that nobody waits for it any more.
    is_stalled: bool,
    /// When the last round began.
    last_round: Duration,
    /// Everything is to be written now, as the process ends; commits that had failed when that began.
    flush: Option<u64>,
    readings: Readings,
}

impl Journal {
    /// A journal that loads what the helper finds.
    pub fn new(worker: Worker, path: PathBuf, sync: Sync) -> Self {
        Self {
            worker,
            path,
            sync,
            phase: Phase::Loading,
            loaded: Vec::new().into_iter(),
            dirty: HashSet::default(),
            is_wiped: false,
            is_verified: false,
            issued: Ticket(0),
            settled_up_to: Ticket(0),
            settled: VecDeque::new(),
            round: None,
            batch: Batch::default(),
            encoder: Encoder::default(),
            committing_since: None,
            is_stalled: false,
            last_round: Duration::ZERO,
            flush: None,
            readings: Readings::default(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When changes are written.
    pub fn sync(&self) -> Sync {
        self.sync
    }

    // ---- changes ----

    /// Why nothing may be changed now, if it may not.
    pub fn refusal(&self) -> Option<&str> {
        match &self.phase {
            Phase::Loading | Phase::Importing => Some("the stored groups are still being loaded"),
            _ if self.sync != Sync::Always => None,
            Phase::Failing { reason, .. } => Some(reason),
            Phase::Running => None,
        }
    }

    /// Why the server is not ready, if it is not.
    pub fn unreadiness(&self) -> Option<&str> {
        match &self.phase {
            Phase::Failing { reason, .. } => Some(reason),
            _ => self.refusal(),
        }
    }

    /// Whether stored groups are still on their way in.
    pub fn is_loading(&self) -> bool {
        matches!(self.phase, Phase::Loading | Phase::Importing)
    }

    /// Notes that a group has changed, or is gone. The answer has to wait for the ticket, if there is one.
    pub fn mark(&mut self, key: &GroupKey) -> Option<Ticket> {
        if !self.dirty.contains(key) {
            self.dirty.insert(key.clone());
        }
        self.issue()
    }

    /// Whether an answer waits for what a group holds now to be written.
    pub fn owes(&self, key: &GroupKey) -> bool {
        let is_due = |round: &Round| round.keys.as_slice().contains(key);
        self.sync == Sync::Always && (self.dirty.contains(key) || self.round.as_ref().is_some_and(is_due))
    }

    /// Whether the record of some group of very many families is being written, in steps: no such group may change, or go,
    /// meanwhile.
    pub fn is_reading_long(&self) -> bool {
        self.encoder.is_reading()
    }

    /// Whether it is this group.
    pub fn reads_long(&self, key: &GroupKey) -> bool {
        let current = self.round.as_ref().and_then(|round| round.current.as_ref());
        self.is_reading_long() && current.is_some_and(|(current, _)| current == key)
    }

    /// Notes that all groups are gone.
    pub fn mark_wipe(&mut self) -> Option<Ticket> {
        self.dirty.clear();
        self.is_wiped = true;
        self.issue()
    }

    /// A change that turned out to be none: its answer waits for those before it, which it tells of. They may have been
    /// given up on, and are written all the same.
    pub fn mark_nothing(&mut self) -> Option<Ticket> {
        let has_changes = self.has_changes();
        if self.settled_up_to == self.issued && (has_changes || self.round.is_some()) {
            self.issued.0 += 1;
            if let Some(round) = self.round.as_mut().filter(|_| !has_changes) {
                round.up_to = self.issued;
            }
        }
        (self.sync == Sync::Always && self.settled_up_to < self.issued).then_some(self.issued)
    }

    /// Notes that what is stored has passed the check as a whole.
    pub fn mark_verified(&mut self) {
        self.is_verified = true;
    }

    fn issue(&mut self) -> Option<Ticket> {
        self.issued.0 += 1;
        (self.sync == Sync::Always).then_some(self.issued)
    }

    // ---- what the helper tells ----

    /// The next thing that the application has to know, if there is one.
    pub fn event(&mut self, now: Duration, wall: Timestamp) -> Option<Event> {
        if let Some(reason) = self.overdue(now) {
            return Some(Event::Failed(reason));
        }
        loop {
            if let Some(group) = self.loaded.next() {
                return Some(Event::Loaded(group));
            }
            match self.worker.report()? {
                Report::Loaded(groups) => self.loaded = groups.into_iter(),
                Report::Refused(reason) => return Some(Event::Refused(reason)),
                Report::Foreign(file) => {
                    self.phase = Phase::Importing;
                    return Some(Event::Foreign(file));
                }
                Report::Replaced(kept) => {
                    self.phase = Phase::Running;
                    return Some(Event::Imported(kept));
                }
                Report::Ready { is_verified, file_bytes } => {
                    if self.phase == Phase::Loading {
                        self.phase = Phase::Running;
                    }
                    self.readings.file_bytes = file_bytes;
                    return Some(Event::Ready { is_verified });
                }
                Report::Committed { batch, seconds, file_bytes } => {
                    self.readings.file_bytes = file_bytes;
                    return Some(Event::Committed { seconds, is_recovery: self.committed(batch, wall) });
                }
                Report::Failed { reason, .. } if self.phase == Phase::Importing => {
                    let reason = format!("its groups cannot be stored anew: {reason}");
                    return Some(Event::Refused(super::refusal(&self.path, &reason)));
                }
                Report::Failed { batch, reason } => return Some(Event::Failed(self.failed(batch, reason, now))),
            }
        }
    }

    /// A batch is on the disk; whether the one before it was not.
    fn committed(&mut self, batch: Batch, wall: Timestamp) -> bool {
        self.take_back(batch);
        self.readings.commits += 1;
        self.readings.last_commit = wall;
        if let Some(round) = self.round.take_if(|round| round.is_over()) {
            self.settle(round.up_to, Ok(()));
        }
        if self.phase == Phase::Importing {
            if self.round.is_none() {
                self.worker.replace_foreign();
            }
            return false;
        }
        matches!(std::mem::replace(&mut self.phase, Phase::Running), Phase::Failing { .. })
    }

    fn failed(&mut self, mut batch: Batch, reason: String, now: Duration) -> Rc<str> {
        self.is_wiped |= batch.is_wipe;
        self.is_verified |= batch.is_verified;
        self.dirty.extend(batch.take_keys());
        self.take_back(batch);
        if let Some(round) = self.round.take() {
            self.dirty.extend(round.keys);
        }
        self.readings.failures += 1;
        self.fail(reason.into(), now)
    }

    fn take_back(&mut self, mut batch: Batch) {
        batch.clear();
        self.batch = batch;
        self.committing_since = None;
        self.is_stalled = false;
    }

    /// Gives up waiting for a commit that takes too long. It may still succeed.
    fn overdue(&mut self, now: Duration) -> Option<Rc<str>> {
        let since = self.committing_since.filter(|_| !self.is_stalled)?;
        if now < since + COMMIT_TIME_MAX {
            return None;
        }
        self.is_stalled = true;
        let reason = format!("a commit takes longer than {} seconds", COMMIT_TIME_MAX.as_secs());
        Some(self.fail(reason.into(), now))
    }

    /// Nothing that waits is going to be on the disk soon.
    fn fail(&mut self, reason: Rc<str>, now: Duration) -> Rc<str> {
        self.phase = Phase::Failing { reason: Rc::clone(&reason), retry_at: now + COMMIT_RETRY_INTERVAL };
        self.settle(self.issued, Err(Rc::clone(&reason)));
        reason
    }

    fn settle(&mut self, up_to: Ticket, outcome: Result<(), Rc<str>>) {
        if up_to > self.settled_up_to {
            self.settled_up_to = up_to;
            self.settled.push_back(Settled { up_to, outcome });
        }
    }

    /// What became of changes since the last call.
    pub fn settled(&mut self) -> Option<Settled> {
        self.settled.pop_front()
    }

    // ---- writing ----

    /// Encodes a bounded part of what is due, and hands it over once a batch is complete; whether there is more to do
    /// at once.
    pub fn advance(&mut self, store: &Store, now: Duration) -> bool {
        if self.committing_since.is_some() || (self.round.is_none() && !self.begin_round(now)) {
            return false;
        }
        let mut budget = ENCODED_BYTES_PER_TURN_MAX;
        while let Some(round) = &mut self.round {
            if budget == 0 {
                return true;
            }
            if let Some((key, start)) = round.current.take() {
                if !self.encoder.advance(store, &mut self.batch.records, &mut budget) {
                    round.current = Some((key, start));
                    return true;
                }
                self.batch.put(key, start);
            }
            let is_full = self.batch.records.len() >= BATCH_BYTES_MAX || self.batch.len() >= BATCH_GROUPS_MAX;
            let Some(key) = (if is_full { None } else { round.keys.next() }) else { break };
            budget = budget.saturating_sub(ENCODED_BYTES_PER_GROUP);
            if store.is_group_changing(&key) {
                // Nobody waits for it, and it will be marked once it is whole again.
                continue;
            }
            match store.group(&key) {
                Some(group) => {
                    round.current = Some((key, self.batch.records.len()));
                    self.encoder.begin(&group, &mut self.batch.records);
                }
                None => self.batch.remove(key),
            }
        }
        self.committing_since = Some(now);
        self.worker.commit(std::mem::take(&mut self.batch));
        false
    }

    /// Begins to write what is dirty, if it is time; whether it is.
    fn begin_round(&mut self, now: Duration) -> bool {
        if !self.has_changes() || self.due_at().is_none_or(|at| now < at) {
            return false;
        }
        self.batch.is_wipe = std::mem::take(&mut self.is_wiped);
        self.batch.is_verified = std::mem::take(&mut self.is_verified);
        let keys: Vec<_> = std::mem::take(&mut self.dirty).into_iter().collect();
        self.round = Some(Round { keys: keys.into_iter(), current: None, up_to: self.issued });
        self.last_round = now;
        true
    }

    fn has_changes(&self) -> bool {
        !self.dirty.is_empty() || self.is_wiped || self.is_verified
    }

    /// When what is dirty is to be written; `None` while nothing is.
    fn due_at(&self) -> Option<Duration> {
        match (&self.phase, self.sync) {
            (Phase::Loading, _) => None,
            (Phase::Importing, _) => Some(Duration::ZERO),
            (Phase::Failing { retry_at, .. }, _) => Some(*retry_at),
            (Phase::Running, Sync::Interval(interval)) if self.flush.is_none() => Some(self.last_round + interval),
            (Phase::Running, _) => Some(Duration::ZERO),
        }
    }

    /// When there is something to do though nothing happens: to be looked at again then.
    pub fn deadline(&self) -> Option<Duration> {
        match self.committing_since {
            Some(_) if self.is_stalled => None,
            Some(since) => Some(since + COMMIT_TIME_MAX),
            None => self.due_at().filter(|_| self.has_changes()),
        }
    }

    // ---- the end ----

    /// Everything is to be written now, as the process ends.
    pub fn flush(&mut self, now: Duration) {
        self.flush = Some(self.readings.failures);
        if let Phase::Failing { retry_at, .. } = &mut self.phase {
            *retry_at = now;
        }
    }

    /// Whether everything is written; if it cannot be, why. `None` while it is not known.
    pub fn flushed(&self) -> Option<Result<(), Rc<str>>> {
        match &self.phase {
            // Nothing was taken in that could be lost.
            Phase::Loading | Phase::Importing => Some(Ok(())),
            Phase::Failing { reason, .. }
                if self.is_stalled || self.flush.is_some_and(|at| at < self.readings.failures) =>
            {
                Some(Err(Rc::clone(reason)))
            }
            _ => {
                let is_done = self.round.is_none() && self.committing_since.is_none() && !self.has_changes();
                is_done.then_some(Ok(()))
            }
        }
    }

    /// Closes the file. Not to be called with a commit under way. While groups are on their way in nothing was changed,
    /// and the helper may wait for a disk that does not answer: it ends with the process.
    pub fn close(&mut self) {
        if !self.is_loading() {
            self.worker.finish();
        }
    }

    /// Figures for the own metrics.
    pub fn readings(&self) -> Readings {
        let queue = self.dirty.len() + self.batch.len() + self.round.as_ref().map_or(0, |round| round.keys.len());
        Readings { queue_length: queue as u64, ..self.readings }
    }
}

impl Round {
    fn is_over(&self) -> bool {
        self.current.is_none() && self.keys.as_slice().is_empty()
    }
}

#[cfg(test)]
mod tests;
