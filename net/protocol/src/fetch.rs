//! Fetch: reads record batches.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-74, KIP-227 (sessions), KIP-392, KIP-516
//! (topic ids), KIP-595, KIP-903, KIP-951.

use crate::api::ApiKey;
use crate::records::Records;
use crate::text::Text;
use engine_model::{
    DirectoryId, ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerId, TopicId,
};

const KEY: ApiKey = ApiKey::Fetch;

message! {
    /// Asks for records of partitions.
    request FetchRequest -> FetchResponse {
        /// Id of the cluster.
        cluster_id: Option<Text> [12+, null 12+, tag 0] ignorable = None;
        /// The follower that asks, -1 for a consumer.
        replica_id: NodeId [0-14] = NodeId::NONE;
        /// The follower that asks.
        replica_state: ReplicaState [15+, tag 1];
        /// How long to wait for `min_bytes`, in milliseconds.
        max_wait_ms: i32 [0+];
        /// Answer as soon as there are so many bytes.
        min_bytes: i32 [0+];
        /// Answer with at most so many bytes, but one batch.
        max_bytes: i32 [3+] ignorable = i32::MAX;
        /// 0 read_uncommitted, 1 read_committed.
        isolation_level: i8 [4+] ignorable;
        /// The fetch session, 0 for none.
        session_id: i32 [7+] ignorable;
        /// The number of this request in its session; -1 for none.
        session_epoch: i32 [7+] ignorable = -1;
        /// One entry a topic.
        topics: Vec<FetchTopic> [0+];
        /// Partitions to drop from the session.
        forgotten_topics_data: Vec<ForgottenTopic> [7+];
        /// Rack of the consumer.
        rack_id: Text [11+] ignorable;
    }
}

message! {
    /// Which replica is asking.
    struct ReplicaState {
        /// The follower that asks, -1 for a consumer.
        replica_id: NodeId [15+] = NodeId::NONE;
        /// Epoch of the broker that asks.
        replica_epoch: i64 [15+] = -1;
    }
}

message! {
    /// The partitions of one topic to read.
    struct FetchTopic {
        /// Name of the topic.
        topic: Text [0-12] ignorable;
        /// The id of the topic.
        topic_id: TopicId [13+] ignorable;
        /// One entry a partition.
        partitions: Vec<FetchPartition> [0+];
    }
}

message! {
    /// From where and how much to read.
    struct FetchPartition {
        /// The partition.
        partition: PartitionIndex [0+];
        /// The epoch the client takes for the current one, -1 if unknown.
        current_leader_epoch: LeaderEpoch [9+] ignorable = LeaderEpoch::NONE;
        /// Where to start.
        fetch_offset: Offset [0+];
        /// Epoch of the last record the follower has, -1 if none.
        last_fetched_epoch: LeaderEpoch [12+] = LeaderEpoch::NONE;
        /// First offset of the follower's log.
        log_start_offset: Offset [5+] ignorable = Offset::NONE;
        /// At most so many bytes of this partition, but one batch.
        partition_max_bytes: i32 [0+];
        /// Directory of the follower.
        replica_directory_id: DirectoryId [17+, tag 0] ignorable;
        /// The high watermark the follower knows.
        high_watermark: Offset [18+, tag 1] ignorable = Offset::MAX;
    }
}

message! {
    /// Partitions to drop from the session.
    struct ForgottenTopic {
        /// Name of the topic.
        topic: Text [7-12] ignorable;
        /// The id of the topic.
        topic_id: TopicId [13+] ignorable;
        /// The partitions.
        partitions: Vec<PartitionIndex> [7+];
    }
}

message! {
    /// Records, or why there are none.
    response FetchResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [1+] ignorable;
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [7+] ignorable;
        /// The session this answer belongs to, 0 for none.
        session_id: i32 [7+];
        /// One entry a topic.
        responses: Vec<FetchableTopicResponse> [0+];
        /// Addresses of the leaders named above.
        node_endpoints: Vec<NodeEndpoint> [16+, tag 0];
    }
}

message! {
    /// The answers for one topic.
    struct FetchableTopicResponse {
        /// Name of the topic.
        topic: Text [0-12] ignorable;
        /// The id of the topic.
        topic_id: TopicId [13+] ignorable;
        /// One entry a partition.
        partitions: Vec<PartitionData> [0+];
    }
}

message! {
    /// The answer for one partition.
    struct PartitionData {
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// Records below it are committed.
        high_watermark: Offset [0+];
        /// Transactions are decided below it.
        last_stable_offset: Offset [4+] ignorable = Offset::NONE;
        /// First offset of the partition.
        log_start_offset: Offset [5+] ignorable = Offset::NONE;
        /// Where the follower has to truncate to.
        diverging_epoch: EpochEndOffset [12+, tag 0];
        /// The leader now, where it is another.
        current_leader: LeaderIdAndEpoch [12+, tag 1];
        /// The snapshot to fetch.
        snapshot_id: SnapshotId [12+, tag 2];
        /// Aborted transactions in the range, null for read_uncommitted.
        aborted_transactions: Option<Vec<AbortedTransaction>> [4+, null 4+] ignorable;
        /// The replica to read from, -1 for this one.
        preferred_read_replica: NodeId [11+] = NodeId::NONE;
        /// The record batches.
        records: Option<Records> [0+, null 0+];
    }
}

message! {
    /// Where the logs of leader and follower part.
    struct EpochEndOffset {
        /// The epoch.
        epoch: LeaderEpoch [12+] = LeaderEpoch::NONE;
        /// The offset after its last record.
        end_offset: Offset [12+] = Offset::NONE;
    }
}

message! {
    /// Who leads a partition now, for a client that asked the wrong broker.
    struct LeaderIdAndEpoch {
        /// The leader, -1 if unknown.
        leader_id: NodeId [12+] = NodeId::NONE;
        /// The epoch of that leader, -1 if unknown.
        leader_epoch: LeaderEpoch [12+] = LeaderEpoch::NONE;
    }
}

message! {
    /// A snapshot to fetch in place of records.
    struct SnapshotId {
        /// The offset after its last record.
        end_offset: Offset [0+] = Offset::NONE;
        /// The epoch.
        epoch: LeaderEpoch [0+] = LeaderEpoch::NONE;
    }
}

message! {
    /// A transaction whose records a read_committed consumer must skip.
    struct AbortedTransaction {
        /// The producer.
        producer_id: ProducerId [4+];
        /// First offset of the transaction.
        first_offset: Offset [4+];
    }
}

message! {
    /// Where a leader that is named in this response can be reached.
    struct NodeEndpoint {
        /// Number of the broker.
        node_id: NodeId [16+];
        /// Its host name.
        host: Text [16+];
        /// Its port.
        port: i32 [16+];
        /// Its rack.
        rack: Option<Text> [16+, null 16+] = None;
    }
}
