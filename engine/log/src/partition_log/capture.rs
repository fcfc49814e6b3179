//! What a checkpoint takes of a log: its state as of a sequence, by reference (rule 8).

use super::{PRODUCER_SNAPSHOTS_MAX, PartitionLog};
use crate::epochs::LeaderEpochs;
use crate::error::OfflineReason;
use crate::format::{LogImage, SegmentImage, StateImage};
use crate::producers::Producers;
use engine_model::Offset;
use engine_model::planted::{self, Bug};
use std::rc::Rc;

/// A log as of a checkpoint's sequence.
pub(crate) struct LogCapture {
    pub(crate) log: PartitionLog,
    generation: u32,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
    epochs: Rc<LeaderEpochs>,
    producers: Rc<Producers>,
    is_quarantined: bool,
}

/// An empty snapshot is none at all.
fn state_image(is_empty: bool, encode: impl FnOnce() -> Vec<u8>) -> StateImage {
    if is_empty {
        StateImage::Empty
    } else {
        StateImage::Inline(encode().into())
    }
}

impl PartitionLog {
    /// Captures the log as it is, and returns with it the segments that no manifest from this one
    /// on names: those wholly below its start.
    pub(crate) fn capture(&self) -> (LogCapture, Vec<SegmentImage>) {
        let log_start = self.log_start_offset();
        let mut state = self.inner.state.borrow_mut();
        // Only here, with no checkpoint under way, do segments leave the front: a manifest's start
        // and its segments are then always of one moment. One that is being written now has lent
        // out its writer, and stays.
        let has_writer = state.writer.is_some();
        let gone = state
            .segments
            .iter()
            .take_while(|s| s.end_offset <= log_start && (s.sealed || has_writer))
            .count();
        let gone: Vec<SegmentImage> = if gone > 0 {
            Rc::make_mut(&mut state.segments).drain(..gone).collect()
        } else {
            Vec::new()
        };
        if state.segments.is_empty() {
            state.writer = None;
        }
        let is_quarantined = matches!(
            self.inner.offline.get(),
            Some(OfflineReason::Quarantined | OfflineReason::LostStableRecords)
        );
        let capture = LogCapture {
            log: self.clone(),
            generation: state.generation,
            log_start,
            log_end: self.log_end_offset(),
            epochs: Rc::clone(&state.epochs),
            producers: match state.snapshots.back() {
                Some((_, older)) if planted::is(Bug::ProducersOlderThanLog) => Rc::clone(older),
                _ => Rc::clone(&state.producers),
            },
            is_quarantined,
        };
        (capture, gone)
    }

    /// Notes that a durable manifest names what was captured.
    pub(crate) fn named_by_manifest(&self, capture: &LogCapture, segments: Vec<SegmentImage>) {
        let mut state = self.inner.state.borrow_mut();
        state.named = Rc::new(segments);
        state.named_end = capture.log_end;
        state
            .snapshots
            .push_back((capture.log_end, Rc::clone(&capture.producers)));
        while state.snapshots.len() > PRODUCER_SNAPSHOTS_MAX {
            state.snapshots.pop_front();
        }
    }
}

impl LogCapture {
    /// Replaces producer state that was captured while it was being rebuilt.
    pub(crate) fn set_producers(&mut self, producers: &Rc<Producers>) {
        self.producers = Rc::clone(producers);
    }

    /// The log's row of the manifest; its segments must hold everything below the captured end.
    pub(crate) fn image(&self) -> LogImage {
        let segments = self.log.inner.state.borrow().segments.to_vec();
        let segments = segments
            .into_iter()
            .filter(|segment| segment.base_offset < self.log_end)
            .map(|segment| SegmentImage {
                // What was flushed ahead of this checkpoint is still the lane's to keep.
                end_offset: if planted::is(Bug::UnnamedExtentsCounted) {
                    segment.end_offset
                } else {
                    segment.end_offset.min(self.log_end)
                },
                ..segment
            })
            .collect();
        LogImage {
            id: self.log.id(),
            partition: self.log.partition(),
            generation: self.generation,
            quarantined: self.is_quarantined,
            log_start: self.log_start,
            log_end: self.log_end,
            segments,
            epochs: state_image(self.epochs.entries().is_empty(), || self.epochs.encode()),
            producers: state_image(self.producers.is_empty(), || self.producers.encode()),
            aborted_transactions: StateImage::Empty,
        }
    }
}
