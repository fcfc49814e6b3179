//! What a run is asked to do.

use crate::error::BenchError;
use engine_codec::Compression;
use net_client::Acks;
use net_protocol::Text;
use std::time::Duration;

/// What every load has in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// Brokers to ask first, as HOST:PORT.
    pub bootstrap: Vec<String>,
    /// What the broker is told that we are.
    pub client_id: Text,
    /// How long one answer may take before the run is given up.
    pub timeout: Duration,
    /// The topic; made when missing.
    pub topic: Text,
    /// How many partitions to use, and to make; `None` for all there are, or one.
    pub partitions: Option<i32>,
    /// Replicas of a topic that is made; `None` for the broker's default.
    pub replication_factor: Option<i16>,
    /// Settings of a topic that is made.
    pub configs: Vec<(Text, Text)>,
    /// Connections that carry the load.
    pub connections: usize,
    /// How much to do.
    pub amount: Amount,
    /// How long to do it before anything is counted.
    pub warmup: Duration,
    /// The core to run on.
    pub cpu: Option<usize>,
    /// The broker's process, whose cost is read.
    pub broker_pid: Option<u32>,
}

/// Connections that a run takes.
const CONNECTIONS_MAX: usize = 100_000;

impl Common {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            let what = "connections must be from 1 to 100,000";
            return Err(BenchError::Options(what));
        }
        Ok(())
    }
}

/// How much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many records.
    Records(u64),
    /// So many bytes of record values.
    Bytes(u64),
    /// As much as there is time for.
    Duration(Duration),
}

/// A fixed rate: what was meant to leave leaves, however slow the answers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Records a second.
    Records(f64),
    /// Bytes of record values a second.
    Bytes(f64),
}

/// What `produce` is asked to do.
#[derive(Clone, Debug)]
pub struct ProduceOptions {
    /// What every load has in common.
    pub common: Common,
    /// Bytes of the value of a record.
    pub record_bytes: usize,
    /// The most bytes of a batch before compression, as Kafka's `batch.size`; one record always fits.
    pub batch_bytes: usize,
    /// How batches are compressed.
    pub compression: Compression,
    /// Who must have a record before it counts.
    pub acks: Acks,
    /// Requests in flight on one connection.
    pub window: usize,
    /// Partitions that one request writes to, a batch each.
    pub partitions_per_request: usize,
    /// Open loop at this rate; `None` sends as soon as an answer comes.
    pub rate: Option<Rate>,
    /// Whether batches carry producer ids and sequences.
    pub is_idempotent: bool,
    /// How late the load program may be at its 99th percentile before the run does not count.
    pub lateness_max: Duration,
}

/// What one Fetch request may bring.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// The most bytes of a partition.
    pub partition_max_bytes: i32,
    /// The most bytes of an answer.
    pub max_bytes: i32,
    /// Bytes that the broker waits for.
    pub min_bytes: i32,
    /// How long it waits for them.
    pub max_wait: Duration,
    /// Whether connections ask for fetch sessions.
    pub has_sessions: bool,
    /// Whether every record is opened and looked at.
    pub is_checked: bool,
}

/// Where fetching begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At the first record.
    Earliest,
    /// So many records before the end of each partition.
    BeforeEnd(i64),
}

/// What `fetch` is asked to do.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// What every load has in common.
    pub common: Common,
    /// What one request may bring.
    pub limits: FetchLimits,
    /// Where fetching begins, and begins again at the end.
    pub from: From,
}

/// What `e2e` is asked to do.
#[derive(Clone, Debug)]
pub struct E2eOptions {
    /// The producing side, which has a rate.
    pub produce: ProduceOptions,
    /// The consuming side.
    pub limits: FetchLimits,
}
