//! The order of sessions that have something to do: those first that used least time lately.
//!
//! A session is charged the time that it takes, and forgiven a part of the time in which it has nothing to do; what waits
//! in a queue is not forgiven. So a client with a small push now and then goes first, whatever others ask for, and many
//! who ask for much take turns. Owns no session.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{
    CHARGE_FORGIVEN_PART, CHARGED_TIME_LIGHT_MAX, CHARGED_TIME_MAX, HEAVY_SLICE_TIME_MAX, LIGHT_SLICE_TIME_MAX,
};

/// How much time a session used lately: 0 is next to none, each further level twice as much as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Level(usize);

/// How many levels there are.
const LEVELS: usize = 6;

impl Level {
    /// All of them, in the order in which they have their turn.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..LEVELS).map(Self)
    }

    /// For how long a session works before it makes room for others, but for its last step.
    pub(super) const fn slice_time(self) -> Duration {
        if self.0 == 0 { LIGHT_SLICE_TIME_MAX } else { HEAVY_SLICE_TIME_MAX }
    }
}

/// What one session has been charged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charge {
    time: Duration,
    /// When it last worked, since the start of the process.
    at: Duration,
}

impl Charge {
    /// The session has worked for so long until `now`.
    pub(super) fn add(&mut self, time: Duration, now: Duration) {
        self.time = CHARGED_TIME_MAX.min(self.time + time);
        self.at = now;
    }

    /// The session had nothing to do until `now`.
    pub(super) fn forgive(&mut self, now: Duration) {
        let idle = now.saturating_sub(self.at);
        self.time = self.time.saturating_sub(idle / CHARGE_FORGIVEN_PART);
        self.at = now;
    }

    /// The session has begun something that will take it more than a slice: it goes after those that have not.
    pub(super) fn raise(&mut self) {
        self.time = self.time.max(CHARGED_TIME_LIGHT_MAX);
    }

    pub(super) fn level(self) -> Level {
        let bounds = (0..LEVELS - 1).map(|level| CHARGED_TIME_LIGHT_MAX * (1 << level));
        Level(bounds.take_while(|bound| self.time >= *bound).count())
    }
}

/// Sessions that have something to do, each at most once.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: [VecDeque<usize>; LEVELS],
    /// The level after the one that was the last to have a session served although the turn was over, level 0 not counted.
    next_late: usize,
}

impl Queue {
    /// One with room for so many of each level.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { waiting: std::array::from_fn(|_| VecDeque::with_capacity(capacity)), next_late: 0 }
    }

    pub(super) fn push(&mut self, key: usize, level: Level) {
        self.waiting[level.0].push_back(key);
    }

    pub(super) fn pop(&mut self, level: Level) -> Option<usize> {
        self.waiting[level.0].pop_front()
    }

    /// Takes out a session that is to be served although the turn is over, as those before it take all of it: the levels
    /// have their turn at that, whoever used little excepted.
    pub(super) fn pop_late(&mut self) -> Option<(usize, Level)> {
        let mut levels = (0..LEVELS - 1).map(|at| 1 + (self.next_late + at) % (LEVELS - 1));
        let level = levels.find(|level| !self.waiting[*level].is_empty())?;
        self.next_late = level;
        self.pop(Level(level)).map(|key| (key, Level(level)))
    }

    /// How many wait at each level.
    pub(super) fn waiting(&self) -> [usize; LEVELS] {
        self.waiting.each_ref().map(VecDeque::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level of a session that works for `busy` every `period`, after a second of that.
    fn level(busy: Duration, period: Duration) -> Level {
        let mut charge = Charge::default();
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(1) {
            charge.forgive(now);
            charge.add(busy, now + busy);
            now += period;
        }
        charge.level()
    }

    #[test]
    fn levels_follow_what_was_used() {
        let micros = Duration::from_micros;
        for (busy, period, expected) in [
            (20, 2_500, 0),
            (100, 10_000, 0),
            (200, 10_000, 0),
            (300, 10_000, 1),
            (600, 20_000, 2),
            (1_000, 100_000, 3),
            (3_000, 100_000, 4),
            (1_000, 2_000, 5),
            (100, 100, 5),
        ] {
            assert_eq!(level(micros(busy), micros(period)), Level(expected), "{busy} of {period} us");
        }
    }

    #[test]
    fn whoever_stops_is_forgiven() {
        let mut charge = Charge::default();
        charge.add(Duration::from_secs(10), Duration::from_secs(10));
        assert_eq!(charge.level(), Level(LEVELS - 1));
        charge.forgive(Duration::from_secs(10) + CHARGED_TIME_MAX * CHARGE_FORGIVEN_PART);
        assert_eq!(charge.level(), Level(0));
        charge.raise();
        assert_eq!(charge.level(), Level(1));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut queue = Queue::with_capacity(4);
        assert_eq!(queue.pop_late(), None);
        queue.push(9, Level(0));
        assert_eq!(queue.pop_late(), None);
        for (key, level) in [(1, 1), (2, 1), (3, 5), (4, 3), (5, 1)] {
            queue.push(key, Level(level));
        }
        let served: Vec<_> = std::iter::from_fn(|| queue.pop_late().map(|(key, _)| key)).collect();
        assert_eq!(served, [1, 4, 3, 2, 5]);
        assert_eq!(queue.waiting(), [1, 0, 0, 0, 0, 0]);
    }
}
