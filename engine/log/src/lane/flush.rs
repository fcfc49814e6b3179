//! Flushing: one at a time, covering what was written when it was asked for.

use super::{FrameEnd, HeldFrame, Lane};
use engine_model::Moment;
use engine_model::planted::{self, Bug};
use engine_rt::File;
use std::rc::Rc;

/// What the next flush covers.
struct Target {
    sequence: u64,
    files: Vec<File>,
}

impl Lane {
    /// Flushes frames until the lane stops. One such task a lane.
    pub(crate) async fn flush_frames(self: Rc<Self>) {
        loop {
            if self.fence.cause().is_some() {
                // Another shard may have raised it, and whoever waits here hears of it from nobody
                // else: the task that would tell them may be one of them.
                self.wake_all();
                return;
            }
            // The target is read before the request is pushed: a frame that completes while the
            // flush runs may not be covered by it.
            if let Some(target) = self.flush_target() {
                self.flush_to(target).await;
                continue;
            }
            if self.is_stopping.get() && self.is_idle() {
                return;
            }
            match self.flush_due() {
                Some(due) => {
                    let _ = engine_rt::timeout_at(due, self.flush.notified()).await;
                }
                None => self.flush.notified().await,
            }
        }
    }

    /// When unflushed bytes are flushed although nobody waits.
    fn flush_due(&self) -> Option<Moment> {
        let state = self.state.borrow();
        (state.written_sequence > state.durable_sequence).then(|| {
            state
                .unflushed_since
                .saturating_add(self.options.written_flush_interval)
        })
    }

    fn flush_target(&self) -> Option<Target> {
        let due = self.flush_due()?;
        let mut state = self.state.borrow_mut();
        let sequence = state.written_sequence;
        let durable = state.durable_sequence;
        let is_wanted = state.flush_wanted.min(sequence) > durable;
        let is_large = state.unflushed_bytes >= self.options.written_flush_bytes;
        if !(is_wanted || is_large || self.is_stopping.get() || engine_rt::now() >= due) {
            return None;
        }
        state.unflushed_bytes = 0;
        state.unflushed_since = engine_rt::now();
        let covered = || state.pending.iter().take_while(|f| f.sequence <= sequence);
        let misses = |half| planted::is(Bug::FlushMissesFullHalf) && half != state.half;
        let files = [0, 1]
            .into_iter()
            .filter(|half| covered().any(|frame| frame.half == *half) && !misses(*half))
            .map(|half| self.file(half).file().clone())
            .collect();
        Some(Target { sequence, files })
    }

    async fn flush_to(&self, target: Target) {
        self.state.borrow_mut().is_flushing = true;
        for file in &target.files {
            if let Err(error) = file.sync_data().await {
                if planted::is(Bug::FailedFlushRetried) && file.sync_data().await.is_ok() {
                    continue;
                }
                self.fail(&error);
                return;
            }
        }
        self.state.borrow_mut().is_flushing = false;
        let sequence = if planted::is(Bug::FlushTargetAtCompletion) {
            self.state.borrow().written_sequence
        } else {
            target.sequence
        };
        self.flushed(sequence);
    }

    /// Notes that all frames up to `sequence` are durable, and announces them.
    fn flushed(&self, sequence: u64) {
        if self.fence.cause().is_some() {
            return;
        }
        let mut newly = Vec::new();
        {
            let mut state = self.state.borrow_mut();
            state.durable_sequence = state.durable_sequence.max(sequence);
            let mut appends = 0_usize;
            while let Some(frame) = state.pending.pop_front_if(|f| f.sequence <= sequence) {
                newly.extend(frame.ends.iter().map(FrameEnd::share));
                if frame.wants_flush {
                    appends = appends.saturating_add(frame.appends);
                }
                if !frame.ends.is_empty() {
                    state.held_bytes = state.held_bytes.saturating_add(frame.bytes);
                    state.held.push_back(HeldFrame {
                        sequence: frame.sequence,
                        bytes: frame.bytes,
                        ends: frame.ends,
                    });
                }
            }
            state.gather.announced(appends);
        }
        for (log, end) in &newly {
            log.durable_to(*end);
        }
        // What waited for the flush may leave.
        self.work.notify_one();
        self.closed.notify_one();
        self.progress.notify_all();
    }
}
