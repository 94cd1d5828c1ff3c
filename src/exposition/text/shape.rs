//! Bodies that were read before, for those that repeat one of them but for its values, as the pushes of a job and of all
//! its instances do: what such a body says is known without reading it again.
//!
//! A shape is found by comparing all of a body but its values, which are read as always. So what it stands for is never
//! in doubt, and whatever is not quite as before is left to the parser.

use std::ops::Range;

use crate::limits::{SHAPES_KEPT, SHAPES_MISSED_PER_TRY, SHAPES_TRIED_MAX};
use crate::model::name::Names;
use crate::model::number;
use crate::model::sample::{FamilyIx, Kind, Label, Part, Sample, Sink};

/// Longest value that is looked at, bytes; longer ones are left to the parser.
const VALUE_BYTES_MAX: usize = 32;

/// Most labels of a sample; others are left to the parser.
const LABELS_MAX: usize = 8;

/// A place in text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// What a sink was told.
#[derive(Debug)]
enum Event {
    Family(FamilyIx, Span),
    Kind(FamilyIx, Kind),
    Help(FamilyIx, Span),
    Sample { family: FamilyIx, part: Part, labels: Span, label_text: Span },
}

/// Where a value stands in the body: from here to the end of the line.
#[derive(Debug)]
struct Place {
    span: Span,
    may_be_negative: bool,
}

/// One body and what it said.
#[derive(Debug, Default)]
pub(super) struct Shape {
    names: Names,
    /// Invariant: ends in LF.
    body: Vec<u8>,
    values: Vec<Place>,
    events: Vec<Event>,
    /// Names and values of all labels, and what else the events refer to.
    labels: Vec<[Span; 2]>,
    words: String,
    /// Something was said that cannot be kept.
    is_unfit: bool,
}

impl Shape {
    fn begin(&mut self, body: &[u8], names: Names) {
        self.names = names;
        self.body.clear();
        self.body.extend_from_slice(body);
        self.values.clear();
        self.events.clear();
        self.labels.clear();
        self.words.clear();
        self.is_unfit = false;
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.words.len() as u32;
        self.words.push_str(text);
        Span { start, end: self.words.len() as u32 }
    }

    #[cold]
    fn keep_family(&mut self, family: FamilyIx, name: &str) {
        let name = self.keep(name);
        self.events.push(Event::Family(family, name));
    }

    #[cold]
    fn keep_kind(&mut self, family: FamilyIx, kind: Kind) {
        self.events.push(Event::Kind(family, kind));
    }

    #[cold]
    fn keep_help(&mut self, family: FamilyIx, text: &[u8]) {
        match str::from_utf8(text) {
            Ok(text) => {
                let text = self.keep(text);
                self.events.push(Event::Help(family, text));
            }
            Err(_) => self.is_unfit = true,
        }
    }

    #[cold]
    fn keep_sample(&mut self, sample: &Sample<'_>, line_end: usize) {
        let start = self.labels.len() as u32;
        for label in sample.labels {
            let spans = [self.keep(label.name), self.keep(label.value)];
            self.labels.push(spans);
        }
        let labels = Span { start, end: self.labels.len() as u32 };
        let label_text = self.keep(sample.label_text);
        self.events.push(Event::Sample { family: sample.family, part: sample.part, labels, label_text });
        let span = Span { start: (line_end - sample.token.len()) as u32, end: line_end as u32 };
        let is_count = matches!(sample.part, Part::Count | Part::Bucket(_));
        self.values.push(Place { span, may_be_negative: !is_count });
        self.is_unfit |= sample.timestamp.is_some() || sample.labels.len() > LABELS_MAX;
    }

    /// Whether a body is this one but for its values, which are put into `found`: what they are and where they stand.
    fn fits(&self, body: &[u8], names: Names, found: &mut Vec<(f64, Range<usize>)>) -> bool {
        if self.names != names {
            return false;
        }
        found.clear();
        let (mut at, mut known) = (0, 0);
        for Place { span, may_be_negative } in &self.values {
            let Some(rest) = body[at..].strip_prefix(&self.body[known..span.start as usize]) else { return false };
            let start = body.len() - rest.len();
            let Some(len) = rest.iter().take(VALUE_BYTES_MAX).position(|byte| *byte == b'\n') else { return false };
            match number::parse(&rest[..len]) {
                Some(value) if value >= 0.0 || *may_be_negative => found.push((value, start..start + len)),
                _ => return false,
            }
            (at, known) = (start + len, span.end as usize);
        }
        body[at..] == self.body[known..]
    }

    /// Tells the sink what this body said, but with the values of another one.
    fn tell<S: Sink>(&self, body: &[u8], values: &[(f64, Range<usize>)], sink: &mut S) {
        let mut values = values.iter();
        for event in &self.events {
            match *event {
                Event::Family(family, name) => sink.family(family, name.of(&self.words)),
                Event::Kind(family, kind) => sink.kind(family, kind),
                Event::Help(family, text) => sink.help(family, text.of(&self.words).as_bytes()),
                Event::Sample { family, part, labels, label_text } => {
                    let spans = &self.labels[labels.start as usize..labels.end as usize];
                    let mut labels = [Label { name: "", value: "" }; LABELS_MAX];
                    for (label, [name, value]) in labels.iter_mut().zip(spans) {
                        *label = Label { name: name.of(&self.words), value: value.of(&self.words) };
                    }
                    let labels = &labels[..spans.len()];
                    let (value, token) = values.next().expect("each sample has its value");
                    let token = str::from_utf8(&body[token.clone()]).expect("what reads as a number is ASCII");
                    let (value, label_text) = (*value, label_text.of(&self.words));
                    sink.sample(Sample { family, part, labels, label_text, value, token, timestamp: None });
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        let tables = self.values.capacity() * size_of::<Place>() + self.events.capacity() * size_of::<Event>();
        tables + self.labels.capacity() * size_of::<[Span; 2]>() + self.body.capacity() + self.words.capacity()
    }
}

/// The shapes of the bodies that one parser has read.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The one met last stands last.
    kept: Vec<Shape>,
    /// Bodies that were none of them, since one was: keeping what never comes again is work for nothing.
    missed: u64,
    /// Working memory: the values of a body.
    found: Vec<(f64, Range<usize>)>,
}

impl Shapes {
    /// Tells the sink what a body says, if its shape is known.
    pub(super) fn tell<S: Sink>(&mut self, body: &[u8], names: Names, sink: &mut S) -> bool {
        let found = &mut self.found;
        let Some(at) = self.kept.iter().rposition(|shape| shape.fits(body, names, found)) else { return false };
        self.kept[at].tell(body, found, sink);
        if at + 1 < self.kept.len() {
            let shape = self.kept.remove(at);
            self.kept.push(shape);
        }
        self.missed = 0;
        true
    }

    /// The shape of a body that is about to be read, to be given back by [`Shapes::end`]; none if it is not kept.
    pub(super) fn begin(&mut self, body: &[u8], names: Names) -> Option<Shape> {
        self.missed += 1;
        if self.missed > SHAPES_TRIED_MAX && !self.missed.is_multiple_of(SHAPES_MISSED_PER_TRY) {
            return None;
        }
        let mut shape = if self.kept.len() < SHAPES_KEPT { Shape::default() } else { self.kept.remove(0) };
        shape.begin(body, names);
        Some(shape)
    }

    /// A shape is complete.
    pub(super) fn end(&mut self, shape: Shape) {
        if !shape.is_unfit {
            self.kept.push(shape);
        }
    }

    pub(super) fn retained_bytes(&self) -> usize {
        self.kept.iter().map(Shape::bytes).sum::<usize>() + self.found.capacity() * size_of::<(f64, Range<usize>)>()
    }
}

/// A sink, and the shape that keeps what it is told.
pub(super) struct Noted<'s, S> {
    pub(super) sink: &'s mut S,
    pub(super) shape: Option<&'s mut Shape>,
    /// Where the line that is being read ends in the body.
    pub(super) line_end: usize,
}

impl<'s, S> Noted<'s, S> {
    /// No shape is to be kept.
    pub(super) fn plain(sink: &'s mut S) -> Self {
        Self { sink, shape: None, line_end: 0 }
    }
}

impl<S: Sink> Sink for Noted<'_, S> {
    #[inline]
    fn family(&mut self, family: FamilyIx, name: &str) {
        if let Some(shape) = &mut self.shape {
            shape.keep_family(family, name);
        }
        self.sink.family(family, name);
    }

    #[inline]
    fn kind(&mut self, family: FamilyIx, kind: Kind) {
        if let Some(shape) = &mut self.shape {
            shape.keep_kind(family, kind);
        }
        self.sink.kind(family, kind);
    }

    #[inline]
    fn help(&mut self, family: FamilyIx, text: &[u8]) {
        if let Some(shape) = &mut self.shape {
            shape.keep_help(family, text);
        }
        self.sink.help(family, text);
    }

    #[inline]
    fn sample(&mut self, sample: Sample<'_>) {
        if let Some(shape) = &mut self.shape {
            shape.keep_sample(&sample, self.line_end);
        }
        self.sink.sample(sample);
    }
}
