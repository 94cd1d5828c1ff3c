//! Conversion as plainly as it can be written: everything at once, families as values. The oracle of the tests and of
//! the `exposition_convert` fuzz target; never part of the product.

use super::{Converter, Source};
use crate::exposition::format::Escaping;
use crate::model::escape::unescape;
use crate::model::line::{Header, Line, label_pairs};
use crate::model::mark::Mark;
use crate::model::number;

/// A family of either side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The name as escaped.
    pub name: Vec<u8>,
    /// The help text.
    pub help: Option<Vec<u8>>,
    /// The number of its type.
    pub kind: u64,
    /// Labels, and what each says: numbers as text, in an order of their own.
    pub metrics: Vec<(LabelSet, Vec<String>)>,
}

/// Names and values.
pub type LabelSet = Vec<(Vec<u8>, Vec<u8>)>;

/// A source of text in pieces without anything that lines do not show, except that some metrics have messages and some
/// families are of gauge histograms.
#[derive(Debug, Default)]
pub struct Pieces {
    /// The text.
    pub pieces: Vec<Vec<u8>>,
    /// Family, label set and message.
    pub messages: Vec<(&'static str, &'static str, Vec<u8>)>,
    /// Names of gauge histograms.
    pub gauges: Vec<&'static str>,
}

impl Source for Pieces {
    fn piece(&self, at: usize) -> Option<&[u8]> {
        self.pieces.get(at).map(Vec::as_slice)
    }

    fn message(&self, _: &mut Mark, family: &str, labels: &str) -> Option<&[u8]> {
        let mut messages = self.messages.iter();
        messages.find(|(name, set, _)| *name == family && *set == labels).map(|(_, _, message)| &**message)
    }

    fn is_gauge_histogram(&self, _: &mut Mark, family: &str) -> bool {
        self.gauges.contains(&family)
    }
}

/// Runs a conversion to its end; also the longest part of it.
pub fn converted(mut converter: Converter, source: &impl Source) -> (Vec<u8>, usize) {
    let (mut whole, mut part, mut longest) = (Vec::new(), Vec::new(), 0);
    loop {
        part.clear();
        let has_more = converter.write(source, &mut part);
        whole.extend_from_slice(&part);
        longest = longest.max(part.len());
        if !has_more {
            return (whole, longest);
        }
    }
}

/// The names by which the families of finished text are shown, in order; `None` for one that is left out.
pub fn names_of_text(text: &[u8], escaping: Escaping) -> Vec<Option<Vec<u8>>> {
    let escaped = |name: &str, escaping: Escaping| {
        let mut out = Vec::new();
        escaping.write(&mut out, name);
        out
    };
    let headers = text.split(|byte| *byte == b'\n').filter_map(Header::parse).filter(|header| !header.is_help);
    let families: Vec<_> = headers
        .map(|header| match (header.is_quoted, escaping) {
            (true, Escaping::AllowUtf8) | (false, _) => (false, vec![escaped(header.name, escaping)], header.rest),
            (true, _) => {
                (true, vec![escaped(header.name, escaping), escaped(header.name, Escaping::Values)], header.rest)
            }
        })
        .collect();
    let is_part = |part: &[u8], whole: &[u8], kind: &[u8]| {
        let suffixes: &[&[u8]] = match kind {
            b"histogram" => &[b"_sum", b"_count", b"_bucket"],
            b"summary" => &[b"_sum", b"_count"],
            _ => &[],
        };
        suffixes.iter().any(|suffix| part.strip_suffix(*suffix) == Some(whole))
    };
    let is_in_conflict = |at: usize, name: &[u8]| {
        let others = families.iter().enumerate().filter(|(other, _)| *other != at);
        others.into_iter().any(|(_, (_, names, kind))| {
            let is_it =
                |other: &Vec<u8>| other == name || is_part(other, name, families[at].2) || is_part(name, other, kind);
            names.iter().any(is_it)
        })
    };
    let mut shown = Vec::new();
    for (at, (is_escaped, names, _)) in families.iter().enumerate() {
        shown.push(names.iter().find(|name| !is_escaped || !is_in_conflict(at, name)).cloned());
    }
    shown
}

/// What finished text says, classic histograms only.
pub fn families_of_text(text: &[u8], escaping: Escaping) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut pending = Vec::new();
    let mut help = None;
    let mut names = names_of_text(text, escaping).into_iter();
    let mut is_hidden = false;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Some(header) = Header::parse(line) else {
            if is_hidden {
                continue;
            }
            let family = families.last_mut().expect("a header comes first");
            take_line(family, Line::parse(line), escaping, &mut pending);
            continue;
        };
        if header.is_help {
            help = Some(header.rest.to_vec());
            continue;
        }
        let help = help.take().map(|help: Vec<u8>| plain_help(&help));
        let name = names.next().expect("there is one for each family");
        is_hidden = name.is_none();
        let Some(name) = name else { continue };
        let kinds = [&b"counter"[..], b"gauge", b"summary", b"untyped", b"histogram"];
        let kind = kinds.iter().position(|kind| *kind == header.rest).expect("a known kind") as u64;
        families.push(Family { name, help, kind, metrics: Vec::new() });
    }
    families
}

/// A finished help text holds two escapes and no other backslash.
fn plain_help(escaped: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = escaped;
    while let Some(first) = rest.first() {
        let (plain, len) = match rest {
            [b'\\', b'\\', ..] => (b'\\', 2),
            [b'\\', b'n', ..] => (b'\n', 2),
            _ => (*first, 1),
        };
        out.push(plain);
        rest = &rest[len..];
    }
    out
}

fn take_line(family: &mut Family, line: Line<'_>, escaping: Escaping, pending: &mut Vec<(String, String)>) {
    let number = |text: &str| format!("{:?}", number::parse(text.as_bytes()).expect("a number"));
    let mut labels: Vec<_> = label_pairs(line.labels).collect();
    let is_compound = matches!(family.kind, 2 | 4);
    let bound = if family.kind == 4 { "le" } else { "quantile" };
    let has_bound = matches!(labels.last(), Some((name, _)) if *name == bound);
    if is_compound && !has_bound && line.name.ends_with("_sum") {
        pending.push(("sum".to_owned(), number(line.value)));
        return;
    }
    if is_compound && has_bound {
        let (_, bound) = labels.pop().expect("a bound");
        pending.push((number(bound), number(line.value)));
        return;
    }
    let mut parts: Vec<String> = Vec::new();
    if family.kind == 4 {
        let buckets: Vec<_> = pending.iter().filter(|(bound, _)| bound != "sum").collect();
        let unbounded: Vec<_> = buckets.iter().filter(|(bound, _)| bound == "inf").collect();
        let is_last = buckets.last().is_some_and(|(bound, count)| bound == "inf" && *count == number(line.value));
        if is_last && unbounded.len() == 1 {
            pending.retain(|(bound, _)| bound != "inf");
        }
    }
    parts.extend(pending.drain(..).map(|(bound, value)| format!("{bound} {value}")));
    parts.push(number(line.value));
    let mut shown = LabelSet::new();
    for (name, value) in labels {
        let mut escaped = Vec::new();
        escaping.write_label(&mut escaped, name);
        let value = unescape(value).into_owned().into_bytes();
        match shown.iter_mut().find(|(name, _)| *name == escaped) {
            Some((_, first)) => *first = [&**first, b";", &*value].concat(),
            None => shown.push((escaped, value)),
        }
    }
    family.metrics.push((shown, parts));
}

/// What delimited protobuf says. Histograms must be either wholly of integers or wholly of doubles.
///
/// # Panics
/// If it is not well formed.
pub fn families_of_protobuf(mut bytes: &[u8]) -> Vec<Family> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        let len = number_of(&mut bytes) as usize;
        let (message, rest) = bytes.split_at(len);
        bytes = rest;
        let mut family = Family { kind: 99, ..Family::default() };
        for (number, field) in message_of(message) {
            match number {
                1 => family.name = field.bytes().to_vec(),
                2 => family.help = Some(field.bytes().to_vec()),
                3 => family.kind = field.integer(),
                4 => family.metrics.push(metric_of(field.bytes())),
                _ => panic!("field {number} of a family"),
            }
        }
        families.push(family);
    }
    families
}

fn metric_of(message: &[u8]) -> (LabelSet, Vec<String>) {
    let (mut labels, mut parts) = (Vec::new(), Vec::new());
    for (number, field) in message_of(message) {
        let inner = message_of(field.bytes());
        match number {
            1 => labels.push((inner[0].1.bytes().to_vec(), inner[1].1.bytes().to_vec())),
            2 | 3 | 5 => parts.push(inner[0].1.double()),
            4 | 7 => parts = compound_of(&inner, number == 7),
            _ => panic!("field {number} of a metric"),
        }
    }
    (labels, parts)
}

fn compound_of(fields: &[(u64, Field<'_>)], is_histogram: bool) -> Vec<String> {
    let (mut sum, mut count, mut parts) = (String::new(), String::new(), Vec::new());
    let integer = |field: &Field<'_>| format!("{:?}", field.integer() as f64);
    let is_float = fields.iter().any(|(number, _)| *number == 4);
    for (number, field) in fields {
        match number {
            1 => count = integer(field),
            2 => sum = format!("sum {}", field.double()),
            4 => count = field.double(),
            3 => {
                let inner = message_of(field.bytes());
                let of = |number: u64| {
                    let found = inner.iter().find(|(found, _)| *found == number);
                    found.map(|(_, field)| field).expect("a bound with its value")
                };
                parts.push(match (is_histogram, is_float) {
                    (true, false) => format!("{} {}", of(2).double(), integer(of(1))),
                    (true, true) => format!("{} {}", of(2).double(), of(4).double()),
                    (false, _) => format!("{} {}", of(1).double(), of(2).double()),
                });
            }
            _ => panic!("field {number} of a compound"),
        }
    }
    parts.extend([sum, count]);
    parts
}

#[derive(Clone, Copy, Debug)]
enum Field<'a> {
    Integer(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => panic!("bytes wanted: {self:?}"),
        }
    }

    fn integer(&self) -> u64 {
        match self {
            Self::Integer(value) => *value,
            _ => panic!("an integer wanted: {self:?}"),
        }
    }

    fn double(&self) -> String {
        match self {
            Self::Double(value) => format!("{value:?}"),
            _ => panic!("a double wanted: {self:?}"),
        }
    }
}

fn message_of(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number_of(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Integer(number_of(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Double(f64::from_le_bytes(number.try_into().unwrap_or_default()))
            }
            2 => {
                let len = number_of(&mut bytes) as usize;
                let (inner, rest) = bytes.split_at(len);
                bytes = rest;
                Field::Bytes(inner)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, field));
    }
    fields
}

fn number_of(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().expect("a varint that ends");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return value;
        }
    }
}
