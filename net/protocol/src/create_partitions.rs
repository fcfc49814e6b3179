//! CreatePartitions: adds partitions to topics.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-195, KIP-599.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, NodeId};

const KEY: ApiKey = ApiKey::CreatePartitions;

message! {
    /// Asks to add partitions to topics.
    request CreatePartitionsRequest -> CreatePartitionsResponse {
        /// One entry a topic.
        topics: Vec<CreatePartitionsTopic> [0+];
        /// How long the request may wait, in milliseconds.
        timeout_ms: i32 [0+];
        /// Whether to check only.
        validate_only: bool [0+];
    }
}

message! {
    /// A topic that is to have more partitions.
    struct CreatePartitionsTopic {
        /// Its name.
        name: Text [0+];
        /// Number of partitions it shall have, those it has included.
        count: i32 [0+];
        /// Replicas of the new partitions by hand; null for automatic.
        assignments: Option<Vec<CreatePartitionsAssignment>> [0+, null 0+];
    }
}

message! {
    /// The replicas of one new partition.
    struct CreatePartitionsAssignment {
        /// The brokers, the preferred leader first.
        broker_ids: Vec<NodeId> [0+];
    }
}

message! {
    /// What became of each topic.
    response CreatePartitionsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+];
        /// One entry a topic.
        results: Vec<CreatePartitionsTopicResult> [0+];
    }
}

message! {
    /// What became of one topic.
    struct CreatePartitionsTopicResult {
        /// Its name.
        name: Text [0+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// What went wrong, in words.
        error_message: Option<Text> [0+, null 0+] = None;
    }
}
