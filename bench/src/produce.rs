//! The produce load.

mod prepare;
mod readers;
mod run;
mod sender;

use crate::error::BenchError;
use crate::machine::Machine;
use crate::options::{FetchLimits, ProduceOptions};
use crate::payload::Payload;
use crate::process::pin;
use crate::report::{Progress, Report, Settings};
use crate::runner;
use crate::target::Target;
use net_client::Acks;
use run::Run;

/// Requests in flight on one connection.
const WINDOW_MAX: usize = 100_000;
/// Requests in flight that keep the order of an idempotent producer.
const IDEMPOTENT_WINDOW_MAX: usize = 5;

/// Produces as `options` say, tells `progress` twice a second, and says what came of it.
///
/// Errors: any refusal of the broker ends the run. What was acknowledged until then stays.
pub fn produce(
    options: &ProduceOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BenchError> {
    measure(options, None, progress)
}

/// Produces, and with `limits` consumes what it produces.
pub fn measure(
    options: &ProduceOptions,
    limits: Option<&FetchLimits>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BenchError> {
    check(options)?;
    let common = &options.common;
    pin(common)?;
    let machine = Machine::look();
    let payload = Payload::new(
        options.record_bytes,
        options.batch_bytes,
        options.compression,
    )?;
    let target = Target::prepare(common, true)?;
    let mut run = Run::prepare(options, limits, &payload, &target)?;
    let report = runner::measure(&mut run, common, machine, progress)?;
    let mut report = Report {
        kind: if limits.is_some() { "e2e" } else { "produce" },
        settings: settings(options, limits, &run, &payload, &target),
        ack_latency: limits.map(|_| run.tally.acks.figures()),
        lateness: options.rate.map(|_| run.tally.lateness.figures()),
        ..report
    };
    report.judge_pace(options.lateness_max);
    remark(&mut report, options, &target);
    Ok(report)
}

fn remark(report: &mut Report, options: &ProduceOptions, target: &Target) {
    if options.acks == Acks::None {
        report.remarks.push(
            "acks 0: the time to an acknowledgement is the time until the kernel took a request; \
             all that was counted was read by the broker, since it answered a later request of each \
             connection"
                .to_owned(),
        );
    }
    if !target.is_new && !options.common.configs.is_empty() {
        report
            .remarks
            .push("the topic was there already: settings given here were not applied".to_owned());
    }
}

fn settings(
    options: &ProduceOptions,
    limits: Option<&FetchLimits>,
    run: &Run<'_>,
    payload: &Payload,
    target: &Target,
) -> Settings {
    let general = Settings::of(target, &options.common, run.senders.len(), run.version);
    Settings {
        window: Some(options.window),
        record_bytes: Some(options.record_bytes),
        batch_bytes: Some(options.batch_bytes),
        records_per_batch: Some(payload.records),
        batch_wire_bytes: Some(payload.batch.len()),
        batches_per_request: Some(run.batches_per_request),
        compression: Some(options.compression.name()),
        acks: Some(match options.acks {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        }),
        is_idempotent: Some(options.is_idempotent),
        requests_per_s: run.pace(0).map(|pace| pace.requests_per_second()),
        ..match limits {
            Some(limits) => general.with_limits(limits),
            None => general,
        }
    }
}

fn check(options: &ProduceOptions) -> Result<(), BenchError> {
    options.common.check()?;
    let wrong = |what| Err(BenchError::Options(what));
    if !(1..=WINDOW_MAX).contains(&options.window) {
        return wrong("the window must be from 1 to 100,000");
    }
    if options.partitions_per_request == 0 {
        return wrong("a request needs at least one partition");
    }
    if options.is_idempotent && options.acks != Acks::All {
        return wrong("an idempotent producer needs acks all");
    }
    if options.is_idempotent && options.window > IDEMPOTENT_WINDOW_MAX {
        return wrong("an idempotent producer keeps its order with a window of at most 5");
    }
    Ok(())
}
