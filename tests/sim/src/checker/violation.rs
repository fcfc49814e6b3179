//! What a history can be guilty of.

use super::history::Place;
use core::fmt;

/// The ways in which a promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An acknowledged, or once read, record is gone.
    Lost,
    /// A record is there more often than its producer can have caused.
    Duplicate,
    /// Records of one session are out of order.
    Reordered,
    /// A record is there that nobody sent, or not to there.
    Phantom,
    /// A record is there that the broker had said it would not take.
    RefusedYetThere,
    /// A record's bytes are not those that were sent.
    ChangedBytes,
    /// An offset held two records at different times, or not the one that was told.
    InconsistentOffset,
    /// Offsets have a gap where nothing may have gone.
    Gap,
    /// An end of a log went back.
    WentBack,
    /// A record at or past the high watermark was shown, or an acknowledged one not covered by it.
    Watermark,
    /// Records below the start of the log were shown, or a deletion was forgotten.
    BelowStart,
    /// The start of a log moved and nobody had asked.
    StartMoved,
    /// A sequence that must be the next one was refused.
    SequenceRefused,
    /// A topic that must be there is not, or with other partitions.
    TopicLost,
    /// A deleted topic is there.
    TopicBack,
    /// A place that must be readable is not.
    Unreadable,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// The numbers that show it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { topic, partition } = self.place;
        write!(
            f,
            "{:?} in topic {topic} partition {partition}: {}",
            self.kind, self.what
        )
    }
}
