//! The fetch load.
//!
//! Keeps: what counts is bytes of whole record batches as they came over the wire; every partition is
//! read from where it began to where it ended when the run began, again and again.

mod fetcher;

use crate::clock::{Clock, nanos};
use crate::control::Control;
use crate::cost::{Cost, Sample};
use crate::deal::deal;
use crate::error::BenchError;
use crate::machine::{Machine, load_average};
use crate::number::{float, wide};
use crate::options::{Amount, FetchOptions, From};
use crate::poller::{Poller, Ready};
use crate::process::{command_of, file_systems_of, pin};
use crate::report::{Load, Progress, Report, Settings};
use crate::socket::Socket;
use crate::tally::Tally;
use crate::target::Target;
use engine_model::Offset;
use net_protocol::ApiKey;
use std::time::Duration;

pub use fetcher::Fetcher;

/// How often progress is told, in nanoseconds.
const PROGRESS_NANOS: u64 = 500_000_000;
/// How often the loop looks whether the broker has fallen silent, in nanoseconds.
const HEARTBEAT_NANOS: u64 = 1_000_000_000;

/// What is told of answers.
pub trait Received {
    /// An answer came so many nanoseconds after its request.
    fn answer(&mut self, nanos: u64);

    /// It holds a batch of so many records and bytes for the partition at this place of the target.
    fn batch(
        &mut self,
        place: usize,
        base_offset: i64,
        records: u64,
        bytes: usize,
    ) -> Result<(), BenchError>;
}

impl Received for Tally {
    fn answer(&mut self, nanos: u64) {
        self.requests += 1;
        self.latency.record(nanos);
    }

    fn batch(&mut self, _: usize, _: i64, records: u64, bytes: usize) -> Result<(), BenchError> {
        self.records += records;
        self.bytes += wide(bytes);
        Ok(())
    }
}

/// Fetches as `options` say, tells `progress` twice a second, and says what came of it.
///
/// Errors: any refusal of the broker, and records that are missing, end the run.
pub fn fetch(
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BenchError> {
    let common = &options.common;
    common.check()?;
    pin(common)?;
    let mut machine = Machine::look();
    let mut target = Target::prepare(common, false)?;
    for partition in &mut target.partitions {
        if let From::BeforeEnd(records) = options.from {
            let back = partition.end.get().saturating_sub(records);
            partition.start = Offset::new(back.max(partition.start.get()));
        }
    }
    target.partitions.retain(|p| p.start < p.end);
    if target.partitions.is_empty() {
        return Err(BenchError::Options("the topic holds no records to fetch"));
    }
    let mut run = Run::prepare(options, &target)?;
    if !common.warmup.is_zero() {
        run.phase(Amount::Duration(common.warmup), true, progress)?;
    }
    let warmup_records = run.tally.records;
    run.tally.clear();
    let traffic = run.traffic();
    let before = Sample::take(common.broker_pid)?;
    let began = run.clock.now();
    run.phase(common.amount, false, progress)?;
    let seconds = float(run.clock.now() - began) / 1e9;
    let after = Sample::take(common.broker_pid)?;
    let tally = &run.tally;
    let done = (tally.bytes, tally.records, tally.requests);
    let cost = Cost::between(&before, &after, common.broker_pid, done);
    machine.load_average_after = load_average();
    let (sent, received) = run.traffic();
    let mut report = Report {
        kind: "fetch",
        settings: Settings::of(&target, common, run.fetchers.len(), run.version)
            .with_limits(&options.limits),
        load: Load::of(tally, seconds, (sent - traffic.0, received - traffic.1)),
        latency: tally.latency.figures(),
        cost,
        machine,
        broker_command: common.broker_pid.map(command_of),
        broker_file_systems: common.broker_pid.map(file_systems_of),
        bytes_of: "record batches",
        ..Report::default()
    };
    report.load.warmup_records = warmup_records;
    report.remark_on_cost();
    Ok(report)
}

struct Run<'a> {
    options: &'a FetchOptions,
    clock: Clock,
    fetchers: Vec<Fetcher>,
    poller: Poller,
    tally: Tally,
    version: i16,
}

impl<'a> Run<'a> {
    fn prepare(options: &'a FetchOptions, target: &Target) -> Result<Self, BenchError> {
        let common = &options.common;
        let mut fetchers = Vec::new();
        let mut version = 0;
        for hand in deal(target, common.connections) {
            let control = Control::connect(&[hand.address], &common.client_id, common.timeout)?;
            version = control.version(ApiKey::Fetch)?;
            let (address, stream) = control.into_parts();
            fetchers.push(Fetcher::new(
                Socket::new(address, stream)?,
                target,
                &common.topic,
                &hand.partitions,
                &options.limits,
                common.client_id.clone(),
                version,
            ));
        }
        Ok(Self {
            options,
            clock: Clock::start(),
            poller: Poller::new(fetchers.iter().map(|fetcher| &fetcher.socket))?,
            fetchers,
            tally: Tally::new(),
            version,
        })
    }

    /// Bytes sent and received so far.
    fn traffic(&self) -> (u64, u64) {
        let sockets = self.fetchers.iter().map(|fetcher| &fetcher.socket);
        sockets.fold((0, 0), |(sent, received), socket| {
            (sent + socket.sent_bytes, received + socket.received_bytes)
        })
    }

    fn may_go_on(&self, amount: Amount, start: u64, now: u64) -> bool {
        match amount {
            Amount::Records(records) => self.tally.records < records,
            Amount::Bytes(bytes) => self.tally.bytes < bytes,
            Amount::Duration(duration) => now.saturating_sub(start) < nanos(duration),
        }
    }

    /// Fetches until `amount` has come and every answer is there.
    fn phase(
        &mut self,
        amount: Amount,
        is_warmup: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), BenchError> {
        let start = self.clock.now();
        let mut awake: Vec<usize> = (0..self.fetchers.len()).collect();
        let mut ready: Vec<Ready> = Vec::new();
        let mut waiting = 0_usize;
        let (mut heard, mut told) = (start, start);
        loop {
            let now = self.clock.now();
            for place in awake.drain(..) {
                let may_go_on = self.may_go_on(amount, start, now);
                let Some(fetcher) = self.fetchers.get_mut(place) else {
                    continue;
                };
                if may_go_on && !fetcher.is_waiting() {
                    fetcher.issue(now)?;
                    waiting += 1;
                }
                let is_out = fetcher.socket.flush()?;
                self.poller.want_write(place, &fetcher.socket, !is_out)?;
            }
            if waiting == 0 {
                return Ok(());
            }
            self.poller.wait(HEARTBEAT_NANOS, &mut ready)?;
            let now = self.clock.now();
            for event in &ready {
                let Some(fetcher) = self.fetchers.get_mut(event.socket) else {
                    continue;
                };
                if event.is_readable {
                    let was_waiting = fetcher.is_waiting();
                    fetcher.socket.fill()?;
                    fetcher.take_answers(now, &mut self.tally)?;
                    waiting -= usize::from(was_waiting && !fetcher.is_waiting());
                }
                awake.push(event.socket);
            }
            if !ready.is_empty() {
                heard = now;
            } else if now.saturating_sub(heard) > nanos(self.options.common.timeout) {
                let waited = Duration::from_nanos(now - heard);
                return Err(BenchError::Silent { waited });
            }
            if now.saturating_sub(told) >= PROGRESS_NANOS {
                told = now;
                progress(Progress {
                    is_warmup,
                    seconds: float(now - start) / 1e9,
                    records: self.tally.records,
                    bytes: self.tally.bytes,
                });
            }
        }
    }
}
