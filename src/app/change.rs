//! Changes that take the store more than one step: long pushes and deletions. The application makes them, one at a time
//! and step by step, whether or not the client that asked is still there; the client's session waits for the outcome.

use super::durable::Counted;
use super::push::{Origin, Push};
use super::reply::Reply;
use super::work::Work;
use super::{Answer, App, Now};
use crate::persist::{Settled, Ticket};
use crate::store::{GroupKey, Pushed, Refusal};
use crate::telemetry::{Handler, Method};

/// The outcome of a long change, to be waited for.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    number: u64,
    /// Memory that the change takes until it is over, bytes.
    bytes: usize,
}

/// Long changes: the one on its way, and the answers of those that are over.
#[derive(Debug, Default)]
pub(super) struct Changes {
    current: Option<Changing>,
    begun: u64,
    answers: Vec<(u64, Answer)>,
}

/// The long change on its way.
#[derive(Debug)]
struct Changing {
    number: u64,
    request: Request,
    /// Whether somebody waits for the outcome.
    is_awaited: bool,
}

#[derive(Debug)]
enum Request {
    Push(Box<Push>),
    Delete(GroupKey, Method),
    /// One of several groups that a request deletes: it is not answered for this one.
    Remove(GroupKey),
}

impl Changes {
    /// Takes note of a long change that was begun; its number.
    fn begin(&mut self, request: Request, is_awaited: bool) -> u64 {
        self.begun += 1;
        self.current = Some(Changing { number: self.begun, request, is_awaited });
        self.begun
    }
}

impl Outcome {
    /// Memory that the change takes until it is over, bytes.
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }
}

impl App {
    // ---- pushes ----

    /// Applies a push whose body is complete and sealed, or begins to.
    pub(super) fn apply_push(&mut self, mut push: Box<Push>, origin: Origin, now: Now) -> Answer {
        if self.store.must_wait(push.staged()) || self.is_read_long(push.key()) {
            return Answer::Working(Work::Push(push));
        }
        if !push.is_stepwise {
            if let Some(outcome) = self.store.try_push(push.staged(), origin.mode, now.wall) {
                return self.push_applied(push, origin, outcome, now);
            }
            push.is_stepwise = true;
        }
        if !self.may_begin_change(push.key()) {
            return Answer::Working(Work::Push(push));
        }
        let bytes = push.held_bytes();
        let staged = std::mem::take(push.staged());
        self.store.begin_push(staged, origin.mode, now.wall);
        self.begin_change(Request::Push(push), bytes)
    }

    /// A push was stored, or refused by the store: its answer.
    fn push_applied(&mut self, mut push: Box<Push>, origin: Origin, outcome: Result<(), Refusal>, now: Now) -> Answer {
        let is_group_there = !matches!(outcome, Err(Refusal::Twin(_) | Refusal::NoRoom(_)));
        let ticket = if is_group_there { self.mark(push.staged().key()) } else { None };
        self.end_push(push);
        let reply = match outcome {
            Err(Refusal::NoRoom(reached)) => return Answer::Reply(self.refuse_limited(origin, reached, now)),
            // Unchecked, timestamps are refused as well, but nobody is told (SPEC 5.5).
            _ if !self.store.is_checked() => Reply::empty(202),
            Ok(()) => Reply::empty(200),
            Err(refusal) => self.refuse_push(origin, &refusal),
        };
        self.answer_change(ticket, reply, Counted::Push(origin), now)
    }

    // ---- deletions ----

    /// Deletes a group if it is there, or begins to.
    pub(super) fn delete_key(&mut self, key: GroupKey, method: Method, now: Now) -> Answer {
        let is_long = self.store.is_long_to_delete(&key);
        if self.must_wait_for(&key) || (is_long && !self.may_begin_change(&key)) {
            return Answer::Working(Work::Delete(key, method));
        }
        if is_long && self.store.begin_delete(&key) {
            return self.begin_change(Request::Delete(key, method), 0);
        }
        let ticket = self.remove(&key);
        self.answer_deletion(ticket, method, now)
    }

    // ---- long changes ----

    /// Whether a group can be neither changed nor looked at as a whole: a long change of it is on its way, or what it holds
    /// is being written to the disk in steps.
    pub(super) fn must_wait_for(&self, key: &GroupKey) -> bool {
        self.store.is_group_changing(key) || self.is_read_long(key)
    }

    fn is_read_long(&self, key: &GroupKey) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.reads_long(key))
    }

    /// Whether a long change of a group may begin: there is no other, and what the group holds now is not still to be
    /// written to the disk, since between the steps there is no whole group to be written.
    pub(super) fn may_begin_change(&self, key: &GroupKey) -> bool {
        let is_unwritten = self.journal.as_ref().is_some_and(|journal| journal.owes(key));
        self.changes.current.is_none() && !is_unwritten
    }

    /// The deletion of a group was begun that is one of several: nobody waits for its outcome.
    pub(super) fn begin_removal(&mut self, key: GroupKey) {
        self.changes.begin(Request::Remove(key), false);
    }

    fn begin_change(&mut self, request: Request, bytes: usize) -> Answer {
        let number = self.changes.begin(request, true);
        Answer::Working(Work::Change(Outcome { number, bytes }))
    }

    /// Does one step of the long change on its way; whether there is one.
    pub(super) fn change_some(&mut self, now: Now) -> bool {
        let Some(done) = self.store.change_some() else { return self.store.is_changing() };
        let Some(Changing { number, request, is_awaited }) = self.changes.current.take() else { return false };
        let answer = match (request, done) {
            (Request::Push(mut push), Some(Pushed { staged, outcome })) => {
                *push.staged() = staged;
                let Some(origin) = push.origin else { unreachable!("a push that was begun has an origin") };
                self.push_applied(push, origin, outcome, now)
            }
            (Request::Delete(key, method), _) => {
                let ticket = self.mark(&key);
                self.answer_deletion(ticket, method, now)
            }
            (Request::Remove(key), _) => {
                self.mark(&key);
                return true;
            }
            (Request::Push(_), None) => unreachable!("the store gives back what was pushed"),
        };
        if is_awaited {
            self.changes.answers.push((number, answer));
        }
        true
    }

    /// The answer of a long change, if it is over.
    pub(super) fn outcome(&mut self, outcome: Outcome, now: Now) -> Answer {
        self.change_some(now);
        let answers = &mut self.changes.answers;
        match answers.iter().position(|(number, _)| *number == outcome.number) {
            Some(at) => answers.swap_remove(at).1,
            None => Answer::Working(Work::Change(outcome)),
        }
    }

    /// The disk is done with some changes. Those whose outcome was not asked for yet need not be waited for any more.
    pub(super) fn settle_changes(&mut self, settled: &Settled, now: Now) {
        let answers = std::mem::take(&mut self.changes.answers).into_iter();
        let answers = answers.map(|(number, answer)| match answer {
            Answer::Pending(pending) if pending.ticket <= settled.up_to => {
                (number, Answer::Reply(self.settle(pending, &settled.outcome, now)))
            }
            answer => (number, answer),
        });
        self.changes.answers = answers.collect();
    }

    /// Nobody waits for an outcome any more. The change is made all the same.
    pub(super) fn leave_change(&mut self, outcome: &Outcome) {
        self.changes.answers.retain(|(number, _)| *number != outcome.number);
        if let Some(current) = self.changes.current.as_mut().filter(|current| current.number == outcome.number) {
            current.is_awaited = false;
        }
    }

    fn answer_deletion(&mut self, ticket: Option<Ticket>, method: Method, now: Now) -> Answer {
        self.answer_change(ticket, Reply::empty(202), Counted::Other(Handler::Delete, method), now)
    }
}
