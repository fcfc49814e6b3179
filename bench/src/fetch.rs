//! The fetch load.
//!
//! Keeps: what counts is bytes of whole record batches as they came over the wire; every partition is
//! read from where it began to where it ended when the run began, again and again.

mod fetcher;

use crate::clock::{Clock, nanos};
use crate::error::BenchError;
use crate::machine::Machine;
use crate::number::wide;
use crate::options::{Amount, FetchOptions, From};
use crate::poller::{Poller, Ready};
use crate::process::pin;
use crate::report::{Progress, Report, Settings};
use crate::runner::{Runner, measure};
use crate::socket::Socket;
use crate::tally::Tally;
use crate::target::Target;
use crate::watch::{HEARTBEAT_NANOS, Watch};
use engine_model::Offset;

pub use fetcher::Fetcher;

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
    let machine = Machine::look();
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
    let report = measure(&mut run, common, machine, progress)?;
    Ok(Report {
        kind: "fetch",
        settings: Settings::of(&target, common, run.fetchers.len(), run.version)
            .with_limits(&options.limits),
        bytes_of: "record batches",
        ..report
    })
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
        let (fetchers, version) =
            Fetcher::connect(common, &options.limits, target, common.connections)?;
        Ok(Self {
            options,
            clock: Clock::start(),
            poller: Poller::new(fetchers.iter().map(|fetcher| &fetcher.socket))?,
            fetchers,
            tally: Tally::new(),
            version,
        })
    }

    fn may_go_on(&self, amount: Amount, start: u64, now: u64) -> bool {
        match amount {
            Amount::Records(records) => self.tally.records < records,
            Amount::Bytes(bytes) => self.tally.bytes < bytes,
            Amount::Duration(duration) => now.saturating_sub(start) < nanos(duration),
        }
    }
}

impl Runner for Run<'_> {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn traffic(&self) -> (u64, u64) {
        Socket::traffic(self.fetchers.iter().map(|fetcher| &fetcher.socket))
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
        let mut watch = Watch::new(start, self.options.common.timeout, is_warmup, progress);
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
            watch.look(now, !ready.is_empty(), &self.tally)?;
        }
    }
}
