//! Frames: one write to the lane, atomic, holding entries of many logs.
//!
//! Header (128 bytes), payloads in entry order, entry table (64 bytes a row), zeros up to a whole
//! block. The table comes last because the number of entries is known only when the frame leaves,
//! and a batch is copied once. The header has a checksum of its own, so its lengths can be
//! trusted before the rest is read, and carries the table's; each row carries its payload's.
//!
//! Keeps: a frame decodes only at its own place: directory, lane, run, file and position are in
//! the checked header and compared. A frame without entries is legal: it carries the durable
//! sequence alone.
//!
//! Does not: order frames (`lane`), judge sequences (`recovery`).
//! Source: ../../FORMAT.md, "Frame".

mod builder;
mod view;

pub use builder::{FinishedFrame, FrameBuffer, FrameBuilder, FrameFull, PayloadRange, SplitBuffer};
pub use view::FrameView;

use super::wire::{Fields, crc_without, expect_crc, length_field, put_crc, put_file_id, size};
use super::{
    ENTRY_BYTES, FORMAT, FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, FRAME_HEADER_BYTES, FileId,
    FormatError, padded,
};
use bytes::BufMut;
use engine_model::DirectoryId;

const WHAT: &str = "frame";
const MAGIC: [u8; 4] = *b"ODFR";
const CRC_AT: usize = 8;

/// Where a frame lies; part of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePlace {
    /// The data directory.
    pub directory: DirectoryId,
    /// The lane.
    pub lane: u16,
    /// The run that writes it.
    pub run: u64,
    /// The lane file.
    pub file: FileId,
    /// Bytes from the start of that file; a whole number of blocks.
    pub position: u64,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Where the frame lies.
    pub place: FramePlace,
    /// Its number in the lane; one more than that of the frame before.
    pub sequence: u64,
    /// The largest sequence known to be flushed when this frame was closed.
    pub durable_sequence: u64,
    /// Rows of the entry table.
    pub entries: u32,
    /// Bytes of all payloads.
    pub payload_bytes: u32,
    /// CRC-32C of the entry table.
    pub table_crc: u32,
}

impl FrameHeader {
    /// Bytes of the whole frame: header, payloads, table and padding.
    pub fn frame_bytes(&self) -> usize {
        padded(self.table_at().saturating_add(self.table_bytes()))
    }

    fn table_at(&self) -> usize {
        FRAME_HEADER_BYTES.saturating_add(size(self.payload_bytes))
    }

    fn table_bytes(&self) -> usize {
        size(self.entries).saturating_mul(ENTRY_BYTES)
    }

    fn encode(&self) -> Result<[u8; FRAME_HEADER_BYTES], FormatError> {
        let mut header = [0; FRAME_HEADER_BYTES];
        let mut out = header.as_mut_slice();
        out.put_slice(&MAGIC);
        out.put_u16_le(FORMAT);
        out.put_u16_le(self.place.lane);
        out.put_u32_le(0); // the checksum, below
        out.put_u32_le(self.table_crc);
        out.put_slice(&self.place.directory.to_bytes());
        out.put_u64_le(self.place.run);
        put_file_id(&mut out, self.place.file);
        out.put_u16_le(0);
        out.put_u64_le(self.place.position);
        out.put_u64_le(self.sequence);
        out.put_u64_le(self.durable_sequence);
        out.put_u32_le(self.entries);
        out.put_u32_le(self.payload_bytes);
        out.put_u32_le(length_field(WHAT, self.frame_bytes())?);
        let crc = crc_without(0, &header, CRC_AT);
        put_crc(&mut header, CRC_AT, crc);
        Ok(header)
    }

    /// Reads the header at the start of `bytes`, whose first 128 suffice.
    ///
    /// Its own checksum and lengths are right if this succeeds; where it lies is the caller's to
    /// compare (`expect_place`), and the rest of the frame `FrameView`'s to check.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut whole = Fields::new(WHAT, bytes);
        let header: [u8; FRAME_HEADER_BYTES] = whole.array()?;
        let mut fields = Fields::new(WHAT, &header);
        if fields.array()? != MAGIC {
            return Err(FormatError::Magic { what: WHAT });
        }
        let format = fields.u16()?;
        let lane = fields.u16()?;
        let crc = fields.u32()?;
        expect_crc("frame header", crc, crc_without(0, &header, CRC_AT))?;
        if format > FORMAT {
            return Err(FormatError::Newer {
                what: WHAT,
                found: format,
                known: FORMAT,
            });
        }
        if format != FORMAT {
            return Err(fields.field("format", u64::from(format)));
        }
        let table_crc = fields.u32()?;
        let directory = DirectoryId::from_bytes(fields.array()?);
        let run = fields.u64()?;
        let file = fields.file_id()?;
        fields.zeros(2)?;
        let place = FramePlace {
            directory,
            lane,
            run,
            file,
            position: fields.u64()?,
        };
        let header = Self {
            place,
            sequence: fields.u64()?,
            durable_sequence: fields.u64()?,
            entries: fields.u32()?,
            payload_bytes: fields.u32()?,
            table_crc,
        };
        let frame_bytes = fields.u32()?;
        fields.zeros(fields.remaining())?;
        if size(header.entries) > FRAME_ENTRIES_MAX {
            return Err(fields.field("entry count", u64::from(header.entries)));
        }
        if header.frame_bytes() != size(frame_bytes) || size(frame_bytes) > padded(FRAME_BYTES_MAX)
        {
            return Err(fields.field("length", u64::from(frame_bytes)));
        }
        Ok(header)
    }

    /// Refuses a frame that belongs elsewhere, naming the first thing that differs.
    pub fn expect_place(&self, place: &FramePlace) -> Result<(), FormatError> {
        let found = &self.place;
        let field = if found.directory != place.directory {
            "directory"
        } else if found.run != place.run {
            "run"
        } else if found.lane != place.lane {
            "lane"
        } else if found.file != place.file {
            "file"
        } else if found.position != place.position {
            "position"
        } else {
            return Ok(());
        };
        Err(FormatError::Foreign { what: WHAT, field })
    }
}
