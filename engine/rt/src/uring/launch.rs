//! One thread a shard: set up, run the main, take everything back.
//!
//! The end of a shard: drop its tasks, cancel what waits for peers, reap until nothing is under
//! way, stop bell and driver, free. Past the grace period what the kernel still holds is
//! left behind, never freed under its hands.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use engine_model::ShardId;
use io_uring::{IoUring, opcode};

use super::engine::{Abilities, Engine, Parts, Pulse, UringBackend, fatal};
use super::{check, driver, start};
use crate::error::RunError;
use crate::shard::Shard;
use crate::system::{ShardMain, SystemCore, UringConfig};
use crate::task::{Priority, panic_message, spawn_on};
use crate::time::sleep;

/// Runs every main on its own thread and waits for all of them.
pub(crate) fn run(
    config: &UringConfig,
    core: &Arc<SystemCore>,
    mains: Vec<ShardMain>,
) -> Result<(), RunError> {
    let base = Instant::now();
    let pulses: Vec<Arc<Pulse>> = mains.iter().map(|_| Arc::default()).collect();
    let mut first_error = None;
    thread::scope(|scope| {
        let mut shards = Vec::new();
        for (index, (main, pulse)) in mains.into_iter().zip(&pulses).enumerate() {
            let id = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
            let place = Place {
                config,
                core: Arc::clone(core),
                pulse: Arc::clone(pulse),
                cpu: config.cpus.get(index).copied().flatten(),
                id,
                base,
            };
            let name = format!("{}-{index}", config.name);
            let spawned = thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || {
                    let pulse = Arc::clone(&place.pulse);
                    let core = Arc::clone(&place.core);
                    let ended = catch_unwind(AssertUnwindSafe(|| shard_thread(place, main)));
                    pulse.ended.store(true, Ordering::Relaxed);
                    match ended {
                        Ok(Ok(())) => Ok(()),
                        Ok(Err(error)) => {
                            core.request_stop();
                            Err(error)
                        }
                        // Tasks catch their own panics: this one is the machinery's.
                        Err(payload) => fatal(&panic_message(&*payload)),
                    }
                });
            match spawned {
                Ok(handle) => shards.push(handle),
                Err(error) => {
                    first_error.get_or_insert(RunError::Start(start::no_thread(&error)));
                    core.request_stop();
                    break;
                }
            }
        }
        let (over, ended) = mpsc::channel();
        let (warn_after, abort_after) = (config.watchdog, config.watchdog_abort);
        let pulses = pulses.as_slice();
        let watchdog = thread::Builder::new()
            .name(format!("{}-watch", config.name))
            .spawn_scoped(scope, move || {
                super::watchdog::watch(pulses, warn_after, abort_after, &ended);
            });
        if let Err(error) = &watchdog {
            tracing::warn!(%error, "no watchdog: its thread could not be started");
        }
        for shard in shards {
            match shard.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    first_error.get_or_insert(error);
                }
                Err(payload) => fatal(&panic_message(&*payload)),
            }
        }
        drop(over);
    });
    first_error.map_or(Ok(()), Err)
}

/// Where and as what a shard runs.
struct Place<'a> {
    config: &'a UringConfig,
    core: Arc<SystemCore>,
    pulse: Arc<Pulse>,
    cpu: Option<usize>,
    id: ShardId,
    base: Instant,
}

fn shard_thread(place: Place<'_>, main: ShardMain) -> Result<(), RunError> {
    let placement = place
        .cpu
        .map_or(glommio::Placement::Unbound, glommio::Placement::Fixed);
    let executor = glommio::LocalExecutorBuilder::new(placement)
        .io_memory(start::GLOMMIO_MEMORY_BYTES)
        .make()
        .map_err(|error| start::no_executor(&error, place.cpu))?;
    let ring = start::build_ring(place.config.ring_entries).map_err(|e| start::no_ring(&e))?;
    let Some(post) = place.core.posts.get(place.id.index()).cloned() else {
        return Ok(());
    };
    let can = abilities(&ring);
    let engine = Engine::new(Parts {
        ring,
        core: Arc::clone(&place.core),
        post: Arc::clone(&post),
        pulse: place.pulse,
        base: place.base,
        quantum: place.config.quantum,
        can,
    });
    let backend = Box::new(UringBackend(Rc::clone(&engine)));
    let shard = Shard::new(place.id, place.core, backend);
    let entered = shard.enter();
    let clean = Cell::new(true);
    let root = async {
        let driver =
            glommio::spawn_local(driver::drive(Rc::clone(&engine), Rc::clone(&shard))).detach();
        let ended = spawn_on(&shard, Priority::Foreground, async move { main().await }).await;
        clean.set(wind_down(&engine, &shard, place.config).await);
        engine.cancel_specials();
        driver.await;
        ended.map_err(|panicked| RunError::MainPanicked {
            shard: shard.id,
            message: panicked.message,
        })
    };
    let mut root = pin!(root);
    // What this task wakes is runnable too: its polls count as those of any other.
    let ended = executor.run(poll_fn(|cx| {
        engine.polls.set(engine.polls.get().wrapping_add(1));
        root.as_mut().poll(cx)
    }));
    shard.end();
    drop(entered);
    if clean.get() {
        // Whatever finished operations still hold is dropped here, on its own thread.
        let left = shard.operations.borrow_mut().take_all();
        drop(left);
    } else {
        // The kernel may still write into these: they stay where they are for ever.
        std::mem::forget(Rc::clone(&shard));
        std::mem::forget(Rc::clone(&engine));
    }
    ended
}

/// Takes back what the main has left; `false` if the kernel did not give everything back in time.
async fn wind_down(engine: &Engine, shard: &Shard, config: &UringConfig) -> bool {
    shard.drop_tasks();
    let deadline = engine.clock().saturating_add(config.stop_grace);
    for id in shard.operations.borrow().ids() {
        shard.backend.cancel(id);
    }
    while shard.operations_under_way() > 0 {
        if engine.clock() > deadline {
            tracing::warn!(
                shard = %shard.id,
                operations = shard.operations_under_way(),
                "operations did not come back in time; their buffers are left behind"
            );
            return false;
        }
        sleep(std::time::Duration::from_millis(1)).await;
    }
    true
}

/// A blocking eventfd: a non-blocking one would answer EAGAIN instead of waiting in a ring.
pub(super) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let raw = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })
        .map_err(io::Error::from_raw_os_error)?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Looks at what this kernel can do beyond what we need.
fn abilities(ring: &IoUring) -> Abilities {
    let mut probe = io_uring::Probe::new();
    if ring.submitter().register_probe(&mut probe).is_err() {
        return Abilities::default();
    }
    Abilities {
        truncate: probe.is_supported(opcode::Ftruncate::CODE),
        send_without_copy: probe.is_supported(opcode::SendMsgZc::CODE),
    }
}
