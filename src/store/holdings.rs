//! What each group holds of which families, where that stands and when it was written.
//!
//! A group of usual size has an outline, which it may share with others, and its own places and times in the order of
//! the outline. A group of more than `OUTLINE_SHARED_FAMILIES_MAX` families is *large*: it has a tree with a row for
//! each family instead, so that a change costs as much as the families that it changes, however many the group holds.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::catalog::{Catalog, Group};
use super::entry::{Entry, FamilyId, GroupId, Home, PageId};
use super::outline::{Content, Held, Help, Outline};
use super::times::PushTime;
use crate::model::order;
use crate::model::sample::Kind;
use crate::model::time::Timestamp;

/// What one group holds of one family.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    held: &'a Held,
    /// Where its entry stands; `None` if it has no metrics, and while a push is being applied.
    pub home: Option<Home>,
    /// Time of the push that wrote it.
    pub written: Timestamp,
}

impl Deref for Holding<'_> {
    type Target = Held;

    fn deref(&self) -> &Held {
        self.held
    }
}

/// Where an entry of a group stands, if it does: an `Option` would take half as much again, and these are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(Home);

impl Place {
    const NOWHERE: Self = Self(Home { page: PageId(u32::MAX), slot: 0 });

    /// The home, if it is one.
    pub fn home(self) -> Option<Home> {
        (self != Self::NOWHERE).then_some(self.0)
    }
}

/// What few groups have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rare {
    /// Time of the last refused push, zero if there was none.
    failed: Timestamp,
    /// Why that push was refused, cut short.
    failure: Option<Box<str>>,
    /// When each holding was written, in the order of the outline; empty if all were [`Group::usually_written`], and in
    /// a large group.
    written: Vec<Timestamp>,
    /// What a large group holds; empty in others, whose families are in their outline.
    rows: BTreeMap<FamilyId, Row>,
}

/// What a group holds of one family, where that stands, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    held: Held,
    place: Place,
    written: Timestamp,
}

impl Group {
    /// Time of the last refused push, zero if there was none.
    pub fn failed(&self) -> Timestamp {
        self.rare.as_ref().map_or(Timestamp::default(), |rare| rare.failed)
    }

    /// Why that push was refused, cut short; `None` if there was none.
    pub fn failure(&self) -> Option<&str> {
        self.rare.as_ref()?.failure.as_deref()
    }

    /// When the holding at a place was written, as far as nobody knows better: all by the last push, and a push time
    /// that is still zero by the first.
    fn usually_written(&self, at: usize) -> Timestamp {
        let is_failure_time = at == FamilyId::FAILURE_TIME.0 as usize;
        let time = if is_failure_time { self.failed() } else { self.pushed };
        if time == Timestamp::default() { self.created } else { time }
    }

    /// Whether its families have rows of their own instead of an outline.
    pub(super) fn is_large(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.rows.is_empty())
    }

    /// The row of a family that a large group holds.
    fn row(&self, family: FamilyId) -> Option<&Row> {
        self.rare.as_ref()?.rows.get(&family)
    }

    fn row_mut(&mut self, family: FamilyId) -> Option<&mut Row> {
        self.rare.as_mut()?.rows.get_mut(&family)
    }

    /// How many families a large group holds; 0 for others.
    fn row_count(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.rows.len())
    }

    fn own_times(&self) -> &[Timestamp] {
        self.rare.as_ref().map_or(&[], |rare| &rare.written)
    }

    /// Whether nobody knows better when its holdings were written.
    pub fn is_usually_written(&self) -> bool {
        self.own_times().is_empty()
    }

    fn written(&self, at: usize) -> Timestamp {
        self.own_times().get(at).copied().unwrap_or_else(|| self.usually_written(at))
    }

    /// Notes when a family that a large group holds was written.
    fn set_row_written(&mut self, family: FamilyId, at: Timestamp) {
        if let Some(row) = self.row_mut(family) {
            row.written = at;
        }
    }

    /// Notes when holdings at these places were written, beside another change of its times.
    fn rewrite(&mut self, change: impl FnOnce(&mut Self), times: impl Iterator<Item = (usize, Timestamp)>) {
        let known = self.rare.as_mut().map(|rare| std::mem::take(&mut rare.written)).filter(|known| !known.is_empty());
        let mut written = known.unwrap_or_else(|| (0..self.places.len()).map(|at| self.usually_written(at)).collect());
        change(self);
        times.for_each(|(at, time)| written[at] = time);
        self.set_written(written);
    }

    fn set_written(&mut self, written: Vec<Timestamp>) {
        let is_usual = written.iter().enumerate().all(|(at, time)| *time == self.usually_written(at));
        if !is_usual {
            self.rare.get_or_insert_default().written = written;
        } else if self.rare.as_deref().is_some_and(|rare| *rare == Rare::default()) {
            self.rare = None;
        }
    }
}

impl Catalog {
    // ---- reading ----

    /// The outline of a group.
    pub fn outline(&self, group: GroupId) -> &Outline {
        self.outlines.get(self.group(group).outline)
    }

    /// What a group holds, sorted by family.
    pub fn holdings(&self, id: GroupId) -> impl Iterator<Item = Holding<'_>> {
        self.holdings_from(id, FamilyId(0))
    }

    /// What a group holds, sorted by family, from the first family on that is not below `from`.
    pub fn holdings_from(&self, id: GroupId, from: FamilyId) -> impl Iterator<Item = Holding<'_>> {
        let group = self.group(id);
        let held = &self.outline(id).held;
        let start = held.partition_point(|held| held.family < from);
        let usual = held.iter().enumerate().skip(start);
        let usual = usual.map(|(at, held)| Holding { held, home: group.places[at].home(), written: group.written(at) });
        let rows = group.rare.iter().flat_map(move |rare| rare.rows.range(from..));
        usual.chain(rows.map(|(_, Row { held, place, written })| Holding {
            held,
            home: place.home(),
            written: *written,
        }))
    }

    /// How many families a group holds, the push times included.
    pub fn holding_count(&self, id: GroupId) -> usize {
        self.outline(id).held.len() + self.group(id).row_count()
    }

    /// Whether a group has a row for each family instead of an outline.
    pub fn is_large(&self, id: GroupId) -> bool {
        self.group(id).is_large()
    }

    /// Whether these families, sorted, are all that a group of usual size holds beside the push times.
    pub fn is_all_held(&self, id: GroupId, families: impl ExactSizeIterator<Item = FamilyId>) -> bool {
        !self.group(id).is_large() && self.outline(id).is_of(families)
    }

    /// What a group holds of a family, and where that stands.
    pub fn holding(&self, entry: Entry) -> Option<(&Held, Option<Home>)> {
        self.holding_near(entry, usize::MAX)
    }

    /// What a group holds of a family, and where that stands; looked for at the hint first, a place in the outline.
    pub fn holding_near(&self, entry: Entry, hint: usize) -> Option<(&Held, Option<Home>)> {
        match self.outline(entry.group).position_near(entry.family, hint) {
            Some(at) => Some(self.holding_at(entry.group, at)),
            None => self.group(entry.group).row(entry.family).map(|row| (&row.held, row.place.home())),
        }
    }

    /// What a group of usual size holds at a place of its outline, and where that stands.
    pub fn holding_at(&self, group: GroupId, at: usize) -> (&Held, Option<Home>) {
        (&self.outline(group).held[at], self.group(group).places[at].home())
    }

    /// What a group holds of a family.
    pub fn held(&self, entry: Entry) -> Option<&Held> {
        self.holding(entry).map(|(held, _)| held)
    }

    /// When the push came that wrote what a group holds of a family.
    pub fn written(&self, entry: Entry) -> Option<Timestamp> {
        let group = self.group(entry.group);
        match self.outline(entry.group).position(entry.family) {
            Some(at) => Some(group.written(at)),
            None => group.row(entry.family).map(|row| row.written),
        }
    }

    /// Where an entry of a group stands.
    pub(super) fn place(&self, entry: Entry) -> Option<Home> {
        self.holding(entry)?.1
    }

    // ---- changing what is held ----

    /// Notes where an entry of a group stands from now on.
    pub(super) fn set_place(&mut self, entry: Entry, home: Option<Home>) {
        let group = &mut self.groups[entry.group.0 as usize];
        let old = match self.outlines.get(group.outline).position(entry.family) {
            Some(at) => &mut group.places[at],
            None => &mut group.row_mut(entry.family).expect("only held families have entries").place,
        };
        let place = home.map_or(Place::NOWHERE, Place);
        match (std::mem::replace(old, place).home().is_some(), home.is_some()) {
            (false, true) => self.family_mut(entry.family).shown += 1,
            (true, false) => self.family_mut(entry.family).shown -= 1,
            (true, true) | (false, false) => {}
        }
    }

    /// Notes the content of an entry that a group, not the gateway itself, holds; whether the kind changes that is shown
    /// of its family.
    pub fn set_content(&mut self, entry: Entry, content: Content) -> bool {
        let old = self.held(entry).expect("only families that are held are changed").content;
        if old == content {
            return false;
        }
        self.change_held(entry).content = content;
        self.series = self.series + u64::from(content.lines) - u64::from(old.lines);
        old.kind != content.kind && self.change_kind(entry.family, old.kind, content.kind)
    }

    /// Notes the help text that a family was pushed with to a group.
    pub fn set_help(&mut self, entry: Entry, help: Option<Help>) {
        let held = self.held(entry).expect("only families that are held are changed");
        if held.help.is_none() && help.is_none() {
            return;
        }
        let new = help_bytes(help.as_ref());
        let old = std::mem::replace(&mut self.change_held(entry).help, help);
        self.bytes = self.bytes + new - help_bytes(old.as_ref());
    }

    /// Notes whether names in the lines of a group may be quoted; whether that was so before.
    pub fn set_quoted_names(&mut self, group: GroupId, has_quoted_names: bool) -> bool {
        let was = self.outline(group).has_quoted_names;
        if was != has_quoted_names {
            self.change_outline(group).has_quoted_names = has_quoted_names;
        }
        was
    }

    /// Adds families to those that a group holds; their text is still to be written. [`Catalog::share_outline`] ends such
    /// changes.
    pub fn add_holdings(&mut self, id: GroupId, families: &[(FamilyId, Kind)]) {
        for (family, kind) in families {
            self.enter_holder(*family, id, *kind);
        }
        let new = |(family, kind): &(FamilyId, Kind)| {
            let content = Content { kind: *kind, metrics: 1, lines: 0 };
            let held = Held { family: *family, content, help: None };
            Row { held, place: Place::NOWHERE, written: Timestamp::default() }
        };
        if self.group(id).is_large() || self.holding_count(id) + families.len() > self.outline_families_max {
            self.make_large(id);
            let rare = self.groups[id.0 as usize].rare.get_or_insert_default();
            rare.rows.extend(families.iter().map(|family| (family.0, new(family))));
            return;
        }
        self.reorder(id, |mut all| {
            all.extend(families.iter().map(new));
            order::sort_by_key(&mut all, |row| row.held.family);
            all
        });
    }

    /// Removes families, sorted, from a group that holds them all, and whose entries are gone.
    pub fn drop_holdings(&mut self, id: GroupId, families: &[FamilyId]) {
        let mut gone = Vec::new();
        let group = &mut self.groups[id.0 as usize];
        if group.is_large() {
            let rows = group.rare.as_mut().map(|rare| &mut rare.rows);
            gone.extend(rows.into_iter().flat_map(|rows| families.iter().filter_map(|family| rows.remove(family))));
        } else {
            // In one go: taking them out one by one would move the others each time.
            self.reorder(id, |all| {
                let (dropped, kept) = all.into_iter().partition(|row| families.binary_search(&row.held.family).is_ok());
                gone = dropped;
                kept
            });
        }
        for Row { held, .. } in gone {
            self.series -= u64::from(held.content.lines);
            self.bytes -= help_bytes(held.help.as_ref());
            self.leave_holder(held.family, id, held.content.kind);
        }
    }

    /// To be called when what a group holds has changed: it shares its outline with those that hold the same, unless it
    /// is large.
    pub fn share_outline(&mut self, id: GroupId) {
        let group = &mut self.groups[id.0 as usize];
        if (1..=self.outline_families_max).contains(&group.row_count()) {
            let rows = group.rare.as_mut().map(|rare| std::mem::take(&mut rare.rows)).unwrap_or_default();
            self.set_rows(id, rows.into_values().collect(), true);
        }
        self.outlines.share(&mut self.groups[id.0 as usize].outline);
    }

    /// Gives the families of a group rows of their own, if they have none yet.
    pub fn make_large(&mut self, id: GroupId) {
        if self.group(id).is_large() {
            return;
        }
        let rows = self.take_rows(id);
        let group = &mut self.groups[id.0 as usize];
        let rare = group.rare.get_or_insert_default();
        rare.written = Vec::new();
        rare.rows = rows.into_iter().map(|row| (row.held.family, row)).collect();
        group.places = Box::default();
    }

    /// Takes what a group of usual size holds out of its outline.
    fn take_rows(&mut self, id: GroupId) -> Vec<Row> {
        let group = &mut self.groups[id.0 as usize];
        let outline = self.outlines.change(&mut group.outline);
        let held = std::mem::take(&mut outline.held).into_iter().enumerate();
        held.map(|(at, held)| Row { held, place: group.places[at], written: group.written(at) }).collect()
    }

    /// Makes these rows what a group of usual size holds; with `has_own_times`, their times are not the usual ones.
    fn set_rows(&mut self, id: GroupId, rows: Vec<Row>, has_own_times: bool) {
        let group = &mut self.groups[id.0 as usize];
        group.places = rows.iter().map(|row| row.place).collect();
        if has_own_times {
            group.set_written(rows.iter().map(|row| row.written).collect());
        }
        self.outlines.change(&mut group.outline).held = rows.into_iter().map(|row| row.held).collect();
    }

    fn change_outline(&mut self, group: GroupId) -> &mut Outline {
        self.outlines.change(&mut self.groups[group.0 as usize].outline)
    }

    fn change_held(&mut self, entry: Entry) -> &mut Held {
        const HELD: &str = "only families that are held are changed";
        if self.group(entry.group).is_large() {
            return &mut self.group_mut(entry.group).row_mut(entry.family).expect(HELD).held;
        }
        let outline = self.change_outline(entry.group);
        let at = outline.position(entry.family).expect(HELD);
        &mut outline.held[at]
    }

    /// Changes which families a group of usual size holds.
    fn reorder(&mut self, id: GroupId, change: impl FnOnce(Vec<Row>) -> Vec<Row>) {
        let has_own_times = !self.group(id).own_times().is_empty();
        let rows = change(self.take_rows(id));
        self.set_rows(id, rows, has_own_times);
    }

    // ---- times ----

    /// Notes a push to a group that was accepted, with these families, sorted; all are held.
    pub fn note_push(&mut self, id: GroupId, families: impl ExactSizeIterator<Item = FamilyId> + Clone, at: Timestamp) {
        let group = &mut self.groups[id.0 as usize];
        if group.is_large() {
            group.pushed = at;
            return families.chain([FamilyId::PUSH_TIME]).for_each(|family| group.set_row_written(family, at));
        }
        let outline = self.outlines.get(group.outline);
        if group.own_times().is_empty() && outline.is_of(families.clone()) {
            group.pushed = at;
            return;
        }
        let families = families.chain([FamilyId::PUSH_TIME]).filter_map(|family| outline.position(family));
        group.rewrite(|group| group.pushed = at, families.map(|place| (place, at)));
    }

    /// Notes when a family that a large group holds was written.
    pub fn note_written(&mut self, entry: Entry, at: Timestamp) {
        self.group_mut(entry.group).set_row_written(entry.family, at);
    }

    /// Notes a push to a group that was refused, and why.
    pub fn note_refusal(&mut self, id: GroupId, reason: Box<str>, at: Timestamp) {
        let group = self.group_mut(id);
        let change = |group: &mut Group| {
            let rare = group.rare.get_or_insert_default();
            (rare.failed, rare.failure) = (at, Some(reason));
        };
        if group.is_large() {
            change(group);
            group.set_row_written(FamilyId::FAILURE_TIME, at);
        } else if group.own_times().is_empty() {
            change(group);
        } else {
            group.rewrite(change, [(FamilyId::FAILURE_TIME.0 as usize, at)].into_iter());
        }
    }

    /// Sets what the push times of a group are, and when they were written.
    pub fn set_push_times(&mut self, id: GroupId, pushed: PushTime, failed: PushTime) {
        let change = |group: &mut Group| {
            let is_failed = failed.value != Timestamp::default();
            group.pushed = pushed.value;
            group.created = if is_failed { pushed.written } else { failed.written };
            if is_failed || group.rare.is_some() {
                group.rare.get_or_insert_default().failed = failed.value;
            }
        };
        let times = [(FamilyId::PUSH_TIME, pushed), (FamilyId::FAILURE_TIME, failed)];
        let group = self.group_mut(id);
        if group.is_large() {
            change(group);
            return times.into_iter().for_each(|(family, time)| group.set_row_written(family, time.written));
        }
        let times = times.into_iter().map(|(family, time)| (family.0 as usize, time.written));
        group.rewrite(change, times);
    }

    /// Sets when families of a group were written, and why the last refused push was.
    pub fn set_written(
        &mut self,
        id: GroupId,
        families: impl Iterator<Item = (FamilyId, Timestamp)>,
        failure: Option<&str>,
    ) {
        let group = &mut self.groups[id.0 as usize];
        let change = |group: &mut Group| {
            if failure.is_some() {
                group.rare.get_or_insert_default().failure = failure.map(Box::from);
            }
        };
        if group.is_large() {
            change(group);
            return families.for_each(|(family, time)| group.set_row_written(family, time));
        }
        let outline = self.outlines.get(group.outline);
        let families = families.filter_map(|(family, time)| Some((outline.position(family)?, time)));
        group.rewrite(change, families);
    }
}

/// What a help text is counted with, bytes.
pub fn help_bytes(help: Option<&Help>) -> u64 {
    help.map_or(0, |help| help.text().len() as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;
    use crate::store::naive::{Push, PushedFamily, feed};
    use crate::store::{GroupKey, Mode, Staged, Store};

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    /// When each family of a group was written, whatever pushes and refusals came in which order.
    #[test]
    fn families_know_when_they_were_written() {
        let (mut store, mut staged, mut random) = (Store::new(), Staged::default(), Random::for_test(11));
        let key = GroupKey::new([("job", "j")]);
        let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
        for at in 1..2000 {
            if random.one_in(50) {
                assert_eq!(store.delete(&key), !expected.is_empty());
                expected.clear();
                continue;
            }
            let is_replace = random.one_in(3);
            let has_timestamp = random.one_in(8);
            let one_of = [1, 2, 4][random.index(3)];
            let names: Vec<_> = NAMES.into_iter().filter(|_| random.one_in(one_of) || has_timestamp).collect();
            push(&mut store, &mut staged, &names, is_replace, has_timestamp, at);
            if expected.is_empty() {
                expected.extend([("push_time_seconds", at), ("push_failure_time_seconds", at)]);
            }
            if has_timestamp {
                expected.insert("push_failure_time_seconds", at);
            } else {
                expected.retain(|name, _| !is_replace || names.contains(name) || name.starts_with("push_"));
                expected.extend(names.into_iter().chain(["push_time_seconds"]).map(|name| (name, at)));
            }
            let families = store.group(&key).expect("it was pushed").families();
            let found: BTreeMap<_, _> = families.iter().map(|f| (f.name(), f.written().0)).collect();
            assert_eq!(found, expected, "{at}");
            let group = store.catalog.find_group(&key).expect("it was pushed");
            let rare = store.catalog.group(group).rare.as_deref();
            assert!(rare.is_none_or(|rare| *rare != Rare::default()), "nothing is kept that says nothing");
        }
    }

    fn push(store: &mut Store, staged: &mut Staged, names: &[&str], is_replace: bool, has_timestamp: bool, at: i64) {
        let families = names.iter().map(|name| PushedFamily {
            name: (*name).to_owned(),
            kind: Kind::Gauge,
            help: None,
            metrics: vec![(Vec::new(), at)],
        });
        let (labels, families) = (vec![("job".to_owned(), "j".to_owned())], families.collect());
        let push = Push { labels, families, is_replace, has_timestamp, is_interleaved: false, is_whole: false };
        feed(staged, &push);
        let mode = if is_replace { Mode::Replace } else { Mode::Merge };
        assert_eq!(store.push(staged, mode, Timestamp(at)).is_err(), has_timestamp);
        staged.clear();
        store.verify();
    }
}
