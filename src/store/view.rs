//! Reading views of groups and what they hold, for the query API.
//!
//! A [`GroupView`] looks at the store and is gone before the next change. A [`GroupSnapshot`] holds what it shows: a
//! reader that takes its time sees one state of the group, whatever is pushed or deleted meanwhile.

use std::borrow::Cow;
use std::rc::Rc;

use memchr::memchr;
use smallvec::SmallVec;

use super::Store;
use super::catalog::Group;
use super::detail::Block;
use super::entry::{Entry, FamilyId, GroupId};
use super::holdings::Holding;
use super::key::GroupKey;
use super::outline::Help;
use super::pages::Piece;
use super::staged::{LineNote, RESERVED_NAMES};
use crate::model::line::Line;
use crate::model::order;
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

    /// Its labels in comparable form.
    pub fn key(&self) -> &'a GroupKey {
        &self.group.key
    }

    /// Its labels, sorted by name.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + Clone + use<'a> {
        self.group.key.labels()
    }

    /// Whether the last push was accepted (SPEC 8.3).
    pub fn last_push_successful(&self) -> bool {
        self.group.failed() <= self.group.pushed
    }

    /// When a push was last accepted; zero if none was.
    pub fn pushed(&self) -> Timestamp {
        self.group.pushed
    }

    /// When a push was last refused; zero if none was.
    pub fn failed(&self) -> Timestamp {
        self.group.failed()
    }

    /// Why a push was last refused, cut short; `None` if none was, or nobody remembers.
    pub fn failure(&self) -> Option<&'a str> {
        self.group.failure()
    }

    /// How many families it holds, the push times included.
    pub fn holding_count(&self) -> usize {
        self.store.catalog.holding_count(self.id)
    }

    /// The length of its lines in the exposition, push times included, bytes. Looks up each of its families.
    pub fn bytes(&self) -> u64 {
        let Store { catalog, pages, .. } = self.store;
        let stands = catalog.holdings(self.id).filter(|holding| holding.home.is_some());
        let entries = stands.map(|holding| Entry { family: holding.family, group: self.id });
        entries.flat_map(|entry| pages.text(catalog, entry)).map(|text| text.len() as u64).sum()
    }

    /// How many families were pushed to it; the push times are not counted.
    pub fn family_count(&self) -> usize {
        self.holding_count().saturating_sub(RESERVED_NAMES.len())
    }

    /// How many metrics they have: series, histograms and summaries.
    pub fn metric_count(&self) -> u64 {
        self.pushed_families().map(|held| u64::from(held.content.metrics)).sum()
    }

    /// What it holds now.
    pub fn snapshot(&self) -> GroupSnapshot {
        let mut families: Vec<_> = self.store.catalog.holdings(self.id).map(|holding| self.family(holding)).collect();
        order::sort_by(&mut families, |left, right| left.name.cmp(&right.name));
        GroupSnapshot {
            key: self.group.key.clone(),
            pushed: self.pushed(),
            failed: self.failed(),
            failure: self.failure().map(Box::from),
            has_quoted_names: self.store.catalog.outline(self.id).has_quoted_names,
            families,
        }
    }

    /// Every group holds the push times, which have the lowest ids.
    fn pushed_families(&self) -> impl Iterator<Item = Holding<'a>> + use<'a> {
        self.store.catalog.holdings(self.id).skip(RESERVED_NAMES.len())
    }

    fn family(&self, holding: Holding<'_>) -> FamilyView {
        let store = self.store;
        let family = store.catalog.family(holding.family);
        let entry = Entry { family: holding.family, group: self.id };
        let is_own = holding.family <= FamilyId::FAILURE_TIME;
        FamilyView {
            name: Rc::clone(&family.name),
            kind: holding.content.kind,
            help: if is_own { family.help.clone() } else { holding.help.clone() },
            is_help_shown: holding.help.is_some() && holding.help == family.help,
            metrics: holding.content.metrics,
            written: holding.written,
            details: store.details.block(entry),
            notes: store.notes.get(&entry).cloned(),
            pieces: holding.home.map_or_else(SmallVec::new, |_| store.pages.pieces(&store.catalog, entry).collect()),
        }
    }
}

/// A group as it was at one moment.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// Its labels.
    pub key: GroupKey,
    /// When a push was last accepted; zero if none was.
    pub pushed: Timestamp,
    /// When a push was last refused; zero if none was.
    pub failed: Timestamp,
    /// Why that push was refused, cut short.
    pub failure: Option<Box<str>>,
    /// Whether names in its lines may be quoted.
    pub has_quoted_names: bool,
    /// What it held, push times included, in order of names.
    pub families: Vec<FamilyView>,
}

impl GroupSnapshot {
    /// Its labels, sorted by name.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.key.labels()
    }

    /// Whether the last push was accepted (SPEC 8.3).
    pub fn last_push_successful(&self) -> bool {
        self.failed <= self.pushed
    }
}

/// What a group held of a family at one moment.
#[derive(Clone, Debug)]
pub struct FamilyView {
    name: Rc<str>,
    kind: Kind,
    help: Option<Help>,
    is_help_shown: bool,
    metrics: u32,
    written: Timestamp,
    details: Option<Rc<Block>>,
    notes: Option<Rc<[LineNote]>>,
    pieces: SmallVec<[Piece; 1]>,
}

impl FamilyView {
    /// The name of the family, unescaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The help text pushed to this group, if any.
    pub fn help(&self) -> Option<&[u8]> {
        self.help.as_ref().map(Help::text)
    }

    /// Whether that help text is the one that the exposition shows.
    pub fn is_help_shown(&self) -> bool {
        self.is_help_shown
    }

    /// When it was pushed.
    pub fn written(&self) -> Timestamp {
        self.written
    }

    /// How many metrics: series, histograms, summaries.
    pub fn metrics(&self) -> u32 {
        self.metrics
    }

    /// What its metrics say beyond their lines: label sets and messages (see [`Store::detail`]).
    pub fn details(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.details.iter().flat_map(|block| block.items())
    }

    /// Whether it is one of the push times, which only the gateway writes.
    pub fn is_reserved(&self) -> bool {
        RESERVED_NAMES.contains(&&*self.name)
    }

    /// Its lines from a place on, in order.
    pub fn lines(&self, from: LineCursor) -> Lines<'_> {
        Lines { pieces: &self.pieces, at: from }
    }

    /// Its lines as they stand in the exposition, in pieces of whole lines.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pieces.iter().map(Piece::text)
    }

    /// What its lines do not show, in order of lines.
    pub fn notes(&self) -> &[LineNote] {
        self.notes.as_deref().unwrap_or_default()
    }
}

/// A place between the lines of a family; the default is in front of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCursor {
    piece: usize,
    offset: usize,
    /// How many lines are in front of it.
    pub line: u32,
}

/// Goes through the lines of a family.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    pieces: &'a [Piece],
    at: LineCursor,
}

impl Lines<'_> {
    /// The place in front of the next line.
    pub fn cursor(&self) -> LineCursor {
        self.at
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let rest = &self.pieces.get(self.at.piece)?.text()[self.at.offset..];
            if let Some(end) = memchr(b'\n', rest) {
                self.at.offset += end + 1;
                self.at.line += 1;
                return Some(Line::parse(&rest[..end]));
            }
            self.at.piece += 1;
            self.at.offset = 0;
        }
    }
}
