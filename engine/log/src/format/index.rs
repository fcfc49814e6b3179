//! Index blocks and footers: how a segment file is searched.
//!
//! After every 64 record extents an index block names each of them; blocks are linked backwards
//! through `previous_index` of their extent's header, and manifest or footer name the last. The
//! extents after the last index block are found by walking their headers.
//!
//! Does not: search (`segment`). Source: ../../FORMAT.md, "Index block".

use super::wire::{Fields, length_field};
use super::{ExtentHeader, ExtentKind, ExtentView, FormatError, INDEX_ROWS};
use bytes::{BufMut, Bytes};
use engine_model::{Offset, Timestamp};

const ROW_BYTES: usize = 40;

/// Where one record extent lies and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// Offset of its first record.
    pub first: Offset,
    /// Offset of its last record.
    pub last: Offset,
    /// The largest timestamp of its records, or `NONE`.
    pub max_timestamp: Timestamp,
    /// Its position in the file.
    pub position: u64,
    /// Its bytes, header and padding included.
    pub length: u32,
}

/// Up to 64 record extents of one segment, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexBlock {
    /// Position of the block before this one, if any.
    pub previous: Option<u64>,
    /// The extents since then.
    pub rows: Vec<IndexRow>,
}

impl IndexBlock {
    /// Header and payload of this block's extent, for `encode_extent`.
    ///
    /// Errors: `TooLarge` for more than `INDEX_ROWS` rows.
    pub fn encode(&self) -> Result<(ExtentHeader, Bytes), FormatError> {
        if self.rows.len() > INDEX_ROWS {
            return Err(FormatError::TooLarge {
                what: "index block",
                bytes: self.rows.len().saturating_mul(ROW_BYTES),
                max: INDEX_ROWS.saturating_mul(ROW_BYTES),
            });
        }
        let mut payload = Vec::with_capacity(self.rows.len().saturating_mul(ROW_BYTES));
        for row in &self.rows {
            payload.put_i64_le(row.first.get());
            payload.put_i64_le(row.last.get());
            payload.put_i64_le(row.max_timestamp.0);
            payload.put_u64_le(row.position);
            payload.put_u32_le(row.length);
            payload.put_u32_le(0);
        }
        let header = ExtentHeader {
            kind: ExtentKind::Index,
            payload_bytes: length_field("index block", payload.len())?,
            first: self.rows.first().map_or(Offset::NONE, |row| row.first),
            last: self.rows.last().map_or(Offset::NONE, |row| row.last),
            max_timestamp: self
                .rows
                .iter()
                .map(|row| row.max_timestamp)
                .max()
                .unwrap_or(Timestamp::NONE),
            count: length_field("index block", self.rows.len())?,
            previous_index: self.previous,
        };
        Ok((header, payload.into()))
    }

    /// Reads the block out of its checked extent.
    pub fn decode(extent: &ExtentView) -> Result<Self, FormatError> {
        let mut fields = Fields::new("index block", &extent.payload);
        if extent.header.kind != ExtentKind::Index {
            return Err(FormatError::Foreign {
                what: "index block",
                field: "kind",
            });
        }
        let count = extent.payload.len().checked_div(ROW_BYTES).unwrap_or(0);
        if count > INDEX_ROWS {
            return Err(fields.field("row count", u64::from(extent.header.count)));
        }
        let mut rows = Vec::with_capacity(count);
        while fields.remaining() > 0 {
            let row = IndexRow {
                first: fields.offset()?,
                last: fields.offset()?,
                max_timestamp: fields.timestamp()?,
                position: fields.u64()?,
                length: fields.u32()?,
            };
            fields.zeros(4)?;
            rows.push(row);
        }
        Ok(Self {
            previous: extent.header.previous_index,
            rows,
        })
    }
}

/// The last extent of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Offset the segment begins at.
    pub base_offset: Offset,
    /// Offset it ends at (exclusive).
    pub end_offset: Offset,
    /// The largest timestamp of its records, or `NONE`.
    pub max_timestamp: Timestamp,
    /// Bytes of its batches, headers and padding not counted.
    pub record_bytes: u64,
    /// Position of its last index block, if any.
    pub last_index: Option<u64>,
}

impl Footer {
    /// Header and payload of the footer's extent, for `encode_extent`.
    pub fn encode(&self) -> (ExtentHeader, Bytes) {
        let mut payload = Vec::new();
        payload.put_i64_le(self.end_offset.get());
        payload.put_u64_le(self.record_bytes);
        let header = ExtentHeader {
            kind: ExtentKind::Footer,
            payload_bytes: 16,
            first: self.base_offset,
            last: Offset::new(self.end_offset.get().saturating_sub(1)),
            max_timestamp: self.max_timestamp,
            count: 0,
            previous_index: self.last_index,
        };
        (header, payload.into())
    }

    /// Reads the footer out of its checked extent.
    pub fn decode(extent: &ExtentView) -> Result<Self, FormatError> {
        if extent.header.kind != ExtentKind::Footer {
            return Err(FormatError::Foreign {
                what: "footer",
                field: "kind",
            });
        }
        let mut fields = Fields::new("footer", &extent.payload);
        let footer = Self {
            base_offset: extent.header.first,
            end_offset: fields.offset()?,
            record_bytes: fields.u64()?,
            max_timestamp: extent.header.max_timestamp,
            last_index: extent.header.previous_index,
        };
        fields.end()?;
        Ok(footer)
    }
}
