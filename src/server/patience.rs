//! Patience: how long a session waits for its client, and how slow the client may be.
//!
//! ```text
//! Greeting -> Head -> Body -> Response -> Idle -> Head ...       Linger: behind a last answer
//! ```
//! A head has to end in time. A body and an answer may take as long as they need, but not pause for long, and over every
//! [`RATE_WINDOW`] they have to keep a least rate: a byte a minute is no progress. Reads no clock.

use std::time::{Duration, Instant};

use crate::limits::{LINGER_TIME_MAX, Limit, Limits, RATE_WINDOW};

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first byte, or the end of a TLS handshake; counted from the beginning of the connection, and no longer than for a
    /// head.
    Greeting,
    /// The next request.
    Idle,
    /// The rest of a head; counted from its first byte.
    Head,
    /// More of a body; counted from the last piece.
    Body,
    /// The client to read; counted from the last byte that it took.
    Response,
    /// The client to stop sending.
    Linger,
}

impl Phase {
    /// The limit of the time in which something has to happen.
    const fn limit(self) -> Option<Limit> {
        match self {
            Phase::Greeting | Phase::Head => Some(Limit::HeadTime),
            Phase::Idle => Some(Limit::IdleTime),
            Phase::Body => Some(Limit::BodyPause),
            Phase::Response => Some(Limit::ResponsePause),
            Phase::Linger => None,
        }
    }

    /// The limit of the rate that has to be kept.
    const fn rate(self) -> Option<Limit> {
        match self {
            Phase::Body => Some(Limit::BodyRate),
            Phase::Response => Some(Limit::ResponseRate),
            Phase::Greeting | Phase::Idle | Phase::Head | Phase::Linger => None,
        }
    }

    /// Whether every byte renews the patience; a head and a last goodbye have to end.
    const fn is_renewed(self) -> bool {
        !matches!(self, Phase::Greeting | Phase::Head | Phase::Linger)
    }
}

/// Why a session has waited long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// The client was too slow.
    For(Limit),
    /// The time behind a last answer is over.
    Goodbye,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// How long nothing may happen, and from when on that is counted.
    allowed: Option<Duration>,
    from: Instant,
    /// The least bytes of a window, where that began, and how many there were in it.
    least: u64,
    window: Instant,
    moved: u64,
}

impl Patience {
    pub(super) fn new(now: Instant, limits: &Limits) -> Self {
        let mut patience =
            Self { phase: Phase::Greeting, since: now, allowed: None, from: now, least: 0, window: now, moved: 0 };
        patience.enter(Phase::Greeting, now, limits);
        patience
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When the phase began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Begins a phase anew.
    pub(super) fn enter(&mut self, phase: Phase, now: Instant, limits: &Limits) {
        let allowed = match phase.limit() {
            Some(limit) => limits.time(limit),
            None => Some(LINGER_TIME_MAX),
        };
        let least = phase.rate().map_or(0, |rate| limits.given(rate).saturating_mul(RATE_WINDOW.as_secs()));
        *self = Self { phase, since: now, allowed, from: now, least, window: now, moved: 0 };
    }

    /// So many bytes went through, and this is waited for now.
    pub(super) fn progress(&mut self, phase: Phase, bytes: u64, now: Instant, limits: &Limits) {
        if phase != self.phase {
            return self.enter(phase, now, limits);
        }
        if phase.is_renewed() {
            self.from = now;
            self.moved += bytes;
        }
    }

    /// Whether it has waited long enough, and why. To be asked now and then.
    pub(super) fn late(&mut self, now: Instant) -> Option<Late> {
        if self.allowed.is_some_and(|allowed| now.saturating_duration_since(self.from) >= allowed) {
            return Some(self.phase.limit().map_or(Late::Goodbye, Late::For));
        }
        if now.saturating_duration_since(self.window) < RATE_WINDOW {
            return None;
        }
        if self.moved < self.least {
            return self.phase.rate().map(Late::For);
        }
        (self.window, self.moved) = (now, 0);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves `bytes` every `step` seconds and tells when and why patience ends, looking once a second.
    fn end(phase: Phase, step: u64, bytes: u64, limits: &Limits) -> Option<(u64, Late)> {
        let begin = Instant::now();
        let mut patience = Patience::new(begin, limits);
        patience.enter(phase, begin, limits);
        for second in 1..4000 {
            let now = begin + Duration::from_secs(second);
            if let Some(late) = patience.late(now) {
                return Some((second, late));
            }
            if second.is_multiple_of(step) {
                patience.progress(phase, bytes, now, limits);
            }
        }
        None
    }

    #[test]
    fn each_phase_has_its_patience() {
        let limits = Limits::default();
        let check = |phase, step, bytes, expected| {
            assert_eq!(end(phase, step, bytes, &limits), expected, "{phase:?}, {bytes} bytes in {step} s");
        };
        let never = 10_000;
        check(Phase::Greeting, 1, 1, Some((60, Late::For(Limit::HeadTime))));
        check(Phase::Head, 1, 1000, Some((60, Late::For(Limit::HeadTime))));
        check(Phase::Idle, never, 0, Some((900, Late::For(Limit::IdleTime))));
        check(Phase::Linger, 1, 1, Some((5, Late::Goodbye)));
        for (phase, pause, rate) in [
            (Phase::Body, Limit::BodyPause, Limit::BodyRate),
            (Phase::Response, Limit::ResponsePause, Limit::ResponseRate),
        ] {
            check(phase, never, 0, Some((60, Late::For(pause))));
            check(phase, 59, 1, Some((300, Late::For(rate))));
            check(phase, 1, 90, Some((300, Late::For(rate))));
            check(phase, 1, 101, None);
            check(phase, 50, 10_000, None);
        }
    }

    #[test]
    fn without_limits_it_has_no_end() {
        let none = [Limit::HeadTime, Limit::IdleTime, Limit::BodyPause, Limit::BodyRate, Limit::ResponsePause];
        let limits = none.iter().fold(Limits::default(), |limits, limit| limits.with(*limit, 0));
        for phase in [Phase::Greeting, Phase::Head, Phase::Idle, Phase::Body] {
            assert_eq!(end(phase, 10_000, 0, &limits), None, "{phase:?}");
        }
        assert_eq!(end(Phase::Response, 10_000, 0, &limits), Some((300, Late::For(Limit::ResponseRate))));
    }

    #[test]
    fn a_fast_beginning_does_not_pay_for_a_slow_end() {
        let (limits, begin) = (Limits::default(), Instant::now());
        let mut patience = Patience::new(begin, &limits);
        patience.enter(Phase::Body, begin, &limits);
        patience.progress(Phase::Body, 1 << 40, begin, &limits);
        for second in 1..600 {
            let now = begin + Duration::from_secs(second);
            assert_eq!(patience.late(now), None, "{second}");
            patience.progress(Phase::Body, 1, now, &limits);
        }
        assert_eq!(patience.late(begin + Duration::from_secs(600)), Some(Late::For(Limit::BodyRate)));
    }
}
