//! What can go wrong in the storage engine, with the numbers that explain it.

use engine_model::{
    DirectoryId, LeaderEpoch, LogId, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicPartition,
};
use std::sync::Arc;

/// Why all stores of a directory refuse changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} of {target} failed with errno {errno}")]
pub struct FenceCause {
    /// What was tried.
    pub operation: &'static str,
    /// On which file.
    pub target: Arc<str>,
    /// The system's error number; 0 if it was a short write.
    pub errno: i32,
}

/// Why one log serves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OfflineReason {
    /// Acknowledged bytes of it could not be read at start; repair decides.
    Quarantined,
    /// After an unfence it ends below what had been acknowledged.
    LostStableRecords,
    /// What it holds could not be read when it was needed; a restart tries again.
    Unreadable,
    /// Its deletion has begun.
    Deleted,
    /// Its store has been stopped.
    Stopped,
}

impl core::fmt::Display for OfflineReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Quarantined => "acknowledged bytes of it are damaged",
            Self::LostStableRecords => "acknowledged records of it are missing",
            Self::Unreadable => "records of it could not be read",
            Self::Deleted => "it is being deleted",
            Self::Stopped => "its store has stopped",
        })
    }
}

/// A failure of the storage itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A file operation failed.
    #[error("{operation} of {target} failed with errno {errno}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        target: Arc<str>,
        /// The system's error number.
        errno: i32,
    },
    /// The directory takes no changes until it is unfenced.
    #[error("the data directory is fenced: {0}")]
    Fenced(FenceCause),
    /// The log serves nothing.
    #[error("the log is offline: {0}")]
    Offline(OfflineReason),
    /// The log exists already.
    #[error("a log of {0} exists already")]
    AlreadyExists(TopicPartition),
    /// There is no such log in this store.
    #[error("there is no log of {0} here")]
    NotFound(TopicPartition),
    /// Free space is at the reserve.
    #[error("{free_bytes} bytes are free, the reserve is {reserve_bytes}")]
    DiskFull {
        /// Free bytes.
        free_bytes: u64,
        /// Bytes that stay free.
        reserve_bytes: u64,
    },
    /// Bytes on disk are not what was written.
    #[error("{target} is damaged at {position}")]
    Corrupt {
        /// The file.
        target: Arc<str>,
        /// Byte position in it.
        position: u64,
    },
    /// An offset lies outside of the log.
    #[error("offset {offset} is outside of {start}..={end}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// Start of the log.
        start: Offset,
        /// End of the log.
        end: Offset,
    },
    /// Something is larger than a limit of the format.
    #[error("{what}: {found} is above the limit {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The store has been stopped.
    #[error("the store has stopped")]
    Stopped,
}

impl StorageError {
    /// Whether it was for want of space: back-pressure, not damage.
    pub(crate) fn is_out_of_space(&self) -> bool {
        self.io().is_some_and(|error| error.is_out_of_space())
    }

    /// Whether a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.io().is_some_and(|error| error.is_not_found())
    }

    /// The operation that failed, if one did.
    fn io(&self) -> Option<engine_rt::Error> {
        match self {
            Self::Io {
                operation,
                target,
                errno,
            } => Some(engine_rt::Error::new(operation, target.clone(), *errno)),
            _ => None,
        }
    }
}

/// Why a data directory was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process holds it.
    #[error("the data directory {path} is in use by another process")]
    InUse {
        /// The directory.
        path: String,
    },
    /// It holds files, but is no data directory.
    #[error("{path} is not empty and is no data directory (found {found})")]
    Foreign {
        /// The directory.
        path: String,
        /// A file in it.
        found: String,
    },
    /// A newer release wrote it.
    #[error("{path} has format {found}, this release reads up to {supported}")]
    Newer {
        /// The directory.
        path: String,
        /// Its format.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// Its root file does not parse.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting of the store is impossible.
    #[error("{setting} = {found} is impossible: {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: u64,
        /// Why not.
        reason: &'static str,
    },
    /// A file operation failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The files are of another directory than the root file says.
    #[error("{path} belongs to directory {found}, not to {expected}")]
    OtherDirectory {
        /// The file.
        path: String,
        /// What it says.
        found: DirectoryId,
        /// What the root file says.
        expected: DirectoryId,
    },
}

/// What is wrong with one record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// What is wrong, in Kafka's words where Kafka has some.
    pub message: String,
}

/// Why records were not appended. Nothing of them is in the log then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The caller's leader epoch is older than the log's.
    #[error("leader epoch {found} is older than {current}")]
    FencedLeaderEpoch {
        /// The log's.
        current: LeaderEpoch,
        /// The caller's.
        found: LeaderEpoch,
    },
    /// The caller's leader epoch is newer than the one begun in the log.
    #[error("leader epoch {found} has not begun; the log is in {current}")]
    UnknownLeaderEpoch {
        /// The log's.
        current: LeaderEpoch,
        /// The caller's.
        found: LeaderEpoch,
    },
    /// A gap or a repeat in a producer's sequence.
    #[error("sequence {found} of producer {producer_id} does not follow {expected}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// What would have followed.
        expected: Sequence,
        /// What came.
        found: Sequence,
    },
    /// A producer epoch below the one seen last.
    #[error("epoch {found} of producer {producer_id} is older than {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The epoch seen last.
        current: ProducerEpoch,
        /// What came.
        found: ProducerEpoch,
    },
    /// Opening batches takes too much of the shard's time: a little later it may be taken.
    #[error("too much time goes into opening batches; try again")]
    Busy,
    /// A batch above the size limit.
    #[error("a batch has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Lengths or checksums do not hold.
    #[error("corrupt batch: {reason}")]
    Corrupt {
        /// What does not hold.
        reason: String,
    },
    /// A batch of magic 0 or 1, or of one not invented yet.
    #[error("batch of magic {magic} is not supported")]
    UnsupportedMagic {
        /// The number.
        magic: i8,
    },
    /// Records that this log does not take.
    #[error("invalid record: {message}")]
    InvalidRecord {
        /// What is wrong with the batch.
        message: String,
        /// The records, where single ones are at fault.
        errors: Vec<RecordError>,
    },
    /// Timestamps outside of what the topic allows.
    #[error("timestamp {timestamp} is outside of {earliest}..={latest}")]
    InvalidTimestamp {
        /// The timestamp.
        timestamp: Timestamp,
        /// The earliest allowed.
        earliest: Timestamp,
        /// The latest allowed.
        latest: Timestamp,
        /// The records at fault.
        errors: Vec<RecordError>,
    },
    /// A compression codec that is not known.
    #[error("compression codec {codec} is not supported")]
    UnsupportedCompression {
        /// Its number.
        codec: i16,
    },
    /// A transactional batch: no transaction is open here.
    #[error("producer {producer_id} has no transaction here")]
    InvalidTxnState {
        /// The producer.
        producer_id: ProducerId,
    },
    /// The log remembers as many producers as it may.
    #[error("the log remembers {max} producers already")]
    TooManyProducers {
        /// The limit.
        max: u64,
    },
    /// Offsets that a follower was given do not continue its log.
    #[error("offset {found} does not follow the end {expected}")]
    OffsetsOutOfOrder {
        /// The log's end.
        expected: Offset,
        /// The first offset of the batch.
        found: Offset,
    },
    /// The log has reached the largest offset.
    #[error("the log {0} is at the largest offset")]
    OffsetsExhausted(LogId),
    /// The storage took nothing.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a read has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The offset lies outside of the log.
    #[error("offset {offset} is outside of {start}..={end}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// Start of the log.
        start: Offset,
        /// End of the log.
        end: Offset,
    },
    /// The storage gave nothing.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<engine_rt::Error> for StorageError {
    fn from(error: engine_rt::Error) -> Self {
        Self::Io {
            operation: error.operation,
            target: error.target,
            errno: error.errno,
        }
    }
}

impl From<engine_rt::Error> for OpenError {
    fn from(error: engine_rt::Error) -> Self {
        Self::Storage(error.into())
    }
}
