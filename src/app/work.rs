//! Requests that take more than one step to answer.
//!
//! What a client asks for may be any amount of work, and the loop must not be held up by it. So such a request becomes a
//! [`Work`]: the session keeps it and calls [`App::work`] for one bounded step at a time, as often as its share of a turn
//! allows, until there is an answer.

use super::audit::Auditing;
use super::push::Push;
use super::reply::Reply;
use super::{Answer, App, Now};
use crate::limits::Reached;

/// A request whose answer is being worked out.
#[derive(Debug)]
pub enum Work {
    /// A push whose body is complete.
    Push(Box<Push>),
    /// A scrape or a question for readiness that waits for an audit of what was pushed unchecked.
    Audit(Auditing),
}

impl Work {
    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Push(push) => push.held_bytes(),
            // What an audit holds is the store's.
            Self::Audit(_) => 0,
        }
    }
}

impl App {
    /// Does one step, of about a millisecond at most; [`Answer::Working`] if that was not the last one.
    pub fn work(&mut self, work: Work, now: Now) -> Answer {
        match work {
            Work::Push(push) => self.push_settle(push, now),
            Work::Audit(auditing) => self.audit(auditing, now),
        }
    }

    /// Gives up work that holds more memory than there is for requests: its answer.
    pub fn work_limited(&mut self, work: Work, reached: Reached, now: Now) -> Reply {
        match work {
            Work::Push(push) => self.push_limited(push, reached, now),
            Work::Audit(auditing) => self.audit_limited(&auditing, reached),
        }
    }

    /// Lets go of work whose client is gone.
    pub fn abandon(&mut self, work: Work) {
        match work {
            Work::Push(push) => self.end_push(push),
            Work::Audit(auditing) => self.leave_audit(&auditing),
        }
    }
}
