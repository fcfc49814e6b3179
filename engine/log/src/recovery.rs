//! Recovery: manifest and replay, lane by lane; then new manifests under a new run.
//!
//! Keeps (rules 11-18): nothing that CURRENT names is changed before the new CURRENT stands, so a
//! crash anywhere here repeats it on the same input; what was acknowledged as durable is never cut
//! away: where it cannot be read, the log is set apart.
//!
//! Does not: accept loss (`odradek storage repair` does), or serve.

mod drain;
mod follow;
mod log;
mod manifest;
mod publish;
mod rebuild;
mod repair;
mod replay;
mod scan;
mod seen;

pub(crate) use rebuild::rebuild_current;

use crate::directory::{RecoveryReport, StableEnds, segments_directory};
use crate::error::OpenError;
use crate::fence::FenceSignal;
use crate::format::{Current, FileId};
use crate::number::to_usize;
use crate::options::StorageOptions;
use crate::repair::{AcceptLoss, RepairReport};
use crate::store::{StoreSeed, home_shard};
use engine_model::{LogId, Offset, TopicPartition};
use engine_rt::Dir;
use log::RecoveringLog;
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of replayed batches that are held in memory over all logs before they are drained.
const REPLAYED_BYTES_MAX: u64 = 64 << 20;

/// What a recovery made.
pub(crate) struct Recovered {
    pub(crate) current: Current,
    pub(crate) seeds: Vec<StoreSeed>,
    pub(crate) report: RecoveryReport,
}

/// One recovery of one directory.
struct Recovery<'a> {
    root: &'a Dir,
    segments: Dir,
    path: &'a Path,
    options: &'a StorageOptions,
    /// What the last run left.
    before: &'a Current,
    /// The run that begins.
    run: u64,
    logs: BTreeMap<LogId, RecoveringLog>,
    /// The next number each lane gives out in the new run.
    counters: Vec<u32>,
    /// Lanes whose files must be kept for repair.
    damaged_lanes: Vec<u16>,
    replayed_bytes: u64,
    report: RecoveryReport,
    /// What may be given up: this is a repair.
    accept: Option<&'a AcceptLoss>,
    repair: RepairReport,
    /// How far damaged logs went, by frames that nothing applies any more.
    seen_ends: BTreeMap<LogId, Offset>,
}

/// Recovers the directory and begins a new run in it.
pub(crate) async fn recover(
    root: &Dir,
    path: &Path,
    options: &StorageOptions,
    before: &Current,
    fence: &FenceSignal,
    ends: &StableEnds,
) -> Result<Recovered, OpenError> {
    let mut recovery = Recovery::new(root, path, options, before, None).await?;
    recovery.run().await?;
    recovery.publish(fence, ends).await
}

/// Recovers the directory, gives up what cannot be saved and may be, and begins a new run in it.
pub(crate) async fn repair(
    root: &Dir,
    path: &Path,
    options: &StorageOptions,
    before: &Current,
    accept: &AcceptLoss,
) -> Result<RepairReport, OpenError> {
    let mut recovery = Recovery::new(root, path, options, before, Some(accept)).await?;
    recovery.run().await?;
    let mut report = std::mem::take(&mut recovery.repair);
    report.run = before.run;
    if !accept.is_dry_run {
        let fence = FenceSignal::default();
        let recovered = recovery.publish(&fence, &StableEnds::default()).await?;
        report.run = recovered.current.run;
    }
    Ok(report)
}

impl<'a> Recovery<'a> {
    async fn new(
        root: &'a Dir,
        path: &'a Path,
        options: &'a StorageOptions,
        before: &'a Current,
        accept: Option<&'a AcceptLoss>,
    ) -> Result<Self, OpenError> {
        if !root.exists(segments_directory()).await? {
            root.create_dir(segments_directory()).await?;
            root.sync().await?;
        }
        Ok(Self {
            root,
            segments: root.open_dir(segments_directory()).await?,
            path,
            options,
            before,
            run: before.run.saturating_add(1),
            logs: BTreeMap::new(),
            counters: vec![0; options.shards],
            damaged_lanes: Vec::new(),
            replayed_bytes: 0,
            report: RecoveryReport::default(),
            accept,
            repair: RepairReport::default(),
            seen_ends: BTreeMap::new(),
        })
    }

    async fn run(&mut self) -> Result<(), OpenError> {
        let before = self.before;
        // Everything is read once before anything is written: what cannot be read refuses here.
        let mut manifests = Vec::with_capacity(before.lanes.len());
        for lane in &before.lanes {
            manifests.push(match self.read_manifest(lane).await {
                Err(OpenError::Unreadable { .. }) if self.accept.is_some() => {
                    self.repair.lost_lanes.push(lane.lane);
                    None
                }
                other => Some(other?),
            });
        }
        if !self.is_dry_run() {
            self.remove_failed_attempt().await?;
        }
        for (lane, manifest) in before.lanes.iter().zip(manifests) {
            match manifest {
                Some(manifest) => self.recover_lane(lane, manifest).await?,
                None => self.damaged_lanes.push(lane.lane),
            }
        }
        self.drain_all().await
    }
}

impl Recovery<'_> {
    /// A new file of the lane that a partition now belongs to.
    fn file_for(&mut self, partition: TopicPartition) -> FileId {
        self.next_file(home_shard(partition, self.options.shards).0)
    }

    fn next_file(&mut self, lane: u16) -> FileId {
        let counter = self
            .counters
            .get_mut(usize::from(lane))
            .map_or(0, |counter| {
                let next = *counter;
                *counter = counter.saturating_add(1);
                next
            });
        FileId {
            run: self.run,
            lane,
            counter,
        }
    }

    fn quarantine(&mut self, id: LogId, reason: &dyn std::fmt::Display) {
        tracing::error!(log = %id, %reason, "a log is set apart: acknowledged bytes are damaged");
        if let Some(log) = self.logs.get_mut(&id) {
            log.is_quarantined = true;
        } else {
            // It was created in a frame that cannot be read: its files must be kept all the same.
            self.logs.insert(id, RecoveringLog::unknown(id));
        }
    }
}

/// A length as the `usize` a buffer needs.
fn length(bytes: u64) -> usize {
    to_usize(bytes)
}
