//! The background work of a store: checkpoints, retention, flushes of large tails, deletion of
//! files, the watch on free space and fence. One task, one thing at a time.
//!
//! Its share rises with the lane's fill: idle between pieces of work while the lane is empty, none
//! of that from half full on, where appends and flushes take turns.
//!
//! Does not: ever keep a produce from being served for longer than one piece of work.

mod compaction;
mod retention;
mod retention_plan;
mod scrub;
mod space;

pub(crate) use compaction::run as compact;
pub(crate) use retention::RetentionQueue;
pub(crate) use retention_plan::{Piece, RetentionPlan, plan};
pub(crate) use scrub::Scrub;

use crate::error::StorageError;
use crate::partition_log::LogFailure;
use crate::store_core::StoreCore;
use core::time::Duration;
use engine_model::{Moment, Timestamp};
use engine_rt::Dir;
use std::rc::Rc;

/// How long work waits after a failure that may pass.
const RETRY: Duration = Duration::from_millis(100);

/// From this fill on, flushes have the same share as appends.
const FULL_SHARE_PERCENT: u64 = 50;

/// The longest pause between two flushes.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// How often producers that were silent for long are forgotten.
const EXPIRE: Duration = Duration::from_mins(1);

/// Does the background work of a store until it stops.
pub(crate) async fn run(core: Rc<StoreCore>, root: Dir) {
    let mut looked_at = Moment(0);
    let mut tick = Duration::ZERO;
    let mut expired_at = engine_rt::now();
    let mut has_told_fence = false;
    loop {
        // A checkpoint that could not be carried out may have put its capture back: it is given up.
        if core.is_stopping.get() {
            return;
        }
        if core.fence().cause().is_some() {
            if !std::mem::replace(&mut has_told_fence, true) {
                tell_fence(&core);
            }
            core.upkeep.notified().await;
            continue;
        }
        let now = engine_rt::now();
        if now.saturating_since(looked_at) >= tick {
            looked_at = now;
            tick = space::look(&core, &root).await;
            retention::look_at_clock(&core);
        }
        if now.saturating_since(expired_at) >= EXPIRE {
            expired_at = now;
            expire_producers(&core).await;
        }
        match work(&core).await {
            Ok(true) => (),
            Ok(false) => {
                let next = looked_at.saturating_add(tick).min(core.scrub.next_at());
                let _ = engine_rt::timeout_at(next, core.upkeep.notified()).await;
            }
            Err(error) => {
                if error.is_out_of_space() {
                    space::ran_out(&core);
                } else {
                    tracing::warn!(%error, "background work failed and will be tried again");
                }
                core.failed(error);
                // What was abandoned may be what the disk lacks.
                core.unlink_garbage().await;
                tick = space::look(&core, &root).await;
                engine_rt::sleep(RETRY).await;
            }
        }
    }
}

/// Does one piece of work; whether there was any.
async fn work(core: &StoreCore) -> Result<bool, StorageError> {
    if core.capture.borrow().is_some() {
        core.checkpoint().await?;
        core.unlink_garbage().await;
        return Ok(true);
    }
    let is_due = core
        .free_files_at
        .get()
        .is_some_and(|at| at <= engine_rt::now() || core.disk_full.get().is_some());
    if is_due && core.lane().can_switch() {
        core.free_files_at.set(None);
        core.lane().force_switch();
        return Ok(true);
    }
    // Beside the flushes, not behind them: a log that is never idle has the most to lose.
    let has_looked = retention::look_at_one(core)?;
    let log = core.flush_queue.borrow_mut().pop_front();
    let Some(log) = log else {
        scrub::read_one(core).await;
        engine_rt::yield_if_due().await;
        return Ok(has_looked);
    };
    let begun = engine_rt::now();
    let flushed = {
        let _files = core.files().await;
        let end = log.sealed_end();
        log.flush_some(core, end).await
    };
    if log.unqueue() || flushed.is_err() {
        log.requeue(core);
    }
    core.count_flushed(flushed?.bytes);
    pause(core, begun).await;
    Ok(true)
}

/// Waits between two flushes, the shorter the fuller the lane is.
async fn pause(core: &StoreCore, begun: Moment) {
    let fill = core.lane().fill_percent();
    let missing = u32::try_from(FULL_SHARE_PERCENT.saturating_sub(fill)).unwrap_or(0);
    if missing == 0 {
        engine_rt::yield_now().await;
        return;
    }
    let took = engine_rt::now().saturating_since(begun);
    let pause = took.saturating_mul(missing).checked_div(10).unwrap_or(took);
    engine_rt::sleep(pause.min(PAUSE_MAX)).await;
}

/// Tells every log's listener that nothing waited for will come.
fn tell_fence(core: &StoreCore) {
    let Some(cause) = core.fence().cause() else {
        return;
    };
    core.lane().wake_all();
    let logs: Vec<_> = core.logs.borrow().values().cloned().collect();
    for log in logs {
        log.notify_failed(LogFailure::Fenced(cause.clone()));
    }
    core.fence_told.notify_all();
}

async fn expire_producers(core: &StoreCore) {
    let now: Timestamp = engine_rt::wall_clock();
    let logs: Vec<_> = core.logs.borrow().values().cloned().collect();
    for log in logs {
        log.expire_producers(now);
        engine_rt::yield_if_due().await;
    }
}
