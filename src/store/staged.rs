//! A push on its way in: the samples of one body as finished lines, by family, before they are checked and stored.
//!
//! Takes samples in any order and writes each at once in its final form, merged with the grouping labels. Lines of
//! short families share one buffer; a family that outgrows a shared page gets pages of its own, which later move into
//! the store as they are. Reused from push to push. Knows nothing of what is stored.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::bounds::Bounds;
use super::compound::Compounds;
use super::detail::StagedDetails;
use super::entry::EntryText;
use super::hashes::Hashes;
use super::key::GroupKey;
use super::line::{Overlay, write_opening};
use super::problem::{Problem, Problems};
use crate::limits::{ENTRY_SHARED_BYTES_MAX, PAGE_BYTES, STAGING_KEPT_BYTES_MAX};
use crate::model::number;
use crate::model::order;
use crate::model::sample::{FamilyIx, Kind, Part, Sample, Sink};

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

/// One push on its way in.
#[derive(Debug, Default)]
pub struct Staged {
    key: GroupKey,
    pub(super) overlay: Overlay,
    pub(super) lines: Lines,
    compounds: Compounds,
    pub(super) details: StagedDetails,
    /// A hash of family and label set of every metric; equal ones are looked at.
    series: Hashes,
    pub(super) problems: Problems,
    /// Whether some metric could not be written as lines; what is wrong with it is among the problems.
    pub(super) has_unwritable: bool,
    pub(super) has_timestamp: bool,
    /// A label name in the body is not classic.
    pub(super) has_quoted_labels: bool,
    pub(super) bounds: Bounds,
    hasher: RandomState,
    /// Working memory: the escaped label values of one metric.
    pub(super) escaped: Vec<u8>,
    /// Working memory: the final label set of one metric.
    pub(super) merged: Vec<u8>,
}

/// The families of a push and their lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) families: Vec<StagedFamily>,
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
    notes: Vec<(FamilyIx, LineNote)>,
    /// A family's name is not classic.
    has_quoted_names: bool,
    /// Lines of all families, and how long they are together.
    count: u64,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct StagedFamily {
    name: Range<usize>,
    opening: Range<usize>,
    help: Option<Range<usize>>,
    kind: Kind,
    pub(super) is_reserved: bool,
    /// Arrived as a whole, so that it is there without metrics, too.
    is_whole: bool,
    /// A later family of that name takes its place.
    is_replaced: bool,
    /// Where its lines are in the shared text, in order.
    spans: SmallVec<[Range<usize>; 2]>,
    /// Pages of its own; then `spans` is empty.
    run: Vec<Vec<u8>>,
    bytes: usize,
    lines: u32,
    pub(super) metrics: u32,
}

impl Staged {
    /// Starts a push to the group of these labels, which must be sorted by name, names distinct.
    pub fn begin<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        self.clear();
        self.key.clear();
        self.key.extend(labels.clone());
        self.overlay.assign(labels);
    }

    /// Forgets the push; keeps the memory unless it was an unusual amount.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.compounds.clear();
        self.details.clear();
        for scratch in [&mut self.escaped, &mut self.merged] {
            scratch.shrink_to(STAGING_KEPT_BYTES_MAX);
        }
        self.series.clear();
        self.problems.clear();
        self.has_unwritable = false;
        self.has_timestamp = false;
        self.has_quoted_labels = false;
        self.bounds.clear();
    }

    /// How many lines there are so far, as far as that is known.
    pub(super) fn series_count(&self) -> u64 {
        self.lines.count + self.compounds.line_count()
    }

    /// Memory that the push holds, bytes.
    pub fn held_bytes(&self) -> usize {
        let Lines { families, names, words, bytes, notes, .. } = &self.lines;
        let tables = families.len() * size_of::<StagedFamily>() + self.series.held_bytes();
        let notes = notes.len() * size_of::<(FamilyIx, LineNote)>();
        tables + *bytes + names.len() + words.len() + notes + self.details.size() as usize + self.compounds.held_bytes()
    }

    /// Whether it is an unusual amount.
    pub fn is_long(&self) -> bool {
        self.lines.bytes > STAGING_KEPT_BYTES_MAX
    }

    /// The body is complete: writes out histograms and summaries, drops families that later ones replace.
    pub fn seal(&mut self) {
        self.lines.drop_repeated();
        let mut compounds = std::mem::take(&mut self.compounds);
        for metric in compounds.metrics() {
            let family = metric.family();
            self.enter_series(family, metric.labels());
            self.check_reserved_label(family, metric.labels());
            metric.write(&mut self.lines);
        }
        compounds.clear();
        self.compounds = compounds;
    }

    /// Whether a sealed push is so long that [`Staged::settle_some`] should be called until this is no more so, lest the
    /// check take long.
    pub fn is_unsettled(&self) -> bool {
        self.series.is_unsorted()
    }

    /// Does a bounded part of the check that depends on the push alone.
    pub fn settle_some(&mut self) {
        self.series.sort_some();
    }

    /// The group.
    pub fn key(&self) -> &GroupKey {
        &self.key
    }

    /// The label set of a series with the grouping labels alone.
    pub fn group_labels(&self) -> &[u8] {
        self.overlay.own_labels()
    }

    /// Whether any sample had a timestamp.
    pub fn has_timestamp(&self) -> bool {
        self.has_timestamp
    }

    /// Whether any name in the push is quoted in text, and so differs from escaping to escaping (SPEC 7.6).
    pub fn has_quoted_names(&self) -> bool {
        self.has_quoted_labels || self.lines.has_quoted_names || self.overlay.has_quoted_names()
    }

    /// What is wrong with the push whatever is stored.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// What is wrong with the push if some of it cannot be stored at all.
    pub fn unwritable(&self) -> Option<&Problems> {
        self.has_unwritable.then_some(&self.problems)
    }

    /// The families that are there: with samples or stated as a whole, the reserved ones left out, in the order of
    /// the body.
    pub(super) fn families(&self) -> impl Iterator<Item = (FamilyIx, &StagedFamily)> {
        let families = self.lines.families.iter().enumerate();
        families.filter(|(_, family)| family.is_there()).map(|(at, family)| (FamilyIx(at as u32), family))
    }

    pub(super) fn pushed(&self, ix: FamilyIx) -> &StagedFamily {
        &self.lines.families[ix.0 as usize]
    }

    pub(super) fn name(&self, ix: FamilyIx) -> &str {
        self.lines.name(ix)
    }

    pub(super) fn help(&self, ix: FamilyIx) -> Option<&[u8]> {
        self.pushed(ix).help.clone().map(|range| &self.lines.words[range])
    }

    /// The lines of a family, in pieces of whole lines.
    pub(super) fn pieces(&self, ix: FamilyIx) -> impl Iterator<Item = &[u8]> + Clone {
        let family = self.pushed(ix);
        let spans = family.spans.iter().map(|span| &self.lines.text[span.clone()]);
        spans.chain(family.run.iter().map(Vec::as_slice))
    }

    /// The finished text of a family, taken out to be stored; `joined` is working memory.
    pub(super) fn take_text<'a>(&'a mut self, ix: FamilyIx, joined: &'a mut Vec<u8>) -> EntryText<'a> {
        let family = &mut self.lines.families[ix.0 as usize];
        if !family.run.is_empty() {
            return EntryText::Run(std::mem::take(&mut family.run));
        }
        if let [span] = &*family.spans {
            return EntryText::Shared(&self.lines.text[span.clone()]);
        }
        joined.clear();
        for span in &family.spans {
            joined.extend_from_slice(&self.lines.text[span.clone()]);
        }
        EntryText::Shared(joined)
    }

    /// The notes of all families.
    pub(super) fn notes(&self) -> &[(FamilyIx, LineNote)] {
        &self.lines.notes
    }

    /// The hashes that more than one metric has, sorted: almost certainly duplicates.
    pub(super) fn repeated_hashes(&mut self) -> &[u64] {
        self.series.repeated()
    }

    pub(super) fn series_hash(&self, family: FamilyIx, labels: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(labels);
        hasher.write_u32(family.0);
        hasher.finish()
    }

    pub(super) fn enter_series(&mut self, family: FamilyIx, labels: &[u8]) {
        let hash = self.series_hash(family, labels);
        self.series.add(hash);
    }

    /// A metric of one line. Without a token its value is written anew.
    pub(super) fn push_line(&mut self, sample: &Sample<'_>) {
        let Self { overlay, lines, bounds, .. } = self;
        let label_bytes: usize = sample.labels.iter().map(|label| 2 * label.name.len() + label.value.len() + 6).sum();
        bounds.check_labels(sample.labels, label_bytes, overlay);
        let opening_bytes = lines.families[sample.family.0 as usize].opening.len();
        let (out, start, _, opening) = lines.begin_line(sample.family, opening_bytes + label_bytes + overlay.len());
        out.extend_from_slice(opening);
        self.has_quoted_labels |= overlay.write_merged(out, sample.labels, sample.label_text);
        let labels = start + opening_bytes..out.len();
        out.extend_from_slice(b"} ");
        if sample.token.is_empty() {
            number::write(out, sample.value);
        } else {
            number::write_token(out, sample.token.as_bytes(), sample.value);
        }
        out.push(b'\n');

        let mut hasher = self.hasher.build_hasher();
        hasher.write(&out[labels.clone()]);
        hasher.write_u32(sample.family.0);
        self.series.add(hasher.finish());
        if sample.labels.iter().any(|label| label.name.starts_with("__")) {
            let family = &lines.families[sample.family.0 as usize];
            let line = lines.current(sample.family, start).to_vec();
            self.problems.add(Problem::reserved_labels(lines.name(sample.family), family.kind, &line, sample.labels));
        }
        if sample.value == 0.0 && sample.value.is_sign_negative() {
            self.lines.note(sample.family, Remark::NegativeZero);
        }
        self.lines.end_line(sample.family, start);
        self.lines.families[sample.family.0 as usize].metrics += 1;
    }

    pub(super) fn check_reserved_label(&mut self, family: FamilyIx, labels: &[u8]) {
        let kind = self.pushed(family).kind;
        let word = if kind == Kind::Summary { "quantile" } else { "le" };
        if self.overlay.has(word) {
            let problem = Problem::explicit_label(self.name(family), kind, labels, word);
            self.problems.add(problem);
        }
    }
}

impl Sink for Staged {
    fn family(&mut self, family: FamilyIx, name: &str) {
        debug_assert_eq!(family.0 as usize, self.lines.families.len(), "families come in order");
        self.bounds.check_name(name);
        self.lines.add_family(name);
    }

    fn kind(&mut self, family: FamilyIx, kind: Kind) {
        self.lines.families[family.0 as usize].kind = kind;
    }

    fn help(&mut self, family: FamilyIx, text: &[u8]) {
        let range = self.lines.add_words(text);
        self.lines.families[family.0 as usize].help = Some(range);
    }

    fn sample(&mut self, sample: Sample<'_>) {
        self.has_timestamp |= sample.timestamp.is_some();
        let family = &mut self.lines.families[sample.family.0 as usize];
        if family.is_reserved {
            return;
        }
        if sample.part == Part::Whole {
            self.push_line(&sample);
            return;
        }
        let label_bytes = sample.labels.iter().map(|label| label.name.len() + label.value.len()).sum();
        self.bounds.check_labels(sample.labels, label_bytes, &self.overlay);
        let is_new = self.compounds.add(&sample, family.kind, &self.overlay);
        family.metrics += u32::from(is_new);
        self.has_quoted_labels |= self.compounds.has_quoted_labels();
        if is_new && sample.labels.iter().any(|label| label.name.starts_with("__")) {
            let kind = family.kind;
            let line = self.compounds.last_labels().to_vec();
            self.problems.add(Problem::reserved_labels(self.lines.name(sample.family), kind, &line, sample.labels));
        }
    }
}

impl Lines {
    fn clear(&mut self) {
        self.may_repeat = false;
        self.order.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<u32>());
        self.families.clear();
        self.names.clear();
        self.words.clear();
        self.text.clear();
        self.notes.clear();
        self.has_quoted_names = false;
        (self.count, self.bytes) = (0, 0);
        self.families.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<StagedFamily>());
        self.names.shrink_to(STAGING_KEPT_BYTES_MAX);
        self.words.shrink_to(STAGING_KEPT_BYTES_MAX);
        self.text.shrink_to(STAGING_KEPT_BYTES_MAX);
        self.notes.shrink_to(STAGING_KEPT_BYTES_MAX / size_of::<(FamilyIx, LineNote)>());
    }

    fn add_words(&mut self, words: &[u8]) -> Range<usize> {
        let start = self.words.len();
        self.words.extend_from_slice(words);
        start..self.words.len()
    }

    fn add_family(&mut self, name: &str) {
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
            bytes: 0,
            lines: 0,
            metrics: 0,
        });
    }

    pub(super) fn add_whole_family(&mut self, name: &str, kind: Kind, help: Option<&[u8]>) {
        let last = self.families.len().checked_sub(1).map(|last| self.name(FamilyIx(last as u32)));
        // Most bodies have their families in the order of names; only others have to be looked through.
        self.may_repeat |= last.is_some_and(|last| last >= name);
        self.add_family(name);
        let help = help.map(|help| self.add_words(help));
        let family = self.families.last_mut().expect("a family was just added");
        (family.kind, family.help, family.is_whole) = (kind, help, true);
    }

    /// Marks the families that later ones of the same name replace.
    fn drop_repeated(&mut self) {
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

    pub(super) fn name(&self, ix: FamilyIx) -> &str {
        &self.names[self.families[ix.0 as usize].name.clone()]
    }

    pub(super) fn kind(&self, ix: FamilyIx) -> Kind {
        self.families[ix.0 as usize].kind
    }

    /// Where the next line of a family goes, with room for `estimate` bytes and a value; also where the line starts,
    /// and the family's name and opening.
    fn begin_line(&mut self, ix: FamilyIx, estimate: usize) -> (&mut Vec<u8>, usize, &str, &[u8]) {
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
    pub(super) fn compose(&mut self, ix: FamilyIx, estimate: usize, write: impl FnOnce(&mut Vec<u8>, &str)) {
        let (out, start, name, _) = self.begin_line(ix, estimate);
        write(out, name);
        out.push(b'\n');
        self.end_line(ix, start);
    }

    /// Notes something about the line that is being written.
    pub(super) fn note(&mut self, ix: FamilyIx, remark: Remark) {
        let line = self.families[ix.0 as usize].lines;
        self.notes.push((ix, LineNote { line, remark }));
    }

    /// The line that is being written.
    fn current(&self, ix: FamilyIx, start: usize) -> &[u8] {
        &self.families[ix.0 as usize].run.last().unwrap_or(&self.text)[start..]
    }

    fn end_line(&mut self, ix: FamilyIx, start: usize) {
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
    fn is_there(&self) -> bool {
        (self.metrics > 0 || self.is_whole) && !self.is_replaced && !self.is_reserved
    }

    /// Whether it has no lines, so that nothing of it is shown.
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.run.is_empty()
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn metrics(&self) -> u32 {
        self.metrics
    }

    pub(super) fn lines(&self) -> u32 {
        self.lines
    }

    /// How long its lines are together, bytes.
    pub(super) fn text_len(&self) -> u64 {
        self.bytes as u64
    }

    /// The length of its name and of its help text, bytes.
    pub(super) fn word_lens(&self) -> (u64, u64) {
        (self.name.len() as u64, self.help.as_ref().map_or(0, |help| help.len() as u64))
    }
}
