//! `odradek bench`: what was asked for goes to the `bench` crate, what came of it is printed.

use crate::cli::{
    BenchArguments, BenchProduceArguments, BenchVerb, FetchLimitArguments, Format, Global,
    RecordArguments,
};
use crate::failure::{Failure, Kind};
use crate::output::{self, Row};
use crate::properties::ClientProperties;
use crate::quantity::Speed;
use ::bench::{
    Amount, BenchError, Common, E2eOptions, FetchLimits, FetchOptions, LatencyFigures,
    ProduceOptions, Progress, Rate, Report,
};
use engine_codec::Compression;
use net_client::Acks;
use net_protocol::Text;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How long a run is when nothing is said.
const DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// Requests in flight as Kafka's producer has them.
const WINDOW_DEFAULT: usize = 5;
/// The same at a fixed rate, where a full window would make the load program wait for the broker.
const WINDOW_OF_RATE_DEFAULT: usize = 100;

/// Runs a verb.
pub fn run(global: &Global, verb: &BenchVerb) -> Result<(), Failure> {
    let properties = ClientProperties::of(global)?;
    let mut line = ProgressLine::new(global);
    let report = match verb {
        BenchVerb::Produce(arguments) => {
            let options = produce_options(global, &properties, arguments)?;
            ::bench::produce(&options, &mut |progress| line.show(&progress))
        }
        BenchVerb::Fetch(arguments) => {
            let options = FetchOptions {
                common: common(global, &properties, &arguments.common)?,
                limits: limits(&arguments.limits)?,
                from: arguments.from,
            };
            ::bench::fetch(&options, &mut |progress| line.show(&progress))
        }
        BenchVerb::E2e(arguments) => {
            let produce = ProduceOptions {
                rate: Some(rate(arguments.rate)),
                window: arguments.window,
                lateness_max: arguments.lateness_max,
                ..producing(global, &properties, &arguments.common, &arguments.records)?
            };
            let limits = limits(&arguments.limits)?;
            let options = E2eOptions { produce, limits };
            ::bench::e2e(&options, &mut |progress| line.show(&progress))
        }
    };
    line.clear();
    print(global.format(), &report?)
}

fn produce_options(
    global: &Global,
    properties: &ClientProperties,
    arguments: &BenchProduceArguments,
) -> Result<ProduceOptions, Failure> {
    let window = match (arguments.window, arguments.rate) {
        (Some(window), _) => window,
        (None, Some(_)) if !arguments.idempotent => WINDOW_OF_RATE_DEFAULT,
        _ => WINDOW_DEFAULT,
    };
    Ok(ProduceOptions {
        rate: arguments.rate.map(rate),
        window,
        is_idempotent: arguments.idempotent,
        lateness_max: arguments.lateness_max,
        ..producing(global, properties, &arguments.common, &arguments.records)?
    })
}

/// What is said of the producing side by every verb that has one.
fn producing(
    global: &Global,
    properties: &ClientProperties,
    arguments: &BenchArguments,
    records: &RecordArguments,
) -> Result<ProduceOptions, Failure> {
    let acks = records.acks.map(Acks::from).or(properties.acks);
    let compression = records.compression.map(Compression::from);
    Ok(ProduceOptions {
        common: common(global, properties, arguments)?,
        record_bytes: bytes("--record-size", records.record_size)?,
        batch_bytes: bytes("--batch-size", records.batch_size)?,
        compression: compression.or(properties.compression).unwrap_or_default(),
        acks: acks.unwrap_or(Acks::All),
        window: WINDOW_DEFAULT,
        partitions_per_request: records.partitions_per_request,
        rate: None,
        is_idempotent: false,
        lateness_max: Duration::ZERO,
    })
}

fn rate(speed: Speed) -> Rate {
    match speed {
        Speed::Count(count) => Rate::Records(per_second(count)),
        Speed::Bytes(bytes) => Rate::Bytes(per_second(bytes)),
    }
}

fn limits(arguments: &FetchLimitArguments) -> Result<FetchLimits, Failure> {
    let bytes = |flag: &str, size: u64| {
        i32::try_from(size)
            .map_err(|_| Failure::new(Kind::Usage, format!("{flag}: at most 2147483647")))
    };
    Ok(FetchLimits {
        partition_max_bytes: bytes("--partition-max-bytes", arguments.partition_max_bytes)?,
        max_bytes: bytes("--max-bytes", arguments.max_bytes)?,
        min_bytes: bytes("--min-bytes", arguments.min_bytes)?,
        max_wait: arguments.max_wait,
        has_sessions: arguments.sessions,
        is_checked: arguments.verify,
    })
}

fn common(
    global: &Global,
    properties: &ClientProperties,
    arguments: &BenchArguments,
) -> Result<Common, Failure> {
    let amount = match (arguments.records, arguments.bytes) {
        (Some(records), _) => Amount::Records(records),
        (None, Some(bytes)) => Amount::Bytes(bytes),
        _ => Amount::Duration(arguments.duration.unwrap_or(DURATION_DEFAULT)),
    };
    let client_id = properties.client_id.clone();
    Ok(Common {
        bootstrap: crate::driver::bootstrap(global, properties),
        client_id: client_id.map_or(Text::from_static("odradek-bench"), Text::from),
        timeout: properties.request_timeout.unwrap_or(global.timeout),
        topic: Text::from(arguments.topic.as_str()),
        partitions: arguments.partitions,
        replication_factor: None,
        configs: crate::topic::configs(&arguments.configs)?,
        connections: arguments.connections,
        amount,
        warmup: arguments.warmup,
        cpu: arguments.cpu,
        broker_pid: arguments.broker_pid,
    })
}

fn bytes(flag: &str, size: u64) -> Result<usize, Failure> {
    /// The largest record or batch that fits a request, in bytes.
    const MAX: u64 = 100 << 20;
    let fits = usize::try_from(size).ok().filter(|_| size <= MAX);
    fits.ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            format!("{flag}: no request is larger than 100MiB"),
        )
    })
}

#[allow(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a rate above 2^53 a second is out of reach"
)]
const fn per_second(number: u64) -> f64 {
    number as f64
}

impl core::convert::From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Client(error) => error.into(),
            BenchError::Connect { .. } => Self::new(Kind::CannotConnect, error)
                .hint("is one running? `odradek start` starts one; -b HOST:PORT says where"),
            BenchError::Topic { code, .. } | BenchError::Refused { code, .. } => {
                Self::new(Kind::of(code), error)
            }
            BenchError::Options(_) | BenchError::NoProcess { .. } => Self::new(Kind::Usage, error),
            BenchError::Partitions { .. } => Self::new(Kind::Usage, error)
                .hint("another --topic, or --partitions of no more than there are"),
            BenchError::Silent { .. } => Self::new(Kind::TimedOut, error),
            other => Self::new(Kind::Failed, other),
        }
    }
}

/// One line on a terminal that is written over and over.
struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    fn new(global: &Global) -> Self {
        Self {
            is_shown: !global.quiet && io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: &Progress) {
        if !self.is_shown {
            return;
        }
        let phase = if progress.is_warmup {
            "warming up"
        } else {
            "measuring"
        };
        let seconds = progress.seconds.max(0.001);
        // Nobody is left to tell if stderr is closed.
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{phase} {:.1} s, {} records, {:.1} MB/s",
            progress.seconds,
            progress.records,
            per_second(progress.bytes) / seconds / 1e6,
        );
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A figure of the table.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    value: String,
}

impl Row for Line {
    const COLUMNS: &'static [&'static str] = &["FIGURE", "VALUE"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned(), self.value.clone()]
    }

    fn name(&self) -> String {
        self.value.clone()
    }
}

/// The whole result as JSON: what was found, and the command that found it.
#[derive(Serialize)]
struct Finding<'a> {
    #[serde(flatten)]
    report: &'a Report,
    command: String,
}

impl Row for Finding<'_> {
    const COLUMNS: &'static [&'static str] = &[];

    fn cells(&self) -> Vec<String> {
        Vec::new()
    }

    fn name(&self) -> String {
        self.report.settings.topic.clone()
    }
}

fn print(format: Format, report: &Report) -> Result<(), Failure> {
    if format != Format::Table {
        let command: Vec<String> = std::env::args().collect();
        let result = Finding {
            report,
            command: command.join(" "),
        };
        return output::print(format, &[result]);
    }
    output::print(format, &lines(report))?;
    for remark in &report.remarks {
        eprintln!("note: {remark}");
    }
    if !report.is_valid {
        eprintln!("the run is INVALID: its figures say nothing about the broker");
    }
    Ok(())
}

fn lines(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |name, value: String| lines.push(Line { name, value });
    let (load, cost) = (&report.load, &report.cost);
    line(
        "valid",
        if report.is_valid { "yes" } else { "NO" }.to_owned(),
    );
    line("seconds", format!("{:.3}", load.seconds));
    line("requests", load.requests.to_string());
    line("records", load.records.to_string());
    line("MB/s", format!("{:.1}", load.mb_per_s));
    line("records/s", format!("{:.0}", load.records_per_s));
    line("bytes", format!("{} of {}", load.bytes, report.bytes_of));
    line("latency", latency(&report.latency));
    if let Some(acks) = &report.ack_latency {
        line("ack latency", latency(acks));
    }
    if let Some(lateness) = &report.lateness {
        line("lateness", latency(lateness));
    }
    if let (Some(cpu), Some(per_gb), Some(per_million)) = (
        cost.broker_cpu_s,
        cost.broker_cpu_s_per_gb,
        cost.broker_cpu_s_per_million_records,
    ) {
        line("broker CPU s", format!("{cpu:.2}"));
        line("broker CPU s/GB", format!("{per_gb:.3}"));
        line("broker CPU s/million records", format!("{per_million:.3}"));
    }
    if let Some(per_million) = cost.broker_cpu_s_per_million_requests {
        line("broker CPU s/million requests", format!("{per_million:.2}"));
    }
    if let (Some(now), Some(peak)) = (cost.broker_rss_bytes, cost.broker_rss_peak_bytes) {
        let value = format!("{} MiB, at most {} MiB", now >> 20, peak >> 20);
        line("broker memory", value);
    }
    line("load program CPU s", format!("{:.2}", cost.generator_cpu_s));
    line(
        "load program CPU s/GB",
        format!("{:.3}", cost.generator_cpu_s_per_gb),
    );
    line("machine busy s", format!("{:.2}", cost.machine_busy_s));
    line(
        "machine busy s/GB",
        format!("{:.3}", cost.machine_busy_s_per_gb),
    );
    let machine = &report.machine;
    let load = format!(
        "{} -> {}",
        machine.load_average_before, machine.load_average_after
    );
    line("load average", load);
    lines
}

fn latency(figures: &LatencyFigures) -> String {
    format!(
        "p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
        figures.p50_us, figures.p90_us, figures.p99_us, figures.p999_us, figures.max_us
    )
}
