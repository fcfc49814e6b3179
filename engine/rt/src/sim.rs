//! The simulated backend: nodes with their shards, disks and network, on one thread, under one seed.
//!
//! Keeps:
//! - the same seed and the same program give the same trace ([`Simulation::trace_hash`]);
//! - time is virtual: it jumps to the next timer or completion when no task is ready;
//! - ready tasks of all shards and nodes run in drawn order; operations complete in drawn order,
//!   after a drawn delay;
//! - a crash leaves of a disk what [`CrashKind`] says, and nothing of the tasks.
//!
//! Does not: preempt. A task that loops without awaiting anything hangs the test.
//!
//! # How to write a sim test
//!
//! Code under test runs inside tasks and uses this crate's free functions and types as it does in
//! production. The test drives time from outside:
//!
//! ```
//! use std::time::Duration;
//! use engine_rt::sim::{CrashKind, Simulation, Unfinished};
//! use engine_rt::{Dir, FileOptions};
//! use bytes::Bytes;
//!
//! let workload = async || {
//!     let dir = Dir::create("/data").await?;
//!     let file = dir.open_file("a", FileOptions::CREATE_NEW).await?;
//!     file.write_at(0, Bytes::from_static(b"hello")).await?;
//!     file.sync_data().await?;
//!     dir.sync().await
//! };
//! // A crash at every write, flush and directory operation of the workload ..
//! for point in 1.. {
//!     let mut sim = Simulation::new(7);
//!     let node = sim.add_node(1);
//!     sim.disk(node).crash_after(point);
//!     match sim.block_on(node, Duration::from_secs(10), workload) {
//!         Ok(done) => {
//!             done.unwrap();
//!             break; // .. until the workload has fewer than that.
//!         }
//!         Err(unfinished) => assert_eq!(unfinished, Unfinished::CrashPoint),
//!     }
//!     // Several outcomes of the same crash, each checked on a node of its own.
//!     for seed in 0..4 {
//!         let image = sim.crash_image(node, CrashKind::Power, seed);
//!         let after = sim.add_node_with_disk(1, &image);
//!         let names = sim.block_on(after, Duration::from_secs(10), async || {
//!             match Dir::open("/data").await {
//!                 Ok(dir) => dir.list().await.unwrap().len(),
//!                 Err(_) => 0,
//!             }
//!         });
//!         assert!(names.unwrap() <= 1);
//!     }
//! }
//! ```
//!
//! - Whole nodes: [`Simulation::system`] and [`Simulation::start`] with one main a shard, then
//!   [`Simulation::run_until`] a condition that the test can see (an `Rc<Cell<..>>` shared with a
//!   task started by [`Simulation::start_local`], a file, a count). Nodes reach each other at
//!   [`Simulation::address`]; loopback addresses stay within a node.
//! - Crash and restart: [`Simulation::crash`], then `system` and `start` again: same disk, no
//!   locks, no connections.
//! - Errors, lies, misdirected writes: [`SimDisk::fail`] and [`Fault`]; a slow disk:
//!   [`SimDisk::slow_down`]; a small one: [`SimDisk::set_capacity`]; rot: [`SimDisk::flip_bit`].
//!   Cut, slow and lossy links, broken and half-open connections: [`Simulation::network`].
//!   Stalls: [`Simulation::pause`]; wrong clocks: [`Simulation::jump_wall_clock`]. Look at
//!   [`SimDisk::counts`] and [`SimNetwork::counts`] at the end: a fault that never struck tested
//!   nothing.
//! - A panic in a shard's main fails the test through `run_*`; one in a spawned task is what its
//!   `JoinHandle` says, as everywhere.
//! - Print the seed in assertions; the seed is all it takes to see a failure again.

mod backend;
mod disk;
mod executor;
mod faults;
mod image;
mod kernel;
mod links;
mod network;
mod random;
#[cfg(test)]
mod tests;
mod world;

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine_model::{Moment, ShardId};

use backend::SimBackend;
pub use disk::CrashKind;
pub use faults::{Fault, FaultCounts, FaultEffect, FaultKind};
pub use image::{DiskImage, SimDisk};
pub use links::SimNetwork;
pub use network::NetworkCounts;
use random::SeededRandom;
use world::{Stepped, World};

use crate::shard::Shard;
use crate::system::{ShardMain, System};
use crate::task::{Priority, spawn_on};

/// One simulated machine of a [`Simulation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimNode(usize);

/// A main that need not be `Send`: everything runs on the test's thread.
pub type LocalMain = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>>>;

/// Why [`Simulation::block_on`] came back without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// The node, or another one, stands at its crash point.
    #[error("a node reached its crash point")]
    CrashPoint,
    /// Nothing will happen any more: everyone waits for everyone.
    #[error("everything waits and nothing is under way")]
    Idle,
    /// The time was up.
    #[error("the time was up")]
    Limit,
}

/// Nodes, their disks, the network between them and the time, all decided by one seed.
pub struct Simulation {
    world: Rc<World>,
}

impl Simulation {
    /// A simulation without nodes, at the beginning of time.
    pub fn new(seed: u64) -> Self {
        Self {
            world: Rc::new(World::new(seed)),
        }
    }

    /// Adds a node with an empty disk and so many shards (at least one). It is down at first.
    pub fn add_node(&mut self, shards: usize) -> SimNode {
        self.add_node_with_disk(shards, &DiskImage::default())
    }

    /// Adds a node with a copy of a disk.
    pub fn add_node_with_disk(&mut self, shards: usize, image: &DiskImage) -> SimNode {
        SimNode(self.world.add_node(shards.max(1), image.disk.snapshot()))
    }

    /// Changes the number of shards that the next [`Simulation::system`] of a node has.
    pub fn set_shards(&mut self, node: SimNode, shards: usize) {
        self.world.set_shards(node.0, shards.max(1));
    }

    /// A fresh system for the next start of `node`: wire its mailboxes, then start it.
    pub fn system(&self, node: SimNode) -> System {
        System::simulated(self.world.shards_of(node.0))
    }

    /// The address of a node, as others reach it.
    pub fn address(&self, node: SimNode, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(node), port)
    }

    /// The IP address of a node.
    pub fn ip(&self, node: SimNode) -> IpAddr {
        network::node_address(node.0)
    }

    /// Starts one main a shard of `system` on `node`, which must be down.
    ///
    /// A shard ends when its main returns; the node is down again when all have.
    pub fn start(&mut self, node: SimNode, system: &System, mains: Vec<ShardMain>) {
        let mains = mains.into_iter().map(|main| main as LocalMain).collect();
        self.start_local(node, system, mains);
    }

    /// As [`Simulation::start`], with mains that may share state with the test.
    pub fn start_local(&mut self, node: SimNode, system: &System, mains: Vec<LocalMain>) {
        assert!(!self.is_running(node), "the node is running already");
        assert_eq!(mains.len(), system.shard_count(), "one main a shard");
        for (index, main) in (0_u16..).zip(mains) {
            let key = self.world.next_key();
            let backend = Box::new(SimBackend {
                world: Rc::downgrade(&self.world),
                key,
                node: node.0,
            });
            let shard = Shard::new(ShardId(index), Arc::clone(system.core()), backend);
            let entered = shard.enter();
            let handle = spawn_on(&shard, Priority::Foreground, async move { main().await });
            drop(entered);
            self.world.add_shard(key, node.0, shard, handle);
        }
    }

    /// Some shard of the node has not ended.
    pub fn is_running(&self, node: SimNode) -> bool {
        self.world.is_running(node.0)
    }

    /// Runs `program` as the main of a one-shard system on `node` (which must be down) until it
    /// returns, others along with it, for at most `limit` of virtual time.
    ///
    /// When it comes back without a result the node is still up, as at any other moment: run on,
    /// crash it, or look at what a crash would leave.
    pub fn block_on<T: 'static, F: Future<Output = T>>(
        &mut self,
        node: SimNode,
        limit: Duration,
        program: impl FnOnce() -> F + 'static,
    ) -> Result<T, Unfinished> {
        let result: Rc<RefCell<Option<T>>> = Rc::default();
        let slot = Rc::clone(&result);
        let main: LocalMain = Box::new(move || {
            Box::pin(async move {
                let value = program().await;
                *slot.borrow_mut() = Some(value);
            })
        });
        let system = System::simulated(1);
        self.start_local(node, &system, vec![main]);
        let until = self.deadline(limit);
        loop {
            // A step may end the node and find nothing else to do.
            let stepped = self.step(until);
            if !self.is_running(node)
                && let Some(value) = result.borrow_mut().take()
            {
                return Ok(value);
            }
            match stepped {
                Stepped::Moved => {}
                Stepped::Limit => return Err(Unfinished::Limit),
                Stepped::Idle => return Err(Unfinished::Idle),
                Stepped::CrashPoint => return Err(Unfinished::CrashPoint),
            }
        }
    }

    fn deadline(&self, limit: Duration) -> u64 {
        self.now().saturating_add(limit).0
    }

    fn step(&self, until: u64) -> Stepped {
        let stepped = self.world.step(until);
        let panicked = self.world.take_panic();
        assert!(panicked.is_none(), "a main failed: {panicked:?}");
        stepped
    }

    /// Lets `duration` pass, or less if a node reaches its crash point; then returns it.
    pub fn run_for(&mut self, duration: Duration) -> Option<SimNode> {
        let until = self.deadline(duration);
        loop {
            match self.step(until) {
                Stepped::Moved => {}
                Stepped::Limit => return None,
                Stepped::Idle => {
                    self.world.advance_to(until);
                    return None;
                }
                Stepped::CrashPoint => return self.crash_point(),
            }
        }
    }

    /// Runs until `condition` holds, asked after every poll of a task. False if `limit` passed,
    /// nothing can happen any more, or a node reached its crash point before.
    pub fn run_until(&mut self, mut condition: impl FnMut() -> bool, limit: Duration) -> bool {
        let until = self.deadline(limit);
        loop {
            if condition() {
                return true;
            }
            if self.step(until) != Stepped::Moved {
                return condition();
            }
        }
    }

    /// Runs until nothing is ready, under way or timed. False if `limit` passed or a node reached
    /// its crash point before.
    pub fn run_until_idle(&mut self, limit: Duration) -> bool {
        let until = self.deadline(limit);
        loop {
            match self.step(until) {
                Stepped::Moved => {}
                Stepped::Idle => return true,
                Stepped::Limit | Stepped::CrashPoint => return false,
            }
        }
    }

    /// The node that stands at the crash point set by [`SimDisk::crash_after`].
    pub fn crash_point(&self) -> Option<SimNode> {
        self.world.frozen_node().map(SimNode)
    }

    /// Ends everything on `node` at once: tasks are dropped, connections break, and its disk keeps
    /// what `kind` says, as the seed decides. It can be started again.
    pub fn crash(&mut self, node: SimNode, kind: CrashKind) {
        self.world.crash(node.0, kind);
    }

    /// What the disk of `node` would be if it crashed now, with another draw for each `seed`. The
    /// node itself is left alone.
    pub fn crash_image(&self, node: SimNode, kind: CrashKind, seed: u64) -> DiskImage {
        let mut random = SeededRandom::new(seed);
        let (disk, ..) = self.world.disk_after_crash(node.0, kind, &mut random);
        DiskImage { disk }
    }

    /// The disk of a node.
    pub fn disk(&self, node: SimNode) -> SimDisk {
        SimDisk {
            world: Rc::clone(&self.world),
            node: node.0,
        }
    }

    /// The network between the nodes.
    pub fn network(&self) -> SimNetwork {
        SimNetwork {
            world: Rc::clone(&self.world),
        }
    }

    /// Lets no task of `node` run for `duration`, as a stopped process or a stalled machine:
    /// operations go on below it, timers fire late, its peers wait.
    pub fn pause(&mut self, node: SimNode, duration: Duration) {
        self.world.pause(node.0, self.deadline(duration));
    }

    /// Sets the wall clock of `node` forward, or back, by so many milliseconds. The monotonic
    /// clock never jumps, as on Linux.
    pub fn jump_wall_clock(&mut self, node: SimNode, by_ms: i64) {
        self.world.jump_wall_clock(node.0, by_ms);
    }

    /// A number that two runs share if they did the same in the same order.
    pub fn trace_hash(&self) -> u64 {
        self.world.trace()
    }

    /// The virtual time since the simulation began.
    pub fn now(&self) -> Moment {
        Moment(self.world.clock())
    }

    /// Sockets that exist on all nodes, those included that nobody has accepted.
    pub fn socket_count(&self) -> usize {
        self.world.socket_count()
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // Tasks and their shard hold each other; nobody else would let go of them.
        self.world.kill_shards(None);
    }
}
