//! One round over one log: learn the keys of what is dirty, then write every group anew.
//!
//! Keeps: a group is replaced only if it is still what was read; with each one that is, the log
//! has come on, so a round may end at any point. Memory is bounded: the map, one read, one batch
//! decompressed, one write.
//!
//! Does not: choose the log (`upkeep::compaction`).

use super::filter::{Filtered, Rules};
use super::offset_map::OffsetMap;
use super::output::Output;
use super::plan::CompactionPlan;
use super::transactions::{AbortedTransaction, CleanedTransactions, TransactionScan};
use crate::error::StorageError;
use crate::format::SegmentImage;
use crate::number::to_u64;
use crate::partition_log::{CompactionView, PartitionLog, decompressed_bytes_max};
use crate::store_core::StoreCore;
use bytes::Bytes;
use core::time::Duration;
use engine_codec::{Batch, BatchError, BuildError, batches};
use engine_model::{Moment, Offset, Timestamp};
use std::rc::Rc;

/// Bytes of one read while transactions are looked for.
const SCAN_BYTES: usize = 1 << 20;

/// The longest pause at a time, so that a stop need not wait.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Why a round ended early. The log is whole, and has come on as far as groups were replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    /// The log was truncated, trimmed or deleted, its settings changed, or the store stops.
    #[error("the log changed meanwhile")]
    Abandoned,
    /// Records of a batch cannot be read or written again.
    #[error("the batch at offset {offset} cannot be compacted: {error}")]
    Batch {
        /// Its base offset.
        offset: Offset,
        /// What is wrong with it.
        error: BuildError,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rounded {
    /// One past the last offset that is compacted now.
    pub(crate) end: Offset,
    /// Keys in what was dirty.
    pub(crate) keys: u64,
    /// Bytes of batches that were read to be written again.
    pub(crate) bytes_before: u64,
    /// Bytes of batches that were written.
    pub(crate) bytes_after: u64,
    /// Groups of segments that were replaced.
    pub(crate) groups: u64,
}

/// See the module.
pub(crate) struct Round {
    core: Rc<StoreCore>,
    log: PartitionLog,
    plan: CompactionPlan,
    view: CompactionView,
    /// Transactions that were aborted, once some batch made us look.
    aborted: Option<Vec<AbortedTransaction>>,
    /// Bytes since, and when that was.
    paced: (u64, Moment),
    done: Rounded,
}

impl Round {
    pub(crate) fn new(
        core: &Rc<StoreCore>,
        log: &PartitionLog,
        plan: CompactionPlan,
        view: CompactionView,
    ) -> Self {
        Self {
            core: Rc::clone(core),
            log: log.clone(),
            plan,
            view,
            aborted: None,
            paced: (0, engine_rt::now()),
            done: Rounded::default(),
        }
    }

    /// Does the round.
    ///
    /// Errors: see [`RoundError`]; files that were begun are deleted. Cancel: not safe, those would
    /// stay until the next start.
    pub(crate) async fn run(mut self, now: Timestamp) -> Result<Rounded, RoundError> {
        let map = self.build_map().await?;
        let end = map.end();
        self.done.end = end;
        self.done.keys = to_u64(map.len());
        let rules = Rules {
            now,
            delete_retention_ms: self.view.config.delete_retention_ms.max(0),
            round_end: self.plan.end(),
            decompressed_bytes_max: decompressed_bytes_max(&self.view.config),
            producers: self.log.last_of_producers(),
        };
        let mut transactions = None;
        for group in self.plan.groups(end, self.view.config.segment_bytes) {
            self.clean_group(&group, &map, &rules, &mut transactions)
                .await?;
        }
        Ok(self.done)
    }

    /// Learns the last offset of every key from the first dirty offset on, as many as fit.
    async fn build_map(&mut self) -> Result<OffsetMap, RoundError> {
        let start = self.plan.dirty_start();
        let seed = [engine_rt::random_u64(), engine_rt::random_u64()];
        let bytes = self.core.options().cleaner_dedupe_bytes;
        let mut map = OffsetMap::new(bytes, seed, start);
        let mut transactions = None;
        let dirty = self.plan.segments.get(self.plan.clean..);
        for segment in dirty.unwrap_or_default().to_vec() {
            let rows = self.core.segments().rows(self.log.id(), &segment).await?;
            let mut place = 0_usize;
            while let Some(rest) = rows.get(place..).filter(|rest| !rest.is_empty()) {
                let payloads = self.scan(&segment, rest).await?;
                place = place.saturating_add(payloads.len());
                for mut payload in payloads {
                    while let Some(batch) = next_batch(&mut payload, &segment)? {
                        if !self.learn(&batch, &mut map, &mut transactions).await? {
                            return Ok(map);
                        }
                    }
                }
            }
            map.set_end(segment.end_offset);
        }
        Ok(map)
    }

    /// Learns the keys of one batch; `false` if there is no room for them.
    async fn learn(
        &mut self,
        batch: &Batch,
        map: &mut OffsetMap,
        transactions: &mut Option<CleanedTransactions>,
    ) -> Result<bool, RoundError> {
        let header = batch.header();
        let start = self.plan.dirty_start();
        self.see_to_transactions(batch, start, transactions).await?;
        let all_go = transactions.as_mut().is_some_and(|cleaned| {
            if header.attributes.is_control() {
                cleaned.on_control_batch(batch);
                true
            } else {
                cleaned.on_batch(batch)
            }
        });
        if !all_go {
            let is_first = map.end() == start;
            let bytes_max = decompressed_bytes_max(&self.view.config);
            for record in batch.records(bytes_max) {
                let record = record.map_err(|error| unreadable(batch, error))?;
                let Some(key) = &record.key else {
                    continue;
                };
                let offset = header.record_offset(record.offset_delta);
                while !map.put(key, offset) {
                    if !is_first {
                        return Ok(false);
                    }
                    // A single batch with more keys than fit: without it the log never comes on.
                    map.grow();
                }
            }
        }
        map.set_end(header.next_offset());
        engine_rt::yield_if_due().await;
        Ok(true)
    }

    /// Writes what stays of a group, and lets that take its place.
    async fn clean_group(
        &mut self,
        group: &[SegmentImage],
        map: &OffsetMap,
        rules: &Rules,
        transactions: &mut Option<CleanedTransactions>,
    ) -> Result<(), RoundError> {
        let base = group
            .first()
            .map_or(Offset::ZERO, |first| first.base_offset);
        let mut output = Output::new(self.log.id(), base);
        let result = async {
            self.write_group(group, map, rules, transactions, &mut output)
                .await?;
            if !output.made().is_empty()
                && let Err(error) = self.core.segments().directory().sync().await
            {
                // What a failed sync of a directory covered is not known to be there later.
                let error = error.into();
                self.core.raise_fence(&error);
                return Err(error.into());
            }
            let generation = self.view.generation;
            let is_done = self
                .log
                .replace(&self.core, group, output.made(), generation)
                .await?;
            if is_done {
                Ok(())
            } else {
                Err(RoundError::Abandoned)
            }
        };
        if let Err(error) = result.await {
            output.discard(&self.core).await;
            return Err(error);
        }
        self.done.groups = self.done.groups.saturating_add(1);
        let groups = &self.core.compacted_groups;
        groups.set(groups.get().saturating_add(1));
        for segment in group {
            self.done.bytes_before = self.done.bytes_before.saturating_add(segment.record_bytes);
        }
        for segment in output.made() {
            self.done.bytes_after = self.done.bytes_after.saturating_add(segment.record_bytes);
        }
        Ok(())
    }

    async fn write_group(
        &mut self,
        group: &[SegmentImage],
        map: &OffsetMap,
        rules: &Rules,
        transactions: &mut Option<CleanedTransactions>,
        output: &mut Output,
    ) -> Result<(), RoundError> {
        let core = Rc::clone(&self.core);
        // Where the map was full, what lies behind is copied into a segment that is not compacted.
        let mut is_behind = false;
        for segment in group {
            let rows = core.segments().rows(self.log.id(), segment).await?;
            let mut place = 0_usize;
            while let Some(rest) = rows.get(place..).filter(|rest| !rest.is_empty()) {
                let payloads = self.scan(segment, rest).await?;
                place = place.saturating_add(payloads.len());
                for mut payload in payloads {
                    while let Some(batch) = next_batch(&mut payload, segment)? {
                        let header = batch.header();
                        if header.base_offset >= map.end() {
                            if !std::mem::replace(&mut is_behind, true) {
                                output.end_segment(&core, map.end(), true).await?;
                            }
                            let written = output.push(&core, header, batch.bytes().clone()).await?;
                            self.pace(written).await?;
                            continue;
                        }
                        self.see_to_transactions(&batch, Offset::ZERO, transactions)
                            .await?;
                        let cleaned = transactions.as_mut();
                        let filtered = rules.filter(&batch, map, cleaned).map_err(|error| {
                            RoundError::Batch {
                                offset: header.base_offset,
                                error,
                            }
                        })?;
                        let batch = match filtered {
                            Filtered::Nothing => continue,
                            Filtered::Whole => batch,
                            Filtered::Some(bytes) => {
                                Batch::parse(&bytes).map_err(|error| unreadable(&batch, error))?
                            }
                        };
                        let bytes = batch.bytes().clone();
                        let written = output.push(&core, batch.header(), bytes).await?;
                        self.pace(written).await?;
                        engine_rt::yield_if_due().await;
                    }
                }
            }
        }
        let end = group.last().map_or(Offset::ZERO, |last| last.end_offset);
        output.end_segment(&core, end, !is_behind).await?;
        Ok(())
    }

    /// Reads the next extents of a segment, if it is still one of the log.
    async fn scan(
        &mut self,
        segment: &SegmentImage,
        rows: &[crate::format::IndexRow],
    ) -> Result<Vec<Bytes>, RoundError> {
        let generation = self.view.generation;
        let one = core::slice::from_ref(segment);
        if !self.log.can_replace(one, generation) {
            return Err(RoundError::Abandoned);
        }
        let reader = self.log.reader();
        let payloads = self
            .core
            .segments()
            .scan(self.log.id(), segment, rows)
            .await?;
        drop(reader);
        let bytes = payloads.iter().fold(0, |sum: u64, payload| {
            sum.saturating_add(to_u64(payload.len()))
        });
        self.pace(bytes).await?;
        Ok(payloads)
    }

    /// Waits until these bytes may have been read or written by the limit on them.
    async fn pace(&mut self, bytes: u64) -> Result<(), RoundError> {
        let limit = self.core.options().cleaner_bytes_per_second;
        self.paced.0 = self.paced.0.saturating_add(bytes);
        loop {
            self.core.lane().check()?;
            if self.core.is_stopping.get() {
                return Err(RoundError::Abandoned);
            }
            let due_us = self
                .paced
                .0
                .saturating_mul(1_000_000)
                .checked_div(limit)
                .unwrap_or(0);
            let due = self.paced.1.saturating_add(Duration::from_micros(due_us));
            let pause = due.saturating_since(engine_rt::now());
            if pause.is_zero() {
                return Ok(());
            }
            engine_rt::sleep(pause.min(PAUSE_MAX)).await;
        }
    }

    /// Looks for aborted transactions when the first batch comes that makes them matter; until then
    /// there are none, and `transactions` stays empty.
    async fn see_to_transactions(
        &mut self,
        batch: &Batch,
        from: Offset,
        transactions: &mut Option<CleanedTransactions>,
    ) -> Result<(), RoundError> {
        let attributes = batch.header().attributes;
        let matters = attributes.is_transactional() || attributes.is_control();
        if !matters || transactions.is_some() {
            return Ok(());
        }
        if self.aborted.is_none() {
            self.aborted = Some(self.find_aborted().await?);
        }
        let aborted = self.aborted.as_deref().unwrap_or_default();
        let still = aborted.iter().filter(|aborted| aborted.last_offset >= from);
        *transactions = Some(CleanedTransactions::new(still.copied().collect()));
        Ok(())
    }

    /// The aborted transactions of the whole log. One that begins within reach has ended, but its
    /// marker may lie behind.
    async fn find_aborted(&mut self) -> Result<Vec<AbortedTransaction>, RoundError> {
        let mut scan = TransactionScan::default();
        let end = self.log.stable_end();
        let mut offset = self.view.log_start;
        while offset < end {
            if self.log.generation() != self.view.generation {
                return Err(RoundError::Abandoned);
            }
            let core = Rc::clone(&self.core);
            let read = self.log.read_on(&core, offset, end, SCAN_BYTES).await?;
            if read.next_offset <= offset {
                break;
            }
            offset = read.next_offset;
            for chunk in &read.chunks {
                for batch in batches(chunk) {
                    let batch = batch.map_err(|error| RoundError::Batch {
                        offset,
                        error: error.into(),
                    })?;
                    scan.note(&batch);
                }
            }
            self.pace(to_u64(read.bytes)).await?;
            engine_rt::yield_if_due().await;
        }
        Ok(scan.aborted)
    }
}

/// Takes the next batch off a payload; `None` at its end and where the segment was cut.
fn next_batch(payload: &mut Bytes, segment: &SegmentImage) -> Result<Option<Batch>, RoundError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let batch = Batch::split_off_front(payload).map_err(|error| RoundError::Batch {
        offset: segment.base_offset,
        error: error.into(),
    })?;
    Ok(Some(batch).filter(|batch| batch.header().base_offset < segment.end_offset))
}

fn unreadable(batch: &Batch, error: BatchError) -> RoundError {
    RoundError::Batch {
        offset: batch.header().base_offset,
        error: error.into(),
    }
}
