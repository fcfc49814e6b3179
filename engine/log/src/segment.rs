//! Segments: the files that hold a log's batches once they left the lane.
//!
//! A segment file is a row of extents; every 64 record extents, and at each checkpoint, an index
//! block follows that links to the last full one. The manifest names the last index block.
//!
//! Keeps: nothing is read that was not checked (checksum over header and payload, seeded with log,
//! file and position); extents are only added at the end.
//!
//! Does not: know which manifest names what (`partition_log`), or delete files (`garbage`).
//! Source: the storage design, "Read path" and "Terms".

mod index;
mod read;
mod rolling;
mod scan;
mod writer;

pub(crate) use read::SegmentSpan;
pub(crate) use rolling::{Growing, Rolling};
pub(crate) use writer::SegmentWriter;

use crate::error::StorageError;
use crate::format::{FileId, IndexRow};
use crate::lru::Lru;
use crate::options::StorageOptions;
use bytes::Bytes;
use engine_rt::{Dir, File, FileOptions};
use std::cell::RefCell;
use std::rc::Rc;

/// Name of a segment file.
pub(crate) fn file_name(file: FileId) -> String {
    format!("{file}.segment")
}

/// The segment whose file has that name.
pub(crate) fn parse_file_name(name: &str) -> Option<FileId> {
    FileId::parse(name.strip_suffix(".segment")?)
}

/// A place in a segment.
type Block = (FileId, u64);

/// The index rows of a whole segment.
type Rows = Rc<Vec<IndexRow>>;

/// Access to the segments of one shard: open files and what was read from them.
pub(crate) struct Segments {
    directory: Dir,
    open: RefCell<Lru<FileId, File>>,
    /// Payloads of extents, by file and position.
    extents: RefCell<Lru<Block, Bytes>>,
    /// Rows of whole segments, by file and last index block.
    indexes: RefCell<Lru<Block, Rows>>,
}

impl Segments {
    pub(crate) fn new(directory: Dir, options: &StorageOptions) -> Self {
        Self {
            directory,
            open: RefCell::new(Lru::new(crate::number::to_u64(
                options.open_files_max.max(1),
            ))),
            extents: RefCell::new(Lru::new(options.read_cache_bytes)),
            indexes: RefCell::new(Lru::new(options.index_cache_bytes)),
        }
    }

    /// The directory of all segments.
    pub(crate) fn directory(&self) -> &Dir {
        &self.directory
    }

    /// The file of a segment, opened for reading.
    pub(crate) async fn file(&self, file: FileId) -> Result<File, StorageError> {
        if let Some(open) = self.open.borrow_mut().get(&file) {
            return Ok(open);
        }
        let options = FileOptions::READ.direct();
        let opened = self.directory.open_file(&file_name(file), options).await?;
        self.open.borrow_mut().insert(file, opened.clone(), 1);
        Ok(opened)
    }

    /// Forgets and deletes a file that nothing names or reads any more.
    pub(crate) async fn remove(&self, file: FileId) -> Result<(), StorageError> {
        self.open.borrow_mut().remove(&file);
        match self.directory.remove_file(&file_name(file)).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_segments_read_back() {
        let id = FileId {
            run: 3,
            lane: 1,
            counter: 7,
        };
        assert_eq!(file_name(id), "3-1-7.segment");
        assert_eq!(parse_file_name(&file_name(id)), Some(id));
        assert_eq!(parse_file_name("3-1-07.segment"), None);
    }
}
