//! What shards ask each other: everything of it may cross threads, records as shared slices.
//!
//! Keeps: partitions are named by topic id, never by name; answers carry Kafka's error codes, so
//! that the asking shard only lays them out.

use bytes::Bytes;
use core::time::Duration;
use engine_model::{
    ErrorCode, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition,
};
use net_protocol::Text;
use replication_runtime::{
    ControllerRequest, ControllerResponse, Horizon, OffsetTarget, ShardAnswer, ShardRequest,
};

/// A question to the shard that owns what is asked about.
#[derive(Debug)]
pub enum Question {
    /// Append batches.
    Produce(ProduceQuestion),
    /// Read records.
    Fetch(FetchQuestion),
    /// Count what there is to read.
    Measure(MeasureQuestion),
    /// Close a fetch session.
    CloseSession(i32),
    /// Find offsets.
    ListOffsets(Vec<OffsetQuestion>),
    /// Find where leader epochs end.
    EpochEnds(Vec<EpochQuestion>),
    /// Forget records.
    DeleteRecords(Vec<DeleteRecordsQuestion>),
    /// Partitions you watched have changed.
    Signals(Vec<TopicPartition>),
    /// For the controller.
    Controller(Box<ControllerRequest>),
    /// From the controller.
    Shard(ShardRequest),
}

/// The answer to the question of the same name.
#[derive(Debug)]
pub enum Answer {
    /// One entry a batch, in order.
    Produce(Vec<ProduceAnswer>),
    /// One entry a partition, in order.
    Fetch(Vec<FetchAnswer>),
    /// One entry a partition, in order.
    Measure(Vec<Measured>),
    /// One entry a partition, in order.
    ListOffsets(Vec<OffsetAnswer>),
    /// One entry a partition, in order.
    EpochEnds(Vec<EpochAnswer>),
    /// One entry a partition, in order.
    DeleteRecords(Vec<DeleteRecordsAnswer>),
    /// Taken: a signal, or that a session is closed.
    Taken,
    /// From the controller.
    Controller(Box<ControllerResponse>),
    /// Nobody here answers that, or not yet, or not any more.
    Gone,
    /// From a shard.
    Shard(ShardAnswer),
}

/// Batches to append.
#[derive(Debug)]
pub struct ProduceQuestion {
    /// 0, 1 or -1.
    pub acks: i16,
    /// How long to wait for replicas.
    pub timeout: Duration,
    /// One batch a partition.
    pub batches: Vec<(TopicPartition, Bytes)>,
}

/// What became of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceAnswer {
    /// `NONE`, or why nothing was appended.
    pub error: ErrorCode,
    /// The reason in words.
    pub message: Option<Text>,
    /// The records at fault.
    pub record_errors: Vec<(i32, Text)>,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The stamped time of a `LogAppendTime` topic.
    pub log_append_time: Timestamp,
    /// Start of the log.
    pub log_start_offset: Offset,
}

impl ProduceAnswer {
    /// Nothing was appended.
    pub fn refused(error: ErrorCode, message: Option<Text>) -> Self {
        Self {
            error,
            message,
            record_errors: Vec::new(),
            base_offset: Offset::NONE,
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset::NONE,
        }
    }
}

/// Partitions to read, all of one shard.
#[derive(Clone, Debug)]
pub struct FetchQuestion {
    /// What to read, in the client's order.
    pub partitions: Vec<PartitionFetch>,
    /// At most so many bytes in all, but for the first batch.
    pub bytes_max: usize,
    /// Whether the first batch is returned however large it is.
    pub at_least_one: bool,
    /// Only records of decided transactions.
    pub read_committed: bool,
    /// Tell the asking shard once about the next change of these partitions if there are fewer
    /// bytes than this, and no errors.
    pub watch_below: usize,
    /// Tell it in any case about the next change of those that had nothing to read.
    pub watch_empty: bool,
}

/// Partitions of which to count the bytes; the asking shard is told once of the next change of
/// each.
#[derive(Clone, Debug)]
pub struct MeasureQuestion {
    /// What the client wants of each, from the offset on that is to be counted from.
    pub partitions: Vec<PartitionFetch>,
    /// Only records of decided transactions.
    pub read_committed: bool,
}

/// What there is to read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// So many bytes, in batches that end below the offset.
    Bytes(usize, Offset),
    /// A read would not say how many: it has to be tried.
    Unknown,
}

/// What to read of one partition.
#[derive(Clone, Copy, Debug)]
pub struct PartitionFetch {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset wanted.
    pub offset: Offset,
    /// The epoch the client believes in, or `NONE`.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record the client read, or `NONE`.
    pub last_fetched_epoch: LeaderEpoch,
    /// At most so many bytes, but for the first batch of the answer.
    pub bytes_max: usize,
}

/// What was read of one partition.
#[derive(Clone, Debug, Default)]
pub struct FetchAnswer {
    /// `NONE`, or why nothing was read.
    pub error: ErrorCode,
    /// Or -1.
    pub high_watermark: Offset,
    /// Or -1.
    pub last_stable_offset: Offset,
    /// Or -1.
    pub log_start_offset: Offset,
    /// Where the client's log parts from this one: its epoch and where that ended.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Whole batches.
    pub chunks: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
    /// The offset after the last of them, or the one asked for.
    pub next_offset: Offset,
}

impl FetchAnswer {
    /// Nothing was read.
    pub fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            ..Self::default()
        }
    }

    /// Whether the client should hear of it at once.
    pub fn is_wrong(&self) -> bool {
        self.error.is_error() || self.diverging.is_some()
    }
}

/// An offset to find.
#[derive(Clone, Copy, Debug)]
pub struct OffsetQuestion {
    /// The partition.
    pub partition: TopicPartition,
    /// The epoch the client believes in, or `NONE`.
    pub current_leader_epoch: LeaderEpoch,
    /// What to find.
    pub target: OffsetTarget,
    /// How far the client sees.
    pub horizon: Horizon,
}

/// An offset that was found, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAnswer {
    /// `NONE`, or why nothing was looked for.
    pub error: ErrorCode,
    /// The time of the record, or -1.
    pub timestamp: Timestamp,
    /// The offset, or -1.
    pub offset: Offset,
    /// Its leader epoch, or -1.
    pub leader_epoch: LeaderEpoch,
}

impl OffsetAnswer {
    /// There is none.
    pub const NONE: Self = Self {
        error: ErrorCode::NONE,
        timestamp: Timestamp::NONE,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
    };

    /// Nothing was looked for.
    pub const fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            ..Self::NONE
        }
    }
}

/// A leader epoch whose end is asked for.
#[derive(Clone, Copy, Debug)]
pub struct EpochQuestion {
    /// The partition.
    pub partition: TopicPartition,
    /// The epoch the client believes in, or `NONE`.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch asked for.
    pub leader_epoch: LeaderEpoch,
}

/// The end of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochAnswer {
    /// `NONE`, or why nothing was looked for.
    pub error: ErrorCode,
    /// The largest epoch not above the one asked for, and its end; `None` if there is none.
    pub end: Option<(LeaderEpoch, Offset)>,
}

impl EpochAnswer {
    /// Nothing was looked for.
    pub const fn refused(error: ErrorCode) -> Self {
        Self { error, end: None }
    }
}

/// Records to forget.
#[derive(Clone, Copy, Debug)]
pub struct DeleteRecordsQuestion {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset to keep, or -1 for the high watermark.
    pub offset: Offset,
}

/// What became of records to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteRecordsAnswer {
    /// `NONE`, or why nothing is known to be forgotten.
    pub error: ErrorCode,
    /// The first offset that can be read, or -1.
    pub low_watermark: Offset,
}

impl DeleteRecordsAnswer {
    /// Nothing is known to be forgotten.
    pub const fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            low_watermark: Offset::NONE,
        }
    }
}

/// A partition of a topic.
pub(crate) const fn partition(topic_id: TopicId, partition: PartitionIndex) -> TopicPartition {
    TopicPartition {
        topic_id,
        partition,
    }
}
