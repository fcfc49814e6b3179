//! One replica of one partition: its state and what it keeps.
//!
//! Keeps:
//! - `log_start_offset <= stable_end <= log_end_offset` and `stable_end`, `written_end` fall only by
//!   truncation;
//! - every change is a lane entry, placed before the state shows it, in the order of the changes;
//! - nothing awaits between the first check of an append and its place in the open frame.
//!
//! Does not: decide who leads, what is committed (`replication_*`), or who may write.
//! Source: the storage design, "Write path" and "When an append is acknowledged".

mod append;
mod append_as_follower;
mod capture;
mod compact;
mod epoch;
mod flush;
mod lookup;
mod read;
mod retention;
mod truncate;
mod validate;

pub(crate) use append::noted;
pub(crate) use capture::LogCapture;
pub(crate) use compact::CompactionView;
pub(crate) use truncate::{cut_segments, replace_segments};
pub(crate) use validate::decompressed_bytes_max;

use crate::config::{Durability, LogConfig};
use crate::epochs::LeaderEpochs;
use crate::error::{FenceCause, OfflineReason, StorageError};
use crate::format::{FileId, SegmentImage};
use crate::producers::Producers;
use crate::segment::SegmentWriter;
use crate::store_core::StoreCore;
use crate::tail::{Tail, TailBatch};
use bytes::Bytes;
use core::time::Duration;
use engine_model::planted::{self, Bug};
use engine_model::{LeaderEpoch, LogId, Offset, Timestamp, TopicId, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

/// Whose records an append carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's: control batches, delete horizons and transactions are refused.
    Client,
    /// Our own: coordinators, the controller, markers.
    Internal,
}

/// How records are appended by a leader.
#[derive(Clone, Copy, Debug)]
pub struct AppendOptions {
    /// The epoch the caller leads in; it must be the one begun last.
    pub leader_epoch: LeaderEpoch,
    /// The wall clock, for `LogAppendTime` and the bounds on record times.
    pub now: Timestamp,
    /// Whose records they are.
    pub origin: Origin,
}

/// Where appended records went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record; stable once `stable_end` is above it.
    pub last_offset: Offset,
    /// The stamped time of a `LogAppendTime` log, else [`Timestamp::NONE`].
    pub log_append_time: Timestamp,
    /// Start of the log at that moment.
    pub log_start_offset: Offset,
    /// The batch was in the log already; the offsets are the original's, which may not be
    /// stable yet.
    pub duplicate: bool,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// First offset wanted; a batch that holds it is returned whole.
    pub offset: Offset,
    /// Exclusive bound: only batches wholly below it are returned.
    pub end: Offset,
    /// Whole batches up to this many bytes.
    pub bytes_max: usize,
    /// Return the first batch even if it alone is above `bytes_max`.
    pub at_least_one: bool,
}

/// Whole batches, in order, as slices of the buffers they lie in.
#[derive(Clone, Debug, Default)]
pub struct ReadAnswer {
    /// The slices.
    pub chunks: Vec<Bytes>,
    /// Their bytes together.
    pub bytes: usize,
    /// The offset after the last batch, or the one asked for if there is none.
    pub next_offset: Offset,
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its time.
    pub timestamp: Timestamp,
    /// The leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

/// Whether a log serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogState {
    /// It does.
    Online,
    /// It does not.
    Offline(OfflineReason),
}

/// What a listener is told when waiting for an end has become pointless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFailure {
    /// Records at and above the offset are gone.
    Truncated(Offset),
    /// The data directory takes no changes.
    Fenced(FenceCause),
    /// The log is being deleted.
    Deleted,
}

/// Is told about a log's ends. Called synchronously: must be short and must not append.
pub trait LogListener {
    /// `stable_end`, `written_end` or `log_start_offset` moved up.
    fn ends_moved(&self);
    /// Waiting at or above an offset has failed.
    fn failed(&self, failure: LogFailure);
    /// The high watermark, which retention and compaction stay below; `None` for a log that is
    /// nobody's replica, of which everything stable counts as committed.
    fn committed_end(&self) -> Option<Offset> {
        None
    }
}

/// Producer state as of an offset, for truncations; as many are kept as manifests count.
const PRODUCER_SNAPSHOTS_MAX: usize = 2;

/// One replica of one partition on this shard. Cheap to clone.
#[derive(Clone)]
pub struct PartitionLog {
    inner: Rc<Inner>,
}

struct Inner {
    id: LogId,
    partition: TopicPartition,
    core: Weak<StoreCore>,
    log_start: Cell<Offset>,
    log_end: Cell<Offset>,
    written_end: Cell<Offset>,
    durable_end: Cell<Offset>,
    /// Transactional batches and markers that are not durable yet, as first offset and end: they
    /// are stable only when flushed, whatever the class.
    must_flush: RefCell<VecDeque<(Offset, Offset)>>,
    /// Never falls but by truncation, even if the class becomes stricter.
    stable_end: Cell<Offset>,
    offline: Cell<Option<OfflineReason>>,
    tail_flush_bytes: u64,
    /// Reads under way; files they may need are not unlinked.
    readers: Cell<usize>,
    /// Sequence of the open frame that holds an end of this log, and its place there.
    touched: Cell<(u64, usize)>,
    /// Where the last read from segments ended: a read that begins there is sequential.
    read_to: Cell<Offset>,
    listener: RefCell<Option<Rc<dyn LogListener>>>,
    config: RefCell<Rc<LogConfig>>,
    /// Whether those are its own; until its owner sets them they are the defaults.
    is_configured: Cell<bool>,
    state: RefCell<State>,
}

/// What changes with appends and flushes.
struct State {
    generation: u32,
    epochs: Rc<LeaderEpochs>,
    producers: Rc<Producers>,
    /// Producer state as of manifests, oldest first.
    snapshots: VecDeque<(Offset, Rc<Producers>)>,
    /// Appends wait while producer state is read from the log.
    is_rebuilding: bool,
    tail: Tail,
    /// Bytes of the tail that no extent holds.
    unflushed_bytes: u64,
    /// Waits in the store's flush queue.
    is_queued: bool,
    /// All segments as written; the last may have a writer.
    segments: Rc<Vec<SegmentImage>>,
    /// The segments as the newest durable manifest names them.
    named: Rc<Vec<SegmentImage>>,
    writer: Option<SegmentWriter>,
    /// Batches below are in extents.
    flush_end: Offset,
    /// Batches below are in extents that the newest durable manifest names.
    named_end: Offset,
}

/// What a log is made of at start.
pub(crate) struct LogParts {
    pub(crate) id: LogId,
    pub(crate) partition: TopicPartition,
    pub(crate) generation: u32,
    pub(crate) log_start: Offset,
    pub(crate) log_end: Offset,
    pub(crate) segments: Vec<SegmentImage>,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
    pub(crate) offline: Option<OfflineReason>,
    pub(crate) config: LogConfig,
    pub(crate) is_configured: bool,
}

/// Counts a reader while it lives.
pub(crate) struct Reader {
    log: PartitionLog,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let readers = &self.log.inner.readers;
        readers.set(readers.get().saturating_sub(1));
    }
}

impl PartitionLog {
    pub(crate) fn new(core: &Rc<StoreCore>, parts: LogParts) -> Self {
        let producers = Rc::new(parts.producers);
        let segments = Rc::new(parts.segments);
        Self {
            inner: Rc::new(Inner {
                id: parts.id,
                partition: parts.partition,
                core: Rc::downgrade(core),
                log_start: Cell::new(parts.log_start),
                log_end: Cell::new(parts.log_end),
                written_end: Cell::new(parts.log_end),
                durable_end: Cell::new(parts.log_end),
                stable_end: Cell::new(parts.log_end),
                must_flush: RefCell::new(VecDeque::new()),
                offline: Cell::new(parts.offline),
                tail_flush_bytes: core.options().tail_flush_bytes,
                readers: Cell::new(0),
                touched: Cell::new((0, 0)),
                read_to: Cell::new(Offset::NONE),
                listener: RefCell::new(None),
                config: RefCell::new(Rc::new(parts.config)),
                is_configured: Cell::new(parts.is_configured),
                state: RefCell::new(State {
                    generation: parts.generation,
                    epochs: Rc::new(parts.epochs),
                    snapshots: VecDeque::from([(parts.log_end, Rc::clone(&producers))]),
                    producers,
                    is_rebuilding: false,
                    tail: Tail::default(),
                    unflushed_bytes: 0,
                    is_queued: false,
                    named: Rc::clone(&segments),
                    segments,
                    writer: None,
                    flush_end: parts.log_end,
                    named_end: parts.log_end,
                }),
            }),
        }
    }

    /// Identity of this replica's log on this node.
    pub fn id(&self) -> LogId {
        self.inner.id
    }

    /// The partition.
    pub fn partition(&self) -> TopicPartition {
        self.inner.partition
    }

    /// Whether it serves.
    pub fn state(&self) -> LogState {
        match self.inner.offline.get() {
            Some(reason) => LogState::Offline(reason),
            None => LogState::Online,
        }
    }

    /// First offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        self.inner.log_start.get()
    }

    /// The offset the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        self.inner.log_end.get()
    }

    /// End of what survives as the log's durability promises; never below `log_start_offset`.
    pub fn stable_end(&self) -> Offset {
        self.inner.stable_end.get()
    }

    /// End of what may be deleted or compacted: what is committed, as far as it is stable here.
    pub(crate) fn committed_end(&self) -> Offset {
        let committed = self
            .listener()
            .and_then(|listener| listener.committed_end());
        let stable = self.stable_end();
        committed.map_or(stable, |committed| committed.min(stable))
    }

    /// End of what survives a process kill.
    pub fn written_end(&self) -> Offset {
        self.inner.written_end.get()
    }

    /// The settings in force.
    pub fn config(&self) -> LogConfig {
        LogConfig::clone(&self.inner.config.borrow())
    }

    /// Puts settings in force. Returns once the lane can hold a batch of `max_message_bytes`.
    ///
    /// Cancel: safe; the settings are in force or they are not.
    pub async fn set_config(&self, config: LogConfig) -> Result<(), StorageError> {
        let core = self.core()?;
        core.grow_lane_for(u64::from(config.max_message_bytes))
            .await?;
        *self.inner.config.borrow_mut() = Rc::new(config);
        self.settle();
        // The first settings after a start are not news; all logs are looked at later.
        if self.inner.is_configured.replace(true) {
            core.retention.add(self.id());
            core.upkeep.notify_one();
        }
        Ok(())
    }

    /// Sets who is told about the ends.
    pub fn set_listener(&self, listener: Rc<dyn LogListener>) {
        *self.inner.listener.borrow_mut() = Some(listener);
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn core(&self) -> Result<Rc<StoreCore>, StorageError> {
        self.inner.core.upgrade().ok_or(StorageError::Stopped)
    }

    /// Whether its partition could not be read: such a log is only kept for repair.
    pub(crate) fn is_nameless(&self) -> bool {
        self.inner.partition.topic_id == TopicId::ZERO
    }

    /// Refuses an offline log.
    pub(crate) fn check_online(&self) -> Result<(), StorageError> {
        match self.inner.offline.get() {
            Some(reason) => Err(StorageError::Offline(reason)),
            None => Ok(()),
        }
    }

    pub(crate) fn reader(&self) -> Reader {
        self.inner
            .readers
            .set(self.inner.readers.get().saturating_add(1));
        Reader { log: self.clone() }
    }

    pub(crate) fn has_readers(&self) -> bool {
        self.inner.readers.get() > 0
    }

    /// Its place among the ends of the open frame, if that is the frame of `sequence`.
    pub(crate) fn touched(&self, sequence: u64) -> Option<usize> {
        let (touched, index) = self.inner.touched.get();
        (touched == sequence).then_some(index)
    }

    pub(crate) fn set_touched(&self, sequence: u64, index: usize) {
        self.inner.touched.set((sequence, index));
    }

    /// Takes a batch whose frame was closed.
    pub(crate) fn push_tail(&self, batch: TailBatch) {
        let is_large = {
            let mut state = self.inner.state.borrow_mut();
            state.unflushed_bytes = state.unflushed_bytes.saturating_add(batch.len());
            state.tail.push(batch);
            let is_large = state.unflushed_bytes >= self.inner.tail_flush_bytes;
            is_large && !std::mem::replace(&mut state.is_queued, is_large)
        };
        if is_large && let Ok(core) = self.core() {
            core.queue_flush(self);
        }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.inner.state.borrow().generation
    }

    /// End of the batches that are in closed frames.
    pub(crate) fn sealed_end(&self) -> Offset {
        let state = self.inner.state.borrow();
        state.tail.end_offset().unwrap_or(state.flush_end)
    }

    /// Puts the log on the flush queue, if it is not there.
    pub(crate) fn requeue(&self, core: &StoreCore) {
        let was_queued = std::mem::replace(&mut self.inner.state.borrow_mut().is_queued, true);
        if !was_queued {
            core.queue_flush(self);
        }
    }

    /// Forgets producers that were silent for too long.
    pub(crate) fn expire_producers(&self, now: Timestamp) {
        let expiration_ms = self.inner.config.borrow().producer_id_expiration_ms;
        let expiration = Duration::from_millis(u64::try_from(expiration_ms).unwrap_or(0));
        let mut state = self.inner.state.borrow_mut();
        if !state.producers.is_empty() {
            Rc::make_mut(&mut state.producers).expire(now, expiration);
        }
    }

    /// Its segments as the newest durable manifest names them.
    pub(crate) fn named_segments(&self) -> Rc<Vec<SegmentImage>> {
        Rc::clone(&self.inner.state.borrow().named)
    }

    /// Whether the file is one of its segments still.
    pub(crate) fn names_segment(&self, file: FileId) -> bool {
        let state = self.inner.state.borrow();
        let is_online = !matches!(
            self.inner.offline.get(),
            Some(OfflineReason::Deleted | OfflineReason::Stopped)
        );
        is_online && state.segments.iter().any(|segment| segment.file == file)
    }

    /// Files of all its segments, none of which is open for writing any more: an open file would
    /// keep its space.
    pub(crate) fn give_up_files(&self) -> Vec<FileId> {
        let mut state = self.inner.state.borrow_mut();
        state.writer = None;
        state.segments.iter().map(|segment| segment.file).collect()
    }

    /// Takes the log off the flush queue; whether it still has enough to be flushed.
    pub(crate) fn unqueue(&self) -> bool {
        let mut state = self.inner.state.borrow_mut();
        state.is_queued = false;
        state.unflushed_bytes >= self.inner.tail_flush_bytes
    }

    /// Lets go of cached batches in frames up to `sequence`.
    pub(crate) fn evict(&self, sequence: u64) {
        let mut state = self.inner.state.borrow_mut();
        let end = state.named_end;
        state.tail.evict(end, sequence);
    }

    /// Bytes of the disk that its next flushes take at most.
    pub(crate) fn bytes_to_flush(&self) -> u64 {
        let bytes = self.inner.state.borrow().unflushed_bytes;
        // An extent is padded to whole blocks, and a block of the index may follow.
        let block = crate::number::to_u64(crate::format::BLOCK_BYTES);
        if bytes == 0 {
            0
        } else {
            bytes.saturating_add(block.saturating_mul(2))
        }
    }

    /// Bytes in memory.
    pub(crate) fn tail_bytes(&self) -> u64 {
        self.inner.state.borrow().tail.bytes()
    }

    /// Everything below `end` is written.
    pub(crate) fn written_to(&self, end: Offset) {
        let cell = &self.inner.written_end;
        if end > cell.get() && end <= self.inner.log_end.get() {
            cell.set(end);
            self.settle();
            self.notify_moved();
        }
    }

    /// Everything below `end` is flushed.
    pub(crate) fn durable_to(&self, end: Offset) {
        let cell = &self.inner.durable_end;
        if end > cell.get() && end <= self.inner.log_end.get() {
            cell.set(end);
            let before = self.inner.stable_end.get();
            self.settle();
            if self.inner.stable_end.get() != before {
                self.notify_moved();
            }
        }
    }

    /// Lets the stable end follow what the class asks for.
    fn settle(&self) {
        let durable = self.inner.durable_end.get();
        let end = match self.inner.config.borrow().durability {
            Durability::Written => {
                let mut must_flush = self.inner.must_flush.borrow_mut();
                while must_flush
                    .pop_front_if(|(_, end)| *end <= durable)
                    .is_some()
                {}
                let written = self.inner.written_end.get();
                must_flush
                    .front()
                    .map_or(written, |(first, _)| written.min(*first))
            }
            Durability::Fsync => durable,
        };
        let end = if planted::is(Bug::AckBeforeFlush) {
            self.inner.written_end.get()
        } else {
            end
        };
        if end > self.inner.stable_end.get() {
            self.inner.stable_end.set(end);
        }
    }

    /// Notes a batch that is stable only when flushed, whatever the class.
    fn must_flush(&self, first: Offset, end: Offset) {
        if self.inner.config.borrow().durability == Durability::Written {
            self.inner.must_flush.borrow_mut().push_back((first, end));
        }
    }

    fn listener(&self) -> Option<Rc<dyn LogListener>> {
        self.inner.listener.borrow().clone()
    }

    fn notify_moved(&self) {
        if let Some(listener) = self.listener() {
            listener.ends_moved();
        }
    }

    /// Tells the listener that waiting is over.
    pub(crate) fn notify_failed(&self, failure: LogFailure) {
        if let Some(listener) = self.listener() {
            listener.failed(failure);
        }
    }

    /// Serves nothing from now on; the first reason stays.
    pub(crate) fn go_offline(&self, reason: OfflineReason) {
        if self.inner.offline.get().is_none() {
            self.inner.offline.set(Some(reason));
        }
    }
}

impl std::fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionLog")
            .field("id", &self.inner.id)
            .field("partition", &self.inner.partition)
            .field("log_start", &self.inner.log_start.get())
            .field("stable_end", &self.inner.stable_end.get())
            .field("log_end", &self.inner.log_end.get())
            .finish_non_exhaustive()
    }
}
