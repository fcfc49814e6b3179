//! Compaction in the background: finds the log that needs a round most, and gives it one.
//!
//! A task of its own, because a round takes long and checkpoints must not wait for it. One round at
//! a time on a shard; every round yields after each batch, on the background budget.
//!
//! Keeps: a log whose records cannot be read is left alone until the next start, the others go on;
//! a full disk or a failure of it is no loss: the old segments stay, and it is tried again.
//!
//! Source: Kafka 4.3.1, `LogCleaner`, `LogCleanerManager.grabFilthiestCompactedLog`.

use crate::compaction::{CompactionPlan, Round, RoundError, Rounded, cleanable_count, plan};
use crate::error::StorageError;
use crate::format::{FileId, SegmentImage};
use crate::partition_log::{CompactionView, PartitionLog};
use crate::store_core::StoreCore;
use engine_codec::Batch;
use engine_model::{LogId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What is known from one look to the next.
#[derive(Default)]
struct Looks {
    /// Logs that cannot be compacted.
    uncleanable: BTreeSet<LogId>,
    /// Times of the first batches of segments, where `max.compaction.lag.ms` asks for them.
    first_times: BTreeMap<FileId, Timestamp>,
}

/// Compacts logs until the store stops.
pub(crate) async fn run(core: Rc<StoreCore>) {
    let mut looks = Looks::default();
    loop {
        let mut is_done = false;
        let may = core.options().cleaner_enabled && core.disk_full.get().is_none();
        if may && core.lane().check().is_ok() {
            is_done = looks.compact_one(&core).await;
        }
        if core.is_stopping.get() {
            return;
        }
        if !is_done {
            let backoff = core.options().cleaner_backoff;
            let _ = engine_rt::timeout(backoff, core.compaction.notified()).await;
        }
    }
}

impl Looks {
    /// Gives the log that needs it most a round; whether one went well.
    async fn compact_one(&mut self, core: &Rc<StoreCore>) -> bool {
        let Some((log, plan, view)) = self.choose(core).await else {
            return false;
        };
        let begun = engine_rt::now();
        let round = Round::new(core, &log, plan, view);
        match round.run(engine_rt::wall_clock()).await {
            Ok(rounded) => {
                tell(&log, &rounded, engine_rt::now().saturating_since(begun));
                rounded.groups > 0
            }
            Err(error) => {
                self.failed(core, &log, &error);
                false
            }
        }
    }

    /// The log that has the largest dirty share of those that are due.
    async fn choose(
        &mut self,
        core: &Rc<StoreCore>,
    ) -> Option<(PartitionLog, CompactionPlan, CompactionView)> {
        let logs: Vec<_> = core.logs.borrow().values().cloned().collect();
        let now = engine_rt::wall_clock();
        let mut best: Option<(PartitionLog, CompactionPlan, CompactionView)> = None;
        let mut seen = BTreeSet::new();
        for log in logs {
            engine_rt::yield_if_due().await;
            if self.uncleanable.contains(&log.id()) {
                continue;
            }
            let Some(view) = log.compaction_view() else {
                continue;
            };
            self.learn_times(core, &log, &view).await;
            seen.extend(view.segments.iter().map(|segment| segment.file));
            let time_of = |segment: &SegmentImage| self.first_times.get(&segment.file).copied();
            let plan_to = |named_end| {
                let ends = (view.committed_end, named_end, view.log_end);
                let count = cleanable_count(&view.segments, &view.config, ends, now);
                let segments = view.segments.get(..count).unwrap_or_default();
                plan(segments, &view.config, now, time_of)
            };
            let planned = plan_to(view.named_end);
            if !planned.dirtiness.is_due(&view.config) {
                // What no manifest names yet counts once one does.
                let holds_much = view.unflushed_bytes >= view.config.segment_bytes;
                if holds_much || plan_to(view.log_end).dirtiness.is_due(&view.config) {
                    core.free_files_later(log.file_delete_delay());
                }
                continue;
            }
            let ratio = planned.dirtiness.ratio();
            let is_best = best
                .as_ref()
                .is_none_or(|(_, other, _)| ratio > other.dirtiness.ratio());
            if is_best {
                best = Some((log, planned, view));
            }
        }
        self.first_times.retain(|file, _| seen.contains(file));
        best
    }

    /// Learns when the dirty segments of a log begin, if its settings ask how old they are.
    async fn learn_times(&mut self, core: &StoreCore, log: &PartitionLog, view: &CompactionView) {
        if view.config.max_compaction_lag_ms == i64::MAX {
            return;
        }
        for segment in view.segments.iter().filter(|s| s.sealed && !s.compacted) {
            if self.first_times.contains_key(&segment.file) {
                continue;
            }
            match first_time(core, log, segment).await {
                Ok(time) => {
                    self.first_times.insert(segment.file, time);
                }
                // A round that needs it will say what is wrong with it.
                Err(error) => {
                    tracing::debug!(log = %log.id(), %error, "the age of a segment is unknown");
                    return;
                }
            }
        }
    }

    fn failed(&mut self, core: &StoreCore, log: &PartitionLog, error: &RoundError) {
        let partition = log.partition();
        match error {
            RoundError::Abandoned => {
                tracing::debug!(%partition, "a compaction was given up: {error}");
            }
            RoundError::Storage(StorageError::Stopped | StorageError::Fenced(_)) => (),
            RoundError::Storage(storage @ StorageError::Io { .. }) => {
                if !storage.is_out_of_space() {
                    tracing::warn!(%partition, %error, "a compaction failed and is tried again");
                }
                core.upkeep.notify_one();
            }
            RoundError::Storage(_) | RoundError::Batch { .. } => {
                self.uncleanable.insert(log.id());
                tracing::error!(
                    %partition,
                    %error,
                    "the log is not compacted any more: its records cannot be read"
                );
            }
        }
    }
}

/// The time of the first batch of a segment.
async fn first_time(
    core: &StoreCore,
    log: &PartitionLog,
    segment: &SegmentImage,
) -> Result<Timestamp, StorageError> {
    let _reader = log.reader();
    let one = core::slice::from_ref(segment);
    let mut found = Timestamp::NONE;
    core.segments()
        .visit(
            log.id(),
            one,
            segment.base_offset,
            |_| true,
            |batch: &Batch| {
                found = batch.header().max_timestamp;
                false
            },
        )
        .await?;
    Ok(found)
}

fn tell(log: &PartitionLog, rounded: &Rounded, took: core::time::Duration) {
    tracing::info!(
        partition = %log.partition(),
        offset = rounded.end.get(),
        keys = rounded.keys,
        bytes_before = rounded.bytes_before,
        bytes_after = rounded.bytes_after,
        groups = rounded.groups,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "a log was compacted"
    );
}
