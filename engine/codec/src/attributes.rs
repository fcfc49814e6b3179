//! The attribute bits of a batch.
//!
//! | bits | meaning                                                  |
//! |------|----------------------------------------------------------|
//! | 0-2  | compression: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd       |
//! | 3    | timestamps are of 0 creation, 1 append                     |
//! | 4    | part of a transaction                                      |
//! | 5    | control batch: markers, not data                           |
//! | 6    | the base timestamp is a delete horizon (KIP-534)           |
//! | 7-15 | not given out                                              |
//!
//! Source: the Kafka protocol guide, "Record batch".

use crate::Compression;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;
const KNOWN: i16 = 0x7f;

/// What the timestamps of a batch say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// When the producer made each record.
    #[default]
    CreateTime,
    /// When the broker appended the batch: its max timestamp holds for every record.
    LogAppendTime,
}

/// The 16 attribute bits of a batch, known or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(i16);

impl Attributes {
    /// Wraps raw bits, which may be any.
    #[inline]
    pub const fn new(bits: i16) -> Self {
        Self(bits)
    }

    /// The raw bits.
    #[inline]
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// The number in the compression bits, 0 to 7.
    #[inline]
    pub const fn compression_id(self) -> i16 {
        self.0 & COMPRESSION_MASK
    }

    /// The compression, or `None` for a number that is not given out.
    #[inline]
    pub const fn compression(self) -> Option<Compression> {
        Compression::from_id(self.compression_id())
    }

    /// What the timestamps say.
    #[inline]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[inline]
    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether the batch holds markers instead of data; only brokers write these.
    #[inline]
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon; only compaction sets this.
    #[inline]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// The bits that Kafka has not given out a meaning to, 0 if all are known.
    #[inline]
    pub const fn unknown_bits(self) -> i16 {
        self.0 & !KNOWN
    }

    /// The same with another compression.
    #[inline]
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Self {
        Self((self.0 & !COMPRESSION_MASK) | compression.id())
    }

    /// The same with another timestamp type.
    #[inline]
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | LOG_APPEND_TIME),
        }
    }

    /// The same with the transactional bit set or clear.
    #[inline]
    #[must_use]
    pub const fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    /// The same with the control bit set or clear.
    #[inline]
    #[must_use]
    pub const fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    /// The same with the delete-horizon bit set or clear.
    #[inline]
    #[must_use]
    pub const fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }

    const fn with(self, bit: i16, on: bool) -> Self {
        if on {
            Self(self.0 | bit)
        } else {
            Self(self.0 & !bit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_its_place() {
        let all = Attributes::default()
            .with_compression(Compression::Zstd)
            .with_timestamp_type(TimestampType::LogAppendTime)
            .with_transactional(true)
            .with_control(true)
            .with_delete_horizon(true);
        assert_eq!(all.bits(), 0b111_1100);
        assert_eq!(all.with_compression(Compression::Snappy).bits(), 0b111_1010);
        assert_eq!(
            all.with_timestamp_type(TimestampType::CreateTime)
                .with_transactional(false)
                .with_control(false)
                .with_delete_horizon(false)
                .bits(),
            4
        );
        assert_eq!(Attributes::new(-1).unknown_bits(), !0x7f);
        assert_eq!(Attributes::new(0x7f).unknown_bits(), 0);
        for id in 5..=7 {
            assert_eq!(Attributes::new(id).compression(), None);
        }
    }
}
