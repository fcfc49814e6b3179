//! Durations by their percentiles.

use crate::clock::nanos;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// The longest duration told from longer ones.
const LONGEST: Duration = Duration::from_hours(1);
/// Digits that are kept: one part in a thousand.
const DIGITS: u8 = 3;

/// A histogram of durations in nanoseconds.
#[derive(Clone, Debug)]
pub struct Durations {
    /// `None` only if the bounds were refused, which they are not.
    histogram: Option<Histogram<u64>>,
}

/// What people read off a histogram, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencyFigures {
    /// How many were counted.
    pub count: u64,
    /// The smallest.
    pub min_us: f64,
    /// Half are no larger.
    pub p50_us: f64,
    /// 90 in 100 are no larger.
    pub p90_us: f64,
    /// 99 in 100 are no larger.
    pub p99_us: f64,
    /// 999 in 1000 are no larger.
    pub p999_us: f64,
    /// The largest.
    pub max_us: f64,
}

impl Durations {
    /// None yet.
    pub fn new() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, nanos(LONGEST), DIGITS).ok(),
        }
    }

    /// Counts one; what is longer than an hour counts as an hour.
    pub fn record(&mut self, nanos: u64) {
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(nanos);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
        }
    }

    /// What people read off it.
    pub fn figures(&self) -> LatencyFigures {
        let Some(histogram) = &self.histogram else {
            return LatencyFigures::default();
        };
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        LatencyFigures {
            count: histogram.len(),
            min_us: micros(histogram.min()),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(histogram.max()),
        }
    }
}

/// Nanoseconds as microseconds with one digit behind the point.
fn micros(nanos: u64) -> f64 {
    crate::number::float(nanos / 100) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_numbers_given() {
        let mut durations = Durations::new();
        // 1 ms to 1000 ms, one each.
        for millis in 1..=1000_u64 {
            durations.record(millis * 1_000_000);
        }
        let figures = durations.figures();
        assert_eq!(figures.count, 1000);
        let near = |found: f64, millis: f64| (found / 1000.0 - millis).abs() <= millis * 0.002;
        assert!(near(figures.p50_us, 500.0), "{figures:?}");
        assert!(near(figures.p99_us, 990.0), "{figures:?}");
        assert!(near(figures.p999_us, 999.0), "{figures:?}");
        assert!(near(figures.max_us, 1000.0), "{figures:?}");
        durations.clear();
        assert_eq!(durations.figures(), LatencyFigures::default());
    }
}
