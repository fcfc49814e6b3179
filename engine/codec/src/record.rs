//! One record: where its fields lie in its bytes, and the record itself.
//!
//! Body of a record, after a varint with its size:
//! attributes (1 byte, unused), timestamp delta (varlong), offset delta (varint), key (varint size,
//! -1 null), value (same), header count (varint), and per header a key (varint size) and a value
//! (varint size, -1 null).
//!
//! Keeps: keys, values and header keys are bytes, of any content; headers keep order and
//! duplicates; null and empty stay apart. No count or length makes it allocate: headers are
//! walked before room is made for them.
//! Source: the Kafka protocol guide, "Record"; KIP-82.

use crate::error::RecordFault;
use crate::varint::{self, VarintError};
use bytes::{BufMut, Bytes};
use core::ops::Range;

/// One header: its key, and its value or null.
pub type Header = (Bytes, Option<Bytes>);

/// The fewest bytes a record takes, its size included.
pub(crate) const RECORD_BYTES_MIN: usize = 7;

/// A record, its fields slices of the batch or of a piece of what was decompressed.
///
/// A record that is kept keeps that buffer in memory: up to the whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset, counted from the base offset of the batch.
    pub offset_delta: i32,
    /// Timestamp in milliseconds, counted from the base timestamp of the batch.
    pub timestamp_delta: i64,
    /// Key, or null.
    pub key: Option<Bytes>,
    /// Value, or null.
    pub value: Option<Bytes>,
    /// Headers in the producer's order, duplicates included.
    pub headers: Vec<Header>,
}

/// Where the fields of a record lie in its body. Ranges are inside of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordLayout {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
    header_count: usize,
}

/// Reads fields off the front of a body and knows how far it is.
struct Cursor<'a> {
    rest: &'a [u8],
    body_bytes: usize,
}

impl<'a> Cursor<'a> {
    const fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            body_bytes: body.len(),
        }
    }

    const fn position(&self) -> usize {
        self.body_bytes.saturating_sub(self.rest.len())
    }

    fn i8(&mut self) -> Result<i8, RecordFault> {
        let (first, rest) = self.rest.split_first().ok_or(RecordFault::Overrun {
            field: "attributes",
            length: 1,
            present: 0,
        })?;
        self.rest = rest;
        Ok(first.cast_signed())
    }

    fn varint(&mut self) -> Result<i32, RecordFault> {
        varint::read_i32(&mut self.rest).map_err(RecordFault::Varint)
    }

    fn varlong(&mut self) -> Result<i64, RecordFault> {
        varint::read_i64(&mut self.rest).map_err(RecordFault::Varint)
    }

    fn skip(&mut self, field: &'static str, length: i32) -> Result<Range<usize>, RecordFault> {
        let length =
            usize::try_from(length).map_err(|_| RecordFault::NegativeLength { field, length })?;
        let start = self.position();
        self.rest = self.rest.get(length..).ok_or(RecordFault::Overrun {
            field,
            length,
            present: self.rest.len(),
        })?;
        Ok(start..self.position())
    }

    fn bytes(&mut self, field: &'static str) -> Result<Range<usize>, RecordFault> {
        let length = self.varint()?;
        self.skip(field, length)
    }

    fn nullable_bytes(&mut self, field: &'static str) -> Result<Option<Range<usize>>, RecordFault> {
        match self.varint()? {
            -1 => Ok(None),
            length => self.skip(field, length).map(Some),
        }
    }
}

impl RecordLayout {
    /// Reads the body of a record, which must be all of `body`, headers included.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, RecordFault> {
        let mut cursor = Cursor::new(body);
        // Kafka has given none of these bits a meaning and passes over them.
        cursor.i8()?;
        let timestamp_delta = cursor.varlong()?;
        let offset_delta = cursor.varint()?;
        let key = cursor.nullable_bytes("key")?;
        let value = cursor.nullable_bytes("value")?;
        let count = cursor.varint()?;
        let header_count = usize::try_from(count).map_err(|_| RecordFault::NegativeLength {
            field: "header count",
            length: count,
        })?;
        // Each header takes two bytes at least, so the walk below is bounded by the body.
        if header_count > cursor.rest.len() / 2 {
            return Err(RecordFault::HeaderCount {
                count,
                present: cursor.rest.len(),
            });
        }
        let start = cursor.position();
        for _ in 0..header_count {
            cursor.bytes("header key")?;
            cursor.nullable_bytes("header value")?;
        }
        if !cursor.rest.is_empty() {
            return Err(RecordFault::LeftOver {
                count: cursor.rest.len(),
            });
        }
        Ok(Self {
            offset_delta,
            timestamp_delta,
            key,
            value,
            headers: start..cursor.position(),
            header_count,
        })
    }

    /// The record, sliced out of the `body` that this is the layout of.
    pub(crate) fn into_record(self, body: &Bytes) -> Result<Record, RecordFault> {
        let mut headers = Vec::with_capacity(self.header_count);
        let section = body.slice(self.headers);
        let mut cursor = Cursor::new(&section);
        for _ in 0..self.header_count {
            let key = cursor.bytes("header key")?;
            let value = cursor.nullable_bytes("header value")?;
            headers.push((section.slice(key), value.map(|range| section.slice(range))));
        }
        Ok(Record {
            offset_delta: self.offset_delta,
            timestamp_delta: self.timestamp_delta,
            key: self.key.map(|range| body.slice(range)),
            value: self.value.map(|range| body.slice(range)),
            headers,
        })
    }
}

/// The size that opens a record, and how many bytes it took. `None` when more bytes are needed.
pub(crate) fn read_size(bytes: &[u8]) -> Result<Option<(usize, usize)>, RecordFault> {
    let mut rest = bytes;
    match varint::read_i32(&mut rest) {
        Ok(length) => {
            let size = usize::try_from(length).map_err(|_| RecordFault::NegativeLength {
                field: "size",
                length,
            })?;
            Ok(Some((bytes.len().saturating_sub(rest.len()), size)))
        }
        Err(VarintError::Truncated) => Ok(None),
        Err(error) => Err(RecordFault::Varint(error)),
    }
}

/// A size as the format holds it: `None` above 2^31-1.
fn size_i64(bytes: usize) -> Option<i64> {
    i32::try_from(bytes).ok().map(i64::from)
}

/// Bytes that a nullable field takes, its size included.
fn nullable_size(field: Option<&[u8]>) -> Option<usize> {
    match field {
        None => Some(varint::signed_bytes(-1)),
        Some(bytes) => varint::signed_bytes(size_i64(bytes.len())?).checked_add(bytes.len()),
    }
}

fn write_nullable(output: &mut impl BufMut, field: Option<&[u8]>) {
    match field {
        None => varint::write_signed(output, -1),
        Some(bytes) => {
            varint::write_signed(output, size_i64(bytes.len()).unwrap_or(0));
            output.put_slice(bytes);
        }
    }
}

/// What a record is written from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordFields<'a> {
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_delta: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

impl RecordFields<'_> {
    /// Size of the record's body, or `None` where the format cannot say it.
    pub(crate) fn body_bytes(&self) -> Option<usize> {
        let mut bytes = 1_usize
            .checked_add(varint::signed_bytes(self.timestamp_delta))?
            .checked_add(varint::signed_bytes(i64::from(self.offset_delta)))?
            .checked_add(nullable_size(self.key)?)?
            .checked_add(nullable_size(self.value)?)?
            .checked_add(varint::signed_bytes(size_i64(self.headers.len())?))?;
        for (key, value) in self.headers {
            bytes = bytes
                .checked_add(nullable_size(Some(key))?)?
                .checked_add(nullable_size(*value)?)?;
        }
        size_i64(bytes).map(|_| bytes)
    }

    /// Appends size and body; `body_bytes` is what [`Self::body_bytes`] gave.
    pub(crate) fn write(&self, body_bytes: usize, output: &mut impl BufMut) {
        varint::write_signed(output, size_i64(body_bytes).unwrap_or(0));
        output.put_i8(0);
        varint::write_signed(output, self.timestamp_delta);
        varint::write_signed(output, i64::from(self.offset_delta));
        write_nullable(output, self.key);
        write_nullable(output, self.value);
        varint::write_signed(output, size_i64(self.headers.len()).unwrap_or(0));
        for (key, value) in self.headers {
            write_nullable(output, Some(key));
            write_nullable(output, *value);
        }
    }
}
