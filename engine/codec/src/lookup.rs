//! Which record of a batch a timestamp leads to.
//!
//! Decompresses, chunk by chunk, and stops at the answer. Records of a `LogAppendTime` batch all
//! have its time. Source: the Kafka protocol guide, ListOffsets; KIP-734 (max timestamp).

use crate::batch::Batch;
use crate::error::BatchError;
use engine_model::{Offset, Timestamp};

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
}

/// The first record whose timestamp is `timestamp` or later and whose offset is `offset_min` or
/// higher; `None` if there is none.
///
/// At most `decompressed_bytes_max` bytes come out of the batch. Errors: what the walk meets on its
/// way, so none for damage behind the answer.
pub fn first_at_or_after(
    batch: &Batch,
    timestamp: Timestamp,
    offset_min: Offset,
    decompressed_bytes_max: usize,
) -> Result<Option<TimestampedOffset>, BatchError> {
    let mut found = None;
    walk(batch, decompressed_bytes_max, |record| {
        if record.timestamp >= timestamp && record.offset >= offset_min {
            found = Some(record);
        }
        found.is_none()
    })?;
    Ok(found)
}

/// The record with the largest timestamp, the first of several; `None` in a batch without records.
///
/// Trusts no header field. At most `decompressed_bytes_max` bytes come out of the batch.
pub fn latest_record(
    batch: &Batch,
    decompressed_bytes_max: usize,
) -> Result<Option<TimestampedOffset>, BatchError> {
    let mut latest: Option<TimestampedOffset> = None;
    walk(batch, decompressed_bytes_max, |record| {
        if latest.is_none_or(|so_far| record.timestamp > so_far.timestamp) {
            latest = Some(record);
        }
        true
    })?;
    Ok(latest)
}

fn walk(
    batch: &Batch,
    decompressed_bytes_max: usize,
    mut visit: impl FnMut(TimestampedOffset) -> bool,
) -> Result<(), BatchError> {
    let header = batch.header();
    batch.records(decompressed_bytes_max).visit(|_, layout, _| {
        visit(TimestampedOffset {
            offset: header.record_offset(layout.offset_delta),
            timestamp: header.record_timestamp(layout.timestamp_delta),
        })
    })
}
