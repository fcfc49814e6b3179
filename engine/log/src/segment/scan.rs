//! Reading a segment once from one end to the other, past the caches that readers share.
//!
//! Keeps: every extent is checked as in any other read. Does not: keep what it read.

use super::Segments;
use super::index::{row_bytes, row_end};
use super::read::checked;
use crate::error::StorageError;
use crate::format::{IndexRow, SegmentImage};
use crate::number::to_usize;
use bytes::Bytes;
use engine_model::LogId;
use std::rc::Rc;

/// The most bytes of one read, unless one extent is larger.
const SCAN_BYTES: u64 = 512 << 10;

impl Segments {
    /// The index of a segment.
    pub(crate) async fn rows(
        &self,
        log: LogId,
        segment: &SegmentImage,
    ) -> Result<Rc<Vec<IndexRow>>, StorageError> {
        self.index(log, segment).await
    }

    /// The payloads of the first of these extents, as many as one read brings; none for no rows.
    ///
    /// Errors: `Corrupt` for any byte that is not what was written. Cancel: safe.
    pub(crate) async fn scan(
        &self,
        log: LogId,
        segment: &SegmentImage,
        rows: &[IndexRow],
    ) -> Result<Vec<Bytes>, StorageError> {
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        let end = first.position.saturating_add(SCAN_BYTES);
        let count = rows
            .iter()
            .enumerate()
            .take_while(|(place, row)| *place == 0 || row_end(row) <= end)
            .count();
        let rows = rows.get(..count).unwrap_or_default();
        let end = rows.last().map_or(first.position, row_end);
        let length = to_usize(end.saturating_sub(first.position));
        let file = self.file(segment.file).await?;
        let bytes = file.read_at(first.position, length).await?;
        let mut payloads = Vec::with_capacity(rows.len());
        for row in rows {
            debug_assert!(row_bytes(row) > 0, "an extent has a header");
            payloads.push(checked(log, segment, row, first.position, &bytes)?);
        }
        Ok(payloads)
    }
}
