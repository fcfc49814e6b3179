//! Reading batches out of segments: whole extents, checked once, several in one read.

use super::Segments;
use super::index::{corrupt, row_bytes, row_end};
use crate::chunks::Chunks;
use crate::error::StorageError;
use crate::format::{ExtentKind, ExtentPlace, ExtentView, IndexRow, SegmentImage};
use crate::number::{to_u64, to_usize};
use bytes::Bytes;
use engine_codec::{Batch, BatchHeader};
use engine_model::{LogId, Offset};

/// The most bytes of one read, unless one extent is larger.
const READ_BYTES_MAX: u64 = 1 << 20;

/// Extents below this size are copied out of the read they came with.
const SMALL_BYTES: usize = 64 << 10;

/// What to read out of segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentSpan {
    pub(crate) offset: Offset,
    pub(crate) end: Offset,
    pub(crate) bytes_max: usize,
    pub(crate) at_least_one: bool,
    /// The reader goes through the log in order: read on, the rest is asked for next.
    pub(crate) is_sequential: bool,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct SegmentRead {
    pub(crate) chunks: Chunks,
    pub(crate) next_offset: Offset,
    /// The byte limit or the end ended it, not the last segment.
    pub(crate) is_full: bool,
}

impl Segments {
    /// Reads whole batches from the one that holds `span.offset` on.
    ///
    /// `segments` are those of the log, in order. Errors: `Corrupt` for any byte that is not what
    /// was written.
    pub(crate) async fn read(
        &self,
        log: LogId,
        segments: &[SegmentImage],
        span: &SegmentSpan,
    ) -> Result<SegmentRead, StorageError> {
        let mut read = SegmentRead {
            chunks: Chunks::default(),
            next_offset: span.offset,
            is_full: false,
        };
        let first = segments.partition_point(|segment| segment.end_offset <= span.offset);
        for segment in segments.get(first..).unwrap_or_default() {
            let rows = self.index(log, segment).await?;
            let mut place = rows.partition_point(|row| row.last < read.next_offset);
            while let Some(row) = rows.get(place) {
                if row.first >= segment.end_offset {
                    // Cut away, as is all behind it: its offsets say nothing of what follows.
                    break;
                }
                if row.first >= span.end {
                    read.is_full = true;
                    return Ok(read);
                }
                let rest = rows.get(place..).unwrap_or_default();
                let payload = self.extent(log, segment, rest, span).await?;
                take_batches(&payload, segment, row, span, &mut read)?;
                if read.is_full {
                    return Ok(read);
                }
                place = place.saturating_add(1);
            }
        }
        Ok(read)
    }

    /// Base offset of the batch that holds `offset`, if a segment has one.
    pub(crate) async fn batch_base(
        &self,
        log: LogId,
        segments: &[SegmentImage],
        offset: Offset,
    ) -> Result<Option<Offset>, StorageError> {
        let mut found = None;
        self.visit(
            log,
            segments,
            offset,
            |_| true,
            |batch| {
                let header = batch.header();
                if header.last_offset() >= offset {
                    found = Some(header.base_offset).filter(|base| *base <= offset);
                    return false;
                }
                true
            },
        )
        .await?;
        Ok(found)
    }

    /// Shows batches from the one that holds `offset` on, of extents that `is_wanted`, until
    /// `visit` has seen enough.
    pub(crate) async fn visit(
        &self,
        log: LogId,
        segments: &[SegmentImage],
        offset: Offset,
        mut is_wanted: impl FnMut(&IndexRow) -> bool,
        mut visit: impl FnMut(&Batch) -> bool,
    ) -> Result<(), StorageError> {
        let span = SegmentSpan {
            offset,
            end: Offset::MAX,
            bytes_max: 0,
            at_least_one: true,
            is_sequential: false,
        };
        let first = segments.partition_point(|segment| segment.end_offset <= offset);
        for segment in segments.get(first..).unwrap_or_default() {
            let rows = self.index(log, segment).await?;
            let start = rows.partition_point(|row| row.last < offset);
            for (place, row) in rows.iter().enumerate().skip(start) {
                if !is_wanted(row) {
                    continue;
                }
                let rest = rows.get(place..).unwrap_or_default();
                let mut payload = self.extent(log, segment, rest, &span).await?;
                while !payload.is_empty() {
                    let batch = Batch::split_off_front(&mut payload)
                        .map_err(|error| corrupt(segment, row.position, &error))?;
                    let header = batch.header();
                    if header.base_offset >= segment.end_offset {
                        break;
                    }
                    if header.last_offset() >= offset && !visit(&batch) {
                        return Ok(());
                    }
                }
                engine_rt::yield_if_due().await;
            }
        }
        Ok(())
    }

    /// The payload of the extent of the first row; what else one read brings is kept for later.
    async fn extent(
        &self,
        log: LogId,
        segment: &SegmentImage,
        rows: &[IndexRow],
        span: &SegmentSpan,
    ) -> Result<Bytes, StorageError> {
        let Some(row) = rows.first() else {
            return Ok(Bytes::new());
        };
        let cached = self.extents.borrow_mut().get(&(segment.file, row.position));
        if let Some(payload) = cached {
            return Ok(payload);
        }
        let wanted = if span.is_sequential {
            READ_BYTES_MAX
        } else {
            to_u64(span.bytes_max).min(READ_BYTES_MAX)
        };
        let end = row.position.saturating_add(wanted);
        let rows: Vec<IndexRow> = rows
            .iter()
            .enumerate()
            .take_while(|(place, other)| *place == 0 || row_end(other) <= end)
            .map(|(_, other)| *other)
            .collect();
        let end = rows.last().map_or(row.position, row_end);
        let file = self.file(segment.file).await?;
        let length = to_usize(end.saturating_sub(row.position));
        let bytes = file.read_at(row.position, length).await?;
        let mut wanted = Bytes::new();
        for (place, other) in rows.iter().enumerate() {
            let mut payload = checked(log, segment, other, row.position, &bytes)?;
            if row_bytes(other) < SMALL_BYTES && row_bytes(other) < bytes.len() {
                // The cache counts what it holds: a small slice must not hold a large read.
                payload = Bytes::copy_from_slice(&payload);
            }
            let weight = to_u64(row_bytes(other));
            self.extents.borrow_mut().insert(
                (segment.file, other.position),
                payload.clone(),
                weight,
            );
            if place == 0 {
                wanted = payload;
            }
        }
        Ok(wanted)
    }
}

/// Checks one extent of a read that began at `start`.
pub(super) fn checked(
    log: LogId,
    segment: &SegmentImage,
    row: &IndexRow,
    start: u64,
    bytes: &Bytes,
) -> Result<Bytes, StorageError> {
    let from = to_usize(row.position.saturating_sub(start));
    let to = from.saturating_add(row_bytes(row));
    if to > bytes.len() {
        return Err(corrupt(
            segment,
            row.position,
            &"the file ends in an extent",
        ));
    }
    let place = ExtentPlace {
        log,
        file: segment.file,
        position: row.position,
    };
    let extent = ExtentView::decode(&bytes.slice(from..to), &place)
        .map_err(|error| corrupt(segment, row.position, &error))?;
    let header = &extent.header;
    if header.kind != ExtentKind::Records || header.first != row.first || header.last != row.last {
        return Err(corrupt(
            segment,
            row.position,
            &"an extent is not the one its index names",
        ));
    }
    Ok(extent.payload)
}

/// Adds the batches of an extent that the span asks for.
fn take_batches(
    payload: &Bytes,
    segment: &SegmentImage,
    row: &IndexRow,
    span: &SegmentSpan,
    read: &mut SegmentRead,
) -> Result<(), StorageError> {
    let mut at = 0_usize;
    while let Some(rest) = payload.get(at..).filter(|rest| !rest.is_empty()) {
        let header =
            BatchHeader::parse(rest).map_err(|error| corrupt(segment, row.position, &error))?;
        let next = at.saturating_add(header.total_bytes());
        if next > payload.len() {
            return Err(corrupt(
                segment,
                row.position,
                &"a batch runs over its extent",
            ));
        }
        if header.base_offset >= segment.end_offset {
            // Cut away: what follows is in the next segment.
            return Ok(());
        }
        if header.last_offset() >= read.next_offset {
            let bytes = read.chunks.bytes().saturating_add(header.total_bytes());
            let is_first = read.chunks.bytes() == 0;
            let fits = bytes <= span.bytes_max || (is_first && span.at_least_one);
            if header.last_offset() >= span.end || !fits {
                read.is_full = true;
                return Ok(());
            }
            read.chunks.push(payload, at..next);
            read.next_offset = header.next_offset();
        }
        at = next;
    }
    Ok(())
}
