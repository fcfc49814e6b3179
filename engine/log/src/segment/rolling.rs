//! When a segment is closed and the next one begun: by size, and by the age of its first batch.
//!
//! Does not: close anything (`partition_log::flush`).
//! Source: Kafka 4.3.1, `LogSegment.shouldRoll`, `timeWaitedForRoll`.

use crate::config::LogConfig;
use engine_model::Timestamp;

/// The settings that rolling goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rolling {
    segment_bytes: u64,
    segment_ms: i64,
    jitter_ms: u64,
}

impl Rolling {
    pub(crate) fn of(config: &LogConfig) -> Self {
        let jitter_ms = config.segment_jitter_ms.min(config.segment_ms);
        // Records that must be compacted soon may not wait in a segment that is still open.
        let segment_ms = if config.compacted && config.max_compaction_lag_ms > 0 {
            config.segment_ms.min(config.max_compaction_lag_ms)
        } else {
            config.segment_ms
        };
        Self {
            segment_bytes: config.segment_bytes,
            segment_ms,
            jitter_ms: u64::try_from(jitter_ms).unwrap_or(0),
        }
    }

    /// By size alone, where a log's settings are not known.
    pub(crate) fn by_size(segment_bytes: u64) -> Self {
        Self {
            segment_bytes,
            segment_ms: i64::MAX,
            jitter_ms: 0,
        }
    }

    /// What is known of a segment that begins at `now`; it may be closed earlier than others by a
    /// part of the jitter that `random` decides.
    pub(crate) fn begin(&self, now: Timestamp, random: impl FnOnce() -> u64) -> Growing {
        let jitter_ms = match self.jitter_ms {
            0 => 0,
            jitter_ms => random().checked_rem(jitter_ms).unwrap_or(0),
        };
        Growing {
            bytes: 0,
            first_timestamp: Timestamp::NONE,
            created: now,
            jitter_ms: i64::try_from(jitter_ms).unwrap_or(0),
        }
    }
}

/// A segment that takes batches, as far as rolling goes by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growing {
    /// Bytes of its batches.
    bytes: u64,
    /// Largest time of its first batch.
    first_timestamp: Timestamp,
    /// When it was begun: what counts where its first batch has no time.
    created: Timestamp,
    /// How much earlier than others it is closed.
    jitter_ms: i64,
}

impl Growing {
    /// Counts a batch that it takes.
    pub(crate) fn add(&mut self, bytes: u64, max_timestamp: Timestamp) {
        if self.bytes == 0 {
            self.first_timestamp = max_timestamp;
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether a batch that would be added at `now` belongs into a new segment.
    pub(crate) fn rolls(
        &self,
        rolling: &Rolling,
        bytes: u64,
        max_timestamp: Timestamp,
        now: Timestamp,
    ) -> bool {
        if self.bytes == 0 {
            return false;
        }
        let age_ms = if self.first_timestamp.0 >= 0 {
            max_timestamp.saturating_millis_since(self.first_timestamp)
        } else {
            now.saturating_millis_since(self.created)
        };
        self.bytes.saturating_add(bytes) > rolling.segment_bytes
            || age_ms > rolling.segment_ms.saturating_sub(self.jitter_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolling(segment_ms: i64, segment_jitter_ms: i64) -> Rolling {
        Rolling::of(&LogConfig {
            segment_bytes: 100,
            segment_ms,
            segment_jitter_ms,
            ..LogConfig::default()
        })
    }

    #[test]
    fn a_segment_rolls_by_size_and_by_the_time_of_its_first_batch() {
        // Settings, the first batch (bytes, time), the next one, now; Kafka's answers.
        for (what, segment_ms, first, next, now, rolls) in [
            ("fits", 1000, (60, 5000), (40, 5000), 0, false),
            ("too large", 1000, (60, 5000), (41, 5000), 0, true),
            ("as old as may be", 1000, (60, 5000), (1, 6000), 9999, false),
            ("older", 1000, (60, 5000), (1, 6001), 0, true),
            ("back in time", 1000, (60, 5000), (1, 1), 9999, false),
            (
                "the next has no time",
                1000,
                (60, 5000),
                (1, -1),
                9999,
                false,
            ),
            (
                "none has, and it is young",
                1000,
                (60, -1),
                (1, -1),
                2000,
                false,
            ),
            (
                "none has, and it is old",
                1000,
                (60, -1),
                (1, 7),
                2001,
                true,
            ),
            ("larger than any segment", 1000, (200, 0), (1, 0), 0, true),
            ("never", i64::MAX, (60, 0), (1, i64::MAX), i64::MAX, false),
        ] {
            let rolling = rolling(segment_ms, 0);
            let mut growing = rolling.begin(Timestamp(1000), || 7);
            assert!(
                !growing.rolls(&rolling, 1000, Timestamp(i64::MAX), Timestamp(i64::MAX)),
                "{what}: an empty segment takes whatever comes"
            );
            growing.add(first.0, Timestamp(first.1));
            let found = growing.rolls(&rolling, next.0, Timestamp(next.1), Timestamp(now));
            assert_eq!(found, rolls, "{what}");
        }
    }

    #[test]
    fn jitter_closes_a_segment_earlier_but_not_before_it_began() {
        // Random 250: 250 % 200 = 50 earlier; a jitter above segment.ms counts as segment.ms.
        for (jitter_ms, age_ms, rolls) in [
            (0, 1000, false),
            (200, 950, false),
            (200, 951, true),
            (5000, 750, false),
            (5000, 751, true),
        ] {
            let rolling = rolling(1000, jitter_ms);
            let mut growing = rolling.begin(Timestamp(0), || 250);
            growing.add(1, Timestamp(0));
            let found = growing.rolls(&rolling, 1, Timestamp(age_ms), Timestamp(0));
            assert_eq!(found, rolls, "jitter {jitter_ms}, age {age_ms}");
        }
    }
}
