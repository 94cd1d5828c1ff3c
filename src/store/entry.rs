//! What the store is made of, by name: the typed ids of groups, families and pages, and the entries that pages hold.

/// A group, by its place in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The gateway itself: the group of its own metrics, first in every family.
    pub const OWN: Self = Self(0);
    /// In the place of a group, the header (`# HELP`, `# TYPE`) of a family.
    pub const HEADER: Self = Self(u32::MAX);
}

/// A family, by its place in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyId(pub u32);

impl FamilyId {
    /// `push_time_seconds`, which every group has.
    pub const PUSH_TIME: Self = Self(0);
    /// `push_failure_time_seconds`, which every group has.
    pub const FAILURE_TIME: Self = Self(1);
}

/// A page, by its place in the arena of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageId(pub u32);

/// A piece of the exposition that is written and moved as a whole: the lines of one family in one group, or the
/// header of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The family.
    pub family: FamilyId,
    /// The group, or [`GroupId::HEADER`].
    pub group: GroupId,
}

impl Entry {
    /// The header of a family.
    pub const fn header(family: FamilyId) -> Self {
        Self { family, group: GroupId::HEADER }
    }
}

/// Where an entry stands: its page and its slot there. The slot is a hint that may have gone stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The page, or the first page of a run.
    pub page: PageId,
    /// The slot, unless entries before it came or went.
    pub slot: u16,
}

/// The finished text of an entry on its way into the pages.
#[derive(Debug)]
pub enum EntryText<'a> {
    /// Whole lines that share a page if they are short enough.
    Shared(&'a [u8]),
    /// Whole lines, already cut into pages of their own.
    Run(Vec<Vec<u8>>),
}
