//! Connections that have to go: clients that are too slow, requests and answers that hold too much memory, and those that
//! can be done without when there are too many.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Instant;

use super::Server;
use super::patience::Late;
use super::session::Session;
use crate::http::{Connection, HttpDate, Refusal};
use crate::limits::{CROWD_PART, GIVEN_UP_PER_TURN_MAX, Limit, Reached, SWEEP_INTERVAL};
use crate::log::Value;
use crate::model::order;
use crate::net::Stream;

impl Server {
    /// Looks at all deadlines, once an interval. Few sessions are late at any time, and looking at one costs next to
    /// nothing, so there is no queue of deadlines to be kept. Those that are late go over several turns if they are many.
    pub(super) fn sweep(&mut self) {
        let now = self.shared.now;
        let is_over = self.shutdown_at.is_some_and(|at| now >= at);
        let late = |session: &mut Session| if is_over { Some(Late::Goodbye) } else { session.late(now) };
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
            self.accepting.fill(self.shutdown_at.is_none());
            self.has_unaccepted = false;
            self.late = self.sessions.iter_mut().filter_map(|(key, session)| late(session).map(|_| key)).collect();
            self.find_room();
        }
        for _ in 0..GIVEN_UP_PER_TURN_MAX {
            let Some(key) = self.late.pop() else { break };
            // It may have come to life meanwhile, or be somebody else.
            match self.sessions.get_mut(key).and_then(late) {
                Some(Late::Goodbye | Late::For(Limit::IdleTime)) => self.close(key),
                Some(Late::For(limit)) => self.give_up(key, limit),
                None => {}
            }
        }
        self.make_room();
        self.has_more_work |= !self.late.is_empty() || !self.dispensable.is_empty();
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

    /// Gives up what holds most while requests or answers hold too much memory.
    pub(super) fn shed(&mut self) {
        let limits = *self.app.limits();
        if let Some(excess) = self.load.received_excess(&limits) {
            for key in self.largest(excess, Session::received_bytes) {
                self.warn_of(key, Limit::ReceivedBytes);
                self.give_up(key, Limit::ReceivedBytes);
            }
            self.has_more_work |= self.load.received_excess(&limits).is_some();
        }
        let held = |server: &Self| {
            let store = server.app.store();
            let old = store.replaced_bytes();
            let excess = server.load.answered_excess(old, store.usage().bytes, &limits)?;
            Some((excess, server.load.is_answered_own(old)))
        };
        match held(self) {
            None => {}
            Some((excess, true)) => {
                for key in self.largest(excess, Session::answered_bytes) {
                    self.shed_answer(key);
                }
                self.has_more_work |= held(self).is_some();
            }
            Some((_, false)) => {
                // What a session keeps alive is shared with others, and only known when it is gone.
                let mut oldest = self.oldest(Session::answering_since);
                while let (Some(_), Some(key)) = (held(self), oldest.pop()) {
                    self.shed_answer(key);
                }
            }
        }
    }

    fn shed_answer(&mut self, key: usize) {
        self.warn_of(key, Limit::AnsweredBytes);
        self.app.count_refusal(Limit::AnsweredBytes);
        self.close(key);
    }

    /// Sessions that hold so much together, if a turn may give up as many: the largest ones, and of those that are about as
    /// large the oldest.
    fn largest(&self, excess: usize, bytes: fn(&Session) -> usize) -> Vec<usize> {
        // How much sessions hold by their size, of which there is one for each power of two.
        let size = |session: &Session| usize::BITS - bytes(session).leading_zeros();
        let mut held = [0; usize::BITS as usize + 1];
        for (_, session) in &self.sessions {
            held[size(session) as usize] += bytes(session);
        }
        let (mut least, mut sum) = (usize::BITS, held[usize::BITS as usize]);
        while sum < excess && least > 1 {
            least -= 1;
            sum += held[least as usize];
        }
        let mut found: Vec<_> = self.sessions.iter().filter(|(_, session)| size(session) >= least).collect();
        order::sort_by(&mut found, |(_, left), (_, right)| {
            size(right).cmp(&size(left)).then(left.since().cmp(&right.since()))
        });
        let mut left = excess;
        let found = found.into_iter().take_while(|(_, session)| {
            let is_needed = left > 0;
            left = left.saturating_sub(bytes(session));
            is_needed
        });
        found.map(|(key, _)| key).take(GIVEN_UP_PER_TURN_MAX).collect()
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

    /// When there are too many connections, finds those that have been without a request for the longest time, so that
    /// a flood of idle ones does not keep others out until they are late.
    fn find_room(&mut self) {
        self.dispensable.clear();
        if self.is_crowded {
            let oldest = self.oldest(Session::dispensable_since);
            let kept = oldest.len().saturating_sub(self.connections_max.div_ceil(CROWD_PART));
            self.dispensable.extend_from_slice(&oldest[kept..]);
        }
    }

    /// Closes some of those.
    fn make_room(&mut self) {
        for _ in 0..GIVEN_UP_PER_TURN_MAX {
            let Some(key) = self.dispensable.pop() else { break };
            if self.sessions.get(key).is_some_and(|session| session.dispensable_since().is_some()) {
                self.close(key);
            }
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
