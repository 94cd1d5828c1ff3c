//! Deleting what is stored: one group, those that a search finds, all of them. Each deletion is answered when the disk has it,
//! if there is one.

use std::vec;

use super::durable::Counted;
use super::grouping::{self, GroupingError};
use super::query::LINES_PER_STEP;
use super::query::removal::{Choosing, Removal};
use super::reply::Reply;
use super::route::GroupingPath;
use super::work::Work;
use super::{Answer, App, Now, json};
use crate::http::Request;
use crate::persist::{Journal, Ticket};
use crate::store::GroupKey;
use crate::telemetry::{Handler, Method};

/// Groups that are being deleted.
#[derive(Debug)]
pub struct Removing {
    removal: Removal,
    keys: vec::IntoIter<GroupKey>,
    /// The group that comes next, if that had to wait.
    open: Option<GroupKey>,
    /// How many groups the search found.
    matching: usize,
    deleted: usize,
}

impl Removing {
    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.keys.as_slice().iter().map(|key| size_of::<GroupKey>() + key.as_bytes().len()).sum()
    }
}

impl App {
    /// Deletes the group that a path names.
    pub(super) fn delete(&mut self, path: GroupingPath<'_>, method: Method, now: Now) -> Answer {
        let reply = match grouping::parse(&path, self.settings.names, &mut self.labels) {
            Ok(()) => match self.unavailable(Some(Handler::Delete)) {
                Some(reply) => reply,
                None => return self.delete_key(GroupKey::new(self.labels.iter()), method, now),
            },
            // Such a group cannot exist, so there is nothing to delete (SPEC 2.8).
            Err(GroupingError::NotUtf8 { .. }) => Reply::empty(202),
            Err(error) => {
                self.log_bad_path(&path, &error);
                Reply::error(400, &error)
            }
        };
        self.answer_change(None, reply, Counted::Other(Handler::Delete, method), now)
    }

    /// Deletes a group, if it is there; what the answer waits for.
    pub(super) fn remove(&mut self, key: &GroupKey) -> Option<Ticket> {
        if self.store.delete(key) { self.mark(key) } else { self.journal.as_mut()?.mark_nothing() }
    }

    /// Deletes groups that a search finds, each as if it had been named.
    pub(super) fn delete_found(&mut self, request: &Request<'_>, method: Method, now: Now) -> Answer {
        let reply = match self.unavailable(Some(Handler::Delete)) {
            Some(reply) => reply,
            None => match Removal::parse(request.query().unwrap_or_default()) {
                Ok(removal) => return self.choose(Box::new(Choosing::new(removal)), method, now),
                Err(error) => Reply::error(400, &error),
            },
        };
        self.answer_change(None, reply, Counted::Other(Handler::ApiGroups, method), now)
    }

    /// Goes on choosing groups that are to be deleted.
    pub(super) fn choose(&mut self, mut choosing: Box<Choosing>, method: Method, now: Now) -> Answer {
        if !choosing.go_on(&self.store, &mut { LINES_PER_STEP }) {
            return Answer::Working(Work::Choose(choosing, method));
        }
        match choosing.chosen() {
            Ok((removal, keys, matching)) => {
                let removing = Removing { removal, keys: keys.into_iter(), open: None, matching, deleted: 0 };
                Answer::Working(Work::Remove(Box::new(removing), method))
            }
            Err(matching) => {
                let text = format_args!("the search matches {matching} groups; nothing was deleted");
                let counted = Counted::Other(Handler::ApiGroups, method);
                self.answer_change(None, Reply::error(409, &text), counted, now)
            }
        }
    }

    /// Deletes the next of the groups that were chosen.
    pub(super) fn remove_some(&mut self, mut removing: Box<Removing>, method: Method, now: Now) -> Answer {
        let counted = Counted::Other(Handler::ApiGroups, method);
        // The disk may have failed since.
        if let Some(reply) = self.unavailable(Some(Handler::Delete)) {
            return self.answer_change(None, reply, counted, now);
        }
        let mut left = LINES_PER_STEP;
        while left > 0 {
            let Some(key) = removing.open.take().or_else(|| removing.keys.next()) else {
                let Removing { matching, deleted, .. } = *removing;
                let left = matching - deleted;
                let body = format!("{{\"status\":\"success\",\"data\":{{\"deleted\":{deleted},\"left\":{left}}}}}");
                let reply = json(body.into_bytes()).header("Cache-Control", "no-store");
                let ticket = self.journal.as_mut().and_then(Journal::mark_nothing);
                return self.answer_change(ticket, reply, counted, now);
            };
            if self.must_wait_for(&key) {
                self.change_some(now);
                removing.open = Some(key);
                break;
            }
            // One that was pushed to meanwhile may be none of those that are meant.
            let Some(group) = self.store.group(&key).filter(|group| removing.removal.still_finds(group)) else {
                continue;
            };
            left = left.saturating_sub(8 * group.holding_count());
            if !self.store.is_long_to_delete(&key) {
                self.remove(&key);
                removing.deleted += 1;
            } else if self.may_begin_change(&key) && self.store.begin_delete(&key) {
                self.begin_removal(key);
                removing.deleted += 1;
                break;
            } else {
                self.change_some(now);
                removing.open = Some(key);
                break;
            }
        }
        Answer::Working(Work::Remove(removing, method))
    }

    /// Deletes all groups.
    pub(super) fn wipe(&mut self, method: Method, now: Now) -> Answer {
        if self.store.is_changing() || self.journal.as_ref().is_some_and(Journal::is_reading_long) {
            return Answer::Working(Work::Wipe(method));
        }
        let (reply, ticket) = match self.unavailable(Some(Handler::Wipe)) {
            Some(reply) => (reply, None),
            None => {
                self.log.debug("start wiping metric store", &[]);
                self.store.wipe();
                (Reply::empty(202), self.journal.as_mut().and_then(Journal::mark_wipe))
            }
        };
        self.answer_change(ticket, reply, Counted::Other(Handler::Wipe, method), now)
    }
}
