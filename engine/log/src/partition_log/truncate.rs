//! Cutting the end of a log, or all of it (rule 4).
//!
//! Both wait until no checkpoint and no flush runs: what a checkpoint captured stays as it was
//! until its manifest stands. Then, with nothing awaited, the log is cut and the entry is put.

use super::{LogFailure, PartitionLog};
use crate::epochs::LeaderEpochs;
use crate::error::{OfflineReason, StorageError};
use crate::format::{Entry, SegmentImage};
use crate::producers::{Producers, Truncation};
use crate::store_core::StoreCore;
use engine_codec::batches;
use engine_model::Offset;
use engine_model::planted::{self, Bug};
use engine_rt::sync::Permit;
use std::rc::Rc;

/// Bytes read at a time while producer state is rebuilt.
const REBUILD_READ_BYTES: usize = 1 << 20;

impl PartitionLog {
    /// Cuts the log: its end is the base offset of the batch that holds `offset`, or `offset`.
    ///
    /// Nothing happens at or above the end. Waiters at and above the cut are told. The cut is in
    /// the lane when this returns, and durable before anything appended after it.
    /// Cancel: safe before the cut; after it appends wait for the rebuild of producer state, so
    /// drive it to its end.
    pub async fn truncate_to(&self, offset: Offset) -> Result<(), StorageError> {
        let core = self.core()?;
        self.check_online()?;
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        let offset = offset.max(self.log_start_offset());
        // Which batch holds the offset may only be known to an index: asked before the cut. The
        // caller appends nothing meanwhile, and segments only ever grow.
        let cut = self.batch_base(&core, offset).await?;
        let _files = self.exclusive_with_whole_segment(&core).await?;
        self.check_online()?;
        if cut >= self.log_end_offset() {
            return Ok(());
        }
        let before = self.generation();
        let needs_rebuild = self.cut_at(&core, cut);
        core.lane().put_entry(&Entry::Truncate {
            log: self.id(),
            generation: if planted::is(Bug::GenerationLeftBehind) {
                before
            } else {
                self.generation()
            },
            cut,
            fully: false,
        });
        self.notify_failed(LogFailure::Truncated(cut));
        if let Some(from) = needs_rebuild {
            let result = self.rebuild_producers(&core, from, cut).await;
            // A half may have filled meanwhile: its capture holds what was rebuilt until then, and
            // nothing was appended since the cut, so the whole is what it should hold.
            let producers = Rc::clone(&self.inner.state.borrow().producers);
            core.producers_rebuilt(self, &producers);
            self.inner.state.borrow_mut().is_rebuilding = false;
            if result.is_err() {
                // Without its producers the log would take repeats for news.
                self.go_offline(OfflineReason::Unreadable);
            }
            core.lane().wake_all();
            result?;
        }
        Ok(())
    }

    /// Empties the log; the next record gets `offset`.
    ///
    /// Cancel: safe; it is done or not.
    pub async fn truncate_fully_and_start_at(&self, offset: Offset) -> Result<(), StorageError> {
        let core = self.core()?;
        let _files = core.exclusive(0).await?;
        self.check_online()?;
        let generation = {
            let mut state = self.inner.state.borrow_mut();
            state.generation = state.generation.saturating_add(1);
            state.epochs = Rc::new(LeaderEpochs::new());
            state.producers = Rc::new(Producers::new());
            state.snapshots.clear();
            state.tail.clear();
            state.writer = None;
            for segment in std::mem::take(Rc::make_mut(&mut state.segments)) {
                core.add_garbage(self, segment.file);
            }
            state.flush_end = offset;
            state.unflushed_bytes = 0;
            state.named_end = state.named_end.min(offset);
            state.generation
        };
        core.lane().clip(self, Offset::ZERO);
        self.inner.must_flush.borrow_mut().clear();
        self.inner.log_start.set(offset);
        self.set_all_ends(offset);
        core.lane().put_entry(&Entry::Truncate {
            log: self.id(),
            generation,
            cut: offset,
            fully: true,
        });
        self.notify_failed(LogFailure::Truncated(offset));
        Ok(())
    }

    fn set_all_ends(&self, end: Offset) {
        for cell in [
            &self.inner.log_end,
            &self.inner.written_end,
            &self.inner.durable_end,
            &self.inner.stable_end,
        ] {
            cell.set(end);
        }
    }

    /// Base offset of the batch that holds `offset`, or `offset` in a gap.
    async fn batch_base(&self, core: &StoreCore, offset: Offset) -> Result<Offset, StorageError> {
        core.lane().close_open();
        let segments = {
            let state = self.inner.state.borrow();
            if let Some(batch) = state.tail.holding(offset) {
                return Ok(batch.first);
            }
            Rc::clone(&state.segments)
        };
        let _reader = self.reader();
        let base = core
            .segments()
            .batch_base(self.id(), &segments, offset)
            .await?;
        Ok(base.unwrap_or(offset))
    }

    /// The permit to cut, with the index of the segment complete and all of it synced: its writer
    /// is about to be dropped, and nobody else would see to that.
    async fn exclusive_with_whole_segment(&self, core: &StoreCore) -> Result<Permit, StorageError> {
        loop {
            {
                let _files = core.files().await;
                // A file of which that fails is abandoned: then there is no writer to finish.
                let _ = self.sync_segment(core).await;
            }
            let files = core.exclusive(0).await?;
            if !self.is_segment_dirty() {
                return Ok(files);
            }
        }
    }

    /// Cuts everything in memory; where producer state has to be read from, if it has to.
    fn cut_at(&self, core: &StoreCore, cut: Offset) -> Option<Offset> {
        core.lane().clip(self, cut);
        self.inner
            .must_flush
            .borrow_mut()
            .retain(|(first, _)| *first < cut);
        self.inner.log_end.set(cut);
        for cell in [
            &self.inner.written_end,
            &self.inner.durable_end,
            &self.inner.stable_end,
        ] {
            cell.set(cell.get().min(cut));
        }
        let mut state = self.inner.state.borrow_mut();
        state.generation = state.generation.saturating_add(1);
        Rc::make_mut(&mut state.epochs).truncate_from_end(cut);
        state.tail.truncate(cut);
        for segment in cut_segments(Rc::make_mut(&mut state.segments), cut) {
            core.add_garbage(self, segment.file);
        }
        // The next flush opens a new file: no byte behind the cut is rewritten.
        if planted::is(Bug::OverwriteAboveCut) {
            if let Some(writer) = state.writer.as_mut() {
                writer.rewind(cut);
            }
        } else {
            state.writer = None;
        }
        state.flush_end = state.flush_end.min(cut);
        state.unflushed_bytes = state.tail.bytes_from(state.flush_end);
        state.named_end = state.named_end.min(cut);
        state.snapshots.retain(|(end, _)| *end <= cut);
        if Rc::make_mut(&mut state.producers).truncate(cut) == Truncation::Done {
            return None;
        }
        let from = if let Some((end, producers)) = state.snapshots.back().cloned() {
            state.producers = producers;
            end
        } else {
            state.producers = Rc::new(Producers::new());
            self.log_start_offset()
        };
        state.is_rebuilding = true;
        Some(from)
    }

    /// Lets producer state follow the batches of `from..cut` as the log holds them.
    async fn rebuild_producers(
        &self,
        core: &StoreCore,
        from: Offset,
        cut: Offset,
    ) -> Result<(), StorageError> {
        let now = engine_rt::wall_clock();
        let mut offset = from;
        while offset < cut {
            let chunk = self
                .read_batches(core, offset, cut, REBUILD_READ_BYTES)
                .await?;
            if chunk.next_offset <= offset {
                return Ok(());
            }
            for bytes in &chunk.chunks {
                for batch in batches(bytes).flatten() {
                    let header = batch.header();
                    let mut state = self.inner.state.borrow_mut();
                    state.note(header, header.base_offset, header.max_timestamp, now);
                }
                engine_rt::yield_if_due().await;
            }
            offset = chunk.next_offset;
        }
        Ok(())
    }
}

/// Replaces the segments that hold `first..=last`; the new ones stand in their place.
pub(crate) fn replace_segments(
    segments: &mut Vec<SegmentImage>,
    (first, last): (Offset, Offset),
    with: impl IntoIterator<Item = SegmentImage>,
) {
    segments.retain(|segment| segment.end_offset <= first || segment.base_offset > last);
    let place = segments.partition_point(|segment| segment.base_offset < first);
    segments.splice(place..place, with);
}

/// Cuts a list of segments; those that hold nothing any more.
pub(crate) fn cut_segments(segments: &mut Vec<SegmentImage>, cut: Offset) -> Vec<SegmentImage> {
    let kept = segments.partition_point(|segment| segment.base_offset < cut);
    let gone = segments.split_off(kept);
    if let Some(last) = segments.last_mut() {
        if last.end_offset > cut {
            last.record_bytes = bytes_below(last, cut);
            last.end_offset = cut;
        }
        last.sealed = true;
    }
    gone
}

/// About how many bytes of a segment lie below `cut`, as if all records were of one size: exact
/// would mean to read its index, and only limits on size go by it.
fn bytes_below(segment: &SegmentImage, cut: Offset) -> u64 {
    let offsets = |end: Offset| {
        let count = end.get().saturating_sub(segment.base_offset.get());
        u128::from(u64::try_from(count).unwrap_or(0))
    };
    let bytes = u128::from(segment.record_bytes)
        .saturating_mul(offsets(cut))
        .checked_div(offsets(segment.end_offset));
    u64::try_from(bytes.unwrap_or(0)).unwrap_or(segment.record_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::FileId;
    use engine_model::Timestamp;

    #[test]
    fn a_cut_segment_counts_less() {
        for (base, end, cut, expected) in [(0, 10, 5, 500), (90, 100, 99, 900), (0, 3, 1, 333)] {
            let mut segments = vec![SegmentImage {
                file: FileId::default(),
                base_offset: Offset::new(base),
                end_offset: Offset::new(end),
                bytes: 4096,
                record_bytes: 1000,
                max_timestamp: Timestamp(1),
                last_index: None,
                sealed: false,
                compacted: false,
            }];
            assert!(cut_segments(&mut segments, Offset::new(cut)).is_empty());
            assert_eq!(segments[0].record_bytes, expected, "{base}..{end} at {cut}");
        }
    }
}
