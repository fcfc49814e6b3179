//! Putting entries into the open frame. Nothing here awaits.
//!
//! `make_room` may close the open frame and may begin the other half, which captures every log;
//! so it runs before a log's state is looked at for an append, and `put_*` after.

use super::write::Leaves;
use super::{CLOSED_FRAMES_MAX, FrameEnd, HalfState, Lane, OpenAppend, OpenFrame, PendingFrame};
use super::{ClosedFrame, State};
use crate::buffer::LaneBuf;
use crate::error::{FenceCause, StorageError};
use crate::format::{
    BLOCK_BYTES, ENTRY_BYTES, Entry, EntryRow, FRAME_ENTRIES_MAX, FRAME_HEADER_BYTES, FrameBuilder,
    FramePlace, padded,
};
use crate::number::{to_u64, to_usize};
use crate::partition_log::PartitionLog;
use crate::tail::TailBatch;
use engine_model::planted::{self, Bug};
use engine_model::{Offset, Timestamp};

/// A batch to be put, and what the tail will know of it.
pub(crate) struct Put<'a> {
    pub(crate) log: &'a PartitionLog,
    pub(crate) row: EntryRow,
    pub(crate) first: Offset,
    pub(crate) last: Offset,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) wants_flush: bool,
    pub(crate) payload: &'a [u8],
}

/// Bytes of the smallest frame that holds an entry with such a payload.
fn frame_bytes(payload_bytes: usize) -> u64 {
    let bytes = FRAME_HEADER_BYTES
        .saturating_add(payload_bytes)
        .saturating_add(ENTRY_BYTES);
    to_u64(padded(bytes))
}

impl Lane {
    /// Whether payloads of these sizes can all be placed now.
    pub(crate) fn has_room(&self, payloads: impl Iterator<Item = usize>) -> bool {
        let state = self.state.borrow();
        if state.closed.len() >= CLOSED_FRAMES_MAX {
            return false;
        }
        // Never too little: each payload is taken to need a frame of its own.
        let needed = payloads.fold(0_u64, |sum, bytes| sum.saturating_add(frame_bytes(bytes)));
        let open = state
            .open
            .as_ref()
            .map_or(0, |open| to_u64(padded(open.builder.bytes())));
        let left = self.room(state.half, state.position.saturating_add(open));
        // An entry may push the frame it joins over a block boundary; the sum above covers that.
        let other = free_half(&state).map_or(0, |half| self.room(half, 0));
        needed <= left || needed <= other
    }

    /// Whether payloads of these sizes could be placed if the lane were empty.
    pub(crate) fn could_have_room(&self, payloads: impl Iterator<Item = usize>) -> bool {
        payloads.fold(0_u64, |sum, bytes| sum.saturating_add(frame_bytes(bytes)))
            <= self.frame_bytes_max()
    }

    /// Opens a frame that takes a payload of that size, if there is room; see [`Lane::has_room`].
    pub(crate) fn make_room(&self, payload_bytes: usize) -> Result<(), StorageError> {
        self.check()?;
        {
            let state = self.state.borrow();
            if let Some(open) = &state.open {
                let bytes = open
                    .builder
                    .bytes()
                    .saturating_add(payload_bytes)
                    .saturating_add(ENTRY_BYTES);
                if padded(bytes) <= open.bytes_max && open.builder.entry_count() < FRAME_ENTRIES_MAX
                {
                    return Ok(());
                }
            }
        }
        self.close_open();
        let needed = frame_bytes(payload_bytes);
        let fits = {
            let state = self.state.borrow();
            needed <= self.room(state.half, state.position)
        };
        if !fits && !self.switch_half(needed) {
            return Err(StorageError::TooLarge {
                what: "lane entry",
                found: needed,
                max: self.frame_bytes_max(),
            });
        }
        let left = {
            let state = self.state.borrow();
            self.room(state.half, state.position)
        };
        self.open_frame(needed, left);
        Ok(())
    }

    /// Opens a frame for `needed` bytes where `left` are left; there is none open.
    pub(super) fn open_frame(&self, needed: u64, left: u64) {
        let mut state = self.state.borrow_mut();
        let bytes_max = u64::from(self.options.frame_bytes_target)
            .max(needed)
            .min(left);
        let buffer = LaneBuf::with_capacity(&mut state.rest, to_usize(needed));
        state.open = Some(OpenFrame {
            builder: FrameBuilder::new(buffer),
            half: state.half,
            position: state.position,
            bytes_max: to_usize(bytes_max),
            appends: Vec::new(),
            ends: Vec::new(),
            wants_flush: false,
            is_urgent: false,
        });
    }

    /// Bytes for entries in a half of which so many are used. A block more is kept for the
    /// heartbeat: without one, rot in the last frame of a half would look like a torn tail.
    fn room(&self, half: usize, used: u64) -> u64 {
        let ready = self.file(half).ready_bytes();
        ready
            .saturating_sub(used)
            .saturating_sub(to_u64(BLOCK_BYTES))
    }

    /// Begins the other half if it is free and large enough.
    ///
    /// Rule 8: the last frame of the full half is the checkpoint's sequence, and every log is
    /// captured before anything after it changes one.
    fn switch_half(&self, needed: u64) -> bool {
        let sequence = {
            let mut state = self.state.borrow_mut();
            let Some(other) = free_half(&state) else {
                return false;
            };
            if self.room(other, 0) < needed {
                return false;
            }
            let full = state.half;
            if let Some(half) = state.halves.get_mut(full) {
                *half = HalfState::Covered;
            }
            if let Some(half) = state.halves.get_mut(other) {
                *half = HalfState::Active;
            }
            state.half = other;
            state.position = 0;
            state.next_sequence.saturating_sub(1)
        };
        if let Some(on_switch) = self.on_switch.get() {
            on_switch(sequence);
        }
        true
    }

    /// Ends the active half early, for a checkpoint of everything so far.
    pub(crate) fn force_switch(&self) -> bool {
        self.close_open();
        self.switch_half(to_u64(BLOCK_BYTES))
    }

    /// Puts a batch into the open frame, which `make_room` has seen to; `patch` changes the copy,
    /// whose own checksum must then be good.
    pub(crate) fn put_append(&self, put: &Put<'_>, patch: impl FnOnce(&mut [u8])) {
        let mut state = self.state.borrow_mut();
        let appended = state.open.as_mut().and_then(|open| {
            let appended = open.builder.append_batch(put.row, put.payload, patch);
            Some((appended.ok()?, open))
        });
        let Some(((range, crc), open)) = appended else {
            drop(state);
            self.misplaced();
            return;
        };
        open.appends.push(OpenAppend {
            log: put.log.clone(),
            range,
            crc,
            first: put.first,
            last: put.last,
            max_timestamp: put.max_timestamp,
        });
        open.wants_flush |= put.wants_flush;
        let end = put.last.saturating_next();
        match put.log.touched(state.next_sequence) {
            Some(index) if let Some(found) = open_end(&mut state, index) => {
                found.end = end;
            }
            _ => push_end(&mut state, put.log, end),
        }
        state.gather.taken();
        let must_look = match self.open_leaves(&state) {
            Leaves::Now => true,
            Leaves::Soon => state.gather_until.is_none(),
            Leaves::Later => false,
        };
        drop(state);
        if must_look {
            self.work.notify_one();
        }
    }

    /// Puts any other entry; returns the sequence of its frame, which is flushed soon.
    pub(crate) fn put_entry(&self, entry: &Entry) -> u64 {
        let mut state = self.state.borrow_mut();
        let sequence = state.next_sequence;
        let put = state.open.as_mut().map(|open| {
            open.wants_flush = true;
            open.is_urgent = true;
            open.builder.push(entry)
        });
        drop(state);
        if !matches!(put, Some(Ok(_))) {
            self.misplaced();
        }
        self.work.notify_one();
        sequence
    }

    /// An entry was put without `make_room`: our own mistake, after which the lane no longer holds
    /// what the logs show, so nothing may ever be acknowledged again.
    fn misplaced(&self) {
        debug_assert!(false, "an entry is put after make_room");
        self.spoil("append");
    }

    /// Raises the fence because the open frame is not what was taken into it.
    fn spoil(&self, operation: &'static str) {
        self.fence.raise(FenceCause {
            operation,
            target: "frame".into(),
            errno: 0,
        });
        self.wake_all();
    }

    /// Closes the open frame, if any: checksums are made, tails get their slices.
    pub(crate) fn close_open(&self) {
        let (open, sequence, durable) = {
            let mut state = self.state.borrow_mut();
            let Some(open) = state.open.take() else {
                return;
            };
            let durable = if planted::is(Bug::DurableFromWritten) {
                state.written_sequence
            } else {
                state.durable_sequence
            };
            (open, state.next_sequence, durable)
        };
        let entries = open.builder.entry_count();
        let place = FramePlace {
            directory: self.identity.directory,
            lane: self.identity.lane,
            run: self.identity.run,
            file: self.file(open.half).id,
            position: open.position,
        };
        let (frame, rest) = match open.builder.finish(place, sequence, durable) {
            Ok(finished) => finished,
            Err(error) => {
                // The limits of `append` rule it out; what was taken must not be acknowledged.
                tracing::error!(%error, "a frame cannot be closed");
                self.spoil("encode");
                return;
            }
        };
        for append in &open.appends {
            append.log.push_tail(TailBatch {
                first: append.first,
                last: append.last,
                max_timestamp: append.max_timestamp,
                sequence,
                frame: frame.bytes.clone(),
                range: append.range.as_range(),
                crc: append.crc,
            });
        }
        let mut state = self.state.borrow_mut();
        let bytes = to_u64(frame.bytes.len());
        state.next_sequence = sequence.saturating_add(1);
        state.gather_until = None;
        state.position = open.position.saturating_add(bytes);
        rest.put_back(&mut state.rest);
        state.last_frame = engine_rt::now();
        state.last_carried = durable;
        if entries > 0 {
            state.last_entries = sequence;
        }
        if open.wants_flush {
            state.flush_wanted = state.flush_wanted.max(sequence);
        }
        state.closed.push_back(ClosedFrame {
            sequence,
            half: open.half,
            position: open.position,
            bytes: frame.bytes,
        });
        state.pending.push_back(PendingFrame {
            sequence,
            half: open.half,
            bytes,
            is_written: false,
            appends: open.appends.len(),
            wants_flush: open.wants_flush,
            ends: open.ends,
        });
        drop(state);
        self.work.notify_one();
        self.closed.notify_one();
    }
}

fn open_end(state: &mut State, index: usize) -> Option<&mut FrameEnd> {
    state
        .open
        .as_mut()
        .and_then(|open| open.ends.get_mut(index))
}

fn push_end(state: &mut State, log: &PartitionLog, end: Offset) {
    let sequence = state.next_sequence;
    if let Some(open) = state.open.as_mut() {
        log.set_touched(sequence, open.ends.len());
        open.ends.push(FrameEnd {
            log: log.clone(),
            end,
        });
    }
}

/// The half that may be begun.
fn free_half(state: &State) -> Option<usize> {
    state
        .halves
        .iter()
        .position(|half| *half == HalfState::Free)
}
