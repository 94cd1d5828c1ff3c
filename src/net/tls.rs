//! TLS between a socket and whoever reads and writes: rustls, which does no IO of its own.
//!
//! Handshakes happen inside reads. Plaintext is handed out as soon as it is there, so that none is kept; ciphertext that
//! the socket has no room for is kept, up to a bound, and goes out in front of everything else.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::stream::{Progress, Trouble};
use crate::limits::{READ_BYTES, TLS_OUTPUT_BYTES_MAX, TLS_READ_BYTES, TLS_RECORD_BYTES_MAX};

/// Everything that handshakes share.
pub type Handshake = Arc<ServerConfig>;

/// The first byte of every handshake: a record of that type.
const HANDSHAKE_RECORD: u8 = 22;

/// The TLS side of one connection.
#[derive(Debug)]
pub(super) struct Tls {
    connection: Box<ServerConnection>,
    state: State,
    /// The peer announced the end of what it sends.
    has_peer_closed: bool,
    /// Bytes that were taken in since something last came of them: a part of a record, or of a hello.
    unfinished_bytes: usize,
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first bytes have been seen; so many of them are there.
    First { bytes: [u8; 5], len: usize },
    /// Bytes go through TLS.
    Secured,
    /// What the peer sends is not TLS, or breaks its rules. Bytes go past TLS: what is read is to be discarded.
    Failed,
}

impl Tls {
    pub(super) fn new(handshake: &Handshake) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(handshake)).map_err(io::Error::other)?;
        let mut connection = Box::new(connection);
        connection.set_buffer_limit(Some(TLS_OUTPUT_BYTES_MAX));
        Ok(Self {
            connection,
            state: State::First { bytes: [0; 5], len: 0 },
            has_peer_closed: false,
            unfinished_bytes: 0,
        })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.state != State::Failed && self.connection.is_handshaking()
    }

    /// Memory held for what comes in and is not complete, bytes.
    pub(super) fn received_bytes(&self) -> usize {
        size_of::<ServerConnection>() + self.unfinished_bytes
    }

    /// Memory held for what waits for room, bytes.
    pub(super) fn unsent_bytes(&self) -> usize {
        if self.is_flushed() { 0 } else { TLS_OUTPUT_BYTES_MAX }
    }

    /// Whether ciphertext waits for room.
    pub(super) fn is_flushed(&self) -> bool {
        !self.connection.wants_write()
    }

    // ---- reading ----

    /// Reads and decrypts, a bounded amount; `Bytes(0)` if that made no plaintext. `is_drained` tells whether the socket has nothing more.
    pub(super) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        into: &mut [u8],
        is_drained: &mut bool,
    ) -> Result<Progress, Trouble> {
        const { assert!(TLS_READ_BYTES + TLS_RECORD_BYTES_MAX <= READ_BYTES, "what was read has to fit, decrypted") };
        let mut raw = [0; TLS_READ_BYTES];
        let mut taken = 0;
        let mut raw_taken = 0;
        *is_drained = false;
        while !self.has_peer_closed && raw_taken < READ_BYTES {
            // What is decrypted is what was read, and a record of which the beginning was there.
            if into.len() - taken < TLS_READ_BYTES + TLS_RECORD_BYTES_MAX {
                break;
            }
            let read = match read_some(socket, &mut raw) {
                Progress::Bytes(read) => read,
                Progress::Blocked => {
                    *is_drained = true;
                    break;
                }
                Progress::Ended if taken > 0 => break,
                progress => return Ok(progress),
            };
            raw_taken += read;
            if self.state != State::Failed {
                taken += self.receive(socket, &raw[..read], &mut into[taken..])?;
            }
        }
        Ok(match taken {
            0 if self.has_peer_closed => Progress::Ended,
            0 if *is_drained => Progress::Blocked,
            taken => Progress::Bytes(taken),
        })
    }

    /// Takes bytes of the socket; how much plaintext came of them.
    fn receive(&mut self, socket: &mut impl Write, mut raw: &[u8], into: &mut [u8]) -> Result<usize, Trouble> {
        if let State::First { bytes, len } = &mut self.state {
            let more = raw.len().min(bytes.len() - *len);
            bytes[*len..*len + more].copy_from_slice(&raw[..more]);
            *len += more;
            if bytes[0] != HANDSHAKE_RECORD {
                if *len < bytes.len() {
                    return Ok(0);
                }
                let first = *bytes;
                self.state = State::Failed;
                return Err(Trouble::NotTls(first));
            }
            // With this first byte nothing was held back: it came just now.
            self.state = State::Secured;
        }
        let mut taken = 0;
        self.unfinished_bytes += raw.len();
        while !raw.is_empty() {
            self.connection.read_tls(&mut raw).map_err(|error| self.failed(socket, &error))?;
            let state = self.connection.process_new_packets().map_err(|error| self.failed(socket, &error))?;
            self.has_peer_closed |= state.peer_has_closed();
            while let Ok(read @ 1..) = self.connection.reader().read(&mut into[taken..]) {
                taken += read;
            }
        }
        if taken > 0 || self.connection.wants_write() {
            self.unfinished_bytes = 0;
        } else if !self.connection.is_handshaking() {
            self.unfinished_bytes = self.unfinished_bytes.min(TLS_RECORD_BYTES_MAX);
        }
        // What the handshake has to say must not wait for somebody to write.
        self.flush(socket);
        Ok(taken)
    }

    /// Gives up; the peer is told why as far as there is room.
    fn failed(&mut self, socket: &mut impl Write, error: &dyn std::fmt::Display) -> Trouble {
        self.flush(socket);
        self.state = State::Failed;
        Trouble::Tls(error.to_string())
    }

    // ---- writing ----

    /// Encrypts and writes as much of these pieces as there is room for.
    pub(super) fn write(&mut self, socket: &mut impl Write, pieces: &[IoSlice<'_>]) -> Progress {
        if self.state == State::Failed {
            return write_some(socket, pieces);
        }
        match self.flush(socket) {
            Progress::Bytes(_) => {}
            progress => return progress,
        }
        let written = match self.connection.writer().write_vectored(pieces) {
            Ok(written) => written,
            Err(_) => return Progress::Ended,
        };
        match self.flush(socket) {
            Progress::Ended => Progress::Ended,
            Progress::Bytes(_) | Progress::Blocked => Progress::Bytes(written),
        }
    }

    /// Writes ciphertext that waits: all of it, or `Blocked`.
    pub(super) fn flush(&mut self, socket: &mut impl Write) -> Progress {
        let mut total = 0;
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(written) => total += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Blocked,
                Err(_) => return Progress::Ended,
            }
        }
        Progress::Bytes(total)
    }

    /// Tells the peer that nothing more is sent; whether that has gone out, so that the socket may be told, too.
    pub(super) fn say_goodbye(&mut self, socket: &mut impl Write) -> bool {
        if self.state == State::Secured {
            self.connection.send_close_notify();
        }
        self.flush(socket) != Progress::Blocked
    }
}

fn read_some(socket: &mut impl Read, into: &mut [u8]) -> Progress {
    loop {
        match socket.read(into) {
            Ok(0) => return Progress::Ended,
            Ok(read) => return Progress::Bytes(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Blocked,
            Err(_) => return Progress::Ended,
        }
    }
}

fn write_some(socket: &mut impl Write, pieces: &[IoSlice<'_>]) -> Progress {
    loop {
        match socket.write_vectored(pieces) {
            Ok(written) => return Progress::Bytes(written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Blocked,
            Err(_) => return Progress::Ended,
        }
    }
}

#[cfg(test)]
mod tests;
