//! Metrics as protobuf messages, put together from finished lines: one line of a plain family, several of a histogram
//! or summary, which stand next to each other and end with the count (SPEC 7.4, 8.3).
//!
//! Lines that do not fit their family's kind say nothing that a message could hold, and are left out. The bounds of a metric
//! that has very many are not kept: they are added up, so that what comes before them can be written, and then read again.

use memchr::memrchr;

use super::labels;
use super::schema::*;
use crate::exposition::format::Escaping;
use crate::exposition::wire::{self, fields};
use crate::limits::METRIC_BOUNDS_KEPT_MAX;
use crate::model::escape::unescape;
use crate::model::line::Line;
use crate::model::sample::Kind;
use crate::model::{number, order};

/// The largest integer count is below this.
const COUNT_END: f64 = 18_446_744_073_709_551_616.0;

/// Collects the lines of a metric.
#[derive(Debug)]
pub struct Assembler {
    /// Bounds and their values, in order; none once there are too many.
    bounds: Vec<(f64, f64)>,
    sum: f64,
    /// What they come to if there are too many.
    tally: Option<Tally>,
    bounds_max: usize,
}

impl Default for Assembler {
    fn default() -> Self {
        Self { bounds: Vec::new(), sum: 0.0, tally: None, bounds_max: METRIC_BOUNDS_KEPT_MAX }
    }
}

/// What the bounds of a metric come to, which are not kept.
#[derive(Clone, Copy, Debug)]
struct Tally {
    count: u64,
    /// Whether all counts are integers.
    is_integer: bool,
    /// The length of their fields with counts that are integers, and doubles, bytes.
    integer_bytes: u64,
    float_bytes: u64,
    last: (f64, f64),
    /// How many are without bound.
    infinite: u64,
}

impl Tally {
    fn of(bounds: &[(f64, f64)]) -> Self {
        let mut tally =
            Self { count: 0, is_integer: true, integer_bytes: 0, float_bytes: 0, last: (0.0, 0.0), infinite: 0 };
        bounds.iter().for_each(|bound| tally.add(*bound));
        tally
    }

    fn add(&mut self, (bound, value): (f64, f64)) {
        self.count += 1;
        self.is_integer &= is_whole(value);
        self.integer_bytes += integer_bound_len(value);
        self.float_bytes += FLOAT_BOUND_LEN;
        self.last = (bound, value);
        self.infinite += u64::from(bound == f64::INFINITY);
    }
}

/// The length of the field of a bound with two doubles: tags, the length of the message, and both.
const FLOAT_BOUND_LEN: u64 = 2 + 2 * 9;

/// The length of the field of a bucket whose count is an integer.
fn integer_bound_len(value: f64) -> u64 {
    2 + 9 + 1 + wire::varint_len(value as u64) as u64
}

/// A metric with very many bounds, whose lines are read again: what is known of it from having read them once.
#[derive(Debug)]
pub struct LongMetric {
    kind: Kind,
    is_integer: bool,
    /// Labels, and the value message up to its bounds.
    labels: Vec<u8>,
    front: Vec<u8>,
    /// What of the value message comes after the bounds.
    back: Vec<u8>,
    /// How many bounds are written, and the length of their fields, bytes.
    bounds: u64,
    bounds_bytes: u64,
}

impl LongMetric {
    /// The length of its message, bytes.
    pub fn len(&self) -> u64 {
        let value = self.value_len();
        self.labels.len() as u64 + 1 + wire::varint_len(value) as u64 + value
    }

    fn value_len(&self) -> u64 {
        self.front.len() as u64 + self.bounds_bytes + self.back.len() as u64
    }

    /// Writes its message up to the bounds.
    pub fn write_front(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.labels);
        wire::write_bytes_head(out, value_field(self.kind), self.value_len());
        out.extend_from_slice(&self.front);
    }

    /// Writes the field of the next bound to `out` if `line` has one; whether the metric goes on after it.
    pub fn write_bound(&mut self, out: &mut Vec<u8>, line: Line<'_>, family: &str) -> bool {
        match part(line, self.kind, family) {
            Some(Part::Bound(bound)) => {
                if self.bounds > 0 {
                    self.bounds -= 1;
                    write_bound(out, self.kind, self.is_integer, bound);
                }
                true
            }
            Some(Part::Complete(_)) => false,
            Some(Part::Sum(_)) | None => true,
        }
    }

    /// Writes what comes after the bounds.
    pub fn write_back(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.back);
    }

    /// Its labels as fields, and the fields of its value but for the bounds.
    pub fn parts(&self) -> (&[u8], Vec<u8>) {
        (&self.labels, [&*self.front, &*self.back].concat())
    }

    /// The number of the field of its value.
    pub fn value_field(&self) -> u32 {
        value_field(self.kind)
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.labels.capacity() + self.front.capacity() + self.back.capacity()
    }
}

/// What a line says of a metric.
enum Part {
    Bound((f64, f64)),
    Sum(f64),
    /// The value of a plain metric, or the count, which comes last.
    Complete(f64),
}

/// What a line of a family of this kind and name (as written) says; `None` if it does not fit.
fn part(line: Line<'_>, kind: Kind, family: &str) -> Option<Part> {
    let suffix = line.name.strip_prefix(family)?;
    let value = number::parse(line.value.as_bytes())?;
    let is_summary = kind == Kind::Summary;
    if !is_summary && !kind.is_histogram() {
        return suffix.is_empty().then_some(Part::Complete(value));
    }
    match suffix {
        "_count" => Some(Part::Complete(value)),
        "_sum" => Some(Part::Sum(value)),
        "" if is_summary => bound(line.labels, "quantile=").map(|rank| Part::Bound((rank, value))),
        "_bucket" if !is_summary => bound(line.labels, "le=").map(|bound| Part::Bound((bound, value))),
        _ => None,
    }
}

/// Writes the field of a quantile or bucket.
fn write_bound(out: &mut Vec<u8>, kind: Kind, is_integer: bool, (bound, value): (f64, f64)) {
    wire::write_nested(out, BOUNDS, |out| {
        if kind == Kind::Summary {
            wire::write_double(out, QUANTILE_RANK, bound);
            wire::write_double(out, QUANTILE_VALUE, value);
            return;
        }
        if is_integer {
            wire::write_uint(out, BUCKET_COUNT, value as u64);
        }
        wire::write_double(out, BUCKET_BOUND, bound);
        if !is_integer {
            wire::write_double(out, BUCKET_COUNT_FLOAT, value);
        }
    });
}

/// Whether a count is an integer of the wire format.
fn is_whole(count: f64) -> bool {
    (0.0..COUNT_END).contains(&count) && count.fract() == 0.0
}

/// The number of the field of a metric's value.
fn value_field(kind: Kind) -> u32 {
    match kind {
        Kind::Gauge => METRIC_GAUGE,
        Kind::Counter => METRIC_COUNTER,
        Kind::Summary => METRIC_SUMMARY,
        Kind::Untyped => METRIC_UNTYPED,
        Kind::Histogram | Kind::GaugeHistogram => METRIC_HISTOGRAM,
    }
}

fn write_metric_labels(out: &mut Vec<u8>, labels: &str, escaping: Escaping) {
    labels::for_each(labels, escaping, |name, value| {
        wire::write_nested(out, METRIC_LABEL, |out| {
            wire::write_bytes(out, LABEL_NAME, name);
            wire::write_bytes(out, LABEL_VALUE, unescape(value).as_bytes());
        });
    });
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
    /// Keeps the bounds of a metric that has no more than so many, so that small inputs reach that.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn set_bounds_max(&mut self, max: usize) {
        self.bounds_max = max;
    }

    /// Forgets a metric, complete or not.
    pub fn clear(&mut self) {
        self.bounds.clear();
        self.sum = 0.0;
        self.tally = None;
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        self.bounds.capacity() * size_of::<(f64, f64)>()
    }

    /// Takes a line of a family of this kind and name (as written); the metric that it completes, if any.
    pub fn take<'a>(&mut self, line: Line<'a>, kind: Kind, family: &str) -> Option<Complete<'a>> {
        match part(line, kind, family)? {
            Part::Complete(value) => return Some(Complete { labels: line.labels, value }),
            Part::Sum(sum) => self.sum = sum,
            Part::Bound(bound) => match &mut self.tally {
                Some(tally) => tally.add(bound),
                None => {
                    self.bounds.push(bound);
                    if self.bounds.len() > self.bounds_max {
                        self.tally = Some(Tally::of(&self.bounds));
                        self.bounds.clear();
                    }
                }
            },
        }
        None
    }

    /// A complete metric without message if it has so many bounds that its lines have to be read again.
    pub fn long(&self, metric: Complete<'_>, kind: Kind, escaping: Escaping) -> Option<LongMetric> {
        let Tally { mut count, is_integer, integer_bytes, float_bytes, last, infinite } = self.tally?;
        let is_histogram = kind.is_histogram();
        let is_integer = is_histogram && is_integer && is_whole(metric.value);
        let mut bounds_bytes = if is_integer { integer_bytes } else { float_bytes };
        let (bound, value) = last;
        // See `stated_bounds`.
        if is_histogram && bound == f64::INFINITY && infinite == 1 && value.to_bits() == metric.value.to_bits() {
            count -= 1;
            bounds_bytes -= if is_integer { integer_bound_len(value) } else { FLOAT_BOUND_LEN };
        }
        let (mut labels, mut front, mut back) = (Vec::new(), Vec::new(), Vec::new());
        write_metric_labels(&mut labels, metric.labels, escaping);
        if is_integer || !is_histogram {
            wire::write_uint(&mut front, SAMPLE_COUNT, metric.value as u64);
        } else {
            wire::write_double(&mut back, HISTOGRAM_COUNT_FLOAT, metric.value);
        }
        wire::write_double(&mut front, SAMPLE_SUM, self.sum);
        Some(LongMetric { kind, is_integer, labels, front, back, bounds: count, bounds_bytes })
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
        write_metric_labels(out, metric.labels, escaping);
        wire::write_nested(out, value_field(kind), |out| match (message, kind) {
            (Some(message), _) => write_in_order(out, message),
            (None, Kind::Summary) => self.write_summary(out, metric.value),
            (None, Kind::Histogram | Kind::GaugeHistogram) => self.write_histogram(out, metric.value),
            (None, _) => wire::write_double(out, SIMPLE_VALUE, metric.value),
        });
    }

    fn write_summary(&self, out: &mut Vec<u8>, count: f64) {
        wire::write_uint(out, SAMPLE_COUNT, count as u64);
        wire::write_double(out, SAMPLE_SUM, self.sum);
        self.bounds.iter().for_each(|bound| write_bound(out, Kind::Summary, false, *bound));
    }

    /// Counts are integers unless one of them is not; then all are doubles (SPEC 3.8). A bucket without bound that
    /// counts everything is left out behind the others: lines always have it, and readers of messages add it there.
    fn write_histogram(&self, out: &mut Vec<u8>, count: f64) {
        let is_integer = is_whole(count) && self.bounds.iter().all(|(_, count)| is_whole(*count));
        if is_integer {
            wire::write_uint(out, SAMPLE_COUNT, count as u64);
        }
        wire::write_double(out, SAMPLE_SUM, self.sum);
        self.stated_bounds(count).iter().for_each(|bound| write_bound(out, Kind::Histogram, is_integer, *bound));
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
