//! What one push may be like: how many series, how many labels, how long. Found out line by line, at the cost of a
//! comparison for lines that are not unusual; the push is refused by whoever feeds it, piece by piece.

use super::line::Overlay;
use super::staged::Staged;
use crate::limits::{Limit, Limits, Reached};
use crate::model::sample::Label;

/// The bounds of a push, and whether it keeps them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    limits: Limits,
    /// A label set that is no longer than this has no label that is too long.
    usual_bytes: usize,
    labels: usize,
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
        Self { limits, usual_bytes, labels: limits.most_bytes(Limit::SeriesLabels), broken: None }
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

    /// Takes note of the name of a family.
    pub(super) fn check_name(&mut self, name: &str) {
        if name.len() > self.usual_bytes {
            self.check_all([(Limit::LabelValueBytes, name.len())].into_iter());
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
    use crate::model::sample::{FamilyIx, Kind, Part, Sample, Sink};

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
}
