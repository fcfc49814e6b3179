//! What a run found.

use crate::clock::nanos;
use crate::cost::BROKER_SECONDS_MIN;
use crate::number::float;
use crate::options::{Common, FetchLimits};
use crate::tally::Tally;
use crate::target::Target;
use serde::Serialize;
use std::time::Duration;

pub use crate::cost::Cost;
pub use crate::latency::LatencyFigures;
pub use crate::machine::Machine;

/// How much longer than planned a run at a fixed rate may take.
const OVERTIME_MAX: f64 = 1.02;
/// What is added to that for the last answers, in seconds.
const OVERTIME_SECONDS: f64 = 0.2;

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Load {
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of what `bytes_of` says.
    pub bytes: u64,
    /// Bytes that went to the broker.
    pub sent_bytes: u64,
    /// Bytes that came from it.
    pub received_bytes: u64,
    /// Records a second.
    pub records_per_s: f64,
    /// 10^6 bytes a second.
    pub mb_per_s: f64,
    /// Records before anything was counted.
    pub warmup_records: u64,
}

impl Load {
    /// What was done in so many seconds, with the bytes sent and received for it.
    pub(crate) fn of(tally: &Tally, seconds: f64, traffic: (u64, u64)) -> Self {
        Self {
            seconds,
            requests: tally.requests,
            records: tally.records,
            bytes: tally.bytes,
            sent_bytes: traffic.0,
            received_bytes: traffic.1,
            records_per_s: float(tally.records) / seconds,
            mb_per_s: float(tally.bytes) / seconds / 1e6,
            warmup_records: 0,
        }
    }
}

/// What a run was asked to do, in words and numbers; what does not apply is null.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settings {
    /// The topic.
    pub topic: String,
    /// Its partitions that were used.
    pub partitions: usize,
    /// Whether this run made the topic.
    pub topic_is_new: bool,
    /// Connections.
    pub connections: usize,
    /// Version of the API that was spoken.
    pub api_version: i16,
    /// Seconds of the same load before anything was counted.
    pub warmup_s: f64,
    /// Requests in flight on one connection.
    pub window: Option<usize>,
    /// Bytes of the value of a record.
    pub record_bytes: Option<usize>,
    /// The most bytes of a batch before compression.
    pub batch_bytes: Option<usize>,
    /// Records of a batch.
    pub records_per_batch: Option<u64>,
    /// Bytes of a batch as sent.
    pub batch_wire_bytes: Option<usize>,
    /// Batches of a request, each for another partition.
    pub batches_per_request: Option<usize>,
    /// none, gzip, snappy, lz4 or zstd.
    pub compression: Option<&'static str>,
    /// 0, 1 or all.
    pub acks: Option<&'static str>,
    /// Whether batches carried producer ids.
    pub is_idempotent: Option<bool>,
    /// Requests a second of an open loop.
    pub requests_per_s: Option<f64>,
    /// The most bytes of a partition in a Fetch answer.
    pub partition_max_bytes: Option<i32>,
    /// The most bytes of a Fetch answer.
    pub max_bytes: Option<i32>,
    /// Bytes that a Fetch waits for.
    pub min_bytes: Option<i32>,
    /// How long it waits for them.
    pub max_wait_ms: Option<u64>,
    /// Whether fetch sessions were asked for.
    pub has_sessions: Option<bool>,
    /// Whether every record was opened and looked at.
    pub is_checked: Option<bool>,
}

impl Settings {
    /// What every kind of run says.
    pub(crate) fn of(target: &Target, common: &Common, connections: usize, version: i16) -> Self {
        Self {
            topic: common.topic.to_string(),
            partitions: target.partitions.len(),
            topic_is_new: target.is_new,
            connections,
            api_version: version,
            warmup_s: common.warmup.as_secs_f64(),
            ..Self::default()
        }
    }

    /// Adds what a Fetch may bring.
    pub(crate) fn with_limits(self, limits: &FetchLimits) -> Self {
        Self {
            partition_max_bytes: Some(limits.partition_max_bytes),
            max_bytes: Some(limits.max_bytes),
            min_bytes: Some(limits.min_bytes),
            max_wait_ms: u64::try_from(limits.max_wait.as_millis()).ok(),
            has_sessions: Some(limits.has_sessions),
            is_checked: Some(limits.is_checked),
            ..self
        }
    }
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// produce, fetch or e2e.
    pub kind: &'static str,
    /// Whether the figures can be relied on; if not, `remarks` says why.
    pub is_valid: bool,
    /// What to know when reading the figures.
    pub remarks: Vec<String>,
    /// What it was asked to do.
    pub settings: Settings,
    /// What `load.bytes` and figures for a GB count: record values, or whole record batches.
    pub bytes_of: &'static str,
    /// What it did.
    pub load: Load,
    /// From the moment a request was sent, or at a fixed rate was meant to be, to its answer; in an
    /// end to end run to the arrival of its records at the consumer.
    pub latency: LatencyFigures,
    /// End to end runs: from the moment a request was meant to be sent to its acknowledgement.
    pub ack_latency: Option<LatencyFigures>,
    /// How late requests of an open loop left the load program's hands.
    pub lateness: Option<LatencyFigures>,
    /// What it cost.
    pub cost: Cost,
    /// What it was on.
    pub machine: Machine,
    /// The broker's command line, where its process is known: there its durability is written.
    pub broker_command: Option<String>,
    /// The kinds of file systems that the broker has files open on.
    pub broker_file_systems: Option<Vec<String>>,
    /// Version of the load program.
    pub version: &'static str,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            kind: "",
            is_valid: true,
            remarks: Vec::new(),
            settings: Settings::default(),
            bytes_of: "record values",
            load: Load::default(),
            latency: LatencyFigures::default(),
            ack_latency: None,
            lateness: None,
            cost: Cost::default(),
            machine: Machine::default(),
            broker_command: None,
            broker_file_systems: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Whether nothing is counted yet.
    pub is_warmup: bool,
    /// Seconds since the phase began.
    pub seconds: f64,
    /// Records so far in the phase.
    pub records: u64,
    /// Bytes of their values, or of their batches.
    pub bytes: u64,
}

impl Report {
    /// Makes a run at a fixed rate invalid when it was not at that rate.
    pub fn judge_pace(&mut self, lateness_max: Duration) {
        let (Some(lateness), Some(wanted)) = (&self.lateness, self.settings.requests_per_s) else {
            return;
        };
        let limit = float(nanos(lateness_max)) / 1e3;
        if lateness.p99_us > limit {
            self.is_valid = false;
            self.remarks.push(format!(
                "the load program itself was late: 1 in 100 requests by {:.0} us or more, at most \
                 {limit:.0} us count",
                lateness.p99_us
            ));
        }
        let planned = float(self.load.requests) / wanted;
        if self.load.seconds > planned * OVERTIME_MAX + OVERTIME_SECONDS {
            self.is_valid = false;
            self.remarks.push(format!(
                "the broker did not keep up: what was meant to take {planned:.1} s took {:.1} s",
                self.load.seconds
            ));
        }
    }

    /// Adds what to know about the cost.
    pub fn remark_on_cost(&mut self) {
        match self.cost.broker_cpu_s {
            Some(seconds) if seconds < BROKER_SECONDS_MIN => self.remarks.push(format!(
                "the broker used {seconds:.2} s of CPU, below {BROKER_SECONDS_MIN} s: with ticks of \
                 10 ms its figures are rough"
            )),
            _ => {}
        }
        if let Some(broker) = self.cost.broker_cpu_s
            && self.cost.generator_cpu_s * 2.0 > broker
        {
            self.remarks.push(format!(
                "the load program used {:.2} s of CPU, more than half of the broker's",
                self.cost.generator_cpu_s
            ));
        }
    }
}
