//! The catalog: which groups and families there are, what each group holds, and where it stands.
//!
//! Knows the order of entries but no text: the text is in the pages.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;

use super::entry::{Entry, FamilyId, GroupId, Home};
use super::holdings::{Place, Rare};
use super::key::GroupKey;
use super::outline::{Help, Known, OutlineId, Outlines};
use super::prefixes::Prefixes;
use crate::limits::{
    FAMILY_BYTES, GROUP_BYTES, HOLDING_BYTES, OUTLINE_SHARED_FAMILIES_MAX, PREFIX_BYTES, SHAPE_NAME_BYTES,
};
use crate::model::sample::{BodyShape, Kind};
use crate::model::table::Table;
use crate::model::time::Timestamp;

/// A set of grouping label names; groups of one shape can never hold the same series (ARCHITECTURE.md, "The check").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShapeId(pub u32);

/// What is known of one group. There may be a million of them: what is the same for many stands elsewhere.
#[derive(Debug)]
pub struct Group {
    /// Its labels.
    pub key: GroupKey,
    /// The names of its labels.
    pub shape: ShapeId,
    /// What it holds.
    pub(super) outline: OutlineId,
    /// Where the entries of that stand, in its order.
    pub(super) places: Box<[Place]>,
    /// Time of the last accepted push, zero if there was none.
    pub pushed: Timestamp,
    /// Time of the first push, accepted or not.
    pub(super) created: Timestamp,
    /// That of the body that says what it holds, all of it but the values, if there is one and it is known.
    pub(super) body: Option<BodyShape>,
    /// Boxed, as few groups have any of it.
    pub(super) rare: Option<Box<Rare>>,
}

/// The claim of a family that no long push is making something of.
pub const UNCLAIMED: u32 = u32::MAX;

/// What is known of one family.
#[derive(Debug)]
pub struct Family {
    /// Its name, unescaped. Shared with readers that take their time.
    pub name: Rc<str>,
    /// The kind shown: the gateway's own, else that of one of the groups. Checked pushes keep it the same in all.
    pub kind: Kind,
    /// The kinds that groups hold it with, each with their number; the gateway is not counted.
    pub kinds: SmallVec<[(Kind, u32); 1]>,
    /// The help text shown: the gateway's own, else that of one of the groups that have one.
    pub help: Option<Help>,
    /// Groups that hold it, the gateway included.
    pub holders: u32,
    /// Those of them that have metrics, so that an entry of them stands in the pages.
    pub shown: u32,
    /// The shapes of those groups, each with their number; the gateway is not counted.
    pub shapes: SmallVec<[(ShapeId, u32); 1]>,
    /// Where its header stands; `None` while nothing is shown of it.
    pub header: Option<Home>,
    /// The place of this family among those of the long push on its way that claims it, or [`UNCLAIMED`].
    pub claim: u32,
    /// Set for families of the gateway itself: they stay when nobody holds them.
    pub own: Option<OwnFamily>,
}

/// How a family of the gateway itself treats pushes of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnFamily {
    /// Whether a push must have the same help text (SPEC 6.2, number 10); otherwise the pushed one is ignored.
    pub demands_help: bool,
}

#[derive(Debug)]
struct Shape {
    /// How many names there are.
    names: usize,
    /// The names in one piece, each ended by a byte that no name holds.
    joined: Box<[u8]>,
    groups: u32,
}

/// Groups, families and shapes.
#[derive(Debug)]
pub struct Catalog {
    pub(super) groups: Slab<Group>,
    groups_by_key: Table<GroupId>,
    families: Slab<Family>,
    families_by_name: Table<FamilyId>,
    shapes: Slab<Shape>,
    shapes_by_names: HashTable<ShapeId>,
    prefixes: Prefixes,
    pub(super) outlines: Outlines,
    /// A group of more families is large. Lower in tests.
    pub(super) outline_families_max: usize,
    hasher: RandomState,
    /// Lines of all groups, the gateway itself not counted.
    pub(super) series: u64,
    /// What groups, families and holdings are counted with beside their text, bytes; the gateway's are not.
    pub(super) bytes: u64,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            groups: Slab::default(),
            groups_by_key: Table::default(),
            families: Slab::default(),
            families_by_name: Table::default(),
            shapes: Slab::default(),
            shapes_by_names: HashTable::default(),
            prefixes: Prefixes::default(),
            outlines: Outlines::default(),
            outline_families_max: OUTLINE_SHARED_FAMILIES_MAX,
            hasher: RandomState::default(),
            series: 0,
            bytes: 0,
        }
    }
}

impl Family {
    /// Shows the kind of some group, if none has the one that is shown; whether it changes.
    pub fn repair_kind(&mut self) -> bool {
        let is_kept = self.own.is_some() || self.kinds.iter().any(|(kind, _)| *kind == self.kind);
        match self.kinds.first() {
            Some((kind, _)) if !is_kept => {
                self.kind = *kind;
                true
            }
            _ => false,
        }
    }
}

impl Catalog {
    /// Takes it apart, to be freed in steps: groups, outlines and families.
    pub fn into_parts(self) -> (Slab<Group>, Slab<Known>, Slab<Family>) {
        (self.groups, self.outlines.into_parts(), self.families)
    }

    // ---- groups ----

    /// The group.
    pub fn group(&self, id: GroupId) -> &Group {
        &self.groups[id.0 as usize]
    }

    /// The group, to change it.
    pub fn group_mut(&mut self, id: GroupId) -> &mut Group {
        &mut self.groups[id.0 as usize]
    }

    /// Whether there is a group of this id: who holds one for longer may find another group there, or none.
    pub fn has_group(&self, id: GroupId) -> bool {
        self.groups.contains(id.0 as usize)
    }

    /// What the keys of groups begin with.
    pub fn prefixes(&self) -> &Prefixes {
        &self.prefixes
    }

    /// The group of these labels.
    pub fn find_group(&self, key: &GroupKey) -> Option<GroupId> {
        let hash = self.hasher.hash_one(key.as_bytes());
        self.groups_by_key.find(hash, |id| self.group(*id).key == *key).copied()
    }

    /// Adds a group; there must be none of these labels.
    pub fn add_group(&mut self, key: GroupKey, created: Timestamp) -> GroupId {
        let shape = self.enter_shape(&key);
        self.bytes += group_bytes(&key);
        self.change_prefixes(|prefixes| prefixes.enter(&key));
        let hash = self.hasher.hash_one(key.as_bytes());
        let (outline, places, pushed, rare) = (self.outlines.empty(), Box::default(), Timestamp::default(), None);
        let group = Group { key, shape, outline, places, pushed, created, body: None, rare };
        let id = GroupId(self.groups.insert(group) as u32);
        let (groups, hasher) = (&self.groups, &self.hasher);
        self.groups_by_key.insert_unique(hash, id, |id| hasher.hash_one(groups[id.0 as usize].key.as_bytes()));
        id
    }

    /// Forgets a group that holds nothing any more.
    pub fn remove_group(&mut self, id: GroupId) {
        let group = self.groups.remove(id.0 as usize);
        assert!(group.places.is_empty() && !group.is_large(), "a group is emptied before it is forgotten");
        self.outlines.leave(group.outline);
        let hash = self.hasher.hash_one(group.key.as_bytes());
        match self.groups_by_key.find_entry(hash, |found| *found == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every group is found by its key"),
        }
        self.leave_shape(group.shape);
        self.bytes -= group_bytes(&group.key);
        self.change_prefixes(|prefixes| prefixes.leave(&group.key));
    }

    fn change_prefixes(&mut self, change: impl FnOnce(&mut Prefixes)) {
        let before = self.prefixes.len() as u64;
        change(&mut self.prefixes);
        self.bytes = self.bytes + self.prefixes.len() as u64 * PREFIX_BYTES - before * PREFIX_BYTES;
    }

    /// All groups, the gateway itself included, in the order of their ids from `from` on.
    pub fn groups_from(&self, from: GroupId) -> impl Iterator<Item = (GroupId, &Group)> {
        (from.0 as usize..self.groups.capacity().max(from.0 as usize))
            .filter_map(|at| self.groups.get(at).map(|group| (GroupId(at as u32), group)))
    }

    /// How many groups there are, the gateway itself not counted.
    pub fn group_count(&self) -> usize {
        self.groups.len() - 1
    }

    // ---- how much there is ----

    /// How many lines all groups have, the gateway itself not counted.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// What groups, families and holdings are counted with beside their text, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    // ---- shapes ----

    /// How many there are, that of the gateway itself not counted.
    pub fn shape_count(&self) -> usize {
        self.shapes.len() - 1
    }

    /// Whether some group has the label names of this key.
    pub fn has_shape(&self, key: &GroupKey) -> bool {
        let joined = joined_names(key);
        let hash = self.hasher.hash_one(&*joined);
        self.shapes_by_names.find(hash, |id| *self.shapes[id.0 as usize].joined == *joined).is_some()
    }

    fn enter_shape(&mut self, key: &GroupKey) -> ShapeId {
        let joined = joined_names(key);
        let hash = self.hasher.hash_one(&*joined);
        let found = self.shapes_by_names.find(hash, |id| *self.shapes[id.0 as usize].joined == *joined).copied();
        let id = found.unwrap_or_else(|| {
            let names = key.labels().count();
            self.bytes += names as u64 * SHAPE_NAME_BYTES;
            let shape = Shape { names, joined: joined.into_vec().into(), groups: 0 };
            let id = ShapeId(self.shapes.insert(shape) as u32);
            let (shapes, hasher) = (&self.shapes, &self.hasher);
            self.shapes_by_names.insert_unique(hash, id, |id| hasher.hash_one(&*shapes[id.0 as usize].joined));
            id
        });
        self.shapes[id.0 as usize].groups += 1;
        id
    }

    fn leave_shape(&mut self, id: ShapeId) {
        let shape = &mut self.shapes[id.0 as usize];
        shape.groups -= 1;
        if shape.groups > 0 {
            return;
        }
        let shape = self.shapes.remove(id.0 as usize);
        self.bytes -= shape.names as u64 * SHAPE_NAME_BYTES;
        let hash = self.hasher.hash_one(&*shape.joined);
        match self.shapes_by_names.find_entry(hash, |found| *found == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every shape is found by its names"),
        }
    }

    // ---- families ----

    /// The family.
    pub fn family(&self, id: FamilyId) -> &Family {
        &self.families[id.0 as usize]
    }

    /// The family, to change it.
    pub fn family_mut(&mut self, id: FamilyId) -> &mut Family {
        &mut self.families[id.0 as usize]
    }

    /// The family of this name.
    pub fn find_family(&self, name: &str) -> Option<FamilyId> {
        let hash = self.hasher.hash_one(name);
        self.families_by_name.find(hash, |id| *self.family(*id).name == *name).copied()
    }

    /// Adds a family that nobody holds yet; there must be none of this name.
    pub fn add_family(&mut self, name: &str, kind: Kind) -> FamilyId {
        let hash = self.hasher.hash_one(name);
        self.bytes += family_bytes(name);
        let family = Family {
            name: name.into(),
            kind,
            kinds: SmallVec::new(),
            help: None,
            holders: 0,
            shown: 0,
            shapes: SmallVec::new(),
            header: None,
            claim: UNCLAIMED,
            own: None,
        };
        let id = FamilyId(self.families.insert(family) as u32);
        let (families, hasher) = (&self.families, &self.hasher);
        self.families_by_name.insert_unique(hash, id, |id| hasher.hash_one(&*families[id.0 as usize].name));
        id
    }

    /// Adds a family of the gateway itself.
    pub fn add_own_family(&mut self, name: &str, kind: Kind, help: &[u8], own: OwnFamily) -> FamilyId {
        let id = self.add_family(name, kind);
        let help = self.help(help);
        let family = self.family_mut(id);
        (family.help, family.own) = (Some(help), Some(own));
        id
    }

    /// A help text to be held.
    pub fn help(&self, text: &[u8]) -> Help {
        self.outlines.help(text)
    }

    /// All families, in the order of their ids.
    pub fn families(&self) -> impl Iterator<Item = (FamilyId, &Family)> {
        self.families.iter().map(|(at, family)| (FamilyId(at as u32), family))
    }

    /// Forgets a family that nobody holds.
    pub fn remove_family(&mut self, id: FamilyId) {
        let family = self.families.remove(id.0 as usize);
        assert_eq!(family.holders, 0, "a family is forgotten when nobody holds it");
        self.bytes -= family_bytes(&family.name);
        let hash = self.hasher.hash_one(&*family.name);
        match self.families_by_name.find_entry(hash, |found| *found == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every family is found by its name"),
        }
    }

    /// Notes that `group` holds family `id` with this kind from now on.
    pub(super) fn enter_holder(&mut self, id: FamilyId, group: GroupId, kind: Kind) {
        let shape = self.group(group).shape;
        self.family_mut(id).holders += 1;
        if group == GroupId::OWN {
            return;
        }
        self.bytes += HOLDING_BYTES;
        let family = self.family_mut(id);
        count_in(&mut family.shapes, shape);
        count_in(&mut family.kinds, kind);
    }

    /// Notes that `group` holds family `id`, which it held with this kind, no longer.
    pub(super) fn leave_holder(&mut self, id: FamilyId, group: GroupId, kind: Kind) {
        let shape = self.group(group).shape;
        self.family_mut(id).holders -= 1;
        if group == GroupId::OWN {
            return;
        }
        self.bytes -= HOLDING_BYTES;
        let family = self.family_mut(id);
        count_out(&mut family.shapes, shape);
        count_out(&mut family.kinds, kind);
    }

    /// Notes that a group, not the gateway itself, changes the kind that it holds `family` with; whether the one shown
    /// changes.
    pub(super) fn change_kind(&mut self, family: FamilyId, from: Kind, to: Kind) -> bool {
        let family = self.family_mut(family);
        count_out(&mut family.kinds, from);
        count_in(&mut family.kinds, to);
        family.repair_kind()
    }

    // ---- entries ----

    /// The order of the exposition: families by name, in each the header first, then the groups by key.
    pub fn compare(&self, left: Entry, right: Entry) -> Ordering {
        if left.family != right.family {
            return self.family(left.family).name.cmp(&self.family(right.family).name);
        }
        match (left.group, right.group) {
            (left, right) if left == right => Ordering::Equal,
            (GroupId::HEADER, _) => Ordering::Less,
            (_, GroupId::HEADER) => Ordering::Greater,
            (left, right) => self.group(left).key.cmp(&self.group(right).key),
        }
    }

    /// Where an entry stands by the entry of a family in the group of this key, whether or not there is such a group.
    pub fn compare_key(&self, left: Entry, family: FamilyId, key: &GroupKey) -> Ordering {
        match (left.family == family, left.group) {
            (false, _) => self.family(left.family).name.cmp(&self.family(family).name),
            (true, GroupId::HEADER) => Ordering::Less,
            (true, group) => self.group(group).key.cmp(key),
        }
    }

    /// Whether the gateway itself writes an entry at every scrape, or it heads such entries. The push times do not
    /// count: they change with pushes only.
    pub fn is_own(&self, entry: Entry) -> bool {
        match entry.group {
            GroupId::OWN => true,
            GroupId::HEADER => entry.family > FamilyId::FAILURE_TIME && self.family(entry.family).own.is_some(),
            _ => false,
        }
    }

    /// Where an entry stands.
    pub fn home(&self, entry: Entry) -> Option<Home> {
        if entry.group == GroupId::HEADER { self.family(entry.family).header } else { self.place(entry) }
    }

    /// Notes where an entry stands from now on.
    pub fn set_home(&mut self, entry: Entry, home: Option<Home>) {
        if entry.group == GroupId::HEADER {
            self.family_mut(entry.family).header = home;
        } else {
            self.set_place(entry, home);
        }
    }
}

/// The names in one piece, each ended by a byte that no name holds.
fn joined_names(key: &GroupKey) -> SmallVec<[u8; 32]> {
    let mut joined = SmallVec::new();
    for (name, _) in key.labels() {
        joined.extend_from_slice(name.as_bytes());
        joined.push(0xff);
    }
    joined
}

fn group_bytes(key: &GroupKey) -> u64 {
    GROUP_BYTES + key.as_bytes().len() as u64
}

fn family_bytes(name: &str) -> u64 {
    FAMILY_BYTES + name.len() as u64
}

fn count_in<T: PartialEq + Copy>(counts: &mut SmallVec<[(T, u32); 1]>, what: T) {
    match counts.iter_mut().find(|(found, _)| *found == what) {
        Some((_, count)) => *count += 1,
        None => counts.push((what, 1)),
    }
}

fn count_out<T: PartialEq + Copy>(counts: &mut SmallVec<[(T, u32); 1]>, what: T) {
    let at = counts.iter().position(|(found, _)| *found == what).expect("what goes was counted when it came");
    counts[at].1 -= 1;
    if counts[at].1 == 0 {
        counts.swap_remove(at);
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Catalog {
    /// Panics if something was counted wrong, or groups hold the same without sharing it. `lines` gives the lines of an entry in pieces.
    pub fn verify_counts(&self, mut lines: impl FnMut(Entry) -> usize) {
        let (mut series, mut bytes) = (0, 0);
        for (group, known) in self.groups_from(GroupId::OWN) {
            bytes += group_bytes(&known.key);
            assert_eq!(known.places.len(), self.outline(group).held.len());
            assert_eq!(known.is_large(), self.holding_count(group) > self.outline_families_max);
            for held in self.holdings(group).filter(|_| group != GroupId::OWN) {
                let counted = held.home.map_or(0, |_| lines(Entry { family: held.family, group }));
                assert_eq!(held.content.lines as usize, counted, "lines of {}", self.family(held.family).name);
                series += u64::from(held.content.lines);
                bytes += HOLDING_BYTES + super::holdings::help_bytes(held.help.as_ref());
            }
        }
        bytes += self.families().map(|(_, family)| family_bytes(&family.name)).sum::<u64>();
        bytes += self.shapes.iter().map(|(_, shape)| shape.names as u64 * SHAPE_NAME_BYTES).sum::<u64>();
        bytes += self.prefixes.len() as u64 * PREFIX_BYTES;
        assert_eq!((self.series, self.bytes), (series, bytes));
        self.prefixes.verify(self.groups.iter().map(|(_, group)| &group.key));
        self.outlines.verify(self.groups.iter().map(|(_, group)| group.outline));
    }
}
