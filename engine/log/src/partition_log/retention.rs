//! Moving the start of a log: retention and DeleteRecords.

use super::PartitionLog;
use crate::error::StorageError;
use crate::format::Entry;
use crate::segment::{Rolling, SegmentWriter};
use crate::store_core::StoreCore;
use crate::upkeep::{Piece, RetentionPlan, plan};
use core::time::Duration;
use engine_model::planted::{self, Bug};
use engine_model::{Offset, Timestamp};
use std::rc::Rc;

impl PartitionLog {
    /// Moves the start of the log up to `offset`; durable when it returns.
    ///
    /// At or below the start nothing happens. Files wholly below it go with the next checkpoints.
    /// Errors: `OffsetOutOfRange` above the end. Cancel: safe; the start has moved or not, and may
    /// not be durable yet.
    pub async fn advance_log_start(&self, offset: Offset) -> Result<(), StorageError> {
        let core = self.core()?;
        let turn = core.wait_for_entry(0).await?;
        core.lane().check()?;
        self.check_online()?;
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        if offset <= start {
            return Ok(());
        }
        if offset > end {
            return Err(StorageError::OffsetOutOfRange { offset, start, end });
        }
        core.lane().make_room(0)?;
        let sequence = self.move_start(&core, offset);
        drop(turn);
        if planted::is(Bug::LogStartAnsweredEarly) {
            return Ok(());
        }
        core.lane().wait_durable(sequence).await
    }

    /// Moves the start past what is too old or too much by the settings. `false` if the lane had no
    /// room for that: try again later.
    pub(crate) fn retire(&self, core: &StoreCore, now: Timestamp) -> Result<bool, StorageError> {
        let config = Rc::clone(&self.inner.config.borrow());
        if !config.deletes || self.check_online().is_err() {
            return Ok(true);
        }
        let Some(plan) = plan(&self.pieces(now), &config, self.committed_end(), now) else {
            return Ok(true);
        };
        let Some(turn) = core.turn_for_entry_now(0)? else {
            return Ok(false);
        };
        core.lane().make_room(0)?;
        self.move_start(core, plan.start);
        drop(turn);
        self.tell_retired(&plan);
        Ok(true)
    }

    /// What a person asks who misses records.
    fn tell_retired(&self, plan: &RetentionPlan) {
        for (reason, share) in [
            ("retention.bytes", plan.by_size),
            ("retention.ms", plan.by_time),
        ] {
            if share.segments > 0 {
                tracing::info!(
                    partition = %self.partition(),
                    offset = plan.start.get(),
                    segments = share.segments,
                    bytes = share.bytes,
                    reason,
                    "the oldest records go"
                );
            }
        }
    }

    /// Puts the entry and lets the state follow; the entry's sequence. Room has been seen to.
    fn move_start(&self, core: &StoreCore, offset: Offset) -> u64 {
        let generation = {
            let mut state = self.inner.state.borrow_mut();
            Rc::make_mut(&mut state.epochs).truncate_from_start(offset);
            state.generation
        };
        self.inner.log_start.set(offset);
        let sequence = core.lane().put_entry(&Entry::LogStart {
            log: self.id(),
            generation,
            start: offset,
        });
        self.notify_moved();
        core.free_files_later(self.file_delete_delay());
        sequence
    }

    /// How long files that nothing needs may stay.
    pub(crate) fn file_delete_delay(&self) -> Duration {
        let delay_ms = self.inner.config.borrow().file_delete_delay_ms;
        Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0))
    }

    /// The log's segments, and what the batches in memory will make when they are written, that
    /// are not wholly below the start.
    fn pieces(&self, now: Timestamp) -> Vec<Piece> {
        let config = self.inner.config.borrow();
        let rolling = Rolling::of(&config);
        let start = self.log_start_offset();
        let state = self.inner.state.borrow();
        let mut pieces: Vec<Piece> = Vec::with_capacity(state.segments.len().saturating_add(1));
        for segment in state.segments.iter() {
            // A segment reaches to where the next one begins.
            if let Some(last) = pieces.last_mut() {
                last.end = segment.base_offset;
            }
            pieces.push(Piece {
                end: segment.end_offset,
                bytes: segment.record_bytes,
                max_timestamp: segment.max_timestamp,
            });
        }
        let mut growing = state.writer.as_ref().map(SegmentWriter::growing);
        for batch in state.tail.from(state.flush_end) {
            let (bytes, time) = (batch.len(), batch.max_timestamp);
            let taken = growing.filter(|segment| !segment.rolls(&rolling, bytes, time, now));
            let mut segment = taken.unwrap_or_else(|| rolling.begin(now, || 0));
            segment.add(bytes, time);
            growing = Some(segment);
            match pieces.last_mut() {
                Some(last) if taken.is_some() => {
                    last.end = batch.last.saturating_next();
                    last.bytes = last.bytes.saturating_add(bytes);
                    last.max_timestamp = last.max_timestamp.max(time);
                }
                last => {
                    if let Some(last) = last {
                        last.end = batch.first;
                    }
                    pieces.push(Piece {
                        end: batch.last.saturating_next(),
                        bytes,
                        max_timestamp: time,
                    });
                }
            }
        }
        pieces.retain(|piece| piece.end > start);
        pieces
    }
}
