//! Writing a manifest piece by piece: memory is bounded by one piece and one row.

use super::row::{LogImage, ManifestHead, WHAT};
use super::{ManifestPlace, PAYLOAD_BYTES_MAX, PieceHeader};
use crate::format::frame::FrameBuffer;
use crate::format::wire::{length_field, size};
use crate::format::{FormatError, MANIFEST_ROW_BYTES_MAX};
use bytes::BufMut;

/// A manifest being written.
///
/// Call `push` for each log, in any order, and after each call write out what `next_piece` hands
/// over until it has no more; then `finish` and the same again. The pieces follow one another in
/// the file from its first byte.
#[derive(Debug)]
pub struct ManifestWriter {
    place: ManifestPlace,
    number: u64,
    head: ManifestHead,
    pushed: u32,
    next_index: u32,
    /// The part of the stream not yet handed over, from `sent` on.
    stream: Vec<u8>,
    sent: usize,
    finished: bool,
    last_sent: bool,
}

impl ManifestWriter {
    /// Begins manifest `number` of the lane; `head.logs` says how many logs will be pushed.
    pub fn new(place: ManifestPlace, number: u64, head: ManifestHead) -> Self {
        let mut writer = Self {
            place,
            number,
            head,
            pushed: 0,
            next_index: 0,
            stream: Vec::new(),
            sent: 0,
            finished: false,
            last_sent: false,
        };
        let mut row = Vec::new();
        head.encode(&mut row);
        writer.put_row(&row).unwrap_or_default();
        writer
    }

    /// Adds one log.
    ///
    /// Errors: `TooLarge` for a row over `MANIFEST_ROW_BYTES_MAX`, or more logs than the head
    /// says; the manifest is then of no use.
    pub fn push(&mut self, log: &LogImage) -> Result<(), FormatError> {
        if self.pushed >= self.head.logs {
            return Err(FormatError::TooLarge {
                what: "manifest",
                bytes: size(self.pushed).saturating_add(1),
                max: size(self.head.logs),
            });
        }
        let mut row = Vec::new();
        log.encode(&mut row)?;
        self.put_row(&row)?;
        self.pushed = self.pushed.saturating_add(1);
        Ok(())
    }

    fn put_row(&mut self, row: &[u8]) -> Result<(), FormatError> {
        if row.len() > MANIFEST_ROW_BYTES_MAX {
            return Err(FormatError::TooLarge {
                what: WHAT,
                bytes: row.len(),
                max: MANIFEST_ROW_BYTES_MAX,
            });
        }
        self.stream.put_u32_le(length_field(WHAT, row.len())?);
        self.stream.put_slice(row);
        Ok(())
    }

    /// Says that all logs were pushed; the pieces that are left may then be taken.
    ///
    /// Errors: `Field` if there were fewer than the head says.
    pub fn finish(&mut self) -> Result<(), FormatError> {
        if self.pushed != self.head.logs {
            return Err(FormatError::Field {
                what: "manifest",
                field: "log count",
                value: u64::from(self.pushed),
            });
        }
        self.finished = true;
        Ok(())
    }

    /// Adds the next piece to `out`, if a full one (or, after `finish`, the last one) is there.
    ///
    /// `out` may take several pieces for one write; each is a whole number of blocks.
    pub fn next_piece(&mut self, out: &mut impl FrameBuffer) -> Result<bool, FormatError> {
        let waiting = self.stream.len().saturating_sub(self.sent);
        let full = waiting > PAYLOAD_BYTES_MAX;
        if self.last_sent || !(full || self.finished) {
            return Ok(false);
        }
        let count = waiting.min(PAYLOAD_BYTES_MAX);
        let end = self.sent.saturating_add(count);
        let payload = self.stream.get(self.sent..end).unwrap_or_default();
        let header = PieceHeader {
            place: self.place,
            number: self.number,
            index: self.next_index,
            last: !full,
            payload_bytes: length_field(WHAT, payload.len())?,
        };
        out.extend_from_slice(&header.encode(payload));
        out.extend_from_slice(payload);
        out.pad_to_block();
        self.next_index = self.next_index.saturating_add(1);
        self.last_sent = !full;
        self.sent = end;
        if self.stream.len().saturating_sub(self.sent) <= PAYLOAD_BYTES_MAX {
            self.stream.drain(..self.sent);
            self.sent = 0;
        }
        Ok(true)
    }
}
