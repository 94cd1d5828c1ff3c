//! The families of a push and their lines: short families share one buffer, and one that outgrows a shared page gets pages
//! of its own, which later move into the store as they are. Writes no line itself, but says where the next one goes.

use std::ops::Range;

use smallvec::SmallVec;

use crate::limits::{ENTRY_SHARED_BYTES_MAX, PAGE_BYTES, STAGING_KEPT_BYTES_MAX};
use crate::model::order;
use crate::model::sample::{FamilyIx, Kind};
use crate::store::entry::EntryText;
use crate::store::line::write_opening;

/// Families that every group has and that only the gateway writes (SPEC 5.3; appendix B, 9 and 12).
pub const RESERVED_NAMES: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];

/// Longest value and punctuation of a line, bytes: what an estimate adds to names and labels.
const VALUE_BYTES_MAX: usize = 40;

/// What a finished line does not show but the JSON API does (SPEC 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineNote {
    /// The line within its entry, from 0.
    pub line: u32,
    /// What there is to know about it.
    pub remark: Remark,
}

/// See [`LineNote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// The value is minus zero; text shows `0`.
    NegativeZero,
    /// A `+Inf` bucket that was not pushed; text always has one.
    AddedInfinity,
}

/// The families of a push and their lines.
#[derive(Debug, Default)]
pub(in crate::store) struct Lines {
    families: Vec<StagedFamily>,
    /// Whether a family may have the name of an earlier one.
    may_repeat: bool,
    /// Working memory: places of families, by name.
    order: Vec<u32>,
    /// Names of all families.
    names: String,
    /// Their help texts and openings.
    words: Vec<u8>,
    /// Lines of families that have no pages of their own.
    text: Vec<u8>,
    /// How many notes there are on the lines of all families.
    notes: usize,
    /// A family's name is not classic.
    has_quoted_names: bool,
    /// Lines of all families, and how long they are together.
    count: u64,
    bytes: usize,
}

/// One of the families of a push.
#[derive(Debug)]
pub(in crate::store) struct StagedFamily {
    name: Range<usize>,
    opening: Range<usize>,
    help: Option<Range<usize>>,
    pub(super) kind: Kind,
    pub(in crate::store) is_reserved: bool,
    /// Arrived as a whole, so that it is there without metrics, too.
    is_whole: bool,
    /// A later family of that name takes its place.
    is_replaced: bool,
    /// Where its lines are in the shared text, in order.
    spans: SmallVec<[Range<usize>; 2]>,
    /// Pages of its own; then `spans` is empty.
    run: Vec<Vec<u8>>,
    /// What there is to know about its lines, sorted.
    notes: Vec<LineNote>,
    bytes: usize,
    lines: u32,
    pub(in crate::store) metrics: u32,
}

impl Lines {
    pub(super) fn clear(&mut self) {
        self.may_repeat = false;
        self.order.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<u32>());
        self.families.clear();
        self.names.clear();
        self.words.clear();
        self.text.clear();
        self.notes = 0;
        self.has_quoted_names = false;
        (self.count, self.bytes) = (0, 0);
        self.families.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<StagedFamily>());
        self.names.shrink_to(STAGING_KEPT_BYTES_MAX);
        self.words.shrink_to(STAGING_KEPT_BYTES_MAX);
        self.text.shrink_to(STAGING_KEPT_BYTES_MAX);
    }

    /// How many lines there are.
    pub(in crate::store) fn count(&self) -> u64 {
        self.count
    }

    /// How long they are together.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long all names and help texts are, bytes.
    pub(in crate::store) fn word_bytes(&self) -> usize {
        self.words.len()
    }

    /// Memory that is held, bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let Self { families, names, words, bytes, notes, .. } = self;
        let notes = notes * size_of::<LineNote>();
        families.len() * size_of::<StagedFamily>() + *bytes + names.len() + words.len() + notes
    }

    /// Whether a family's name is quoted in text.
    pub(super) fn has_quoted_names(&self) -> bool {
        self.has_quoted_names
    }

    /// Whether all families have short lines that say all there is to know, in the order in which they came; and stay short
    /// whatever their values are.
    pub(super) fn are_plain(&self) -> bool {
        let mut end = 0;
        self.notes == 0
            && self.families.iter().all(|family| {
                let [span] = &*family.spans else { return false };
                let follows = std::mem::replace(&mut end, span.end) <= span.start;
                let bytes_max = family.bytes + family.lines as usize * VALUE_BYTES_MAX;
                follows && family.is_there() && family.metrics == family.lines && bytes_max <= ENTRY_SHARED_BYTES_MAX
            })
    }

    /// Whether there is something to know about any line.
    pub(super) fn has_notes(&self) -> bool {
        self.notes > 0
    }

    /// What there is to know about lines of a family, sorted.
    pub(super) fn notes(&self, ix: FamilyIx) -> &[LineNote] {
        &self.family(ix).notes
    }

    /// A later family has the same name and takes the place of this one.
    pub(super) fn replace_family(&mut self, ix: FamilyIx) {
        self.families[ix.0 as usize].is_replaced = true;
    }

    /// Lets go of so many families, the last ones first; whether none is left.
    pub(super) fn forget_some(&mut self, families: usize) -> bool {
        self.families.truncate(self.families.len().saturating_sub(families));
        self.families.is_empty()
    }

    /// All families, in the order of the body.
    pub(in crate::store) fn families(&self) -> impl ExactSizeIterator<Item = (FamilyIx, &StagedFamily)> {
        self.families.iter().enumerate().map(|(at, family)| (FamilyIx(at as u32), family))
    }

    pub(in crate::store) fn family(&self, ix: FamilyIx) -> &StagedFamily {
        &self.families[ix.0 as usize]
    }

    pub(in crate::store) fn family_mut(&mut self, ix: FamilyIx) -> &mut StagedFamily {
        &mut self.families[ix.0 as usize]
    }

    pub(super) fn help(&self, ix: FamilyIx) -> Option<&[u8]> {
        self.family(ix).help.clone().map(|range| &self.words[range])
    }

    pub(super) fn set_help(&mut self, ix: FamilyIx, text: &[u8]) {
        self.family_mut(ix).help = Some(self.add_words(text));
    }

    /// A piece of the lines of a family: whole lines; `None` after the last one.
    pub(in crate::store) fn piece(&self, ix: FamilyIx, at: usize) -> Option<&[u8]> {
        let family = self.family(ix);
        match at.checked_sub(family.spans.len()) {
            Some(page) => family.run.get(page).map(Vec::as_slice),
            None => Some(&self.text[family.spans[at].clone()]),
        }
    }

    /// The finished text of a family, taken out to be stored; `joined` is working memory.
    pub(super) fn take_text<'a>(&'a mut self, ix: FamilyIx, joined: &'a mut Vec<u8>) -> EntryText<'a> {
        let family = &mut self.families[ix.0 as usize];
        if !family.run.is_empty() {
            return EntryText::Run(std::mem::take(&mut family.run));
        }
        if let [span] = &*family.spans {
            return EntryText::Shared(&self.text[span.clone()]);
        }
        joined.clear();
        for span in &family.spans {
            joined.extend_from_slice(&self.text[span.clone()]);
        }
        EntryText::Shared(joined)
    }

    fn add_words(&mut self, words: &[u8]) -> Range<usize> {
        let start = self.words.len();
        self.words.extend_from_slice(words);
        start..self.words.len()
    }

    pub(super) fn add_family(&mut self, name: &str) {
        let (name_start, opening_start) = (self.names.len(), self.words.len());
        self.names.push_str(name);
        self.has_quoted_names |= write_opening(&mut self.words, name, "");
        self.families.push(StagedFamily {
            name: name_start..self.names.len(),
            opening: opening_start..self.words.len(),
            help: None,
            kind: Kind::Untyped,
            is_reserved: RESERVED_NAMES.contains(&name),
            is_whole: false,
            is_replaced: false,
            spans: SmallVec::new(),
            run: Vec::new(),
            notes: Vec::new(),
            bytes: 0,
            lines: 0,
            metrics: 0,
        });
    }

    pub(in crate::store) fn add_whole_family(&mut self, name: &str, kind: Kind, help: Option<&[u8]>) {
        let last = self.families.len().checked_sub(1).map(|last| self.name(FamilyIx(last as u32)));
        // Most bodies have their families in the order of names; only others have to be looked through.
        self.may_repeat |= last.is_some_and(|last| last >= name);
        self.add_family(name);
        let help = help.map(|help| self.add_words(help));
        let family = self.families.last_mut().expect("a family was just added");
        (family.kind, family.help, family.is_whole) = (kind, help, true);
    }

    /// Marks the families that later ones of the same name replace.
    pub(super) fn drop_repeated(&mut self) {
        if !self.may_repeat {
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..self.families.len() as u32);
        // Stable, so that of two families of one name the later one comes behind.
        order::sort_by_key(&mut order, |at| self.name(FamilyIx(*at)));
        for pair in order.windows(2) {
            if self.name(FamilyIx(pair[0])) == self.name(FamilyIx(pair[1])) {
                self.families[pair[0] as usize].is_replaced = true;
            }
        }
        self.order = order;
    }

    pub(in crate::store) fn name(&self, ix: FamilyIx) -> &str {
        &self.names[self.families[ix.0 as usize].name.clone()]
    }

    pub(in crate::store) fn kind(&self, ix: FamilyIx) -> Kind {
        self.family(ix).kind
    }

    /// Where the next line of a family goes, with room for `estimate` bytes and a value; also where the line starts,
    /// and the family's name and opening.
    pub(super) fn begin_line(&mut self, ix: FamilyIx, estimate: usize) -> (&mut Vec<u8>, usize, &str, &[u8]) {
        let family = &mut self.families[ix.0 as usize];
        let out = match family.run.last() {
            None => &mut self.text,
            Some(last) => {
                if last.len() + estimate + VALUE_BYTES_MAX > PAGE_BYTES {
                    family.run.push(Vec::with_capacity(PAGE_BYTES.max(estimate + VALUE_BYTES_MAX)));
                }
                family.run.last_mut().expect("a page was just added")
            }
        };
        let start = out.len();
        (out, start, &self.names[family.name.clone()], &self.words[family.opening.clone()])
    }

    /// Adds a line of about `estimate` bytes; `write` is given where to write it and the family's name.
    pub(in crate::store) fn compose(&mut self, ix: FamilyIx, estimate: usize, write: impl FnOnce(&mut Vec<u8>, &str)) {
        let (out, start, name, _) = self.begin_line(ix, estimate);
        write(out, name);
        out.push(b'\n');
        self.end_line(ix, start);
    }

    /// Notes something about the line that is being written.
    pub(in crate::store) fn note(&mut self, ix: FamilyIx, remark: Remark) {
        let family = &mut self.families[ix.0 as usize];
        let note = LineNote { line: family.lines, remark };
        // Lines are noted in their order, and hardly any twice.
        let at = family.notes.iter().rposition(|last| *last <= note).map_or(0, |last| last + 1);
        family.notes.insert(at, note);
        self.notes += 1;
    }

    /// The line that is being written.
    pub(super) fn current(&self, ix: FamilyIx, start: usize) -> &[u8] {
        &self.families[ix.0 as usize].run.last().unwrap_or(&self.text)[start..]
    }

    pub(super) fn end_line(&mut self, ix: FamilyIx, start: usize) {
        self.count += 1;
        let family = &mut self.families[ix.0 as usize];
        family.lines += 1;
        let before = family.bytes;
        if let Some(page) = family.run.last() {
            family.bytes += page.len() - start;
            self.bytes += page.len() - start;
            return;
        }
        let end = self.text.len();
        family.bytes += end - start;
        self.bytes += end - start;
        if family.bytes > ENTRY_SHARED_BYTES_MAX {
            self.give_pages(ix, before, start);
            return;
        }
        match family.spans.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => family.spans.push(start..end),
        }
    }

    /// Moves the lines of a family, `before` bytes in its spans and the last line from `start` on, to its own pages.
    fn give_pages(&mut self, ix: FamilyIx, before: usize, start: usize) {
        let family = &mut self.families[ix.0 as usize];
        let last = &self.text[start..];
        let mut first_page = Vec::with_capacity(PAGE_BYTES.max(last.len()));
        for span in family.spans.drain(..) {
            first_page.extend_from_slice(&self.text[span]);
        }
        if before > 0 && before + last.len() > PAGE_BYTES {
            family.run.push(first_page);
            first_page = Vec::with_capacity(PAGE_BYTES.max(last.len()));
        }
        first_page.extend_from_slice(last);
        family.run.push(first_page);
        self.text.truncate(start);
    }
}

impl StagedFamily {
    /// How long what stands in front of the labels of its lines is, bytes.
    pub(super) fn opening_bytes(&self) -> usize {
        self.opening.len()
    }

    /// How long its name is, bytes.
    pub(super) fn name_bytes(&self) -> usize {
        self.name.len()
    }

    /// Whether the push says something about it: it has samples or came as a whole.
    pub(in crate::store) fn is_there(&self) -> bool {
        (self.metrics > 0 || self.is_whole) && !self.is_replaced && !self.is_reserved
    }

    /// Whether it has no lines, so that nothing of it is shown.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.run.is_empty()
    }

    pub(in crate::store) fn kind(&self) -> Kind {
        self.kind
    }

    pub(in crate::store) fn metrics(&self) -> u32 {
        self.metrics
    }

    pub(in crate::store) fn lines(&self) -> u32 {
        self.lines
    }

    /// How long its lines are together, bytes.
    pub(in crate::store) fn text_len(&self) -> u64 {
        self.bytes as u64
    }

    /// The length of its name and of its help text, bytes.
    pub(in crate::store) fn word_lens(&self) -> (u64, u64) {
        (self.name.len() as u64, self.help.as_ref().map_or(0, |help| help.len() as u64))
    }
}
