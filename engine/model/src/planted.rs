//! Planted bugs: known mistakes that the tests must catch, or they prove nothing.
//!
//! The mistakes are compiled in by `RUSTFLAGS='--cfg odradek_planted'` only, into a target
//! directory of their own, and there chosen at run time. A site reads
//! `if planted::is(Bug::AckBeforeFlush) { .. }`; in a build without the flag that is a constant
//! `false`, and nothing of the mistake is left.
//!
//! Does not: run anything. `tests/planted` builds, runs and prints the table.

/// The list of mistakes: the variant, and its name on the command line and in the table.
macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal,)*) => {
        /// A mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $($(#[$doc])* $bug,)*
        }

        impl Bug {
            /// All of them, in the order the table prints.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// Its name on the command line and in the table.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }
        }
    };
}

bugs! {
    // The lane.
    /// Class `fsync` acknowledges when the write has completed.
    AckBeforeFlush = "ack-before-flush",
    /// What a flush covers is read when it completes, not when it was asked for.
    FlushTargetAtCompletion = "flush-target-at-completion",
    /// A flush covers only the half that is written now, not the one just filled.
    FlushMissesFullHalf = "flush-misses-full-half",
    /// A frame is announced when it is written although one before it is not.
    GapAcknowledged = "gap-acknowledged",
    /// A frame carries as durable what was only written.
    DurableFromWritten = "durable-from-written",
    /// The lane never says that its last frames are durable.
    HeartbeatOmitted = "heartbeat-omitted",
    /// A flush of the lane that failed is tried again, and the second answer believed.
    FailedFlushRetried = "failed-flush-retried",
    /// A frame of which the write failed is taken for written.
    FailedWriteAcknowledged = "failed-write-acknowledged",

    // Segments.
    /// The last partial block of a segment is read, extended and written again in place.
    InPlaceTailRewrite = "in-place-tail-rewrite",
    /// The last index block of a segment is written behind its sync.
    IndexNotSynced = "index-not-synced",
    /// A flush of a segment that failed is tried again, and the second answer believed.
    SegmentFlushRetried = "segment-flush-retried",
    /// The checksum of an extent does not know where the extent belongs.
    PlaceNotChecked = "place-not-checked",

    // Checkpoints.
    /// A new file's directory is not synced before the manifest names the file.
    MissingDirectorySync = "missing-directory-sync",
    /// Half of the lane is written again before the manifest that covers it was synced.
    HalfReusedBeforeManifestSync = "half-reused-before-manifest-sync",
    /// A checkpoint captures a log after its first change past the checkpoint's sequence.
    CaptureTooLate = "capture-too-late",
    /// A manifest is written over the newest one.
    ManifestOverNewest = "manifest-over-newest",
    /// A manifest counts extents that were written past its sequence.
    UnnamedExtentsCounted = "unnamed-extents-counted",
    /// Producer state in a manifest is older than the log beside it.
    ProducersOlderThanLog = "producers-older-than-log",
    /// A checkpoint keeps producer state that was captured while it was being rebuilt.
    RebuiltProducersNotCaptured = "rebuilt-producers-not-captured",
    /// A file is unlinked before a manifest that does not name it is durable.
    UnlinkBeforeManifest = "unlink-before-manifest",

    // Changes of a log.
    /// A truncation writes into the old segment above the cut instead of opening a new one.
    OverwriteAboveCut = "overwrite-above-cut",
    /// A truncation's entry carries the generation that it ends.
    GenerationLeftBehind = "generation-left-behind",
    /// Beginning an epoch leaves no entry in the lane.
    EpochNotLogged = "epoch-not-logged",
    /// A moved start is answered before it is durable.
    LogStartAnsweredEarly = "log-start-answered-early",
    /// A deletion is answered before it is durable.
    DeleteAnsweredEarly = "delete-answered-early",
    /// A creation is answered before it is durable.
    CreateAnsweredEarly = "create-answered-early",
    /// A log that is created again gets the identity it had.
    LogIdReused = "log-id-reused",

    // Recovery.
    /// Recovery cuts at a damaged frame although later ones were durable.
    TruncateAtRot = "truncate-at-rot",
    /// A frame left by an older run is replayed.
    OlderRunAccepted = "older-run-accepted",
    /// A payload with zeros where a sector never arrived is taken for whole.
    ZerosParse = "zeros-parse",
    /// The header of a torn frame is believed, whatever became of the rest.
    TornFrameReplayed = "torn-frame-replayed",
    /// Replay forgets a moved start.
    LogStartForgotten = "log-start-forgotten",
    /// Replay of a truncation leaves the epochs above the cut.
    EpochCutForgotten = "epoch-cut-forgotten",
    /// The lane is cleared before the new CURRENT stands.
    LaneClearedEarly = "lane-cleared-early",
    /// Files of the last run are swept before the new CURRENT stands.
    SweepBeforeCurrent = "sweep-before-current",
    /// Files are swept although a log is set apart that may need them.
    SweepAfterRot = "sweep-after-rot",
    /// The directory is not synced after the new CURRENT was renamed into its place.
    CurrentNotSynced = "current-not-synced",
    /// The new CURRENT is renamed into its place before its bytes are synced.
    CurrentRenamedEarly = "current-renamed-early",
    /// The mark of a clean stop is left set when the next run begins.
    CleanMarkLeft = "clean-mark-left",

    // Replicas and metadata: found by the tests of replication/runtime.
    /// A repeat is acknowledged at once, its original still being on its way to the disk.
    DuplicateAcknowledgedEarly = "duplicate-acknowledged-early",
    /// The records of one change of the metadata can be committed in part.
    HalfCommitPublished = "half-commit-published",
    /// A change of the metadata is answered before its records are durable.
    MetadataAnsweredEarly = "metadata-answered-early",
    /// Metadata names the logs of a topic before they are there.
    MetadataBeforeLogs = "metadata-before-logs",
    /// Logs that metadata does not name stay when it is loaded.
    UnnamedLogsKept = "unnamed-logs-kept",
}

impl Bug {
    /// The bug of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

#[cfg(odradek_planted)]
mod selected {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        // Per thread: a simulation is single-threaded, and tests run side by side.
        static SELECTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Turns one bug on for this thread, or all off.
    pub fn select(bug: Option<Bug>) {
        SELECTED.set(bug);
    }

    /// Whether that bug is on.
    pub fn is(bug: Bug) -> bool {
        SELECTED.get() == Some(bug)
    }
}

#[cfg(odradek_planted)]
pub use selected::{is, select};

/// Whether that bug is on: never, in a build that has none.
#[cfg(not(odradek_planted))]
#[inline]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::Bug;

    #[test]
    fn every_name_leads_to_its_bug() {
        for bug in Bug::ALL {
            assert_eq!(Bug::parse(bug.name()), Some(*bug));
        }
        assert_eq!(Bug::parse("none-of-them"), None);
    }
}
