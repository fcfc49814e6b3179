//! A recovery that gives up what cannot be saved, and saves the rest.
//!
//! Keeps: files are only added; what is given up is told.

use super::Recovery;
use crate::error::{OpenError, StorageError};
use crate::format::{ExtentKind, SegmentImage};
use crate::number::to_usize;
use crate::offline::verify::{Seen, SegmentCheck};
use crate::repair::{AcceptLoss, RepairedLog};
use crate::segment::{Rolling, SegmentWriter, file_name};
use crate::tail::TailBatch;
use bytes::Bytes;
use engine_codec::batches;
use engine_model::{LogId, Offset, TopicId};
use engine_rt::{File, FileOptions};

/// Where a sound extent lies.
type Place = (u64, usize);

/// What is left of a segment.
struct Salvage {
    /// Sound record extents, in order.
    extents: Vec<Place>,
    /// Runs of offsets that are gone.
    lost: Vec<(Offset, Offset)>,
    is_damaged: bool,
}

impl Recovery<'_> {
    /// Whether the logs are looked at for repair, and nothing is written.
    pub(super) fn is_dry_run(&self) -> bool {
        self.accept.is_some_and(|accept| accept.is_dry_run)
    }

    /// Checks the segments of all logs, and repairs those that may be.
    pub(super) async fn repair_logs(&mut self, accept: &AcceptLoss) -> Result<(), OpenError> {
        let ids: Vec<LogId> = self.logs.keys().copied().collect();
        for id in ids {
            self.repair_log(id, accept).await?;
        }
        if !self.repair.lost_lanes.is_empty() && !self.has_metadata() {
            return Err(OpenError::Unreadable {
                path: self.path.display().to_string(),
                reason:
                    "the manifests of the lane that held the brokers' own log are gone: without \
                         it no topic is known, and every log would be deleted"
                        .to_owned(),
            });
        }
        Ok(())
    }

    fn has_metadata(&self) -> bool {
        let mut logs = self.logs.values();
        logs.any(|log| log.partition.topic_id == TopicId::CLUSTER_METADATA)
    }

    async fn repair_log(&mut self, id: LogId, accept: &AcceptLoss) -> Result<(), OpenError> {
        let Some(log) = self.logs.get(&id) else {
            return Ok(());
        };
        let (was_quarantined, start) = (log.is_quarantined, log.log_start);
        let partition = Some(log.partition).filter(|p| p.topic_id != TopicId::ZERO);
        let segments = log.segments.clone();
        let mut kept = Vec::with_capacity(segments.len());
        let mut gone: Vec<(Offset, Offset)> = Vec::new();
        let mut damaged = 0_usize;
        for image in segments {
            let found = self.look_at(id, image).await?;
            if !found.is_damaged {
                kept.push(image);
                continue;
            }
            damaged = damaged.saturating_add(1);
            for (first, last) in found.lost {
                let first = first.max(start);
                let last = last.min(Offset::new(image.end_offset.get().saturating_sub(1)));
                if first <= last {
                    gone.push((first, last));
                }
            }
            if self.is_dry_run() || !accept.covers(id) {
                continue;
            }
            kept.extend(self.copy(id, image, &found.extents).await?);
        }
        if !was_quarantined && damaged == 0 {
            return Ok(());
        }
        if !accept.covers(id) {
            self.repair.left.push(id);
            return Ok(());
        }
        if partition.is_none() {
            self.logs.remove(&id);
        }
        let Some(log) = self.logs.get_mut(&id) else {
            let log = RepairedLog {
                id,
                partition,
                was_quarantined,
                log_start: start,
                log_end: start,
                lost: gone,
                segments: damaged,
            };
            self.repair.logs.push(log);
            return Ok(());
        };
        log.is_quarantined = false;
        if damaged > 0 && !self.accept.is_some_and(|accept| accept.is_dry_run) {
            log.segments = kept;
        }
        let end = log.log_end;
        if let Some((first, _)) = gone
            .last()
            .filter(|(_, last)| last.saturating_next() == end)
        {
            // Nothing is left behind it: the log ends before it.
            log.truncate(log.generation.saturating_add(1), *first);
        }
        if let Some(seen) = self.seen_ends.get(&id)
            && *seen > end
        {
            let last = Offset::new(seen.get().saturating_sub(1));
            match gone
                .last_mut()
                .filter(|(_, last)| last.saturating_next() == end)
            {
                Some(run) => run.1 = last,
                None => gone.push((end, last)),
            }
        }
        self.repair.logs.push(RepairedLog {
            id,
            partition,
            was_quarantined,
            log_start: log.log_start,
            log_end: log.log_end,
            lost: gone,
            segments: damaged,
        });
        Ok(())
    }

    /// Checks a segment and finds what is sound in it.
    async fn look_at(&self, id: LogId, image: SegmentImage) -> Result<Salvage, OpenError> {
        let mut found = Salvage {
            extents: Vec::new(),
            lost: Vec::new(),
            is_damaged: false,
        };
        let Some(file) = self.open_segment(image).await? else {
            let last = Offset::new(image.end_offset.get().saturating_sub(1));
            found.lost.push((image.base_offset, last));
            found.is_damaged = true;
            return Ok(found);
        };
        let mut check = SegmentCheck::new(id, image);
        let mut see = |seen: Seen<'_>| match seen {
            Seen::Extent { position, view } if view.header.kind == ExtentKind::Records => {
                let place = (position, view.header.extent_bytes());
                found.extents.push(place);
            }
            Seen::Extent { .. } => {}
            Seen::Finding(finding) => {
                found.is_damaged = true;
                found.lost.extend(finding.offsets);
            }
        };
        while let Some((position, bytes)) = check.wants() {
            match file.read_at(position, bytes).await {
                Ok(bytes) => check.take(&bytes, &mut see),
                Err(error) => check.unreadable(error.errno),
            }
            engine_rt::yield_if_due().await;
        }
        check.finish(&mut see);
        Ok(found)
    }

    async fn open_segment(&self, image: SegmentImage) -> Result<Option<File>, OpenError> {
        let name = file_name(image.file);
        let options = FileOptions::READ.direct();
        match self.segments.open_file(&name, options).await {
            Err(error) if error.is_not_found() => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// Copies the sound extents of a segment into a new file, if there are any.
    async fn copy(
        &mut self,
        id: LogId,
        image: SegmentImage,
        extents: &[Place],
    ) -> Result<Option<SegmentImage>, OpenError> {
        let partition = self.logs.get(&id).map(|log| log.partition);
        let file = self.open_segment(image).await?;
        let (Some(file), Some(partition)) = (file, partition) else {
            return Ok(None);
        };
        let mut writer: Option<SegmentWriter> = None;
        for (position, bytes) in extents {
            let extent = file.read_at(*position, *bytes).await?;
            let batches = batches_of(&extent, image.end_offset)?;
            let Some(first) = batches.first().map(|batch| batch.first) else {
                continue;
            };
            let mut into = if let Some(writer) = writer.take() {
                writer
            } else {
                let new = self.file_for(partition);
                let rolling = Rolling::by_size(image.record_bytes.max(1));
                let growing = rolling.begin(engine_rt::wall_clock(), || 0);
                SegmentWriter::create(&self.segments, id, new, first, growing).await?
            };
            into.append(&batches).await?;
            writer = Some(into);
            engine_rt::yield_if_due().await;
        }
        let Some(mut writer) = writer else {
            return Ok(None);
        };
        writer.finish_index().await?;
        writer.sync().await?;
        Ok(Some(writer.image()))
    }
}

/// The batches of an extent that was checked, below `end`.
fn batches_of(extent: &Bytes, end: Offset) -> Result<Vec<TailBatch>, StorageError> {
    let corrupt = || StorageError::Corrupt {
        target: "a segment".into(),
        position: 0,
    };
    let header = crate::format::ExtentHeader::peek(extent).map_err(|_| corrupt())?;
    let from = crate::format::EXTENT_HEADER_BYTES;
    let to = from.saturating_add(to_usize(u64::from(header.payload_bytes)));
    let payload = extent.get(from..to).ok_or_else(corrupt)?;
    let mut found = Vec::new();
    for batch in batches(&extent.slice_ref(payload)) {
        let batch = batch.map_err(|_| corrupt())?;
        let header = *batch.header();
        if header.base_offset >= end {
            break;
        }
        let bytes = batch.into_bytes();
        found.push(TailBatch {
            first: header.base_offset,
            last: header.last_offset(),
            max_timestamp: header.max_timestamp,
            sequence: 0,
            crc: engine_codec::crc::crc32c(&bytes),
            range: 0..bytes.len(),
            frame: bytes,
        });
    }
    Ok(found)
}
