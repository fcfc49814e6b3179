//! Blocks of memory that buffers of one thread use again and again.
//!
//! A fresh block costs page faults and the kernel's zeroing, several times what is done with the
//! bytes. So a block that is given back waits here for the next buffer of its size.
//!
//! Keeps: at most [`POOL_BYTES_MAX`] wait on a thread, and [`trim`] gives back what is not used; a
//! block belongs to a buffer or to one pool, never to both; a block goes to the pool of the thread
//! that drops it.
//! Does not: clear anything. Only what a buffer has taken into use can be read from it.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;

use super::BLOCK_BYTES;

/// Bytes that wait for the next buffer, of one thread: a log gives back half a lane at once.
const POOL_BYTES_MAX: usize = 128 << 20;
/// Each [`trim`], once a second, gives back one part in this many of what was not used: memory that
/// a slow log lets go of at a checkpoint is wanted again some seconds later.
const TRIM_SHARE: usize = 64;
/// Blocks of memory up to this size are kept, in bytes. Those of just this size are huge pages
/// where the system has some: one page fault instead of 512.
const KEPT_BYTES_MAX: usize = 2 << 20;
/// Sizes from one power of two to the next, so that at most a fifth of a block lies idle.
const STEPS: usize = 4;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

/// What memory for `capacity` bytes really takes: the size of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    index: usize,
    bytes: usize,
}

impl Class {
    /// The class of `capacity` bytes; `None` if such memory is not kept.
    fn of(capacity: usize) -> Option<Self> {
        if capacity > KEPT_BYTES_MAX {
            return None;
        }
        let blocks = capacity.div_ceil(BLOCK_BYTES).max(1);
        if blocks <= STEPS {
            return Some(Self {
                index: blocks,
                bytes: blocks.saturating_mul(BLOCK_BYTES),
            });
        }
        // `blocks` lies above `power` and at most at twice as much.
        let power = blocks.next_power_of_two() / 2;
        let step = power / STEPS;
        let steps = blocks.saturating_sub(power).div_ceil(step.max(1));
        let doublings = usize::try_from((power / STEPS).ilog2()).unwrap_or(0);
        Some(Self {
            index: STEPS
                .saturating_add(doublings.saturating_mul(STEPS))
                .saturating_add(steps),
            bytes: power
                .saturating_add(steps.saturating_mul(step))
                .saturating_mul(BLOCK_BYTES),
        })
    }
}

struct Pool {
    /// Free memory by class, the last one given back on top: it is the warmest.
    classes: Vec<Vec<NonNull<u8>>>,
    bytes: usize,
    /// The fewest bytes that waited since the last trim.
    unused: usize,
}

impl Pool {
    const fn new() -> Self {
        Self {
            classes: Vec::new(),
            bytes: 0,
            unused: 0,
        }
    }

    fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        let memory = self.classes.get_mut(class.index)?.pop()?;
        self.bytes = self.bytes.saturating_sub(class.bytes);
        self.unused = self.unused.min(self.bytes);
        Some(memory)
    }

    /// Gives `bytes` back to the allocator, or a little more, largest blocks first.
    fn release(&mut self, bytes: usize) {
        let left = self.bytes.saturating_sub(bytes);
        for blocks in (1..=KEPT_BYTES_MAX / BLOCK_BYTES).rev() {
            let Some(class) = Class::of(blocks.saturating_mul(BLOCK_BYTES)) else {
                continue;
            };
            while self.bytes > left
                && let Some(memory) = self.take(class)
            {
                // SAFETY: memory of this class, which nobody else knows.
                unsafe { free(memory, class.bytes) };
            }
        }
    }

    /// Keeps `memory`, unless the pool is full.
    fn keep(&mut self, class: Class, memory: NonNull<u8>) -> bool {
        if self.bytes.saturating_add(class.bytes) > POOL_BYTES_MAX {
            return false;
        }
        if self.classes.len() <= class.index {
            self.classes
                .resize_with(class.index.saturating_add(1), Vec::new);
        }
        let Some(list) = self.classes.get_mut(class.index) else {
            return false;
        };
        list.push(memory);
        self.bytes = self.bytes.saturating_add(class.bytes);
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes, BLOCK_BYTES).ok()
}

/// Gives memory back to the allocator.
///
/// # Safety
///
/// It came from [`fresh`] with the same `bytes`, and nothing refers to it.
unsafe fn free(memory: NonNull<u8>, bytes: usize) {
    if bytes == KEPT_BYTES_MAX {
        // SAFETY: `fresh` has mapped memory of this size, and nothing refers to it.
        unsafe { libc::munmap(memory.as_ptr().cast(), bytes) };
    } else if let Some(layout) = layout(bytes) {
        // SAFETY: as this function asks for.
        unsafe { dealloc(memory.as_ptr(), layout) };
    }
}

/// New memory, not initialised, aligned to blocks. `bytes` is not zero.
fn fresh(bytes: usize) -> NonNull<u8> {
    if bytes == KEPT_BYTES_MAX {
        return huge();
    }
    let Some(layout) = layout(bytes) else {
        handle_alloc_error(Layout::new::<[u8; BLOCK_BYTES]>())
    };
    // SAFETY: every caller asks for one block at least, never for zero bytes.
    let memory = unsafe { alloc(layout) };
    match NonNull::new(memory) {
        Some(memory) => memory,
        None => handle_alloc_error(layout),
    }
}

/// A new block of [`KEPT_BYTES_MAX`] at a multiple of that, as one huge page if the system likes.
fn huge() -> NonNull<u8> {
    const BYTES: usize = KEPT_BYTES_MAX;
    // Twice as much holds an aligned block wherever it begins.
    // SAFETY: a new private mapping touches nothing that exists.
    let mapped = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            BYTES.saturating_mul(2),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    let block = NonNull::new(mapped.cast::<u8>()).filter(|_| mapped != libc::MAP_FAILED);
    let Some(start) = block else {
        handle_alloc_error(Layout::new::<[u8; KEPT_BYTES_MAX]>())
    };
    let before = start
        .addr()
        .get()
        .next_multiple_of(BYTES)
        .saturating_sub(start.addr().get());
    let behind = BYTES.saturating_sub(before);
    // SAFETY: `before` is less than half of the mapping.
    let block = unsafe { start.add(before) };
    if before > 0 {
        // SAFETY: the part of our new mapping before the block, which nobody uses.
        unsafe { libc::munmap(start.as_ptr().cast(), before) };
    }
    if behind > 0 {
        // SAFETY: the mapping goes on for `behind` bytes behind the block.
        let rest = unsafe { block.add(BYTES) };
        // SAFETY: the part of our new mapping behind the block, which nobody uses.
        unsafe { libc::munmap(rest.as_ptr().cast(), behind) };
    }
    // A wish: without it, pages are small ones.
    // SAFETY: the block is ours.
    unsafe { libc::madvise(block.as_ptr().cast(), BYTES, libc::MADV_HUGEPAGE) };
    block
}

/// Memory for `capacity` bytes (a whole number of blocks, not zero), aligned to blocks; what is in
/// it is not defined.
pub(super) fn take(capacity: usize) -> NonNull<u8> {
    let Some(class) = Class::of(capacity) else {
        return fresh(capacity);
    };
    POOL.try_with(|pool| pool.borrow_mut().take(class))
        .ok()
        .flatten()
        .unwrap_or_else(|| fresh(class.bytes))
}

/// Takes memory back.
///
/// # Safety
///
/// It came from [`take`] with the same `capacity`, on whatever thread, and nothing refers to it.
pub(super) unsafe fn give_back(memory: NonNull<u8>, capacity: usize) {
    let Some(class) = Class::of(capacity) else {
        // SAFETY: memory of this size came from `fresh`.
        unsafe { free(memory, capacity) };
        return;
    };
    // A thread that ends has no pool any more.
    let kept = POOL.try_with(|pool| pool.borrow_mut().keep(class, memory));
    if !kept.unwrap_or(false) {
        // SAFETY: `take` got all memory of this class with the class's size.
        unsafe { free(memory, class.bytes) };
    }
}

/// Gives back a part of what this thread has not used since the last call. Called now and then.
pub(crate) fn trim() {
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.unused > 0 {
            let share = pool.unused.div_ceil(TRIM_SHARE);
            pool.release(share);
        }
        pool.unused = pool.bytes;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_is_asked_and_waste_little() {
        let mut before = Class { index: 0, bytes: 0 };
        for blocks in 1..=KEPT_BYTES_MAX / BLOCK_BYTES {
            let capacity = blocks * BLOCK_BYTES;
            let class = Class::of(capacity).unwrap();
            assert!(class.bytes >= capacity, "{capacity}: {class:?}");
            assert!(
                class.bytes - capacity <= capacity / 4,
                "{capacity}: {class:?}"
            );
            assert_eq!(class.bytes % BLOCK_BYTES, 0);
            // The size of a class is in that class, and no two classes share a number.
            assert_eq!(Class::of(class.bytes), Some(class));
            assert!(
                class == before || class.index == before.index + 1,
                "{class:?}"
            );
            assert_eq!(class.index == before.index, class.bytes == before.bytes);
            before = class;
        }
        assert_eq!(Class::of(KEPT_BYTES_MAX + 1), None);
    }

    #[test]
    fn a_full_pool_keeps_nothing_more() {
        let class = Class::of(KEPT_BYTES_MAX).unwrap();
        let mut pool = Pool::new();
        for _ in 0..POOL_BYTES_MAX / KEPT_BYTES_MAX {
            assert!(pool.keep(class, fresh(class.bytes)));
        }
        let more = fresh(class.bytes);
        assert!(!pool.keep(class, more));
        assert!(
            pool.take(class)
                .is_some_and(|memory| pool.keep(class, memory))
        );
        // SAFETY: the pool did not take it.
        unsafe { free(more, class.bytes) };
    }

    #[test]
    fn what_is_not_used_is_given_back_step_by_step_and_what_is_stays() {
        let waiting = || POOL.with_borrow(|pool| pool.bytes);
        let hold: Vec<_> = (0..8)
            .map(|_| crate::AlignedBuf::with_capacity(1 << 20))
            .collect();
        trim();
        drop(hold);
        assert_eq!(waiting(), 8 << 20);
        trim();
        assert_eq!(waiting(), 8 << 20, "they have just come");
        for _ in 0..10 {
            let used: Vec<_> = (0..6)
                .map(|_| crate::AlignedBuf::with_capacity(1 << 20))
                .collect();
            drop(used);
            trim();
            assert!(waiting() >= 6 << 20);
        }
        for _ in 0..100 {
            trim();
        }
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn the_largest_blocks_lie_where_huge_pages_do() {
        let hold: Vec<_> = (0..3)
            .map(|_| crate::AlignedBuf::with_capacity(KEPT_BYTES_MAX))
            .collect();
        for mut buffer in hold {
            assert_eq!(buffer.spare_mut().as_ptr() as usize % KEPT_BYTES_MAX, 0);
            assert_eq!(buffer.extend_zeroed(KEPT_BYTES_MAX), KEPT_BYTES_MAX);
        }
        for _ in 0..100 {
            trim();
        }
        assert_eq!(POOL.with_borrow(|pool| pool.bytes), 0);
    }
}
