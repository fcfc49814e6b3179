//! Buffers for direct I/O that grow: what frames, extents and manifests are encoded into.
//!
//! Keeps: memory is aligned to blocks at every size; growing doubles, so a byte is moved less than
//! once on average; frames, which tails keep for long, hold no more than their blocks.

use crate::format::{FrameBuffer, SplitBuffer};
use bytes::Bytes;
use engine_rt::{AlignedBuf, SlabBuf};

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

    /// The bytes, from now on immutable and shared; all memory of the buffer lives as long.
    pub(crate) fn freeze(self) -> Bytes {
        self.buffer.freeze()
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
}

/// What frames of a lane are built in, one after the other, out of the same memory.
///
/// Keeps: a frame holds no more memory than its blocks; only a frame that outgrows what is left of
/// the memory is moved, once.
#[derive(Debug)]
pub(crate) struct LaneBuf {
    slab: SlabBuf,
}

impl LaneBuf {
    /// Memory that many frames share, in bytes: what `engine_rt` makes a huge page.
    pub(crate) const SLAB_BYTES: usize = 2 << 20;

    /// An empty buffer with room for a frame of `bytes`: what is left in `rest`, if that is enough.
    /// A frame that would take most of what frames share gets memory of its own, and `rest` stays.
    pub(crate) fn with_capacity(rest: &mut Option<Self>, bytes: usize) -> Self {
        if bytes > Self::SLAB_BYTES / 2 {
            return Self {
                slab: SlabBuf::with_capacity(bytes),
            };
        }
        rest.take_if(|rest| rest.slab.remaining() >= bytes)
            .unwrap_or_else(|| Self {
                slab: SlabBuf::with_capacity(Self::SLAB_BYTES),
            })
    }

    /// Makes this buffer, which is empty, `rest`, if it has more room.
    pub(crate) fn put_back(self, rest: &mut Option<Self>) {
        let room = rest.as_ref().map_or(0, |rest| rest.slab.remaining());
        if self.slab.remaining() > room {
            *rest = Some(self);
        }
    }
}

impl FrameBuffer for LaneBuf {
    fn len(&self) -> usize {
        self.slab.len()
    }

    fn extend_from_slice(&mut self, bytes: &[u8]) {
        if self.slab.remaining() < bytes.len() {
            let needed = self.slab.len().saturating_add(bytes.len());
            // What frames grow by later finds room too.
            let mut slab = SlabBuf::with_capacity(needed.saturating_mul(2).max(Self::SLAB_BYTES));
            slab.extend_from_slice(self.slab.as_slice());
            self.slab = slab;
        }
        self.slab.extend_from_slice(bytes);
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        self.slab.as_mut_slice()
    }
}

impl SplitBuffer for LaneBuf {
    fn split(&mut self) -> Bytes {
        self.slab.split()
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
