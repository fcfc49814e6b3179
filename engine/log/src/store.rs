//! The live storage of one shard: its lane, its logs, its background work.
//!
//! Does not: know which logs should exist (`replication_runtime`), or speak across shards.

use crate::config::LogConfig;
use crate::error::{FenceCause, StorageError};
use crate::partition_log::PartitionLog;
use engine_model::{ShardId, TopicPartition};
use std::rc::Rc;

/// What one shard needs to start its store; may cross threads.
#[derive(Debug)]
pub struct StoreSeed {
    /// The shard it is for.
    pub shard: ShardId,
}

/// Figures of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Logs, offline ones included.
    pub logs: usize,
    /// The last sequence given to a frame.
    pub last_sequence: u64,
    /// All frames up to it are written.
    pub written_sequence: u64,
    /// All frames up to it are flushed.
    pub durable_sequence: u64,
    /// Bytes of the lane that wait for a checkpoint.
    pub lane_bytes_used: u64,
    /// Bytes of the lane.
    pub lane_bytes: u64,
    /// Bytes held in tails, cached ones included.
    pub tail_bytes: u64,
    /// Checkpoints taken since the start.
    pub checkpoints: u64,
    /// Bytes written to segments since the start.
    pub segment_bytes_written: u64,
}

/// The live storage of one shard. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Rc<Inner>,
}

struct Inner {}

impl Store {
    /// Starts the store of this shard; must be called on it.
    pub async fn start(_seed: StoreSeed) -> Result<Self, StorageError> {
        Err(StorageError::Stopped)
    }

    /// All logs of this shard, in the order of their ids.
    pub fn logs(&self) -> Vec<PartitionLog> {
        let _ = &self.inner;
        Vec::new()
    }

    /// The log of a partition.
    pub fn find(&self, _partition: TopicPartition) -> Option<PartitionLog> {
        None
    }

    /// Creates the log of a partition; durable when it returns.
    pub async fn create(
        &self,
        _partition: TopicPartition,
        _config: LogConfig,
    ) -> Result<PartitionLog, StorageError> {
        Err(StorageError::Stopped)
    }

    /// Deletes the log of a partition; durable when it returns, its files go later.
    pub async fn delete(&self, _partition: TopicPartition) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }

    /// Stops: takes no more changes, writes a checkpoint, ends all background work.
    pub async fn stop(&self) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }

    /// Stops without a checkpoint, for a fenced directory; the answer goes to
    /// [`crate::Directory::unfence`].
    pub async fn stop_fenced(&self) -> crate::directory::StableEnds {
        crate::directory::StableEnds::default()
    }

    /// Why the data directory takes no changes, if so.
    pub fn fenced(&self) -> Option<FenceCause> {
        None
    }

    /// Figures for metrics.
    pub fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
}

/// The shard a partition lives on: (hash(topic id) + partition) mod `shards`.
///
/// The hash is FNV-1a over the id's bytes: placement must not move when a library changes.
pub fn home_shard(partition: TopicPartition, shards: usize) -> ShardId {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in partition.topic_id.to_bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    let number = u64::from(partition.partition.get().cast_unsigned());
    let shards = u64::try_from(shards.max(1)).unwrap_or(1);
    let place = hash.wrapping_add(number).checked_rem(shards).unwrap_or(0);
    ShardId(u16::try_from(place).unwrap_or(0))
}
