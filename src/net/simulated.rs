//! A network without a kernel, for the simulation of the server: lines of bounded buffers, and readiness told as
//! edge-triggered epoll tells it.
//!
//! A client's bytes are on the wire first and are delivered when the script says so, and now and then in the middle of a
//! read or a write of the server. Owns no meaning of any byte.
//!
//! ```text
//! client -> wire -> inbound (bounded) -> server        server -> outbound (bounded) -> client
//! ```

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::{Reactor, Ready, Stream};
use crate::random::Random;

/// What a stream reads and writes: a socket of the kernel, or one end of a simulated line.
#[derive(Debug)]
pub enum Socket {
    /// The kernel's.
    Kernel(TcpStream),
    /// Ours.
    Line(Line),
}

/// The server's end of a line. Dropping it closes it.
#[derive(Debug)]
pub struct Line {
    network: Network,
    at: usize,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order.
    Finished,
    /// With a reset.
    Reset,
}

/// Everything about one line.
#[derive(Debug)]
pub struct State {
    /// The client.
    pub peer: SocketAddr,
    key: Option<usize>,
    wire: VecDeque<u8>,
    wire_end: Option<End>,
    inbound: VecDeque<u8>,
    inbound_max: usize,
    /// What the server has written and the client has not read.
    pub outbound: VecDeque<u8>,
    outbound_max: usize,
    /// The end of what the client sends was delivered.
    inbound_end: Option<End>,
    /// The end of what the server sends.
    outbound_end: Option<End>,
    /// The server has accepted it.
    pub is_accepted: bool,
    /// The server has closed its end.
    pub is_closed: bool,
    /// The client has closed its end: what is written to it comes back as a reset.
    is_deaf: bool,
    /// The server wanted to write more than there was room for.
    pub wants_room: bool,
    /// Something has changed since the reactor looked.
    is_changed: bool,
    /// Told as readable and writable, whether or not it is.
    is_spurious: bool,
    /// Bytes that were delivered.
    pub delivered: usize,
    /// When bytes last went through, or the line was made.
    pub moved_at: Duration,
    /// When the server sent its last byte, and told so.
    pub shut_at: Option<Duration>,
    /// When the server closed its end.
    pub closed_at: Option<Duration>,
    /// Bytes read and written in this turn.
    pub turn: [usize; 2],
}

#[derive(Debug)]
struct Shared {
    lines: Vec<State>,
    backlog: VecDeque<usize>,
    is_listening: bool,
    /// Somebody has come since the reactor looked.
    has_arrivals: bool,
    /// Accepting fails so many times.
    accept_failures: usize,
    is_terminating: bool,
    now: Duration,
    random: Random,
}

/// The network. Clones are the same.
#[derive(Clone, Debug)]
pub struct Network(Rc<RefCell<Shared>>);

impl Network {
    /// A network on which nobody listens yet; what it decides by itself follows from the seed.
    pub fn new(random: Random) -> Self {
        Self(Rc::new(RefCell::new(Shared {
            lines: Vec::new(),
            backlog: VecDeque::new(),
            is_listening: false,
            has_arrivals: false,
            accept_failures: 0,
            is_terminating: false,
            now: Duration::ZERO,
            random,
        })))
    }

    /// A reactor of a process that listens on this network, and of which nobody has heard yet.
    pub fn reactor(&self) -> io::Result<Reactor> {
        let mut shared = self.0.borrow_mut();
        (shared.is_listening, shared.has_arrivals, shared.is_terminating) = (true, true, false);
        drop(shared);
        Ok(Reactor { network: Some(self.clone()), ..Reactor::new()? })
    }

    /// The clock moves.
    pub fn set_time(&self, now: Duration) {
        self.0.borrow_mut().now = now;
    }

    /// A turn begins.
    pub fn begin_turn(&self) {
        self.0.borrow_mut().lines.iter_mut().for_each(|line| line.turn = [0, 0]);
    }

    /// Asks the process to end.
    pub fn terminate(&self) {
        self.0.borrow_mut().is_terminating = true;
    }

    /// Whether the process was asked to and has not looked yet.
    pub fn is_terminating(&self) -> bool {
        self.0.borrow().is_terminating
    }

    /// Accepting fails so many times from now on.
    pub fn fail_accepts(&self, count: usize) {
        self.0.borrow_mut().accept_failures = count;
    }

    /// Whether the reactor would not wait.
    pub fn has_events(&self) -> bool {
        let shared = self.0.borrow();
        let is_changed = |line: &State| line.key.is_some() && (line.is_changed || line.is_spurious);
        shared.is_terminating || (shared.is_listening && shared.has_arrivals) || shared.lines.iter().any(is_changed)
    }

    /// Whether connections wait to be accepted.
    pub fn has_backlog(&self) -> bool {
        !self.0.borrow().backlog.is_empty()
    }

    /// How many lines there are and were.
    pub fn lines(&self) -> usize {
        self.0.borrow().lines.len()
    }

    /// One of them.
    pub fn line(&self, at: usize) -> RefMut<'_, State> {
        RefMut::map(self.0.borrow_mut(), |shared| &mut shared.lines[at])
    }

    // ---- the reactor ----

    /// What became ready since the last call.
    pub(super) fn ready(&self) -> Vec<Ready> {
        let mut shared = self.0.borrow_mut();
        let mut ready: Vec<Ready> = shared.lines.iter_mut().filter_map(State::event).collect();
        shared.random.shuffle(&mut ready);
        if shared.is_listening && std::mem::take(&mut shared.has_arrivals) {
            ready.push(Ready::Listener(0));
        }
        if std::mem::take(&mut shared.is_terminating) {
            ready.push(Ready::Termination);
        }
        ready
    }

    pub(super) fn accept(&self) -> io::Result<Option<(Stream, SocketAddr)>> {
        let mut shared = self.0.borrow_mut();
        if shared.accept_failures > 0 && !shared.backlog.is_empty() {
            shared.accept_failures -= 1;
            return Err(io::Error::other("no descriptors left"));
        }
        let Some(at) = shared.backlog.pop_front() else { return Ok(None) };
        shared.lines[at].is_accepted = true;
        let peer = shared.lines[at].peer;
        let line = Line { network: self.clone(), at };
        Ok(Some((Stream::new(Socket::Line(line)), peer)))
    }

    /// Nobody listens any more. Who waits to be accepted is reset.
    pub fn close_listener(&self) {
        let mut shared = self.0.borrow_mut();
        shared.is_listening = false;
        for at in std::mem::take(&mut shared.backlog) {
            shared.lines[at].outbound_end = Some(End::Reset);
            shared.lines[at].is_closed = true;
        }
    }

    // ---- clients ----

    /// Connects; `None` if nobody listens.
    pub fn connect(&self, peer: SocketAddr, inbound_max: usize, outbound_max: usize) -> Option<usize> {
        let mut shared = self.0.borrow_mut();
        if !shared.is_listening {
            return None;
        }
        let (at, now) = (shared.lines.len(), shared.now);
        shared.lines.push(State::new(peer, inbound_max, outbound_max, now));
        shared.backlog.push_back(at);
        shared.has_arrivals = true;
        Some(at)
    }

    /// Sends as much of this as fits on the wire; how much.
    pub fn send(&self, at: usize, bytes: &[u8]) -> usize {
        let mut line = self.line(at);
        let room = (line.inbound_max + 64).saturating_sub(line.wire.len());
        let sent = if line.wire_end.is_some() { 0 } else { bytes.len().min(room) };
        line.wire.extend(&bytes[..sent]);
        sent
    }

    /// Sends no more.
    pub fn finish(&self, at: usize) {
        self.line(at).wire_end.get_or_insert(End::Finished);
    }

    /// Closes a client's end. `is_abrupt` for a reset, which overtakes everything.
    pub fn hang_up(&self, at: usize, is_abrupt: bool) {
        let mut line = self.line(at);
        line.is_deaf = true;
        line.outbound.clear();
        if is_abrupt {
            line.wire.clear();
            line.wire_end = Some(End::Reset);
        } else {
            line.wire_end.get_or_insert(End::Finished);
        }
        line.make_room();
    }

    /// Delivers up to `count` bytes, and what ends them; whether there was anything to deliver.
    pub fn deliver(&self, at: usize, count: usize) -> bool {
        let mut shared = self.0.borrow_mut();
        let Shared { lines, random, .. } = &mut *shared;
        lines[at].deliver(count, random)
    }

    /// Reads up to `count` bytes at the client's end.
    pub fn receive(&self, at: usize, count: usize) -> Vec<u8> {
        let mut line = self.line(at);
        let count = count.min(line.outbound.len());
        let bytes = line.outbound.drain(..count).collect();
        line.make_room();
        bytes
    }

    /// How the server has ended what it sends, once the client has read all of it.
    pub fn end(&self, at: usize) -> Option<End> {
        let line = self.line(at);
        line.outbound_end.filter(|_| line.outbound.is_empty())
    }

    /// Has the reactor tell of a line without any reason.
    pub fn spur(&self, at: usize) {
        self.line(at).is_spurious = true;
    }
}

impl State {
    fn new(peer: SocketAddr, inbound_max: usize, outbound_max: usize, now: Duration) -> Self {
        Self {
            peer,
            key: None,
            wire: VecDeque::new(),
            wire_end: None,
            inbound: VecDeque::new(),
            inbound_max,
            outbound: VecDeque::new(),
            outbound_max,
            inbound_end: None,
            outbound_end: None,
            is_accepted: false,
            is_closed: false,
            is_deaf: false,
            wants_room: false,
            is_changed: false,
            is_spurious: false,
            delivered: 0,
            moved_at: now,
            shut_at: None,
            closed_at: None,
            turn: [0, 0],
        }
    }

    /// How many bytes the server could read.
    pub fn unread(&self) -> usize {
        self.inbound.len()
    }

    /// Whether something is on the wire.
    pub fn is_under_way(&self) -> bool {
        !self.wire.is_empty() || (self.wire_end.is_some() && self.inbound_end.is_none())
    }

    /// Whether the client has ended what it sends, and the server could know.
    pub fn is_input_over(&self) -> bool {
        self.inbound_end.is_some()
    }

    /// Whether the server sends no more.
    pub fn is_ending(&self) -> bool {
        self.outbound_end.is_some()
    }

    fn event(&mut self) -> Option<Ready> {
        let key = self.key?;
        let is_spurious = std::mem::take(&mut self.is_spurious);
        if !std::mem::take(&mut self.is_changed) && !is_spurious {
            return None;
        }
        let ended = self.inbound_end.is_some();
        let readable = is_spurious || ended || !self.inbound.is_empty();
        let is_broken = self.inbound_end == Some(End::Reset);
        let writable = is_spurious || is_broken || self.outbound.len() < self.outbound_max;
        Some(Ready::Stream { key, readable, writable, ended })
    }

    fn deliver(&mut self, count: usize, random: &mut Random) -> bool {
        if self.is_closed {
            // Nobody is there any more: a reset comes back, which may overtake what was sent to the client.
            if !self.wire.is_empty() {
                self.break_off(random);
            }
            let had_some = !self.wire.is_empty();
            self.wire.clear();
            self.inbound_end = self.inbound_end.or(self.wire_end);
            return had_some;
        }
        let count = count.min(self.wire.len()).min(self.inbound_max - self.inbound.len());
        self.inbound.extend(self.wire.drain(..count));
        self.delivered += count;
        let is_end_due = self.inbound_end.is_none() && self.wire.is_empty() && self.wire_end.is_some();
        if is_end_due || (self.wire_end == Some(End::Reset) && self.inbound_end != self.wire_end) {
            self.inbound_end = self.wire_end;
        } else if count == 0 {
            return false;
        }
        self.is_changed = true;
        true
    }

    /// A reset on its way to the client: of what was not read, an end is lost.
    fn break_off(&mut self, random: &mut Random) {
        let kept = random.index(self.outbound.len() + 1);
        self.outbound.truncate(kept);
        self.outbound_end = Some(End::Reset);
    }

    fn make_room(&mut self) {
        if self.wants_room && self.outbound.len() < self.outbound_max {
            (self.wants_room, self.is_changed) = (false, true);
        }
    }

    fn read(&mut self, into: &mut [u8], now: Duration) -> io::Result<usize> {
        if self.inbound.is_empty() {
            return match self.inbound_end {
                Some(End::Finished) => Ok(0),
                Some(End::Reset) => Err(ErrorKind::ConnectionReset.into()),
                None => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let count = self.inbound.read(into)?;
        // A ring has two ends in memory; a socket hands out what is there in one go.
        let count = count + if count < into.len() { self.inbound.read(&mut into[count..])? } else { 0 };
        self.turn[0] += count;
        self.moved_at = now;
        Ok(count)
    }

    fn write(&mut self, pieces: &[IoSlice<'_>], now: Duration) -> io::Result<usize> {
        if self.inbound_end == Some(End::Reset) || self.outbound_end.is_some() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if self.is_deaf {
            self.wire.clear();
            (self.wire_end, self.inbound_end, self.is_changed) = (Some(End::Reset), Some(End::Reset), true);
            return Ok(pieces.iter().map(|piece| piece.len()).sum());
        }
        let mut written = 0;
        for piece in pieces {
            let count = piece.len().min(self.outbound_max - self.outbound.len());
            self.outbound.extend(&piece[..count]);
            written += count;
            if count < piece.len() {
                self.wants_room = true;
                break;
            }
        }
        if written == 0 && self.wants_room {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.turn[1] += written;
        self.moved_at = now;
        Ok(written)
    }
}

impl Line {
    /// Acts on the line, and now and then delivers something in front of that or behind it.
    fn act<T>(&self, action: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut shared = self.network.0.borrow_mut();
        let Shared { lines, random, now, .. } = &mut *shared;
        let line = &mut lines[self.at];
        if random.one_in(6) {
            line.deliver(random.index(200), random);
        }
        let outcome = action(line, *now);
        if random.one_in(6) {
            line.deliver(random.index(200), random);
        }
        outcome
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut shared = self.network.0.borrow_mut();
        let Shared { lines, random, now, .. } = &mut *shared;
        let line = &mut lines[self.at];
        (line.is_closed, line.key, line.closed_at) = (true, None, Some(*now));
        if line.inbound.is_empty() {
            line.outbound_end.get_or_insert(End::Finished);
        } else {
            line.break_off(random);
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Kernel(stream) => stream.read(into),
            Self::Line(line) => line.act(|state, now| state.read(into, now)),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Kernel(stream) => stream.write_vectored(pieces),
            Self::Line(line) => line.act(|state, now| state.write(pieces, now)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Kernel(stream) => stream.shutdown(how),
            Self::Line(line) => {
                line.act(|state, now| {
                    state.outbound_end.get_or_insert(End::Finished);
                    state.shut_at.get_or_insert(now);
                });
                Ok(())
            }
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Kernel(stream)
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Kernel(stream) => stream.register(registry, token, interests),
            Self::Line(line) => {
                let mut state = line.network.line(line.at);
                (state.key, state.is_changed) = (Some(token.0), true);
                Ok(())
            }
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.register(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Kernel(stream) => stream.deregister(registry),
            Self::Line(line) => {
                line.network.line(line.at).key = None;
                Ok(())
            }
        }
    }
}
