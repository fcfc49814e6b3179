//! Planted bugs: known mistakes that the crash tests must catch, or they prove nothing.
//!
//! The mistakes are compiled in by `RUSTFLAGS='--cfg odradek_planted'` only, into a target
//! directory of their own, and there chosen at run time; a build without it has no trace of them.
//! A site reads `#[cfg(odradek_planted)] if planted::is(Bug::AckBeforeFlush) { .. }`.
//!
//! Does not: run anything. `tests/planted` builds, runs and prints the table.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// Class `fsync` acknowledges when the write has completed.
    AckBeforeFlush,
    /// The last partial block of a segment is read, extended and written again in place.
    InPlaceTailRewrite,
    /// Recovery cuts at a damaged frame although later ones were durable.
    TruncateAtRot,
    /// A new file's directory is not synced before the manifest names the file.
    MissingDirectorySync,
    /// A frame left by an older run is replayed.
    OlderRunAccepted,
    /// What a flush covers is read when it completes, not when it was asked for.
    FlushTargetAtCompletion,
    /// Half of the lane is written again before the manifest that covers it was synced.
    HalfReusedBeforeManifestSync,
    /// A checkpoint captures a log after its first change past the checkpoint's sequence.
    CaptureTooLate,
    /// A truncation writes into the old segment above the cut instead of opening a new one.
    OverwriteAboveCut,
    /// A repeat is acknowledged at once, its original still being on its way to the disk. Planted
    /// where replicas wait, and found by their tests.
    DuplicateAcknowledgedEarly,
}

impl Bug {
    /// All of them, in the order the table prints.
    pub const ALL: &[Self] = &[
        Self::AckBeforeFlush,
        Self::InPlaceTailRewrite,
        Self::TruncateAtRot,
        Self::MissingDirectorySync,
        Self::OlderRunAccepted,
        Self::FlushTargetAtCompletion,
        Self::HalfReusedBeforeManifestSync,
        Self::CaptureTooLate,
        Self::OverwriteAboveCut,
        Self::DuplicateAcknowledgedEarly,
    ];

    /// Its name on the command line and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckBeforeFlush => "ack-before-flush",
            Self::InPlaceTailRewrite => "in-place-tail-rewrite",
            Self::TruncateAtRot => "truncate-at-rot",
            Self::MissingDirectorySync => "missing-directory-sync",
            Self::OlderRunAccepted => "older-run-accepted",
            Self::FlushTargetAtCompletion => "flush-target-at-completion",
            Self::HalfReusedBeforeManifestSync => "half-reused-before-manifest-sync",
            Self::CaptureTooLate => "capture-too-late",
            Self::OverwriteAboveCut => "overwrite-above-cut",
            Self::DuplicateAcknowledgedEarly => "duplicate-acknowledged-early",
        }
    }

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
