//! `bench`: verbs, flags and help.

use super::record::{AcksName, CompressionName};
use crate::quantity::{Speed, parse_duration, parse_size, parse_speed};
use ::bench::From;
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
    /// Measure fetching: from memory or from disk, in large or small answers
    #[command(
        after_help = "Examples:\n  odradek bench fetch --partition-max-bytes 1MiB --bytes 8MiB\n  odradek bench fetch --from -1000 --partition-max-bytes 16KiB --verify --records 2000\n\nEvery partition is read from --from to where it ended when the run began, again and again. What\nthe broker has in memory is measured as such: start it anew to measure the disk. A GB is 10^9\nbytes of record batches."
    )]
    Fetch(BenchFetchArguments),
    /// Measure the way from producer to consumer at a fixed rate
    #[command(
        after_help = "Examples:\n  odradek bench e2e --rate 1MB/s --batch-size 16KiB --duration 2s\n  odradek bench e2e --topic two -p 2 --rate 100/s --batch-size 1 --records 20\n\nLatency counts from the moment a batch was meant to leave to its arrival at the consumer, which\nlives in the same process. Nobody else may write to the topic meanwhile."
    )]
    E2e(BenchE2eArguments),
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
    #[command(flatten)]
    pub records: RecordArguments,
    /// Requests in flight on one connection [default: 5; at a fixed rate 100]
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
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

/// What is produced.
#[derive(Args, Debug)]
pub struct RecordArguments {
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
    /// Partitions that one request writes to, a batch each
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub partitions_per_request: usize,
}

/// What one Fetch may bring.
#[derive(Args, Debug)]
pub struct FetchLimitArguments {
    /// The most bytes of a partition in an answer
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1MiB")]
    pub partition_max_bytes: u64,
    /// The most bytes of an answer
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "50MiB")]
    pub max_bytes: u64,
    /// Bytes that the broker waits for
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1")]
    pub min_bytes: u64,
    /// How long it waits for them
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "500ms")]
    pub max_wait: Duration,
    /// Ask for fetch sessions, as Kafka's consumer does
    #[arg(long)]
    pub sessions: bool,
    /// Open every batch and look at every record
    #[arg(long)]
    pub verify: bool,
}

/// `bench fetch`.
#[derive(Args, Debug)]
pub struct BenchFetchArguments {
    #[command(flatten)]
    pub common: BenchArguments,
    #[command(flatten)]
    pub limits: FetchLimitArguments,
    /// Where to begin: earliest, or -N for N records before the end of each partition
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, default_value = "earliest", value_parser = parse_place)]
    pub from: From,
}

/// `bench e2e`.
#[derive(Args, Debug)]
pub struct BenchE2eArguments {
    #[command(flatten)]
    pub common: BenchArguments,
    #[command(flatten)]
    pub records: RecordArguments,
    #[command(flatten)]
    pub limits: FetchLimitArguments,
    /// So many records (1000/s) or bytes of values (50MB/s) a second
    #[arg(long, value_name = "RATE", value_parser = parse_speed, default_value = "1000/s")]
    pub rate: Speed,
    /// Requests in flight on one connection
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub window: usize,
    /// A load program that is later than this, once in a hundred, has measured nothing
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "2ms")]
    pub lateness_max: Duration,
}

fn parse_place(text: &str) -> Result<From, String> {
    let number = || {
        text.strip_prefix('-')?
            .parse()
            .ok()
            .filter(|n: &i64| *n > 0)
    };
    match text {
        "earliest" => Ok(From::Earliest),
        _ => number()
            .map(From::BeforeEnd)
            .ok_or_else(|| "write earliest, or -N for N records before the end".to_owned()),
    }
}
