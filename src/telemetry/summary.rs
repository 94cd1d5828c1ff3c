//! Quantiles over a sliding window, with the sum and count of all time (SPEC 7.8).
//!
//! Observations are counted in buckets that divide each power of two into 32 of the same width, which are the top bits
//! of a double, so finding one is a shift. A bucket stands for its middle: off by at most 1/64 of the value. The
//! window is a ring of steps; a step that has left it is cleared when the next one begins, so that the window holds
//! the last four steps and what there is of the current one, as in the original.
//!
//! The original keeps samples instead, whose number and cost depend on the traffic.

use std::time::Duration;

use crate::limits::{SUMMARY_WINDOW_SECONDS, SUMMARY_WINDOW_STEPS as STEPS};

/// The quantiles shown, with their label values.
pub(super) const QUANTILES: [(f64, &str); 3] = [(0.1, "0.1"), (0.5, "0.5"), (0.9, "0.9")];

const STEP_SECONDS: u64 = SUMMARY_WINDOW_SECONDS / STEPS as u64;

/// Bits of the mantissa that tell buckets apart.
const MANTISSA_BITS: u32 = 5;

/// How far to shift a double's bits to keep its exponent and those bits.
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;

/// Powers of two that are told apart: from a nanosecond to three days, or from a byte to 256 TiB.
const OCTAVES: usize = 48;

const BUCKETS: usize = OCTAVES << MANTISSA_BITS;

/// Observations of one kind.
pub(super) struct Summary {
    /// The top bits of the least value that is told apart from smaller ones.
    origin: u64,
    sum: f64,
    count: u64,
    /// There from the first observation on: an idle gateway needs none.
    window: Option<Window>,
}

impl Summary {
    /// A summary that tells apart values from this power of two on.
    pub(super) fn new(least_log2: i32) -> Self {
        Self { origin: f64::from(least_log2).exp2().to_bits() >> SHIFT, sum: 0.0, count: 0, window: None }
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn observe(&mut self, value: f64, now: Duration) {
        self.sum += value;
        self.count += 1;
        let bucket = self.bucket(value);
        let window = self.window.get_or_insert_with(Window::new);
        window.advance(now);
        window.add(bucket, value);
    }

    /// The values of `QUANTILES`; NaN if the window is empty.
    pub(super) fn quantiles(&mut self, now: Duration) -> [f64; QUANTILES.len()] {
        let mut values = [f64::NAN; QUANTILES.len()];
        let Some(window) = &mut self.window else { return values };
        window.advance(now);
        let Some((count, least, most)) = window.extent() else { return values };
        let ranks = QUANTILES.map(|(quantile, _)| ((quantile * count as f64).ceil() as u64).max(1));
        let (first, last) = (self.bucket(least), self.bucket(most));
        let (mut seen, mut found) = (0, 0);
        for bucket in first..=last {
            let Some(window) = &self.window else { break };
            seen += window.total(bucket);
            while found < ranks.len() && seen >= ranks[found] {
                // The extremes are known exactly; with few observations, or equal ones, that is all of them.
                values[found] = self.middle(bucket).clamp(least, most);
                found += 1;
            }
        }
        values
    }

    /// Values out of range, and what is no positive number, go to the bucket next to them.
    fn bucket(&self, value: f64) -> usize {
        let top = value.max(0.0).to_bits() >> SHIFT;
        (top.saturating_sub(self.origin) as usize).min(BUCKETS - 1)
    }

    fn middle(&self, bucket: usize) -> f64 {
        f64::from_bits((self.origin + bucket as u64) << SHIFT | 1 << (SHIFT - 1))
    }
}

/// What is known of one step.
#[derive(Clone, Copy)]
struct Step {
    count: u64,
    least: f64,
    most: f64,
}

const NOTHING: Step = Step { count: 0, least: f64::INFINITY, most: f64::NEG_INFINITY };

struct Window {
    /// The step that observations go to, counted from the start.
    current: u64,
    steps: [Step; STEPS],
    /// Counts of each step by bucket, one step behind the other.
    counts: Box<[u32]>,
}

impl Window {
    fn new() -> Self {
        Self { current: 0, steps: [NOTHING; STEPS], counts: vec![0; BUCKETS * STEPS].into_boxed_slice() }
    }

    /// Clears the steps that have left the window since the last call.
    fn advance(&mut self, now: Duration) {
        let current = now.as_secs() / STEP_SECONDS;
        let passed = current.saturating_sub(self.current).min(STEPS as u64);
        for step in 0..passed {
            let slot = slot(current - step);
            self.steps[slot] = NOTHING;
            self.counts[slot * BUCKETS..][..BUCKETS].fill(0);
        }
        self.current = self.current.max(current);
    }

    fn add(&mut self, bucket: usize, value: f64) {
        let slot = slot(self.current);
        let step = &mut self.steps[slot];
        step.count += 1;
        step.least = step.least.min(value);
        step.most = step.most.max(value);
        let count = &mut self.counts[slot * BUCKETS + bucket];
        *count = count.saturating_add(1);
    }

    /// How many observations there are, the least and the most of them; `None` without any.
    fn extent(&self) -> Option<(u64, f64, f64)> {
        let count = self.steps.iter().map(|step| step.count).sum();
        let least = self.steps.iter().fold(f64::INFINITY, |least, step| least.min(step.least));
        let most = self.steps.iter().fold(f64::NEG_INFINITY, |most, step| most.max(step.most));
        // An observation that was NaN counts, but has no place among the extremes.
        (count > 0 && least <= most).then_some((count, least, most))
    }

    fn total(&self, bucket: usize) -> u64 {
        (0..STEPS).map(|slot| u64::from(self.counts[slot * BUCKETS + bucket])).sum()
    }
}

fn slot(step: u64) -> usize {
    (step % STEPS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn quantiles_are_close_to_those_of_a_sorted_list() {
        let mut random = Random::for_test(0);
        let check = |least_log2: i32, mut draw: Box<dyn FnMut() -> f64 + '_>| {
            for len in [1, 2, 3, 9, 10, 11, 100, 10_000] {
                let mut summary = Summary::new(least_log2);
                let mut sorted: Vec<f64> = (0..len).map(|_| draw()).collect();
                for (index, value) in sorted.iter().enumerate() {
                    // Spread over the whole window, so that all steps are merged.
                    summary.observe(*value, Duration::from_secs(index as u64 * 599 / len as u64));
                }
                sorted.sort_by(f64::total_cmp);
                let found = summary.quantiles(Duration::from_secs(599));
                for ((quantile, _), found) in QUANTILES.iter().zip(found) {
                    let exact = sorted[((quantile * len as f64).ceil() as usize).max(1) - 1];
                    assert!((found - exact).abs() <= exact / 64.0, "{quantile} of {len}: {found}, exactly {exact}");
                }
                assert_eq!(summary.count(), len as u64);
            }
        };
        check(0, Box::new(|| (random.unit() * 1e6).ceil()));
        check(0, Box::new(|| (random.unit() * 47.0).exp2()));
        check(-30, Box::new(|| (random.unit() * 40.0 - 29.0).exp2()));
        check(-30, Box::new(|| 0.001 + random.unit() * 0.000_1));
    }

    #[test]
    fn observations_leave_the_window_in_steps() {
        let check = |observed: u64, asked: u64, expected: f64| {
            let mut summary = Summary::new(0);
            summary.observe(147.0, Duration::from_secs(observed));
            let found = summary.quantiles(Duration::from_secs(asked));
            assert!(found.iter().all(|value| value.total_cmp(&expected).is_eq()), "{observed} {asked}: {found:?}");
            assert_eq!((summary.sum(), summary.count()), (147.0, 1));
        };
        check(0, 0, 147.0);
        check(0, 599, 147.0);
        check(0, 600, f64::NAN);
        check(119, 599, 147.0);
        check(119, 600, f64::NAN);
        check(120, 719, 147.0);
        check(120, 720, f64::NAN);
        check(100, 1_000_000, f64::NAN);
        check(1_000_000, 1_000_400, 147.0);
    }

    #[test]
    fn newer_observations_stay_when_older_ones_leave() {
        let mut summary = Summary::new(0);
        for minute in 0..100_u64 {
            let now = Duration::from_secs(minute * 60);
            summary.observe((minute + 1) as f64, now);
            let [_, median, _] = summary.quantiles(now);
            let oldest = (minute / 2 * 2).saturating_sub(8);
            let exact = (oldest + (minute - oldest) / 2 + 1) as f64;
            assert!((median - exact).abs() <= exact / 64.0, "minute {minute}: {median} {exact}");
        }
    }

    #[test]
    fn values_out_of_range_stay_exact_at_the_ends() {
        let check = |value: f64| {
            let mut summary = Summary::new(0);
            summary.observe(value, Duration::ZERO);
            assert_eq!(summary.quantiles(Duration::ZERO), [value; 3]);
        };
        check(0.0);
        check(1e-300);
        check(1e300);
        check(f64::INFINITY);
        check(-1.0);
        let mut summary = Summary::new(0);
        summary.observe(f64::NAN, Duration::ZERO);
        assert!(summary.quantiles(Duration::ZERO)[0].is_nan());
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut summary = Summary::new(0);
        summary.observe(5.0, Duration::from_secs(500));
        summary.observe(5.0, Duration::from_secs(100));
        assert_eq!(summary.quantiles(Duration::from_secs(0)), [5.0; 3]);
    }
}
