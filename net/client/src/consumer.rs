//! Reads records of one topic, from some or all of its partitions.
//!
//! | a partition is | event                        | becomes                                     |
//! |----------------|------------------------------|---------------------------------------------|
//! | starting       | its leader is known          | seeking: the start offset is asked for      |
//! | seeking        | offset found                 | reading, from there                         |
//! | seeking        | no record that late          | seeking the end                             |
//! | reading        | records                      | reading, behind them                        |
//! | reading        | at its end, if one is wanted | done                                        |
//! | reading        | out of range, reset wanted   | starting anew, at the first or the end      |
//! | any            | retriable error, lost answer | the same, after a pause and a fresh picture |
//! | any            | other error                  | the consumer fails                          |
//!
//! Keeps: records of a partition come in offset order, none twice, none before the start; control
//! batches are never shown, nor with read_committed records of aborted transactions; one request at a
//! time, so that what is buffered is one answer.
//! Does not: belong to a group, commit offsets. Source: KIP-74, KIP-79, KIP-98, KIP-320.

mod aborted;
mod fetch;
mod poll;
mod records;

use crate::cluster::Cluster;
use crate::error::ClientError;
use crate::retry::Backoff;
use bytes::Bytes;
use core::time::Duration;
use engine_codec::TimestampType;
use engine_model::{LeaderEpoch, Moment, Offset, PartitionIndex, Timestamp};
use net_protocol::Text;
use std::collections::{BTreeMap, VecDeque};

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is.
    Earliest,
    /// Behind the last record there is.
    Latest,
    /// At this offset, or the first record behind it.
    Offset(Offset),
    /// So many records before the end.
    BeforeEnd(i64),
    /// At the first record that is not older; behind the last where there is none.
    Timestamp(Timestamp),
}

/// Which records of transactions are shown (KIP-98).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All of them.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions, up to the first that is still open.
    ReadCommitted,
}

impl Isolation {
    /// The number on the wire.
    pub const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// What to do where there is no record at the offset that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// The consumer fails.
    #[default]
    Fail,
    /// Go on at the first record there is.
    Earliest,
    /// Go on behind the last record there is.
    Latest,
}

/// How a consumer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Where reading begins, in every partition.
    pub start: Start,
    /// Which records of transactions are shown.
    pub isolation: Isolation,
    /// What to do where an offset is out of range.
    pub offset_reset: OffsetReset,
    /// Whether to stop at what is the end when reading begins.
    pub stops_at_end: bool,
    /// How long a broker may wait for records.
    pub wait_max: Duration,
    /// At most so many bytes an answer, but one batch.
    pub bytes_max: i32,
    /// At most so many bytes a partition and answer, but one batch.
    pub partition_bytes_max: i32,
    /// What a compressed batch may grow to. What an answer brings is taken batch by batch until
    /// that much is held; the rest is asked for again.
    pub decompressed_bytes_max: usize,
    /// How long a request may take, the wait apart.
    pub request_timeout: Duration,
    /// How long to go on trying without success.
    pub retry_timeout: Duration,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            start: Start::Latest,
            isolation: Isolation::default(),
            offset_reset: OffsetReset::default(),
            stops_at_end: false,
            wait_max: Duration::from_millis(500),
            bytes_max: 16 << 20,
            partition_bytes_max: 1 << 20,
            decompressed_bytes_max: 256 << 20,
            request_timeout: Duration::from_secs(30),
            retry_timeout: Duration::from_mins(1),
        }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// The partition.
    pub partition: PartitionIndex,
    /// Its offset.
    pub offset: Offset,
    /// Epoch of the leader that appended it, or -1.
    pub leader_epoch: LeaderEpoch,
    /// Milliseconds since 1970, or -1.
    pub timestamp: Timestamp,
    /// Whose clock that was.
    pub timestamp_type: TimestampType,
    /// Key, or null.
    pub key: Option<Bytes>,
    /// Value, or null.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The end is asked for, where reading is to stop there or the start depends on it.
    SeekingEnd,
    /// The start is asked for.
    SeekingStart,
    /// Records are asked for from `position` on.
    Reading,
    /// The wanted end is reached.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    phase: Phase,
    start: Start,
    position: Offset,
    /// Where to stop.
    end: Option<Offset>,
}

/// See the module's own words.
#[derive(Debug)]
pub struct Consumer {
    topic: Text,
    options: ConsumerOptions,
    cluster: Cluster,
    is_cluster_stale: bool,
    /// The partitions asked for; `None` until known means all.
    wanted: Option<Vec<PartitionIndex>>,
    partitions: BTreeMap<PartitionIndex, Reading>,
    asking: Option<(u64, Asked)>,
    next_token: u64,
    /// Which leader had its turn last.
    last_turn: Option<engine_model::NodeId>,
    backoff: Backoff,
    not_before: Moment,
    /// When trying without success began.
    failing_since: Option<Moment>,
    last_error: Option<ClientError>,
    failed: Option<ClientError>,
    records: VecDeque<ConsumedRecord>,
    /// What the records of the last answer take.
    taken_bytes: usize,
}

/// What the request in flight was for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Metadata,
    Offsets(Vec<PartitionIndex>),
    Records(Vec<PartitionIndex>),
}

impl Consumer {
    /// A consumer of `partitions` of a topic, or of all of them.
    pub fn new(
        topic: Text,
        partitions: Option<Vec<PartitionIndex>>,
        options: ConsumerOptions,
    ) -> Self {
        Self {
            topic,
            options,
            cluster: Cluster::default(),
            is_cluster_stale: true,
            wanted: partitions,
            partitions: BTreeMap::new(),
            asking: None,
            next_token: 0,
            last_turn: None,
            backoff: Backoff::default(),
            not_before: Moment(0),
            failing_since: None,
            last_error: None,
            failed: None,
            records: VecDeque::new(),
            taken_bytes: 0,
        }
    }

    /// The next record that has been read.
    pub fn next_record(&mut self) -> Option<ConsumedRecord> {
        self.records.pop_front()
    }

    /// Where each partition stands: the offset it reads next, and whether it is done.
    pub fn positions(&self) -> impl Iterator<Item = (PartitionIndex, Offset, bool)> {
        self.partitions
            .iter()
            .map(|(partition, r)| (*partition, r.position, r.phase == Phase::Done))
    }

    /// Reads no further in a partition: it counts as done, and what was read of it is dropped.
    pub fn finish_partition(&mut self, partition: PartitionIndex) {
        if let Some(reading) = self.partitions.get_mut(&partition) {
            reading.phase = Phase::Done;
        }
        self.records.retain(|record| record.partition != partition);
    }

    /// What is known of the cluster.
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Why the consumer cannot go on, if it cannot.
    pub fn failure(&self) -> Option<&ClientError> {
        self.failed.as_ref()
    }

    /// Whether everything up to the wanted end has been read.
    pub fn is_done(&self) -> bool {
        !self.partitions.is_empty()
            && self
                .partitions
                .values()
                .all(|reading| reading.phase == Phase::Done)
    }

    /// The phase a partition begins in.
    fn first_phase(&self) -> Phase {
        let needs_end = self.options.stops_at_end
            || matches!(self.options.start, Start::Latest | Start::BeforeEnd(_));
        if needs_end {
            Phase::SeekingEnd
        } else {
            Phase::SeekingStart
        }
    }
}
