//! The watch on free space.
//!
//! Appends are refused while less is free than the reserve, and while what is in memory alone would
//! not find room in segments: the checkpoint that must move it there is what frees the lane, and
//! with it everything that retention and deletes give back.
//!
//! Keeps: the refusal ends by itself; it is told once when it begins and once when it ends.
//! Does not: refuse what frees space, or the node's own records, for which the reserve is there.

use crate::number::to_u64;
use crate::store_core::StoreCore;
use core::time::Duration;
use engine_rt::Dir;

/// How often free space is looked at while there is plenty.
const TICK: Duration = Duration::from_millis(500);

/// How often while there is little: a fast producer fills some hundred MiB in a tick.
const TICK_SHORT: Duration = Duration::from_millis(50);

/// What is little: less than so many times what must stay free.
const LITTLE_FACTOR: u64 = 4;

/// What manifests and index blocks of a shard may need beside the batches.
const SLACK_BYTES: u64 = 1 << 20;

/// Looks at the free space; the time until it is to be looked at again.
pub(super) async fn look(core: &StoreCore, root: &Dir) -> Duration {
    let free = match root.free_space().await {
        Ok(free) => free,
        Err(error) => {
            tracing::warn!(%error, "free space is unknown");
            return TICK;
        }
    };
    let needed = needed(core);
    if free < needed {
        if core.disk_full.replace(Some(free)).is_none() {
            tracing::error!(
                free,
                needed,
                "appends are refused, the disk is too full (storage.min.free.bytes): delete topics or \
                 records, shorten retention, or give it space; they are taken again by themselves"
            );
            // A checkpoint while there is room for one: a start on the full disk has little to move.
            core.free_files_later(Duration::ZERO);
        }
        core.lane().wake_all();
    } else {
        core.has_run_out.set(false);
        if core.disk_full.take().is_some() {
            tracing::info!(free, "appends are taken again: the disk has room");
        }
    }
    if free < needed.saturating_mul(LITTLE_FACTOR) {
        TICK_SHORT
    } else {
        TICK
    }
}

/// Notes that a write found no room.
pub(super) fn ran_out(core: &StoreCore) {
    core.has_run_out.set(true);
}

/// Bytes that must be free for appends to be taken. Shards share a disk and do not ask each other:
/// each takes the others to be as it is.
fn needed(core: &StoreCore) -> u64 {
    let options = core.options();
    if options.disk_reserve_bytes == 0 {
        return 0;
    }
    core.unflushed_bytes()
        .saturating_add(SLACK_BYTES)
        .saturating_mul(to_u64(options.shards))
        .max(options.disk_reserve_bytes)
}
