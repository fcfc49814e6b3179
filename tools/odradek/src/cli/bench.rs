//! `bench`: verbs, flags and help.

use super::record::{AcksName, CompressionName};
use crate::quantity::{Speed, parse_duration, parse_size, parse_speed};
use clap::{Args, Subcommand};
use std::time::Duration;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchVerb {
    /// Measure producing: pre-encoded batches, in a closed loop or at a fixed rate
    #[command(
        after_help = "Examples:\n  odradek bench produce --record-size 1KiB --batch-size 64KiB --bytes 8MiB\n  odradek bench produce --acks all --window 1 --rate 500/s --records 50 --batch-size 1\n\nWithout --rate a request leaves when an answer makes room in the window. With it requests leave\nwhen they are meant to, and latency counts from then. A GB is 10^9 bytes of record values."
    )]
    Produce(BenchProduceArguments),
}

/// What every verb takes.
#[derive(Args, Debug)]
pub struct BenchArguments {
    /// The topic; made when missing
    #[arg(long, value_name = "TOPIC", default_value = "bench")]
    pub topic: String,
    /// How many partitions to use and, where the topic is missing, to make [default: all there are]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// A setting of a topic that is made; may be given several times
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    pub configs: Vec<String>,
    /// Connections that carry the load
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub connections: usize,
    /// Stop after so many records
    #[arg(long, value_name = "N", conflicts_with_all = ["bytes", "duration"])]
    pub records: Option<u64>,
    /// Stop after so many bytes of record values, as 500MB or 1GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "duration")]
    pub bytes: Option<u64>,
    /// Stop after so long [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Do it for so long before anything is counted
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0")]
    pub warmup: Duration,
    /// The core to run on
    #[arg(long, value_name = "CORE")]
    pub cpu: Option<usize>,
    /// The broker's process, to read from it what the load costs
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,
}

/// `bench produce`.
#[derive(Args, Debug)]
pub struct BenchProduceArguments {
    #[command(flatten)]
    pub common: BenchArguments,
    /// Bytes of the value of a record
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1KiB")]
    pub record_size: u64,
    /// The most bytes of a batch before compression; one record always fits
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "16KiB")]
    pub batch_size: u64,
    /// How to compress
    #[arg(short = 'z', long, value_enum, value_name = "CODEC")]
    pub compression: Option<CompressionName>,
    /// Who must have a record before it counts [default: all]
    #[arg(long, value_enum)]
    pub acks: Option<AcksName>,
    /// Requests in flight on one connection [default: 5; at a fixed rate 100]
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Partitions that one request writes to, a batch each
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub partitions_per_request: usize,
    /// Open loop: so many records (1000/s) or bytes of values (50MB/s) a second
    #[arg(long, value_name = "RATE", value_parser = parse_speed)]
    pub rate: Option<Speed>,
    /// Batches carry producer ids and sequences
    #[arg(long)]
    pub idempotent: bool,
    /// With --rate: a load program that is later than this, once in a hundred, has measured nothing
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "2ms")]
    pub lateness_max: Duration,
}
