//! What a replica wants done.

use crate::replica::WaiterId;
use engine_model::{LeaderEpoch, Offset};

/// Effects of one step, in order.
pub type Effects = Vec<Effect>;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin the epoch in the log, before the first append of it.
    BeginEpoch {
        /// The epoch.
        leader_epoch: LeaderEpoch,
    },
    /// The high watermark moved; readers may wait for that.
    HighWatermark {
        /// Where it is now.
        high_watermark: Offset,
    },
    /// A waiter has what it waits for, or never will.
    Answer {
        /// The waiter.
        waiter: WaiterId,
        /// What became of it.
        result: Result<(), WaitError>,
    },
    /// Who leads, or whether anybody does, changed: readers that wait must look again.
    WakeReaders,
}

/// Why a waiter never gets what it waits for. Its records may be in the log all the same, and may
/// be committed later: the producer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// Another replica leads, or this one in a newer epoch.
    #[error("leadership moved to epoch {leader_epoch}")]
    NotLeader {
        /// The epoch now.
        leader_epoch: LeaderEpoch,
    },
    /// The records were cut off.
    #[error("the log was truncated to {to}")]
    Truncated {
        /// The end of the log after the cut.
        to: Offset,
    },
    /// Too few replicas are in sync, found after the append; 20.
    #[error("{in_sync} replicas are in sync, {needed} are needed")]
    NotEnoughReplicas {
        /// Replicas in sync.
        in_sync: usize,
        /// Replicas needed.
        needed: usize,
    },
    /// The storage takes no changes.
    #[error("the log is offline")]
    Offline,
    /// The topic is gone.
    #[error("the partition is deleted")]
    Deleted,
}
