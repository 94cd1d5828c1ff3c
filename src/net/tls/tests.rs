//! The TLS side against rustls' own client, over a pipe in memory that can be made to stall.

use std::collections::VecDeque;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;

/// The server's end of a pipe.
#[derive(Default)]
struct Pipe {
    to_server: VecDeque<u8>,
    to_client: Vec<u8>,
    /// How much the server may still write.
    room: usize,
    is_over: bool,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.to_server.is_empty() && !self.is_over {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to_server.read(into)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = bytes.len().min(self.room);
        self.room -= written;
        self.to_client.extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends and what is between them.
struct Pair {
    server: Tls,
    client: ClientConnection,
    pipe: Pipe,
    received: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let cert = params.self_signed(&key).expect("a certificate can be made").der().clone();
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("there are versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.clone()], PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
            .expect("they fit");
        let mut roots = RootCertStore::empty();
        roots.add(cert).expect("a certificate");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("there are versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        Self {
            server: Tls::new(&Arc::new(server)).expect("a connection"),
            client: ClientConnection::new(Arc::new(client), name).expect("a connection"),
            pipe: Pipe { room: usize::MAX, ..Pipe::default() },
            received: Vec::new(),
        }
    }

    /// Moves bytes both ways, `step` at a time towards the server, until nothing moves; what the server says last.
    fn run(&mut self, step: usize) -> Result<Progress, Trouble> {
        let mut into = vec![0; READ_BYTES];
        loop {
            let mut sent = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut sent).expect("memory takes all");
            }
            let mut last = Ok(Progress::Blocked);
            let has_moved = !sent.is_empty() || !self.pipe.to_client.is_empty();
            for piece in sent.chunks(step.max(1)) {
                self.pipe.to_server.extend(piece);
                loop {
                    last = self.server.read(&mut self.pipe, &mut into, &mut false);
                    match last {
                        Ok(Progress::Bytes(read)) => self.received.extend_from_slice(&into[..read]),
                        _ => break,
                    }
                }
                last.as_ref().map_err(Clone::clone)?;
            }
            let mut incoming = &self.pipe.to_client[..];
            while !incoming.is_empty() {
                self.client.read_tls(&mut incoming).expect("the client reads");
                self.client.process_new_packets().expect("the server keeps the rules");
            }
            self.pipe.to_client.clear();
            if !has_moved {
                return last;
            }
        }
    }

    fn read_by_client(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        let _ = self.client.reader().read_to_end(&mut read);
        read
    }
}

#[test]
fn bytes_go_both_ways_however_they_are_cut() {
    for step in [1, 7, 1000, usize::MAX] {
        let mut pair = Pair::new();
        assert!(pair.server.is_handshaking());
        assert_eq!(pair.run(step), Ok(Progress::Blocked));
        assert!(!pair.server.is_handshaking());
        let text: Vec<u8> = (0..50_000_u32).map(|at| (at % 251) as u8).collect();
        pair.client.writer().write_all(&text).expect("it is taken");
        assert_eq!(pair.run(step), Ok(Progress::Blocked), "{step}");
        assert!(pair.received == text, "{step}");
        let pieces = [IoSlice::new(b"first "), IoSlice::new(b"second")];
        assert_eq!(pair.server.write(&mut pair.pipe, &pieces), Progress::Bytes(12));
        pair.run(step).expect("nothing is wrong");
        assert_eq!(pair.read_by_client(), b"first second");
    }
}

#[test]
fn a_peer_that_does_not_read_costs_a_bounded_amount() {
    let mut pair = Pair::new();
    pair.run(usize::MAX).expect("the handshake is fine");
    pair.pipe.room = 0;
    let text = vec![b'x'; 1 << 20];
    let Progress::Bytes(taken) = pair.server.write(&mut pair.pipe, &[IoSlice::new(&text)]) else {
        panic!("one record is taken ahead")
    };
    assert!(taken <= TLS_OUTPUT_BYTES_MAX && !pair.server.is_flushed());
    for _ in 0..10 {
        assert_eq!(pair.server.write(&mut pair.pipe, &[IoSlice::new(&text)]), Progress::Blocked);
        assert_eq!(pair.server.flush(&mut pair.pipe), Progress::Blocked);
    }
    pair.pipe.room = usize::MAX;
    assert!(matches!(pair.server.flush(&mut pair.pipe), Progress::Bytes(sent) if sent > taken));
    pair.run(usize::MAX).expect("nothing is wrong");
    assert_eq!(pair.read_by_client().len(), taken);
}

#[test]
fn the_end_is_announced_and_understood() {
    let mut pair = Pair::new();
    pair.run(usize::MAX).expect("the handshake is fine");
    pair.client.writer().write_all(b"last").expect("it is taken");
    pair.client.send_close_notify();
    pair.run(usize::MAX).expect("nothing is wrong");
    assert_eq!(pair.received, b"last");
    let mut into = vec![0; READ_BYTES];
    assert_eq!(pair.server.read(&mut pair.pipe, &mut into, &mut false), Ok(Progress::Ended));
    // The other way is still open.
    assert_eq!(pair.server.write(&mut pair.pipe, &[IoSlice::new(b"answer")]), Progress::Bytes(6));
    assert!(pair.server.say_goodbye(&mut pair.pipe));
    pair.run(usize::MAX).expect("nothing is wrong");
    assert_eq!(pair.read_by_client(), b"answer");
}

#[test]
fn the_end_of_the_socket_is_an_end() {
    let mut pair = Pair::new();
    pair.run(usize::MAX).expect("the handshake is fine");
    pair.pipe.is_over = true;
    let mut into = vec![0; READ_BYTES];
    assert_eq!(pair.server.read(&mut pair.pipe, &mut into, &mut false), Ok(Progress::Ended));
}

#[test]
fn what_is_not_tls_is_told_by_its_first_bytes() {
    for cuts in [&[100][..], &[1, 100], &[4, 1, 100]] {
        let mut pair = Pair::new();
        let mut into = vec![0; READ_BYTES];
        let mut rest = &b"GET / HTTP/1.1\r\n"[..];
        let mut outcome = Ok(Progress::Blocked);
        for cut in cuts {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pair.pipe.to_server.extend(piece);
            rest = after;
            if outcome.is_ok() {
                outcome = pair.server.read(&mut pair.pipe, &mut into, &mut false);
            }
        }
        assert_eq!(outcome, Err(Trouble::NotTls(*b"GET /")), "{cuts:?}");
        assert!(!pair.server.is_handshaking());
        // From now on bytes go as they are, and what comes is discarded.
        assert_eq!(pair.server.write(&mut pair.pipe, &[IoSlice::new(b"plain")]), Progress::Bytes(5));
        assert_eq!(pair.pipe.to_client, b"plain");
        pair.pipe.to_server.extend(vec![b'x'; 3 * READ_BYTES]);
        let mut is_drained = false;
        assert_eq!(pair.server.read(&mut pair.pipe, &mut into, &mut is_drained), Ok(Progress::Bytes(0)));
        assert!(!is_drained);
        while !is_drained {
            let read = pair.server.read(&mut pair.pipe, &mut into, &mut is_drained);
            assert!(matches!(read, Ok(Progress::Bytes(0) | Progress::Blocked)));
        }
    }
}

#[test]
fn damage_ends_it_with_an_alert() {
    let mut pair = Pair::new();
    pair.run(usize::MAX).expect("the handshake is fine");
    pair.pipe.to_server.extend([23, 3, 3, 0, 20]);
    pair.pipe.to_server.extend([0; 20]);
    let mut into = vec![0; READ_BYTES];
    let outcome = pair.server.read(&mut pair.pipe, &mut into, &mut false);
    assert!(matches!(outcome, Err(Trouble::Tls(_))), "{outcome:?}");
    assert!(!pair.pipe.to_client.is_empty(), "the peer is told");
}

#[test]
fn records_without_content_do_not_hold_up_the_loop() {
    let mut pair = Pair::new();
    pair.run(usize::MAX).expect("the handshake is fine");
    // A record that is no end: its length is announced, the rest trickles in.
    pair.pipe.to_server.extend([23, 3, 3, 0x40, 0]);
    let mut into = vec![0; READ_BYTES];
    assert_eq!(pair.server.read(&mut pair.pipe, &mut into, &mut false), Ok(Progress::Blocked));
    // Hellos without end before a handshake: each read is bounded, whatever the socket has.
    let mut pair = Pair::new();
    pair.pipe.to_server.extend([22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff]);
    pair.pipe.to_server.extend(std::iter::repeat_n(0, 10 * READ_BYTES));
    let outcome = pair.server.read(&mut pair.pipe, &mut into, &mut false);
    assert!(matches!(outcome, Err(Trouble::Tls(_))), "{outcome:?}");
    assert!(pair.pipe.to_server.len() >= 9 * READ_BYTES);
}
