//! Metrics as protobuf messages, put together from finished lines: one line of a plain family, several of a histogram
//! or summary, which stand next to each other and end with the count (SPEC 7.4, 8.3).
//!
//! Lines that do not fit their family's kind say nothing that a message could hold, and are left out.

use memchr::memrchr;

use super::schema::*;
use crate::exposition::format::Escaping;
use crate::exposition::wire::{self, fields};
use crate::model::escape::unescape;
use crate::model::line::{Line, label_pairs};
use crate::model::sample::Kind;
use crate::model::{number, order};

/// The largest integer count is below this.
const COUNT_END: f64 = 18_446_744_073_709_551_616.0;

/// Collects the lines of a metric.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Bounds and their values, in order.
    bounds: Vec<(f64, f64)>,
    sum: f64,
}

/// A metric whose lines are all there.
#[derive(Clone, Copy, Debug)]
pub struct Complete<'a> {
    /// Its label set as written, without `le` and `quantile`.
    pub labels: &'a str,
    /// Its value, or the count of a histogram or summary.
    value: f64,
}

impl Assembler {
    /// Forgets a metric, complete or not.
    pub fn clear(&mut self) {
        self.bounds.clear();
        self.sum = 0.0;
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.bounds.capacity() * size_of::<(f64, f64)>()
    }

    /// Takes a line of a family of this kind and name (as written); the metric that it completes, if any.
    pub fn take<'a>(&mut self, line: Line<'a>, kind: Kind, family: &str) -> Option<Complete<'a>> {
        let suffix = line.name.strip_prefix(family)?;
        let value = number::parse(line.value.as_bytes())?;
        let complete = Complete { labels: line.labels, value };
        let is_summary = kind == Kind::Summary;
        if !is_summary && !kind.is_histogram() {
            return suffix.is_empty().then_some(complete);
        }
        match suffix {
            "_count" => return Some(complete),
            "_sum" => self.sum = value,
            "" if is_summary => self.bounds.extend(bound(line.labels, "quantile=").map(|rank| (rank, value))),
            "_bucket" if !is_summary => self.bounds.extend(bound(line.labels, "le=").map(|bound| (bound, value))),
            _ => {}
        }
        None
    }

    /// Writes a complete metric as a message. `message` is its value message if that has more than its lines show.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        metric: Complete<'_>,
        kind: Kind,
        escaping: Escaping,
        message: Option<&[u8]>,
    ) {
        for (name, value) in label_pairs(metric.labels) {
            wire::write_nested(out, METRIC_LABEL, |out| {
                wire::write_nested(out, LABEL_NAME, |out| escaping.write(out, name));
                wire::write_bytes(out, LABEL_VALUE, unescape(value).as_bytes());
            });
        }
        let number = match kind {
            Kind::Gauge => METRIC_GAUGE,
            Kind::Counter => METRIC_COUNTER,
            Kind::Summary => METRIC_SUMMARY,
            Kind::Untyped => METRIC_UNTYPED,
            Kind::Histogram | Kind::GaugeHistogram => METRIC_HISTOGRAM,
        };
        wire::write_nested(out, number, |out| match (message, kind) {
            (Some(message), _) => write_in_order(out, message),
            (None, Kind::Summary) => self.write_summary(out, metric.value),
            (None, Kind::Histogram | Kind::GaugeHistogram) => self.write_histogram(out, metric.value),
            (None, _) => wire::write_double(out, SIMPLE_VALUE, metric.value),
        });
    }

    fn write_summary(&self, out: &mut Vec<u8>, count: f64) {
        wire::write_uint(out, SAMPLE_COUNT, count as u64);
        wire::write_double(out, SAMPLE_SUM, self.sum);
        for (rank, value) in &self.bounds {
            wire::write_nested(out, BOUNDS, |out| {
                wire::write_double(out, QUANTILE_RANK, *rank);
                wire::write_double(out, QUANTILE_VALUE, *value);
            });
        }
    }

    /// Counts are integers unless one of them is not; then all are doubles (SPEC 3.8). A bucket without bound that
    /// counts everything is left out behind the others: lines always have it, and readers of messages add it there.
    fn write_histogram(&self, out: &mut Vec<u8>, count: f64) {
        let is_whole = |count: f64| (0.0..COUNT_END).contains(&count) && count.fract() == 0.0;
        let is_integer = is_whole(count) && self.bounds.iter().all(|(_, count)| is_whole(*count));
        if is_integer {
            wire::write_uint(out, SAMPLE_COUNT, count as u64);
        }
        wire::write_double(out, SAMPLE_SUM, self.sum);
        for (bound, value) in self.stated_bounds(count) {
            wire::write_nested(out, BOUNDS, |out| {
                if is_integer {
                    wire::write_uint(out, BUCKET_COUNT, *value as u64);
                }
                wire::write_double(out, BUCKET_BOUND, *bound);
                if !is_integer {
                    wire::write_double(out, BUCKET_COUNT_FLOAT, *value);
                }
            });
        }
        if !is_integer {
            wire::write_double(out, HISTOGRAM_COUNT_FLOAT, count);
        }
    }

    /// The buckets without the last one, if that is what readers would add.
    fn stated_bounds(&self, count: f64) -> &[(f64, f64)] {
        match self.bounds.split_last() {
            Some(((f64::INFINITY, value), others))
                if value.to_bits() == count.to_bits() && others.iter().all(|(bound, _)| *bound != f64::INFINITY) =>
            {
                others
            }
            _ => &self.bounds,
        }
    }
}

/// The number in the last label, if that is the one meant: `name` is with its equals sign.
fn bound(labels: &str, name: &str) -> Option<f64> {
    let inner = labels.strip_suffix('"')?;
    let (label, bound) = inner.split_at(memrchr(b'"', inner.as_bytes())?);
    let is_it = label.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(','));
    is_it.then(|| number::parse(&bound.as_bytes()[1..]))?
}

/// Writes a message's fields in the order of their numbers, as Go does, whatever the order in which they were pushed.
fn write_in_order(out: &mut Vec<u8>, message: &[u8]) {
    if fields(message).map(|field| field.number).is_sorted() {
        out.extend_from_slice(message);
        return;
    }
    let mut all: Vec<_> = fields(message).collect();
    order::sort_by_key(&mut all, |field| field.number);
    all.iter().for_each(|field| out.extend_from_slice(field.raw));
}
