//! The floor: the least that an HTTP server can do. What it cannot do faster, the kernel and the machine do not allow.
//!
//! It answers an empty 200 to every request whose head and `Content-Length` body have arrived, and to a GET the content
//! of a file, which it keeps in memory. No routes, no parsing of bodies, no store, no bounds; not for anything but `bench`.
//!
//! usage: floor PORT [FILE]

use std::io::{self, Read, Write};

use memchr::memmem;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX - 1);
const READ_BYTES: usize = 64 << 10;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// How many bytes of a large body are still to come, which are thrown away.
    skipped: usize,
    /// What is left of the file that was asked for.
    file_left: usize,
    closes: bool,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).expect("usage: floor PORT [FILE]");
    let file = arguments.next().map(std::fs::read).transpose()?.unwrap_or_default();
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&poll, &listener, &mut connections, &mut free)?;
                continue;
            }
            let at = event.token().0;
            let Some(connection) = &mut connections[at] else { continue };
            if !connection.turn(&mut buffer, &file).unwrap_or(false) {
                connections[at] = None;
                free.push(at);
            } else if connection.file_left > 0 {
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().reregister(&mut connection.stream, Token(at), both)?;
            }
        }
    }
}

fn accept(
    poll: &Poll,
    listener: &TcpListener,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        let at = free.pop().unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        connections[at] = Some(Connection { stream, input: Vec::new(), skipped: 0, file_left: 0, closes: false });
    }
    Ok(())
}

impl Connection {
    /// Reads and answers what there is; whether the connection goes on.
    fn turn(&mut self, buffer: &mut [u8], file: &[u8]) -> io::Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.take(&buffer[..read], file)?;
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.send(file)?;
        Ok(!self.closes || self.file_left > 0)
    }

    /// Answers the requests that these bytes complete. Whole requests are not copied, nor are bodies that are longer
    /// than a read.
    fn take(&mut self, mut bytes: &[u8], file: &[u8]) -> io::Result<()> {
        if self.skipped > 0 {
            let skipped = self.skipped.min(bytes.len());
            self.skipped -= skipped;
            bytes = &bytes[skipped..];
            if self.skipped > 0 {
                return Ok(());
            }
            self.answer()?;
        }
        if !self.input.is_empty() {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            return self.requests(&input, file);
        }
        self.requests(bytes, file)
    }

    /// Answers requests and keeps the rest.
    fn requests(&mut self, mut bytes: &[u8], file: &[u8]) -> io::Result<()> {
        while let Some(end) = memmem::find(bytes, b"\r\n\r\n") {
            let head = &bytes[..end];
            let length = match memmem::find(head, b"Content-Length: ") {
                Some(at) => head[at + 16..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .fold(0, |number, digit| number * 10 + usize::from(digit - b'0')),
                None => 0,
            };
            self.closes = memmem::find(head, b"Connection: close").is_some();
            let whole = end + 4 + length;
            if bytes.len() < whole {
                if length > READ_BYTES {
                    self.skipped = whole - bytes.len();
                    return Ok(());
                }
                break;
            }
            if bytes[0] == b'G' && !file.is_empty() {
                self.file_left = file.len();
                self.stream
                    .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len()).as_bytes())?;
            } else {
                self.answer()?;
            }
            bytes = &bytes[whole..];
        }
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    fn answer(&mut self) -> io::Result<()> {
        let answer: &[u8] = if self.closes {
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        };
        self.stream.write_all(answer)
    }

    /// Writes as much of the file as the socket takes.
    fn send(&mut self, file: &[u8]) -> io::Result<()> {
        while self.file_left > 0 {
            match self.stream.write(&file[file.len() - self.file_left..]) {
                Ok(written) => self.file_left -= written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
