//! The audit of one family, in steps: from its text as it was when the audit began, whatever is pushed meanwhile.
//!
//! ```text
//! begin -> [holders, group by group] -> lines -> sort -> [repeats] -> done
//! ```
//! The names, kinds and lines of a family are looked at as they are at one moment: its pages are held as a reader holds
//! them. Only where groups have it with several kinds, or the gateway itself demands a help text, its holders are looked
//! for group by group, each as it is when its turn comes.

use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::RandomState;
use memchr::{memchr, memmem};

use super::super::catalog::{Catalog, Family};
use super::super::check::claims;
use super::super::entry::{Entry, FamilyId, GroupId};
use super::super::hashes::Hashes;
use super::super::line::Opening;
use super::super::outline::Help;
use super::super::pages::{Pages, Piece};
use super::super::problem::{LabelsStart, Problem, Problems};
use crate::limits::{AUDITED_BYTES_PER_GROUP, AUDITED_BYTES_PER_LINE};
use crate::model::line::label_pairs;
use crate::model::sample::{Kind, Label};

/// One family that is being looked at.
#[derive(Debug)]
pub struct FamilyAudit {
    /// The family.
    pub id: FamilyId,
    /// The mark that it is looked at for.
    pub mark: u64,
    /// Whether values have changed since: what is wrong, if anything is, is told with others.
    pub has_other_values: bool,
    name: Rc<str>,
    kind: Kind,
    problems: Problems,
    /// Lines, each with the kind that their group has the family with.
    pieces: Vec<(Piece, Kind)>,
    /// A hash of the label set of every metric.
    hashes: Hashes,
    hasher: RandomState,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Groups from this one on are asked what they hold of the family.
    Holders(GroupId),
    /// Lines are looked at, from this place on.
    Lines(Place),
    /// Hashes are sorted.
    Sort,
    /// Lines whose hashes came more than once are compared, from this place on.
    Repeats {
        at: Place,
        /// Those hashes, sorted.
        repeated: Vec<u64>,
        /// Where the first label set of each repeated hash stands, in the order of the hashes: its place as one number,
        /// one more than that; 0 before there is one.
        firsts: Vec<u64>,
    },
    Done,
}

/// A place in the text: a piece, and in it a byte.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    piece: u32,
    offset: u32,
}

impl Place {
    fn number(self) -> u64 {
        (u64::from(self.piece) << 32 | u64::from(self.offset)) + 1
    }

    fn of_number(number: u64) -> Option<Self> {
        let number = number.checked_sub(1)?;
        Some(Self { piece: (number >> 32) as u32, offset: number as u32 })
    }
}

impl FamilyAudit {
    /// Begins with a family: looks at what costs little, and takes its lines. `hashes` is working memory, empty.
    pub fn begin(catalog: &Catalog, pages: &Pages, id: FamilyId, mark: u64, hashes: Hashes) -> Self {
        let family = catalog.family(id);
        let (name, kind) = (Rc::clone(&family.name), family.kind);
        let (problems, pieces, hasher) = (Problems::default(), Vec::new(), RandomState::default());
        let mut audit = Self {
            id,
            mark,
            has_other_values: false,
            name,
            kind,
            problems,
            pieces,
            hashes,
            hasher,
            phase: Phase::Done,
        };
        audit.check_names(catalog);
        if !audit.check_own_kind(family) {
            return audit;
        }
        let demands_help = family.own.is_some_and(|own| own.demands_help) && !family.kinds.is_empty();
        if demands_help || family.kinds.len() > 1 {
            audit.phase = Phase::Holders(GroupId(1));
        } else {
            audit.take_lines(family, catalog, pages);
        }
        audit
    }

    /// How much the beginning cost, in bytes that could have been looked at instead.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Goes on until it is done or the budget of bytes is used up; whether it is done.
    pub fn advance(&mut self, catalog: &Catalog, pages: &Pages, budget: &mut usize) -> bool {
        while *budget > 0 {
            match self.phase {
                Phase::Holders(from) => self.ask_holders(from, catalog, pages, budget),
                Phase::Lines(at) => self.read_lines(at, budget),
                Phase::Sort if self.hashes.is_unsorted() => {
                    self.hashes.sort_some();
                    *budget = 0; // That is as much as a step may take.
                }
                Phase::Sort => self.find_repeats(budget),
                Phase::Repeats { at, .. } => self.compare_repeats(at, budget),
                Phase::Done => return true,
            }
        }
        matches!(self.phase, Phase::Done)
    }

    /// What is wrong with the family, and the working memory.
    pub fn finish(mut self) -> (Problems, Hashes) {
        self.hashes.clear();
        (self.problems, self.hashes)
    }

    fn take_lines(&mut self, family: &Family, catalog: &Catalog, pages: &Pages) {
        self.phase = Phase::Lines(Place::default());
        if family.header.is_some() {
            let kind = self.kind;
            self.pieces.extend(pages.pushed_lines(catalog, self.id).map(|piece| (piece, kind)));
        }
    }

    // ---- what families say of each other ----

    /// Numbers 7 and 8.
    fn check_names(&mut self, catalog: &Catalog) {
        for suffix in claims(self.kind) {
            let part = format!("{}{suffix}", self.name);
            let found = catalog.find_family(&part).map(|id| catalog.family(id));
            if found.is_some_and(|found| found.holders > 0 || found.own.is_some()) {
                self.problems.add_with(|| Problem::part_collides(&part, self.kind, &self.name));
            }
        }
    }

    /// Number 9, once for a family as in the original; whether it passed.
    fn check_own_kind(&mut self, family: &Family) -> bool {
        let other = family.kinds.iter().map(|(kind, _)| *kind).find(|kind| *kind != self.kind);
        let Some(other) = other.filter(|_| family.own.is_some()) else { return true };
        self.problems.add_with(|| Problem::own_kind(&self.name, other, self.kind));
        false
    }

    // ---- holders, group by group ----

    /// Numbers 1 and 10; and for groups that hold the family without metrics, what the original says of such families.
    fn ask_holders(&mut self, from: GroupId, catalog: &Catalog, pages: &Pages, budget: &mut usize) {
        let family = catalog.family(self.id);
        let own_help = family.own.filter(|own| own.demands_help).map(|_| help_text(family.help.as_ref()));
        for (group, _) in catalog.groups_from(from) {
            if *budget == 0 {
                self.phase = Phase::Holders(group);
                return;
            }
            *budget = budget.saturating_sub(AUDITED_BYTES_PER_GROUP);
            let entry = Entry { family: self.id, group };
            let Some((held, home)) = catalog.holding(entry) else { continue };
            let help = help_text(held.help.as_ref());
            if let Some(own_help) = own_help.filter(|own_help| *own_help != help) {
                self.problems.add_with(|| Problem::own_help(&self.name, help, own_help));
                self.phase = Phase::Done;
                return;
            }
            let kind = held.content.kind;
            if home.is_some() {
                self.pieces.extend(pages.pieces(catalog, entry).map(|piece| (piece, kind)));
            } else if kind != self.kind {
                self.problems.add_with(|| Problem::own_kind(&self.name, kind, self.kind));
            }
        }
        self.phase = Phase::Lines(Place::default());
        let (has_found, name, kind) = (self.has_found_kinds(), &self.name, self.kind);
        // Each group may have been asked when it had the right one, although there was always one that had not.
        let other = family.kinds.iter().map(|(kind, _)| *kind).find(|other| *other != kind && family.kinds.len() > 1);
        if let Some(other) = other.filter(|_| !has_found) {
            self.problems.add_with(|| Problem::own_kind(name, other, kind));
        }
    }

    fn has_found_kinds(&self) -> bool {
        !self.problems.is_empty() || self.pieces.iter().any(|(_, kind)| *kind != self.kind)
    }

    // ---- lines ----

    /// Numbers 1, 3 and 4, and the hashes for number 6.
    fn read_lines(&mut self, from: Place, budget: &mut usize) {
        let (name, kind) = (Rc::clone(&self.name), self.kind);
        let pieces = std::mem::take(&mut self.pieces);
        let end = each_metric(&pieces, from, &name, budget, |_, line, labels, found| {
            if found != kind {
                self.problems.add_with(|| Problem::wrong_kind(&name, found, line, kind));
                return;
            }
            self.check_labels(line, labels);
            let hash = self.hasher.hash_one(labels);
            self.hashes.add(hash);
        });
        self.pieces = pieces;
        self.phase = end.map_or(Phase::Sort, Phase::Lines);
    }

    fn check_labels(&mut self, line: &[u8], labels: &[u8]) {
        let (name, kind) = (&self.name, self.kind);
        let word = match kind {
            Kind::Summary => Some("quantile"),
            kind if kind.is_histogram() => Some("le"),
            _ => None,
        };
        // Those of the metric itself are never among its labels, so it is the group that has one.
        if let Some(word) = word.filter(|word| memmem::find(labels, word.as_bytes()).is_some())
            && label_pairs(text(labels)).any(|(label, _)| label == word)
        {
            self.problems.add_with(|| Problem::explicit_label(name, kind, LabelsStart::of(labels, 0), word));
        }
        if memmem::find(labels, b"__").is_none() {
            return; // Nearly always; far cheaper than to take the labels apart.
        }
        if label_pairs(text(labels)).any(|(name, _)| name.starts_with("__")) {
            let labels: Vec<_> = label_pairs(text(labels)).map(|(name, value)| Label { name, value }).collect();
            self.problems.add_with(|| Problem::reserved_labels(name, kind, line, &labels));
        }
    }

    /// All hashes are sorted: those that came more than once are looked at.
    fn find_repeats(&mut self, budget: &mut usize) {
        *budget = budget.saturating_sub(self.hashes.held_bytes());
        let repeated = self.hashes.take_repeated();
        self.phase = match repeated.len() {
            0 => Phase::Done,
            count => Phase::Repeats { at: Place::default(), firsts: vec![0; count], repeated },
        };
    }

    /// Number 6. Of label sets with equal hashes the first is compared with the others: those that have one by chance are
    /// no repeats.
    fn compare_repeats(&mut self, from: Place, budget: &mut usize) {
        let Phase::Repeats { firsts, repeated, .. } = &mut self.phase else { return };
        let (name, kind, hasher) = (Rc::clone(&self.name), self.kind, &self.hasher);
        let problems = &mut self.problems;
        let pieces = &self.pieces;
        let end = each_metric(pieces, from, &name, budget, |place, line, labels, found| {
            if found != kind {
                return;
            }
            let Ok(at) = repeated.binary_search(&hasher.hash_one(labels)) else { return };
            match Place::of_number(firsts[at]) {
                None => firsts[at] = place.number(),
                Some(first) if labels_at(pieces, first, &name) == Some(labels) => {
                    problems.add_with(|| Problem::duplicate(&name, kind, line));
                }
                Some(_) => {}
            }
        });
        match (end, &mut self.phase) {
            (Some(end), Phase::Repeats { at, .. }) => *at = end,
            _ => self.phase = Phase::Done,
        }
    }
}

/// Gives each metric from a place on: its place, its line, its label set, and the kind that its group has the family
/// with. Ends where the budget of bytes is used up, with the place to go on from; `None` if that was all.
fn each_metric(
    pieces: &[(Piece, Kind)],
    from: Place,
    name: &str,
    budget: &mut usize,
    mut take: impl FnMut(Place, &[u8], &[u8], Kind),
) -> Option<Place> {
    let mut offset = from.offset as usize;
    let mut opening: Option<(Kind, Opening<'_>)> = None;
    for (piece, (text, kind)) in (from.piece..).zip(&pieces[from.piece as usize..]) {
        let text = text.text();
        let opening = match &opening {
            Some((found, opening)) if found == kind => opening,
            _ => &opening.insert((*kind, Opening::of_metrics(name, *kind))).1,
        };
        while offset < text.len() {
            let place = Place { piece, offset: offset as u32 };
            if *budget == 0 {
                return Some(place);
            }
            let rest = &text[offset..];
            let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
            if let Some(labels) = opening.labels(line) {
                take(place, line, labels, *kind);
            }
            offset += line.len() + 1;
            *budget = budget.saturating_sub(line.len() + AUDITED_BYTES_PER_LINE);
        }
        offset = 0;
    }
    None
}

/// The label set of the metric whose line stands at a place.
fn labels_at<'a>(pieces: &'a [(Piece, Kind)], at: Place, name: &str) -> Option<&'a [u8]> {
    let (piece, kind) = pieces.get(at.piece as usize)?;
    let rest = piece.text().get(at.offset as usize..)?;
    let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
    Opening::of_metrics(name, *kind).labels(line)
}

fn help_text(help: Option<&Help>) -> &[u8] {
    help.map_or(&[][..], Help::text)
}

fn text(labels: &[u8]) -> &str {
    str::from_utf8(labels).expect("finished lines are UTF-8")
}
