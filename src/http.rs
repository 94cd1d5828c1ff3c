//! The server's side of an HTTP/1.1 or 1.0 connection, sans IO: bytes in, events out; responses into a buffer.
//!
//! Owns the connection's state: heads, body framing, interim answers, and what becomes of the connection behind a
//! response (SPEC 1.6, RFC 9112). Reads no socket and no clock, knows no route. Content codings are [`coding`]'s, and
//! taken off by the application.
//!
//! ```text
//!          complete head: Request        body complete: End
//!   Head ------------------------> Body -------------------> Answer
//!    |  ^                           | | \                      |
//!    |  |    respond, small rest    | |  \ broken: BodyFailed  | respond
//!    |  |<------- Drain <-----------' |   \                    |
//!    |  |           | too much        |    v                   |
//!    |  |           v                 |   Failed               |
//!    |  |        Closing <------------+-----'  respond         |
//!    |  |           ^  respond, large rest                     |
//!    |  '-----------|----------------------- keep-alive -------|
//!    |              '----------------------- close ------------'
//!    '--> Failed (Refused), then refuse() and Closing
//! ```
//!
//! The caller's loop: call [`Connection::receive`] with what it has, even with nothing, until it answers `None`;
//! answer every `Request`, `BodyFailed` (if the request has no answer yet) and `Refused` exactly once; while a
//! response body is being sent, do not call `receive` and keep the input; then look at [`Connection::disposition`].

mod body;
pub mod coding;
mod head;
mod refusal;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod replay;
mod request;
mod response;

pub use body::BodyError;
pub use refusal::Refusal;
pub use request::{Headers, KeptRequest, Request, Version};
pub use response::{Body, HttpDate, Response};

use crate::limits::{DRAIN_BYTES_MAX, HEAD_BYTES_MAX};
use body::{Framing, Step};
use head::{Found, Search};
use response::{Outgoing, Terms};

/// The answer to a request that comes as it is where it should be encrypted (SPEC 11.3).
pub const NOT_ENCRYPTED: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Whether something that begins like this is a request.
pub fn is_start_of_request(first: [u8; 5]) -> bool {
    const METHODS: [&[u8; 5]; 7] = [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"DELET", b"PATCH"];
    METHODS.contains(&&first)
}

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A complete head. `Body` and `End` follow, unless it is answered first.
    Request(Request<'a>),
    /// The next piece of the body, freed from its framing; never empty.
    Body(&'a [u8]),
    /// The body is complete; comes for requests without a body, too.
    End,
    /// The body cannot be read to its end. Answer with 400 and the error's text; the connection closes behind it.
    BodyFailed(BodyError),
    /// Not a request; pass it to [`Connection::refuse`].
    Refused(Refusal),
}

/// What becomes of the connection, once everything written so far has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It goes on: `receive` wants input, or a response is owed.
    Continue,
    /// It goes on behind the rest of a body that nobody reads; `receive` discards it.
    Drain,
    /// Close it.
    Close,
    /// Shut down the sending side, discard input for a bounded time, then close: the peer may still be sending, and
    /// closing at once would reset the connection and could take the response away from it (RFC 9112 9.6).
    LingerClose,
}

/// One connection. A few dozen bytes, and no heap between requests.
#[derive(Debug)]
pub struct Connection {
    input: Input,
    exchange: Exchange,
    head_bytes_max: usize,
    /// A head of which only a part was in the input. Empty otherwise, at the latest from the next call on.
    stash: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Between requests, or inside a head: then the stash holds all of it.
    Head(Search),
    /// Behind a head: body bytes are the application's.
    Body(Framing),
    /// Behind `End`: the response is owed, and input has to wait for it.
    Answer,
    /// Answered before the end of the body; `left` bytes more are put up with.
    Drain { framing: Framing, left: u64 },
    /// What came is no HTTP: input is discarded, and a last response is owed.
    Failed,
    /// Nothing is owed and nothing is read; input is discarded.
    Closing { linger: bool },
}

impl Default for Input {
    fn default() -> Self {
        Self::Head(Search::default())
    }
}

/// What has to be remembered of a request until its response is on the way.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    version: Version,
    head_only: bool,
    keep_alive: bool,
    /// The client asked for an interim answer, has not got it and has not sent a byte of the body.
    expects_continue: bool,
    outgoing: Outgoing,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            version: Version::Http11,
            head_only: false,
            keep_alive: true,
            expects_continue: false,
            outgoing: Outgoing::Nothing,
        }
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// A connection on which nothing has happened.
    pub fn new() -> Self {
        Self::bounded(HEAD_BYTES_MAX)
    }

    /// The same, with heads of so many bytes at most; see [`crate::limits::HEAD_BYTES_MOST`].
    pub fn bounded(head_bytes_max: usize) -> Self {
        Self { input: Input::default(), exchange: Exchange::default(), head_bytes_max, stash: Vec::new() }
    }

    /// What came so far does not become a request in time: a last response is owed, and input is discarded. Whatever was
    /// asked before, it is answered as HTTP/1.1 and with a body.
    pub fn give_up(&mut self) {
        self.exchange = Exchange { keep_alive: false, ..Exchange::default() };
        self.stash = Vec::new();
        self.input = Input::Failed;
    }

    /// Consumes a prefix of `input`: how many bytes, and what happened.
    ///
    /// `None` means that nothing happens without more input, or without a response while one is owed; only in the
    /// second case may input be left over, and it must be handed in again.
    pub fn receive<'a>(&'a mut self, input: &'a [u8]) -> (usize, Option<Event<'a>>) {
        let drained = match self.input {
            Input::Drain { framing, left } => self.drain(framing, left, input),
            _ => 0,
        };
        let rest = &input[drained..];
        let (used, event) = match self.input {
            Input::Head(search) => self.receive_head(search, rest),
            Input::Body(framing) => self.receive_body(framing, rest),
            Input::Answer | Input::Drain { .. } => (0, None),
            Input::Failed | Input::Closing { .. } => (rest.len(), None),
        };
        (drained + used, event)
    }

    /// The peer sends no more. To be called behind the last `receive`, when that answered `None`.
    ///
    /// A body cut short fails; a head cut short is dropped without an answer; a response that is owed may still be
    /// sent, and is the last one.
    pub fn receive_end(&mut self) -> Option<Event<'static>> {
        self.exchange.keep_alive = false;
        match self.input {
            Input::Body(framing) if framing.is_complete() => {
                self.input = Input::Answer;
                Some(Event::End)
            }
            Input::Body(_) => {
                self.input = Input::Failed;
                Some(Event::BodyFailed(BodyError::UnexpectedEof))
            }
            Input::Answer | Input::Failed => None,
            Input::Head(_) | Input::Drain { .. } | Input::Closing { .. } => {
                self.stash = Vec::new();
                self.input = Input::Closing { linger: false };
                None
            }
        }
    }

    /// The application wants the body: appends the interim answer if the client waits for one (RFC 9110 10.1.1).
    pub fn accept_body(&mut self, out: &mut Vec<u8>) {
        if matches!(self.input, Input::Body(_)) && std::mem::take(&mut self.exchange.expects_continue) {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// The connection closes behind the response that is owed, whatever the client asked for.
    pub fn end_after_response(&mut self) {
        self.exchange.keep_alive = false;
    }

    /// Appends the response's head, and its body if that is [`Body::Bytes`], and decides about the connection.
    ///
    /// # Panics
    /// If no response is owed: the caller answers twice.
    pub fn respond(&mut self, response: &Response<'_>, date: &HttpDate, out: &mut Vec<u8>) {
        let Exchange { version, head_only, .. } = self.exchange;
        let mut terms = Terms { version, head_only, keep_alive: self.exchange.keep_alive };
        let outgoing = terms.outgoing(response);
        let ends_with_connection = matches!(response.body, Body::Chunked) && outgoing == Outgoing::Plain;
        self.stash = Vec::new();
        self.input = self.input_behind_response(terms.keep_alive && !ends_with_connection);
        self.exchange.outgoing = outgoing;
        terms.keep_alive = !matches!(self.input, Input::Closing { .. });
        response::write(response, terms, date, out);
    }

    /// Appends the answer to a head that was refused; the connection closes behind it.
    ///
    /// # Panics
    /// If no response is owed.
    pub fn refuse(&mut self, refusal: Refusal, date: &HttpDate, out: &mut Vec<u8>) {
        let text = refusal.to_string();
        let (content_type, body) = match &*text {
            "" => (None, Body::Empty),
            text => (Some("text/plain; charset=utf-8"), Body::Bytes(text.as_bytes())),
        };
        self.respond(&Response { status: refusal.status(), content_type, headers: &[], body }, date, out);
    }

    /// What comes is not HTTP: there is no answer to it, and the connection ends.
    pub fn abandon(&mut self) {
        self.stash = Vec::new();
        self.input = Input::Closing { linger: true };
        self.exchange = Exchange { keep_alive: false, ..Exchange::default() };
    }

    /// Whether the body of the response is sent at all: not for HEAD, and not for statuses without a body.
    pub fn sends_body(&self) -> bool {
        self.exchange.outgoing != Outgoing::Nothing
    }

    /// Appends a piece of a [`Body::Chunked`] in its framing. An empty piece is nothing.
    pub fn write_chunk(&self, piece: &[u8], out: &mut Vec<u8>) {
        if self.sends_body() && !piece.is_empty() {
            self.begin_chunk(piece.len(), out);
            out.extend_from_slice(piece);
            self.end_chunk(out);
        }
    }

    /// Appends what stands in front of a piece of `size` bytes, which are some, that the caller sends by itself.
    pub fn begin_chunk(&self, size: usize, out: &mut Vec<u8>) {
        if self.exchange.outgoing == Outgoing::Chunked {
            response::write_chunk_size(size, out);
        }
    }

    /// Appends what stands behind such a piece.
    pub fn end_chunk(&self, out: &mut Vec<u8>) {
        if self.exchange.outgoing == Outgoing::Chunked {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends the end of a [`Body::Chunked`].
    pub fn write_last_chunk(&self, out: &mut Vec<u8>) {
        if self.exchange.outgoing == Outgoing::Chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    /// What becomes of the connection.
    pub fn disposition(&self) -> Disposition {
        match self.input {
            Input::Head(_) | Input::Body(_) | Input::Answer | Input::Failed => Disposition::Continue,
            Input::Drain { .. } => Disposition::Drain,
            Input::Closing { linger: false } => Disposition::Close,
            Input::Closing { linger: true } => Disposition::LingerClose,
        }
    }

    /// Whether a response is owed.
    pub fn owes_response(&self) -> bool {
        matches!(self.input, Input::Body(_) | Input::Answer | Input::Failed)
    }

    /// Whether the connection is between requests and nothing of the next one has come.
    pub fn is_idle(&self) -> bool {
        matches!(self.input, Input::Head(_)) && self.stash.is_empty()
    }

    /// Heap memory held for a head that is not complete, bytes.
    pub fn stashed_bytes(&self) -> usize {
        self.stash.capacity()
    }

    fn receive_head<'a>(&'a mut self, mut search: Search, input: &'a [u8]) -> (usize, Option<Event<'a>>) {
        let stashed = self.stash.len();
        if stashed > 0 {
            let room = self.head_bytes_max - stashed;
            self.stash.extend_from_slice(&input[..input.len().min(room)]);
        }
        match search.run(if stashed > 0 { &self.stash } else { input }, self.head_bytes_max) {
            Found::End(end) => {
                let head = if stashed > 0 { &self.stash[..end] } else { &input[..end] };
                (end - stashed, Some(open(&mut self.input, &mut self.exchange, head)))
            }
            Found::Refused(refusal) => (input.len(), Some(refused(&mut self.input, &mut self.exchange, refusal))),
            Found::Partial => {
                if stashed == 0 {
                    self.stash.extend_from_slice(input);
                }
                self.input = Input::Head(search);
                (input.len(), None)
            }
        }
    }

    fn receive_body<'a>(&mut self, mut framing: Framing, input: &'a [u8]) -> (usize, Option<Event<'a>>) {
        self.stash = Vec::new();
        let (used, step) = framing.advance(input);
        self.exchange.expects_continue &= used == 0;
        let (next, event) = match step {
            Step::Piece(piece) => (Input::Body(framing), Some(Event::Body(piece))),
            Step::NeedMore => (Input::Body(framing), None),
            Step::Complete => (Input::Answer, Some(Event::End)),
            Step::Failed(error) => (Input::Failed, Some(Event::BodyFailed(error))),
        };
        self.input = next;
        (used, event)
    }

    /// Discards body bytes and returns how many. The state behind it is `Head` if the body came to its end.
    fn drain(&mut self, mut framing: Framing, left: u64, input: &[u8]) -> usize {
        let window = &input[..usize::try_from(left).map_or(input.len(), |left| left.min(input.len()))];
        let mut used = 0;
        let complete = loop {
            let (taken, step) = framing.advance(&window[used..]);
            used += taken;
            match step {
                Step::Piece(_) => {}
                Step::Complete => break Some(true),
                Step::NeedMore => break None,
                Step::Failed(_) => break Some(false),
            }
        };
        let left = left - used as u64;
        self.input = match complete {
            Some(true) => Input::default(),
            None if left > 0 => Input::Drain { framing, left },
            _ => Input::Closing { linger: true },
        };
        used
    }

    fn input_behind_response(&self, keep_alive: bool) -> Input {
        assert!(self.owes_response(), "a response to no request");
        match self.input {
            Input::Body(framing) if !framing.is_complete() => {
                let left = framing.bytes_left().unwrap_or(DRAIN_BYTES_MAX);
                // A client that waits for an interim answer may or may not send the body now: there is no telling
                // where the next request would start.
                if keep_alive && !self.exchange.expects_continue && left <= DRAIN_BYTES_MAX {
                    Input::Drain { framing, left }
                } else {
                    Input::Closing { linger: true }
                }
            }
            Input::Failed => Input::Closing { linger: true },
            _ if keep_alive => Input::default(),
            _ => Input::Closing { linger: false },
        }
    }
}

/// Reads the head that `bytes` is. A function of the fields rather than of the connection, because the event may
/// borrow from the stash.
fn open<'a>(input: &mut Input, exchange: &mut Exchange, bytes: &'a [u8]) -> Event<'a> {
    match head::parse(bytes) {
        Ok(head) => {
            *input = Input::Body(head.framing);
            *exchange = Exchange {
                version: head.request.version,
                head_only: head.request.method == "HEAD",
                keep_alive: head.keep_alive,
                expects_continue: head.expects_continue,
                outgoing: Outgoing::Nothing,
            };
            Event::Request(head.request)
        }
        Err(refusal) => refused(input, exchange, refusal),
    }
}

/// A refusal is answered as HTTP/1.1 and with a body, whatever was asked before.
fn refused(input: &mut Input, exchange: &mut Exchange, refusal: Refusal) -> Event<'static> {
    *input = Input::Failed;
    *exchange = Exchange { keep_alive: false, ..Exchange::default() };
    Event::Refused(refusal)
}

#[cfg(test)]
mod tests;
