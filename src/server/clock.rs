//! The clocks: read once per turn and where a duration is measured. A simulation moves them by hand.

use std::time::{Duration, Instant, SystemTime};

use crate::app::Now;
use crate::model::time::Timestamp;

/// The clocks of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) started: Instant,
    /// Time since the start, and by the calendar, while they stand still.
    #[cfg(test)]
    pub(super) stopped: Option<(Duration, SystemTime)>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            #[cfg(test)]
            stopped: None,
        }
    }

    /// Time since the start.
    pub(super) fn uptime(self) -> Duration {
        #[cfg(test)]
        if let Some((uptime, _)) = self.stopped {
            return uptime;
        }
        self.started.elapsed()
    }

    /// The time by the calendar.
    pub(super) fn wall(self) -> SystemTime {
        #[cfg(test)]
        if let Some((_, wall)) = self.stopped {
            return wall;
        }
        SystemTime::now()
    }

    /// Both, as the application takes them.
    pub(super) fn now(self) -> Now {
        Now { wall: Timestamp::from_system(self.wall()), uptime: self.uptime() }
    }
}
