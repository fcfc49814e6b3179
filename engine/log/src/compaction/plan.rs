//! Which segments of a log a round would take, and how much it needs one: a pure decision.
//!
//! Keeps: whole segments only, from the start of the log on, never the newest one, nothing that
//! reaches above `committed_end` (the high watermark, or an open transaction), nothing that the
//! newest durable manifest does not name, nothing younger than `min.compaction.lag.ms`.
//!
//! A segment that a round wrote is marked as compacted; the first that is not begins what is dirty.
//! The mark lies with the segment, so truncation and retention need not know of it.
//!
//! Source: Kafka 4.3.1, `LogCleanerManager.cleanableOffsets`, `maxCompactionDelay`, `LogToClean`;
//! `Cleaner.groupSegmentsBySize`.

use crate::config::LogConfig;
use crate::format::SegmentImage;
use engine_model::{Offset, Timestamp};

/// What a round is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CompactionPlan {
    /// The segments, compacted ones first.
    pub(crate) segments: Vec<SegmentImage>,
    /// How many of them are compacted.
    pub(crate) clean: usize,
    /// How dirty they are.
    pub(crate) dirtiness: Dirtiness,
}

/// How much a log needs a round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Dirtiness {
    /// Bytes of batches that are not compacted, of those that can be.
    pub(crate) dirty_bytes: u64,
    /// Bytes of batches that are, or can be.
    pub(crate) total_bytes: u64,
    /// Something has been dirty for longer than `max.compaction.lag.ms`.
    pub(crate) is_late: bool,
}

impl Dirtiness {
    /// From 0 to 1.
    pub(crate) fn ratio(&self) -> f64 {
        if self.total_bytes == 0 {
            return 0.0;
        }
        precise(self.dirty_bytes) / precise(self.total_bytes)
    }

    /// Whether a round is due by the settings.
    pub(crate) fn is_due(&self, config: &LogConfig) -> bool {
        self.dirty_bytes > 0 && (self.is_late || self.ratio() > config.min_cleanable_dirty_ratio)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of bytes, compared with a setting: the last bits do not count"
)]
const fn precise(bytes: u64) -> f64 {
    bytes as f64
}

/// How many segments from the first on are within reach.
///
/// `segments` are all of the log, `named_end` is where the newest durable manifest ends.
pub(crate) fn cleanable_count(
    segments: &[SegmentImage],
    config: &LogConfig,
    (committed_end, named_end, log_end): (Offset, Offset, Offset),
    now: Timestamp,
) -> usize {
    let clean = clean_count(segments);
    let young = now.0.saturating_sub(config.min_compaction_lag_ms.max(0));
    let last = segments.len().saturating_sub(1);
    segments
        .iter()
        .enumerate()
        .take_while(|(place, segment)| {
            let is_newest = *place == last && segment.end_offset >= log_end;
            let is_young = config.min_compaction_lag_ms > 0
                && *place >= clean
                && segment.max_timestamp.0 > young;
            segment.sealed
                && !is_newest
                && !is_young
                && segment.end_offset <= committed_end.min(named_end)
        })
        .count()
}

/// What a round would do with these segments, which are all within its reach.
///
/// `first_time` is the time of the first batch of a segment, where that is known.
pub(crate) fn plan(
    segments: &[SegmentImage],
    config: &LogConfig,
    now: Timestamp,
    first_time: impl Fn(&SegmentImage) -> Option<Timestamp>,
) -> CompactionPlan {
    let clean = clean_count(segments);
    let dirty = segments.get(clean..).unwrap_or_default();
    let late = now.0.saturating_sub(config.max_compaction_lag_ms.max(0));
    let is_late = dirty
        .iter()
        .filter_map(first_time)
        .any(|time| time.0 > 0 && time.0 < late);
    CompactionPlan {
        segments: segments.to_vec(),
        clean,
        dirtiness: Dirtiness {
            dirty_bytes: bytes(dirty),
            total_bytes: bytes(segments),
            is_late,
        },
    }
}

/// How many segments from the first on are compacted.
fn clean_count(segments: &[SegmentImage]) -> usize {
    segments
        .iter()
        .take_while(|segment| segment.compacted)
        .count()
}

fn bytes(segments: &[SegmentImage]) -> u64 {
    segments
        .iter()
        .fold(0, |sum, segment| sum.saturating_add(segment.record_bytes))
}

impl CompactionPlan {
    /// First offset that is not compacted.
    pub(crate) fn dirty_start(&self) -> Offset {
        self.segments
            .get(self.clean)
            .map_or(Offset::ZERO, |segment| segment.base_offset)
    }

    /// One past the last offset within reach.
    pub(crate) fn end(&self) -> Offset {
        self.segments
            .last()
            .map_or(Offset::ZERO, |segment| segment.end_offset)
    }

    /// Neighbours below `end` that together make at most one segment, or one that is larger.
    pub(crate) fn groups(&self, end: Offset, segment_bytes: u64) -> Vec<Vec<SegmentImage>> {
        let mut groups: Vec<Vec<SegmentImage>> = Vec::new();
        let mut total = 0_u64;
        for segment in self.segments.iter().take_while(|s| s.base_offset < end) {
            total = total.saturating_add(segment.record_bytes);
            match groups.last_mut() {
                Some(group) if total <= segment_bytes => group.push(*segment),
                _ => {
                    total = segment.record_bytes;
                    groups.push(vec![*segment]);
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests;
