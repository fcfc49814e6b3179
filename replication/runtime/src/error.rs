//! What can go wrong between machines and logs.

use engine_log::{AppendError, ReadError, StorageError};
use engine_model::{Offset, TopicPartition};
use replication_metadata::{
    AllocateProducerIdsError, BrokerError, FormClusterError, MetadataBatchError, ReplayError,
};
use replication_partition::{Refusal, WaitError};

/// Why a replica did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// This shard has no replica of that partition: the metadata names none that lives here.
    #[error("there is no replica of {0} on this shard")]
    NotHere(TopicPartition),
    /// It does not serve the request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It was appended, and what was waited for will not come. The records may be committed later.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// It was appended, and what was waited for did not come in time; 7.
    #[error("not acknowledged in time")]
    TimedOut,
    /// Nothing was read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log did not change, or not durably.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Every key of the partition keeps its last record.
    #[error("records cannot be deleted from a topic that is compacted only")]
    Compacted,
}

/// Why the controller did not do what it was asked. Nothing is known to have changed, and what was
/// asked may be repeated.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// The log took nothing, or a shard could not create its logs; 56.
    #[error("metadata storage: {0}")]
    Storage(StorageError),
    /// The records are in the log and were not committed: what comes of them shows after a
    /// reload; 56.
    #[error("metadata was not committed: {0}")]
    Uncommitted(WaitError),
    /// The node is stopping; 41.
    #[error("the controller has stopped")]
    Stopped,
    /// The controller cannot be heard; a mistake of ours.
    #[error("the controller refused this broker: {0}")]
    Broker(#[from] BrokerError),
    /// No ids are left.
    #[error(transparent)]
    ProducerIds(AllocateProducerIdsError),
    /// The cluster cannot be formed; a mistake of ours.
    #[error(transparent)]
    Form(#[from] FormClusterError),
    /// The log took metadata and gave it other offsets than are next; a mistake of ours.
    #[error("metadata went to offset {found}, {expected} was next")]
    Offset {
        /// The offset that was next.
        expected: Offset,
        /// Where the records went.
        found: Offset,
    },
    /// The log of `__cluster_metadata` cannot be read. Only repair helps.
    #[error("the metadata log cannot be read: {0}")]
    Unreadable(String),
    /// The log holds what this release cannot replay; a newer one wrote it, or it is damaged.
    #[error("the metadata log cannot be replayed: {0}")]
    Replay(#[from] ReplayError),
    /// The directory holds logs and no metadata: taking it for a new one would delete them.
    #[error("the data directory holds {logs} logs and no cluster metadata; it is not touched")]
    MetadataLost {
        /// The logs that are there.
        logs: usize,
    },
}

impl From<MetadataBatchError> for ControllerError {
    fn from(error: MetadataBatchError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<ReadError> for ControllerError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Storage(error) => Self::Storage(error),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

impl From<AppendError> for ControllerError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Storage(error) => Self::Storage(error),
            other => Self::Unreadable(other.to_string()),
        }
    }
}
