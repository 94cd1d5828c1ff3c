//! Reading views of groups and what they hold, for the query API.

use std::borrow::Cow;

use super::Store;
use super::catalog::{Group, Holding};
use super::entry::{Entry, FamilyId, GroupId};
use super::line::lines;
use super::staged::LineNote;
use crate::model::line::Line;
use crate::model::sample::Kind;
use crate::model::time::Timestamp;

/// A group.
#[derive(Clone, Copy, Debug)]
pub struct GroupView<'a> {
    store: &'a Store,
    id: GroupId,
    group: &'a Group,
}

impl<'a> GroupView<'a> {
    pub(super) fn new(store: &'a Store, id: GroupId) -> Self {
        Self { store, id, group: store.catalog.group(id) }
    }

    /// Its id.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// Its labels, sorted by name.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.group.key.labels()
    }

    /// Whether the last push was accepted (SPEC 8.3).
    pub fn last_push_successful(&self) -> bool {
        self.group.failed <= self.group.pushed
    }

    /// What it holds, push times included, in order of names.
    pub fn families(&self) -> Vec<FamilyView<'a>> {
        let view = |holding: &'a Holding| FamilyView { store: self.store, group: self.id, holding };
        let mut families: Vec<_> = self.group.holdings.iter().map(view).collect();
        families.sort_unstable_by_key(|family| family.name());
        families
    }
}

/// What a group holds of a family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyView<'a> {
    store: &'a Store,
    group: GroupId,
    holding: &'a Holding,
}

impl<'a> FamilyView<'a> {
    /// The name of the family, unescaped.
    pub fn name(&self) -> &'a str {
        &self.store.catalog.family(self.holding.family).name
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.holding.kind
    }

    /// The help text pushed to this group, if any.
    pub fn help(&self) -> Option<&'a [u8]> {
        if self.holding.family <= FamilyId::FAILURE_TIME {
            return self.store.catalog.family(self.holding.family).help.as_deref();
        }
        self.holding.help.as_deref()
    }

    /// When it was pushed.
    pub fn written(&self) -> Timestamp {
        self.holding.written
    }

    /// Its lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> {
        let Self { store, holding, .. } = *self;
        let stands = holding.home.is_some().then(|| store.pages.text(&store.catalog, self.entry()));
        lines(stands.into_iter().flatten()).map(Line::parse)
    }

    /// What its lines do not show, in order of lines.
    pub fn notes(&self) -> &'a [LineNote] {
        self.store.notes.get(&self.entry()).map_or(&[], |notes| notes)
    }

    /// The message of the value of a metric with this label set, if it says more than its lines.
    pub fn detail(&self, labels: &str) -> Option<&'a [u8]> {
        if self.store.details.is_empty() {
            return None;
        }
        self.store.details.find(self.holding.family, labels.as_bytes())
    }

    fn entry(&self) -> Entry {
        Entry { family: self.holding.family, group: self.group }
    }
}
