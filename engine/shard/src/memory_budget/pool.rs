//! What the shards of a process share of their budget: a few counters.
//!
//! Keeps: the common part is never lent twice; at most one charge is in the express part.
//! A shard borrows in steps and keeps a little spare, so that a request touches no counter of the
//! others most of the time.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use super::MemoryBudget;

/// The most one step of borrowing takes beyond what is missing, and half of what a shard keeps
/// spare.
const STEP_BYTES_MAX: usize = 1 << 20;
/// Steps in the common part, at least.
const STEPS: usize = 16;

/// The budget of a process. Cheap to clone, and meant to go to every shard.
#[derive(Clone)]
pub struct MemoryPool {
    shared: Arc<Shared>,
}

struct Shared {
    limit: usize,
    shards: usize,
    /// Of each shard.
    own: usize,
    common: usize,
    step: usize,
    lent: AtomicUsize,
    express: AtomicBool,
    /// Shards on which somebody waits.
    short: AtomicUsize,
}

impl fmt::Debug for MemoryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPool")
            .field("limit", &self.shared.limit)
            .field("own", &self.shared.own)
            .field("common", &self.shared.common)
            .field("lent", &self.shared.lent)
            .finish_non_exhaustive()
    }
}

impl MemoryPool {
    /// A pool of `limit` bytes, of which up to `express` (at most three quarters) are for one charge at a
    /// time that could else not go on: the largest request.
    pub fn new(limit: usize, express: usize, shards: usize) -> Self {
        let shards = shards.max(1);
        let shared = limit.saturating_sub(express.min(limit / 4 * 3));
        let own = (shared / 2).checked_div(shards).unwrap_or_default();
        let common = shared.saturating_sub(own.saturating_mul(shards));
        Self {
            shared: Arc::new(Shared {
                limit,
                shards,
                own,
                common,
                step: (common / STEPS).min(STEP_BYTES_MAX),
                lent: AtomicUsize::new(0),
                express: AtomicBool::new(false),
                short: AtomicUsize::new(0),
            }),
        }
    }

    /// The part of one shard, to be called there, once.
    pub fn budget(&self) -> MemoryBudget {
        MemoryBudget::of(self.clone())
    }

    /// All of it, in bytes.
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// What all charges together may take that do not go on in the express part.
    pub fn shared_bytes(&self) -> usize {
        let own = self.shared.own.saturating_mul(self.shared.shards);
        self.shared.common.saturating_add(own)
    }

    pub(super) fn own(&self) -> usize {
        self.shared.own
    }

    /// Whether others than the one shard may give back.
    pub(super) fn has_others(&self) -> bool {
        self.shared.shards > 1
    }

    /// Whether so many bytes are so much that they might wait for ever while others come and go.
    pub(super) fn is_large(&self, bytes: usize) -> bool {
        bytes > self.shared.own.saturating_add(self.shared.common) / 4
    }

    /// Lends at least `missing` bytes, or none.
    pub(super) fn borrow(&self, missing: usize) -> usize {
        let rounded = missing.saturating_add(self.shared.step);
        if self.lend(rounded) {
            rounded
        } else if self.lend(missing) {
            missing
        } else {
            0
        }
    }

    /// Lends up to `missing` bytes.
    pub(super) fn borrow_what_is_left(&self, missing: usize) -> usize {
        let free = self
            .shared
            .common
            .saturating_sub(self.shared.lent.load(Ordering::Relaxed));
        let some = missing.min(free);
        if self.lend(some) { some } else { 0 }
    }

    fn lend(&self, bytes: usize) -> bool {
        self.shared
            .lent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lent| {
                lent.checked_add(bytes)
                    .filter(|lent| *lent <= self.shared.common)
            })
            .is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.shared.lent.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How much of `spare` bytes a shard should give back. While somebody is short: all of them.
    pub(super) fn surplus(&self, spare: usize) -> usize {
        if self.has_others() && self.is_short() {
            spare
        } else if spare > self.shared.step.saturating_mul(2) {
            spare.saturating_sub(self.shared.step)
        } else {
            0
        }
    }

    pub(super) fn take_express(&self) -> bool {
        !self.shared.express.swap(true, Ordering::Relaxed)
    }

    pub(super) fn give_express_back(&self) {
        self.shared.express.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_short(&self) -> bool {
        self.shared.short.load(Ordering::Relaxed) > 0
    }

    pub(super) fn count_short(&self, is_short: bool) {
        if is_short {
            self.shared.short.fetch_add(1, Ordering::Relaxed);
        } else {
            self.shared.short.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
