//! What becomes of a session that is too slow or holds too much, and how much it holds.

use std::time::Instant;

use super::super::patience::{Late, Phase};
use super::super::{Clock, Shared};
use super::{Incoming, Outgoing, Session};
use crate::app::App;
use crate::app::reply::Reply;
use crate::http::Refusal;
use crate::limits::{Limit, Limits, Reached};

/// Memory that a session holds, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Weight {
    /// Of a request on its way in.
    pub received: usize,
    /// Of an answer on its way out; pages of the store that it keeps alive are not counted.
    pub answered: usize,
}

impl Session {
    /// How much it holds now, and how much that was when this was asked last.
    pub(in crate::server) fn weigh(&mut self) -> (Weight, Weight) {
        let request = match &self.incoming {
            Incoming::Push(push) => push.held_bytes(),
            Incoming::Working(work) => work.held_bytes(),
            Incoming::Held(held) => held.held_bytes(),
            Incoming::Unproven(unproven) | Incoming::Proven(unproven) => unproven.held_bytes(),
            Incoming::Nothing => 0,
        };
        let body = match &self.body {
            Outgoing::Nothing => 0,
            Outgoing::Scrape(scrape) => scrape.held_bytes(),
            Outgoing::Converted(conversion) => conversion.held_bytes(),
            Outgoing::Json(json) => json.held_bytes(),
        };
        let weight = Weight {
            received: request + self.input.capacity() + self.http.stashed_bytes() + self.stream.received_bytes(),
            answered: body + self.output.capacity() + self.stream.unsent_bytes(),
        };
        (weight, std::mem::replace(&mut self.weight, weight))
    }

    /// The memory that it was counted with last.
    pub(in crate::server) fn weight(&self) -> Weight {
        self.weight
    }

    /// What it would give back of its request if that were given up, bytes.
    pub(in crate::server) fn received_bytes(&self) -> usize {
        // What waits for the disk is stored already.
        if self.awaits.is_some() { 0 } else { self.weight.received }
    }

    /// What it would give back of its answer if that were given up, bytes.
    pub(in crate::server) fn answered_bytes(&self) -> usize {
        self.weight.answered
    }

    /// When it began to do what it does.
    pub(in crate::server) fn since(&self) -> Instant {
        self.patience.since()
    }

    /// Since when its answer has been on its way out, if that keeps text of the store alive.
    pub(in crate::server) fn answering_since(&self) -> Option<Instant> {
        (!matches!(self.body, Outgoing::Nothing)).then(|| self.patience.since())
    }

    /// Since when nothing has been lost if the connection is given to another client.
    pub(in crate::server) fn dispensable_since(&self) -> Option<Instant> {
        matches!(self.patience.phase(), Phase::Greeting | Phase::Idle | Phase::Head).then(|| self.patience.since())
    }

    /// Whether the client is too slow, or a goodbye is over.
    pub(in crate::server) fn late(&mut self, now: Instant) -> Option<Late> {
        // What else is waited for has its own patience.
        if self.is_client_awaited() { self.patience.late(now) } else { None }
    }

    /// Tells the client that its request is given up for a limit, if it has begun one; whether there is something to be
    /// sent. If not, it is to be closed.
    pub(in crate::server) fn give_up(
        &mut self,
        limit: Limit,
        app: &mut App,
        shared: &mut Shared,
        clock: Clock,
    ) -> bool {
        let reached = app.limits().reached(limit);
        let is_told = match (self.patience.phase(), self.incoming.take()) {
            (Phase::Head | Phase::Body, Incoming::Push(push)) => {
                let reply = app.push_limited(push, reached, clock.now());
                self.answer(Reply { closes: true, ..reply }, app, shared);
                true
            }
            (Phase::Head | Phase::Body, Incoming::Working(work)) => {
                let reply = app.work_limited(work, reached, clock.now());
                self.answer(Reply { closes: true, ..reply }, app, shared);
                true
            }
            (Phase::Head | Phase::Body, Incoming::Held(held)) => {
                app.count_refusal(limit);
                let reply = app.held_failed(held, &reached);
                self.answer(Reply { status: limit.status(), closes: true, ..reply }, app, shared);
                true
            }
            (Phase::Head | Phase::Body, Incoming::Unproven(unproven) | Incoming::Proven(unproven)) => {
                app.release(&unproven);
                self.refuse(reached, app, shared);
                true
            }
            (Phase::Head, Incoming::Nothing) if !self.http.owes_response() => {
                self.refuse(reached, app, shared);
                true
            }
            (_, incoming) => {
                self.incoming = incoming;
                app.count_refusal(limit);
                false
            }
        };
        if is_told {
            // Now it is the answer that has to go out: nobody is given up twice.
            self.patience.enter(Phase::Response, shared.now, app.limits());
        }
        is_told
    }

    fn refuse(&mut self, reached: Reached, app: &mut App, shared: &mut Shared) {
        app.count_refusal(reached.limit);
        self.input = Vec::new();
        self.http.give_up();
        self.http.refuse(Refusal::Limited(reached), &shared.date, &mut self.output);
    }
}

/// What all sessions hold together, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct Load(Weight);

impl Load {
    /// Counts a session anew.
    pub(in crate::server) fn update(&mut self, (new, old): (Weight, Weight)) {
        self.0.received = self.0.received + new.received - old.received;
        self.0.answered = self.0.answered + new.answered - old.answered;
    }

    /// Whether answers hold more themselves than they keep alive of the store, which is `old` bytes.
    pub(in crate::server) fn is_answered_own(&self, old: usize) -> bool {
        self.0.answered >= old
    }

    /// By how much requests on their way in hold too much.
    pub(in crate::server) fn received_excess(&self, limits: &Limits) -> Option<usize> {
        excess(self.0.received, limits.most_bytes(Limit::ReceivedBytes))
    }

    /// The same of answers, which keep `old` bytes of replaced pages alive, beside a store of `stored` bytes.
    pub(in crate::server) fn answered_excess(&self, old: usize, stored: u64, limits: &Limits) -> Option<usize> {
        let twice = usize::try_from(stored.saturating_mul(2)).unwrap_or(usize::MAX);
        excess(self.0.answered + old, limits.most_bytes(Limit::AnsweredBytes).max(twice))
    }
}

/// What has to go so that this does not come up again at once.
fn excess(held: usize, most: usize) -> Option<usize> {
    (held > most).then(|| held - most / 4 * 3)
}
