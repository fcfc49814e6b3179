//! Moving replayed batches into new segments (step 16), and reading producer state where a
//! truncation had forgotten it.

use super::Recovery;
use crate::error::{OpenError, StorageError};
use crate::segment::{Rolling, SegmentSpan, SegmentWriter, Segments};
use crate::tail::TailBatch;
use engine_codec::batches;
use engine_model::{LogId, Offset};

/// Bytes of batches that go into one write.
const WRITE_BYTES_MAX: u64 = 1 << 20;

/// A recovery rolls segments at this size: the topics' own settings are not known yet.
const SEGMENT_BYTES: u64 = 1 << 30;

impl Recovery<'_> {
    /// Drains one log, or every log if it is not that one that is large.
    pub(super) async fn drain_some(&mut self, id: LogId, is_large: bool) -> Result<(), OpenError> {
        let ids: Vec<LogId> = if is_large {
            vec![id]
        } else {
            self.logs.keys().copied().collect()
        };
        for id in ids {
            self.drain(id).await?;
        }
        Ok(())
    }

    /// Writes all replayed batches of a log to its segment.
    async fn drain(&mut self, id: LogId) -> Result<(), OpenError> {
        while let Some(log) = self.logs.get_mut(&id) {
            let mut bytes = 0_u64;
            let count = log
                .tail
                .iter()
                .take_while(|batch| {
                    let fits = bytes < WRITE_BYTES_MAX;
                    bytes = bytes.saturating_add(batch.len());
                    fits
                })
                .count();
            let write: Vec<TailBatch> = log.tail.drain(..count).collect();
            let Some(first) = write.first().map(|batch| batch.first) else {
                return Ok(());
            };
            let drained = write
                .iter()
                .fold(0_u64, |sum, b| sum.saturating_add(b.len()));
            log.tail_bytes = log.tail_bytes.saturating_sub(drained);
            if self.accept.is_some_and(|accept| accept.is_dry_run) {
                self.replayed_bytes = self.replayed_bytes.saturating_sub(drained);
                continue;
            }
            let partition = log.partition;
            let mut writer = log.writer.take();
            let (rolling, now) = (Rolling::by_size(SEGMENT_BYTES), engine_rt::wall_clock());
            if let Some(full) = writer.take_if(|w| w.is_full(&rolling, &write, now)) {
                self.finish(id, full).await?;
            }
            let mut writer = if let Some(writer) = writer {
                writer
            } else {
                let file = self.file_for(partition);
                let growing = rolling.begin(now, || 0);
                SegmentWriter::create(&self.segments, id, file, first, growing).await?
            };
            writer.append(&write).await?;
            self.replayed_bytes = self.replayed_bytes.saturating_sub(drained);
            self.report.drained_bytes = self.report.drained_bytes.saturating_add(drained);
            if let Some(log) = self.logs.get_mut(&id) {
                log.set_segment(writer.image());
                log.writer = Some(writer);
            }
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }

    /// Completes the index of a segment and syncs it.
    async fn finish(&mut self, id: LogId, mut writer: SegmentWriter) -> Result<(), StorageError> {
        writer.finish_index().await?;
        writer.sync().await?;
        if let Some(log) = self.logs.get_mut(&id) {
            log.set_segment(writer.image());
        }
        Ok(())
    }

    /// Completes the index of every segment that a replayed truncation cut, and syncs it.
    async fn complete_cut_segments(&mut self, id: LogId) -> Result<(), StorageError> {
        let log = self.logs.get_mut(&id);
        let writers = log.map_or_else(Vec::new, |log| std::mem::take(&mut log.cut_writers));
        for mut writer in writers {
            writer.finish_index().await?;
            writer.sync().await?;
            if let Some(log) = self.logs.get_mut(&id) {
                log.complete_segment(&writer.image());
            }
        }
        Ok(())
    }

    /// Drains every log and makes all of it durable.
    pub(super) async fn drain_all(&mut self) -> Result<(), OpenError> {
        let ids: Vec<LogId> = self.logs.keys().copied().collect();
        for id in &ids {
            self.drain(*id).await?;
            self.complete_cut_segments(*id).await?;
            let writer = self.logs.get_mut(id).and_then(|log| log.writer.take());
            if let Some(writer) = writer {
                self.finish(*id, writer).await?;
            }
        }
        if let Some(accept) = self.accept {
            self.look_for_ends().await?;
            self.repair_logs(accept).await?;
            if accept.is_dry_run {
                return Ok(());
            }
        }
        self.segments.sync().await?;
        for id in ids {
            self.rebuild_producers(id).await?;
        }
        Ok(())
    }

    async fn rebuild_producers(&mut self, id: LogId) -> Result<(), OpenError> {
        let Some(log) = self.logs.get_mut(&id).filter(|log| !log.is_quarantined) else {
            return Ok(());
        };
        let Some(mut offset) = log.producers_to_rebuild() else {
            return Ok(());
        };
        let (list, end) = (log.segments.clone(), log.log_end);
        let segments = Segments::new(self.segments.clone(), self.options);
        let now = engine_rt::wall_clock();
        while offset < end {
            let span = SegmentSpan {
                offset,
                end: Offset::MAX,
                bytes_max: 1 << 20,
                at_least_one: true,
                is_sequential: true,
            };
            let read = match segments.read(id, &list, &span).await {
                Ok(read) if read.next_offset > offset => read,
                Ok(_) => return Ok(()),
                Err(error) if is_damage(&error) => {
                    self.quarantine(id, &error);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            offset = read.next_offset;
            for chunk in read.chunks.finish() {
                for batch in batches(&chunk).flatten() {
                    let header = batch.header();
                    let max = header.max_timestamp;
                    let noted = crate::partition_log::noted(header, header.base_offset, max);
                    if let (Some(noted), Some(log)) = (noted, self.logs.get_mut(&id)) {
                        log.producers.note(&noted, now);
                    }
                }
            }
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }
}

/// Whether it is the log that is damaged; other errors may pass.
fn is_damage(error: &StorageError) -> bool {
    matches!(error, StorageError::Corrupt { .. }) || error.is_not_found()
}
