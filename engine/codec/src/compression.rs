//! The four codecs of record batches, with bounded output and bounded memory.
//!
//! Keeps: a [`Decompressor`] gives out at most what its caller allows and then fails with
//! `TooLarge`; it holds one chunk, and claims of the compressed bytes about their own size make it
//! allocate nothing they could not fill. Bytes that end early or go on after the end are errors.
//!
//! Memory while decompressing, besides the chunk: gzip its 32 KiB window, snappy a block, lz4 a block
//! of at most 4 MiB and 64 KiB of window, zstd a window of at most 8 MiB or, for frames that ask for
//! more, the output itself.
//! Source: the Kafka protocol guide, "Record batch", compression; each codec's own file.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// The largest step in which streaming codecs give their output.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// The smallest.
const CHUNK_BYTES_MIN: usize = 1 << 10;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks, in the framing of xerial's snappy-java or bare.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// All of them, by id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the attributes of a batch.
    #[inline]
    pub const fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The compression with that number.
    #[inline]
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name, as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The compression with that name. Topics also say `uncompressed` for none, and `producer`,
    /// which is no compression.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

impl core::fmt::Display for Compression {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// More comes out than the caller allows.
    #[error("more than {bytes_max} bytes come out of {compression}")]
    TooLarge {
        /// The codec.
        compression: Compression,
        /// The most that was allowed.
        bytes_max: usize,
    },
    /// The compressed bytes end early.
    #[error("{compression} data ends early")]
    Truncated {
        /// The codec.
        compression: Compression,
    },
    /// The compressed bytes are not what the codec writes.
    #[error("{compression} data is corrupt: {reason}")]
    Corrupt {
        /// The codec.
        compression: Compression,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The level is not one of the codec.
    #[error("{compression} has no level {level}")]
    InvalidLevel {
        /// The codec.
        compression: Compression,
        /// The level.
        level: i32,
    },
    /// The codec could not be set up or gave up: no memory.
    #[error("{compression} failed: {reason}")]
    Failed {
        /// The codec.
        compression: Compression,
        /// What it says.
        reason: &'static str,
    },
}

/// What one codec does: append its next output.
enum Codec {
    None(Bytes),
    Gzip(gzip::Decoder),
    Snappy(snappy::Decoder),
    Lz4(lz4::Decoder),
    Zstd(zstd::Decoder),
}

/// Decompresses step by step.
pub struct Decompressor {
    codec: Codec,
    compression: Compression,
    /// How many more bytes may come out.
    room: usize,
    bytes_max: usize,
    is_done: bool,
}

impl core::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decompressor")
            .field("compression", &self.compression)
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

impl Decompressor {
    /// Begins to decompress `input`, of which at most `bytes_max` bytes may come out.
    ///
    /// Errors: `Truncated` for no input at all where the codec needs some; `Failed` without memory.
    pub fn new(
        compression: Compression,
        input: Bytes,
        bytes_max: usize,
    ) -> Result<Self, CompressionError> {
        if input.is_empty() && compression != Compression::None {
            return Err(CompressionError::Truncated { compression });
        }
        let codec = match compression {
            Compression::None => Codec::None(input),
            Compression::Gzip => Codec::Gzip(gzip::Decoder::new(input)),
            Compression::Snappy => Codec::Snappy(snappy::Decoder::new(input)),
            Compression::Lz4 => Codec::Lz4(lz4::Decoder::new(input)),
            Compression::Zstd => Codec::Zstd(zstd::Decoder::new(input)?),
        };
        Ok(Self {
            codec,
            compression,
            room: bytes_max,
            bytes_max,
            is_done: false,
        })
    }

    /// Appends the next bytes to `output`; false when all have come out, and nothing was appended.
    ///
    /// After an error the decompressor is at its end.
    pub fn read_into(&mut self, output: &mut BytesMut) -> Result<bool, CompressionError> {
        if self.is_done {
            return Ok(false);
        }
        let before = output.len();
        let result = match &mut self.codec {
            Codec::None(input) => copy(input, output, self.room),
            Codec::Gzip(decoder) => decoder.read_into(output, self.room),
            Codec::Snappy(decoder) => decoder.read_into(output, self.room),
            Codec::Lz4(decoder) => decoder.read_into(output, self.room),
            Codec::Zstd(decoder) => decoder.read_into(output, self.room),
        };
        let produced = output.len().saturating_sub(before);
        let result = match result {
            Ok(()) if produced > self.room => Err(Fault::NoRoom),
            other => other,
        };
        match result {
            Ok(()) => {
                self.room = self.room.saturating_sub(produced);
                self.is_done = produced == 0;
                Ok(produced > 0)
            }
            Err(fault) => {
                self.is_done = true;
                output.truncate(before);
                Err(fault.into_error(self.compression, self.bytes_max))
            }
        }
    }
}

/// Why a codec stopped; it does not know the caller's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The next output does not fit the room there is.
    NoRoom,
    Truncated,
    Corrupt(&'static str),
}

impl Fault {
    const fn into_error(self, compression: Compression, bytes_max: usize) -> CompressionError {
        match self {
            Self::NoRoom => CompressionError::TooLarge {
                compression,
                bytes_max,
            },
            Self::Truncated => CompressionError::Truncated { compression },
            Self::Corrupt(reason) => CompressionError::Corrupt {
                compression,
                reason,
            },
        }
    }
}

fn copy(input: &mut Bytes, output: &mut BytesMut, room: usize) -> Result<(), Fault> {
    if input.len() > room {
        return Err(Fault::NoRoom);
    }
    output.extend_from_slice(input);
    input.clear();
    Ok(())
}

/// The step for streaming codecs: what the input may well become, and one byte more than the room
/// so that too much output shows.
fn chunk_bytes(input_bytes: usize, room: usize) -> usize {
    input_bytes
        .saturating_mul(4)
        .clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
        .min(room.saturating_add(1))
}

/// Decompresses all of `input`, of which at most `bytes_max` bytes may come out.
///
/// Without compression the result is `input` itself. The result grows with what comes out.
pub fn decompress(
    compression: Compression,
    input: &Bytes,
    bytes_max: usize,
) -> Result<Bytes, CompressionError> {
    if compression == Compression::None {
        return if input.len() <= bytes_max {
            Ok(input.clone())
        } else {
            Err(Fault::NoRoom.into_error(compression, bytes_max))
        };
    }
    let mut decompressor = Decompressor::new(compression, input.clone(), bytes_max)?;
    let mut output = BytesMut::new();
    while decompressor.read_into(&mut output)? {}
    Ok(output.freeze())
}

/// Compresses `input` in the form that every Kafka client reads.
///
/// `level` is the effort: gzip 1 to 9, zstd -131072 to 22, lz4 1 to 17 (accepted, as topics have
/// the setting, but our lz4 has one effort only); `None` is Kafka's default (gzip 6, zstd 3).
/// Errors: `InvalidLevel`, `Failed`.
pub fn compress(
    compression: Compression,
    level: Option<i32>,
    input: &[u8],
) -> Result<Bytes, CompressionError> {
    match compression {
        Compression::None => Ok(Bytes::copy_from_slice(input)),
        Compression::Gzip => gzip::compress(level, input),
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => lz4::compress(level, input),
        Compression::Zstd => zstd::compress(level, input),
    }
}
