//! The `Authorization` header of the basic scheme (RFC 7617), read as the original does.

/// A user and a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

const SCHEME: &[u8] = b"Basic ";

impl Credentials {
    /// Reads a header's value; `None` if it is something else.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, coded) = value.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let mut user = decode(coded)?;
        let colon = memchr::memchr(b':', &user)?;
        let password = user.split_off(colon + 1);
        user.truncate(colon);
        Some(Self { user, password })
    }
}

/// Decodes base64 with its padding; spare bits in the last character may be anything.
fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    if !coded.len().is_multiple_of(4) {
        return None;
    }
    let digits = coded.strip_suffix(b"=").unwrap_or(coded);
    let digits = digits.strip_suffix(b"=").unwrap_or(digits);
    let mut bytes = Vec::with_capacity(coded.len() / 4 * 3);
    for quantum in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in quantum {
            bits = bits << 6 | u32::from(value(*digit)?);
        }
        bits <<= 6 * (4 - quantum.len());
        bytes.extend_from_slice(bits.to_be_bytes()[1..].get(..quantum.len().checked_sub(1)?)?);
    }
    Some(bytes)
}

const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

    #[test]
    fn headers_are_read() {
        let check = |value: &str, expected: Option<(&str, &str)>| {
            let expected =
                expected.map(|(user, password)| Credentials { user: user.into(), password: password.into() });
            assert_eq!(Credentials::parse(value.as_bytes()), expected, "{value}");
        };
        check("Basic Ym9iOnNlY3JldA==", Some(("bob", "secret")));
        check("bAsIc Ym9iOnNlY3JldA==", Some(("bob", "secret")));
        check("Basic Og==", Some(("", "")));
        check("Basic YTo6Yg==", Some(("a", ":b")));
        check("Basic", None);
        check("Basic ", None);
        check("Basic  Ym9iOnNlY3JldA==", None);
        check("Basic Ym9iOnNlY3JldA", None);
        check("Basic Ym9i", None);
        check("Basic ====", None);
        check("Basic Y===", None);
        check("Basic Ym9_OnNlY3JldA==", None);
        check("Bearer Ym9iOnNlY3JldA==", None);
        check("", None);
    }

    #[test]
    fn base64_is_what_it_is_elsewhere() {
        let config = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
        let other = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let length = random.below(13);
            let letters = b"AZaz09+/=-Q";
            let text: Vec<u8> = (0..length).map(|_| letters[random.below(letters.len() as u64) as usize]).collect();
            assert_eq!(decode(&text), other.decode(&text).ok(), "{}", text.escape_ascii());
        }
    }
}
