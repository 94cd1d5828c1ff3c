//! Long answers, most of them JSON, written while they are sent: never much more than a client takes.
//!
//! Each group is shown as it was when its turn came: its text is held alive until it is written, so that a push or a
//! deletion meanwhile neither tears it nor waits for it. Does not know how a metric looks in JSON.

use super::super::json::write_key;
use super::groups::{Facts, GroupList};
use super::{write_family_head, write_metrics, write_object};
use crate::limits::JSON_AHEAD_BYTES;
use crate::model::escape::write_header;
use crate::model::name::Names;
use crate::model::order;
use crate::store::{FamilyView, GroupId, GroupSnapshot, GroupView, LineCursor, Store};

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
    /// Writes the next piece, some [`JSON_AHEAD_BYTES`] long; whether there is more to come.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        match self {
            JsonBody::Groups(groups) => groups.write(store, out),
            JsonBody::Group(group) => group.write(store, out),
            JsonBody::GroupText(group) => group.write(out),
            JsonBody::List(list) => list.write(store, out),
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
    fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        loop {
            if let Some(group) = &mut self.open {
                if !group.write(store, out) {
                    return true;
                }
                self.open = None;
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
            self.open = Some(GroupJson::new(group.snapshot()));
        }
    }
}

/// One group and what it holds, with what is known of it.
#[derive(Debug)]
pub struct OneGroupJson {
    group: GroupJson,
    facts: Facts,
    is_begun: bool,
}

impl OneGroupJson {
    /// The group as it is now. `names` are those that paths allow.
    pub fn new(group: &GroupView<'_>, names: Names) -> Self {
        Self { group: GroupJson::new(group.snapshot()), facts: Facts::of(group, names), is_begun: false }
    }

    fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        let is_begun = std::mem::replace(&mut self.is_begun, true);
        if !is_begun {
            out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
            let mut is_first = true;
            self.facts.write_front(out, &mut is_first);
            write_key(out, &mut is_first, b"group");
        }
        if !self.group.write(store, out) {
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
    group: GroupSnapshot,
    /// What is written next: a family, and of it a piece.
    family: usize,
    piece: usize,
}

impl OneGroupText {
    /// The group as it is now.
    pub fn new(group: &GroupView<'_>) -> Self {
        Self { group: group.snapshot(), family: 0, piece: 0 }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < JSON_AHEAD_BYTES {
            let Some(family) = self.group.families.get(self.family) else { return false };
            let Some(text) = family.texts().nth(self.piece) else {
                (self.family, self.piece) = (self.family + 1, 0);
                continue;
            };
            if self.piece == 0 {
                write_header(out, family.name(), family.kind(), family.help());
            }
            out.extend_from_slice(text);
            self.piece += 1;
        }
        true
    }
}

/// The object of one group, written piece by piece.
#[derive(Debug)]
struct GroupJson {
    /// What is still to be written, the last member first; a member's text is let go of when it is written.
    members: Vec<Member>,
    /// Where in the last one, a family, the writing goes on.
    at: Option<LineCursor>,
    is_first: bool,
}

/// A member of a group's object.
#[derive(Debug)]
enum Member {
    /// `labels`, finished.
    Labels(Vec<u8>),
    LastPush(bool),
    Family(FamilyView),
}

impl Member {
    fn key(&self) -> &str {
        match self {
            Member::Labels(_) => "labels",
            Member::LastPush(_) => "last_push_successful",
            Member::Family(family) => family.name(),
        }
    }
}

impl GroupJson {
    fn new(group: GroupSnapshot) -> Self {
        let mut labels = Vec::new();
        write_object(&mut labels, group.labels());
        let mut members = vec![Member::Labels(labels), Member::LastPush(group.last_push_successful())];
        members.extend(group.families.into_iter().map(Member::Family));
        // Stable: the group's own members come first, so that a family of the same name is the one left out.
        order::sort_by(&mut members, |left, right| left.key().cmp(right.key()));
        members.dedup_by(|member, kept| member.key() == kept.key());
        members.reverse();
        Self { members, at: None, is_first: true }
    }

    /// Writes until `out` is full; whether that was all.
    fn write(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        while let Some(member) = self.members.last() {
            if out.len() >= JSON_AHEAD_BYTES {
                return false;
            }
            if self.at.is_none() {
                write_key(out, &mut self.is_first, member.key().as_bytes());
            }
            match member {
                Member::Labels(labels) => out.extend_from_slice(labels),
                Member::LastPush(is_successful) => out.extend_from_slice(is_successful.to_string().as_bytes()),
                Member::Family(family) => {
                    let at = self.at.get_or_insert_with(|| {
                        write_family_head(out, family);
                        LineCursor::default()
                    });
                    if !write_metrics(store, out, family, at, JSON_AHEAD_BYTES) {
                        return false;
                    }
                    self.at = None;
                }
            }
            self.members.pop();
        }
        out.push(b'}');
        true
    }
}

#[cfg(test)]
mod tests;
