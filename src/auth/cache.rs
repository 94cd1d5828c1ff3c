//! A bounded set of digests that forgets those that were not asked for the longest time.

use std::collections::HashMap;

use super::digest::Digest;

pub(super) struct Cache {
    /// When each was last asked for.
    entries: HashMap<Digest, u64>,
    most: usize,
    /// Counts what happens.
    clock: u64,
}

impl Cache {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), most, clock: 0 }
    }

    /// Whether it is there. It then counts as the youngest.
    pub(super) fn has(&mut self, digest: Digest) -> bool {
        self.clock += 1;
        self.entries.get_mut(&digest).map(|asked| *asked = self.clock).is_some()
    }

    /// Puts it in, in the place of the oldest if there is none left. That one is looked for: a comparison, which is what
    /// leads here, takes many times as long.
    pub(super) fn insert(&mut self, digest: Digest) {
        self.clock += 1;
        if self.entries.len() >= self.most && !self.entries.contains_key(&digest) {
            let oldest = self.entries.iter().min_by_key(|(_, asked)| **asked).map(|(digest, _)| *digest);
            oldest.map(|oldest| self.entries.remove(&oldest));
        }
        self.entries.insert(digest, self.clock);
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Key;
    use super::*;

    #[test]
    fn forgets_what_was_not_asked_for() {
        let key = Key::new();
        let digest = |number: u8| key.of(&[&[number]]);
        let mut cache = Cache::new(3);
        for number in 0..3 {
            cache.insert(digest(number));
        }
        assert!(cache.has(digest(0)));
        cache.insert(digest(3));
        let there: Vec<u8> = (0..4).filter(|number| cache.has(digest(*number))).collect();
        assert_eq!(there, [0, 2, 3]);
        // One that is there takes no place.
        cache.insert(digest(3));
        assert_eq!(cache.entries.len(), 3);
    }
}
