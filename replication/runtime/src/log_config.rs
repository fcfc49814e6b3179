//! A topic's settings as its logs understand them.

use engine_codec::Compression;
use engine_config::{BrokerConfig, CompressionType, Durability, TimestampType, TopicConfig};
use engine_log::LogConfig;
use engine_model::TopicName;
use replication_metadata::limits;

/// The settings of the logs of a topic.
///
/// Kafka's internal topics are flushed whatever their settings say.
pub fn log_config(name: &TopicName, topic: &TopicConfig, broker: &BrokerConfig) -> LogConfig {
    let durability = match topic.durability {
        Durability::Written if !name.is_internal() => engine_log::Durability::Written,
        Durability::Written | Durability::Fsync => engine_log::Durability::Fsync,
    };
    let expiration = broker.producer_id_expiration.as_millis();
    LogConfig {
        durability,
        segment_bytes: topic.segment_bytes,
        max_message_bytes: u32::try_from(topic.max_message_bytes).unwrap_or(u32::MAX),
        timestamp_type: match topic.timestamp_type {
            TimestampType::CreateTime => engine_log::TimestampType::CreateTime,
            TimestampType::LogAppendTime => engine_log::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: topic.timestamp_before_max_ms,
        timestamp_after_max_ms: topic.timestamp_after_max_ms,
        compression: match topic.compression_type {
            CompressionType::Producer => None,
            CompressionType::Uncompressed => Some(Compression::None),
            CompressionType::Gzip => Some(Compression::Gzip),
            CompressionType::Snappy => Some(Compression::Snappy),
            CompressionType::Lz4 => Some(Compression::Lz4),
            CompressionType::Zstd => Some(Compression::Zstd),
        },
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        deletes: topic.cleanup_policy.delete,
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        compacted: topic.cleanup_policy.compact,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        delete_retention_ms: topic.delete_retention_ms,
        producer_id_expiration_ms: i64::try_from(expiration).unwrap_or(i64::MAX),
    }
}

/// The settings of the log of `__cluster_metadata`.
pub(crate) fn metadata_log_config() -> LogConfig {
    LogConfig {
        durability: engine_log::Durability::Fsync,
        max_message_bytes: u32::try_from(limits::BATCH_BYTES_MAX).unwrap_or(u32::MAX),
        // The wall clock may have been wrong when a record was written: that must stop nothing.
        timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    }
}
