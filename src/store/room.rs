//! Room: how much is stored, and whether a push fits into what may be stored.
//!
//! What is stored is counted where it changes, so that this costs no walk. A push is measured against the room that is
//! left as if nothing went when it comes; only where that is too little is it found out what it replaces.

use std::ops::{Add, AddAssign};

use super::entry::{Entry, FamilyId, GroupId};
use super::holdings::{Holding, help_bytes};
use super::staged::Staged;
use super::{Mode, Store};
use crate::limits::{
    FAMILY_BYTES, GROUP_BYTES, HOLDING_BYTES, Limit, Limits, PAGE_BYTES, PREFIX_BYTES, Reached, SHAPE_NAME_BYTES,
    STORE_SLACK,
};
use crate::model::order;
use crate::model::sample::FamilyIx;

/// What a family's header adds to its name and help, and a push time to the labels of its group, bytes.
const HEADER_BYTES: u64 = 40;
const TIME_BYTES: u64 = 64;

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Groups.
    pub groups: u64,
    /// Sets of names that groups' labels have.
    pub shapes: u64,
    /// Series as a scrape shows them, the push times included and the gateway's own left out, and native buckets and spans.
    pub series: u64,
    /// The exposition and what is kept beside it, bytes.
    pub bytes: u64,
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            groups: self.groups + other.groups,
            shapes: self.shapes + other.shapes,
            series: self.series + other.series,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Store {
    /// Bounds what is stored from now on. What is stored already stays, even if it is more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The bounds of what is stored.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How much is stored.
    pub fn usage(&self) -> Usage {
        Usage {
            groups: self.catalog.group_count() as u64,
            shapes: self.catalog.shape_count() as u64,
            series: self.catalog.series() + self.details.series(),
            bytes: self.pages.bytes() + self.details.bytes() + self.catalog.bytes(),
        }
    }

    /// The bound that leaves no room for anything new, if there is one.
    pub fn full(&self) -> Option<Reached> {
        let Usage { groups, series, bytes, .. } = self.usage();
        let limits = &self.limits;
        let bytes_most = limits.most(Limit::StoreBytes);
        // Bytes are never used up to the last: room for less than a page is none.
        let slack = (PAGE_BYTES as u64).min(bytes_most / STORE_SLACK);
        let is_full = |limit: &Limit| match limit {
            Limit::Groups => groups >= limits.most(Limit::Groups),
            Limit::Series => series >= limits.most(Limit::Series),
            _ => bytes.saturating_add(slack) >= bytes_most,
        };
        [Limit::Groups, Limit::Series, Limit::StoreBytes].into_iter().find(is_full).map(|limit| limits.reached(limit))
    }

    /// Whether a push to a group, if it is there, fits.
    ///
    /// # Errors
    /// The bound that it would exceed. A push that makes nothing more exceeds none.
    pub(super) fn check_room(&self, group: Option<GroupId>, staged: &Staged, mode: Mode) -> Result<(), Reached> {
        let beside = self.added_beside(group, staged);
        self.check_groups(beside)?;
        if self.check_sizes(self.added(staged, false) + beside, Usage::default()).is_ok() {
            return Ok(());
        }
        let gone = group.map_or_else(Usage::default, |group| self.replaced(group, staged, mode));
        self.check_sizes(self.added(staged, true) + beside, gone)
    }

    /// Whether there is room for what a push brings beside its families.
    pub(super) fn check_groups(&self, added: Usage) -> Result<(), Reached> {
        let used = self.usage();
        self.limits.check([
            (Limit::Groups, added.groups.saturating_mul(used.groups + 1)),
            (Limit::GroupingNames, added.shapes.saturating_mul(used.shapes + 1)),
        ])
    }

    /// Whether there is room for all that a push brings, as so much goes.
    pub(super) fn check_sizes(&self, added: Usage, gone: Usage) -> Result<(), Reached> {
        let used = self.usage();
        let after = |used: u64, added: u64, gone: u64| if added > gone { used + added - gone } else { 0 };
        self.limits.check([
            (Limit::Series, after(used.series, added.series, gone.series)),
            (Limit::StoreBytes, after(used.bytes, added.bytes, gone.bytes)),
        ])
    }

    /// What a push brings beside its families: a group that is not there yet, and details.
    pub(super) fn added_beside(&self, group: Option<GroupId>, staged: &Staged) -> Usage {
        let mut added = Usage { bytes: staged.details.size(), ..Usage::default() };
        if group.is_none() {
            let labels = staged.group_labels().len() as u64;
            added.groups = 1;
            added.series = 2;
            added.bytes += GROUP_BYTES + staged.key().as_bytes().len() as u64;
            added.bytes += 2 * (HOLDING_BYTES + labels + TIME_BYTES);
            let names = staged.key().labels().count() as u64;
            added.bytes += names * PREFIX_BYTES;
            if !self.catalog.has_shape(staged.key()) {
                added.shapes = 1;
                added.bytes += names * SHAPE_NAME_BYTES;
            }
        }
        added
    }

    /// What the families of a push bring, at most; those that are there already are only looked up for an exact answer.
    fn added(&self, staged: &Staged, is_exact: bool) -> Usage {
        let is_known = |ix| is_exact && self.catalog.find_family(staged.name(ix)).is_some();
        staged.families().map(|(ix, _)| self.added_family(staged, ix, is_known(ix))).fold(Usage::default(), Add::add)
    }

    /// What a family of a push brings; with `is_known`, it is there already.
    pub(super) fn added_family(&self, staged: &Staged, ix: FamilyIx, is_known: bool) -> Usage {
        let family = staged.pushed(ix);
        let (name, help) = family.word_lens();
        let series = u64::from(family.lines()) + staged.details.series_of(ix);
        let mut bytes = family.text_len() + HOLDING_BYTES + help + staged.details.block_size(ix, family.kind());
        if !is_known {
            bytes += FAMILY_BYTES + HEADER_BYTES + 3 * name + help;
        }
        Usage { series, bytes, ..Usage::default() }
    }

    /// What goes when a push comes to a group, at least.
    fn replaced(&self, group: GroupId, staged: &Staged, mode: Mode) -> Usage {
        let mut named: Vec<_> =
            staged.families().filter_map(|(ix, _)| self.catalog.find_family(staged.name(ix))).collect();
        order::sort_by_key(&mut named, |family| *family);
        let holdings = self.catalog.holdings(group).filter(|held| held.family > FamilyId::FAILURE_TIME);
        let mut gone = Usage::default();
        for held in holdings {
            let is_named = named.binary_search(&held.family).is_ok();
            if is_named || mode == Mode::Replace {
                gone += self.gone_family(group, held, is_named);
            }
        }
        gone
    }

    /// What goes of what a group holds of a family, at least; with `is_named`, it is pushed anew.
    pub(super) fn gone_family(&self, group: GroupId, held: Holding<'_>, is_named: bool) -> Usage {
        let entry = Entry { family: held.family, group };
        let series = u64::from(held.content.lines) + self.details.series_of(entry);
        let mut bytes = self.held_bytes(group, held);
        if !is_named && self.catalog.family(held.family).holders == 1 {
            bytes += self.family_bytes(held.family);
        }
        Usage { series, bytes, ..Usage::default() }
    }

    /// What a group's part of a family is counted with, bytes.
    fn held_bytes(&self, group: GroupId, held: Holding<'_>) -> u64 {
        let entry = Entry { family: held.family, group };
        let text: usize = match held.home {
            Some(_) => self.pages.text(&self.catalog, entry).map(<[u8]>::len).sum(),
            None => 0,
        };
        HOLDING_BYTES + text as u64 + help_bytes(held.help.as_ref()) + self.details.bytes_of(entry)
    }

    /// What a family is counted with that goes with its last holder, bytes.
    fn family_bytes(&self, id: FamilyId) -> u64 {
        let family = self.catalog.family(id);
        let header = family.header.map(|_| self.pages.text(&self.catalog, Entry::header(id)).map(<[u8]>::len).sum());
        if family.own.is_some() {
            return 0;
        }
        FAMILY_BYTES + family.name.len() as u64 + header.unwrap_or(0usize) as u64
    }
}
