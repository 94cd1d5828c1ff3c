//! Deleting what is stored: one group, those that a search finds, all of them. Each deletion is answered when the disk has it,
//! if there is one.

use super::durable::Counted;
use super::grouping::{self, GroupingError};
use super::query::removal::{Chosen, Removal};
use super::reply::Reply;
use super::route::GroupingPath;
use super::work::Work;
use super::{Answer, App, Now, json};
use crate::http::Request;
use crate::persist::{Journal, Ticket};
use crate::store::GroupKey;
use crate::telemetry::{Handler, Method};

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
        let (reply, ticket) = match self.unavailable(Some(Handler::Delete)) {
            Some(reply) => (reply, None),
            None => match Removal::parse(request.query().unwrap_or_default()) {
                Ok(removal) => self.remove_chosen(removal.choose(&self.store)),
                Err(error) => (Reply::error(400, &error), None),
            },
        };
        self.answer_change(ticket, reply, Counted::Other(Handler::ApiGroups, method), now)
    }

    fn remove_chosen(&mut self, chosen: Chosen) -> (Reply, Option<Ticket>) {
        match chosen {
            Chosen::Groups { keys, left } => {
                let ticket = keys.iter().fold(None, |_, key| self.remove(key));
                let deleted = keys.len();
                let body = format!("{{\"status\":\"success\",\"data\":{{\"deleted\":{deleted},\"left\":{left}}}}}");
                (json(body.into_bytes()).header("Cache-Control", "no-store"), ticket)
            }
            Chosen::Unexpected { matching } => {
                let text = format_args!("the search matches {matching} groups; nothing was deleted");
                (Reply::error(409, &text), None)
            }
        }
    }

    /// Deletes all groups.
    pub(super) fn wipe(&mut self, method: Method, now: Now) -> Answer {
        if self.store.is_changing() {
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
