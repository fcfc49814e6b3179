//! The storage engine: lane, logs, segments, checkpoints, recovery.
//!
//! Each shard has one redo log, the lane, that orders everything which changes any of its logs;
//! tails move to per-log segment files in the background; the manifest is a full checkpoint;
//! recovery is manifest and replay.
//!
//! The way in: [`open`] recovers a data directory and hands out one [`StoreSeed`] a shard;
//! [`Store::start`] turns a seed into the live store of its shard; a [`PartitionLog`] takes
//! appends and answers reads. What knows nothing of time, files or tasks (byte formats, producer
//! state, epochs) lives in modules of its own that recovery and the live path share.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod buffer;
mod checkpoint;
mod chunks;
mod compaction;
mod config;
mod directory;
pub mod epochs;
mod error;
mod fence;
pub mod format;
mod lane;
mod lru;
mod number;
pub mod offline;
mod opening;
mod options;
mod partition_log;
pub use engine_model::planted;
pub mod producers;
mod recovery;
mod repair;
mod segment;
mod store;
mod store_core;
mod tail;
#[cfg(test)]
mod tests;
mod upkeep;

pub use config::{Durability, LogConfig, TimestampType};
pub use directory::{Directory, Opened, RecoveryReport, StableEnds, Unfenced, open};
pub use error::{
    AppendError, FenceCause, OfflineReason, OpenError, ReadError, RecordError, StorageError,
};
pub use options::StorageOptions;
pub use partition_log::{
    AppendOptions, Appended, LogFailure, LogListener, LogState, Origin, PartitionLog, ReadAnswer,
    ReadOptions, TimestampOffset,
};
pub use repair::{AcceptLoss, RepairReport, RepairedLog, repair};
pub use store::{Store, StoreSeed, StoreStats, home_shard};
