//! DescribeTopicPartitions: describes partitions page by page.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-966.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, TopicId};

const KEY: ApiKey = ApiKey::DescribeTopicPartitions;

message! {
    /// Asks for a page of partitions.
    request DescribeTopicPartitionsRequest -> DescribeTopicPartitionsResponse {
        /// The topics, none for all.
        topics: Vec<TopicRequest> [0+];
        /// How many partitions the page may have.
        response_partition_limit: i32 [0+] = 2000;
        /// Where the page begins, null for the start.
        cursor: Option<Cursor> [0+, null 0+] = None;
    }
}

message! {
    /// A topic.
    struct TopicRequest {
        /// Its name.
        name: Text [0+];
    }
}

message! {
    /// The first partition of a page.
    nullable struct Cursor {
        /// Its topic.
        topic_name: Text [0+];
        /// The partition.
        partition_index: PartitionIndex [0+];
    }
}

message! {
    /// A page of partitions.
    response DescribeTopicPartitionsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+] ignorable;
        /// One entry a topic.
        topics: Vec<DescribeTopicPartitionsResponseTopic> [0+];
        /// Where the next page begins, null behind the last.
        next_cursor: Option<Cursor> [0+, null 0+] = None;
    }
}

message! {
    /// One topic.
    struct DescribeTopicPartitionsResponseTopic {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// Its name.
        name: Option<Text> [0+, null 0+];
        /// The id of the topic.
        topic_id: TopicId [0+] ignorable;
        /// Whether the broker keeps it for itself.
        is_internal: bool [0+] ignorable;
        /// One entry a partition of the page.
        partitions: Vec<DescribeTopicPartitionsResponsePartition> [0+];
        /// Bits of what the client may do, `i32::MIN` if not told.
        topic_authorized_operations: i32 [0+] = i32::MIN;
    }
}

message! {
    /// One partition.
    struct DescribeTopicPartitionsResponsePartition {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// The leader, -1 if there is none.
        leader_id: NodeId [0+];
        /// The epoch of that leader, -1 if unknown.
        leader_epoch: LeaderEpoch [0+] ignorable = LeaderEpoch::NONE;
        /// The brokers that hold it.
        replica_nodes: Vec<NodeId> [0+];
        /// Those that are in sync.
        isr_nodes: Vec<NodeId> [0+];
        /// Those that may lead although they are not in sync.
        eligible_leader_replicas: Option<Vec<NodeId>> [0+, null 0+] = None;
        /// The last of those that may have led.
        last_known_elr: Option<Vec<NodeId>> [0+, null 0+] = None;
        /// Those that are offline.
        offline_replicas: Vec<NodeId> [0+] ignorable;
    }
}
