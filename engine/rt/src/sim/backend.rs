//! The simulated side of the seam: what one shard asks of the world.
//!
//! Does not: carry anything out from inside a call; `submit` only puts it on the calendar.

use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use engine_model::{Moment, Timestamp};

use super::world::{ShardKey, World};
use crate::descriptor::RawDescriptor;
use crate::listener::ListenOptions;
use crate::op::{Backend, OpId, Operation};
use crate::task::Task;

/// The wall clock when a simulation begins, in milliseconds since 1970: 2027-01-15.
const WALL_CLOCK_START_MS: u64 = 1_800_000_000_000;

pub(super) struct SimBackend {
    pub(super) world: Weak<World>,
    pub(super) key: ShardKey,
    pub(super) node: usize,
}

impl SimBackend {
    /// Nothing happens any more once the simulation is gone.
    fn with<R>(&self, gone: R, act: impl FnOnce(&Rc<World>) -> R) -> R {
        match self.world.upgrade() {
            Some(world) => act(&world),
            None => gone,
        }
    }
}

impl Backend for SimBackend {
    fn submit(&self, id: OpId, operation: &mut Operation) {
        self.with((), |world| world.submit(self.key, self.node, id, operation));
    }

    fn cancel(&self, id: OpId) {
        self.with((), |world| world.cancel(self.key, id));
    }

    fn close_now(&self, raw: RawDescriptor) {
        self.with((), |world| world.close_now(self.node, raw));
    }

    fn spawn(&self, task: Rc<dyn Task>) {
        self.with((), |world| world.executor.spawn(self.key, task));
    }

    fn ring(&self, _shard: usize) {
        // The peer's post is marked, and the world looks at posts in every step.
    }

    fn now(&self) -> Moment {
        self.with(Moment(0), |world| Moment(world.tick()))
    }

    fn wall_clock(&self) -> Timestamp {
        let (ms, error) = self.with((0, 0), |world| {
            let error = world.wall_clock_error_ms(self.node);
            (world.clock() / 1_000_000, error)
        });
        let right = i64::try_from(WALL_CLOCK_START_MS.saturating_add(ms)).unwrap_or(i64::MAX);
        Timestamp(right.saturating_add(error))
    }

    fn random(&self, bytes: &mut [u8]) {
        self.with((), |world| world.random.borrow_mut().fill(bytes));
    }

    fn quantum(&self) -> Duration {
        // A poll takes next to no virtual time, so the quantum is drawn, and short: every place
        // that may yield then does in some seed.
        self.with(Duration::ZERO, |world| {
            Duration::from_nanos(world.random.borrow_mut().below(20_000))
        })
    }

    fn socket(&self, _address: SocketAddr) -> Result<RawDescriptor, i32> {
        self.with(Err(libc::ECANCELED), |world| {
            world.with_kernel(self.node, |kernel, around| {
                kernel.new_socket(around.network)
            })
        })
    }

    fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(RawDescriptor, SocketAddr), i32> {
        self.with(Err(libc::ECANCELED), |world| {
            world.with_kernel(self.node, |kernel, around| {
                kernel.listen(address, options.reuse_port, around.network)
            })
        })
    }

    fn probe(&self, address: SocketAddr) -> Result<SocketAddr, i32> {
        self.with(Err(libc::ECANCELED), |world| {
            world.with_kernel(self.node, |_, around| {
                around.network.probe(self.node, address, false)
            })
        })
    }

    fn tune(&self, _raw: RawDescriptor) {}

    fn local_address(&self, raw: RawDescriptor) -> Result<SocketAddr, i32> {
        self.with(Err(libc::ECANCELED), |world| {
            world.with_kernel(self.node, |kernel, around| {
                kernel.local_address(raw, around.network)
            })
        })
    }
}
