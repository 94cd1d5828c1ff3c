//! The full check of everything that is stored (SPEC 6.2), for a store that takes pushes unchecked (SPEC 5.5).
//!
//! Costs as much as the store is large. Says the same as `check` would have said push by push, in the same words; it
//! shares no work with it, so that tests can hold one against the other.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use memchr::memmem;

use super::catalog::{Catalog, Family};
use super::check::claims;
use super::entry::{Entry, FamilyId, GroupId};
use super::line::metric_lines;
use super::outline::Help;
use super::pages::Pages;
use super::problem::{LabelsStart, Problem, Problems};
use crate::model::line::label_pairs;
use crate::model::order;
use crate::model::sample::{Kind, Label};

/// Everything that is wrong with what is stored.
pub fn audit(catalog: &Catalog, pages: &Pages) -> Problems {
    let (problems, series, hasher) = (Problems::default(), Vec::new(), RandomState::default());
    let mut audit = Audit { catalog, pages, problems, series, hasher };
    for (id, family) in catalog.families() {
        audit.check_names(family);
        if audit.check_own(id, family) {
            audit.check_kinds(id, family);
            if family.header.is_some() {
                audit.check_metrics(id, family);
            }
        }
    }
    audit.problems
}

struct Audit<'a> {
    catalog: &'a Catalog,
    pages: &'a Pages,
    problems: Problems,
    /// A hash of the label set of every metric of the family at hand.
    series: Vec<u64>,
    hasher: RandomState,
}

/// A metric: its group, its line (one of them) and its label set.
type Metric<'a> = (GroupId, &'a [u8], &'a [u8]);

impl<'a> Audit<'a> {
    fn check_metrics(&mut self, id: FamilyId, family: &'a Family) {
        self.series.clear();
        for (group, line, labels) in self.metrics(id, family) {
            self.check_labels(group, family, line, labels);
            self.series.push(self.hasher.hash_one(labels));
        }
        self.check_repeats(id, family);
    }

    /// The groups that hold a family, the gateway itself left out.
    fn groups(&self, id: FamilyId) -> impl Iterator<Item = GroupId> + use<'a> {
        self.pages.groups_of(self.catalog, id).filter(|group| *group != GroupId::OWN)
    }

    /// The groups that hold a family, also without metrics of it; the gateway itself left out.
    fn holders(&self, id: FamilyId, family: &Family) -> Vec<GroupId> {
        if family.holders == family.shown {
            return self.groups(id).collect();
        }
        let all = self.catalog.groups_from(GroupId(1));
        let holds = |group: &GroupId| self.catalog.held(Entry { family: id, group: *group }).is_some();
        all.map(|(group, _)| group).filter(holds).collect()
    }

    /// The metrics that have the kind of their family.
    fn metrics(&self, id: FamilyId, family: &'a Family) -> impl Iterator<Item = Metric<'a>> + use<'a> {
        let (catalog, pages, kind) = (self.catalog, self.pages, family.kind);
        let is_mixed = family.kinds.len() > 1;
        let groups = self
            .groups(id)
            .filter(move |group| !is_mixed || kind_in(catalog, Entry { family: id, group: *group }) == kind);
        groups.flat_map(move |group| {
            let text = pages.text(catalog, Entry { family: id, group });
            metric_lines(text, &family.name, kind).map(move |(line, labels)| (group, line, labels))
        })
    }

    /// Numbers 9 and 10, once for a family as in the original; whether it passed.
    fn check_own(&mut self, id: FamilyId, family: &Family) -> bool {
        let Some(own) = family.own else { return true };
        if let Some((kind, _)) = family.kinds.iter().find(|(kind, _)| *kind != family.kind) {
            self.problems.add_with(|| Problem::own_kind(&family.name, *kind, family.kind));
            return false;
        }
        if !own.demands_help {
            return true;
        }
        let own_help = family.help.as_ref().map_or(&[][..], Help::text);
        let other = self.holders(id, family).into_iter().find_map(|group| {
            let help = self.catalog.held(Entry { family: id, group })?.help.as_ref().map_or(&[][..], Help::text);
            (help != own_help).then_some(help)
        });
        if let Some(help) = other {
            self.problems.add_with(|| Problem::own_help(&family.name, help, own_help));
        }
        other.is_none()
    }

    /// Numbers 7 and 8.
    fn check_names(&mut self, family: &Family) {
        for suffix in claims(family.kind) {
            let part = format!("{}{suffix}", family.name);
            let found = self.catalog.find_family(&part).map(|id| self.catalog.family(id));
            if found.is_some_and(|found| found.holders > 0 || found.own.is_some()) {
                self.problems.add_with(|| Problem::part_collides(&part, family.kind, &family.name));
            }
        }
    }

    /// Number 1; and for groups that hold the family without metrics, what the original says of such families.
    fn check_kinds(&mut self, id: FamilyId, family: &Family) {
        if family.kinds.len() < 2 {
            return;
        }
        for group in self.holders(id, family) {
            let entry = Entry { family: id, group };
            let kind = kind_in(self.catalog, entry);
            if kind == family.kind {
                continue;
            }
            if self.catalog.home(entry).is_none() {
                self.problems.add_with(|| Problem::own_kind(&family.name, kind, family.kind));
                continue;
            }
            let text = self.pages.text(self.catalog, entry);
            for (line, _) in metric_lines(text, &family.name, kind) {
                self.problems.add_with(|| Problem::wrong_kind(&family.name, kind, line, family.kind));
            }
        }
    }

    /// Numbers 3 and 4.
    fn check_labels(&mut self, group: GroupId, family: &Family, line: &[u8], labels: &[u8]) {
        let word = match family.kind {
            Kind::Summary => Some("quantile"),
            kind if kind.is_histogram() => Some("le"),
            _ => None,
        };
        let key = &self.catalog.group(group).key;
        if let Some(word) = word.filter(|word| key.labels().any(|(name, _)| name == *word)) {
            self.problems
                .add_with(|| Problem::explicit_label(&family.name, family.kind, LabelsStart::of(labels, 0), word));
        }
        if memmem::find(labels, b"__").is_none() {
            return; // Nearly always; far cheaper than to take the labels apart.
        }
        let text = str::from_utf8(labels).expect("finished lines are UTF-8");
        if label_pairs(text).any(|(name, _)| name.starts_with("__")) {
            let labels: Vec<_> = label_pairs(text).map(|(name, value)| Label { name, value }).collect();
            self.problems.add_with(|| Problem::reserved_labels(&family.name, family.kind, line, &labels));
        }
    }

    /// Number 6: equal hashes are looked at.
    fn check_repeats(&mut self, id: FamilyId, family: &'a Family) {
        self.series.sort_unstable();
        let pairs = self.series.windows(2).filter(|pair| pair[0] == pair[1]);
        let mut repeated: Vec<u64> = pairs.map(|pair| pair[0]).collect();
        repeated.dedup();
        if repeated.is_empty() {
            return;
        }
        let is_suspect = |labels: &[u8]| repeated.binary_search(&self.hasher.hash_one(labels)).is_ok();
        let mut suspects: Vec<_> = self.metrics(id, family).filter(|(_, _, labels)| is_suspect(labels)).collect();
        order::sort_by_key(&mut suspects, |(_, _, labels)| *labels);
        for pair in suspects.windows(2).filter(|pair| pair[0].2 == pair[1].2) {
            self.problems.add_with(|| Problem::duplicate(&family.name, family.kind, pair[1].1));
        }
    }
}

fn kind_in(catalog: &Catalog, entry: Entry) -> Kind {
    catalog.held(entry).expect("groups of a family hold it").content.kind
}
