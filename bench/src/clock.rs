//! Time since the run began.

use std::time::{Duration, Instant};

/// Nanoseconds since the clock was made: 64 bits hold 584 years.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// What it shows.
    pub fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }
}

/// A duration in nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
