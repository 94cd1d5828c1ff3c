//! The store: everything that was pushed, as finished exposition text in its final order.
//!
//! Owns groups, families, pages, the consistency check and snapshots. It never sees a body, a request or a clock:
//! samples arrive through [`Staged`], times as arguments. What it holds is described by SPEC 5 and 6.

mod audit;
mod bounds;
mod catalog;
mod change;
mod check;
mod checksum;
mod compound;
mod compress;
mod deflate;
mod detail;
mod discard;
mod entry;
mod hashes;
mod headers;
mod holdings;
mod key;
mod line;
mod member;
mod outline;
mod pages;
mod prefixes;
mod problem;
mod refusal;
mod repeat;
mod restore;
mod room;
mod staged;
mod text;
mod times;
mod view;
mod whole;

#[cfg(any(test, feature = "fuzz"))]
pub mod naive;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;

use audit::Audits;
use catalog::{Catalog, OwnFamily, UNCLAIMED};
use change::Change;
use check::{Check, Progress, Resolved};
use detail::Details;
use discard::Discarded;
use entry::EntryText;
use outline::{Content, Help};
use pages::Pages;

pub use audit::AuditTicket;
pub use change::Pushed;
pub use compress::Deflater;
#[cfg(any(test, feature = "fuzz"))]
pub use deflate::deflated_in_segments;
pub use entry::{Entry, FamilyId, GroupId};
pub use key::GroupKey;
pub use member::Member;
pub use pages::{Size, Snapshot};
pub use problem::Problems;
pub use refusal::Refusal;
pub use restore::{StoredFamily, StoredGroup};
pub use room::Usage;
pub use staged::{LineNote, RESERVED_NAMES, Remark, Staged};
pub use text::PageText;
pub use times::PushTime;
pub use view::{FamilyView, GroupView, LineCursor, Lines};

use crate::limits::{CHANGED_FAMILIES_PER_STEP, CHECKED_PER_STEP_MAX, Limits, Reached};
use crate::model::number;
use crate::model::sample::Kind;
use crate::model::time::Timestamp;

/// What becomes of the families of the group that a push does not name (SPEC 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They go: PUT.
    Replace,
    /// They stay: POST.
    Merge,
}

/// Everything that was pushed.
#[derive(Debug)]
pub struct Store {
    catalog: Catalog,
    pages: Pages,
    /// Entries whose lines have remarks.
    notes: HashMap<Entry, Rc<[LineNote]>>,
    /// How many groups may have quoted names in their lines.
    quoted_groups: usize,
    /// Whether pushes are checked before they are applied.
    is_checked: bool,
    /// How much may be stored.
    limits: Limits,
    /// What is known of the consistency of what was pushed unchecked.
    audits: Box<Audits>,
    /// How many families of a long change are dealt with in one step. Fewer in tests.
    changed_per_step: usize,
    /// The long change on its way.
    change: Option<Box<Change>>,
    /// What wipes left behind, to be freed in steps.
    discarded: Vec<Discarded>,
    /// What metrics say beyond their lines.
    details: Details,
    /// Groups whose help text of some family is shown since others' are gone.
    restated: Vec<GroupKey>,
    /// Working memory: the families of the push at hand.
    resolved: Vec<Resolved>,
    /// Working memory: text of one entry that is pushed.
    joined: Vec<u8>,
    /// Working memory: text of one entry that the store writes itself.
    text: Vec<u8>,
    /// Working memory: the check of the push at hand.
    progress: Progress,
    /// How much of a check is done in one step, in look-ups.
    checked_per_step: usize,
    /// When the last of what was put back was written; newer is only what was checked.
    restored: Timestamp,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        let mut catalog = Catalog::default();
        let own = catalog.add_group(GroupKey::default(), Timestamp::default());
        assert_eq!(own, GroupId::OWN);
        let help = |what| format!("Last Unix time when changing this group in the Pushgateway {what}.");
        for (name, what) in staged::RESERVED_NAMES.iter().zip(["succeeded", "failed"]) {
            catalog.add_own_family(name, Kind::Gauge, help(what).as_bytes(), OwnFamily { demands_help: false });
        }
        Self {
            catalog,
            pages: Pages::default(),
            notes: HashMap::new(),
            is_checked: true,
            limits: Limits::default(),
            audits: Box::default(),
            changed_per_step: CHANGED_FAMILIES_PER_STEP,
            change: None,
            discarded: Vec::new(),
            details: Details::default(),
            restated: Vec::new(),
            quoted_groups: 0,
            resolved: Vec::new(),
            joined: Vec::new(),
            text: Vec::new(),
            progress: Progress::default(),
            checked_per_step: CHECKED_PER_STEP_MAX,
            restored: Timestamp::default(),
        }
    }

    /// An empty store that applies pushes unchecked: it may become inconsistent, which [`Store::audit_some`] tells
    /// (SPEC 5.5).
    pub fn unchecked() -> Self {
        Self { is_checked: false, ..Self::new() }
    }

    // ---- the gateway's own metrics ----

    /// Makes a family of the gateway itself known: its kind and help hold against pushes of that name from now on.
    /// With `demands_help`, a push of that name must have the same help (SPEC 6.2, numbers 9 and 10). To be called
    /// before the first push.
    pub fn declare_own(&mut self, name: &str, kind: Kind, help: &str, demands_help: bool) -> FamilyId {
        let id = self.catalog.add_own_family(name, kind, help.as_bytes(), OwnFamily { demands_help });
        assert_eq!(id.0 as usize + 1, self.catalog.families().count(), "own families are the first ones");
        id
    }

    /// Writes the gateway's own lines of a family that it declared; none, and the gateway has no series of it.
    pub fn set_own(&mut self, family: FamilyId, lines: &[u8]) {
        let held = self.catalog.held(Entry { family, group: GroupId::OWN }).is_some();
        match (held, lines.is_empty()) {
            (false, true) => {}
            (true, true) => {
                self.drop_holdings(GroupId::OWN, &[family]);
                self.catalog.share_outline(GroupId::OWN);
            }
            (_, false) => {
                if !held {
                    let kind = self.catalog.family(family).kind;
                    self.catalog.add_holdings(GroupId::OWN, &[(family, kind)]);
                    self.catalog.share_outline(GroupId::OWN);
                }
                let entry = Entry { family, group: GroupId::OWN };
                self.pages.put(&mut self.catalog, entry, EntryText::Shared(lines));
                self.show_header(family);
            }
        }
    }

    // ---- changes ----

    /// Applies a sealed push: all of it, or nothing but the time of the failure; if there is no room for it, nothing. An
    /// unchecked store refuses nothing else but timestamps and metrics that cannot be written as lines. As many steps as
    /// it takes are done at once.
    pub fn push(&mut self, staged: &mut Staged, mode: Mode, at: Timestamp) -> Result<(), Refusal> {
        if let Some(outcome) = self.try_push(staged, mode, at) {
            return outcome;
        }
        self.begin_push(std::mem::take(staged), mode, at);
        loop {
            if let Some(pushed) = self.change_some() {
                let pushed = pushed.expect("it is a push that was begun");
                *staged = pushed.staged;
                return pushed.outcome;
            }
        }
    }

    /// Applies a sealed push if that is no more than one step; `None`, and nothing has changed, if it has to be begun with
    /// [`Store::begin_push`]. Not to be called for a push that [`Store::must_wait`].
    pub fn try_push(&mut self, staged: &mut Staged, mode: Mode, at: Timestamp) -> Option<Result<(), Refusal>> {
        if self.is_long(staged, mode) {
            return None;
        }
        let found = self.catalog.find_group(staged.key());
        if let Err(reached) = self.check_room(found, staged, mode) {
            return Some(Err(Refusal::NoRoom(reached)));
        }
        let group = match found.map_or_else(|| self.add_group(staged, at), Ok) {
            Ok(group) => group,
            Err(refusal) => return Some(Err(refusal)),
        };
        if staged.has_timestamp() {
            if staged.has_quoted_names() {
                self.set_quoted_names(group, true);
            }
            return Some(Err(self.refuse(group, staged, at, Refusal::Timestamps)));
        }
        self.resolve(staged);
        self.warm(group);
        let resolved = std::mem::take(&mut self.resolved);
        let verdict = if self.is_checked {
            self.check(group, staged, &resolved, mode)
        } else {
            Some(Ok(staged.unwritable().cloned().unwrap_or_default()))
        };
        if staged.has_quoted_names() && matches!(verdict, Some(Ok(_))) {
            self.set_quoted_names(group, true);
        }
        let outcome = match verdict {
            Some(Ok(problems)) if problems.is_empty() => {
                self.apply(group, staged, &resolved, mode, at);
                Some(Ok(()))
            }
            refused => {
                for resolved in &resolved {
                    self.drop_family_if_unused(resolved.id);
                }
                if found.is_none() && !matches!(refused, Some(Ok(_))) {
                    self.remove_group(group);
                }
                refused.map(|refused| match refused {
                    Ok(problems) => Err(self.refuse(group, staged, at, Refusal::Inconsistent(problems))),
                    Err(reached) => Err(Refusal::NoRoom(reached)),
                })
            }
        };
        self.resolved = resolved;
        outcome
    }

    /// Everything that is wrong with a push; `None` if it takes more than a step to find out.
    fn check(
        &mut self,
        group: GroupId,
        staged: &mut Staged,
        resolved: &[Resolved],
        mode: Mode,
    ) -> Option<Result<Problems, Reached>> {
        let Self { catalog, pages, progress, limits, restored, checked_per_step, .. } = self;
        let (restored, is_claimed) = (*restored, false);
        let mut check = Check { catalog, pages, staged, resolved, is_claimed, group, mode, restored, limits };
        progress.begin(check.staged);
        match check.some(progress, &mut { *checked_per_step }) {
            Ok(true) => Some(Ok(progress.take_problems())),
            Ok(false) => {
                progress.end();
                None
            }
            Err(reached) => Some(Err(reached)),
        }
    }

    /// Gives up the compressed form of long families of a group that is about to be replaced by as much: so old and new
    /// text stand beside each other for a while, but not that as well. Those of a large group are too many to be looked at.
    pub fn forget_compressed(&mut self, key: &GroupKey) {
        let Some(group) = self.catalog.find_group(key).filter(|group| !self.catalog.is_large(*group)) else { return };
        for held in self.catalog.holdings(group) {
            if held.home.is_some() {
                self.pages.forget_compressed(&self.catalog, Entry { family: held.family, group });
            }
        }
    }

    /// Removes a group; whether there was one.
    pub fn delete(&mut self, key: &GroupKey) -> bool {
        let Some(group) = self.catalog.find_group(key) else { return false };
        self.remove_group(group);
        true
    }

    /// Removes a group with all that it still holds.
    fn remove_group(&mut self, group: GroupId) {
        let families: Vec<_> = self.catalog.holdings(group).map(|held| held.family).collect();
        self.drop_holdings(group, &families);
        self.set_quoted_names(group, false);
        self.catalog.remove_group(group);
    }

    /// The groups of which more is shown than when they were pushed, since others have changed: what a snapshot of them
    /// tells is another one now. Each is told once.
    pub fn restated(&mut self) -> impl Iterator<Item = GroupKey> {
        self.restated.drain(..)
    }

    // ---- reading ----

    /// Whether pushes are checked before they are applied.
    pub fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// How much there is of the exposition. Looks at every page, at none of its text.
    pub fn size(&self) -> Size {
        self.pages.size()
    }

    /// Takes the whole exposition as it is now; `into` is reused.
    pub fn snapshot(&self, into: &mut Snapshot) {
        self.pages.snapshot(into);
        self.details.keep(&mut into.details);
    }

    /// The length of the exposition, bytes.
    pub fn bytes(&self) -> u64 {
        self.pages.bytes()
    }

    /// What readers hold of text that is stored no more, bytes.
    pub fn replaced_bytes(&self) -> usize {
        self.pages.replaced().bytes()
    }

    /// Whether names in the exposition may be quoted; if not, it is the same in every escaping (SPEC 7.6).
    pub fn has_quoted_names(&self) -> bool {
        self.quoted_groups > 0
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.catalog.group_count()
    }

    /// The first group whose id is not below `from`. Ids stay while groups do, so that a reader that goes on from the
    /// id after the last one sees every group that is there all the while.
    pub fn group_from(&self, from: GroupId) -> Option<GroupView<'_>> {
        let (id, _) = self.catalog.groups_from(from.max(GroupId(1))).next()?;
        Some(GroupView::new(self, id))
    }

    /// The group of these labels.
    pub fn group(&self, key: &GroupKey) -> Option<GroupView<'_>> {
        self.catalog.find_group(key).map(|id| GroupView::new(self, id))
    }

    /// The groups after one of this key, which need not be there any more, in the order of their keys, which is that of the
    /// exposition; all of them if there is none.
    pub fn groups_after(&self, key: Option<&GroupKey>) -> impl Iterator<Item = GroupView<'_>> {
        let groups = self.pages.groups_after(&self.catalog, FamilyId::PUSH_TIME, key);
        groups.map(|id| GroupView::new(self, id))
    }

    /// Makes groups of more than so many families large, push times included: many more than usual in a test.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn set_outline_families_max(&mut self, max: usize) {
        self.catalog.outline_families_max = max;
    }

    /// Deals with so many families in one step of a long change.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn set_changed_per_step(&mut self, families: usize) {
        self.changed_per_step = families;
    }

    /// Panics if any invariant does not hold.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn verify(&self) {
        use memchr::memchr_iter;
        self.pages.verify(&self.catalog);
        let lines = |entry| self.pages.text(&self.catalog, entry).map(|piece| memchr_iter(b'\n', piece).count()).sum();
        self.catalog.verify_counts(lines);
        self.details.verify(&self.catalog, |entry, kind| self.label_sets(entry, kind));
    }

    /// The label sets of the metrics of an entry, in order, without `le` and `quantile`.
    #[cfg(any(test, feature = "fuzz"))]
    fn label_sets(&self, entry: Entry, kind: Kind) -> Vec<Vec<u8>> {
        if self.catalog.home(entry).is_none() {
            return Vec::new();
        }
        let name = &self.catalog.family(entry.family).name;
        let lines = line::metric_lines(self.pages.text(&self.catalog, entry), name, kind);
        lines.map(|(_, labels)| labels.to_vec()).collect()
    }

    // ---- groups ----

    /// Creates the group of a push.
    fn add_group(&mut self, staged: &Staged, at: Timestamp) -> Result<GroupId, Refusal> {
        if self.is_checked && staged.key().instance_twin().is_some_and(|twin| self.catalog.find_group(&twin).is_some())
        {
            let mut problems = Problems::default();
            let name = staged::RESERVED_NAMES[FamilyId::PUSH_TIME.0 as usize];
            problems.add_with(|| problem::Problem::duplicate(name, Kind::Gauge, staged.group_labels()));
            return Err(Refusal::Twin(problems));
        }
        let group = self.catalog.add_group(staged.key().clone(), at);
        let times = [FamilyId::PUSH_TIME, FamilyId::FAILURE_TIME];
        self.catalog.add_holdings(group, &times.map(|family| (family, Kind::Gauge)));
        for family in times {
            self.write_time(group, family, staged.group_labels(), Timestamp::default());
        }
        self.mark_times();
        Ok(group)
    }

    fn set_quoted_names(&mut self, group: GroupId, has_quoted_names: bool) {
        match (self.catalog.set_quoted_names(group, has_quoted_names), has_quoted_names) {
            (false, true) => self.quoted_groups += 1,
            (true, false) => self.quoted_groups -= 1,
            _ => {}
        }
    }

    /// Notes when and why a push to the group was refused.
    fn refuse(&mut self, group: GroupId, staged: &Staged, at: Timestamp, refusal: Refusal) -> Refusal {
        self.catalog.note_refusal(group, refusal.reason(), at);
        self.write_time(group, FamilyId::FAILURE_TIME, staged.group_labels(), at);
        self.catalog.share_outline(group);
        refusal
    }

    fn write_time(&mut self, group: GroupId, family: FamilyId, labels: &[u8], value: Timestamp) {
        self.text.clear();
        self.text.extend_from_slice(staged::RESERVED_NAMES[family.0 as usize].as_bytes());
        self.text.push(b'{');
        self.text.extend_from_slice(labels);
        self.text.extend_from_slice(b"} ");
        number::write(&mut self.text, value.seconds());
        self.text.push(b'\n');
        let entry = Entry { family, group };
        let content = Content { kind: Kind::Gauge, metrics: 1, lines: 1 };
        // The push times are the first families, and what every group holds.
        let held = self.catalog.holding_near(entry, family.0 as usize);
        let (held, home) = held.expect("every group has its push times");
        if held.content != content {
            self.catalog.set_content(entry, content);
        }
        self.pages.put_at(&mut self.catalog, entry, home, EntryText::Shared(&self.text));
        self.mark_values(family);
        self.show_header_if_new(family);
    }

    // ---- applying a push ----

    /// Finds the families of a push, creating those that are new, so that each has an id to be checked by.
    fn resolve(&mut self, staged: &Staged) {
        self.resolved.clear();
        for (ix, family) in staged.families() {
            let name = staged.name(ix);
            let found = self.catalog.find_family(name);
            let id = found.unwrap_or_else(|| self.catalog.add_family(name, family.kind()));
            self.resolved.push(Resolved { id, ix });
        }
        self.resolved.sort_unstable_by_key(|resolved| resolved.id);
    }

    /// Fetches what the push at hand will write over; see [`Pages::warm`].
    fn warm(&self, group: GroupId) {
        let places = &self.catalog.group(group).places;
        let outline = self.catalog.outline(group);
        let pushed = hinted(&self.resolved).filter_map(|(resolved, hint)| outline.position_near(resolved.id, hint));
        self.pages.warm(pushed.chain([0]).filter_map(|at| places.get(at)?.home()));
    }

    fn apply(&mut self, group: GroupId, staged: &mut Staged, resolved: &[Resolved], mode: Mode, at: Timestamp) {
        if mode == Mode::Replace {
            self.set_quoted_names(group, staged.has_quoted_names());
        }
        let families = resolved.iter().map(|resolved| resolved.id);
        if !self.catalog.is_all_held(group, families.clone()) {
            if mode == Mode::Replace {
                self.drop_unnamed(group, resolved);
            }
            self.add_new(group, staged, resolved);
        }
        for (resolved, hint) in hinted(resolved) {
            self.apply_family(group, staged, resolved, hint);
        }
        self.enter_notes(group, staged, resolved);
        self.enter_details(group, staged, resolved);
        self.note_body(group, staged, resolved);
        self.catalog.note_push(group, families, at);
        self.write_time(group, FamilyId::PUSH_TIME, staged.group_labels(), at);
        self.catalog.share_outline(group);
    }

    /// Removes what the group holds beyond the families of a push.
    fn drop_unnamed(&mut self, group: GroupId, resolved: &[Resolved]) {
        let is_named = |family: FamilyId| {
            family <= FamilyId::FAILURE_TIME || resolved.binary_search_by_key(&family, |resolved| resolved.id).is_ok()
        };
        let held = self.catalog.holdings(group);
        let gone: Vec<_> = held.map(|held| held.family).filter(|family| !is_named(*family)).collect();
        if !gone.is_empty() {
            self.drop_holdings(group, &gone);
        }
    }

    /// Adds the families of a push that the group does not hold yet.
    fn add_new(&mut self, group: GroupId, staged: &Staged, resolved: &[Resolved]) {
        let is_new = |family| self.catalog.held(Entry { family, group }).is_none();
        let new = resolved.iter().filter(|resolved| is_new(resolved.id));
        let new: Vec<_> = new.map(|resolved| (resolved.id, staged.pushed(resolved.ix).kind())).collect();
        if !new.is_empty() {
            self.catalog.add_holdings(group, &new);
        }
    }

    fn apply_family(&mut self, group: GroupId, staged: &mut Staged, Resolved { id, ix }: Resolved, hint: usize) {
        let entry = Entry { family: id, group };
        let pushed = staged.pushed(ix);
        let content = Content { kind: pushed.kind(), metrics: pushed.metrics(), lines: pushed.lines() };
        if pushed.is_empty() {
            self.mark(id);
            return self.write_empty(entry, content.kind, staged.help(ix));
        }
        let (held, home) = self.catalog.holding_near(entry, hint).expect("only families that are held are changed");
        let help = staged.help(ix);
        // As nearly always.
        let is_known = home.is_some() && held.content == content && held.help.as_ref().map(Help::text) == help;
        let header_changes = !is_known && self.note_family(entry, content, help);
        let mut joined = std::mem::take(&mut self.joined);
        let text = staged.take_text(ix, &mut joined);
        let keeps_series =
            !self.is_checked && is_known && matches!(text, EntryText::Shared(text) if self.keeps_series(entry, text));
        if keeps_series {
            self.mark_values(id);
        } else {
            self.mark(id);
        }
        if is_known {
            self.pages.put_at(&mut self.catalog, entry, home, text);
        } else {
            self.write_family(entry, text, header_changes);
        }
        self.joined = joined;
    }

    /// Takes note of the lines and the help of a family that a group holds; whether its header has to change.
    fn note_family(&mut self, entry: Entry, content: Content, help: Option<&[u8]>) -> bool {
        let help_changes = self.update_help(entry, help);
        self.catalog.set_content(entry, content) || help_changes
    }

    /// Writes the lines of a family that a group holds.
    fn write_family(&mut self, entry: Entry, text: EntryText<'_>, header_changes: bool) {
        self.pages.put(&mut self.catalog, entry, text);
        if header_changes {
            self.show_header(entry.family);
        } else {
            self.show_header_if_new(entry.family);
        }
    }

    /// A family without metrics: held, but nothing of it is shown (SPEC 4.3).
    fn write_empty(&mut self, entry: Entry, kind: Kind, help: Option<&[u8]>) {
        let kind_changes = self.catalog.set_content(entry, Content { kind, metrics: 0, lines: 0 });
        self.catalog.set_help(entry, help.map(|help| self.catalog.help(help)));
        if self.catalog.home(entry).is_some() {
            self.pages.remove(&mut self.catalog, entry);
        }
        self.repair_header(entry.family, kind_changes);
    }

    /// Puts the details of the pushed families in the place of those that they had.
    fn enter_details(&mut self, group: GroupId, staged: &Staged, resolved: &[Resolved]) {
        let kind = |ix| staged.pushed(ix).kind();
        let is_any_new = || !staged.details.is_empty() || resolved.iter().any(|r| kind(r.ix) == Kind::GaugeHistogram);
        if self.details.is_empty() && !is_any_new() {
            return;
        }
        for Resolved { id, ix } in resolved {
            let new = (&staged.details, *ix, kind(*ix));
            self.details.replace(&self.catalog, Entry { family: *id, group }, new, self.pages.replaced());
        }
    }

    /// Replaces the notes on the lines of the pushed families.
    fn enter_notes(&mut self, group: GroupId, staged: &Staged, resolved: &[Resolved]) {
        if self.notes.is_empty() && !staged.has_notes() {
            return;
        }
        for Resolved { id, ix } in resolved {
            let (entry, notes) = (Entry { family: *id, group }, staged.notes(*ix));
            if notes.is_empty() {
                self.notes.remove(&entry);
            } else {
                self.notes.insert(entry, notes.into());
            }
        }
    }

    // ---- holdings ----

    /// Removes these families, sorted, from a group that holds them all.
    fn drop_holdings(&mut self, group: GroupId, families: &[FamilyId]) {
        // Bodies tend to be in order, so the last entries are at the ends of pages, where nothing has to move.
        for family in families.iter().rev() {
            self.mark(*family);
            self.drop_entry(Entry { family: *family, group });
        }
        self.catalog.drop_holdings(group, families);
        for family in families {
            let held = self.catalog.family_mut(*family);
            let kind_changes = held.holders > 0 && held.repair_kind();
            self.repair_header(*family, kind_changes);
            self.drop_family_if_unused(*family);
        }
    }

    /// Removes what there is of an entry, but not from what the group holds.
    fn drop_entry(&mut self, entry: Entry) {
        if self.catalog.home(entry).is_some() {
            self.pages.remove(&mut self.catalog, entry);
        }
        if !self.notes.is_empty() {
            self.notes.remove(&entry);
        }
        if !self.details.is_empty() {
            self.details.remove(&self.catalog, entry, self.pages.replaced());
        }
    }

    fn drop_family_if_unused(&mut self, id: FamilyId) {
        let family = self.catalog.family(id);
        if family.holders == 0 && family.own.is_none() && family.claim == UNCLAIMED {
            self.unmark(id);
            self.catalog.remove_family(id);
        }
    }
}

/// The families of a push, and where in the group's outline to look for each first: nearly always the push times come
/// first and then all that was pushed, in the same order.
fn hinted(resolved: &[Resolved]) -> impl Iterator<Item = (Resolved, usize)> {
    resolved.iter().copied().zip(2..)
}
