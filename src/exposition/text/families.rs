//! The families of one body: which family a name belongs to (SPEC 3.8), and what is known about each so far.
//!
//! Every name that has been looked up keeps its answer for the rest of the body: an exact match stays one, and a
//! family that took in `x_count` has its kind for good. So suffixed names are entries of the same table as the
//! families themselves, and a look-up is one probe. The hash is seeded: a body cannot be made to collide.

use crate::limits::PARSER_RETAINED_BYTES_MAX;
use crate::model::sample::{FamilyIx, Kind};
use crate::model::table::Table;
use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// The part of a summary or histogram that a name's suffix states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    /// None, or `_bucket`: the labels decide.
    None,
    /// `_count`.
    Count,
    /// `_sum`.
    Sum,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) family: FamilyIx,
    pub(super) suffix: Suffix,
}

struct Entry {
    hash: u64,
    start: usize,
    end: usize,
    found: Found,
}

struct Family {
    /// The entry with the family's own name.
    entry: usize,
    kind: Option<Kind>,
    has_help: bool,
}

#[derive(Default)]
pub(super) struct Families {
    /// The bytes of all names, one after the other.
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// Indices into `entries`, by name.
    index: Table<u32>,
    families: Vec<Family>,
    hasher: RandomState,
    /// The entry found last, if its name can stand without quotes: most lines repeat it.
    last: Option<usize>,
}

impl Families {
    /// Forgets the body, and gives back what an unusually large one took.
    pub(super) fn reset(&mut self) {
        self.names.clear();
        self.entries.clear();
        self.index.clear();
        self.families.clear();
        self.last = None;
        if self.retained_bytes() > PARSER_RETAINED_BYTES_MAX {
            *self = Self::default();
        }
    }

    pub(super) fn retained_bytes(&self) -> usize {
        self.names.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.families.capacity() * size_of::<Family>()
            + self.index.allocation_size()
    }

    /// What the name found last stands for, and its length, if `line` starts with that name.
    #[inline]
    pub(super) fn repeated(&self, line: &[u8]) -> Option<(Found, usize)> {
        let entry = &self.entries[self.last?];
        let name = &self.names[entry.start..entry.end];
        line.starts_with(name).then_some((entry.found, name.len()))
    }

    /// What a valid name stands for; `true` if it is a new family. `bare`: it stands in the body without quotes.
    pub(super) fn find_or_add(&mut self, name: &[u8], bare: bool) -> (Found, bool) {
        let hash = self.hasher.hash_one(name);
        let known = self.entry(hash, name);
        let (entry, is_new) = match known {
            Some(entry) => (entry, false),
            None => self.add(hash, name),
        };
        self.last = bare.then_some(entry);
        (self.entries[entry].found, is_new)
    }

    pub(super) fn name(&self, family: FamilyIx) -> &[u8] {
        let entry = &self.entries[self.families[family.0 as usize].entry];
        &self.names[entry.start..entry.end]
    }

    #[inline]
    pub(super) fn kind(&self, family: FamilyIx) -> Option<Kind> {
        self.families[family.0 as usize].kind
    }

    pub(super) fn set_kind(&mut self, family: FamilyIx, kind: Kind) {
        self.families[family.0 as usize].kind = Some(kind);
    }

    /// Notes that the family has a help text now; `false` if it had one.
    pub(super) fn take_help(&mut self, family: FamilyIx) -> bool {
        !std::mem::replace(&mut self.families[family.0 as usize].has_help, true)
    }

    fn entry(&self, hash: u64, name: &[u8]) -> Option<usize> {
        let is_it = |&ix: &u32| {
            let entry = &self.entries[ix as usize];
            entry.hash == hash && &self.names[entry.start..entry.end] == name
        };
        self.index.find(hash, is_it).map(|&ix| ix as usize)
    }

    fn add(&mut self, hash: u64, name: &[u8]) -> (usize, bool) {
        let entry = self.entries.len();
        let part = self.part_of_known(name);
        let found = part.unwrap_or_else(|| {
            self.families.push(Family { entry, kind: None, has_help: false });
            Found { family: FamilyIx(index_of(self.families.len() - 1)), suffix: Suffix::None }
        });
        let start = self.names.len();
        self.names.extend_from_slice(name);
        self.entries.push(Entry { hash, start, end: self.names.len(), found });
        let entries = &self.entries;
        self.index.insert_unique(hash, index_of(entry), |&ix| entries[ix as usize].hash);
        (entry, part.is_none())
    }

    /// The summary or histogram that takes in a name with the suffix of a part.
    fn part_of_known(&self, name: &[u8]) -> Option<Found> {
        let (rest, suffix, in_summary) = if let Some(rest) = name.strip_suffix(b"_count") {
            (rest, Suffix::Count, true)
        } else if let Some(rest) = name.strip_suffix(b"_sum") {
            (rest, Suffix::Sum, true)
        } else {
            (name.strip_suffix(b"_bucket")?, Suffix::None, false)
        };
        let owner = &self.entries[self.entry(self.hasher.hash_one(rest), rest)?];
        // An entry that is itself a part (`x_count` asked for as the owner of `x_count_sum`) is no family.
        if self.name(owner.found.family) != rest {
            return None;
        }
        let family = owner.found.family;
        match self.kind(family)? {
            Kind::Summary => in_summary.then_some(Found { family, suffix }),
            kind => kind.is_histogram().then_some(Found { family, suffix }),
        }
    }
}

fn index_of(count: usize) -> u32 {
    u32::try_from(count).expect("2^32 names do not fit in memory")
}
