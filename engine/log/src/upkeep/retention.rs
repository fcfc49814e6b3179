//! Retention: looks at each log now and then, and soon after its settings changed, and moves its
//! start up past what is too old or too much.
//!
//! Keeps: one log a call; never waits for room in the lane, which only this task can make (the log
//! is looked at again); files go with a later checkpoint, after the start is durable (rule 7).
//!
//! Does not: decide (`retention_plan`), or move the start for DeleteRecords (`partition_log`).

use crate::error::StorageError;
use crate::store_core::StoreCore;
use core::time::Duration;
use engine_model::{LogId, Moment};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// The logs to look at.
pub(crate) struct RetentionQueue {
    /// When all of them are due again.
    all_due_at: Cell<Moment>,
    due: RefCell<BTreeSet<LogId>>,
}

impl RetentionQueue {
    /// None is due at a start: whoever starts a broker with a wrong clock has a moment to see it.
    pub(crate) fn new(check_interval: Duration) -> Self {
        let all_due_at = engine_rt::now().saturating_add(check_interval);
        Self {
            all_due_at: Cell::new(all_due_at),
            due: RefCell::new(BTreeSet::new()),
        }
    }

    /// Has a log looked at soon.
    pub(crate) fn add(&self, log: LogId) {
        self.due.borrow_mut().insert(log);
    }
}

/// Has all logs looked at if `log.retention.check.interval.ms` have passed since the last time.
pub(super) fn look_at_clock(core: &StoreCore) {
    let queue = &core.retention;
    let now = engine_rt::now();
    if now >= queue.all_due_at.get() {
        let next = now.saturating_add(core.options().retention_check_interval);
        queue.all_due_at.set(next);
        let logs = core.logs.borrow();
        queue.due.borrow_mut().extend(logs.keys().copied());
    }
}

/// Looks at the next log that is due; whether there was one.
pub(super) fn look_at_one(core: &StoreCore) -> Result<bool, StorageError> {
    let queue = &core.retention;
    let Some(id) = queue.due.borrow_mut().pop_first() else {
        return Ok(false);
    };
    let log = core.logs.borrow().get(&id).cloned();
    let Some(log) = log else {
        return Ok(true);
    };
    if log.retire(core, engine_rt::wall_clock())? {
        return Ok(true);
    }
    queue.add(id);
    Ok(false)
}
