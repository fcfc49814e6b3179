//! Buffers for direct I/O that grow: what frames, extents and manifests are encoded into.
//!
//! Keeps: memory is aligned to blocks at every size; growing doubles, so a byte is moved less than
//! once on average; what is frozen holds at most twice the memory of its bytes, because tails keep
//! frames for long.

use crate::format::{BLOCK_BYTES, FrameBuffer};
use bytes::Bytes;
use engine_rt::AlignedBuf;

/// An aligned buffer that grows.
#[derive(Debug)]
pub(crate) struct GrowBuf {
    buffer: AlignedBuf,
}

impl GrowBuf {
    /// An empty buffer with room for `bytes`.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            buffer: AlignedBuf::with_capacity(bytes),
        }
    }

    fn reserve(&mut self, bytes: usize) {
        if self.buffer.remaining() >= bytes {
            return;
        }
        let needed = self.buffer.len().saturating_add(bytes);
        let doubled = self.buffer.capacity().saturating_mul(2);
        let mut larger = AlignedBuf::with_capacity(needed.max(doubled));
        larger.extend_from_slice(self.buffer.as_slice());
        self.buffer = larger;
    }
}

impl FrameBuffer for GrowBuf {
    fn len(&self) -> usize {
        self.buffer.len()
    }

    fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer.as_mut_slice()
    }

    fn freeze(self) -> Bytes {
        let bytes = self.buffer.len();
        if self.buffer.capacity() / 2 <= bytes.next_multiple_of(BLOCK_BYTES) {
            return self.buffer.freeze();
        }
        let mut smaller = AlignedBuf::with_capacity(bytes);
        smaller.extend_from_slice(self.buffer.as_slice());
        smaller.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_bytes_and_alignment() {
        let mut buffer = GrowBuf::with_capacity(1);
        for byte in 0..200_u8 {
            buffer.extend_from_slice(&[byte; 100]);
        }
        buffer.pad_to_block();
        assert_eq!(buffer.len() % 4096, 0);
        let bytes = buffer.freeze();
        assert_eq!(bytes.as_ptr().addr() % 4096, 0);
        assert!(
            bytes
                .iter()
                .take(20_000)
                .enumerate()
                .all(|(i, b)| usize::from(*b) == i / 100)
        );
        assert!(bytes.iter().skip(20_000).all(|b| *b == 0));
    }
}
