//! What is measured. A case is prepared once, and then its work is done again and again; each time does the same.

use std::fmt;
use std::hint::black_box;

use pushgateway::exposition::text::Parser;
use pushgateway::model::name::Names;
use pushgateway::model::number;
use pushgateway::model::sample::{FamilyIx, Kind, Sample, Sink};
use pushgateway::model::time::Timestamp;
use pushgateway::persist::record::Encoder;
use pushgateway::store::{Deflater, GroupKey, Mode, PageText, Snapshot, Staged, Store};

/// One thing to measure.
pub struct Case {
    /// Its name, without blanks.
    pub name: &'static str,
    /// How many bytes are worked on each time.
    pub bytes: usize,
    /// Prepares it; the call that is returned does it once.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All cases.
pub const CASES: &[Case] = &[
    Case { name: "parse_gauges", bytes: GAUGES.len(), prepare: || parse(GAUGES.to_owned()) },
    Case { name: "parse_histogram", bytes: HISTOGRAM.len(), prepare: || parse(HISTOGRAM.to_owned()) },
    Case { name: "parse_series_1000", bytes: SERIES_BYTES, prepare: || parse(series(1000)) },
    Case { name: "stage_gauges", bytes: GAUGES.len(), prepare: || stage(GAUGES.to_owned()) },
    Case { name: "stage_series_1000", bytes: SERIES_BYTES, prepare: || stage(series(1000)) },
    Case { name: "push_to_one_group", bytes: GAUGES.len(), prepare: || push(1, 1) },
    Case { name: "push_to_20000_groups", bytes: GAUGES.len(), prepare: || push(20_000, 1) },
    Case { name: "push_checked_against_8_shapes", bytes: GAUGES.len(), prepare: || push(1000, 8) },
    Case { name: "push_and_delete_new_group", bytes: GAUGES.len(), prepare: push_and_delete },
    Case { name: "push_of_other_length", bytes: GAUGES.len(), prepare: push_of_other_length },
    Case { name: "push_series_1000", bytes: SERIES_BYTES, prepare: push_series },
    Case { name: "number_read_and_copied", bytes: 6, prepare: || numbers(&["17.5", "123456", "0.25"]) },
    Case { name: "number_read_and_written", bytes: 24, prepare: || numbers(&["1e3", "0.30000000000000004", "1.5E9"]) },
    Case { name: "snapshot_of_20000_groups", bytes: 0, prepare: snapshot },
    Case { name: "gzip_page", bytes: PAGE_BYTES, prepare: gzip_page },
    Case { name: "encode_record_gauges", bytes: GAUGES.len(), prepare: || encode(GAUGES.to_owned()) },
    Case { name: "encode_record_series_1000", bytes: SERIES_BYTES, prepare: || encode(series(1000)) },
];

/// What a batch job pushes.
const GAUGES: &str = "\
# HELP batch_metric_1 A metric pushed by a batch job.
# TYPE batch_metric_1 gauge
batch_metric_1{phase=\"load\",shard=\"1\"} 17.5
# HELP batch_metric_2 A metric pushed by a batch job.
# TYPE batch_metric_2 gauge
batch_metric_2{phase=\"load\",shard=\"2\"} 34.5
# HELP batch_metric_3 A metric pushed by a batch job.
# TYPE batch_metric_3 gauge
batch_metric_3{phase=\"load\",shard=\"3\"} 51.5
# HELP batch_metric_4 A metric pushed by a batch job.
# TYPE batch_metric_4 gauge
batch_metric_4{phase=\"load\",shard=\"4\"} 68.5
# HELP batch_metric_5 A metric pushed by a batch job.
# TYPE batch_metric_5 gauge
batch_metric_5{phase=\"load\",shard=\"5\"} 85.5
";

const HISTOGRAM: &str = "\
# TYPE took_seconds histogram
took_seconds_bucket{le=\"0.1\"} 3
took_seconds_bucket{le=\"0.5\"} 7
took_seconds_bucket{le=\"1\"} 10
took_seconds_bucket{le=\"5\"} 11
took_seconds_bucket{le=\"+Inf\"} 11
took_seconds_sum 9.25
took_seconds_count 11
";

/// The length of `series(1000)`.
const SERIES_BYTES: usize = 69_891;

/// As much text as a page holds.
const PAGE_BYTES: usize = 32 << 10;

/// One family with many series.
fn series(count: usize) -> String {
    (0..count).fold("# HELP big Big family.\n# TYPE big gauge\n".to_owned(), |text, at| {
        let (path, zone) = (at % 97, at % 3);
        text + &format!("big{{id=\"{at}\",path=\"/var/lib/data/{path}\",zone=\"eu-west-{zone}\"}} {at}.25\n")
    })
}

/// Takes what a parser reads and does nothing with it.
struct Nothing;

impl Sink for Nothing {
    fn family(&mut self, family: FamilyIx, name: &str) {
        black_box((family, name));
    }

    fn kind(&mut self, family: FamilyIx, kind: Kind) {
        black_box((family, kind));
    }

    fn help(&mut self, family: FamilyIx, text: &[u8]) {
        black_box((family, text));
    }

    fn sample(&mut self, sample: Sample<'_>) {
        black_box(sample);
    }
}

/// Parser and staging area of a connection.
#[derive(Default)]
struct Pusher {
    parser: Parser,
    staged: Staged,
}

impl Pusher {
    fn stage(&mut self, labels: &[(&str, &str)], body: &str) {
        self.parser.reset(Names::Classic);
        self.staged.begin(labels.iter().copied());
        self.parser.feed(body.as_bytes(), &mut self.staged).expect("the bodies here are well-formed");
        self.parser.finish(&mut self.staged).expect("the bodies here are well-formed");
        self.staged.seal();
    }

    fn push(&mut self, store: &mut Store, labels: &[(&str, &str)], body: &str) {
        self.stage(labels, body);
        let outcome = store.push(&mut self.staged, Mode::Replace, Timestamp(1_700_000_000_000_000_000));
        outcome.expect("the bodies here are consistent");
        self.staged.clear();
    }
}

fn parse(body: String) -> Box<dyn FnMut()> {
    let mut parser = Parser::new();
    Box::new(move || {
        parser.reset(Names::Classic);
        parser.feed(body.as_bytes(), &mut Nothing).expect("the bodies here are well-formed");
        parser.finish(&mut Nothing).expect("the bodies here are well-formed");
    })
}

fn stage(body: String) -> Box<dyn FnMut()> {
    let mut pusher = Pusher::default();
    Box::new(move || pusher.stage(&[("instance", "i1"), ("job", "bench")], &body))
}

/// A store of many groups; groups of different shapes have labels of different names.
fn filled(groups: usize, shapes: usize) -> (Store, Pusher, Vec<(String, String)>) {
    let (mut store, mut pusher) = (Store::new(), Pusher::default());
    let names: Vec<_> = (0..groups).map(|at| (format!("instance{}", at % shapes), format!("i{at}"))).collect();
    for (name, value) in &names {
        pusher.push(&mut store, &[(name, value), ("job", "bench")], GAUGES);
    }
    (store, pusher, names)
}

fn push(groups: usize, shapes: usize) -> Box<dyn FnMut()> {
    let (mut store, mut pusher, names) = filled(groups, shapes);
    let mut at = 0;
    Box::new(move || {
        // A step that visits all groups and is no neighbour's.
        at = (at + 7919) % names.len();
        let (name, value) = &names[at];
        pusher.push(&mut store, &[(name, value), ("job", "bench")], GAUGES);
    })
}

fn push_and_delete() -> Box<dyn FnMut()> {
    let (mut store, mut pusher, _) = filled(1000, 1);
    let labels = [("instance0", "i5000"), ("job", "bench")];
    Box::new(move || {
        pusher.push(&mut store, &labels, GAUGES);
        assert!(store.delete(&GroupKey::new(labels)), "it was just pushed");
    })
}

/// Entries become longer and shorter by turns, so that what stands behind them in their pages moves.
fn push_of_other_length() -> Box<dyn FnMut()> {
    let (mut store, mut pusher, names) = filled(1000, 1);
    let bodies = [GAUGES.to_owned(), GAUGES.replace(".5\n", "1234.5\n")];
    let mut at = 0;
    Box::new(move || {
        at += 1;
        let (name, value) = &names[at * 7919 % names.len()];
        pusher.push(&mut store, &[(name, value), ("job", "bench")], &bodies[at % 2]);
    })
}

fn push_series() -> Box<dyn FnMut()> {
    let (mut store, mut pusher, _) = filled(1000, 1);
    let body = series(1000);
    Box::new(move || pusher.push(&mut store, &[("instance", "big"), ("job", "bench")], &body))
}

fn numbers(tokens: &'static [&'static str]) -> Box<dyn FnMut()> {
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        for token in tokens {
            let token = black_box(token.as_bytes());
            let number = number::read(token).expect("the tokens here are numbers");
            number::write_token(&mut out, token, number);
        }
        black_box(&out);
    })
}

fn snapshot() -> Box<dyn FnMut()> {
    let (store, ..) = filled(20_000, 1);
    let mut snapshot = Snapshot::default();
    Box::new(move || {
        store.snapshot(&mut snapshot);
        black_box(&snapshot);
    })
}

fn gzip_page() -> Box<dyn FnMut()> {
    let mut text = series(1000).into_bytes();
    text.truncate(PAGE_BYTES);
    let mut deflater = Deflater::default();
    Box::new(move || {
        let page = PageText::new(text.clone(), false);
        assert_eq!(deflater.compress(&page), PAGE_BYTES, "a new page has no run");
    })
}

fn encode(body: String) -> Box<dyn FnMut()> {
    let (mut store, mut pusher) = (Store::new(), Pusher::default());
    let labels = [("instance", "i1"), ("job", "bench")];
    pusher.push(&mut store, &labels, &body);
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    Box::new(move || {
        out.clear();
        let group = store.group(&GroupKey::new(labels)).expect("it was just pushed");
        encoder.begin(&group, &mut out);
        let mut budget = usize::MAX;
        assert!(encoder.advance(&store, &mut out, &mut budget), "the budget is enough for any record");
        black_box(&out);
    })
}
