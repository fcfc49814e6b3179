//! ListOffsets: finds offsets by time, or the ends of a partition.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-79, KIP-320, KIP-734, KIP-1005, KIP-1075.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, Timestamp};

const KEY: ApiKey = ApiKey::ListOffsets;

message! {
    /// Asks for offsets by timestamp.
    request ListOffsetsRequest -> ListOffsetsResponse {
        /// The follower that asks, -1 for a consumer.
        replica_id: NodeId [0+];
        /// 0 read_uncommitted, 1 read_committed.
        isolation_level: i8 [2+];
        /// One entry a topic.
        topics: Vec<ListOffsetsTopic> [0+];
        /// How long the request may wait, in milliseconds.
        timeout_ms: i32 [10+] ignorable;
    }
}

message! {
    /// The partitions of one topic.
    struct ListOffsetsTopic {
        /// Its name.
        name: Text [0+];
        /// One entry a partition.
        partitions: Vec<ListOffsetsPartition> [0+];
    }
}

message! {
    /// The timestamp to look for in one partition.
    struct ListOffsetsPartition {
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// The epoch the client takes for the current one, -1 if unknown.
        current_leader_epoch: LeaderEpoch [4+] ignorable = LeaderEpoch::NONE;
        /// A time in milliseconds; -1 latest, -2 earliest, -3 largest timestamp, -4 and -5 of
        /// tiered storage.
        timestamp: Timestamp [0+];
    }
}

message! {
    /// The offsets found.
    response ListOffsetsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [2+] ignorable;
        /// One entry a topic.
        topics: Vec<ListOffsetsTopicResponse> [0+];
    }
}

message! {
    /// The answers for one topic.
    struct ListOffsetsTopicResponse {
        /// Its name.
        name: Text [0+];
        /// One entry a partition.
        partitions: Vec<ListOffsetsPartitionResponse> [0+];
    }
}

message! {
    /// The answer for one partition.
    struct ListOffsetsPartitionResponse {
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// That of the record found, -1 if there is none.
        timestamp: Timestamp [1+] = Timestamp::NONE;
        /// The offset, -1 if there is none.
        offset: Offset [1+] = Offset::NONE;
        /// The epoch of that leader, -1 if unknown.
        leader_epoch: LeaderEpoch [4+] = LeaderEpoch::NONE;
    }
}
