//! Finished sample lines: writing the label set of a pushed sample merged with its group's labels, and finding the
//! lines of metrics. Taking a line apart is `model::line`'s.
//!
//! Lines have one fixed form, `NAME{LABELS} VALUE`, labels sorted by name, names quoted only where they must be, so
//! equal series have equal bytes. Nothing here knows groups or pages.

use std::cmp::Ordering;
use std::ops::Range;

use memchr::{memchr, memrchr};
use smallvec::SmallVec;

use super::key::GroupKey;
use crate::model::escape::{write_label_name, write_label_value, write_name};
use crate::model::name::is_classic_metric_name;
use crate::model::order;
use crate::model::sample::{Kind, Label, Sample};

/// The label that every series carries, empty unless pushed (SPEC 5.3).
const INSTANCE: &str = "instance";

/// The labels of a group, rendered once per push: what is laid over the labels of every sample.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Every label as `name="value",`, sorted by name.
    text: Vec<u8>,
    names: Vec<u8>,
    labels: Vec<OverlayLabel>,
    has_quoted_names: bool,
    /// Whether the label set of the sample before was put together from the text of its labels; the steps say how.
    is_planned: bool,
    steps: Vec<Step>,
    /// Where begins what comes behind all steps.
    behind: usize,
}

/// A part of a label set.
#[derive(Debug)]
struct Step {
    /// What the overlay has in front, as a range of its text.
    before: Range<usize>,
    /// Labels of the sample that follow each other in its text.
    labels: Range<usize>,
}

#[derive(Clone, Copy, Debug)]
struct OverlayLabel {
    name_end: u32,
    text_end: u32,
    /// Gives way to a label of that name in the sample.
    is_default: bool,
}

impl Overlay {
    /// Renders the labels of a group, adding `instance=""` as a default.
    pub fn assign(&mut self, key: &GroupKey) {
        self.text.clear();
        self.names.clear();
        self.labels.clear();
        self.has_quoted_names = false;
        self.is_planned = false;
        let mut has_instance = false;
        for (name, value) in key.labels() {
            if !has_instance && *name >= *INSTANCE {
                has_instance = true;
                if name != INSTANCE {
                    self.push(INSTANCE, "", true);
                }
            }
            self.push(&name, &value, false);
        }
        if !has_instance {
            self.push(INSTANCE, "", true);
        }
    }

    /// The label set of a series that has no labels of its own, such as `push_time_seconds`.
    pub fn own_labels(&self) -> &[u8] {
        self.text.strip_suffix(b",").unwrap_or(&self.text)
    }

    /// Whether the group has a label of this name.
    #[inline(never)]
    pub fn has(&self, name: &str) -> bool {
        (0..self.labels.len()).any(|at| self.name(at) == name.as_bytes() && !self.labels[at].is_default)
    }

    /// How many labels the group has.
    pub fn label_count(&self) -> usize {
        self.labels.len() - usize::from(self.labels.iter().any(|label| label.is_default))
    }

    /// Whether a name is quoted: not a classic one.
    pub fn has_quoted_names(&self) -> bool {
        self.has_quoted_names
    }

    /// A part of its text.
    pub fn text(&self, part: Range<usize>) -> &[u8] {
        &self.text[part]
    }

    /// An upper bound of what the overlay adds to a label set, bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    fn push(&mut self, name: &str, value: &str, is_default: bool) {
        self.names.extend_from_slice(name.as_bytes());
        self.has_quoted_names |= write_label_name(&mut self.text, name);
        self.text.extend_from_slice(b"=\"");
        write_label_value(&mut self.text, value);
        self.text.extend_from_slice(b"\",");
        let (name_end, text_end) = (self.names.len() as u32, self.text.len() as u32);
        self.labels.push(OverlayLabel { name_end, text_end, is_default });
    }

    fn name(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.labels[at - 1].name_end };
        &self.names[start as usize..self.labels[at].name_end as usize]
    }

    fn text_start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.labels[at - 1].text_end as usize }
    }

    /// Writes the final label set of a sample: its labels and the group's, sorted by name, the group's winning. Whether
    /// a name of the sample's labels is quoted.
    pub fn write_merged(&self, out: &mut Vec<u8>, labels: &[Label<'_>]) -> bool {
        let mut has_quoted_names = false;
        let sorted = sorted_by_name(labels);
        let behind = self.merge(&sorted, name_bytes, |before, label, gives_way| {
            out.extend_from_slice(&self.text[before]);
            if !gives_way {
                has_quoted_names |= write_label(out, label);
            }
        });
        out.extend_from_slice(&self.text[behind..]);
        drop_comma(out);
        has_quoted_names
    }

    /// Does what [`Overlay::write_merged`] does. Where the label text can be taken as it is, it is, in as few pieces as the
    /// overlay leaves of it: how is found out once for all samples that are alike.
    pub fn write_sample(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>) -> bool {
        let Sample { labels, label_text, is_alike, .. } = *sample;
        if !is_alike {
            self.plan(labels, label_text);
        }
        if !self.is_planned {
            return self.write_merged(out, labels);
        }
        let start = out.len();
        self.write_planned(out, labels, label_text.as_bytes());
        debug_assert!(self.is_merged(&out[start..], labels), "{} {label_text}", out[start..].escape_ascii());
        false
    }

    fn is_merged(&self, written: &[u8], labels: &[Label<'_>]) -> bool {
        let mut merged = Vec::new();
        self.write_merged(&mut merged, labels);
        merged == written
    }

    /// Finds out how to put together labels of these names, if they are sorted and their text is final.
    #[inline(never)]
    fn plan(&mut self, labels: &[Label<'_>], text: &str) {
        self.is_planned = are_sorted(labels) && is_final(labels, text);
        if !self.is_planned {
            return;
        }
        let mut steps = std::mem::take(&mut self.steps);
        steps.clear();
        let mut at = 0;
        self.behind = self.merge(labels, name_bytes, |before, _, gives_way| {
            match steps.last_mut() {
                Some(Step { labels, .. }) if before.is_empty() && labels.end == at => labels.end += 1,
                _ => steps.push(Step { before, labels: at..at + usize::from(!gives_way) }),
            }
            at += 1;
        });
        self.steps = steps;
    }

    fn write_planned(&self, out: &mut Vec<u8>, labels: &[Label<'_>], text: &[u8]) {
        // Up to which label, and to which place in the text.
        let (mut label, mut at) = (0, 0);
        let mut skip_to = |end: usize| {
            at += labels[label..end].iter().map(written_len).sum::<usize>();
            label = end;
            at
        };
        for Step { before, labels } in &self.steps {
            out.extend_from_slice(&self.text[before.clone()]);
            let (start, end) = (skip_to(labels.start), skip_to(labels.end));
            out.extend_from_slice(&text[start..end.min(text.len())]);
            // There is no comma behind the last one yet.
            if end > text.len() {
                out.push(b',');
            }
        }
        out.extend_from_slice(&self.text[self.behind..]);
        drop_comma(out);
    }

    /// Walks over labels sorted by name. `visit` gets what the overlay has in front of each, as a range of its text, the label,
    /// and whether it gives way to the overlay's own, which is the end of that range then. Where begins what the overlay has
    /// behind them all.
    pub fn merge<L>(
        &self,
        labels: &[L],
        name_of: impl Fn(&L) -> &[u8],
        mut visit: impl FnMut(Range<usize>, &L, bool),
    ) -> usize {
        let mut next = 0;
        for label in labels {
            let start = self.text_start(next);
            let mut order = Ordering::Greater;
            while next < self.labels.len() {
                order = self.name(next).cmp(name_of(label));
                if order != Ordering::Less {
                    break;
                }
                next += 1;
            }
            let is_own = next < self.labels.len() && order == Ordering::Equal;
            let gives_way = is_own && !self.labels[next].is_default;
            visit(start..self.text_start(next + usize::from(gives_way)), label, gives_way);
            next += usize::from(is_own);
        }
        self.text_start(next)
    }
}

fn are_sorted(labels: &[Label<'_>]) -> bool {
    labels.windows(2).all(|pair| pair[0].name < pair[1].name)
}

fn name_bytes<'a>(label: &'a Label<'_>) -> &'a [u8] {
    label.name.as_bytes()
}

/// Takes away the comma behind the last label.
pub fn drop_comma(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
}

/// Whether `text`, from which these labels were read, is how they are written in the end. It is if it is no longer than
/// that: quotes around a name, blanks, or a comma at the end would have added to it.
fn is_final(labels: &[Label<'_>], text: &str) -> bool {
    labels.iter().map(written_len).sum::<usize>() == text.len() + ",".len()
}

/// How long what [`write_label`] writes is, if the name needs no quotes.
fn written_len(label: &Label<'_>) -> usize {
    label.name.len() + label.value.len() + r#"="","#.len()
}

/// Labels in the order of their names.
pub fn sorted_by_name<'a>(labels: &[Label<'a>]) -> SmallVec<[Label<'a>; 16]> {
    let mut sorted: SmallVec<[Label<'a>; 16]> = SmallVec::from_slice(labels);
    if !are_sorted(labels) {
        order::sort_by_key(&mut sorted, |label| label.name);
    }
    sorted
}

/// Writes `name="value",`; whether the name is quoted.
pub fn write_label(out: &mut Vec<u8>, label: &Label<'_>) -> bool {
    let is_quoted = write_label_name(out, label.name);
    out.extend_from_slice(b"=\"");
    out.extend_from_slice(label.value.as_bytes());
    out.extend_from_slice(b"\",");
    is_quoted
}

/// Writes what stands before the labels of a line of `name` with `suffix` (`_sum` and so on): `name{` or `{"name",`;
/// whether the name is quoted.
pub fn write_opening(out: &mut Vec<u8>, name: &str, suffix: &str) -> bool {
    let start = out.len();
    let is_quoted = write_name(out, name);
    if is_quoted {
        out.pop();
        out.insert(start, b'{');
        out.extend_from_slice(suffix.as_bytes());
        out.extend_from_slice(b"\",");
    } else {
        out.extend_from_slice(suffix.as_bytes());
        out.push(b'{');
    }
    is_quoted
}

/// The lines that stand for one metric each: every line of a plain family, the `_count` lines of a histogram or
/// summary; with their label sets.
pub fn metric_lines<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    name: &str,
    kind: Kind,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let opening = Opening::of_metrics(name, kind);
    lines(pieces).filter_map(move |line| Some((line, opening.labels(line)?)))
}

/// Whether two texts have the same series in the same order, so that they differ in nothing but values.
pub fn has_same_series(left: &[u8], right: &[u8]) -> bool {
    let series = |line: &[u8]| memrchr(b' ', line).map_or(0, |end| end);
    let (mut left, mut right) = (lines(std::iter::once(left)), lines(std::iter::once(right)));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(left), Some(right)) if left[..series(left)] == right[..series(right)] => {}
            _ => return false,
        }
    }
}

/// What [`write_opening`] writes, to be recognized. Classic names are not written out for that.
pub enum Opening<'n> {
    Classic { name: &'n str, suffix: &'static str },
    Quoted(Vec<u8>),
}

impl<'n> Opening<'n> {
    /// That of the lines that stand for one metric each of a family of this name and kind.
    pub fn of_metrics(name: &'n str, kind: Kind) -> Self {
        let is_compound = kind.is_histogram() || kind == Kind::Summary;
        Self::new(name, if is_compound { "_count" } else { "" })
    }

    /// The first line with this opening of a piece of whole lines from `at` on, a number of bytes, which moves on to the
    /// line after it; without its LF, and with its label set. `None` if there is no more in this piece.
    pub fn next<'a>(&self, piece: &'a [u8], at: &mut usize) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            let rest = piece.get(*at..)?;
            let line = &rest[..memchr(b'\n', rest)?];
            *at += line.len() + 1;
            if let Some(labels) = self.labels(line) {
                return Some((line, labels));
            }
        }
    }

    /// The label set of a line that begins with it.
    pub fn labels<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let labels = self.strip_from(line)?;
        Some(&labels[..memrchr(b'}', labels)?])
    }

    fn new(name: &'n str, suffix: &'static str) -> Self {
        if is_classic_metric_name(name.as_bytes()) {
            return Self::Classic { name, suffix };
        }
        let mut opening = Vec::new();
        write_opening(&mut opening, name, suffix);
        Self::Quoted(opening)
    }

    /// What stands behind it in a line that begins with it.
    fn strip_from<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Classic { name, suffix } => {
                line.strip_prefix(name.as_bytes())?.strip_prefix(suffix.as_bytes())?.strip_prefix(b"{")
            }
            Self::Quoted(opening) => line.strip_prefix(opening.as_slice()),
        }
    }
}

/// Writes whole lines again, each with the next of these values.
pub fn write_with_values<'v>(out: &mut Vec<u8>, text: &[u8], values: &mut impl Iterator<Item = &'v [u8]>) {
    for line in lines(std::iter::once(text)) {
        let behind = line.iter().rposition(|byte| *byte == b' ').expect("a line has a blank in front of its value");
        out.extend_from_slice(&line[..=behind]);
        out.extend_from_slice(values.next().expect("there is a value for each line"));
        out.push(b'\n');
    }
}

/// The lines of pieces of whole lines, each without its LF.
pub fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    pieces.flat_map(|piece| {
        let mut rest = piece;
        std::iter::from_fn(move || {
            let end = memchr(b'\n', rest)?;
            let line = &rest[..end];
            rest = &rest[end + 1..];
            Some(line)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{FamilyIx, Part};

    fn merged(grouping: &[(&str, &str)], labels: &[(&str, &str)]) -> String {
        let mut overlay = Overlay::default();
        overlay.assign(&GroupKey::new(grouping.iter().copied()));
        let labels: Vec<_> = labels.iter().map(|(name, value)| Label { name, value }).collect();
        let mut text = Vec::new();
        labels.iter().for_each(|label| _ = write_label(&mut text, label));
        text.pop();
        let text = str::from_utf8(&text).unwrap();
        let plain = Sample::new(FamilyIx(0), Part::Whole, &labels, 1.0);
        let mut written = |label_text: &str, is_alike: bool| {
            let mut out = Vec::new();
            overlay.write_sample(&mut out, &Sample { label_text, is_alike, ..plain });
            String::from_utf8(out).unwrap()
        };
        let unknown = written("", false);
        assert_eq!([written(text, false), written(text, true)], [&*unknown; 2], "{text}");
        unknown
    }

    #[test]
    fn labels_are_taken_as_they_were_written_only_if_nothing_is_to_be_changed() {
        let check = |labels: &[(&str, &str)], text: &str, expected: bool| {
            let labels: Vec<_> = labels.iter().map(|(name, value)| Label { name, value }).collect();
            assert_eq!(is_final(&labels, text), expected, "{text}");
        };
        check(&[("a", "1"), ("b", r#"\""#)], r#"a="1",b="\"""#, true);
        for text in [r#"a="1",b="2","#, r#"a ="1",b="2""#, r#"a="1", b="2""#, r#""a"="1",b="2""#, r#"a="1",b="2" "#, ""]
        {
            check(&[("a", "1"), ("b", "2")], text, false);
        }
        check(&[(r"a\", "1")], r#""a\\"="1""#, false);
        check(&[("b", "2")], r#"quantile="1",b="2""#, false);
    }

    #[test]
    fn grouping_labels_win_and_instance_is_there() {
        let check = |grouping: &[(&str, &str)], labels: &[(&str, &str)], expected: &str| {
            assert_eq!(merged(grouping, labels), expected);
        };
        check(&[("job", "j")], &[], r#"instance="",job="j""#);
        check(&[("job", "j")], &[("b", "c")], r#"b="c",instance="",job="j""#);
        check(&[("job", "j")], &[("job", "x"), ("b", "c")], r#"b="c",instance="",job="j""#);
        check(&[("job", "j")], &[("instance", "i")], r#"instance="i",job="j""#);
        check(&[("instance", "g"), ("job", "j")], &[("instance", "i")], r#"instance="g",job="j""#);
        check(&[("job", "j")], &[("a", "1"), ("k", "2")], r#"a="1",instance="",job="j",k="2""#);
        check(&[("job", "j")], &[("ix", "1"), ("jb", "2")], r#"instance="",ix="1",jb="2",job="j""#);
        check(&[("job", "j")], &[("ix", "1"), ("job", "2")], r#"instance="",ix="1",job="j""#);
        check(&[("job", "j")], &[("k", "1"), ("l", "2")], r#"instance="",job="j",k="1",l="2""#);
        check(&[("job", "j")], &[("b", "1"), ("a", "2")], r#"a="2",b="1",instance="",job="j""#);
        check(&[("a", "1"), ("job", "j")], &[("z", "9"), ("k", "")], r#"a="1",instance="",job="j",k="",z="9""#);
        check(&[("job", "q\"\\\n")], &[("v", r"\\")], r#"instance="",job="q\"\\\n",v="\\""#);
        check(&[("g.l", "v"), ("job", "j")], &[("x.y", "1")], r#""g.l"="v",instance="",job="j","x.y"="1""#);
    }

    #[test]
    fn openings_quote_the_whole_name() {
        let check = |name: &str, suffix: &str, expected: &str| {
            let mut out = b"x\n".to_vec();
            write_opening(&mut out, name, suffix);
            assert_eq!(str::from_utf8(&out[2..]).unwrap(), expected);
        };
        check("a", "", "a{");
        check("a", "_sum", "a_sum{");
        check("h.x", "_bucket", "{\"h.x_bucket\",");
    }
}
