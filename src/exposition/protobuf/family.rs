//! One message `io.prometheus.client.MetricFamily`, read in place and told to a sink (SPEC 4.3).

use std::borrow::Cow;

use smallvec::SmallVec;

use super::error::{FamilyFault, ReadError};
use super::histogram::{Count, Histogram};
use super::message::Message;
use super::wire::{Fields, Malformed, Value};
use crate::limits::DETAIL_BYTES_MAX;
use crate::model::sample::{Detail, FamilyIx, Kind, Metric, MetricValue, RawLabel, WholeSink};

/// Schemas of native histograms: the exponential ones, and that of custom bounds.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
const SCHEMA_CUSTOM: i32 = -53;

/// Buckets or quantiles of the metric at hand; working memory.
pub(super) type Elements = Vec<(f64, f64)>;

/// Reads one family.
pub(super) fn read<S: WholeSink>(
    message: &[u8],
    family: FamilyIx,
    elements: &mut Elements,
    sink: &mut S,
) -> Result<(), ReadError> {
    let head = Head::read(message)?;
    let fault = |fault| ReadError::Family { name: head.name.into(), fault };
    if head.name.is_empty() {
        return Err(fault(FamilyFault::NoName));
    }
    let name = str::from_utf8(head.name).map_err(|_| fault(FamilyFault::Name))?;
    let kind = kind_of(head.kind).ok_or_else(|| fault(FamilyFault::Kind(head.kind)))?;
    let help = head.help.filter(|help| str::from_utf8(help).is_ok());
    if help != head.help && !sink.goes_without_help() {
        return Err(fault(FamilyFault::Help));
    }
    sink.whole_family(family, name, kind, help);
    for field in Fields::new(message) {
        let field = field?;
        if let (4, Value::Bytes(metric)) = (field.number, field.value) {
            if sink.is_refused() {
                return Ok(());
            }
            read_metric(metric, family, kind, elements, sink).map_err(|error| match error {
                MetricFault::Malformed => ReadError::Malformed,
                MetricFault::Family(reason) => fault(reason),
            })?;
        }
    }
    Ok(())
}

/// What a family says besides its metrics, wherever in the message it stands.
struct Head<'a> {
    name: &'a [u8],
    help: Option<&'a [u8]>,
    kind: i32,
}

impl<'a> Head<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut head = Self { name: b"", help: None, kind: 0 };
        for field in Fields::new(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Bytes(name)) => head.name = name,
                (2, Value::Bytes(help)) => head.help = Some(help),
                (3, Value::Varint(kind)) => head.kind = kind as i32,
                _ => {}
            }
        }
        Ok(head)
    }
}

fn kind_of(number: i32) -> Option<Kind> {
    Some(match number {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Summary,
        3 => Kind::Untyped,
        4 => Kind::Histogram,
        5 => Kind::GaugeHistogram,
        _ => return None,
    })
}

enum MetricFault {
    Malformed,
    Family(FamilyFault),
}

impl From<Malformed> for MetricFault {
    fn from(_: Malformed) -> Self {
        MetricFault::Malformed
    }
}

fn read_metric<S: WholeSink>(
    message: &[u8],
    family: FamilyIx,
    kind: Kind,
    elements: &mut Elements,
    sink: &mut S,
) -> Result<(), MetricFault> {
    let mut labels: SmallVec<[RawLabel<'_>; 16]> = SmallVec::new();
    let (mut timestamp, mut value) = (None, None);
    let (wanted, bounds) = (value_field(kind), sink.bounds());
    for field in Fields::new(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(label)) => {
                let label = read_label(label)?;
                if labels.len() <= bounds.labels {
                    labels.push(label);
                }
            }
            (6, Value::Varint(milliseconds)) => timestamp = Some(milliseconds as i64),
            (number, Value::Bytes(bytes)) if number == wanted => add_value(&mut value, bytes, value_message(number))?,
            (number @ (2..=5 | 7), Value::Bytes(bytes)) => value_message(number).check(bytes)?,
            _ => {}
        }
    }
    elements.clear();
    let (value, detail) = match &value {
        Some(value) => read_value(value, kind, bounds.elements, elements)?,
        None if kind == Kind::GaugeHistogram => return Err(MetricFault::Family(FamilyFault::NoHistogram)),
        None => (MetricValue::Misfit, None),
    };
    sink.metric(Metric { family, labels: &labels, value, timestamp, detail });
    Ok(())
}

/// The field of a metric that has the value, by the kind of its family.
fn value_field(kind: Kind) -> u32 {
    match kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Summary => 4,
        Kind::Untyped => 5,
        Kind::Histogram | Kind::GaugeHistogram => 7,
    }
}

fn value_message(number: u32) -> Message {
    match number {
        3 => Message::Counter,
        4 => Message::Summary,
        7 => Message::Histogram,
        _ => Message::Flat,
    }
}

/// A message that comes in several pieces is the message that they are one after the other, if each is one by itself.
fn add_value<'a>(value: &mut Option<Cow<'a, [u8]>>, bytes: &'a [u8], message: Message) -> Result<(), Malformed> {
    match value {
        None => *value = Some(Cow::Borrowed(bytes)),
        Some(value) => {
            if let Cow::Borrowed(first) = value {
                message.check(first)?;
            }
            message.check(bytes)?;
            value.to_mut().extend_from_slice(bytes);
        }
    }
    Ok(())
}

fn read_label(message: &[u8]) -> Result<RawLabel<'_>, Malformed> {
    let mut label = RawLabel { name: b"", value: b"" };
    for field in Fields::new(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(name)) => label.name = name,
            (2, Value::Bytes(value)) => label.value = value,
            _ => {}
        }
    }
    Ok(label)
}

/// The value of a metric, and the whole message if it says more.
fn read_value<'a>(
    message: &'a [u8],
    kind: Kind,
    elements_most: usize,
    elements: &'a mut Elements,
) -> Result<(MetricValue<'a>, Option<Detail<'a>>), MetricFault> {
    let (value, exceeds_text, series) = match kind {
        Kind::Summary => read_summary(message, elements_most, elements)?,
        Kind::Histogram | Kind::GaugeHistogram => read_histogram(message, elements_most, elements)?,
        Kind::Counter | Kind::Gauge | Kind::Untyped => read_number(message, kind)?,
    };
    // Too many series are the sink's to refuse.
    if exceeds_text && message.len() > DETAIL_BYTES_MAX && series <= elements_most as u64 {
        return Err(MetricFault::Family(FamilyFault::Detail(message.len())));
    }
    Ok((value, exceeds_text.then_some(Detail { message, series })))
}

/// A value, whether its message says more than text shows, and how many series that is beside its lines.
type Shown<'a> = (MetricValue<'a>, bool, u64);

/// Adds a bucket or quantile. Of too many, one more than are wanted is kept, so that the sink notices.
fn add_element(elements: &mut Elements, most: usize, element: (f64, f64)) {
    if elements.len() <= most {
        elements.push(element);
    }
}

fn read_number(message: &[u8], kind: Kind) -> Result<Shown<'_>, Malformed> {
    let (mut number, mut exceeds_text) = (0.0, false);
    for field in Fields::new(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Double(value)) => number = value,
            (2 | 3, Value::Bytes(bytes)) if kind == Kind::Counter => {
                Message::Counter.check_field(field.number, bytes)?;
                exceeds_text = true;
            }
            _ => {}
        }
    }
    Ok((MetricValue::Number(number), exceeds_text, 0))
}

fn read_summary<'a>(message: &[u8], most: usize, quantiles: &'a mut Elements) -> Result<Shown<'a>, Malformed> {
    let (mut sum, mut count, mut exceeds_text) = (0.0, 0, false);
    for field in Fields::new(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Varint(value)) => count = value,
            (2, Value::Double(value)) => sum = value,
            (3, Value::Bytes(quantile)) => add_element(quantiles, most, read_quantile(quantile)?),
            (4, Value::Bytes(created)) => {
                Message::Flat.check(created)?;
                exceeds_text = true;
            }
            _ => {}
        }
    }
    exceeds_text |= Count::Whole(count).exceeds_text();
    Ok((MetricValue::Summary { quantiles, sum, count }, exceeds_text, 0))
}

/// The count of a message `io.prometheus.client.Summary` that was accepted before: text shows no more digits of it
/// than a double has.
pub fn summary_count(message: &[u8]) -> u64 {
    let counts = Fields::new(message).flatten().filter_map(|field| match (field.number, field.value) {
        (1, Value::Varint(count)) => Some(count),
        _ => None,
    });
    counts.last().unwrap_or_default()
}

fn read_quantile(message: &[u8]) -> Result<(f64, f64), Malformed> {
    let mut quantile = (0.0, 0.0);
    for field in Fields::new(message) {
        match field.map(|field| (field.number, field.value))? {
            (1, Value::Double(rank)) => quantile.0 = rank,
            (2, Value::Double(value)) => quantile.1 = value,
            _ => {}
        }
    }
    Ok(quantile)
}

fn read_histogram<'a>(message: &[u8], most: usize, buckets: &'a mut Elements) -> Result<Shown<'a>, MetricFault> {
    let histogram = Histogram::read(message, |bound, count| add_element(buckets, most, (bound, count.value())))?;
    if let Some(schema) = histogram.schema.filter(|schema| !SCHEMAS.contains(schema) && *schema != SCHEMA_CUSTOM) {
        return Err(MetricFault::Family(FamilyFault::Schema(schema)));
    }
    if !histogram.has_possible_spans() {
        return Err(MetricFault::Family(FamilyFault::Spans));
    }
    if !histogram.has_possible_counts() {
        return Err(MetricFault::Family(FamilyFault::Counts));
    }
    let value = MetricValue::Histogram { buckets, sum: histogram.sum, count: histogram.count().value() };
    Ok((value, histogram.exceeds_text(), histogram.native_series()))
}
