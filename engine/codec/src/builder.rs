//! Writes a batch, record by record.
//!
//! Keeps: what it builds passes [`crate::validate()`]; uncompressed it is byte for byte what Kafka's
//! Java producer writes from the same records. Offsets rise; the base timestamp is that of the
//! first record (or the delete horizon).

use crate::attributes::{Attributes, TimestampType};
use crate::compression::{Compression, compress};
use crate::crc;
use crate::error::BuildError;
use crate::header::{ATTRIBUTES_AT, BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES, MAGIC};
use crate::record::RecordFields;
use crate::varint;
use bytes::{BufMut, Bytes, BytesMut};
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Everything about a batch but its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// How the records are compressed.
    pub compression: Compression,
    /// Effort, as in [`compress`]; `None` is Kafka's default.
    pub compression_level: Option<i32>,
    /// Offset of the first record; producers write 0.
    pub base_offset: Offset,
    /// Epoch of the appending leader; producers write -1.
    pub partition_leader_epoch: LeaderEpoch,
    /// With `LogAppendTime` the largest timestamp given is the time of append, and holds for all.
    pub timestamp_type: TimestampType,
    /// Idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, or -1.
    pub base_sequence: Sequence,
    /// Whether the batch belongs to a transaction.
    pub is_transactional: bool,
    /// Whether the batch holds markers.
    pub is_control: bool,
    /// When tombstones of the batch may go, once compaction has decided.
    pub delete_horizon: Option<Timestamp>,
    /// The most bytes of the batch before compression. The first record always has room.
    pub bytes_max: usize,
}

impl Default for BatchOptions {
    /// A producer's batch: offset 0, uncompressed, no producer id, at most 1 MiB.
    fn default() -> Self {
        Self {
            compression: Compression::None,
            compression_level: None,
            base_offset: Offset::ZERO,
            partition_leader_epoch: LeaderEpoch::NONE,
            timestamp_type: TimestampType::CreateTime,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            is_transactional: false,
            is_control: false,
            delete_horizon: None,
            bytes_max: 1 << 20,
        }
    }
}

/// A record to be written, borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordData<'a> {
    /// Milliseconds since 1970, or -1.
    pub timestamp: Timestamp,
    /// Key, or null.
    pub key: Option<&'a [u8]>,
    /// Value, or null.
    pub value: Option<&'a [u8]>,
    /// Headers in order; duplicates are kept.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Collects records and writes them as one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records.
    buffer: BytesMut,
    record_count: i32,
    /// Offset delta of the last record, -1 before the first.
    offset_delta_last: i32,
    /// What the batch ends at, if not its last record.
    last_offset_delta: Option<i32>,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(options: BatchOptions) -> Self {
        let mut buffer = BytesMut::new();
        buffer.put_bytes(0, HEADER_BYTES);
        Self {
            options,
            buffer,
            record_count: 0,
            offset_delta_last: -1,
            last_offset_delta: None,
            base_timestamp: options.delete_horizon.unwrap_or(Timestamp::NONE),
            max_timestamp: Timestamp::NONE,
        }
    }

    /// Number of records taken so far.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Whether no record has been taken yet.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes of the batch so far, header included, before compression.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Takes a record at the next offset; false, and nothing taken, when there is no room for it.
    ///
    /// Errors: `TooLarge` and `TimestampOutOfRange` for what no batch could hold together.
    pub fn append(&mut self, record: &RecordData<'_>) -> Result<bool, BuildError> {
        let delta = self.offset_delta_last.checked_add(1);
        self.append_with_delta(delta, record)
    }

    /// Takes a record at `offset`, which may leave a gap; else as [`Self::append`].
    ///
    /// Errors: also `OffsetOutOfOrder`.
    pub fn append_at(
        &mut self,
        offset: Offset,
        record: &RecordData<'_>,
    ) -> Result<bool, BuildError> {
        let delta = offset
            .checked_distance(self.options.base_offset)
            .and_then(|distance| i32::try_from(distance).ok());
        match delta {
            Some(delta) if delta > self.offset_delta_last => {
                self.append_with_delta(Some(delta), record)
            }
            _ => Err(BuildError::OffsetOutOfOrder {
                offset: offset.get(),
                last_offset: self.offset_of(self.offset_delta_last),
                base_offset: self.options.base_offset.get(),
            }),
        }
    }

    fn append_with_delta(
        &mut self,
        offset_delta: Option<i32>,
        record: &RecordData<'_>,
    ) -> Result<bool, BuildError> {
        let Some(offset_delta) = offset_delta else {
            // 2^31 offsets: full, whatever its size.
            return Ok(false);
        };
        let is_first = self.record_count == 0;
        let base_timestamp = if is_first && self.options.delete_horizon.is_none() {
            record.timestamp
        } else {
            self.base_timestamp
        };
        let timestamp_delta = record.timestamp.0.checked_sub(base_timestamp.0).ok_or(
            BuildError::TimestampOutOfRange {
                timestamp: record.timestamp,
                base_timestamp,
            },
        )?;
        let fields = RecordFields {
            offset_delta,
            timestamp_delta,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let too_large = |bytes| BuildError::TooLarge {
            field: "record",
            bytes,
        };
        let body_bytes = fields.body_bytes().ok_or(too_large(
            record
                .key
                .map_or(0, <[u8]>::len)
                .saturating_add(record.value.map_or(0, <[u8]>::len)),
        ))?;
        let size_bytes = varint::unsigned_bytes(u64::try_from(body_bytes).unwrap_or(u64::MAX) << 1);
        let record_bytes = body_bytes.saturating_add(size_bytes);
        let total = self.buffer.len().saturating_add(record_bytes);
        if !is_first && total > self.options.bytes_max {
            return Ok(false);
        }
        if i32::try_from(total).is_err() {
            return Err(too_large(record_bytes));
        }
        self.buffer.reserve(record_bytes);
        fields.write(body_bytes, &mut self.buffer);
        self.record_count = self.record_count.saturating_add(1);
        self.offset_delta_last = offset_delta;
        self.base_timestamp = base_timestamp;
        if is_first || record.timestamp > self.max_timestamp {
            self.max_timestamp = record.timestamp;
        }
        Ok(true)
    }

    /// Makes the batch end at `offset` although its last record lies before, as compaction does.
    ///
    /// Errors: `OffsetOutOfOrder` when a record lies behind it or the batch would span 2^31 offsets.
    pub fn end_at(&mut self, offset: Offset) -> Result<(), BuildError> {
        let delta = offset
            .checked_distance(self.options.base_offset)
            .and_then(|distance| i32::try_from(distance).ok())
            .filter(|delta| *delta >= self.offset_delta_last.max(0));
        self.last_offset_delta = Some(delta.ok_or(BuildError::OffsetOutOfOrder {
            offset: offset.get(),
            last_offset: self.offset_of(self.offset_delta_last),
            base_offset: self.options.base_offset.get(),
        })?);
        Ok(())
    }

    fn offset_of(&self, delta: i32) -> i64 {
        self.options
            .base_offset
            .get()
            .saturating_add(i64::from(delta))
    }

    /// The finished batch.
    ///
    /// Errors: `Compression`; `TooLarge` above 2^31-1 bytes; `Batch` for a batch without records that
    /// was not told where to end.
    pub fn build(self) -> Result<Bytes, BuildError> {
        let options = self.options;
        let header = BatchHeader {
            base_offset: options.base_offset,
            length: 0,
            partition_leader_epoch: options.partition_leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default()
                .with_compression(options.compression)
                .with_timestamp_type(options.timestamp_type)
                .with_transactional(options.is_transactional)
                .with_control(options.is_control)
                .with_delete_horizon(options.delete_horizon.is_some()),
            last_offset_delta: self
                .last_offset_delta
                .unwrap_or(self.offset_delta_last)
                .max(self.offset_delta_last),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.record_count,
        };
        if self.record_count == 0 && self.last_offset_delta.is_none() {
            return Err(BuildError::Batch(crate::BatchError::InvalidRecordCount {
                record_count: 0,
                payload_bytes: 0,
            }));
        }
        if self.record_count == 0 || options.compression == Compression::None {
            let attributes = match self.record_count {
                0 => header.attributes.with_compression(Compression::None),
                _ => header.attributes,
            };
            return seal(
                self.buffer,
                BatchHeader {
                    attributes,
                    ..header
                },
            );
        }
        let records = self.buffer.get(HEADER_BYTES..).unwrap_or_default();
        let compressed = compress(options.compression, options.compression_level, records)?;
        let mut batch = BytesMut::with_capacity(HEADER_BYTES.saturating_add(compressed.len()));
        batch.put_bytes(0, HEADER_BYTES);
        batch.put_slice(&compressed);
        seal(batch, header)
    }
}

/// What is left of a batch when compaction has taken every record: offsets and producer fields.
///
/// Kept for the last batch of a live producer. Uncompressed, no delete horizon.
pub fn empty_batch(header: &BatchHeader) -> Result<Bytes, BuildError> {
    let mut batch = BytesMut::with_capacity(HEADER_BYTES);
    batch.put_bytes(0, HEADER_BYTES);
    seal(
        batch,
        BatchHeader {
            attributes: header
                .attributes
                .with_compression(Compression::None)
                .with_delete_horizon(false),
            // Kafka's compaction writes none here: no record counts from it.
            base_timestamp: Timestamp::NONE,
            record_count: 0,
            ..*header
        },
    )
}

/// Writes `header` over the first bytes of `batch`, with length and checksum of what is there.
pub(crate) fn seal(mut batch: BytesMut, header: BatchHeader) -> Result<Bytes, BuildError> {
    let too_large = BuildError::TooLarge {
        field: "batch",
        bytes: batch.len(),
    };
    let length = batch
        .len()
        .checked_sub(LOG_OVERHEAD_BYTES)
        .and_then(|length| i32::try_from(length).ok())
        .ok_or(too_large.clone())?;
    write_header(&mut batch, BatchHeader { length, ..header });
    let crc = crc::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    write_header(
        &mut batch,
        BatchHeader {
            length,
            crc,
            ..header
        },
    );
    Ok(batch.freeze())
}

fn write_header(batch: &mut BytesMut, header: BatchHeader) {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    header.write(&mut bytes);
    if let Some(place) = batch.get_mut(..HEADER_BYTES) {
        place.copy_from_slice(&bytes);
    }
}
