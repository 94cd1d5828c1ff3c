//! A push on its way in: the samples of one body as finished lines, by family, before they are checked and stored.
//!
//! Takes samples in any order and writes each at once in its final form, merged with the grouping labels. Reused from push
//! to push. Where the lines stand is the concern of `lines`. Knows nothing of what is stored.

mod lines;

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::bounds::Bounds;
use super::compound::Compounds;
use super::detail::StagedDetails;
use super::entry::EntryText;
use super::hashes::Hashes;
use super::key::GroupKey;
use super::line::Overlay;
use super::problem::{LabelsStart, Problem, Problems};
use crate::limits::{OUTLINE_SHARED_FAMILIES_MAX, SEALED_LINES_PER_STEP, STAGING_KEPT_BYTES_MAX};
use crate::model::number::{self, Number};
use crate::model::sample::{BodyShape, FamilyIx, Kind, Part, Sample, Sink};

pub use lines::{LineNote, RESERVED_NAMES, Remark};
pub(super) use lines::{Lines, StagedFamily};

/// One push on its way in.
#[derive(Debug, Default)]
pub struct Staged {
    key: GroupKey,
    /// Good once the first family came, and the body is complete.
    pub(super) overlay: Overlay,
    has_overlay: bool,
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
    shape: Option<BodyShape>,
    hasher: RandomState,
    /// Working memory: the escaped label values of one metric.
    pub(super) escaped: Vec<u8>,
    /// Working memory: the final label set of one metric.
    pub(super) merged: Vec<u8>,
}

impl Staged {
    /// Starts a push to the group of these labels, which must be sorted by name, names distinct.
    pub fn begin<'a>(&mut self, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        self.clear();
        self.key.clear();
        self.key.extend(labels);
        self.has_overlay = false;
    }

    /// Renders the labels of the group: many pushes end before they are asked for.
    pub(super) fn lay_over(&mut self) {
        if !std::mem::replace(&mut self.has_overlay, true) {
            self.overlay.assign(&self.key);
        }
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
        self.shape = None;
        self.bounds.clear();
    }

    /// Says what shape the body has, if that is known.
    pub fn set_shape(&mut self, shape: Option<BodyShape>) {
        self.shape = shape;
    }

    /// The shape of the body if what it said is nothing but lines, one for each sample and in their order.
    pub(super) fn plain_shape(&self) -> Option<BodyShape> {
        self.shape.filter(|_| self.lines.are_plain() && !self.has_quoted_names())
    }

    /// How many series there are so far, as far as that is known: lines, and native buckets and spans.
    pub(super) fn series_count(&self) -> u64 {
        self.lines.count() + self.compounds.line_count() + self.details.series()
    }

    /// Memory that the push holds, bytes.
    pub fn held_bytes(&self) -> usize {
        let Self { lines, series, details, compounds, .. } = self;
        lines.held_bytes() + series.held_bytes() + details.size() as usize + compounds.held_bytes()
    }

    /// Whether it is an unusual amount.
    pub fn is_long(&self) -> bool {
        self.lines.bytes() > STAGING_KEPT_BYTES_MAX
    }

    /// The body is complete: all of what [`Staged::begin_seal`] and [`Staged::seal_some`] do, at once.
    pub fn seal(&mut self) {
        self.begin_seal();
        while !self.seal_some() {}
    }

    /// The body is complete: drops families that later ones replace. The store finds those of a long push itself.
    pub fn begin_seal(&mut self) {
        self.lay_over();
        if self.lines.families().len() < OUTLINE_SHARED_FAMILIES_MAX {
            self.lines.drop_repeated();
        }
    }

    /// Writes out a bounded part of the histograms and summaries; whether that was the last one.
    pub fn seal_some(&mut self) -> bool {
        let mut budget = SEALED_LINES_PER_STEP;
        let mut compounds = std::mem::take(&mut self.compounds);
        while budget > 0
            && let Some(metric) = compounds.unwritten()
        {
            if metric.is_unbegun() {
                let family = metric.family();
                self.enter_series(family, metric.labels());
                self.check_reserved_label(family, metric.labels());
            }
            compounds.write_some(&mut self.lines, &mut budget);
        }
        let is_sealed = compounds.unwritten().is_none();
        if is_sealed {
            compounds.clear();
        }
        self.compounds = compounds;
        is_sealed
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
        self.has_quoted_labels || self.lines.has_quoted_names() || self.overlay.has_quoted_names()
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
        self.lines.families().filter(|(_, family)| family.is_there())
    }

    pub(super) fn pushed(&self, ix: FamilyIx) -> &StagedFamily {
        self.lines.family(ix)
    }

    pub(super) fn name(&self, ix: FamilyIx) -> &str {
        self.lines.name(ix)
    }

    pub(super) fn help(&self, ix: FamilyIx) -> Option<&[u8]> {
        self.lines.help(ix)
    }

    /// A piece of the lines of a family: whole lines; `None` after the last one.
    pub(super) fn piece(&self, ix: FamilyIx, at: usize) -> Option<&[u8]> {
        self.lines.piece(ix, at)
    }

    /// The finished text of a family, taken out to be stored; `joined` is working memory.
    pub(super) fn take_text<'a>(&'a mut self, ix: FamilyIx, joined: &'a mut Vec<u8>) -> EntryText<'a> {
        self.lines.take_text(ix, joined)
    }

    /// A later family has the same name and takes the place of this one.
    pub(super) fn replace_family(&mut self, ix: FamilyIx) {
        self.lines.replace_family(ix);
    }

    /// Whether there are notes on any line.
    pub(super) fn has_notes(&self) -> bool {
        self.lines.has_notes()
    }

    /// The notes on the lines of a family, sorted.
    pub(super) fn notes(&self, ix: FamilyIx) -> &[LineNote] {
        self.lines.notes(ix)
    }

    /// Lets go of so many families of a push that is over; whether that was the last of it.
    pub(super) fn forget_some(&mut self, families: usize) -> bool {
        self.lines.forget_some(families)
    }

    /// Takes out the hashes that more than one metric has, sorted: almost certainly duplicates.
    pub(super) fn take_repeated_hashes(&mut self) -> Vec<u64> {
        self.series.take_repeated()
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

    /// A metric of one line.
    pub(super) fn push_line(&mut self, sample: &Sample<'_>) {
        let Self { overlay, lines, bounds, .. } = self;
        let label_bytes: usize = sample.labels.iter().map(|label| 2 * label.name.len() + label.value.len() + 6).sum();
        bounds.check_labels(sample.labels, label_bytes, overlay);
        let opening_bytes = lines.family(sample.family).opening_bytes();
        if !bounds.has_room(lines.bytes() + opening_bytes + label_bytes + overlay.len()) {
            return;
        }
        let (out, start, _, opening) = lines.begin_line(sample.family, opening_bytes + label_bytes + overlay.len());
        out.extend_from_slice(opening);
        self.has_quoted_labels |= overlay.write_sample(out, sample);
        let labels = start + opening_bytes..out.len();
        out.extend_from_slice(b"} ");
        let Sample { token, value, is_canonical, .. } = *sample;
        number::write_token(out, token.as_bytes(), Number { value, is_canonical });
        out.push(b'\n');

        let mut hasher = self.hasher.build_hasher();
        hasher.write(&out[labels.clone()]);
        hasher.write_u32(sample.family.0);
        self.series.add(hasher.finish());
        if sample.labels.iter().any(|label| label.name.starts_with("__")) {
            let (name, kind) = (lines.name(sample.family), lines.family(sample.family).kind());
            let line = lines.current(sample.family, start);
            self.problems.add_with(|| Problem::reserved_labels(name, kind, line, sample.labels));
        }
        if sample.value == 0.0 && sample.value.is_sign_negative() {
            self.lines.note(sample.family, Remark::NegativeZero);
        }
        self.lines.end_line(sample.family, start);
        self.lines.family_mut(sample.family).metrics += 1;
    }

    pub(super) fn check_reserved_label(&mut self, family: FamilyIx, labels: &[u8]) {
        let kind = self.pushed(family).kind;
        let word = if kind == Kind::Summary { "quantile" } else { "le" };
        if self.overlay.has(word) {
            let (name, labels) = (self.lines.name(family), LabelsStart::of(labels, 0));
            self.problems.add_with(|| Problem::explicit_label(name, kind, labels, word));
        }
    }
}

impl Sink for Staged {
    fn family(&mut self, family: FamilyIx, name: &str) {
        debug_assert_eq!(family.0 as usize, self.lines.families().len(), "families come in order");
        self.lay_over();
        self.bounds.check_word(name.as_bytes());
        self.lines.add_family(name);
    }

    fn kind(&mut self, family: FamilyIx, kind: Kind) {
        self.lines.family_mut(family).kind = kind;
    }

    fn help(&mut self, family: FamilyIx, text: &[u8]) {
        self.bounds.check_word(text);
        self.lines.set_help(family, text);
    }

    #[inline]
    fn sample(&mut self, sample: Sample<'_>) {
        self.has_timestamp |= sample.timestamp.is_some();
        let family = self.lines.family_mut(sample.family);
        if family.is_reserved {
            return;
        }
        if sample.part == Part::Whole {
            self.push_line(&sample);
            return;
        }
        let label_bytes = sample.labels.iter().map(|label| label.name.len() + label.value.len()).sum();
        self.bounds.check_labels(sample.labels, label_bytes, &self.overlay);
        let held = self.lines.bytes() + self.compounds.text_bytes();
        if !self.bounds.has_room(held + label_bytes + self.overlay.len()) {
            return;
        }
        let family = self.lines.family_mut(sample.family);
        let is_new = self.compounds.add(&sample, family.kind, family.name_bytes(), &self.overlay);
        family.metrics += u32::from(is_new);
        self.has_quoted_labels |= self.compounds.has_quoted_labels();
        if is_new && sample.labels.iter().any(|label| label.name.starts_with("__")) {
            let (name, kind) = (self.lines.name(sample.family), self.lines.kind(sample.family));
            let labels = self.compounds.last_labels();
            self.problems.add_with(|| Problem::reserved_labels(name, kind, labels, sample.labels));
        }
    }
}
