//! Plans, compared with what Kafka's `LogCleanerManager` and `Cleaner` decide.

use super::*;
use crate::format::FileId;

const NOW: i64 = 1_000_000;

/// Segments of ten offsets and 100 bytes, as (compacted, sealed, largest time).
fn segments(each: &[(bool, bool, i64)]) -> Vec<SegmentImage> {
    each.iter()
        .zip(0_u32..)
        .map(|((compacted, sealed, time), number)| SegmentImage {
            file: FileId {
                run: 1,
                lane: 0,
                counter: number,
            },
            base_offset: Offset::new(i64::from(number) * 10),
            end_offset: Offset::new(i64::from(number) * 10 + 10),
            bytes: 4096,
            record_bytes: 100,
            max_timestamp: Timestamp(*time),
            last_index: Some(0),
            sealed: *sealed,
            compacted: *compacted,
        })
        .collect()
}

/// Segments by letters: compacted, dirty, young (and Young compacted), active.
fn lettered(letters: &str) -> Vec<SegmentImage> {
    let each: Vec<_> = letters
        .chars()
        .map(|letter| match letter {
            'c' => (true, true, 1),
            'd' => (false, true, 1),
            'y' => (false, true, NOW - 50),
            'Y' => (true, true, NOW - 50),
            _ => (false, false, 1),
        })
        .collect();
    segments(&each)
}

#[test]
fn a_round_reaches_up_to_what_kafka_calls_uncleanable() {
    // Segments; committed end, named end, log end; min.compaction.lag.ms: how many segments.
    for (what, letters, ends, lag, expected) in [
        ("nothing", "", (0, 0, 0), 0, 0),
        ("only the active one", "a", (10, 10, 10), 0, 0),
        ("all but the active one", "dda", (30, 30, 30), 0, 2),
        ("the newest, though sealed", "dd", (20, 20, 20), 0, 1),
        ("sealed, more behind it", "dd", (25, 20, 25), 0, 2),
        ("not committed", "dda", (15, 30, 30), 0, 1),
        ("committed to its end", "dda", (20, 30, 30), 0, 2),
        ("not named yet", "dda", (30, 10, 30), 0, 1),
        ("one that is young", "dyda", (40, 40, 40), 100, 1),
        ("just old enough", "dyda", (40, 40, 40), 50, 3),
        ("young, but no lag", "dyda", (40, 40, 40), 0, 3),
        ("young, but compacted", "Yda", (30, 30, 30), 100, 2),
        ("compacted ones too", "cda", (30, 30, 30), 0, 2),
    ] {
        let config = LogConfig {
            min_compaction_lag_ms: lag,
            ..LogConfig::default()
        };
        let (committed, named, log) = ends;
        let ends = (Offset::new(committed), Offset::new(named), Offset::new(log));
        let found = cleanable_count(&lettered(letters), &config, ends, Timestamp(NOW));
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_round_is_due_by_the_dirty_share_or_by_age() {
    let (dirty, clean) = ((false, true, 1), (true, true, 1));
    // Segments, their first time, min.cleanable.dirty.ratio, max.compaction.lag.ms: due or not.
    for (what, each, first_time, ratio, max_lag, expected) in [
        ("nothing is dirty", vec![clean, clean], 1, 0.0, 0, false),
        (
            "half, more is asked for",
            vec![clean, dirty],
            NOW,
            0.5,
            i64::MAX,
            false,
        ),
        (
            "more than half",
            vec![clean, dirty, dirty],
            NOW,
            0.5,
            i64::MAX,
            true,
        ),
        ("all of it", vec![dirty], NOW, 0.99, i64::MAX, true),
        (
            "all of it, more is asked for",
            vec![dirty],
            NOW,
            1.0,
            i64::MAX,
            false,
        ),
        ("young", vec![clean, dirty], NOW - 100, 1.0, 100, false),
        ("old", vec![clean, dirty], NOW - 101, 1.0, 100, true),
        ("no time", vec![clean, dirty], -1, 1.0, 100, false),
        ("old but compacted", vec![clean, clean], 1, 1.0, 100, false),
    ] {
        let config = LogConfig {
            min_cleanable_dirty_ratio: ratio,
            max_compaction_lag_ms: max_lag,
            ..LogConfig::default()
        };
        let segments = segments(&each);
        let plan = plan(&segments, &config, Timestamp(NOW), |_| {
            Some(Timestamp(first_time))
        });
        assert_eq!(plan.dirtiness.is_due(&config), expected, "{what}");
    }
}

#[test]
fn what_is_dirty_begins_at_the_first_segment_that_is_not_compacted() {
    let each = [
        (true, true, 1),
        (true, true, 1),
        (false, true, 1),
        (true, true, 1),
    ];
    let config = LogConfig::default();
    let plan = plan(&segments(&each), &config, Timestamp(NOW), |_| None);
    assert_eq!(plan.dirty_start(), Offset::new(20));
    assert_eq!(plan.end(), Offset::new(40));
    assert_eq!(
        (plan.dirtiness.dirty_bytes, plan.dirtiness.total_bytes),
        (200, 400)
    );
}

#[test]
fn neighbours_are_grouped_up_to_the_size_of_a_segment() {
    let config = LogConfig::default();
    let segments = segments(&[(false, true, 1); 5]);
    let plan = plan(&segments, &config, Timestamp(NOW), |_| None);
    for (end, segment_bytes, expected) in [
        (50, 1000, vec![5]),
        (50, 500, vec![5]),
        (50, 499, vec![4, 1]),
        (50, 200, vec![2, 2, 1]),
        (50, 199, vec![1, 1, 1, 1, 1]),
        (50, 1, vec![1, 1, 1, 1, 1]),
        (30, 1000, vec![3]),
        (31, 1000, vec![4]),
        (0, 1000, vec![]),
    ] {
        let groups = plan.groups(Offset::new(end), segment_bytes);
        let found: Vec<_> = groups.iter().map(Vec::len).collect();
        assert_eq!(found, expected, "to {end}, {segment_bytes}");
        assert!(groups.concat().iter().zip(&segments).all(|(a, b)| a == b));
    }
}
