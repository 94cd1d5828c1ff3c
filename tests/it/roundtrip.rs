//! What one gateway was pushed, its protobuf tells a second one: both show the same, in text and in protobuf.

use std::fmt::Write as _;

use pushgateway::exposition::wire as pb;
use pushgateway::random::Random;

use crate::server::Server;
use crate::wire::{self, DELIMITED};

/// How many random bodies of each format are tried.
const RUNS: u64 = 200;

/// Names of families and of labels, plain and otherwise; some look like parts of others.
const NAMES: [&str; 8] = ["m", "n:o", "h", "h_count", "h_sum", "a.b", "é \"q\"\\", "1x"];
const LABELS: [&str; 6] = ["a", "instance", "le.x", "ü", "z z", "_l"];
const TEXTS: [&str; 7] = ["", "x", "y\"\\", "l\nm", "émoji 🎈", "{a=\"b\"} 1", " "];
const NUMBERS: [f64; 14] = [
    0.0,
    1.0,
    2.0,
    1.5,
    -3.25,
    1e6,
    123_456_789.0,
    9_007_199_254_740_993.0,
    1.8e19,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

const KINDS: [&str; 5] = ["counter", "gauge", "summary", "untyped", "histogram"];

/// Two gateways, and the exposition that one of them was last asked for.
struct Pair {
    first: Server,
    second: Server,
}

impl Pair {
    fn start() -> Pair {
        let start = || Server::start(&["--push.enable-utf8-names"], "");
        Pair { first: start(), second: start() }
    }

    /// Pushes a body to the first, and what that then shows as protobuf to the second. What the first one shows of the
    /// group, in text and as messages of families; `None` if it refuses the body.
    fn check(&self, group: &str, content_type: &str, body: &[u8]) -> Option<(String, Vec<Vec<u8>>)> {
        let shown = body.escape_ascii();
        if put(&self.first, group, content_type, body).status != Some(200) {
            return None;
        }
        let (text, families) = (text_of(&self.first), families_of(&self.first));
        let response = put(&self.second, group, DELIMITED, &delimited(&families));
        assert_eq!(response.status, Some(200), "{} for {text}\nof {shown}", response.text_lossy());
        assert_eq!(text_of(&self.second), text, "{shown}");
        let again = families_of(&self.second);
        assert_eq!(again.len(), families.len(), "{shown}");
        for (one, other) in families.iter().zip(&again) {
            assert_eq!(one.escape_ascii().to_string(), other.escape_ascii().to_string(), "{shown}");
        }
        Some((text, families))
    }
}

pub fn put(gateway: &Server, group: &str, content_type: &str, body: &[u8]) -> wire::Response {
    let headers = format!("Content-Type: {content_type}\r\n");
    wire::request_with(gateway.addr, "PUT", &format!("/metrics/{group}"), &headers, Some(body))
}

fn scrape(gateway: &Server, accept: &str) -> Vec<u8> {
    let headers = format!("Accept: {accept};escaping=allow-utf-8\r\n");
    let response = wire::request_with(gateway.addr, "GET", "/metrics", &headers, None);
    assert_eq!(response.status, Some(200), "{}", response.text_lossy());
    response.body
}

/// Whether the gateway adds this family by itself.
fn is_own(name: &str) -> bool {
    let prefixes = ["process_", "promhttp_", "pushgateway_", "push_time_seconds", "push_failure_time_seconds"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The lines of what was pushed.
fn text_of(gateway: &Server) -> String {
    let text = String::from_utf8(scrape(gateway, "text/plain")).expect("an exposition is UTF-8");
    let name = |line: &str| line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").to_owned();
    text.lines().filter(|line| !is_own(&name(line))).fold(String::new(), |text, line| text + line + "\n")
}

/// The messages of what was pushed.
fn families_of(gateway: &Server) -> Vec<Vec<u8>> {
    let body = scrape(gateway, DELIMITED);
    let mut rest = &body[..];
    let mut families = Vec::new();
    while let Some((len, behind)) = pb::varint(rest) {
        let (family, behind) = behind.split_at(usize::try_from(len).expect("it is in memory"));
        rest = behind;
        let name = bytes_of(family, 1)[0];
        if !is_own(std::str::from_utf8(name).expect("a name is UTF-8")) {
            families.push(family.to_vec());
        }
    }
    families
}

pub fn delimited(families: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families {
        pb::write_varint(&mut out, family.len() as u64);
        out.extend_from_slice(family);
    }
    out
}

/// The fields of that number in a message, which are strings or messages.
fn bytes_of(message: &[u8], number: u32) -> Vec<&[u8]> {
    let fields = pb::fields(message).filter(|field| field.number == number);
    let bytes = fields.map(|field| match field.value {
        pb::Value::Bytes(bytes) => bytes,
        other => panic!("field {number} is {other:?}"),
    });
    bytes.collect()
}

/// The histograms of families, each as its fields in the order of their bytes: they are written in the order of their
/// numbers, and what was pushed may have another one.
fn histograms(families: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let metrics = families.iter().flat_map(|family| bytes_of(family, 4));
    let sorted = |message: &[u8]| {
        let mut fields: Vec<Vec<u8>> = pb::fields(message).map(|field| field.raw.to_vec()).collect();
        fields.sort();
        fields
    };
    let mut found: Vec<_> = metrics.flat_map(|metric| bytes_of(metric, 7)).map(sorted).collect();
    found.sort();
    found
}

#[test]
fn text_comes_back_as_text() {
    let pair = Pair::start();
    for (body, part) in [
        ("", ""),
        ("m 1\n", "# TYPE m untyped\nm{instance=\"\",job=\"j\"} 1\n"),
        ("# TYPE c counter\n# HELP c a\\\\b\\nc \"d\"\nc{l=\"q\\\"\\\\\\n\"} 1e300\n", "# HELP c a\\\\b\\nc \"d\"\n"),
        ("# TYPE g gauge\ng NaN\ng{a=\"1\"} +Inf\ng{a=\"2\"} -Inf\ng{a=\"3\"} -0\ng{a=\"4\"} 5e-324\n", "-Inf\n"),
        (
            "{\"a.b\",\"é ü\"=\"1\"} 1\n# TYPE \"h.x\" histogram\n{\"h.x_bucket\",le=\"1\"} 2\n{\"h.x_count\"} 3\n",
            "_bucket",
        ),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n", "h_sum"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_bucket{le=\"1\"} 1\nh_count 4\n", "h_count"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_bucket{le=\"1\"} 1\nh_count 3\n", "le=\"1\"} 1\nh_sum"),
        ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n", "} 2\nh_bucket"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 7\nh_sum NaN\n", "le=\"+Inf\"} 0\n"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 0.5\nh_sum 4\nh_count 3\n", "0.5\n"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 0\nh_count +Inf\n", "h_count"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} 1e19\nh_count 1e20\n", "1e+20\n"),
        ("# TYPE h histogram\nh_count{a=\"1\"} 1\nh_bucket{a=\"2\",le=\"-1\"} 1\nh 3\n", "a=\"2\""),
        ("# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns{quantile=\"0.5\"} 1\ns_sum -1\ns_count 1.7e19\n", "s_sum"),
        ("# TYPE s summary\ns_count{a=\"1\"} 18446744073709551615\ns{a=\"2\"} 1\ns_sum{quantile=\"1\"} 2\n", "s_sum"),
        ("# TYPE e histogram\n# TYPE f gauge\n# HELP f Nothing.\n", ""),
        ("m{instance=\"own\"} 1\nm{job=\"own\",instance=\"\"} 2\n", "instance=\"own\",job=\"j\"} 1\n"),
    ] {
        let (text, _) = pair.check("job/j", "text/plain", body.as_bytes()).unwrap_or_else(|| panic!("refused: {body}"));
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn random_text_comes_back() {
    let pair = Pair::start();
    let accepted = (0..RUNS).filter(|run| {
        let body = random_text(&mut Random::for_test(*run));
        pair.check("job/j/a/b", "text/plain", body.as_bytes()).is_some()
    });
    let accepted = accepted.count() as u64;
    assert!(accepted > RUNS / 2, "{accepted} of {RUNS} bodies were accepted");
}

#[test]
fn random_protobuf_comes_back_byte_by_byte() {
    let pair = Pair::start();
    let mut accepted = 0;
    for run in 0..RUNS {
        let pushed = random_families(&mut Random::for_test(run));
        let Some((_, families)) = pair.check("job/j", DELIMITED, &delimited(&pushed)) else { continue };
        accepted += 1;
        assert_eq!(histograms(&families), histograms(&pushed), "run {run}");
    }
    assert!(accepted > RUNS / 2, "{accepted} of {RUNS} bodies were accepted");
}

fn one_of<T: Copy>(random: &mut Random, list: &[T]) -> T {
    list[random.below(list.len() as u64) as usize]
}

/// Some of the names, each once.
fn some<'a>(random: &mut Random, names: &[&'a str], count_max: u64) -> Vec<&'a str> {
    let mut names = names.to_vec();
    random.shuffle(&mut names);
    names.truncate(random.below(count_max + 1) as usize);
    names
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

// ---- text ----

pub fn random_text(random: &mut Random) -> String {
    let mut body = String::new();
    for name in some(random, &NAMES, 3) {
        let kind = one_of(random, &KINDS);
        if random.below(2) == 0 {
            let help = one_of(random, &TEXTS).replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(body, "# HELP {} {help}", quoted(name)).expect("a string takes everything");
        }
        writeln!(body, "# TYPE {} {kind}", quoted(name)).expect("a string takes everything");
        for at in 0..random.below(4) {
            write_metric(&mut body, random, name, kind, at);
        }
    }
    body
}

/// A count that a histogram may have. Not NaN: from text it is shown, from protobuf it is no count (SPEC 8.3).
fn count(random: &mut Random) -> f64 {
    let number = one_of(random, &NUMBERS).abs();
    if number.is_nan() { 0.25 } else { number }
}

fn write_metric(body: &mut String, random: &mut Random, name: &str, kind: &str, at: u64) {
    let mut labels = format!(",at=\"{at}\"");
    for label in some(random, &LABELS, 2) {
        write!(labels, ",{}={}", quoted(label), quoted(one_of(random, &TEXTS))).expect("a string takes everything");
    }
    let mut line = |suffix: &str, bound: &str, value: f64| {
        let name = quoted(&format!("{name}{suffix}"));
        writeln!(body, "{{{name}{labels}{bound}}} {value}").expect("a string takes everything");
    };
    let (part, bound) = match kind {
        "histogram" => ("_bucket", "le"),
        "summary" => ("", "quantile"),
        _ => return line("", "", one_of(random, &NUMBERS)),
    };
    for _ in 0..random.below(4) {
        let bound = format!(",{bound}=\"{}\"", one_of(random, &NUMBERS));
        line(part, &bound, count(random));
    }
    for suffix in some(random, &["_sum", "_count"], 2) {
        line(suffix, "", count(random));
    }
}

// ---- protobuf ----

pub fn random_families(random: &mut Random) -> Vec<Vec<u8>> {
    let names = some(random, &NAMES, 3);
    names.into_iter().map(|name| random_family(random, name)).collect()
}

fn random_family(random: &mut Random, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    pb::write_bytes(&mut out, 1, name.as_bytes());
    if random.below(2) == 0 {
        pb::write_bytes(&mut out, 2, one_of(random, &TEXTS).as_bytes());
    }
    // Histograms more often than not: the other kinds have nothing that text lacks.
    let kind = one_of(random, &[0, 1, 2, 3, 4, 4, 4, 4, 5, 5]);
    pb::write_uint(&mut out, 3, kind);
    for at in 0..1 + random.below(3) {
        pb::write_nested(&mut out, 4, |out| write_message(out, random, kind, at));
    }
    out
}

fn write_message(out: &mut Vec<u8>, random: &mut Random, kind: u64, at: u64) {
    let mut label = |name: &str, value: &str| {
        pb::write_nested(out, 1, |out| {
            pb::write_bytes(out, 1, name.as_bytes());
            pb::write_bytes(out, 2, value.as_bytes());
        });
    };
    label("at", &at.to_string());
    for name in some(random, &LABELS, 2) {
        label(name, one_of(random, &TEXTS));
    }
    let value = one_of(random, &NUMBERS);
    match kind {
        0 => pb::write_nested(out, 3, |out| pb::write_double(out, 1, value)),
        1 => pb::write_nested(out, 2, |out| pb::write_double(out, 1, value)),
        2 => pb::write_nested(out, 4, |out| write_summary(out, random)),
        3 => pb::write_nested(out, 5, |out| pb::write_double(out, 1, value)),
        _ => pb::write_nested(out, 7, |out| write_histogram(out, random)),
    }
}

fn write_summary(out: &mut Vec<u8>, random: &mut Random) {
    pb::write_uint(out, 1, random.bits() >> random.below(64));
    pb::write_double(out, 2, one_of(random, &NUMBERS));
    for _ in 0..random.below(3) {
        pb::write_nested(out, 3, |out| {
            pb::write_double(out, 1, random.below(5) as f64 / 4.0);
            pb::write_double(out, 2, one_of(random, &NUMBERS));
        });
    }
}

/// A histogram with what lines do not show: spans, deltas, a zero bucket, exemplars, a time of creation.
fn write_histogram(out: &mut Vec<u8>, random: &mut Random) {
    // What a bucket has more than the one before, twice: nothing is below zero, so that is what zigzag makes of it.
    let sides = [0, 0].map(|_| (0..random.below(4)).map(|_| 2 * random.below(5)).collect::<Vec<_>>());
    let total =
        |deltas: &Vec<u64>| (1..).zip(deltas.iter().rev()).map(|(buckets, delta)| buckets * delta / 2).sum::<u64>();
    let native = sides.iter().map(total).sum::<u64>();
    let count = native.max(random.bits() >> random.below(64));
    pb::write_uint(out, 1, count);
    pb::write_double(out, 2, one_of(random, &NUMBERS));
    for at in 0..random.below(3) {
        pb::write_nested(out, 3, |out| {
            pb::write_uint(out, 1, random.below(9));
            pb::write_double(out, 2, at as f64 + 0.5);
            if random.below(3) == 0 {
                pb::write_nested(out, 3, |out| write_exemplar(out, random));
            }
        });
    }
    // Zigzag: 0 to 8 are the schemas 0, -1, 1, -2, 2, -3, 3, -4, 4.
    pb::write_uint(out, 5, random.below(9));
    pb::write_double(out, 6, 0.001);
    pb::write_uint(out, 7, count - native);
    for ((span, delta), deltas) in [(9, 10), (12, 13)].into_iter().zip(sides) {
        pb::write_nested(out, span, |out| {
            pb::write_uint(out, 1, random.below(9));
            pb::write_uint(out, 2, deltas.len() as u64);
        });
        deltas.iter().for_each(|more| pb::write_uint(out, delta, *more));
    }
    if random.below(2) == 0 {
        pb::write_nested(out, 15, |out| pb::write_uint(out, 1, random.bits() >> 34));
    }
    if random.below(2) == 0 {
        pb::write_nested(out, 16, |out| write_exemplar(out, random));
    }
}

fn write_exemplar(out: &mut Vec<u8>, random: &mut Random) {
    pb::write_nested(out, 1, |out| {
        pb::write_bytes(out, 1, b"trace");
        pb::write_bytes(out, 2, one_of(random, &TEXTS).as_bytes());
    });
    pb::write_double(out, 2, one_of(random, &NUMBERS));
    pb::write_nested(out, 3, |out| pb::write_uint(out, 1, random.bits() >> 34));
}
