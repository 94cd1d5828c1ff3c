//! One line of a body: which kind of line it is, samples in both forms (SPEC 3.2, 3.3, 3.5, 3.6).
//!
//! Holds what lasts from line to line, the families. HELP and TYPE lines are in `comment`; where lines begin and end
//! is the concern of the parser above.

use super::cursor::{Cursor, Name, Scratch, excerpt_without_backslashes, unescaped_excerpt};
use super::error::{Parsed, Reason};
use super::families::{Families, Found, Suffix};
use super::labels::{Labels, SeenNames};
use super::run::{Alike, Run};
use crate::limits::PARSER_RETAINED_BYTES_MAX;
use crate::model::name::Names;
use crate::model::number;
use crate::model::quote::Excerpt;
use crate::model::sample::{FamilyIx, Kind, Part, Sample, Sink};
use std::ops::Range;

/// What is known of the body from the lines read so far.
#[derive(Default)]
pub(super) struct Body {
    pub(super) names: Names,
    pub(super) families: Families,
    /// The family found last; messages name it until the next one is found (SPEC 3.9 item 5).
    pub(super) current: Option<FamilyIx>,
    pub(super) seen: SeenNames,
    /// An unescaped help text.
    pub(super) help: Vec<u8>,
}

impl Body {
    /// Starts a new body, and gives back what an unusually large one took.
    pub(super) fn reset(&mut self, names: Names) {
        self.names = names;
        self.families.reset();
        self.current = None;
        if self.seen.retained_bytes() > PARSER_RETAINED_BYTES_MAX {
            self.seen = SeenNames::default();
        }
        if self.help.capacity() > PARSER_RETAINED_BYTES_MAX {
            self.help = Vec::new();
        }
    }

    pub(super) fn retained_bytes(&self) -> usize {
        self.families.retained_bytes() + self.seen.retained_bytes() + self.help.capacity()
    }

    /// Reads one line, LF included unless the body ends in it. `run` knows the line before.
    pub(super) fn line<'a: 's, 's, S: Sink>(
        &mut self,
        mut cursor: Cursor<'a>,
        mut scratch: Scratch<'s>,
        run: &mut Run<'a>,
        sink: &mut S,
    ) -> Parsed<()> {
        // The body may end here, before the first byte that is no blank, and nowhere else.
        cursor.skip_blanks();
        match cursor.rest().first() {
            None | Some(b'\n') => Ok(()),
            Some(b'#') => self.comment(&mut cursor, &mut scratch, sink),
            Some(b'{') => {
                run.stop();
                self.brace_sample(&mut cursor, &mut scratch, sink)
            }
            Some(_) => self.named_sample(&mut cursor, &mut scratch, run, sink),
        }
    }

    fn named_sample<'a: 's, 's, S: Sink>(
        &mut self,
        cursor: &mut Cursor<'a>,
        scratch: &mut Scratch<'s>,
        run: &mut Run<'a>,
        sink: &mut S,
    ) -> Parsed<()> {
        if let Some(Alike { found, labels, label_text }) = run.follow(cursor) {
            self.current = Some(found.family);
            let sample = Sample::new(found.family, Part::Whole, labels, f64::NAN);
            return self.value(Kind::Untyped, Sample { label_text, is_alike: true, ..sample }, cursor, sink);
        }
        let start = cursor.place();
        let found = match self.repeated(cursor) {
            Some(found) => found,
            None => {
                let name = cursor.metric_name(scratch)?;
                if name.bytes().is_empty() {
                    return Err(Reason::NoMetricName.into());
                }
                self.find(name, sink)?
            }
        };
        self.current = Some(found.family);
        run.begin(found.family, start);
        let kind = self.sampled_kind(found.family, sink);
        let mut labels = Labels::new(kind);
        let (mut label_start, mut label_text) = (0, "");
        if cursor.peek_past_blanks()? == b'{' {
            cursor.step();
            label_start = cursor.place();
            let mut text_end = label_start;
            while cursor.peek_past_blanks()? != b'}' {
                let name = self.label_name(cursor, scratch)?;
                let name_end = cursor.place();
                let byte = cursor.peek_past_blanks()?;
                if byte != b'=' {
                    return Err(Reason::NoEquals(byte).into());
                }
                let (value, goes_on) = self.label(name, cursor, &mut labels)?;
                text_end = value.end + 1;
                if let Name::Bare(name) = name {
                    run.note(cursor, name_end - name.len()..name_end, &value);
                }
                if !goes_on {
                    break;
                }
            }
            label_text = cursor.text_between(label_start, text_end);
            cursor.step();
        }
        let part = part(kind, found.suffix, labels.rank());
        let labels = labels.as_slice();
        if part == Part::Whole && !labels.is_empty() && run.has_noted(labels.len()) {
            run.end(found, cursor, label_start - start);
        }
        let sample = Sample::new(found.family, part, labels, f64::NAN);
        self.value(kind, Sample { label_text, ..sample }, cursor, sink)
    }

    fn brace_sample<'a: 's, 's, S: Sink>(
        &mut self,
        cursor: &mut Cursor<'a>,
        scratch: &mut Scratch<'s>,
        sink: &mut S,
    ) -> Parsed<()> {
        cursor.step();
        let mut labels = Labels::new(Kind::Untyped);
        let mut named = None;
        while cursor.peek_past_blanks()? != b'}' {
            let name = self.label_name(cursor, scratch)?;
            let byte = cursor.peek_past_blanks()?;
            let goes_on = if byte == b'=' {
                self.label(name, cursor, &mut labels)?.1
            } else if named.is_some() {
                return Err(Reason::SecondMetricName { family: self.current_name() }.into());
            } else if byte != b',' && byte != b'}' {
                return Err(Reason::MetricNameEnd(byte).into());
            } else {
                let found = self.find(name, sink)?;
                let kind = self.sampled_kind(found.family, sink);
                named = Some((found, kind));
                labels.set_kind(kind)?;
                if byte == b',' {
                    cursor.step();
                }
                byte == b','
            };
            if !goes_on {
                break;
            }
        }
        cursor.step();
        let (found, kind) = named.ok_or(Reason::NoMetricName)?;
        let part = part(kind, found.suffix, labels.rank());
        self.value(kind, Sample::new(found.family, part, labels.as_slice(), f64::NAN), cursor, sink)
    }

    #[inline(always)]
    fn label_name<'a: 's, 's>(&self, cursor: &mut Cursor<'a>, scratch: &mut Scratch<'s>) -> Parsed<Name<'s>> {
        let name = cursor.label_name(scratch)?;
        if name.bytes().is_empty() {
            return Err(Reason::NoLabelName { family: self.current_name() }.into());
        }
        Ok(name)
    }

    /// Reads a label from its `=` on, up to its `,`, which is stepped over, or `}`; where its value stands, and whether
    /// it is not the last.
    #[inline]
    fn label<'a: 's, 's>(
        &mut self,
        name: Name<'s>,
        cursor: &mut Cursor<'a>,
        labels: &mut Labels<'s>,
    ) -> Parsed<(Range<usize>, bool)> {
        cursor.step();
        if name.bytes() == b"__name__" {
            return Err(Reason::ReservedLabelName.into());
        }
        let text = match name {
            Name::Bare(text) => text,
            Name::Quoted(text) if self.names.allows_label(text.as_bytes()) => text,
            _ => return Err(Reason::LabelName(name.bytes().into()).into()),
        };
        if !labels.takes(text, &mut self.seen) {
            return Err(Reason::DuplicateLabelName { family: self.current_name() }.into());
        }
        let byte = cursor.peek_past_blanks()?;
        if byte != b'"' {
            return Err(Reason::NoQuote(byte).into());
        }
        let (value, value_text) = cursor.label_value()?;
        let value_end = cursor.place() - 1;
        let place = value_end - value.len()..value_end;
        let Some(value_text) = value_text else {
            return Err(Reason::LabelValue(unescaped_excerpt(b"", value)).into());
        };
        labels.add(text, value_text)?;
        match cursor.peek_past_blanks()? {
            b',' => {
                cursor.step();
                Ok((place, true))
            }
            b'}' => Ok((place, false)),
            _ => Err(Reason::LabelValueEnd(unescaped_excerpt(b"", value)).into()),
        }
    }

    /// Reads what follows the name and labels of a sample, its value first, and hands the sample on.
    #[inline]
    fn value<'a: 's, 's, S: Sink>(
        &self,
        kind: Kind,
        mut sample: Sample<'s>,
        cursor: &mut Cursor<'a>,
        sink: &mut S,
    ) -> Parsed<()> {
        cursor.skip_blanks();
        let (token, number) = match cursor.plain_number() {
            Some(found) => found,
            None => {
                let (bytes, token) = cursor.word()?;
                let (Some(number), Some(token)) = (number::read(bytes), token) else {
                    return Err(Reason::Value(bytes.into()).into());
                };
                (token, number)
            }
        };
        if kind.is_histogram() && number.value < 0.0 {
            self.check_not_count(sample.part)?;
        }
        if cursor.peek()? != b'\n' {
            sample.timestamp = Some(timestamp(cursor)?);
        }
        sink.sample(Sample { value: number.value, token, is_canonical: number.is_canonical, ..sample });
        Ok(())
    }

    #[cold]
    fn check_not_count(&self, part: Part) -> Parsed<()> {
        match part {
            Part::Count => Err(Reason::NegativeCount { family: self.current_name() }.into()),
            Part::Bucket(_) => Err(Reason::NegativeBucket { family: self.current_name() }.into()),
            _ => Ok(()),
        }
    }

    /// Steps over the name that stands here and tells what it stands for, if it is the one found last: most lines repeat
    /// the name of the line before.
    #[inline]
    pub(super) fn repeated(&self, cursor: &mut Cursor<'_>) -> Option<Found> {
        let (found, len) = self.families.repeated(cursor.rest())?;
        cursor.step_over_metric_name(len).then_some(found)
    }

    /// The family of a name, made and announced if need be; it is the current one now.
    pub(super) fn find<S: Sink>(&mut self, name: Name<'_>, sink: &mut S) -> Parsed<Found> {
        let (text, bare) = match name {
            Name::Bare(text) => (text, true),
            Name::Quoted(text) if self.names.allows_metric(text.as_bytes()) => (text, false),
            _ => return Err(Reason::MetricName(name.bytes().into()).into()),
        };
        let (found, is_new) = self.families.find_or_add(text.as_bytes(), bare);
        if is_new {
            sink.family(found.family, text);
        }
        self.current = Some(found.family);
        Ok(found)
    }

    /// The kind of a family that has a sample: untyped from now on if no TYPE line came before.
    #[inline]
    fn sampled_kind<S: Sink>(&mut self, family: FamilyIx, sink: &mut S) -> Kind {
        self.families.kind(family).unwrap_or_else(|| {
            self.families.set_kind(family, Kind::Untyped);
            sink.kind(family, Kind::Untyped);
            Kind::Untyped
        })
    }

    /// The name of the current family, for a message.
    #[cold]
    pub(super) fn current_name(&self) -> Excerpt {
        self.current.map_or_else(Excerpt::default, |family| self.families.name(family).into())
    }
}

/// What a line contributes (SPEC 3.8); `rank` is its `quantile` or `le`, NaN if it has none.
#[inline]
fn part(kind: Kind, suffix: Suffix, rank: f64) -> Part {
    match (kind, suffix) {
        (Kind::Counter | Kind::Gauge | Kind::Untyped, _) => Part::Whole,
        (_, Suffix::Count) => Part::Count,
        (_, Suffix::Sum) => Part::Sum,
        _ if rank.is_nan() => Part::Mention,
        (Kind::Summary, _) => Part::Quantile(rank),
        (Kind::Histogram | Kind::GaugeHistogram, _) => Part::Bucket(rank),
    }
}

/// Reads a timestamp behind a value and a blank, to the end of the line (SPEC 3.3).
#[cold]
fn timestamp(cursor: &mut Cursor<'_>) -> Parsed<i64> {
    cursor.skip_blanks();
    let (bytes, token) = cursor.word()?;
    let Some(timestamp) = token.and_then(|token| token.parse().ok()) else {
        return Err(Reason::Timestamp(bytes.into()).into());
    };
    match cursor.rest_of_line() {
        Some([]) => Ok(timestamp),
        Some(rest) => Err(Reason::AfterTimestamp(excerpt_without_backslashes(rest)).into()),
        None => Err(Reason::EndOfInput.into()),
    }
}
