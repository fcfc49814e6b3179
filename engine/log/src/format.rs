//! Byte layouts of everything the storage engine keeps on disk. Pure: no I/O, no clock.
//!
//! Keeps:
//! - zeros never parse, nor does a block that belongs to another directory, lane, run, file or
//!   place: each of them is in a checksum or compared by the decoder;
//! - a decoder never panics, never loops without bound and never allocates more than a small
//!   multiple of the bytes it was handed;
//! - every byte of a unit is checked, its padding included: a unit decodes to what was encoded
//!   or not at all.
//!
//! All integers are little-endian. Every unit starts on a block and is padded to one with zeros.
//! `FORMAT.md` beside `src` is the written form of these layouts. Unstable: format 1 may still
//! change without a new number.
//!
//! Does not: decide what an entry means (`partition_log`), or where a unit lies (`lane`, `store`).

mod current;
mod entry;
mod extent;
mod frame;
mod index;
mod manifest;
mod wire;

pub use current::{Current, LaneFile, LaneImage};
pub use entry::{CommitId, Entry, EntryKind, EntryRow};
pub use extent::{
    ExtentHeader, ExtentKind, ExtentPlace, ExtentView, SummedChunk, encode_extent,
    encode_summed_extent, extent_bytes,
};
pub use frame::{
    FinishedFrame, FrameBuffer, FrameBuilder, FrameFull, FrameHeader, FramePlace, FrameView,
    PayloadRange, SplitBuffer,
};
pub use index::{Footer, IndexBlock, IndexRow};
pub use manifest::{
    LogImage, ManifestHead, ManifestPlace, ManifestReader, ManifestWriter, SegmentImage,
    StateImage, manifest_place,
};
pub(crate) use wire::{Fields, is_zero, size};

use core::fmt;
use engine_model::limits;

/// The unit of alignment, padding and direct I/O, in bytes.
pub const BLOCK_BYTES: usize = limits::BLOCK_BYTES;

/// The number every unit of this build carries, and the only one it reads.
pub const FORMAT: u16 = 1;

/// Bytes of a frame's header; its payloads follow at once.
pub const FRAME_HEADER_BYTES: usize = 128;

/// Bytes of one row of a frame's entry table.
pub const ENTRY_BYTES: usize = 64;

/// A frame is closed when it holds this many bytes, if not sooner.
pub const FRAME_BYTES_TARGET: usize = 256 << 10;

/// The most bytes a frame grows to, unless a single batch is larger.
pub const FRAME_BYTES_HARD: usize = 8 << 20;

/// The most bytes any frame may have: the hard limit and the largest batch.
pub const FRAME_BYTES_MAX: usize = FRAME_BYTES_HARD + limits::BATCH_BYTES_MAX;

/// The most entries of one frame: a table of 1 MiB.
pub const FRAME_ENTRIES_MAX: usize = 16 << 10;

/// Bytes of an extent's header; its payload follows at once.
pub const EXTENT_HEADER_BYTES: usize = 64;

/// Payload bytes at which an extent is closed, unless a single batch is larger.
pub const EXTENT_BYTES_TARGET: usize = 256 << 10;

/// The most payload bytes of any extent: state snapshots have the same bound as batches.
pub const EXTENT_PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// After this many record extents a segment gets an index block.
pub const INDEX_ROWS: usize = 64;

/// Bytes of a manifest piece's header; its part of the stream follows at once.
pub const MANIFEST_HEADER_BYTES: usize = 64;

/// Bytes of a full manifest piece, header included.
pub const MANIFEST_PIECE_BYTES: usize = 256 << 10;

/// The most bytes of one log's row in a manifest.
pub const MANIFEST_ROW_BYTES_MAX: usize = 64 << 20;

/// Bytes of the file CURRENT at most.
pub const CURRENT_BYTES_MAX: usize = 1 << 20;

/// Identity of a file of the data directory; never used twice in the directory's life.
///
/// `Display` is the file's name without an ending: `<run>-<lane>-<counter>`, in decimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Number of the run that made the file.
    pub run: u64,
    /// Lane that made it.
    pub lane: u16,
    /// Counter of that lane in that run.
    pub counter: u32,
}

impl FileId {
    /// Reads what `Display` prints, and nothing else (no sign, no leading zeros).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let id = Self {
            run: parts.next()?.parse().ok()?,
            lane: parts.next()?.parse().ok()?,
            counter: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.run, self.lane, self.counter)
    }
}

/// Why bytes are not the unit they were taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Fewer bytes than the unit has.
    #[error("a {what} of {needed} bytes, of which {found} are there")]
    Short {
        /// The unit.
        what: &'static str,
        /// Bytes it has.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The first bytes are not those of the unit: never written, or something else.
    #[error("no {what} begins here")]
    Magic {
        /// The unit.
        what: &'static str,
    },
    /// Written by a newer build.
    #[error("a {what} of format {found}; this build reads up to format {known}")]
    Newer {
        /// The unit.
        what: &'static str,
        /// Its format.
        found: u16,
        /// The newest known.
        known: u16,
    },
    /// A checksum does not match.
    #[error("the checksum of a {what} is {computed:#010x}, {stored:#010x} is stored")]
    Checksum {
        /// The unit or its part.
        what: &'static str,
        /// What the unit carries.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A sound unit that belongs elsewhere: another directory, lane, run, file or position.
    #[error("a {what} of another {field}")]
    Foreign {
        /// The unit.
        what: &'static str,
        /// What differs.
        field: &'static str,
    },
    /// A value no writer gives.
    #[error("a {what} whose {field} is {value}")]
    Field {
        /// The unit.
        what: &'static str,
        /// The field.
        field: &'static str,
        /// Its value, as the bits of an unsigned number.
        value: u64,
    },
    /// Bytes that must be zero and are not.
    #[error("the padding of a {what} is not zero")]
    Padding {
        /// The unit.
        what: &'static str,
    },
    /// Something that does not fit into the unit; on encoding only.
    #[error("a {what} of {bytes} bytes is larger than {max}")]
    TooLarge {
        /// The unit.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

/// `bytes` rounded up to whole blocks; the largest whole number of blocks if that does not fit.
pub const fn padded(bytes: usize) -> usize {
    match bytes.checked_next_multiple_of(BLOCK_BYTES) {
        Some(bytes) => bytes,
        None => usize::MAX & !(BLOCK_BYTES.saturating_sub(1)),
    }
}
