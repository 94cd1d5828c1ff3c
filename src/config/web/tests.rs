//! Every key of the web configuration, and every message about one.

use super::*;

const HASH: &str = "$2b$04$sc11KmUW4ojDSQ3fwjBPQuVsi9D56m9ZFFK07rM03Q/5uln6XrF0K";

#[track_caller]
fn parsed(text: &str) -> WebConfig {
    WebConfig::parse(text, Path::new("/etc/gateway")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A `tls_server_config` with certificate and key and these lines more.
fn with_tls(lines: &[&str]) -> String {
    let mut text = String::from("tls_server_config:\n  cert_file: c.pem\n  key_file: /keys/k.pem\n");
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

#[track_caller]
fn tls(lines: &[&str]) -> TlsSettings {
    parsed(&with_tls(lines)).tls.expect("TLS is on")
}

#[test]
fn an_empty_file_lets_everybody_in() {
    for text in
        ["", "# nothing\n", "{}", "---\n...\n", "tls_server_config:\nhttp_server_config:\n", "tls_server_config: {}"]
    {
        assert_eq!(parsed(text), WebConfig::default(), "{text:?}");
    }
}

#[test]
fn users_have_hashes() {
    let users = parsed(&format!("basic_auth_users:\n  bob: {HASH}\n  'a b:c': '{HASH}'\n  7: {HASH}\n")).users;
    assert_eq!(users.iter().map(|user| &*user.name).collect::<Vec<_>>(), ["bob", "a b:c", "7"]);
    assert!(users.iter().all(|user| user.hash.text == HASH));
    assert_eq!(parsed("basic_auth_users:\n").users, []);
}

#[test]
fn headers_are_a_few() {
    let text = "http_server_config:\n  http2: false\n  headers:\n    Strict-Transport-Security: max-age=60\n    \
                X-Content-Type-Options: nosniff\n    X-Frame-Options: sameorigin\n    X-XSS-Protection: 0\n    \
                Content-Security-Policy: \"default-src 'self'\"\n";
    let headers = parsed(text).headers;
    let expected = [
        ("Strict-Transport-Security", "max-age=60"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "sameorigin"),
        ("X-XSS-Protection", "0"),
        ("Content-Security-Policy", "default-src 'self'"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(parsed("http_server_config:\n  http2: true\n").headers, []);
}

#[test]
fn rate_limits_have_an_interval() {
    let check = |text: &str, expected: Option<(i64, u64)>| {
        let expected = expected.map(|(nanos, burst)| RateLimit { interval: GoDuration(nanos), burst });
        assert_eq!(parsed(text).rate_limit, expected, "{text}");
    };
    check("rate_limit: {interval: 1s, burst: 20}", Some((1_000_000_000, 20)));
    check("rate_limit: {interval: 100ms}", Some((100_000_000, 0)));
    check("rate_limit: {interval: 0, burst: 20}", None);
    check("rate_limit: {interval: -1s, burst: 20}", None);
    check("rate_limit: {burst: 20}", None);
    check("rate_limit: {interval: , burst: }", None);
}

#[test]
fn tls_is_on_with_any_of_its_four_parts() {
    let settings = tls(&[]);
    assert_eq!(settings.cert, Pem::File("/etc/gateway/c.pem".into()));
    assert_eq!(settings.key, Pem::File("/keys/k.pem".into()));
    assert_eq!((settings.min_version, settings.max_version), (Version::Tls12, Version::Tls13));
    assert_eq!((&settings.suites, &settings.curves, settings.client_auth), (&None, &None, ClientAuth::None));
    let inline = parsed("tls_server_config:\n  cert: CERT\n  key: |\n    KEY\n").tls.expect("TLS is on");
    assert_eq!((inline.cert, inline.key), (Pem::Text("CERT".to_owned()), Pem::Text("KEY\n".to_owned())));
    // A file wins, wherever it stands.
    for lines in [["client_ca: TEXT", "client_ca_file: ca.pem"], ["client_ca_file: ca.pem", "client_ca: TEXT"]] {
        let settings = tls(&[lines[0], lines[1], "client_auth_type: RequireAndVerifyClientCert"]);
        assert_eq!(settings.client_ca, Some(Pem::File("/etc/gateway/ca.pem".into())));
    }
    let text = "tls_server_config:\n  cert_file: ''\n  min_version: TLS13\n  prefer_server_cipher_suites: false\n";
    assert_eq!(parsed(text).tls, None);
}

#[test]
fn clients_are_asked_for_certificates() {
    let check = |name: &str, expected: ClientAuth| {
        let lines = [&*format!("client_auth_type: {name}"), "client_ca_file: ca.pem"];
        let lines = if expected == ClientAuth::None { &lines[..1] } else { &lines };
        assert_eq!(tls(lines).client_auth, expected, "{name}");
    };
    check("NoClientCert", ClientAuth::None);
    check("''", ClientAuth::None);
    check("RequestClientCert", ClientAuth::Request);
    check("RequireAnyClientCert", ClientAuth::RequireAny);
    check("RequireClientCert", ClientAuth::RequireAny);
    check("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven);
    check("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify);
    let settings = tls(&["client_auth_type: RequireAnyClientCert", "client_allowed_sans: [a.example.org, 10.0.0.1]"]);
    assert_eq!(settings.allowed_sans, ["a.example.org", "10.0.0.1"]);
}

#[test]
fn versions_suites_and_curves_are_chosen() {
    let settings = tls(&[
        "min_version: TLS12",
        "max_version: TLS12",
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]",
        "curve_preferences: [CurveP384, X25519]",
    ]);
    assert_eq!((settings.min_version, settings.max_version), (Version::Tls12, Version::Tls12));
    assert_eq!(settings.suites, Some(vec!["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]));
    assert_eq!(settings.curves, Some(vec!["CurveP384", "X25519"]));
    let settings = tls(&["cipher_suites: [TLS_AES_128_GCM_SHA256]"]);
    assert_eq!(settings.suites, Some(vec![]));
    let settings = tls(&["cipher_suites: []", "curve_preferences:", "min_version:"]);
    assert_eq!((settings.suites, settings.curves, settings.min_version), (None, None, Version::Tls12));
}

/// Texts that are refused, and what is said about them.
const REFUSED: &[(&str, &str)] = &[
    ("bogus: 1\n", "yaml: line 1: field bogus not found in the configuration"),
    ("- 1\n", "yaml: line 1: the configuration has to be a map"),
    ("text\n", "yaml: line 1: the configuration has to be a map"),
    ("\ntls_server_config:\n  bogus:\n    x: 1\n", "yaml: line 3: field bogus not found in tls_server_config"),
    ("http_server_config:\n  http3: true\n", "yaml: line 2: field http3 not found in http_server_config"),
    ("rate_limit:\n  rate: 1\n", "yaml: line 2: field rate not found in rate_limit"),
    ("rate_limit: []\n", "yaml: line 1: rate_limit has to be a map"),
    ("rate_limit:\n  burst: many\n", "yaml: line 2: burst has to be a whole number"),
    ("rate_limit:\n  burst: -1\n", "yaml: line 2: burst has to be a whole number"),
    ("rate_limit:\n  interval: abc\n", "time: invalid duration \"abc\" (interval, line 2)"),
    ("rate_limit:\n  interval: 5\n", "time: missing unit in duration \"5\" (interval, line 2)"),
    ("rate_limit:\n  interval: [1s]\n", "yaml: line 2: interval has to be a text"),
    ("http_server_config:\n  http2: maybe\n", "yaml: line 2: http2 has to be true or false"),
    ("http_server_config:\n  headers: x\n", "yaml: line 2: headers has to be a map"),
    ("http_server_config:\n  headers: {X-Foo: a}\n", "HTTP header \"X-Foo\" can not be configured"),
    (
        "http_server_config:\n  headers: {x-frame-options: deny}\n",
        "HTTP header \"x-frame-options\" can not be configured",
    ),
    (
        "http_server_config:\n  headers: {X-Frame-Options: allow}\n",
        "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"allow\"",
    ),
    (
        "http_server_config:\n  headers: {X-Content-Type-Options: }\n",
        "invalid value for X-Content-Type-Options. Expected one of: [\"nosniff\"], but got: \"\"",
    ),
    (
        "http_server_config:\n  headers:\n    X-XSS-Protection: \"0\\r\\nSet-Cookie: x\"\n",
        "invalid value for X-XSS-Protection: control character in line 3",
    ),
    ("basic_auth_users: bob\n", "yaml: line 1: basic_auth_users has to be a map"),
    (
        "basic_auth_users:\n  bob: secret\n",
        "crypto/bcrypt: hashedSecret too short to be a bcrypted password (basic_auth_users, line 2)",
    ),
    (
        "basic_auth_users:\n  bob:\n",
        "crypto/bcrypt: hashedSecret too short to be a bcrypted password (basic_auth_users, line 2)",
    ),
    ("basic_auth_users:\n  bob: [a]\n", "yaml: line 2: basic_auth_users has to be a text"),
    ("basic_auth_users:\n  bob: a\n  bob: b\n", "yaml: line 3: key \"bob\" is already set in line 2"),
    ("tls_server_config:\n  key_file: k\n", "missing one of cert or cert_file"),
    ("tls_server_config:\n  cert: c\n", "missing one of key or key_file"),
    ("tls_server_config:\n  client_ca_file: c\n", "missing one of cert or cert_file"),
    ("tls_server_config:\n  client_auth_type: NoClientCert\n", "missing one of cert or cert_file"),
];

/// Lines behind certificate and key that are refused.
const REFUSED_TLS: &[(&str, &str)] = &[
    ("client_auth_type: Bogus", "invalid ClientAuth: Bogus"),
    ("client_ca: x", "client CA's have been configured without a Client Auth Policy"),
    ("client_ca_file: x", "client CA's have been configured without a Client Auth Policy"),
    ("client_allowed_sans: [x]", "client_allowed_sans have been configured without a Client Auth Policy"),
    (
        "client_auth_type: RequireAndVerifyClientCert",
        "missing one of client_ca or client_ca_file for this client_auth_type",
    ),
    (
        "client_auth_type: VerifyClientCertIfGiven",
        "missing one of client_ca or client_ca_file for this client_auth_type",
    ),
    ("client_allowed_sans: x", "yaml: line 4: client_allowed_sans has to be a list"),
    ("client_allowed_sans: [[x]]", "yaml: line 4: client_allowed_sans has to be a text"),
    ("min_version: TLS14", "unknown TLS version: TLS14 (min_version, line 4)"),
    ("max_version: SSL30", "unknown TLS version: SSL30 (max_version, line 4)"),
    ("min_version: TLS10", "TLS version TLS10 is not supported: there are TLS12 and TLS13 (min_version, line 4)"),
    ("max_version: TLS11", "TLS version TLS11 is not supported: there are TLS12 and TLS13 (max_version, line 4)"),
    ("{min_version: TLS13, max_version: TLS12}", "min_version is above max_version"),
    ("cipher_suites: [X]", "unknown cipher: X (cipher_suites, line 4)"),
    ("cipher_suites: X", "yaml: line 4: cipher_suites has to be a list"),
    (
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
        "cipher TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is not supported: there are suites with GCM and \
         ChaCha20-Poly1305 only (cipher_suites, line 4)",
    ),
    (
        "{max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]}",
        "cipher_suites has none of TLS12, which is the max_version",
    ),
    ("curve_preferences: [X]", "unknown curve: X (curve_preferences, line 4)"),
    (
        "curve_preferences: [CurveP521]",
        "curve CurveP521 is not supported: there are CurveP256, CurveP384, X25519 (curve_preferences, line 4)",
    ),
    ("prefer_server_cipher_suites: 1", "yaml: line 4: prefer_server_cipher_suites has to be true or false"),
    ("cert_file: x", "yaml: line 4: key \"cert_file\" is already set in line 2"),
];

#[test]
fn says_what_is_wrong() {
    for (text, expected) in REFUSED {
        let error = WebConfig::parse(text, Path::new("")).expect_err(text);
        assert_eq!(error.to_string(), *expected, "{text}");
    }
    for (line, expected) in REFUSED_TLS {
        let text = match line.strip_prefix('{').and_then(|line| line.strip_suffix('}')) {
            Some(pairs) => with_tls(&pairs.splitn(2, ", ").collect::<Vec<_>>()),
            None => with_tls(&[line]),
        };
        let error = WebConfig::parse(&text, Path::new("")).expect_err(&text);
        assert_eq!(error.to_string(), *expected, "{text}");
    }
}

/// A message fits into one line of the log, whatever is in the file.
#[test]
fn long_texts_are_cut() {
    let long = "\u{e9}".repeat(100_000);
    for text in [
        format!("? {long}\n: 1\n"),
        format!("http_server_config:\n  headers: {{? {long} : x}}\n"),
        format!("http_server_config:\n  headers: {{X-Frame-Options: {long}}}\n"),
        format!("rate_limit: {{interval: {long}}}\n"),
        format!("? {long}\n: 1\n? {long}\n: 2\n"),
        format!("basic_auth_users:\n  bob: $2b${long}$\n"),
        with_tls(&[&format!("client_auth_type: {long}")]),
        with_tls(&[&format!("min_version: {long}")]),
        with_tls(&[&format!("cipher_suites: [{long}]")]),
        with_tls(&[&format!("curve_preferences: [{long}]")]),
    ] {
        let error = WebConfig::parse(&text, Path::new("")).expect_err("it is refused").to_string();
        assert!(error.len() < 5000 && error.contains("...("), "{}: {error}", &text[..50]);
    }
    let unreadable = read(Path::new(&long)).expect_err("there is no such file").to_string();
    assert!(unreadable.len() < 2000 && unreadable.contains("...("), "{unreadable}");
}
