//! Checkpoints: the manifest of everything as of a sequence, so that half a lane is free again.
//!
//! Keeps (rule 8): the capture is made when the half is full, before anything after its last
//! sequence changes a log; captured tails are in synced extents and new files in a synced
//! directory before the manifest names them; the manifest is written over the older slot; only a
//! synced manifest frees the half.
//!
//! Does not: decide when (`upkeep`, `lane::place`).

use crate::buffer::GrowBuf;
use crate::error::{FenceCause, StorageError};
use crate::format::{
    FileId, FormatError, FrameBuffer, LogImage, ManifestHead, ManifestPlace, ManifestWriter,
    SegmentImage,
};
use crate::number::to_u64;
use crate::partition_log::{LogCapture, PartitionLog};
use crate::producers::Producers;
use crate::store_core::StoreCore;
use engine_model::planted::{self, Bug};
use engine_rt::File;
use std::cell::Cell;
use std::rc::Rc;

/// Manifest pieces are gathered up to this size before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// All logs as of a sequence.
pub(crate) struct Capture {
    sequence: u64,
    logs: Vec<LogCapture>,
    /// Segments that are no longer part of their logs.
    gone: Vec<(PartitionLog, SegmentImage)>,
}

/// The two slots of this lane's manifests.
pub(crate) struct ManifestSlots {
    slots: [(FileId, File); 2],
    number: Cell<u64>,
}

impl ManifestSlots {
    /// Slots of which `number` is the newest manifest; it lies in slot `number % 2`.
    pub(crate) fn new(slots: [(FileId, File); 2], number: u64) -> Self {
        Self {
            slots,
            number: Cell::new(number),
        }
    }

    /// Number of the newest durable manifest.
    pub(crate) fn number(&self) -> u64 {
        self.number.get()
    }

    /// The slot that manifest `number` belongs into.
    fn slot(&self, number: u64) -> &(FileId, File) {
        let [even, odd] = &self.slots;
        let number = if planted::is(Bug::ManifestOverNewest) {
            number.saturating_add(1)
        } else {
            number
        };
        if number.is_multiple_of(2) { even } else { odd }
    }
}

/// Writes a manifest from the start of `file` and syncs it.
pub(crate) async fn write_manifest(
    place: ManifestPlace,
    file: &File,
    number: u64,
    head: ManifestHead,
    images: impl Iterator<Item = LogImage>,
) -> Result<(), StorageError> {
    let mut writer = ManifestWriter::new(place, number, head);
    let mut out = GrowBuf::with_capacity(WRITE_BYTES);
    let mut position = 0_u64;
    for image in images {
        writer.push(&image).map_err(|e| too_large(&e))?;
        while writer.next_piece(&mut out).map_err(|e| too_large(&e))? {}
        if out.len() >= WRITE_BYTES {
            position = write_pieces(file, position, &mut out).await?;
        }
        engine_rt::yield_if_due().await;
    }
    writer.finish().map_err(|e| too_large(&e))?;
    while writer.next_piece(&mut out).map_err(|e| too_large(&e))? {
        if out.len() >= WRITE_BYTES {
            position = write_pieces(file, position, &mut out).await?;
        }
    }
    write_pieces(file, position, &mut out).await?;
    if planted::is(Bug::HalfReusedBeforeManifestSync) {
        return Ok(());
    }
    file.sync_all().await?;
    Ok(())
}

async fn write_pieces(file: &File, position: u64, out: &mut GrowBuf) -> Result<u64, StorageError> {
    if out.is_empty() {
        return Ok(position);
    }
    let pieces = std::mem::replace(out, GrowBuf::with_capacity(WRITE_BYTES));
    let next = position.saturating_add(to_u64(pieces.len()));
    file.write_at(position, pieces.freeze()).await?;
    Ok(next)
}

fn too_large(error: &FormatError) -> StorageError {
    tracing::error!(%error, "a manifest cannot be encoded");
    StorageError::TooLarge {
        what: "manifest",
        found: 0,
        max: 0,
    }
}

impl StoreCore {
    /// Captures every log as of `sequence`; called when a half is full. Nothing awaits here.
    pub(crate) fn begin_checkpoint(&self, sequence: u64) {
        debug_assert!(self.capture.borrow().is_none(), "one checkpoint at a time");
        let (logs, gone) = self.capture_logs();
        *self.capture.borrow_mut() = Some(Capture {
            sequence,
            logs,
            gone,
        });
        self.upkeep.notify_one();
    }

    fn capture_logs(&self) -> (Vec<LogCapture>, Vec<(PartitionLog, SegmentImage)>) {
        let logs = self.logs.borrow();
        let mut captures = Vec::with_capacity(logs.len());
        let mut all_gone = Vec::new();
        for log in logs.values() {
            let (capture, gone) = log.capture();
            captures.push(capture);
            all_gone.extend(gone.into_iter().map(|segment| (log.clone(), segment)));
        }
        (captures, all_gone)
    }

    /// Gives the capture that waits, if any, the producer state of a log that was being rebuilt when
    /// it was made. The caller holds the permit to change files, so it is not being carried out.
    pub(crate) fn producers_rebuilt(&self, log: &PartitionLog, producers: &Rc<Producers>) {
        if planted::is(Bug::RebuiltProducersNotCaptured) {
            return;
        }
        if let Some(capture) = self.capture.borrow_mut().as_mut() {
            for captured in capture.logs.iter_mut().filter(|c| c.log.is(log)) {
                captured.set_producers(producers);
            }
        }
    }

    /// Carries out the checkpoint that was begun, if any.
    ///
    /// Errors: segment files may be tried again; what failed with lane or manifest has raised the
    /// fence. Cancel: not safe.
    pub(crate) async fn checkpoint(&self) -> Result<(), StorageError> {
        let _files = self.files().await;
        let Some(capture) = self.capture.take() else {
            return Ok(());
        };
        // It stays visible as under way: what is dropped meanwhile may still be named by it.
        *self.capture.borrow_mut() = Some(Capture {
            sequence: capture.sequence,
            logs: Vec::new(),
            gone: Vec::new(),
        });
        let capture = if planted::is(Bug::CaptureTooLate) {
            Capture {
                logs: self.capture_logs().0,
                ..capture
            }
        } else {
            capture
        };
        match self.carry_out(&capture).await {
            Ok(()) => {
                self.capture.take();
                self.checkpoints
                    .set(self.checkpoints.get().saturating_add(1));
                self.succeeded();
                self.lane().free_half();
                let bytes_max = self.options().tail_cache_bytes;
                self.lane().evict(capture.sequence, bytes_max);
                Ok(())
            }
            Err(error) => {
                *self.capture.borrow_mut() = Some(capture);
                Err(error)
            }
        }
    }

    async fn carry_out(&self, capture: &Capture) -> Result<(), StorageError> {
        self.lane().wait_durable(capture.sequence).await?;
        for log in &capture.logs {
            log.log.pass_over(log.log_start);
            while log.log.flush_end() < log.log_end {
                let flushed = log.log.flush_some(self, log.log_end).await?;
                if flushed.bytes == 0 {
                    // Only a gap is left before the captured end.
                    break;
                }
                self.count_flushed(flushed.bytes);
                engine_rt::yield_if_due().await;
            }
        }
        for log in &capture.logs {
            log.log.sync_segment(self).await?;
        }
        if !planted::is(Bug::MissingDirectorySync) {
            // What a failed sync of a directory covered is not known to be there later.
            if let Err(error) = self.segments().directory().sync().await {
                let error = error.into();
                self.raise_fence(&error);
                return Err(error);
            }
        }
        self.write_capture(capture).await
    }

    /// The slot of the newest durable manifest.
    pub(crate) fn newest_manifest(&self) -> (ManifestPlace, File) {
        let (file_id, file) = self.manifests.slot(self.manifests.number());
        let identity = self.identity();
        let place = ManifestPlace {
            directory: identity.directory,
            lane: identity.lane,
            file: *file_id,
        };
        (place, file.clone())
    }

    /// Counts bytes that went into segments.
    pub(crate) fn count_flushed(&self, bytes: u64) {
        let total = self.segment_bytes_written.get().saturating_add(bytes);
        self.segment_bytes_written.set(total);
    }

    async fn write_capture(&self, capture: &Capture) -> Result<(), StorageError> {
        let number = self.manifests.number().saturating_add(1);
        let (file_id, file) = self.manifests.slot(number);
        let identity = self.identity();
        let place = ManifestPlace {
            directory: identity.directory,
            lane: identity.lane,
            file: *file_id,
        };
        let head = ManifestHead {
            run: identity.run,
            sequence: capture.sequence,
            next_counter: self.counter(),
            logs: u32::try_from(capture.logs.len()).unwrap_or(u32::MAX),
        };
        let images = capture.logs.iter().map(LogCapture::image);
        if let Err(error) = write_manifest(place, file, number, head, images).await {
            if !error.is_out_of_space() {
                self.raise_fence(&error);
            }
            return Err(error);
        }
        self.manifests.number.set(number);
        for log in &capture.logs {
            log.log.named_by_manifest(log, log.image().segments);
        }
        for (log, segment) in &capture.gone {
            self.add_garbage_after(log, segment.file, number);
        }
        Ok(())
    }

    /// Raises the fence for a failure that is not to be retried.
    pub(crate) fn raise_fence(&self, error: &StorageError) {
        let cause = match error {
            StorageError::Io {
                operation,
                target,
                errno,
            } => FenceCause {
                operation,
                target: target.clone(),
                errno: *errno,
            },
            other => FenceCause {
                operation: "write",
                target: other.to_string().into(),
                errno: 0,
            },
        };
        self.fence().raise(cause);
        self.lane().wake_all();
    }
}
