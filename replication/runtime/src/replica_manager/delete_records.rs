//! Deleting the oldest records of a partition because somebody asked for it.

use super::ReplicaManager;
use crate::error::ReplicaError;
use engine_config::TopicConfig;
use engine_log::ReadError;
use engine_model::{LeaderEpoch, Offset, TopicPartition};

impl ReplicaManager {
    /// Forgets the records below `offset`, or below the high watermark for `Offset::NONE`, and
    /// answers the first offset that can be read. The new start is durable when it returns.
    ///
    /// Errors: `Read(OffsetOutOfRange)` below 0 and above the high watermark; `Compacted` where
    /// every key must keep its last record.
    /// Cancel: safe; the start has moved or not, and may not be durable yet.
    pub async fn delete_records(
        &self,
        partition: TopicPartition,
        offset: Offset,
    ) -> Result<Offset, ReplicaError> {
        let replica = self.replica(partition)?;
        replica.check_leader(LeaderEpoch::NONE)?;
        let log = replica.log()?;
        if self.is_compacted_only(partition) {
            return Err(ReplicaError::Compacted);
        }
        let end = replica.high_watermark();
        let offset = if offset == Offset::NONE { end } else { offset };
        if offset < Offset::ZERO || offset > end {
            let start = log.log_start_offset();
            return Err(ReadError::OffsetOutOfRange { offset, start, end }.into());
        }
        log.advance_log_start(offset).await?;
        Ok(log.log_start_offset())
    }

    fn is_compacted_only(&self, partition: TopicPartition) -> bool {
        let image = self.image();
        let Some(topic) = image.topic(partition.topic_id) else {
            return false;
        };
        let (config, _) = TopicConfig::in_force(&topic.configs, &self.config());
        let policy = config.cleanup_policy;
        policy.compact && !policy.delete
    }
}
