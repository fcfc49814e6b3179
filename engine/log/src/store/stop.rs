//! Stopping a store: cleanly, or fenced.

use super::Store;
use crate::directory::StableEnds;
use crate::error::{OfflineReason, StorageError};
use std::rc::Rc;

/// How often in a row the last checkpoint may fail before a stop goes on without it.
const FAILURES_MAX: u32 = 10;

impl Store {
    /// Stops: takes no more changes, writes a checkpoint, ends all background work.
    ///
    /// Errors: the fence or a full disk; the stop was then not clean, all acknowledged records are
    /// safe, and the background work has ended. Cancel: not safe.
    pub async fn stop(&self) -> Result<(), StorageError> {
        self.core.lane().close();
        let result = self.last_checkpoint().await;
        self.end().await;
        result
    }

    /// Stops without a checkpoint, for a fenced directory; the answer goes to
    /// [`crate::Directory::unfence`].
    pub async fn stop_fenced(&self) -> StableEnds {
        self.core.lane().close();
        let mut ends = StableEnds::default();
        for log in self.logs() {
            ends.ends.insert(log.id(), log.stable_end());
        }
        self.core.capture.take();
        self.end().await;
        ends
    }

    async fn last_checkpoint(&self) -> Result<(), StorageError> {
        let lane = Rc::clone(self.core.lane());
        lane.close_open();
        lane.wait_durable(lane.last_sequence()).await?;
        let before = loop {
            self.check_fence()?;
            if let Some(error) = self.core.failure(FAILURES_MAX) {
                return Err(error);
            }
            if self.core.capture.borrow().is_none() && lane.can_switch() {
                let before = self.core.checkpoints.get();
                if lane.force_switch() {
                    break before;
                }
            }
            self.core.upkeep.notify_one();
            lane.progress().await;
        };
        while self.core.checkpoints.get() == before {
            self.check_fence()?;
            if let Some(error) = self.core.failure(FAILURES_MAX) {
                return Err(error);
            }
            lane.progress().await;
        }
        Ok(())
    }

    fn check_fence(&self) -> Result<(), StorageError> {
        match self.fenced() {
            Some(cause) => Err(StorageError::Fenced(cause)),
            None => Ok(()),
        }
    }

    async fn end(&self) {
        self.core.is_stopping.set(true);
        self.core.capture.take();
        self.core.lane().stop();
        self.core.upkeep.notify_one();
        self.core.compaction.notify_one();
        for panic in self.tasks.join_all().await {
            tracing::error!(message = panic.message, "a task of the store panicked");
        }
        for log in self.core.logs.borrow().values() {
            log.go_offline(OfflineReason::Stopped);
        }
        self.core.logs.borrow_mut().clear();
        self.core.by_partition.borrow_mut().clear();
    }
}
