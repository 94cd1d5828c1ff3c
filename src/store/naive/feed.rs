//! Delivers the pushes of a run, as the parsers of text and of protobuf would.

use super::{Labels, Push, PushedFamily, escaped, label_set};
use crate::model::number;
use crate::model::sample::{
    Detail, FamilyIx, Kind, Label, Metric, MetricValue, Part, RawLabel, Sample, Sink, WholeSink,
};
use crate::store::Staged;
use crate::store::line::write_label;

fn ix(family: usize) -> FamilyIx {
    FamilyIx(family as u32)
}

fn feed_whole(staged: &mut Staged, push: &Push) {
    // The first family comes twice: the later one holds.
    let first = push.families.first();
    for (at, family) in first.into_iter().chain(&push.families).enumerate() {
        staged.whole_family(ix(at), &family.name, family.kind, family.help.as_deref().map(str::as_bytes));
        for (turn, (labels, value)) in family.metrics.iter().enumerate() {
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value)| RawLabel { name: name.as_bytes(), value: value.as_bytes() })
                .collect();
            let message = value.to_string();
            let message = message.as_bytes();
            let (count, elements) =
                (*value as f64, [(if family.kind == Kind::Summary { 0.5 } else { 1.0 }, *value as f64)]);
            let metric_value = match family.kind {
                Kind::Histogram | Kind::GaugeHistogram => {
                    MetricValue::Histogram { buckets: &elements, sum: 0.0, count }
                }
                Kind::Summary => MetricValue::Summary { quantiles: &elements, sum: 0.0, count: *value as u64 },
                _ => MetricValue::Number(count),
            };
            staged.metric(Metric {
                family: ix(at),
                labels: &labels,
                value: metric_value,
                timestamp: (push.has_timestamp && turn == 0).then_some(0),
                detail: Some(Detail { message, series: detail_series(family.kind, message) }),
            });
        }
    }
    staged.seal();
}

/// How many series a detail of such a run counts beside the lines of its metric.
pub fn detail_series(kind: Kind, message: &[u8]) -> u64 {
    let last = message.last().copied().unwrap_or_default();
    if kind.is_histogram() { u64::from(last % 4) } else { 0 }
}

/// Delivers a push as a parser would.
pub fn feed(staged: &mut Staged, push: &Push) {
    let set = label_set(&push.labels);
    staged.begin(set.iter().map(|(name, value)| (&**name, &**value)));
    if push.is_whole {
        return feed_whole(staged, push);
    }
    for (at, family) in push.families.iter().enumerate() {
        staged.family(ix(at), &family.name);
        staged.kind(ix(at), family.kind);
        if let Some(help) = &family.help {
            staged.help(ix(at), help.as_bytes());
        }
    }
    let mut before = None;
    for (turn, (metric, family)) in order(push).into_iter().enumerate() {
        let timestamp = (push.has_timestamp && turn == 0).then_some(0);
        let pushed = &push.families[family];
        let (labels, value) = &pushed.metrics[metric];
        let this = Some((family, labels.iter().map(|(name, _)| name).collect::<Vec<_>>()));
        let is_alike = this == before && parts(pushed.kind) == [Part::Whole];
        before = this;
        let sample = Sample { is_alike, timestamp, ..Sample::new(ix(family), Part::Whole, &[], *value as f64) };
        feed_metric(staged, pushed.kind, labels, sample);
    }
    staged.seal();
}

/// Metrics and their families by number, in the order in which they come.
fn order(push: &Push) -> Vec<(usize, usize)> {
    let metrics =
        |(family, pushed): (usize, &PushedFamily)| (0..pushed.metrics.len()).map(move |metric| (metric, family));
    let mut order: Vec<_> = push.families.iter().enumerate().flat_map(metrics).collect();
    order.sort_by_key(|(metric, family)| if push.is_interleaved { (*metric, *family) } else { (*family, *metric) });
    order
}

/// The values of the samples as the exposition has them, one behind the other, and where each of them ends.
pub fn written_values(push: &Push) -> (Vec<u8>, Vec<u32>) {
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    for (metric, family) in order(push) {
        let family = &push.families[family];
        for _ in parts(family.kind) {
            number::write(&mut text, family.metrics[metric].1 as f64);
            ends.push(text.len() as u32);
        }
    }
    (text, ends)
}

fn parts(kind: Kind) -> &'static [Part] {
    match kind {
        Kind::Histogram | Kind::GaugeHistogram => &[Part::Bucket(1.0), Part::Count],
        Kind::Summary => &[Part::Count, Part::Quantile(0.5)],
        _ => &[Part::Whole],
    }
}

fn feed_metric(staged: &mut Staged, kind: Kind, labels: &Labels, sample: Sample<'_>) {
    let escaped: Vec<_> = labels.iter().map(|(name, value)| (name, escaped(value))).collect();
    let labels: Vec<_> = escaped.iter().map(|(name, value)| Label { name, value }).collect();
    let mut text = Vec::new();
    labels.iter().for_each(|label| _ = write_label(&mut text, label));
    text.pop();
    let label_text = str::from_utf8(&text).expect("escaped text is text");
    let token = sample.value.to_string();
    let is_canonical = sample.value.abs() < 1e6;
    for part in parts(kind) {
        staged.sample(Sample { part: *part, labels: &labels, label_text, token: &token, is_canonical, ..sample });
    }
}
