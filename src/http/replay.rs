//! A server in miniature for tests and fuzzing: plays a byte stream to a [`Connection`] in given pieces and records
//! everything that can be observed, so that two ways of cutting the same stream can be compared.
//!
//! Holds the plain decoder of chunked bodies too, which the incremental one is checked against. Not part of the program.

use super::{Body, Connection, Disposition, Event, HttpDate, Request, Response};
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, HEAD_BYTES_MAX};
use crate::model::time::Timestamp;

/// What a stream led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transcript {
    /// One line for each event; the pieces of a body are put together.
    pub events: Vec<String>,
    /// The bytes the server sent.
    pub sent: Vec<u8>,
    /// How the connection ended.
    pub disposition: Option<Disposition>,
}

/// The server's side of one stream.
struct Server {
    connection: Connection,
    date: HttpDate,
    transcript: Transcript,
    body: Vec<u8>,
    /// The request that is waiting for its response.
    pending: Option<Plan>,
}

/// How a request is answered; the target says so, and the server needs nothing else of it.
#[derive(Clone, Copy, Default)]
struct Plan {
    early: bool,
    unwanted: bool,
    chunked: bool,
    sized: bool,
}

impl Plan {
    fn of(request: &Request<'_>) -> Self {
        let says = |word: &[u8]| memchr::memmem::find(request.target, word).is_some();
        Self { early: says(b"early"), unwanted: says(b"unwanted"), chunked: says(b"chunked"), sized: says(b"sized") }
    }
}

/// Plays `stream`, cut behind each position of `cuts` (ascending), then the peer's end of sending.
pub(crate) fn play(stream: &[u8], cuts: impl IntoIterator<Item = usize>) -> Transcript {
    let mut server = Server {
        connection: Connection::new(),
        date: HttpDate::new(Timestamp(0)),
        transcript: Transcript::default(),
        body: Vec::new(),
        pending: None,
    };
    let mut start = 0;
    for end in cuts.into_iter().chain([stream.len()]) {
        server.feed(&stream[start..end]);
        start = end;
    }
    server.end();
    server.transcript
}

/// Every byte by itself.
pub(crate) fn play_bytewise(stream: &[u8]) -> Transcript {
    play(stream, 1..stream.len().max(1))
}

impl Server {
    /// Hands `input` in and takes every event; all of it is used up, since this server answers at once.
    fn feed(&mut self, input: &[u8]) {
        let mut at = 0;
        while !self.over() {
            let (used, event) = self.connection.receive(&input[at..]);
            assert!(used <= input.len() - at, "more used than given");
            at += used;
            match event {
                Some(event) => Step::of(event).run(self),
                None => break,
            }
        }
        assert!(self.over() || at == input.len(), "input left although nothing is owed");
        assert!(self.connection.stashed_bytes() <= 2 * HEAD_BYTES_MAX, "the stash outgrew its limit");
    }

    fn end(&mut self) {
        if !self.over() {
            let ended = self.connection.receive_end().map(Step::of);
            self.note(format!("end of stream, idle {}", self.connection.is_idle()));
            if let Some(step) = ended {
                step.run(self);
            }
        }
        self.transcript.disposition = Some(self.connection.disposition());
        assert!(!self.connection.owes_response() && self.connection.stashed_bytes() == 0);
    }

    fn over(&self) -> bool {
        matches!(self.connection.disposition(), Disposition::Close | Disposition::LingerClose)
    }

    fn note(&mut self, line: String) {
        if !self.body.is_empty() {
            let body = std::mem::take(&mut self.body);
            self.transcript.events.push(format!("body {}", body.escape_ascii()));
        }
        self.transcript.events.push(line);
    }

    fn answer(&mut self, plan: Plan, status: u16, text: &[u8]) {
        let headers: &[(&str, &str)] = if status == 200 { &[] } else { &[("X-Content-Type-Options", "nosniff")] };
        let body = match plan {
            Plan { chunked: true, .. } => Body::Chunked,
            Plan { sized: true, .. } => Body::Sized(text.len() as u64),
            _ if text.is_empty() => Body::Empty,
            _ => Body::Bytes(text),
        };
        let response = Response { status, content_type: Some("text/plain"), headers, body };
        let sent = &mut self.transcript.sent;
        self.connection.respond(&response, &self.date, sent);
        match body {
            Body::Chunked => {
                let (first, second) = text.split_at(text.len() / 2);
                self.connection.write_chunk(first, sent);
                self.connection.write_chunk(second, sent);
                self.connection.write_last_chunk(sent);
            }
            Body::Sized(_) if self.connection.sends_body() => sent.extend_from_slice(text),
            _ => {}
        }
    }
}

/// An event without its borrow of the connection.
enum Step {
    Request(Plan, String),
    Body(Vec<u8>),
    End,
    BodyFailed(super::BodyError),
    Refused(super::Refusal),
}

impl Step {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Request(request) => Self::Request(Plan::of(&request), line_of(&request)),
            Event::Body(piece) => {
                assert!(!piece.is_empty(), "an empty piece");
                Self::Body(piece.to_vec())
            }
            Event::End => Self::End,
            Event::BodyFailed(error) => Self::BodyFailed(error),
            Event::Refused(refusal) => Self::Refused(refusal),
        }
    }

    fn run(self, server: &mut Server) {
        match self {
            Self::Request(plan, line) => {
                server.note(line);
                if !plan.unwanted && !plan.early {
                    server.connection.accept_body(&mut server.transcript.sent);
                }
                if plan.early {
                    server.answer(plan, 400, b"too early\n");
                } else {
                    server.pending = Some(plan);
                }
            }
            Self::Body(piece) => server.body.extend_from_slice(&piece),
            Self::End => {
                server.note("end of body".into());
                let plan = server.pending.take().expect("a request is waiting");
                server.answer(plan, 200, b"done");
            }
            Self::BodyFailed(error) => {
                server.note(format!("body failed: {error}"));
                server.pending = None;
                server.answer(Plan::default(), 400, format!("{error}\n").as_bytes());
            }
            Self::Refused(refusal) => {
                server.note(format!("refused: {} {refusal}", refusal.status()));
                server.connection.refuse(refusal, &server.date, &mut server.transcript.sent);
            }
        }
    }
}

fn line_of(request: &Request<'_>) -> String {
    let Request { method, target, version, headers, content_length, head_bytes, .. } = request;
    let (target, path, size) = (target.escape_ascii(), request.path().escape_ascii(), request.size());
    let version = version.as_str();
    format!("{method} {target} {path} {version} {headers:?} length {content_length:?} head {head_bytes} size {size}")
}

/// Decodes a chunked body the plain way, from a buffer that holds what there is of it: the body and the length it has
/// on the wire, `None` if it is cut short, an error if no continuation makes it a body.
pub(crate) fn dechunk(mut wire: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let whole = wire.len();
    let mut body = Vec::new();
    loop {
        let Some(line) = take_line(&mut wire)? else { return incomplete_size(wire) };
        let size = chunk_size(line)?;
        if size == 0 {
            break;
        }
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        if wire.len() < size {
            return Ok(None);
        }
        body.extend_from_slice(&wire[..size]);
        wire = &wire[size..];
        match wire {
            [b'\r', b'\n', ..] => wire = &wire[2..],
            [] | [b'\r'] => return Ok(None),
            _ => return Err(()),
        }
    }
    loop {
        match take_line(&mut wire)? {
            None => return Ok(None),
            Some([]) => return Ok(Some((body, whole - wire.len()))),
            Some(_) => {}
        }
    }
}

/// The line that ends with the next CRLF; a line feed or carriage return without the other is an error.
fn take_line<'a>(wire: &mut &'a [u8]) -> Result<Option<&'a [u8]>, ()> {
    let Some(end) = wire.iter().position(|byte| b"\r\n".contains(byte)) else { return Ok(None) };
    match wire[end..] {
        [b'\r', b'\n', ..] => {
            let line = &wire[..end];
            *wire = &wire[end + 2..];
            Ok(Some(line))
        }
        [b'\r'] => Ok(None),
        _ => Err(()),
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, ()> {
    let text = String::from_utf8_lossy(line);
    let size = text.split_once(';').map_or(&*text, |(size, _)| size);
    let digits = size.trim_end_matches([' ', '\t']);
    let hexadecimal = !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hexadecimal || line.len() - digits.len() > CHUNK_EXTENSION_BYTES_MAX as usize {
        return Err(());
    }
    u64::from_str_radix(digits, 16).map_err(|_| ())
}

/// A size line without its end: cut short if some end makes it a size line.
fn incomplete_size(wire: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let line = wire.strip_suffix(b"\r").unwrap_or(wire);
    if line.is_empty() && wire.is_empty() {
        return Ok(None);
    }
    chunk_size(line).map(|_| None)
}
