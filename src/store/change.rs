//! Long changes: pushes and deletions that touch so much that they are made in steps, with other requests between them.
//!
//! ```text
//! push:    Resolve -> Begin -(little room)-> Room -> Check -> Drop -> Write -> Finish -> Release
//!                       |  `--------------------------^ |                                 ^
//!                       `---------------`---------------`------------ refused ------------'
//! delete:  Drop -> Finish -> Release
//! ```
//! There is one long change at a time. From `Drop` to `Finish` its group is neither as before nor as after, so whoever
//! reads it waits while [`Store::is_between`], and so does any other change of the group. Pushes to other groups go on:
//! the families that a change pushes are marked as claimed, and the few pushes that would not agree with what becomes of
//! these wait as well ([`Store::must_wait`]).

use super::catalog::UNCLAIMED;
use super::check::{Check, Progress, Resolved, SUFFIXES, claims};
use super::entry::{Entry, FamilyId, GroupId};
use super::key::GroupKey;
use super::refusal::Refusal;
use super::room::Usage;
use super::staged::Staged;
use super::{Mode, Store};
use crate::limits::{PAGE_BYTES, SHORT_PUSH_BYTES_MAX, SHORT_PUSH_SERIES_MAX};
use crate::model::sample::FamilyIx;
use crate::model::time::Timestamp;

/// A long change on its way.
#[derive(Debug)]
pub(super) struct Change {
    key: GroupKey,
    /// What is pushed; `None` in a deletion.
    push: Option<Box<Pushing>>,
    stage: Stage,
}

/// The push of a long change.
#[derive(Debug)]
struct Pushing {
    staged: Staged,
    mode: Mode,
    at: Timestamp,
    /// Its families, in the order of the body.
    resolved: Vec<Resolved>,
    progress: Progress,
    /// Whether the group was there before the push.
    was_there: bool,
    /// What its families bring, at most, and exactly.
    most: Usage,
    exact: Usage,
    /// What goes for them, as far as that is known.
    gone: Usage,
    outcome: Result<(), Refusal>,
}

/// What a step does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Finds or makes the families of the push, from this one on.
    Resolve(FamilyIx),
    /// Looks for room, and finds or makes the group.
    Begin,
    /// Finds out what goes of what the group holds, from this family on.
    Room(GroupId, FamilyId),
    Check(GroupId),
    /// Takes what is not pushed out of the group, from this family on.
    Drop(GroupId, FamilyId),
    /// Writes the families of the push, from this place among those that were resolved on.
    Write(GroupId, usize),
    Finish(GroupId),
    /// Lets go of the last families that are still claimed.
    Release,
    Over,
}

/// What was pushed by a long change that is over, to use its memory again, and what came of it.
#[derive(Debug)]
pub struct Pushed {
    /// Nothing of it is left.
    pub staged: Staged,
    /// Whether it was stored.
    pub outcome: Result<(), Refusal>,
}

impl Store {
    // ---- which changes are long, and which have to wait ----

    /// Whether a push has to be made in steps.
    pub fn is_long(&self, staged: &Staged, mode: Mode) -> bool {
        let is_large = |group| self.catalog.is_large(group);
        staged.lines.families().len() >= self.catalog.outline_families_max
            || staged.lines.bytes() + staged.lines.word_bytes() > SHORT_PUSH_BYTES_MAX
            || staged.lines.count() > SHORT_PUSH_SERIES_MAX
            || (mode == Mode::Replace && self.catalog.find_group(staged.key()).is_some_and(is_large))
    }

    /// Whether a group has to be deleted in steps.
    pub fn is_long_to_delete(&self, key: &GroupKey) -> bool {
        self.catalog.find_group(key).is_some_and(|group| self.catalog.is_large(group))
    }

    /// Whether a long change is on its way.
    pub fn is_changing(&self) -> bool {
        self.change.is_some()
    }

    /// Whether a long change has begun to change what is shown: a scrape would see a part of it.
    pub fn is_between(&self) -> bool {
        let stage = self.change.as_ref().map(|change| change.stage);
        stage.is_some_and(|stage| matches!(stage, Stage::Drop(..) | Stage::Write(..) | Stage::Finish(_)))
    }

    /// Whether the outcome of the long change is still open, or what it brings still on its way.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn is_change_open(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.stage != Stage::Release)
    }

    /// Whether a long change of this group is on its way.
    pub fn is_group_changing(&self, key: &GroupKey) -> bool {
        self.change.as_ref().is_some_and(|change| change.key == *key)
    }

    /// Whether a push has to wait until a long change is over: it goes to that one's group, or what it says of a family
    /// may not agree with what the change is making of it.
    pub fn must_wait(&self, staged: &Staged) -> bool {
        let Some(change) = &self.change else { return false };
        // Two groups whose push times would be the same series cannot both be there.
        if change.key == *staged.key() || staged.key().instance_twin().is_some_and(|twin| twin == change.key) {
            return true;
        }
        let Some(push) = &change.push else { return false };
        let may_have_twins = !staged.key().has_names_of(&change.key) && staged.key().agrees_with(&change.key);
        let kind_of = |name: &str| {
            let claim = self.catalog.family(self.catalog.find_family(name)?).claim;
            (claim != UNCLAIMED).then(|| push.staged.pushed(push.resolved[claim as usize].ix).kind())
        };
        staged.families().any(|(ix, family)| {
            let (name, kind) = (staged.name(ix), family.kind());
            let is_other = kind_of(name).is_some_and(|changed| changed != kind || may_have_twins);
            let mut wholes = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
            let mut parts = claims(kind).iter().map(|suffix| format!("{name}{suffix}"));
            is_other
                || wholes.any(|whole| kind_of(whole).is_some_and(|kind| !claims(kind).is_empty()))
                || parts.any(|part| kind_of(&part).is_some())
        })
    }

    // ---- making a change ----

    /// Begins to apply a sealed push in steps, which [`Store::change_some`] does. There must be no other long change.
    pub fn begin_push(&mut self, staged: Staged, mode: Mode, at: Timestamp) {
        assert!(self.change.is_none(), "one long change at a time");
        let key = staged.key().clone();
        let (resolved, progress, was_there, outcome) = (Vec::new(), Progress::default(), false, Ok(()));
        let [most, exact, gone] = [Usage::default(); 3];
        let push = Pushing { staged, mode, at, resolved, progress, was_there, most, exact, gone, outcome };
        self.change = Some(Box::new(Change { key, push: Some(Box::new(push)), stage: Stage::Resolve(FamilyIx(0)) }));
    }

    /// Begins to delete a group in steps; whether there is one. There must be no other long change.
    pub fn begin_delete(&mut self, key: &GroupKey) -> bool {
        assert!(self.change.is_none(), "one long change at a time");
        let Some(group) = self.catalog.find_group(key) else { return false };
        // The push times go last: the group is listed as long as it has them.
        let stage = Stage::Drop(group, FamilyId(FamilyId::FAILURE_TIME.0 + 1));
        self.change = Some(Box::new(Change { key: key.clone(), push: None, stage }));
        true
    }

    /// Does one step of the long change. `None` if there is more to do, or no such change; else what was pushed, which a
    /// deletion has nothing of.
    pub fn change_some(&mut self) -> Option<Option<Pushed>> {
        let mut change = self.change.take()?;
        let stage = match &mut change.push {
            Some(push) => self.push_step(push, change.stage),
            None => self.delete_step(change.stage),
        };
        if stage == Stage::Over {
            return Some(change.push.map(|push| Pushed { staged: push.staged, outcome: push.outcome }));
        }
        change.stage = stage;
        self.change = Some(change);
        None
    }

    fn delete_step(&mut self, stage: Stage) -> Stage {
        match stage {
            Stage::Drop(group, from) => match self.drop_some(group, from, |_| true) {
                Some(next) => Stage::Drop(group, next),
                None => Stage::Finish(group),
            },
            Stage::Finish(group) => {
                self.remove_group(group);
                Stage::Over
            }
            _ => unreachable!("a deletion has no other stages"),
        }
    }

    fn push_step(&mut self, push: &mut Pushing, stage: Stage) -> Stage {
        match stage {
            Stage::Resolve(from) => self.resolve_some(push, from),
            Stage::Begin => self.look_for_room(push).unwrap_or_else(|refusal| refused(push, refusal)),
            Stage::Room(group, from) => {
                self.make_room(push, group, from).unwrap_or_else(|refusal| refused(push, refusal))
            }
            Stage::Check(group) => self.check_some(push, group),
            Stage::Drop(group, from) => match self.drop_some(group, from, |family| family == UNCLAIMED) {
                Some(next) => Stage::Drop(group, next),
                None => Stage::Write(group, 0),
            },
            Stage::Write(group, from) => self.write_some(push, group, from),
            Stage::Finish(group) => {
                // What was checked in steps may be short, and come again like any other push. Its families are still in the order
                // of the body, which is to be that of the outline.
                if self.catalog.is_large(group) || !push.resolved.is_sorted_by_key(|resolved| resolved.id) {
                    self.catalog.group_mut(group).body = None;
                } else {
                    self.note_body(group, &push.staged, &push.resolved);
                }
                self.note_families(push, group);
                self.write_time(group, FamilyId::PUSH_TIME, push.staged.group_labels(), push.at);
                self.catalog.share_outline(group);
                Stage::Release
            }
            Stage::Release => self.release_some(push),
            Stage::Over => Stage::Over,
        }
    }

    fn resolve_some(&mut self, push: &mut Pushing, from: FamilyIx) -> Stage {
        let end = from.0 as usize + self.changed_per_step;
        let count = push.staged.lines.families().len();
        for ix in (from.0..end.min(count) as u32).map(FamilyIx) {
            let family = push.staged.pushed(ix);
            if family.is_there() {
                let (name, kind) = (push.staged.name(ix), family.kind());
                let found = self.catalog.find_family(name);
                push.most += self.added_family(&push.staged, ix, false);
                push.exact += self.added_family(&push.staged, ix, found.is_some());
                let id = found.unwrap_or_else(|| self.catalog.add_family(name, kind));
                let claim = &mut self.catalog.family_mut(id).claim;
                if let Some(earlier) = push.resolved.get_mut(*claim as usize) {
                    // The later one of two families of one name counts.
                    push.staged.replace_family(earlier.ix);
                    earlier.ix = ix;
                } else {
                    *claim = push.resolved.len() as u32;
                    push.resolved.push(Resolved { id, ix });
                }
            }
        }
        if end < count { Stage::Resolve(FamilyIx(end as u32)) } else { Stage::Begin }
    }

    /// Whether there is room for a push as if nothing went for it.
    fn look_for_room(&mut self, push: &mut Pushing) -> Result<Stage, Refusal> {
        let found = self.catalog.find_group(push.staged.key());
        push.was_there = found.is_some();
        let beside = self.added_beside(found, &push.staged);
        self.check_groups(beside).map_err(Refusal::NoRoom)?;
        push.exact += beside;
        match (self.check_sizes(push.most + beside, Usage::default()), found) {
            (Ok(()), _) => self.begin_group(push),
            (Err(_), Some(group)) => Ok(Stage::Room(group, FamilyId(FamilyId::FAILURE_TIME.0 + 1))),
            (Err(_), None) => {
                self.check_sizes(push.exact, Usage::default()).map_err(Refusal::NoRoom)?;
                self.begin_group(push)
            }
        }
    }

    /// Adds up some of what goes for a push; in the end, whether that makes room for it.
    fn make_room(&mut self, push: &mut Pushing, group: GroupId, from: FamilyId) -> Result<Stage, Refusal> {
        let mut last = None;
        for held in self.catalog.holdings_from(group, from).take(self.changed_per_step) {
            last = Some(held.family);
            let is_named = self.catalog.family(held.family).claim != UNCLAIMED;
            if is_named || push.mode == Mode::Replace {
                push.gone += self.gone_family(group, held, is_named);
            }
        }
        if let Some(last) = last {
            return Ok(Stage::Room(group, FamilyId(last.0 + 1)));
        }
        self.check_sizes(push.exact, push.gone).map_err(Refusal::NoRoom)?;
        self.begin_group(push)
    }

    fn begin_group(&mut self, push: &mut Pushing) -> Result<Stage, Refusal> {
        let staged = &push.staged;
        let group = match self.catalog.find_group(staged.key()) {
            Some(group) => group,
            None => self.add_group(staged, push.at)?,
        };
        if staged.has_quoted_names() {
            self.set_quoted_names(group, true);
        }
        if staged.has_timestamp() {
            return Err(self.refuse(group, staged, push.at, Refusal::Timestamps));
        }
        push.progress.begin(&push.staged);
        Ok(Stage::Check(group))
    }

    fn check_some(&mut self, push: &mut Pushing, group: GroupId) -> Stage {
        let Pushing { staged, mode, resolved, progress, .. } = push;
        let problems = if self.is_checked {
            let Self { catalog, pages, limits, restored, checked_per_step, .. } = self;
            let (restored, is_claimed) = (*restored, true);
            let mut check =
                Check { catalog, pages, staged, resolved, is_claimed, group, mode: *mode, restored, limits };
            match check.some(progress, &mut { *checked_per_step }) {
                Ok(false) => return Stage::Check(group),
                Ok(true) => progress.take_problems(),
                Err(reached) => {
                    if !push.was_there {
                        self.delete(push.staged.key());
                    }
                    return refused(push, Refusal::NoRoom(reached));
                }
            }
        } else {
            staged.unwritable().cloned().unwrap_or_default()
        };
        if !problems.is_empty() {
            let refusal = self.refuse(group, &push.staged, push.at, Refusal::Inconsistent(problems));
            return refused(push, refusal);
        }
        match push.mode {
            Mode::Replace => {
                self.set_quoted_names(group, push.staged.has_quoted_names());
                Stage::Drop(group, FamilyId(FamilyId::FAILURE_TIME.0 + 1))
            }
            Mode::Merge => Stage::Write(group, 0),
        }
    }

    /// Drops some of what a group holds and whose claim is to go; where to go on.
    fn drop_some(&mut self, group: GroupId, from: FamilyId, goes: impl Fn(u32) -> bool) -> Option<FamilyId> {
        let held = self.catalog.holdings_from(group, from).map(|held| held.family);
        let some: Vec<_> = held.take(self.changed_per_step).collect();
        let next = some.last().map(|last| FamilyId(last.0 + 1));
        let gone: Vec<_> = some.into_iter().filter(|id| goes(self.catalog.family(*id).claim)).collect();
        self.drop_holdings(group, &gone);
        next
    }

    fn write_some(&mut self, push: &mut Pushing, group: GroupId, from: usize) -> Stage {
        let mut budget = self.changed_per_step;
        let mut at = from;
        if from == 0 && self.catalog.holding_count(group) + push.resolved.len() > self.catalog.outline_families_max {
            self.catalog.make_large(group);
        }
        while let Some(resolved) = push.resolved.get(at).copied()
            && budget > 0
        {
            let Resolved { id, ix } = resolved;
            let family = push.staged.pushed(ix);
            let (_, help) = family.word_lens();
            // A help text is copied for the group and for the header, which it may take the place of another one in.
            budget = budget.saturating_sub(1 + (family.text_len() + 4 * help) as usize / PAGE_BYTES);
            if self.catalog.held(Entry { family: id, group }).is_none() {
                self.catalog.add_holdings(group, &[(id, family.kind())]);
            }
            self.apply_family(group, &mut push.staged, resolved, usize::MAX);
            self.enter_notes(group, &push.staged, &[resolved]);
            self.enter_details(group, &push.staged, &[resolved]);
            self.catalog.note_written(Entry { family: id, group }, push.at);
            at += 1;
        }
        if at < push.resolved.len() { Stage::Write(group, at) } else { Stage::Finish(group) }
    }

    /// Notes when what was pushed was written, where that was not done family by family.
    fn note_families(&mut self, push: &mut Pushing, group: GroupId) {
        if self.catalog.is_large(group) {
            return self.catalog.note_push(group, std::iter::empty(), push.at);
        }
        let mut families: Vec<_> = push.resolved.iter().map(|resolved| resolved.id).collect();
        families.sort_unstable();
        self.catalog.note_push(group, families.into_iter(), push.at);
    }

    fn release_some(&mut self, push: &mut Pushing) -> Stage {
        let left = push.resolved.len().saturating_sub(self.changed_per_step);
        for Resolved { id, .. } in push.resolved.drain(left..) {
            self.catalog.family_mut(id).claim = UNCLAIMED;
            self.drop_family_if_unused(id);
        }
        let is_over = push.staged.forget_some(self.changed_per_step);
        if push.resolved.is_empty() && is_over { Stage::Over } else { Stage::Release }
    }
}

fn refused(push: &mut Pushing, refusal: Refusal) -> Stage {
    push.outcome = Err(refusal);
    Stage::Release
}
