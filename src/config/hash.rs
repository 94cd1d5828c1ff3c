//! Stored passwords: bcrypt hashes in their usual form of 60 characters, taken apart and checked (SPEC 11.3).
//!
//! Computes no hash.

use super::ConfigError;
use crate::model::quote::Literal;

/// bcrypt's own alphabet for base64.
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const COST_MIN: u32 = 4;
const COST_MAX: u32 = 31;

/// Shorter ones are not hashes at all, by the original's reckoning.
const BYTES_MIN: usize = 59;

/// A bcrypt hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BcryptHash {
    /// As it is written.
    pub text: String,
    /// Its comparison takes 2 to this number rounds.
    pub cost: u32,
    /// What was mixed into the password.
    pub salt: [u8; 16],
    /// What came out.
    pub digest: [u8; 23],
}

impl BcryptHash {
    /// Takes a hash apart: `$2a$`, `$2b$` or `$2y$`, two digits of cost, `$`, 22 characters of salt and 31 of digest.
    ///
    /// # Errors
    /// The original's words for the mistakes that it tells from each other.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let error = |what: String| Err(ConfigError(format!("crypto/bcrypt: {what}")));
        let bytes = text.as_bytes();
        if bytes.len() < BYTES_MIN {
            return error("hashedSecret too short to be a bcrypted password".to_owned());
        }
        if bytes[0] != b'$' {
            let first = text.chars().next().unwrap_or_default();
            return error(format!("bcrypt hashes must start with '$', but hashedSecret started with '{first}'"));
        }
        if bytes[1] > b'2' {
            let version = text[1..].chars().next().unwrap_or_default();
            return error(format!("bcrypt algorithm version '{version}' requested is newer than current version '2'"));
        }
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let Some((cost, coded)) = rest.and_then(|rest| rest.split_once('$')) else {
            return error("hashedSecret starts with none of $2a$, $2b$, $2y$ and a cost".to_owned());
        };
        let cost = match cost.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => u32::from(tens - b'0') * 10 + u32::from(ones - b'0'),
            _ => return error(format!("cost {} has to be two digits", Literal(cost))),
        };
        if !(COST_MIN..=COST_MAX).contains(&cost) {
            return error(format!("cost {cost} is outside allowed inclusive range {COST_MIN}..{COST_MAX}"));
        }
        let (mut salt, mut digest) = ([0; 16], [0; 23]);
        let coded = coded.as_bytes();
        if coded.len() != 53 || !decode(&coded[..22], &mut salt) || !decode(&coded[22..], &mut digest) {
            return error("hashedSecret has a damaged salt or digest".to_owned());
        }
        Ok(Self { text: text.to_owned(), cost, salt, digest })
    }
}

/// Decodes base64 without padding; whether it was that. `out` has the length that `coded` stands for.
fn decode(coded: &[u8], out: &mut [u8]) -> bool {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut at = 0;
    for byte in coded {
        let Some(value) = ALPHABET.iter().position(|letter| letter == byte) else { return false };
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 && at < out.len() {
            count -= 8;
            out[at] = (bits >> count) as u8;
            at += 1;
        }
    }
    at == out.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "$2b$04$sc11KmUW4ojDSQ3fwjBPQuVsi9D56m9ZFFK07rM03Q/5uln6XrF0K";

    #[test]
    fn hashes_are_taken_apart() {
        let hash = BcryptHash::parse(GOOD).expect("a hash");
        assert_eq!((hash.cost, &*hash.text), (4, GOOD));
        for version in ["$2a$", "$2b$", "$2y$"] {
            let other = BcryptHash::parse(&GOOD.replace("$2b$", version)).expect("a hash");
            assert_eq!((other.salt, other.digest), (hash.salt, hash.digest));
        }
        // One of bcrypt's public test vectors.
        let vector = BcryptHash::parse("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.").expect("a hash");
        assert_eq!(vector.cost, 6);
        assert_eq!(vector.salt[..4], [0x14, 0x4b, 0x3d, 0x69]);
        assert_eq!(bcrypt::bcrypt(vector.cost, vector.salt, b"\0")[..23], vector.digest);
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let error = BcryptHash::parse(text).expect_err(text);
            assert_eq!(error.to_string(), format!("crypto/bcrypt: {expected}"), "{text}");
        };
        check("", "hashedSecret too short to be a bcrypted password");
        check("secret", "hashedSecret too short to be a bcrypted password");
        check(&GOOD[..58], "hashedSecret too short to be a bcrypted password");
        check(&"x".repeat(60), "bcrypt hashes must start with '$', but hashedSecret started with 'x'");
        check(&GOOD.replace("$2b", "$3b"), "bcrypt algorithm version '3' requested is newer than current version '2'");
        check(&GOOD.replace("$2b", "$é"), "bcrypt algorithm version 'é' requested is newer than current version '2'");
        check(&GOOD.replace("$2b", "$2x"), "hashedSecret starts with none of $2a$, $2b$, $2y$ and a cost");
        check(&GOOD.replace("$04", "$03"), "cost 3 is outside allowed inclusive range 4..31");
        check(&GOOD.replace("$04", "$32"), "cost 32 is outside allowed inclusive range 4..31");
        check(&GOOD.replace("$04", "$0x"), "cost \"0x\" has to be two digits");
        check(&GOOD.replace("$04", "$4"), "cost \"4\" has to be two digits");
        check(&GOOD.replace("KmUW", "Km!W"), "hashedSecret has a damaged salt or digest");
        check(&GOOD[..59], "hashedSecret has a damaged salt or digest");
        check(&format!("{GOOD}x"), "hashedSecret has a damaged salt or digest");
    }
}
