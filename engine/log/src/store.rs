//! The live storage of one shard: its lane, its logs, its background work.
//!
//! Does not: know which logs should exist (`replication_runtime`), or speak across shards.

mod create;
mod start;
mod stop;

pub(crate) use start::inline;

use crate::error::FenceCause;
use crate::fence::FenceSignal;
use crate::format::{FileId, LogImage};
use crate::options::StorageOptions;
use crate::partition_log::PartitionLog;
use crate::store_core::StoreCore;
use engine_model::{DirectoryId, LogId, ShardId, TopicPartition};
use engine_rt::task::TaskSet;
use std::path::PathBuf;
use std::rc::Rc;

/// What one shard needs to start its store; may cross threads.
#[derive(Debug)]
pub struct StoreSeed {
    /// The shard it is for.
    pub shard: ShardId,
    pub(crate) path: PathBuf,
    pub(crate) directory: DirectoryId,
    pub(crate) run: u64,
    pub(crate) options: StorageOptions,
    pub(crate) fence: FenceSignal,
    pub(crate) lane_files: [FileId; 2],
    pub(crate) manifests: [FileId; 2],
    pub(crate) manifest_number: u64,
    pub(crate) next_counter: u32,
    pub(crate) logs: Vec<LogImage>,
    /// Logs that end below what had been acknowledged before an unfence.
    pub(crate) lost: Vec<LogId>,
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
    /// Bytes of the lane that are ready for use.
    pub lane_bytes: u64,
    /// Bytes of batches held in tails, cached ones included.
    pub tail_bytes: u64,
    /// Bytes of durable frames that tails hold in memory.
    pub frame_bytes_held: u64,
    /// Checkpoints taken since the start.
    pub checkpoints: u64,
    /// Bytes of batches written to segments since the start.
    pub segment_bytes_written: u64,
    /// Groups of segments that compaction has replaced since the start.
    pub compacted_groups: u64,
    /// Bytes that the scrub has read since the start.
    pub scrub_bytes: u64,
    /// Times that it has read everything.
    pub scrub_passes: u64,
    /// Damaged places that it has found, each counted once.
    pub scrub_damaged_places: u64,
}

/// The live storage of one shard. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    core: Rc<StoreCore>,
    tasks: TaskSet,
}

impl Store {
    /// All logs of this shard, in the order of their ids.
    ///
    /// Not among them: logs set apart whose partition could not be read; repair knows them.
    pub fn logs(&self) -> Vec<PartitionLog> {
        let logs = self.core.logs.borrow();
        logs.values()
            .filter(|log| !log.is_nameless())
            .cloned()
            .collect()
    }

    /// The log of a partition.
    pub fn find(&self, partition: TopicPartition) -> Option<PartitionLog> {
        self.core.by_partition.borrow().get(&partition).cloned()
    }

    /// Why the data directory takes no changes, if so.
    pub fn fenced(&self) -> Option<FenceCause> {
        self.core.fence().cause().cloned()
    }

    /// Waits until the data directory takes no changes, and says why. Cancel: safe.
    pub async fn until_fenced(&self) -> FenceCause {
        loop {
            let told = self.core.fence_told.notified();
            if let Some(cause) = self.fenced() {
                return cause;
            }
            told.await;
        }
    }

    /// Figures for metrics.
    pub fn stats(&self) -> StoreStats {
        let lane = self.core.lane().figures();
        let scrub = self.core.scrub.figures();
        StoreStats {
            logs: self.core.logs.borrow().len(),
            last_sequence: lane.last_sequence,
            written_sequence: lane.written_sequence,
            durable_sequence: lane.durable_sequence,
            lane_bytes_used: lane.bytes_used,
            lane_bytes: lane.bytes,
            tail_bytes: self.core.tail_bytes(),
            frame_bytes_held: lane.held_bytes,
            checkpoints: self.core.checkpoints.get(),
            segment_bytes_written: self.core.segment_bytes_written.get(),
            compacted_groups: self.core.compacted_groups.get(),
            scrub_bytes: scrub.bytes,
            scrub_passes: scrub.passes,
            scrub_damaged_places: scrub.damaged_places,
        }
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
