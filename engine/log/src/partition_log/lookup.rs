//! Finding offsets by time.
//!
//! Extents and batches are chosen by the largest time in their headers; only the batch that holds
//! the answer is opened. A compressed batch comes from its producer unopened, so its header may lie
//! and its records may be a bomb or noise: then the answer is what the header says, since one
//! strange producer must neither keep others from finding offsets nor hold the shard. At most
//! `OPENED_MAX` batches are opened for one answer.
//!
//! Source: the Kafka protocol guide, ListOffsets; KIP-734.

use super::validate::decompressed_bytes_max;
use super::{PartitionLog, TimestampOffset};
use crate::error::{ReadError, StorageError};
use crate::format::SegmentImage;
use crate::store_core::StoreCore;
use engine_codec::{Batch, BatchError, TimestampedOffset, first_at_or_after, latest_record};
use engine_model::{Offset, Timestamp};
use std::rc::Rc;

/// Honest headers need one, or two where the log begins inside a batch.
const OPENED_MAX: usize = 3;
/// How often a walk begins anew because batches moved under it.
const RETRIES_MAX: usize = 3;

impl PartitionLog {
    /// The first record below `end` whose time is at least `timestamp`.
    ///
    /// Cancel: safe.
    pub async fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
        end: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let start = self.log_start_offset();
        let bytes_max = decompressed_bytes_max(&self.inner.config.borrow());
        let mut opened = 0_usize;
        let mut found = None;
        self.visit(
            start,
            end,
            |largest| largest >= timestamp,
            |batch| {
                opened = opened.saturating_add(1);
                found = match first_at_or_after(batch, timestamp, start, bytes_max) {
                    Ok(None) if opened < OPENED_MAX => None,
                    Ok(Some(record)) => Some(answer(batch, record)),
                    other => Some(self.by_header(batch, start, other.err())),
                };
                found.is_some()
            },
        )
        .await?;
        Ok(found.filter(|found| found.offset < end))
    }

    /// The first record below `end` that has the largest time.
    ///
    /// Cancel: safe.
    pub async fn max_timestamp(&self, end: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let start = self.log_start_offset();
        let bytes_max = decompressed_bytes_max(&self.inner.config.borrow());
        let largest = std::cell::Cell::new(Timestamp(i64::MIN));
        let mut best: Option<Batch> = None;
        self.visit(
            start,
            end,
            |max| max > largest.get(),
            |batch| {
                largest.set(batch.header().max_timestamp);
                best = Some(batch.clone());
                false
            },
        )
        .await?;
        let Some(batch) = best else {
            return Ok(None);
        };
        Ok(Some(match latest_record(&batch, bytes_max) {
            Ok(Some(record)) => answer(&batch, record),
            other => self.by_header(&batch, start, other.err()),
        }))
    }

    /// What the header of a batch says whose records are of no use.
    fn by_header(
        &self,
        batch: &Batch,
        start: Offset,
        error: Option<BatchError>,
    ) -> TimestampOffset {
        let header = batch.header();
        let reason = error.map(|error| error.to_string());
        tracing::debug!(
            log = %self.id(),
            offset = header.base_offset.get(),
            ?reason,
            "a batch whose records are not what its header says"
        );
        TimestampOffset {
            offset: header.base_offset.max(start),
            timestamp: header.max_timestamp,
            leader_epoch: header.partition_leader_epoch,
        }
    }

    /// Shows the batches of `start..end` whose largest time `is_wanted`, until `visit` is done.
    async fn visit(
        &self,
        start: Offset,
        end: Offset,
        is_wanted: impl Fn(Timestamp) -> bool,
        mut visit: impl FnMut(&Batch) -> bool,
    ) -> Result<(), ReadError> {
        let core = self.core()?;
        self.check_online()?;
        for _ in 0..RETRIES_MAX {
            if self
                .visit_once(&core, start, end, &is_wanted, &mut visit)
                .await?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One walk; `false` if batches moved from memory to segments behind its back.
    async fn visit_once(
        &self,
        core: &StoreCore,
        start: Offset,
        end: Offset,
        is_wanted: &impl Fn(Timestamp) -> bool,
        visit: &mut impl FnMut(&Batch) -> bool,
    ) -> Result<bool, ReadError> {
        let segments: Rc<Vec<SegmentImage>> = {
            let state = self.inner.state.borrow();
            Rc::clone(&state.segments)
        };
        let reader = self.reader();
        let mut is_done = false;
        let mut covered = start;
        for segment in segments.iter() {
            if is_done || segment.base_offset >= end {
                break;
            }
            covered = covered.max(segment.end_offset);
            if !is_wanted(segment.max_timestamp) || segment.end_offset <= start {
                continue;
            }
            let one = core::slice::from_ref(segment);
            core.segments()
                .visit(
                    self.id(),
                    one,
                    start,
                    |row| row.first < end && is_wanted(row.max_timestamp),
                    |batch| {
                        let header = batch.header();
                        // Compaction leaves batches that no record is left of.
                        let has_records = header.record_count > 0;
                        let is_below = header.last_offset() < end;
                        if has_records && is_below && is_wanted(header.max_timestamp) {
                            is_done = visit(batch);
                        }
                        !is_done
                    },
                )
                .await?;
        }
        drop(reader);
        if is_done {
            return Ok(true);
        }
        let state = self.inner.state.borrow();
        let memory = state.tail.first_offset().unwrap_or(state.named_end);
        if memory > covered && covered < state.named_end.min(end) {
            return Ok(false);
        }
        // A segment's index may be behind its extents; what it lacks is in memory.
        for batch in state.tail.from(start).take_while(|batch| batch.last < end) {
            if is_wanted(batch.max_timestamp) {
                let parsed = Batch::parse(&batch.share()).map_err(|error| self.damaged(&error))?;
                if visit(&parsed) {
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }

    fn damaged(&self, error: &BatchError) -> StorageError {
        tracing::error!(log = %self.id(), %error, "a batch cannot be opened");
        StorageError::Corrupt {
            target: self.id().to_string().into(),
            position: 0,
        }
    }
}

fn answer(batch: &Batch, record: TimestampedOffset) -> TimestampOffset {
    TimestampOffset {
        offset: record.offset,
        timestamp: record.timestamp,
        leader_epoch: batch.header().partition_leader_epoch,
    }
}
