//! How a thread runs: tasks, timers, files, sockets and mailboxes, on io_uring or simulated.
//!
//! The only crate that names glommio, io_uring, libc, threads, clocks, files and sockets, and the
//! only one with `unsafe`. Everything above uses the types here, which are the same over two
//! backends:
//!
//! - `uring`: one pinned thread a shard. glommio polls tasks; a ring of our own does all I/O and is
//!   what the thread sleeps in; a driver task of ours drains ring, timers and mailboxes every turn.
//! - `sim`: every shard of every node on one thread, virtual time, one seed, a disk that loses
//!   what was not flushed when it crashes, connections in memory.
//!
//! # How it hangs together
//!
//! ```text
//!   spawn, sleep, File, Stream, MailSender, ..        shared: futures, tasks, sync
//!   Shard { operations, timers, mail, tasks, stop }   shared: who waits for what
//!   ------------------------- op.rs: the seam ---------------------------------
//!   trait Backend { submit, cancel, spawn, now, random, ring, .. }
//!   uring: ring + glommio + driver + bells            sim: event loop + disk + network
//! ```
//!
//! A backend owns a `Shard` for each of its shards and runs this loop over it:
//!
//! 1. `Shard::enter` before any poll and before dropping tasks; `Shard::begin_streak(now)` right
//!    before each poll of a `task::Task` it was given by `Backend::spawn`.
//! 2. `Shard::complete(id, completion)` for what has finished, after `Shard::with_operation` to
//!    fill in what the operation brings back. Never from inside `submit`.
//! 3. `Shard::fire_timers(now)`; `Shard::next_timer` says when to look again.
//! 4. `Shard::deliver_mail` when the shard's `Post` is marked (it is the mail and the stop bell).
//! 5. At the end: `Shard::drop_tasks`, cancel what is under way, reap every completion,
//!    `Shard::end`. After a simulated crash: `Shard::kill`.
//!
//! # Invariants
//!
//! - **The operation table owns buffers and descriptors until the last completion**, whatever
//!   becomes of the future that waits.
//! - **No wake-up is lost**: every change is marked before it is looked for, and every sleeper says
//!   so before it looks once more.
//! - **A task's panic stays in the task; a panic of the machinery ends the process.**
//! - **Everything is bounded**: operations, ring, backlog, mailboxes, channels.

#![allow(
    unsafe_code,
    reason = "the one crate that talks to the kernel; each block says why it may"
)]

mod buffer;
mod counters;
mod descriptor;
mod dir;
mod error;
mod file;
mod listener;
mod mailbox;
mod op;
pub mod process;
mod random;
mod shard;
pub mod signals;
pub mod sim;
mod stream;
pub mod sync;
mod system;
pub mod task;
mod time;
mod uring;

pub use buffer::{AlignedBuf, BLOCK_BYTES, SlabBuf};
pub use counters::{Counters, counters};
pub use dir::{Dir, DirLock, Entry, EntryKind, FileOptions, NAME_BYTES_MAX};
pub use error::{Error, Result, RunError, StartError};
pub use file::{File, READ_BYTES_MAX};
pub use listener::{ListenOptions, Listener, probe_port};
pub use mailbox::{Closed, MailReceiver, MailSender};
pub use random::{random_bytes, random_u64};
pub use stream::{RECEIVE_BYTES_MAX, Stream};
pub use system::{
    ShardMain, StopHandle, System, UringConfig, request_stop, shard, shard_count, stop_requested,
    stopped,
};
pub use task::{
    JoinHandle, TaskPanicked, is_yield_due, spawn, spawn_background, yield_if_due, yield_now,
};
pub use time::{Elapsed, Sleep, now, sleep, sleep_until, timeout, timeout_at, wall_clock};
