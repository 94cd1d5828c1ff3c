//! Scrapes and questions for readiness of a gateway that takes pushes unchecked: both are answered once it is known
//! whether what is stored is consistent (SPEC 5.5, 6.4). That is found out in steps, which all who ask share.

use super::reply::Reply;
use super::work::Work;
use super::{Answer, App, Now, ScrapeForm, durable};
use crate::limits::Reached;
use crate::store::{AuditTicket, Problems};
use crate::telemetry::{Handler, Method};

/// A request that waits for an audit.
#[derive(Debug)]
pub struct Auditing {
    asker: Asker,
    ticket: AuditTicket,
}

/// What it will be answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// The exposition in this form.
    Scrape(ScrapeForm),
    /// Whether the gateway is ready; the method is that of the request.
    Ready(Method),
}

impl App {
    /// Answers once what is stored was looked at; at once if nothing has changed since it was.
    pub(super) fn answer_audited(&mut self, asker: Asker, now: Now) -> Answer {
        let ticket = self.store.audit_ticket();
        self.audit(Auditing { asker, ticket }, now)
    }

    /// Does a step of an audit.
    pub(super) fn audit(&mut self, mut auditing: Auditing, now: Now) -> Answer {
        match self.store.audit_some(&mut auditing.ticket) {
            None => Answer::Working(Work::Audit(auditing)),
            Some(problems) => self.audited(auditing.asker, &problems, now),
        }
    }

    fn audited(&mut self, asker: Asker, problems: &Problems, now: Now) -> Answer {
        match asker {
            Asker::Scrape(form) if problems.is_empty() => self.answer_scrape(form, now),
            Asker::Scrape(_) => Answer::Reply(self.inconsistency(problems)),
            Asker::Ready(method) => {
                let why = &"scrapes fail, as what was pushed unchecked is inconsistent";
                let fault = (!problems.is_empty()).then(|| durable::unavailable(why));
                Answer::Reply(self.readiness(fault, method))
            }
        }
    }

    /// The answer to scrapes of an inconsistent store (SPEC 6.4).
    fn inconsistency(&mut self, problems: &Problems) -> Reply {
        self.log.error(&format!("error gathering metrics: {problems}"), &[]);
        self.telemetry.scrape_ended(500);
        Reply::error(500, &format_args!("An error has occurred while serving metrics:\n\n{problems}"))
    }

    /// Whether the gateway is ready, unless there is a fault: the answer.
    pub(super) fn readiness(&mut self, fault: Option<Reply>, method: Method) -> Reply {
        let reply = fault.unwrap_or_else(|| Reply::text(200, "OK"));
        self.telemetry.count_request(Handler::Ready, method, reply.status);
        reply
    }

    /// Gives up a request that waits for an audit: its answer.
    pub(super) fn audit_limited(&mut self, auditing: &Auditing, reached: Reached) -> Reply {
        self.count_refusal(reached.limit);
        self.leave_audit(auditing);
        durable::unavailable(&reached)
    }

    /// A request that waits for an audit is not answered.
    pub(super) fn leave_audit(&mut self, auditing: &Auditing) {
        match auditing.asker {
            Asker::Scrape(_) => self.telemetry.scrape_ended(503),
            Asker::Ready(method) => self.telemetry.count_request(Handler::Ready, method, 503),
        }
    }
}
