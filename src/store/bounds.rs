//! What one push may be like: how many series, how many labels, how long. Found out line by line, at the cost of a
//! comparison for lines that are not unusual; the push is refused by whoever feeds it, piece by piece.

use super::line::Overlay;
use super::staged::Staged;
use crate::limits::{Limit, Limits, Reached};
use crate::model::sample::{Label, MetricBounds};

/// The bounds of a push, and whether it keeps them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    limits: Limits,
    /// A label set that is no longer than this has no label that is too long.
    usual_bytes: usize,
    labels: usize,
    series: u64,
    /// What the push may hold, bytes: that which all may hold, or which may be stored.
    bytes: usize,
    broken: Option<Limit>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Bounds {
    fn new(limits: Limits) -> Self {
        let lengths = [Limit::LabelNameBytes, Limit::LabelValueBytes].map(|limit| limits.most_bytes(limit));
        let usual_bytes = lengths[0].min(lengths[1]);
        let bytes = [Limit::ReceivedBytes, Limit::StoreBytes].map(|limit| limits.most_bytes(limit));
        let (labels, series) = (limits.most_bytes(Limit::SeriesLabels), limits.most(Limit::PushSeries));
        Self { limits, usual_bytes, labels, series, bytes: bytes[0].min(bytes[1]), broken: None }
    }

    /// Forgets the push.
    pub(super) fn clear(&mut self) {
        self.broken = None;
    }

    /// Takes note of the labels of a series, which are `bytes` long together or less.
    pub(super) fn check_labels(&mut self, labels: &[Label<'_>], bytes: usize, overlay: &Overlay) {
        if bytes > self.usual_bytes || labels.len() + overlay.label_count() > self.labels {
            self.check_unusual(labels, overlay);
        }
    }

    #[cold]
    fn check_unusual(&mut self, labels: &[Label<'_>], overlay: &Overlay) {
        let overridden = labels.iter().filter(|label| overlay.has(label.name)).count();
        let lengths = labels
            .iter()
            .flat_map(|label| [(Limit::LabelNameBytes, label.name.len()), (Limit::LabelValueBytes, label.value.len())]);
        let count = labels.len() + overlay.label_count() - overridden;
        self.check_all(lengths.chain([(Limit::SeriesLabels, count)]));
    }

    /// Whether the push may hold so many bytes. What a client sends may become any multiple of it, since each line has
    /// the labels of its group and of its metric: nothing is to be written that the push has no room for.
    #[inline]
    pub(super) fn has_room(&mut self, bytes: usize) -> bool {
        let has_room = bytes <= self.bytes;
        if !has_room {
            self.note_bytes(bytes);
        }
        has_room
    }

    #[cold]
    fn note_bytes(&mut self, bytes: usize) {
        self.check_all([Limit::ReceivedBytes, Limit::StoreBytes].map(|limit| (limit, bytes)).into_iter());
    }

    /// Whether a push may have so many series.
    pub(super) fn has_series(&mut self, series: u64) -> bool {
        let has_series = series <= self.series;
        if !has_series {
            self.broken = self.broken.or(Some(Limit::PushSeries));
        }
        has_series
    }

    /// How much of a metric is wanted of a push that has so many series already.
    pub(super) fn of_metric(&self, series: u64) -> MetricBounds {
        let elements = usize::try_from(self.series.saturating_sub(series)).unwrap_or(usize::MAX);
        MetricBounds { labels: self.labels, elements }
    }

    /// Takes note of the name of a family, or of its help text.
    pub(super) fn check_word(&mut self, word: &[u8]) {
        if word.len() > self.usual_bytes {
            self.check_all([(Limit::LabelValueBytes, word.len())].into_iter());
        }
    }

    fn check_all(&mut self, mut numbers: impl Iterator<Item = (Limit, usize)>) {
        let limits = &self.limits;
        let broken = numbers.find(|(limit, number)| *number > limits.most_bytes(*limit));
        self.broken = self.broken.or(broken.map(|(limit, _)| limit));
    }
}

impl Staged {
    /// Bounds pushes from the next one on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.bounds = Bounds::new(limits);
    }

    /// Whether the push keeps its bounds so far.
    ///
    /// # Errors
    /// The bound that it does not keep.
    pub fn check_bounds(&self) -> Result<(), Reached> {
        let limits = &self.bounds.limits;
        match self.bounds.broken {
            Some(limit) => Err(limits.reached(limit)),
            None => limits.check([(Limit::PushSeries, self.series_count())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::{Detail, FamilyIx, Kind, Metric, MetricValue, Part, RawLabel, Sample, Sink, WholeSink};

    /// What becomes of a push of a series with these labels, to a group with two labels.
    fn outcome(kind: Kind, limits: Limits, name: &str, labels: &[(&str, &str)]) -> Result<(), Limit> {
        let mut staged = Staged::default();
        staged.set_limits(limits);
        staged.begin([("instance", "i"), ("job", "j")].into_iter());
        staged.family(FamilyIx(0), name);
        staged.kind(FamilyIx(0), kind);
        let labels: Vec<_> = labels.iter().map(|(name, value)| Label { name, value }).collect();
        let part = if kind == Kind::Histogram { Part::Bucket(1.0) } else { Part::Whole };
        staged.sample(Sample::new(FamilyIx(0), part, &labels, 1.0));
        staged.check_bounds().map_err(|reached| reached.limit)
    }

    #[test]
    fn labels_are_counted_and_measured() {
        let check = |limit: Limit, most: u64, name: &str, labels: &[(&str, &str)], is_kept: bool| {
            for kind in [Kind::Gauge, Kind::Histogram] {
                let limits = Limits::default().with(limit, most);
                let expected = if is_kept { Ok(()) } else { Err(limit) };
                assert_eq!(outcome(kind, limits, name, labels), expected, "{limit:?} {most} {labels:?}");
            }
        };
        check(Limit::SeriesLabels, 3, "m", &[("a", "1")], true);
        check(Limit::SeriesLabels, 3, "m", &[("a", "1"), ("b", "2")], false);
        check(Limit::SeriesLabels, 3, "m", &[("a", "1"), ("job", "2")], true);
        check(Limit::LabelNameBytes, 3, "m", &[("abc", "long value")], true);
        check(Limit::LabelNameBytes, 3, "m", &[("abcd", "")], false);
        check(Limit::LabelValueBytes, 3, "m", &[("long_name", "abc")], true);
        check(Limit::LabelValueBytes, 3, "m", &[("a", "abcd")], false);
        check(Limit::LabelValueBytes, 3, "mmmm", &[], false);
        check(Limit::LabelValueBytes, 0, "mmmm", &[("a", "abcd")], true);
    }

    #[test]
    fn series_are_counted_as_they_come() {
        let mut staged = Staged::default();
        staged.set_limits(Limits::default().with(Limit::PushSeries, 4));
        for (kind, part, kept) in [
            (Kind::Gauge, Part::Whole, 4),
            (Kind::Summary, Part::Quantile(0.5), 2),
            (Kind::Histogram, Part::Bucket(1.0), 2),
        ] {
            staged.begin([("job", "j")].into_iter());
            staged.family(FamilyIx(0), "m");
            staged.kind(FamilyIx(0), kind);
            for at in 0..5 {
                assert_eq!(staged.check_bounds().is_ok(), at <= kept, "{kind:?} {at}");
                let value = at.to_string();
                let labels = if kind == Kind::Gauge { &[Label { name: "l", value: &value }][..] } else { &[] };
                staged.sample(Sample::new(FamilyIx(0), part, labels, 1.0));
            }
        }
    }

    /// A push of a whole histogram with so many buckets, one label of so many bytes, and so many native buckets.
    fn whole_histogram(limits: Limits, group: &str, buckets: usize, label_bytes: usize, native: u64) -> Staged {
        let mut staged = Staged::default();
        staged.set_limits(limits);
        staged.begin([("group", group), ("job", "j")].into_iter());
        staged.whole_family(FamilyIx(0), "h", Kind::Histogram, None);
        let wanted = staged.bounds();
        let buckets = vec![(1.0, 1.0); buckets.min(wanted.elements.saturating_add(1))];
        staged.metric(Metric {
            family: FamilyIx(0),
            labels: &[RawLabel { name: b"l", value: &vec![b'v'; label_bytes] }],
            value: MetricValue::Histogram { buckets: &buckets, sum: 1.0, count: 1.0 },
            timestamp: None,
            detail: (native > 0).then_some(Detail { message: b"message", series: native }),
        });
        staged
    }

    #[test]
    fn native_buckets_are_series_of_a_push() {
        let check = |most: u64, buckets: usize, native: u64, is_kept: bool| {
            let limits = Limits::default().with(Limit::PushSeries, most);
            let mut staged = whole_histogram(limits, "g", buckets, 1, native);
            assert_eq!(staged.is_refused(), !is_kept);
            let outcome = staged.check_bounds().map_err(|reached| reached.limit);
            assert_eq!(outcome, if is_kept { Ok(()) } else { Err(Limit::PushSeries) }, "{most} {buckets} {native}");
            staged.seal();
            assert_eq!(staged.check_bounds().is_ok(), is_kept);
        };
        check(10, 0, 7, true);
        check(10, 0, 8, false);
        check(10, 3, 4, true);
        check(10, 3, 5, false);
        check(10, 7, 0, true);
        check(10, 8, 0, false);
        check(10, 100, 0, false);
        check(10, 0, u64::MAX, false);
        check(0, 100, 1 << 40, true);
    }

    /// A few bytes of a body may become any number of lines with long labels: none of them is written.
    #[test]
    fn what_multiplies_is_refused_before_it_is_written() {
        let many = 1_000_000;
        let check = |limit: Limit, most: u64, group: &str, buckets: usize, label_bytes: usize, is_kept: bool| {
            let limits = Limits::default().with(limit, most);
            let staged = whole_histogram(limits, group, buckets, label_bytes, 0);
            let outcome = staged.check_bounds().map_err(|reached| reached.limit);
            assert_eq!(outcome, if is_kept { Ok(()) } else { Err(limit) }, "{limit:?} {most}");
            assert!(staged.held_bytes() as u64 <= most, "{}", staged.held_bytes());
        };
        check(Limit::ReceivedBytes, 10_000_000, "", 1000, 1000, true);
        check(Limit::ReceivedBytes, 1_000_000, "", 1000, 1000, false);
        check(Limit::ReceivedBytes, 1_000_000, &"g".repeat(1000), 1000, 1, false);
        check(Limit::StoreBytes, 1_000_000, "", 1000, 1000, false);
        check(Limit::ReceivedBytes, 2 << 30, "", many, many, false);
    }

    /// Each line has the labels of the group, and in a histogram those of its metric.
    #[test]
    fn long_grouping_labels_are_counted_with_every_line() {
        for (kind, part) in [(Kind::Gauge, Part::Whole), (Kind::Histogram, Part::Bucket(1.0))] {
            let mut staged = Staged::default();
            let most = 1_000_000;
            staged.set_limits(Limits::default().with(Limit::ReceivedBytes, most));
            let group = "g".repeat(10_000);
            staged.begin([("group", &*group), ("job", "j")].into_iter());
            staged.family(FamilyIx(0), "m");
            staged.kind(FamilyIx(0), kind);
            let mut kept = 0;
            for at in 0..1000 {
                let value = at.to_string();
                let labels = [Label { name: "l", value: &value }];
                let labels = if kind == Kind::Gauge { &labels[..] } else { &[] };
                staged.sample(Sample::new(FamilyIx(0), part, labels, 1.0));
                kept += u64::from(staged.check_bounds().is_ok());
            }
            assert!((90..100).contains(&kept), "{kind:?} {kept}");
            staged.seal();
            assert!(staged.held_bytes() as u64 <= most + most / 10, "{kind:?} {}", staged.held_bytes());
        }
    }
}
