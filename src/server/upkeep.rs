//! Connections that have to go: clients that are too slow, requests and answers that hold too much memory, and those that
//! can be done without when there are too many.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Instant;

use super::Server;
use super::patience::Late;
use super::session::Session;
use crate::http::{Connection, HttpDate, Refusal};
use crate::limits::{CROWD_PART, Limit, Reached, SWEEP_INTERVAL};
use crate::log::Value;
use crate::model::order;
use crate::net::Stream;

impl Server {
    /// Looks at all deadlines, once an interval. Few sessions are late at any time, and looking at one costs next to
    /// nothing, so there is no queue of deadlines to be kept.
    pub(super) fn sweep(&mut self) {
        let now = self.shared.now;
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        self.accepting.fill(self.shutdown_at.is_none());
        self.has_unaccepted = false;
        let is_over = self.shutdown_at.is_some_and(|at| now >= at);
        let late = |session: &mut Session| if is_over { Some(Late::Goodbye) } else { session.late(now) };
        let late: Vec<_> = self.sessions.iter_mut().filter_map(|(key, session)| Some((key, late(session)?))).collect();
        for (key, late) in late {
            match late {
                Late::Goodbye | Late::For(Limit::IdleTime) => self.close(key),
                Late::For(limit) => self.give_up(key, limit),
            }
        }
        self.make_room();
    }

    /// Gives up a session for a limit: with an answer if it owes one, else by closing it.
    fn give_up(&mut self, key: usize, limit: Limit) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.give_up(limit, &mut self.app, &mut self.shared, self.clock) {
            return self.close(key);
        }
        self.load.update(session.weigh());
        if let Some(level) = session.enqueue(self.shared.meter.now()) {
            self.ready.push(key, level);
        }
    }

    // ---- memory ----

    /// Gives up what has been under way longest while requests or answers hold too much memory.
    pub(super) fn shed(&mut self) {
        let limits = *self.app.limits();
        if let Some(excess) = self.load.received_excess(&limits) {
            self.shed_some(excess, Limit::ReceivedBytes, Session::receiving_since, |session| session.weight().received);
        }
        let held = |server: &Self| {
            let store = server.app.store();
            server.load.answered_excess(store.replaced_bytes(), store.usage().bytes, &limits)
        };
        if held(self).is_some() {
            // What a session keeps alive is shared with others, and only known when it is gone.
            let mut oldest = self.oldest(Session::answering_since);
            while let (Some(_), Some(key)) = (held(self), oldest.pop()) {
                self.warn_of(key, Limit::AnsweredBytes);
                self.app.count_refusal(Limit::AnsweredBytes);
                self.close(key);
            }
        }
    }

    fn shed_some(
        &mut self,
        mut excess: usize,
        limit: Limit,
        since: fn(&Session) -> Option<Instant>,
        weight: fn(&Session) -> usize,
    ) {
        let mut oldest = self.oldest(since);
        while let (1.., Some(key)) = (excess, oldest.pop()) {
            excess = excess.saturating_sub(weight(&self.sessions[key]));
            self.warn_of(key, limit);
            self.give_up(key, limit);
        }
    }

    /// The sessions that have been at something for a time, the longest last.
    fn oldest(&self, since: fn(&Session) -> Option<Instant>) -> Vec<usize> {
        let mut found: Vec<_> =
            self.sessions.iter().filter_map(|(key, session)| Some((since(session)?, key))).collect();
        order::sort_by(&mut found, |left, right| right.cmp(left));
        found.into_iter().map(|(_, key)| key).collect()
    }

    fn warn_of(&mut self, key: usize, limit: Limit) {
        let Some(session) = self.sessions.get(key) else { return };
        let reached = self.app.limits().reached(limit);
        let keys = [("logged_source", Value::Shown(&session.peer())), ("err", Value::Shown(&reached))];
        self.app.log.warn("connection given up for a limit", &keys);
    }

    // ---- crowds ----

    /// Notes whether connections have to wait, at the beginning of a time in which they do.
    pub(super) fn note_crowd(&mut self) {
        let is_crowded = self.sessions.len() >= self.connections_max && self.shutdown_at.is_none();
        if is_crowded && !self.is_crowded {
            self.app.count_refusal(Limit::Connections);
            let reached = Reached { limit: Limit::Connections, value: self.connections_max as u64 };
            self.app.log.warn("no more connections are accepted", &[("err", Value::Shown(&reached))]);
        }
        self.is_crowded = is_crowded;
    }

    /// When there are too many connections, closes those that have been without a request for the longest time, so that
    /// a flood of idle ones does not keep others out until they are late.
    fn make_room(&mut self) {
        if !self.is_crowded {
            return;
        }
        let mut oldest = self.oldest(Session::dispensable_since);
        for _ in 0..self.connections_max.div_ceil(CROWD_PART) {
            let Some(key) = oldest.pop() else { break };
            self.close(key);
        }
    }

    /// Tells a client that there are too many connections of its address. It may not get to see that: nobody stays for
    /// it to be read.
    pub(super) fn turn_away(&mut self, mut stream: Stream, peer: SocketAddr) {
        let reached = self.app.limits().reached(Limit::ConnectionsPerAddress);
        self.app.count_refusal(reached.limit);
        let keys = [("logged_source", Value::Shown(&peer)), ("err", Value::Shown(&reached))];
        self.app.log.warn("connection refused for a limit", &keys);
        // A TLS client would take it for garbage.
        if !self.is_secure() {
            stream.write(&[IoSlice::new(&refusal(reached, &self.shared.date))]);
            stream.shutdown_write();
        }
    }
}

/// The answer to a request that was not even read.
fn refusal(reached: Reached, date: &HttpDate) -> Vec<u8> {
    let mut out = Vec::new();
    let mut http = Connection::new();
    http.give_up();
    http.refuse(Refusal::Limited(reached), date, &mut out);
    out
}
