//! One batch of the bytes it came in, and the walk over several.
//!
//! Keeps: a [`Batch`] is exactly as long as its header says, its magic is 2, its offsets are a
//! range. Nothing is copied.
//! Does not: check the checksum, attributes or records; see [`crate::validate()`].

use crate::attributes::TimestampType;
use crate::crc;
use crate::error::BatchError;
use crate::header::{
    ATTRIBUTES_AT, BatchHeader, CRC_AT, HEADER_BYTES, LOG_OVERHEAD_BYTES, MAX_TIMESTAMP_AT,
};
use crate::record_iter::RecordIter;
use bytes::{Buf, Bytes};
use engine_model::{LeaderEpoch, Offset, Timestamp};

/// One whole record batch: its header, read, and its bytes, shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Takes the batch off the front of `bytes`.
    ///
    /// Errors: those of [`BatchHeader::parse`]; `Truncated` when the batch goes on after the end;
    /// `InvalidCrc` instead of a complaint about numbers that the checksum shows to be damaged.
    /// `bytes` is left alone when it fails.
    pub fn split_off_front(bytes: &mut Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::read(bytes)?;
        let needed = header.total_bytes();
        if bytes.len() < needed {
            return Err(BatchError::Truncated {
                needed,
                found: bytes.len(),
            });
        }
        let batch = Self {
            header,
            bytes: bytes.slice(..needed),
        };
        if let Err(error) = header.check_numbers() {
            batch.check_crc()?;
            return Err(error);
        }
        bytes.advance(needed);
        Ok(batch)
    }

    /// The one batch that `bytes` is.
    ///
    /// Errors: as above; `TrailingBytes` when more follows, or `InvalidCrc` where a damaged length
    /// makes it look so.
    pub fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let mut rest = bytes.clone();
        let batch = Self::split_off_front(&mut rest)?;
        if rest.is_empty() {
            return Ok(batch);
        }
        batch.check_crc()?;
        Err(BatchError::TrailingBytes {
            record_count: batch.header.record_count,
        })
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[inline]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole batch.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The records: compressed if the header says so.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES.min(self.bytes.len())..)
    }

    /// The checksum of the bytes as they are.
    pub fn compute_crc(&self) -> u32 {
        crc::crc32c(self.bytes.get(ATTRIBUTES_AT..).unwrap_or_default())
    }

    /// Whether the stored checksum is that of the bytes.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (self.header.crc, self.compute_crc());
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::InvalidCrc { stored, computed })
        }
    }

    /// The records in order, decompressed on the way.
    ///
    /// At most `decompressed_bytes_max` bytes come out of a compressed batch; the rest is an error.
    /// An uncompressed batch is its own bound.
    pub fn records(&self, decompressed_bytes_max: usize) -> RecordIter {
        RecordIter::new(self, decompressed_bytes_max)
    }
}

/// The batches of a records field, one after another.
///
/// Each is a slice of `records`. The walk ends at the end of the bytes, or with one error.
/// A fetch answer of an old broker may end inside a batch: that is `Truncated`.
pub fn batches(records: &Bytes) -> BatchIter {
    BatchIter {
        rest: records.clone(),
    }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct BatchIter {
    rest: Bytes,
}

impl BatchIter {
    /// What has not been walked yet.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for BatchIter {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let result = Batch::split_off_front(&mut self.rest);
        if result.is_err() {
            self.rest.clear();
        }
        Some(result)
    }
}

impl core::iter::FusedIterator for BatchIter {}

/// Writes base offset and partition leader epoch into the batch at the start of `batch`.
///
/// Neither is under the checksum. Errors: `Truncated` below [`HEADER_BYTES`]; nothing is written then.
pub fn set_broker_fields(
    batch: &mut [u8],
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
) -> Result<(), BatchError> {
    whole_header(batch)?;
    put(batch, 0, &base_offset.get().to_be_bytes());
    put(batch, LOG_OVERHEAD_BYTES, &leader_epoch.get().to_be_bytes());
    Ok(())
}

/// The CRC-32C of all bytes of `batch`, made from the checksum it carries, which must be good, and
/// the few bytes that does not cover. The rest is not read.
///
/// `batch` is exactly one batch; of anything shorter than a header it is the plain checksum.
pub fn crc32c_of_whole(batch: &[u8]) -> u32 {
    let (Some(before), Some(covered), Some(stored)) = (
        batch.get(..ATTRIBUTES_AT),
        batch.get(ATTRIBUTES_AT..),
        batch.get(CRC_AT..).and_then(|rest| rest.first_chunk::<4>()),
    ) else {
        return crc::crc32c(batch);
    };
    let stored = u32::from_be_bytes(*stored);
    crc::crc32c_combine(crc::crc32c(before), stored, covered.len())
}

/// Makes the batch one of `LogAppendTime` appended at `timestamp`, and writes its checksum anew.
///
/// `batch` is exactly one batch. Records keep their deltas, which no longer count.
/// Errors: `Truncated` below [`HEADER_BYTES`]; nothing is written then.
pub fn stamp_log_append_time(batch: &mut [u8], timestamp: Timestamp) -> Result<(), BatchError> {
    stamp_max_timestamp(batch, TimestampType::LogAppendTime, timestamp)
}

/// Sets timestamp type and max timestamp of the batch, and writes its checksum anew.
///
/// For producers that leave the max timestamp out. `batch` is exactly one batch, whose checksum was
/// good: damage is sealed in otherwise. Errors: `Truncated` below [`HEADER_BYTES`].
pub fn stamp_max_timestamp(
    batch: &mut [u8],
    timestamp_type: TimestampType,
    max_timestamp: Timestamp,
) -> Result<(), BatchError> {
    whole_header(batch)?;
    let attributes = BatchHeader::parse(batch)?
        .attributes
        .with_timestamp_type(timestamp_type);
    put(batch, ATTRIBUTES_AT, &attributes.bits().to_be_bytes());
    put(batch, MAX_TIMESTAMP_AT, &max_timestamp.0.to_be_bytes());
    let crc = crc::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    put(batch, CRC_AT, &crc.to_be_bytes());
    Ok(())
}

fn whole_header(batch: &[u8]) -> Result<(), BatchError> {
    if batch.len() < HEADER_BYTES {
        return Err(BatchError::Truncated {
            needed: HEADER_BYTES,
            found: batch.len(),
        });
    }
    Ok(())
}

/// Overwrites `field.len()` bytes at `at`, which the caller knows to be there.
fn put(batch: &mut [u8], at: usize, field: &[u8]) {
    let end = at.saturating_add(field.len());
    if let Some(place) = batch.get_mut(at..end) {
        place.copy_from_slice(field);
    }
}
