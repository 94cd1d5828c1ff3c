//! The consistency check of a push (SPEC 6.2), at a cost that depends on the push alone.
//!
//! Kinds and name collisions are look-ups. Duplicates inside the push show as equal hashes. Duplicates between
//! groups are possible only between groups of different *shapes* (sets of grouping label names): a group's labels
//! are in each of its series, so groups of one shape differ in some value. A group of another shape can hold a series
//! only if its labels are all among those of the series: `walk` finds these groups. Those that have the family are
//! read, and the series of the push are looked up for theirs. What the group itself holds already nobody else can hold.
//!
//! A push may be long, and so may be what it has to be compared with, so the check goes on in steps. What is read is at most
//! what is stored of the push's families, each group once. Look-ups of groups are bounded, but for some for each series:
//! somebody may make groups of just the labels that a push has, in a thousand sets.
//!
//! ```text
//! for each family: Family -> Series -> Others -> next family     all families: -> Repeats -> Done
//!                         `> WrongKind -> next family
//! ```
//!
//! Between steps groups may come and go, but nothing may change of the push's families, nor may its group go.

mod places;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeSet;

use memchr::memmem;

use super::Mode;
use super::catalog::{Catalog, UNCLAIMED};
use super::entry::{Entry, FamilyId, GroupId};
use super::line::Opening;
use super::outline::Help;
use super::pages::Pages;
use super::problem::{Problem, Problems};
use super::staged::Staged;
use crate::limits::{
    ERRORS_LISTED_MAX, LOOKUPS_PER_SERIES, Limit, Limits, PIECE_SEARCHED_BYTES_MIN, Reached, SERIES_SEARCHED_MAX,
};
use crate::model::sample::{FamilyIx, Kind};
use crate::model::time::Timestamp;

use places::{Place, Places};
use walk::Walk;

/// What names of parts a histogram claims; a summary claims all but the last.
pub const SUFFIXES: [&str; 3] = ["_count", "_sum", "_bucket"];

/// Look-ups that looking at a family takes as long as.
const FAMILY_COST: usize = 4;

/// Text of a push that is taken apart in the time of a look-up, bytes.
const PUSHED_BYTES_PER_LOOKUP: usize = 64;

/// Stored text that is taken apart in lines in the time of a look-up, bytes; and such that is searched for one series.
const STORED_BYTES_PER_LOOKUP: usize = 256;
const SEARCHED_BYTES_PER_LOOKUP: usize = 1024;

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
    /// Its families; sorted by id, unless they are claimed.
    pub resolved: &'a [Resolved],
    /// Whether the claims of the families say where they are in the push.
    pub is_claimed: bool,
    /// The group that it goes to.
    pub group: GroupId,
    /// What becomes of the families of the group that the push does not name.
    pub mode: Mode,
    /// What groups hold that was written after this time has been checked; what is older was put back unchecked.
    pub restored: Timestamp,
    /// How much may be looked up.
    pub limits: &'a Limits,
}

/// How far the check of a push has come. Keeps its working memory for the next one.
#[derive(Debug, Default)]
pub struct Progress {
    stage: Stage,
    /// The family at hand, by its place among those of the push.
    family: usize,
    /// What comes next of the lines of that family.
    next: Place,
    /// What comes next of the lines that the group holds of it.
    held: Place,
    /// A series whose groups are being looked for.
    looked_for: Option<Place>,
    walk: Walk,
    /// The series of the family that others may hold; while repeats are looked for, those that have been passed.
    places: Places,
    /// The groups that may hold them and that are not read yet.
    others: BTreeSet<GroupId>,
    /// The piece that comes next of the first of these groups.
    piece: usize,
    /// The hashes that series of the push have in common, sorted.
    repeated: Vec<u64>,
    /// Series of the family at hand that repeat others: how many, and the first ones in the order of labels.
    repeats: usize,
    first_repeats: Vec<Place>,
    /// Look-ups of groups so far, and series that they were for.
    lookups: u64,
    looked_for_count: u64,
    problems: Problems,
    /// Working memory: the name of a part.
    part: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Kinds and names of a family.
    #[default]
    Family,
    /// Its metrics, all of them of a kind that it cannot have.
    WrongKind,
    /// Its series, and the groups that could hold them.
    Series,
    /// These groups.
    Others,
    /// Series that are in the push twice.
    Repeats,
    Done,
}

/// What may still be done in a step, in look-ups.
#[derive(Debug)]
pub struct Meter {
    left: usize,
    spent: usize,
}

impl Meter {
    fn spend(&mut self, cost: usize) {
        self.left = self.left.saturating_sub(cost);
        self.spent += cost;
    }

    fn is_used_up(&self) -> bool {
        self.left == 0
    }
}

impl Progress {
    /// Begins the check of a push.
    pub fn begin(&mut self, staged: &Staged) {
        (self.stage, self.family) = (Stage::Family, 0);
        (self.lookups, self.looked_for_count) = (0, 0);
        self.walk.clear();
        self.problems.clone_from(staged.problems());
    }

    /// Lets go of what a long push took.
    pub fn end(&mut self) {
        self.stage = Stage::Done;
        self.repeated = Vec::new();
        self.places.begin(0);
        self.others.clear();
        self.walk.clear();
    }

    /// Everything that is wrong with the push, when the check is done.
    pub fn take_problems(&mut self) -> Problems {
        std::mem::take(&mut self.problems)
    }

    /// Memory that it takes, bytes.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        // A set has up to twice the room that it needs.
        let others = 2 * self.others.len() * size_of::<GroupId>();
        self.places.held_bytes() + self.walk.held_bytes() + self.repeated.capacity() * size_of::<u64>() + others
    }

    /// Look-ups beyond those that every series has for free.
    pub fn dear_lookups(&self) -> u64 {
        self.lookups.saturating_sub(self.looked_for_count * LOOKUPS_PER_SERIES)
    }

    /// Look-ups of groups so far.
    #[cfg(test)]
    pub fn lookups(&self) -> u64 {
        self.lookups
    }

    fn begin_family(&mut self) {
        self.stage = Stage::Family;
        self.family += 1;
    }

    fn begin_lines(&mut self, stage: Stage) {
        self.stage = stage;
        self.next = Place::default();
    }
}

impl<'a> Check<'a> {
    /// Goes on with the check until the budget, which is counted in look-ups, is used up; whether it is done.
    ///
    /// # Errors
    /// The bound of look-ups, if it takes more than that.
    pub fn some(&mut self, progress: &mut Progress, budget: &mut usize) -> Result<bool, Reached> {
        let mut meter = Meter { left: *budget, spent: 0 };
        while progress.stage != Stage::Done && !meter.is_used_up() {
            match (progress.stage, self.resolved.get(progress.family)) {
                (Stage::Family, Some(resolved)) => {
                    meter.spend(FAMILY_COST + self.staged.name(resolved.ix).len() / PUSHED_BYTES_PER_LOOKUP);
                    self.check_family(*resolved, progress);
                }
                (Stage::Family, None) => {
                    progress.repeated = self.staged.take_repeated_hashes();
                    progress.family = 0;
                    self.begin_repeats(progress);
                }
                (Stage::WrongKind, Some(resolved)) => self.check_wrong_kind(*resolved, progress, &mut meter),
                (Stage::Series, Some(resolved)) => self.check_series(*resolved, progress, &mut meter),
                (Stage::Others, Some(resolved)) => self.check_others(*resolved, progress, &mut meter),
                (Stage::Repeats, Some(resolved)) => self.check_repeats(*resolved, progress, &mut meter),
                (_, None) | (Stage::Done, _) => progress.end(),
            }
            if let Err(reached) = self.limits.check([(Limit::PushLookups, progress.dear_lookups())]) {
                progress.end();
                return Err(reached);
            }
        }
        *budget = meter.left;
        Ok(progress.stage == Stage::Done)
    }

    /// What is to be found out about a family without looking at its lines.
    fn check_family(&self, resolved: Resolved, progress: &mut Progress) {
        let Progress { problems, part, .. } = progress;
        if !self.check_kind(resolved, problems) {
            return if self.is_wrong_kind(resolved) {
                progress.begin_lines(Stage::WrongKind);
            } else {
                progress.begin_family();
            };
        }
        let own_shape = self.catalog.group(self.group).shape;
        let has_others = |id| self.catalog.family(id).shapes.iter().any(|(shape, _)| *shape != own_shape);
        if !self.check_names(resolved, part, problems) || !has_others(resolved.id) {
            return progress.begin_family();
        }
        progress.begin_lines(Stage::Series);
        progress.held = Place::default();
        progress.looked_for = None;
        progress.walk.begin_family();
        progress.places.begin(self.staged.pushed(resolved.ix).metrics());
        progress.others.clear();
        progress.piece = 0;
    }

    /// Numbers 1, 9 and 10; whether the family passed.
    fn check_kind(&self, resolved: Resolved, problems: &mut Problems) -> bool {
        let Resolved { id, ix } = resolved;
        let family = self.catalog.family(id);
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        let Some(own) = family.own else {
            if self.is_wrong_kind(resolved) && self.staged.pushed(ix).is_empty() {
                problems.add_with(|| Problem::own_kind(name, kind, family.kind));
            }
            return !self.is_wrong_kind(resolved);
        };
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
        true
    }

    /// Whether other groups hold the family with another kind than the push has.
    fn is_wrong_kind(&self, Resolved { id, ix }: Resolved) -> bool {
        let family = self.catalog.family(id);
        family.own.is_none() && self.staged.pushed(ix).kind() != family.kind && self.has_other_holders(id)
    }

    /// Number 1, which every metric of the family is told of.
    fn check_wrong_kind(&self, Resolved { id, ix }: Resolved, progress: &mut Progress, meter: &mut Meter) {
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        let expected = self.catalog.family(id).kind;
        let metrics = Opening::of_metrics(name, kind);
        while let Some((line, ..)) = self.next_metric(ix, &metrics, &mut progress.next, meter) {
            progress.problems.add_with(|| Problem::wrong_kind(name, kind, line, expected));
        }
        if !meter.is_used_up() {
            progress.begin_family();
        }
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

    /// Number 6 between groups: finds the groups that may hold series of the family.
    fn check_series(&self, Resolved { id, ix }: Resolved, progress: &mut Progress, meter: &mut Meter) {
        let metrics = Opening::of_metrics(self.staged.name(ix), self.staged.pushed(ix).kind());
        let mut held = self.held_lines(id, progress.held);
        loop {
            self.look_for(id, progress, meter);
            if !progress.walk.is_done() {
                break;
            }
            if let Some(place) = progress.looked_for.take().filter(|_| !progress.others.is_empty()) {
                meter.spend(1);
                self.enter_place(ix, &metrics, place, &mut progress.places);
            }
            let Some((_, labels, place)) = self.next_metric(ix, &metrics, &mut progress.next, meter) else {
                if !meter.is_used_up() {
                    progress.stage = Stage::Others;
                }
                break;
            };
            // What the group holds already no other group can hold.
            if !held.as_mut().is_some_and(|held| held.take(&metrics, labels, meter)) {
                progress.looked_for = Some(place);
                progress.looked_for_count += 1;
                progress.walk.begin_series(self.catalog, labels);
            }
        }
        progress.held = held.map_or_else(Place::default, |held| held.next);
    }

    /// Goes on looking for the groups that may hold the series at hand.
    fn look_for(&self, id: FamilyId, progress: &mut Progress, meter: &mut Meter) {
        let before = meter.spent;
        while let Some(group) = progress.walk.next(self.catalog, self.group, meter) {
            if self.catalog.home(Entry { family: id, group }).is_some() {
                progress.others.insert(group);
            }
        }
        progress.lookups += (meter.spent - before) as u64;
    }

    /// Reads the groups that may hold series of the family.
    fn check_others(&self, Resolved { id, ix }: Resolved, progress: &mut Progress, meter: &mut Meter) {
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        let metrics = Opening::of_metrics(name, kind);
        'groups: while let Some(group) = progress.others.first().copied() {
            for piece in self.stored(Entry { family: id, group }).into_iter().flatten().skip(progress.piece) {
                if meter.is_used_up() {
                    break 'groups;
                }
                progress.piece += 1;
                if !self.may_have(ix, &metrics, &progress.places, piece, meter) {
                    continue;
                }
                let mut at = 0;
                meter.spend(1 + piece.len() / STORED_BYTES_PER_LOOKUP);
                while let Some((_, labels)) = metrics.next(piece, &mut at) {
                    meter.spend(1);
                    if let (_, Some(place)) = self.find_place(ix, &metrics, &progress.places, labels) {
                        let line = self.metric_at(ix, &metrics, place).0;
                        progress.problems.add_with(|| Problem::duplicate(name, kind, line));
                    }
                }
            }
            meter.spend(1);
            progress.others.pop_first();
            progress.piece = 0;
        }
        if progress.others.is_empty() {
            progress.begin_family();
        }
    }

    /// Whether a piece of another group may have one of the series. A few are searched for as text.
    fn may_have(&self, ix: FamilyIx, metrics: &Opening<'_>, places: &Places, piece: &[u8], meter: &mut Meter) -> bool {
        if places.len() > SERIES_SEARCHED_MAX || piece.len() < PIECE_SEARCHED_BYTES_MIN {
            return true;
        }
        places.iter().any(|place| {
            meter.spend(1 + piece.len() / SEARCHED_BYTES_PER_LOOKUP);
            memmem::find(piece, self.metric_at(ix, metrics, place).1).is_some()
        })
    }

    /// The text of an entry of another group, if that is still there.
    fn stored(&self, entry: Entry) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let is_there = self.catalog.has_group(entry.group) && self.catalog.home(entry).is_some();
        is_there.then(|| self.pages.text(self.catalog, entry))
    }

    /// What the group holds of a family, if that has been checked.
    fn held_lines(&self, id: FamilyId, next: Place) -> Option<HeldLines<'a, impl Iterator<Item = &'a [u8]> + use<'a>>> {
        let entry = Entry { family: id, group: self.group };
        let mut pieces = self.stored(entry)?.skip(next.piece as usize);
        self.catalog.written(entry).filter(|written| *written > self.restored)?;
        Some(HeldLines { piece: pieces.next()?, pieces, next })
    }

    /// Begins to look for series of a family that are in the push twice, if there are any.
    fn begin_repeats(&self, progress: &mut Progress) {
        let family = self.resolved.get(progress.family).filter(|_| !progress.repeated.is_empty());
        let Some(Resolved { ix, .. }) = family else {
            return progress.end();
        };
        progress.begin_lines(Stage::Repeats);
        progress.places.begin(self.staged.pushed(*ix).metrics());
        progress.repeats = 0;
        progress.first_repeats.clear();
    }

    /// Number 6 inside the push: each series that was there before is one, in the order of labels. Of those that are
    /// equal, the one pushed later is named.
    fn check_repeats(&self, Resolved { ix, .. }: Resolved, progress: &mut Progress, meter: &mut Meter) {
        let (kind, name) = (self.staged.pushed(ix).kind(), self.staged.name(ix));
        let metrics = Opening::of_metrics(name, kind);
        while let Some((_, labels, place)) = self.next_metric(ix, &metrics, &mut progress.next, meter) {
            let (hash, before) = self.find_place(ix, &metrics, &progress.places, labels);
            if progress.repeated.binary_search(&hash).is_err() {
                continue;
            }
            meter.spend(1);
            if before.is_none() {
                progress.places.add(hash, place);
                continue;
            }
            progress.repeats += 1;
            let first = &mut progress.first_repeats;
            let at = first.partition_point(|before| self.metric_at(ix, &metrics, *before).1 <= labels);
            first.truncate(if at < ERRORS_LISTED_MAX { ERRORS_LISTED_MAX - 1 } else { ERRORS_LISTED_MAX });
            if at < ERRORS_LISTED_MAX {
                first.insert(at, place);
            }
        }
        if meter.is_used_up() {
            return;
        }
        for place in &progress.first_repeats {
            let line = self.metric_at(ix, &metrics, *place).0;
            progress.problems.add_with(|| Problem::duplicate(name, kind, line));
        }
        progress.problems.add_unlisted(progress.repeats - progress.first_repeats.len());
        meter.spend(FAMILY_COST);
        progress.family += 1;
        self.begin_repeats(progress);
    }

    // ---- the lines of the push ----

    /// The next metric of a pushed family: its line, its labels and its place. `None` if there is no more, or if it is
    /// too much for now.
    fn next_metric(
        &self,
        ix: FamilyIx,
        metrics: &Opening<'_>,
        next: &mut Place,
        meter: &mut Meter,
    ) -> Option<(&[u8], &[u8], Place)> {
        while !meter.is_used_up() {
            let piece = self.staged.piece(ix, next.piece as usize)?;
            let mut at = next.at as usize;
            let found = metrics.next(piece, &mut at);
            meter.spend(1 + (at - next.at as usize) / PUSHED_BYTES_PER_LOOKUP);
            if let Some((line, labels)) = found {
                let place = Place { at: (at - line.len() - 1) as u32, ..*next };
                next.at = at as u32;
                return Some((line, labels, place));
            }
            *next = Place { piece: next.piece + 1, at: 0 };
        }
        None
    }

    /// The line and the labels of the metric at a place.
    fn metric_at(&self, ix: FamilyIx, metrics: &Opening<'_>, place: Place) -> (&[u8], &[u8]) {
        let piece = self.staged.piece(ix, place.piece as usize).unwrap_or_default();
        metrics.next(piece, &mut { place.at as usize }).unwrap_or_default()
    }

    /// The hash of a series with these labels, and the place of such a one.
    fn find_place(&self, ix: FamilyIx, metrics: &Opening<'_>, places: &Places, labels: &[u8]) -> (u64, Option<Place>) {
        let hash = self.staged.series_hash(ix, labels);
        (hash, places.find(hash, |place| self.metric_at(ix, metrics, place).1 == labels))
    }

    /// Enters the place of a series; of those that are equal, the first one's.
    fn enter_place(&self, ix: FamilyIx, metrics: &Opening<'_>, place: Place, places: &mut Places) {
        let labels = self.metric_at(ix, metrics, place).1;
        if let (hash, None) = self.find_place(ix, metrics, places, labels) {
            places.add(hash, place);
        }
    }

    // ---- families ----

    /// The kind that the family of this name will have when the push is in, if it will be there.
    fn kind_after(&self, name: &str) -> Option<Kind> {
        let id = self.catalog.find_family(name)?;
        if let Some(ix) = self.pushed_as(id) {
            return Some(self.staged.pushed(ix).kind());
        }
        let family = self.catalog.family(id);
        let is_kept = self.mode == Mode::Merge && self.is_held(id);
        (family.own.is_some() || self.has_other_holders(id) || is_kept).then_some(family.kind)
    }

    fn is_pushed(&self, name: &str) -> bool {
        let id = self.catalog.find_family(name);
        id.is_some_and(|id| self.pushed_as(id).is_some())
    }

    /// The place of a family in the push, if it is there.
    fn pushed_as(&self, id: FamilyId) -> Option<FamilyIx> {
        if self.is_claimed {
            let claim = self.catalog.family(id).claim;
            return (claim != UNCLAIMED).then(|| self.resolved[claim as usize].ix);
        }
        let at = self.resolved.binary_search_by_key(&id, |resolved| resolved.id);
        at.ok().map(|at| self.resolved[at].ix)
    }

    fn has_other_holders(&self, id: FamilyId) -> bool {
        self.catalog.family(id).holders > u32::from(self.is_held(id))
    }

    fn is_held(&self, id: FamilyId) -> bool {
        self.catalog.held(Entry { family: id, group: self.group }).is_some()
    }
}

/// What the group of a push holds of one family, passed in step with the push, which nearly always has the same series
/// in the same order.
struct HeldLines<'a, I> {
    pieces: I,
    piece: &'a [u8],
    next: Place,
}

impl<'a, I: Iterator<Item = &'a [u8]>> HeldLines<'a, I> {
    /// Whether the next series is this one, or the one after it, where one has gone; then it is passed.
    fn take(&mut self, metrics: &Opening<'_>, labels: &[u8], meter: &mut Meter) -> bool {
        while !meter.is_used_up() {
            let mut at = self.next.at as usize;
            for ahead in 0..=1 {
                match metrics.next(self.piece, &mut at) {
                    Some((_, found)) if found == labels => {
                        self.next.at = at as u32;
                        return true;
                    }
                    Some(_) if ahead == 1 => return false,
                    Some(_) => {}
                    None => break,
                }
            }
            let Some(piece) = self.pieces.next() else { return false };
            (self.piece, self.next) = (piece, Place { piece: self.next.piece + 1, at: 0 });
            meter.spend(1 + piece.len() / STORED_BYTES_PER_LOOKUP);
        }
        false
    }
}

/// The names, behind that of a family of this kind, that no other family may have. Scrapers are shown gauge histograms as
/// histograms.
pub fn claims(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Histogram | Kind::GaugeHistogram => &SUFFIXES,
        Kind::Summary => &SUFFIXES[..2],
        _ => &[],
    }
}
