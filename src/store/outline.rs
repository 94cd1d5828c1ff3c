//! Outlines: what groups hold of which families, told once for all groups that hold the same.
//!
//! A fleet's groups differ in their labels and values. Which families they have, with which kinds, help texts and
//! numbers of series, is the same in most of them, so each such list stands here once. A group whose list changes has it
//! for itself until the change is done. Where the entries of a group stand and when they were written is the group's.

use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::entry::FamilyId;
use crate::model::sample::Kind;

/// A help text, shared by those who hold it. In front of it stands its hash: outlines are hashed without reading the text
/// again, and texts that differ do so in their first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help(Rc<[u8]>);

impl Help {
    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.0[HASH_BYTES..]
    }

    /// Whether nobody else shares it.
    pub fn is_alone(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    fn hash(&self) -> &[u8] {
        &self.0[..HASH_BYTES]
    }
}

const HASH_BYTES: usize = size_of::<u64>();

/// An outline, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlineId(u32);

/// What is to be known of lines that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The kind of the family in these groups.
    pub kind: Kind,
    /// How many metrics: series, histograms, summaries.
    pub metrics: u32,
    /// How many lines.
    pub lines: u32,
}

/// What groups hold of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The family.
    pub family: FamilyId,
    /// What its lines are.
    pub content: Content,
    /// The help text pushed with it. Shares the family's where they are equal, unless it has no metrics: then it has
    /// no part in what is shown of the family.
    pub help: Option<Help>,
}

/// One list, and what is the same for all who have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Invariant: sorted by family, without repeats.
    pub held: Vec<Held>,
    /// Whether names in the lines may be quoted. Cleared only by a PUT without such names.
    pub has_quoted_names: bool,
}

impl Outline {
    /// Whether these families, sorted, are all that is held beside the push times.
    pub fn is_of(&self, families: impl ExactSizeIterator<Item = FamilyId>) -> bool {
        let held = self.held.get(2..).unwrap_or_default();
        held.len() == families.len() && held.iter().map(|held| held.family).eq(families)
    }

    /// The place of a family in the list, looked for at `hint` first.
    pub fn position_near(&self, family: FamilyId, hint: usize) -> Option<usize> {
        let is_there = self.held.get(hint).is_some_and(|held| held.family == family);
        if is_there { Some(hint) } else { self.position(family) }
    }

    /// The place of a family in the list.
    pub fn position(&self, family: FamilyId) -> Option<usize> {
        self.held.binary_search_by_key(&family, |held| held.family).ok()
    }
}

/// An outline and who has it.
#[derive(Debug)]
pub struct Known {
    outline: Outline,
    /// Invariant: one if it is not shared.
    groups: u32,
    /// Whether it is found by its content.
    is_shared: bool,
}

/// All outlines.
#[derive(Debug, Default)]
pub struct Outlines {
    all: Slab<Known>,
    /// Invariant: the shared ones, no two of them equal.
    by_content: HashTable<OutlineId>,
    hasher: RandomState,
}

impl Outlines {
    /// Takes it apart, to be freed in steps.
    pub fn into_parts(self) -> Slab<Known> {
        self.all
    }

    /// A help text to be held.
    pub fn help(&self, text: &[u8]) -> Help {
        Help([&self.hasher.hash_one(text).to_ne_bytes(), text].concat().into())
    }

    /// The outline.
    pub fn get(&self, id: OutlineId) -> &Outline {
        &self.all[id.0 as usize].outline
    }

    /// That of a group that holds nothing yet.
    pub fn empty(&mut self) -> OutlineId {
        let mut id = self.insert(Outline::default());
        self.share(&mut id);
        id
    }

    /// The outline of one group, to change it: a copy if others have it, too.
    pub fn change(&mut self, id: &mut OutlineId) -> &mut Outline {
        let known = &mut self.all[id.0 as usize];
        if known.groups > 1 {
            known.groups -= 1;
            let copy = known.outline.clone();
            *id = self.insert(copy);
        } else if known.is_shared {
            self.hide(*id);
        }
        &mut self.all[id.0 as usize].outline
    }

    /// Ends a change: a group whose outline has become the same as others' has theirs from now on.
    pub fn share(&mut self, id: &mut OutlineId) {
        let known = &mut self.all[id.0 as usize];
        if known.is_shared {
            return;
        }
        known.outline.held.shrink_to_fit();
        let (all, hasher) = (&self.all, &self.hasher);
        let hash = hash_of(hasher, &all[id.0 as usize].outline);
        let found = self.by_content.find(hash, |found| all[found.0 as usize].outline == all[id.0 as usize].outline);
        if let Some(found) = found.copied() {
            self.all.remove(id.0 as usize);
            self.all[found.0 as usize].groups += 1;
            *id = found;
        } else {
            self.by_content.insert_unique(hash, *id, |id| hash_of(hasher, &all[id.0 as usize].outline));
            self.all[id.0 as usize].is_shared = true;
        }
    }

    /// A group has it no longer.
    pub fn leave(&mut self, id: OutlineId) {
        let known = &mut self.all[id.0 as usize];
        known.groups -= 1;
        if known.groups == 0 {
            if known.is_shared {
                self.hide(id);
            }
            self.all.remove(id.0 as usize);
        }
    }

    fn insert(&mut self, outline: Outline) -> OutlineId {
        OutlineId(self.all.insert(Known { outline, groups: 1, is_shared: false }) as u32)
    }

    /// Takes a shared one out of those that are found.
    fn hide(&mut self, id: OutlineId) {
        let known = &mut self.all[id.0 as usize];
        known.is_shared = false;
        match self.by_content.find_entry(hash_of(&self.hasher, &known.outline), |found| *found == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every shared outline is found by its content"),
        }
    }
}

fn hash_of(hasher: &RandomState, outline: &Outline) -> u64 {
    let mut hash = hasher.build_hasher();
    for held in &outline.held {
        let Content { kind, metrics, lines } = held.content;
        hash.write_u64(u64::from(held.family.0) << 32 | u64::from(metrics));
        hash.write_u64(u64::from(lines) << 8 | kind as u64);
        hash.write(held.help.as_ref().map_or(&[], Help::hash));
    }
    hash.finish()
}

#[cfg(any(test, feature = "fuzz"))]
impl Outlines {
    /// Panics if an invariant does not hold between changes. `groups` gives the outline of each group.
    pub fn verify(&self, groups: impl Iterator<Item = OutlineId>) {
        let mut counts = std::collections::HashMap::new();
        groups.for_each(|id| *counts.entry(id.0 as usize).or_default() += 1);
        assert_eq!(
            self.all.iter().map(|(at, known)| (at, known.groups)).collect::<std::collections::HashMap<_, _>>(),
            counts
        );
        for (at, known) in &self.all {
            let held = &known.outline.held;
            assert!(held.is_sorted_by(|left, right| left.family < right.family));
            assert!(known.is_shared, "a change ends with sharing");
            let hash = hash_of(&self.hasher, &known.outline);
            let is_equal = |id: &OutlineId| self.all[id.0 as usize].outline == known.outline;
            let found: Vec<_> = self.by_content.iter_hash(hash).filter(|id| is_equal(id)).collect();
            assert!(found == [&OutlineId(at as u32)], "shared outlines are found, and alone");
        }
        assert_eq!(self.by_content.len(), self.all.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(outlines: &Outlines, family: u32, lines: u32, help: &str) -> Held {
        let content = Content { kind: Kind::Gauge, metrics: lines, lines };
        Held { family: FamilyId(family), content, help: Some(outlines.help(help.as_bytes())) }
    }

    #[test]
    fn equal_outlines_are_one() {
        let mut outlines = Outlines::default();
        let mut ids: Vec<_> = (0..3).map(|_| outlines.empty()).collect();
        assert_eq!(outlines.all.len(), 1);
        // What each group holds after a step, and how many different outlines that makes.
        let helps = ["one", "one", "two"];
        let steps: [([u32; 3], [&str; 3], usize); 5] = [
            ([1, 0, 0], helps, 2),
            ([1, 1, 0], helps, 2),
            ([1, 1, 1], helps, 2),
            ([1, 2, 1], ["one"; 3], 2),
            ([2, 2, 2], ["one"; 3], 1),
        ];
        for (lines, helps, expected) in steps {
            for ((id, lines), help) in ids.iter_mut().zip(lines).zip(helps).filter(|((_, lines), _)| *lines > 0) {
                let new = held(&outlines, 7, lines, help);
                outlines.change(id).held = vec![new.clone()];
                outlines.share(id);
                assert_eq!(outlines.get(*id).held, [new]);
            }
            assert_eq!(outlines.all.len(), expected, "{lines:?}");
            outlines.verify(ids.iter().copied());
        }
        ids.drain(..).for_each(|id| outlines.leave(id));
        assert!(outlines.all.is_empty());
        outlines.verify(ids.into_iter());
    }
}
