//! Which of a log's oldest segments go, by the settings: a pure decision.
//!
//! Keeps: only whole segments go, oldest first, none that is not committed as a whole; the bytes
//! that stay are never fewer than `retention.bytes`; a segment goes by time only if all its records
//! are older than `retention.ms`.
//!
//! A segment whose records have no time is as old as the next one that has times, which is younger;
//! where none follows it goes by size alone. (Kafka takes the time of the file.)
//!
//! Does not: count what lies below the start already; that goes whatever the settings say.
//! Source: Kafka 4.3.1, `UnifiedLog.deleteRetentionSizeBreachedSegments`,
//! `deleteRetentionMsBreachedSegments`, `deletableSegments`.

use crate::config::LogConfig;
use engine_model::{Offset, Timestamp};

/// A segment, or what will be one, as far as retention goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where the next one begins.
    pub(crate) end: Offset,
    /// Bytes of its batches.
    pub(crate) bytes: u64,
    /// The largest time of its records, or `NONE`.
    pub(crate) max_timestamp: Timestamp,
}

/// Segments that go for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) segments: usize,
    pub(crate) bytes: u64,
}

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetentionPlan {
    /// The new start of the log.
    pub(crate) start: Offset,
    /// What is too much.
    pub(crate) by_size: Share,
    /// What is too old.
    pub(crate) by_time: Share,
}

/// Decides what goes of a log with these pieces, oldest first; `None` if nothing does.
pub(crate) fn plan(
    pieces: &[Piece],
    config: &LogConfig,
    committed_end: Offset,
    now: Timestamp,
) -> Option<RetentionPlan> {
    if !config.deletes {
        return None;
    }
    let is_committed = |piece: &&Piece| piece.end <= committed_end;
    let mut excess = u64::try_from(config.retention_bytes).map_or(0, |limit| {
        let total = pieces
            .iter()
            .fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes));
        total.saturating_sub(limit)
    });
    let has_limit = config.retention_bytes >= 0;
    let too_much = pieces.iter().take_while(is_committed).take_while(|piece| {
        match excess.checked_sub(piece.bytes) {
            Some(rest) if has_limit && excess > 0 => {
                excess = rest;
                true
            }
            _ => false,
        }
    });
    let (large, by_size) = count(too_much);
    let rest = pieces.get(large..).unwrap_or_default();
    let too_old = rest.iter().enumerate().take_while(|(place, piece)| {
        let is_old = rest
            .get(*place..)
            .unwrap_or_default()
            .iter()
            .map(|piece| piece.max_timestamp)
            .find(|time| time.0 >= 0)
            .is_some_and(|time| now.saturating_millis_since(time) > config.retention_ms);
        config.retention_ms >= 0 && is_committed(piece) && is_old
    });
    let (old, by_time) = count(too_old.map(|(_, piece)| piece));
    let gone = large.saturating_add(old);
    let last = pieces.get(gone.checked_sub(1)?)?;
    Some(RetentionPlan {
        start: last.end,
        by_size,
        by_time,
    })
}

fn count<'a>(pieces: impl Iterator<Item = &'a Piece>) -> (usize, Share) {
    let share = pieces.fold(Share::default(), |share, piece| Share {
        segments: share.segments.saturating_add(1),
        bytes: share.bytes.saturating_add(piece.bytes),
    });
    (share.segments, share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10_000;

    /// Four segments of 100 bytes and ten offsets, with these times.
    fn pieces(times: [i64; 4]) -> Vec<Piece> {
        let ends = [10, 20, 30, 40];
        ends.iter()
            .zip(times)
            .map(|(end, time)| Piece {
                end: Offset::new(*end),
                bytes: 100,
                max_timestamp: Timestamp(time),
            })
            .collect()
    }

    fn start(times: [i64; 4], committed: i64, config: &LogConfig) -> i64 {
        let config = LogConfig {
            deletes: true,
            ..config.clone()
        };
        plan(
            &pieces(times),
            &config,
            Offset::new(committed),
            Timestamp(NOW),
        )
        .map_or(0, |plan| plan.start.get())
    }

    #[test]
    fn the_oldest_segments_go_by_size_as_in_kafka() {
        for (retention_bytes, committed, expected) in [
            (-1, 40, 0),
            (i64::MAX, 40, 0),
            (401, 40, 0),
            (400, 40, 0),
            (399, 40, 0),
            (301, 40, 0),
            (300, 40, 10),
            (299, 40, 10),
            (100, 40, 30),
            (1, 40, 30),
            // Nothing is to stay: the active segment goes too.
            (0, 40, 40),
            (0, 39, 30),
            (0, 9, 0),
        ] {
            let config = LogConfig {
                retention_bytes,
                ..LogConfig::default()
            };
            let found = start([NOW; 4], committed, &config);
            assert_eq!(found, expected, "{retention_bytes}, {committed}");
        }
    }

    #[test]
    fn the_oldest_segments_go_by_their_youngest_record_as_in_kafka() {
        let none = -1;
        for (what, retention_ms, times, committed, expected) in [
            ("no limit", -1, [1, 2, 3, 4], 40, 0),
            ("as old as may be", 1000, [9000; 4], 40, 0),
            ("older", 1000, [8999, 9000, 9000, 9000], 40, 10),
            ("the active one too", 1000, [1, 2, 3, 4], 40, 40),
            ("not what is not committed", 1000, [1, 2, 3, 4], 35, 30),
            (
                "a young one keeps those behind it",
                1000,
                [1, NOW, 3, 4],
                40,
                10,
            ),
            ("from the future", 1000, [NOW + 5, 2, 3, 4], 40, 0),
            (
                "no time, before an old one",
                1000,
                [none, 2, NOW, NOW],
                40,
                20,
            ),
            (
                "no time, before a young one",
                1000,
                [none, NOW, NOW, NOW],
                40,
                0,
            ),
            ("no time at the end", 1000, [1, none, none, none], 40, 10),
            ("nothing is kept", 0, [NOW - 1, NOW, NOW, NOW], 40, 10),
        ] {
            let config = LogConfig {
                retention_ms,
                ..LogConfig::default()
            };
            assert_eq!(start(times, committed, &config), expected, "{what}");
        }
    }

    #[test]
    fn what_goes_by_size_does_not_go_by_time_again() {
        let config = LogConfig {
            deletes: true,
            retention_bytes: 300,
            retention_ms: 1000,
            ..LogConfig::default()
        };
        let pieces = pieces([1, 2, NOW, NOW]);
        let found = plan(&pieces, &config, Offset::new(40), Timestamp(NOW));
        let share = Share {
            segments: 1,
            bytes: 100,
        };
        let expected = RetentionPlan {
            start: Offset::new(20),
            by_size: share,
            by_time: share,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn without_the_policy_nothing_goes() {
        let config = LogConfig {
            deletes: false,
            compacted: true,
            retention_ms: 0,
            retention_bytes: 0,
            ..LogConfig::default()
        };
        let found = plan(&pieces([1; 4]), &config, Offset::new(40), Timestamp(NOW));
        assert_eq!(found, None);
    }
}
