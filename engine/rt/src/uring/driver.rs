//! The task that turns the engine, and the bell that wakes it.
//!
//! The driver sleeps only when the last turn and one yield brought nothing: completion queue,
//! submissions, backlog, mailboxes, gate and the rings to peers are empty, the taskrun and
//! overflow flags are clear, and no task was polled. It says that it sleeps before it looks for
//! the last time, so that whoever comes later wakes it.

use std::future::{Future, poll_fn};
use std::os::fd::IntoRawFd;
use std::os::fd::{FromRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::engine::{Engine, HEARTBEAT, fatal};
use crate::shard::Shard;
use crate::task::yield_now;

/// Waits to be woken once.
struct Park<'a> {
    engine: &'a Engine,
    parked: bool,
}

impl Future for Park<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.parked {
            return Poll::Ready(());
        }
        self.parked = true;
        *self.engine.driver.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Turns until told to finish and nothing of ours is left in the ring.
pub(super) async fn drive(engine: Rc<Engine>, shard: Rc<Shard>) {
    engine.signal_completions(false);
    let mut overslept = false;
    loop {
        let foreground_before = engine.foreground_polls.get();
        let happened = engine.turn(&shard);
        if std::mem::take(&mut overslept) && happened > 0 {
            engine.rescues.set(engine.rescues.get().wrapping_add(1));
            // Now and then it is work that came in the same moment.
            tracing::debug!(shard = %shard.id, "the heartbeat ended a sleep and found work");
        }
        if engine.finishing.get() && engine.specials() == 0 {
            return;
        }
        let polls_before = engine.polls.get();
        yield_now().await;
        let busy = engine.foreground_polls.get() != foreground_before;
        let admitted = engine.gate.open(engine.clock(), busy);
        if happened > 0 || admitted || engine.polls.get() != polls_before {
            continue;
        }
        overslept = sleep(&engine, &shard).await;
    }
}

/// Sleeps until something happens, if nothing has. Returns whether nothing but the heartbeat
/// ended the sleep.
async fn sleep(engine: &Engine, shard: &Shard) -> bool {
    if !engine.gate.is_empty() || !engine.is_quiet() {
        return false;
    }
    let now = engine.clock();
    let heartbeat = now.saturating_add(HEARTBEAT);
    let until = shard
        .next_timer()
        .map_or(heartbeat, |timer| timer.min(heartbeat));
    if until <= now {
        return false;
    }
    engine.arm(until);
    engine.signal_completions(true);
    engine.post.set_asleep(true);
    // From here on completions signal and peers ring: what came before is seen now.
    if engine.is_quiet() && !engine.post.is_pending() {
        engine.parks.set(engine.parks.get().wrapping_add(1));
        Park {
            engine,
            parked: false,
        }
        .await;
    }
    engine.post.set_asleep(false);
    engine.signal_completions(false);
    // Woken by the heartbeat, as far as one can tell: right after it. A thread that the system
    // kept waiting wakes at any time.
    let late = engine.clock().0.checked_sub(heartbeat.0);
    until == heartbeat && late.is_some_and(|late| late < 50_000_000)
}

/// Reads the shard's bell through glommio, for ever: its completion is what ends a park.
///
/// Our ring signals this eventfd, and so do peers, directly: a peer's eventfd read on our ring
/// would make the ring signal from inside that peer's signal, which the kernel puts off by an RCU
/// grace period (20 ms, measured on Linux 6.18) and, from the second time on, drops.
pub(super) async fn listen(engine: Rc<Engine>, bell: OwnedFd) {
    // SAFETY: an open descriptor, handed over; glommio closes it.
    let file = unsafe { glommio::io::BufferedFile::from_raw_fd(bell.into_raw_fd()) };
    while !engine.finishing.get() {
        match file.read_at(0, 8).await {
            Ok(_) => {
                engine.stirred.set(true);
                engine.wake_driver();
            }
            Err(error) => fatal(&error),
        }
    }
    let _ = file.close().await;
}

/// Lets the driver have a turn.
pub(super) async fn next_turn(engine: &Engine) {
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        engine.stirred.set(true);
        engine.wake_driver();
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
