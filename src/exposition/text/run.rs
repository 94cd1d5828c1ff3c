//! Lines that differ from the one before in nothing but label values and value, as most lines of a large body do: what
//! such a line is made of is known without reading it again.
//!
//! All that stands between the values is compared with an earlier line, so it means what it meant there. What is not quite
//! as there is left to the parser.

use super::cursor::{Cursor, quoted_len};
use super::families::Found;
use crate::model::sample::{FamilyIx, Label};
use smallvec::SmallVec;
use std::ops::Range;

/// Most labels of a line that others are compared with.
const LABELS_MAX: usize = 16;

/// What the labels of a sample line stand in, for the lines behind it to be compared with.
#[derive(Default)]
pub(super) struct Run<'a> {
    /// Whom the line belongs to; none if the next line cannot be compared with it.
    found: Option<Found>,
    /// Whom the sample line read last belongs to.
    family: Option<FamilyIx>,
    is_noting: bool,
    /// How much of the line has been noted.
    noted: usize,
    /// What comes before the value of each label, from the metric name on, and behind the last one.
    before: [Option<&'a [u8]>; LABELS_MAX],
    behind: &'a [u8],
    /// The labels that were noted, with the values of the line compared last.
    labels: SmallVec<[Label<'a>; LABELS_MAX]>,
    /// How far behind the beginning of the metric name the label text begins.
    text_offset: usize,
}

/// A line that was found to be like the one before.
pub(super) struct Alike<'r, 'a> {
    pub(super) found: Found,
    pub(super) labels: &'r [Label<'a>],
    pub(super) label_text: &'a str,
}

impl<'a> Run<'a> {
    /// Begins a sample line of this family that is read label by label; its metric name stands at `start`.
    #[inline]
    pub(super) fn begin(&mut self, family: FamilyIx, start: usize) {
        // The lines of many bodies are all of different families: there noting them would be work for nothing.
        self.is_noting = self.family.replace(family) == Some(family);
        self.noted = start;
        self.labels.clear();
    }

    /// The next line is to be compared with none.
    pub(super) fn stop(&mut self) {
        (self.found, self.family) = (None, None);
    }

    /// Notes a label of that line: the place of its name, and of its value, quotes left out.
    #[inline]
    pub(super) fn note(&mut self, cursor: &Cursor<'a>, name: Range<usize>, value: &Range<usize>) {
        let Some(line) = cursor.text().filter(|_| self.is_noting && self.labels.len() < LABELS_MAX) else { return };
        self.before[self.labels.len()] = Some(&line.as_bytes()[self.noted..value.start]);
        self.labels.push(Label { name: &line[name], value: "" });
        self.noted = value.end;
    }

    /// Whether so many labels were noted.
    #[inline]
    pub(super) fn has_noted(&self, labels: usize) -> bool {
        self.labels.len() == labels
    }

    /// The line has been read up to its value; all of its labels, at least one, were noted.
    #[inline]
    pub(super) fn end(&mut self, found: Found, cursor: &Cursor<'a>, text_offset: usize) {
        if let Some(line) = cursor.text() {
            (self.found, self.text_offset) = (Some(found), text_offset);
            self.behind = &line.as_bytes()[self.noted..cursor.place()];
        }
    }

    /// Steps over name and labels of a line that is like the one before.
    #[inline]
    pub(super) fn follow(&mut self, cursor: &mut Cursor<'a>) -> Option<Alike<'_, 'a>> {
        // If it is not, it is read label by label, and noted anew.
        let (found, text) = (self.found.take()?, cursor.text()?);
        let start = cursor.place();
        let mut at = start;
        for (before, label) in self.before.iter().zip(self.labels.as_mut_slice()) {
            let before = (*before)?;
            let rest = text.as_bytes()[at..].strip_prefix(before)?;
            at += before.len();
            let len = quoted_len(rest)?;
            label.value = &text[at..at + len];
            at += len;
        }
        if !text.as_bytes()[at..].starts_with(self.behind) {
            return None;
        }
        self.found = Some(found);
        cursor.step_over(at + self.behind.len() - start);
        // The label text ends with the last label's closing quote.
        Some(Alike { found, labels: &self.labels, label_text: &text[start + self.text_offset..at + 1] })
    }
}
