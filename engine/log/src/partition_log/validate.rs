//! What a leader takes, and in which form it goes into the log.
//!
//! A batch is opened only where the topic's settings or a doubtful header demand it; it is written
//! anew only for `compression.type`. Source: Kafka's LogValidator; the protocol traps 8, 13, 16.

use super::{AppendOptions, Origin};
use crate::config::{LogConfig, TimestampType};
use crate::error::{AppendError, RecordError};
use crate::opening::Opening;
use bytes::Bytes;
use engine_codec::{
    Batch, BatchError, BatchErrorKind, BuildError, DeepLimits, RecordErrorReason, batches,
};
use engine_model::{Timestamp, limits};

/// What comes out of one compressed batch at most: room for honest compression ratios, and no more
/// than a shard can afford to hold and to work through in one go.
pub(crate) fn decompressed_bytes_max(config: &LogConfig) -> usize {
    let max = usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX);
    max.saturating_mul(4)
        .clamp(DECOMPRESSED_BYTES_LEAST, limits::BATCH_BYTES_MAX * 4)
}

/// Topics of small batches open ones that become this large all the same.
const DECOMPRESSED_BYTES_LEAST: usize = 16 << 20;

/// A batch that may be appended.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) batch: Batch,
    /// The largest time of its records, where the header does not say it.
    pub(super) max_timestamp: Option<Timestamp>,
}

/// One batch, the usual case, or several.
#[derive(Debug)]
pub(super) struct AcceptedBatches {
    pub(super) first: Accepted,
    pub(super) rest: Vec<Accepted>,
}

impl AcceptedBatches {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Accepted> + Clone {
        core::iter::once(&self.first).chain(&self.rest)
    }
}

fn invalid(message: &str) -> AppendError {
    AppendError::InvalidRecord {
        message: message.to_owned(),
        errors: Vec::new(),
    }
}

/// Checks the records of one append.
pub(super) fn accept(
    records: &Bytes,
    config: &LogConfig,
    options: &AppendOptions,
    opening: &Opening,
) -> Result<AcceptedBatches, AppendError> {
    let mut walk = batches(records);
    let Some(first) = walk.next() else {
        return Err(invalid("there is no record batch"));
    };
    let first = accept_batch(first?, config, options, opening)?;
    let mut rest = Vec::new();
    for batch in walk {
        if options.origin == Origin::Client {
            return Err(invalid("there is more than one record batch"));
        }
        rest.push(accept_batch(batch?, config, options, opening)?);
    }
    Ok(AcceptedBatches { first, rest })
}

fn accept_batch(
    batch: Batch,
    config: &LogConfig,
    options: &AppendOptions,
    opening: &Opening,
) -> Result<Accepted, AppendError> {
    let max = usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX);
    check_size(batch.bytes().len(), max)?;
    let origin = match options.origin {
        Origin::Client => engine_codec::Origin::Client,
        Origin::Internal => engine_codec::Origin::Internal,
    };
    engine_codec::validate(&batch, origin)?;
    let header = batch.header();
    if options.origin == Origin::Client && header.attributes.is_transactional() {
        return Err(AppendError::InvalidTxnState {
            producer_id: header.producer_id,
        });
    }
    let is_create_time = config.timestamp_type == TimestampType::CreateTime;
    let earliest = if is_create_time && config.timestamp_before_max_ms != i64::MAX {
        Timestamp(options.now.0.saturating_sub(config.timestamp_before_max_ms))
    } else {
        Timestamp(i64::MIN)
    };
    let latest = if is_create_time {
        Timestamp(options.now.0.saturating_add(config.timestamp_after_max_ms))
    } else {
        Timestamp(i64::MAX)
    };
    let limits = DeepLimits {
        are_keys_required: config.compacted && !header.attributes.is_control(),
        timestamp_earliest: earliest,
        timestamp_latest: latest,
        ..DeepLimits::new(decompressed_bytes_max(config))
    };
    let is_recompressed = config
        .compression
        .is_some_and(|wanted| header.attributes.compression() != Some(wanted))
        && !header.attributes.is_control();
    let says_no_time = is_create_time && header.max_timestamp == Timestamp::NONE;
    let is_late = header.max_timestamp > latest;
    let is_opened = limits.are_keys_required
        || earliest.0 != i64::MIN
        || is_late
        || says_no_time
        || is_recompressed;
    if !is_opened {
        return Ok(Accepted {
            batch,
            max_timestamp: None,
        });
    }
    let _work = match options.origin {
        Origin::Client => Some(opening.begin().ok_or(AppendError::Busy)?),
        Origin::Internal => None,
    };
    let explain = |error| refused(error, earliest, latest);
    let wanted = config.compression.filter(|_| is_recompressed);
    let (batch, report) = if let Some(compression) = wanted {
        let (bytes, report) = engine_codec::recompress(&batch, compression, None, &limits)
            .map_err(|error| match error {
                BuildError::Batch(error) => explain(error),
                other => invalid(&other.to_string()),
            })?;
        check_size(bytes.len(), max)?;
        (Batch::parse(&bytes)?, report)
    } else {
        let report = engine_codec::validate_deep(&batch, &limits).map_err(explain)?;
        (batch, report)
    };
    if is_late {
        // No record is late, so the header lies about them.
        return Err(AppendError::InvalidTimestamp {
            timestamp: batch.header().max_timestamp,
            earliest,
            latest,
            errors: Vec::new(),
        });
    }
    let max_timestamp = says_no_time
        .then_some(report.max_timestamp)
        .filter(|max| *max != Timestamp::NONE);
    Ok(Accepted {
        batch,
        max_timestamp,
    })
}

pub(super) fn check_size(bytes: usize, max: usize) -> Result<(), AppendError> {
    let max = max.min(limits::BATCH_BYTES_MAX);
    if bytes > max {
        return Err(AppendError::TooLarge {
            bytes: crate::number::to_u64(bytes),
            max: crate::number::to_u64(max),
        });
    }
    Ok(())
}

/// What a refused batch is answered with, where time bounds were asked for.
fn refused(error: BatchError, earliest: Timestamp, latest: Timestamp) -> AppendError {
    match AppendError::from(error) {
        AppendError::InvalidTimestamp {
            timestamp, errors, ..
        } => AppendError::InvalidTimestamp {
            timestamp,
            earliest,
            latest,
            errors,
        },
        other => other,
    }
}

impl From<BatchError> for AppendError {
    fn from(error: BatchError) -> Self {
        let message = error.to_string();
        let kind = error.kind();
        let (timestamp, errors) = record_errors(&error);
        match (kind, error) {
            (BatchErrorKind::Corrupt, _) => Self::Corrupt { reason: message },
            (_, BatchError::UnsupportedMagic { magic }) => Self::UnsupportedMagic { magic },
            (_, BatchError::TooLarge { .. }) => Self::TooLarge {
                bytes: u64::MAX,
                max: crate::number::to_u64(limits::BATCH_BYTES_MAX),
            },
            (_, BatchError::UnknownCompression { id }) => {
                Self::UnsupportedCompression { codec: id }
            }
            (BatchErrorKind::InvalidTimestamp, _) => Self::InvalidTimestamp {
                timestamp,
                earliest: Timestamp::NONE,
                latest: Timestamp::NONE,
                errors,
            },
            _ => Self::InvalidRecord { message, errors },
        }
    }
}

/// The records at fault, and the first timestamp among them.
fn record_errors(error: &BatchError) -> (Timestamp, Vec<RecordError>) {
    let BatchError::InvalidRecords { errors } = error else {
        return (Timestamp::NONE, Vec::new());
    };
    let timestamp = errors.iter().find_map(|error| match error.reason {
        RecordErrorReason::TimestampOutOfRange { timestamp, .. } => Some(timestamp),
        _ => None,
    });
    let errors = errors
        .iter()
        .map(|error| RecordError {
            index: u32::try_from(error.index).unwrap_or(0),
            message: error.reason.to_string(),
        })
        .collect();
    (timestamp.unwrap_or(Timestamp::NONE), errors)
}
