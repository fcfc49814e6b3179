//! The segments that a round writes in place of a group.
//!
//! Keeps: nothing names them until the Replace entry; whoever gives up deletes their files.

use crate::error::StorageError;
use crate::format::{FileId, SegmentImage};
use crate::number::to_u64;
use crate::segment::{Rolling, SegmentWriter};
use crate::store_core::StoreCore;
use crate::tail::TailBatch;
use bytes::Bytes;
use engine_codec::{BatchHeader, crc32c_of_whole};
use engine_model::{LogId, Offset, Timestamp};

/// Batches are gathered up to this size before they are written: below what makes a segment
/// allocate far ahead, which one that is soon complete does not want.
const WRITE_BYTES: u64 = 512 << 10;

/// See the module.
pub(super) struct Output {
    log: LogId,
    /// Where the next segment begins.
    base: Offset,
    writer: Option<SegmentWriter>,
    batches: Vec<TailBatch>,
    bytes: u64,
    /// Complete segments.
    made: Vec<SegmentImage>,
    /// Every file that was begun.
    files: Vec<FileId>,
}

impl Output {
    pub(super) fn new(log: LogId, base: Offset) -> Self {
        Self {
            log,
            base,
            writer: None,
            batches: Vec::new(),
            bytes: 0,
            made: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Adds a batch behind the others; bytes that were written on that occasion.
    pub(super) async fn push(
        &mut self,
        core: &StoreCore,
        header: &BatchHeader,
        batch: Bytes,
    ) -> Result<u64, StorageError> {
        let bytes = to_u64(batch.len());
        let range = 0..batch.len();
        self.batches.push(TailBatch {
            first: header.base_offset,
            last: header.last_offset(),
            // Nothing is found by the time of a batch without records.
            max_timestamp: if header.record_count == 0 {
                Timestamp::NONE
            } else {
                header.max_timestamp
            },
            sequence: 0,
            crc: crc32c_of_whole(&batch),
            frame: batch,
            range,
        });
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= WRITE_BYTES {
            return self.write(core).await;
        }
        Ok(0)
    }

    async fn write(&mut self, core: &StoreCore) -> Result<u64, StorageError> {
        let batches = std::mem::take(&mut self.batches);
        let bytes = std::mem::take(&mut self.bytes);
        if batches.is_empty() {
            return Ok(0);
        }
        let mut writer = if let Some(writer) = self.writer.take() {
            writer
        } else {
            let file = core.next_file_id()?;
            self.files.push(file);
            let directory = core.segments().directory();
            // It is ended by the round, not by size or age.
            let now = engine_rt::wall_clock();
            let growing = Rolling::by_size(u64::MAX).begin(now, || 0);
            SegmentWriter::create(directory, self.log, file, self.base, growing).await?
        };
        writer.append(&batches).await?;
        self.writer = Some(writer);
        Ok(bytes)
    }

    /// Completes and syncs the segment that reaches to `end`; there is none if it got no batch.
    pub(super) async fn end_segment(
        &mut self,
        core: &StoreCore,
        end: Offset,
        compacted: bool,
    ) -> Result<u64, StorageError> {
        let bytes = self.write(core).await?;
        if let Some(mut writer) = self.writer.take() {
            writer.finish_index().await?;
            writer.sync().await?;
            self.made.push(SegmentImage {
                end_offset: end,
                sealed: true,
                compacted,
                ..writer.image()
            });
        }
        self.base = end;
        Ok(bytes)
    }

    /// What was completed.
    pub(super) fn made(&self) -> &[SegmentImage] {
        &self.made
    }

    /// Deletes every file: nothing names them.
    pub(super) async fn discard(mut self, core: &StoreCore) {
        self.writer = None;
        for file in self.files {
            if let Err(error) = core.segments().remove(file).await {
                // The next start sweeps what nothing names.
                tracing::warn!(%file, %error, "a file of a given up compaction stays");
            }
        }
    }
}
