//! Leader epochs: beginning one, and the questions replicas and clients ask about them.

use super::PartitionLog;
use crate::error::AppendError;
use crate::format::Entry;
use engine_model::planted::{self, Bug};
use engine_model::{LeaderEpoch, Offset};
use std::rc::Rc;

impl PartitionLog {
    /// The epoch begun last, or [`LeaderEpoch::NONE`].
    pub fn latest_leader_epoch(&self) -> LeaderEpoch {
        self.inner.state.borrow().epochs.latest()
    }

    /// Begins a leader epoch: its entry stands in the lane before any append of it.
    ///
    /// The same epoch again changes nothing; an older one is refused (`FencedLeaderEpoch`).
    /// Cancel: safe; it has begun or it has not.
    pub async fn begin_leader_epoch(&self, epoch: LeaderEpoch) -> Result<(), AppendError> {
        let core = self.core()?;
        let _turn = core.wait_for_entry(0).await?;
        core.lane().check()?;
        self.check_online()?;
        let current = self.latest_leader_epoch();
        if epoch == current {
            return Ok(());
        }
        core.lane().make_room(0)?;
        let end = self.log_end_offset();
        let mut state = self.inner.state.borrow_mut();
        if Rc::make_mut(&mut state.epochs).assign(epoch, end).is_err() {
            return Err(AppendError::FencedLeaderEpoch {
                current,
                found: epoch,
            });
        }
        let generation = state.generation;
        drop(state);
        if planted::is(Bug::EpochNotLogged) {
            return Ok(());
        }
        core.lane().put_entry(&Entry::Epoch {
            log: self.id(),
            generation,
            leader_epoch: epoch,
            end,
        });
        Ok(())
    }

    /// The leader epoch of an offset, or [`LeaderEpoch::NONE`].
    pub fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.inner.state.borrow().epochs.epoch_at(offset)
    }

    /// The largest epoch at or below `epoch` and where it ended, as Kafka answers
    /// OffsetForLeaderEpoch.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let end = self.log_end_offset();
        self.inner.state.borrow().epochs.end_offset_for(epoch, end)
    }
}
