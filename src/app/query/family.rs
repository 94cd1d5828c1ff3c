//! What one group holds of one family as JSON (SPEC 8.3), written in short steps, however many metrics there are and
//! however many buckets one of them has.
//!
//! Reads the finished text of the family back. Numbers that text does not keep apart come from the notes on its lines, and
//! what it does not show at all from the messages of its metrics.

use std::cmp::Ordering;

use memchr::memrchr;

use super::buckets::{Native, shown, shown_count};
use super::{close_object, write_labels, write_member};
use crate::app::json::{write_key, write_string};
use crate::exposition::protobuf::{Histogram, summary_count};
use crate::limits::JSON_AHEAD_BYTES;
use crate::model::escape::unescape;
use crate::model::line::Line;
use crate::model::number;
use crate::model::sample::Kind;
use crate::model::sorter::{RUN_ITEMS, Sorter};
use crate::store::{FamilyView, LineCursor, Lines, Remark};

/// How much may be done in one step: so many lines are looked at, or bounds written.
pub const LINES_PER_STEP: usize = 4 * RUN_ITEMS;

/// A family on its way out.
#[derive(Debug)]
pub struct FamilyJson {
    family: FamilyView,
    at: LineCursor,
    /// How many notes and details have been passed.
    notes: usize,
    details: usize,
    stage: Stage,
    compound: Compound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    /// Between two metrics.
    Metrics,
    /// The lines of a histogram or summary are looked at.
    Lines,
    /// Its bounds are put in order.
    Sort,
    /// They are written.
    Bounds,
}

/// A histogram or summary at hand. Reused for its memory.
#[derive(Debug, Default)]
struct Compound {
    /// Its bounds, those that were pushed, as its lines or its message have them.
    bounds: Sorter<Bound>,
    /// The bounds and counts of its message, as shown.
    told: Vec<(String, String)>,
    /// Its native buckets, of which so many are written.
    native: Option<(Native, usize)>,
    /// The bound to be written next, unless an equal one follows.
    pending: Option<Bound>,
    is_first: bool,
    /// Whether its counts are shown as doubles: one of them is not whole (SPEC 3.8).
    is_float: bool,
    /// The count, as shown.
    count: String,
    /// Where the line of the sum starts, and where it ends.
    sum: Option<(LineCursor, Place)>,
}

/// Where a line ends, and whether its value is minus zero, which text does not tell.
#[derive(Clone, Copy, Debug)]
struct Place {
    piece: u32,
    /// The offset of the end in its piece, without the LF; the lowest bit is set for minus zero.
    end: u64,
}

/// A bound: a line, or a place among those that the message tells.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Line(Place),
    Told(u32),
}

impl Place {
    fn of_last(lines: &Lines<'_>, is_negative_zero: bool) -> Self {
        let (piece, end) = lines.last_end();
        Self { piece: piece as u32, end: (end as u64) << 1 | u64::from(is_negative_zero) }
    }

    /// The value of the line.
    fn value(self, family: &FamilyView) -> &str {
        if self.end & 1 == 1 { "-0" } else { self.split(family).1 }
    }

    /// The value of the last label, which is a number. Lines may be long, so they are read from their end.
    fn bound(self, family: &FamilyView) -> &str {
        let labels = self.split(family).0.strip_suffix(b"\"}").unwrap_or_default();
        text(&labels[memrchr(b'"', labels).map_or(0, |quote| quote + 1)..])
    }

    /// The line up to its last blank, and the value after that.
    fn split(self, family: &FamilyView) -> (&[u8], &str) {
        let line = family.text_at(self.piece as usize).unwrap_or_default();
        let line = line.get(..(self.end >> 1) as usize).unwrap_or_default();
        let blank = memrchr(b' ', line).unwrap_or(0);
        (&line[..blank], text(line.get(blank + 1..).unwrap_or_default()))
    }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

impl FamilyJson {
    /// What a group holds of the family.
    pub fn new(family: FamilyView) -> Self {
        let (at, compound) = (LineCursor::default(), Compound::default());
        Self { family, at, notes: 0, details: 0, stage: Stage::Head, compound }
    }

    /// Memory that it holds beside text, bytes.
    pub fn held_bytes(&self) -> usize {
        self.family.held_bytes() + self.compound.held_bytes()
    }

    /// Does as much as `left` allows, or until `out` is full; whether that was all.
    pub fn write(&mut self, out: &mut Vec<u8>, left: &mut usize) -> bool {
        let Self { family, at, notes, details, stage, compound } = self;
        while *left > 0 && out.len() < JSON_AHEAD_BYTES {
            *left -= 1;
            match *stage {
                Stage::Head => {
                    write_head(out, family);
                    *stage = Stage::Metrics;
                }
                Stage::Metrics => {
                    if family.lines(*at).next().is_none() {
                        out.extend_from_slice(b"]}");
                        return true;
                    }
                    if *at != LineCursor::default() {
                        out.push(b',');
                    }
                    match family.kind() {
                        Kind::Counter | Kind::Gauge | Kind::Untyped => write_simple(out, family, at, notes),
                        Kind::Summary | Kind::Histogram | Kind::GaugeHistogram => *stage = Stage::Lines,
                    }
                }
                Stage::Lines => {
                    if !compound.take_line(family, at, notes) {
                        compound.begin(out, family, details);
                        *stage = Stage::Sort;
                    }
                }
                Stage::Sort => {
                    *left = left.saturating_sub(compound.bounds.run_items());
                    if compound.bounds.sort_some(|left, right| compare(family, &compound.told, left, right)) {
                        *stage = Stage::Bounds;
                    }
                }
                Stage::Bounds => {
                    if !compound.write_some(out, family) {
                        compound.end(out, family);
                        compound.clear();
                        *stage = Stage::Metrics;
                    }
                }
            }
        }
        false
    }
}

/// Writes a family up to its metrics.
fn write_head(out: &mut Vec<u8>, family: &FamilyView) {
    out.extend_from_slice(format!("{{\"time_stamp\":\"{}\"", family.written().rfc3339_nanos()).as_bytes());
    out.extend_from_slice(format!(",\"type\":\"{}\"", family.kind().upper_name()).as_bytes());
    if let Some(help) = family.help().filter(|help| !help.is_empty()) {
        out.extend_from_slice(b",\"help\":");
        write_string(out, help);
    }
    out.extend_from_slice(b",\"metrics\":[");
}

/// The next line, where it stands, and what is known beyond its text.
fn next_line<'f>(
    family: &'f FamilyView,
    at: &mut LineCursor,
    notes: &mut usize,
) -> Option<(Line<'f>, Place, Option<Remark>)> {
    let mut lines = family.lines(*at);
    let line = lines.next()?;
    let note = family.notes().get(*notes).filter(|note| note.line == at.line).map(|note| note.remark);
    *notes += usize::from(note.is_some());
    *at = lines.cursor();
    Some((line, Place::of_last(&lines, note == Some(Remark::NegativeZero)), note))
}

fn write_simple(out: &mut Vec<u8>, family: &FamilyView, at: &mut LineCursor, notes: &mut usize) {
    let Some((line, place, _)) = next_line(family, at, notes) else { return };
    out.extend_from_slice(b"{\"labels\":");
    write_labels(out, line.labels);
    write_member(out, b",\"value\":", place.value(family));
    out.push(b'}');
}

/// The order of an object's members: that of their keys as text.
fn compare(family: &FamilyView, told: &[(String, String)], left: &Bound, right: &Bound) -> Ordering {
    key(family, told, left).cmp(key(family, told, right))
}

fn key<'f>(family: &'f FamilyView, told: &'f [(String, String)], bound: &Bound) -> &'f str {
    match bound {
        Bound::Line(place) => place.bound(family),
        Bound::Told(at) => &told[*at as usize].0,
    }
}

impl Compound {
    /// Takes the next line of the metric; whether more are to come. Lines with a bound as their last label come first, then
    /// the sum, then the count. They are told apart by their names: unchecked pushes may have a group's label named like
    /// that of a bound.
    fn take_line(&mut self, family: &FamilyView, at: &mut LineCursor, notes: &mut usize) -> bool {
        let start = *at;
        let Some((line, place, note)) = next_line(family, at, notes) else { return false };
        if self.sum.is_some() {
            self.count = line.value.to_owned();
            return false;
        }
        if line.name.strip_suffix("_sum").is_some_and(|whole| unescape(whole) == family.name()) {
            self.sum = Some((start, place));
        } else if note != Some(Remark::AddedInfinity) {
            self.is_float |= whole(place.value(family)).is_none();
            self.bounds.push(Bound::Line(place));
        }
        true
    }

    /// Writes what comes before the bounds, once all lines were taken: buckets and counts are those of the metric's
    /// message, where it has one, else those of its lines.
    fn begin(&mut self, out: &mut Vec<u8>, family: &FamilyView, details: &mut usize) {
        let labels = self.labels(family);
        let detail = family.detail(*details).filter(|(found, _)| *found == labels.as_bytes());
        *details += usize::from(detail.is_some());
        self.is_first = true;
        if family.kind() == Kind::Summary {
            let count = whole(&self.count).unwrap_or_default();
            let count = detail.map_or(count, |(_, message)| summary_count(message));
            write_member(out, b"{\"count\":", &count.to_string());
            out.extend_from_slice(b",\"labels\":");
            write_labels(out, labels);
            out.extend_from_slice(b",\"quantiles\":");
            return;
        }
        out.extend_from_slice(b"{\"buckets\":");
        if detail.is_none_or(|(_, message)| self.tell(message).is_none()) {
            self.is_float |= whole(&self.count).is_none();
            self.count = self.shown(&self.count);
        }
    }

    /// Takes buckets and count from the message of a histogram; `None` if it cannot be read.
    fn tell(&mut self, message: &[u8]) -> Option<()> {
        let mut classic = Vec::new();
        let histogram =
            Histogram::read(message, |bound, count| classic.push((shown(bound), shown_count(count)))).ok()?;
        self.bounds.clear();
        if histogram.has_spans {
            self.native = Some((Native::read(&histogram).ok()?, 0));
        } else {
            (0..classic.len() as u32).for_each(|at| self.bounds.push(Bound::Told(at)));
            self.told = classic;
        }
        self.count = shown_count(histogram.count());
        Some(())
    }

    /// Writes the next bound or native bucket; whether there was one. Of bounds that are equal as text the last one counts.
    fn write_some(&mut self, out: &mut Vec<u8>, family: &FamilyView) -> bool {
        if let Some((native, written)) = &mut self.native {
            *written += 1;
            return native.write(out, *written - 1);
        }
        let next = self.bounds.next(|left, right| compare(family, &self.told, left, right));
        let Some(bound) = std::mem::replace(&mut self.pending, next) else { return next.is_some() };
        if next.is_none_or(|next| compare(family, &self.told, &bound, &next).is_ne()) {
            write_key(out, &mut self.is_first, key(family, &self.told, &bound).as_bytes());
            match bound {
                Bound::Line(place) if family.kind() == Kind::Summary => {
                    write_string(out, place.value(family).as_bytes());
                }
                Bound::Line(place) => write_string(out, self.shown(place.value(family)).as_bytes()),
                Bound::Told(at) => write_string(out, self.told[at as usize].1.as_bytes()),
            }
        }
        true
    }

    /// Writes what comes after the bounds.
    fn end(&self, out: &mut Vec<u8>, family: &FamilyView) {
        match self.native {
            Some((_, 1)) => out.extend_from_slice(b"[]"),
            Some(_) => out.push(b']'),
            None => close_object(out, self.is_first),
        }
        let sum = self.sum.map_or("0", |(_, sum)| sum.value(family));
        if family.kind() != Kind::Summary {
            write_member(out, b",\"count\":", &self.count);
            out.extend_from_slice(b",\"labels\":");
            write_labels(out, self.labels(family));
        }
        write_member(out, b",\"sum\":", sum);
        out.push(b'}');
    }

    /// The label set of the metric, as written.
    fn labels<'f>(&self, family: &'f FamilyView) -> &'f str {
        self.sum.and_then(|(start, _)| family.lines(start).next()).map_or("", |line| line.labels)
    }

    /// A count of a line as it is shown: counts are integers unless any of the histogram's is not; then all are doubles.
    fn shown(&self, count: &str) -> String {
        match whole(count) {
            Some(whole) if !self.is_float => whole.to_string(),
            _ if number::parse(count.as_bytes()).is_some_and(|count| count > 0.0) => count.to_owned(),
            _ => "0".to_owned(),
        }
    }

    fn clear(&mut self) {
        let mut bounds = std::mem::take(&mut self.bounds);
        bounds.clear();
        *self = Self { bounds, ..Self::default() };
    }

    fn held_bytes(&self) -> usize {
        const TOLD_BYTES: usize = 2 * size_of::<String>() + 64;
        let native = self.native.as_ref().map_or(0, |(native, _)| native.held_bytes());
        self.bounds.held_bytes() + self.told.capacity() * TOLD_BYTES + native
    }
}

/// The count as an integer from 0 to below 2^64, if it is one.
fn whole(count: &str) -> Option<u64> {
    let count = number::parse(count.as_bytes())?;
    let is_whole = count >= 0.0 && count.fract() == 0.0 && count < 18_446_744_073_709_551_616.0;
    is_whole.then_some(count as u64)
}
