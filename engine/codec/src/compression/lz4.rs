//! LZ4 frames, block by block.
//!
//! The frame is read here and not by `lz4_flex`, which takes a cut between two blocks for the end,
//! reads the legacy format, and reserves up to 12 MiB on the word of a 7-byte header; the blocks are
//! its work. Exactly one frame: Java's consumer reads no second one. Dictionaries are refused.
//! Blocks may be linked, which Java does not read but librdkafka does.
//! Source: the LZ4 frame format description, version 1.6.

use super::{Compression, CompressionError, Fault};
use bytes::{Buf, Bytes, BytesMut};
use core::hash::Hasher;
use lz4_flex::block::{DecompressError, decompress_into, decompress_into_with_dict};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write;
use twox_hash::XxHash32;

const MAGIC: u32 = 0x184d_2204;
const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_VERSION_1: u8 = 0b0100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_RESERVED: u8 = 0b0000_0010;
const FLAG_DICTIONARY: u8 = 0b0000_0001;
/// Set in a block's size: the block is not compressed.
const BLOCK_IS_PLAIN: u32 = 1 << 31;
/// How far back a linked block may reach.
const WINDOW_BYTES: usize = 64 << 10;
/// The most bytes that come out of one byte of a block: each length byte adds 255.
const EXPANSION_MAX: usize = 255;

pub(super) struct Decoder {
    input: Bytes,
    frame: Option<Frame>,
    is_done: bool,
}

/// A frame whose header has been read.
struct Frame {
    flags: u8,
    block_bytes_max: usize,
    content_bytes: Option<u64>,
    /// What has come out so far.
    produced: u64,
    content_hash: XxHash32,
    /// The last bytes that came out, where blocks are linked.
    window: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Self {
        Self {
            input,
            frame: None,
            is_done: false,
        }
    }

    pub(super) fn read_into(&mut self, output: &mut BytesMut, room: usize) -> Result<(), Fault> {
        if self.is_done {
            return Ok(());
        }
        let frame = match &mut self.frame {
            Some(frame) => frame,
            none => none.insert(Frame::read_header(&mut self.input)?),
        };
        let start = output.len();
        // A block may be empty; going on to the next keeps "nothing came out" for the end.
        while output.len() == start {
            if !frame.read_block(&mut self.input, output, room)? {
                self.is_done = true;
                return if self.input.is_empty() {
                    Ok(())
                } else {
                    Err(Fault::Corrupt("bytes follow the frame"))
                };
            }
        }
        Ok(())
    }
}

impl Frame {
    fn read_header(input: &mut Bytes) -> Result<Self, Fault> {
        let start = input.clone();
        if input.try_get_u32_le().map_err(|_| Fault::Truncated)? != MAGIC {
            return Err(Fault::Corrupt("magic"));
        }
        let flags = input.try_get_u8().map_err(|_| Fault::Truncated)?;
        let block_descriptor = input.try_get_u8().map_err(|_| Fault::Truncated)?;
        if flags & FLAG_VERSION_MASK != FLAG_VERSION_1
            || flags & FLAG_RESERVED != 0
            || block_descriptor & 0b1000_1111 != 0
        {
            return Err(Fault::Corrupt("version or reserved bits"));
        }
        if flags & FLAG_DICTIONARY != 0 {
            return Err(Fault::Corrupt("dictionary"));
        }
        let block_bytes_max = match block_descriptor >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err(Fault::Corrupt("block size")),
        };
        let content_bytes = if flags & FLAG_CONTENT_SIZE == 0 {
            None
        } else {
            Some(input.try_get_u64_le().map_err(|_| Fault::Truncated)?)
        };
        let descriptor_bytes = start.len().saturating_sub(input.len());
        let checksum = input.try_get_u8().map_err(|_| Fault::Truncated)?;
        let descriptor = start.get(4..descriptor_bytes).unwrap_or_default();
        let [_, expected, ..] = hash(descriptor).to_le_bytes();
        if checksum != expected {
            return Err(Fault::Corrupt("header checksum"));
        }
        Ok(Self {
            flags,
            block_bytes_max,
            content_bytes,
            produced: 0,
            content_hash: XxHash32::with_seed(0),
            window: Vec::new(),
        })
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Appends one block; false at the end of the frame.
    fn read_block(
        &mut self,
        input: &mut Bytes,
        output: &mut BytesMut,
        room: usize,
    ) -> Result<bool, Fault> {
        let word = input.try_get_u32_le().map_err(|_| Fault::Truncated)?;
        if word == 0 {
            self.end(input)?;
            return Ok(false);
        }
        let size = usize::try_from(word & !BLOCK_IS_PLAIN)
            .ok()
            .filter(|size| *size <= self.block_bytes_max)
            .ok_or(Fault::Corrupt("block is larger than the frame allows"))?;
        if input.len() < size {
            return Err(Fault::Truncated);
        }
        let block = input.split_to(size);
        if self.has(FLAG_BLOCK_CHECKSUM) {
            let checksum = input.try_get_u32_le().map_err(|_| Fault::Truncated)?;
            if checksum != hash(&block) {
                return Err(Fault::Corrupt("block checksum"));
            }
        }
        let start = output.len();
        if word & BLOCK_IS_PLAIN != 0 {
            if size > room {
                return Err(Fault::NoRoom);
            }
            output.extend_from_slice(&block);
        } else {
            self.decode(&block, output, room)?;
        }
        self.account(output.get(start..).unwrap_or_default());
        Ok(true)
    }

    fn decode(&self, block: &[u8], output: &mut BytesMut, room: usize) -> Result<(), Fault> {
        let start = output.len();
        let could_be = block.len().saturating_mul(EXPANSION_MAX);
        let bytes_max = self.block_bytes_max.min(could_be);
        output.resize(start.saturating_add(bytes_max.min(room)), 0);
        let place = output.get_mut(start..).unwrap_or_default();
        let result = if self.window.is_empty() {
            decompress_into(block, place)
        } else {
            decompress_into_with_dict(block, place, &self.window)
        };
        match result {
            Ok(written) => {
                output.truncate(start.saturating_add(written));
                Ok(())
            }
            Err(DecompressError::OutputTooSmall { .. }) if bytes_max > room => Err(Fault::NoRoom),
            Err(DecompressError::OutputTooSmall { .. }) => {
                Err(Fault::Corrupt("block holds more than the frame allows"))
            }
            Err(_) => Err(Fault::Corrupt("block")),
        }
    }

    /// Takes note of what came out.
    fn account(&mut self, output: &[u8]) {
        let count = u64::try_from(output.len()).unwrap_or(u64::MAX);
        self.produced = self.produced.saturating_add(count);
        if self.has(FLAG_CONTENT_CHECKSUM) {
            self.content_hash.write(output);
        }
        if !self.has(FLAG_INDEPENDENT) {
            let recent = output.len().saturating_sub(WINDOW_BYTES);
            let recent = output.get(recent..).unwrap_or_default();
            let excess = self
                .window
                .len()
                .saturating_add(recent.len())
                .saturating_sub(WINDOW_BYTES);
            self.window.drain(..excess.min(self.window.len()));
            self.window.extend_from_slice(recent);
        }
    }

    fn end(&self, input: &mut Bytes) -> Result<(), Fault> {
        if self.has(FLAG_CONTENT_CHECKSUM) {
            let checksum = input.try_get_u32_le().map_err(|_| Fault::Truncated)?;
            if u64::from(checksum) != self.content_hash.finish() {
                return Err(Fault::Corrupt("content checksum"));
            }
        }
        match self.content_bytes {
            Some(bytes) if bytes != self.produced => Err(Fault::Corrupt("content size")),
            _ => Ok(()),
        }
    }
}

fn hash(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}

/// One frame of independent blocks of 64 KiB, as Java's producer writes.
pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Result<Bytes, CompressionError> {
    if let Some(level) = level
        && !(1..=17).contains(&level)
    {
        return Err(CompressionError::InvalidLevel {
            compression: Compression::Lz4,
            level,
        });
    }
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let failed = CompressionError::Failed {
        compression: Compression::Lz4,
        reason: "frame",
    };
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(input).map_err(|_| failed)?;
    encoder.finish().map(Bytes::from).map_err(|_| failed)
}
