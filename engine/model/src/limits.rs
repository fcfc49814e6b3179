//! Limits that hold for every node, whatever its settings. Each has its reason beside it.

/// The largest record batch any setting may allow, in bytes: a lane half must hold the largest
/// frame, and a frame holds at least one batch.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// The largest request frame, in bytes; Kafka's default of `socket.request.max.bytes`.
pub const REQUEST_BYTES_MAX: usize = 100 << 20;

/// The most shards a process may have: shard numbers are 16 bits wide and lanes are files.
pub const SHARDS_MAX: usize = 256;

/// The most partitions a topic may be created with in one request. Kafka has no limit and can be
/// ended by one request; each partition costs us memory and a lane entry.
pub const PARTITIONS_PER_TOPIC_MAX: i32 = 100_000;

/// The unit of direct I/O, padding and tearing, in bytes.
pub const BLOCK_BYTES: usize = 4096;
