//! The groups that could hold a series of a push: those whose labels are all among its own.
//!
//! Follows the beginnings of groups' keys (`prefixes`) from label to label. Of a series only that is looked at which the
//! series before it did not have: all other groups have been found for that one. Can be left at any look-up.

use std::ops::Range;

use super::Meter;
use crate::limits::STAGING_KEPT_BYTES_MAX;
use crate::model::escape::unescape;
use crate::model::line::label_pairs;
use crate::store::catalog::Catalog;
use crate::store::entry::GroupId;
use crate::store::key::GroupKey;
use crate::store::prefixes::{ROOT, rank};

/// Labels passed over that take as long as a look-up.
const LABELS_PER_LOOKUP: usize = 16;

/// Look-ups that putting a whole key together takes as long as.
const KEY_COST: usize = 4;

/// The groups that could hold the series of one family of a push, found series by series.
#[derive(Debug, Default)]
pub struct Walk {
    /// Those labels of the series at hand whose names groups have.
    labels: Labels,
    /// The same of the series before.
    before: Labels,
    /// Places in the list of those labels, in the order of paths.
    order: Vec<usize>,
    /// Where in that order the last label is that the series before did not have.
    last_new: usize,
    /// The path at hand, with all that it came from. Nothing if the walk has come to its end.
    branches: Vec<Branch>,
    /// Working memory: the key of a group.
    key: GroupKey,
    /// Whether any group was found for the family.
    has_found: bool,
}

#[derive(Debug, Default)]
struct Labels {
    /// Names and values, not escaped.
    text: String,
    list: Vec<Label>,
}

#[derive(Clone, Debug)]
struct Label {
    name: Range<usize>,
    value: Range<usize>,
    name_bit: u64,
    hash: u64,
    /// Whether the series before did not have it.
    is_new: bool,
    /// Whether it is in the path at hand.
    is_taken: bool,
}

/// A path that is the beginning of some key.
#[derive(Clone, Copy, Debug)]
struct Branch {
    path: u64,
    /// The place in the order of the label that is tried next.
    next: usize,
    /// Whether it has a label that the series before did not have.
    has_new: bool,
}

impl Labels {
    fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
    }

    fn name(&self, at: usize) -> &str {
        &self.text[self.list[at].name.clone()]
    }

    fn value(&self, at: usize) -> &str {
        &self.text[self.list[at].value.clone()]
    }

    fn add(&mut self, name: &str, value: &str, name_bit: u64, is_new: bool) {
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        self.text.push_str(value);
        let (name, value) = (start..middle, middle..self.text.len());
        self.list.push(Label { name, value, name_bit, hash: 0, is_new, is_taken: false });
    }
}

impl Walk {
    /// Begins a family.
    pub fn begin_family(&mut self) {
        // What holds another family need not hold this one. Where there is no group at all, there is none for this one.
        if std::mem::take(&mut self.has_found) {
            self.labels.clear();
        }
        self.branches.clear();
    }

    /// Forgets all series; keeps the memory unless it was an unusual amount.
    pub fn clear(&mut self) {
        for labels in [&mut self.labels, &mut self.before] {
            labels.clear();
            labels.text.shrink_to(STAGING_KEPT_BYTES_MAX);
        }
        self.branches.clear();
        self.has_found = false;
    }

    /// Goes on to a series of the family; the walk for the one before must be at its end.
    pub fn begin_series(&mut self, catalog: &Catalog, labels: &[u8]) {
        debug_assert!(self.is_done(), "every series is looked for to the end");
        std::mem::swap(&mut self.labels, &mut self.before);
        self.labels.clear();
        let labels = str::from_utf8(labels).expect("finished lines are UTF-8");
        let mut known = 0;
        let mut has_new = false;
        for (name, value) in label_pairs(labels) {
            let name = unescape(name);
            let name_bit = catalog.prefixes().name_bit(&name);
            if !catalog.prefixes().has_name(name_bit) {
                continue;
            }
            let value = unescape(value);
            while known < self.before.list.len() && self.before.name(known) < &*name {
                known += 1;
            }
            let is_known =
                known < self.before.list.len() && self.before.name(known) == name && self.before.value(known) == value;
            has_new |= !is_known;
            self.labels.add(&name, &value, name_bit, !is_known);
        }
        if has_new {
            self.begin_walk(catalog);
        }
    }

    fn begin_walk(&mut self, catalog: &Catalog) {
        let Labels { text, list } = &mut self.labels;
        for label in list.iter_mut() {
            label.hash = catalog.prefixes().label_hash(&text[label.name.clone()], &text[label.value.clone()]);
        }
        self.order.clear();
        for wanted in 0..=2 {
            self.order.extend((0..list.len()).filter(|at| rank(&text[list[*at].name.clone()]) == wanted));
        }
        self.last_new = self.order.iter().rposition(|at| list[*at].is_new).unwrap_or_default();
        self.branches.push(Branch { path: ROOT, next: 0, has_new: false });
    }

    /// Whether all groups have been found that could hold the series.
    pub fn is_done(&self) -> bool {
        self.branches.is_empty()
    }

    /// A further group that could hold the series, other than `own`. `None` if there is no more, or if it is too much for
    /// now.
    pub fn next(&mut self, catalog: &Catalog, own: GroupId, meter: &mut Meter) -> Option<GroupId> {
        let prefixes = catalog.prefixes();
        while !meter.is_used_up() {
            let branch = self.branches.last_mut()?;
            // It may have gone since.
            let prefix = prefixes.find(branch.path).filter(|_| branch.has_new || branch.next <= self.last_new);
            let rest = &self.order[branch.next..];
            let follows =
                |at: &usize| prefix.is_some_and(|prefix| prefix.names() & self.labels.list[*at].name_bit != 0);
            let Some(passed) = rest.iter().position(follows) else {
                meter.spend(1 + rest.len() / LABELS_PER_LOOKUP);
                self.leave_branch();
                continue;
            };
            meter.spend(1 + passed / LABELS_PER_LOOKUP);
            let at = rest[passed];
            branch.next += passed + 1;
            let label = &mut self.labels.list[at];
            let path = prefixes.longer(branch.path, label.hash);
            let longer = Branch { path, next: branch.next, has_new: branch.has_new || label.is_new };
            label.is_taken = true;
            let may_be_key = longer.has_new && prefix.is_some_and(|prefix| prefix.may_end_at(path));
            let found = may_be_key.then(|| self.find_group(catalog, meter)).flatten();
            if prefixes.find(path).is_some() {
                self.branches.push(longer);
            } else {
                self.labels.list[at].is_taken = false;
            }
            if let Some(group) = found.filter(|group| *group != own) {
                self.has_found = true;
                return Some(group);
            }
        }
        None
    }

    /// Goes back to the path that is one label shorter.
    fn leave_branch(&mut self) {
        self.branches.pop();
        if let Some(shorter) = self.branches.last() {
            self.labels.list[self.order[shorter.next - 1]].is_taken = false;
        }
    }

    /// The group that has the labels of the path.
    fn find_group(&mut self, catalog: &Catalog, meter: &mut Meter) -> Option<GroupId> {
        meter.spend(KEY_COST);
        self.key.clear();
        let labels = &self.labels;
        let taken = (0..labels.list.len()).filter(|at| labels.list[*at].is_taken);
        self.key.extend(taken.map(|at| (labels.name(at), labels.value(at))));
        catalog.find_group(&self.key)
    }

    /// Memory that it takes, bytes.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        [&self.labels, &self.before]
            .map(|labels| labels.text.capacity() + labels.list.capacity() * size_of::<Label>())
            .iter()
            .sum::<usize>()
            + self.branches.capacity() * size_of::<Branch>()
    }
}
