//! Long answers, most of them JSON, written while they are sent: never much more than a client takes.
//!
//! Each group is shown as it was when its turn came, or, if it is of very many families, each of these: the text is held
//! alive until it is written, so that a push or a deletion meanwhile neither tears it nor waits for it. Does not know how a
//! metric looks in JSON.

use super::super::json::write_key;
use super::families::{Families, Next};
use super::family::{FamilyJson, LINES_PER_STEP};
use super::list::{Facts, GroupList, Measure};
use super::write_object;
use crate::limits::JSON_AHEAD_BYTES;
use crate::model::escape::write_header;
use crate::model::name::Names;
use crate::store::{FamilyView, GroupId, GroupView, Store};

/// A body that is written while it is sent.
#[derive(Debug)]
pub enum JsonBody {
    /// That of `/api/v1/metrics`.
    Groups(GroupsJson),
    /// That of `/api/v1/groups/<path>`.
    Group(OneGroupJson),
    /// That of `/api/v1/groups/<path>` as text.
    GroupText(OneGroupText),
    /// That of `/api/v1/groups`.
    List(GroupList),
}

impl JsonBody {
    /// Writes the next piece, some [`JSON_AHEAD_BYTES`] long or less, if that is a step's work; whether there is more to
    /// come.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        let left = &mut { LINES_PER_STEP };
        match self {
            JsonBody::Groups(groups) => groups.write(store, out, left),
            JsonBody::Group(group) => group.write(store, out, left),
            JsonBody::GroupText(group) => group.write(store, out, left),
            JsonBody::List(list) => list.write(store, out, left),
        }
    }

    /// Whether nothing can be written before a long change is over: that of the group that comes next.
    pub fn waits(&self, store: &Store) -> bool {
        match self {
            JsonBody::Groups(groups) => groups.waits(store),
            JsonBody::Group(_) | JsonBody::GroupText(_) | JsonBody::List(_) => false,
        }
    }

    /// Memory that it holds beside text of the store, bytes.
    pub fn held_bytes(&self) -> usize {
        match self {
            JsonBody::Groups(groups) => groups.open.as_ref().map_or(0, GroupJson::held_bytes),
            JsonBody::Group(group) => group.group.held_bytes(),
            JsonBody::GroupText(group) => group.families.held_bytes() + group.open.held_bytes(),
            JsonBody::List(list) => list.held_bytes(),
        }
    }
}

/// All groups and what they hold (SPEC 8.3).
#[derive(Debug)]
pub struct GroupsJson {
    /// The group that is being written.
    open: Option<GroupJson>,
    /// Where the search for the next one starts.
    next: GroupId,
    is_first: bool,
}

impl Default for GroupsJson {
    fn default() -> Self {
        Self { open: None, next: GroupId(1), is_first: true }
    }
}

impl GroupsJson {
    fn write(&mut self, store: &Store, out: &mut Vec<u8>, left: &mut usize) -> bool {
        loop {
            if let Some(group) = &mut self.open {
                if !group.write(store, out, left) {
                    return true;
                }
                self.open = None;
            }
            if self.waits(store) {
                return true;
            }
            let is_first = std::mem::take(&mut self.is_first);
            if is_first {
                out.extend_from_slice(b"{\"status\":\"success\",\"data\":[");
            }
            let Some(group) = store.group_from(self.next) else {
                out.extend_from_slice(b"]}");
                return false;
            };
            if !is_first {
                out.push(b',');
            }
            self.next = GroupId(group.id().0 + 1);
            *left = left.saturating_sub(group.snapshot_cost());
            self.open = Some(GroupJson::new(&group));
        }
    }

    fn waits(&self, store: &Store) -> bool {
        self.open.is_none()
            && store.is_changing()
            && store.group_from(self.next).is_some_and(|group| store.is_group_changing(group.key()))
    }
}

/// One group and what it holds, with what is known of it.
#[derive(Debug)]
pub struct OneGroupJson {
    id: GroupId,
    group: GroupJson,
    /// Until it is measured.
    measure: Option<Measure>,
    facts: Facts,
}

impl OneGroupJson {
    /// The group as it is now. `names` are those that paths allow.
    pub fn new(group: &GroupView<'_>, names: Names) -> Self {
        let mut measure = Measure::of_all();
        let is_measured = !group.is_large() && measure.go_on(group, &mut { usize::MAX });
        let facts = Facts::of(group, &measure, names);
        Self { id: group.id(), group: GroupJson::new(group), measure: (!is_measured).then_some(measure), facts }
    }

    fn write(&mut self, store: &Store, out: &mut Vec<u8>, left: &mut usize) -> bool {
        if let Some(measure) = &mut self.measure {
            // A group that is gone by now holds what was counted so far.
            let group = store.group_from(self.id).filter(|group| group.id() == self.id);
            if group.is_some_and(|group| !measure.go_on(&group, left)) {
                return true;
            }
            self.facts.set_measured(measure);
            self.measure = None;
        }
        if !self.group.is_begun {
            out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
            let mut is_first = true;
            self.facts.write_front(out, &mut is_first);
            write_key(out, &mut is_first, b"group");
        }
        if !self.group.write(store, out, left) {
            return true;
        }
        self.facts.write_back(out, &mut false);
        out.extend_from_slice(b"}}");
        false
    }
}

/// What one group holds, as exposition text: the lines of the scrape with the kind and help that were pushed to it.
#[derive(Debug)]
pub struct OneGroupText {
    families: Families,
    open: OpenText,
}

/// The family whose text is being written, and the piece of it that comes next.
#[derive(Debug, Default)]
struct OpenText(Option<(Box<FamilyView>, usize)>);

impl OpenText {
    fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |(family, _)| family.held_bytes())
    }
}

impl OneGroupText {
    /// The group as it is now.
    pub fn new(group: &GroupView<'_>) -> Self {
        Self { families: Families::of(group), open: OpenText::default() }
    }

    fn write(&mut self, store: &Store, out: &mut Vec<u8>, left: &mut usize) -> bool {
        while out.len() < JSON_AHEAD_BYTES && *left > 0 {
            *left -= 1;
            let Some((family, piece)) = &mut self.open.0 else {
                match self.families.next(store, left) {
                    Next::Family(family) => {
                        if family.metrics() > 0 {
                            write_header(out, family.name(), family.kind(), family.help());
                        }
                        self.open.0 = Some((family, 0));
                    }
                    Next::Over => return false,
                    Next::Busy => return true,
                }
                continue;
            };
            match family.text_at(*piece) {
                Some(text) => {
                    out.extend_from_slice(text);
                    *piece += 1;
                }
                None => self.open.0 = None,
            }
        }
        true
    }
}

/// The object of one group, written piece by piece.
#[derive(Debug)]
struct GroupJson {
    /// Members of the group itself that are still to be written, the last one first: key and value.
    own: Vec<(&'static str, Vec<u8>)>,
    families: Families,
    open: Option<Box<FamilyJson>>,
    is_first: bool,
    is_begun: bool,
}

impl GroupJson {
    fn new(group: &GroupView<'_>) -> Self {
        let mut labels = Vec::new();
        write_object(&mut labels, group.labels());
        let last_push = group.last_push_successful().to_string().into_bytes();
        let own = vec![("last_push_successful", last_push), ("labels", labels)];
        Self { own, families: Families::of(group), open: None, is_first: true, is_begun: false }
    }

    /// Does as much as `left` allows, or until `out` is full; whether that was all.
    fn write(&mut self, store: &Store, out: &mut Vec<u8>, left: &mut usize) -> bool {
        self.is_begun = true;
        while *left > 0 && out.len() < JSON_AHEAD_BYTES {
            if let Some(family) = &mut self.open {
                if !family.write(out, left) {
                    return false;
                }
                self.open = None;
            }
            *left = left.saturating_sub(1);
            match self.families.next(store, left) {
                Next::Busy => return false,
                Next::Over => {
                    self.write_own(out, |_| true);
                    out.push(b'}');
                    return true;
                }
                Next::Family(family) => {
                    // A family with the name of one of the group's own members is left out.
                    let is_own = self.own.iter().any(|(key, _)| *key == family.name());
                    self.write_own(out, |key| key <= family.name());
                    if !is_own {
                        write_key(out, &mut self.is_first, family.name().as_bytes());
                        self.open = Some(Box::new(FamilyJson::new(*family)));
                    }
                }
            }
        }
        false
    }

    /// Writes the group's own members as long as their keys are due.
    fn write_own(&mut self, out: &mut Vec<u8>, is_due: impl Fn(&str) -> bool) {
        while let Some((key, value)) = self.own.pop_if(|(key, _)| is_due(key)) {
            write_key(out, &mut self.is_first, key.as_bytes());
            out.extend_from_slice(&value);
        }
    }

    fn held_bytes(&self) -> usize {
        let own: usize = self.own.iter().map(|(_, value)| value.capacity()).sum();
        own + self.families.held_bytes() + self.open.as_ref().map_or(0, |family| family.held_bytes())
    }
}

#[cfg(test)]
mod tests;
