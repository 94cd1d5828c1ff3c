//! The message `io.prometheus.client.Histogram`: classic buckets, native ones, whole and float counts.
//!
//! Used at the push, to find out what text can show of it, and by the query API on the messages that were kept.

use super::message::Message;
use super::wire::{Fields, Malformed, Value, double, varint, zigzag};

/// Whole numbers up to this one are doubles as well.
const DOUBLE_WHOLE_MAX: u64 = 1 << 53;

/// A count: the float one of a message if that is greater than 0, else the whole one (SPEC 8.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Count {
    /// A whole number.
    Whole(u64),
    /// A float one, greater than 0.
    Float(f64),
}

impl Count {
    fn new(whole: u64, float: f64) -> Self {
        if float > 0.0 { Count::Float(float) } else { Count::Whole(whole) }
    }

    /// As text shows it.
    pub fn value(self) -> f64 {
        match self {
            Count::Whole(whole) => whole as f64,
            Count::Float(float) => float,
        }
    }

    /// Whether text shows less of it than the query API: digits beyond a double's, or that it is a float one.
    pub fn exceeds_text(self) -> bool {
        match self {
            Count::Whole(whole) => whole > DOUBLE_WHOLE_MAX,
            Count::Float(_) => true,
        }
    }
}

/// A histogram but for its buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram<'a> {
    message: &'a [u8],
    count: u64,
    count_float: f64,
    /// The sum.
    pub sum: f64,
    /// The resolution of the native buckets, if the message has one.
    pub schema: Option<i32>,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    /// Whether there are spans of native buckets, empty ones included.
    pub has_spans: bool,
    exceeds_text: bool,
}

/// The native buckets on one side of zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// (offset, length) pairs.
    pub spans: Vec<(i32, u32)>,
    /// Counts of a whole histogram, each less the one before.
    pub deltas: Vec<i64>,
    /// Counts of a float histogram.
    pub counts: Vec<f64>,
}

/// One side of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Below zero.
    Negative,
    /// Above zero.
    Positive,
}

impl<'a> Histogram<'a> {
    /// Reads a message; `bucket` is told the upper bound and cumulative count of each classic bucket.
    pub fn read(message: &'a [u8], mut bucket: impl FnMut(f64, Count)) -> Result<Self, Malformed> {
        let mut histogram = Self { message, ..Self::default() };
        for field in Fields::new(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Varint(count)) => histogram.count = count,
                (2, Value::Double(sum)) => histogram.sum = sum,
                (3, Value::Bytes(bytes)) => histogram.take_bucket(bytes, &mut bucket)?,
                (4, Value::Double(count)) => histogram.count_float = count,
                (number, value) => histogram.take_native(number, value)?,
            }
        }
        histogram.exceeds_text |= histogram.count().exceeds_text();
        Ok(histogram)
    }

    fn take_bucket(&mut self, message: &[u8], bucket: &mut impl FnMut(f64, Count)) -> Result<(), Malformed> {
        let (mut bound, mut whole, mut float) = (0.0, 0, 0.0);
        for field in Fields::new(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Varint(count)) => whole = count,
                (2, Value::Double(upper)) => bound = upper,
                (3, Value::Bytes(exemplar)) => {
                    Message::Exemplar.check(exemplar)?;
                    self.exceeds_text = true;
                }
                (4, Value::Double(count)) => float = count,
                _ => {}
            }
        }
        let count = Count::new(whole, float);
        self.exceeds_text |= count.exceeds_text();
        bucket(bound, count);
        Ok(())
    }

    fn take_native(&mut self, number: u32, value: Value<'_>) -> Result<(), Malformed> {
        match (number, value) {
            (5, Value::Varint(schema)) => self.schema = Some(zigzag(schema & u64::from(u32::MAX)) as i32),
            (6, Value::Double(threshold)) => self.zero_threshold = threshold,
            (7, Value::Varint(count)) => self.zero_count = count,
            (8, Value::Double(count)) => self.zero_count_float = count,
            (9..=16, Value::Bytes(bytes)) => {
                Message::Histogram.check_field(number, bytes)?;
                self.has_spans |= matches!(number, 9 | 12);
            }
            (10 | 13, Value::Varint(_)) | (11 | 14, Value::Double(_)) => {}
            _ => return Ok(()),
        }
        self.exceeds_text = true;
        Ok(())
    }

    /// The count.
    pub fn count(&self) -> Count {
        Count::new(self.count, self.count_float)
    }

    /// The count of the zero bucket.
    pub fn zero_count(&self) -> Count {
        if self.is_float() { Count::Float(self.zero_count_float) } else { Count::Whole(self.zero_count) }
    }

    /// Whether the native buckets have float counts (SPEC 8.3).
    pub fn is_float(&self) -> bool {
        self.count_float > 0.0 || self.zero_count_float > 0.0
    }

    /// Whether the message says more than text shows.
    pub fn exceeds_text(&self) -> bool {
        self.exceeds_text
    }

    /// The native buckets of one side.
    pub fn side(&self, sign: Sign) -> Result<Side, Malformed> {
        let first = if sign == Sign::Negative { 9 } else { 12 };
        let mut side = Side::default();
        for field in Fields::new(self.message) {
            let field = field?;
            match (field.number.wrapping_sub(first), field.value) {
                (0, Value::Bytes(span)) => side.spans.push(read_span(span)?),
                (1, Value::Varint(delta)) => side.deltas.push(zigzag(delta)),
                (1, Value::Bytes(mut deltas)) => {
                    while !deltas.is_empty() {
                        side.deltas.push(zigzag(varint(&mut deltas)?));
                    }
                }
                (2, Value::Double(count)) => side.counts.push(count),
                (2, Value::Bytes(mut counts)) => {
                    while !counts.is_empty() {
                        side.counts.push(double(&mut counts)?);
                    }
                }
                _ => {}
            }
        }
        Ok(side)
    }
}

fn read_span(message: &[u8]) -> Result<(i32, u32), Malformed> {
    let (mut offset, mut length) = (0, 0);
    for field in Fields::new(message) {
        match field.map(|field| (field.number, field.value))? {
            (1, Value::Varint(value)) => offset = zigzag(value & u64::from(u32::MAX)) as i32,
            (2, Value::Varint(value)) => length = value as u32,
            _ => {}
        }
    }
    Ok((offset, length))
}
