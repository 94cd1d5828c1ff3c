//! Replays the fuzz seeds: every file below `fuzz/seeds/<target>`, and mutations of it that are the same every time.
//!
//! Every crash that fuzzing finds becomes a file there. A failing input is written below the target directory.

use std::fs;
use std::ops::Range;
use std::path::Path;

use pushgateway::random::Random;

use crate::tools::Scratch;

/// The body of a fuzz target.
type Body = fn(&[u8]);

/// The targets: the name of the folder, and the body that `fuzz/fuzz_targets/<name>.rs` calls.
const TARGETS: &[(&str, Body)] = &[
    ("accept_header", pushgateway::fuzz::convert::accept_header),
    ("deflate_encoder", pushgateway::fuzz::deflate::deflate_encoder),
    ("exposition_convert", pushgateway::fuzz::convert::exposition_convert),
    ("gob_reader", pushgateway::fuzz::gob::gob_reader),
    ("record_reader", pushgateway::fuzz::record::record_reader),
    ("grouping_key", pushgateway::fuzz::grouping::grouping_key),
    ("gzip_decoder", pushgateway::fuzz::coding::gzip_decoder),
    ("http_connection", pushgateway::fuzz::http::http_connection),
    ("snappy_decoder", pushgateway::fuzz::coding::snappy_decoder),
    ("protobuf_reader", pushgateway::fuzz::protobuf::protobuf_reader),
    ("query_string", pushgateway::fuzz::query::query_string),
    ("store_ops", pushgateway::fuzz::store::store_ops),
    ("text_parser", pushgateway::fuzz::text::text_parser),
    ("web_config", pushgateway::fuzz::config::web_config),
];

/// How many mutations of each seed are tried: a smoke test, the fuzzer itself tries millions.
const MUTATIONS: u64 = 20;

/// Longer seeds are replayed as they are only: most of what a change does to them has been seen with shorter ones.
const MUTATED_BYTES_MAX: usize = 4096;

/// Pieces that mean something to one of the targets.
const TOKENS: &[&str] = &[
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\"",
    "\\",
    "{",
    "}",
    "=",
    ",",
    "#",
    " ",
    "/",
    "%2F",
    "%ff",
    "@base64",
    "NaN",
    "+Inf",
    "-0",
    "1e309",
    "0x1p-2",
    "# TYPE a histogram\n",
    "_bucket",
    "_sum",
    "_count",
    "le=\"",
    "quantile=\"",
    "\0",
    "é",
    "\u{feff}",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Expect: 100-continue\r\n",
    "HTTP/1.0",
    "ffffffffffffffff\r\n",
    "0\r\n\r\n",
];

#[test]
fn seeds_and_their_mutations_pass() {
    for (target, body) in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "no seeds below fuzz/seeds/{target}");
        for (number, (name, seed)) in seeds.iter().enumerate() {
            replay(target, name, *body, seed);
            let mut random = Random::new(number as u64);
            let mutations = if seed.len() > MUTATED_BYTES_MAX { 0 } else { MUTATIONS };
            for _ in 0..mutations {
                let other = &seeds[below(&mut random, seeds.len())].1;
                replay(target, name, *body, &mutated(seed, other, &mut random));
            }
        }
    }
}

#[test]
fn every_target_is_replayed() {
    let mut folders = names("fuzz/seeds");
    let mut sources = names("fuzz/fuzz_targets");
    let mut targets: Vec<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    sources.iter_mut().for_each(|name| name.truncate(name.len() - ".rs".len()));
    targets.sort();
    folders.sort();
    sources.sort();
    assert_eq!(folders, sources, "a folder of seeds for every fuzz target");
    assert_eq!(folders, targets, "a line in this table for every fuzz target");
}

/// Runs one input; if the body panics the input is kept and named.
fn replay(target: &str, seed: &str, body: Body, input: &[u8]) {
    let _told = OnPanic { target, seed, input };
    body(input);
}

/// Keeps the input of a panicking body.
struct OnPanic<'a> {
    target: &'a str,
    seed: &'a str,
    input: &'a [u8],
}

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let scratch = Scratch::new(self.target);
            let path = scratch.file(self.seed, self.input);
            std::mem::forget(scratch);
            eprintln!("fuzz target {}, from seed {}; the input is kept in {}", self.target, self.seed, path.display());
        }
    }
}

/// The seeds of a target, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("fuzz/seeds/{target}");
    let read = |name: &String| fs::read(root().join(&folder).join(name)).expect("the seed can be read");
    let mut names = names(&folder);
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.map(|entry| entry.expect("the folder can be read").file_name().to_string_lossy().into_owned()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A seed of a target after a few changes.
pub fn mutated_seed(target: &str, random: &mut Random) -> Vec<u8> {
    let seeds: Vec<_> = seeds(target).into_iter().filter(|(_, seed)| seed.len() <= MUTATED_BYTES_MAX).collect();
    let [one, other] = [0, 1].map(|_| below(random, seeds.len()));
    mutated(&seeds[one].1, &seeds[other].1, random)
}

/// The seed after a few changes.
fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=below(random, 4) {
        change(&mut bytes, other, random);
    }
    bytes
}

/// One change: a bit, a cut, a repetition, a piece of another seed, or a token.
fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let range = range_within(random, bytes.len());
    match below(random, 6) {
        0 if !bytes.is_empty() => {
            let at = below(random, bytes.len());
            bytes[at] ^= 1 << below(random, 8);
        }
        1 => drop(bytes.drain(range)),
        2 => bytes.truncate(range.end),
        3 => {
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        4 => {
            let piece = range_within(random, other.len());
            bytes.splice(range, other[piece].iter().copied());
        }
        _ => {
            let token = TOKENS[below(random, TOKENS.len())];
            bytes.splice(range.start..range.start, token.bytes());
        }
    }
}

/// A number below the bound, which is not zero.
fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("the bound was a usize")
}

/// A range within a length.
fn range_within(random: &mut Random, length: usize) -> Range<usize> {
    let (one, two) = (below(random, length + 1), below(random, length + 1));
    one.min(two)..one.max(two)
}

#[test]
fn mutations_are_the_same_every_time_and_differ_among_themselves() {
    let run = || -> Vec<Vec<u8>> {
        let mut random = Random::new(7);
        (0..100).map(|_| mutated(b"a{b=\"c\"} 1\n", b"PUT / HTTP/1.1\r\n", &mut random)).collect()
    };
    assert_eq!(run(), run());
    assert!(run().iter().collect::<std::collections::HashSet<_>>().len() > 80);
}
