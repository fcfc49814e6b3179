//! Many shared buffers out of one block of memory, one after the other.
//!
//! Keeps: the part that is being written and the parts that were split off never overlap, and what
//! was split off never changes; every part begins at a multiple of 4 KiB.
//! Does not: grow. Ask for the room that is needed first.

use std::sync::Arc;

use bytes::Bytes;

use super::{AlignedBuf, BLOCK_BYTES};

/// A buffer that gives away what it holds and goes on behind it.
///
/// For things of unlike sizes that live about as long: one allocation for many, and no more memory
/// held than they take. The memory is given back with the last part.
#[derive(Debug)]
pub struct SlabBuf {
    /// Nobody takes a reference to this buffer's bytes: parts are made from its address.
    memory: Arc<AlignedBuf>,
    /// Where the part being written begins; a multiple of `BLOCK_BYTES`.
    start: usize,
    len: usize,
}

/// A part that was split off: `start..start + len` of `memory`.
struct Part {
    memory: Arc<AlignedBuf>,
    start: usize,
    len: usize,
}

impl SlabBuf {
    /// Room for at least `bytes`, rounded up to whole blocks of 4 KiB.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            memory: Arc::new(AlignedBuf::with_capacity(bytes)),
            start: 0,
            len: 0,
        }
    }

    /// Bytes of the part being written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The part being written holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes the part being written can still take.
    pub fn remaining(&self) -> usize {
        self.memory
            .capacity()
            .saturating_sub(self.start)
            .saturating_sub(self.len)
    }

    /// The part being written.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start + len <= capacity`, and these bytes were written by `extend_from_slice`.
        // No other part reaches them, so nobody writes them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(address(&self.memory, self.start), self.len) }
    }

    /// The part being written, to change in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `self`, the only one that reaches these bytes, is borrowed
        // exclusively.
        unsafe { std::slice::from_raw_parts_mut(address(&self.memory, self.start), self.len) }
    }

    /// Appends as many of `bytes` as there is room for and returns how many that were.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.remaining());
        let end = address(&self.memory, self.start.saturating_add(self.len));
        // SAFETY: `count` bytes from there on lie inside the memory, behind this part, where no
        // other part reaches; `bytes` is borrowed and so lies elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, count) };
        self.len = self.len.saturating_add(count);
        count
    }

    /// Gives away the part being written, and goes on at the next whole block behind it.
    pub fn split(&mut self) -> Bytes {
        let part = Part {
            memory: Arc::clone(&self.memory),
            start: self.start,
            len: self.len,
        };
        self.start = self
            .start
            .saturating_add(self.len.next_multiple_of(BLOCK_BYTES))
            .min(self.memory.capacity());
        self.len = 0;
        Bytes::from_owner(part)
    }
}

/// Where the byte at `position` lies, at most one past the last.
fn address(memory: &AlignedBuf, position: usize) -> *mut u8 {
    let position = position.min(memory.capacity());
    // SAFETY: the result stays inside or one past the allocation.
    unsafe { memory.address.as_ptr().add(position) }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start + len <= capacity`, these bytes were written before they were split off,
        // and since then nobody writes them.
        unsafe { std::slice::from_raw_parts(address(&self.memory, self.start), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_aligned_and_keep_what_they_held() {
        let mut slab = SlabBuf::with_capacity(4 * BLOCK_BYTES);
        let mut parts = Vec::new();
        for (byte, len) in [(1, 5000), (2, 1), (3, 4096)] {
            let bytes = vec![byte; len];
            assert_eq!(slab.extend_from_slice(&bytes), len);
            slab.as_mut_slice()[0] = 9;
            assert_eq!(slab.as_slice().len(), len);
            parts.push((byte, len, slab.split()));
            assert!(slab.is_empty());
        }
        assert_eq!(slab.remaining(), 0);
        assert_eq!(slab.extend_from_slice(&[7]), 0, "it is full");
        assert!(slab.split().is_empty());
        drop(slab);
        for (byte, len, part) in parts {
            assert_eq!(part.as_ptr() as usize % BLOCK_BYTES, 0);
            assert_eq!((part.len(), part[0]), (len, 9));
            assert!(part[1..].iter().all(|b| *b == byte));
        }
    }

    #[test]
    fn a_part_takes_no_more_than_is_left() {
        let mut slab = SlabBuf::with_capacity(2 * BLOCK_BYTES);
        slab.extend_from_slice(&[1; 10]);
        let first = slab.split();
        assert_eq!(slab.remaining(), BLOCK_BYTES);
        assert_eq!(slab.extend_from_slice(&[2; 5000]), BLOCK_BYTES);
        assert_eq!(&first[..], [1; 10]);
        assert_eq!(slab.split().len(), BLOCK_BYTES);
    }

    #[test]
    fn memory_outlives_the_slab_on_other_threads() {
        let mut slab = SlabBuf::with_capacity(BLOCK_BYTES);
        slab.extend_from_slice(b"hello");
        let part = slab.split();
        drop(slab);
        let back = std::thread::spawn(move || part.to_vec()).join().unwrap();
        assert_eq!(back, b"hello");
    }
}
