//! The message `io.prometheus.client.Histogram`: classic buckets, native ones, whole and float counts.
//!
//! Used at the push, to find out what text can show of it, and by the query API on the messages that were kept.

use super::message::Message;
use super::wire::{Fields, Malformed, Value, double, varint, zigzag};
use crate::model::sample::Kind;

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

/// How many native buckets a message has on one side of zero, and how many its spans claim.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    /// Spans.
    spans: u64,
    /// Counts of a whole histogram, and of a float one.
    deltas: u64,
    counts: u64,
    /// The lengths of all spans.
    claimed: u64,
    /// The index of the bucket after the last span.
    end: i64,
    /// A span after the first one goes back, or one ends at an index that is no 32-bit number.
    is_disordered: bool,
    /// Observations in the last bucket of a whole histogram, and in all of them.
    last: i64,
    observations: u128,
    /// A bucket of a whole histogram, or one of a float one, has less than no observation.
    is_negative: bool,
    is_float_negative: bool,
}

impl Tally {
    /// Takes note of a field, by its number less that of the spans; it was found well-formed.
    fn take(&mut self, field: u32, value: Value<'_>) -> Result<(), Malformed> {
        match (field, value) {
            (0, Value::Bytes(span)) => {
                let (offset, len) = read_span(span)?;
                self.end += i64::from(offset) + i64::from(len);
                self.is_disordered |= (self.spans > 0 && offset < 0) || i32::try_from(self.end).is_err();
                // No further span can repair it, and so the sum cannot overflow.
                self.end = self.end.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
                self.spans += 1;
                self.claimed += u64::from(len);
            }
            (1, Value::Varint(delta)) => self.add_delta(zigzag(delta)),
            (1, Value::Bytes(mut deltas)) => {
                while !deltas.is_empty() {
                    self.add_delta(zigzag(varint(&mut deltas)?));
                }
            }
            (2, Value::Double(count)) => self.add_count(count),
            (2, Value::Bytes(mut counts)) => {
                while !counts.is_empty() {
                    self.add_count(double(&mut counts)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_delta(&mut self, delta: i64) {
        self.deltas += 1;
        // What is beyond the range is no possible count either.
        self.last = self.last.saturating_add(delta);
        match u128::try_from(self.last) {
            Ok(observations) => self.observations += observations,
            Err(_) => self.is_negative = true,
        }
    }

    fn add_count(&mut self, count: f64) {
        self.counts += 1;
        self.is_float_negative |= count < 0.0;
    }

    fn series(&self) -> u64 {
        self.spans + self.deltas + self.counts
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
    negative: Tally,
    positive: Tally,
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
        match number {
            9..=11 => self.negative.take(number - 9, value),
            12..=14 => self.positive.take(number - 12, value),
            _ => Ok(()),
        }
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

    /// How many native buckets and spans the message has, which limits count as series beside its lines.
    pub fn native_series(&self) -> u64 {
        self.negative.series() + self.positive.series()
    }

    /// Whether the spans of each side are in order and claim as many buckets as it has. Readers of native histograms
    /// take no others: Prometheus would drop the whole scrape.
    pub fn has_possible_spans(&self) -> bool {
        let buckets = |side: &Tally| if self.is_float() { side.counts } else { side.deltas };
        [self.negative, self.positive].iter().all(|side| !side.is_disordered && side.claimed == buckets(side))
    }

    /// Whether no native bucket has less than no observation, and all of a whole histogram no more than its count: Prometheus
    /// would drop the whole scrape. Observations that were no numbers are in no bucket.
    pub fn has_possible_counts(&self) -> bool {
        let sides = [self.negative, self.positive];
        if self.is_float() {
            return !sides.iter().any(|side| side.is_float_negative);
        }
        let observations = sides.iter().map(|side| side.observations).sum::<u128>() + u128::from(self.zero_count);
        !sides.iter().any(|side| side.is_negative) && observations <= u128::from(self.count)
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

/// How many series the message of a metric's value is beside its lines: native buckets and spans of a histogram. It was
/// accepted before; of one that was not, those count that are in front of the damage.
pub fn native_series(kind: Kind, message: &[u8]) -> u64 {
    if !kind.is_histogram() {
        return 0;
    }
    let mut histogram = Histogram::default();
    for field in Fields::new(message).map_while(Result::ok).filter(|field| matches!(field.number, 9..=14)) {
        if histogram.take_native(field.number, field.value).is_err() {
            break;
        }
    }
    histogram.native_series()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::wire::{write_bytes, write_double, write_uint};

    /// A field of a message that is written.
    enum Part {
        /// A span of positive buckets: its offset and length.
        Span(i32, u32),
        /// Deltas of positive buckets, packed and not.
        Packed(&'static [u64]),
        Delta(u64),
        /// Float counts of negative buckets, packed and not, and the spans of these.
        Doubles(usize),
        Double,
        NegativeSpan(i32, u32),
        /// The float total count.
        FloatCount,
    }

    fn message(parts: &[Part]) -> Vec<u8> {
        let mut out = Vec::new();
        let span = |offset: i32, len: u32| {
            let mut span = Vec::new();
            write_uint(&mut span, 1, u64::from((offset << 1 ^ offset >> 31) as u32));
            write_uint(&mut span, 2, u64::from(len));
            span
        };
        for part in parts {
            match *part {
                Part::Span(offset, len) => write_bytes(&mut out, 12, &span(offset, len)),
                Part::NegativeSpan(offset, len) => write_bytes(&mut out, 9, &span(offset, len)),
                Part::Packed(deltas) => {
                    let mut packed = Vec::new();
                    deltas.iter().for_each(|delta| crate::exposition::wire::write_varint(&mut packed, *delta));
                    write_bytes(&mut out, 13, &packed);
                }
                Part::Delta(delta) => write_uint(&mut out, 13, delta),
                Part::Doubles(count) => write_bytes(&mut out, 11, &[0; 8].repeat(count)),
                Part::Double => write_double(&mut out, 11, 1.0),
                Part::FloatCount => write_double(&mut out, 4, 1.0),
            }
        }
        out
    }

    #[test]
    fn native_buckets_and_spans_are_series() {
        use Part::*;
        let check = |parts: &[Part], series: u64, is_possible: bool| {
            let message = message(parts);
            let histogram = Histogram::read(&message, |_, _| {}).expect("it is well-formed");
            assert_eq!((histogram.native_series(), histogram.has_possible_spans()), (series, is_possible));
            for kind in [Kind::Histogram, Kind::GaugeHistogram] {
                assert_eq!(native_series(kind, &message), series);
            }
            assert_eq!(native_series(Kind::Summary, &message), 0);
        };
        check(&[], 0, true);
        check(&[Span(0, 0)], 1, true);
        check(&[Span(0, 3), Packed(&[1, 300, u64::MAX])], 4, true);
        check(&[Span(0, 3), Packed(&[1, 300]), Delta(7)], 4, true);
        check(&[Packed(&[0]), Span(-3, 1), Span(2, 2), Packed(&[0, 0])], 5, true);
        check(&[NegativeSpan(1, 3), Double, Doubles(2), FloatCount], 4, true);
        check(&[NegativeSpan(1, 3), Double, Doubles(2), FloatCount, Packed(&[1]), Span(0, 0)], 6, true);
        // As many buckets as there are counts of the kind that holds, and no others.
        check(&[Span(0, 4), Packed(&[1, 300, 5])], 4, false);
        check(&[Span(0, 2), Packed(&[1, 300, 5])], 4, false);
        check(&[Packed(&[1])], 1, false);
        check(&[NegativeSpan(1, 3), Doubles(3)], 4, false);
        check(&[Span(0, 1), Packed(&[1]), FloatCount], 2, false);
        check(&[Span(0, u32::MAX), Packed(&[0])], 2, false);
        // In order, and at indices that there are.
        check(&[Span(0, 1), Span(-1, 1), Packed(&[1, 1])], 4, false);
        check(&[Span(i32::MAX, 1), Packed(&[1])], 2, false);
        check(&[Span(i32::MAX - 1, 1), Packed(&[1])], 2, true);
        check(&[Span(i32::MIN, 1), Packed(&[1])], 2, true);
        check(&[Span(i32::MAX - 9, 1), Span(i32::MAX, 1), Packed(&[1, 1])], 4, false);
        check(&[Span(0, u32::MAX), Span(0, u32::MAX), Span(0, 2)], 3, false);
    }

    #[test]
    fn native_counts_add_up() {
        let check = |count: u64, zero: u64, zigzags: &[u64], is_possible: bool| {
            let mut message = message(&[Part::Span(0, zigzags.len() as u32)]);
            zigzags.iter().for_each(|delta| write_uint(&mut message, 13, *delta));
            write_uint(&mut message, 1, count);
            write_uint(&mut message, 7, zero);
            let histogram = Histogram::read(&message, |_, _| {}).expect("it is well-formed");
            assert_eq!(histogram.has_possible_counts(), is_possible, "{count} {zero} {zigzags:?}");
        };
        check(0, 0, &[], true);
        check(7, 8, &[], false);
        // 2, 3, 1.
        check(6, 0, &[4, 2, 3], true);
        check(5, 0, &[4, 2, 3], false);
        check(9, 3, &[4, 2, 3], true);
        check(8, 3, &[4, 2, 3], false);
        check(10, 3, &[4, 2, 3], true);
        check(9, 0, &[2, 3, 2], false);
        check(9, 0, &[1], false);
        check(u64::MAX, 1, &[u64::MAX - 1], true);
        check(u64::MAX, 2, &[u64::MAX - 1, 0], false);
        check(u64::MAX, 0, &[u64::MAX - 1, u64::MAX - 1, u64::MAX - 1], false);
        let float = |count: f64, is_possible: bool| {
            let mut message = message(&[Part::NegativeSpan(0, 2), Part::Double, Part::FloatCount]);
            write_double(&mut message, 11, count);
            let histogram = Histogram::read(&message, |_, _| {}).expect("it is well-formed");
            assert_eq!(histogram.has_possible_counts(), is_possible, "{count}");
        };
        [0.0, 7.5, f64::NAN, f64::INFINITY].iter().for_each(|count| float(*count, true));
        [-0.5, f64::NEG_INFINITY].iter().for_each(|count| float(*count, false));
    }

    #[test]
    fn what_is_damaged_counts_up_to_the_damage() {
        let mut whole = message(&[Part::Span(0, 2), Part::Delta(1)]);
        assert_eq!(native_series(Kind::Histogram, &whole), 2);
        whole.extend_from_slice(b"\x6a\x05\x00");
        assert_eq!(native_series(Kind::Histogram, &whole), 2);
    }
}
