//! Open files: positioned reads and writes, whole or not at all.
//!
//! Keeps: an operation under way holds its buffer and its file, whatever becomes of the future.

use std::rc::Rc;

use bytes::Bytes;

use crate::buffer::{AlignedBuf, BLOCK_BYTES};
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::op::{Chunks, Operation, Status};

/// The most bytes one read returns.
pub const READ_BYTES_MAX: usize = 1 << 30;

/// An open file. Clones share it; it is closed with the last one.
#[derive(Clone, Debug)]
pub struct File {
    descriptor: Rc<Descriptor>,
    direct: bool,
}

impl File {
    pub(crate) fn new(descriptor: Rc<Descriptor>, direct: bool) -> Self {
        Self { descriptor, direct }
    }

    fn error(&self, verb: &'static str, errno: i32) -> Error {
        Error::new(verb, self.descriptor.label().target(), errno)
    }

    /// It bypasses the page cache, so writes must be aligned.
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Reads `length` bytes at `offset`, fewer only where the file ends.
    ///
    /// Any offset and length will do: a direct file is read in whole blocks and the slice cut out
    /// of them, aligned if `offset` is. Bound: [`READ_BYTES_MAX`]. Cancel: safe.
    pub async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes> {
        if length > READ_BYTES_MAX {
            return Err(self.error("read", libc::EINVAL));
        }
        let block = u64::try_from(BLOCK_BYTES).unwrap_or(1);
        let ahead = if self.direct { offset % block } else { 0 };
        let start = offset.saturating_sub(ahead);
        let ahead = usize::try_from(ahead).unwrap_or(0);
        let wanted = ahead.saturating_add(length);
        let mut buffer = AlignedBuf::with_capacity(wanted);
        // Direct reads ask for whole blocks; the capacity is a multiple of one.
        let span = if self.direct {
            buffer.capacity()
        } else {
            wanted
        };
        while buffer.len() < span {
            let done = buffer.len();
            let operation = Operation::Read {
                file: Rc::clone(&self.descriptor),
                offset: start.saturating_add(u64::try_from(done).unwrap_or(u64::MAX)),
                length: span.saturating_sub(done),
                buffer,
            };
            let (count, operation) = self.descriptor.run(operation).await?;
            let Operation::Read { buffer: back, .. } = operation else {
                return Err(self.error("read", libc::EIO));
            };
            buffer = back;
            // A direct read that stops inside a block has met the end of the file.
            let at_end = self.direct && !buffer.len().is_multiple_of(BLOCK_BYTES);
            if count == 0 || at_end {
                break;
            }
        }
        let end = buffer.len().min(wanted);
        let bytes = buffer.freeze();
        Ok(if ahead < end {
            bytes.slice(ahead..end)
        } else {
            Bytes::new()
        })
    }

    /// Writes all of `buffer` at `offset`.
    ///
    /// Errors: EINVAL for an unaligned offset, length or address on a direct file; after any other
    /// error an unknown part may have been written. Cancel: not safe; the write goes on.
    pub async fn write_at(&self, offset: u64, buffer: Bytes) -> Result<()> {
        self.write_vectored_at(offset, vec![buffer]).await
    }

    /// Writes all of `chunks`, one after the other, at `offset`; see [`File::write_at`].
    ///
    /// On a direct file every chunk must be aligned.
    pub async fn write_vectored_at(&self, offset: u64, chunks: Vec<Bytes>) -> Result<()> {
        let mut chunks = Chunks::new(chunks);
        if self.direct && !is_aligned(offset, &chunks) {
            return Err(self.error("write", libc::EINVAL));
        }
        let mut offset = offset;
        while !chunks.is_empty() {
            let file = Rc::clone(&self.descriptor);
            let operation = Operation::Write {
                file,
                offset,
                chunks,
            };
            let (count, operation) = self.descriptor.run(operation).await?;
            let Operation::Write { chunks: back, .. } = operation else {
                return Err(self.error("write", libc::EIO));
            };
            chunks = back;
            let count = usize::try_from(count).unwrap_or(0);
            if count == 0
                || (self.direct && !count.is_multiple_of(BLOCK_BYTES) && count < chunks.len())
            {
                // No progress, or a stop inside a block that cannot be continued: a full disk that
                // did not say so.
                return Err(self.error("write", libc::EIO));
            }
            chunks.advance(count);
            offset = offset.saturating_add(u64::try_from(count).unwrap_or(0));
        }
        Ok(())
    }

    /// Makes the content durable, and the size where it is needed to read it.
    ///
    /// Covers what was written before this was called. After an error, what was written since the
    /// last success is in doubt for good. Cancel: safe; the flush goes on.
    pub async fn sync_data(&self) -> Result<()> {
        self.sync(true).await
    }

    /// As [`File::sync_data`], with every attribute of the file.
    pub async fn sync_all(&self) -> Result<()> {
        self.sync(false).await
    }

    async fn sync(&self, data_only: bool) -> Result<()> {
        let file = Rc::clone(&self.descriptor);
        self.descriptor
            .run(Operation::Sync { file, data_only })
            .await
            .map(drop)
    }

    /// Reserves space for `length` bytes at `offset`; the file grows to hold them, what is there
    /// stays, the rest reads as zeros. Cancel: safe; it goes on.
    pub async fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        let file = Rc::clone(&self.descriptor);
        self.descriptor
            .run(Operation::Allocate {
                file,
                offset,
                length,
            })
            .await
            .map(drop)
    }

    /// Sets the size, cutting off or adding zeros. Cancel: safe; it goes on.
    pub async fn truncate(&self, length: u64) -> Result<()> {
        let file = Rc::clone(&self.descriptor);
        self.descriptor
            .run(Operation::Truncate { file, length })
            .await
            .map(drop)
    }

    /// The size in bytes. Cancel: safe.
    pub async fn size(&self) -> Result<u64> {
        let target = Rc::clone(&self.descriptor);
        let operation = Operation::Inspect {
            target,
            name: None,
            status: Status::default(),
        };
        match self.descriptor.run(operation).await? {
            (_, Operation::Inspect { status, .. }) => Ok(status.size),
            _ => Err(self.error("inspect", libc::EIO)),
        }
    }

    pub(crate) async fn take_lock(&self) -> Result<()> {
        let file = Rc::clone(&self.descriptor);
        self.descriptor
            .run(Operation::Lock { file })
            .await
            .map(drop)
    }
}

fn is_aligned(offset: u64, chunks: &Chunks) -> bool {
    let block = u64::try_from(BLOCK_BYTES).unwrap_or(1);
    offset.is_multiple_of(block)
        && chunks.iter().all(|chunk| {
            chunk.len().is_multiple_of(BLOCK_BYTES)
                && chunk.as_ptr().addr().is_multiple_of(BLOCK_BYTES)
        })
}
