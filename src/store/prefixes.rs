//! What the keys of groups begin with: finds the groups whose labels are all among those of a series, at a cost that
//! depends on neither the number of groups nor that of their sets of label names.
//!
//! A key is taken as a path of labels: `job` first, `instance` last, the others between them by name. Whoever looks for
//! groups follows the paths that the labels of the series allow, and turns back where no key begins like that. A usual
//! fleet has one beginning for each job, as the last label of a key is in none: so `instance`, of which there are many,
//! comes last, and `job`, which rules out most, comes first.
//!
//! Paths and names are known by hash: a beginning that is not here is the beginning of no key, and one that is here may
//! be that of another. Whether a group is there, the catalog knows.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::key::GroupKey;

/// The hash of the path without labels.
pub const ROOT: u64 = 0;

/// What some keys begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    hash: u64,
    /// Groups whose keys begin with it and go on.
    groups: u32,
    /// The bits of the names that come next in a key. More than those, if a group has gone.
    names: u64,
    /// The bits of the paths that are one label longer and whole keys. More than those, if a group has gone.
    ends: u64,
}

impl Prefix {
    /// The bits of the names that may come next.
    pub fn names(&self) -> u64 {
        self.names
    }

    /// Whether a path that is one label longer may be a whole key.
    pub fn may_end_at(&self, path: u64) -> bool {
        self.ends & bit(path) != 0
    }
}

/// All that the keys of groups begin with.
#[derive(Debug)]
pub struct Prefixes {
    prefixes: HashTable<Prefix>,
    /// For each bit of a name, the labels of groups with such a name.
    name_counts: [u64; u64::BITS as usize],
    hasher: RandomState,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { prefixes: HashTable::new(), name_counts: [0; u64::BITS as usize], hasher: RandomState::default() }
    }
}

impl Prefixes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Adds those of a key.
    pub fn enter(&mut self, key: &GroupKey) {
        let mut path = ROOT;
        let mut last = None;
        for (name, value) in in_order(key) {
            let name_bit = self.name_bit(&name);
            self.name_counts[name_bit.trailing_zeros() as usize] += 1;
            let prefix = match self.prefixes.entry(path, |found| found.hash == path, |found| found.hash) {
                Entry::Occupied(found) => found.into_mut(),
                Entry::Vacant(place) => place.insert(Prefix { hash: path, groups: 0, names: 0, ends: 0 }).into_mut(),
            };
            prefix.groups += 1;
            prefix.names |= name_bit;
            last = Some(path);
            path = self.longer(path, self.label_hash(&name, &value));
        }
        if let Some(last) = last
            && let Some(prefix) = self.prefixes.find_mut(last, |found| found.hash == last)
        {
            prefix.ends |= bit(path);
        }
    }

    /// Takes out those of a key that was entered.
    pub fn leave(&mut self, key: &GroupKey) {
        let mut path = ROOT;
        for (name, value) in in_order(key) {
            self.name_counts[self.name_bit(&name).trailing_zeros() as usize] -= 1;
            match self.prefixes.find_entry(path, |found| found.hash == path) {
                Ok(mut found) if found.get().groups > 1 => found.get_mut().groups -= 1,
                Ok(found) => drop(found.remove()),
                Err(_) => unreachable!("the beginnings of every key are there"),
            }
            path = self.longer(path, self.label_hash(&name, &value));
        }
    }

    /// What keys begin with, by the hash of its path; `None` if no key goes on from there.
    pub fn find(&self, path: u64) -> Option<&Prefix> {
        self.prefixes.find(path, |found| found.hash == path)
    }

    /// The hash of a path with one more label.
    pub fn longer(&self, path: u64, label: u64) -> u64 {
        self.hasher.hash_one((path, label))
    }

    /// The hash of a label.
    pub fn label_hash(&self, name: &str, value: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.write(value.as_bytes());
        hasher.finish()
    }

    /// The bit of a label name. Names may share one, but nobody can foresee which.
    pub fn name_bit(&self, name: &str) -> u64 {
        bit(self.hasher.hash_one(name))
    }

    /// Whether some group may have a label whose name has this bit.
    pub fn has_name(&self, name_bit: u64) -> bool {
        self.name_counts[name_bit.trailing_zeros() as usize] > 0
    }
}

fn bit(hash: u64) -> u64 {
    1 << (hash >> (u64::BITS - u64::BITS.ilog2()))
}

/// Where a label comes in a path: paths are in the order of this, and of names where it is equal.
pub fn rank(name: &str) -> u8 {
    match name {
        "job" => 0,
        "instance" => 2,
        _ => 1,
    }
}

fn in_order(key: &GroupKey) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> {
    (0..=2).flat_map(|wanted| key.labels().filter(move |(name, _)| rank(name) == wanted))
}

#[cfg(any(test, feature = "fuzz"))]
impl Prefixes {
    /// Panics if they are not those of these keys.
    pub fn verify<'a>(&self, keys: impl Iterator<Item = &'a GroupKey>) {
        let mut expected = Self { hasher: self.hasher.clone(), ..Self::default() };
        keys.for_each(|key| expected.enter(key));
        assert_eq!((self.len(), self.name_counts), (expected.len(), expected.name_counts));
        for prefix in &expected.prefixes {
            let found = self.find(prefix.hash).expect("the beginnings of every key are there");
            let merged = Prefix { names: found.names | prefix.names, ends: found.ends | prefix.ends, ..*prefix };
            assert_eq!(*found, merged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fleet of jobs and instances has hardly more than its jobs, and nothing is left of groups that have gone.
    #[test]
    fn usual_keys_begin_with_their_jobs() {
        let mut prefixes = Prefixes::default();
        let keys: Vec<_> = (0..1000)
            .map(|at| GroupKey::new([("env", "e"), ("instance", &*at.to_string()), ("job", &*(at % 10).to_string())]))
            .collect();
        keys.iter().for_each(|key| prefixes.enter(key));
        prefixes.verify(keys.iter());
        assert_eq!(prefixes.len(), 1 + 10 + 10);
        let label = |name: &str, value: &str| prefixes.label_hash(name, value);
        let job = prefixes.longer(ROOT, label("job", "3"));
        let next = prefixes.find(job).expect("keys begin with it");
        assert_eq!(next.names(), prefixes.name_bit("env"));
        let env = prefixes.longer(job, label("env", "e"));
        assert!(!next.may_end_at(env) && prefixes.find(prefixes.longer(job, label("env", "f"))).is_none());
        let instance = prefixes.longer(env, label("instance", "13"));
        assert!(prefixes.find(env).is_some_and(|prefix| prefix.may_end_at(instance)));
        assert!(prefixes.find(instance).is_none(), "nothing comes after a whole key");
        keys.iter().for_each(|key| prefixes.leave(key));
        prefixes.verify([].into_iter());
        assert!(!prefixes.has_name(prefixes.name_bit("job")));
    }
}
