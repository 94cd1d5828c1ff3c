//! The JSON of the query API: status, and all groups with what they hold (SPEC 8).
//!
//! Reads the store's finished text back; numbers that text does not keep apart come from the lines' notes, and what it
//! does not show at all from the messages of the metrics. What is written here is short; long answers are put together
//! in `stream` and `groups`.

mod buckets;
pub mod groups;
pub mod own;
pub mod parameters;
pub mod removal;
pub mod search;
pub mod stream;

use crate::exposition::protobuf::{Count, Histogram, summary_count};
use crate::model::build::Build;
use crate::model::escape::unescape;
use crate::model::line::{Line, label_pairs};
use crate::model::sample::Kind;
use crate::model::time::Timestamp;
use crate::model::{number, order};
use crate::store::{FamilyView, LineCursor, LineNote, Lines, Remark, Store};

use super::json::{write_key, write_string};
use buckets::{shown, shown_count, write_native};

/// The body of `/api/v1/status` (SPEC 8.2).
///
/// `changed` names the flags whose values are not those of a start without any; the original does not tell.
pub fn status(
    build: &Build,
    flags: &[(&'static str, String)],
    changed: &[&'static str],
    started: Timestamp,
) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":{\"build_information\":".to_vec();
    let information = [
        ("branch", build.branch),
        ("buildDate", build.date),
        ("buildUser", build.user),
        ("goVersion", build.go_version),
        ("revision", build.revision),
        ("version", build.version),
    ];
    write_object(&mut out, information.into_iter());
    out.extend_from_slice(b",\"flags\":");
    write_object(&mut out, flags.iter().map(|(name, value)| (*name, &**value)));
    out.extend_from_slice(b",\"flags_changed\":[");
    for (at, name) in changed.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(&mut out, name.as_bytes());
    }
    out.push(b']');
    out.extend_from_slice(format!(",\"start_time\":\"{}\"}}}}", started.rfc3339_nanos()).as_bytes());
    out
}

/// Writes a group's family up to its metrics, which [`write_metrics`] writes.
fn write_family_head(out: &mut Vec<u8>, family: &FamilyView) {
    out.extend_from_slice(format!("{{\"time_stamp\":\"{}\"", family.written().rfc3339_nanos()).as_bytes());
    out.extend_from_slice(format!(",\"type\":\"{}\"", family.kind().upper_name()).as_bytes());
    if let Some(help) = family.help().filter(|help| !help.is_empty()) {
        out.extend_from_slice(b",\"help\":");
        write_string(out, help);
    }
    out.extend_from_slice(b",\"metrics\":[");
}

/// Writes metrics of a family from `at` on until `out` is full; whether that was all, and the family is closed. What
/// lines do not show is asked of the store.
fn write_metrics(store: &Store, out: &mut Vec<u8>, family: &FamilyView, at: &mut LineCursor, full: usize) -> bool {
    let mut lines = ShownLines::new(family, *at);
    while out.len() < full {
        let is_first = at.line == 0;
        let Some(line) = lines.next() else {
            out.extend_from_slice(b"]}");
            return true;
        };
        if !is_first {
            out.push(b',');
        }
        write_metric(store, out, family, line, &mut lines);
        *at = lines.cursor();
    }
    false
}

fn write_metric<'a>(store: &Store, out: &mut Vec<u8>, family: &FamilyView, line: Shown<'a>, rest: &mut ShownLines<'a>) {
    match family.kind() {
        Kind::Summary => {
            let summary = Compound::read(line, rest, family.name());
            write_summary(out, &summary, store.detail(family.name(), summary.labels));
        }
        Kind::Histogram | Kind::GaugeHistogram => {
            let histogram = Compound::read(line, rest, family.name());
            write_histogram(out, &histogram, store.detail(family.name(), histogram.labels));
        }
        Kind::Counter | Kind::Gauge | Kind::Untyped => write_simple(out, &line),
    }
}

/// The lines of a family from a place on, with what is known beyond their text.
struct ShownLines<'a> {
    lines: Lines<'a>,
    /// The notes on the lines to come.
    notes: &'a [LineNote],
}

impl<'a> ShownLines<'a> {
    fn new(family: &'a FamilyView, at: LineCursor) -> Self {
        let notes = family.notes();
        let passed = notes.partition_point(|note| note.line < at.line);
        Self { lines: family.lines(at), notes: &notes[passed..] }
    }

    fn cursor(&self) -> LineCursor {
        self.lines.cursor()
    }
}

impl<'a> Iterator for ShownLines<'a> {
    type Item = Shown<'a>;

    fn next(&mut self) -> Option<Shown<'a>> {
        let number = self.cursor().line;
        let line = self.lines.next()?;
        let note = self.notes.first().filter(|note| note.line == number);
        if note.is_some() {
            self.notes = &self.notes[1..];
        }
        Some(Shown { line, note: note.map(|note| note.remark) })
    }
}

/// A line and what is known beyond its text.
struct Shown<'a> {
    line: Line<'a>,
    note: Option<Remark>,
}

impl<'a> Shown<'a> {
    fn value(&self) -> &'a str {
        if self.note == Some(Remark::NegativeZero) { "-0" } else { self.line.value }
    }
}

fn write_simple(out: &mut Vec<u8>, line: &Shown<'_>) {
    out.extend_from_slice(b"{\"labels\":");
    write_labels(out, line.line.labels);
    out.extend_from_slice(b",\"value\":");
    write_string(out, line.value().as_bytes());
    out.push(b'}');
}

/// A histogram or summary, read back from its lines.
struct Compound<'a> {
    labels: &'a str,
    /// Bounds and their values as written, those that were pushed.
    bounds: Vec<(&'a str, &'a str)>,
    sum: &'a str,
    count: &'a str,
}

impl<'a> Compound<'a> {
    /// Reads a metric of the family `name`: lines with a bound as their last label, then the sum, then the count. They
    /// are told apart by their names: unchecked pushes may have a group's label named like that of a bound.
    fn read(first: Shown<'a>, rest: &mut impl Iterator<Item = Shown<'a>>, name: &str) -> Self {
        let is_sum = |line: &Line<'_>| line.name.strip_suffix("_sum").is_some_and(|whole| unescape(whole) == name);
        let mut bounds = Vec::new();
        let mut sum = first;
        while !is_sum(&sum.line) {
            let (_, bound) = label_pairs(sum.line.labels).last().expect("the line of a bound has its label");
            if sum.note != Some(Remark::AddedInfinity) {
                bounds.push((bound, sum.value()));
            }
            sum = rest.next().expect("a sum follows the bounds");
        }
        let count = rest.next().expect("a count follows the sum").line.value;
        Self { labels: sum.line.labels, bounds, sum: sum.value(), count }
    }

    /// The bounds as an object's members: sorted as text, the last of equal ones.
    fn members(&self) -> Vec<(&'a str, &'a str)> {
        members(self.bounds.clone())
    }
}

/// Bounds and values as an object's members: sorted as text, the last of equal ones.
fn members<K: AsRef<str>, V>(mut members: Vec<(K, V)>) -> Vec<(K, V)> {
    members.reverse();
    order::sort_by(&mut members, |left, right| left.0.as_ref().cmp(right.0.as_ref()));
    members.dedup_by(|left, right| left.0.as_ref() == right.0.as_ref());
    members
}

fn write_summary(out: &mut Vec<u8>, summary: &Compound<'_>, detail: Option<&[u8]>) {
    let count = detail.map_or_else(|| whole(summary.count).unwrap_or_default(), summary_count);
    write_member(out, b"{\"count\":", &count.to_string());
    out.extend_from_slice(b",\"labels\":");
    write_labels(out, summary.labels);
    out.extend_from_slice(b",\"quantiles\":");
    write_object(out, summary.members().into_iter());
    write_member(out, b",\"sum\":", summary.sum);
    out.push(b'}');
}

/// Buckets and count come from the message of the metric, where there is one, else from its lines.
fn write_histogram(out: &mut Vec<u8>, histogram: &Compound<'_>, detail: Option<&[u8]>) {
    out.extend_from_slice(b"{\"buckets\":");
    let count = match detail.map(|message| write_buckets(out, message)) {
        Some(count) => shown_count(count),
        None => write_plain_buckets(out, histogram),
    };
    write_member(out, b",\"count\":", &count);
    out.extend_from_slice(b",\"labels\":");
    write_labels(out, histogram.labels);
    write_member(out, b",\"sum\":", histogram.sum);
    out.push(b'}');
}

/// Writes the buckets of a histogram's message; gives its count.
fn write_buckets(out: &mut Vec<u8>, message: &[u8]) -> Count {
    const ACCEPTED: &str = "the message was read before it was kept";
    let mut classic = Vec::new();
    let histogram = Histogram::read(message, |bound, count| classic.push((shown(bound), shown_count(count))));
    let histogram = histogram.expect(ACCEPTED);
    if histogram.has_spans {
        write_native(out, &histogram).expect(ACCEPTED);
    } else {
        write_object(out, members(classic).into_iter());
    }
    histogram.count()
}

/// Writes the buckets of a histogram's lines; gives its count. Counts are integers unless any of them is not; then
/// all are written as doubles (SPEC 3.8).
fn write_plain_buckets(out: &mut Vec<u8>, histogram: &Compound<'_>) -> String {
    let is_float = whole(histogram.count).is_none() || histogram.bounds.iter().any(|(_, count)| whole(count).is_none());
    let shown = |count: &str| match whole(count) {
        Some(whole) if !is_float => whole.to_string(),
        _ if number::parse(count.as_bytes()).is_some_and(|count| count > 0.0) => count.to_owned(),
        _ => "0".to_owned(),
    };
    write_object(out, histogram.members().into_iter().map(|(bound, count)| (bound, shown(count))));
    shown(histogram.count)
}

/// The count as an integer from 0 to below 2^64, if it is one.
fn whole(count: &str) -> Option<u64> {
    let count = number::parse(count.as_bytes())?;
    let is_whole = count >= 0.0 && count.fract() == 0.0 && count < 18_446_744_073_709_551_616.0;
    is_whole.then_some(count as u64)
}

fn write_member(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    write_string(out, value.as_bytes());
}

fn write_labels(out: &mut Vec<u8>, labels: &str) {
    let mut is_first = true;
    for (name, value) in label_pairs(labels) {
        write_key(out, &mut is_first, unescape(name).as_bytes());
        write_string(out, unescape(value).as_bytes());
    }
    close_object(out, is_first);
}

/// Writes an object of strings.
fn write_object(out: &mut Vec<u8>, members: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>) {
    let mut is_first = true;
    for (key, value) in members {
        write_key(out, &mut is_first, key.as_ref().as_bytes());
        write_string(out, value.as_ref().as_bytes());
    }
    close_object(out, is_first);
}

fn close_object(out: &mut Vec<u8>, is_empty: bool) {
    out.extend_from_slice(if is_empty { b"{}" } else { b"}" });
}
