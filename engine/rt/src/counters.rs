//! What a shard has done so far, for metrics and for tests.

use crate::shard;

/// Counts since the shard began; all zero under `sim`, except what is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times the driver looked after ring, timers and mail.
    pub turns: u64,
    /// System calls into the ring.
    pub enters: u64,
    /// Polls of tasks, background ones that were turned away at the gate included.
    pub polls: u64,
    /// Polls of background tasks that ran.
    pub background_polls: u64,
    /// Times the shard slept.
    pub parks: u64,
    /// Sleeps that the heartbeat ended and after which something waited: lost wake-ups, a fault of
    /// this crate or of the kernel, or (rarely) work that came in the same moment.
    pub rescues: u64,
    /// Operations under way now.
    pub operations: usize,
    /// Tasks alive now.
    pub tasks: usize,
}

/// What this task's shard has done so far.
pub fn counters() -> Counters {
    shard::with_current(|shard| Counters {
        operations: shard.operations_under_way(),
        tasks: shard.tasks.len(),
        ..shard.backend.counters()
    })
}
