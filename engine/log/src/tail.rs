//! The tail of a log: its newest batches, as slices of the lane frames they were written in.
//!
//! Keeps:
//! - batches are in order of offsets and do not overlap; gaps are legal;
//! - everything not yet named by a durable manifest is here: the front is cache, the back is not.
//!
//! Does not: know what is in segments; the log says how far it may forget.

use crate::number::to_u64;
use bytes::Bytes;
use core::ops::Range;
use engine_model::{Offset, Timestamp};
use std::collections::VecDeque;

/// One batch in memory.
#[derive(Clone, Debug)]
pub(crate) struct TailBatch {
    /// Offset of its first record.
    pub(crate) first: Offset,
    /// Offset of its last.
    pub(crate) last: Offset,
    /// Largest time of its records.
    pub(crate) max_timestamp: Timestamp,
    /// Sequence of the frame it lies in.
    pub(crate) sequence: u64,
    /// That frame.
    pub(crate) frame: Bytes,
    /// Place of the batch in it.
    pub(crate) range: Range<usize>,
    /// Checksum of all its bytes.
    pub(crate) crc: u32,
}

impl TailBatch {
    /// Its size.
    pub(crate) fn len(&self) -> u64 {
        to_u64(self.range.len())
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.frame.get(self.range.clone()).unwrap_or_default()
    }

    /// The batch as a slice that keeps its frame alive.
    pub(crate) fn share(&self) -> Bytes {
        if self.range.start <= self.range.end && self.range.end <= self.frame.len() {
            self.frame.slice(self.range.clone())
        } else {
            Bytes::new()
        }
    }
}

/// Batches of one log in memory.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    bytes: u64,
}

impl Tail {
    /// Adds a batch behind all others.
    pub(crate) fn push(&mut self, batch: TailBatch) {
        debug_assert!(self.batches.back().is_none_or(|b| b.last < batch.first));
        self.bytes = self.bytes.saturating_add(batch.len());
        self.batches.push_back(batch);
    }

    /// Bytes of all batches.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of batches from `offset` on; counts at most so many batches as it takes to know that
    /// there is much.
    pub(crate) fn bytes_from(&self, offset: Offset) -> u64 {
        if self.first_offset().is_none_or(|first| first >= offset) {
            return self.bytes;
        }
        self.from(offset)
            .fold(0, |sum, b| sum.saturating_add(b.len()))
    }

    /// First offset held.
    pub(crate) fn first_offset(&self) -> Option<Offset> {
        self.batches.front().map(|b| b.first)
    }

    /// One past the last offset held.
    pub(crate) fn end_offset(&self) -> Option<Offset> {
        self.batches.back().map(|b| b.last.saturating_next())
    }

    /// Place of the first batch that ends at or above `offset`.
    fn place(&self, offset: Offset) -> usize {
        self.batches.partition_point(|b| b.last < offset)
    }

    /// Batches from the one that holds `offset`, or the next one if none does.
    pub(crate) fn from(&self, offset: Offset) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.place(offset)..)
    }

    /// The batch that holds `offset`.
    pub(crate) fn holding(&self, offset: Offset) -> Option<&TailBatch> {
        self.batches
            .get(self.place(offset))
            .filter(|b| b.first <= offset)
    }

    /// Drops batches that end above or at `cut`, which is the base offset of a batch or in a gap.
    pub(crate) fn truncate(&mut self, cut: Offset) {
        while let Some(batch) = self.batches.pop_back_if(|b| b.last >= cut) {
            self.forget(&batch);
        }
    }

    /// Drops every batch.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }

    /// Drops batches at the front that lie below `end` and in frames up to `sequence`.
    pub(crate) fn evict(&mut self, end: Offset, sequence: u64) {
        while let Some(batch) = self
            .batches
            .pop_front_if(|b| b.last < end && b.sequence <= sequence)
        {
            self.forget(&batch);
        }
    }

    fn forget(&mut self, batch: &TailBatch) {
        self.bytes = self.bytes.saturating_sub(batch.len());
    }
}
