//! One sample as a body states it, borrowed from the bytes that carried it, and the sink that takes samples.
//!
//! Does not decide what a body means as a whole: that is the parser's (which family a line belongs to) and the
//! store's (grouping labels, merging, checks).

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// The kind of a metric family, in the words of the exposition formats (SPEC 3.4, 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A value that only goes up.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Quantiles, a sum and a count.
    Summary,
    /// A value of unknown behaviour; the kind of a family without a TYPE line.
    Untyped,
    /// Cumulative buckets, a sum and a count.
    Histogram,
    /// A histogram whose counts may go down; shown as `histogram` in text.
    GaugeHistogram,
}

impl Kind {
    /// The word of a TYPE line in the text exposition (SPEC 7.4).
    pub const fn text_name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
            Kind::Untyped => "untyped",
            Kind::Histogram | Kind::GaugeHistogram => "histogram",
        }
    }

    /// The enum name of the protobuf format, which JSON and error messages use (SPEC 6.2, 8.3).
    pub const fn upper_name(self) -> &'static str {
        match self {
            Kind::Counter => "COUNTER",
            Kind::Gauge => "GAUGE",
            Kind::Summary => "SUMMARY",
            Kind::Untyped => "UNTYPED",
            Kind::Histogram => "HISTOGRAM",
            Kind::GaugeHistogram => "GAUGE_HISTOGRAM",
        }
    }

    /// Whether samples of this kind are put together from several lines with buckets.
    pub const fn is_histogram(self) -> bool {
        matches!(self, Kind::Histogram | Kind::GaugeHistogram)
    }
}

/// What a body says but for its values, by a number that stands for nothing else in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyShape(NonZeroU64);

impl BodyShape {
    /// One that nothing has yet.
    pub fn unused() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A body that repeats an earlier one but for its values.
#[derive(Clone, Copy, Debug)]
pub struct Repeat<'a> {
    /// What they both say.
    pub shape: BodyShape,
    /// The values in the order of the samples, in the form that the exposition has (SPEC 7.5), one behind the other.
    pub text: &'a [u8],
    /// Where each of them ends in the text.
    pub ends: &'a [u32],
}

impl<'a> Repeat<'a> {
    /// The values, in the order of the samples.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (text, mut start) = (self.text, 0);
        self.ends.iter().map(move |end| &text[std::mem::replace(&mut start, *end as usize)..*end as usize])
    }
}

/// A family within one body: its index in the order of first mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyIx(pub u32);

/// A label pair of a sample line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// The name, unescaped and without quotes. Valid UTF-8.
    pub name: &'a str,
    /// The value **as escaped in the exposition format** (`\\`, `\n`, `\"` stand as two bytes each), without its
    /// quotes. Text and exposition escape label values alike, so most values never need unescaping.
    /// Valid UTF-8.
    pub value: &'a str,
}

/// What a line contributes to its metric (SPEC 3.8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// The whole metric: counter, gauge, untyped.
    Whole,
    /// A quantile of a summary, at this rank (never NaN).
    Quantile(f64),
    /// A cumulative bucket of a histogram, with this upper bound (never NaN).
    Bucket(f64),
    /// The sum of a histogram or summary.
    Sum,
    /// The count of a histogram or summary.
    Count,
    /// Nothing but that the metric exists (a histogram line without `le`, say).
    Mention,
}

/// One sample line.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family it belongs to.
    pub family: FamilyIx,
    /// What it contributes.
    pub part: Part,
    /// Its labels in the order written, names distinct, without `quantile` in a summary and `le` in a histogram.
    pub labels: &'a [Label<'a>],
    /// What stands between the braces, up to the last label's closing quote, if that is known; else empty.
    pub label_text: &'a str,
    /// Whether this and the sample before, as written, differ in nothing but label values and what follows the labels: family,
    /// names of labels, and how the label text is laid out are the same.
    pub is_alike: bool,
    /// Its value.
    pub value: f64,
    /// The value's token as it came, or as the exposition has it; it parses to `value`. Empty if the value was not written as text.
    pub token: &'a str,
    /// Whether the token is known to be how the exposition has the value.
    pub is_canonical: bool,
    /// Milliseconds since the epoch, if the line has a timestamp.
    pub timestamp: Option<i64>,
}

impl<'a> Sample<'a> {
    /// A sample of which nothing is known as text, without timestamp.
    pub fn new(family: FamilyIx, part: Part, labels: &'a [Label<'a>], value: f64) -> Self {
        let (label_text, token, is_alike, is_canonical) = ("", "", false, false);
        Self { family, part, labels, label_text, is_alike, value, token, is_canonical, timestamp: None }
    }
}

/// A label pair of a whole metric, as a message states it: any bytes, in any order, names not necessarily distinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLabel<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value, not escaped.
    pub value: &'a [u8],
}

/// What a whole metric says (SPEC 4.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue<'a> {
    /// A counter, gauge or untyped value.
    Number(f64),
    /// A summary: (rank, value) pairs in the order of the message, NaN allowed in both.
    Summary {
        /// The quantiles.
        quantiles: &'a [(f64, f64)],
        /// The sum.
        sum: f64,
        /// The count.
        count: u64,
    },
    /// A histogram, as far as text can show it.
    Histogram {
        /// Cumulative classic buckets: (upper bound, count) pairs in the order of the message.
        buckets: &'a [(f64, f64)],
        /// The sum.
        sum: f64,
        /// The count.
        count: f64,
    },
    /// Nothing that fits the kind of the family.
    Misfit,
}

/// A metric that arrives as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric<'a> {
    /// The family it belongs to.
    pub family: FamilyIx,
    /// Its labels.
    pub labels: &'a [RawLabel<'a>],
    /// What it says.
    pub value: MetricValue<'a>,
    /// Milliseconds since the epoch, if it has a timestamp.
    pub timestamp: Option<i64>,
    /// The protobuf message of its value, if it says more than text lines can show.
    pub detail: Option<Detail<'a>>,
}

/// What a metric says beyond its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// The protobuf message of its value.
    pub message: &'a [u8],
    /// How many series that is beside its lines: native buckets and spans.
    pub series: u64,
}

/// How much of one metric a sink wants. Of a metric that has more, one more than that is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricBounds {
    /// Most labels.
    pub labels: usize,
    /// Most buckets or quantiles.
    pub elements: usize,
}

impl MetricBounds {
    /// All of it.
    pub const NONE: Self = Self { labels: usize::MAX, elements: usize::MAX };
}

/// Takes what a parser reads, in the order of the body.
pub trait Sink {
    /// A family is mentioned for the first time; its index is one above the last one's (from 0).
    /// `name` is unescaped. The family may stay without samples.
    fn family(&mut self, family: FamilyIx, name: &str);
    /// The family's kind is known now: by a TYPE line, or `Untyped` by its first sample. At most once, before any
    /// of its samples.
    fn kind(&mut self, family: FamilyIx, kind: Kind);
    /// The family's help text, unescaped, which is UTF-8. At most once, at any time.
    fn help(&mut self, family: FamilyIx, text: &[u8]);
    /// A sample line.
    fn sample(&mut self, sample: Sample<'_>);
}

/// Takes what a reader of whole metrics reads, in the order of the body.
pub trait WholeSink {
    /// A family whose metrics follow; its index is one above the last one's (from 0). Unlike with [`Sink::family`],
    /// the name may be that of an earlier family of the body, which this one replaces, and a family that stays
    /// without metrics is still there (SPEC 4.3).
    fn whole_family(&mut self, family: FamilyIx, name: &str, kind: Kind, help: Option<&[u8]>);
    /// A metric of the family mentioned last.
    fn metric(&mut self, metric: Metric<'_>);

    /// Whether a family is wanted without its help text, which is not UTF-8; otherwise the body is refused for that.
    fn goes_without_help(&mut self) -> bool {
        false
    }

    /// How much of the next metric is wanted.
    fn bounds(&self) -> MetricBounds {
        MetricBounds::NONE
    }

    /// Whether the body is refused already, so that no further metric is wanted.
    fn is_refused(&self) -> bool {
        false
    }
}
