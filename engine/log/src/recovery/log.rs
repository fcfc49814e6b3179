//! One log while its entries are replayed.
//!
//! Keeps: replay sets and never chooses; an entry that contradicts the log is an error that sets
//! the log apart.

use crate::epochs::LeaderEpochs;
use crate::format::{FormatError, LogImage, SegmentImage, StateImage};
use crate::partition_log::{cut_segments, noted, replace_segments};
use crate::producers::{Producers, Truncation};
use crate::segment::SegmentWriter;
use crate::store::inline;
use crate::tail::TailBatch;
use bytes::Bytes;
use engine_codec::batches;
use engine_model::planted::{self, Bug};
use engine_model::{LogId, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
use std::collections::VecDeque;

/// Why an entry does not fit its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("a batch cannot be read")]
    Batch,
    #[error("a batch at {found} where the log ends at {end}")]
    Offset { end: Offset, found: Offset },
    #[error("an epoch that is older than the last one")]
    Epoch,
    #[error("a batch does not have the offsets its entry says")]
    Range,
    #[error("segments of {first}..={last} are replaced, which is not what the log holds")]
    Replace { first: Offset, last: Offset },
}

/// A log of which a prefix of the entries was applied.
pub(super) struct RecoveringLog {
    pub(super) id: LogId,
    pub(super) partition: TopicPartition,
    pub(super) generation: u32,
    pub(super) log_start: Offset,
    pub(super) log_end: Offset,
    pub(super) segments: Vec<SegmentImage>,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: Producers,
    /// Producer state as the manifest had it, with its end, for truncations.
    named_producers: Option<(Offset, Producers)>,
    /// Producer state must be read again from here to the end.
    pub(super) producers_from: Option<Offset>,
    pub(super) is_quarantined: bool,
    /// Replayed batches that no extent holds.
    pub(super) tail: VecDeque<TailBatch>,
    pub(super) tail_bytes: u64,
    pub(super) writer: Option<SegmentWriter>,
    /// Writers of segments that were cut, to be completed with the others.
    pub(super) cut_writers: Vec<SegmentWriter>,
}

impl RecoveringLog {
    pub(super) fn from_image(image: LogImage) -> Result<Self, FormatError> {
        let epochs = LeaderEpochs::decode(inline(&image.epochs))?;
        let producers = Producers::decode(inline(&image.producers))?;
        Ok(Self {
            named_producers: Some((image.log_end, producers.clone())),
            producers_from: None,
            id: image.id,
            partition: image.partition,
            generation: image.generation,
            log_start: image.log_start,
            log_end: image.log_end,
            segments: image
                .segments
                .into_iter()
                .map(|segment| SegmentImage {
                    // A new run never writes into a file of an older one.
                    sealed: true,
                    ..segment
                })
                .collect(),
            epochs,
            producers,
            is_quarantined: image.quarantined,
            tail: VecDeque::new(),
            tail_bytes: 0,
            writer: None,
            cut_writers: Vec::new(),
        })
    }

    pub(super) fn created(id: LogId, partition: TopicPartition, start: Offset) -> Self {
        Self {
            id,
            partition,
            generation: 0,
            log_start: start,
            log_end: start,
            segments: Vec::new(),
            epochs: LeaderEpochs::new(),
            producers: Producers::new(),
            named_producers: None,
            producers_from: None,
            is_quarantined: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            writer: None,
            cut_writers: Vec::new(),
        }
    }

    /// A log of which only the id is known.
    pub(super) fn unknown(id: LogId) -> Self {
        let partition = TopicPartition {
            topic_id: TopicId::ZERO,
            partition: PartitionIndex::new(i32::try_from(id.counter).unwrap_or(i32::MAX)),
        };
        Self {
            is_quarantined: true,
            ..Self::created(id, partition, Offset::ZERO)
        }
    }

    /// Applies an Append (step 15).
    pub(super) fn append(
        &mut self,
        generation: u32,
        (first, last): (Offset, Offset),
        records: &Bytes,
        sequence: u64,
        now: Timestamp,
    ) -> Result<(), Misfit> {
        if generation != self.generation || first < self.log_end {
            return Err(Misfit::Offset {
                end: self.log_end,
                found: first,
            });
        }
        let mut next = None;
        for batch in batches(records) {
            let batch = batch.map_err(|_| Misfit::Batch)?;
            let header = *batch.header();
            let expected = next.unwrap_or(first);
            if header.base_offset < expected || (next.is_none() && header.base_offset != first) {
                return Err(Misfit::Range);
            }
            let leader_epoch = header.partition_leader_epoch;
            if leader_epoch > self.epochs.latest() {
                let assigned = self.epochs.assign(leader_epoch, header.base_offset);
                assigned.map_err(|_| Misfit::Epoch)?;
            } else if leader_epoch < self.epochs.latest() {
                return Err(Misfit::Epoch);
            }
            let max_timestamp = header.max_timestamp;
            if let Some(noted) = noted(&header, header.base_offset, max_timestamp) {
                self.producers.note(&noted, now);
            }
            next = Some(header.next_offset());
            let bytes = batch.into_bytes();
            let range = 0..bytes.len();
            self.tail_bytes = self
                .tail_bytes
                .saturating_add(crate::number::to_u64(bytes.len()));
            self.tail.push_back(TailBatch {
                first: header.base_offset,
                last: header.last_offset(),
                max_timestamp,
                sequence,
                crc: engine_codec::crc::crc32c(&bytes),
                frame: bytes,
                range,
            });
        }
        let end = last.saturating_next();
        if next != Some(end) {
            return Err(Misfit::Range);
        }
        self.log_end = end;
        Ok(())
    }

    /// Applies a Truncate to `cut`.
    pub(super) fn truncate(&mut self, generation: u32, cut: Offset) {
        self.generation = generation;
        self.log_end = self.log_end.min(cut);
        if !planted::is(Bug::EpochCutForgotten) {
            self.epochs.truncate_from_end(cut);
        }
        while let Some(batch) = self.tail.pop_back_if(|batch| batch.last >= cut) {
            self.tail_bytes = self.tail_bytes.saturating_sub(batch.len());
        }
        cut_segments(&mut self.segments, cut);
        self.cut_writers.extend(self.writer.take());
        if self.producers.truncate(cut) == Truncation::NeedsRebuild || self.producers_from.is_some()
        {
            // Read again once everything is replayed: later entries may cut deeper.
            let known = self.named_producers.as_ref().filter(|(end, _)| *end <= cut);
            self.producers_from = Some(known.map_or(self.log_start, |(end, _)| *end));
        }
        self.named_producers = self.named_producers.take().filter(|(end, _)| *end <= cut);
    }

    /// Applies a Truncate of everything.
    pub(super) fn restart(&mut self, generation: u32, start: Offset) {
        self.generation = generation;
        self.log_start = start;
        self.log_end = start;
        self.epochs.clear();
        self.producers.clear();
        self.named_producers = None;
        self.producers_from = None;
        self.tail.clear();
        self.tail_bytes = 0;
        self.segments.clear();
        self.writer = None;
        self.cut_writers.clear();
    }

    /// Applies a Replace: `made` takes the place of the segments that hold `first..=last`.
    ///
    /// Only what a durable manifest names is ever replaced, so what was replayed lies behind.
    pub(super) fn replace(
        &mut self,
        generation: u32,
        (first, last): (Offset, Offset),
        made: Vec<SegmentImage>,
    ) -> Result<(), Misfit> {
        let end = last.saturating_next();
        let is_inside = |s: &SegmentImage| s.base_offset >= first && s.end_offset <= end;
        let is_outside = |s: &SegmentImage| s.end_offset <= first || s.base_offset >= end;
        let is_sound = generation == self.generation
            && end <= self.log_end
            && self.tail.iter().all(|batch| batch.first >= end)
            && self.segments.iter().all(|s| is_inside(s) || is_outside(s))
            && made.iter().all(is_inside);
        if !is_sound {
            return Err(Misfit::Replace { first, last });
        }
        replace_segments(&mut self.segments, (first, last), made);
        Ok(())
    }

    /// Applies a LogStart.
    pub(super) fn advance_start(&mut self, start: Offset) {
        if planted::is(Bug::LogStartForgotten) {
            return;
        }
        self.log_start = self.log_start.max(start);
        self.log_end = self.log_end.max(start);
        self.epochs.truncate_from_start(start);
    }

    /// Producer state to read forward from, if it has to be.
    pub(super) fn producers_to_rebuild(&mut self) -> Option<Offset> {
        let from = self.producers_from.take()?;
        self.producers = match self.named_producers.take() {
            Some((end, producers)) if end == from => producers,
            _ => Producers::new(),
        };
        // Not from the start of the log, which may have moved since: the segments still hold what
        // was there at the cut, and producers outlive their records.
        Some(from)
    }

    /// Takes the image of the file that is being written into the list.
    pub(super) fn set_segment(&mut self, image: SegmentImage) {
        match self.segments.last_mut() {
            Some(last) if last.file == image.file => *last = image,
            _ => self.segments.push(image),
        }
    }

    /// Takes over what completing a cut segment added to it; its end stays where it was cut.
    pub(super) fn complete_segment(&mut self, image: &SegmentImage) {
        for segment in self.segments.iter_mut().filter(|s| s.file == image.file) {
            segment.bytes = image.bytes;
            segment.last_index = image.last_index;
        }
    }

    /// The row of the new manifest. Everything must have been drained.
    pub(super) fn image(&self) -> LogImage {
        let state = |is_empty: bool, bytes: Vec<u8>| {
            if is_empty {
                StateImage::Empty
            } else {
                StateImage::Inline(bytes.into())
            }
        };
        LogImage {
            id: self.id,
            partition: self.partition,
            generation: self.generation,
            quarantined: self.is_quarantined,
            log_start: self.log_start,
            log_end: self.log_end,
            segments: self
                .segments
                .iter()
                .filter(|segment| self.is_quarantined || segment.end_offset > self.log_start)
                .map(|segment| SegmentImage {
                    sealed: true,
                    ..*segment
                })
                .collect(),
            epochs: state(self.epochs.entries().is_empty(), self.epochs.encode()),
            producers: state(self.producers.is_empty(), self.producers.encode()),
            aborted_transactions: StateImage::Empty,
        }
    }
}
