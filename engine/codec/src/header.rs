//! The 61 bytes that open a batch.
//!
//! | bytes | field                  | under the checksum |
//! |-------|------------------------|--------------------|
//! | 0-7   | base offset            | no                 |
//! | 8-11  | length after this field| no                 |
//! | 12-15 | partition leader epoch | no                 |
//! | 16    | magic, 2               | no                 |
//! | 17-20 | CRC-32C                | no                 |
//! | 21-22 | attributes             | yes, as all below  |
//! | 23-26 | last offset delta      |                    |
//! | 27-34 | base timestamp         |                    |
//! | 35-42 | max timestamp          |                    |
//! | 43-50 | producer id            |                    |
//! | 51-52 | producer epoch         |                    |
//! | 53-56 | base sequence          |                    |
//! | 57-60 | record count           |                    |
//!
//! All big-endian. Source: the Kafka protocol guide, "Record batch".

use crate::attributes::{Attributes, TimestampType};
use crate::error::BatchError;
use bytes::{Buf, BufMut};
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the length field does not count: base offset and the field itself.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// The length field of a batch without records.
pub const LENGTH_MIN: i32 = 49;
/// The message format this crate reads and writes.
pub const MAGIC: i8 = 2;

const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = 21;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;

/// The fields of a batch header, as they stand in the bytes.
///
/// What [`BatchHeader::parse`] returns has a length of at least [`LENGTH_MIN`], magic 2, a record
/// count that is not negative and an offset range that is one; everything else may be any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record the producer put in, also after compaction.
    pub base_offset: Offset,
    /// Bytes that follow the length field.
    pub length: i32,
    /// Epoch of the leader that appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// Message format.
    pub magic: i8,
    /// Stored checksum of everything from the attributes on.
    pub crc: u32,
    /// Compression, timestamp type and flags.
    pub attributes: Attributes,
    /// Distance from the base offset to the last offset of the batch.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from; the delete horizon if that flag is set.
    pub base_timestamp: Timestamp,
    /// Largest timestamp of the records, or the time of append; some clients leave it at -1.
    pub max_timestamp: Timestamp,
    /// Idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub base_sequence: Sequence,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the whole batch.
    ///
    /// Errors: `Truncated` when fewer than [`HEADER_BYTES`] are there (and they do not already show
    /// something worse), `UnsupportedMagic`, `InvalidLength`, `InvalidOffsetRange`,
    /// `InvalidRecordCount`. Checks neither checksum nor attributes: see [`crate::validate()`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let header = Self::read(bytes)?;
        header.check_numbers()?;
        Ok(header)
    }

    /// Reads the fields and checks no more than magic and length.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        // Old formats share the first 17 bytes; their batches may be shorter than our header.
        if let Some(magic) = bytes.get(MAGIC_AT) {
            let magic = magic.cast_signed();
            if magic != MAGIC {
                return Err(BatchError::UnsupportedMagic { magic });
            }
        }
        let Some(mut fields) = bytes.get(..HEADER_BYTES) else {
            return Err(BatchError::Truncated {
                needed: HEADER_BYTES,
                found: bytes.len(),
            });
        };
        // `Buf` panics on too few bytes; the slice above has exactly those that are taken here.
        let header = Self {
            base_offset: Offset::new(fields.get_i64()),
            length: fields.get_i32(),
            partition_leader_epoch: LeaderEpoch::new(fields.get_i32()),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: Attributes::new(fields.get_i16()),
            last_offset_delta: fields.get_i32(),
            base_timestamp: Timestamp(fields.get_i64()),
            max_timestamp: Timestamp(fields.get_i64()),
            producer_id: ProducerId(fields.get_i64()),
            producer_epoch: ProducerEpoch::new(fields.get_i16()),
            base_sequence: Sequence::new(fields.get_i32()),
            record_count: fields.get_i32(),
        };
        if header.length < LENGTH_MIN {
            return Err(BatchError::InvalidLength {
                length: header.length,
            });
        }
        Ok(header)
    }

    /// Checks that the offsets are a range and the count is one.
    pub(crate) fn check_numbers(&self) -> Result<(), BatchError> {
        let (base, delta) = (self.base_offset.get(), self.last_offset_delta);
        // The end offset, one past the last, has to be an offset too.
        let end = base
            .checked_add(i64::from(delta))
            .and_then(|last| last.checked_add(1));
        if base < 0 || delta < 0 || end.is_none() {
            return Err(BatchError::InvalidOffsetRange {
                base_offset: base,
                last_offset_delta: delta,
            });
        }
        if self.record_count < 0 {
            return Err(BatchError::InvalidRecordCount {
                record_count: self.record_count,
                payload_bytes: self.total_bytes().saturating_sub(HEADER_BYTES),
            });
        }
        Ok(())
    }

    /// Appends the 61 bytes, fields as they are, `crc` included.
    pub fn write(&self, output: &mut impl BufMut) {
        output.put_i64(self.base_offset.get());
        output.put_i32(self.length);
        output.put_i32(self.partition_leader_epoch.get());
        output.put_i8(self.magic);
        output.put_u32(self.crc);
        output.put_i16(self.attributes.bits());
        output.put_i32(self.last_offset_delta);
        output.put_i64(self.base_timestamp.0);
        output.put_i64(self.max_timestamp.0);
        output.put_i64(self.producer_id.0);
        output.put_i16(self.producer_epoch.get());
        output.put_i32(self.base_sequence.get());
        output.put_i32(self.record_count);
    }

    /// Size of the whole batch in bytes.
    pub fn total_bytes(&self) -> usize {
        usize::try_from(self.length)
            .unwrap_or(0)
            .saturating_add(LOG_OVERHEAD_BYTES)
    }

    /// Offset of the last record the producer put in, also after compaction.
    pub fn last_offset(&self) -> Offset {
        Offset::new(
            self.base_offset
                .get()
                .saturating_add(i64::from(self.last_offset_delta)),
        )
    }

    /// The offset after the last: where the next batch may start.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().saturating_next()
    }

    /// The sequence of the last record, or `NONE` where the batch has no sequences.
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence.get() < 0 {
            Sequence::NONE
        } else {
            self.base_sequence.wrapping_add(self.last_offset_delta)
        }
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > ProducerId::NONE
    }

    /// What compaction set as the time to drop tombstones, if it did.
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.attributes
            .has_delete_horizon()
            .then_some(self.base_timestamp)
    }

    /// The timestamp of a record with that delta; at the ends of the range for deltas that lead
    /// out of it.
    pub fn record_timestamp(&self, timestamp_delta: i64) -> Timestamp {
        match self.attributes.timestamp_type() {
            TimestampType::CreateTime => {
                Timestamp(self.base_timestamp.0.saturating_add(timestamp_delta))
            }
            TimestampType::LogAppendTime => self.max_timestamp,
        }
    }

    /// The offset of a record with that delta.
    pub fn record_offset(&self, offset_delta: i32) -> Offset {
        Offset::new(
            self.base_offset
                .get()
                .saturating_add(i64::from(offset_delta)),
        )
    }
}
