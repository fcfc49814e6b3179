//! Writing one segment.
//!
//! Keeps: `image` tells what has been written in full; after an error the writer is of no use.

use super::{Growing, Rolling, file_name};
use crate::buffer::GrowBuf;
use crate::error::StorageError;
use crate::format::{
    BLOCK_BYTES, EXTENT_BYTES_TARGET, EXTENT_HEADER_BYTES, ExtentHeader, ExtentKind, ExtentPlace,
    FileId, FormatError, FrameBuffer, INDEX_ROWS, IndexBlock, IndexRow, SegmentImage, SummedChunk,
    encode_extent, encode_summed_extent,
};
use crate::number::{to_u64, to_usize};
use crate::tail::TailBatch;
use engine_model::planted::{self, Bug};
use engine_model::{LogId, Offset, Timestamp};
use engine_rt::{Dir, File, FileOptions};

/// How far ahead of its end a busy segment is allocated.
const ALLOCATE_BYTES: u64 = 16 << 20;

/// A write of at least this size says that a segment is busy.
const BUSY_BYTES: u64 = 1 << 20;

/// A segment that takes extents.
pub(crate) struct SegmentWriter {
    log: LogId,
    file: File,
    image: SegmentImage,
    /// What rolling goes by.
    growing: Growing,
    /// Rows that no full index block holds.
    rows: Vec<IndexRow>,
    /// The last full index block.
    full_index: Option<u64>,
    /// Rows were added since the last index block.
    lacks_index: bool,
    /// Bytes were written since the last sync.
    lacks_sync: bool,
    allocated: u64,
    /// Planted bug: the batches of the last extent.
    #[cfg(odradek_planted)]
    last_batches: Vec<TailBatch>,
}

/// Nothing that is encoded here is larger than its format allows; if it were, that is no fault of
/// the disk, and must not be taken for success.
fn encode_error(error: &FormatError) -> StorageError {
    tracing::error!(%error, "an extent cannot be encoded");
    StorageError::TooLarge {
        what: "extent",
        found: 0,
        max: 0,
    }
}

impl SegmentWriter {
    /// Makes a new file for batches from `base_offset` on; `growing` is what it begins as.
    pub(crate) async fn create(
        directory: &Dir,
        log: LogId,
        file: FileId,
        base_offset: Offset,
        growing: Growing,
    ) -> Result<Self, StorageError> {
        let options = FileOptions::CREATE_NEW.direct();
        let opened = directory.open_file(&file_name(file), options).await?;
        Ok(Self {
            log,
            file: opened,
            image: SegmentImage {
                file,
                base_offset,
                end_offset: base_offset,
                bytes: 0,
                record_bytes: 0,
                max_timestamp: Timestamp::NONE,
                last_index: None,
                sealed: false,
                compacted: false,
            },
            growing,
            rows: Vec::new(),
            full_index: None,
            lacks_index: false,
            lacks_sync: false,
            allocated: 0,
            #[cfg(odradek_planted)]
            last_batches: Vec::new(),
        })
    }

    /// What has been written.
    pub(crate) fn image(&self) -> SegmentImage {
        self.image
    }

    /// Whether there is something to index or sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.lacks_index || self.lacks_sync
    }

    /// What rolling goes by.
    pub(crate) fn growing(&self) -> Growing {
        self.growing
    }

    /// Whether these batches, at `now`, belong into a new segment.
    pub(crate) fn is_full(&self, rolling: &Rolling, batches: &[TailBatch], now: Timestamp) -> bool {
        batches.first().is_some_and(|batch| {
            self.growing
                .rolls(rolling, batch.len(), batch.max_timestamp, now)
        })
    }

    /// Writes batches as extents, in one write.
    pub(crate) async fn append(&mut self, batches: &[TailBatch]) -> Result<(), StorageError> {
        let mut out = GrowBuf::with_capacity(write_bytes_max(batches));
        #[cfg(odradek_planted)]
        let batches = &self.reopen_last_extent(batches);
        let mut image = self.image;
        let mut start = 0;
        while let Some(rest) = batches.get(start..).filter(|rest| !rest.is_empty()) {
            let count = extent_batches(rest);
            let extent = rest.get(..count).unwrap_or(rest);
            self.encode(extent, &mut image, &mut out)?;
            start = start.saturating_add(count);
        }
        self.write(out, image).await?;
        for batch in batches {
            self.growing.add(batch.len(), batch.max_timestamp);
        }
        Ok(())
    }

    fn encode(
        &mut self,
        batches: &[TailBatch],
        image: &mut SegmentImage,
        out: &mut GrowBuf,
    ) -> Result<(), StorageError> {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(());
        };
        let chunks = batches.iter().map(|batch| SummedChunk {
            bytes: batch.bytes(),
            crc: batch.crc,
        });
        let max_timestamp = batches
            .iter()
            .map(|batch| batch.max_timestamp)
            .max()
            .unwrap_or(Timestamp::NONE);
        let header = ExtentHeader {
            kind: ExtentKind::Records,
            payload_bytes: 0,
            first: first.first,
            last: last.last,
            max_timestamp,
            count: u32::try_from(batches.len()).unwrap_or(u32::MAX),
            previous_index: None,
        };
        let position = image.bytes;
        let place = self.place(position);
        let bytes = encode_summed_extent(&place, &header, chunks, out)
            .map(to_u64)
            .map_err(|error| encode_error(&error))?;
        self.rows.push(IndexRow {
            first: first.first,
            last: last.last,
            max_timestamp,
            position,
            length: u32::try_from(bytes).unwrap_or(u32::MAX),
        });
        self.lacks_index = true;
        image.bytes = image.bytes.saturating_add(bytes);
        image.end_offset = last.last.saturating_next();
        image.max_timestamp = image.max_timestamp.max(max_timestamp);
        image.record_bytes = batches.iter().fold(image.record_bytes, |sum, batch| {
            sum.saturating_add(batch.len())
        });
        if self.rows.len() >= INDEX_ROWS {
            self.encode_index(image, out)?;
            self.full_index = image.last_index;
            self.rows.clear();
        }
        Ok(())
    }

    fn place(&self, position: u64) -> ExtentPlace {
        ExtentPlace {
            log: self.log,
            file: self.image.file,
            position,
        }
    }

    /// Adds an index block of the rows that no full one holds.
    fn encode_index(
        &mut self,
        image: &mut SegmentImage,
        out: &mut GrowBuf,
    ) -> Result<(), StorageError> {
        let block = IndexBlock {
            previous: self.full_index,
            rows: self.rows.clone(),
        };
        let (header, payload) = block.encode().map_err(|error| encode_error(&error))?;
        let position = image.bytes;
        let bytes = encode_extent(&self.place(position), &header, &[payload], out)
            .map(to_u64)
            .map_err(|error| encode_error(&error))?;
        image.last_index = Some(position);
        image.bytes = image.bytes.saturating_add(bytes);
        self.lacks_index = false;
        Ok(())
    }

    async fn write(&mut self, out: GrowBuf, image: SegmentImage) -> Result<(), StorageError> {
        let position = self.image.bytes;
        let bytes = to_u64(out.len());
        if bytes >= BUSY_BYTES && position.saturating_add(bytes) > self.allocated {
            // Extending writes are slow; where allocating fails, the write says why.
            let ahead = bytes.saturating_add(ALLOCATE_BYTES);
            if self.file.allocate(position, ahead).await.is_ok() {
                self.allocated = position.saturating_add(ahead);
            }
        }
        self.lacks_sync = true;
        self.file.write_at(position, out.freeze()).await?;
        self.image = image;
        Ok(())
    }

    /// Writes an index block if rows were added since the last one, so that the index is whole.
    pub(crate) async fn finish_index(&mut self) -> Result<(), StorageError> {
        if !self.lacks_index {
            return Ok(());
        }
        let is_synced_before = planted::is(Bug::IndexNotSynced);
        if is_synced_before {
            self.sync().await?;
        }
        let mut out = GrowBuf::with_capacity(BLOCK_BYTES);
        let mut image = self.image;
        self.encode_index(&mut image, &mut out)?;
        self.write(out, image).await?;
        self.lacks_sync = !is_synced_before;
        Ok(())
    }

    /// Makes everything written durable; the directory is the caller's to sync.
    pub(crate) async fn sync(&mut self) -> Result<(), StorageError> {
        if self.lacks_sync {
            let mut synced = self.file.sync_data().await;
            if synced.is_err() && planted::is(Bug::SegmentFlushRetried) {
                synced = self.file.sync_data().await;
            }
            synced?;
            self.lacks_sync = false;
        }
        Ok(())
    }

    /// Planted bug: the last extent is read, extended and written again in place.
    #[cfg(odradek_planted)]
    fn reopen_last_extent(&mut self, batches: &[TailBatch]) -> Vec<TailBatch> {
        let mut all = std::mem::take(&mut self.last_batches);
        let bytes = all
            .iter()
            .fold(0, |sum: u64, batch| sum.saturating_add(batch.len()));
        let is_planted = planted::is(Bug::InPlaceTailRewrite);
        match self.rows.last().copied() {
            Some(row) if is_planted && all.first().is_some_and(|b| b.first == row.first) => {
                self.rows.pop();
                self.image.bytes = row.position;
                self.image.record_bytes = self.image.record_bytes.saturating_sub(bytes);
            }
            _ => all.clear(),
        }
        all.extend_from_slice(batches);
        let mut start = 0;
        while let Some(rest) = all.get(start..).filter(|rest| !rest.is_empty()) {
            self.last_batches = rest.to_vec();
            start = start.saturating_add(extent_batches(rest));
        }
        all
    }

    /// Planted bug: goes on writing into this file behind a cut.
    pub(crate) fn rewind(&mut self, cut: Offset) {
        self.rows.retain(|row| row.first < cut);
        if let Some(position) = self
            .rows
            .last()
            .map(|row| row.position.saturating_add(u64::from(row.length)))
        {
            self.image.bytes = position;
        }
        self.image.end_offset = self.image.end_offset.min(cut);
        self.image.sealed = false;
        self.lacks_index = true;
    }
}

/// Bytes that these batches make at most, as extents and with an index block.
fn write_bytes_max(batches: &[TailBatch]) -> usize {
    let total = batches
        .iter()
        .fold(0, |sum: u64, batch| sum.saturating_add(batch.len()));
    // Of two neighbouring extents the batches together are above the target.
    let extents = to_usize(total)
        .saturating_mul(2)
        .div_ceil(EXTENT_BYTES_TARGET)
        .saturating_add(1)
        .min(batches.len());
    let units = extents.saturating_add(2);
    let overhead = EXTENT_HEADER_BYTES.saturating_add(BLOCK_BYTES);
    to_usize(total).saturating_add(units.saturating_mul(overhead))
}

/// How many of these batches make the next extent: up to the target size, at least one.
fn extent_batches(batches: &[TailBatch]) -> usize {
    let target = to_u64(EXTENT_BYTES_TARGET);
    let mut bytes = 0_u64;
    batches
        .iter()
        .take_while(|batch| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(batch.len());
            is_first || bytes <= target
        })
        .count()
}
