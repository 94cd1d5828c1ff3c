//! Keeping what is pushed: loading it at the start, noting changes, and answers that wait until changes are on the disk.

use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::grouping::encode;
use super::import::Importer;
use super::{Answer, App, Now, Origin, Reply};
use crate::exposition::protobuf;
use crate::limits::{LOADED_BYTES_PER_GROUP, LOADED_BYTES_PER_TURN_MAX};
use crate::log::Value;
use crate::model::name::Names;
use crate::model::quote::Plain;
use crate::persist::{self, Event, Journal, LoadedGroup, Settled, Sync, Ticket, gob, record};
use crate::store::{GroupId, GroupKey};
use crate::telemetry::{Handler, Method, Persistence};

/// An answer that is sent once a change is on the disk.
#[derive(Debug)]
pub struct Pending {
    /// When that is.
    pub ticket: Ticket,
    reply: Reply,
    request: Counted,
}

/// As what a request is counted once it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Push(Origin),
    Other(Handler, Method),
}

impl App {
    /// Keeps what is stored from now on. Nothing can be pushed or scraped before what was kept is loaded.
    pub fn keep(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Whether what was kept is still on its way in.
    pub fn is_loading(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_loading)
    }

    // ---- requests ----

    /// The answer to a request that cannot be served now, if it cannot.
    pub(super) fn unavailable(&self, handler: Option<Handler>) -> Option<Reply> {
        let journal = self.journal.as_ref()?;
        let reason = match handler {
            Some(Handler::Push | Handler::Delete | Handler::Wipe) => journal.refusal()?,
            Some(Handler::Ready) => journal.unreadiness()?,
            None | Some(Handler::ApiMetrics | Handler::ApiGroups) if journal.is_loading() => journal.refusal()?,
            _ => return None,
        };
        Some(unavailable(&reason))
    }

    /// Notes that a group has changed, or is gone; what its answer waits for.
    pub(super) fn mark(&mut self, key: &GroupKey) -> Option<Ticket> {
        let Self { store, journal, .. } = self;
        for key in store.restated() {
            if let Some(journal) = journal {
                journal.mark(&key);
            }
        }
        journal.as_mut()?.mark(key)
    }

    /// The change of a request was made: its answer, or when it is to be given.
    pub(super) fn answer_change(&mut self, ticket: Option<Ticket>, reply: Reply, request: Counted, now: Now) -> Answer {
        match ticket {
            Some(ticket) => Answer::Pending(Pending { ticket, reply, request }),
            None => Answer::Reply(self.count(reply, request, now)),
        }
    }

    /// What became of the change of a request is known: its answer.
    pub fn settle(&mut self, pending: Pending, outcome: &Result<(), Rc<str>>, now: Now) -> Reply {
        let reply = match outcome {
            // A refused push is refused, whether or not the time of that could be stored.
            Err(reason) if pending.reply.status < 300 => unavailable(reason),
            _ => pending.reply,
        };
        self.count(reply, pending.request, now)
    }

    fn count(&mut self, reply: Reply, request: Counted, now: Now) -> Reply {
        match request {
            Counted::Push(origin) => self.close_push(origin, reply, now),
            Counted::Other(handler, method) => {
                self.telemetry.count_request(handler, method, reply.status);
                reply
            }
        }
    }

    // ---- the disk ----

    /// Takes what the disk has done, within a turn's share; whether there is more of it.
    ///
    /// # Errors
    /// Why the process has to end: the file cannot be used.
    pub fn take_events(&mut self, now: Now) -> Result<bool, String> {
        let mut budget = LOADED_BYTES_PER_TURN_MAX;
        while budget > 0 {
            let Some(event) = self.journal.as_mut().and_then(|journal| journal.event(now.uptime, now.wall)) else {
                return Ok(false);
            };
            match event {
                Event::Refused(reason) => return Err(reason),
                Event::Loaded(group) => {
                    budget = budget.saturating_sub(group.body.len() + LOADED_BYTES_PER_GROUP);
                    self.restore(&group)?;
                }
                Event::Foreign(file) => self.import(&file)?,
                Event::Imported(kept) => self.log_import(&kept),
                Event::Ready { is_verified } => self.end_loading(is_verified)?,
                Event::Committed { seconds, is_recovery } => self.note_commit(seconds, is_recovery, now),
                Event::Failed(reason) => self.log.error("error persisting metrics", &[("err", Value::Str(&reason))]),
            }
        }
        Ok(true)
    }

    fn restore(&mut self, group: &LoadedGroup) -> Result<(), String> {
        let key = group.key.as_bytes();
        let mut stored = record::parse(key, &group.body, protobuf::native_series)
            .map_err(|error| self.bad_file(&persist::bad_record(key, error)))?;
        // Earlier versions took such help texts; no scraper would read the exposition with them.
        for family in &mut stored.families {
            if family.help.is_some_and(|help| str::from_utf8(help).is_err()) {
                (family.help, family.is_help_shown) = (None, false);
                let labels: Vec<_> = stored.key.labels().collect();
                let path = encode::path(labels.iter().map(|(name, value)| (&**name, &**value)), Names::Utf8);
                let (path, name) = (Plain(path.as_bytes()), Plain(family.name.as_bytes()));
                let keys = [("group", Value::Shown(&path)), ("family", Value::Shown(&name))];
                self.log.warn("help text left out, as it is not UTF-8", &keys);
            }
        }
        if self.store.restore(&stored) {
            return Ok(());
        }
        Err(self.bad_file(&persist::bad_record(key, record::RecordError::Damaged)))
    }

    /// Takes over the groups of a file of the original, all at once: it happens once in the life of a file.
    fn import(&mut self, file: &[u8]) -> Result<(), String> {
        let groups = gob::read(file).map_err(|error| self.bad_file(&error.to_string()))?;
        for error in Importer::default().import_all(&mut self.store, &groups) {
            self.log.warn("not taken over from the persistence file", &[("err", Value::Shown(&error))]);
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let mut from = GroupId::OWN;
        while let Some(group) = self.store.group_from(from) {
            journal.mark(group.key());
            from = GroupId(group.id().0 + 1);
        }
        Ok(())
    }

    fn log_import(&mut self, kept: &Path) {
        let groups = Value::Int(self.store.group_count() as i64);
        let keys = [("groups", groups), ("original_file", Value::Shown(&kept.display()))];
        self.log.info("persistence file of the original Pushgateway imported", &keys);
    }

    fn end_loading(&mut self, is_verified: bool) -> Result<(), String> {
        if !is_verified && self.store.is_checked() {
            let problems = self.store.audit();
            if !problems.is_empty() {
                let reason = format!(
                    "it holds metrics that were pushed unchecked and are inconsistent: {problems} (start with \
                     --push.disable-consistency-check to delete or replace their groups)"
                );
                return Err(self.bad_file(&reason));
            }
        }
        let groups = self.store.group_count() as i64;
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if !is_verified && self.store.is_checked() {
            journal.mark_verified();
        }
        let keys = [("file", Value::Shown(&journal.path().display())), ("groups", Value::Int(groups))];
        self.log.info("persisted metrics loaded", &keys);
        Ok(())
    }

    fn bad_file(&self, reason: &str) -> String {
        match &self.journal {
            Some(journal) => persist::refusal(journal.path(), reason),
            None => reason.to_owned(),
        }
    }

    fn note_commit(&mut self, seconds: f64, is_recovery: bool, now: Now) {
        self.telemetry.observe_commit(seconds, now.uptime);
        let Some(journal) = &self.journal else { return };
        let keys = [("file", Value::Shown(&journal.path().display()))];
        // Where every push waits for one there are too many of them.
        if is_recovery || journal.sync() != Sync::Always {
            self.log.info("metrics persisted", &keys);
        } else {
            self.log.debug("metrics persisted", &keys);
        }
    }

    // ---- the end ----

    /// Writes out everything now, as the process ends.
    pub fn flush(&mut self, now: Now) {
        if let Some(journal) = &mut self.journal {
            journal.flush(now.uptime);
        }
    }

    /// Whether everything is written that is to be kept; if it cannot be, why. `None` while it is not known.
    pub fn flushed(&self) -> Option<Result<(), Rc<str>>> {
        self.journal.as_ref().map_or(Some(Ok(())), Journal::flushed)
    }

    /// Lets go of the file, behind everything else.
    pub fn close_file(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.close();
        }
    }

    /// When there is something to do though no request comes.
    pub fn deadline(&self) -> Option<Duration> {
        self.journal.as_ref().and_then(Journal::deadline)
    }

    /// What became of changes that answers wait for, one at a time. It is told once: answers of long changes that nobody
    /// has asked for yet get to know it here.
    pub fn settled(&mut self, now: Now) -> Option<Settled> {
        let settled = self.journal.as_mut()?.settled()?;
        self.settle_changes(&settled, now);
        Some(settled)
    }
}

/// What the own metrics show of a journal.
pub(super) fn readings(journal: &Journal) -> Persistence {
    let persist::Readings { commits, failures, queue_length, last_commit, file_bytes } = journal.readings();
    Persistence { commits, failures, queue_length, last_commit, file_bytes }
}

pub(super) fn unavailable(reason: &dyn fmt::Display) -> Reply {
    Reply::error(503, &format_args!("not available now, try again: {reason}")).header("Retry-After", "1")
}
