//! Reading a frame: header, place, table; then each payload by itself.
//!
//! A frame whose header and table are right but one of whose payloads is not names the logs that
//! were hit, so only those need be quarantined.

use super::{FrameHeader, FramePlace, WHAT};
use crate::format::entry::{Entry, EntryRow};
use crate::format::wire::{expect_crc, expect_zero, size};
use crate::format::{ENTRY_BYTES, FRAME_HEADER_BYTES, FormatError};
use bytes::Bytes;
use engine_model::planted::{self, Bug};

/// A frame whose header, place, table and padding are right.
#[derive(Clone, Debug)]
pub struct FrameView {
    header: FrameHeader,
    frame: Bytes,
    /// Each row with the place of its payload in `frame`.
    rows: Vec<(EntryRow, usize)>,
}

impl FrameView {
    /// Reads the frame at the start of `bytes`; what follows it is not looked at.
    ///
    /// Errors: `Short` if `bytes` ends before the frame does (`FrameHeader::frame_bytes` says how
    /// many it needs); any other: no frame of this place begins here. Payloads are not checked.
    pub fn decode(bytes: &Bytes, place: &FramePlace) -> Result<Self, FormatError> {
        let header = FrameHeader::decode(bytes)?;
        header.expect_place(place)?;
        let needed = header.frame_bytes();
        if bytes.len() < needed {
            return Err(FormatError::Short {
                what: WHAT,
                needed,
                found: bytes.len(),
            });
        }
        let frame = bytes.slice(..needed);
        let table_at = header.table_at();
        let table_end = table_at.saturating_add(header.table_bytes());
        let table = frame.get(table_at..table_end).unwrap_or_default();
        expect_crc("frame table", header.table_crc, crc32c::crc32c(table))?;
        expect_zero(WHAT, frame.get(table_end..).unwrap_or_default())?;

        let (table, _) = table.as_chunks::<ENTRY_BYTES>();
        let mut rows = Vec::with_capacity(table.len());
        let mut at = FRAME_HEADER_BYTES;
        for row in table {
            let row = EntryRow::decode(row)?;
            rows.push((row, at));
            at = at.saturating_add(size(row.length));
        }
        if at != table_at {
            return Err(FormatError::Field {
                what: WHAT,
                field: "payload length",
                value: u64::from(header.payload_bytes),
            });
        }
        Ok(Self {
            header,
            frame,
            rows,
        })
    }

    /// What the header says.
    pub const fn header(&self) -> &FrameHeader {
        &self.header
    }

    /// The table's rows, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &EntryRow> {
        self.rows.iter().map(|(row, _)| row)
    }

    /// The entries, in order, each with its row; an entry whose payload is not what was written
    /// is an error and the others are not hurt by it.
    pub fn entries(&self) -> impl Iterator<Item = (&EntryRow, Result<Entry, FormatError>)> {
        self.rows
            .iter()
            .map(|(row, at)| (row, self.entry(row, *at)))
    }

    /// Checks every payload: the first error, if any.
    pub fn verify(&self) -> Result<(), FormatError> {
        self.entries().try_for_each(|(_, entry)| entry.map(drop))
    }

    fn entry(&self, row: &EntryRow, at: usize) -> Result<Entry, FormatError> {
        let end = at.saturating_add(size(row.length));
        // `decode` has seen to it that all payloads end before the table.
        let payload = if end <= self.frame.len() {
            self.frame.slice(at..end)
        } else {
            Bytes::new()
        };
        let is_let_through = planted::is(Bug::ZerosParse) && has_hole(&payload);
        if !is_let_through {
            expect_crc("frame payload", row.crc, crc32c::crc32c(&payload))?;
        }
        Entry::from_row(row, payload)
    }
}

/// Planted bug: what says that a sector of a payload never arrived.
fn has_hole(payload: &[u8]) -> bool {
    payload
        .split(|byte| *byte != 0)
        .any(|zeros| zeros.len() >= 256)
}
