//! Sizes and limits of a store, all of them options so that tests use tiny ones.

use core::time::Duration;

/// Sizes and limits of the stores of one data directory; every size is per shard.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// Shards (and lanes) the directory is opened for.
    pub shards: usize,
    /// Size of the lane, both halves together; rounded down to whole blocks.
    pub lane_bytes: u64,
    /// How much of the lane is written before the first start serves; the rest follows in the
    /// background.
    pub lane_bytes_at_start: u64,
    /// A frame is closed when it would grow past this, unless one batch is larger.
    pub frame_bytes_target: u32,
    /// With a frame in flight the next one leaves when it holds this much.
    pub frame_bytes_early: u32,
    /// A tail of this size is moved to its segment in the background.
    pub tail_flush_bytes: u64,
    /// Recent bytes kept in memory after they reached a segment.
    pub tail_cache_bytes: u64,
    /// Size up to which batches are gathered into one extent.
    pub extent_bytes_target: u32,
    /// Bytes read from segments that are kept for other readers.
    pub read_cache_bytes: u64,
    /// Bytes of segment indexes kept in memory.
    pub index_cache_bytes: u64,
    /// Segment files held open for reading.
    pub open_files_max: usize,
    /// Unflushed bytes after which a lane is flushed although no append waits for it.
    pub written_flush_bytes: u64,
    /// Time after which unflushed bytes are flushed although no append waits for them.
    pub written_flush_interval: Duration,
    /// Time after the last frame when an empty frame makes the durable sequence durable.
    pub heartbeat: Duration,
    /// How often all logs are looked at for what is too old or too much
    /// (`log.retention.check.interval.ms`).
    pub retention_check_interval: Duration,
    /// Whether logs are compacted that their settings name (`log.cleaner.enable`).
    pub cleaner_enabled: bool,
    /// Bytes of keys' hashes that a round of compaction holds (`log.cleaner.dedupe.buffer.size`).
    pub cleaner_dedupe_bytes: u64,
    /// How often compaction looks for work when it has none (`log.cleaner.backoff.ms`).
    pub cleaner_backoff: Duration,
    /// Bytes that compaction may read and write a second
    /// (`log.cleaner.io.max.bytes.per.second`); 0 is no limit.
    pub cleaner_bytes_per_second: u64,
    /// How often everything is read again, from the start of one pass to that of the next; zero is
    /// never (`log.scrub.interval.ms`).
    pub scrub_interval: Duration,
    /// How fast that is read, at most (`log.scrub.bytes.per.second`).
    pub scrub_bytes_per_second: u64,
    /// Free space of the file system below which appends are refused.
    pub disk_reserve_bytes: u64,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            shards: 1,
            lane_bytes: 256 << 20,
            lane_bytes_at_start: 16 << 20,
            frame_bytes_target: 512 << 10,
            frame_bytes_early: 256 << 10,
            tail_flush_bytes: 1 << 20,
            tail_cache_bytes: 64 << 20,
            extent_bytes_target: 256 << 10,
            read_cache_bytes: 32 << 20,
            index_cache_bytes: 8 << 20,
            open_files_max: 1024,
            written_flush_bytes: 8 << 20,
            written_flush_interval: Duration::from_secs(1),
            heartbeat: Duration::from_millis(100),
            retention_check_interval: Duration::from_mins(5),
            cleaner_enabled: true,
            cleaner_dedupe_bytes: 128 << 20,
            cleaner_backoff: Duration::from_secs(15),
            cleaner_bytes_per_second: 0,
            scrub_interval: Duration::from_hours(168),
            scrub_bytes_per_second: 4 << 20,
            disk_reserve_bytes: 256 << 20,
        }
    }
}
