//! Writing closed frames, two at a time, and telling logs what was written.

use super::gather::WAIT_MAX;
use super::{ClosedFrame, DEPTH, FrameEnd, Lane, State};
use crate::number::{to_u64, to_usize};
use engine_model::planted::{self, Bug};
use engine_model::{Moment, Offset};
use engine_rt::task::TaskSet;
use std::rc::Rc;

/// When the open frame is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// At once: nothing more is expected, or there is enough in it for a write of its own.
    Now,
    /// When what is expected is here, or its time is up.
    Soon,
    /// When what is under way has ended.
    Later,
}

/// What a writer does next.
enum Next {
    Write(ClosedFrame),
    /// Waits for more, until then.
    Gather(Moment),
    Nothing,
}

impl Lane {
    /// Starts what writes frames until the lane stops: a task for each that may be in flight.
    pub(crate) fn start_writing(self: &Rc<Self>, tasks: &TaskSet) {
        for _ in 0..DEPTH {
            tasks.spawn(Rc::clone(self).write_frames());
        }
    }

    async fn write_frames(self: Rc<Self>) {
        loop {
            match self.next() {
                Next::Write(frame) => self.write_frame(frame).await,
                Next::Gather(until) => {
                    let _ = engine_rt::timeout_at(until, self.work.notified()).await;
                    continue;
                }
                Next::Nothing => {}
            }
            if self.is_over() {
                // The other writers may have waited for this one; and where another shard raised the
                // fence, all who wait for progress.
                self.wake_all();
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

    /// What a writer does next.
    fn next(&self) -> Next {
        if self.fence.cause().is_some() {
            return Next::Nothing;
        }
        let mut leaves = Leaves::Later;
        {
            let mut state = self.state.borrow_mut();
            if state.in_flight >= DEPTH {
                return Next::Nothing;
            }
            if state.closed.is_empty() {
                leaves = self.open_leaves(&state);
            }
            if leaves == Leaves::Soon {
                let now = engine_rt::now();
                let until = *state
                    .gather_until
                    .get_or_insert_with(|| now.saturating_add(WAIT_MAX));
                if now < until {
                    return Next::Gather(until);
                }
                state.gather.was_in_vain();
                leaves = Leaves::Now;
            }
        }
        if leaves == Leaves::Now {
            self.close_open();
        }
        let mut state = self.state.borrow_mut();
        let Some(frame) = state.closed.pop_front() else {
            return Next::Nothing;
        };
        state.in_flight = state.in_flight.saturating_add(1);
        if !state.closed.is_empty() || self.open_leaves(&state) == Leaves::Now {
            // Another writer's.
            self.work.notify_one();
        }
        Next::Write(frame)
    }

    /// When the open frame, if any, is to leave.
    pub(super) fn open_leaves(&self, state: &State) -> Leaves {
        let Some(open) = &state.open else {
            return Leaves::Later;
        };
        let early = u64::from(self.options.frame_bytes_early);
        let is_waited_for = open.is_urgent || self.is_closing.get();
        if to_u64(open.builder.bytes()) >= early {
            Leaves::Now
        } else if state.in_flight > 0 {
            Leaves::Later
        } else if is_waited_for {
            Leaves::Now
        } else if state.is_flushing && open.wants_flush {
            // It could not be flushed before that ends anyhow.
            Leaves::Later
        } else if state.gather.is_enough() {
            Leaves::Now
        } else {
            Leaves::Soon
        }
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
            Err(_) if planted::is(Bug::FailedWriteAcknowledged) => self.written(sequence),
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
            let mut appends = 0_usize;
            for frame in state.pending.range(next..).take_while(|frame| {
                let skips = planted::is(Bug::GapAcknowledged) && frame.sequence <= sequence;
                frame.is_written || skips
            }) {
                written = frame.sequence;
                if !frame.wants_flush {
                    appends = appends.saturating_add(frame.appends);
                }
                newly.extend(frame.ends.iter().map(FrameEnd::share));
            }
            state.gather.announced(appends);
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
