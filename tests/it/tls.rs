//! TLS (`--web.config.file`) with real peers: curl, OpenSSL, Python's ssl.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rcgen::SanType;

use crate::pki::{Authority, Identity, ia5};
use crate::server::Server;
use crate::tools::{Scratch, run, said};
use crate::wire;

/// A gateway with a certificate of its own, and what its peers need.
struct Secured {
    folder: Scratch,
    authority: Authority,
    server: Server,
}

impl Secured {
    /// Starts it with further lines of `tls_server_config`.
    fn start(lines: &[&str]) -> Secured {
        Secured::start_with(lines, |_| {})
    }

    /// The same; `prepare` may put files into the folder first.
    fn start_with(lines: &[&str], prepare: impl FnOnce(&Scratch)) -> Secured {
        let folder = Scratch::new("tls");
        let authority = Authority::new(&folder, "ca");
        authority.server(&folder, "server");
        prepare(&folder);
        let file = folder.file("web.yml", config(lines));
        let server = Server::spawn(&[&format!("--web.config.file={}", file.display()), "--log.level=debug"]);
        Secured { folder, authority, server }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.addr.port())
    }

    /// Runs curl, which trusts the authority.
    fn curl(&self, args: &[&str], path: &str, input: &[u8]) -> Output {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "30", "--cacert"]).arg(&self.authority.file);
        run(command.args(args).arg(self.url(path)), input, "apt-get install curl")
    }

    /// Whether curl gets through with these arguments.
    fn serves(&self, args: &[&str]) -> bool {
        self.curl(args, "/-/ready", b"").status.success()
    }

    /// What OpenSSL's client says, and whether it got through.
    fn openssl(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &self.server.addr.to_string(), "-servername", "localhost", "-CAfile"]);
        run(command.arg(&self.authority.file).args(args), input, "apt-get install openssl")
    }

    /// Runs a Python script that finds `connect()` and what is below.
    fn python(&self, script: &str) -> String {
        let prelude = "import socket, ssl, sys, time\n\
            port, ca = int(sys.argv[1]), sys.argv[2]\n\
            def connect():\n\
            \x20   context = ssl.create_default_context(cafile=ca)\n\
            \x20   raw = socket.create_connection(('127.0.0.1', port), timeout=30)\n\
            \x20   return context.wrap_socket(raw, server_hostname='localhost', suppress_ragged_eofs=False)\n";
        let mut command = Command::new("python3");
        command.arg("-c").arg(format!("{prelude}{script}")).arg(self.server.addr.port().to_string());
        let output = run(command.arg(&self.authority.file), b"", "apt-get install python3");
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Replaces a file at once, as configuration tools do, and gives the gateway the time to notice.
    fn replace(&self, name: &str, content: &[u8]) {
        let path = self.folder.file("new", content);
        fs::rename(path, self.folder.0.join(name)).expect("a file can be renamed");
        thread::sleep(Duration::from_millis(300));
    }
}

fn config(lines: &[&str]) -> String {
    let mut text = String::from("tls_server_config:\n  cert_file: server-cert.pem\n  key_file: server-key.pem\n");
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("the file is there")
}

#[test]
fn versions_are_bounded() {
    let check = |lines: &[&str], tls12: bool, tls13: bool| {
        let gateway = Secured::start(lines);
        assert_eq!(gateway.serves(&["--tls-max", "1.2"]), tls12, "TLS 1.2 with {lines:?}");
        assert_eq!(gateway.serves(&["--tlsv1.3"]), tls13, "TLS 1.3 with {lines:?}");
        let old = gateway.openssl(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], b"");
        assert!(!old.status.success(), "TLS 1.1 with {lines:?}: {}", said(&old));
    };
    check(&[], true, true);
    check(&["max_version: TLS12"], true, false);
    check(&["min_version: TLS13"], false, true);
    check(&["cipher_suites: [TLS_AES_128_GCM_SHA256]"], false, true);
}

#[test]
fn suites_curves_and_protocols_are_chosen() {
    let gateway = Secured::start(&[
        "max_version: TLS12",
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
        "curve_preferences: [CurveP384]",
    ]);
    let check = |args: &[&str], expected: bool| {
        let output = gateway.openssl(args, b"");
        assert_eq!(output.status.success(), expected, "{args:?}: {}", said(&output));
    };
    check(&["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], true);
    check(&["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], false);
    check(&["-cipher", "ECDHE-ECDSA-AES128-SHA"], false);
    check(&["-cipher", "AES128-GCM-SHA256"], false);
    // The certificate's own curve has to be among those that the client knows, too.
    check(&["-curves", "P-256:P-384"], true);
    check(&["-curves", "P-256"], false);
    let protocols = gateway.openssl(&["-alpn", "h2,http/1.1"], b"");
    assert!(said(&protocols).contains("ALPN protocol: http/1.1"), "{}", said(&protocols));
    check(&["-alpn", "h2"], false);
    check(&[], true);
}

/// An RSA key works as well as those on curves.
#[test]
fn a_key_of_rsa_serves() {
    let gateway = Secured::start_with(&["cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]"], |folder| {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
        command.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:false"]);
        command.arg("-out").arg(folder.0.join("server-cert.pem"));
        let output = run(command.arg("-keyout").arg(folder.0.join("server-key.pem")), b"", "apt-get install openssl");
        assert!(output.status.success(), "{}", said(&output));
    });
    let cert = gateway.folder.0.join("server-cert.pem").display().to_string();
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let args = [version, &["--cacert", &cert]].concat();
        assert!(gateway.serves(&args), "{version:?}");
    }
}

/// The four kinds of `client_auth_type`, each with no certificate, one that nobody vouches for, and a good one.
#[test]
fn clients_show_certificates() {
    let check = |kind: &str, none: bool, stranger: bool, known: bool| {
        let verifies = kind.starts_with("Verify") || kind == "RequireAndVerifyClientCert";
        let auth = format!("client_auth_type: {kind}");
        let lines = [&*auth, "client_ca_file: clients.pem"];
        let gateway = Secured::start_with(if verifies { &lines } else { &lines[..1] }, |folder| {
            let clients = Authority::new(folder, "clients");
            clients.client(folder, "known", Vec::new());
            Authority::new(folder, "others").client(folder, "stranger", Vec::new());
        });
        let with = |name: &str| {
            let path = |part: &str| gateway.folder.0.join(format!("{name}-{part}.pem")).display().to_string();
            ["--cert".to_owned(), path("cert"), "--key".to_owned(), path("key")]
        };
        for version in [["--tls-max", "1.2"], ["--tlsv1.3", "--silent"]] {
            let serves = |more: &[String]| {
                let args: Vec<&str> = version.iter().copied().chain(more.iter().map(String::as_str)).collect();
                gateway.serves(&args)
            };
            assert_eq!(serves(&[]), none, "{kind} without, {version:?}");
            assert_eq!(serves(&with("stranger")), stranger, "{kind} with a stranger's, {version:?}");
            assert_eq!(serves(&with("known")), known, "{kind} with a good one, {version:?}");
        }
    };
    check("NoClientCert", true, true, true);
    check("RequestClientCert", true, true, true);
    check("RequireAnyClientCert", false, true, true);
    check("VerifyClientCertIfGiven", true, false, true);
    check("RequireAndVerifyClientCert", false, false, true);
}

#[test]
fn clients_have_one_of_the_allowed_names() {
    let lines = [
        "client_auth_type: VerifyClientCertIfGiven",
        "client_ca_file: clients.pem",
        "client_allowed_sans: [batch.example.org, ops@example.org, 10.1.2.3, 'spiffe://example.org/batch']",
    ];
    let kinds = [
        ("dns", Some(SanType::DnsName(ia5("batch.example.org"))), true),
        ("email", Some(SanType::Rfc822Name(ia5("ops@example.org"))), true),
        ("ip", Some(SanType::IpAddress([10, 1, 2, 3].into())), true),
        ("uri", Some(SanType::URI(ia5("spiffe://example.org/batch"))), true),
        ("other", Some(SanType::DnsName(ia5("example.org"))), false),
        ("nameless", None, false),
    ];
    let gateway = Secured::start_with(&lines, |folder| {
        let clients = Authority::new(folder, "clients");
        for (name, san, _) in &kinds {
            clients.client(folder, name, san.iter().cloned().collect());
        }
    });
    for (name, _, expected) in &kinds {
        let path = |part: &str| gateway.folder.0.join(format!("{name}-{part}.pem")).display().to_string();
        assert_eq!(gateway.serves(&["--cert", &path("cert"), "--key", &path("key")]), *expected, "{name}");
    }
    // Who has no certificate has none of these names either.
    assert!(!gateway.serves(&[]));
    gateway.server.wait_for_log("TLS connection failed");
}

#[test]
fn certificates_are_picked_up_when_they_change() {
    let gateway = Secured::start(&[]);
    let serial = || {
        let shown = gateway.openssl(&["-showcerts"], b"");
        let output = run(Command::new("openssl").args(["x509", "-noout", "-subject"]), &shown.stdout, "");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert!(serial().contains("server"), "{}", serial());
    let renewed = gateway.authority.server(&gateway.folder, "renewed");
    // A certificate without its key is a bad pair for a moment: the old one goes on.
    gateway.replace("server-cert.pem", &read(&renewed.cert));
    assert!(serial().ends_with("server"), "{}", serial());
    gateway.server.wait_for_log("cannot reload TLS certificates and settings, going on with the old ones");
    gateway.replace("server-key.pem", &read(&renewed.key));
    gateway.server.wait_for_log("TLS certificates and settings reloaded");
    assert!(serial().ends_with("renewed"), "{}", serial());
    // Damage of all kinds.
    for damage in [&b""[..], b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        gateway.replace("server-cert.pem", damage);
        assert!(serial().ends_with("renewed"), "{}", serial());
    }
    fs::remove_file(gateway.folder.0.join("server-cert.pem")).expect("it is there");
    thread::sleep(Duration::from_millis(300));
    assert!(gateway.serves(&[]));
    // Written in place, as some tools do, and settings with them.
    let last = gateway.authority.server(&gateway.folder, "last");
    for (to, from) in [("server-cert.pem", &last.cert), ("server-key.pem", &last.key)] {
        fs::write(gateway.folder.0.join(to), read(from)).expect("it can be written");
    }
    gateway.folder.file("web.yml", config(&["max_version: TLS12"]));
    thread::sleep(Duration::from_millis(300));
    assert!(serial().ends_with("last"), "{}", serial());
    assert!(!gateway.serves(&["--tlsv1.3"]) && gateway.serves(&[]));
    // TLS cannot be switched off: everything stays as it is.
    gateway.folder.file("web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n");
    gateway.server.wait_for_log("TLS is switched on or off by a restart only");
    assert!(gateway.serves(&["--tls-max", "1.2"]));
}

#[test]
fn a_client_ca_is_picked_up_when_it_changes() {
    let lines = ["client_auth_type: RequireAndVerifyClientCert", "client_ca_file: clients.pem"];
    let gateway = Secured::start_with(&lines, |folder| drop(Authority::new(folder, "clients")));
    let others = Authority::new(&gateway.folder, "others");
    let Identity { cert, key } = others.client(&gateway.folder, "client", Vec::new());
    let args = ["--cert", &cert.display().to_string(), "--key", &key.display().to_string()].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert!(!gateway.serves(&args));
    gateway.replace("clients.pem", &read(&others.file));
    gateway.server.wait_for_log("TLS certificates and settings reloaded");
    assert!(gateway.serves(&args));
}

/// A file that cannot be used ends the start with status 1 and names the field.
#[test]
fn bad_files_are_refused_at_the_start() {
    let folder = Scratch::new("tls");
    let authority = Authority::new(&folder, "ca");
    authority.server(&folder, "server");
    authority.server(&folder, "other");
    folder.file("empty.pem", "");
    folder.file("garbage.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let verify = "client_auth_type: RequireAndVerifyClientCert, client_ca_file";
    let refuses = |text: &str, expected: &str| {
        let file = folder.file("web.yml", text);
        let mut command = Server::command();
        command.arg("--web.listen-address=127.0.0.1:0").arg(format!("--web.config.file={}", file.display()));
        let output = command.output().expect("the gateway can be started");
        let log = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}\n{log}");
        assert!(log.contains("level=error") && log.contains(expected), "{text}\n{log}");
        assert!(!log.contains("Listening on"), "{log}");
    };
    let check = |fields: &str, expected: &str| refuses(&format!("tls_server_config: {{{fields}}}\n"), expected);
    check("cert_file: server-cert.pem", "missing one of key or key_file");
    check("key_file: server-key.pem", "missing one of cert or cert_file");
    check("cert_file: none.pem, key_file: server-key.pem", "failed to read cert_file (");
    check("cert_file: none.pem, key_file: server-key.pem", "none.pem: no such file or directory");
    check("cert_file: server-cert.pem, key_file: none.pem", "failed to read key_file (");
    check("cert_file: empty.pem, key_file: server-key.pem", "no certificate in cert_file (");
    check("cert_file: server-key.pem, key_file: server-key.pem", "no certificate in cert_file (");
    check("cert_file: garbage.pem, key_file: server-key.pem", "cannot read the certificates in cert_file (");
    check("cert_file: server-cert.pem, key_file: server-cert.pem", "no private key without a passphrase in key_file (");
    check("cert_file: server-cert.pem, key_file: other-key.pem", "failed to load X509KeyPair from cert and key");
    check("cert: text, key: text", "no certificate in cert");
    let pair = "cert_file: server-cert.pem, key_file: server-key.pem";
    check(&format!("{pair}, {verify}: none.pem"), "failed to read client_ca_file (");
    check(&format!("{pair}, {verify}: empty.pem"), "no certificate in client_ca_file (");
    check(&format!("{pair}, client_ca_file: ca.pem"), "client CA's have been configured without a Client Auth Policy");
    check(&format!("{pair}, min_version: TLS10"), "TLS version TLS10 is not supported");
    check(&format!("{pair}, bogus: 1"), "field bogus not found in tls_server_config");
    refuses("basic_auth_users: {bob: secret}\n", "hashedSecret too short to be a bcrypted password");
    let mut command = Server::command();
    let missing = folder.0.join("none.yml");
    command.arg("--web.listen-address=127.0.0.1:0").arg(format!("--web.config.file={}", missing.display()));
    let output = command.output().expect("the gateway can be started");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("none.yml: no such file or directory"), "{}", said(&output));
}

/// Certificate and key may stand in the configuration itself.
#[test]
fn certificates_may_be_inline() {
    let folder = Scratch::new("tls");
    let authority = Authority::new(&folder, "ca");
    let identity = authority.server(&folder, "server");
    let indented = |path: &Path| {
        let text = String::from_utf8(read(path)).expect("PEM is text");
        text.lines().map(|line| format!("    {line}\n")).collect::<String>()
    };
    let text =
        format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", indented(&identity.cert), indented(&identity.key));
    let file = folder.file("web.yml", text);
    let server = Server::spawn(&[&format!("--web.config.file={}", file.display())]);
    let gateway = Secured { folder, authority, server };
    assert!(gateway.serves(&[]));
    assert!(gateway.server.log().contains("TLS is enabled."));
}

#[test]
fn what_is_not_tls_is_turned_away() {
    let gateway = Secured::start(&[]);
    let exchange = |bytes: &[u8]| wire::exchange(gateway.server.addr, bytes, "GET", false, Duration::from_secs(5));
    const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    for request in ["GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /metrics/job/x HTTP/1.1\r\n", "DELETE /", "GET /"]
    {
        let response = exchange(request.as_bytes());
        assert_eq!(
            (response.raw.escape_ascii().to_string(), response.timed_out),
            (ANSWER.escape_ascii().to_string(), false)
        );
    }
    // A large body behind it does not take the answer away.
    let mut push = b"POST /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n".to_vec();
    push.resize(3_000_000, b'x');
    assert_eq!(exchange(&push).raw, ANSWER);
    for garbage in [
        &b"\0\0\0\0\0\0\0\0"[..],
        b"SSH-2.0-x\r\n",
        b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10",
        b"\x15\x03\x01\0\x02\x02\x28",
    ] {
        let response = exchange(garbage);
        assert_eq!((response.raw.len(), response.timed_out), (0, false), "{}", garbage.escape_ascii());
    }
    // A record of the right kind with nothing sensible in it: an alert at most.
    for garbage in [&b"\x16\x03\x01\0\x05hello"[..], b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\0\x04\x01\xff\xff\xff"] {
        let response = exchange(garbage);
        assert!(response.raw.first().is_none_or(|byte| *byte == 21), "{}", garbage.escape_ascii());
        assert!(!response.timed_out, "{}", garbage.escape_ascii());
    }
    let hello = exchange(b"\x16\x03\x01\0\x2d\x01\0\0\x29\x03\x0300000000000000000000000000000000\0\0\x02\0\0\x01\0");
    assert_eq!(hello.raw.first(), Some(&21), "a hello without any suite that is known");
    gateway.server.wait_for_log("client sent an HTTP request to an HTTPS server");
    assert!(gateway.serves(&[]));
}

/// Somebody asks for a new handshake inside the connection: TLS 1.2 had that, and attacks with it.
#[test]
fn renegotiation_is_refused() {
    let gateway = Secured::start(&["max_version: TLS12"]);
    let output = gateway.openssl(&["-tls1_2"], b"R\nGET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = said(&output);
    assert!(text.contains("RENEGOTIATING") && !text.contains("200 OK"), "{text}");
    assert!(gateway.serves(&[]));
}

#[test]
fn large_pushes_and_scrapes_go_through() {
    let gateway = Secured::start(&[]);
    let mut push = String::new();
    for number in 0..60_000 {
        push.push_str(&format!("large{{number=\"{number}\"}} {number}\n"));
    }
    let pushed = gateway.curl(&["--data-binary", "@-", "--request", "PUT"], "/metrics/job/large", push.as_bytes());
    assert!(pushed.status.success(), "{}", said(&pushed));
    for version in ["--tlsv1.3", "--tlsv1.2"] {
        for coding in [&["--header", "Accept-Encoding: identity"][..], &["--compressed"]] {
            let args = [coding, &[version], if version == "--tlsv1.2" { &["--tls-max", "1.2"] } else { &[] }].concat();
            let output = gateway.curl(&args, "/metrics", b"");
            assert!(output.status.success(), "{args:?}: {}", said(&output));
            let text = String::from_utf8(output.stdout).expect("an exposition is UTF-8");
            assert_eq!(text.lines().filter(|line| line.starts_with("large{")).count(), 60_000, "{args:?}");
            assert!(text.contains("large{instance=\"\",job=\"large\",number=\"59999\"} 59999\n"), "{args:?}");
        }
    }
    // JSON and protobuf are made while they are sent.
    let json = gateway.curl(&[], "/api/v1/metrics", b"");
    assert!(json.stdout.starts_with(b"{\"status\":\"success\"") && json.stdout.len() > 3_000_000);
    let proto = [
        "--header",
        "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ];
    assert!(gateway.curl(&proto, "/metrics", b"").stdout.len() > 2_000_000);
}

#[test]
fn requests_may_be_pipelined_and_cut_anywhere() {
    let gateway = Secured::start(&[]);
    let printed = gateway.python(
        "one = b'PUT /metrics/job/x HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 4\\r\\n\\r\\na 1\\n'\n\
         last = one.replace(b'Host', b'Connection: close\\r\\nHost')\n\
         for cut in (1, 50, 100000):\n\
         \x20   peer = connect()\n\
         \x20   text = one * 150 + last\n\
         \x20   for at in range(0, len(text) if cut > 1 else 500, cut): peer.sendall(text[at:at + cut])\n\
         \x20   if cut == 1: peer.sendall(text[500:])\n\
         \x20   answers = b''\n\
         \x20   while True:\n\
         \x20       piece = peer.recv(65536)\n\
         \x20       if not piece: break\n\
         \x20       answers += piece\n\
         \x20   print(answers.count(b'HTTP/1.1 200 OK'), answers.endswith(b'Connection: close\\r\\n\\r\\n'))\n",
    );
    assert_eq!(printed, "151 True\n".repeat(3));
}

/// Connections end with a `close_notify`, so that nobody takes a cut for an end; `recv` raises without it.
#[test]
fn ends_are_announced() {
    let gateway = Secured::start(&[]);
    let printed = gateway.python(
        "def end(request):\n\
         \x20   peer = connect()\n\
         \x20   peer.sendall(request)\n\
         \x20   text = b''\n\
         \x20   while True:\n\
         \x20       piece = peer.recv(65536)\n\
         \x20       if not piece: return text.split(b'\\r\\n')[0].decode()\n\
         \x20       text += piece\n\
         print(end(b'GET /-/ready HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'))\n\
         print(end(b'GET /-/ready HTTP/1.0\\r\\n\\r\\n'))\n\
         print(end(b'garbage\\r\\n\\r\\n'))\n",
    );
    assert_eq!(printed, "HTTP/1.1 200 OK\nHTTP/1.0 200 OK\nHTTP/1.1 400 Bad Request\n");
}

/// A client that reads slowly gets everything; others are not held up meanwhile, and memory stays bounded.
#[test]
fn slow_readers_hold_up_nobody() {
    let gateway = Secured::start(&[]);
    let push: String = (0..40_000).map(|number| format!("slow{{number=\"{number}\"}} {number}\n")).collect();
    let pushed = gateway.curl(&["--data-binary", "@-", "--request", "PUT"], "/metrics/job/slow", push.as_bytes());
    assert!(pushed.status.success(), "{}", said(&pushed));
    let before = resident(&gateway);
    let printed = thread::scope(|scope| {
        let slow = scope.spawn(|| {
            gateway.python(
                "peers = [connect() for _ in range(100)]\n\
                 for peer in peers: peer.sendall(b'GET /metrics HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n\
                 time.sleep(4)\n\
                 texts = [b''] * len(peers)\n\
                 for at, peer in enumerate(peers):\n\
                 \x20   while True:\n\
                 \x20       piece = peer.recv(65536)\n\
                 \x20       if not piece: break\n\
                 \x20       texts[at] += piece\n\
                 print(len(texts), min(text.count(b'slow{') for text in texts))\n",
            )
        });
        thread::sleep(Duration::from_millis(1500));
        let begin = Instant::now();
        assert!(gateway.serves(&[]));
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        let grown = resident(&gateway).saturating_sub(before);
        // A hundred scrapes of two megabytes each.
        assert!(grown < 20_000, "grown by {grown} KiB");
        slow.join().expect("the script ends well")
    });
    assert_eq!(printed, "100 40000\n");
}

/// Resident memory of the gateway, KiB.
fn resident(gateway: &Secured) -> u64 {
    let path = format!("/proc/{}/status", gateway.server.pid());
    let status = fs::read_to_string(path).expect("the gateway runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Handshakes that never end do not keep others out. Their end is a matter of the session's own tests, as it takes a
/// minute.
#[test]
fn half_handshakes_keep_nobody_out() {
    let gateway = Secured::start(&[]);
    let mut peers = Vec::new();
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"G"].repeat(100) {
        let mut peer = TcpStream::connect(gateway.server.addr).expect("the gateway listens");
        peer.write_all(bytes).expect("the gateway reads");
        peers.push(peer);
    }
    assert!(gateway.serves(&[]));
    for peer in &mut peers {
        peer.set_nonblocking(true).expect("it can be");
        let waiting = peer.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(waiting, Err(std::io::ErrorKind::WouldBlock));
    }
    // A stop does not wait for them.
    let mut gateway = gateway;
    let begin = SystemTime::now();
    gateway.server.signal("TERM");
    assert!(gateway.server.wait_for_exit().is_some_and(|status| status.success()));
    assert!(begin.elapsed().is_ok_and(|took| took < Duration::from_secs(8)));
}
