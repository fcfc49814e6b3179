//! Settings of one log that change how it accepts, stores and acknowledges records.
//!
//! Kafka's names and defaults. Does not: parse texts (`engine_config`), remember anything across
//! restarts (settings live in cluster metadata; the owner sets them again after a start).

use engine_codec::Compression;

/// When an append counts as stable, by the topic's setting `durability`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Its lane frame is flushed: survives process kill, kernel crash and power cut.
    #[default]
    Fsync,
    /// Its lane frame is written: survives a process kill. Flushed every second or 8 MiB.
    Written,
}

/// Whose clock the timestamps of a log show, Kafka's `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, stamped at append.
    LogAppendTime,
}

/// Settings of one log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// When an append counts as stable.
    pub durability: Durability,
    /// A segment is closed when it would grow past this (`segment.bytes`).
    pub segment_bytes: u64,
    /// The largest batch a client may append, in bytes (`max.message.bytes`).
    pub max_message_bytes: u32,
    /// Whose clock timestamps show (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// How far a record's time may lie before now (`message.timestamp.before.max.ms`).
    pub timestamp_before_max_ms: i64,
    /// How far a record's time may lie after now (`message.timestamp.after.max.ms`).
    pub timestamp_after_max_ms: i64,
    /// What batches are re-encoded to; `None` keeps the producer's choice (`compression.type`).
    pub compression: Option<Compression>,
    /// The age at which a segment is closed (`segment.ms`).
    pub segment_ms: i64,
    /// How much earlier than that it may be closed, at random (`segment.jitter.ms`).
    pub segment_jitter_ms: i64,
    /// How long files of deleted data may stay (`file.delete.delay.ms`).
    pub file_delete_delay_ms: i64,
    /// Whether old records go by time and size (`cleanup.policy` names `delete`).
    pub deletes: bool,
    /// The age beyond which records go; negative is no limit (`retention.ms`).
    pub retention_ms: i64,
    /// The size beyond which the oldest records go; negative is no limit (`retention.bytes`).
    pub retention_bytes: i64,
    /// Whether the last record of each key is kept, and records need keys (`cleanup.policy` names
    /// `compact`).
    pub compacted: bool,
    /// The shortest time a record stays out of reach of compaction (`min.compaction.lag.ms`).
    pub min_compaction_lag_ms: i64,
    /// The longest time it does (`max.compaction.lag.ms`).
    pub max_compaction_lag_ms: i64,
    /// The share of a log, from 0 to 1, that must be uncompacted before it is compacted again
    /// (`min.cleanable.dirty.ratio`).
    pub min_cleanable_dirty_ratio: f64,
    /// How long tombstones and markers are kept once compacted (`delete.retention.ms`).
    pub delete_retention_ms: i64,
    /// How long a silent producer is remembered (`producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    /// Kafka's defaults, and `fsync`; but nothing goes by time or size, because a log has these
    /// settings until its own are known.
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes: 1 << 30,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            file_delete_delay_ms: 60_000,
            deletes: false,
            retention_ms: -1,
            retention_bytes: -1,
            compacted: false,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            delete_retention_ms: 86_400_000,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}
