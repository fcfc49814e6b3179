//! The list of slices a read is answered with.
//!
//! Keeps: neighbours in one buffer become one slice; runs of slices under 4 KiB are copied
//! together, so that an answer of many small batches does not become many pieces of a send; slices
//! that are little of the memory behind them are copied out, so that an answer nobody takes does
//! not hold much more memory than its length says.

use bytes::{Bytes, BytesMut};
use core::ops::Range;

/// Slices below this size are copied together.
const SMALL_BYTES: usize = 4096;

/// Slices hold at most so many times their length.
const HELD_TIMES_MAX: usize = 32;

/// Slices in the order they were pushed.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    pieces: Vec<Piece>,
    bytes: usize,
}

/// A range of a buffer.
#[derive(Debug)]
struct Piece {
    buffer: Bytes,
    range: Range<usize>,
    /// The memory that is kept with the buffer: where it is, as far as one can tell, and how large.
    region: (usize, usize),
}

impl Piece {
    fn is_small(&self) -> bool {
        self.range.len() < SMALL_BYTES
    }
}

impl Chunks {
    /// Adds a range of a buffer that is all of its memory.
    pub(crate) fn push(&mut self, buffer: &Bytes, range: Range<usize>) {
        let region = (buffer.as_ptr().addr(), buffer.len());
        self.add(buffer, range, region);
    }

    /// Adds a range of a buffer that is a part of memory of so many bytes, or of more by itself.
    pub(crate) fn push_part(&mut self, buffer: &Bytes, range: Range<usize>, memory_bytes: usize) {
        if buffer.len() >= memory_bytes {
            return self.push(buffer, range);
        }
        // Memory that many share is aligned to its size.
        let place = buffer.as_ptr().addr().checked_div(memory_bytes);
        self.add(buffer, range, (place.unwrap_or_default(), memory_bytes));
    }

    fn add(&mut self, buffer: &Bytes, range: Range<usize>, region: (usize, usize)) {
        self.bytes = self.bytes.saturating_add(range.len());
        if let Some(last) = self.pieces.last_mut()
            && last.buffer.as_ptr() == buffer.as_ptr()
            && last.range.end == range.start
        {
            last.range.end = range.end;
            return;
        }
        self.pieces.push(Piece {
            buffer: buffer.clone(),
            range,
            region,
        });
    }

    /// Bytes of all slices.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slices.
    pub(crate) fn finish(self) -> Vec<Bytes> {
        let mut chunks = Vec::with_capacity(self.pieces.len());
        let mut copied = BytesMut::new();
        let mut is_next_small = self.pieces.iter().map(Piece::is_small).skip(1);
        for run in self.pieces.chunk_by(|a, b| a.region == b.region) {
            let is_little = is_little(run);
            for piece in run {
                let has_small_neighbour =
                    is_next_small.next().unwrap_or_default() || !copied.is_empty();
                let Some(slice) = piece.buffer.get(piece.range.clone()) else {
                    continue;
                };
                if is_little || (piece.is_small() && has_small_neighbour) {
                    copied.extend_from_slice(slice);
                    continue;
                }
                if !copied.is_empty() {
                    chunks.push(copied.split().freeze());
                }
                chunks.push(piece.buffer.slice_ref(slice));
            }
        }
        if !copied.is_empty() {
            chunks.push(copied.freeze());
        }
        chunks
    }
}

/// Whether slices of one region are so little of it that they should not keep it.
fn is_little(run: &[Piece]) -> bool {
    let bytes = run
        .iter()
        .fold(0_usize, |sum, piece| sum.saturating_add(piece.range.len()));
    run.first()
        .is_some_and(|piece| bytes < piece.region.1 / HELD_TIMES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_rt::SlabBuf;

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
    fn slices_that_are_little_of_memory_that_many_share_do_not_hold_it() {
        const MEMORY: usize = 2 << 20;
        for (length, is_copied) in [(100, true), (20_000, true), (40_000, false)] {
            let mut memory = SlabBuf::with_capacity(MEMORY);
            let frames: Vec<Bytes> = (0..2_u8)
                .map(|byte| {
                    memory.extend_from_slice(&vec![byte; length]);
                    memory.split()
                })
                .collect();
            let mut chunks = Chunks::default();
            for frame in &frames {
                chunks.push_part(frame, 0..length, MEMORY);
            }
            let chunks = chunks.finish();
            let bytes: Vec<u8> = chunks.concat();
            assert_eq!(bytes, frames.concat());
            let holds = chunks[0].as_ptr() == frames[0].as_ptr();
            assert_eq!(holds, !is_copied, "{length}");
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
