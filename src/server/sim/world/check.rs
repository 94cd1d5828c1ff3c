//! What has to hold: behind each turn, whenever the loop sleeps, and whenever time has passed.

use std::time::Duration;

use super::{Circumstances, Client, View, World};
use crate::limits::{
    HEAD_BYTES_MAX, READ_BYTES, READ_BYTES_PER_TURN_MAX, SWEEP_INTERVAL, TURN_TIME_MAX, WRITE_BYTES_PER_TURN_MAX,
};
use crate::persist::Sync;

/// Silence that is put up with inside a request or an answer.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Silence that is put up with between requests.
const IDLE_MAX: Duration = Duration::from_secs(15 * 60);

/// Time for which a gateway discards input that comes behind its last answer.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// Time in which a gateway ends that was asked to: what requests have to finish, the commit that is under way then, and a
/// last one.
const END_MAX: Duration = Duration::from_secs(10 + 10 + 10);

/// What one session may hold, bytes: a head, or what was read at once and what is to be sent.
const SESSION_BYTES_MAX: usize = HEAD_BYTES_MAX + 4 * READ_BYTES;

/// Steps that a turn may make when its time is over: of each level one session makes one, sends a short answer, and is
/// done; what is there beside sessions makes one for each kind.
const LAST_STEPS_MAX: u64 = 3 * 4 + 4;

impl World {
    /// Work and memory of a turn are bounded, and a gateway that was asked to ends.
    pub(super) fn check_turn(&mut self, bytes: usize, steps: u64) {
        let step_time = self.weather.pace.step_time.as_nanos().max(1);
        let most = u64::try_from(TURN_TIME_MAX.as_nanos().div_ceil(step_time)).unwrap_or(u64::MAX);
        assert!(steps <= most + LAST_STEPS_MAX, "{steps} steps in a turn that has time for {most}");
        assert!(bytes <= SESSION_BYTES_MAX, "a session holds {bytes} bytes");
        for client in &mut self.clients {
            let line = self.network.line(client.line);
            let [read, written] = line.turn;
            assert!(read <= READ_BYTES_PER_TURN_MAX + READ_BYTES, "{read} bytes of one client in one turn");
            assert!(written <= 2 * WRITE_BYTES_PER_TURN_MAX, "{written} bytes to one client in one turn");
            let silence = client.heard_at.map_or(Duration::ZERO, |at| self.now - at);
            let head = client.head_since.map_or(Duration::ZERO, |(_, since)| self.now - since);
            client.slowest = client.slowest.max(silence).max(head);
            if read > 0 || client.heard_at.is_none() {
                client.heard_at = Some(self.now);
            }
            let number = client.decisions.len();
            // Nobody is listened to who does not read, or whose change is being written.
            let is_heard = !line.wants_room && !client.waits(&line.outbound);
            let is_in_head = is_heard && client.is_in_head(line.delivered - line.unread());
            if !line.is_closed && !is_in_head {
                client.head_since = None;
            } else if !line.is_closed && client.head_since.is_none_or(|(other, _)| other != number) {
                client.head_since = Some((number, self.now));
            }
        }
        if let Some(since) = self.ending {
            let time = self.now - since;
            assert!(time <= END_MAX + 2 * SWEEP_INTERVAL, "it does not end: {time:?}");
        }
    }

    /// Whatever could have been done has been.
    pub(super) fn check_asleep(&mut self) {
        let is_waited_for = self.is_disk_busy() || self.is_comparing();
        if self.is_ended {
            return;
        }
        if self.network.has_backlog() {
            let is_soon = self.wakes_at.is_some_and(|at| at <= self.now + SWEEP_INTERVAL);
            assert!(self.ending.is_some() || is_soon, "connections wait, and nobody will look");
        }
        if self.view == View::Failing && !self.is_disk_busy() && !self.is_stalled {
            // What could not be written is to be tried again.
            assert!(self.wakes_at.is_some(), "a disk that has failed is not tried again");
        }
        if is_waited_for {
            return;
        }
        for client in self.clients.iter().filter(|client| !client.is_over) {
            self.check_served(client);
        }
    }

    /// The loop sleeps, and waits for no helper: this client has all that is due to it, unless it does not read.
    fn check_served(&self, client: &Client) {
        let line = self.network.line(client.line);
        if !line.is_accepted || line.is_closed || line.wants_room {
            return;
        }
        assert!(line.unread() == 0, "line {}: the loop sleeps and has not read everything", client.line);
        assert!(!line.is_input_over(), "line {}: the loop sleeps and has not seen the end", client.line);
        let delivered = client.delivered_requests(line.delivered);
        let decided = client.decisions.len();
        let is_closing = client.is_to_be_ended() || line.is_ending();
        assert!(decided >= delivered || is_closing, "line {}: {decided} of {delivered} decided", client.line);
        drop(line);
        let sent = self.answers_sent(client);
        assert!(sent == decided, "line {}: the loop sleeps, {sent} answers to {decided} requests", client.line);
    }

    /// How many answers a client has or could read.
    fn answers_sent(&self, client: &Client) -> usize {
        let line = self.network.line(client.line);
        let unread: Vec<u8> = line.outbound.iter().copied().collect();
        client.answers_with(&unread, line.is_ending())
    }

    /// Nobody is waited for longer than is right.
    pub(super) fn check_deadlines(&mut self) {
        let is_waited_for = self.is_disk_busy() || self.is_comparing();
        if self.is_ended || self.is_awake() {
            return;
        }
        for client in &self.clients {
            let line = self.network.line(client.line);
            if !line.is_accepted || line.is_closed {
                continue;
            }
            // Nobody has to send while passwords are compared.
            let silence = self.now.saturating_sub(line.moved_at.max(self.compared_at));
            let is_idle = client.is_idle(line.delivered) && !line.wants_room;
            let patience = match (line.is_ending(), is_idle) {
                (true, _) => LINGER_MAX,
                (false, true) => IDLE_MAX,
                // Who is given up has some time to read that he is.
                (false, false) if line.wants_room => 2 * PAUSE_MAX + SWEEP_INTERVAL,
                (false, false) => PAUSE_MAX,
            };
            let is_late = silence > patience + 2 * SWEEP_INTERVAL;
            assert!(!is_late || is_waited_for, "line {}: still there behind {silence:?} of silence", client.line);
            // One that was given up is told so, and has the time of a goodbye.
            let since = client.head_since.filter(|_| !line.is_ending());
            let time = since.map_or(Duration::ZERO, |(_, since)| self.now - since);
            assert!(time <= PAUSE_MAX + 2 * SWEEP_INTERVAL, "line {}: half a head for {time:?}", client.line);
        }
    }

    /// Has a client take the answers that it has read, and the end behind them.
    pub(super) fn take_answers(&mut self, at: usize) {
        let circumstances = self.circumstances(at);
        let client = &mut self.clients[at];
        let end = self.network.end(client.line);
        loop {
            let next = client.next_answer(end.is_some());
            let Some((number, mut answer)) = next.unwrap_or_else(|why| panic!("{why}")) else { break };
            self.transcript.note(|| format!("{} has answer {number}: {}", client.line, answer.status));
            answer.may_be_cut &= circumstances.is_ending || circumstances.is_late;
            let promised = client.check(number, &answer, self.trouble).unwrap_or_else(|why| panic!("{why}"));
            if self.view != View::None && self.weather.sync == Sync::Always {
                self.model.promised = self.model.promised.max(promised);
            }
        }
        if std::mem::take(&mut client.is_given_up) {
            assert!(client.slowest >= PAUSE_MAX, "line {}: given up behind {:?}", client.line, client.slowest);
        }
        if let Some(end) = end {
            client.end(end, circumstances).unwrap_or_else(|why| panic!("{why}"));
        }
    }

    fn circumstances(&self, at: usize) -> Circumstances {
        let client = &self.clients[at];
        let line = self.network.line(client.line);
        let is_ending = self.ending.is_some() || self.is_ended;
        let Some(closed_at) = line.closed_at else { return Circumstances { is_ending, is_late: false } };
        let silence = closed_at.saturating_sub(line.moved_at);
        let head = client.head_since.map_or(Duration::ZERO, |(_, since)| closed_at.saturating_sub(since));
        let linger = line.shut_at.map_or(Duration::ZERO, |since| closed_at.saturating_sub(since));
        let is_late = silence.max(head) >= PAUSE_MAX || linger >= LINGER_MAX;
        Circumstances { is_ending, is_late }
    }
}
