//! Deadlines and budgets of TLS handshakes, with the clock moved by hand.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::app::{App, Settings};
use crate::cli::address::ListenAddress;
use crate::limits::{HANDSHAKES_PER_TURN_MAX, HEAD_TIME_MAX, IDLE_TIME_MAX};
use crate::log::{Format, Level, Logger};
use crate::model::time::Timestamp;

/// The beginning of a hello: its record is longer.
const HALF: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

/// A server with TLS, on files of its own.
struct Bench {
    server: Server,
    address: SocketAddr,
    folder: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("pushgateway-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let key = KeyPair::generate().expect("a key can be made");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let cert = params.self_signed(&key).expect("a certificate can be made");
        let text = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n".to_owned();
        for (file, text) in [("cert.pem", cert.pem()), ("key.pem", key.serialize_pem()), ("web.yml", text)] {
            fs::write(folder.join(file), text).expect("a file can be written");
        }
        let settings = Settings::plain(Timestamp(0));
        let log = Logger::stderr(Level::Error, Format::Logfmt);
        let mut server = Server::new(App::new(settings, log)).expect("a server can be made");
        let opened = Watch::open(&folder.join("web.yml"), SystemTime::now()).expect("the files are good");
        server.guard(opened.0, &opened.1, opened.2, false).expect("it can be guarded");
        let address = server.listen(&ListenAddress::parse("127.0.0.1:0").expect("an address")).expect("a free port");
        Self { server, address, folder }
    }

    /// Some turns, so that everything that was sent has arrived.
    fn turns(&mut self) {
        for _ in 0..20 {
            self.server.turn(Some(Duration::from_millis(5))).expect("the loop turns");
        }
    }

    /// Whether the only session would be late after this time.
    fn is_late(&mut self, begin: Instant, after: Duration) -> bool {
        let (_, session) = self.server.sessions.iter_mut().next().expect("there is a session");
        session.late(begin + after).is_some()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Half a handshake has to end like half a head: no byte of it renews the patience.
#[test]
fn handshakes_have_to_end() {
    let mut bench = Bench::new("handshakes");
    let mut peer = TcpStream::connect(bench.address).expect("the server listens");
    bench.turns();
    let begin = Instant::now();
    let slack = Duration::from_secs(2);
    assert!(!bench.is_late(begin, HEAD_TIME_MAX - slack));
    assert!(bench.is_late(begin, HEAD_TIME_MAX), "silence is not waited for as between requests");
    peer.write_all(HALF).expect("the server reads");
    bench.turns();
    for _ in 0..10 {
        peer.write_all(&[0; 10]).expect("the server reads");
        bench.turns();
    }
    assert!(Instant::now() > begin + Duration::from_millis(500), "time has passed");
    assert!(bench.is_late(begin, HEAD_TIME_MAX), "its bytes did not renew the patience");
    // It is let go of, too.
    bench.server.next_sweep = Instant::now();
    let key = bench.server.sessions.iter().next().map(|(key, _)| key).expect("there is a session");
    bench.server.close(key);
    // An alert at most, then the end.
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).expect("the connection is closed");
    assert!(rest.first().is_none_or(|byte| *byte == 21), "{}", rest.escape_ascii());
}

/// Behind the handshake a connection may be idle like any other.
#[test]
fn patience_is_that_of_plain_connections_behind_it() {
    let mut bench = Bench::new("patience");
    let address = bench.address;
    let ca = bench.folder.join("cert.pem");
    let peer = std::thread::spawn(move || {
        let mut roots = rustls::RootCertStore::empty();
        use rustls::pki_types::pem::PemObject as _;
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(ca).expect("a certificate")).expect("it is good");
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("there are versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let mut connection = rustls::ClientConnection::new(config.into(), name).expect("a connection");
        let mut socket = TcpStream::connect(address).expect("the server listens");
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).expect("the handshake is fine");
        }
        (connection, socket)
    });
    while !peer.is_finished() {
        bench.turns();
    }
    bench.turns();
    let begin = Instant::now();
    assert!(!bench.is_late(begin, IDLE_TIME_MAX - Duration::from_secs(5)));
    assert!(bench.is_late(begin, IDLE_TIME_MAX));
    drop(peer.join());
}

/// A crowd that says hello at once is served over several turns.
#[test]
fn a_turn_makes_few_handshakes() {
    let mut bench = Bench::new("crowd");
    let crowd: Vec<TcpStream> = (0..3 * HANDSHAKES_PER_TURN_MAX)
        .map(|_| {
            let mut peer = TcpStream::connect(bench.address).expect("the server listens");
            peer.write_all(HALF).expect("the server reads");
            peer
        })
        .collect();
    let mut unfinished = 0;
    for _ in 0..20 {
        bench.server.turn(Some(Duration::from_millis(20))).expect("the loop turns");
        unfinished += usize::from(!bench.server.ready.is_empty());
    }
    assert_eq!((bench.server.sessions.len(), bench.server.ready.is_empty()), (crowd.len(), true));
    assert!(unfinished >= 2, "{unfinished}");
}
