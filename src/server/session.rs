//! One connection: its stream, its HTTP state, the request at hand and the answer on its way.
//!
//! ```text
//! advance: flush what is to be sent -> act on the connection's disposition -> read -> receive events -> answer -> flush
//! ```
//! While an answer is being sent nothing is read: a client that does not read its answers is not listened to.

mod bounded;
mod events;
mod guarded;
#[cfg(test)]
mod observed;

use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::patience::{Patience, Phase};
use super::queue::{Charge, Level};
use super::scrape::Scrape;
use super::{Clock, Shared};
use crate::app::App;
use crate::app::conversion::Conversion;
use crate::app::durable::Pending;
use crate::app::gate::Unproven;
use crate::app::held::Held;
use crate::app::push::Push;
use crate::app::query::stream::JsonBody;
use crate::app::reply::{Reply, ReplyBody};
use crate::app::work::Work;
use crate::http::{Body, Connection, Disposition, Refusal, Response};
use crate::limits::{
    CODED_PIECE_BYTES, CONVERTED_BYTES_PER_STEP, DECODED_BYTES_PER_TURN_MAX, Limit, Limits, OUTPUT_KEPT_BYTES_MAX,
    READ_BYTES, READ_BYTES_PER_TURN_MAX, REQUESTS_PER_TURN_MAX, WRITE_BYTES_PER_TURN_MAX,
};
use crate::net::{Progress, Stream};
use crate::persist::Ticket;

use events::{step, take_event};

pub(super) use bounded::{Load, Weight};

/// What a session wants after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing until its stream is ready.
    Wait,
    /// Another turn: it has more to do and used up its share.
    Again,
    /// To be closed.
    Close,
}

/// One connection.
pub(super) struct Session {
    stream: Stream,
    peer: SocketAddr,
    http: Connection,
    is_queued: bool,
    /// The time that it used lately.
    charge: Charge,
    /// The peer sends no more.
    is_input_over: bool,
    /// No further request is taken behind the one at hand.
    is_last: bool,
    /// Input that came behind a request whose answer is still on its way, or that is too much for a turn once it is
    /// decompressed.
    input: Vec<u8>,
    /// HTTP has taken all input there is, and nothing follows from it without more or without an answer. Not so while it
    /// may have an event that needs no further input, such as the end of a body whose last byte has been taken.
    is_starved: bool,
    /// Bytes to be sent, from `sent` on; in front of `body`.
    output: Vec<u8>,
    sent: usize,
    /// What is sent behind `output`.
    body: Outgoing,
    /// The request whose body is being received.
    incoming: Incoming,
    /// The change that the answer to the request at hand waits for. Nothing is taken in meanwhile.
    awaits: Option<Ticket>,
    patience: Patience,
    /// What of the memory of all it was counted with.
    weight: Weight,
}

/// Who the body that is being received is for.
#[derive(Debug)]
enum Incoming {
    /// Nobody.
    Nothing,
    /// A request that is decided about when the first bytes of its body are there.
    Held(Box<Held>),
    /// A request that may not be let in. Nothing is taken in meanwhile.
    Unproven(Box<Unproven>),
    /// The same, once its credentials have been compared.
    Proven(Box<Unproven>),
    Push(Box<Push>),
    /// A complete request whose answer is worked out step by step. Nothing is taken in meanwhile.
    Working(Work),
}

/// The part of an answer that is made or sent piece by piece.
enum Outgoing {
    Nothing,
    Scrape(Scrape),
    Converted(Box<Conversion>),
    Json(Box<JsonBody>),
}

/// What is left of a session's share of a turn.
struct Share {
    read: usize,
    decoded: usize,
    written: usize,
    requests: usize,
    /// Input was taken that had been left over.
    has_taken_up: bool,
}

impl Share {
    const WHOLE: Self = Self {
        read: READ_BYTES_PER_TURN_MAX,
        decoded: DECODED_BYTES_PER_TURN_MAX,
        written: WRITE_BYTES_PER_TURN_MAX,
        requests: REQUESTS_PER_TURN_MAX,
        has_taken_up: false,
    };

    /// Whether something was done; how many bytes went over the connection.
    fn moved_bytes(&self) -> Option<u64> {
        let moved = (Self::WHOLE.read - self.read) + (Self::WHOLE.written - self.written);
        (moved > 0 || self.decoded < Self::WHOLE.decoded || self.has_taken_up).then_some(moved as u64)
    }

    /// Whether more may be taken in.
    fn has_room(&self) -> bool {
        self.decoded > 0 && self.requests > 0
    }
}

/// What came of sending.
enum Flushed {
    All,
    Blocked,
    /// The share of the turn is used up.
    Spent,
    Broken,
}

/// What came of looking for input.
enum Taken {
    Some,
    Blocked,
    Over,
}

/// What an event asks for, free of borrowed input.
enum Step {
    Nothing,
    Receive(Incoming),
    Prove(Box<Unproven>),
    Work(Work),
    Answer(Reply),
    Await(Pending),
    Refuse(Refusal),
}

impl Session {
    pub(super) fn new(stream: Stream, peer: SocketAddr, now: Instant, limits: &Limits) -> Self {
        Self {
            stream,
            peer,
            http: Connection::bounded(limits.most_bytes(Limit::HeadBytes)),
            is_queued: false,
            charge: Charge::default(),
            is_input_over: false,
            is_last: false,
            input: Vec::new(),
            is_starved: true,
            output: Vec::new(),
            sent: 0,
            body: Outgoing::Nothing,
            incoming: Incoming::Nothing,
            awaits: None,
            patience: Patience::new(now, limits),
            weight: Weight::default(),
        }
    }

    pub(super) fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    pub(super) fn note_ready(&mut self, readable: bool, writable: bool, ended: bool) {
        self.stream.has_end |= ended;
        self.stream.is_readable |= readable;
        self.stream.is_writable |= writable;
    }

    /// Marks it as queued; where its place is, unless it has one. It had nothing to do until `now`.
    pub(super) fn enqueue(&mut self, now: Duration) -> Option<Level> {
        if std::mem::replace(&mut self.is_queued, true) {
            return None;
        }
        self.charge.forgive(now);
        Some(self.charge.level())
    }

    pub(super) fn dequeue(&mut self) {
        self.is_queued = false;
    }

    /// It has worked for so long until `now`.
    pub(super) fn charge(&mut self, time: Duration, now: Duration) {
        self.charge.add(time, now);
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether nothing is lost if it is closed.
    pub(super) fn is_idle(&self) -> bool {
        self.http.is_idle() && self.input.is_empty() && self.is_flushed()
    }

    /// Takes no further request behind the one at hand.
    pub(super) fn finish_soon(&mut self) {
        self.is_last = true;
    }

    /// Ends it; what it borrowed from the application goes back.
    pub(super) fn close(mut self, app: &mut App) {
        match self.incoming.take() {
            Incoming::Push(push) => app.end_push(push),
            Incoming::Working(work) => app.abandon(work),
            Incoming::Unproven(unproven) | Incoming::Proven(unproven) => app.release(&unproven),
            Incoming::Held(_) | Incoming::Nothing => {}
        }
        self.end_body(app);
        self.stream.leave();
    }

    /// Does what can be done now, within a turn's share.
    pub(super) fn advance(&mut self, app: &mut App, shared: &mut Shared, clock: Clock) -> Next {
        // An idle session holds no output buffer: it works with the shared one and gives it back when all is sent.
        if self.output.capacity() == 0 {
            std::mem::swap(&mut self.output, &mut shared.output);
        }
        let was_handshaking = self.stream.is_handshaking();
        let mut share = Share::WHOLE;
        let next = self.turn(&mut share, app, shared, clock);
        if share.written < Share::WHOLE.written && self.patience.phase() == Phase::Head {
            // That head was answered: one that follows in the same turn has its own time.
            self.patience.enter(Phase::Response, shared.now, app.limits());
        }
        if let Some(bytes) = share.moved_bytes() {
            self.note_progress(bytes, shared.now, app.limits());
        } else if was_handshaking && !self.stream.is_handshaking() {
            self.note_progress(0, shared.now, app.limits());
        }
        if self.sent == self.output.len() {
            self.output.clear();
            self.output.shrink_to(OUTPUT_KEPT_BYTES_MAX);
            self.sent = 0;
            shared.output = std::mem::take(&mut self.output);
        }
        next
    }

    fn turn(&mut self, share: &mut Share, app: &mut App, shared: &mut Shared, clock: Clock) -> Next {
        loop {
            match self.flush(share, app, shared) {
                Flushed::All => {}
                Flushed::Blocked => return Next::Wait,
                Flushed::Spent => {
                    self.note_progress(0, shared.now, app.limits()); // It is not the client who is waited for.
                    return Next::Again;
                }
                Flushed::Broken => return Next::Close,
            }
            if self.awaits.is_some() || self.is_unproven() {
                return Next::Wait;
            }
            if self.go_on(app, shared, clock) {
                continue;
            }
            if self.work(app, shared, clock) {
                self.note_progress(0, shared.now, app.limits()); // Neither here.
                return Next::Again;
            }
            match self.http.disposition() {
                Disposition::Continue | Disposition::Drain => {}
                Disposition::LingerClose => self.linger(shared.now, app.limits()),
                Disposition::Close => return Next::Close,
            }
            if share.read == 0 || !share.has_room() || shared.meter.is_slice_over() {
                return Next::Again;
            }
            let is_handshaking = self.stream.is_handshaking() && self.stream.is_readable;
            if is_handshaking {
                if shared.handshakes_left == 0 {
                    return Next::Again;
                }
                shared.handshakes_left -= 1;
            }
            match self.take_input(share, app, shared, clock) {
                Taken::Some if is_handshaking => shared.meter.step(),
                Taken::Some => {}
                Taken::Blocked => return Next::Wait,
                Taken::Over => return Next::Close,
            }
        }
    }

    // ---- deadlines ----

    fn note_progress(&mut self, bytes: u64, now: Instant, limits: &Limits) {
        let phase = if self.patience.phase() == Phase::Linger {
            Phase::Linger
        } else if self.stream.is_handshaking() {
            Phase::Greeting
        } else if !self.is_flushed() {
            Phase::Response
        } else if self.http.is_idle() {
            Phase::Idle
        } else if !matches!(self.incoming, Incoming::Nothing) || self.http.disposition() == Disposition::Drain {
            Phase::Body
        } else {
            Phase::Head
        };
        self.patience.progress(phase, bytes, now, limits);
    }

    /// Sends no more, and discards what still comes for a while.
    fn linger(&mut self, now: Instant, limits: &Limits) {
        if self.patience.phase() != Phase::Linger {
            self.stream.shutdown_write();
            self.patience.enter(Phase::Linger, now, limits);
        }
    }

    // ---- input ----

    /// Takes input that was left over, and what follows from it without any, or reads some.
    fn take_input(&mut self, share: &mut Share, app: &mut App, shared: &mut Shared, clock: Clock) -> Taken {
        if !self.input.is_empty() || !self.is_starved {
            let mut input = std::mem::take(&mut self.input);
            let used = self.receive(&input, share, app, shared, clock);
            share.has_taken_up |= used > 0;
            if used < input.len() {
                input.drain(..used);
                self.input = input;
            }
            return Taken::Some;
        }
        if self.is_input_over {
            return self.end_input(share, app, shared, clock);
        }
        if !self.stream.is_readable {
            return Taken::Blocked;
        }
        let mut buffer = std::mem::take(&mut shared.input);
        let progress = self.stream.read(&mut buffer[..READ_BYTES]);
        if let Progress::Bytes(read) = progress {
            // Bytes of which none are for the request are work as well, and there may be more of them.
            share.read = if read == 0 { 0 } else { share.read.saturating_sub(read) };
            let used = self.receive(&buffer[..read], share, app, shared, clock);
            self.input.extend_from_slice(&buffer[used..read]);
        }
        shared.input = buffer;
        match progress {
            Progress::Bytes(_) => Taken::Some,
            Progress::Blocked => Taken::Blocked,
            Progress::Ended => {
                match self.stream.take_trouble() {
                    Some(trouble) => self.fail_handshake(&trouble, app),
                    None => self.is_input_over = true,
                }
                Taken::Some
            }
        }
    }

    /// Hands input to HTTP and its events to the application, until an answer has to be sent first; how much was
    /// used.
    fn receive(&mut self, input: &[u8], share: &mut Share, app: &mut App, shared: &mut Shared, clock: Clock) -> usize {
        let mut used = 0;
        // Whatever ends the loop early, the next turn goes on from here.
        self.is_starved = false;
        while self.may_receive() && share.has_room() && !shared.meter.is_slice_over() {
            let rest = &input[used..];
            let piece = &rest[..rest.len().min(self.incoming.piece_bytes_max())];
            let (consumed, event) = self.http.receive(piece);
            used += consumed;
            let Some(event) = event else {
                if consumed > 0 && used < input.len() {
                    continue;
                }
                self.is_starved = true;
                break;
            };
            let decoded = share.decoded;
            let step = take_event(event, &mut self.incoming, self.peer, share, app, clock);
            let is_decided = matches!(step, Step::Answer(_) | Step::Await(_));
            share.requests -= usize::from(is_decided);
            self.follow(step, app, shared);
            if is_decided && used < input.len() {
                shared.meter.step();
            } else {
                shared.meter.note(consumed + (decoded - share.decoded));
            }
        }
        used
    }

    /// Whether nothing has to come about first.
    fn may_receive(&self) -> bool {
        matches!(self.body, Outgoing::Nothing) && self.is_client_awaited()
    }

    /// Whether it is neither the disk that is waited for, nor a comparison of credentials, nor the gateway itself.
    fn is_client_awaited(&self) -> bool {
        self.awaits.is_none() && !self.is_unproven() && !self.is_working()
    }

    /// Does a step of the work on a request that is complete; whether there is one.
    fn work(&mut self, app: &mut App, shared: &mut Shared, clock: Clock) -> bool {
        let is_working = self.is_working();
        if is_working && let Incoming::Working(work) = self.incoming.take() {
            let step = step(app.work(work, clock.now()));
            self.follow(step, app, shared);
        }
        is_working
    }

    fn is_working(&self) -> bool {
        matches!(self.incoming, Incoming::Working(_))
    }

    /// The peer sends no more: what that means for a request at hand.
    fn end_input(&mut self, share: &mut Share, app: &mut App, shared: &mut Shared, clock: Clock) -> Taken {
        let Some(event) = self.http.receive_end() else { return Taken::Over };
        let step = take_event(event, &mut self.incoming, self.peer, share, app, clock);
        self.follow(step, app, shared);
        Taken::Some
    }

    fn follow(&mut self, step: Step, app: &mut App, shared: &mut Shared) {
        #[cfg(test)]
        shared.note_decided(self.peer, &step);
        match step {
            Step::Nothing => {}
            Step::Receive(incoming) => {
                self.http.accept_body(&mut self.output);
                self.incoming = incoming;
            }
            // Not a byte of its body is asked for.
            Step::Prove(unproven) => self.incoming = Incoming::Unproven(unproven),
            Step::Work(work) => self.incoming = Incoming::Working(work),
            Step::Answer(reply) => self.answer(reply, app, shared),
            Step::Await(pending) => {
                self.awaits = Some(pending.ticket);
                shared.pending = Some(pending);
            }
            Step::Refuse(refusal) => {
                if let Some(limit) = refusal.limit() {
                    app.count_refusal(limit);
                }
                self.http.refuse(refusal, &shared.date, &mut self.output);
            }
        }
    }

    // ---- output ----

    /// What the session waits for came about: its answer. Whether it was waiting for that.
    pub(super) fn resume(&mut self, ticket: Ticket, reply: Reply, app: &mut App, shared: &mut Shared) -> bool {
        let is_awaited = self.awaits == Some(ticket);
        if is_awaited {
            self.awaits = None;
            self.answer(reply, app, shared);
        }
        is_awaited
    }

    fn answer(&mut self, reply: Reply, app: &mut App, shared: &mut Shared) {
        if let Incoming::Push(push) = self.incoming.take() {
            app.end_push(push); // Answered before its body was complete.
        }
        if self.is_last || reply.closes {
            self.http.end_after_response();
        }
        let (body, outgoing) = match reply.body {
            ReplyBody::Empty => (Body::Empty, Outgoing::Nothing),
            ReplyBody::Bytes(ref bytes) => (Body::Bytes(bytes), Outgoing::Nothing),
            ReplyBody::Json(json) => (Body::Chunked, Outgoing::Json(json)),
            ReplyBody::Converted(conversion) => (Body::Chunked, Outgoing::Converted(conversion)),
            ReplyBody::Exposition(snapshot) => {
                let scrape = Scrape::identity(snapshot);
                (scrape.body(), Outgoing::Scrape(scrape))
            }
            ReplyBody::Compressed(snapshot) => {
                let scrape = Scrape::gzip(snapshot, app, &mut shared.deflate_bytes_left);
                (scrape.body(), Outgoing::Scrape(scrape))
            }
        };
        if matches!(outgoing, Outgoing::Json(_) | Outgoing::Converted(_)) {
            self.charge.raise();
            shared.meter.end_early();
        }
        let headers = guarded::headers(&reply.headers, reply.is_bare, app);
        let response = Response { status: reply.status, content_type: reply.content_type, headers: &headers, body };
        self.http.respond(&response, &shared.date, &mut self.output);
        drop(headers);
        self.body = outgoing;
        if !self.http.sends_body() {
            self.end_body(app);
        } else if let Outgoing::Scrape(scrape) = &mut self.body
            && scrape.is_to_be_made()
        {
            scrape.make(&self.http, app, &mut shared.deflate_bytes_left, &mut self.output);
        }
    }

    fn is_flushed(&self) -> bool {
        self.is_handed_over() && self.stream.is_flushed()
    }

    /// Whether the stream has all of the answer, if not the peer.
    fn is_handed_over(&self) -> bool {
        self.sent == self.output.len() && matches!(self.body, Outgoing::Nothing)
    }

    fn flush(&mut self, share: &mut Share, app: &mut App, shared: &mut Shared) -> Flushed {
        loop {
            self.fill_output(share, app, shared);
            if self.is_handed_over() {
                return self.flush_stream(share);
            }
            // An empty output with something left to make: this turn's compression is used up.
            let is_stalled =
                self.output.is_empty() && matches!(&self.body, Outgoing::Scrape(scrape) if scrape.is_to_be_made());
            // A short answer goes out with the step that made it.
            let is_short = matches!(self.body, Outgoing::Nothing) && self.output.len() <= OUTPUT_KEPT_BYTES_MAX;
            if share.written == 0 || is_stalled || (shared.meter.is_slice_over() && !is_short) {
                return Flushed::Spent;
            }
            if self.sent == self.output.len() && matches!(self.body, Outgoing::Converted(_) | Outgoing::Json(_)) {
                continue; // That step had nothing to send.
            }
            if !self.stream.is_writable {
                return Flushed::Blocked;
            }
            let output = &self.output[self.sent..];
            let progress = match &self.body {
                Outgoing::Scrape(scrape) => scrape.write_behind(output, &mut self.stream),
                _ => self.stream.write(&[IoSlice::new(output)]),
            };
            match progress {
                Progress::Bytes(written) => {
                    share.written = share.written.saturating_sub(written);
                    self.note_sent(written, app);
                    shared.meter.note(written);
                }
                Progress::Blocked => return Flushed::Blocked,
                Progress::Ended => return Flushed::Broken,
            }
        }
    }

    fn flush_stream(&mut self, share: &mut Share) -> Flushed {
        if self.stream.is_flushed() {
            return Flushed::All;
        }
        if !self.stream.is_writable {
            return Flushed::Blocked;
        }
        match self.stream.flush() {
            Progress::Bytes(sent) => {
                share.written = share.written.saturating_sub(sent);
                Flushed::All
            }
            Progress::Blocked => Flushed::Blocked,
            Progress::Ended => Flushed::Broken,
        }
    }

    /// Writes the next part of an answer that is made piece by piece, once the last one has been sent.
    fn fill_output(&mut self, share: &mut Share, app: &mut App, shared: &mut Shared) {
        if self.sent < self.output.len() || share.written == 0 || shared.meter.is_slice_over() {
            return;
        }
        self.output.clear();
        self.sent = 0;
        let mut piece = Vec::new();
        let has_more = match &mut self.body {
            Outgoing::Scrape(scrape) if scrape.is_to_be_made() => {
                if scrape.make(&self.http, app, &mut shared.deflate_bytes_left, &mut self.output) {
                    self.end_body(app);
                }
                shared.meter.step();
                return;
            }
            Outgoing::Scrape(_) | Outgoing::Nothing => return,
            Outgoing::Json(json) if json.waits(app.store()) => {
                share.written = 0;
                return;
            }
            Outgoing::Json(json) => json.write(app.store(), &mut piece),
            Outgoing::Converted(conversion) => {
                // Reading is work as well, and some of it writes nothing.
                share.written = share.written.saturating_sub(CONVERTED_BYTES_PER_STEP);
                conversion.write(&mut piece)
            }
        };
        shared.meter.step();
        self.http.write_chunk(&piece, &mut self.output);
        if !has_more {
            self.http.write_last_chunk(&mut self.output);
            self.end_body(app);
        }
    }

    fn note_sent(&mut self, written: usize, app: &mut App) {
        let from_output = written.min(self.output.len() - self.sent);
        self.sent += from_output;
        if let Outgoing::Scrape(scrape) = &mut self.body
            && scrape.note_sent(written - from_output)
        {
            self.end_body(app);
        }
    }

    fn end_body(&mut self, app: &mut App) {
        match std::mem::replace(&mut self.body, Outgoing::Nothing) {
            Outgoing::Scrape(scrape) => app.end_scrape(scrape.into_snapshot()),
            Outgoing::Converted(conversion) => app.end_scrape(conversion.into_snapshot()),
            Outgoing::Nothing | Outgoing::Json(_) => {}
        }
    }
}

impl Incoming {
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Nothing)
    }

    /// How much of a body is taken at once: little of one that may become a thousand times as much.
    fn piece_bytes_max(&self) -> usize {
        match self {
            Self::Push(push) if push.is_coded() => CODED_PIECE_BYTES,
            Self::Held(_) => CODED_PIECE_BYTES,
            Self::Push(_) | Self::Working(_) | Self::Unproven(_) | Self::Proven(_) | Self::Nothing => usize::MAX,
        }
    }
}
