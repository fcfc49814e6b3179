//! A run of the produce load, phase by phase.

use super::prepare::{Prepared, prepare};
use super::readers::Readers;
use super::sender::{Done, Sender};
use crate::answer;
use crate::clock::{Clock, nanos};
use crate::error::BenchError;
use crate::limit::Limit;
use crate::number::wide;
use crate::options::{Amount, FetchLimits, ProduceOptions};
use crate::pace::Pace;
use crate::payload::Payload;
use crate::poller::{Poller, Ready};
use crate::report::Progress;
use crate::runner::Runner;
use crate::socket::Socket;
use crate::tally::Tally;
use crate::target::Target;
use crate::watch::{HEARTBEAT_NANOS, Watch};
use net_client::Acks;
use net_protocol::api_versions::ApiVersionsRequest;
use net_protocol::request_frame;
use std::time::Duration;

/// The correlation id of the question whose answer says that all before it was read.
const LAST_CORRELATION_ID: i32 = i32::MAX;

/// See the module's own words.
pub struct Run<'a> {
    options: &'a ProduceOptions,
    /// What latencies are read off.
    clock: Clock,
    /// The connections that produce; first in the poller.
    pub senders: Vec<Sender>,
    /// Those that consume, in an end to end run; behind the others in the poller.
    readers: Option<Readers>,
    poller: Poller,
    /// What was answered.
    pub tally: Tally,
    /// Of Produce.
    pub version: i16,
    /// Batches of a request; a connection's last may have more.
    pub batches_per_request: usize,
    records_per_batch: u64,
    values_per_batch: u64,
}

impl<'a> Run<'a> {
    /// Connects and encodes.
    pub fn prepare(
        options: &'a ProduceOptions,
        limits: Option<&FetchLimits>,
        payload: &Payload,
        target: &Target,
    ) -> Result<Self, BenchError> {
        let Prepared {
            senders,
            version,
            batches_per_request,
        } = prepare(options, payload, target, limits.is_some())?;
        let readers = limits
            .map(|limits| Readers::connect(&options.common, limits, target))
            .transpose()?;
        let reading = readers.iter().flat_map(|readers| &readers.fetchers);
        let sockets = senders.iter().map(|sender| &sender.socket);
        let poller = Poller::new(sockets.chain(reading.map(|fetcher| &fetcher.socket)))?;
        Ok(Self {
            options,
            clock: Clock::start(),
            senders,
            readers,
            poller,
            tally: Tally::new(),
            version,
            batches_per_request,
            records_per_batch: payload.records,
            values_per_batch: payload.value_bytes,
        })
    }

    /// When requests are meant to leave, if that is fixed.
    pub fn pace(&self, start: u64) -> Option<Pace> {
        let rate = self.options.rate?;
        let batches = wide(self.batches_per_request);
        let records = self.records_per_batch * batches;
        Some(Pace::new(
            rate,
            start,
            records,
            self.values_per_batch * batches,
        ))
    }

    /// Whether nothing is on its way.
    fn is_idle(&self) -> bool {
        let is_done = |sender: &Sender| sender.in_flight() == 0 && sender.backlog.is_empty();
        self.senders.iter().all(is_done) && self.readers.as_ref().is_none_or(Readers::is_done)
    }

    /// Takes what has come on one connection.
    fn take(&mut self, event: Ready, now: u64) -> Result<(), BenchError> {
        if let Some(sender) = self.senders.get_mut(event.socket) {
            if event.is_readable {
                sender.socket.fill()?;
                let latency = self.tally.acknowledged(self.readers.is_some());
                let done = sender.take_answers(now, latency)?;
                self.count(done);
            }
            return Ok(());
        }
        let place = event.socket - self.senders.len();
        if let Some(readers) = &mut self.readers {
            if event.is_readable {
                let clock = self.clock;
                readers.read(place, || clock.now(), &mut self.tally)?;
            }
            self.keep_reading(now)?;
        }
        Ok(())
    }

    /// Sees to it that every consuming connection has a request with the broker.
    fn keep_reading(&mut self, now: u64) -> Result<(), BenchError> {
        let Some(readers) = &mut self.readers else {
            return Ok(());
        };
        for (place, fetcher) in readers.fetchers.iter_mut().enumerate() {
            if !fetcher.is_waiting() {
                fetcher.issue(now)?;
            }
            let is_out = fetcher.socket.flush()?;
            let place = self.senders.len() + place;
            self.poller.want_write(place, &fetcher.socket, !is_out)?;
        }
        Ok(())
    }

    /// Hands the requests of an open loop that are due to connections in turn.
    fn schedule(
        &mut self,
        pace: &mut Pace,
        limit: &mut Limit,
        now: u64,
        turn: &mut usize,
        awake: &mut Vec<usize>,
    ) {
        while limit.allows(now) && pace.next() <= now {
            let meant = pace.next();
            pace.take();
            limit.take();
            self.tally.lateness.record(now - meant);
            let next = *turn % self.senders.len().max(1);
            *turn = next + 1;
            if let Some(sender) = self.senders.get_mut(next) {
                sender.backlog.push_back(meant);
                awake.push(next);
            }
        }
    }

    /// Fills the window of a connection and sends; true when it could send more at once.
    fn send(
        &mut self,
        place: usize,
        mut limit: Option<&mut Limit>,
        now: u64,
    ) -> Result<bool, BenchError> {
        let Some(sender) = self.senders.get_mut(place) else {
            return Ok(false);
        };
        while sender.in_flight() < self.options.window {
            let since = match &mut limit {
                Some(limit) if limit.allows(now) => {
                    limit.take();
                    now
                }
                Some(_) => break,
                None => match sender.backlog.pop_front() {
                    Some(meant) => meant,
                    None => break,
                },
            };
            let places = sender.issue(since)?;
            if let Some(readers) = &mut self.readers {
                readers.expect(places, since);
            }
        }
        let is_out = sender.socket.flush()?;
        self.poller.want_write(place, &sender.socket, !is_out)?;
        if self.options.acks != Acks::None || !is_out {
            return Ok(false);
        }
        let latency = self.tally.acknowledged(self.readers.is_some());
        let done = sender.take_sent(self.clock.now(), latency);
        let has_more = limit.is_some_and(|limit| limit.allows(now)) || !sender.backlog.is_empty();
        self.count(done);
        Ok(has_more)
    }

    fn count(&mut self, done: Done) {
        self.tally.requests += done.requests;
        self.tally.records += done.batches * self.records_per_batch;
        self.tally.bytes += done.batches * self.values_per_batch;
    }

    /// Waits until the broker has read everything: it answers in order, so it answers a later request.
    fn settle(&mut self) -> Result<(), BenchError> {
        let request = ApiVersionsRequest::default();
        let client_id = &self.options.common.client_id;
        let frame = request_frame(0, LAST_CORRELATION_ID, Some(client_id), &request)?;
        let start = self.clock.now();
        let timeout = nanos(self.options.common.timeout);
        let mut ready = Vec::new();
        let mut missing = vec![true; self.senders.len()];
        for (place, sender) in self.senders.iter_mut().enumerate() {
            for piece in &frame {
                sender.socket.push(piece.clone());
            }
            let is_out = sender.socket.flush()?;
            self.poller.want_write(place, &sender.socket, !is_out)?;
        }
        while missing.contains(&true) {
            self.poller.wait(HEARTBEAT_NANOS, &mut ready)?;
            let now = self.clock.now();
            for event in &ready {
                let Some(sender) = self.senders.get_mut(event.socket) else {
                    self.take(*event, now)?;
                    continue;
                };
                let is_out = sender.socket.flush()?;
                self.poller
                    .want_write(event.socket, &sender.socket, !is_out)?;
                if event.is_readable {
                    sender.socket.fill()?;
                }
                while let Some(frame) = sender.socket.next_frame()? {
                    if answer::correlation_id(frame) == Some(LAST_CORRELATION_ID)
                        && let Some(missing) = missing.get_mut(event.socket)
                    {
                        *missing = false;
                    }
                }
            }
            if now - start > timeout {
                let waited = Duration::from_nanos(now - start);
                return Err(BenchError::Silent { waited });
            }
        }
        Ok(())
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
        let reading = self.readers.iter().flat_map(|readers| &readers.fetchers);
        let reading = reading.map(|fetcher| &fetcher.socket);
        let sockets = self.senders.iter().map(|sender| &sender.socket);
        Socket::traffic(sockets.chain(reading))
    }

    /// Issues as much as `amount` says and waits for every answer.
    fn phase(
        &mut self,
        amount: Amount,
        is_warmup: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), BenchError> {
        let start = self.clock.now();
        let records = self.records_per_batch * wide(self.batches_per_request);
        let mut limit = Limit::new(amount, start, records, wide(self.options.record_bytes));
        let mut pace = self.pace(start);
        self.keep_reading(start)?;
        // Connections that may be able to send: at first all.
        let mut awake: Vec<usize> = (0..self.senders.len()).collect();
        let mut again = Vec::new();
        let mut ready: Vec<Ready> = Vec::new();
        let mut turn = 0;
        let mut watch = Watch::new(start, self.options.common.timeout, is_warmup, progress);
        loop {
            let now = self.clock.now();
            if let Some(pace) = &mut pace {
                self.schedule(pace, &mut limit, now, &mut turn, &mut awake);
            }
            for place in awake.drain(..) {
                if self.send(place, pace.is_none().then_some(&mut limit), now)? {
                    again.push(place);
                }
            }
            core::mem::swap(&mut awake, &mut again);
            let may_issue = limit.allows(now);
            // Asked only when it matters: with many connections the answer is not free.
            let is_idle = !may_issue && self.is_idle();
            if is_idle {
                break;
            }
            let wait = match &pace {
                _ if !awake.is_empty() => 0,
                Some(pace) if may_issue => pace.next().saturating_sub(self.clock.now()),
                _ => HEARTBEAT_NANOS,
            };
            self.poller.wait(wait.min(HEARTBEAT_NANOS), &mut ready)?;
            let now = self.clock.now();
            for event in &ready {
                self.take(*event, now)?;
                awake.push(event.socket);
            }
            let is_well = !ready.is_empty() || (pace.is_some() && may_issue && self.is_idle());
            watch.look(now, is_well, &self.tally)?;
        }
        if self.options.acks == Acks::None {
            self.settle()?;
        }
        Ok(())
    }
}
