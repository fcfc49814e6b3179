//! What clients did and were told, and how the node went down in between.
//!
//! Keeps: every operation knows the life of the node it was asked in, the moment it was asked and,
//! where an answer came, the moment of that.
//! Does not: judge (`checker`).

/// A place to write to: a partition of one topic. A topic created again under the name of a
/// deleted one is another topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of [`History::topics`].
    pub topic: usize,
    /// The partition.
    pub partition: i32,
}

/// When something was asked and answered, in nanoseconds, and in which life of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// How many times the node had gone down before.
    pub life: usize,
    /// When it was asked.
    pub invoked: u64,
    /// When the answer came.
    pub returned: u64,
}

/// One topic that somebody asked for.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "what is known of a topic, each independent of the others"
)]
pub struct TopicLife {
    /// Its name.
    pub name: String,
    /// The creation was acknowledged.
    pub is_created: bool,
    /// Partitions it has at least, by acknowledgements.
    pub partitions_least: i32,
    /// Partitions it has at most, by requests.
    pub partitions_most: i32,
    /// Somebody asked for its deletion.
    pub deletion_asked: bool,
    /// When the deletion was acknowledged.
    pub deleted: Option<Span>,
    /// Its acknowledgements promise to survive a kill only.
    pub is_weak: bool,
    /// Records may go by themselves: by age or size.
    pub has_retention: bool,
    /// Only the last record of each key is promised.
    pub is_compacted: bool,
}

/// What an acknowledgement, or having been read, promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// It survives everything.
    Strong,
    /// It survives a kill and a clean stop; a power cut may take it, unless a clean stop came
    /// before.
    Weak,
}

/// An acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// The offset that was told; none for a repeat that the broker only recognised.
    pub offset: Option<i64>,
    /// What it promises.
    pub strength: Strength,
    /// Asked for with acks=all: readers must see it from now on.
    pub is_visible: bool,
    /// When.
    pub span: Span,
}

/// One record that somebody sent, numbered by its place in [`History::sent`].
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where to.
    pub place: Place,
    /// Which stream of records it belongs to: those of one session are in order.
    pub session: u64,
    /// Its number among those of its session and place.
    pub order: u64,
    /// Checksum of its value.
    pub checksum: u64,
    /// Its key, if it has one.
    pub key: Option<u64>,
    /// How many times it was sent.
    pub times: u32,
    /// Its repeats carry the sequence of the original.
    pub is_idempotent: bool,
    /// The broker said for certain that it did not take it.
    pub is_refused: bool,
    /// When it was acknowledged first.
    pub acknowledged: Option<Acknowledged>,
}

/// A record that somebody found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub offset: i64,
    /// The number that its value tells; none if it tells none.
    pub number: Option<u64>,
    /// Checksum of its value.
    pub checksum: u64,
}

/// A fetch that went well.
#[derive(Clone, Debug)]
pub struct Read {
    /// Who: what one client is told is in order.
    pub client: u64,
    /// Of what.
    pub place: Place,
    /// From where on.
    pub from: i64,
    /// Where the next one goes on: after the last batch, or at `from` where there was none.
    pub next: i64,
    /// When.
    pub span: Span,
    /// The end of what may be read.
    pub high_watermark: i64,
    /// The beginning.
    pub log_start: i64,
    /// Records from `from` on.
    pub found: Vec<Found>,
}

/// A question for an end of a log that went well.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Of what.
    pub place: Place,
    /// When.
    pub span: Span,
    /// The end of what may be read, or the beginning.
    pub is_end: bool,
    /// Where that is.
    pub offset: i64,
}

/// Somebody asked to delete the records below an offset.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    /// Of what.
    pub place: Place,
    /// The first offset to keep; `i64::MAX` for everything there is.
    pub below: i64,
    /// When.
    pub span: Span,
    /// The start that was told, if it went well.
    pub low_watermark: Option<i64>,
}

/// An idempotent batch that follows acknowledged ones and was refused for its sequence.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Where.
    pub place: Place,
    /// Whose.
    pub session: u64,
    /// The number of its first record.
    pub order: u64,
    /// The broker's error.
    pub code: i16,
    /// When.
    pub span: Span,
}

/// How a life of the node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It stopped and wrote a checkpoint.
    Clean,
    /// The process was killed, or stopped after a disk error.
    Kill,
    /// The power went.
    Power,
}

/// What a place looked like at the very end, read as a whole.
#[derive(Clone, Debug)]
pub struct Last {
    /// The place.
    pub place: Place,
    /// Its beginning, its end and all records in between; or the broker's error.
    pub state: Result<LastState, i16>,
}

/// The whole of a place.
#[derive(Clone, Debug, Default)]
pub struct LastState {
    /// The first offset that can be read.
    pub log_start: i64,
    /// The offset after the last one.
    pub end: i64,
    /// What is there.
    pub found: Vec<Found>,
}

/// A topic that was there at the very end.
#[derive(Clone, Copy, Debug)]
pub struct LastTopic {
    /// Which of [`History::topics`].
    pub topic: usize,
    /// How many partitions it had.
    pub partitions: i32,
}

/// What the machine did that no software can make good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deceit {
    /// The disk said that it kept what it did not keep: acknowledged records may be gone, and
    /// their offsets be given to others. Never a wrong byte, an unknown record, one twice or out
    /// of order.
    pub lied: bool,
    /// Bytes rotted or went to another place: what they held may be refused, and what was not
    /// yet vouched for by a later frame may be gone.
    pub rotted: bool,
}

/// Everything that happened, as clients saw it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Topics, in the order of their being asked for.
    pub topics: Vec<TopicLife>,
    /// Records, by number.
    pub sent: Vec<Sent>,
    /// Fetches.
    pub reads: Vec<Read>,
    /// Questions for ends of logs.
    pub bounds: Vec<Bound>,
    /// DeleteRecords.
    pub deletions: Vec<Deletion>,
    /// Sequences refused.
    pub refusals: Vec<Refusal>,
    /// How each life ended; the last is still running.
    pub endings: Vec<Ending>,
    /// The topics at the end; `None` where nobody looked.
    pub last_topics: Option<Vec<LastTopic>>,
    /// The places at the end.
    pub last: Vec<Last>,
    /// What the machine did.
    pub deceit: Deceit,
}
