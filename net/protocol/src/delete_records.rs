//! DeleteRecords: moves the log start offset of partitions up.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-107.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, Offset, PartitionIndex};

const KEY: ApiKey = ApiKey::DeleteRecords;

message! {
    /// Asks to delete the records below an offset.
    request DeleteRecordsRequest -> DeleteRecordsResponse {
        /// One entry a topic.
        topics: Vec<DeleteRecordsTopic> [0+];
        /// How long the request may wait, in milliseconds.
        timeout_ms: i32 [0+];
    }
}

message! {
    /// The partitions of one topic.
    struct DeleteRecordsTopic {
        /// Its name.
        name: Text [0+];
        /// One entry a partition.
        partitions: Vec<DeleteRecordsPartition> [0+];
    }
}

message! {
    /// The offset below which one partition forgets its records.
    struct DeleteRecordsPartition {
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// The first offset to keep; -1 for the high watermark.
        offset: Offset [0+];
    }
}

message! {
    /// What became of each partition.
    response DeleteRecordsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+];
        /// One entry a topic.
        topics: Vec<DeleteRecordsTopicResult> [0+];
    }
}

message! {
    /// The answers for one topic.
    struct DeleteRecordsTopicResult {
        /// Its name.
        name: Text [0+];
        /// One entry a partition.
        partitions: Vec<DeleteRecordsPartitionResult> [0+];
    }
}

message! {
    /// What became of one partition.
    struct DeleteRecordsPartitionResult {
        /// The partition.
        partition_index: PartitionIndex [0+];
        /// The first offset that every replica still has, -1 with an error.
        low_watermark: Offset [0+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
    }
}
