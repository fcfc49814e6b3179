//! Drivers that tie the machines of metadata and partitions to their logs.
//!
//! - [`ControllerDriver`], on one shard: the controller over the log of `__cluster_metadata`;
//! - [`ReplicaManager`], on every shard: the replicas that live there, and what is asked of them;
//! - [`PartitionReplica`]: one replica, a machine beside its log.
//!
//! Shards speak to each other only in [`ShardRequest`] and [`ControllerRequest`], plain values that
//! the caller carries over whatever links shards. Time, tasks and randomness come from `engine_rt`,
//! so everything here runs in the simulator.

mod controller;
mod error;
mod log_config;
mod partition_replica;
mod replica_manager;
mod request;

pub use controller::{ControllerDriver, ControllerParts, controller_shard};
pub use error::{ControllerError, ReplicaError};
pub use log_config::log_config;
pub use partition_replica::{AppendAnswer, PartitionReplica};
pub use replica_manager::{
    FetchAnswer, FetchOptions, FoundOffset, Horizon, OffsetTarget, ReplicaManager, ReplicaParts,
};
pub use replication_partition::{Acks, OfflineCause, Refusal, WaitError};
pub use request::{
    AlterConfigsAnswer, ControllerRequest, ControllerResponse, CreatePartitionsAnswer,
    CreateTopicsAnswer, DeleteTopicsAnswer, NewLog, ShardAnswer, ShardLink, ShardRequest,
    ShardUnreachable,
};
