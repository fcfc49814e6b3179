//! Checking what a data directory holds: every byte that something needs, file by file and each
//! against the others.
//!
//! Keeps: memory is bounded by one lane's frame headers, one manifest and the largest extent or
//! frame; damaged bytes are told with their place, never a panic, and checking goes on behind them;
//! a directory after any crash, without rot, has no finding above [`Severity::Note`].
//! Does not: read files by itself ([`Files`] does, for a disk, a simulation or memory), change
//! anything, or judge bytes that nothing needs any more (frames that a manifest holds, the rest of
//! an older slot).
//! Source: ../../FORMAT.md; the storage design, "Recovery" and "Upkeep".

mod directory;
mod finding;
mod frames;
mod manifest;
mod segment;
mod single;

pub use directory::{Verified, verify_directory};
pub use finding::{Finding, Problem, Severity};
pub use segment::{Seen, SegmentCheck};
pub use single::verify_file;

use bytes::Bytes;

/// Bytes of one read where nothing larger is needed.
const WINDOW_BYTES: usize = 1 << 20;

/// The file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The system's error number, or 0.
    pub errno: i32,
}

/// The files of a data directory, by path relative to it: `CURRENT`, `segments/1-0-2.segment`.
pub trait Files {
    /// All files with their sizes, in the order of their paths.
    fn list(&mut self) -> Result<Vec<(String, u64)>, Unreadable>;

    /// Bytes of a file from `position` on: as many as asked for, or fewer where it ends.
    fn read(&mut self, path: &str, position: u64, bytes: usize) -> Result<Bytes, Unreadable>;

    /// Is told now and then how far the check is: the file, and bytes of it that are done.
    fn progress(&mut self, _path: &str, _position: u64) {}
}
