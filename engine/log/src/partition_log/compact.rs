//! What compaction takes of a log, and gives back.
//!
//! Keeps: segments give way only to others that were synced, with their directory, and only if
//! they are still those that were read; one Replace entry says so.

use super::{PartitionLog, ReadAnswer};
use crate::compaction::LastOfProducer;
use crate::config::LogConfig;
use crate::error::StorageError;
use crate::format::{Entry, SegmentImage};
use crate::store_core::StoreCore;
use engine_model::{Offset, ProducerId};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes of a segment list with so many segments, generously.
const LIST_BYTES: usize = 64;

/// A log as compaction sees it.
pub(crate) struct CompactionView {
    pub(crate) config: Rc<LogConfig>,
    pub(crate) generation: u32,
    pub(crate) segments: Rc<Vec<SegmentImage>>,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
    /// What is below is committed and part of no open transaction.
    pub(crate) committed_end: Offset,
    /// What is below is in segments that the newest durable manifest names.
    pub(crate) named_end: Offset,
    /// Bytes that are in no segment yet.
    pub(crate) unflushed_bytes: u64,
}

impl PartitionLog {
    /// The log as compaction sees it; `None` for one that is not compacted or serves nothing.
    pub(crate) fn compaction_view(&self) -> Option<CompactionView> {
        let config = Rc::clone(&self.inner.config.borrow());
        if !config.compacted || self.check_online().is_err() {
            return None;
        }
        let state = self.inner.state.borrow();
        if state.is_rebuilding {
            return None;
        }
        let open = state
            .producers
            .iter()
            .filter_map(|(_, producer)| producer.transaction_start())
            .min();
        let committed_end = self.committed_end();
        Some(CompactionView {
            config,
            generation: state.generation,
            segments: Rc::clone(&state.segments),
            log_start: self.log_start_offset(),
            log_end: self.log_end_offset(),
            committed_end: open.map_or(committed_end, |open| open.min(committed_end)),
            named_end: state.named_end,
            unflushed_bytes: state.unflushed_bytes,
        })
    }

    /// The last batch of each producer that is remembered.
    pub(crate) fn last_of_producers(&self) -> BTreeMap<ProducerId, LastOfProducer> {
        let state = self.inner.state.borrow();
        state
            .producers
            .iter()
            .map(|(id, producer)| {
                let last = LastOfProducer {
                    last_offset: producer.batches().last().map(|batch| batch.last_offset),
                    epoch: producer.epoch(),
                };
                (id, last)
            })
            .collect()
    }

    /// Whether these are still segments of the log, one behind the other, and it is compacted.
    pub(crate) fn can_replace(&self, group: &[SegmentImage], generation: u32) -> bool {
        self.place_of(group, generation).is_some()
    }

    fn place_of(&self, group: &[SegmentImage], generation: u32) -> Option<usize> {
        if !self.inner.config.borrow().compacted || self.check_online().is_err() {
            return None;
        }
        let state = self.inner.state.borrow();
        let (first, last) = (group.first()?, group.last()?);
        if state.generation != generation || last.end_offset > state.named_end {
            return None;
        }
        let is_first = |segment: &SegmentImage| segment.file == first.file;
        let place = state.segments.iter().position(is_first)?;
        let there = state.segments.get(place..place.checked_add(group.len())?)?;
        (there == group).then_some(place)
    }

    /// Lets `made` take the place of `group`; `false`, and nothing changed, if that is no longer
    /// what the log holds.
    ///
    /// `made` must be synced, and so must their directory. Cancel: safe; it is done or not.
    pub(crate) async fn replace(
        &self,
        core: &StoreCore,
        group: &[SegmentImage],
        made: &[SegmentImage],
        generation: u32,
    ) -> Result<bool, StorageError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(false);
        };
        let list_bytes = made.len().saturating_add(1).saturating_mul(LIST_BYTES);
        let _files = core.exclusive(list_bytes).await?;
        let Some(place) = self.place_of(group, generation) else {
            return Ok(false);
        };
        {
            let mut state = self.inner.state.borrow_mut();
            let end = place.saturating_add(group.len());
            Rc::make_mut(&mut state.segments).splice(place..end, made.iter().copied());
            // What memory still holds of them is a cache, and would show what has gone.
            state.tail.evict(last.end_offset, u64::MAX);
        }
        core.lane().put_entry(&Entry::Replace {
            log: self.id(),
            generation,
            first: first.base_offset,
            last: Offset::new(last.end_offset.get().saturating_sub(1)),
            segments: made.to_vec(),
        });
        for segment in group {
            core.add_garbage(self, segment.file);
        }
        Ok(true)
    }

    /// Reads batches from `offset` on, at least one, past nothing: segments or memory.
    pub(crate) async fn read_on(
        &self,
        core: &StoreCore,
        offset: Offset,
        end: Offset,
        bytes_max: usize,
    ) -> Result<ReadAnswer, StorageError> {
        self.read_batches(core, offset, end, bytes_max).await
    }
}
