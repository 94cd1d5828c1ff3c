//! Lengths of time as the original reads and prints them: Go's `time.Duration`, with days and weeks (SPEC 11.1, 8.2).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{UsageError, quoted};

const SECOND: u64 = 1_000_000_000;

/// The units. Both code points for the micro sign are in use.
const UNITS: [(&str, u64); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 24 * 3_600 * SECOND),
    ("w", 7 * 24 * 3_600 * SECOND),
];

/// A signed length of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct GoDuration(pub i64);

impl GoDuration {
    /// The length as an unsigned one; a negative interval has passed at once, like a zero one.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl FromStr for GoDuration {
    type Err = UsageError;

    /// Optional sign, then decimal numbers each with a unit, or just `0`.
    fn from_str(text: &str) -> Result<Self, UsageError> {
        let invalid = || UsageError(format!("time: invalid duration {}", quoted(text)));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (number, after) = Number::take(rest).ok_or_else(invalid)?;
            let (unit, after) =
                after.split_at(after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len()));
            let nanos = number.times(unit_nanos(unit, text)?).ok_or_else(invalid)?;
            total = total.checked_add(nanos).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
            rest = after;
        }
        signed(total, negative).map(Self).ok_or_else(invalid)
    }
}

/// The magnitude goes up to 2^63, which only a negative length can hold.
fn signed(total: u64, negative: bool) -> Option<i64> {
    if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

fn unit_nanos(unit: &str, text: &str) -> Result<u64, UsageError> {
    if unit.is_empty() {
        return Err(UsageError(format!("time: missing unit in duration {}", quoted(text))));
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known
        .map(|(_, nanos)| *nanos)
        .ok_or_else(|| UsageError(format!("time: unknown unit {} in duration {}", quoted(unit), quoted(text))))
}

/// A decimal number without sign: its digits before the point, and those after it over a power of ten.
struct Number {
    whole: u64,
    fraction: u64,
    scale: f64,
}

impl Number {
    /// Takes a number off the front of `text`; `None` if there is none or it is too large.
    fn take(text: &str) -> Option<(Self, &str)> {
        let whole_len = text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, rest) = text.split_at(whole_len);
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut number =
            Self { whole: if whole.is_empty() { 0 } else { whole.parse().ok()? }, fraction: 0, scale: 1.0 };
        for digit in fraction.bytes() {
            // Digits beyond what fits are dropped: they are far below a nanosecond.
            let Some(next) = number.fraction.checked_mul(10).filter(|next| *next < (1 << 63) - 9) else { break };
            number.fraction = next + u64::from(digit - b'0');
            number.scale *= 10.0;
        }
        Some((number, rest))
    }

    fn times(&self, unit: u64) -> Option<u64> {
        let whole = self.whole.checked_mul(unit).filter(|nanos| *nanos <= 1 << 63)?;
        // Go computes the fraction in doubles, so that 0.1h is exact enough.
        whole.checked_add((self.fraction as f64 * (unit as f64 / self.scale)) as u64)
    }
}

impl fmt::Display for GoDuration {
    /// `5m0s`, `24h0m0s`, `1.5s`, `100µs`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => write_fraction(f, nanos, 1_000, "µs"),
            1_000_000..SECOND => write_fraction(f, nanos, 1_000_000, "ms"),
            _ => {
                let (hours, minutes) = (nanos / (3_600 * SECOND), nanos / (60 * SECOND) % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write_fraction(f, nanos % (60 * SECOND), SECOND, "s")
            }
        }
    }
}

fn write_fraction(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    if !nanos.is_multiple_of(unit) {
        let width = unit.ilog10() as usize;
        let digits = format!("{:0width$}", nanos % unit);
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_as_go_does() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<GoDuration>().map(|d| d.to_string()), Ok(expected.to_owned()), "{text}");
        };
        check("0", "0s");
        check("-0", "0s");
        check("+0", "0s");
        check("5m", "5m0s");
        check("1d", "24h0m0s");
        check("1w2d", "216h0m0s");
        check("1.5h", "1h30m0s");
        check("0.1h", "6m0s");
        check(".5s", "500ms");
        check("5.s", "5s");
        check("-1s", "-1s");
        check("+5s", "5s");
        check("100us", "100µs");
        check("100µs", "100µs");
        check("100μs", "100µs");
        check("1ns", "1ns");
        check("1234567ns", "1.234567ms");
        check("1h2m3.004s", "1h2m3.004s");
        check("1m0.000000001s", "1m0.000000001s");
        check("0.9223372036854775807h", "55m20.413933267s");
        check("3.33333333333333333333333s", "3.333333333s");
        check("9223372036854775807ns", "2562047h47m16.854775807s");
        check("-9223372036854775808ns", "-2562047h47m16.854775808s");
        check("2562047h", "2562047h0m0s");
    }

    #[test]
    fn refuses_as_go_does() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<GoDuration>(), Err(UsageError(format!("time: {expected}"))), "{text}");
        };
        check("", r#"invalid duration """#);
        check("abc", r#"invalid duration "abc""#);
        check("-", r#"invalid duration "-""#);
        check("s", r#"invalid duration "s""#);
        check(".", r#"invalid duration ".""#);
        check(".s", r#"invalid duration ".s""#);
        check("1 \"s", r#"unknown unit " \"s" in duration "1 \"s""#);
        check("é", r#"invalid duration "\xc3\xa9""#);
        check("5", r#"missing unit in duration "5""#);
        check("1s2", r#"missing unit in duration "1s2""#);
        check("1..5s", r#"missing unit in duration "1..5s""#);
        check("1Y", r#"unknown unit "Y" in duration "1Y""#);
        check("1e3s", r#"unknown unit "e" in duration "1e3s""#);
        check("1M", r#"unknown unit "M" in duration "1M""#);
        check("9223372036854775808ns", r#"invalid duration "9223372036854775808ns""#);
        check("-9223372036854775809ns", r#"invalid duration "-9223372036854775809ns""#);
        check("2562048h", r#"invalid duration "2562048h""#);
        check("99999999999999999999s", r#"invalid duration "99999999999999999999s""#);
    }

    #[test]
    fn what_is_printed_reads_back() {
        for shift in 0..63 {
            for nanos in [1_i64 << shift, -(1 << shift), (1 << shift) + 12_345] {
                assert_eq!(GoDuration(nanos).to_string().parse(), Ok(GoDuration(nanos)));
            }
        }
    }

    #[test]
    fn negative_lengths_are_over_at_once() {
        assert_eq!(GoDuration(-1).to_std(), Duration::ZERO);
        assert_eq!(GoDuration(1_500_000_000).to_std(), Duration::from_millis(1500));
    }
}
