//! The task that turns the engine, and sleeps in it.
//!
//! A round: look after ring, timers and mail; let the tasks run until none wants to, or for
//! [`SLICE`]; then either begin again or sleep in the ring itself, with everything that the tasks
//! have submitted handed over by the system call that sleeps. One call a round, and no call to
//! park and to wake.
//!
//! The driver sleeps only where a yield of it ran no other task, so that nobody is runnable: the
//! queue is first come, first served, and only tasks and this driver wake tasks. It says that it
//! sleeps before it looks for the last time, so that whoever comes later wakes it.

use std::rc::Rc;
use std::time::Duration;

use super::engine::{Engine, Entered, HEARTBEAT};
use crate::shard::Shard;
use crate::task::yield_now;

/// Tasks run for so long before ring and timers are looked at again, if they want to.
const SLICE: Duration = Duration::from_micros(100);

/// Turns until told to finish and nothing of ours is left in the ring.
pub(super) async fn drive(engine: Rc<Engine>, shard: Rc<Shard>) {
    engine.listen();
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
        let quiet = run_tasks(&engine).await;
        let busy = engine.foreground_polls.get() != foreground_before;
        let admitted = engine.gate.open(engine.clock(), busy);
        if quiet && !admitted {
            overslept = sleep(&engine, &shard);
        }
    }
}

/// Lets tasks run. Returns whether none wants to run any more.
async fn run_tasks(engine: &Engine) -> bool {
    loop {
        let polls_before = engine.polls.get();
        yield_now().await;
        if engine.polls.get() == polls_before {
            return true;
        }
        if engine
            .last_poll
            .get()
            .saturating_since(engine.last_turn.get())
            >= SLICE
        {
            return false;
        }
    }
}

/// Sleeps until something happens, if nothing has. Returns whether nothing but the heartbeat
/// ended the sleep.
fn sleep(engine: &Engine, shard: &Shard) -> bool {
    engine.ring_peers();
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
    engine.post.set_asleep(true);
    // From here on peers ring: what came before is seen now.
    let mut entered = Entered::Back;
    if !engine.post.is_pending() {
        engine.parks.set(engine.parks.get().wrapping_add(1));
        entered = engine.sleep(until.saturating_since(now));
    }
    engine.post.set_asleep(false);
    entered == Entered::TimedOut && until == heartbeat
}
