//! The durable heartbeat: some time after the last frame an empty one carries and flushes the
//! durable sequence, so that rot in the last frames can be told from a torn tail (rule 10). Entries
//! leave a block of every half for it.

use super::Lane;
use crate::format::BLOCK_BYTES;
use crate::number::to_u64;
use engine_model::planted::{self, Bug};
use std::rc::Rc;

impl Lane {
    /// Sends heartbeats until the lane stops. One such task a lane; it sleeps while all is said.
    pub(crate) async fn send_heartbeats(self: Rc<Self>) {
        loop {
            let is_over = self.fence.cause().is_some() || self.is_stopping.get();
            if is_over || planted::is(Bug::HeartbeatOmitted) {
                return;
            }
            let due = {
                let state = self.state.borrow();
                let all_durable = state.durable_sequence.saturating_add(1) == state.next_sequence;
                let unsaid = state.last_carried < state.last_entries;
                (unsaid && all_durable && state.open.is_none())
                    .then(|| state.last_frame.saturating_add(self.options.heartbeat))
            };
            match due {
                None => self.closed.notified().await,
                Some(due) if engine_rt::now() < due => {
                    let _ = engine_rt::timeout_at(due, self.closed.notified()).await;
                }
                Some(_) => self.send_heartbeat(),
            }
        }
    }

    /// Closes an empty frame if the active half has a block left; never begins the other half.
    fn send_heartbeat(&self) {
        let block = to_u64(BLOCK_BYTES);
        let has_block = {
            let state = self.state.borrow();
            let left = self
                .file(state.half)
                .ready_bytes()
                .saturating_sub(state.position);
            left >= block
        };
        if has_block && self.check().is_ok() {
            self.open_frame(block, block);
            self.close_open();
            let mut state = self.state.borrow_mut();
            let last = state.next_sequence.saturating_sub(1);
            state.flush_wanted = state.flush_wanted.max(last);
        } else {
            // Nothing can be said now; the next frame says it.
            let mut state = self.state.borrow_mut();
            state.last_carried = state.last_entries;
        }
    }
}
