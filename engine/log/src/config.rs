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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Whether records need keys (`cleanup.policy` names `compact`).
    pub compacted: bool,
    /// How long a silent producer is remembered (`producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    /// Kafka's defaults, and `fsync`.
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes: 1 << 30,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            compacted: false,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}
