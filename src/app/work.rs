//! Requests that take more than one step to answer.
//!
//! What a client asks for may be any amount of work, and the loop must not be held up by it. So such a request becomes a
//! [`Work`]: the session keeps it and calls [`App::work`] for one bounded step at a time, as often as its share of a turn
//! allows, until there is an answer.

use super::audit::Auditing;
use super::change::Outcome;
use super::deletion::Removing;
use super::push::Push;
use super::query::groups::Selecting;
use super::query::removal::Choosing;
use super::reading::Showing;
use super::reply::Reply;
use super::{Answer, App, Now, ScrapeForm, durable};
use crate::limits::Reached;
use crate::store::GroupKey;
use crate::telemetry::{Handler, Method};

/// A request whose answer is being worked out.
#[derive(Debug)]
pub enum Work {
    /// A push whose body is complete.
    Push(Box<Push>),
    /// A scrape or a question for readiness that waits for an audit of what was pushed unchecked.
    Audit(Auditing),
    /// A push or deletion that the store makes step by step.
    Change(Outcome),
    /// A deletion that waits for a long change.
    Delete(GroupKey, Method),
    /// A wipe that waits for a long change.
    Wipe(Method),
    /// A scrape that waits for a long change.
    Scrape(ScrapeForm),
    /// A page of groups that is being chosen.
    Select(Box<Selecting>, Method),
    /// A question for one group that waits for a long change of it.
    Show(Box<Showing>, Method),
    /// Groups to be deleted that are being chosen.
    Choose(Box<Choosing>, Method),
    /// Groups that are being deleted.
    Remove(Box<Removing>, Method),
}

impl Work {
    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Push(push) => push.held_bytes(),
            // What an audit holds is the store's.
            Self::Audit(_) | Self::Wipe(_) | Self::Scrape(_) => 0,
            Self::Change(outcome) => outcome.held_bytes(),
            Self::Delete(key, _) => key.as_bytes().len(),
            Self::Select(selecting, _) => selecting.held_bytes(),
            Self::Show(showing, _) => showing.held_bytes(),
            Self::Choose(choosing, _) => choosing.held_bytes(),
            Self::Remove(removing, _) => removing.held_bytes(),
        }
    }
}

impl App {
    /// Does one step, of about a millisecond at most; [`Answer::Working`] if that was not the last one.
    pub fn work(&mut self, work: Work, now: Now) -> Answer {
        match work {
            Work::Push(push) => self.push_settle(push, now),
            Work::Audit(auditing) => self.audit(auditing, now),
            Work::Change(outcome) => self.outcome(outcome, now),
            Work::Delete(key, method) => self.delete_key(key, method, now),
            Work::Wipe(method) => self.wipe(method, now),
            Work::Scrape(form) => self.answer_scrape(form, now),
            Work::Select(selecting, method) => self.select(selecting, method),
            Work::Show(showing, method) => self.show_group(showing, method),
            Work::Choose(choosing, method) => self.choose(choosing, method, now),
            Work::Remove(removing, method) => self.remove_some(removing, method, now),
        }
    }

    /// Gives up work that holds more memory than there is for requests: its answer.
    pub fn work_limited(&mut self, work: Work, reached: Reached, now: Now) -> Reply {
        match work {
            Work::Push(push) => self.push_limited(push, reached, now),
            Work::Audit(auditing) => self.audit_limited(&auditing, reached),
            work => {
                self.count_refusal(reached.limit);
                self.abandon(work);
                durable::unavailable(&reached)
            }
        }
    }

    /// Lets go of work whose client is gone.
    pub fn abandon(&mut self, work: Work) {
        match work {
            Work::Push(push) => self.end_push(push),
            Work::Audit(auditing) => self.leave_audit(&auditing),
            Work::Change(outcome) => self.leave_change(&outcome),
            Work::Delete(_, method) => self.telemetry.count_request(Handler::Delete, method, 503),
            Work::Wipe(method) => self.telemetry.count_request(Handler::Wipe, method, 503),
            Work::Scrape(_) => self.telemetry.scrape_ended(503),
            Work::Select(_, method) | Work::Show(_, method) | Work::Choose(_, method) | Work::Remove(_, method) => {
                self.telemetry.count_request(Handler::ApiGroups, method, 503);
            }
        }
    }
}
