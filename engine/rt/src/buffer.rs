//! Memory that direct I/O accepts: aligned to 4 KiB, of a fixed capacity, used again and again.
//!
//! Keeps: `len <= capacity`; the first `len` bytes were written by their owner or by a completed
//! read, and no others can be seen: what an earlier owner left behind never leaves; the address
//! never changes.

mod pool;
mod slab;

pub use slab::SlabBuf;

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use bytes::Bytes;

pub(crate) use pool::trim as trim_pool;

/// Alignment of buffers and of direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// A buffer at an address that is a multiple of 4 KiB, as direct I/O wants it.
///
/// Fixed capacity, rounded up to whole blocks; starts empty.
#[derive(Debug)]
pub struct AlignedBuf {
    address: NonNull<u8>,
    capacity: usize,
    len: usize,
}

// SAFETY: the buffer owns its memory alone, and plain bytes may move between threads.
unsafe impl Send for AlignedBuf {}
// SAFETY: shared references only read.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer with room for at least `bytes`, rounded up to whole blocks of 4 KiB.
    ///
    /// Memory that cannot be had ends the process, as for every Rust allocation.
    pub fn with_capacity(bytes: usize) -> Self {
        // Beyond isize::MAX no allocator follows; such a size fails in the allocator.
        let capacity = bytes
            .max(1)
            .checked_next_multiple_of(BLOCK_BYTES)
            .unwrap_or(usize::MAX);
        Self {
            address: pool::take(capacity),
            capacity,
            len: 0,
        }
    }

    /// Bytes in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No byte is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes it can still take.
    pub fn remaining(&self) -> usize {
        self.capacity.saturating_sub(self.len)
    }

    /// The bytes in use.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len <= capacity` initialised bytes at `address`, borrowed as `self` is.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.len) }
    }

    /// The bytes in use, to change in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.len) }
    }

    /// The bytes not yet in use; nothing is known of what is in them.
    pub(crate) fn spare_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let room = self.remaining();
        // SAFETY: `len <= capacity`, so the result stays inside or one past the allocation.
        let start = unsafe { self.address.as_ptr().add(self.len) };
        // SAFETY: `room` bytes from there on belong to this buffer alone, initialised or not.
        unsafe { std::slice::from_raw_parts_mut(start.cast(), room) }
    }

    /// The first `count` of the bytes not yet in use (at most what remains), made zero.
    pub(crate) fn zeroed_spare_mut(&mut self, count: usize) -> &mut [u8] {
        let count = count.min(self.remaining());
        let start = self.spare_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `count` bytes from there on are spare bytes of this buffer.
        unsafe { start.write_bytes(0, count) };
        // SAFETY: they have just been initialised, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(start, count) }
    }

    /// Takes `count` of the spare bytes into use, at most what remains. They were written: by the
    /// kernel, or through `zeroed_spare_mut`.
    pub(crate) fn advance(&mut self, count: usize) {
        self.len = self.len.saturating_add(count).min(self.capacity);
    }

    /// Appends as many of `bytes` as there is room for and returns how many that were.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.remaining());
        if let (Some(to), Some(from)) = (self.spare_mut().get_mut(..count), bytes.get(..count)) {
            to.write_copy_of_slice(from);
        }
        self.advance(count);
        count
    }

    /// Appends `count` zero bytes, at most what remains; returns how many.
    pub fn extend_zeroed(&mut self, count: usize) -> usize {
        let count = self.zeroed_spare_mut(count).len();
        self.advance(count);
        count
    }

    /// Appends zeros up to the next whole block; returns how many.
    pub fn pad_to_block(&mut self) -> usize {
        self.extend_zeroed(
            self.len
                .next_multiple_of(BLOCK_BYTES)
                .saturating_sub(self.len),
        )
    }

    /// Forgets every byte after the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes as shared slices; the memory is given back with the last of them, on any shard.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: taken in `with_capacity` with this same capacity, given back once.
        unsafe { pool::give_back(self.address, self.capacity) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_rounded_up_to_blocks_and_addresses_are_aligned() {
        for (asked, capacity) in [
            (0, 4096),
            (1, 4096),
            (4096, 4096),
            (4097, 8192),
            (1 << 20, 1 << 20),
        ] {
            let mut buffer = AlignedBuf::with_capacity(asked);
            assert_eq!(buffer.capacity(), capacity);
            assert_eq!(buffer.spare_mut().as_ptr() as usize % BLOCK_BYTES, 0);
        }
    }

    #[test]
    fn appends_no_more_than_fits() {
        let mut buffer = AlignedBuf::with_capacity(4096);
        assert_eq!(buffer.extend_from_slice(&[1; 4000]), 4000);
        assert_eq!(buffer.extend_from_slice(&[2; 200]), 96);
        assert_eq!(buffer.extend_from_slice(&[3; 1]), 0);
        assert_eq!(buffer.as_slice()[3999..4002], [1, 2, 2]);
        assert_eq!(buffer.len(), 4096);
    }

    #[test]
    fn padding_is_zero_even_where_bytes_were_truncated() {
        let mut buffer = AlignedBuf::with_capacity(8192);
        buffer.extend_from_slice(&[7; 5000]);
        buffer.truncate(10);
        assert_eq!(buffer.pad_to_block(), 4086);
        assert!(buffer.as_slice()[10..].iter().all(|b| *b == 0));
        assert_eq!(buffer.pad_to_block(), 0);
    }

    #[test]
    fn what_was_in_memory_before_is_not_seen() {
        let mut first = AlignedBuf::with_capacity(8192);
        first.extend_from_slice(&[7; 8192]);
        let address = first.address;
        drop(first);
        let mut second = AlignedBuf::with_capacity(8192);
        assert_eq!(second.address, address, "the same memory");
        assert!(second.as_slice().is_empty());
        second.extend_from_slice(&[1; 5]);
        second.pad_to_block();
        assert!(second.as_slice()[5..].iter().all(|b| *b == 0));
        assert!(second.zeroed_spare_mut(9999).iter().all(|b| *b == 0));
    }

    #[test]
    fn frozen_slices_keep_the_memory_alive_on_other_threads() {
        let mut buffer = AlignedBuf::with_capacity(4096);
        buffer.extend_from_slice(b"hello");
        let slice = buffer.freeze().slice(1..3);
        let back = std::thread::spawn(move || slice.to_vec()).join().unwrap();
        assert_eq!(back, b"el");
    }
}
