//! What a simulation sees of a session beside its bytes.

use std::net::SocketAddr;

use super::super::sim::{Decided, Verdict};
use super::super::{Server, Shared};
use super::{Session, Step};

impl Shared {
    /// Takes down that a request was decided about, and how.
    pub(super) fn note_decided(&mut self, peer: SocketAddr, step: &Step) {
        let verdict = match step {
            Step::Answer(reply) => Verdict::Answered(reply.status),
            Step::Await(_) => Verdict::Waits,
            Step::Refuse(refusal) => Verdict::Refused(refusal.status()),
            Step::Nothing | Step::Receive(_) | Step::Prove(_) | Step::Work(_) => return,
        };
        self.decided.push(Decided { peer, verdict });
    }
}

impl Session {
    /// Memory that grows with what the client sends or does not read, bytes.
    fn buffered_bytes(&self) -> usize {
        self.input.capacity() + self.output.capacity() + self.http.stashed_bytes()
    }
}

impl Server {
    /// The most that any session holds, bytes.
    pub(in crate::server) fn most_buffered_bytes(&self) -> usize {
        self.sessions.iter().map(|(_, session)| session.buffered_bytes()).max().unwrap_or(0)
    }
}
