//! The file of one half of the lane: written with zeros before it is used.
//!
//! Keeps: frames go only where zeros were written and synced before, so that a flush of a frame
//! never has to make blocks or sizes durable; what is ready only grows.

use super::Lane;
use crate::buffer::GrowBuf;
use crate::error::StorageError;
use crate::format::{BLOCK_BYTES, FileId, FrameBuffer};
use crate::number::to_u64;
use core::time::Duration;
use engine_rt::File;
use std::cell::Cell;

/// Zeros are written in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// How many pieces are written between syncs while a lane grows.
const PIECES_A_SYNC: usize = 8;

/// How long growth rests after the disk had no room.
const GROW_AGAIN: Duration = Duration::from_secs(5);

/// One half of the lane.
#[derive(Debug)]
pub(crate) struct HalfFile {
    /// Its identity.
    pub(crate) id: FileId,
    file: File,
    ready_bytes: Cell<u64>,
}

impl HalfFile {
    /// A half of which the first `ready_bytes` are written and synced.
    pub(crate) fn new(id: FileId, file: File, ready_bytes: u64) -> Self {
        Self {
            id,
            file,
            ready_bytes: Cell::new(ready_bytes),
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes that frames may use.
    pub(crate) fn ready_bytes(&self) -> u64 {
        self.ready_bytes.get()
    }

    /// Grows the half by some MiB, to `bytes` at most; what is ready may be used meanwhile.
    ///
    /// Errors leave it as large as it was. Cancel: safe, it is then not larger.
    pub(crate) async fn grow_some(&self, bytes: u64) -> Result<(), StorageError> {
        let mut position = self.ready_bytes();
        for _ in 0..PIECES_A_SYNC {
            let written = write_zeros(&self.file, position, bytes).await?;
            position = position.saturating_add(written);
            engine_rt::yield_if_due().await;
        }
        self.file.sync_all().await?;
        self.ready_bytes.set(position);
        Ok(())
    }
}

/// Grows a half of a lane that is not live yet.
pub(crate) async fn write_zeros_to(half: &HalfFile, bytes: u64) -> Result<(), StorageError> {
    while half.ready_bytes() < bytes {
        half.grow_some(bytes).await?;
    }
    Ok(())
}

impl Lane {
    /// Grows both halves to `bytes` each, if they are smaller.
    ///
    /// Errors: what a half has is kept; a full disk is no reason to fence. Cancel: safe, they are
    /// then grown in part.
    pub(crate) async fn grow(&self, bytes: u64) -> Result<(), StorageError> {
        for file in &self.files {
            while file.ready_bytes() < bytes {
                self.check()?;
                let _growing = self.growth.acquire(1).await;
                self.is_growing.set(true);
                let result = file.grow_some(bytes).await;
                self.is_growing.set(false);
                self.progress.notify_all();
                result?;
            }
        }
        Ok(())
    }

    /// As [`Lane::grow`], and waits for room while the disk is full.
    pub(crate) async fn grow_in_time(&self, bytes: u64) -> Result<(), StorageError> {
        let mut has_told = false;
        loop {
            match self.grow(bytes).await {
                Err(error) if error.is_out_of_space() => {
                    if !std::mem::replace(&mut has_told, true) {
                        tracing::warn!(%error, "the lane stays smaller until the disk has room");
                    }
                }
                other => return other,
            }
            let next = engine_rt::now().saturating_add(GROW_AGAIN);
            while engine_rt::now() < next {
                self.check()?;
                let _ = engine_rt::timeout_at(next, self.progress()).await;
            }
        }
    }

    /// Whether a half is being grown now.
    pub(crate) fn is_growing(&self) -> bool {
        self.is_growing.get()
    }
}

/// Writes one piece of zeros at `position`, up to `end`; returns its bytes.
async fn write_zeros(file: &File, position: u64, end: u64) -> Result<u64, StorageError> {
    let missing = end.saturating_sub(position).min(to_u64(PIECE_BYTES));
    if missing == 0 {
        return Ok(0);
    }
    let mut zeros = GrowBuf::with_capacity(PIECE_BYTES);
    let mut left = missing;
    while left > 0 {
        zeros.extend_from_slice(&[0; BLOCK_BYTES]);
        left = left.saturating_sub(to_u64(BLOCK_BYTES));
    }
    let bytes = to_u64(zeros.len());
    file.write_at(position, zeros.freeze()).await?;
    Ok(bytes)
}
