//! The text format once more, as plainly as it can be said: the whole body in memory, one byte at a time, a list of
//! events out. The oracle for the fast parser in tests and fuzzing; shares no code with it but the word rules of
//! `model`, and is no part of the program.

use super::Parser;
use crate::limits::{LINE_BYTES_MAX, QUOTE_BYTES_MAX};
use crate::model::cut::{LeftOut, Start};
use crate::model::name::{Names, is_classic_label_name, is_classic_metric_name};
use crate::model::number;
use crate::model::quote::{Quoted, QuotedByte};
use crate::model::sample::{FamilyIx, Kind, Part, Sample, Sink};

/// What a sink was told, owned. Numbers are shown as text, so that NaN equals itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// [`Sink::family`].
    Family(u32, String),
    /// [`Sink::kind`].
    Kind(u32, Kind),
    /// [`Sink::help`].
    Help(u32, Vec<u8>),
    /// [`Sink::sample`]: family, part, labels, value, the text that the token is written as, timestamp.
    Sample(u32, String, Vec<(String, String)>, String, String, Option<i64>),
}

/// A sink that remembers.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What it was told, in order.
    pub events: Vec<Event>,
    /// How many samples it was told to be like the one before.
    pub alike: u32,
    /// The last sample's family, names of labels, and how much longer its label text is than the shortest.
    last: Option<(u32, Vec<String>, isize)>,
}

impl Sink for Recorder {
    fn family(&mut self, family: FamilyIx, name: &str) {
        self.events.push(Event::Family(family.0, name.to_owned()));
    }

    fn kind(&mut self, family: FamilyIx, kind: Kind) {
        self.events.push(Event::Kind(family.0, kind));
    }

    fn help(&mut self, family: FamilyIx, text: &[u8]) {
        self.events.push(Event::Help(family.0, text.to_vec()));
    }

    fn sample(&mut self, sample: Sample<'_>) {
        let Sample { family, part, labels, label_text, is_alike, value, token, is_canonical, timestamp } = sample;
        let plain: Vec<_> = labels.iter().map(|label| format!("{}=\"{}\"", label.name, label.value)).collect();
        let plain = plain.join(",");
        // The store relies on this.
        assert!(label_text == plain || label_text.len() != plain.len(), "{label_text} for {plain}");
        let names = labels.iter().map(|label| label.name.to_owned()).collect();
        let layout = Some((family.0, names, label_text.len() as isize - plain.len() as isize));
        assert!(!is_alike || self.last == layout && part == Part::Whole, "{layout:?} after {:?}", self.last);
        self.last = layout;
        self.alike += u32::from(is_alike);
        let labels = labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect();
        let written = written(value);
        assert!(!is_canonical || token == written, "{token} for {written}");
        let (part, value) = (format!("{part:?}"), format!("{value:?}"));
        self.events.push(Event::Sample(family.0, part, labels, value, written, timestamp));
    }
}

/// How a value is shown.
fn written(value: f64) -> String {
    let mut out = Vec::new();
    number::write(&mut out, value);
    String::from_utf8(out).expect("numbers are written in ASCII")
}

/// What the fast parser must tell its sink about `body`, and the message it must end with, if any.
pub fn parse(body: &[u8], names: Names) -> (Vec<Event>, Result<(), String>) {
    let mut naive = Naive {
        body,
        at: 0,
        names,
        families: Vec::new(),
        current: String::new(),
        recorder: Recorder::default(),
        lines: 0,
    };
    let result = naive.lines();
    let lines = naive.lines;
    let result = result.map_err(|message| format!("text format parsing error in line {lines}: {message}"));
    (naive.recorder.events, result)
}

/// What the fast parser makes of `body`, cut into pieces of the given lengths and the rest, in the terms of
/// [`parse`].
pub fn fast_parse(parser: &mut Parser, body: &[u8], names: Names, lens: &[usize]) -> (Vec<Event>, Result<(), String>) {
    let mut recorder = Recorder::default();
    let mut rest = body;
    parser.reset(names);
    if lens == [body.len()] {
        let result = if parser.recognize(body) {
            parser.tell(&mut recorder);
            Ok(())
        } else {
            parser.feed_whole(body, &mut recorder)
        };
        let result = result.and_then(|()| parser.finish(&mut recorder));
        return (recorder.events, result.map_err(|error| error.to_string()));
    }
    let mut result = Ok(());
    for len in lens.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        result = result.and_then(|()| parser.feed(piece, &mut recorder));
    }
    let result = result.and_then(|()| parser.finish(&mut recorder));
    (recorder.events, result.map_err(|error| error.to_string()))
}

type Parsed<T> = Result<T, String>;

struct Family {
    name: String,
    kind: Option<Kind>,
    has_help: bool,
}

struct Naive<'a> {
    body: &'a [u8],
    at: usize,
    names: Names,
    families: Vec<Family>,
    current: String,
    recorder: Recorder,
    lines: u64,
}

/// A sample while its line is read. A label's value stands unescaped.
#[derive(Default)]
struct Line {
    family: Option<(usize, String)>,
    labels: Vec<(String, Vec<u8>)>,
    rank: Option<f64>,
}

impl Naive<'_> {
    fn lines(&mut self) -> Parsed<()> {
        loop {
            self.lines += 1;
            let line_len = self.body[self.at..].iter().take_while(|byte| **byte != b'\n').count();
            if line_len > LINE_BYTES_MAX {
                return Err(format!("line longer than {LINE_BYTES_MAX} bytes"));
            }
            while self.at < self.body.len() && is_blank(self.body[self.at]) {
                self.at += 1;
            }
            if self.at == self.body.len() {
                return Ok(());
            }
            match self.byte()? {
                b'\n' => self.at += 1,
                b'#' => self.comment()?,
                b'{' => self.sample_in_braces()?,
                _ => self.sample_with_name_in_front()?,
            }
        }
    }

    fn byte(&self) -> Parsed<u8> {
        self.body.get(self.at).copied().ok_or("unexpected end of input stream".to_owned())
    }

    fn skip_blanks(&mut self) -> Parsed<u8> {
        while is_blank(self.byte()?) {
            self.at += 1;
        }
        self.byte()
    }

    fn word(&mut self) -> Parsed<Vec<u8>> {
        let mut word = Vec::new();
        while !is_blank(self.byte()?) && self.byte()? != b'\n' {
            word.push(self.byte()?);
            self.at += 1;
        }
        Ok(word)
    }

    /// The rest of the line, its LF stepped over.
    fn rest(&mut self) -> Parsed<Vec<u8>> {
        let mut rest = Vec::new();
        while self.byte()? != b'\n' {
            rest.push(self.byte()?);
            self.at += 1;
        }
        self.at += 1;
        Ok(rest)
    }

    /// The byte that an escape stands for; the backslash has been read.
    fn escaped(&mut self) -> Parsed<u8> {
        let byte = match self.byte()? {
            b'n' => b'\n',
            byte @ (b'\\' | b'"') => byte,
            other => return Err(format!("invalid escape sequence '\\{}'", char::from(other))),
        };
        self.at += 1;
        Ok(byte)
    }

    /// Up to the closing quote, which is stepped over; the opening one stands at the cursor.
    fn quoted(&mut self, token: &mut Vec<u8>, what: &str) -> Parsed<()> {
        self.at += 1;
        loop {
            let byte = self.byte()?;
            if byte == b'\n' {
                return Err(format!("{what} {} contains unescaped new-line", quoted_as_sent(token)));
            }
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => token.push(self.escaped()?),
                byte => token.push(byte),
            }
        }
    }

    fn name(&mut self, is_bare: fn(&[u8]) -> bool, what: &str) -> Parsed<Vec<u8>> {
        let mut name = Vec::new();
        loop {
            let byte = self.byte()?;
            if byte == b'"' {
                self.quoted(&mut name, what)?;
                self.byte()?;
                return Ok(name);
            }
            name.push(byte);
            if !is_bare(&name) {
                name.pop();
                return Ok(name);
            }
            self.at += 1;
        }
    }

    fn comment(&mut self) -> Parsed<()> {
        self.at += 1;
        if self.skip_blanks()? == b'\n' {
            self.at += 1;
            return Ok(());
        }
        let word = self.word()?;
        if self.byte()? == b'\n' || (word != b"HELP" && word != b"TYPE") {
            return self.rest().map(|_| ());
        }
        self.skip_blanks()?;
        let name = self.name(is_classic_metric_name, "metric name")?;
        if self.byte()? == b'\n' {
            self.at += 1;
            return Ok(());
        }
        if !is_blank(self.byte()?) {
            return Err("invalid metric name in comment".to_owned());
        }
        let family = self.find(&name)?;
        if self.skip_blanks()? == b'\n' {
            self.at += 1;
            return Ok(());
        }
        if word == b"HELP" { self.help(family) } else { self.kind(family) }
    }

    fn help(&mut self, family: usize) -> Parsed<()> {
        if self.families[family].has_help {
            return Err(format!("second HELP line for metric name {}", self.current()));
        }
        let mut text = Vec::new();
        loop {
            let byte = self.byte()?;
            self.at += 1;
            match byte {
                b'\n' => break,
                b'\\' => text.push(self.escaped()?),
                byte => text.push(byte),
            }
        }
        if str::from_utf8(&text).is_err() {
            return Err(format!("invalid help text {}: it has to be UTF-8", quoted_as_sent(&text)));
        }
        self.families[family].has_help = true;
        self.recorder.help(FamilyIx(family as u32), &text);
        Ok(())
    }

    fn kind(&mut self, family: usize) -> Parsed<()> {
        if self.families[family].kind.is_some() {
            let name = self.current();
            return Err(format!("second TYPE line for metric name {name}, or TYPE reported after samples"));
        }
        let rest = self.rest()?;
        let word: Vec<u8> = rest.iter().copied().filter(|byte| *byte != b'\\').collect();
        let kind = match word.to_ascii_lowercase().as_slice() {
            b"counter" => Kind::Counter,
            b"gauge" => Kind::Gauge,
            b"summary" => Kind::Summary,
            b"untyped" => Kind::Untyped,
            b"histogram" => Kind::Histogram,
            b"gauge_histogram" | b"gaugehistogram" => Kind::GaugeHistogram,
            _ => return Err(format!("unknown metric type {}", quoted_without_backslashes(&rest))),
        };
        self.families[family].kind = Some(kind);
        self.recorder.kind(FamilyIx(family as u32), kind);
        Ok(())
    }

    fn current(&self) -> String {
        Quoted(self.current.as_bytes()).to_string()
    }

    /// SPEC 3.8, in its order.
    fn find(&mut self, name: &[u8]) -> Parsed<usize> {
        if !self.names.allows_metric(name) {
            return Err(format!("invalid metric name {}", Quoted(name)));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        let known = |wanted: &str| self.families.iter().position(|family| family.name == wanted);
        let part_of = |suffixes: &[&str], kinds: &[Kind]| {
            let rest = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix))?;
            known(rest).filter(|family| self.families[*family].kind.is_some_and(|kind| kinds.contains(&kind)))
        };
        let found = known(&name)
            .or_else(|| part_of(&["_count", "_sum"], &[Kind::Summary]))
            .or_else(|| part_of(&["_count", "_sum", "_bucket"], &[Kind::Histogram, Kind::GaugeHistogram]));
        let family = found.unwrap_or_else(|| {
            self.families.push(Family { name: name.clone(), kind: None, has_help: false });
            self.recorder.family(FamilyIx(self.families.len() as u32 - 1), &name);
            self.families.len() - 1
        });
        self.current.clone_from(&self.families[family].name);
        Ok(family)
    }

    /// Notes the name of a sample: the family has a kind from now on, and labels may be parts of the metric.
    fn found(&mut self, name: &[u8], line: &mut Line) -> Parsed<()> {
        let family = self.find(name)?;
        if self.families[family].kind.is_none() {
            self.families[family].kind = Some(Kind::Untyped);
            self.recorder.kind(FamilyIx(family as u32), Kind::Untyped);
        }
        line.family = Some((family, String::from_utf8_lossy(name).into_owned()));
        for (name, value) in std::mem::take(&mut line.labels) {
            self.add(name, value, line)?;
        }
        Ok(())
    }

    fn sample_with_name_in_front(&mut self) -> Parsed<()> {
        let name = self.name(is_classic_metric_name, "metric name")?;
        if name.is_empty() {
            return Err("invalid metric name".to_owned());
        }
        let mut line = Line::default();
        self.found(&name, &mut line)?;
        if self.skip_blanks()? == b'{' {
            self.labels(false, &mut line)?;
        }
        self.value(line)
    }

    fn sample_in_braces(&mut self) -> Parsed<()> {
        let mut line = Line::default();
        self.labels(true, &mut line)?;
        self.value(line)
    }

    /// From the opening brace to behind the closing one.
    fn labels(&mut self, in_braces: bool, line: &mut Line) -> Parsed<()> {
        self.at += 1;
        loop {
            if self.skip_blanks()? == b'}' {
                break;
            }
            let name = self.name(is_classic_label_name, "label name")?;
            if name.is_empty() {
                return Err(format!("invalid label name for metric {}", self.current()));
            }
            match self.skip_blanks()? {
                b'=' => self.label(&name, line)?,
                byte if !in_braces => {
                    return Err(format!("expected '=' after label name, found {}", QuotedByte(byte)));
                }
                _ if line.family.is_some() => {
                    return Err(format!("multiple metric names for metric {}", self.current()));
                }
                b',' | b'}' => self.found(&name, line)?,
                byte => return Err(format!("unexpected end of metric name {}", QuotedByte(byte))),
            }
            if self.byte()? == b'}' {
                break;
            }
            self.at += 1;
        }
        if line.family.is_none() {
            return Err("invalid metric name".to_owned());
        }
        self.at += 1;
        Ok(())
    }

    /// From the `=` to the byte behind the label, which is a comma or brace.
    fn label(&mut self, name: &[u8], line: &mut Line) -> Parsed<()> {
        self.at += 1;
        if name == b"__name__" {
            return Err("label name \"__name__\" is reserved".to_owned());
        }
        if !self.names.allows_label(name) {
            return Err(format!("invalid label name {}", Quoted(name)));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        if !self.is_rank(&name, line) && line.labels.iter().any(|(seen, _)| *seen == name) {
            return Err(format!("duplicate label names for metric {}", self.current()));
        }
        let byte = self.skip_blanks()?;
        if byte != b'"' {
            return Err(format!("expected '\"' at start of label value, found {}", QuotedByte(byte)));
        }
        let mut value = Vec::new();
        self.quoted(&mut value, "label value")?;
        if str::from_utf8(&value).is_err() {
            return Err(format!("invalid label value {}", quoted_as_sent(&value)));
        }
        self.add(name, value.clone(), line)?;
        match self.skip_blanks()? {
            b',' | b'}' => Ok(()),
            _ => Err(format!("unexpected end of label value {}", quoted_as_sent(&value))),
        }
    }

    fn is_rank(&self, name: &str, line: &Line) -> bool {
        let kind = line.family.as_ref().and_then(|(family, _)| self.families[*family].kind);
        match kind {
            Some(Kind::Summary) => name == "quantile",
            Some(Kind::Histogram | Kind::GaugeHistogram) => name == "le",
            _ => false,
        }
    }

    fn add(&self, name: String, value: Vec<u8>, line: &mut Line) -> Parsed<()> {
        if !self.is_rank(&name, line) {
            line.labels.push((name, value));
            return Ok(());
        }
        let Some(rank) = number::parse(&value) else {
            return Err(format!("expected float as value for '{name}' label, got {}", quoted_as_sent(&value)));
        };
        line.rank = Some(rank);
        Ok(())
    }

    fn value(&mut self, line: Line) -> Parsed<()> {
        self.skip_blanks()?;
        let token = self.word()?;
        let Some(value) = number::parse(&token) else {
            return Err(format!("expected float as value, got {}", Quoted(&token)));
        };
        let Some((family, name)) = &line.family else { return Err("invalid metric name".to_owned()) };
        let part = self.part(*family, name, line.rank);
        let is_histogram = self.families[*family].kind.is_some_and(Kind::is_histogram);
        if is_histogram && value < 0.0 && part == Part::Count {
            return Err(format!("negative count for histogram {}", self.current()));
        }
        if is_histogram && value < 0.0 && matches!(part, Part::Bucket(_)) {
            return Err(format!("negative bucket population for histogram {}", self.current()));
        }
        let timestamp = self.timestamp()?;
        let labels = line.labels.into_iter().map(|(name, value)| (name, escape(&value))).collect();
        let token = written(value);
        let (part, value) = (format!("{part:?}"), format!("{value:?}"));
        self.recorder.events.push(Event::Sample(*family as u32, part, labels, value, token, timestamp));
        Ok(())
    }

    fn part(&self, family: usize, name: &str, rank: Option<f64>) -> Part {
        let Family { name: family_name, kind, .. } = &self.families[family];
        let rank = rank.filter(|rank| !rank.is_nan());
        match kind {
            Some(Kind::Counter | Kind::Gauge | Kind::Untyped) | None => Part::Whole,
            _ if name == format!("{family_name}_count") => Part::Count,
            _ if name == format!("{family_name}_sum") => Part::Sum,
            Some(Kind::Summary) => rank.map_or(Part::Mention, Part::Quantile),
            Some(Kind::Histogram | Kind::GaugeHistogram) => rank.map_or(Part::Mention, Part::Bucket),
        }
    }

    /// To behind the LF.
    fn timestamp(&mut self) -> Parsed<Option<i64>> {
        if self.byte()? == b'\n' {
            self.at += 1;
            return Ok(None);
        }
        self.skip_blanks()?;
        let token = self.word()?;
        let Some(timestamp) = str::from_utf8(&token).ok().and_then(|token| token.parse().ok()) else {
            return Err(format!("expected integer as timestamp, got {}", Quoted(&token)));
        };
        let rest = self.rest()?;
        if !rest.is_empty() {
            return Err(format!("spurious string after timestamp: {}", quoted_without_backslashes(&rest)));
        }
        Ok(Some(timestamp))
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Quotes as much of an unescaped token as stands in the bytes that may be quoted of it as it was sent.
fn quoted_as_sent(token: &[u8]) -> String {
    let (mut shown, mut sent) = (Vec::new(), Vec::new());
    for byte in token {
        let start = sent.len();
        match byte {
            b'\n' => sent.extend_from_slice(b"\\n"),
            b'\\' | b'"' => sent.extend_from_slice(&[b'\\', *byte]),
            byte => sent.push(*byte),
        }
        shown.push((start, *byte));
    }
    let Start { bytes, left_out } = Start::of_escaped(&sent, QUOTE_BYTES_MAX);
    let shown: Vec<u8> = shown.iter().filter(|(start, _)| *start < bytes.len()).map(|(_, byte)| *byte).collect();
    format!("{}{}", Quoted(&shown), LeftOut(left_out))
}

/// Quotes the beginning of the rest of a line without its backslashes.
fn quoted_without_backslashes(rest: &[u8]) -> String {
    let Start { bytes, left_out } = Start::of(rest);
    let shown: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\\').collect();
    format!("{}{}", Quoted(&shown), LeftOut(left_out))
}

fn escape(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
