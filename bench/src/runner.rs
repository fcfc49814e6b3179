//! What every load goes through: warm-up, then the part that is measured, between two samples of the
//! cost.
//!
//! Keeps: samples are taken while nothing is in flight, so that what was counted is what was paid for.

use crate::clock::Clock;
use crate::cost::{Cost, Sample};
use crate::error::BenchError;
use crate::machine::{Machine, load_average};
use crate::number::float;
use crate::options::{Amount, Common};
use crate::process::{command_of, file_systems_of};
use crate::report::{Load, Progress, Report};
use crate::tally::Tally;

/// A load that is ready to run: its connections are there, nothing is in flight.
pub trait Runner {
    /// Does as much as `amount` says and waits for every answer.
    fn phase(
        &mut self,
        amount: Amount,
        is_warmup: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), BenchError>;

    /// What it reads the time off.
    fn clock(&self) -> Clock;

    /// What was answered so far.
    fn tally(&mut self) -> &mut Tally;

    /// Bytes sent and received so far.
    fn traffic(&self) -> (u64, u64);
}

/// Runs a load on this machine, and says what it did and cost. What it was asked to do is for the
/// caller to add.
pub fn measure(
    run: &mut impl Runner,
    common: &Common,
    mut machine: Machine,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BenchError> {
    if !common.warmup.is_zero() {
        run.phase(Amount::Duration(common.warmup), true, progress)?;
    }
    let warmup_records = run.tally().records;
    run.tally().clear();
    let clock = run.clock();
    let traffic = run.traffic();
    let before = Sample::take(common.broker_pid)?;
    let began = clock.now();
    run.phase(common.amount, false, progress)?;
    let seconds = float(clock.now() - began) / 1e9;
    let after = Sample::take(common.broker_pid)?;
    let (sent, received) = run.traffic();
    let tally = run.tally();
    let done = (tally.bytes, tally.records, tally.requests);
    let cost = Cost::between(&before, &after, common.broker_pid, done);
    machine.load_average_after = load_average();
    let mut report = Report {
        load: Load {
            warmup_records,
            ..Load::of(tally, seconds, (sent - traffic.0, received - traffic.1))
        },
        latency: tally.latency.figures(),
        cost,
        machine,
        broker_command: common.broker_pid.map(command_of),
        broker_file_systems: common.broker_pid.map(file_systems_of),
        ..Report::default()
    };
    report.remark_on_cost();
    Ok(report)
}
