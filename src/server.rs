//! The event loop: one thread, one turn after the other, nothing in a turn without a bound.
//!
//! The only module that sees both sockets and the application. It moves bytes between streams, HTTP connections and
//! the application, keeps deadlines, and ends in good order. What requests mean is the application's business.
//!
//! ```text
//! turn: wait -> give answers that waited for the disk -> accept (bounded) -> for every ready session: flush, read, parse, answer (bounded) -> sweep deadlines
//!       -> work that no request waits for (bounded)
//! ```
//! A turn has a budget of time (`meter`), which goes first to sessions that used least of it lately (`queue`). What does
//! not fit keeps its place for the next turn, so that a turn is never longer than the budget and a few steps.

mod clock;
mod crowd;
mod meter;
mod patience;
mod queue;
mod scrape;
mod secure;
mod session;
#[cfg(test)]
mod sim;
mod start;
mod upkeep;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::app::App;
use crate::app::durable::Pending;
use crate::cli::address::ListenAddress;
use crate::http::HttpDate;
use crate::limits::{
    ACCEPTS_PER_TURN_MAX, DEFLATE_BYTES_PER_TURN_MAX, EVENTS_PER_TURN_MAX, HANDSHAKES_PER_TURN_MAX, READ_BYTES,
    SETTLED_BYTES, SHUTDOWN_TIME_MAX, SWEEP_INTERVAL,
};
use crate::log::Value;
use crate::net::notify::{State, Supervisor};
use crate::net::{self, Reactor, Ready, activation};
use crate::persist::{self, Settled};

use clock::Clock;
use crowd::Crowd;
use meter::Meter;
use queue::{Level, Queue};
use secure::Secure;
use session::{Load, Next, Session, Weight};

pub use start::{serve, version};

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// There is more to come.
    Continue,
    /// Everything in flight is finished; the process may end.
    Finished,
}

/// The server.
pub struct Server {
    reactor: Reactor,
    app: App,
    sessions: Slab<Session>,
    /// Sessions that have something to do, each at most once.
    ready: Queue,
    /// Answers that wait for a change to be on the disk, in the order of their tickets, and whose they are.
    waiting: VecDeque<(usize, Pending)>,
    /// Listeners that may have connections waiting.
    accepting: Vec<bool>,
    crowd: Crowd,
    connections_max: usize,
    /// Connections have to wait, as there are so many.
    is_crowded: bool,
    /// What requests and answers under way hold.
    load: Load,
    /// What the disk has done, while there are answers left that waited for it.
    settling: Option<Settled>,
    /// Accepting has failed: connections may wait of which nobody is told again.
    has_unaccepted: bool,
    clock: Clock,
    shared: Shared,
    next_sweep: Instant,
    /// Sessions that were late when that was looked at, and those that make room for others, which go first from the end.
    late: Vec<usize>,
    dispensable: Vec<usize>,
    /// The application has work left that no request waits for.
    has_more_work: bool,
    shutdown_at: Option<Instant>,
    /// The last changes are being written.
    is_flushing: bool,
    secure: Secure,
    supervisor: Supervisor,
    /// The supervisor was told that the server serves.
    has_reported: bool,
    /// When the supervisor has to hear that the loop turns.
    next_watchdog: Option<Instant>,
}

/// What all sessions use in turn: one of them is at work at any time.
struct Shared {
    /// Where bytes are read to.
    input: Box<[u8]>,
    /// Where answers are written, lent to the session at work.
    output: Vec<u8>,
    date: HttpDate,
    /// The answer that the session at work has begun to wait for.
    pending: Option<Pending>,
    /// Text that may still be compressed in this turn, bytes.
    deflate_bytes_left: usize,
    /// Steps of TLS handshakes that may still be made in this turn.
    handshakes_left: usize,
    /// The time of the turn.
    meter: Meter,
    /// When the turn began: precise enough for deadlines.
    now: Instant,
    /// Which requests were decided about, in that order.
    #[cfg(test)]
    decided: Vec<sim::Decided>,
}

impl Server {
    /// A server that listens nowhere yet.
    pub fn new(app: App) -> io::Result<Self> {
        let clock = Clock::start();
        let started = clock.started;
        let limits = *app.limits();
        let date = HttpDate::new(clock.now().wall);
        // Twice as much as is used: so large a piece the allocator takes from the system for itself, and of that only what was
        // read to takes memory.
        let input = vec![0; 2 * READ_BYTES].into_boxed_slice();
        Ok(Self {
            reactor: Reactor::new()?,
            app,
            sessions: Slab::new(),
            // A turn seldom makes more sessions ready than it has events.
            ready: Queue::with_capacity(EVENTS_PER_TURN_MAX),
            waiting: VecDeque::new(),
            accepting: Vec::new(),
            crowd: Crowd::new(&limits),
            connections_max: crowd::connections_max(&limits, net::descriptor_limit()),
            is_crowded: false,
            load: Load::default(),
            settling: None,
            has_unaccepted: false,
            clock,
            shared: Shared {
                input,
                output: Vec::new(),
                date,
                pending: None,
                deflate_bytes_left: 0,
                handshakes_left: 0,
                meter: Meter::new(clock),
                now: started,
                #[cfg(test)]
                decided: Vec::new(),
            },
            next_sweep: started + SWEEP_INTERVAL,
            late: Vec::new(),
            dispensable: Vec::new(),
            has_more_work: false,
            shutdown_at: None,
            is_flushing: false,
            secure: Secure::new(started),
            supervisor: Supervisor::default(),
            has_reported: false,
            next_watchdog: None,
        })
    }

    /// Listens on an address; returns the one that was bound.
    pub fn listen(&mut self, address: &ListenAddress) -> io::Result<SocketAddr> {
        let bound = self.reactor.listen(address.host.as_deref(), address.port)?;
        self.note_listener(bound);
        Ok(bound)
    }

    /// Listens on the sockets that systemd passed. To be called before any thread is started.
    pub fn listen_on_passed(&mut self) -> io::Result<()> {
        self.app.log.info("Listening on systemd activated listeners instead of port listeners.", &[]);
        for listener in activation::passed_listeners()? {
            let bound = self.reactor.adopt(listener)?;
            self.note_listener(bound);
        }
        Ok(())
    }

    fn note_listener(&mut self, bound: SocketAddr) {
        self.accepting.push(true);
        self.app.log.info("Listening on", &[("address", Value::Shown(&bound))]);
        let keys = [("http2", Value::Bool(false)), ("address", Value::Shown(&bound))];
        let is_secure = self.is_secure();
        self.app.log.info(if is_secure { "TLS is enabled." } else { "TLS is disabled." }, &keys);
    }

    /// Tells a supervisor from now on that the server serves, which it does once everything kept is loaded, that it lives
    /// and that it ends.
    pub fn report_to(&mut self, supervisor: Supervisor) {
        self.next_watchdog = supervisor.watchdog_interval.map(|_| self.shared.now);
        self.supervisor = supervisor;
        self.show_life();
    }

    /// Ends in good order on SIGINT and SIGTERM from now on.
    pub fn watch_signals(&mut self) -> io::Result<()> {
        self.reactor.watch_signals()
    }

    /// Keeps what is pushed from now on, and loads what was kept before.
    ///
    /// # Errors
    /// If that cannot even be tried.
    pub fn keep(&mut self, options: &persist::Options) -> Result<(), String> {
        let waker = self.reactor.waker().map_err(|error| error.to_string())?;
        // A loop that cannot be woken is at its end.
        let wake = Box::new(move || drop(waker.wake()));
        self.app.keep(persist::start(options, wake)?);
        Ok(())
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Serves until a signal or a client ends it.
    pub fn run(&mut self) -> io::Result<()> {
        while self.turn(None)? == Control::Continue {}
        self.app.log.info("HTTP server stopped", &[]);
        Ok(())
    }

    /// One turn: waits for something to happen, at most for `timeout` if there is one, and deals with it.
    pub fn turn(&mut self, timeout: Option<Duration>) -> io::Result<Control> {
        self.reactor.wait(self.patience(timeout))?;
        let uptime = self.clock.uptime();
        self.shared.meter.begin_turn(self.clock, uptime);
        self.shared.now = self.clock.started + uptime;
        self.shared.deflate_bytes_left = DEFLATE_BYTES_PER_TURN_MAX;
        self.shared.handshakes_left = HANDSHAKES_PER_TURN_MAX;
        self.shared.date.update(self.clock.now().wall);
        self.collect_ready();
        self.take_events()?;
        self.settle();
        self.show_life();
        self.follow_files();
        self.prove();
        self.accept();
        self.run_ready();
        self.shed();
        self.sweep();
        self.work_off();
        if self.app.is_quitting() && self.shutdown_at.is_none() {
            self.app.log.warn("received termination request via web service, exiting gracefully...", &[]);
            self.begin_shutdown();
        }
        if self.shutdown_at.is_some() && self.sessions.is_empty() { self.end() } else { Ok(Control::Continue) }
    }

    /// Nobody is served any more: waits until everything is on the disk that is to be there.
    fn end(&mut self) -> io::Result<Control> {
        if !std::mem::replace(&mut self.is_flushing, true) {
            self.app.flush(self.clock.now());
            self.work_off();
        }
        match self.app.flushed() {
            None => Ok(Control::Continue),
            Some(Ok(())) => {
                self.app.close_file();
                Ok(Control::Finished)
            }
            Some(Err(reason)) => {
                self.app.log.error("problem shutting down metric storage", &[("err", Value::Str(&reason))]);
                Err(io::Error::other(format!("not everything could be stored: {reason}")))
            }
        }
    }

    /// Takes what the helpers of the application have to say, a bounded part of it.
    fn take_events(&mut self) -> io::Result<()> {
        self.has_more_work = self.app.take_events(self.clock.now()).map_err(io::Error::other)?;
        if self.has_more_work {
            self.shared.meter.step();
        }
        Ok(())
    }

    /// Does work that no request waits for: a step of it, and more while the turn lasts.
    fn work_off(&mut self) {
        while self.app.work_off(self.clock.now()) {
            self.shared.meter.step();
            if self.shared.meter.is_turn_over() {
                self.has_more_work = true;
                break;
            }
        }
    }

    /// How long a turn may wait: not at all with work at hand, not beyond the next look at the deadlines.
    fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        if !self.ready.is_empty() || self.has_more_work || (self.may_accept() && self.accepting.contains(&true)) {
            return Some(Duration::ZERO);
        }
        let has_deadlines = !self.sessions.is_empty() || self.accepting.contains(&true) || self.has_unaccepted;
        let sweep = has_deadlines.then(|| self.next_sweep.saturating_duration_since(self.shared.now));
        let due = self.app.deadline().map(|at| at.saturating_sub(self.clock.uptime()));
        let dates = [self.next_watchdog, self.secure.idle_look()];
        let date = dates.into_iter().flatten().min().map(|at| at.saturating_duration_since(self.shared.now));
        [timeout, sweep, due, date].into_iter().flatten().min()
    }

    fn show_life(&mut self) {
        let now = self.shared.now;
        if !self.has_reported && !self.app.is_loading() {
            self.has_reported = true;
            self.supervisor.tell(State::Ready);
        }
        if let Some(interval) = self.supervisor.watchdog_interval
            && self.next_watchdog.is_some_and(|at| now >= at)
        {
            self.supervisor.tell(State::Watchdog);
            self.next_watchdog = Some(now + interval);
        }
    }

    fn collect_ready(&mut self) {
        let mut is_terminating = false;
        for ready in self.reactor.ready() {
            match ready {
                Ready::Termination => is_terminating = true,
                Ready::Listener(at) => self.accepting[at] = true,
                Ready::Stream { key, readable, writable, ended } => {
                    // A session that just closed may still have an event on its way.
                    let Some(session) = self.sessions.get_mut(key) else { continue };
                    session.note_ready(readable, writable, ended);
                    if let Some(level) = session.enqueue(self.shared.meter.now()) {
                        self.ready.push(key, level);
                    }
                }
            }
        }
        if is_terminating && self.shutdown_at.is_none() {
            self.app.log.info("received SIGINT/SIGTERM; exiting gracefully...", &[]);
            self.begin_shutdown();
        }
    }

    // ---- accepting ----

    fn may_accept(&self) -> bool {
        self.sessions.len() < self.connections_max && self.shutdown_at.is_none()
    }

    fn accept(&mut self) {
        let mut budget = ACCEPTS_PER_TURN_MAX;
        for at in 0..self.accepting.len() {
            while self.accepting[at] && self.may_accept() && budget > 0 {
                budget -= 1;
                match self.reactor.accept(at) {
                    Ok(Some((mut stream, peer))) if self.crowd.enter(peer.ip()) => {
                        if self.secure(&mut stream) {
                            self.open_session(Session::new(stream, peer, self.shared.now, self.app.limits()));
                        } else {
                            self.crowd.leave(peer.ip());
                        }
                    }
                    Ok(Some((stream, peer))) => self.turn_away(stream, peer),
                    Ok(None) => self.accepting[at] = false,
                    Err(error) => {
                        // No descriptors left, most likely: the next sweep tries again.
                        self.accepting[at] = false;
                        self.has_unaccepted = true;
                        self.app.log.error("cannot accept a connection", &[("err", Value::Shown(&error))]);
                    }
                }
            }
        }
        if budget < ACCEPTS_PER_TURN_MAX {
            self.shared.meter.step();
        }
        self.note_crowd();
    }

    fn open_session(&mut self, session: Session) {
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let session = entry.insert(session);
        if let Err(error) = self.reactor.register(session.stream_mut(), key) {
            self.app.log.error("cannot watch a connection", &[("err", Value::Shown(&error))]);
            self.close(key);
        }
    }

    // ---- sessions ----

    /// Lets sessions work that have something to do, while the turn lasts; of each level one at least. The others keep
    /// their places.
    fn run_ready(&mut self) {
        // Sessions that have more to do queue up again and wait for the next turn.
        let mut is_first = true;
        for (level, waiting) in Level::all().zip(self.ready.waiting()) {
            for _ in 0..waiting {
                if self.shared.meter.is_turn_over() && !std::mem::take(&mut is_first) {
                    if let Some((key, level)) = self.ready.pop_late() {
                        self.run_session(key, level);
                    }
                    return;
                }
                is_first = false;
                let Some(key) = self.ready.pop(level) else { break };
                self.run_session(key, level);
            }
        }
    }

    fn run_session(&mut self, key: usize, level: Level) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.dequeue();
        self.shared.meter.begin_slice(level.slice_time());
        let next = session.advance(&mut self.app, &mut self.shared, self.clock);
        let (time, now) = self.shared.meter.end_slice();
        session.charge(time, now);
        self.load.update(session.weigh());
        match next {
            Next::Wait => {}
            Next::Again => {
                if let Some(level) = session.enqueue(now) {
                    self.ready.push(key, level);
                }
            }
            Next::Close => self.close(key),
        }
        if let Some(pending) = self.shared.pending.take() {
            // A long change may have been made a while before its session asked, so that others came after it.
            let at = self.waiting.partition_point(|(_, other)| other.ticket <= pending.ticket);
            self.waiting.insert(at, (key, pending));
        }
    }

    /// Gives the answers that waited for what the disk has done, while the turn lasts.
    fn settle(&mut self) {
        while let Some(settled) = self.settling.take().or_else(|| self.app.settled(self.clock.now())) {
            while let Some((key, pending)) = self.waiting.pop_front_if(|(_, pending)| pending.ticket <= settled.up_to) {
                let ticket = pending.ticket;
                let reply = self.app.settle(pending, &settled.outcome, self.clock.now());
                let Some(session) = self.sessions.get_mut(key) else { continue };
                if session.resume(ticket, reply, &mut self.app, &mut self.shared)
                    && let Some(level) = session.enqueue(self.shared.meter.now())
                {
                    self.ready.push(key, level);
                }
                self.shared.meter.note(SETTLED_BYTES);
                if self.shared.meter.is_turn_over() {
                    (self.settling, self.has_more_work) = (Some(settled), true);
                    return;
                }
            }
        }
    }

    fn close(&mut self, key: usize) {
        let session = self.sessions.remove(key);
        self.load.update((Weight::default(), session.weight()));
        self.crowd.leave(session.peer().ip());
        session.close(&mut self.app);
    }

    /// Stops listening, lets go of connections that are idle, and gives the others a bounded time.
    fn begin_shutdown(&mut self) {
        self.shutdown_at = Some(self.shared.now + SHUTDOWN_TIME_MAX);
        self.supervisor.tell(State::Stopping);
        self.reactor.close_listeners();
        self.accepting.fill(false);
        let idle: Vec<_> = self.sessions.iter().filter(|(_, session)| session.is_idle()).map(|(key, _)| key).collect();
        for key in idle {
            self.close(key);
        }
        for (_, session) in &mut self.sessions {
            session.finish_soon();
        }
    }
}
