//! Everything a simulation consists of, and the one step that moves it on.
//!
//! A step: carry out what is due on the calendar, fire timers, deliver mail, poll one ready task.
//! When no task is ready the clock jumps to whatever comes next.
//!
//! Keeps:
//! - every choice is drawn from one seed, in an order that only the seed decides;
//! - nothing here is borrowed while a task runs or is dropped;
//! - a node at its crash point is frozen: none of its tasks is polled, none of its operations
//!   completes, until it is crashed.

mod crash;
mod stall;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine_model::Moment;

use super::disk::Disk;
use super::executor::Executor;
use super::kernel::{Kernel, Progress, Surroundings};
use super::network::{Network, SocketNumber};
use super::random::SeededRandom;
use crate::descriptor::RawDescriptor;
use crate::op::{Completion, OpId, Operation};
use crate::shard::Shard;
use crate::task::JoinHandle;

/// Number of a started shard, never used twice in a simulation.
pub(super) type ShardKey = usize;

/// What a look at the clock costs, so that loops which wait for time to pass end.
const CLOCK_READ_NS: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Carry out an operation; the number is the disk's mark when it was requested.
    Perform(ShardKey, OpId, u64),
    /// Try again what waits for a socket.
    Touch(SocketNumber),
    /// Let a shard look at its mail.
    Mail(ShardKey),
    /// Let the tasks of a node run again.
    Resume(usize),
}

/// An entry of the calendar. Those of one moment come in drawn order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: u64,
    tie: u64,
    what: What,
}

struct Running {
    node: usize,
    shard: Rc<Shard>,
    main: JoinHandle<()>,
    /// Its main has returned; it goes when its last operation has completed.
    is_ending: bool,
    mail_on_its_way: bool,
}

struct Node {
    shards: usize,
    kernel: Kernel,
    frozen: bool,
    /// Operations that came due while the node was frozen, each with its mark.
    interrupted: Vec<(ShardKey, OpId, u64)>,
    /// None of its tasks is polled before this moment; the system below it works on.
    paused_until: u64,
    /// Tasks that became ready in the pause.
    paused: Vec<Waker>,
    /// How far its wall clock is off, in milliseconds.
    wall_clock_error_ms: i64,
}

impl Node {
    fn new(shards: usize, kernel: Kernel) -> Self {
        Self {
            shards,
            kernel,
            frozen: false,
            interrupted: Vec::new(),
            paused_until: 0,
            paused: Vec::new(),
            wall_clock_error_ms: 0,
        }
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stepped {
    /// Something ran, or time passed.
    Moved,
    /// The limit came before anything else.
    Limit,
    /// Nothing will ever happen again by itself.
    Idle,
    /// A node reached its crash point.
    CrashPoint,
}

pub(super) struct World {
    clock: Cell<u64>,
    pub(super) random: RefCell<SeededRandom>,
    calendar: RefCell<BinaryHeap<Reverse<Event>>>,
    pub(super) executor: Executor,
    nodes: RefCell<Vec<Node>>,
    shards: RefCell<BTreeMap<ShardKey, Running>>,
    shards_started: Cell<usize>,
    network: RefCell<Network>,
    /// Operations that wait for a socket, in the order of their coming.
    waiting: RefCell<BTreeMap<SocketNumber, Vec<(ShardKey, OpId)>>>,
    cancelled: RefCell<BTreeSet<(ShardKey, OpId)>>,
    struck: Cell<bool>,
    trace: Cell<u64>,
    panicked: RefCell<Option<String>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            clock: Cell::new(0),
            random: RefCell::new(SeededRandom::new(seed)),
            calendar: RefCell::default(),
            executor: Executor::default(),
            nodes: RefCell::default(),
            shards: RefCell::default(),
            shards_started: Cell::new(0),
            network: RefCell::default(),
            waiting: RefCell::default(),
            cancelled: RefCell::default(),
            struck: Cell::new(false),
            trace: Cell::new(seed),
            panicked: RefCell::default(),
        }
    }

    // --- time and trace ---

    pub(super) fn clock(&self) -> u64 {
        self.clock.get()
    }

    /// The time, which its reading moves on a little.
    pub(super) fn tick(&self) -> u64 {
        let now = self.clock.get() + CLOCK_READ_NS;
        self.clock.set(now);
        now
    }

    pub(super) fn advance_to(&self, at: u64) {
        self.clock.set(self.clock.get().max(at));
    }

    fn note(&self, word: u64) {
        let mixed = (self.trace.get() ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.trace.set(mixed ^ (mixed >> 29));
    }

    pub(super) fn trace(&self) -> u64 {
        self.trace.get()
    }

    pub(super) fn take_panic(&self) -> Option<String> {
        self.panicked.borrow_mut().take()
    }

    // --- nodes ---

    pub(super) fn add_node(&self, shards: usize, disk: Disk) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        let index = nodes.len();
        nodes.push(Node::new(shards, Kernel::new(index, disk)));
        index
    }

    pub(super) fn shards_of(&self, node: usize) -> usize {
        self.nodes.borrow().get(node).map_or(0, |node| node.shards)
    }

    pub(super) fn set_shards(&self, node: usize, shards: usize) {
        if let Some(node) = self.nodes.borrow_mut().get_mut(node) {
            node.shards = shards;
        }
    }

    /// Acts on the system below a node. Nodes are named by handles this simulation gave out.
    pub(super) fn with_kernel<R>(
        &self,
        node: usize,
        act: impl FnOnce(&mut Kernel, &mut Surroundings<'_>) -> R,
    ) -> R {
        let mut nodes = self.nodes.borrow_mut();
        let mut network = self.network.borrow_mut();
        let mut random = self.random.borrow_mut();
        let mut around = Surroundings {
            network: &mut network,
            random: &mut random,
            now: self.clock.get(),
        };
        let node = nodes.get_mut(node);
        assert!(node.is_some(), "a node of another simulation");
        match node {
            Some(node) => act(&mut node.kernel, &mut around),
            // Not reachable after the assertion.
            None => std::process::abort(),
        }
    }

    pub(super) fn is_running(&self, node: usize) -> bool {
        self.shards
            .borrow()
            .values()
            .any(|running| running.node == node)
    }

    pub(super) fn next_key(&self) -> ShardKey {
        self.shards_started.set(self.shards_started.get() + 1);
        self.shards_started.get()
    }

    pub(super) fn add_shard(
        &self,
        key: ShardKey,
        node: usize,
        shard: Rc<Shard>,
        main: JoinHandle<()>,
    ) {
        let running = Running {
            node,
            shard,
            main,
            is_ending: false,
            mail_on_its_way: false,
        };
        self.shards.borrow_mut().insert(key, running);
    }

    fn shard(&self, key: ShardKey) -> Option<Rc<Shard>> {
        self.shards
            .borrow()
            .get(&key)
            .map(|running| Rc::clone(&running.shard))
    }

    /// The node of a shard, if it is up and not frozen.
    fn live_node(&self, key: ShardKey) -> Option<usize> {
        let node = self.shards.borrow().get(&key)?.node;
        let frozen = self.nodes.borrow().get(node).is_none_or(|node| node.frozen);
        (!frozen).then_some(node)
    }

    /// The first node at its crash point.
    pub(super) fn frozen_node(&self) -> Option<usize> {
        self.nodes.borrow().iter().position(|node| node.frozen)
    }

    // --- the seam ---

    fn schedule(&self, at: u64, what: What) {
        let tie = self.random.borrow_mut().next_u64();
        self.calendar
            .borrow_mut()
            .push(Reverse(Event { at, tie, what }));
    }

    pub(super) fn submit(&self, key: ShardKey, node: usize, id: OpId, operation: &Operation) {
        let mark = match operation {
            Operation::Sync { .. } => self.with_kernel(node, |kernel, _| kernel.disk.mark()),
            _ => 0,
        };
        let extra = self.with_kernel(node, |kernel, _| kernel.hold_up(operation));
        let delay = latency(operation, &mut self.random.borrow_mut()).saturating_add(extra);
        self.schedule(self.clock.get() + delay, What::Perform(key, id, mark));
    }

    pub(super) fn cancel(&self, key: ShardKey, id: OpId) {
        self.cancelled.borrow_mut().insert((key, id));
        let waits = self.waiting.borrow_mut().values_mut().any(|list| {
            let place = list.iter().position(|waiting| *waiting == (key, id));
            place.is_some_and(|place| {
                list.remove(place);
                true
            })
        });
        if waits {
            self.schedule(self.clock.get(), What::Perform(key, id, 0));
        }
    }

    pub(super) fn close_now(&self, node: usize, raw: RawDescriptor) {
        self.with_kernel(node, |kernel, around| {
            // After a crash the descriptor is gone already.
            let _ = kernel.close(raw, around);
        });
        self.schedule_touched();
    }

    fn schedule_touched(&self) {
        let mut network = self.network.borrow_mut();
        let mut calendar = self.calendar.borrow_mut();
        let mut random = self.random.borrow_mut();
        for (at, socket) in network.take_touched() {
            let at = at.max(self.clock.get());
            let tie = random.next_u64();
            calendar.push(Reverse(Event {
                at,
                tie,
                what: What::Touch(socket),
            }));
        }
    }

    fn perform(&self, key: ShardKey, id: OpId, mark: u64) {
        let Some(shard) = self.shard(key) else {
            return;
        };
        let Some(node) = self.live_node(key) else {
            if let Some(node) = self.shards.borrow().get(&key).map(|running| running.node)
                && let Some(node) = self.nodes.borrow_mut().get_mut(node)
            {
                node.interrupted.push((key, id, mark));
            }
            return;
        };
        let performed = shard.with_operation(id, |operation| {
            self.with_kernel(node, |kernel, around| {
                if kernel.mutates(operation) && kernel.faults.reaches_crash_point() {
                    return None;
                }
                Some((operation.verb(), kernel.perform(operation, mark, around)))
            })
        });
        self.schedule_touched();
        let is_cancelled = self.cancelled.borrow_mut().remove(&(key, id));
        match performed {
            None => {}
            Some(None) => {
                if let Some(node) = self.nodes.borrow_mut().get_mut(node) {
                    node.frozen = true;
                    node.interrupted.push((key, id, mark));
                }
                self.struck.set(true);
            }
            Some(Some((_, Progress::Wait(socket)))) if !is_cancelled => {
                let mut waiting = self.waiting.borrow_mut();
                waiting.entry(socket).or_default().push((key, id));
            }
            Some(Some((verb, progress))) => {
                let result = match progress {
                    Progress::Done(result) => result,
                    Progress::Wait(_) => -libc::ECANCELED,
                };
                self.note(self.clock.get());
                self.note(u64::from(verb.as_bytes().first().copied().unwrap_or(0)));
                self.note(u64::from(result.unsigned_abs()));
                let _entered = shard.enter();
                shard.complete(id, Completion::last(result));
                self.end_if_done(key, &shard);
            }
        }
    }

    fn touch(&self, socket: SocketNumber) {
        let waiting = self.waiting.borrow_mut().remove(&socket);
        for (key, id) in waiting.into_iter().flatten() {
            self.perform(key, id, 0);
        }
    }

    // --- running ---

    /// Moves on by one poll, or to the next moment at which there is something to do.
    pub(super) fn step(&self, limit: u64) -> Stepped {
        loop {
            self.run_calendar();
            if self.struck.replace(false) {
                return Stepped::CrashPoint;
            }
            self.fire_timers();
            self.collect_mail();
            let picked = self.executor.pick(&mut self.random.borrow_mut());
            if let Some(picked) = picked {
                let Some(node) = self.live_node(picked.shard) else {
                    continue;
                };
                if self.keep_if_paused(node, &picked.waker) {
                    continue;
                }
                if self.clock.get() >= limit {
                    // Not lost: it is polled when time may go on.
                    picked.waker.wake();
                    return Stepped::Limit;
                }
                self.poll(&picked);
                return Stepped::Moved;
            }
            let Some(next) = self.next_moment() else {
                return Stepped::Idle;
            };
            if next > limit {
                self.advance_to(limit);
                return Stepped::Limit;
            }
            self.advance_to(next);
        }
    }

    fn run_calendar(&self) {
        loop {
            let event = {
                let mut calendar = self.calendar.borrow_mut();
                match calendar.peek() {
                    Some(Reverse(event)) if event.at <= self.clock.get() && !self.struck.get() => {
                        calendar.pop()
                    }
                    _ => None,
                }
            };
            match event {
                None => return,
                Some(Reverse(event)) => match event.what {
                    What::Perform(key, id, mark) => self.perform(key, id, mark),
                    What::Touch(socket) => self.touch(socket),
                    What::Mail(key) => self.deliver_mail(key),
                    What::Resume(node) => self.resume(node),
                },
            }
        }
    }

    fn fire_timers(&self) {
        let now = Moment(self.clock.get());
        let due: Vec<Rc<Shard>> = self
            .shards
            .borrow()
            .values()
            .filter(|running| running.shard.next_timer().is_some_and(|at| at <= now))
            .map(|running| Rc::clone(&running.shard))
            .collect();
        for shard in due {
            let _entered = shard.enter();
            shard.fire_timers(now);
        }
    }

    /// Puts the mail of every shard that has some on the calendar.
    fn collect_mail(&self) {
        for (key, running) in self.shards.borrow_mut().iter_mut() {
            let is_pending = running.shard.post().is_some_and(|post| post.is_pending());
            if is_pending && !running.mail_on_its_way {
                running.mail_on_its_way = true;
                let delay = self.random.borrow_mut().between(500, 40_000);
                self.schedule(self.clock.get() + delay, What::Mail(*key));
            }
        }
    }

    fn deliver_mail(&self, key: ShardKey) {
        if let Some(running) = self.shards.borrow_mut().get_mut(&key) {
            running.mail_on_its_way = false;
        }
        if let Some(shard) = self.shard(key) {
            let _entered = shard.enter();
            shard.deliver_mail();
        }
    }

    fn next_moment(&self) -> Option<u64> {
        let event = self.calendar.borrow().peek().map(|Reverse(event)| event.at);
        let shards = self.shards.borrow();
        let nodes = self.nodes.borrow();
        let timer = shards
            .values()
            .filter(|running| nodes.get(running.node).is_some_and(|node| !node.frozen))
            .filter_map(|running| running.shard.next_timer())
            .map(|moment| moment.0)
            .min();
        event.into_iter().chain(timer).min()
    }

    fn poll(&self, picked: &super::executor::Picked) {
        let Some(shard) = self.shard(picked.shard) else {
            self.executor.remove(picked.index);
            return;
        };
        self.note(self.clock.get());
        self.note(u64::try_from(picked.index).unwrap_or(0));
        let polled = {
            let _entered = shard.enter();
            shard.begin_streak(Moment(self.clock.get()));
            picked.task.poll(&mut Context::from_waker(&picked.waker))
        };
        let cost = self.random.borrow_mut().between(200, 2_000);
        self.clock.set(self.clock.get() + cost);
        self.schedule_touched();
        if polled.is_ready() {
            self.executor.remove(picked.index);
            self.end_if_main_returned(picked.shard, &shard);
        }
    }

    fn end_if_main_returned(&self, key: ShardKey, shard: &Rc<Shard>) {
        let ended = {
            let mut shards = self.shards.borrow_mut();
            let Some(running) = shards.get_mut(&key) else {
                return;
            };
            if running.is_ending || !running.main.is_finished() {
                return;
            }
            running.is_ending = true;
            let mut context = Context::from_waker(Waker::noop());
            std::pin::Pin::new(&mut running.main).poll(&mut context)
        };
        if let Poll::Ready(Err(panicked)) = ended {
            *self.panicked.borrow_mut() = Some(format!("shard {}: {panicked}", shard.id));
        }
        let _entered = shard.enter();
        shard.drop_tasks();
        self.executor.remove_shard(key);
        self.end_if_done(key, shard);
    }

    /// Lets a shard go whose main has returned and whose operations are all complete.
    fn end_if_done(&self, key: ShardKey, shard: &Rc<Shard>) {
        let is_ending = self
            .shards
            .borrow()
            .get(&key)
            .is_some_and(|running| running.is_ending);
        if is_ending && shard.operations_under_way() == 0 {
            shard.end();
            let gone = self.shards.borrow_mut().remove(&key);
            drop(gone);
        }
    }

    /// Acts on the network between the nodes.
    pub(super) fn with_network<R>(
        &self,
        act: impl FnOnce(&mut Network, u64, &mut SeededRandom) -> R,
    ) -> R {
        let answer = act(
            &mut self.network.borrow_mut(),
            self.clock.get(),
            &mut self.random.borrow_mut(),
        );
        self.schedule_touched();
        answer
    }

    pub(super) fn socket_count(&self) -> usize {
        self.network.borrow().count()
    }
}

/// How long an operation takes in nanoseconds; now and then ten times as long.
fn latency(operation: &Operation, random: &mut SeededRandom) -> u64 {
    let (low, high) = match operation {
        Operation::Close { .. } => (100, 2_000),
        Operation::Sync { .. } => (30_000, 600_000),
        Operation::Read { .. } | Operation::Write { .. } => (8_000, 150_000),
        Operation::Receive { .. } | Operation::Send { .. } | Operation::Accept { .. } => {
            (1_000, 20_000)
        }
        _ => (3_000, 80_000),
    };
    let stretch = if random.one_in(32) { 10 } else { 1 };
    random.between(low, high).saturating_mul(stretch)
}
