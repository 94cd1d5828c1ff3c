//! Bodies that were read before, for those that repeat one of them but for its values, as the pushes of a job and of all
//! its instances do: what such a body says is known without reading it again.
//!
//! A shape is found by comparing all of a body but its values, which are read as always. So what it stands for is never
//! in doubt, and whatever is not quite as before is left to the parser.

use crate::limits::{SHAPES_KEPT, SHAPES_MISSED_PER_TRY, SHAPES_TRIED_MAX};
use crate::model::name::Names;
use crate::model::number::{self, Number};
use crate::model::sample::{BodyShape, FamilyIx, Kind, Label, Part, Repeat, Sample, Sink};

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

/// The values of one body.
#[derive(Debug, Default)]
struct Values {
    numbers: Vec<f64>,
    /// As the exposition has them, one behind the other.
    text: Vec<u8>,
    /// Where each of them ends in the text.
    ends: Vec<u32>,
}

impl Values {
    fn clear(&mut self) {
        self.numbers.clear();
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, number: Number, token: &[u8]) {
        self.numbers.push(number.value);
        number::write_token(&mut self.text, token, number);
        self.ends.push(self.text.len() as u32);
    }

    fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<f64>() + self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// One body and what it said.
#[derive(Debug)]
pub(super) struct Shape {
    id: BodyShape,
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
    fn new() -> Self {
        Self {
            id: BodyShape::unused(),
            names: Names::default(),
            body: Vec::new(),
            values: Vec::new(),
            events: Vec::new(),
            labels: Vec::new(),
            words: String::new(),
            is_unfit: false,
        }
    }

    fn begin(&mut self, body: &[u8], names: Names) {
        (self.id, self.names) = (BodyShape::unused(), names);
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
        // Behind a name with nothing in between, another value may be a part of the name.
        let is_apart = matches!(self.body[..span.start as usize].last(), Some(b' ' | b'\t' | b'}'));
        let is_count = matches!(sample.part, Part::Count | Part::Bucket(_));
        self.values.push(Place { span, may_be_negative: !is_count });
        self.is_unfit |= sample.timestamp.is_some() || sample.labels.len() > LABELS_MAX || !is_apart;
    }

    /// Whether a body is this one but for its values, which are put into `found`: what they are and where they stand.
    fn fits(&self, body: &[u8], names: Names, found: &mut Values) -> bool {
        if self.names != names {
            return false;
        }
        found.clear();
        let (mut at, mut known) = (0, 0);
        for Place { span, may_be_negative } in &self.values {
            let Some(rest) = body[at..].strip_prefix(&self.body[known..span.start as usize]) else { return false };
            let start = body.len() - rest.len();
            let Some(len) = rest.iter().take(VALUE_BYTES_MAX).position(|byte| *byte == b'\n') else { return false };
            match number::read(&rest[..len]) {
                Some(number) if number.value >= 0.0 || *may_be_negative => found.push(number, &rest[..len]),
                _ => return false,
            }
            (at, known) = (start + len, span.end as usize);
        }
        body[at..] == self.body[known..]
    }

    /// Tells the sink what this body said, but with the values of another one.
    fn tell<S: Sink>(&self, values: &Values, sink: &mut S) {
        let repeat = Repeat { shape: self.id, text: &values.text, ends: &values.ends };
        let mut values = values.numbers.iter().zip(repeat.values());
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
                    let token = str::from_utf8(token).expect("numbers are written in ASCII");
                    sink.sample(Sample {
                        family,
                        part,
                        labels,
                        label_text: label_text.of(&self.words),
                        is_alike: false,
                        value: *value,
                        token,
                        is_canonical: true,
                        timestamp: None,
                    });
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
    /// The values of the body that was recognized last.
    found: Values,
}

impl Shapes {
    /// The shape of a body, if it is known.
    pub(super) fn recognize(&mut self, body: &[u8], names: Names) -> Option<BodyShape> {
        let found = &mut self.found;
        let at = self.kept.iter().rposition(|shape| shape.fits(body, names, found))?;
        if at + 1 < self.kept.len() {
            let shape = self.kept.remove(at);
            self.kept.push(shape);
        }
        self.missed = 0;
        self.kept.last().map(|shape| shape.id)
    }

    /// The values of the body that was recognized last; none if one of them is less than what is written of it.
    pub(super) fn repeat(&self, shape: BodyShape) -> Option<Repeat<'_>> {
        let Values { numbers, text, ends } = &self.found;
        let is_written_whole = |value: &f64| *value != 0.0 || value.is_sign_positive();
        numbers.iter().all(is_written_whole).then_some(Repeat { shape, text, ends })
    }

    /// Tells the sink what the body that was recognized last says.
    pub(super) fn tell<S: Sink>(&self, sink: &mut S) {
        self.kept.last().expect("a shape was recognized").tell(&self.found, sink);
    }

    /// The shape of a body that is about to be read, to be given back by [`Shapes::end`]; none if it is not kept.
    pub(super) fn begin(&mut self, body: &[u8], names: Names) -> Option<Shape> {
        self.missed += 1;
        if self.missed > SHAPES_TRIED_MAX && !self.missed.is_multiple_of(SHAPES_MISSED_PER_TRY) {
            return None;
        }
        let mut shape = if self.kept.len() < SHAPES_KEPT { Shape::new() } else { self.kept.remove(0) };
        shape.begin(body, names);
        Some(shape)
    }

    /// A shape is complete; which it is, if it is kept.
    pub(super) fn end(&mut self, shape: Shape) -> Option<BodyShape> {
        if shape.is_unfit {
            return None;
        }
        let id = shape.id;
        self.kept.push(shape);
        Some(id)
    }

    pub(super) fn retained_bytes(&self) -> usize {
        self.kept.iter().map(Shape::bytes).sum::<usize>() + self.found.bytes()
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
