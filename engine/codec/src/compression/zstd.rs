//! Zstandard: one or more frames, one after another.
//!
//! A frame says how far back it reaches, its window, and a streaming decoder sets that much memory
//! aside: a few bytes could ask for 128 MiB. Producers at the highest levels do ask for it, for
//! batches of any size. So windows up to 8 MiB, which RFC 8878 asks every decoder to have, are
//! streamed; frames with larger ones are decoded in one piece, where the output is the window.
//! Source: RFC 8878, 3.1.1.1.2; libzstd does the work.

use super::{CHUNK_BYTES_MAX, Compression, CompressionError, Fault, chunk_bytes};
use bytes::{Bytes, BytesMut};
use zstd::zstd_safe::{
    self, CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, is_error_kind,
    zstd_sys::ZSTD_ErrorCode,
};

/// Logarithm of the largest window that is streamed.
const WINDOW_LOG_MAX: u32 = 23;
/// Kafka's default effort, zstd's own.
const LEVEL_DEFAULT: i32 = 3;
/// Kafka's range of `compression.zstd.level`.
const LEVELS: core::ops::RangeInclusive<i32> = -131_072..=22;

pub(super) struct Decoder {
    context: DCtx<'static>,
    input: Bytes,
    position: usize,
    /// Where the frame at hand begins.
    frame_start: usize,
    is_inside_frame: bool,
}

const fn failed(reason: &'static str) -> CompressionError {
    CompressionError::Failed {
        compression: Compression::Zstd,
        reason,
    }
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Result<Self, CompressionError> {
        let mut context = DCtx::try_create().ok_or(failed("no memory"))?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(|code| failed(zstd_safe::get_error_name(code)))?;
        Ok(Self {
            context,
            input,
            position: 0,
            frame_start: 0,
            is_inside_frame: false,
        })
    }

    pub(super) fn read_into(&mut self, output: &mut BytesMut, room: usize) -> Result<(), Fault> {
        let start = output.len();
        let remaining = self.input.len().saturating_sub(self.position);
        let chunk = chunk_bytes(remaining, room);
        output.resize(start.saturating_add(chunk), 0);
        let place = output.get_mut(start..).unwrap_or_default();
        match self.stream_into(place) {
            Ok(written) => {
                output.truncate(start.saturating_add(written));
                Ok(())
            }
            Err(StreamFault::WindowTooLarge) => {
                output.truncate(start);
                self.decode_at_once(output, room)
            }
            Err(StreamFault::Other(fault)) => Err(fault),
        }
    }

    /// Writes the next bytes to `place`; 0 only at the end.
    fn stream_into(&mut self, place: &mut [u8]) -> Result<usize, StreamFault> {
        let mut output = OutBuffer::around(place);
        let mut input = InBuffer::around(&self.input);
        input.set_pos(self.position);
        while output.pos() == 0 {
            if input.pos() == self.input.len() && !self.is_inside_frame {
                break;
            }
            let before = input.pos();
            let hint = self
                .context
                .decompress_stream(&mut output, &mut input)
                .map_err(StreamFault::from_code)?;
            self.is_inside_frame = hint != 0;
            self.position = input.pos();
            if hint == 0 {
                self.frame_start = self.position;
            } else if output.pos() == 0 && input.pos() == before {
                // The decoder wants more than there is.
                return Err(StreamFault::Other(Fault::Truncated));
            }
        }
        Ok(output.pos())
    }

    /// Appends all that is left, from the start of the frame at hand, of which nothing has come
    /// out yet. The room is found by doubling, so that it follows what really comes out.
    fn decode_at_once(&mut self, output: &mut BytesMut, room: usize) -> Result<(), Fault> {
        let start = output.len();
        let input = self.input.slice(self.frame_start..);
        let mut size = input.len().saturating_mul(4).max(CHUNK_BYTES_MAX).min(room);
        loop {
            output.resize(start.saturating_add(size), 0);
            let place = output.get_mut(start..).unwrap_or_default();
            match self.context.decompress(place, &input) {
                Ok(written) => {
                    output.truncate(start.saturating_add(written));
                    self.position = self.input.len();
                    self.frame_start = self.position;
                    self.is_inside_frame = false;
                    return Ok(());
                }
                Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                    if size >= room {
                        return Err(Fault::NoRoom);
                    }
                    size = size.saturating_mul(2).min(room);
                }
                Err(code) => return Err(fault_of(code)),
            }
        }
    }
}

enum StreamFault {
    WindowTooLarge,
    Other(Fault),
}

impl StreamFault {
    fn from_code(code: zstd_safe::ErrorCode) -> Self {
        if is_error_kind(
            code,
            ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge,
        ) {
            Self::WindowTooLarge
        } else {
            Self::Other(fault_of(code))
        }
    }
}

fn fault_of(code: zstd_safe::ErrorCode) -> Fault {
    if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_srcSize_wrong) {
        Fault::Truncated
    } else {
        Fault::Corrupt(zstd_safe::get_error_name(code))
    }
}

/// One frame that names its content size, so that readers need no more memory than that.
pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Result<Bytes, CompressionError> {
    let level = level.unwrap_or(LEVEL_DEFAULT);
    if !LEVELS.contains(&level) {
        return Err(CompressionError::InvalidLevel {
            compression: Compression::Zstd,
            level,
        });
    }
    let by_name = |code| failed(zstd_safe::get_error_name(code));
    let mut context = CCtx::try_create().ok_or(failed("no memory"))?;
    context
        .set_parameter(CParameter::CompressionLevel(level))
        .map_err(by_name)?;
    let mut output = Vec::with_capacity(zstd_safe::compress_bound(input.len()));
    context.compress2(&mut output, input).map_err(by_name)?;
    Ok(Bytes::from(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of Java's producer at level 22, which asks for 128 MiB, and the most that a frame
    /// can ask for: a window of 3.75 TiB.
    #[test]
    fn a_frame_cannot_ask_for_more_than_a_streamed_window() {
        for window in [0x88, 0xff] {
            // No checksum, no content size; one raw block of one byte.
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x09, 0x00, 0x00, b'a'];
            let mut decoder = Decoder::new(Bytes::copy_from_slice(&frame)).unwrap();
            let mut output = BytesMut::new();
            let result = decoder.read_into(&mut output, 1 << 20);
            assert!(decoder.context.sizeof() < 1 << 20);
            assert!(output.capacity() < 1 << 20);
            if window == 0x88 {
                assert_eq!((result, &output[..]), (Ok(()), &b"a"[..]));
            }
        }
    }

    #[test]
    fn a_streamed_window_is_at_most_eight_mebibytes() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 0x09, 0x00, 0x00, b'a'];
        let mut decoder = Decoder::new(Bytes::copy_from_slice(&frame)).unwrap();
        let mut output = BytesMut::new();
        assert_eq!(decoder.read_into(&mut output, 10), Ok(()));
        assert_eq!(&output[..], b"a");
        assert!(decoder.context.sizeof() < 9 << 20);
        assert!(decoder.context.sizeof() > 8 << 20, "0x68 asks for 8 MiB");
    }
}
