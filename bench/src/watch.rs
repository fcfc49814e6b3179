//! Who looks on while a phase of a run goes on: for a broker that has fallen silent, and to tell how
//! far the phase is.

use crate::clock::nanos;
use crate::error::BenchError;
use crate::number::float;
use crate::report::Progress;
use crate::tally::Tally;
use std::time::Duration;

/// How often progress is told, in nanoseconds.
const PROGRESS_NANOS: u64 = 500_000_000;
/// How often a phase has to look, in nanoseconds.
pub const HEARTBEAT_NANOS: u64 = 1_000_000_000;

/// See the module's own words. Times are nanoseconds of the run's clock.
pub struct Watch<'a> {
    start: u64,
    heard: u64,
    told: u64,
    /// How long the broker may be silent.
    timeout: u64,
    is_warmup: bool,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Watch<'a> {
    /// Looks on from `start`.
    pub fn new(
        start: u64,
        timeout: Duration,
        is_warmup: bool,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        Self {
            start,
            heard: start,
            told: start,
            timeout: nanos(timeout),
            is_warmup,
            progress,
        }
    }

    /// Looks at `now`; `is_well`: the broker was heard, or had nothing to say.
    ///
    /// Errors: `Silent`.
    pub fn look(&mut self, now: u64, is_well: bool, tally: &Tally) -> Result<(), BenchError> {
        if is_well {
            self.heard = now;
        } else if now.saturating_sub(self.heard) > self.timeout {
            let waited = Duration::from_nanos(now - self.heard);
            return Err(BenchError::Silent { waited });
        }
        if now.saturating_sub(self.told) >= PROGRESS_NANOS {
            self.told = now;
            (self.progress)(Progress {
                is_warmup: self.is_warmup,
                seconds: float(now - self.start) / 1e9,
                records: tally.records,
                bytes: tally.bytes,
            });
        }
        Ok(())
    }
}
