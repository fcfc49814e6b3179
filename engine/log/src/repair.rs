//! Repair of a data directory, offline: the only way in which acknowledged records are given up.
//!
//! It is a recovery that lifts quarantines instead of keeping them, so it is as crash-safe as one:
//! nothing that CURRENT names is changed before the new CURRENT stands, and a repair that was cut
//! off is done again.
//!
//! What is given up, and what is not:
//! - of a log that was set apart because its lane is damaged: everything behind its last good
//!   record. Its end moves back there, and the offsets are given out again: nothing tells what
//!   else there was, and a log must not end in a gap that no consumer gets over;
//! - of a log with rotten extents: the records of those extents. What follows them keeps its
//!   offsets, as after compaction. Good extents are copied to a new file;
//! - of a lane both of whose manifests are gone: its logs. They cannot be told apart any more;
//! - healthy logs keep everything.
//!
//! Does not: decide by itself ([`AcceptLoss::is_dry_run`] tells what would happen and writes
//! nothing), or know topics' names.
//! Source: the storage design, "Recovery", step 14, and "Order, truncation, deletion".

use crate::directory::{lock_directory, read_current_or_rebuild};
use crate::error::OpenError;
use crate::options::StorageOptions;
use crate::recovery;
use engine_model::{LogId, Offset, TopicPartition};
use std::collections::BTreeSet;
use std::path::Path;

/// What may be given up.
#[derive(Clone, Debug, Default)]
pub struct AcceptLoss {
    /// Only these logs; `None` is all. Others that are damaged stay as they are.
    pub logs: Option<BTreeSet<LogId>>,
    /// Only find out: nothing is written.
    pub is_dry_run: bool,
}

impl AcceptLoss {
    pub(crate) fn covers(&self, log: LogId) -> bool {
        self.logs.as_ref().is_none_or(|logs| logs.contains(&log))
    }
}

/// What was done, or would be, to one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairedLog {
    /// Its identity.
    pub id: LogId,
    /// The partition it is a replica of; `None` where no sound entry tells, and the log is dropped.
    pub partition: Option<TopicPartition>,
    /// It had been set apart, now or by an earlier start.
    pub was_quarantined: bool,
    /// Its first offset, afterwards.
    pub log_start: Offset,
    /// One past its last offset, afterwards.
    pub log_end: Offset,
    /// First and last offset of each run of offsets that may hold acknowledged records and is
    /// given up, in order.
    pub lost: Vec<(Offset, Offset)>,
    /// Segment files that were copied without their damaged parts, or dropped.
    pub segments: usize,
}

/// What a repair did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// The run that began with it; the present one for a dry run.
    pub run: u64,
    /// CURRENT could not be read and was put together from the other files.
    pub rebuilt_current: bool,
    /// Lanes whose logs are given up, because both manifests are gone.
    pub lost_lanes: Vec<u16>,
    /// Logs that were not whole.
    pub logs: Vec<RepairedLog>,
    /// Damaged logs that are left as they are, since they were not asked for.
    pub left: Vec<LogId>,
}

impl RepairReport {
    /// Whether nothing was wrong.
    pub fn is_sound(&self) -> bool {
        !self.rebuilt_current
            && self.lost_lanes.is_empty()
            && self.logs.is_empty()
            && self.left.is_empty()
    }
}

/// Repairs a data directory that no broker has open.
///
/// Of `options` only sizes count; the directory keeps its lanes. Errors: `InUse`; `Foreign` where
/// there is no data directory; `Newer`; `Unreadable` with the reason where it cannot be repaired.
/// The directory is then as it was. Cancel: safe, as a crash is.
pub async fn repair(
    path: &Path,
    options: &StorageOptions,
    accept: &AcceptLoss,
) -> Result<RepairReport, OpenError> {
    let (root, lock) = lock_directory(path).await?;
    let (before, is_rebuilt) = read_current_or_rebuild(&root, path).await?;
    let options = StorageOptions {
        shards: before.lanes.len().max(1),
        ..options.clone()
    };
    let mut report = recovery::repair(&root, path, &options, &before, accept).await?;
    report.rebuilt_current = is_rebuilt;
    drop(lock);
    Ok(report)
}
