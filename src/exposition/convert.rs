//! The exposition in the formats other than its own: finished text in, escaped text or protobuf out (SPEC 7.6, 7.7).
//!
//! Pulls finished lines out of a [`Source`] and writes in bounded steps; holds no more than one short metric, or the start
//! of one family. A delimited family has its length in front: a short one is written to a buffer, a long one is read
//! twice, first to measure it.
//!
//! ```text
//! delimited: Head -(metric)-> Short -(too long)-> Measured -(end, back to where it got too long)-> Sent -(end)-> Head
//!                               `-(end)-> Head
//! others:    Head -(metric)-> Sent -(end)-> Head
//! ```
//! What families are called is found out before that, where names are escaped (`names`).
//! A metric with very many bounds is treated likewise: it is read once for what comes before its bounds, and once more
//! while these are sent.

mod labels;
mod metric;
mod names;
mod prototext;
mod schema;

#[cfg(any(test, feature = "fuzz"))]
pub mod naive;
#[cfg(test)]
mod tests;

use memchr::memchr;

use crate::exposition::format::{Escaping, Format};
use crate::exposition::wire;
#[cfg(any(test, feature = "fuzz"))]
use crate::limits::METRIC_BOUNDS_KEPT_MAX;
use crate::limits::{CONVERTED_BYTES_PER_STEP, FAMILY_BUFFERED_BYTES_MAX, HEADER_BYTES_PER_CONVERTED};
use crate::model::escape::unescape;
use crate::model::line::{Header, Line};
use crate::model::mark::Mark;
use crate::model::sample::Kind;

use metric::{Assembler, Complete, LongMetric};
use names::Names;
use prototext::Layout;

/// Where finished text comes from, and what it does not show.
pub trait Source {
    /// The text, in pieces of whole lines; `None` behind the last one. Always the same.
    fn piece(&self, at: usize) -> Option<&[u8]>;
    /// The value message of a metric (an `io.prometheus.client.Histogram`, say) if that has more than lines can show.
    /// `family` is the plain name, `labels` the label set as written, without `le` and `quantile`. The metrics that are asked
    /// for with one mark come in the order of the text, each once.
    fn message(&self, mark: &mut Mark, family: &str, labels: &str) -> Option<&[u8]>;
    /// Whether a histogram family is one of gauge histograms. The families that are asked for with one mark come in order,
    /// each before its metrics.
    fn is_gauge_histogram(&self, mark: &mut Mark, family: &str) -> bool;
}

/// A conversion on its way.
#[derive(Debug)]
pub struct Converter {
    format: Format,
    escaping: Escaping,
    /// What families are called; found out first.
    names: Names,
    cursor: Cursor,
    family: Family,
    stage: Stage,
    /// The family's message so far, as long as it is short.
    buffer: Vec<u8>,
    assembler: Assembler,
    /// Where the lines of the metric at hand start.
    metric_start: Option<Cursor>,
    /// The metric of very many bounds that is being sent.
    long: Option<LongMetric>,
    /// Working memory: one metric.
    scratch: Vec<u8>,
    step_bytes: usize,
    buffered_bytes_max: usize,
}

/// See the diagram above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Short,
    Measured { bytes: u64, back: Cursor },
    Sent,
}

/// The family at hand.
#[derive(Debug)]
struct Family {
    /// As written, without quotes.
    written: String,
    /// As the escaping has it.
    shown: Vec<u8>,
    help: Option<Vec<u8>>,
    kind: Kind,
    /// It is left out.
    is_hidden: bool,
}

/// A place in the source's text, and how far its messages have been taken there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    piece: usize,
    offset: usize,
    mark: Mark,
}

impl Cursor {
    /// The next line, without its LF.
    fn next<'s>(&mut self, source: &'s impl Source) -> Option<&'s [u8]> {
        loop {
            let rest = &source.piece(self.piece)?[self.offset..];
            if let Some(end) = memchr(b'\n', rest) {
                self.offset += end + 1;
                return Some(&rest[..end]);
            }
            *self = Self { piece: self.piece + 1, offset: 0, mark: self.mark };
        }
    }
}

impl Converter {
    /// Starts at the beginning.
    pub fn new(format: Format, escaping: Escaping) -> Self {
        Self {
            format,
            escaping,
            names: Names::new(escaping),
            cursor: Cursor::default(),
            family: Family {
                written: String::new(),
                shown: Vec::new(),
                help: None,
                kind: Kind::Untyped,
                is_hidden: false,
            },
            stage: Stage::Head,
            buffer: Vec::new(),
            assembler: Assembler::default(),
            metric_start: None,
            long: None,
            scratch: Vec::new(),
            step_bytes: CONVERTED_BYTES_PER_STEP,
            buffered_bytes_max: FAMILY_BUFFERED_BYTES_MAX,
        }
    }

    /// The same with other bounds, so that small inputs reach them.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn with_bounds(mut self, step_bytes: usize, buffered_bytes_max: usize) -> Self {
        (self.step_bytes, self.buffered_bytes_max) = (step_bytes, buffered_bytes_max);
        self.assembler.set_bounds_max(buffered_bytes_max.min(METRIC_BOUNDS_KEPT_MAX));
        self
    }

    /// Memory that it holds, bytes.
    pub fn held_bytes(&self) -> usize {
        let family = self.family.written.capacity() + self.family.shown.capacity();
        let help = self.family.help.as_ref().map_or(0, Vec::capacity);
        let metric = self.assembler.held_bytes() + self.long.as_ref().map_or(0, LongMetric::held_bytes);
        family + help + self.names.held_bytes() + self.buffer.capacity() + metric + self.scratch.capacity()
    }

    /// Writes the next part, which may be nothing while a family is measured; whether there is more to come.
    pub fn write(&mut self, source: &impl Source, out: &mut Vec<u8>) -> bool {
        if !self.names.are_known() {
            self.names.advance(source, self.step_bytes.saturating_mul(HEADER_BYTES_PER_CONVERTED));
            return true;
        }
        let mut used = 0;
        while used < self.step_bytes {
            let start = self.cursor;
            let line = self.cursor.next(source);
            used += line.map_or(0, <[u8]>::len) + 1;
            let header = line.and_then(Header::parse);
            if (line.is_none() || header.is_some()) && self.stage != Stage::Head {
                self.cursor = start;
                self.end_family(out);
                continue;
            }
            match (line, header) {
                (None, _) => return false,
                (Some(line), _) if self.format == Format::Text && self.escaping == Escaping::AllowUtf8 => {
                    out.extend_from_slice(line);
                    out.push(b'\n');
                }
                (Some(_), Some(header)) => self.take_header(header, source, out),
                (Some(_), None) if self.family.is_hidden => {}
                (Some(line), None) if self.format == Format::Text => self.write_line(line, out),
                (Some(line), None) if self.long.is_some() => self.send_bound(Line::parse(line), out),
                (Some(line), None) => self.take_line(Line::parse(line), start, source, out),
            }
        }
        true
    }

    fn take_header(&mut self, header: Header<'_>, source: &impl Source, out: &mut Vec<u8>) {
        let family = &mut self.family;
        if family.written != header.name {
            family.written.clear();
            family.written.push_str(header.name);
            family.shown.clear();
            family.is_hidden = !self.names.write(&mut family.shown, header);
            family.help = None;
        }
        if family.is_hidden {
            return;
        }
        if self.format == Format::Text {
            out.extend_from_slice(if header.is_help { b"# HELP " } else { b"# TYPE " });
            out.extend_from_slice(&family.shown);
            out.push(b' ');
            out.extend_from_slice(header.rest);
            out.push(b'\n');
        } else if header.is_help {
            family.help = Some(unescaped_help(header.rest));
        } else {
            family.kind = match header.rest {
                b"counter" => Kind::Counter,
                b"gauge" => Kind::Gauge,
                b"summary" => Kind::Summary,
                b"histogram" if source.is_gauge_histogram(&mut self.cursor.mark, &unescape(header.name)) => {
                    Kind::GaugeHistogram
                }
                b"histogram" => Kind::Histogram,
                _ => Kind::Untyped,
            };
        }
    }

    // ---- text ----

    fn write_line(&self, line: &[u8], out: &mut Vec<u8>) {
        let Line { name, labels, value } = Line::parse(line);
        // The suffix of a histogram's part is not escaped: it comes after the name.
        match name.strip_prefix(self.family.written.as_str()) {
            Some(suffix) => {
                out.extend_from_slice(&self.family.shown);
                out.extend_from_slice(suffix.as_bytes());
            }
            None => self.escaping.write(out, name),
        }
        let mut separator = b'{';
        labels::for_each(labels, self.escaping, |name, value| {
            out.push(std::mem::replace(&mut separator, b','));
            out.extend_from_slice(name);
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(value.as_bytes());
            out.push(b'"');
        });
        out.extend_from_slice(if separator == b',' { b"} " } else { b" " });
        out.extend_from_slice(value.as_bytes());
        out.push(b'\n');
    }

    // ---- protobuf ----

    /// Takes a line, which starts at this place.
    fn take_line(&mut self, line: Line<'_>, start: Cursor, source: &impl Source, out: &mut Vec<u8>) {
        let start = *self.metric_start.get_or_insert(start);
        let complete = self.assembler.take(line, self.family.kind, &self.family.written);
        if let Some(metric) = complete {
            self.take_metric(metric, start, source, out);
            self.assembler.clear();
            self.metric_start = None;
        }
    }

    fn take_metric(&mut self, metric: Complete<'_>, start: Cursor, source: &impl Source, out: &mut Vec<u8>) {
        if self.stage == Stage::Head {
            self.begin_family(out);
        }
        let message = source.message(&mut self.cursor.mark, &unescape(&self.family.written), metric.labels);
        if message.is_none()
            && let Some(long) = self.assembler.long(metric, self.family.kind, self.escaping)
        {
            return self.take_long(long, start, out);
        }
        self.scratch.clear();
        self.assembler.write(&mut self.scratch, metric, self.family.kind, self.escaping, message);
        let field_bytes = 1 + wire::varint_len(self.scratch.len() as u64) + self.scratch.len();
        match &mut self.stage {
            Stage::Head => unreachable!("the family has begun"),
            Stage::Short => {
                wire::write_bytes(&mut self.buffer, schema::FAMILY_METRIC, &self.scratch);
                if self.buffer.len() > self.buffered_bytes_max {
                    self.stage = Stage::Measured { bytes: self.buffer.len() as u64, back: self.cursor };
                }
            }
            Stage::Measured { bytes, .. } => *bytes += field_bytes as u64,
            Stage::Sent => self.send_metric(out),
        }
    }

    /// Measures a metric of very many bounds, or begins to send it: then its lines are read again.
    fn take_long(&mut self, long: LongMetric, start: Cursor, out: &mut Vec<u8>) {
        let field_bytes = 1 + wire::varint_len(long.len()) as u64 + long.len();
        match &mut self.stage {
            Stage::Head => unreachable!("the family has begun"),
            Stage::Short => {
                self.stage = Stage::Measured { bytes: self.buffer.len() as u64 + field_bytes, back: start };
            }
            Stage::Measured { bytes, .. } => *bytes += field_bytes,
            Stage::Sent => {
                self.send_front(&long, out);
                self.cursor = start;
                self.long = Some(long);
            }
        }
    }

    fn send_front(&self, long: &LongMetric, out: &mut Vec<u8>) {
        if self.format == Format::ProtoDelimited {
            wire::write_bytes_head(out, schema::FAMILY_METRIC, long.len());
            return long.write_front(out);
        }
        let (labels, value) = long.parts();
        let inner = prototext::open_message(out, "metric", self.layout(), &mut false);
        prototext::write_fields(out, schema::METRIC, labels, inner, true);
        if let Some((name, fields)) = schema::message_field(schema::METRIC, long.value_field()) {
            let innermost = prototext::open_message(out, name, inner, &mut labels.is_empty());
            prototext::write_fields(out, fields, &value, innermost, true);
        }
    }

    /// Sends the bound of a line, or what comes after the last one.
    fn send_bound(&mut self, line: Line<'_>, out: &mut Vec<u8>) {
        let layout = self.layout();
        let Some(long) = &mut self.long else { return };
        self.scratch.clear();
        let goes_on = long.write_bound(&mut self.scratch, line, &self.family.written);
        let is_delimited = self.format == Format::ProtoDelimited;
        if is_delimited {
            out.extend_from_slice(&self.scratch);
        } else if let Some((_, fields)) = schema::message_field(schema::METRIC, long.value_field()) {
            let innermost = layout.inner().inner();
            prototext::write_fields(out, fields, &self.scratch, innermost, false);
        }
        if goes_on {
            return;
        }
        if is_delimited {
            long.write_back(out);
        } else {
            prototext::close_message(out, layout.inner());
            prototext::close_message(out, layout);
        }
        self.long = None;
    }

    fn begin_family(&mut self, out: &mut Vec<u8>) {
        let Family { shown, help, kind, .. } = &self.family;
        self.buffer.clear();
        wire::write_bytes(&mut self.buffer, schema::FAMILY_NAME, shown);
        if let Some(help) = help {
            wire::write_bytes(&mut self.buffer, schema::FAMILY_HELP, help);
        }
        let number = schema::TYPES.iter().position(|name| *name == kind.upper_name());
        let number = number.expect("every kind is a type of the schema");
        wire::write_uint(&mut self.buffer, schema::FAMILY_TYPE, number as u64);
        if self.format == Format::ProtoDelimited {
            self.stage = Stage::Short;
        } else {
            prototext::write_fields(out, schema::FAMILY, &self.buffer, self.layout(), true);
            self.stage = Stage::Sent;
        }
    }

    fn send_metric(&self, out: &mut Vec<u8>) {
        if self.format == Format::ProtoDelimited {
            wire::write_bytes(out, schema::FAMILY_METRIC, &self.scratch);
        } else {
            prototext::write_message(out, "metric", schema::METRIC, &self.scratch, self.layout(), &mut false);
        }
    }

    fn end_family(&mut self, out: &mut Vec<u8>) {
        self.assembler.clear();
        self.metric_start = None;
        let bytes = match self.stage {
            Stage::Measured { bytes, .. } => bytes,
            _ => self.buffer.len() as u64,
        };
        match self.stage {
            Stage::Short | Stage::Measured { .. } => {
                wire::write_varint(out, bytes);
                out.extend_from_slice(&self.buffer);
            }
            Stage::Sent if self.format != Format::ProtoDelimited => out.push(b'\n'),
            Stage::Head | Stage::Sent => {}
        }
        self.stage = match self.stage {
            Stage::Measured { back, .. } => {
                self.cursor = back;
                Stage::Sent
            }
            _ => Stage::Head,
        };
        if self.stage == Stage::Head {
            self.family.written.clear();
            self.family.help = None;
        }
    }

    fn layout(&self) -> Layout {
        if self.format == Format::ProtoText { Layout::Lines(0) } else { Layout::OneLine }
    }
}

/// The help text that an escaped one stands for.
fn unescaped_help(escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        plain.push(if rest.get(at + 1) == Some(&b'n') { b'\n' } else { b'\\' });
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    plain.extend_from_slice(rest);
    plain
}
