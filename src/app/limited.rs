//! What is refused because of a limit, and what that does to readiness. A push that is refused for one changes nothing,
//! not even the failure time of its group: nothing is known of it that would be worth keeping, and a store without room
//! could not keep it. The counter tells.

use super::audit::Asker;
use super::push::{Origin, Push};
use super::reply::Reply;
use super::{Answer, App, Now, durable};
use crate::http::Request;
use crate::limits::{Limit, Limits, Reached};
use crate::log::Value;
use crate::telemetry::{Handler, Method};

impl App {
    /// The limits that hold.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Something was refused for a limit, or had to wait.
    pub fn count_refusal(&mut self, limit: Limit) {
        self.telemetry.count_refusal(limit);
    }

    /// Whether a push, whose labels are at hand, may be as it says it is.
    pub(super) fn check_request(&self, request: &Request<'_>) -> Result<(), Reached> {
        let limits = self.limits();
        limits.check([
            (Limit::BodyBytes, request.content_length.unwrap_or(0)),
            (Limit::SeriesLabels, self.labels.len() as u64),
        ])?;
        self.labels.iter().try_for_each(|(name, value)| {
            let lengths = [(Limit::LabelNameBytes, name), (Limit::LabelValueBytes, value)];
            limits.check(lengths.map(|(limit, text)| (limit, text.len() as u64)))
        })
    }

    /// A push is more than may be: its answer.
    pub(super) fn refuse_limited(&mut self, origin: Origin, reached: Reached, now: Now) -> Reply {
        self.count_refusal(reached.limit);
        let keys = [("logged_source", Value::Shown(&origin.peer)), ("err", Value::Shown(&reached))];
        self.log.warn("push refused for a limit", &keys);
        self.close_push(origin, Reply::error(reached.limit.status(), &reached), now)
    }

    /// A push turned out to be more than may be while its body was coming.
    pub fn push_limited(&mut self, push: Box<Push>, reached: Reached, now: Now) -> Reply {
        let Some(origin) = push.origin else { unreachable!("a push that was begun has an origin") };
        self.end_push(push);
        self.refuse_limited(origin, reached, now)
    }

    /// Whether both a push and a scrape would be answered well. Liveness is another question: the loop turns.
    pub(super) fn ready(&mut self, method: Method, now: Now) -> Answer {
        let full = || self.store.full().map(|reached| durable::unavailable(&reached));
        let fault = self.unavailable(Some(Handler::Ready)).or_else(full);
        if fault.is_some() || self.store.is_checked() {
            return Answer::Reply(self.readiness(fault, method));
        }
        self.answer_audited(Asker::Ready(method), now)
    }
}
