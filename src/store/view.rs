//! Reading views of groups and what they hold, for the query API.
//!
//! A [`GroupView`] looks at the store and is gone before the next change. A [`FamilyView`] holds what it shows: a reader
//! that takes its time sees one state of the family, whatever is pushed or deleted meanwhile.

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

    /// Whether names in its lines may be quoted.
    pub fn has_quoted_names(&self) -> bool {
        self.store.catalog.outline(self.id).has_quoted_names
    }

    /// How many families it holds, the push times included.
    pub fn holding_count(&self) -> usize {
        self.store.catalog.holding_count(self.id)
    }

    /// Its families from an id on, push times included, each with the length of its lines in the exposition, bytes, and its
    /// metrics: series, histograms and summaries, those of the push times not counted. Without `has_bytes` the length is 0,
    /// and no family is looked up.
    pub fn sizes_from(&self, from: FamilyId, has_bytes: bool) -> impl Iterator<Item = (FamilyId, u64, u64)> + use<'a> {
        let (Store { catalog, pages, .. }, group) = (self.store, self.id);
        catalog.holdings_from(group, from).map(move |holding| {
            let entry = Entry { family: holding.family, group };
            let stands = holding.home.filter(|_| has_bytes);
            let bytes = stands.map_or(0, |_| pages.text(catalog, entry).map(|text| text.len() as u64).sum());
            let is_pushed = holding.family > FamilyId::FAILURE_TIME;
            (holding.family, bytes, if is_pushed { u64::from(holding.content.metrics) } else { 0 })
        })
    }

    /// Whether it holds so many families that looking at all of them takes more than a step.
    pub fn is_large(&self) -> bool {
        self.store.catalog.is_large(self.id)
    }

    /// What a snapshot of it costs, in families, if it is not large.
    pub fn snapshot_cost(&self) -> usize {
        if self.is_large() { 1 } else { 2 * self.holding_count() }
    }

    /// The names of its families from an id on.
    pub fn names_from(&self, from: FamilyId) -> impl Iterator<Item = (FamilyId, Rc<str>)> + use<'a> {
        let catalog = &self.store.catalog;
        let holdings = catalog.holdings_from(self.id, from);
        holdings.map(|holding| (holding.family, Rc::clone(&catalog.family(holding.family).name)))
    }

    /// What it holds now of a family, if it does.
    pub fn family_named(&self, name: &str) -> Option<FamilyView> {
        let family = self.store.catalog.find_family(name)?;
        let holding = self.store.catalog.holdings_from(self.id, family).next();
        holding.filter(|holding| holding.family == family).map(|holding| self.family(holding))
    }

    /// What it holds now of its families from an id on, as many as asked for, and the id from which on there may be more;
    /// `None` if there were none.
    pub fn families_from(&self, from: FamilyId, most: usize) -> (Vec<FamilyView>, Option<FamilyId>) {
        let mut next = None;
        let holdings = self.store.catalog.holdings_from(self.id, from).take(most);
        let families = holdings.map(|holding| {
            next = Some(FamilyId(holding.family.0 + 1));
            self.family(holding)
        });
        (families.collect(), next)
    }

    /// How many families were pushed to it; the push times are not counted.
    pub fn family_count(&self) -> usize {
        self.holding_count().saturating_sub(RESERVED_NAMES.len())
    }

    /// What it holds now, push times included, in order of names. Each family stays as it is, whatever becomes of the group.
    pub fn families(&self) -> Vec<FamilyView> {
        let mut families: Vec<_> = self.store.catalog.holdings(self.id).map(|holding| self.family(holding)).collect();
        order::sort_by(&mut families, |left, right| left.name.cmp(&right.name));
        families
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

    /// What its metrics say beyond their lines (native histograms, exemplars, created timestamps, counts beyond a double's
    /// digits): the label sets of those that do, as written, without `le` and `quantile`, with the messages of their values,
    /// in the order of the lines.
    pub fn details(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.details.iter().flat_map(|block| block.items())
    }

    /// One of these details, by its place.
    pub fn detail(&self, at: usize) -> Option<(&[u8], &[u8])> {
        self.details.as_ref()?.item(at)
    }

    /// Memory that it takes, bytes; that of the text and the details that it holds alive is counted by the store.
    pub fn held_bytes(&self) -> usize {
        let notes = size_of_val(self.notes());
        let help = self.help().map_or(0, <[u8]>::len);
        size_of::<Self>() + self.name.len() + help + notes + self.pieces.len() * size_of::<Piece>()
    }

    /// Whether it is one of the push times, which only the gateway writes.
    pub fn is_reserved(&self) -> bool {
        RESERVED_NAMES.contains(&&*self.name)
    }

    /// Its lines from a place on, in order.
    pub fn lines(&self, from: LineCursor) -> Lines<'_> {
        Lines { pieces: &self.pieces, at: from, last_end: (0, 0) }
    }

    /// Its lines as they stand in the exposition, in pieces of whole lines.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pieces.iter().map(Piece::text)
    }

    /// One piece of them.
    pub fn text_at(&self, piece: usize) -> Option<&[u8]> {
        self.pieces.get(piece).map(Piece::text)
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
    last_end: (usize, usize),
}

impl Lines<'_> {
    /// The place in front of the next line.
    pub fn cursor(&self) -> LineCursor {
        self.at
    }

    /// Where the last line ends, without its LF: the piece, and the offset in its text.
    pub fn last_end(&self) -> (usize, usize) {
        self.last_end
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let rest = &self.pieces.get(self.at.piece)?.text()[self.at.offset..];
            if let Some(end) = memchr(b'\n', rest) {
                self.last_end = (self.at.piece, self.at.offset + end);
                self.at.offset += end + 1;
                self.at.line += 1;
                return Some(Line::parse(&rest[..end]));
            }
            self.at.piece += 1;
            self.at.offset = 0;
        }
    }
}
