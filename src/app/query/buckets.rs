//! Buckets of histograms that say more than their lines: native ones, with bounds to the last bit of the original's
//! table, and whole counts beyond a double's digits (SPEC 8.3).

use crate::exposition::protobuf::{Count, Histogram, Malformed, Side, Sign};
use crate::model::number;

use super::super::json::write_string;

/// `f(s)` for the schemas from 1 to 8: the ratio of neighbouring bounds, as the original's table has it. Twice the
/// second entry of each table, which is exact.
const RATIOS: [f64; 8] = [
    2.0 * 0.7071067811865475,
    2.0 * 0.5946035575013605,
    2.0 * 0.5452538663326288,
    2.0 * 0.5221368912137069,
    2.0 * 0.5109485743270583,
    2.0 * 0.5054446430258502,
    2.0 * 0.5027149505564014,
    2.0 * 0.5013556375251013,
];

/// What of its two bounds a bucket includes.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Upper = 0,
    Lower = 1,
    Both = 3,
}

/// The native buckets of a histogram that are not empty, in order.
#[derive(Debug)]
pub struct Native {
    schema: i32,
    threshold: f64,
    /// From the lowest on.
    negative: Vec<(i64, Count)>,
    zero: Option<Count>,
    positive: Vec<(i64, Count)>,
}

impl Native {
    /// Reads them.
    ///
    /// # Errors
    /// If the message cannot be read.
    pub fn read(histogram: &Histogram<'_>) -> Result<Self, Malformed> {
        let counts_of = |sign| Ok(bucket_counts(&histogram.side(sign)?, histogram.is_float()));
        let mut negative = counts_of(Sign::Negative)?;
        negative.reverse();
        let zero = histogram.zero_count();
        Ok(Self {
            schema: histogram.schema.unwrap_or_default(),
            threshold: histogram.zero_threshold,
            negative,
            zero: (zero.value() != 0.0).then_some(zero),
            positive: counts_of(Sign::Positive)?,
        })
    }

    /// Writes the bucket at a place as `[rule, "lower", "upper", "count"]`, after what stands between it and the one before;
    /// whether there is one.
    pub fn write(&self, out: &mut Vec<u8>, at: usize) -> bool {
        let Some((rule, lower, upper, count)) = self.bucket(at) else { return false };
        out.push(if at == 0 { b'[' } else { b',' });
        write_bucket(out, rule, lower, upper, count);
        true
    }

    fn bucket(&self, at: usize) -> Option<(Rule, f64, f64, Count)> {
        let bound = |index| bound(index, self.schema);
        let Some(at) = at.checked_sub(self.negative.len()) else {
            let (index, count) = self.negative[at];
            return Some((Rule::Lower, -bound(index), -bound(index - 1), count));
        };
        let at = match self.zero {
            Some(count) if at == 0 => return Some((Rule::Both, -self.threshold, self.threshold, count)),
            zero => at - usize::from(zero.is_some()),
        };
        let (index, count) = *self.positive.get(at)?;
        Some((Rule::Upper, bound(index - 1), bound(index), count))
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        (self.negative.capacity() + self.positive.capacity()) * size_of::<(i64, Count)>()
    }
}

fn write_bucket(out: &mut Vec<u8>, rule: Rule, lower: f64, upper: f64, count: Count) {
    out.extend_from_slice(format!("[{}", rule as u8).as_bytes());
    for text in [shown(lower), shown(upper), shown_count(count)] {
        out.push(b',');
        write_string(out, text.as_bytes());
    }
    out.push(b']');
}

/// The buckets of one side that are not empty: index and count, from zero outwards.
fn bucket_counts(side: &Side, is_float: bool) -> Vec<(i64, Count)> {
    let mut running = 0_i64;
    let wholes = side.deltas.iter().map(|delta| {
        running = running.wrapping_add(*delta);
        Count::Whole(running as u64)
    });
    let counts: Vec<_> =
        if is_float { side.counts.iter().copied().map(Count::Float).collect() } else { wholes.collect() };
    let mut counts = counts.into_iter();
    let mut buckets = Vec::new();
    let mut index = 0;
    for (offset, len) in &side.spans {
        index += i64::from(*offset);
        // A span may claim more buckets than there are counts; it ends with them.
        let claimed = counts.by_ref().take(*len as usize);
        let first = index;
        buckets.extend((first..).zip(claimed).filter(|(_, count)| count.value() != 0.0));
        index += i64::from(*len);
    }
    buckets
}

/// B(index): the upper bound of the positive bucket of that index.
fn bound(index: i64, schema: i32) -> f64 {
    let (fraction, exponent) = match u32::try_from(schema) {
        Ok(schema @ 1..) => {
            let entry = (index & ((1 << schema) - 1)) as usize;
            (fraction(schema as usize, entry), (index >> schema) + 1)
        }
        _ => (0.5, index.saturating_mul(1_i64 << schema.unsigned_abs().min(62)).saturating_add(1)),
    };
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scaled(fraction, exponent) }
}

/// T(schema)[entry]: a number from 0.5 to below 1.
fn fraction(schema: usize, entry: usize) -> f64 {
    if schema == 0 {
        return 0.5;
    }
    let even = fraction(schema - 1, entry / 2);
    if entry.is_multiple_of(2) { even } else { even * RATIOS[schema - 1] }
}

/// `value` times 2 to the power of `exponent`, rounded once.
fn scaled(value: f64, exponent: i64) -> f64 {
    const STEP: i64 = 200;
    let power = |exponent: i64| f64::from_bits(((exponent + 1023) as u64) << 52);
    // Beyond these everything is zero or infinite.
    let exponent = exponent.clamp(-1200, 1200);
    if exponent < -800 {
        value * power(exponent + STEP) * power(-STEP)
    } else if exponent > 800 {
        value * power(exponent - STEP) * power(STEP)
    } else {
        value * power(exponent)
    }
}

/// A number as the query API shows it.
pub fn shown(value: f64) -> String {
    if value == 0.0 && value.is_sign_negative() {
        return "-0".to_owned();
    }
    let mut out = Vec::new();
    number::write(&mut out, value);
    String::from_utf8(out).expect("numbers are text")
}

/// A count as the query API shows it.
pub fn shown_count(count: Count) -> String {
    match count {
        Count::Whole(whole) => whole.to_string(),
        Count::Float(float) => shown(float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_table() {
        let check = |schema: i32, index: i64, expected: f64| {
            assert_eq!(
                bound(index, schema).to_bits(),
                expected.to_bits(),
                "{schema} {index}: {}",
                bound(index, schema)
            );
        };
        check(0, 0, 1.0);
        check(0, 1, 2.0);
        check(0, -1, 0.5);
        check(0, 1023, 2_f64.powi(1023));
        check(0, 1024, f64::MAX);
        check(0, 1025, f64::INFINITY);
        check(0, -1074, 5e-324);
        check(0, -1075, 0.0);
        check(1, 1, 2.0 * 0.7071067811865475);
        check(1, 3, 2.82842712474619);
        check(1, -1, 0.7071067811865475);
        check(1, 2048, f64::MAX);
        check(1, 2049, f64::INFINITY);
        check(2, 1, 2.0 * 0.5946035575013605);
        check(8, 1, 2.0 * 0.5013556375251013);
        check(8, 256, 2.0);
        check(-4, 1, 65536.0);
        check(-4, 64, f64::MAX);
        check(-4, -1, 1.0 / 65536.0);
        check(-53, 0, 1.0);
        check(-53, 1, f64::INFINITY);
        check(-53, -1, 0.0);
        check(-4, i64::from(i32::MAX) * 3, f64::INFINITY);
        check(8, i64::from(i32::MIN) * 3, 0.0);
    }

    #[test]
    fn spans_lead_to_indices() {
        let check = |spans: &[(i32, u32)], deltas: &[i64], expected: &[(i64, u64)]| {
            let side = Side { spans: spans.to_vec(), deltas: deltas.to_vec(), counts: Vec::new() };
            let expected: Vec<_> = expected.iter().map(|(index, count)| (*index, Count::Whole(*count))).collect();
            assert_eq!(bucket_counts(&side, false), expected, "{spans:?} {deltas:?}");
        };
        check(&[], &[1], &[]);
        check(&[(0, 2)], &[1, 1], &[(0, 1), (1, 2)]);
        check(&[(-3, 1), (2, 2)], &[4, -4, 1], &[(-3, 4), (1, 1)]);
        check(&[(1, 0), (2, 1)], &[5], &[(3, 5)]);
        check(&[(0, u32::MAX), (i32::MAX, u32::MAX)], &[7], &[(0, 7)]);
        check(&[(i32::MIN, 1)], &[-1], &[(i64::from(i32::MIN), u64::MAX)]);
    }

    #[test]
    fn minus_zero_is_shown() {
        assert_eq!(shown(-0.0), "-0");
        assert_eq!(shown(0.0), "0");
        assert_eq!(shown_count(Count::Whole(u64::MAX)), "18446744073709551615");
        assert_eq!(shown_count(Count::Float(1e6)), "1e+06");
    }
}
