//! Extents: what a segment file is made of, one after another from its first byte.
//!
//! Header (64 bytes), payload, zeros up to a whole block. Payloads are whole record batches, an
//! index block, a footer or a snapshot of a log's state. The checksum covers header and payload
//! and is seeded with log, file and position, so a sound extent at the wrong place does not parse.
//!
//! Does not: choose what goes together (`partition_log`), keep offsets in order.
//! Source: ../../FORMAT.md, "Extent".

use super::wire::{
    Fields, crc_without, expect_crc, expect_zero, length_field, put_crc, put_file_id, put_log_id,
    size,
};
use super::{
    EXTENT_HEADER_BYTES, EXTENT_PAYLOAD_BYTES_MAX, FORMAT, FileId, FormatError, FrameBuffer, padded,
};
use bytes::{BufMut, Bytes};
use engine_model::planted::{self, Bug};
use engine_model::{LogId, Offset, Timestamp};

const WHAT: &str = "extent";
const MAGIC: [u8; 4] = *b"ODEX";
const CRC_AT: usize = 8;
const SEED_BYTES: usize = 36;

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtentKind {
    /// Whole record batches.
    Records,
    /// Where the record extents before it lie (`IndexBlock`).
    Index,
    /// The end of a sealed segment (`Footer`).
    Footer,
    /// A snapshot of producer state (`producers`).
    Producers,
    /// A snapshot of leader epochs (`epochs`).
    Epochs,
    /// Aborted transactions.
    AbortedTransactions,
}

impl ExtentKind {
    const fn code(self) -> u8 {
        match self {
            Self::Records => 1,
            Self::Index => 2,
            Self::Footer => 3,
            Self::Producers => 4,
            Self::Epochs => 5,
            Self::AbortedTransactions => 6,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Records,
            2 => Self::Index,
            3 => Self::Footer,
            4 => Self::Producers,
            5 => Self::Epochs,
            6 => Self::AbortedTransactions,
            _ => return None,
        })
    }
}

/// Where an extent lies: the seed of its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentPlace {
    /// The log it belongs to.
    pub log: LogId,
    /// The segment file.
    pub file: FileId,
    /// Bytes from the start of that file; a whole number of blocks.
    pub position: u64,
}

impl ExtentPlace {
    fn seed(&self) -> u32 {
        let mut bytes = [0; SEED_BYTES];
        let mut out = bytes.as_mut_slice();
        put_log_id(&mut out, self.log);
        put_file_id(&mut out, self.file);
        out.put_u64_le(self.position);
        if planted::is(Bug::PlaceNotChecked) {
            return 0;
        }
        crc32c::crc32c(&bytes)
    }
}

/// The header of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentHeader {
    /// What the payload is.
    pub kind: ExtentKind,
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// Offset of the first record (Records), or the first offset it speaks of.
    pub first: Offset,
    /// Offset of the last record; below `first` where it speaks of none.
    pub last: Offset,
    /// The largest timestamp of its records, or `NONE`.
    pub max_timestamp: Timestamp,
    /// Batches (Records) or rows of the payload.
    pub count: u32,
    /// Position of the index block before this extent in the same file (Index, Footer), if any.
    pub previous_index: Option<u64>,
}

impl ExtentHeader {
    /// Bytes of the whole extent: header, payload and padding.
    pub fn extent_bytes(&self) -> usize {
        extent_bytes(size(self.payload_bytes))
    }

    /// Reads the header at the start of `bytes`, of which 64 suffice, without a checksum: only
    /// good for learning how many bytes to read before `ExtentView::decode`.
    pub fn peek(bytes: &[u8]) -> Result<Self, FormatError> {
        Ok(Self::read(bytes)?.0)
    }

    fn read(bytes: &[u8]) -> Result<(Self, u32), FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        let mut fields = Fields::new(WHAT, fields.take(EXTENT_HEADER_BYTES)?);
        if fields.array()? != MAGIC {
            return Err(FormatError::Magic { what: WHAT });
        }
        let format = fields.u16()?;
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
        let code = fields.u8()?;
        let kind =
            ExtentKind::from_code(code).ok_or_else(|| fields.field("kind", u64::from(code)))?;
        fields.zeros(1)?;
        let crc = fields.u32()?;
        let payload_bytes = fields.u32()?;
        if size(payload_bytes) > EXTENT_PAYLOAD_BYTES_MAX {
            return Err(fields.field("length", u64::from(payload_bytes)));
        }
        let first = fields.offset()?;
        let last = fields.offset()?;
        let max_timestamp = fields.timestamp()?;
        let count = fields.u32()?;
        fields.zeros(4)?;
        let previous = fields.u64()?;
        fields.zeros(fields.remaining())?;
        let header = Self {
            kind,
            payload_bytes,
            first,
            last,
            max_timestamp,
            count,
            previous_index: (previous != u64::MAX).then_some(previous),
        };
        Ok((header, crc))
    }

    fn encode(&self) -> [u8; EXTENT_HEADER_BYTES] {
        let mut header = [0; EXTENT_HEADER_BYTES];
        let mut out = header.as_mut_slice();
        out.put_slice(&MAGIC);
        out.put_u16_le(FORMAT);
        out.put_u8(self.kind.code());
        out.put_u8(0);
        out.put_u32_le(0); // the checksum, which needs the payload
        out.put_u32_le(self.payload_bytes);
        out.put_i64_le(self.first.get());
        out.put_i64_le(self.last.get());
        out.put_i64_le(self.max_timestamp.0);
        out.put_u32_le(self.count);
        out.put_u32_le(0);
        out.put_u64_le(self.previous_index.unwrap_or(u64::MAX));
        header
    }
}

/// Bytes of an extent whose payload has this many: header and padding added.
pub fn extent_bytes(payload_bytes: usize) -> usize {
    padded(EXTENT_HEADER_BYTES.saturating_add(payload_bytes))
}

/// Adds one extent to `out`, whose length must be a whole number of blocks; returns its bytes.
///
/// The payload is the chunks one after another; `header.payload_bytes` is set here. Several
/// extents may go into one buffer and so into one write: `place.position` is each one's own.
/// Errors: `TooLarge` for a payload over `EXTENT_PAYLOAD_BYTES_MAX`; `out` is then unchanged.
pub fn encode_extent(
    place: &ExtentPlace,
    header: &ExtentHeader,
    chunks: &[Bytes],
    out: &mut impl FrameBuffer,
) -> Result<usize, FormatError> {
    let chunks = chunks.iter().map(|chunk| SummedChunk {
        bytes: chunk,
        crc: crc32c::crc32c(chunk),
    });
    encode_summed_extent(place, header, chunks, out)
}

/// A part of a payload, and the checksum of its bytes alone.
#[derive(Clone, Copy, Debug)]
pub struct SummedChunk<'a> {
    /// The part.
    pub bytes: &'a [u8],
    /// Its CRC-32C.
    pub crc: u32,
}

/// As [`encode_extent`], of chunks whose checksums are known: the bytes are copied, not read.
pub fn encode_summed_extent<'a>(
    place: &ExtentPlace,
    header: &ExtentHeader,
    chunks: impl Iterator<Item = SummedChunk<'a>> + Clone,
    out: &mut impl FrameBuffer,
) -> Result<usize, FormatError> {
    let payload_bytes = chunks
        .clone()
        .fold(0_usize, |sum, chunk| sum.saturating_add(chunk.bytes.len()));
    if payload_bytes > EXTENT_PAYLOAD_BYTES_MAX {
        return Err(FormatError::TooLarge {
            what: WHAT,
            bytes: payload_bytes,
            max: EXTENT_PAYLOAD_BYTES_MAX,
        });
    }
    let mut header = ExtentHeader {
        payload_bytes: length_field(WHAT, payload_bytes)?,
        ..*header
    }
    .encode();
    let crc = chunks
        .clone()
        .fold(crc_without(place.seed(), &header, CRC_AT), |crc, chunk| {
            engine_codec::crc::crc32c_combine(crc, chunk.crc, chunk.bytes.len())
        });
    put_crc(&mut header, CRC_AT, crc);
    out.extend_from_slice(&header);
    for chunk in chunks {
        out.extend_from_slice(chunk.bytes);
    }
    out.pad_to_block();
    Ok(extent_bytes(payload_bytes))
}

/// An extent that is right in every byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentView {
    /// What its header says.
    pub header: ExtentHeader,
    /// Its payload, a slice of the bytes it was read from.
    pub payload: Bytes,
}

impl ExtentView {
    /// Reads and checks the extent at the start of `bytes`; what follows it is not looked at.
    ///
    /// Errors: `Short` if `bytes` ends before the extent does; any other: no extent of this log,
    /// file and position is here.
    pub fn decode(bytes: &Bytes, place: &ExtentPlace) -> Result<Self, FormatError> {
        let (header, crc) = ExtentHeader::read(bytes)?;
        let needed = header.extent_bytes();
        let end = EXTENT_HEADER_BYTES.saturating_add(size(header.payload_bytes));
        if bytes.len() < needed {
            return Err(FormatError::Short {
                what: WHAT,
                needed,
                found: bytes.len(),
            });
        }
        let unit = bytes.get(..end).unwrap_or_default();
        expect_crc(WHAT, crc, crc_without(place.seed(), unit, CRC_AT))?;
        expect_zero(WHAT, bytes.get(end..needed).unwrap_or_default())?;
        Ok(Self {
            header,
            payload: bytes.slice(EXTENT_HEADER_BYTES..end),
        })
    }
}
