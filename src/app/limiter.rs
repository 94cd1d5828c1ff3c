//! A bucket of tokens: how many requests are answered in the long run, and how many at once (SPEC 11.3).

use std::time::Duration;

use crate::config::web::RateLimit;

/// The bucket. It is full at the start, and a request that finds it empty costs nothing.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Time in which one token comes, nanoseconds.
    interval: u64,
    /// Time that fills the bucket, nanoseconds.
    full: u64,
    /// What is in it, as the time that it took to come.
    level: u64,
    last: Duration,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = u64::try_from(limit.interval.0).unwrap_or(0).max(1);
        let full = interval.saturating_mul(limit.burst);
        Self { interval, full, level: full, last: Duration::ZERO }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, uptime: Duration) -> bool {
        let passed = uptime.saturating_sub(self.last).as_nanos();
        self.last = self.last.max(uptime);
        self.level = self.level.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)).min(self.full);
        let is_there = self.level >= self.interval;
        if is_there {
            self.level -= self.interval;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::duration::GoDuration;
    use crate::random::Random;

    fn limiter(millis: i64, burst: u64) -> Limiter {
        Limiter::new(RateLimit { interval: GoDuration(millis * 1_000_000), burst })
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        let mut limiter = limiter(100, 3);
        let taken = |limiter: &mut Limiter, millis: u64| {
            let uptime = Duration::from_millis(millis);
            std::iter::from_fn(|| limiter.take(uptime).then_some(())).take(10).count()
        };
        assert_eq!(taken(&mut limiter, 0), 3);
        assert_eq!(taken(&mut limiter, 99), 0);
        assert_eq!(taken(&mut limiter, 100), 1);
        assert_eq!(taken(&mut limiter, 350), 2);
        assert_eq!(taken(&mut limiter, 400), 1);
        assert_eq!(taken(&mut limiter, 1_000_000), 3);
        // Time that seems to go back gives nothing and takes nothing.
        assert_eq!(taken(&mut limiter, 0), 0);
        assert_eq!(taken(&mut limiter, 1_000_100), 1);
    }

    #[test]
    fn without_a_burst_nothing_passes() {
        let mut limiter = limiter(1, 0);
        assert!((0..100).all(|second| !limiter.take(Duration::from_secs(second))));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut limiter = Limiter::new(RateLimit { interval: GoDuration(i64::MAX), burst: u64::MAX });
        assert!(limiter.take(Duration::ZERO));
        assert!(limiter.take(Duration::MAX));
    }

    /// Against a bucket that is filled tick by tick.
    #[test]
    fn counts_like_a_naive_bucket() {
        let mut random = Random::new(7);
        for _ in 0..200 {
            let (millis, burst) = (1 + random.below(20), random.below(5));
            let mut limiter = limiter(millis as i64, burst);
            let (mut now, mut drops) = (0, burst * millis);
            for _ in 0..200 {
                for _ in 0..random.below(30) {
                    now += 1;
                    drops = (drops + 1).min(burst * millis);
                }
                let expected = drops >= millis;
                drops -= if expected { millis } else { 0 };
                assert_eq!(limiter.take(Duration::from_millis(now)), expected, "{millis} ms, {burst}, at {now}");
            }
        }
    }
}
