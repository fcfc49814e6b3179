//! What a node is told when it is made, and what it tells once it serves.

use core::fmt;
use core::net::SocketAddr;
use engine_config::BrokerConfig;
use engine_log::{RecoveryReport, StorageOptions};
use engine_model::DirectoryId;
use net_transport::{DoorLimits, TransportOptions};
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::NodeError;

/// What a node is made of.
pub struct NodeOptions {
    /// The settings.
    pub config: Arc<BrokerConfig>,
    /// Where the data is.
    pub data_dir: PathBuf,
    /// Sizes of the storage; `shards` is set by the node.
    pub storage: StorageOptions,
    /// How the connections of each shard are served.
    pub transport: TransportOptions,
    /// Limits on the connections of all shards together.
    pub door: DoorLimits,
    /// Bytes that connections, requests and answers may hold, all shards together.
    pub request_memory_bytes: usize,
    /// Called once, on shard 0, when every shard listens.
    pub on_ready: Box<dyn FnOnce(Ready) + Send>,
    /// Called at most once, on shard 0, when the node ends because of an error.
    pub on_error: Box<dyn FnOnce(NodeError) + Send>,
}

impl NodeOptions {
    /// Options for these settings with the data where they say.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        let usual = StorageOptions::default();
        let lane_bytes = config.lane_bytes;
        // What is kept in memory of the logs goes by the redo log, which is in memory until a
        // checkpoint: one setting for both.
        let storage = StorageOptions {
            lane_bytes,
            disk_reserve_bytes: config.storage_min_free_bytes,
            tail_cache_bytes: usual.tail_cache_bytes.min(lane_bytes / 4),
            read_cache_bytes: usual.read_cache_bytes.min(lane_bytes / 8),
            index_cache_bytes: usual.index_cache_bytes.min(lane_bytes / 32),
            retention_check_interval: config.log_retention_check_interval,
            // Of all shards together; `share_out` divides it.
            cleaner_enabled: config.log_cleaner_enable,
            cleaner_dedupe_bytes: config.log_cleaner_dedupe_buffer_size,
            cleaner_backoff: config.log_cleaner_backoff,
            cleaner_bytes_per_second: config.log_cleaner_io_max_bytes_per_second.unwrap_or(0),
            scrub_interval: config.log_scrub_interval,
            scrub_bytes_per_second: config.log_scrub_bytes_per_second,
            ..usual
        };
        let transport = TransportOptions {
            request_bytes_max: config.request_bytes_max,
            idle_max: config
                .connections_idle_max
                .unwrap_or(core::time::Duration::MAX),
            ..TransportOptions::default()
        };
        let door = DoorLimits {
            connections_max: config.connections_max,
            per_ip_max: config.connections_per_ip_max,
            per_ip_overrides: config.connections_per_ip_overrides.clone(),
            rate_max: config.connection_rate_max,
        };
        let request_memory_bytes = config
            .queued_request_bytes_max
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(REQUEST_MEMORY_BYTES)
            .max(config.request_bytes_max);
        Self {
            data_dir: PathBuf::from(&config.data_dir),
            storage,
            transport,
            door,
            request_memory_bytes,
            on_ready: Box::new(|_| {}),
            on_error: Box::new(|_| {}),
            config,
        }
    }
}

/// Shares out what `storage` says for all shards together.
pub(crate) fn share_out(storage: &mut StorageOptions, shards: usize) {
    let count = u64::try_from(shards.max(1)).unwrap_or(1);
    storage.shards = shards;
    storage.cleaner_dedupe_bytes = storage.cleaner_dedupe_bytes.div_ceil(count);
    storage.cleaner_bytes_per_second = storage.cleaner_bytes_per_second.div_ceil(count);
}

/// Bytes that connections, requests and answers may hold unless somebody knows better: one request
/// of the largest size and plenty of small ones.
const REQUEST_MEMORY_BYTES: usize = 256 << 20;

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("data_dir", &self.data_dir)
            .field("storage", &self.storage)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// A node that serves.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it listens; ports are real ones.
    pub addresses: Vec<SocketAddr>,
    /// Kafka's form of the cluster's identity.
    pub cluster_id: String,
    /// Identity of the data directory.
    pub directory_id: DirectoryId,
    /// How many shards serve.
    pub shards: usize,
    /// What recovery did.
    pub recovery: RecoveryReport,
    /// Whether the last stop was clean.
    pub was_clean: bool,
    /// Topics there are.
    pub topics: usize,
    /// Partitions there are.
    pub partitions: usize,
}
