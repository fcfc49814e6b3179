//! Memory that direct I/O accepts: aligned to 4 KiB, zeroed, of a fixed capacity.
//!
//! Keeps: `len <= capacity`; bytes between `len` and `capacity` are initialised (zero, or what
//! an unfinished read left there); the address never changes.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use bytes::Bytes;

/// Alignment of buffers and of direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;

/// A buffer at an address that is a multiple of 4 KiB, as direct I/O wants it.
///
/// Fixed capacity, rounded up to whole blocks; starts zeroed and empty.
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
            .filter(|&c| isize::try_from(c).is_ok());
        let Some(layout) = capacity.and_then(Self::layout) else {
            handle_alloc_error(Layout::new::<[u8; BLOCK_BYTES]>())
        };
        // SAFETY: the layout's size is at least one block, never zero.
        let address = unsafe { alloc_zeroed(layout) };
        let Some(address) = NonNull::new(address) else {
            handle_alloc_error(layout)
        };
        Self {
            address,
            capacity: layout.size(),
            len: 0,
        }
    }

    fn layout(capacity: usize) -> Option<Layout> {
        Layout::from_size_align(capacity, BLOCK_BYTES).ok()
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

    /// The bytes not yet in use.
    pub(crate) fn spare_mut(&mut self) -> &mut [u8] {
        let room = self.remaining();
        // SAFETY: `len <= capacity`, so the result stays inside or one past the allocation.
        let start = unsafe { self.address.as_ptr().add(self.len) };
        // SAFETY: `room` initialised bytes from there on belong to this buffer alone.
        unsafe { std::slice::from_raw_parts_mut(start, room) }
    }

    /// Takes `count` of the spare bytes into use, at most what remains.
    pub(crate) fn advance(&mut self, count: usize) {
        self.len = self.len.saturating_add(count).min(self.capacity);
    }

    /// Appends as many of `bytes` as there is room for and returns how many that were.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.remaining());
        if let (Some(to), Some(from)) = (self.spare_mut().get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.advance(count);
        count
    }

    /// Appends `count` zero bytes, at most what remains; returns how many.
    pub fn extend_zeroed(&mut self, count: usize) -> usize {
        let count = count.min(self.remaining());
        if let Some(room) = self.spare_mut().get_mut(..count) {
            room.fill(0);
        }
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

    /// The bytes as shared slices; the memory is freed with the last of them, on any shard.
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
        if let Some(layout) = Self::layout(self.capacity) {
            // SAFETY: allocated in `with_capacity` with this same layout, freed once.
            unsafe { dealloc(self.address.as_ptr(), layout) };
        }
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
            assert!(buffer.spare_mut().iter().all(|b| *b == 0));
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
    fn frozen_slices_keep_the_memory_alive_on_other_threads() {
        let mut buffer = AlignedBuf::with_capacity(4096);
        buffer.extend_from_slice(b"hello");
        let slice = buffer.freeze().slice(1..3);
        let back = std::thread::spawn(move || slice.to_vec()).join().unwrap();
        assert_eq!(back, b"el");
    }
}
