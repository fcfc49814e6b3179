//! The list of slices a read is answered with.
//!
//! Keeps: neighbours in one buffer become one slice; runs of slices under 4 KiB are copied
//! together, so that an answer of many small batches does not become many pieces of a send; a slice
//! that is little of its buffer is copied out, so that an answer nobody takes does not hold much
//! more memory than its length says.

use bytes::{Bytes, BytesMut};
use core::ops::Range;

/// Slices below this size are copied together.
const SMALL_BYTES: usize = 4096;

/// A slice holds at most so many times its length.
const HELD_TIMES_MAX: usize = 32;

/// Slices in the order they were pushed.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    pieces: Vec<(Bytes, Range<usize>)>,
    bytes: usize,
}

impl Chunks {
    /// Adds a range of a buffer.
    pub(crate) fn push(&mut self, buffer: &Bytes, range: Range<usize>) {
        self.bytes = self.bytes.saturating_add(range.len());
        if let Some((last, last_range)) = self.pieces.last_mut()
            && last.as_ptr() == buffer.as_ptr()
            && last_range.end == range.start
        {
            last_range.end = range.end;
            return;
        }
        self.pieces.push((buffer.clone(), range));
    }

    /// Bytes of all slices.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slices.
    pub(crate) fn finish(self) -> Vec<Bytes> {
        let mut chunks = Vec::with_capacity(self.pieces.len());
        let mut small = BytesMut::new();
        let mut pieces = self.pieces.into_iter().peekable();
        while let Some((buffer, range)) = pieces.next() {
            let is_small = |range: &Range<usize>| range.len() < SMALL_BYTES;
            let next_is_small = pieces.peek().is_some_and(|(_, next)| is_small(next));
            if is_small(&range) && (next_is_small || !small.is_empty()) {
                small.extend_from_slice(buffer.get(range).unwrap_or_default());
                continue;
            }
            if !small.is_empty() {
                chunks.push(small.split().freeze());
            }
            let Some(slice) = buffer.get(range) else {
                continue;
            };
            chunks.push(if slice.len() < buffer.len() / HELD_TIMES_MAX {
                Bytes::copy_from_slice(slice)
            } else {
                buffer.slice_ref(slice)
            });
        }
        if !small.is_empty() {
            chunks.push(small.freeze());
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_that_is_little_of_its_buffer_does_not_hold_it() {
        let buffer = Bytes::from(vec![1; 256 << 10]);
        for (length, is_copied) in [(8191, true), (8192, false), (100, true)] {
            let mut chunks = Chunks::default();
            chunks.push(&buffer, 4096..4096 + length);
            let chunks = chunks.finish();
            assert_eq!(chunks.len(), 1);
            assert_eq!(chunks[0].len(), length);
            let is_slice = chunks[0].as_ptr() == buffer.slice(4096..).as_ptr();
            assert_eq!(is_slice, !is_copied, "{length}");
        }
    }

    #[test]
    fn neighbours_become_one_slice_and_small_ones_are_copied_together() {
        let large = Bytes::from(vec![1; 20_000]);
        let other = Bytes::from(vec![2; 100]);
        let mut chunks = Chunks::default();
        chunks.push(&large, 0..5000);
        chunks.push(&large, 5000..9000);
        chunks.push(&other, 0..10);
        chunks.push(&other, 50..60);
        chunks.push(&large, 10_000..20_000);
        chunks.push(&other, 0..1);
        assert_eq!(chunks.bytes(), 9000 + 20 + 10_000 + 1);
        let chunks = chunks.finish();
        let lengths: Vec<_> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [9000, 20, 10_000, 1]);
        assert_eq!(
            chunks[0].as_ptr(),
            large.as_ptr(),
            "large slices are not copied"
        );
    }
}
