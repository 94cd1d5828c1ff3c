//! One connection's socket, and what it is known to be ready for.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

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

/// A connected socket.
#[derive(Debug)]
pub struct Stream {
    inner: TcpStream,
    /// Whether a read may find something; edge-triggered readiness is told only once.
    pub is_readable: bool,
    /// Whether a write may find room.
    pub is_writable: bool,
    /// The reactor told of the end of the input: it stands behind the bytes, and is not told of again.
    pub has_end: bool,
}

impl Stream {
    pub(super) fn new(inner: TcpStream) -> Self {
        Self { inner, is_readable: false, is_writable: true, has_end: false }
    }

    pub(super) fn inner_mut(&mut self) -> &mut TcpStream {
        &mut self.inner
    }

    /// Reads what is there. A read that does not fill the buffer has emptied the socket, but for the end of the input.
    pub fn read(&mut self, into: &mut [u8]) -> Progress {
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

    /// Writes as much of these pieces, one behind the other, as there is room for.
    pub fn write(&mut self, pieces: &[IoSlice<'_>]) -> Progress {
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

    /// Tells the peer that nothing more is sent.
    pub fn shutdown_write(&mut self) {
        // A connection that is broken already needs no telling.
        let _ = self.inner.shutdown(Shutdown::Write);
    }
}
