//! Manifests: a full checkpoint of one lane's logs as of one sequence.
//!
//! A stream of rows (one head, then one a log) cut into pieces of at most 256 KiB, each a unit of
//! its own: header (64 bytes), its part of the stream, zeros up to a whole block. Every piece
//! carries directory, lane, file, the manifest's number and its own index, so pieces of an older
//! manifest left in the slot never join a newer one. The last piece is marked; a manifest without
//! it, or with fewer logs than its head counts, is none.
//!
//! Keeps: nothing in here depends on settings; what a manifest names is durable before it is.
//!
//! Does not: choose the slot (`checkpoint`), judge a log (`recovery`).
//! Source: ../../FORMAT.md, "Manifest".

mod reader;
mod row;
mod writer;

pub use reader::ManifestReader;
pub use row::{LogImage, ManifestHead, SegmentImage, StateImage};
pub use writer::ManifestWriter;

use super::wire::{Fields, crc_without, expect_crc, expect_zero, put_crc, put_file_id, size};
use super::{FORMAT, FileId, FormatError, MANIFEST_HEADER_BYTES, MANIFEST_PIECE_BYTES, padded};
use bytes::BufMut;
use engine_model::DirectoryId;

const WHAT: &str = "manifest piece";
const MAGIC: [u8; 4] = *b"ODMF";
const CRC_AT: usize = 8;
const FLAG_LAST: u32 = 1;
const PAYLOAD_BYTES_MAX: usize = MANIFEST_PIECE_BYTES.saturating_sub(MANIFEST_HEADER_BYTES);

/// Where a manifest lies; part of the identity of each of its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestPlace {
    /// The data directory.
    pub directory: DirectoryId,
    /// The lane whose logs it holds.
    pub lane: u16,
    /// The slot's file.
    pub file: FileId,
}

/// Where the manifest piece at the start of `bytes` says it lies: for reading a slot without
/// `CURRENT`. Nothing of it is checked; `ManifestReader` does that.
pub fn manifest_place(bytes: &[u8]) -> Result<ManifestPlace, FormatError> {
    let mut fields = Fields::new(WHAT, bytes);
    if fields.array()? != MAGIC {
        return Err(FormatError::Magic { what: WHAT });
    }
    fields.take(2)?;
    let lane = fields.u16()?;
    fields.take(8)?;
    let directory = DirectoryId::from_bytes(fields.array()?);
    fields.take(16)?;
    let file = fields.file_id()?;
    Ok(ManifestPlace {
        directory,
        lane,
        file,
    })
}

/// The header of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PieceHeader {
    place: ManifestPlace,
    /// Number of the manifest in its lane; the newest valid one counts.
    number: u64,
    /// Number of the piece in its manifest, from 0.
    index: u32,
    last: bool,
    payload_bytes: u32,
}

impl PieceHeader {
    fn encode(&self, payload: &[u8]) -> [u8; MANIFEST_HEADER_BYTES] {
        let mut header = [0; MANIFEST_HEADER_BYTES];
        let mut out = header.as_mut_slice();
        out.put_slice(&MAGIC);
        out.put_u16_le(FORMAT);
        out.put_u16_le(self.place.lane);
        out.put_u32_le(0); // the checksum, below
        out.put_u32_le(self.payload_bytes);
        out.put_slice(&self.place.directory.to_bytes());
        out.put_u64_le(self.number);
        out.put_u32_le(self.index);
        out.put_u32_le(if self.last { FLAG_LAST } else { 0 });
        put_file_id(&mut out, self.place.file);
        let crc = crc32c::crc32c_append(crc_without(0, &header, CRC_AT), payload);
        put_crc(&mut header, CRC_AT, crc);
        header
    }

    /// Reads and checks the piece at the start of `bytes`: its header and its payload.
    fn decode<'a>(bytes: &'a [u8], place: &ManifestPlace) -> Result<(Self, &'a [u8]), FormatError> {
        let mut unit = Fields::new(WHAT, bytes);
        let header = unit.take(MANIFEST_HEADER_BYTES)?;
        let mut fields = Fields::new(WHAT, header);
        if fields.array()? != MAGIC {
            return Err(FormatError::Magic { what: WHAT });
        }
        let format = fields.u16()?;
        let lane = fields.u16()?;
        let crc = fields.u32()?;
        let payload_bytes = fields.u32()?;
        if size(payload_bytes) > PAYLOAD_BYTES_MAX {
            return Err(fields.field("length", u64::from(payload_bytes)));
        }
        let payload = unit.take(size(payload_bytes))?;
        let computed = crc32c::crc32c_append(crc_without(0, header, CRC_AT), payload);
        expect_crc(WHAT, crc, computed)?;
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
        let directory = DirectoryId::from_bytes(fields.array()?);
        let number = fields.u64()?;
        let index = fields.u32()?;
        let flags = fields.u32()?;
        if flags & !FLAG_LAST != 0 {
            return Err(fields.field("flags", u64::from(flags)));
        }
        let file = fields.file_id()?;
        fields.zeros(fields.remaining())?;
        let foreign = |field| FormatError::Foreign { what: WHAT, field };
        if directory != place.directory {
            return Err(foreign("directory"));
        }
        if lane != place.lane {
            return Err(foreign("lane"));
        }
        if file != place.file {
            return Err(foreign("file"));
        }
        let used = MANIFEST_HEADER_BYTES.saturating_add(payload.len());
        let padding = unit.take(padded(used).saturating_sub(used))?;
        expect_zero(WHAT, padding)?;
        let header = Self {
            place: *place,
            number,
            index,
            last: flags == FLAG_LAST,
            payload_bytes,
        };
        Ok((header, payload))
    }

    fn piece_bytes(&self) -> usize {
        padded(MANIFEST_HEADER_BYTES.saturating_add(size(self.payload_bytes)))
    }
}
