//! The lane: group commit of everything that changes a log of this shard.
//!
//! Entries are copied into the open frame; a frame leaves when none is in flight and most of the
//! appends that are expected are in it (`gather`), or when it holds `frame_bytes_early`; one flush
//! at a time makes what was written durable.
//!
//! Keeps:
//! - a sequence is written once, at one place, within a run;
//! - `durable_sequence <= written_sequence < next_sequence`, and each only grows;
//! - ends are acknowledged in sequence order, and none once the fence is raised;
//! - a half is written again only after the checkpoint that covers it (`free_half`).
//!
//! Does not: decide what an entry means (`partition_log`), or when a half is free (`checkpoint`).
//! Source: the storage design, "Write path" and "Order", 1, 2, 8, 10.

mod files;
mod flush;
mod gather;
mod heartbeat;
mod place;
mod write;

pub(crate) use files::{HalfFile, write_zeros_to};
pub(crate) use place::Put;

use crate::buffer::LaneBuf;
use crate::error::{FenceCause, StorageError};
use crate::fence::FenceSignal;
use crate::format::{FrameBuilder, PayloadRange, padded};
use crate::number::to_u64;
use crate::options::StorageOptions;
use crate::partition_log::PartitionLog;
use bytes::Bytes;
use engine_model::{DirectoryId, Moment, Offset, Timestamp};
use engine_rt::sync::{Notify, Semaphore};
use gather::Gather;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Frames written at the same time.
const DEPTH: usize = 2;

/// Closed frames that wait for their write; with more, appends wait.
const CLOSED_FRAMES_MAX: usize = 16;

/// Part of the lane that may be in use before appends are slowed down, in percent.
const THROTTLE_PERCENT: u64 = 90;

/// What frames of this lane say they belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneIdentity {
    pub(crate) directory: DirectoryId,
    pub(crate) lane: u16,
    pub(crate) run: u64,
}

/// Whether a half may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HalfState {
    /// Nothing in it counts any more.
    Free,
    /// Frames go here.
    Active,
    /// Waits for the checkpoint that covers it.
    Covered,
}

/// An append whose batch lies in the open frame.
struct OpenAppend {
    log: PartitionLog,
    range: PayloadRange,
    crc: u32,
    first: Offset,
    last: Offset,
    max_timestamp: Timestamp,
}

/// Where a log ends once a frame counts.
struct FrameEnd {
    log: PartitionLog,
    end: Offset,
}

/// The frame that takes entries.
struct OpenFrame {
    builder: FrameBuilder<LaneBuf>,
    half: usize,
    position: u64,
    bytes_max: usize,
    appends: Vec<OpenAppend>,
    ends: Vec<FrameEnd>,
    wants_flush: bool,
    /// Holds what nobody is to wait for longer than needed.
    is_urgent: bool,
}

/// A frame that only has to be written.
struct ClosedFrame {
    sequence: u64,
    half: usize,
    position: u64,
    bytes: Bytes,
}

/// A closed frame that is not durable yet.
struct PendingFrame {
    sequence: u64,
    half: usize,
    bytes: u64,
    is_written: bool,
    /// Appends in it.
    appends: usize,
    /// Whether they are announced when it is flushed, not when it is written.
    wants_flush: bool,
    ends: Vec<FrameEnd>,
}

/// A durable frame that tails may still hold slices of.
struct HeldFrame {
    sequence: u64,
    bytes: u64,
    ends: Vec<FrameEnd>,
}

struct State {
    half: usize,
    position: u64,
    halves: [HalfState; 2],
    next_sequence: u64,
    open: Option<OpenFrame>,
    closed: VecDeque<ClosedFrame>,
    pending: VecDeque<PendingFrame>,
    held: VecDeque<HeldFrame>,
    held_bytes: u64,
    in_flight: usize,
    /// A flush is under way.
    is_flushing: bool,
    gather: Gather,
    /// Until when the open frame waits for more.
    gather_until: Option<Moment>,
    written_sequence: u64,
    durable_sequence: u64,
    unflushed_bytes: u64,
    unflushed_since: Moment,
    flush_wanted: u64,
    /// What is left of the memory frames are built in.
    rest: Option<LaneBuf>,
    last_frame: Moment,
    last_carried: u64,
    last_entries: u64,
}

/// The lane of one shard.
pub(crate) struct Lane {
    identity: LaneIdentity,
    options: Rc<StorageOptions>,
    fence: FenceSignal,
    files: [HalfFile; 2],
    state: RefCell<State>,
    /// Something to write may be there.
    work: Notify,
    /// Something to flush may be there.
    flush: Notify,
    /// A frame was closed.
    closed: Notify,
    /// Sequences moved, room was made, or all is over.
    progress: Notify,
    /// Called with the last sequence of a half when it is full, before anything after it.
    on_switch: OnceCell<Box<dyn Fn(u64)>>,
    /// Rung when the fence was raised here.
    alarm: Rc<Notify>,
    /// Changes are refused, frames still leave.
    is_closing: Cell<bool>,
    is_stopping: Cell<bool>,
    is_growing: Cell<bool>,
    /// Held while a half grows.
    growth: Semaphore,
}

/// How a lane stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneFigures {
    pub(crate) last_sequence: u64,
    pub(crate) written_sequence: u64,
    pub(crate) durable_sequence: u64,
    pub(crate) bytes_used: u64,
    pub(crate) bytes: u64,
    pub(crate) held_bytes: u64,
}

impl Lane {
    pub(crate) fn new(
        identity: LaneIdentity,
        options: Rc<StorageOptions>,
        fence: FenceSignal,
        files: [HalfFile; 2],
        alarm: Rc<Notify>,
    ) -> Self {
        Self {
            identity,
            options,
            fence,
            files,
            state: RefCell::new(State {
                half: 0,
                position: 0,
                halves: [HalfState::Active, HalfState::Free],
                next_sequence: 1,
                open: None,
                closed: VecDeque::new(),
                pending: VecDeque::new(),
                held: VecDeque::new(),
                held_bytes: 0,
                in_flight: 0,
                is_flushing: false,
                gather: Gather::default(),
                gather_until: None,
                written_sequence: 0,
                durable_sequence: 0,
                unflushed_bytes: 0,
                unflushed_since: Moment(0),
                flush_wanted: 0,
                rest: None,
                last_frame: Moment(0),
                last_carried: 0,
                last_entries: 0,
            }),
            work: Notify::new(),
            flush: Notify::new(),
            closed: Notify::new(),
            progress: Notify::new(),
            on_switch: OnceCell::new(),
            alarm,
            is_closing: Cell::new(false),
            is_stopping: Cell::new(false),
            is_growing: Cell::new(false),
            growth: Semaphore::new(1),
        }
    }

    /// Sets what is called when a half is full.
    pub(crate) fn set_on_switch(&self, on_switch: Box<dyn Fn(u64)>) {
        let _ = self.on_switch.set(on_switch);
    }

    /// Why nothing may change, if so.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.fence.cause() {
            Some(cause) => Err(StorageError::Fenced(cause.clone())),
            None if self.is_closing.get() => Err(StorageError::Stopped),
            None => Ok(()),
        }
    }

    /// Raises the fence after a failed operation and wakes everybody who waits here.
    fn fail(&self, error: &engine_rt::Error) {
        self.fence.raise(FenceCause {
            operation: error.operation,
            target: std::sync::Arc::clone(&error.target),
            errno: error.errno,
        });
        self.wake_all();
    }

    /// Wakes all tasks and all waiters, who then look at fence and stop mark.
    pub(crate) fn wake_all(&self) {
        self.work.notify_all();
        self.flush.notify_all();
        self.closed.notify_all();
        self.progress.notify_all();
        self.work.notify_one();
        self.flush.notify_one();
        self.closed.notify_one();
        self.alarm.notify_one();
    }

    /// Refuses changes from now on; what was taken still leaves.
    pub(crate) fn close(&self) {
        self.is_closing.set(true);
        self.progress.notify_all();
    }

    /// Ends the tasks of this lane at their next turn; changes are refused from now on.
    pub(crate) fn stop(&self) {
        self.is_closing.set(true);
        self.is_stopping.set(true);
        self.wake_all();
    }

    /// Bytes of the largest frame that can ever be placed with the files as they are.
    pub(crate) fn frame_bytes_max(&self) -> u64 {
        let [a, b] = &self.files;
        let largest = a.ready_bytes().max(b.ready_bytes());
        // A block is the heartbeat's.
        largest.saturating_sub(to_u64(crate::format::BLOCK_BYTES))
    }

    /// Used part of the lane in percent.
    pub(crate) fn fill_percent(&self) -> u64 {
        let state = self.state.borrow();
        let used = self.used(&state);
        used.saturating_mul(100)
            .checked_div(self.bytes())
            .unwrap_or(100)
    }

    /// Whether appends have to be slowed down.
    pub(crate) fn is_crowded(&self) -> bool {
        self.fill_percent() >= THROTTLE_PERCENT
    }

    fn bytes(&self) -> u64 {
        let [a, b] = &self.files;
        a.ready_bytes().saturating_add(b.ready_bytes())
    }

    fn used(&self, state: &State) -> u64 {
        let open = state
            .open
            .as_ref()
            .map_or(0, |open| to_u64(padded(open.builder.bytes())));
        let mut used = state.position.saturating_add(open);
        for (half, file) in state.halves.iter().zip(&self.files) {
            if *half == HalfState::Covered {
                used = used.saturating_add(file.ready_bytes());
            }
        }
        used
    }

    /// Whether a checkpoint may begin: the other half is free.
    pub(crate) fn can_switch(&self) -> bool {
        self.state.borrow().halves.contains(&HalfState::Free)
    }

    /// Says that a checkpoint covers the half that is not active.
    pub(crate) fn free_half(&self) {
        for half in &mut self.state.borrow_mut().halves {
            if *half == HalfState::Covered {
                *half = HalfState::Free;
            }
        }
        self.progress.notify_all();
    }

    /// Whether a frame takes entries.
    pub(crate) fn has_open(&self) -> bool {
        self.state.borrow().open.is_some()
    }

    /// The last sequence given to a frame; the open one has none yet.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.state.borrow().next_sequence.saturating_sub(1)
    }

    /// All frames up to this are flushed.
    pub(crate) fn durable_sequence(&self) -> u64 {
        self.state.borrow().durable_sequence
    }

    /// Waits until all frames up to `sequence` are flushed, which it asks for.
    ///
    /// Cancel: safe.
    pub(crate) async fn wait_durable(&self, sequence: u64) -> Result<(), StorageError> {
        {
            let mut state = self.state.borrow_mut();
            state.flush_wanted = state.flush_wanted.max(sequence);
        }
        self.flush.notify_one();
        loop {
            let progress = self.progress.notified();
            if self.durable_sequence() >= sequence {
                return Ok(());
            }
            if let Some(cause) = self.fence.cause() {
                return Err(StorageError::Fenced(cause.clone()));
            }
            progress.await;
        }
    }

    /// Waits for anything to move: room, sequences, the fence.
    pub(crate) async fn progress(&self) {
        self.progress.notified().await;
    }

    /// Takes the ends of `log` that wait for their frames down to `cut`.
    pub(crate) fn clip(&self, log: &PartitionLog, cut: Offset) {
        let mut state = self.state.borrow_mut();
        debug_assert!(
            state
                .open
                .as_ref()
                .is_none_or(|open| open.ends.iter().all(|end| !end.log.is(log))),
            "the open frame was closed before a cut"
        );
        for frame in &mut state.pending {
            for end in frame.ends.iter_mut().filter(|end| end.log.is(log)) {
                end.end = end.end.min(cut);
            }
        }
    }

    /// Lets go of cached frames up to `sequence` until at most `bytes_max` are held.
    pub(crate) fn evict(&self, sequence: u64, bytes_max: u64) {
        loop {
            let frame = {
                let mut state = self.state.borrow_mut();
                if state.held_bytes <= bytes_max {
                    return;
                }
                match state.held.pop_front_if(|frame| frame.sequence <= sequence) {
                    Some(frame) => {
                        state.held_bytes = state.held_bytes.saturating_sub(frame.bytes);
                        frame
                    }
                    None => return,
                }
            };
            for end in &frame.ends {
                end.log.evict(frame.sequence);
            }
        }
    }

    /// Figures for metrics.
    pub(crate) fn figures(&self) -> LaneFigures {
        let state = self.state.borrow();
        LaneFigures {
            last_sequence: state.next_sequence.saturating_sub(1),
            written_sequence: state.written_sequence,
            durable_sequence: state.durable_sequence,
            bytes_used: self.used(&state),
            bytes: self.bytes(),
            held_bytes: state.held_bytes,
        }
    }

    fn file(&self, half: usize) -> &HalfFile {
        let [a, b] = &self.files;
        if half == 0 { a } else { b }
    }
}
