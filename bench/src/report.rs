//! What a run found.

use crate::clock::nanos;
use crate::cost::BROKER_SECONDS_MIN;
use crate::number::float;
use serde::Serialize;
use std::time::Duration;

pub use crate::cost::Cost;
pub use crate::latency::LatencyFigures;
pub use crate::machine::Machine;

/// The share of a fixed rate that has to be answered for a run to count.
const RATE_MIN: f64 = 0.98;

/// What a run did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Load {
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Requests that were answered.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the values of these records.
    pub value_bytes: u64,
    /// Bytes that went to the broker.
    pub sent_bytes: u64,
    /// Bytes that came from it.
    pub received_bytes: u64,
    /// Records a second.
    pub records_per_s: f64,
    /// 10^6 bytes of values a second.
    pub mb_per_s: f64,
    /// Records before anything was counted.
    pub warmup_records: u64,
}

/// What a run was asked to do, in words and numbers.
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
    /// Requests in flight on one connection.
    pub window: usize,
    /// Bytes of the value of a record.
    pub record_bytes: usize,
    /// The most bytes of a batch before compression.
    pub batch_bytes: usize,
    /// Records of a batch.
    pub records_per_batch: u64,
    /// Bytes of a batch as sent.
    pub batch_wire_bytes: usize,
    /// Batches of a request, each for another partition.
    pub batches_per_request: usize,
    /// none, gzip, snappy, lz4 or zstd.
    pub compression: String,
    /// 0, 1 or all.
    pub acks: String,
    /// Whether batches carried producer ids.
    pub is_idempotent: bool,
    /// Requests a second of an open loop.
    pub requests_per_s: Option<f64>,
    /// Version of the API that was spoken.
    pub api_version: i16,
}

/// What a run found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// produce, fetch or e2e.
    pub kind: &'static str,
    /// Whether the figures can be relied on; if not, `remarks` says why.
    pub is_valid: bool,
    /// What to know when reading the figures.
    pub remarks: Vec<String>,
    /// What it was asked to do.
    pub settings: Settings,
    /// What it did.
    pub load: Load,
    /// From the moment a request was sent, or at a fixed rate was meant to be, to its answer.
    pub latency: LatencyFigures,
    /// How late requests of an open loop left the load program's hands.
    pub lateness: Option<LatencyFigures>,
    /// What it cost.
    pub cost: Cost,
    /// What it was on.
    pub machine: Machine,
    /// The broker's command line, where its process is known: there its durability is written.
    pub broker_command: Option<String>,
    /// Version of the load program.
    pub version: &'static str,
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
    /// Bytes of their values.
    pub value_bytes: u64,
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
        let found = float(self.load.requests) / self.load.seconds;
        if found < wanted * RATE_MIN {
            self.is_valid = false;
            self.remarks.push(format!(
                "the broker did not keep up: {found:.0} requests a second were answered, {wanted:.0} \
                 were meant to be"
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
