//! How numbers are read (SPEC 3.3) and written (SPEC 7.5): Go's `strconv` rules, to the last digit.

/// A number that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// What it is.
    pub value: f64,
    /// Whether its token is known to be what [`write`] would write.
    pub is_canonical: bool,
}

/// Reads a number as a sample value, `le` or `quantile` may be written; `None` if it is not one.
///
/// Decimal digits with optional sign, point and exponent; `inf` or `infinity` in any case with optional sign; `nan`
/// in any case without sign. Values beyond the double range are not numbers; underflow gives zero.
pub fn read(token: &[u8]) -> Option<Number> {
    read_decimal(token).or_else(|| Some(Number { value: read_any(token)?, is_canonical: false }))
}

/// The value of what [`read`] reads.
pub fn parse(token: &[u8]) -> Option<f64> {
    read(token).map(|number| number.value)
}

fn read_any(token: &[u8]) -> Option<f64> {
    let value: f64 = str::from_utf8(token).ok()?.parse().ok()?;
    if value.is_finite() {
        return Some(value);
    }
    let unsigned = token.strip_prefix(b"+").or_else(|| token.strip_prefix(b"-")).unwrap_or(token);
    let spelled_out = match unsigned[0].to_ascii_lowercase() {
        b'i' => true,
        b'n' => unsigned.len() == token.len(),
        _ => false, // Digits that overflow.
    };
    spelled_out.then_some(value)
}

/// Reads plain decimals of up to 15 digits, which most numbers are, at a fraction of the general reader's cost; `None` for
/// all others. Such digits and the power of ten are exact as doubles, so the one division rounds correctly (W. D. Clinger,
/// 1990), and so many digits always survive a double.
#[inline]
pub fn read_decimal(token: &[u8]) -> Option<Number> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (is_negative, unsigned) = match token {
        [b'-', unsigned @ ..] => (true, unsigned),
        _ => (false, token),
    };
    if unsigned.len() > 16 {
        return None;
    }
    let mut digits = 0_u64;
    let mut point = None;
    for (at, byte) in unsigned.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let integer_len = point.unwrap_or(unsigned.len());
    let fraction_len = point.map_or(0, |at| unsigned.len() - at - 1);
    let digit_count = integer_len + fraction_len;
    if digit_count == 0 || digit_count > 15 {
        return None;
    }
    let value = digits as f64 / POWERS[fraction_len];
    // From 1e-4 to below 1e6, without needless zeros.
    let is_canonical = (1..=6).contains(&integer_len)
        && (integer_len == 1 || unsigned[0] != b'0')
        && match point {
            None => digits > 0 || !is_negative,
            Some(_) => fraction_len > 0 && unsigned.last() != Some(&b'0') && value >= 1e-4,
        };
    Some(Number { value: if is_negative { -value } else { value }, is_canonical })
}

/// Writes `value` with the fewest digits that read back to the same double; exponent form below 1e-4 and from 1e6.
pub fn write(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 {
        out.push(b'0');
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write_finite(out, value);
    }
}

/// Writes a number that was read from this token: the token itself where that is canonical, as most are.
pub fn write_token(out: &mut Vec<u8>, token: &[u8], number: Number) {
    if number.is_canonical {
        out.extend_from_slice(token);
    } else {
        write(out, number.value);
    }
}

fn write_finite(out: &mut Vec<u8>, value: f64) {
    let (mut buffer, mut digits) = (ryu::Buffer::new(), [0; DIGITS_MAX]);
    let (len, exponent) = decimal(buffer.format_finite(value.abs()), &mut digits);
    let digits = &digits[..len];
    if value < 0.0 {
        out.push(b'-');
    }
    if (-4..6).contains(&exponent) {
        write_plain(out, digits, exponent);
    } else {
        write_exponent(out, digits, exponent);
    }
}

fn write_plain(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if exponent < 0 {
        out.extend_from_slice(&b"0.000"[..1 + exponent.unsigned_abs() as usize]);
        out.extend_from_slice(digits);
        return;
    }
    let integer_digits = exponent as usize + 1;
    if digits.len() <= integer_digits {
        out.extend_from_slice(digits);
        out.resize(out.len() + integer_digits - digits.len(), b'0');
    } else {
        out.extend_from_slice(&digits[..integer_digits]);
        out.push(b'.');
        out.extend_from_slice(&digits[integer_digits..]);
    }
}

fn write_exponent(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let magnitude = exponent.unsigned_abs();
    if magnitude >= 100 {
        out.push(b'0' + (magnitude / 100) as u8);
    }
    out.push(b'0' + (magnitude / 10 % 10) as u8);
    out.push(b'0' + (magnitude % 10) as u8);
}

/// All that ryu writes is no longer than this, so that digits are no more.
const DIGITS_MAX: usize = size_of::<ryu::Buffer>();

/// The significant digits of a positive number in ryu's notation, without zeros at either end: how many there are, and the
/// power of ten of the first one.
fn decimal(text: &str, digits: &mut [u8; DIGITS_MAX]) -> (usize, i32) {
    let (mut power, mut leading_zeros, mut point) = (0, 0, None);
    // How many digits there are, with zeros at the end and without.
    let (mut len, mut significant) = (0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' => point = Some(at),
            b'e' => {
                power = text[at + 1..].parse().expect("ryu writes a decimal exponent");
                point = point.or(Some(at));
                break;
            }
            b'0' if len == 0 => leading_zeros += 1,
            digit => {
                digits[len] = digit;
                len += 1;
                if digit != b'0' {
                    significant = len;
                }
            }
        }
    }
    (significant, power + point.unwrap_or(text.len()) as i32 - 1 - leading_zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reads_what_the_original_reads() {
        let check = |token: &str, expected: Option<f64>| assert_eq!(parse(token.as_bytes()), expected, "{token}");
        for token in ["1", "1.", "+1", "010", "00001", "1e0", "1E0", "1e+0", "0.1e1"] {
            let ten = token == "010";
            check(token, Some(if ten { 10.0 } else { 1.0 }));
        }
        check(".5", Some(0.5));
        check("-.5", Some(-0.5));
        check("1e-400", Some(0.0));
        check("9007199254740993", Some(9007199254740992.0));
        check("2.5e-324", Some(5e-324));
        for token in ["inf", "Inf", "+INF", "infinity", "+iNfinity"] {
            check(token, Some(f64::INFINITY));
        }
        check("-Infinity", Some(f64::NEG_INFINITY));
        assert!(parse(b"nAn").unwrap().is_nan());
        for token in [
            "", ".", "+", "-", "e5", "1e", "1e+", "+nan", "-NaN", "0x10", "0x1p3", "1p3", "1_000", "0b1", "1f",
            "1e400", "-1e400", "1,", "1\r", "\u{661}", "--1", "1.1.1", "in", "infin",
        ] {
            check(token, None);
        }
        assert_eq!(parse(b"\xff"), None);
    }

    #[test]
    fn short_decimals_are_read_as_the_general_reader_reads_them() {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = (state >> 14) % 10_u64.pow((state >> 40) as u32 % 15 + 1);
            let fraction_len = (state >> 33) as usize % 15;
            let mut token = format!("{digits:015}");
            token.insert(15 - fraction_len, '.');
            for token in [&token, &format!("-{digits}"), token.trim_start_matches('0')] {
                let general: Option<f64> = token.parse().ok();
                assert_eq!(parse(token.as_bytes()).map(f64::to_bits), general.map(f64::to_bits), "{token}");
            }
        }
        assert_eq!(parse(b"-0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    #[test]
    fn writes_as_the_original_writes() {
        let check = |value: f64, expected: &str| assert_eq!(written(value), expected);
        check(0.0, "0");
        check(-0.0, "0");
        check(1.0, "1");
        check(-1.0, "-1");
        check(3.25, "3.25");
        check(100_000.0, "100000");
        check(999_999.0, "999999");
        check(1_000_000.0, "1e+06");
        check(1_234_567.0, "1.234567e+06");
        check(100_000.5, "100000.5");
        check(1_234_567.5, "1.2345675e+06");
        check(123_456_789.0, "1.23456789e+08");
        check(4_294_967_296.0, "4.294967296e+09");
        check(21_000_000.0, "2.1e+07");
        check(1e21, "1e+21");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(0.000_123_456, "0.000123456");
        check(0.000_012_34, "1.234e-05");
        check(1e-7, "1e-07");
        check(-1e-7, "-1e-07");
        check(0.300_000_000_000_000_04, "0.30000000000000004");
        check(0.1, "0.1");
        check(9_007_199_254_740_992.0, "9.007199254740992e+15");
        check(1.234_567_890_123_456_8e17, "1.2345678901234568e+17");
        check(f64::MAX, "1.7976931348623157e+308");
        check(5e-324, "5e-324");
        check(1_795_395_156.594_682_5, "1.7953951565946825e+09");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
        check(1e100, "1e+100");
        check(20.0, "20");
        check(0.05, "0.05");
    }

    #[test]
    fn a_canonical_token_is_what_would_be_written() {
        let mut canonical = 0;
        let integers = ["", "0", "-0", "1", "-1", "00", "01", "10", "999999", "1000000", "123456", "+1"];
        let fractions =
            ["", ".", ".0", ".1", ".10", ".0001", ".00001", ".000", ".123456789", ".12345678901234", ".5e1"];
        for (integer, fraction) in integers.iter().flat_map(|i| fractions.iter().map(move |f| (i, f))) {
            let token = format!("{integer}{fraction}");
            let Some(number) = read(token.as_bytes()) else { continue };
            let has_few_digits = token.bytes().filter(u8::is_ascii_digit).count() <= 15;
            assert_eq!(number.is_canonical, has_few_digits && written(number.value) == token, "{token}");
            canonical += u32::from(number.is_canonical);
        }
        assert!(canonical > 20, "{canonical}");
    }
}
