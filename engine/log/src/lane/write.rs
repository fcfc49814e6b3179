//! Writing closed frames, two at a time, and telling logs what was written.

use super::{ClosedFrame, DEPTH, FrameEnd, Lane, State};
use crate::number::{to_u64, to_usize};
use engine_model::Offset;
use engine_rt::task::TaskSet;
use std::rc::Rc;

impl Lane {
    /// Starts what writes frames until the lane stops: a task for each that may be in flight.
    pub(crate) fn start_writing(self: &Rc<Self>, tasks: &TaskSet) {
        for _ in 0..DEPTH {
            tasks.spawn(Rc::clone(self).write_frames());
        }
    }

    async fn write_frames(self: Rc<Self>) {
        loop {
            if let Some(frame) = self.next_frame() {
                self.write_frame(frame).await;
            }
            if self.is_over() {
                // The other writers may have waited for this one.
                self.work.notify_all();
                return;
            }
            self.work.notified().await;
        }
    }

    fn is_over(&self) -> bool {
        self.fence.cause().is_some() || (self.is_stopping.get() && self.is_idle())
    }

    /// Whether every frame has been written.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.borrow();
        state.open.is_none() && state.closed.is_empty() && state.in_flight == 0
    }

    /// The frame to write next, if it may leave now.
    fn next_frame(&self) -> Option<ClosedFrame> {
        if self.fence.cause().is_some() {
            return None;
        }
        let must_close = {
            let state = self.state.borrow();
            if state.in_flight >= DEPTH {
                return None;
            }
            state.closed.is_empty() && self.open_may_leave(&state)
        };
        if must_close {
            self.close_open();
        }
        let mut state = self.state.borrow_mut();
        let frame = state.closed.pop_front()?;
        state.in_flight = state.in_flight.saturating_add(1);
        if !state.closed.is_empty() || self.open_may_leave(&state) {
            // Another writer's.
            self.work.notify_one();
        }
        Some(frame)
    }

    /// Whether the open frame, if any, is not to wait for more: nothing is on its way to the disk, or
    /// there is enough in it for a write of its own.
    pub(super) fn open_may_leave(&self, state: &State) -> bool {
        let early = u64::from(self.options.frame_bytes_early);
        state
            .open
            .as_ref()
            .is_some_and(|open| state.in_flight == 0 || to_u64(open.builder.bytes()) >= early)
    }

    async fn write_frame(&self, frame: ClosedFrame) {
        let ClosedFrame {
            sequence,
            half,
            position,
            bytes,
        } = frame;
        let result = self.file(half).file().write_at(position, bytes).await;
        {
            let mut state = self.state.borrow_mut();
            state.in_flight = state.in_flight.saturating_sub(1);
        }
        match result {
            Ok(()) => self.written(sequence),
            Err(error) => self.fail(&error),
        }
    }

    /// Notes that a frame was written, and announces all that are now written without a gap.
    fn written(&self, sequence: u64) {
        let (newly, must_look) = {
            let mut state = self.state.borrow_mut();
            let mut newly: Vec<(crate::PartitionLog, Offset)> = Vec::new();
            if state.unflushed_bytes == 0 {
                state.unflushed_since = engine_rt::now();
            }
            let first = state
                .pending
                .front()
                .map_or(sequence, |frame| frame.sequence);
            let place = |sequence: u64| to_usize(sequence.saturating_sub(first));
            let mut bytes = 0;
            if let Some(frame) = state.pending.get_mut(place(sequence)) {
                debug_assert_eq!(frame.sequence, sequence, "pending frames have no gap");
                frame.is_written = true;
                bytes = frame.bytes;
            }
            let next = place(state.written_sequence.saturating_add(1));
            let mut written = state.written_sequence;
            for frame in state
                .pending
                .range(next..)
                .take_while(|frame| frame.is_written)
            {
                written = frame.sequence;
                newly.extend(frame.ends.iter().map(FrameEnd::share));
            }
            // With bytes unflushed before, the flusher has its time set already.
            let is_first = state.written_sequence <= state.durable_sequence;
            state.written_sequence = written;
            state.unflushed_bytes = state.unflushed_bytes.saturating_add(bytes);
            let must_look = is_first
                || state.flush_wanted > state.durable_sequence
                || state.unflushed_bytes >= self.options.written_flush_bytes
                || self.is_stopping.get();
            (newly, must_look)
        };
        if self.fence.cause().is_none() {
            for (log, end) in &newly {
                log.written_to(*end);
            }
        }
        if must_look {
            self.flush.notify_one();
        }
        // The writers run behind all that was just woken, which may join the next frame.
        self.work.notify_one();
        self.progress.notify_all();
    }
}

impl FrameEnd {
    pub(super) fn share(&self) -> (crate::PartitionLog, Offset) {
        (self.log.clone(), self.end)
    }
}
