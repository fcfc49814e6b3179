//! When the requests of an open loop are meant to leave.

use crate::options::Rate;

/// Nanoseconds of a second.
const SECOND: f64 = 1e9;

/// Moments at equal distances, in nanoseconds of the run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: u64,
    interval: f64,
    issued: u64,
}

impl Pace {
    /// The pace of requests with so many records and bytes of values each, from `start` on.
    pub fn new(rate: Rate, start: u64, records: u64, bytes: u64) -> Self {
        let (each, rate) = match rate {
            Rate::Records(rate) => (records, rate),
            Rate::Bytes(rate) => (bytes, rate),
        };
        Self {
            start,
            interval: crate::number::float(each) / rate * SECOND,
            issued: 0,
        }
    }

    /// Requests a second.
    pub fn requests_per_second(&self) -> f64 {
        SECOND / self.interval
    }

    /// When the next one is meant to leave. Counted from the start, so that no error adds up.
    pub fn next(&self) -> u64 {
        let offset = crate::number::float(self.issued) * self.interval;
        self.start.saturating_add(rounded(offset))
    }

    /// Takes note of one that was issued.
    pub fn take(&mut self) {
        self.issued = self.issued.saturating_add(1);
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a float is rounded and clamped by the cast; std has no other way"
)]
const fn rounded(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_meant_to_leave_at_equal_distances() {
        // 1000 records a second, 10 a request: one every 10 ms.
        let mut pace = Pace::new(Rate::Records(1000.0), 5, 10, 1);
        for k in 0..1000 {
            assert_eq!(pace.next(), 5 + k * 10_000_000);
            pace.take();
        }
        // 3 bytes a second, 1 a request: no third is lost over a million of them.
        let mut pace = Pace::new(Rate::Bytes(3.0), 0, 10, 1);
        for _ in 0..3_000_000 {
            pace.take();
        }
        assert_eq!(pace.next(), 1_000_000_000_000_000);
    }
}
