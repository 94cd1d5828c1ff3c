//! The time of a turn: when the session at work has to make room for others, and when the turn is to end.
//!
//! The clock is read between steps, and not for steps that are small by their bytes. In a simulation, whose clock stands
//! still during a turn, each reading takes a fixed time instead, so that steps can be counted. Decides nothing about
//! order: see `queue`.

use std::time::Duration;

use super::Clock;
use crate::limits::{METERED_BYTES, TURN_TIME_MAX};

/// What measures a turn.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    clock: Clock,
    /// The last reading, since the start of the process.
    now: Duration,
    turn_end: Duration,
    slice_start: Duration,
    slice_end: Duration,
    is_slice_over: bool,
    /// Bytes that were dealt with since the last reading.
    unmetered_bytes: usize,
    /// What a simulation has instead of time.
    #[cfg(test)]
    pub(super) pace: Pace,
}

/// How a simulated turn passes.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// What a step takes.
    pub step_time: Duration,
    /// Bytes after which the clock is read.
    pub step_bytes: usize,
    /// Steps of this turn.
    pub steps: u64,
}

#[cfg(test)]
impl Default for Pace {
    fn default() -> Self {
        Self { step_time: Duration::from_micros(10), step_bytes: METERED_BYTES, steps: 0 }
    }
}

impl Meter {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            now: Duration::ZERO,
            turn_end: Duration::ZERO,
            slice_start: Duration::ZERO,
            slice_end: Duration::ZERO,
            is_slice_over: false,
            unmetered_bytes: 0,
            #[cfg(test)]
            pace: Pace::default(),
        }
    }

    /// A turn begins; `now` was read just now.
    pub(super) fn begin_turn(&mut self, clock: Clock, now: Duration) {
        (self.clock, self.now, self.turn_end) = (clock, now, now + TURN_TIME_MAX);
        self.unmetered_bytes = 0;
        #[cfg(test)]
        {
            self.pace.steps = 0;
        }
    }

    /// A session begins to work, which may take so long. It may make one step, however late it is.
    pub(super) fn begin_slice(&mut self, most: Duration) {
        self.slice_start = self.now;
        self.slice_end = self.turn_end.min(self.now + most);
        (self.is_slice_over, self.unmetered_bytes) = (false, 0);
    }

    /// The session at work is done for now; what it took, and the time.
    pub(super) fn end_slice(&mut self) -> (Duration, Duration) {
        self.step();
        (self.now.saturating_sub(self.slice_start), self.now)
    }

    /// The session at work is to leave after this step.
    pub(super) fn end_early(&mut self) {
        self.is_slice_over = true;
    }

    /// A step was made that may have taken long: reads the clock.
    pub(super) fn step(&mut self) {
        self.now = self.clock.uptime();
        #[cfg(test)]
        self.pass();
        self.unmetered_bytes = 0;
        self.is_slice_over = self.now >= self.slice_end;
    }

    /// So many bytes were dealt with: reads the clock when it is worth it.
    pub(super) fn note(&mut self, bytes: usize) {
        self.unmetered_bytes += bytes;
        if self.unmetered_bytes >= self.step_bytes() {
            self.step();
        }
    }

    /// The last reading, since the start of the process.
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Whether the session at work has to leave, as of the last reading.
    pub(super) fn is_slice_over(&self) -> bool {
        self.is_slice_over
    }

    /// Whether the turn has to end, as of the last reading.
    pub(super) fn is_turn_over(&self) -> bool {
        self.now >= self.turn_end
    }

    #[cfg(not(test))]
    const fn step_bytes(&self) -> usize {
        METERED_BYTES
    }

    #[cfg(test)]
    fn step_bytes(&self) -> usize {
        self.pace.step_bytes
    }

    /// Moves a clock that stands still.
    #[cfg(test)]
    fn pass(&mut self) {
        self.pace.steps += 1;
        if self.clock.stopped.is_some() {
            self.now += self.pace.step_time * u32::try_from(self.pace.steps).unwrap_or(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_slice_ends_with_its_time_or_with_the_turn() {
        let clock = Clock { stopped: Some((Duration::ZERO, SystemTime::UNIX_EPOCH)), ..Clock::start() };
        let mut meter = Meter::new(clock);
        meter.pace.step_time = TURN_TIME_MAX / 4;
        meter.begin_turn(clock, Duration::ZERO);
        // How long a slice may be, and how many steps it takes.
        for (most, steps) in [(TURN_TIME_MAX / 4, 1), (TURN_TIME_MAX / 2, 2), (TURN_TIME_MAX, 1), (TURN_TIME_MAX, 1)] {
            meter.begin_slice(most);
            for step in 1..=steps {
                assert!(!meter.is_slice_over(), "{most:?}, step {step}");
                meter.step();
            }
            assert!(meter.is_slice_over(), "{most:?}");
        }
        assert!(meter.is_turn_over());
        assert_eq!(meter.pace.steps, 5);
    }

    #[test]
    fn small_pieces_are_metered_together() {
        let clock = Clock { stopped: Some((Duration::ZERO, SystemTime::UNIX_EPOCH)), ..Clock::start() };
        let mut meter = Meter::new(clock);
        meter.begin_turn(clock, Duration::ZERO);
        meter.begin_slice(TURN_TIME_MAX);
        for (bytes, steps) in [(METERED_BYTES - 1, 0), (1, 1), (METERED_BYTES / 2, 1), (METERED_BYTES / 2, 2)] {
            meter.note(bytes);
            assert_eq!(meter.pace.steps, steps, "{bytes}");
        }
    }
}
