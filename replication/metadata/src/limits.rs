//! What bounds the metadata of a cluster. Each has its reason beside it.

/// The most partitions one request may create, all its topics together; Kafka's own limit.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// The most partitions a cluster may have: every one costs memory on every shard.
pub const PARTITIONS_MAX: usize = 1_000_000;

/// The longest value of a setting that is stored, in bytes; what Kafka's older string form holds.
pub const CONFIG_VALUE_BYTES_MAX: usize = 32_767;

/// The most bytes of records that one request may lead to. They are one batch, so that they are
/// kept or lost together, and the lane must hold the largest; 10,000 partitions take half of it.
pub const BATCH_BYTES_MAX: usize = 2 << 20;

/// Where records that need not be kept together are parted into another batch, in bytes.
pub const BATCH_BYTES_TARGET: usize = 256 << 10;

/// Producer ids handed to a broker at a time; Kafka's number.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1_000;
