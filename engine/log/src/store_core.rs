//! What the logs of one shard share: lane, segments, permits, numbers, files to delete.
//!
//! Keeps:
//! - one changer of files at a time (`files`): flushes, checkpoints and truncations exclude one
//!   another;
//! - appends get their turn in the order they asked (`gate`);
//! - a file is unlinked only when the newest durable manifest does not name it and no reader
//!   holds it (rule 7).
//!
//! Does not: do the background work (`upkeep`, `checkpoint`).

use crate::checkpoint::{Capture, ManifestSlots};
use crate::error::StorageError;
use crate::fence::FenceSignal;
use crate::format::FileId;
use crate::lane::{Lane, LaneIdentity};
use crate::opening::Opening;
use crate::options::StorageOptions;
use crate::partition_log::PartitionLog;
use crate::segment::Segments;
use crate::upkeep::{RetentionQueue, Scrub};
use core::time::Duration;
use engine_model::planted::{self, Bug};
use engine_model::{HashMap, LogId, Moment, TopicPartition};
use engine_rt::sync::{Notify, Permit, Semaphore};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// After so many failures in a row of the work that makes room, appends that wait for room are told
/// the last of them instead of waiting on. Each is at least 100 ms after the one before.
const FAILURES_MAX: u32 = 10;

/// How long an append is held back at most while the lane is crowded.
const THROTTLE: Duration = Duration::from_millis(5);

/// Files that nothing needs any more, once a manifest says so.
enum Garbage {
    File(FileId),
    /// All files of a log whose deletion is in the frame of this sequence.
    Log(u64),
}

struct GarbageItem {
    log: PartitionLog,
    garbage: Garbage,
    /// Number of the first manifest that does not name it.
    after: u64,
}

/// See the module.
pub(crate) struct StoreCore {
    options: Rc<StorageOptions>,
    identity: LaneIdentity,
    lane: Rc<Lane>,
    segments: Segments,
    fence: FenceSignal,
    next_counter: Cell<u32>,
    pub(crate) logs: RefCell<BTreeMap<LogId, PartitionLog>>,
    pub(crate) by_partition: RefCell<HashMap<TopicPartition, PartitionLog>>,
    gate: Semaphore,
    files: Semaphore,
    pub(crate) capture: RefCell<Option<Capture>>,
    pub(crate) manifests: ManifestSlots,
    garbage: RefCell<Vec<GarbageItem>>,
    pub(crate) flush_queue: RefCell<VecDeque<PartitionLog>>,
    /// Rung when there is background work.
    pub(crate) upkeep: Rc<Notify>,
    /// Rung when compaction is to look again, and when it is to end.
    pub(crate) compaction: Notify,
    /// Free bytes, while they are below the reserve.
    pub(crate) disk_full: Cell<Option<u64>>,
    /// A write found no room since free space was above the reserve.
    pub(crate) has_run_out: Cell<bool>,
    pub(crate) free_files_at: Cell<Option<Moment>>,
    pub(crate) is_stopping: Cell<bool>,
    pub(crate) retention: RetentionQueue,
    /// Rung when the fence was told to every log.
    pub(crate) fence_told: Notify,
    pub(crate) scrub: Scrub,
    /// What opening the batches of clients costs this shard.
    pub(crate) opening: Opening,
    /// Failures of background work since the last success, and the last of them.
    failures: RefCell<(u32, Option<StorageError>)>,
    pub(crate) checkpoints: Cell<u64>,
    pub(crate) segment_bytes_written: Cell<u64>,
    pub(crate) compacted_groups: Cell<u64>,
}

/// What a core is made of.
pub(crate) struct CoreParts {
    pub(crate) options: Rc<StorageOptions>,
    pub(crate) identity: LaneIdentity,
    pub(crate) lane: Rc<Lane>,
    pub(crate) segments: Segments,
    pub(crate) fence: FenceSignal,
    pub(crate) next_counter: u32,
    pub(crate) manifests: ManifestSlots,
    pub(crate) upkeep: Rc<Notify>,
}

impl StoreCore {
    pub(crate) fn new(parts: CoreParts) -> Self {
        let retention = RetentionQueue::new(parts.options.retention_check_interval);
        let scrub = Scrub::new(parts.options.scrub_interval);
        Self {
            retention,
            scrub,
            options: parts.options,
            identity: parts.identity,
            lane: parts.lane,
            segments: parts.segments,
            fence: parts.fence,
            next_counter: Cell::new(parts.next_counter),
            logs: RefCell::new(BTreeMap::new()),
            by_partition: RefCell::new(HashMap::default()),
            gate: Semaphore::new(1),
            files: Semaphore::new(1),
            capture: RefCell::new(None),
            manifests: parts.manifests,
            garbage: RefCell::new(Vec::new()),
            flush_queue: RefCell::new(VecDeque::new()),
            upkeep: parts.upkeep,
            compaction: Notify::new(),
            disk_full: Cell::new(None),
            has_run_out: Cell::new(false),
            free_files_at: Cell::new(None),
            is_stopping: Cell::new(false),
            fence_told: Notify::new(),
            opening: Opening::default(),
            failures: RefCell::new((0, None)),
            checkpoints: Cell::new(0),
            segment_bytes_written: Cell::new(0),
            compacted_groups: Cell::new(0),
        }
    }

    pub(crate) fn options(&self) -> &StorageOptions {
        &self.options
    }

    pub(crate) fn identity(&self) -> LaneIdentity {
        self.identity
    }

    pub(crate) fn lane(&self) -> &Rc<Lane> {
        &self.lane
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    pub(crate) fn fence(&self) -> &FenceSignal {
        &self.fence
    }

    /// The next number that this lane gives to a log or file in this run.
    pub(crate) fn next_counter(&self) -> Result<u32, StorageError> {
        let counter = self.next_counter.get();
        let next = counter.checked_add(1).ok_or(StorageError::TooLarge {
            what: "number of files of a run",
            found: u64::from(counter),
            max: u64::from(u32::MAX),
        })?;
        self.next_counter.set(next);
        Ok(counter)
    }

    pub(crate) fn counter(&self) -> u32 {
        self.next_counter.get()
    }

    pub(crate) fn next_file_id(&self) -> Result<FileId, StorageError> {
        Ok(FileId {
            run: self.identity.run,
            lane: self.identity.lane,
            counter: self.next_counter()?,
        })
    }

    /// Waits until batches of these sizes can be placed in the lane, in the order of asking.
    ///
    /// What is returned must be held until they are placed, without awaiting. Errors: the fence,
    /// `TooLarge` for what no lane of this size can take, `DiskFull`. Cancel: safe.
    pub(crate) async fn wait_for_room(
        &self,
        sizes: impl Iterator<Item = usize> + Clone,
    ) -> Result<Permit, StorageError> {
        self.wait_for_turn(sizes, true).await
    }

    /// As [`StoreCore::wait_for_room`] for an entry that is no batch, on a full disk too: what
    /// deletes and truncates must work there.
    pub(crate) async fn wait_for_entry(
        &self,
        payload_bytes: usize,
    ) -> Result<Permit, StorageError> {
        self.wait_for_turn(core::iter::once(payload_bytes), false)
            .await
    }

    /// As [`StoreCore::wait_for_entry`], but `None` where that would wait: for the task that makes
    /// room itself.
    pub(crate) fn turn_for_entry_now(
        &self,
        payload_bytes: usize,
    ) -> Result<Option<Permit>, StorageError> {
        self.lane.check()?;
        let turn = self.gate.try_acquire(1);
        Ok(turn.filter(|_| self.lane.has_room(core::iter::once(payload_bytes))))
    }

    /// Either; only an append is refused on a full disk, or slowed down by a crowded lane.
    pub(crate) async fn wait_for_turn(
        &self,
        sizes: impl Iterator<Item = usize> + Clone,
        is_append: bool,
    ) -> Result<Permit, StorageError> {
        let turn = match self.gate.try_acquire(1) {
            Some(turn) => turn,
            None => self.gate.acquire(1).await,
        };
        let mut was_throttled = false;
        loop {
            self.lane.check()?;
            if let Some(free_bytes) = self.disk_full.get().filter(|_| is_append) {
                return Err(StorageError::DiskFull {
                    free_bytes,
                    reserve_bytes: self.options.disk_reserve_bytes,
                });
            }
            if !self.lane.could_have_room(sizes.clone()) && !self.lane.is_growing() {
                return Err(StorageError::TooLarge {
                    what: "append",
                    found: sizes.fold(0_u64, |sum, bytes| {
                        sum.saturating_add(crate::number::to_u64(bytes))
                    }),
                    max: self.lane.frame_bytes_max(),
                });
            }
            if self.lane.has_room(sizes.clone()) {
                if was_throttled || !is_append || !self.lane.is_crowded() {
                    return Ok(turn);
                }
                was_throttled = true;
                let _ = engine_rt::timeout(THROTTLE, self.lane.progress()).await;
                continue;
            }
            // A full disk is not told: it is waited for, and the reserve refuses appends before.
            let failure = self.failure(FAILURES_MAX).filter(|_| is_append);
            if let Some(error) = failure.filter(|error| !error.is_out_of_space()) {
                return Err(error);
            }
            self.lane.progress().await;
        }
    }

    /// The permit to change files, for a change of a log that must not meet a checkpoint: there
    /// is none under way, and an entry with such a payload can be put without beginning one.
    ///
    /// Not for the task that takes the checkpoints. Cancel: safe.
    pub(crate) async fn exclusive(&self, payload_bytes: usize) -> Result<Permit, StorageError> {
        let size = || core::iter::once(payload_bytes);
        loop {
            drop(self.wait_for_entry(payload_bytes).await?);
            let permit = self.files.acquire(1).await;
            self.lane.check()?;
            if self.capture.borrow().is_none() && self.lane.has_room(size()) {
                self.lane.close_open();
                if self.lane.has_room(size()) {
                    self.lane.make_room(payload_bytes)?;
                }
                if self.capture.borrow().is_none() && self.lane.has_open() {
                    return Ok(permit);
                }
            }
            drop(permit);
            self.lane.progress().await;
        }
    }

    /// The permit to change files.
    pub(crate) async fn files(&self) -> Permit {
        self.files.acquire(1).await
    }

    /// Grows the lane until it can take a batch of that size; see `lane::grow`.
    pub(crate) async fn grow_lane_for(&self, batch_bytes: u64) -> Result<(), StorageError> {
        // A frame of one batch, and a few blocks for the entries that share its half.
        let block = crate::number::to_u64(crate::format::BLOCK_BYTES);
        let needed = batch_bytes
            .saturating_add(block.saturating_mul(4))
            .checked_next_multiple_of(block)
            .unwrap_or(u64::MAX);
        self.lane.grow(needed).await
    }

    /// Puts a log on the queue of those that have much to flush.
    pub(crate) fn queue_flush(&self, log: &PartitionLog) {
        self.flush_queue.borrow_mut().push_back(log.clone());
        self.upkeep.notify_one();
    }

    /// Number of the first manifest that cannot name what goes now.
    fn unnamed_after(&self) -> u64 {
        let next = self.manifests.number().saturating_add(1);
        if self.capture.borrow().is_some() {
            next.saturating_add(1)
        } else {
            next
        }
    }

    /// Deletes a file of a log once it is safe.
    pub(crate) fn add_garbage(&self, log: &PartitionLog, file: FileId) {
        let after = self.unnamed_after();
        self.add_garbage_after(log, file, after);
        self.free_files_later(log.file_delete_delay());
    }

    /// Deletes a file of a log once manifest `after` is durable.
    pub(crate) fn add_garbage_after(&self, log: &PartitionLog, file: FileId, after: u64) {
        self.garbage.borrow_mut().push(GarbageItem {
            log: log.clone(),
            garbage: Garbage::File(file),
            after,
        });
    }

    /// Deletes all files of a log, whose deletion is in the frame of `sequence`, once it is safe.
    pub(crate) fn add_garbage_log(&self, log: &PartitionLog, sequence: u64) {
        let item = GarbageItem {
            log: log.clone(),
            garbage: Garbage::Log(sequence),
            after: self.unnamed_after(),
        };
        self.garbage.borrow_mut().push(item);
        self.free_files_later(log.file_delete_delay());
    }

    /// Sees to a checkpoint within `delay`, a log's `file.delete.delay.ms`, so that files can go.
    pub(crate) fn free_files_later(&self, delay: Duration) {
        let due = engine_rt::now().saturating_add(delay);
        let earlier = self.free_files_at.get().map_or(due, |at| at.min(due));
        self.free_files_at.set(Some(earlier));
        self.upkeep.notify_one();
    }

    /// Unlinks what may go now. Errors leave it for the next time.
    pub(crate) async fn unlink_garbage(&self) {
        if self.has_run_out.get() {
            self.empty_deleted_logs().await;
        }
        let number = if planted::is(Bug::UnlinkBeforeManifest) {
            u64::MAX
        } else {
            self.manifests.number()
        };
        let (ready, rest): (Vec<_>, Vec<_>) = self
            .garbage
            .take()
            .into_iter()
            .partition(|item| item.after <= number && !item.log.has_readers());
        *self.garbage.borrow_mut() = rest;
        for item in ready {
            let files = match item.garbage {
                Garbage::File(file) => vec![file],
                Garbage::Log(_) => item.log.give_up_files(),
            };
            for file in files {
                if let Err(error) = self.segments.remove(file).await {
                    tracing::warn!(%file, %error, "a file that is not needed cannot be deleted");
                    self.add_garbage_after(&item.log, file, number);
                }
            }
        }
        let delays = self.garbage.borrow();
        let delay = delays.iter().map(|item| item.log.file_delete_delay()).min();
        drop(delays);
        if let Some(delay) = delay {
            self.free_files_later(delay);
        }
    }

    /// Unlinks files of deleted logs that the newest manifest still names, because the next one finds
    /// no room. Whoever replays that manifest comes upon the durable deletion, and opens none of them.
    async fn empty_deleted_logs(&self) {
        let durable = self.lane.durable_sequence();
        let files: Vec<_> = {
            let garbage = self.garbage.borrow();
            let deleted = garbage.iter().filter(|item| {
                let is_durable =
                    matches!(item.garbage, Garbage::Log(sequence) if sequence <= durable);
                is_durable && !item.log.has_readers()
            });
            deleted.flat_map(|item| item.log.give_up_files()).collect()
        };
        for file in files {
            // It stays on the list, which comes to it again.
            if let Err(error) = self.segments.remove(file).await {
                tracing::warn!(%file, %error, "a file of a deleted log cannot be deleted");
            }
        }
    }

    /// Notes that background work failed and will be tried again.
    pub(crate) fn failed(&self, error: StorageError) {
        let mut failures = self.failures.borrow_mut();
        *failures = (failures.0.saturating_add(1), Some(error));
        drop(failures);
        self.lane.wake_all();
    }

    /// Notes that background work went well.
    pub(crate) fn succeeded(&self) {
        *self.failures.borrow_mut() = (0, None);
    }

    /// The last failure, once there were `count` in a row.
    pub(crate) fn failure(&self, count: u32) -> Option<StorageError> {
        let failures = self.failures.borrow();
        failures.1.clone().filter(|_| failures.0 >= count)
    }

    /// Bytes of batches that no segment holds.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        let logs = self.logs.borrow();
        logs.values()
            .fold(0, |sum: u64, log| sum.saturating_add(log.bytes_to_flush()))
    }

    /// Bytes held by tails.
    pub(crate) fn tail_bytes(&self) -> u64 {
        let logs = self.logs.borrow();
        logs.values()
            .fold(0, |sum: u64, log| sum.saturating_add(log.tail_bytes()))
    }
}
