//! The order of sessions that have something to do: those first that used least time lately.
//!
//! A session is charged the time that it takes, and forgiven a part of the time in which it has nothing to do; what waits
//! in a queue is not forgiven. So a client with a small push now and then goes first, whatever others ask for, and many
//! who ask for much take turns. Owns no session.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::{
    CHARGE_FORGIVEN_PART, CHARGED_TIME_HEAVY, CHARGED_TIME_LIGHT_MAX, CHARGED_TIME_MAX, HEAVY_SLICE_TIME_MAX,
    LIGHT_SLICE_TIME_MAX,
};

/// How much time a session used lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Next to none.
    Light,
    /// Some, for once perhaps.
    Middle,
    /// Much.
    Heavy,
}

impl Level {
    /// All of them, in the order in which they have their turn.
    pub(super) const ALL: [Self; 3] = [Self::Light, Self::Middle, Self::Heavy];

    /// For how long a session works before it makes room for others, but for its last step.
    pub(super) const fn slice_time(self) -> Duration {
        match self {
            Self::Light => LIGHT_SLICE_TIME_MAX,
            Self::Middle | Self::Heavy => HEAVY_SLICE_TIME_MAX,
        }
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

    pub(super) fn level(self) -> Level {
        match self.time {
            time if time < CHARGED_TIME_LIGHT_MAX => Level::Light,
            time if time < CHARGED_TIME_HEAVY => Level::Middle,
            _ => Level::Heavy,
        }
    }
}

/// Sessions that have something to do, each at most once.
#[derive(Debug)]
pub(super) struct Queue([VecDeque<usize>; 3]);

impl Queue {
    /// One with room for so many of each level.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Level::ALL.map(|_| VecDeque::with_capacity(capacity)))
    }

    pub(super) fn push(&mut self, key: usize, level: Level) {
        self.0[level as usize].push_back(key);
    }

    pub(super) fn pop(&mut self, level: Level) -> Option<usize> {
        self.0[level as usize].pop_front()
    }

    /// How many wait at each level.
    pub(super) fn waiting(&self) -> [usize; 3] {
        self.0.each_ref().map(VecDeque::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
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
            (20, 2_500, Level::Light),
            (100, 10_000, Level::Light),
            (200, 10_000, Level::Light),
            (1_000, 100_000, Level::Middle),
            (1_000, 2_000, Level::Heavy),
            (100, 100, Level::Heavy),
        ] {
            assert_eq!(level(micros(busy), micros(period)), expected, "{busy} of {period} us");
        }
    }

    #[test]
    fn whoever_stops_is_forgiven() {
        let mut charge = Charge::default();
        charge.add(Duration::from_secs(10), Duration::from_secs(10));
        assert_eq!(charge.level(), Level::Heavy);
        charge.forgive(Duration::from_secs(10) + CHARGED_TIME_MAX * CHARGE_FORGIVEN_PART);
        assert_eq!(charge.level(), Level::Light);
    }
}
