//! A data directory as a whole: opened once, recovered, handed out to the shards, closed.

use crate::error::{OpenError, StorageError};
use crate::options::StorageOptions;
use crate::store::StoreSeed;
use engine_model::{DirectoryId, HashMap, LogId, Offset};
use std::path::Path;

/// An open data directory; stays on the shard that opened it.
pub struct Directory {
    options: StorageOptions,
}

/// What an open found and made.
pub struct Opened {
    /// Keeps the lock; marks a clean stop.
    pub directory: Directory,
    /// One a shard, in order.
    pub seeds: Vec<StoreSeed>,
    /// What recovery did.
    pub report: RecoveryReport,
    /// Identity of the directory.
    pub directory_id: DirectoryId,
    /// Number of this start.
    pub run: u64,
    /// Whether the last stop was clean (true for a directory just formatted).
    pub was_clean: bool,
}

/// What recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether the directory was empty and has been formatted.
    pub formatted: bool,
    /// Lanes read.
    pub lanes: usize,
    /// Logs found.
    pub logs: usize,
    /// Frames applied.
    pub frames: u64,
    /// Frames that were never acknowledged as durable and are ignored.
    pub torn_frames: u64,
    /// Bytes of batches moved from lanes to segments.
    pub drained_bytes: u64,
    /// Logs set apart because acknowledged bytes of them are damaged.
    pub quarantined: Vec<LogId>,
    /// Logs that now live on another shard.
    pub rehomed: usize,
    /// Files deleted that nothing names.
    pub swept_files: usize,
}

/// What had been acknowledged when a fenced store stopped.
#[derive(Clone, Debug, Default)]
pub struct StableEnds {
    /// `stable_end` of every log.
    pub ends: HashMap<LogId, Offset>,
}

/// Opens a data directory: formats an empty one, recovers any other.
///
/// Runs on one shard, before any store starts. Nothing in it is changed unless the whole of it
/// could be read.
pub async fn open(_path: &Path, _options: &StorageOptions) -> Result<Opened, OpenError> {
    Err(StorageError::Stopped.into())
}

impl Directory {
    /// Marks the stop as clean; call it after every store has stopped.
    pub async fn close_clean(self) -> Result<(), StorageError> {
        let _ = self.options;
        Err(StorageError::Stopped)
    }

    /// Lifts a fence: probes write and flush, then recovers in process.
    ///
    /// Every store must have stopped; `ends` is what [`crate::Store::stop_fenced`] returned on
    /// each shard. A log that ends below what had been acknowledged stays offline.
    pub async fn unfence(self, _ends: Vec<StableEnds>) -> Result<Opened, OpenError> {
        Err(StorageError::Stopped.into())
    }
}
