//! One connection's socket, what it is known to be ready for, and the TLS on it, if there is any.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use super::Socket;
use super::tls::{Handshake, Tls};
use crate::limits::TLS_OUTPUT_BYTES_MAX;

/// What came of an attempt to read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes went through.
    Bytes(usize),
    /// Nothing now: the reactor will say when.
    Blocked,
    /// The peer sends no more, or the connection is broken.
    Ended,
}

/// Why a connection that is to be encrypted is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It begins with something else.
    NotTls([u8; 5]),
    /// The handshake failed, or a record is damaged.
    Tls(String),
}

/// A connected socket.
#[derive(Debug)]
pub struct Stream {
    inner: Socket,
    /// Whether a read may find something; edge-triggered readiness is told only once.
    pub is_readable: bool,
    /// Whether a write may find room.
    pub is_writable: bool,
    /// The reactor told of the end of the input: it stands behind the bytes, and is not told of again.
    pub has_end: bool,
    tls: Option<Tls>,
    trouble: Option<Trouble>,
    /// Nothing more is sent, as soon as the peer has been told.
    is_closing: bool,
}

impl Stream {
    pub(super) fn new(inner: impl Into<Socket>) -> Self {
        Self {
            inner: inner.into(),
            is_readable: false,
            is_writable: true,
            has_end: false,
            tls: None,
            trouble: None,
            is_closing: false,
        }
    }

    /// Speaks TLS from now on. To be called before anything is read or written.
    pub fn secure(&mut self, handshake: &Handshake) -> io::Result<()> {
        self.tls = Some(Tls::new(handshake)?);
        Ok(())
    }

    /// Whether nothing can be read or written yet.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::is_handshaking)
    }

    /// Why there is no TLS on it, told once, after a read that [`Progress::Ended`]. What is written from then on goes
    /// out as it is, and nothing is read.
    pub fn take_trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    pub(super) fn inner_mut(&mut self) -> &mut Socket {
        &mut self.inner
    }

    /// Reads what is there into a buffer of `READ_BYTES`; no bytes are no end: there may be more. A read that does not fill the buffer has emptied the socket, but for the end of the input.
    pub fn read(&mut self, into: &mut [u8]) -> Progress {
        if self.tls.is_some() {
            return self.read_secured(into);
        }
        loop {
            match self.inner.read(into) {
                Ok(0) => return Progress::Ended,
                Ok(read) => {
                    self.is_readable = read == into.len() || self.has_end;
                    return Progress::Bytes(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    return Progress::Blocked;
                }
                Err(_) => return Progress::Ended,
            }
        }
    }

    // Apart, so that reads without TLS do not have its buffers on the stack.
    #[inline(never)]
    fn read_secured(&mut self, into: &mut [u8]) -> Progress {
        let Some(tls) = &mut self.tls else { return Progress::Ended };
        let mut is_drained = false;
        match tls.read(&mut self.inner, into, &mut is_drained) {
            Ok(progress) => {
                // The end stands behind the bytes, and is not told of again.
                self.is_readable = !is_drained;
                progress
            }
            Err(trouble) => {
                self.trouble = Some(trouble);
                Progress::Ended
            }
        }
    }

    /// How much a call of [`Stream::write`] takes at most, bytes.
    pub fn write_bytes_max(&self) -> usize {
        if self.tls.is_some() { TLS_OUTPUT_BYTES_MAX } else { usize::MAX }
    }

    /// Writes as much of these pieces, one behind the other, as there is room for.
    pub fn write(&mut self, pieces: &[IoSlice<'_>]) -> Progress {
        if let Some(tls) = &mut self.tls {
            let progress = tls.write(&mut self.inner, pieces);
            self.is_writable &= progress != Progress::Blocked;
            return progress;
        }
        loop {
            let outcome = match pieces {
                [piece] => self.inner.write(piece),
                pieces => self.inner.write_vectored(pieces),
            };
            match outcome {
                Ok(written) => return Progress::Bytes(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    return Progress::Blocked;
                }
                Err(_) => return Progress::Ended,
            }
        }
    }

    /// Memory that TLS holds for what comes in, bytes.
    pub fn received_bytes(&self) -> usize {
        self.tls.as_ref().map_or(0, Tls::received_bytes)
    }

    /// Memory that TLS holds of what was written, bytes.
    pub fn unsent_bytes(&self) -> usize {
        self.tls.as_ref().map_or(0, Tls::unsent_bytes)
    }

    /// Whether nothing that was written is still here.
    pub fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(Tls::is_flushed)
    }

    /// Writes what was written and is still here: all of it, or `Blocked`.
    pub fn flush(&mut self) -> Progress {
        let Some(tls) = &mut self.tls else { return Progress::Bytes(0) };
        let progress = tls.flush(&mut self.inner);
        match progress {
            Progress::Blocked => self.is_writable = false,
            Progress::Bytes(_) if self.is_closing => self.shutdown_socket(),
            _ => {}
        }
        progress
    }

    /// Tells the peer that nothing more is sent.
    pub fn shutdown_write(&mut self) {
        self.is_closing = true;
        if self.tls.as_mut().is_none_or(|tls| tls.say_goodbye(&mut self.inner)) {
            self.shutdown_socket();
        }
    }

    /// Says goodbye, if there is a way to, to a peer that is let go of at once.
    pub fn leave(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye(&mut self.inner);
        }
    }

    fn shutdown_socket(&mut self) {
        self.is_closing = false;
        // A connection that is broken already needs no telling.
        let _ = self.inner.shutdown(Shutdown::Write);
    }
}
