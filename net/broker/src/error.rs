//! Where errors of the floors below become Kafka's codes, and nowhere else.

use engine_log::{AppendError, OfflineReason, ReadError, RecordError, StorageError};
use engine_model::ErrorCode;
use engine_shard::MeshError;
use net_protocol::Text;
use replication_runtime::{ControllerError, Refusal, ReplicaError, WaitError};

/// An error as clients are told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Kafka's code.
    pub code: ErrorCode,
    /// The reason in words.
    pub message: Option<Text>,
    /// The records at fault: place in the batch and reason.
    pub records: Vec<(i32, Text)>,
}

impl Fault {
    /// A code that says it all.
    pub fn code(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
        }
    }

    /// A code and words.
    pub fn new(code: ErrorCode, message: impl Into<Text>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::code(code)
        }
    }

    /// A mistake of ours.
    pub fn unknown() -> Self {
        Self::code(ErrorCode::UNKNOWN_SERVER_ERROR)
    }

    fn with_records(mut self, errors: &[RecordError]) -> Self {
        self.records = errors
            .iter()
            .map(|error| {
                let index = i32::try_from(error.index).unwrap_or(i32::MAX);
                (index, Text::from(error.message.as_str()))
            })
            .collect();
        self
    }
}

/// The code of a storage error.
pub(crate) fn storage_code(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::Offline(OfflineReason::Deleted) | StorageError::NotFound(_) => {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        }
        // The node is going down: another one may lead soon, and this one after its start.
        StorageError::Offline(OfflineReason::Stopped) | StorageError::Stopped => {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        }
        StorageError::Io { .. }
        | StorageError::Fenced(_)
        | StorageError::Offline(_)
        | StorageError::DiskFull { .. }
        | StorageError::Corrupt { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
        StorageError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        StorageError::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
        _ => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// The code of an append that was refused.
pub(crate) fn append_code(error: &AppendError) -> ErrorCode {
    match error {
        // A Produce carries no epoch: the client learns that this is not the leader it knew.
        AppendError::FencedLeaderEpoch { .. } | AppendError::UnknownLeaderEpoch { .. } => {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        }
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        // An error that every client retries.
        AppendError::Busy => ErrorCode::REQUEST_TIMED_OUT,
        AppendError::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
        AppendError::Corrupt { .. } => ErrorCode::CORRUPT_MESSAGE,
        AppendError::UnsupportedMagic { .. } | AppendError::InvalidRecord { .. } => {
            ErrorCode::INVALID_RECORD
        }
        AppendError::InvalidTimestamp { .. } => ErrorCode::INVALID_TIMESTAMP,
        AppendError::UnsupportedCompression { .. } => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        AppendError::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
        AppendError::TooManyProducers { .. } => ErrorCode::POLICY_VIOLATION,
        AppendError::Storage(error) => storage_code(error),
        _ => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

impl From<&AppendError> for Fault {
    fn from(error: &AppendError) -> Self {
        let fault = Self::new(append_code(error), error.to_string());
        match error {
            AppendError::InvalidRecord { errors, .. }
            | AppendError::InvalidTimestamp { errors, .. } => fault.with_records(errors),
            _ => fault,
        }
    }
}

/// The code of a read without an answer.
pub(crate) fn read_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        ReadError::Storage(error) => storage_code(error),
        _ => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// The code of a request that a replica does not serve.
fn refusal_code(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::NotLeader => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        Refusal::FencedLeaderEpoch { .. } => ErrorCode::FENCED_LEADER_EPOCH,
        Refusal::UnknownLeaderEpoch { .. } => ErrorCode::UNKNOWN_LEADER_EPOCH,
        Refusal::NotEnoughReplicas { .. } => ErrorCode::NOT_ENOUGH_REPLICAS,
        Refusal::TooManyWaiters => ErrorCode::REQUEST_TIMED_OUT,
        Refusal::Offline(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        Refusal::Deleted => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        _ => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

/// The code of an append whose acknowledgement will not come.
fn wait_code(error: WaitError) -> ErrorCode {
    match error {
        // The records are gone from here: whoever leads now may have them or not.
        WaitError::NotLeader { .. } | WaitError::Truncated { .. } => {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        }
        WaitError::NotEnoughReplicas { .. } => ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        WaitError::Offline => ErrorCode::KAFKA_STORAGE_ERROR,
        WaitError::Deleted => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        _ => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

impl From<&ReplicaError> for Fault {
    fn from(error: &ReplicaError) -> Self {
        match error {
            // The image here named it; its shard has not applied that image yet, or has applied a
            // newer one already. Either way the client asks for metadata and comes again.
            ReplicaError::NotHere(_) => Self::code(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            ReplicaError::Refused(refusal) => {
                Self::new(refusal_code(*refusal), refusal.to_string())
            }
            ReplicaError::Append(error) => Self::from(error),
            ReplicaError::Wait(error) => Self::new(wait_code(*error), error.to_string()),
            ReplicaError::TimedOut => Self::code(ErrorCode::REQUEST_TIMED_OUT),
            ReplicaError::Read(error) => Self::new(read_code(error), error.to_string()),
            ReplicaError::Storage(error) => Self::new(storage_code(error), error.to_string()),
            ReplicaError::Compacted => Self::new(ErrorCode::POLICY_VIOLATION, error.to_string()),
            _ => Self::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<&ControllerError> for Fault {
    fn from(error: &ControllerError) -> Self {
        let code = match error {
            ControllerError::Storage(error) => storage_code(error),
            ControllerError::Uncommitted(_) => ErrorCode::KAFKA_STORAGE_ERROR,
            ControllerError::Stopped => ErrorCode::NOT_CONTROLLER,
            _ => ErrorCode::UNKNOWN_SERVER_ERROR,
        };
        Self::new(code, error.to_string())
    }
}

impl From<&MeshError> for Fault {
    fn from(error: &MeshError) -> Self {
        match error {
            // Nothing is known about what was asked; a client that may repeat it does.
            MeshError::Closed { .. } => Self::code(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            _ => Self::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_log::FenceCause;
    use engine_model::{Offset, ProducerEpoch, ProducerId, Sequence};

    #[test]
    fn storage_trouble_is_kafkas_storage_error_and_retriable() {
        let cause = FenceCause {
            operation: "fsync",
            target: "lane-0".into(),
            errno: 5,
        };
        for error in [
            StorageError::Fenced(cause),
            StorageError::Offline(OfflineReason::Quarantined),
            StorageError::DiskFull {
                free_bytes: 0,
                reserve_bytes: 1,
            },
        ] {
            let code = append_code(&AppendError::Storage(error));
            assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR);
            assert!(code.is_retriable());
        }
    }

    #[test]
    fn producers_and_readers_get_kafkas_codes() {
        let producer_id = ProducerId(1);
        let gap = AppendError::OutOfOrderSequence {
            producer_id,
            expected: Sequence::new(1),
            found: Sequence::new(5),
        };
        let fenced = AppendError::InvalidProducerEpoch {
            producer_id,
            current: ProducerEpoch::new(3),
            found: ProducerEpoch::new(2),
        };
        assert_eq!(append_code(&gap), ErrorCode(45));
        assert_eq!(append_code(&fenced), ErrorCode(47));
        let out = ReadError::OffsetOutOfRange {
            offset: Offset::new(9),
            start: Offset::ZERO,
            end: Offset::new(3),
        };
        assert_eq!(read_code(&out), ErrorCode(1));
    }

    #[test]
    fn records_at_fault_are_named() {
        let error = AppendError::InvalidRecord {
            message: "no key".to_owned(),
            errors: vec![RecordError {
                index: 3,
                message: "Record has no key.".to_owned(),
            }],
        };
        let fault = Fault::from(&error);
        assert_eq!(fault.code, ErrorCode::INVALID_RECORD);
        assert_eq!(fault.records, [(3, Text::from("Record has no key."))]);
    }
}
