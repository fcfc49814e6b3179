//! Produce: appends record batches.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-98, KIP-360, KIP-516 (topic ids), KIP-951
//! (leader hints).

use crate::api::ApiKey;
use crate::records::Records;
use crate::text::Text;
use engine_model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, Timestamp, TopicId};

const KEY: ApiKey = ApiKey::Produce;

message! {
    /// Appends record batches to partitions.
    request ProduceRequest -> ProduceResponse {
        /// Of a transactional producer, else null.
        transactional_id: Option<Text> [3+, null 3+] = None;
        /// 0, 1 or -1 (all in-sync replicas).
        acks: i16 [0+];
        /// How long the request may wait, in milliseconds.
        timeout_ms: i32 [0+];
        /// One entry a topic.
        topic_data: Vec<TopicProduceData> [0+];
    }
}

message! {
    /// The partitions of one topic to append to.
    struct TopicProduceData {
        /// Its name.
        name: Text [0-12] ignorable;
        /// The id of the topic.
        topic_id: TopicId [13+] ignorable;
        /// One entry a partition.
        partition_data: Vec<PartitionProduceData> [0+];
    }
}

message! {
    /// The batches for one partition.
    struct PartitionProduceData {
        /// The partition.
        index: PartitionIndex [0+];
        /// The record batches.
        records: Option<Records> [0+, null 0+];
    }
}

message! {
    /// What became of each batch.
    response ProduceResponse {
        /// One entry a topic.
        responses: Vec<TopicProduceResponse> [0+];
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [1+] ignorable;
        /// Addresses of the leaders named above.
        node_endpoints: Vec<NodeEndpoint> [10+, tag 0];
    }
}

message! {
    /// The answers for one topic.
    struct TopicProduceResponse {
        /// Its name.
        name: Text [0-12] ignorable;
        /// The id of the topic.
        topic_id: TopicId [13+] ignorable;
        /// One entry a partition.
        partition_responses: Vec<PartitionProduceResponse> [0+];
    }
}

message! {
    /// The answer for one partition.
    struct PartitionProduceResponse {
        /// The partition.
        index: PartitionIndex [0+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// Offset of the first record.
        base_offset: Offset [0+];
        /// When the broker stamped the batch; -1 where the producer did.
        log_append_time_ms: Timestamp [2+] ignorable = Timestamp::NONE;
        /// First offset of the partition.
        log_start_offset: Offset [5+] ignorable = Offset::NONE;
        /// The records at fault.
        record_errors: Vec<BatchIndexAndErrorMessage> [8+] ignorable;
        /// What went wrong, in words.
        error_message: Option<Text> [8+, null 8+] ignorable = None;
        /// The leader now, where it is another.
        current_leader: LeaderIdAndEpoch [10+, tag 0];
    }
}

message! {
    /// A record that made its batch fail.
    struct BatchIndexAndErrorMessage {
        /// Place of the record in its batch.
        batch_index: i32 [8+];
        /// What is wrong with it.
        batch_index_error_message: Option<Text> [8+, null 8+] = None;
    }
}

message! {
    /// Who leads a partition now, for a client that asked the wrong broker.
    struct LeaderIdAndEpoch {
        /// The leader, -1 if unknown.
        leader_id: NodeId [10+] = NodeId::NONE;
        /// The epoch of that leader, -1 if unknown.
        leader_epoch: LeaderEpoch [10+] = LeaderEpoch::NONE;
    }
}

message! {
    /// Where a leader that is named in this response can be reached.
    struct NodeEndpoint {
        /// Number of the broker.
        node_id: NodeId [10+];
        /// Its host name.
        host: Text [10+];
        /// Its port.
        port: i32 [10+];
        /// Its rack.
        rack: Option<Text> [10+, null 10+] = None;
    }
}
