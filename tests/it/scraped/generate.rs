//! Random pushes, most of which are taken, with everything in them that a parser may stumble over.

use std::fmt;

use pushgateway::exposition::wire as pb;
use pushgateway::random::Random;

use crate::wire::DELIMITED;
use crate::{roundtrip, seeds};

/// A push to a group of its own.
#[derive(Debug)]
pub struct Push {
    pub path: String,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PUT {} of {}: {}", self.path, self.content_type, self.body.escape_ascii())
    }
}

/// The type of bodies in text.
pub const TEXT: &str = "text/plain; version=0.0.4";

/// Bytes that mean something to some parser, or are white space to some, or end text to some.
const PIECES: &[&[u8]] = &[
    b"",
    b"x",
    b" ",
    b"  two  blanks  ",
    b"\t",
    b"\r",
    b"\x0b",
    b"\x0c",
    b"\x1c\x1d\x1e\x1f",
    b"\0",
    b"\x7f",
    b"\x1b[31m",
    b"\"",
    b"\\",
    b"\n",
    b"\\n",
    b"\\\"",
    b"'",
    b"#",
    b"# EOF",
    b"# HELP x y",
    b"# TYPE x gauge",
    b"x 1",
    b"{",
    b"}",
    b"{a=\"b\"}",
    b"=",
    b",",
    b" # {a=\"b\"} 1 1",
    b"_",
    "\u{85}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{2029}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{fffd}".as_bytes(),
    "\u{ffff}".as_bytes(),
    "\u{10ffff}".as_bytes(),
    "\u{1f600}".as_bytes(),
    "e\u{301}é日本".as_bytes(),
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
];

/// Where bytes are not part of text, in PIECES.
const BROKEN_PIECES: usize = 5;

/// Names of families; `*` is replaced by a number, so that most pushes do not meet.
const NAMES: &[&str] =
    &["m*", "m*:o", ":m*", "_m*", "M*", "le*", "m*_total", "m*_count", "m*_sum", "m*_bucket", "m*_created", "m*_info"];

/// Names that only protobuf can bring in with default flags.
const FREE_NAMES: &[&str] = &["m*.x", "m* x", "é*", "9m*", "m*\n", "m*\"", "m*{a=\"b\"}", "\0m*", "#m*", "m*\\", " m*"];

const LABELS: &[&str] = &["a", "b", "le", "quantile", "instance", "job", "A", "_x", "a__b", "U__x"];

/// Label names that only protobuf can bring in. None has `__` in front when it is escaped with underscores: as with `dots`,
/// Python's parser takes no such label, while Prometheus and promtool do, and the original shows it.
const FREE_LABELS: &[&str] =
    &["a.b", "a b", "a:b", "é", "1a", "a\n", "\"", "a=\"", "\0", "{", "le.x", ":", "._name__", ":name:", "a,"];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-0",
    "+1",
    "1.",
    ".5",
    "-.5e-3",
    "1e400",
    "1e308",
    "-1e308",
    "1e-400",
    "5e-324",
    "0.1234567890123456789012345678901234567890",
    "123456789012345678901234567890",
    "9007199254740993",
    "18446744073709551615",
    "NaN",
    "nan",
    "-NaN",
    "+Inf",
    "-Inf",
    "inf",
    "Infinity",
    "0x1p-2",
    "0x10",
    "1_000",
    "0b1",
    "1e",
    "१",
];

const KINDS: &[&str] = &["counter", "gauge", "untyped", "summary", "histogram", "gaugehistogram", "Gauge"];

/// Further labels of groups, as they stand in paths.
const GROUPINGS: &[&str] = &[
    "",
    "",
    "",
    "/instance/i",
    "/instance@base64/=",
    "/a@base64/=",
    "/a@base64/AA==",
    "/a/%0A%22%5C",
    "/a/%E2%80%A8",
    "/a/%C2%85%EF%BB%BF",
    "/a/%0D",
    "/le/1",
    "/le/x",
    "/quantile/x",
    "/_/%23%20EOF",
];

/// Pushes of one awkward thing each: each piece as help text and as value of a label, in both formats, each name and number.
pub fn awkward() -> Vec<Push> {
    let mut bodies: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for (at, piece) in PIECES.iter().enumerate() {
        let number = at.to_string();
        let [help, value] = [escaped(piece, false), escaped(piece, true)];
        bodies.push((TEXT, [b"# HELP h", number.as_bytes(), b" ", &help, b"\nh", number.as_bytes(), b" 1\n"].concat()));
        bodies.push((TEXT, [b"v{a=\"", &value[..], b"\",at=\"", number.as_bytes(), b"\"} 1\n"].concat()));
        let metric = gauge(&[("a", piece), ("at", number.as_bytes())], 1.0);
        bodies.push((DELIMITED, delimited(&family(b"vp", b"", 1, &[metric]))));
        bodies.push((DELIMITED, delimited(&family(format!("hp{number}").as_bytes(), piece, 1, &[gauge(&[], 1.0)]))));
    }
    for (at, name) in NAMES.iter().chain(FREE_NAMES).enumerate() {
        let name = name.replace('*', &format!("n{at}"));
        bodies.push((DELIMITED, delimited(&family(name.as_bytes(), b"Help.", 1, &[gauge(&[], 1.0)]))));
    }
    for (at, label) in LABELS.iter().chain(FREE_LABELS).enumerate() {
        let metric = gauge(&[(label, b"x"), ("at", at.to_string().as_bytes())], 1.0);
        bodies.push((DELIMITED, delimited(&family(b"lp", b"", 1, &[metric]))));
    }
    // Names that are one when they are escaped, on one metric.
    let alike: &[(&str, &[u8])] = &[("a.b", b"1"), ("a_b", b"2"), ("a b", b""), ("a__b", b"4"), ("a_dot_b", b"5")];
    bodies.push((DELIMITED, delimited(&family(b"la", b"", 1, &[gauge(alike, 1.0)]))));
    for number in NUMBERS {
        bodies.push((TEXT, format!("n {number}\n").into_bytes()));
        bodies.push((TEXT, format!("# TYPE nh histogram\nnh_bucket{{le=\"{number}\"}} 1\n").into_bytes()));
        bodies.push((TEXT, format!("# TYPE ns summary\nns{{quantile=\"{number}\"}} {number}\n").into_bytes()));
    }
    let push = |(at, (content_type, body))| Push { path: format!("/metrics/job/{at}"), content_type, body };
    bodies.into_iter().enumerate().map(push).collect()
}

/// How many of those are taken at least.
pub const AWKWARD_TAKEN: usize =
    4 * (PIECES.len() - BROKEN_PIECES) + NAMES.len() + FREE_NAMES.len() + FREE_LABELS.len();

/// A random push, number `at` of its batch.
pub fn push(random: &mut Random, at: usize) -> Push {
    let path = format!("/metrics/job/{at}{}", random.pick(GROUPINGS));
    let (content_type, body) = match random.index(8) {
        0..3 => (TEXT, text(random, at)),
        3..5 => (DELIMITED, families(random, at)),
        5 => (DELIMITED, roundtrip::delimited(&roundtrip::random_families(random))),
        6 => (TEXT, seeds::mutated_seed("text_parser", random)),
        _ => (DELIMITED, seeds::mutated_seed("protobuf_reader", random)),
    };
    Push { path, content_type, body }
}

/// Some pieces, of which one in sixteen texts has one that is broken.
fn piece(random: &mut Random) -> Vec<u8> {
    let pieces = if random.one_in(16) { PIECES } else { &PIECES[..PIECES.len() - BROKEN_PIECES] };
    (0..1 + random.index(3)).flat_map(|_| random.pick(pieces)).copied().collect()
}

/// As it is written in text.
fn escaped(text: &[u8], is_quoted: bool) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'\\' => b"\\\\".to_vec(),
        b'\n' => b"\\n".to_vec(),
        b'"' if is_quoted => b"\\\"".to_vec(),
        byte => vec![*byte],
    };
    text.iter().flat_map(escape).collect()
}

/// A name with a number in the place of its star. Some pushes share it.
fn named(random: &mut Random, names: &[&str], at: usize) -> String {
    random.pick(names).replace('*', &(at / 2).to_string())
}

// ---- text ----

fn text(random: &mut Random, at: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..1 + random.index(3) {
        let name = named(random, NAMES, at);
        let kind = random.pick(KINDS);
        let mut headers: Vec<Vec<u8>> = Vec::new();
        if random.one_in(2) {
            headers.push([b"# HELP ", name.as_bytes(), b" ", &escaped(&piece(random), false)].concat());
        }
        if !random.one_in(4) {
            headers.push(format!("# TYPE {name} {kind}").into_bytes());
        }
        random.shuffle(&mut headers);
        headers.into_iter().for_each(|header| body.extend(header.into_iter().chain([b'\n'])));
        for sample in 0..random.index(5) {
            line(random, &mut body, &name, kind, sample);
        }
        if random.one_in(8) {
            body.extend(b"# ".iter().chain(&*piece(random)).filter(|byte| **byte != b'\n'));
            body.push(b'\n');
        }
    }
    body
}

fn line(random: &mut Random, body: &mut Vec<u8>, name: &str, kind: &str, sample: usize) {
    let parts: &[&str] = match kind {
        "summary" => &["", "_sum", "_count"],
        "histogram" | "gaugehistogram" => &["_bucket", "_bucket", "_sum", "_count"],
        _ => &[""],
    };
    let part = random.pick(parts);
    body.extend_from_slice(format!("{name}{part}{{at=\"{}\"", sample / parts.len()).as_bytes());
    match (kind, part) {
        ("summary", "") => body.extend_from_slice(format!(",quantile=\"{}\"", random.pick(NUMBERS)).as_bytes()),
        (_, "_bucket") if kind.ends_with("histogram") => {
            body.extend_from_slice(format!(",le=\"{}\"", random.pick(NUMBERS)).as_bytes());
        }
        _ => {}
    }
    if random.one_in(2) {
        body.extend_from_slice(format!(",{}=\"", random.pick(LABELS)).as_bytes());
        body.extend(escaped(&piece(random), true));
        body.push(b'"');
    }
    let number = if random.one_in(2) { random.pick(NUMBERS) } else { "1" };
    body.extend_from_slice(format!("}}{}{number}", random.pick(&[" ", "", "\t", "  "])).as_bytes());
    body.extend_from_slice(random.pick(&["\n", "\n", "\n", "\n", "\n\n", "\n \t\n", "\r\n", " 1\n"]).as_bytes());
}

// ---- protobuf ----

fn delimited(family: &[u8]) -> Vec<u8> {
    roundtrip::delimited(&[family.to_vec()])
}

fn family(name: &[u8], help: &[u8], kind: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    pb::write_bytes(&mut out, 1, name);
    pb::write_bytes(&mut out, 2, help);
    pb::write_uint(&mut out, 3, kind);
    metrics.iter().for_each(|metric| pb::write_bytes(&mut out, 4, metric));
    out
}

/// A body with a gauge that has this help text.
pub fn helped(help: &[u8]) -> Vec<u8> {
    delimited(&family(b"e", help, 1, &[gauge(&[], 1.0)]))
}

/// A body with a histogram of this value.
pub fn histogram(value: &[u8]) -> Vec<u8> {
    let mut metric = Vec::new();
    pb::write_bytes(&mut metric, 7, value);
    delimited(&family(b"e", b"", 4, &[metric]))
}

fn labels(out: &mut Vec<u8>, labels: &[(&str, &[u8])]) {
    for (name, value) in labels {
        pb::write_nested(out, 1, |out| {
            pb::write_bytes(out, 1, name.as_bytes());
            pb::write_bytes(out, 2, value);
        });
    }
}

fn gauge(pairs: &[(&str, &[u8])], value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    labels(&mut out, pairs);
    pb::write_nested(&mut out, 2, |out| pb::write_double(out, 1, value));
    out
}

/// Families of gauges with any names, and of other kinds as they are made elsewhere.
fn families(random: &mut Random, at: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for _ in 0..1 + random.index(3) {
        let (names, labels) = if random.one_in(2) { (NAMES, LABELS) } else { (FREE_NAMES, FREE_LABELS) };
        let name = named(random, names, at);
        let metric = |sample: usize| {
            let (label, value, sample) = (random.pick(labels), piece(random), sample.to_string());
            gauge(&[("at", sample.as_bytes()), (label, &value)], f64::from_bits(random.bits()))
        };
        let metrics: Vec<_> = (0..2).map(metric).collect();
        let (help, kind) = (piece(random), if random.one_in(16) { random.below(7) } else { 1 });
        all.push(family(name.as_bytes(), &help, kind, &metrics));
    }
    roundtrip::delimited(&all)
}
