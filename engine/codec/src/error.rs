//! What can be wrong with a batch, with the numbers that explain it.
//!
//! Kinds of trouble that get different answers are different variants; [`BatchError::kind`] sorts
//! them as Kafka's broker sorts its answers to a produce request.

use crate::compression::CompressionError;
use crate::varint::VarintError;
use engine_model::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use thiserror::Error;

/// Why a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("batch needs {needed} bytes, {found} are there")]
    Truncated {
        /// Bytes the batch needs, as far as its start tells.
        needed: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Message format 0 or 1, which Kafka 4 no longer takes, or one that does not exist.
    #[error("message format {magic} is not supported")]
    UnsupportedMagic {
        /// The magic byte.
        magic: i8,
    },
    /// The length field is below that of a batch without records.
    #[error("batch length {length} is below {}", crate::LENGTH_MIN)]
    InvalidLength {
        /// The length field.
        length: i32,
    },
    /// The batch is larger than the caller allows.
    #[error("batch of {bytes} bytes is larger than {bytes_max}")]
    TooLarge {
        /// Size of the whole batch.
        bytes: usize,
        /// The most that is allowed.
        bytes_max: usize,
    },
    /// The checksum does not match: the bytes are not those that were written.
    #[error("batch checksum is {computed:#010x}, its header says {stored:#010x}")]
    InvalidCrc {
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// Base offset or last offset delta are negative, or their sum is not an offset.
    #[error("offsets {base_offset} + {last_offset_delta} are no range")]
    InvalidOffsetRange {
        /// The base offset field.
        base_offset: i64,
        /// The last offset delta field.
        last_offset_delta: i32,
    },
    /// A client's batch does not start at offset 0.
    #[error("base offset of a produced batch is {base_offset}, not 0")]
    InvalidBaseOffset {
        /// The base offset field.
        base_offset: i64,
    },
    /// The record count is negative, zero where records must be, or more than the bytes can hold.
    #[error("record count {record_count} cannot be: {payload_bytes} bytes of records")]
    InvalidRecordCount {
        /// The record count field.
        record_count: i32,
        /// Bytes after the header.
        payload_bytes: usize,
    },
    /// The record count and the last offset delta disagree.
    #[error("{record_count} records do not fill offsets 0 to {last_offset_delta}")]
    CountMismatch {
        /// The record count field.
        record_count: i32,
        /// The last offset delta field.
        last_offset_delta: i32,
    },
    /// Attribute bits without a meaning are set.
    #[error("unknown attribute bits {bits:#06x}")]
    UnknownAttributes {
        /// Those bits.
        bits: i16,
    },
    /// The compression number is not given out.
    #[error("unknown compression type {id}")]
    UnknownCompression {
        /// The number.
        id: i16,
    },
    /// A client may not write control batches.
    #[error("control batches are written by brokers only")]
    ControlBatch,
    /// A client may not set a delete horizon.
    #[error("delete horizons are set by compaction only")]
    DeleteHorizon,
    /// A client may not claim the time of append.
    #[error("producers may not set the timestamp type to LogAppendTime")]
    LogAppendTime,
    /// Producer id, epoch and sequence do not belong together.
    #[error("producer {producer_id} epoch {producer_epoch} cannot write sequence {base_sequence}")]
    InvalidProducer {
        /// The producer id field.
        producer_id: ProducerId,
        /// The producer epoch field.
        producer_epoch: ProducerEpoch,
        /// The base sequence field.
        base_sequence: Sequence,
    },
    /// The records could not be decompressed.
    #[error("records of the batch: {0}")]
    Compression(#[from] CompressionError),
    /// A record could not be read.
    #[error("record {index} of the batch: {fault}")]
    Record {
        /// Place of the record in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// Bytes follow the last record.
    #[error("bytes follow the last of {record_count} records")]
    TrailingBytes {
        /// The record count field.
        record_count: i32,
    },
    /// Records are well-formed but not acceptable; each with its reason.
    #[error("{} records refused, the first: record {}", .errors.len(),
        .errors.first().map(ToString::to_string).unwrap_or_default())]
    InvalidRecords {
        /// The refused records in order, at most [`crate::validate_deep`]'s limit.
        errors: Vec<RecordError>,
    },
}

/// How a broker answers a [`BatchError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchErrorKind {
    /// CORRUPT_MESSAGE (2): the bytes changed on their way; sending them again may help.
    Corrupt,
    /// INVALID_RECORD (87) from Kafka 4: message format 0 or 1.
    UnsupportedMagic,
    /// MESSAGE_TOO_LARGE (10).
    TooLarge,
    /// UNSUPPORTED_COMPRESSION_TYPE (76).
    UnsupportedCompression,
    /// INVALID_TIMESTAMP (32).
    InvalidTimestamp,
    /// INVALID_RECORD (87): the bytes arrived as they were sent and are wrong.
    InvalidRecord,
}

impl BatchError {
    /// Which answer a producer gets.
    ///
    /// A cut batch is the sender's mistake here, as in Kafka (INVALID_RECORD); a caller that
    /// reads its own files knows better.
    pub fn kind(&self) -> BatchErrorKind {
        match self {
            // Kafka: formats that once were are refused as records, others as damage.
            Self::UnsupportedMagic { magic: 0 | 1 } => BatchErrorKind::UnsupportedMagic,
            Self::InvalidLength { .. }
            | Self::InvalidCrc { .. }
            | Self::UnsupportedMagic { .. } => BatchErrorKind::Corrupt,
            Self::TooLarge { .. } => BatchErrorKind::TooLarge,
            Self::UnknownCompression { .. } => BatchErrorKind::UnsupportedCompression,
            Self::LogAppendTime => BatchErrorKind::InvalidTimestamp,
            Self::InvalidRecords { errors } if errors.iter().any(RecordError::is_timestamp) => {
                BatchErrorKind::InvalidTimestamp
            }
            _ => BatchErrorKind::InvalidRecord,
        }
    }
}

/// Why the bytes of a record are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// The batch ends inside the record.
    #[error("the batch ends inside it")]
    Truncated,
    /// A varint is malformed.
    #[error("{0}")]
    Varint(VarintError),
    /// A length is below zero where that has no meaning, or below -1.
    #[error("length {length} of its {field}")]
    NegativeLength {
        /// Which length.
        field: &'static str,
        /// The length.
        length: i32,
    },
    /// A field reaches over the end of the record.
    #[error("its {field} takes {length} bytes of {present}")]
    Overrun {
        /// Which field.
        field: &'static str,
        /// Bytes it says it takes.
        length: usize,
        /// Bytes left in the record.
        present: usize,
    },
    /// More headers than bytes.
    #[error("{count} headers in {present} bytes")]
    HeaderCount {
        /// The header count field.
        count: i32,
        /// Bytes left in the record.
        present: usize,
    },
    /// Bytes of the record follow its last field.
    #[error("{count} bytes follow its last field")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// The offset delta lies outside of the batch.
    #[error("offset delta {offset_delta} is outside of 0 to {last_offset_delta}")]
    OffsetOutOfRange {
        /// The record's offset delta.
        offset_delta: i32,
        /// The batch's last offset delta.
        last_offset_delta: i32,
    },
}

/// A well-formed record that is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{index}: {reason}")]
pub struct RecordError {
    /// Place of the record in the batch, from 0; Kafka's `batch_index`.
    pub index: i32,
    /// Why it is not acceptable.
    pub reason: RecordErrorReason,
}

impl RecordError {
    fn is_timestamp(&self) -> bool {
        matches!(
            self.reason,
            RecordErrorReason::TimestampOutOfRange { .. }
                | RecordErrorReason::TimestampOverflow { .. }
        )
    }
}

/// Why a record is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordErrorReason {
    /// Compacted topics need keys.
    #[error("compacted topics take no record without a key")]
    MissingKey,
    /// Outside of what the topic allows.
    #[error("timestamp {timestamp} is outside of {earliest} to {latest}")]
    TimestampOutOfRange {
        /// The record's timestamp.
        timestamp: Timestamp,
        /// The earliest allowed.
        earliest: Timestamp,
        /// The latest allowed.
        latest: Timestamp,
    },
    /// Base timestamp and delta do not add up to a timestamp.
    #[error("timestamps {base_timestamp} + {timestamp_delta} do not add up")]
    TimestampOverflow {
        /// The batch's base timestamp.
        base_timestamp: Timestamp,
        /// The record's delta.
        timestamp_delta: i64,
    },
    /// Offsets of a produced batch run on from 0, and of a stored one they rise.
    #[error("offset delta {found}, expected {expected} or, where gaps are allowed, more")]
    OffsetDelta {
        /// The least it may be.
        expected: i32,
        /// What it is.
        found: i32,
    },
}

/// Why a batch could not be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field or the batch is larger than the format can say.
    #[error("{field} of {bytes} bytes does not fit a record batch")]
    TooLarge {
        /// What is too large.
        field: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// Offsets must rise and stay within 2^31 of the base offset.
    #[error("offset {offset} cannot follow {last_offset} in a batch from {base_offset}")]
    OffsetOutOfOrder {
        /// The offset refused.
        offset: i64,
        /// The offset of the record before, or one below the base offset.
        last_offset: i64,
        /// The base offset.
        base_offset: i64,
    },
    /// The distance to the base timestamp does not fit 64 bits.
    #[error("timestamp {timestamp} is too far from {base_timestamp}")]
    TimestampOutOfRange {
        /// The timestamp refused.
        timestamp: Timestamp,
        /// The base timestamp.
        base_timestamp: Timestamp,
    },
    /// Compression failed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// The batch to rewrite is not a good one.
    #[error(transparent)]
    Batch(#[from] BatchError),
}
