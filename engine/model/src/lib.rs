//! The nouns every other crate speaks: offsets, epochs, ids, names, error codes, limits, time.
//!
//! Nothing here does more than arithmetic, comparison and `Display`: no I/O, no clock, no policy.

mod collections;
mod error_code;
mod ids;
pub mod limits;
mod numbers;
pub mod planted;
mod time;
mod topic;

pub use collections::{HashMap, HashSet};
pub use error_code::ErrorCode;
pub use ids::{
    ClusterId, DirectoryId, LogId, NodeId, ProducerId, ShardId, TopicId, TopicPartition,
};
pub use numbers::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, Sequence};
pub use time::{Moment, Timestamp};
pub use topic::{TopicName, TopicNameError};
