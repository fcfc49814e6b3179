//! Moving the tail into segments. Runs only under the store's files permit, so nothing truncates
//! meanwhile.
//!
//! Keeps: extents are only ever added behind others; a file that a write or flush of failed is
//! abandoned at what the newest manifest names of it, and what it held besides is written again
//! from the tail into a new file.

use super::{PartitionLog, State};
use crate::error::StorageError;
use crate::format::{FileId, SegmentImage};
use crate::segment::{Growing, Rolling, SegmentWriter};
use crate::store_core::StoreCore;
use crate::tail::TailBatch;
use engine_model::{Offset, Timestamp};
use std::rc::Rc;

/// Bytes of batches that go into one write.
const WRITE_BYTES_MAX: u64 = 1 << 20;

/// What flushing a log to a point did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flushed {
    /// Bytes of batches that went into extents.
    pub(crate) bytes: u64,
}

impl PartitionLog {
    /// Where the tail that no extent holds begins.
    pub(crate) fn flush_end(&self) -> Offset {
        self.inner.state.borrow().flush_end
    }

    /// Leaves batches wholly below `start` out of segments: the manifest that is about to be written
    /// says that the log begins there.
    pub(crate) fn pass_over(&self, start: Offset) {
        let mut state = self.inner.state.borrow_mut();
        if start > state.flush_end {
            state.flush_end = start;
            state.unflushed_bytes = state.tail.bytes_from(start);
        }
    }

    /// Writes one write's worth of batches below `end` to the log's segment.
    ///
    /// `bytes` is 0 when there is nothing left to write. Errors: the segment is abandoned, and
    /// trying again begins a new one. Cancel: not safe; run it to its end.
    pub(crate) async fn flush_some(
        &self,
        core: &StoreCore,
        end: Offset,
    ) -> Result<Flushed, StorageError> {
        let now = engine_rt::wall_clock();
        let rolling = Rolling::of(&self.inner.config.borrow());
        let batches = self.next_batches(end, &rolling, now);
        let mut flushed = Flushed::default();
        let Some(first) = batches.first() else {
            return Ok(flushed);
        };
        let writer = self.inner.state.borrow_mut().writer.take();
        let mut writer = match writer {
            Some(mut writer) if writer.is_full(&rolling, &batches, now) => {
                self.seal(&mut writer).await?;
                None
            }
            other => other,
        };
        let mut segment = if let Some(writer) = writer.take() {
            writer
        } else {
            let file = core.next_file_id()?;
            let directory = core.segments().directory();
            let growing = rolling.begin(now, engine_rt::random_u64);
            SegmentWriter::create(directory, self.id(), file, first.first, growing).await?
        };
        let result = segment.append(&batches).await;
        let image = segment.image();
        if let Err(error) = result {
            self.abandon(core, image.file);
            return Err(error);
        }
        let mut state = self.inner.state.borrow_mut();
        state.set_segment(image);
        state.flush_end = image.end_offset;
        state.writer = Some(segment);
        flushed.bytes = batches
            .iter()
            .fold(0, |sum, batch| sum.saturating_add(batch.len()));
        state.unflushed_bytes = state.unflushed_bytes.saturating_sub(flushed.bytes);
        Ok(flushed)
    }

    /// The batches of the next write: all of one segment, which is a new one if the first of them
    /// is not for the last.
    fn next_batches(&self, end: Offset, rolling: &Rolling, now: Timestamp) -> Vec<TailBatch> {
        let state = self.inner.state.borrow();
        let mut bytes = 0_u64;
        let writer = state.writer.as_ref();
        let mut segment = writer.map_or_else(|| rolling.begin(now, || 0), SegmentWriter::growing);
        let rolls = |segment: &Growing, batch: &TailBatch| {
            segment.rolls(rolling, batch.len(), batch.max_timestamp, now)
        };
        state
            .tail
            .from(state.flush_end)
            .take_while(|batch| {
                if bytes == 0 && rolls(&segment, batch) {
                    segment = rolling.begin(now, || 0);
                }
                let fits = bytes < WRITE_BYTES_MAX && batch.last < end && !rolls(&segment, batch);
                bytes = bytes.saturating_add(batch.len());
                segment.add(batch.len(), batch.max_timestamp);
                fits
            })
            .cloned()
            .collect()
    }

    /// Ends a segment for good. It is synced at once: no checkpoint will see its writer.
    async fn seal(&self, writer: &mut SegmentWriter) -> Result<(), StorageError> {
        let file = writer.image().file;
        let sealed = async {
            writer.finish_index().await?;
            writer.sync().await
        };
        if let Err(error) = sealed.await {
            let core = self.core()?;
            self.abandon(&core, file);
            return Err(error);
        }
        let mut image = writer.image();
        image.sealed = true;
        self.inner.state.borrow_mut().set_segment(image);
        Ok(())
    }

    /// Makes everything written so far durable and its index complete; whether there was any.
    pub(crate) async fn sync_segment(&self, core: &StoreCore) -> Result<(), StorageError> {
        let writer = self.inner.state.borrow_mut().writer.take();
        let Some(mut writer) = writer else {
            return Ok(());
        };
        if !writer.is_dirty() {
            self.inner.state.borrow_mut().writer = Some(writer);
            return Ok(());
        }
        let result = async {
            writer.finish_index().await?;
            writer.sync().await
        };
        let result = result.await;
        let image = writer.image();
        match result {
            Ok(()) => {
                let mut state = self.inner.state.borrow_mut();
                state.set_segment(image);
                state.writer = Some(writer);
                Ok(())
            }
            Err(error) => {
                self.abandon(core, image.file);
                Err(error)
            }
        }
    }

    /// Whether the newest segment has bytes that no index block or no sync covers.
    pub(super) fn is_segment_dirty(&self) -> bool {
        let state = self.inner.state.borrow();
        state.writer.as_ref().is_some_and(SegmentWriter::is_dirty)
    }

    /// Gives up a file after a failed write or flush.
    fn abandon(&self, core: &StoreCore, file: FileId) {
        let mut state = self.inner.state.borrow_mut();
        let named = state.named.iter().find(|s| s.file == file).copied();
        let named_end = state.named_end;
        let segments = Rc::make_mut(&mut state.segments);
        segments.retain(|segment| segment.file != file);
        match named {
            Some(named) => segments.push(SegmentImage {
                sealed: true,
                ..named
            }),
            // No manifest ever named it.
            None => core.add_garbage_after(self, file, 0),
        }
        state.writer = None;
        let end = state.segments.last().map_or(named_end, |s| s.end_offset);
        state.flush_end = state.flush_end.min(end.max(named_end));
        state.unflushed_bytes = state.tail.bytes_from(state.flush_end);
    }
}

impl State {
    /// Replaces or adds the image of the newest segment.
    pub(super) fn set_segment(&mut self, image: SegmentImage) {
        let segments = Rc::make_mut(&mut self.segments);
        match segments.iter_mut().rev().find(|s| s.file == image.file) {
            Some(segment) => *segment = image,
            None => segments.push(image),
        }
    }
}
