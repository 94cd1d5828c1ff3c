//! The consistency check of a push (SPEC 6.2), at a cost that depends on the push alone.
//!
//! Kinds and name collisions are look-ups. Duplicates inside the push show as equal hashes. Duplicates between
//! groups are possible only between groups of different *shapes* (sets of grouping label names): a group's labels
//! are in each of its series, so groups of one shape differ in some value. For another shape, a series names the only
//! group that could hold its twin: its own labels under the names of that shape. Only such a group is read.

use smallvec::SmallVec;

use super::Mode;
use super::catalog::{Catalog, ShapeId};
use super::entry::{Entry, FamilyId, GroupId};
use super::key::GroupKey;
use super::line::metric_lines;
use super::outline::Help;
use super::pages::Pages;
use super::problem::{Problem, Problems};
use super::staged::Staged;
use crate::model::escape::unescape;
use crate::model::line::label_pairs;
use crate::model::order;
use crate::model::sample::{FamilyIx, Kind};

/// What names of parts a histogram claims; a summary claims all but the last.
const SUFFIXES: [&str; 3] = ["_count", "_sum", "_bucket"];

/// A family of the push and its place in the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// Its place in the catalog.
    pub id: FamilyId,
    /// Its place in the push.
    pub ix: FamilyIx,
}

/// One push against what is stored.
pub struct Check<'a> {
    /// What is stored.
    pub catalog: &'a Catalog,
    /// Its text.
    pub pages: &'a Pages,
    /// The push.
    pub staged: &'a mut Staged,
    /// Its families, sorted by id.
    pub resolved: &'a [Resolved],
    /// The group that it goes to.
    pub group: GroupId,
    /// What becomes of the families of the group that the push does not name.
    pub mode: Mode,
    /// Working memory: the name of a part.
    pub part: &'a mut String,
    /// Working memory: the labels of another group.
    pub other: &'a mut GroupKey,
}

impl Check<'_> {
    /// Everything that is wrong with the push.
    pub fn problems(&mut self) -> Problems {
        let mut problems = self.staged.problems().clone();
        let (mut part, mut other) = (std::mem::take(self.part), std::mem::take(self.other));
        for resolved in self.resolved {
            if self.check_kind(*resolved, &mut problems) && self.check_names(*resolved, &mut part, &mut problems) {
                self.check_other_groups(*resolved, &mut other, &mut problems);
            }
        }
        (*self.part, *self.other) = (part, other);
        self.check_repeats(&mut problems);
        problems
    }

    /// Numbers 1, 9 and 10; whether the family passed.
    fn check_kind(&self, Resolved { id, ix }: Resolved, problems: &mut Problems) -> bool {
        let family = self.catalog.family(id);
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        if let Some(own) = family.own {
            let help = self.staged.help(ix).unwrap_or_default();
            let own_help = family.help.as_ref().map_or(&[][..], Help::text);
            if kind != family.kind {
                problems.add_with(|| Problem::own_kind(name, kind, family.kind));
                return false;
            }
            if own.demands_help && help != own_help {
                problems.add_with(|| Problem::own_help(name, help, own_help));
                return false;
            }
        } else if kind != family.kind && self.has_other_holders(id) {
            if self.staged.pushed(ix).is_empty() {
                problems.add_with(|| Problem::own_kind(name, kind, family.kind));
            }
            for (line, _) in metric_lines(self.staged.pieces(ix), name, kind) {
                problems.add_with(|| Problem::wrong_kind(name, kind, line, family.kind));
            }
            return false;
        }
        true
    }

    /// Numbers 7 and 8; whether the family passed. `part` is working memory.
    fn check_names(&self, Resolved { ix, .. }: Resolved, part: &mut String, problems: &mut Problems) -> bool {
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        for suffix in SUFFIXES {
            let Some(whole) = name.strip_suffix(suffix).filter(|whole| !whole.is_empty()) else { continue };
            if let Some(whole_kind) = self.kind_after(whole)
                && claims(whole_kind).contains(&suffix)
            {
                problems.add_with(|| Problem::part_collides(name, whole_kind, whole));
                return false;
            }
        }
        for suffix in claims(kind) {
            part.clear();
            part.push_str(name);
            part.push_str(suffix);
            // A part in the same push reports the collision itself.
            if self.kind_after(part).is_some() && !self.is_pushed(part) {
                problems.add_with(|| Problem::whole_collides(name, part));
                return false;
            }
        }
        true
    }

    /// Number 6 between groups.
    fn check_other_groups(&self, Resolved { id, ix }: Resolved, other: &mut GroupKey, problems: &mut Problems) {
        let own_shape = self.catalog.group(self.group).shape;
        let shapes = &self.catalog.family(id).shapes;
        let others = shapes.iter().map(|(shape, _)| *shape).filter(|shape| *shape != own_shape);
        let others: SmallVec<[_; 8]> = others.map(|shape| (shape, self.catalog.shape_mask(shape))).collect();
        if others.is_empty() {
            return;
        }
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        let mut suspects: Vec<(GroupId, &[u8], &[u8])> = Vec::new();
        for (line, labels) in metric_lines(self.staged.pieces(ix), name, kind) {
            // Somebody may have made groups of a thousand shapes: most are ruled out without looking at their names.
            let mask = self.names_mask(labels);
            for (shape, _) in others.iter().filter(|(_, names)| names & !mask == 0) {
                let group = self.project(labels, *shape, other).filter(|group| *group != self.group);
                let has_lines = |group| self.catalog.home(Entry { family: id, group }).is_some();
                if let Some(group) = group.filter(|group| has_lines(*group)) {
                    suspects.push((group, labels, line));
                }
            }
        }
        order::sort_by_key(&mut suspects, |suspect| *suspect);
        for suspects in suspects.chunk_by(|left, right| left.0 == right.0) {
            let stored = self.pages.text(self.catalog, Entry { family: id, group: suspects[0].0 });
            for (_, labels) in metric_lines(stored, name, kind) {
                if let Ok(found) = suspects.binary_search_by_key(&labels, |suspect| suspect.1) {
                    problems.add_with(|| Problem::duplicate(name, kind, suspects[found].2));
                }
            }
        }
    }

    /// The bits of the names in a label set.
    fn names_mask(&self, labels: &[u8]) -> u128 {
        let labels = str::from_utf8(labels).expect("finished lines are UTF-8");
        label_pairs(labels).fold(0, |mask, (name, _)| mask | self.catalog.name_bit(&unescape(name)))
    }

    /// The only group of a shape that could hold a series with these labels.
    fn project(&self, labels: &[u8], shape: ShapeId, key: &mut GroupKey) -> Option<GroupId> {
        key.clear();
        let labels = str::from_utf8(labels).expect("finished lines are UTF-8");
        let mut pairs = label_pairs(labels).map(|(name, value)| (unescape(name), value));
        for wanted in self.catalog.shape_names(shape) {
            let (name, value) = pairs.find(|(name, _)| **name >= **wanted)?;
            if *name != **wanted {
                return None;
            }
            key.extend([(&*name, &*unescape(value))]);
        }
        self.catalog.find_group(key)
    }

    /// Number 6 inside the push.
    fn check_repeats(&mut self, problems: &mut Problems) {
        let repeated = self.staged.repeated_hashes().to_vec();
        if repeated.is_empty() {
            return;
        }
        for Resolved { ix, .. } in self.resolved {
            let (kind, name) = (self.staged.pushed(*ix).kind(), self.staged.name(*ix));
            let mut suspects: Vec<_> = metric_lines(self.staged.pieces(*ix), name, kind)
                .filter(|(_, labels)| repeated.binary_search(&self.staged.series_hash(*ix, labels)).is_ok())
                .collect();
            // Stable, so that of two equal series the one pushed later is named.
            order::sort_by_key(&mut suspects, |(_, labels)| *labels);
            for pair in suspects.windows(2).filter(|pair| pair[0].1 == pair[1].1) {
                problems.add_with(|| Problem::duplicate(name, kind, pair[1].0));
            }
        }
    }

    /// The kind that the family of this name will have when the push is in, if it will be there.
    fn kind_after(&self, name: &str) -> Option<Kind> {
        let id = self.catalog.find_family(name)?;
        if let Ok(at) = self.resolved.binary_search_by_key(&id, |resolved| resolved.id) {
            return Some(self.staged.pushed(self.resolved[at].ix).kind());
        }
        let family = self.catalog.family(id);
        let is_kept = self.mode == Mode::Merge && self.is_held(id);
        (family.own.is_some() || self.has_other_holders(id) || is_kept).then_some(family.kind)
    }

    fn is_pushed(&self, name: &str) -> bool {
        let id = self.catalog.find_family(name);
        id.is_some_and(|id| self.resolved.binary_search_by_key(&id, |resolved| resolved.id).is_ok())
    }

    fn has_other_holders(&self, id: FamilyId) -> bool {
        self.catalog.family(id).holders > u32::from(self.is_held(id))
    }

    fn is_held(&self, id: FamilyId) -> bool {
        self.catalog.held(Entry { family: id, group: self.group }).is_some()
    }
}

/// The names, behind that of a family of this kind, that no other family may have.
pub fn claims(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Histogram => &SUFFIXES,
        Kind::Summary => &SUFFIXES[..2],
        _ => &[],
    }
}
