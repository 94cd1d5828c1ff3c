//! Whole metrics of a push: families and metrics that a body states in one piece, with labels that may be anything
//! (SPEC 4.3). Faulty labels are found here; the lines are written at once.

use smallvec::SmallVec;

use super::compound::{LINES_ADDED, Parts, line_bytes_max};
use super::line::{Overlay, drop_comma, write_label};
use super::problem::{LabelsStart, Problem};
use super::staged::Staged;
use crate::limits::LABELS_QUOTED_BYTES_MAX;
use crate::model::cut::Start;
use crate::model::escape::write_label_value;
use crate::model::order;
use crate::model::sample::{
    FamilyIx, Kind, Label, Metric, MetricBounds, MetricValue, Part, RawLabel, Sample, WholeSink,
};

/// What a label takes in a line beside its name and value, bytes.
const LABEL_BYTES: usize = 6;

/// Labels of one metric, most of them few.
type Labels<'a> = SmallVec<[Label<'a>; 16]>;

/// What is wrong with the labels of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault<'a> {
    /// Number 2: two of one name, or one with an empty name.
    Repeated(&'a [u8]),
    /// Number 3: not UTF-8, or starts with `__`.
    Name(&'a [u8]),
    /// Number 4, and appendix B, 13.
    Explicit(&'static str),
    /// Number 5.
    Value(RawLabel<'a>),
}

impl WholeSink for Staged {
    fn whole_family(&mut self, family: FamilyIx, name: &str, kind: Kind, help: Option<&[u8]>) {
        debug_assert_eq!(family.0 as usize, self.lines.families().len(), "families come in order");
        self.lay_over();
        self.bounds.check_word(name.as_bytes());
        self.bounds.check_word(help.unwrap_or_default());
        self.lines.add_whole_family(name, kind, help);
    }

    fn metric(&mut self, metric: Metric<'_>) {
        self.has_timestamp |= metric.timestamp.is_some();
        let family = self.pushed(metric.family);
        if family.is_reserved {
            return;
        }
        if !self.takes(&metric) {
            return;
        }
        let family = self.pushed(metric.family);
        let (kind, name) = (family.kind(), self.lines.name(metric.family));
        let mut sorted: SmallVec<[RawLabel<'_>; 16]> = SmallVec::new();
        let mut raw = metric.labels;
        if !raw.is_sorted_by(|left, right| left.name < right.name) {
            sorted.extend_from_slice(raw);
            order::sort_by_key(&mut sorted, |label| label.name);
            raw = &sorted;
        }
        if metric.value == MetricValue::Misfit {
            let overlay = &self.overlay;
            self.problems.add_with(|| Problem::misfit(name, kind, shown_labels(overlay, raw).start()));
            self.has_unwritable = true;
            return;
        }
        let mut escaped = std::mem::take(&mut self.escaped);
        match plain_labels(raw, kind, &self.overlay, &mut escaped) {
            Ok(labels) => self.write_metric(&metric, &labels),
            Err(fault) => {
                let overlay = &self.overlay;
                self.problems.add_with(|| problem(fault, name, kind, &shown_labels(overlay, raw)));
                self.has_unwritable = true;
            }
        }
        escaped.clear();
        self.escaped = escaped;
    }

    fn bounds(&self) -> MetricBounds {
        self.bounds.of_metric(self.series_count())
    }

    fn is_refused(&self) -> bool {
        self.check_bounds().is_err()
    }
}

impl Staged {
    /// Whether a metric keeps the bounds of the push. All that it becomes is counted before anything of it is written.
    fn takes(&mut self, metric: &Metric<'_>) -> bool {
        let elements = match metric.value {
            MetricValue::Summary { quantiles: elements, .. } | MetricValue::Histogram { buckets: elements, .. } => {
                elements
            }
            MetricValue::Number(_) | MetricValue::Misfit => &[],
        };
        let is_plain = matches!(metric.value, MetricValue::Number(_) | MetricValue::Misfit);
        let lines = if is_plain { 1 } else { elements.len() + LINES_ADDED };
        let (message_bytes, series) = metric.detail.map_or((0, 0), |detail| (detail.message.len(), detail.series));
        let label_bytes = metric.labels.iter().map(|label| label.name.len() + label.value.len()).sum::<usize>();
        // Labels get twice as long at most where they are escaped.
        let label_bytes = 2 * label_bytes + LABEL_BYTES * metric.labels.len() + self.overlay.len();
        let line_bytes = line_bytes_max(self.lines.name(metric.family).len(), label_bytes);
        let bytes = line_bytes.saturating_mul(lines + 1).saturating_add(message_bytes);
        // A bucket without bound may have been sent, so that nothing is added.
        let lines = if is_plain { 1 } else { elements.len() + LINES_ADDED - 1 };
        let series = self.series_count().saturating_add(lines as u64).saturating_add(series);
        self.bounds.has_series(series) && self.bounds.has_room(self.held_bytes().saturating_add(bytes))
    }

    fn write_metric(&mut self, metric: &Metric<'_>, labels: &[Label<'_>]) {
        let family = metric.family;
        if !matches!(metric.value, MetricValue::Number(_)) {
            let label_bytes = labels.iter().map(|label| label.name.len() + label.value.len()).sum();
            self.bounds.check_labels(labels, label_bytes, &self.overlay);
        }
        let mut merged = std::mem::take(&mut self.merged);
        merged.clear();
        if metric.detail.is_some() || !matches!(metric.value, MetricValue::Number(_)) {
            self.has_quoted_labels |= self.overlay.write_merged(&mut merged, labels);
        }
        match metric.value {
            MetricValue::Number(value) => self.push_line(&Sample::new(family, Part::Whole, labels, value)),
            MetricValue::Summary { quantiles, sum, count } => {
                self.write_parts(family, &merged, quantiles, sum, count as f64);
            }
            MetricValue::Histogram { buckets, sum, count } => self.write_parts(family, &merged, buckets, sum, count),
            MetricValue::Misfit => unreachable!("a metric that fits nothing is not written"),
        }
        if let Some(detail) = metric.detail {
            self.details.add(family, &merged, detail);
        }
        self.merged = merged;
    }

    fn write_parts(&mut self, family: FamilyIx, labels: &[u8], elements: &[(f64, f64)], sum: f64, count: f64) {
        self.enter_series(family, labels);
        self.check_reserved_label(family, labels);
        Parts { family, labels }.write(&mut self.lines, elements.iter().copied(), sum, count);
        self.lines.family_mut(family).metrics += 1;
    }
}

/// The labels as a text body would have them, or the first fault; `raw` is sorted by name. A value that a grouping
/// label overrides may be anything.
fn plain_labels<'a>(
    raw: &[RawLabel<'a>],
    kind: Kind,
    overlay: &Overlay,
    escaped: &'a mut Vec<u8>,
) -> Result<Labels<'a>, Fault<'a>> {
    let mut labels = Labels::new();
    let mut previous: &[u8] = b"";
    let mut has_escapes = false;
    for label in raw {
        if label.name == previous {
            return Err(Fault::Repeated(label.name));
        }
        previous = label.name;
        let name = str::from_utf8(label.name).map_err(|_| Fault::Name(label.name))?;
        if name.starts_with("__") {
            return Err(Fault::Name(label.name));
        }
        if let Some(word) = bound_label(kind).filter(|word| *word == name) {
            return Err(Fault::Explicit(word));
        }
        let value = match str::from_utf8(label.value) {
            Ok(value) => value,
            Err(_) if overlay.has(name) => "",
            Err(_) => return Err(Fault::Value(*label)),
        };
        has_escapes |= needs_escapes(value);
        labels.push(Label { name, value });
    }
    if has_escapes {
        escape_values(&mut labels, escaped);
    }
    Ok(labels)
}

fn needs_escapes(value: &str) -> bool {
    memchr::memchr3(b'\\', b'"', b'\n', value.as_bytes()).is_some()
}

fn escape_values<'a>(labels: &mut Labels<'a>, escaped: &'a mut Vec<u8>) {
    escaped.clear();
    for label in labels.iter() {
        write_label_value(escaped, label.value);
    }
    let mut rest = str::from_utf8(escaped).expect("escaped text is text");
    for label in labels.iter_mut() {
        let len = label.value.len() + memchr::memchr3_iter(b'\\', b'"', b'\n', label.value.as_bytes()).count();
        (label.value, rest) = rest.split_at(len);
    }
}

/// The label that the lines of a compound metric have for themselves.
fn bound_label(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Summary => Some("quantile"),
        Kind::Histogram | Kind::GaugeHistogram => Some("le"),
        Kind::Counter | Kind::Gauge | Kind::Untyped => None,
    }
}

/// The label set of a faulty metric as far as it can be written, and no more of it than a message may show; `raw` is
/// sorted by name.
fn shown_labels(overlay: &Overlay, raw: &[RawLabel<'_>]) -> ShownLabels {
    let mut shown = ShownLabels::default();
    let behind = overlay.merge(
        raw,
        |label| label.name,
        |before, label, gives_way| {
            shown.add(overlay.text(before));
            if !gives_way {
                shown.add_label(label);
            }
        },
    );
    shown.add(overlay.text(behind..overlay.len()));
    drop_comma(&mut shown.text);
    shown
}

/// The beginning of a label set.
#[derive(Default)]
struct ShownLabels {
    text: Vec<u8>,
    /// Bytes that are not in the text.
    left_out: usize,
}

impl ShownLabels {
    fn add(&mut self, text: &[u8]) {
        let room = (LABELS_QUOTED_BYTES_MAX + 1).saturating_sub(self.text.len());
        let (shown, rest) = text.split_at(room.min(text.len()));
        self.text.extend_from_slice(shown);
        self.left_out += rest.len();
    }

    fn add_label(&mut self, label: &RawLabel<'_>) {
        if self.text.len() > LABELS_QUOTED_BYTES_MAX {
            self.left_out += label.name.len() + label.value.len() + r#"="","#.len();
            return;
        }
        // The first of them that is cut fills the text, and its end is not shown.
        let [name, value] = [label.name, label.value].map(|text| Start::within(text, LABELS_QUOTED_BYTES_MAX));
        self.left_out += name.left_out + value.left_out;
        let mut escaped = Vec::new();
        write_label_value(&mut escaped, &String::from_utf8_lossy(value.bytes));
        let name = String::from_utf8_lossy(name.bytes);
        let value = str::from_utf8(&escaped).expect("escaped text is text");
        write_label(&mut self.text, &Label { name: &name, value });
    }

    fn start(&self) -> LabelsStart<'_> {
        LabelsStart::of(&self.text, self.left_out)
    }
}

fn problem(fault: Fault<'_>, name: &str, kind: Kind, labels: &ShownLabels) -> Problem {
    let labels = labels.start();
    match fault {
        Fault::Repeated(label) => Problem::repeated_label(name, kind, labels, label),
        Fault::Name(label) => Problem::label_name(name, kind, labels, label),
        Fault::Explicit(word) => Problem::explicit_label(name, kind, labels, word),
        Fault::Value(label) => Problem::label_value(name, kind, labels, label.name, label.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{ERROR_BYTES_MAX, QUOTE_BYTES_MAX};

    /// What is said about a gauge with these labels in a group with the labels `g` and `job`.
    fn problems(labels: &[(&[u8], &[u8])], value: MetricValue<'_>) -> (String, u64) {
        let mut staged = Staged::default();
        staged.begin([("g", "1"), ("job", "j")].into_iter());
        staged.whole_family(FamilyIx(0), "m", Kind::Gauge, None);
        let labels: Vec<_> = labels.iter().map(|(name, value)| RawLabel { name, value }).collect();
        let metric = Metric { family: FamilyIx(0), labels: &labels, value, timestamp: None, detail: None };
        let measured = allocation_counter::measure(|| staged.metric(metric));
        (staged.problems().to_string(), measured.bytes_max)
    }

    #[test]
    fn faulty_labels_are_shown_merged_and_sorted() {
        let check = |labels: &[(&[u8], &[u8])], shown: &str, fault: &str| {
            let (found, _) = problems(labels, MetricValue::Number(1.0));
            assert_eq!(found, format!("collected metric \"m\" {{{shown} gauge:{{}}}} {fault}"));
        };
        let label = |name: &str, value: &str| format!(" label:{{name:\"{name}\" value:\"{value}\"}}");
        let own = [label("g", "1"), label("instance", ""), label("job", "j")].concat();
        let twice = "has two or more labels with the same name: x";
        check(&[(b"x", b"1"), (b"x", b"2")], &[own.clone(), label("x", "1"), label("x", "2")].concat(), twice);
        check(&[(b"__a", b"1")], &[label("__a", "1"), own.clone()].concat(), "has a label with an invalid name: __a");
        check(
            &[(b"a\xff", b"q\"")],
            &[label("a\u{fffd}", "q\\\""), own.clone()].concat(),
            "has a label with an invalid name: a\u{fffd}",
        );
        let not_utf8 = "has a label named \"z\" whose value is not utf8: \"\\xff\"";
        check(&[(b"z", b"\xff"), (b"g", b"2")], &[own, label("z", "\u{fffd}")].concat(), not_utf8);
    }

    /// Of labels that are long or many only those at the beginning are shown, and none is copied.
    #[test]
    fn faulty_labels_are_cut() {
        let huge = vec![b'x'; 4 << 20];
        let many: Vec<(&[u8], &[u8])> = vec![(b"x", b"\xff"); 100_000];
        let cases: [&[(&[u8], &[u8])]; 6] = [
            &[(b"a", &huge), (b"a", &huge)],
            &[(&huge, b"v"), (&huge, b"v")],
            &[(b"\xff", &huge)],
            &[(b"a", &huge), (b"b", &huge), (b"c", b"\xff")],
            &[(b"y", &huge), (b"z", b"\xff")],
            &many,
        ];
        for labels in cases {
            let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
            for value in [MetricValue::Number(1.0), MetricValue::Misfit] {
                let (text, memory) = problems(labels, value);
                assert!(text.len() <= ERROR_BYTES_MAX && text.contains("...("), "{}", text.len());
                assert!(text.contains(" gauge:{}} "), "the sentence is whole: {text}");
                // The labels that are read are a list in any case.
                let list = 2 * size_of::<RawLabel<'_>>() * labels.len();
                assert!(memory < (list + 8 * ERROR_BYTES_MAX) as u64, "{memory}");
                // The marks of the label set and of its first value say what of it is left out: all but what stands there.
                let marks =
                    text.split("...(").skip(1).filter_map(|mark| mark.split(" bytes").next()?.parse::<usize>().ok());
                assert!(marks.sum::<usize>() + 2 * LABELS_QUOTED_BYTES_MAX + QUOTE_BYTES_MAX > bytes, "{text}");
            }
        }
    }
}
