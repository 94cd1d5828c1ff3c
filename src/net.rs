//! Sockets and readiness: the mio poll, listeners, signals, and a stream that remembers what it is ready for.
//!
//! Owns system calls on sockets and nothing else: it knows no HTTP, and which stream belongs to whom is the caller's.
//! Readiness is edge-triggered, so whoever is told of it reads or writes until the socket would block, or remembers.

pub mod activation;
pub mod notify;

#[cfg(test)]
pub mod simulated;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "net/no_tls.rs")]
mod tls;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(test))]
use mio::net::TcpStream as Socket;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook_mio::v1_0::Signals;
#[cfg(test)]
use simulated::Socket;

pub use stream::{Progress, Stream, Trouble};
pub use tls::Handshake;

use crate::limits::EVENTS_PER_TURN_MAX;

const SIGNALS: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const FIRST_LISTENER: usize = usize::MAX / 2;

/// SIGINT and SIGTERM, on every system that has them.
const TERMINATION_SIGNALS: [i32; 2] = [2, 15];

/// SIGXFSZ: a file would outgrow its limit. Taken so that the write fails instead of the process.
const FILE_SIZE_SIGNAL: i32 = 25;

/// What became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The listener of this number has connections to accept.
    Listener(usize),
    /// A signal to terminate arrived.
    Termination,
    /// The stream registered under `key` became ready.
    Stream {
        /// The key it was registered under.
        key: usize,
        /// There is something to read, or the peer sends no more.
        readable: bool,
        /// There is room to write, or the connection is broken.
        writable: bool,
        /// Nothing more comes behind what is there to be read.
        ended: bool,
    },
}

/// The poll and what it watches.
pub struct Reactor {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    signals: Option<Signals>,
    /// There may be one only.
    waker: Option<Arc<Waker>>,
    /// What stands in for the kernel in a simulation.
    #[cfg(test)]
    network: Option<simulated::Network>,
}

impl Reactor {
    /// A reactor that watches nothing yet.
    pub fn new() -> io::Result<Self> {
        let events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        Ok(Self {
            poll: Poll::new()?,
            events,
            listeners: Vec::new(),
            signals: None,
            waker: None,
            #[cfg(test)]
            network: None,
        })
    }

    /// Listens on a port of `host`, or of all addresses of the machine: IPv6 and IPv4 where there is IPv6. Returns
    /// the address that was bound.
    pub fn listen(&mut self, host: Option<&str>, port: u16) -> io::Result<SocketAddr> {
        let listener = match host {
            Some(host) => first_bound((host, port).to_socket_addrs()?)?,
            None => {
                let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
                first_bound(any.into_iter().map(|address| SocketAddr::new(address, port)))?
            }
        };
        self.watch_listener(listener)
    }

    /// Listens on a socket that somebody else has opened. Returns its address.
    pub fn adopt(&mut self, listener: std::net::TcpListener) -> io::Result<SocketAddr> {
        listener.set_nonblocking(true)?;
        self.watch_listener(TcpListener::from_std(listener))
    }

    fn watch_listener(&mut self, mut listener: TcpListener) -> io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let token = Token(FIRST_LISTENER + self.listeners.len());
        self.poll.registry().register(&mut listener, token, Interest::READABLE)?;
        self.listeners.push(listener);
        Ok(address)
    }

    /// Reports SIGINT and SIGTERM as [`Ready::Termination`] from now on, instead of dying of them; does not die of
    /// SIGXFSZ either.
    pub fn watch_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::new(TERMINATION_SIGNALS.into_iter().chain([FILE_SIZE_SIGNAL]))?;
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Lets other threads end a wait; nothing is reported of it.
    pub fn waker(&mut self) -> io::Result<Arc<Waker>> {
        if let Some(waker) = &self.waker {
            return Ok(Arc::clone(waker));
        }
        let waker = Arc::new(Waker::new(self.poll.registry(), WAKER)?);
        self.waker = Some(Arc::clone(&waker));
        Ok(waker)
    }

    /// Accepts a connection of a listener; `None` if none is waiting.
    pub fn accept(&self, listener: usize) -> io::Result<Option<(Stream, SocketAddr)>> {
        #[cfg(test)]
        if let Some(network) = &self.network {
            return network.accept();
        }
        let Some(listener) = self.listeners.get(listener) else { return Ok(None) };
        loop {
            return match listener.accept() {
                Ok((stream, peer)) => Ok(Some((prepared(stream)?, peer))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                // The peer was gone before it was accepted, or a signal came: the next one may be fine.
                Err(error) if is_transient(&error) => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Watches a stream under a key of the caller's; dropping the stream ends it.
    pub fn register(&self, stream: &mut Stream, key: usize) -> io::Result<()> {
        debug_assert!(key < FIRST_LISTENER, "keys of streams are below those of listeners");
        self.poll.registry().register(stream.inner_mut(), Token(key), Interest::READABLE | Interest::WRITABLE)
    }

    /// Stops listening: new connections are refused from now on.
    pub fn close_listeners(&mut self) {
        self.listeners.clear();
        #[cfg(test)]
        if let Some(network) = &self.network {
            network.close_listener();
        }
    }

    /// Waits until something is ready or the time is up; what is ready is then in [`Reactor::ready`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // Whoever simulates waits by moving the clock.
        #[cfg(test)]
        let timeout = if self.network.is_some() { Some(Duration::ZERO) } else { timeout };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            outcome => outcome,
        }
    }

    /// What the last wait found ready.
    pub fn ready(&mut self) -> impl Iterator<Item = Ready> {
        #[cfg(test)]
        let simulated = self.network.as_ref().map(simulated::Network::ready).unwrap_or_default();
        let Self { events, signals, .. } = self;
        let ready = events.iter().filter_map(move |event| match event.token() {
            SIGNALS => {
                let arrived =
                    signals.as_mut().is_some_and(|signals| signals.pending().any(|signal| signal != FILE_SIZE_SIGNAL));
                arrived.then_some(Ready::Termination)
            }
            WAKER => None,
            Token(token) if token >= FIRST_LISTENER => Some(Ready::Listener(token - FIRST_LISTENER)),
            Token(key) => {
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                Some(Ready::Stream { key, readable, writable, ended: event.is_read_closed() })
            }
        });
        #[cfg(test)]
        let ready = simulated.into_iter().chain(ready);
        ready
    }
}

/// Lets the process open as many descriptors as it may: the soft limit is often 1024, far below the connections that
/// the loop can serve. Go's runtime does the same. Without effect where there is no such limit.
pub fn raise_descriptor_limit() {
    // If it cannot be raised the loop gets by with what there is: it stops accepting and says so.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// How many descriptors the process may have, if there is such a limit and it is known.
pub fn descriptor_limit() -> Option<u64> {
    rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft)
}

fn prepared(stream: TcpStream) -> io::Result<Stream> {
    // Answers are written whole; waiting to fill a segment would only delay them.
    stream.set_nodelay(true)?;
    Ok(Stream::new(stream))
}

fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn first_bound(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}
