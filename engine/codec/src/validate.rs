//! Whether a batch may be appended: what its header and checksum show, and what only its records
//! show.
//!
//! Source: Kafka 4.3's answers to produce requests; the Kafka protocol guide, "Record batch".

use crate::attributes::TimestampType;
use crate::batch::Batch;
use crate::compression::Compression;
use crate::error::{BatchError, RecordError, RecordErrorReason};
use crate::record::{RECORD_BYTES_MIN, RecordLayout};
use engine_model::{Offset, Timestamp};

/// The most refused records that are listed for one batch; Kafka lists all, which a client could
/// use to make an answer much larger than its request.
const RECORD_ERRORS_MAX: usize = 100;

/// Who wrote a batch, and so what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A producer: offsets from 0, every record there, no control batch.
    Client,
    /// This broker: markers and coordinator records; otherwise as a client.
    Internal,
    /// A leader or a disk, which have checked it once: compaction may have taken records out.
    Replication,
}

/// Checks everything that shows without decompression: checksum, attributes, offsets against
/// count, producer fields.
///
/// The checksum, the one pass over the bytes, comes first: only a batch that arrived as it was sent
/// may be called wrong, for a producer repeats what was damaged and gives up on what was wrong.
/// Errors: any of [`BatchError`] but those of records and compression.
pub fn validate(batch: &Batch, origin: Origin) -> Result<(), BatchError> {
    batch.check_crc()?;
    check_attributes(batch, origin)?;
    check_count(batch, origin)?;
    if origin == Origin::Replication {
        return Ok(());
    }
    check_producer(batch)?;
    if origin == Origin::Client && batch.header().base_offset != Offset::ZERO {
        return Err(BatchError::InvalidBaseOffset {
            base_offset: batch.header().base_offset.get(),
        });
    }
    Ok(())
}

fn check_attributes(batch: &Batch, origin: Origin) -> Result<(), BatchError> {
    let attributes = batch.header().attributes;
    let unknown = attributes.unknown_bits();
    if unknown != 0 {
        return Err(BatchError::UnknownAttributes { bits: unknown });
    }
    if attributes.compression().is_none() {
        return Err(BatchError::UnknownCompression {
            id: attributes.compression_id(),
        });
    }
    if origin == Origin::Client && attributes.is_control() {
        return Err(BatchError::ControlBatch);
    }
    if origin != Origin::Replication && attributes.has_delete_horizon() {
        return Err(BatchError::DeleteHorizon);
    }
    if origin == Origin::Client && attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::LogAppendTime);
    }
    Ok(())
}

fn check_count(batch: &Batch, origin: Origin) -> Result<(), BatchError> {
    let header = batch.header();
    let record_count = header.record_count;
    let payload_bytes = batch.payload().len();
    let is_impossible = || BatchError::InvalidRecordCount {
        record_count,
        payload_bytes,
    };
    let count = usize::try_from(record_count).map_err(|_| is_impossible())?;
    if header.attributes.compression() == Some(Compression::None) {
        let records_max = payload_bytes / RECORD_BYTES_MIN;
        if count > records_max || (count == 0 && payload_bytes > 0) {
            return Err(is_impossible());
        }
    }
    // Compaction keeps the offsets of what it takes out, and the last batch of a live producer
    // even when nothing is left in it.
    let is_consistent = match header.last_offset_delta.checked_sub(record_count) {
        Some(-1) => true,
        Some(missing) => origin == Origin::Replication && missing >= 0,
        None => false,
    };
    if origin != Origin::Replication && count == 0 {
        return Err(is_impossible());
    }
    if is_consistent {
        Ok(())
    } else {
        Err(BatchError::CountMismatch {
            record_count,
            last_offset_delta: header.last_offset_delta,
        })
    }
}

fn check_producer(batch: &Batch) -> Result<(), BatchError> {
    let header = batch.header();
    let attributes = header.attributes;
    let (id, epoch, sequence) = (
        header.producer_id.0,
        header.producer_epoch.get(),
        header.base_sequence.get(),
    );
    let is_sound = if header.has_producer_id() {
        // Markers carry no sequence.
        epoch >= 0 && (sequence >= 0 || (attributes.is_control() && sequence == -1))
    } else {
        // Some clients leave epoch and sequence at 0 where there is no id; Kafka reads neither.
        id == -1 && !attributes.is_transactional()
    };
    if is_sound {
        Ok(())
    } else {
        Err(BatchError::InvalidProducer {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        })
    }
}

/// What a topic asks of the records in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeepLimits {
    /// The most bytes that may come out of a compressed batch.
    pub decompressed_bytes_max: usize,
    /// Whether a record without a key is refused, as compacted topics do.
    pub are_keys_required: bool,
    /// The earliest timestamp taken; -1, no timestamp, is always taken. Not asked of `LogAppendTime`.
    pub timestamp_earliest: Timestamp,
    /// The latest timestamp taken.
    pub timestamp_latest: Timestamp,
    /// Whether offset deltas may have gaps, as they do after compaction.
    pub are_gaps_allowed: bool,
}

impl DeepLimits {
    /// Any well-formed records of a producer that decompress to at most that many bytes.
    pub const fn new(decompressed_bytes_max: usize) -> Self {
        Self {
            decompressed_bytes_max,
            are_keys_required: false,
            timestamp_earliest: Timestamp(i64::MIN),
            timestamp_latest: Timestamp(i64::MAX),
            are_gaps_allowed: false,
        }
    }
}

/// What the records of a batch showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeepReport {
    /// The largest timestamp of the records, whatever the header says; `NONE` without records.
    pub max_timestamp: Timestamp,
    /// Offset delta of the first record with that timestamp; 0 without records.
    pub max_timestamp_offset_delta: i32,
}

/// Decompresses a batch and checks every record: its form, then what `limits` ask.
///
/// Holds one chunk and one record at a time. Does not do what [`validate()`] does.
/// Errors: `Compression`, `Record`, `TrailingBytes` at the first damage; otherwise `InvalidRecords`
/// with up to 100 refused records.
pub fn validate_deep(batch: &Batch, limits: &DeepLimits) -> Result<DeepReport, BatchError> {
    let mut inspection = Inspection::new(batch, limits);
    batch
        .records(limits.decompressed_bytes_max)
        .visit(|index, layout, _| {
            inspection.inspect(index, layout);
            true
        })?;
    inspection.finish()
}

/// The running state of a walk over all records.
struct Inspection<'a> {
    batch: &'a Batch,
    limits: &'a DeepLimits,
    offset_delta_next: i32,
    report: DeepReport,
    errors: Vec<RecordError>,
}

impl<'a> Inspection<'a> {
    fn new(batch: &'a Batch, limits: &'a DeepLimits) -> Self {
        Self {
            batch,
            limits,
            offset_delta_next: 0,
            report: DeepReport {
                max_timestamp: Timestamp::NONE,
                max_timestamp_offset_delta: 0,
            },
            errors: Vec::new(),
        }
    }

    fn inspect(&mut self, index: i32, layout: &RecordLayout) {
        if let Some(reason) = self.objection(layout)
            && self.errors.len() < RECORD_ERRORS_MAX
        {
            self.errors.push(RecordError { index, reason });
        }
        self.offset_delta_next = layout.offset_delta.saturating_add(1);
        let timestamp = self.batch.header().record_timestamp(layout.timestamp_delta);
        if index == 0 || timestamp > self.report.max_timestamp {
            self.report = DeepReport {
                max_timestamp: timestamp,
                max_timestamp_offset_delta: layout.offset_delta,
            };
        }
    }

    fn objection(&self, layout: &RecordLayout) -> Option<RecordErrorReason> {
        let (expected, found) = (self.offset_delta_next, layout.offset_delta);
        if found < expected || (found > expected && !self.limits.are_gaps_allowed) {
            return Some(RecordErrorReason::OffsetDelta { expected, found });
        }
        if self.limits.are_keys_required && layout.key.is_none() {
            return Some(RecordErrorReason::MissingKey);
        }
        let header = self.batch.header();
        if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            return None;
        }
        let base_timestamp = header.base_timestamp;
        let Some(timestamp) = base_timestamp.0.checked_add(layout.timestamp_delta) else {
            return Some(RecordErrorReason::TimestampOverflow {
                base_timestamp,
                timestamp_delta: layout.timestamp_delta,
            });
        };
        let timestamp = Timestamp(timestamp);
        let (earliest, latest) = (self.limits.timestamp_earliest, self.limits.timestamp_latest);
        let is_allowed =
            timestamp == Timestamp::NONE || (earliest <= timestamp && timestamp <= latest);
        (!is_allowed).then_some(RecordErrorReason::TimestampOutOfRange {
            timestamp,
            earliest,
            latest,
        })
    }

    fn finish(self) -> Result<DeepReport, BatchError> {
        if self.errors.is_empty() {
            Ok(self.report)
        } else {
            Err(BatchError::InvalidRecords {
                errors: self.errors,
            })
        }
    }
}
