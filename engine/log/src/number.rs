//! Conversions between lengths in memory and positions in files.
//!
//! Both are 64 bits on every machine this runs on; the other branch is "largest", which every
//! limit refuses.

/// A length in memory as a position or size in a file.
#[inline]
pub(crate) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A size in a file as a length in memory.
#[inline]
pub(crate) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
