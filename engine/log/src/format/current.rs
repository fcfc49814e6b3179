//! The file CURRENT: what a data directory is, and which files make it up.
//!
//! 32 bytes of envelope that every format keeps (magic, format, total length, checksum), then the
//! fields, then zeros up to a whole block. It is replaced as a whole by rename, never rewritten.
//!
//! Source: ../../FORMAT.md, "CURRENT".

use super::wire::{
    Fields, crc_without, expect_crc, expect_zero, length_field, put_crc, put_file_id, size,
};
use super::{CURRENT_BYTES_MAX, FORMAT, FileId, FormatError, padded};
use bytes::BufMut;
use engine_model::DirectoryId;

const WHAT: &str = "file CURRENT";
const MAGIC: [u8; 8] = *b"ODRADEK\n";
const CRC_AT: usize = 16;
const ENVELOPE_BYTES: usize = 32;
const FILE_BYTES: usize = 24;
const LANE_BYTES: usize = 36;

/// One file of a lane's ring, in ring order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneFile {
    /// The file.
    pub file: FileId,
    /// Its size: a whole number of blocks.
    pub bytes: u64,
}

/// One lane of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneImage {
    /// Its number.
    pub lane: u16,
    /// Its files.
    pub files: Vec<LaneFile>,
    /// The two slots of its manifests.
    pub manifests: [FileId; 2],
}

/// What CURRENT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Identity of the directory.
    pub directory: DirectoryId,
    /// Number of the run that wrote it, and in which all lane files were written since.
    pub run: u64,
    /// Whether the run ended with a checkpoint and nothing was written after it.
    pub clean: bool,
    /// All lanes.
    pub lanes: Vec<LaneImage>,
}

impl Current {
    /// The whole file.
    ///
    /// Errors: `TooLarge` over `CURRENT_BYTES_MAX`.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = Vec::new();
        out.put_slice(&MAGIC);
        out.put_u16_le(FORMAT);
        out.put_u16_le(0);
        out.put_u32_le(0); // the length, below
        out.put_u32_le(0); // the checksum, below
        out.put_bytes(0, 12);
        out.put_slice(&self.directory.to_bytes());
        out.put_u64_le(self.run);
        out.put_u8(u8::from(self.clean));
        out.put_bytes(0, 3);
        out.put_u32_le(length_field(WHAT, self.lanes.len())?);
        for lane in &self.lanes {
            out.put_u16_le(lane.lane);
            out.put_u16_le(0);
            out.put_u32_le(length_field(WHAT, lane.files.len())?);
            for slot in lane.manifests {
                put_file_id(&mut out, slot);
            }
            for file in &lane.files {
                put_file_id(&mut out, file.file);
                out.put_u16_le(0);
                out.put_u64_le(file.bytes);
            }
        }
        if out.len() > CURRENT_BYTES_MAX {
            return Err(FormatError::TooLarge {
                what: WHAT,
                bytes: out.len(),
                max: CURRENT_BYTES_MAX,
            });
        }
        let length = length_field(WHAT, out.len())?;
        put_crc(&mut out, 12, length);
        let crc = crc_without(0, &out, CRC_AT);
        put_crc(&mut out, CRC_AT, crc);
        out.resize(padded(out.len()), 0);
        Ok(out)
    }

    /// Reads the whole file.
    ///
    /// Errors: `Magic` for a file of something else, `Newer` for one of a newer build; any other:
    /// the file was damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut envelope = Fields::new(WHAT, bytes);
        if envelope.array()? != MAGIC {
            return Err(FormatError::Magic { what: WHAT });
        }
        let format = envelope.u16()?;
        envelope.zeros(2)?;
        let length = size(envelope.u32()?);
        let crc = envelope.u32()?;
        if !(ENVELOPE_BYTES..=CURRENT_BYTES_MAX).contains(&length) {
            return Err(envelope.field("length", u64::try_from(length).unwrap_or(u64::MAX)));
        }
        let mut whole = Fields::new(WHAT, bytes);
        let unit = whole.take(length)?;
        expect_crc(WHAT, crc, crc_without(0, unit, CRC_AT))?;
        if format > FORMAT {
            return Err(FormatError::Newer {
                what: WHAT,
                found: format,
                known: FORMAT,
            });
        }
        if format != FORMAT {
            return Err(envelope.field("format", u64::from(format)));
        }
        let padding = whole.take(padded(length).saturating_sub(length))?;
        expect_zero(WHAT, padding)?;
        whole.end()?;

        let mut fields = Fields::new(WHAT, unit);
        fields.take(ENVELOPE_BYTES.saturating_sub(12))?;
        fields.zeros(12)?;
        let directory = DirectoryId::from_bytes(fields.array()?);
        let run = fields.u64()?;
        let clean = match fields.u8()? {
            0 => false,
            1 => true,
            other => return Err(fields.field("clean mark", u64::from(other))),
        };
        fields.zeros(3)?;
        let count = bounded(&mut fields, "lane count", LANE_BYTES)?;
        let mut lanes = Vec::with_capacity(count);
        for _ in 0..count {
            lanes.push(LaneImage::decode(&mut fields)?);
        }
        fields.end()?;
        Ok(Self {
            directory,
            run,
            clean,
            lanes,
        })
    }
}

impl LaneImage {
    fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let lane = fields.u16()?;
        fields.zeros(2)?;
        let count = fields.u32()?;
        let manifests = [fields.file_id()?, fields.file_id()?];
        let there = fields.remaining().checked_div(FILE_BYTES).unwrap_or(0);
        if size(count) > there {
            return Err(fields.field("file count", u64::from(count)));
        }
        let mut files = Vec::with_capacity(size(count));
        for _ in 0..count {
            let file = fields.file_id()?;
            fields.zeros(2)?;
            files.push(LaneFile {
                file,
                bytes: fields.u64()?,
            });
        }
        Ok(Self {
            lane,
            files,
            manifests,
        })
    }
}

/// A count that is believed only as far as there are bytes for that many things.
fn bounded(
    fields: &mut Fields<'_>,
    field: &'static str,
    each: usize,
) -> Result<usize, FormatError> {
    let count = fields.u32()?;
    if size(count) > fields.remaining().checked_div(each).unwrap_or(0) {
        return Err(fields.field(field, u64::from(count)));
    }
    Ok(size(count))
}
