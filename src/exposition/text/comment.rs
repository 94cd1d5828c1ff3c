//! Comment lines, HELP and TYPE among them (SPEC 3.4).

use super::cursor::{Cursor, Scratch, excerpt_without_backslashes, unescaped, unescaped_excerpt};
use super::error::{Parsed, Reason, end_of_input};
use super::line::Body;
use crate::model::sample::{FamilyIx, Kind, Sink};

/// The longest word for a kind, bytes.
const KIND_BYTES_MAX: usize = "gauge_histogram".len();

impl Body {
    pub(super) fn comment<'a: 's, 's, S: Sink>(
        &mut self,
        cursor: &mut Cursor<'a>,
        scratch: &mut Scratch<'s>,
        sink: &mut S,
    ) -> Parsed<()> {
        cursor.step();
        cursor.skip_blanks();
        let is_help = match cursor.rest() {
            [b'H', b'E', b'L', b'P', b' ' | b'\t', ..] => true,
            [b'T', b'Y', b'P', b'E', b' ' | b'\t', ..] => false,
            _ => return cursor.rest_of_line().map(|_| ()).ok_or_else(end_of_input),
        };
        cursor.step_over("HELP".len());
        cursor.peek_past_blanks()?;
        let found = match self.repeated(cursor) {
            Some(found) => Ok(found),
            None => Err(cursor.metric_name(scratch)?),
        };
        match cursor.peek()? {
            b'\n' => return Ok(()),
            b' ' | b'\t' => {}
            _ => return Err(Reason::MetricNameInComment.into()),
        }
        let family = found.or_else(|name| self.find(name, sink))?.family;
        self.current = Some(family);
        if cursor.peek_past_blanks()? == b'\n' {
            return Ok(());
        }
        if is_help { self.help_text(family, cursor, sink) } else { self.family_type(family, cursor, sink) }
    }

    fn help_text<S: Sink>(&mut self, family: FamilyIx, cursor: &Cursor<'_>, sink: &mut S) -> Parsed<()> {
        if !self.families.take_help(family) {
            return Err(Reason::SecondHelp { family: self.current_name() }.into());
        }
        let has_escapes = check_escapes(cursor.rest())?;
        let text = cursor.rest_of_line().ok_or_else(end_of_input)?;
        if str::from_utf8(text).is_err() {
            return Err(Reason::HelpText(unescaped_excerpt(b"", text)).into());
        }
        if has_escapes {
            self.help.clear();
            self.help.extend(unescaped(text));
            sink.help(family, &self.help);
        } else {
            sink.help(family, text);
        }
        Ok(())
    }

    fn family_type<S: Sink>(&mut self, family: FamilyIx, cursor: &Cursor<'_>, sink: &mut S) -> Parsed<()> {
        if self.families.kind(family).is_some() {
            return Err(Reason::SecondType { family: self.current_name() }.into());
        }
        let word = cursor.rest_of_line().ok_or_else(end_of_input)?;
        let kind = match kind_of(word) {
            Some(kind) => kind,
            // The original drops backslashes here before it looks.
            None => {
                let rest = word.iter().copied().filter(|byte| *byte != b'\\');
                // One byte more than the longest of them.
                let start: Vec<u8> = rest.take(KIND_BYTES_MAX + 1).collect();
                kind_of(&start).ok_or_else(|| Reason::UnknownType(excerpt_without_backslashes(word)))?
            }
        };
        self.families.set_kind(family, kind);
        sink.kind(family, kind);
        Ok(())
    }
}

fn kind_of(word: &[u8]) -> Option<Kind> {
    let mut lower = [0; KIND_BYTES_MAX];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"counter" => Some(Kind::Counter),
        b"gauge" => Some(Kind::Gauge),
        b"summary" => Some(Kind::Summary),
        b"untyped" => Some(Kind::Untyped),
        b"histogram" => Some(Kind::Histogram),
        b"gauge_histogram" | b"gaugehistogram" => Some(Kind::GaugeHistogram),
        _ => None,
    }
}

/// Whether there are escapes in the rest of a line; an error at the first that is none. LF counts as escaped byte.
fn check_escapes(rest: &[u8]) -> Parsed<bool> {
    let mut at = 0;
    while let Some(len) = memchr::memchr(b'\\', &rest[at..]) {
        match rest.get(at + len + 1) {
            Some(b'\\' | b'n' | b'"') => at += len + 2,
            Some(other) => return Err(Reason::Escape(*other).into()),
            None => return Err(Reason::EndOfInput.into()),
        }
    }
    Ok(at != 0)
}
