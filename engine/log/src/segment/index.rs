//! The index of a segment: blocks linked backwards, read on demand, kept while there is room.

use super::Segments;
use crate::error::StorageError;
use crate::format::{BLOCK_BYTES, ExtentPlace, ExtentView, IndexBlock, IndexRow, SegmentImage};
use crate::number::{to_u64, to_usize};
use engine_model::LogId;
use std::rc::Rc;

impl Segments {
    /// All rows of a segment, in order; those behind its end are left out.
    pub(super) async fn index(
        &self,
        log: LogId,
        segment: &SegmentImage,
    ) -> Result<Rc<Vec<IndexRow>>, StorageError> {
        let Some(last) = segment.last_index else {
            return Ok(Rc::new(Vec::new()));
        };
        let key = (segment.file, last);
        if let Some(rows) = self.indexes.borrow_mut().get(&key) {
            return Ok(rows);
        }
        let rows = Rc::new(self.load_index(log, segment, last).await?);
        let weight = to_u64(rows.len().saturating_mul(size_of::<IndexRow>()));
        self.indexes
            .borrow_mut()
            .insert(key, Rc::clone(&rows), weight);
        Ok(rows)
    }

    async fn load_index(
        &self,
        log: LogId,
        segment: &SegmentImage,
        last: u64,
    ) -> Result<Vec<IndexRow>, StorageError> {
        let file = self.file(segment.file).await?;
        let mut blocks = Vec::new();
        let mut next = Some(last);
        while let Some(position) = next {
            let bytes = file.read_at(position, BLOCK_BYTES).await?;
            let place = ExtentPlace {
                log,
                file: segment.file,
                position,
            };
            let block = ExtentView::decode(&bytes, &place)
                .and_then(|extent| IndexBlock::decode(&extent))
                .map_err(|error| corrupt(segment, position, &error))?;
            // Each link leads strictly backwards, so the walk ends.
            next = block.previous;
            if next.is_some_and(|previous| previous >= position) {
                return Err(corrupt(segment, position, &"an index block links forward"));
            }
            blocks.push(block.rows);
            engine_rt::yield_if_due().await;
        }
        let mut rows: Vec<IndexRow> = blocks.into_iter().rev().flatten().collect();
        let is_sound = rows.is_sorted_by(|a, b| a.last < b.first)
            && rows.iter().all(|row| row.first <= row.last);
        if !is_sound {
            return Err(corrupt(segment, last, &"index rows are out of order"));
        }
        rows.retain(|row| row.first < segment.end_offset);
        Ok(rows)
    }
}

/// Damage in a segment, logged where it is found: reading a wrong byte is worse than an error.
pub(super) fn corrupt(
    segment: &SegmentImage,
    position: u64,
    error: &dyn core::fmt::Display,
) -> StorageError {
    tracing::error!(file = %segment.file, position, %error, "a segment is damaged");
    StorageError::Corrupt {
        target: super::file_name(segment.file).into(),
        position,
    }
}

/// Position of the byte after an extent.
pub(super) fn row_end(row: &IndexRow) -> u64 {
    row.position.saturating_add(u64::from(row.length))
}

/// Bytes of an extent.
pub(super) fn row_bytes(row: &IndexRow) -> usize {
    to_usize(u64::from(row.length))
}
