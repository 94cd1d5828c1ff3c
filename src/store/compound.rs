//! Histograms and summaries of a push while they are put together: one metric arrives as several lines, which may be
//! anywhere in the body (SPEC 3.8).

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::line::{Overlay, sorted_by_name, write_label, write_opening};
use super::staged::{Lines, Remark};
use crate::limits::STAGING_KEPT_BYTES_MAX;
use crate::model::number;
use crate::model::sample::{FamilyIx, Kind, Label, Part, Sample};

const NONE: u32 = u32::MAX;

/// Lines of a metric beside those of its elements, at most: a bucket without bound, sum and count.
pub(super) const LINES_ADDED: usize = 3;

/// Longest suffix, bound label and number of a line, bytes.
const BOUND_BYTES_MAX: usize = 64;

/// All histograms and summaries of one push.
#[derive(Debug, Default)]
pub struct Compounds {
    metrics: Vec<Metric>,
    elements: Vec<Element>,
    /// Label sets: those that identify metrics, and the final ones.
    words: Vec<u8>,
    by_identity: HashTable<u32>,
    /// How many metrics are written to their end; of the next one, the element that comes next if it is begun, and whether
    /// `+Inf` was among those before.
    written: usize,
    next: Option<u32>,
    has_infinity: bool,
    /// How long the lines will be at most, bytes.
    text_bytes: usize,
    /// A label name of some metric is not classic.
    has_quoted_labels: bool,
    hasher: RandomState,
    /// Working memory for the identity of one line.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Metric {
    family: FamilyIx,
    /// The labels as written in the body, sorted: what tells metrics of a family apart.
    identity: Range<usize>,
    /// The label set merged with the grouping labels.
    labels: Range<usize>,
    first: u32,
    last: u32,
    sum: f64,
    count: f64,
}

/// A bucket or quantile; those of one metric are chained in the order of the body.
#[derive(Debug)]
struct Element {
    bound: f64,
    value: f64,
    next: u32,
}

impl Compounds {
    /// Forgets everything; keeps the memory unless it was an unusual amount.
    pub fn clear(&mut self) {
        self.metrics.clear();
        self.elements.clear();
        self.words.clear();
        self.by_identity.clear();
        self.text_bytes = 0;
        (self.written, self.next, self.has_infinity) = (0, None, false);
        self.has_quoted_labels = false;
        self.metrics.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<Metric>());
        self.elements.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<Element>());
        self.words.shrink_to(STAGING_KEPT_BYTES_MAX);
        if self.by_identity.capacity() > STAGING_KEPT_BYTES_MAX / size_of::<u32>() {
            self.by_identity = HashTable::new();
        }
    }

    /// Takes a line of a family, whose name is so long; whether it is the first one of its metric.
    pub fn add(&mut self, sample: &Sample<'_>, kind: Kind, name_bytes: usize, overlay: &Overlay) -> bool {
        let known = self.metrics.len();
        let at = self.metric(sample.family, sample.labels, overlay);
        let metric = &mut self.metrics[at];
        let line_bytes = line_bytes_max(name_bytes, metric.labels.len());
        self.text_bytes += if at == known { (1 + LINES_ADDED) * line_bytes } else { line_bytes };
        match sample.part {
            Part::Sum => metric.sum = sample.value,
            Part::Count if kind == Kind::Summary => metric.count = whole_count(sample.value),
            Part::Count => metric.count = sample.value,
            Part::Quantile(bound) | Part::Bucket(bound) => self.chain(at, bound, sample.value),
            Part::Whole | Part::Mention => {}
        }
        at == known
    }

    /// How many lines they make at least: elements, sums and counts.
    pub fn line_count(&self) -> u64 {
        (self.elements.len() + 2 * self.metrics.len()) as u64
    }

    /// How long their lines will be at most, bytes.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Memory that they hold, bytes.
    pub fn held_bytes(&self) -> usize {
        let tables = self.metrics.len() * size_of::<Metric>() + self.elements.len() * size_of::<Element>();
        tables + self.words.len() + self.by_identity.allocation_size()
    }

    /// Whether the name of any label is quoted in text.
    pub fn has_quoted_labels(&self) -> bool {
        self.has_quoted_labels
    }

    /// The final label set of the metric added last.
    pub fn last_labels(&self) -> &[u8] {
        self.metrics.last().map_or(b"", |metric| &self.words[metric.labels.clone()])
    }

    /// The first metric that is not written to its end, in the order in which they were first mentioned.
    pub fn unwritten(&self) -> Option<Complete<'_>> {
        self.metrics.get(self.written).map(|metric| Complete { metric, all: self })
    }

    /// Writes lines of the first metric that is not written to its end (SPEC 7.4): the quantiles or buckets, `+Inf` added if
    /// it is missing, sum and count. As many as the budget allows, but for the last few; takes them from it.
    pub(super) fn write_some(&mut self, lines: &mut Lines, budget: &mut usize) {
        let Some(metric) = self.metrics.get(self.written) else { return };
        let Metric { family, sum, count, first, .. } = *metric;
        let parts = Parts { family, labels: &self.words[metric.labels.clone()] };
        let (mut at, mut taken) = (self.next.unwrap_or(first), 0);
        let elements = std::iter::from_fn(|| {
            let element = self.elements.get(at as usize)?;
            at = element.next;
            taken += 1;
            Some((element.bound, element.value))
        });
        let has_infinity = parts.write_elements(lines, elements.take(*budget)) | self.has_infinity;
        *budget = budget.saturating_sub(taken + 2);
        if at == NONE {
            parts.write_end(lines, has_infinity, sum, count);
            (self.written, self.next, self.has_infinity) = (self.written + 1, None, false);
        } else {
            (self.next, self.has_infinity) = (Some(at), has_infinity);
        }
    }

    fn chain(&mut self, at: usize, bound: f64, value: f64) {
        let new = self.elements.len() as u32;
        self.elements.push(Element { bound, value, next: NONE });
        let metric = &mut self.metrics[at];
        if metric.last == NONE {
            metric.first = new;
        } else {
            self.elements[metric.last as usize].next = new;
        }
        metric.last = new;
    }

    fn metric(&mut self, family: FamilyIx, labels: &[Label<'_>], overlay: &Overlay) -> usize {
        write_identity(&mut self.scratch, labels);
        let (metrics, words, scratch) = (&self.metrics, &self.words, &self.scratch);
        let is_it = |at: usize| metrics[at].family == family && words[metrics[at].identity.clone()] == **scratch;
        if let Some(last) = metrics.len().checked_sub(1).filter(|last| is_it(*last)) {
            return last;
        }
        let hash = self.hasher.hash_one((family, scratch.as_slice()));
        if let Some(at) = self.by_identity.find(hash, |at| is_it(*at as usize)) {
            return *at as usize;
        }
        self.add_metric(hash, family, labels, overlay)
    }

    fn add_metric(&mut self, hash: u64, family: FamilyIx, labels: &[Label<'_>], overlay: &Overlay) -> usize {
        let start = self.words.len();
        self.words.extend_from_slice(&self.scratch);
        let identity = start..self.words.len();
        self.has_quoted_labels |= overlay.write_merged(&mut self.words, labels);
        let labels = identity.end..self.words.len();
        let at = self.metrics.len();
        self.metrics.push(Metric { family, identity, labels, first: NONE, last: NONE, sum: 0.0, count: 0.0 });
        let (metrics, words, hasher) = (&self.metrics, &self.words, &self.hasher);
        self.by_identity.insert_unique(hash, at as u32, |at| {
            let metric = &metrics[*at as usize];
            hasher.hash_one((metric.family, &words[metric.identity.clone()]))
        });
        at
    }
}

/// A metric that is complete.
#[derive(Clone, Copy, Debug)]
pub struct Complete<'a> {
    metric: &'a Metric,
    all: &'a Compounds,
}

impl Complete<'_> {
    /// Its family.
    pub fn family(&self) -> FamilyIx {
        self.metric.family
    }

    /// Its label set, merged with the grouping labels.
    pub fn labels(&self) -> &[u8] {
        &self.all.words[self.metric.labels.clone()]
    }

    /// Whether nothing of it is written yet.
    pub fn is_unbegun(&self) -> bool {
        self.all.next.is_none()
    }
}

/// The lines of one histogram or summary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// Its family.
    pub(super) family: FamilyIx,
    /// Its label set, merged with the grouping labels.
    pub(super) labels: &'a [u8],
}

impl Parts<'_> {
    /// Writes them: the elements (quantiles or buckets), `+Inf` added to a histogram if it is missing, sum and count.
    pub(super) fn write(&self, lines: &mut Lines, elements: impl Iterator<Item = (f64, f64)>, sum: f64, count: f64) {
        let has_infinity = self.write_elements(lines, elements);
        self.write_end(lines, has_infinity, sum, count);
    }

    /// Writes some of the elements; whether `+Inf` is among them.
    fn write_elements(&self, lines: &mut Lines, elements: impl Iterator<Item = (f64, f64)>) -> bool {
        let is_histogram = lines.kind(self.family).is_histogram();
        let mut has_infinity = false;
        for (bound, value) in elements {
            has_infinity |= bound == f64::INFINITY;
            self.write_bound(lines, is_histogram, bound, value);
        }
        has_infinity
    }

    /// Writes what comes after the elements.
    fn write_end(&self, lines: &mut Lines, has_infinity: bool, sum: f64, count: f64) {
        let is_histogram = lines.kind(self.family).is_histogram();
        if is_histogram && !has_infinity {
            lines.note(self.family, Remark::AddedInfinity);
            self.write_bound(lines, is_histogram, f64::INFINITY, count);
        }
        self.write_total(lines, "_sum", sum);
        self.write_total(lines, "_count", count);
    }

    fn write_bound(&self, lines: &mut Lines, is_histogram: bool, bound: f64, value: f64) {
        let (suffix, label) = if is_histogram { ("_bucket", ",le=\"") } else { ("", ",quantile=\"") };
        note_negative_zero(lines, self.family, value);
        lines.compose(self.family, self.line_bytes_max(lines), |out, name| {
            write_opening(out, name, suffix);
            out.extend_from_slice(self.labels);
            out.extend_from_slice(label.as_bytes());
            number::write(out, bound);
            out.extend_from_slice(b"\"} ");
            number::write(out, value);
        });
    }

    fn write_total(&self, lines: &mut Lines, suffix: &str, value: f64) {
        note_negative_zero(lines, self.family, value);
        lines.compose(self.family, self.line_bytes_max(lines), |out, name| {
            write_opening(out, name, suffix);
            out.extend_from_slice(self.labels);
            out.extend_from_slice(b"} ");
            number::write(out, value);
        });
    }

    fn line_bytes_max(&self, lines: &Lines) -> usize {
        line_bytes_max(lines.name(self.family).len(), self.labels.len())
    }
}

/// How long a line with a name and a label set of so many bytes is at most, bytes: quoted names are longer.
pub(super) fn line_bytes_max(name_bytes: usize, label_bytes: usize) -> usize {
    2 * name_bytes + label_bytes + BOUND_BYTES_MAX
}

fn note_negative_zero(lines: &mut Lines, family: FamilyIx, value: f64) {
    if value == 0.0 && value.is_sign_negative() {
        lines.note(family, Remark::NegativeZero);
    }
}

/// A summary's count is an unsigned integer: fractions are cut, negative numbers wrap around (SPEC 3.8).
fn whole_count(value: f64) -> f64 {
    if value < 0.0 { (value as i64 as u64) as f64 } else { (value as u64) as f64 }
}

fn write_identity(out: &mut Vec<u8>, labels: &[Label<'_>]) {
    out.clear();
    for label in &sorted_by_name(labels) {
        write_label(out, label);
    }
}
