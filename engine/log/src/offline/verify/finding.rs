//! What a check finds.

use crate::format::FormatError;
use core::fmt;
use engine_codec::BatchError;
use engine_model::{LogId, Offset};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is wrong: what a crash or an upgrade leaves, and the next start clears away.
    Note,
    /// Bytes are not what was written, but what was acknowledged is whole without them.
    Spare,
    /// Something that was acknowledged is lost, unreadable or not served.
    Damage,
}

impl Severity {
    /// Its name, for scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Spare => "spare",
            Self::Damage => "damage",
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A file that is named is not there.
    #[error("the file is named and not there")]
    Missing,
    /// The system refuses to read.
    #[error("it cannot be read (errno {errno})")]
    Unreadable {
        /// The system's error number.
        errno: i32,
    },
    /// A file is shorter than what names it says.
    #[error("the file has {found} of {needed} bytes")]
    Short {
        /// Bytes it should have.
        needed: u64,
        /// Bytes it has.
        found: u64,
    },
    /// `CURRENT` does not parse.
    #[error("{0}")]
    Current(FormatError),
    /// A slot holds no whole manifest.
    #[error("{0}")]
    Manifest(FormatError),
    /// No slot of a lane holds a manifest of this run.
    #[error("lane {lane} has no manifest")]
    NoManifest {
        /// The lane.
        lane: u16,
    },
    /// Producers or epochs of a log do not parse.
    #[error("the {state} of the log: {error}")]
    State {
        /// Which of them.
        state: &'static str,
        /// What is wrong.
        error: FormatError,
    },
    /// A frame that was durable is damaged.
    #[error("frame {sequence}, which was durable: {error}")]
    Frame {
        /// Its number.
        sequence: u64,
        /// What is wrong.
        error: FormatError,
    },
    /// A frame that was durable is not there.
    #[error("frame {sequence}, which was durable, is not there")]
    FrameMissing {
        /// Its number.
        sequence: u64,
    },
    /// An entry of a durable frame is damaged.
    #[error("an entry of frame {sequence}, which was durable: {error}")]
    Entry {
        /// Number of the frame.
        sequence: u64,
        /// What is wrong.
        error: FormatError,
    },
    /// Frames behind the last whole one: never acknowledged, left by a crash.
    #[error("{frames} frames that were never acknowledged as durable")]
    Torn {
        /// How many.
        frames: u64,
    },
    /// What the lane says of a log contradicts it.
    #[error("{0}")]
    Misfit(&'static str),
    /// A log was set apart by an earlier start.
    #[error("the log is set apart: acknowledged bytes of it are damaged or missing")]
    Quarantined,
    /// The offsets of a log, its segments or its extents contradict one another.
    #[error("{what}: {found} behind {previous}")]
    Order {
        /// Of what.
        what: &'static str,
        /// The offset before.
        previous: Offset,
        /// The one found.
        found: Offset,
    },
    /// No sound extent of this log and place.
    #[error("{0}")]
    Extent(FormatError),
    /// Nothing was written where an extent should be.
    #[error("no extent was written here")]
    Blank,
    /// A sound extent whose batches are not.
    #[error("{0}")]
    Batch(BatchError),
    /// An extent whose header does not tell what its batches are.
    #[error("an extent whose {0} is not that of its batches")]
    Header(&'static str),
    /// The index of a segment does not name what is there.
    #[error("the index {0}")]
    Index(&'static str),
    /// A file that nothing names; the next start of a broker clears it away.
    #[error("nothing names this file")]
    Orphan,
    /// A file that is none of ours.
    #[error("no file of a data directory")]
    Foreign,
}

impl Problem {
    /// Its name, for scripts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable { .. } => "unreadable",
            Self::Short { .. } => "short",
            Self::Current(_) => "current",
            Self::Manifest(_) => "manifest",
            Self::NoManifest { .. } => "no_manifest",
            Self::State { .. } => "state",
            Self::Frame { .. } => "frame",
            Self::FrameMissing { .. } => "frame_missing",
            Self::Entry { .. } => "entry",
            Self::Torn { .. } => "torn",
            Self::Misfit(_) => "misfit",
            Self::Quarantined => "quarantined",
            Self::Order { .. } => "order",
            Self::Extent(_) => "extent",
            Self::Blank => "blank",
            Self::Batch(_) => "batch",
            Self::Header(_) => "header",
            Self::Index(_) => "index",
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, by its path in the directory.
    pub file: String,
    /// Where in it, in bytes.
    pub position: u64,
    /// How many bytes from there on are of no use; 0 where that cannot be said.
    pub bytes: u64,
    /// What is wrong.
    pub problem: Problem,
    /// How bad it is.
    pub severity: Severity,
    /// The log it concerns, where that is known.
    pub log: Option<LogId>,
    /// The first and last offset that may be lost by it; not all of them need have existed.
    pub offsets: Option<(Offset, Offset)>,
}

impl Finding {
    pub(crate) fn new(file: &str, position: u64, problem: Problem, severity: Severity) -> Self {
        Self {
            file: file.to_owned(),
            position,
            bytes: 0,
            problem,
            severity,
            log: None,
            offsets: None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.file, self.position, self.problem)?;
        if let Some((first, last)) = self.offsets {
            write!(f, "; offsets {first}..={last} may be lost")?;
        }
        Ok(())
    }
}
