//! The ring of one shard: what goes in, what comes out, and the sleep between.
//!
//! Keeps:
//! - the ring is entered by its own thread only (SINGLE_ISSUER), and its deferred work runs only
//!   when we enter with GETEVENTS: `turn` does so until nothing more comes out;
//! - entries wait in the backlog while the submission queue is full, in order;
//! - memory that entries point to lives in the operation table, in an area or in this struct.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine_model::{Moment, Timestamp};
use io_uring::{IoUring, opcode, squeue, types};

use super::area::Areas;
use super::gate::Gate;
use super::{direct, socket};
use crate::buffer::trim_pool;
use crate::counters::Counters;
use crate::descriptor::RawDescriptor;
use crate::listener::ListenOptions;
use crate::op::{Backend, Completion, OpId, Operation};
use crate::shard::Shard;
use crate::system::{Post, SystemCore};
use crate::task::Task;

/// User data of entries that are no operations. Generations of operations would have to reach
/// 2^32 - 1 on a slot that high to collide; slots are bounded far below.
const BELL: u64 = u64::MAX;
const CANCEL: u64 = u64::MAX - 1;
/// IORING_ENTER_GETEVENTS, which the library does not name in its interface.
const ENTER_GETEVENTS: u32 = 1;
/// What a read of an eventfd takes.
const BELL_BYTES: u32 = 8;
/// Where the numbers above begin.
const SPECIAL: u64 = u64::MAX - 15;

/// A parked shard wakes at least this often, so that nothing can be missed for ever and the
/// watchdog sees it turn.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
/// Rounds of enter and reap in one turn; what is left over waits for the tasks woken so far.
const ROUNDS_MAX: usize = 16;

/// How a system call into the ring came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// With or without completions, or without having been made at all.
    Back,
    /// Because the time to sleep was over.
    TimedOut,
}

/// What newer kernels can do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    /// Truncate through the ring: Linux 6.9.
    pub(super) truncate: bool,
    /// Send without copying: Linux 6.1.
    pub(super) send_without_copy: bool,
}

/// What the watchdog may look at from its own thread.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pub(super) turns: AtomicU64,
    pub(super) tasks: AtomicUsize,
    pub(super) operations: AtomicUsize,
    pub(super) ended: AtomicBool,
}

/// See the module's comment.
pub(super) struct Engine {
    ring: RefCell<IoUring>,
    backlog: RefCell<VecDeque<squeue::Entry>>,
    pub(super) areas: RefCell<Areas>,
    /// Results of what was done at once, to be reported from the loop.
    instant: RefCell<VecDeque<(OpId, i32)>>,
    pub(super) core: Arc<SystemCore>,
    pub(super) post: Arc<Post>,
    /// Peers to ring at the end of the turn.
    rings: RefCell<Vec<usize>>,
    pub(super) gate: Gate,
    /// Polls of tasks so far.
    pub(super) polls: Cell<u64>,
    /// Of these, foreground ones, and background ones that were let in.
    pub(super) foreground_polls: Cell<u64>,
    pub(super) background_polls: Cell<u64>,
    pub(super) enters: Cell<u64>,
    pub(super) parks: Cell<u64>,
    pub(super) rescues: Cell<u64>,
    pub(super) last_turn: Cell<Moment>,
    last_trim: Cell<Moment>,
    /// When a task was last polled.
    pub(super) last_poll: Cell<Moment>,
    /// Special entries that will complete.
    specials: Cell<usize>,
    /// What the read of the bell brings; nobody looks at it.
    rung: Box<Cell<u64>>,
    pub(super) finishing: Cell<bool>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) base: Instant,
    pub(super) quantum: Duration,
    pub(super) can: Abilities,
}

/// What an engine is made of.
pub(super) struct Parts {
    pub(super) ring: IoUring,
    pub(super) core: Arc<SystemCore>,
    pub(super) post: Arc<Post>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) base: Instant,
    pub(super) quantum: Duration,
    pub(super) can: Abilities,
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Rc<Self> {
        let Parts {
            ring,
            core,
            post,
            pulse,
            base,
            quantum,
            can,
        } = parts;
        Rc::new(Self {
            ring: RefCell::new(ring),
            backlog: RefCell::default(),
            areas: RefCell::default(),
            instant: RefCell::default(),
            core,
            post,
            rings: RefCell::default(),
            gate: Gate::new(quantum),
            polls: Cell::new(0),
            foreground_polls: Cell::new(0),
            background_polls: Cell::new(0),
            enters: Cell::new(0),
            parks: Cell::new(0),
            rescues: Cell::new(0),
            last_turn: Cell::new(Moment(0)),
            last_trim: Cell::new(Moment(0)),
            last_poll: Cell::new(Moment(0)),
            specials: Cell::new(0),
            rung: Box::default(),
            finishing: Cell::new(false),
            pulse,
            base,
            quantum,
            can,
        })
    }

    pub(super) fn clock(&self) -> Moment {
        Moment(u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Puts an entry into the submission queue, or behind those that wait for room in it.
    pub(super) fn push(&self, entry: squeue::Entry) {
        let mut backlog = self.backlog.borrow_mut();
        if !backlog.is_empty() {
            backlog.push_back(entry);
            return;
        }
        let mut ring = self.ring.borrow_mut();
        // SAFETY: what the entry points to outlives the operation: buffers are in the operation
        // table, the rest in an area or in this struct, all until the last completion.
        if unsafe { ring.submission().push(&entry) }.is_err() {
            backlog.push_back(entry);
        }
    }

    fn push_special(&self, entry: squeue::Entry, data: u64) {
        self.specials.set(self.specials.get().saturating_add(1));
        self.push(entry.user_data(data));
    }

    /// An operation that was done at once: its result is reported from the loop.
    pub(super) fn finish_now(&self, id: OpId, result: i32) {
        self.instant.borrow_mut().push_back((id, result));
    }

    fn refill(&self, ring: &mut IoUring) {
        let mut backlog = self.backlog.borrow_mut();
        let mut queue = ring.submission();
        while let Some(entry) = backlog.pop_front() {
            // SAFETY: as in `push`.
            if unsafe { queue.push(&entry) }.is_err() {
                backlog.push_front(entry);
                break;
            }
        }
    }

    /// Enters the kernel if there is anything to submit or to run there.
    fn enter(&self) {
        let mut ring = self.ring.borrow_mut();
        self.refill(&mut ring);
        let (waiting, work) = {
            let queue = ring.submission();
            (queue.len(), queue.taskrun() || queue.cq_overflow())
        };
        if waiting == 0 && !work {
            return;
        }
        let count = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.enters.set(self.enters.get().wrapping_add(1));
        // SAFETY: no signal set is passed; entries are sound as argued in `push`.
        let entered = unsafe {
            ring.submitter()
                .enter::<libc::sigset_t>(count, 0, ENTER_GETEVENTS, None)
        };
        after_enter(entered);
    }

    /// Submits what there is and waits for a completion, for `duration` at most.
    pub(super) fn sleep(&self, duration: Duration) -> Entered {
        let ring = self.ring.borrow();
        self.enters.set(self.enters.get().wrapping_add(1));
        let timespec = types::Timespec::from(duration);
        let arguments = types::SubmitArgs::new().timespec(&timespec);
        after_enter(ring.submitter().submit_with_args(1, &arguments))
    }

    /// Hands over every completion that is there; returns how many were of operations.
    fn reap(&self, shard: &Shard) -> usize {
        let mut count = 0_usize;
        loop {
            // Taken one by one, since handing one over may run code that submits.
            let next = {
                let mut ring = self.ring.borrow_mut();
                ring.completion()
                    .next()
                    .map(|entry| (entry.user_data(), entry.result(), entry.flags()))
            };
            let Some((data, result, flags)) = next else {
                break;
            };
            if data >= SPECIAL {
                self.special(data, result);
            } else {
                count = count.saturating_add(1);
                self.completed(shard, OpId::from_u64(data), result, flags);
            }
        }
        loop {
            let next = self.instant.borrow_mut().pop_front();
            let Some((id, result)) = next else { break };
            count = count.saturating_add(1);
            shard.complete(id, Completion::last(result));
        }
        count
    }

    fn special(&self, data: u64, result: i32) {
        self.specials.set(self.specials.get().saturating_sub(1));
        if data == BELL && !self.finishing.get() {
            if result < 0 && result != -libc::EINTR && result != -libc::EAGAIN {
                fatal(&std::io::Error::from_raw_os_error(-result));
            }
            self.listen();
        }
    }

    /// Reads the shard's bell, which ends a sleep when a peer rings it.
    ///
    /// No eventfd is registered with the ring: one that is signalled from inside the signal of
    /// another is put off by the kernel for an RCU grace period (20 ms, measured on Linux 6.18)
    /// and, from the second time on, dropped.
    pub(super) fn listen(&self) {
        let Some(bell) = self.post.bell() else { return };
        let room = self.rung.as_ptr().cast::<u8>();
        self.push_special(
            opcode::Read::new(types::Fd(bell.as_raw_fd()), room, BELL_BYTES).build(),
            BELL,
        );
    }

    /// Submits, runs what the kernel has deferred, hands completions over, fires timers, delivers
    /// mail, rings peers. Returns how much happened.
    pub(super) fn turn(&self, shard: &Shard) -> usize {
        let mut happened = 0_usize;
        for _ in 0..ROUNDS_MAX {
            self.enter();
            let reaped = self.reap(shard);
            happened = happened.saturating_add(reaped);
            if reaped == 0 && self.backlog.borrow().is_empty() {
                break;
            }
        }
        let now = self.clock();
        self.last_turn.set(now);
        if now.saturating_since(self.last_trim.get()) >= HEARTBEAT {
            self.last_trim.set(now);
            trim_pool();
        }
        happened = happened.saturating_add(shard.fire_timers(now));
        if shard.deliver_mail() {
            happened = happened.saturating_add(1);
        }
        self.ring_peers();
        let pulse = &*self.pulse;
        pulse.turns.fetch_add(1, Ordering::Relaxed);
        pulse
            .operations
            .store(shard.operations_under_way(), Ordering::Relaxed);
        pulse.tasks.store(shard.tasks.len(), Ordering::Relaxed);
        happened
    }

    /// Wakes the peers that were told something since the last time.
    pub(super) fn ring_peers(&self) {
        let mut rings = self.rings.borrow_mut();
        for index in rings.drain(..) {
            if let Some(post) = self.core.posts.get(index) {
                post.ring_if_asleep();
            }
        }
    }

    /// Nothing waits to be handed over or reaped; entries may wait to be submitted.
    pub(super) fn is_quiet(&self) -> bool {
        if !self.backlog.borrow().is_empty() || !self.instant.borrow().is_empty() {
            return false;
        }
        let mut ring = self.ring.borrow_mut();
        !ring.submission().cq_overflow() && ring.completion().is_empty()
    }

    /// Takes the special entries back, so that nothing in the ring refers to this struct.
    pub(super) fn cancel_specials(&self) {
        self.finishing.set(true);
        self.push_special(opcode::AsyncCancel::new(BELL).build(), CANCEL);
    }

    pub(super) fn specials(&self) -> usize {
        self.specials.get()
    }
}

/// What a system call into the ring says.
fn after_enter(entered: std::io::Result<usize>) -> Entered {
    let Err(error) = entered else {
        return Entered::Back;
    };
    match error.raw_os_error() {
        Some(libc::ETIME) => Entered::TimedOut,
        // Interrupted, or the kernel is short of something for a moment: what was not taken stays
        // in the queue for the next round.
        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => Entered::Back,
        _ => fatal(&error),
    }
}

/// The machinery itself is broken: a stopped broker is safer than one that goes on.
pub(super) fn fatal(error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "io_uring failed; ending the process");
    std::process::abort()
}

/// The engine as the shared layer knows it.
pub(super) struct UringBackend(pub(super) Rc<Engine>);

impl Backend for UringBackend {
    fn submit(&self, id: OpId, operation: &mut Operation) {
        self.0.submit_operation(id, operation);
    }

    fn cancel(&self, id: OpId) {
        self.0
            .push_special(opcode::AsyncCancel::new(id.to_u64()).build(), CANCEL);
    }

    fn close_now(&self, raw: RawDescriptor) {
        direct::close(raw);
    }

    fn spawn(&self, task: Rc<dyn Task>) {
        super::polled::spawn(&self.0, task);
    }

    fn ring(&self, shard: usize) {
        let mut rings = self.0.rings.borrow_mut();
        if !rings.contains(&shard) {
            rings.push(shard);
        }
    }

    fn now(&self) -> Moment {
        self.0.clock()
    }

    fn wall_clock(&self) -> Timestamp {
        direct::wall_clock()
    }

    fn random(&self, bytes: &mut [u8]) {
        direct::random(bytes);
    }

    fn counters(&self) -> Counters {
        let engine = &*self.0;
        Counters {
            turns: engine.pulse.turns.load(Ordering::Relaxed),
            enters: engine.enters.get(),
            polls: engine.polls.get(),
            background_polls: engine.background_polls.get(),
            parks: engine.parks.get(),
            rescues: engine.rescues.get(),
            ..Counters::default()
        }
    }

    fn quantum(&self) -> Duration {
        self.0.quantum
    }

    fn socket(&self, address: std::net::SocketAddr) -> Result<RawDescriptor, i32> {
        socket::stream_socket(address)
    }

    fn listen(
        &self,
        address: std::net::SocketAddr,
        options: ListenOptions,
    ) -> Result<(RawDescriptor, std::net::SocketAddr), i32> {
        socket::listen(address, options)
    }

    fn probe(&self, address: std::net::SocketAddr) -> Result<std::net::SocketAddr, i32> {
        socket::probe_port(address)
    }

    fn tune(&self, raw: RawDescriptor) {
        socket::set_no_delay(raw);
    }

    fn local_address(&self, raw: RawDescriptor) -> Result<std::net::SocketAddr, i32> {
        socket::local_address(raw)
    }
}
