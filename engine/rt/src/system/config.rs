//! What the io_uring backend is told.

use std::time::Duration;

/// How to run on io_uring; see each field, and `Default` for sound values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UringConfig {
    /// One entry a shard: the CPU its thread is pinned to, or `None` for wherever the system puts
    /// it.
    pub cpus: Vec<Option<usize>>,
    /// Name of the threads, followed by the shard's number. At most 10 bytes are shown.
    pub name: String,
    /// A shard that has not turned for this long is logged as stuck.
    pub watchdog: Duration,
    /// A shard that has not turned for this long ends the process: a stopped broker is safer than
    /// a silent one. `None`: only log.
    pub watchdog_abort: Option<Duration>,
    /// Operations entered into the kernel at once, a shard; more of them wait in a queue of ours.
    /// A power of two.
    pub ring_entries: u32,
    /// When a main has ended: how long to wait for operations to come back before their buffers
    /// are left behind.
    pub stop_grace: Duration,
    /// How long a task should run before it yields, and how long the ring goes unattended while
    /// tasks run.
    pub quantum: Duration,
}

impl Default for UringConfig {
    fn default() -> Self {
        Self {
            cpus: vec![None],
            name: "shard".to_owned(),
            watchdog: Duration::from_secs(3),
            watchdog_abort: Some(Duration::from_mins(1)),
            ring_entries: 512,
            stop_grace: Duration::from_secs(5),
            quantum: Duration::from_micros(500),
        }
    }
}
