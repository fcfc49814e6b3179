//! Shards on io_uring: glommio polls tasks, a ring of our own does the I/O and sleeps.
//!
//! Why not glommio alone: it looks at its reactor only when it idles or its preempt timer (100 ms)
//! fires, so its timers, sockets and channels are late while tasks run; its direct files choose
//! polled I/O by the first file a thread opens. So everything that waits goes through our ring, the
//! thread too: it sleeps in the call that submits. glommio's own rings have no client but its
//! preempt timer.
//!
//! | part | what it does |
//! |------|--------------|
//! | [`probe`] | looks at the machine before anything is promised |
//! | `run` | one thread a shard, the watchdog beside them |
//! | `engine` | the ring: submit, enter, reap, sleep; the bell that peers ring |
//! | `submit`, `complete` | an operation as ring entry, a completion as its result |
//! | `direct` | the few things the ring cannot do |
//! | `driver` | the task that lets tasks run, turns the engine, and decides when to sleep |
//! | `gate` | when background tasks may run |

mod area;
mod complete;
mod direct;
mod driver;
mod engine;
mod gate;
mod launch;
mod polled;
mod socket;
mod start;
mod submit;
mod watchdog;

pub(crate) use launch::run;
pub(crate) use socket::probe_port;
pub(crate) use start::probe;

use std::os::fd::{AsRawFd, OwnedFd};

/// Adds one to an eventfd, which wakes whoever reads it.
pub(crate) fn ring_bell(bell: &OwnedFd) {
    let one: u64 = 1;
    // SAFETY: eight readable bytes and a descriptor that is open while `bell` is borrowed. A full
    // counter (the only way to fail) means that the bell rings already.
    unsafe { libc::write(bell.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

/// The error number of the system call that has just failed.
fn errno() -> i32 {
    std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

/// The result of a system call: what it returned, or its error number.
fn check(result: libc::c_int) -> Result<i32, i32> {
    if result < 0 { Err(errno()) } else { Ok(result) }
}
