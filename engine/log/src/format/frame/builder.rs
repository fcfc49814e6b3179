//! Building a frame: entries are added as they come, the header is written when it leaves.
//!
//! Keeps: a payload is copied once, into its final place (a growing buffer may move it); what it
//! holds may still be changed until `finish`, where checksums are made: all but those of batches,
//! which follow from the batch's own.

use super::{FrameHeader, FramePlace, WHAT};
use crate::format::entry::{Entry, EntryRow};
use crate::format::wire::length_field;
use crate::format::{
    BLOCK_BYTES, ENTRY_BYTES, FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, FRAME_HEADER_BYTES, FormatError,
    padded, size,
};
use bytes::{Bytes, BytesMut};
use core::ops::Range;

/// A growing buffer that a unit is encoded into; direct files need one whose memory is aligned.
pub trait FrameBuffer {
    /// Bytes it holds.
    fn len(&self) -> usize;
    /// Adds bytes at the end, growing as needed.
    fn extend_from_slice(&mut self, bytes: &[u8]);
    /// All it holds, to be changed in place.
    fn as_mut_slice(&mut self) -> &mut [u8];

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds zeros up to a whole number of blocks.
    fn pad_to_block(&mut self) {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let missing = padded(self.len()).saturating_sub(self.len());
        self.extend_from_slice(ZEROS.get(..missing).unwrap_or_default());
    }
}

/// A buffer of many frames, one after the other.
pub trait SplitBuffer: FrameBuffer {
    /// The bytes, from now on immutable and shared; the buffer is empty then.
    fn split(&mut self) -> Bytes;
}

impl FrameBuffer for BytesMut {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn extend_from_slice(&mut self, bytes: &[u8]) {
        Self::extend_from_slice(self, bytes);
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        self
    }
}

impl SplitBuffer for BytesMut {
    fn split(&mut self) -> Bytes {
        Self::split(self).freeze()
    }
}

/// Why an entry does not go into this frame: it must go into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} more bytes do not fit into a frame of {used}")]
pub struct FrameFull {
    /// Bytes of the payload.
    pub bytes: usize,
    /// Bytes of the frame without it.
    pub used: usize,
}

/// Place of a payload within its frame, in bytes from the frame's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadRange {
    start: usize,
    end: usize,
}

impl PayloadRange {
    /// Bytes of the payload.
    pub const fn length(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// The range itself, for `Bytes::slice` of the finished frame.
    pub const fn as_range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A frame that is ready to be written.
#[derive(Clone, Debug)]
pub struct FinishedFrame {
    /// The whole frame, padding included.
    pub bytes: Bytes,
    /// What its header says.
    pub header: FrameHeader,
}

impl FinishedFrame {
    /// The payload of an entry, as a slice that keeps the frame alive.
    pub fn payload(&self, range: PayloadRange) -> Bytes {
        let Range { start, end } = range.as_range();
        if end <= self.bytes.len() && start <= end {
            self.bytes.slice(start..end)
        } else {
            Bytes::new()
        }
    }
}

/// A frame under construction.
#[derive(Debug)]
pub struct FrameBuilder<B> {
    buffer: B,
    rows: Vec<Row>,
}

/// An entry that was added.
#[derive(Debug)]
struct Row {
    entry: EntryRow,
    range: PayloadRange,
    /// Whether `entry.crc` is made already.
    has_crc: bool,
}

impl<B: FrameBuffer> FrameBuilder<B> {
    /// Starts a frame in an empty buffer, whose first bytes it keeps for the header.
    pub fn new(mut buffer: B) -> Self {
        buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        Self {
            buffer,
            rows: Vec::new(),
        }
    }

    /// Entries so far.
    pub fn entry_count(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of the frame if it were finished now, without padding.
    pub fn bytes(&self) -> usize {
        let table = self.rows.len().saturating_mul(ENTRY_BYTES);
        self.buffer.len().saturating_add(table)
    }

    /// Adds an entry with its payload, which is copied once.
    ///
    /// `row.length` and `row.crc` are set here and in `finish`. The payload may be changed through
    /// `payload_mut` until then (base offset, leader epoch).
    /// Errors: `FrameFull` where the frame would pass the largest size or entry count.
    pub fn append(&mut self, row: EntryRow, payload: &[u8]) -> Result<PayloadRange, FrameFull> {
        let full = FrameFull {
            bytes: payload.len(),
            used: self.bytes(),
        };
        let needed = self
            .bytes()
            .saturating_add(payload.len())
            .saturating_add(ENTRY_BYTES);
        if needed > FRAME_BYTES_MAX || self.rows.len() >= FRAME_ENTRIES_MAX {
            return Err(full);
        }
        let length = u32::try_from(payload.len()).map_err(|_| full)?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(payload);
        let range = PayloadRange {
            start,
            end: self.buffer.len(),
        };
        self.rows.push(Row {
            entry: EntryRow {
                length,
                crc: 0,
                ..row
            },
            range,
            has_crc: false,
        });
        Ok(range)
    }

    /// Adds an entry whose payload is one record batch, which `patch` may change in its place, and
    /// returns with its place the checksum of all of it.
    ///
    /// That is made from the batch's own checksum, which must be good when `patch` has run; the
    /// bytes are not read again. So a batch that changes in memory after it was checked is found
    /// out wherever it is read.
    pub fn append_batch(
        &mut self,
        row: EntryRow,
        batch: &[u8],
        patch: impl FnOnce(&mut [u8]),
    ) -> Result<(PayloadRange, u32), FrameFull> {
        let range = self.append(row, batch)?;
        let placed = self.payload_mut(range);
        patch(placed);
        let crc = engine_codec::crc32c_of_whole(placed);
        debug_assert_eq!(crc, crc32c::crc32c(placed), "the batch was checked");
        if let Some(row) = self.rows.last_mut() {
            row.entry.crc = crc;
            row.has_crc = true;
        }
        Ok((range, crc))
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: &Entry) -> Result<PayloadRange, FrameFull> {
        let (row, payload) = entry.to_row();
        self.append(row, &payload)
    }

    /// A payload, to be changed in place before the frame is finished.
    pub fn payload_mut(&mut self, range: PayloadRange) -> &mut [u8] {
        self.buffer
            .as_mut_slice()
            .get_mut(range.as_range())
            .unwrap_or_default()
    }

    /// Makes the checksums, writes table and header, pads to a whole block; gives the buffer back,
    /// empty, for the next frame.
    ///
    /// Errors: `FormatError::TooLarge`, which the limits of `append` rule out.
    pub fn finish(
        mut self,
        place: FramePlace,
        sequence: u64,
        durable_sequence: u64,
    ) -> Result<(FinishedFrame, B), FormatError>
    where
        B: SplitBuffer,
    {
        let payload_bytes = self.buffer.len().saturating_sub(FRAME_HEADER_BYTES);
        let mut table = Vec::with_capacity(self.rows.len().saturating_mul(ENTRY_BYTES));
        for Row {
            entry,
            range,
            has_crc,
        } in &self.rows
        {
            let crc = if *has_crc {
                entry.crc
            } else {
                let payload = self.buffer.as_mut_slice().get(range.as_range());
                crc32c::crc32c(payload.unwrap_or_default())
            };
            EntryRow { crc, ..*entry }.encode(&mut table);
        }
        let header = FrameHeader {
            place,
            sequence,
            durable_sequence,
            entries: length_field(WHAT, self.rows.len())?,
            payload_bytes: length_field(WHAT, payload_bytes)?,
            table_crc: crc32c::crc32c(&table),
        };
        self.buffer.extend_from_slice(&table);
        self.buffer.pad_to_block();
        if let Some(first) = self
            .buffer
            .as_mut_slice()
            .first_chunk_mut::<FRAME_HEADER_BYTES>()
        {
            *first = header.encode()?;
        }
        debug_assert_eq!(self.buffer.len(), header.frame_bytes());
        debug_assert_eq!(size(header.payload_bytes), payload_bytes);
        let bytes = self.buffer.split();
        Ok((FinishedFrame { bytes, header }, self.buffer))
    }
}
