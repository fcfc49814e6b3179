//! Moving the start of a log: retention and DeleteRecords.

use super::PartitionLog;
use crate::error::StorageError;
use crate::format::Entry;
use engine_model::Offset;
use engine_model::planted::{self, Bug};
use std::rc::Rc;

impl PartitionLog {
    /// Moves the start of the log up to `offset`; durable when it returns.
    ///
    /// At or below the start nothing happens. Files wholly below it go with the next checkpoints.
    /// Errors: `OffsetOutOfRange` above the end. Cancel: safe; the start has moved or not, and may
    /// not be durable yet.
    pub async fn advance_log_start(&self, offset: Offset) -> Result<(), StorageError> {
        let core = self.core()?;
        let turn = core.wait_for_entry(0).await?;
        core.lane().check()?;
        self.check_online()?;
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        if offset <= start {
            return Ok(());
        }
        if offset > end {
            return Err(StorageError::OffsetOutOfRange { offset, start, end });
        }
        core.lane().make_room(0)?;
        let generation = {
            let mut state = self.inner.state.borrow_mut();
            Rc::make_mut(&mut state.epochs).truncate_from_start(offset);
            state.generation
        };
        self.inner.log_start.set(offset);
        let sequence = core.lane().put_entry(&Entry::LogStart {
            log: self.id(),
            generation,
            start: offset,
        });
        drop(turn);
        self.notify_moved();
        core.free_files_later();
        if planted::is(Bug::LogStartAnsweredEarly) {
            return Ok(());
        }
        core.lane().wait_durable(sequence).await
    }
}
