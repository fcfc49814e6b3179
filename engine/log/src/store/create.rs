//! Creating and deleting logs.

use super::Store;
use crate::config::LogConfig;
use crate::epochs::LeaderEpochs;
use crate::error::{OfflineReason, StorageError};
use crate::format::Entry;
use crate::partition_log::{LogFailure, LogParts, PartitionLog};
use crate::producers::Producers;
use crate::store_core::StoreCore;
use engine_model::planted::{self, Bug};
use engine_model::{LogId, Offset, TopicPartition};

/// Bytes of the payload of a Create entry, generously.
const CREATE_BYTES: usize = 64;

impl StoreCore {
    pub(crate) fn insert(&self, log: &PartitionLog) {
        self.logs.borrow_mut().insert(log.id(), log.clone());
        if !log.is_nameless() {
            self.by_partition
                .borrow_mut()
                .insert(log.partition(), log.clone());
        }
    }

    fn remove(&self, log: &PartitionLog) {
        self.logs.borrow_mut().remove(&log.id());
        let mut by_partition = self.by_partition.borrow_mut();
        if by_partition
            .get(&log.partition())
            .is_some_and(|l| l.is(log))
        {
            by_partition.remove(&log.partition());
        }
    }
}

impl Store {
    /// Creates the log of a partition; durable when it returns.
    ///
    /// Errors: `AlreadyExists`, or the fence; the log is then not there or not durable.
    /// Cancel: safe; the log may have been created.
    pub async fn create(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<PartitionLog, StorageError> {
        let core = &self.core;
        core.grow_lane_for(u64::from(config.max_message_bytes))
            .await?;
        let turn = core.wait_for_room(std::iter::once(CREATE_BYTES)).await?;
        core.lane().check()?;
        if self.find(partition).is_some() {
            return Err(StorageError::AlreadyExists(partition));
        }
        core.lane().make_room(CREATE_BYTES)?;
        let identity = core.identity();
        let id = LogId {
            run: identity.run,
            lane: identity.lane,
            counter: if planted::is(Bug::LogIdReused) {
                partition
                    .partition
                    .get()
                    .cast_unsigned()
                    .saturating_add(1 << 20)
            } else {
                core.next_counter()?
            },
        };
        let parts = LogParts {
            id,
            partition,
            generation: 0,
            log_start: Offset::ZERO,
            log_end: Offset::ZERO,
            segments: Vec::new(),
            epochs: LeaderEpochs::new(),
            producers: Producers::new(),
            offline: None,
            config,
            is_configured: true,
        };
        let log = PartitionLog::new(core, parts);
        let sequence = core.lane().put_entry(&Entry::Create {
            log: id,
            partition,
            start: Offset::ZERO,
        });
        core.insert(&log);
        drop(turn);
        if !planted::is(Bug::CreateAnsweredEarly) {
            core.lane().wait_durable(sequence).await?;
        }
        Ok(log)
    }

    /// Deletes the log of a partition; durable when it returns, its files go later (rule 5).
    ///
    /// Waiters are told at once. Cancel: safe; the log is deleted or not.
    pub async fn delete(&self, partition: TopicPartition) -> Result<(), StorageError> {
        let core = &self.core;
        let turn = core.wait_for_entry(0).await?;
        core.lane().check()?;
        let Some(log) = self.find(partition) else {
            return Err(StorageError::NotFound(partition));
        };
        core.lane().make_room(0)?;
        let sequence = core.lane().put_entry(&Entry::Delete {
            log: log.id(),
            generation: log.generation(),
        });
        log.go_offline(OfflineReason::Deleted);
        core.remove(&log);
        core.add_garbage_log(&log, sequence);
        drop(turn);
        log.notify_failed(LogFailure::Deleted);
        if planted::is(Bug::DeleteAnsweredEarly) {
            return Ok(());
        }
        core.lane().wait_durable(sequence).await
    }
}
