//! Snappy: bare, one block; or in the framing of xerial's snappy-java, many.
//!
//! | xerial framing: bytes | meaning                              |
//! |-----------------------|--------------------------------------|
//! | 8                     | 0x82 S N A P P Y 0x00                |
//! | 4, 4                  | version, oldest version that reads it|
//! | then, repeated: 4, n  | size n of a block, and the block     |
//!
//! All big-endian. The magic is no bare block: it would start with a copy of what is not yet there.
//! Java's producer writes blocks of 32 KiB in this framing, librdkafka and Go write a bare block;
//! all read both. We write what Java writes, which readers can take block by block.
//! Source: the snappy format description, "1. Preamble"; snappy-java's `SnappyCodec`.

use super::{Compression, CompressionError, Fault};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// The magic's start where a block size is expected: another stream follows.
const MAGIC_AS_SIZE: u32 = 0x8253_4e41;
const XERIAL_HEADER_BYTES: usize = 16;
/// Versions written; readers look at the second only.
const VERSION: u32 = 1;
/// What snappy-java puts in a block.
const BLOCK_BYTES: usize = 32 << 10;
/// The most bytes that come out of one byte of a block: a copy of 64 bytes takes 3.
const EXPANSION_MAX: usize = 22;

pub(super) struct Decoder {
    input: Bytes,
    framing: Framing,
}

enum Framing {
    /// Nothing read yet.
    Unknown,
    Xerial,
    Bare,
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Self {
        Self {
            input,
            framing: Framing::Unknown,
        }
    }

    pub(super) fn read_into(&mut self, output: &mut BytesMut, room: usize) -> Result<(), Fault> {
        if matches!(self.framing, Framing::Unknown) {
            if self.input.starts_with(&MAGIC) {
                self.skip_header()?;
                self.framing = Framing::Xerial;
            } else {
                self.framing = Framing::Bare;
            }
        }
        let start = output.len();
        // A block may be empty; going on to the next keeps "nothing came out" for the end.
        while output.len() == start {
            let Some(block) = self.next_block()? else {
                break;
            };
            decode_block(&block, output, room)?;
        }
        Ok(())
    }

    fn skip_header(&mut self) -> Result<(), Fault> {
        if self.input.len() < XERIAL_HEADER_BYTES {
            return Err(Fault::Truncated);
        }
        self.input.advance(MAGIC.len());
        let _version = self.input.get_u32();
        if self.input.get_u32() > VERSION {
            return Err(Fault::Corrupt("framing of a newer version"));
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.input.is_empty() {
            return Ok(None);
        }
        if matches!(self.framing, Framing::Bare) {
            return Ok(Some(core::mem::take(&mut self.input)));
        }
        loop {
            let Some(size) = self.input.first_chunk::<4>() else {
                return if self.input.is_empty() {
                    Ok(None)
                } else {
                    Err(Fault::Truncated)
                };
            };
            let size = u32::from_be_bytes(*size);
            if size == MAGIC_AS_SIZE {
                if !self.input.starts_with(&MAGIC) {
                    return Err(Fault::Corrupt("block size"));
                }
                self.skip_header()?;
                continue;
            }
            if i32::try_from(size).is_err() {
                return Err(Fault::Corrupt("block size"));
            }
            let size = usize::try_from(size).map_err(|_| Fault::Corrupt("block size"))?;
            self.input.advance(4);
            if self.input.len() < size {
                return Err(Fault::Truncated);
            }
            return Ok(Some(self.input.split_to(size)));
        }
    }
}

fn decode_block(block: &[u8], output: &mut BytesMut, room: usize) -> Result<(), Fault> {
    let size = snap::raw::decompress_len(block).map_err(|_| Fault::Corrupt("preamble"))?;
    if size > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(Fault::Corrupt(
            "preamble promises more than the block can hold",
        ));
    }
    if size > room {
        return Err(Fault::NoRoom);
    }
    let start = output.len();
    output.resize(start.saturating_add(size), 0);
    let place = output.get_mut(start..).unwrap_or_default();
    match snap::raw::Decoder::new().decompress(block, place) {
        Ok(written) if written == size => Ok(()),
        Ok(_) => Err(Fault::Corrupt("block is shorter than its preamble says")),
        Err(_) => Err(Fault::Corrupt("block")),
    }
}

pub(super) fn compress(input: &[u8]) -> Result<Bytes, CompressionError> {
    let failed = CompressionError::Failed {
        compression: Compression::Snappy,
        reason: "block",
    };
    let mut output = BytesMut::new();
    output.put_slice(&MAGIC);
    output.put_u32(VERSION);
    output.put_u32(VERSION);
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(BLOCK_BYTES.min(input.len()))];
    for piece in input.chunks(BLOCK_BYTES) {
        let size = encoder.compress(piece, &mut block).map_err(|_| failed)?;
        output.put_u32(u32::try_from(size).map_err(|_| failed)?);
        output.put_slice(block.get(..size).unwrap_or_default());
    }
    Ok(output.freeze())
}
