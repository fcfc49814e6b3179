//! What Kafka checks of a Produce before any log sees it.
//!
//! Source: Kafka 4.3.1's answers, asked: `validateRecords` of its produce request, and its log's
//! rule on internal topics.

use bytes::Bytes;
use engine_codec::{Batch, BatchError, BatchErrorKind, Compression};
use engine_model::ErrorCode;
use net_protocol::{Records, Text};

use crate::question::ProduceAnswer;

/// Zstandard came with this version.
const ZSTD_FROM: i16 = 7;

/// Why a batch goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// With this code, which says it all.
    Code(ErrorCode),
    /// With this code and words.
    Words(ErrorCode, Text),
    /// The topic is one of Kafka's own.
    Internal,
}

impl Refusal {
    pub(super) fn into_answer(self) -> ProduceAnswer {
        match self {
            Self::Code(code) => ProduceAnswer::refused(code, None),
            Self::Words(code, words) => ProduceAnswer::refused(code, Some(words)),
            Self::Internal => ProduceAnswer::refused(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                Some(Text::from_static("Cannot append to an internal topic.")),
            ),
        }
    }
}

/// acks is -1, 0 or 1.
pub(super) fn acks(acks: i16) -> Result<(), Refusal> {
    if (-1..=1).contains(&acks) {
        Ok(())
    } else {
        Err(Refusal::Code(ErrorCode::INVALID_REQUIRED_ACKS))
    }
}

/// A partition's records are exactly one batch of format 2, in a codec its version knows.
pub(super) fn records(version: i16, records: Option<Records>) -> Result<Bytes, Refusal> {
    let bytes = records.map(Records::into_bytes).unwrap_or_default();
    let mut rest = bytes.clone();
    let batch = Batch::split_off_front(&mut rest).map_err(|error| match error {
        // Kafka's reader finds no batch where the bytes end before it does.
        BatchError::Truncated { .. } => words(
            ErrorCode::INVALID_RECORD,
            format!("Produce requests with version {version} must have at least one record batch per partition"),
        ),
        BatchError::UnsupportedMagic { magic: 0 | 1 } => words(
            ErrorCode::INVALID_RECORD,
            format!("Produce requests with version {version} are only allowed to contain record batches with magic version 2"),
        ),
        error => words(code(&error), error.to_string()),
    })?;
    if version < ZSTD_FROM && batch.header().attributes.compression() == Some(Compression::Zstd) {
        return Err(words(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            format!(
                "Produce requests with version {version} are not allowed to use ZStandard compression"
            ),
        ));
    }
    if !rest.is_empty() {
        return Err(words(
            ErrorCode::INVALID_RECORD,
            format!(
                "Produce requests with version {version} are only allowed to contain exactly one record batch per partition"
            ),
        ));
    }
    Ok(bytes)
}

fn code(error: &BatchError) -> ErrorCode {
    match error.kind() {
        BatchErrorKind::Corrupt => ErrorCode::CORRUPT_MESSAGE,
        BatchErrorKind::TooLarge => ErrorCode::MESSAGE_TOO_LARGE,
        BatchErrorKind::UnsupportedCompression => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        BatchErrorKind::InvalidTimestamp => ErrorCode::INVALID_TIMESTAMP,
        BatchErrorKind::UnsupportedMagic | BatchErrorKind::InvalidRecord => {
            ErrorCode::INVALID_RECORD
        }
    }
}

fn words(code: ErrorCode, words: String) -> Refusal {
    Refusal::Words(code, words.into())
}
