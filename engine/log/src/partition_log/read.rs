//! Reading whole batches: from memory if they are there, else from segments.

use super::{PartitionLog, ReadAnswer, ReadOptions};
use crate::buffer::LaneBuf;
use crate::chunks::Chunks;
use crate::error::{ReadError, StorageError};
use crate::format::SegmentImage;
use crate::segment::SegmentSpan;
use crate::store_core::StoreCore;
use engine_model::Offset;
use std::rc::Rc;

/// How often a read begins anew because the log was truncated under it.
const RETRIES_MAX: usize = 3;

/// Where the next batches lie.
enum Source {
    Memory(ReadAnswer),
    /// These segments, of that generation, hold everything below the offset.
    Segments(Rc<Vec<SegmentImage>>, u32, Offset),
}

impl PartitionLog {
    /// Reads whole batches. An offset at the end is answered with nothing.
    ///
    /// Errors: `OffsetOutOfRange` below the start or above the end; `Corrupt` rather than a byte
    /// that was not written. A fenced log is read as long as it can be. Cancel: safe.
    pub async fn read(&self, options: ReadOptions) -> Result<ReadAnswer, ReadError> {
        let core = self.core()?;
        self.check_online()?;
        self.check_range(options.offset)?;
        let answer = self.read_span(&core, options).await;
        // What retention took away meanwhile is out of range, whatever the read met.
        self.check_online()?;
        self.check_range(options.offset)?;
        Ok(answer?)
    }

    /// Counts the bytes of the batches from `offset` on that end below `end`, and says where they
    /// end; `None` where they are not all in memory, or a read would be refused.
    pub fn bytes_in_memory(&self, offset: Offset, end: Offset) -> Option<(usize, Offset)> {
        self.check_online().ok()?;
        self.check_range(offset).ok()?;
        let state = self.inner.state.borrow();
        let first = state.tail.first_offset();
        if first.is_none_or(|first| first > offset) && offset < state.named_end {
            return None;
        }
        let batches = state.tail.from(offset).take_while(|batch| batch.last < end);
        let counted = batches.fold((0_usize, offset), |(bytes, _), batch| {
            let bytes = bytes.saturating_add(batch.range.len());
            (bytes, batch.last.saturating_next())
        });
        Some(counted)
    }

    pub(super) fn check_range(&self, offset: Offset) -> Result<(), ReadError> {
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        if offset < start || offset > end {
            return Err(ReadError::OffsetOutOfRange { offset, start, end });
        }
        Ok(())
    }

    /// Reads batches of `offset..end` for ourselves, at least one.
    pub(super) async fn read_batches(
        &self,
        core: &StoreCore,
        offset: Offset,
        end: Offset,
        bytes_max: usize,
    ) -> Result<ReadAnswer, StorageError> {
        let options = ReadOptions {
            offset,
            end,
            bytes_max,
            at_least_one: true,
        };
        self.read_span(core, options).await
    }

    async fn read_span(
        &self,
        core: &StoreCore,
        options: ReadOptions,
    ) -> Result<ReadAnswer, StorageError> {
        for _ in 0..RETRIES_MAX {
            let (segments, generation, covered) = match self.source(&options) {
                Source::Memory(answer) => return Ok(answer),
                Source::Segments(segments, generation, end) => (segments, generation, end),
            };
            let span = SegmentSpan {
                offset: options.offset,
                end: options.end.min(self.log_end_offset()),
                bytes_max: options.bytes_max,
                at_least_one: options.at_least_one,
                is_sequential: self.inner.read_to.get() == options.offset,
            };
            let reader = self.reader();
            let read = core.segments().read(self.id(), &segments, &span).await;
            drop(reader);
            if self.inner.state.borrow().generation != generation {
                // Truncated meanwhile: what was read may be gone.
                continue;
            }
            let mut read = read?;
            if !read.is_full {
                self.read_memory(&options, covered, &mut read.chunks, &mut read.next_offset);
            }
            self.inner.read_to.set(read.next_offset);
            return Ok(ReadAnswer {
                bytes: read.chunks.bytes(),
                chunks: read.chunks.finish(),
                next_offset: read.next_offset,
            });
        }
        Ok(ReadAnswer {
            next_offset: options.offset,
            ..ReadAnswer::default()
        })
    }

    /// Answers from memory, or says which segments to read.
    fn source(&self, options: &ReadOptions) -> Source {
        {
            let state = self.inner.state.borrow();
            let in_memory = state
                .tail
                .first_offset()
                .is_some_and(|f| f <= options.offset);
            if !in_memory && options.offset < state.named_end {
                let segments = Rc::clone(&state.segments);
                return Source::Segments(segments, state.generation, state.named_end);
            }
        }
        let mut chunks = Chunks::default();
        let mut next_offset = options.offset;
        self.read_memory(options, options.offset, &mut chunks, &mut next_offset);
        Source::Memory(ReadAnswer {
            bytes: chunks.bytes(),
            chunks: chunks.finish(),
            next_offset,
        })
    }

    /// Adds the batches in memory from `next_offset` on; those below `covered` were looked for.
    fn read_memory(
        &self,
        options: &ReadOptions,
        covered: Offset,
        chunks: &mut Chunks,
        next_offset: &mut Offset,
    ) {
        let state = self.inner.state.borrow();
        // A batch that memory begins with may follow others that were evicted meanwhile; or only a
        // gap, which is legal.
        let known = covered.max(*next_offset);
        let first = state.tail.first_offset();
        if first.is_some_and(|first| first > known) && known < state.named_end {
            return;
        }
        for batch in state.tail.from(*next_offset) {
            let bytes = chunks.bytes().saturating_add(batch.range.len());
            let is_first = chunks.bytes() == 0;
            let fits = bytes <= options.bytes_max || (is_first && options.at_least_one);
            if batch.last >= options.end || !fits {
                return;
            }
            chunks.push_part(&batch.frame, batch.range.clone(), LaneBuf::SLAB_BYTES);
            *next_offset = batch.last.saturating_next();
        }
    }
}
