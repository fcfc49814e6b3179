//! One replica of one partition: its state and what it keeps.
//!
//! Keeps:
//! - `log_start_offset <= stable_end <= log_end_offset` and `stable_end`, `written_end` fall only by
//!   truncation;
//! - every change is a lane entry, placed before the state shows it, in the order of the changes;
//! - nothing awaits between the first check of an append and its place in the open frame.
//!
//! Does not: decide who leads, what is committed (`replication_*`), or who may write.
//! Source: the storage design, "Write path" and "When an append is acknowledged".

use crate::config::LogConfig;
use crate::error::{AppendError, OfflineReason, ReadError, StorageError};
use bytes::Bytes;
use engine_model::{LeaderEpoch, LogId, Offset, Timestamp, TopicPartition};
use std::rc::Rc;

/// Whose records an append carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's: control batches, delete horizons and transactions are refused.
    Client,
    /// Our own: coordinators, the controller, markers.
    Internal,
}

/// How records are appended by a leader.
#[derive(Clone, Copy, Debug)]
pub struct AppendOptions {
    /// The epoch the caller leads in; it must be the one begun last.
    pub leader_epoch: LeaderEpoch,
    /// The wall clock, for `LogAppendTime` and the bounds on record times.
    pub now: Timestamp,
    /// Whose records they are.
    pub origin: Origin,
}

/// Where appended records went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record; stable once `stable_end` is above it.
    pub last_offset: Offset,
    /// The stamped time of a `LogAppendTime` log, else [`Timestamp::NONE`].
    pub log_append_time: Timestamp,
    /// Start of the log at that moment.
    pub log_start_offset: Offset,
    /// The batch was in the log already; the offsets are the original's, which may not be
    /// stable yet.
    pub duplicate: bool,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// First offset wanted; a batch that holds it is returned whole.
    pub offset: Offset,
    /// Exclusive bound: only batches wholly below it are returned.
    pub end: Offset,
    /// Whole batches up to this many bytes.
    pub bytes_max: usize,
    /// Return the first batch even if it alone is above `bytes_max`.
    pub at_least_one: bool,
}

/// Whole batches, in order, as slices of the buffers they lie in.
#[derive(Clone, Debug, Default)]
pub struct ReadAnswer {
    /// The slices.
    pub chunks: Vec<Bytes>,
    /// Their bytes together.
    pub bytes: usize,
    /// The offset after the last batch, or the one asked for if there is none.
    pub next_offset: Offset,
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its time.
    pub timestamp: Timestamp,
    /// The leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

/// Whether a log serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogState {
    /// It does.
    Online,
    /// It does not.
    Offline(OfflineReason),
}

/// What a listener is told when waiting for an end has become pointless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFailure {
    /// Records at and above the offset are gone.
    Truncated(Offset),
    /// The data directory takes no changes.
    Fenced(crate::error::FenceCause),
    /// The log is being deleted.
    Deleted,
}

/// Is told about a log's ends. Called synchronously: must be short and must not append.
pub trait LogListener {
    /// `stable_end`, `written_end` or `log_start_offset` moved up.
    fn ends_moved(&self);
    /// Waiting at or above an offset has failed.
    fn failed(&self, failure: LogFailure);
}

/// One replica of one partition on this shard. Cheap to clone.
#[derive(Clone)]
pub struct PartitionLog {
    inner: Rc<Inner>,
}

struct Inner {}

impl PartitionLog {
    /// Identity of this replica's log on this node.
    pub fn id(&self) -> LogId {
        let _ = &self.inner;
        LogId::default()
    }

    /// The partition.
    pub fn partition(&self) -> TopicPartition {
        TopicPartition::CLUSTER_METADATA
    }

    /// Whether it serves.
    pub fn state(&self) -> LogState {
        LogState::Offline(OfflineReason::Stopped)
    }

    /// First offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        Offset::ZERO
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        Offset::ZERO
    }

    /// End of what survives as the log's durability promises; never below `log_start_offset`.
    pub fn stable_end(&self) -> Offset {
        Offset::ZERO
    }

    /// End of what survives a process kill.
    pub fn written_end(&self) -> Offset {
        Offset::ZERO
    }

    /// The epoch begun last, or [`LeaderEpoch::NONE`].
    pub fn latest_leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch::NONE
    }

    /// The settings in force.
    pub fn config(&self) -> LogConfig {
        LogConfig::default()
    }

    /// Puts settings in force. Returns once the lane can hold a batch of `max_message_bytes`.
    pub async fn set_config(&self, _config: LogConfig) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }

    /// Sets who is told about the ends.
    pub fn set_listener(&self, _listener: Rc<dyn LogListener>) {}

    /// Begins a leader epoch: its entry stands in the lane before any append of it.
    ///
    /// The same epoch again changes nothing; an older one is refused.
    pub async fn begin_leader_epoch(&self, _epoch: LeaderEpoch) -> Result<(), AppendError> {
        Err(StorageError::Stopped.into())
    }

    /// Appends records as their leader and returns the offsets they took.
    ///
    /// `records` is one v2 batch (several for [`Origin::Internal`]). The caller waits for
    /// [`PartitionLog::stable_end`] or [`PartitionLog::written_end`] through its listener.
    /// Cancel: safe; either all of it was taken or nothing.
    pub async fn append(
        &self,
        _records: Bytes,
        _options: AppendOptions,
    ) -> Result<Appended, AppendError> {
        Err(StorageError::Stopped.into())
    }

    /// Appends batches as a leader sent them: offsets and epochs as given, never restamped.
    ///
    /// Cancel: safe, as [`PartitionLog::append`].
    pub async fn append_as_follower(&self, _records: Bytes) -> Result<Appended, AppendError> {
        Err(StorageError::Stopped.into())
    }

    /// Reads whole batches. An offset at the end is answered with nothing.
    pub async fn read(&self, _options: ReadOptions) -> Result<ReadAnswer, ReadError> {
        Err(StorageError::Stopped.into())
    }

    /// The first record below `end` whose time is at least `timestamp`.
    pub async fn offset_for_timestamp(
        &self,
        _timestamp: Timestamp,
        _end: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        Err(StorageError::Stopped.into())
    }

    /// The first record below `end` that has the largest time.
    pub async fn max_timestamp(&self, _end: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        Err(StorageError::Stopped.into())
    }

    /// The leader epoch of an offset, or [`LeaderEpoch::NONE`].
    pub fn epoch_at(&self, _offset: Offset) -> LeaderEpoch {
        LeaderEpoch::NONE
    }

    /// The largest epoch at or below `epoch` and where it ended, as Kafka answers
    /// OffsetForLeaderEpoch.
    pub fn end_offset_for_epoch(&self, _epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        None
    }

    /// Cuts the log: its end is the base offset of the batch that holds `offset`, or `offset`.
    pub async fn truncate_to(&self, _offset: Offset) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }

    /// Empties the log; the next record gets `offset`.
    pub async fn truncate_fully_and_start_at(&self, _offset: Offset) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }

    /// Moves the start of the log up to `offset`; durable when it returns.
    pub async fn advance_log_start(&self, _offset: Offset) -> Result<(), StorageError> {
        Err(StorageError::Stopped)
    }
}
