//! Keyed digests of texts, as names for secrets that need not be kept.
//!
//! SipHash under a key of the process that nobody knows, twice under different prefixes for 128 bits: who cannot see the
//! digests cannot make two texts meet, and a guess meets one with a chance of one in 2^128. Lengths are part of what is
//! digested, so that texts cannot be shifted against each other (CVE-2022-46146).

use std::hash::{BuildHasher, Hasher, RandomState};

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest(u128);

/// The key of the process.
pub(super) struct Key(RandomState);

impl Key {
    pub(super) fn new() -> Self {
        Self(RandomState::new())
    }

    /// The digest of these texts in this order.
    pub(super) fn of(&self, texts: &[&[u8]]) -> Digest {
        Digest(u128::from(self.half(0, texts)) << 64 | u128::from(self.half(1, texts)))
    }

    fn half(&self, prefix: u8, texts: &[&[u8]]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(&[prefix]);
        hasher.write(&(texts.len() as u64).to_le_bytes());
        for text in texts {
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn texts_cannot_be_shifted() {
        let key = Key::new();
        let pieces: [&[u8]; 5] = [b"", b"a", b"b", b"ab", b"\0"];
        let mut seen = HashMap::new();
        let check = |texts: Vec<&[u8]>, seen: &mut HashMap<Digest, Vec<Vec<u8>>>| {
            let owned: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
            assert_eq!(key.of(&texts), key.of(&texts));
            if let Some(other) = seen.insert(key.of(&texts), owned.clone()) {
                panic!("{other:?} and {owned:?} meet");
            }
        };
        check(vec![], &mut seen);
        for a in pieces {
            check(vec![a], &mut seen);
            for b in pieces {
                check(vec![a, b], &mut seen);
                for c in pieces {
                    check(vec![a, b, c], &mut seen);
                }
            }
        }
        assert_eq!(seen.len(), 1 + 5 + 25 + 125);
    }

    #[test]
    fn keys_and_halves_differ() {
        let (one, two) = (Key::new(), Key::new());
        assert_ne!(one.of(&[b"x"]), two.of(&[b"x"]));
        let Digest(digest) = one.of(&[b"x"]);
        assert_ne!((digest >> 64) as u64, digest as u64);
    }
}
