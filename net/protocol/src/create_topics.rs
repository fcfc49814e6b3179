//! CreateTopics: makes topics.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-4, KIP-464, KIP-525, KIP-599.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, NodeId, PartitionIndex, TopicId};

const KEY: ApiKey = ApiKey::CreateTopics;

message! {
    /// Asks to create topics.
    request CreateTopicsRequest -> CreateTopicsResponse {
        /// One entry a topic.
        topics: Vec<CreatableTopic> [0+];
        /// How long the request may wait, in milliseconds.
        timeout_ms: i32 [0+] = 60_000;
        /// Whether to check only.
        validate_only: bool [1+];
    }
}

message! {
    /// A topic to create.
    struct CreatableTopic {
        /// Its name.
        name: Text [0+];
        /// Number of partitions, -1 for the default.
        num_partitions: i32 [0+];
        /// Number of replicas, -1 for the default.
        replication_factor: i16 [0+];
        /// Replicas by hand; empty for automatic.
        assignments: Vec<CreatableReplicaAssignment> [0+];
        /// Settings of the topic.
        configs: Vec<CreatableTopicConfig> [0+];
    }
}

message! {
    /// The replicas of one partition.
    struct CreatableReplicaAssignment {
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// The brokers, the preferred leader first.
        broker_ids: Vec<NodeId> [0+];
    }
}

message! {
    /// A setting of the topic.
    struct CreatableTopicConfig {
        /// Its name.
        name: Text [0+];
        /// The value.
        value: Option<Text> [0+, null 0+];
    }
}

message! {
    /// What became of each topic.
    response CreateTopicsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [2+] ignorable;
        /// One entry a topic.
        topics: Vec<CreatableTopicResult> [0+];
    }
}

message! {
    /// What became of one topic.
    struct CreatableTopicResult {
        /// Its name.
        name: Text [0+];
        /// The id of the topic.
        topic_id: TopicId [7+] ignorable;
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// What went wrong, in words.
        error_message: Option<Text> [1+, null 0+] ignorable;
        /// Why the settings are not shown.
        topic_config_error_code: ErrorCode [5+, tag 0] ignorable;
        /// Number of partitions, -1 for the default.
        num_partitions: i32 [5+] ignorable = -1;
        /// Number of replicas, -1 for the default.
        replication_factor: i16 [5+] ignorable = -1;
        /// Settings of the topic.
        configs: Option<Vec<CreatableTopicConfigs>> [5+, null 5+] ignorable;
    }
}

message! {
    /// A setting the topic has now.
    struct CreatableTopicConfigs {
        /// Its name.
        name: Text [5+];
        /// The value.
        value: Option<Text> [5+, null 5+];
        /// Whether it cannot be changed.
        read_only: bool [5+];
        /// Where the value comes from, by Kafka's numbers.
        config_source: i8 [5+] ignorable = -1;
        /// Whether the value is withheld.
        is_sensitive: bool [5+];
    }
}
