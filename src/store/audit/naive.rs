//! The full check of everything that is stored (SPEC 6.2) in one go, from nothing. The oracle of audits, which work in
//! steps; never part of the product.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::RandomState;
use memchr::memmem;

use super::super::Store;
use super::super::catalog::{Catalog, Family};
use super::super::check::claims;
use super::super::entry::{Entry, FamilyId, GroupId};
use super::super::line::metric_lines;
use super::super::outline::Help;
use super::super::pages::Pages;
use super::super::problem::{LabelsStart, Problem, Problems};
use super::AuditTicket;
use crate::limits::{AUDIT_ROUNDS_MAX, ERRORS_LISTED_MAX};
use crate::model::line::label_pairs;
use crate::model::order;
use crate::model::sample::{Kind, Label};

/// Everything that is wrong with what is stored: the families that something is wrong with.
pub fn audit(catalog: &Catalog, pages: &Pages) -> Vec<(FamilyId, Problems)> {
    let mut found = Vec::new();
    for (id, family) in catalog.families() {
        let (problems, series, hasher) = (Problems::default(), Vec::new(), RandomState::default());
        let mut audit = Audit { catalog, pages, problems, series, hasher };
        audit.check_names(family);
        if audit.check_own(id, family) {
            audit.check_kinds(id, family);
            if family.header.is_some() {
                audit.check_metrics(id, family);
            }
        }
        if !audit.problems.is_empty() {
            found.push((id, audit.problems));
        }
    }
    found
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

/// What is wrong at one moment: with how many metrics of which family.
type Moment = BTreeMap<Rc<str>, usize>;

/// Audits of a store that goes on changing, and what was wrong with it at every moment since they began.
#[derive(Debug, Default)]
pub struct Watches {
    all: Vec<Watch>,
    turn: usize,
    /// Audits that ended while changes were still to be looked at, and all that ended.
    pub overtaken: usize,
    /// See there.
    pub ended: usize,
}

#[derive(Debug)]
struct Watch {
    ticket: AuditTicket,
    moments: Vec<Moment>,
    /// Families that were not looked at as they were at one moment.
    mixed: BTreeSet<Rc<str>>,
}

impl Watches {
    /// Something may have changed: goes on with all audits by steps of any size, begins others, and checks what comes out
    /// of them; whether everything is consistent now.
    pub fn step(&mut self, store: &mut Store) -> bool {
        self.turn += 1;
        let found = audit(&store.catalog, &store.pages);
        let name = |id: FamilyId| Rc::clone(&store.catalog.family(id).name);
        let now: Moment = found.iter().map(|(id, problems)| (name(*id), problems.count())).collect();
        if self.turn % 3 == 1 {
            self.all.push(Watch { ticket: store.audit_ticket(), moments: Vec::new(), mixed: BTreeSet::new() });
        }
        let is_mixed = |family: &&Family| family.kinds.len() > 1 || family.own.is_some_and(|own| own.demands_help);
        let mixed = store.catalog.families().map(|(_, family)| family).filter(is_mixed);
        let mixed: Vec<_> = mixed.map(|family| Rc::clone(&family.name)).collect();
        for watch in &mut self.all {
            watch.moments.push(now.clone());
            watch.mixed.extend(mixed.iter().cloned());
        }
        let mut all = std::mem::take(&mut self.all);
        all.retain_mut(|watch| {
            let budget = [1, 200, 2500, 10_000][(self.turn + watch.moments.len()) % 4];
            let Some(problems) = store.audit_bytes(&mut watch.ticket, budget) else { return true };
            watch.check(&problems);
            self.ended += 1;
            if store.audits.is_complete() {
                check_all(&problems, &found);
            } else {
                assert!(!problems.is_empty() || watch.ticket.rounds == AUDIT_ROUNDS_MAX);
                self.overtaken += 1;
            }
            false
        });
        self.all = all;
        now.is_empty()
    }
}

impl Watch {
    /// Each family has to be told of as it was at some moment.
    fn check(&self, problems: &Problems) {
        let names: BTreeSet<_> = self.moments.iter().flat_map(Moment::keys).collect();
        let (mut least, mut most) = (0, 0_usize);
        for name in names {
            let counts = self.moments.iter().map(|moment| moment.get(name).copied().unwrap_or_default());
            let (lowest, highest) =
                counts.fold((usize::MAX, 0), |(low, high), count| (low.min(count), high.max(count)));
            let is_mixed = self.mixed.contains(name);
            least += if is_mixed { lowest.min(1) } else { lowest };
            most = most.saturating_add(if is_mixed { usize::MAX } else { highest });
        }
        assert!((least..=most).contains(&problems.count()), "{problems}\n{:?}", self.moments);
    }
}

/// What was found is what is wrong now.
fn check_all(problems: &Problems, found: &[(FamilyId, Problems)]) {
    let mut expected = Problems::default();
    found.iter().for_each(|(_, problems)| expected.append(problems));
    assert_eq!(problems.count(), expected.count(), "{problems} {expected}");
    let sorted = |problems: &Problems| {
        let text = problems.to_string();
        // Which of several help texts is told is not said.
        let mut lines: Vec<_> = text.lines().filter(|line| !line.contains(" has help ")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(!problems.to_string().ends_with(":\n"), "some are listed");
    if problems.count() <= ERRORS_LISTED_MAX {
        assert_eq!(sorted(problems), sorted(&expected));
    }
}
