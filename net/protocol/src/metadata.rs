//! Metadata: brokers, topics, partitions and their leaders.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-204, KIP-430, KIP-516 (topic ids),
//! KIP-1102.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, TopicId};

const KEY: ApiKey = ApiKey::Metadata;

message! {
    /// Asks about topics and the cluster.
    request MetadataRequest -> MetadataResponse {
        /// The topics; null (in version 0: none) for all.
        topics: Option<Vec<MetadataRequestTopic>> [0+, null 1+];
        /// Whether a missing topic may be created.
        allow_auto_topic_creation: bool [4+] = true;
        /// Whether to add `cluster_authorized_operations`.
        include_cluster_authorized_operations: bool [8-10];
        /// Whether to add `topic_authorized_operations`.
        include_topic_authorized_operations: bool [8+];
    }
}

message! {
    /// A topic, by id or by name.
    struct MetadataRequestTopic {
        /// The id of the topic.
        topic_id: TopicId [10+] ignorable;
        /// Its name.
        name: Option<Text> [0+, null 10+];
    }
}

message! {
    /// Brokers, topics and partitions.
    response MetadataResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [3+] ignorable;
        /// Every broker.
        brokers: Vec<MetadataResponseBroker> [0+];
        /// Id of the cluster.
        cluster_id: Option<Text> [2+, null 2+] ignorable = None;
        /// Where to send requests for the controller.
        controller_id: NodeId [1+] ignorable = NodeId::NONE;
        /// One entry a topic.
        topics: Vec<MetadataResponseTopic> [0+];
        /// Bits of the allowed operations; the lowest number if not asked for.
        cluster_authorized_operations: i32 [8-10] = i32::MIN;
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [13+] ignorable;
    }
}

message! {
    /// A broker and its address.
    struct MetadataResponseBroker {
        /// Number of the broker.
        node_id: NodeId [0+];
        /// Its host name.
        host: Text [0+];
        /// Its port.
        port: i32 [0+];
        /// Its rack.
        rack: Option<Text> [1+, null 1+] ignorable = None;
    }
}

message! {
    /// A topic.
    struct MetadataResponseTopic {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// Its name.
        name: Option<Text> [0+, null 12+];
        /// The id of the topic.
        topic_id: TopicId [10+] ignorable;
        /// Whether it belongs to Kafka itself.
        is_internal: bool [1+] ignorable;
        /// One entry a partition.
        partitions: Vec<MetadataResponsePartition> [0+];
        /// Bits of the allowed operations; the lowest number if not asked for.
        topic_authorized_operations: i32 [8+] = i32::MIN;
    }
}

message! {
    /// A partition.
    struct MetadataResponsePartition {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// The leader, -1 if unknown.
        leader_id: NodeId [0+];
        /// The epoch of the leader, -1 if unknown.
        leader_epoch: LeaderEpoch [7+] ignorable = LeaderEpoch::NONE;
        /// Every replica.
        replica_nodes: Vec<NodeId> [0+];
        /// The replicas in sync.
        isr_nodes: Vec<NodeId> [0+];
        /// The replicas that are down.
        offline_replicas: Vec<NodeId> [5+] ignorable;
    }
}
