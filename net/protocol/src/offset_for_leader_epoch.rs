//! OffsetForLeaderEpoch: tells where the records of a leader epoch end.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-101, KIP-279, KIP-320.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex};

const KEY: ApiKey = ApiKey::OffsetForLeaderEpoch;

message! {
    /// Asks where leader epochs end.
    request OffsetForLeaderEpochRequest -> OffsetForLeaderEpochResponse {
        /// The follower that asks, -1 for a consumer, -2 for nobody told.
        replica_id: NodeId [3+] ignorable = NodeId(-2);
        /// One entry a topic.
        topics: Vec<OffsetForLeaderTopic> [0+];
    }
}

message! {
    /// The partitions of one topic.
    struct OffsetForLeaderTopic {
        /// Its name.
        topic: Text [0+];
        /// One entry a partition.
        partitions: Vec<OffsetForLeaderPartition> [0+];
    }
}

message! {
    /// The epoch asked for in one partition.
    struct OffsetForLeaderPartition {
        /// The partition.
        partition: PartitionIndex [0+];
        /// The epoch the client takes for the current one, -1 if unknown.
        current_leader_epoch: LeaderEpoch [2+] ignorable = LeaderEpoch::NONE;
        /// The epoch whose end is asked for.
        leader_epoch: LeaderEpoch [0+];
    }
}

message! {
    /// The ends found.
    response OffsetForLeaderEpochResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [2+] ignorable;
        /// One entry a topic.
        topics: Vec<OffsetForLeaderTopicResult> [0+];
    }
}

message! {
    /// The answers for one topic.
    struct OffsetForLeaderTopicResult {
        /// Its name.
        topic: Text [0+];
        /// One entry a partition.
        partitions: Vec<EpochEndOffset> [0+];
    }
}

message! {
    /// The answer for one partition.
    struct EpochEndOffset {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// The partition.
        partition: PartitionIndex [0+];
        /// The largest epoch not above the one asked for, -1 if there is none.
        leader_epoch: LeaderEpoch [1+] ignorable = LeaderEpoch::NONE;
        /// The offset behind its last record, -1 if there is none.
        end_offset: Offset [0+] = Offset::NONE;
    }
}
