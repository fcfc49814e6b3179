//! The produce load.
//!
//! Keeps: warm-up, pause, measured part, pause: samples of the cost are taken while nothing is in flight,
//! so that what was counted is what was paid for.

mod sender;

use crate::answer;
use crate::clock::{Clock, nanos};
use crate::control::Control;
use crate::cost::{Cost, Sample};
use crate::error::BenchError;
use crate::latency::Durations;
use crate::limit::Limit;
use crate::machine::{Machine, load_average, read};
use crate::number::{float, wide};
use crate::options::{Amount, Common, ProduceOptions};
use crate::pace::Pace;
use crate::payload::Payload;
use crate::poller::{Poller, Ready};
use crate::report::{Load, Progress, Report, Settings};
use crate::socket::Socket;
use crate::target::{Target, TargetPartition};
use crate::template::{Template, Writer};
use bytes::Bytes;
use engine_model::NodeId;
use net_client::Acks;
use net_protocol::api_versions::ApiVersionsRequest;
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use net_protocol::{ApiKey, Records, Text, request_frame};
use sender::{Group, Sender};
use std::time::Duration;

/// Connections that a run takes.
const CONNECTIONS_MAX: usize = 100_000;
/// Requests in flight on one connection.
const WINDOW_MAX: usize = 100_000;
/// Requests in flight that keep the order of an idempotent producer.
const IDEMPOTENT_WINDOW_MAX: usize = 5;
/// How often progress is told, in nanoseconds.
const PROGRESS_NANOS: u64 = 500_000_000;
/// How often the loop looks whether the broker has fallen silent, in nanoseconds.
const HEARTBEAT_NANOS: u64 = 1_000_000_000;

/// What was answered.
pub struct Tally {
    records_per_batch: u64,
    values_per_batch: u64,
    requests: u64,
    batches: u64,
    latency: Durations,
    lateness: Durations,
}

impl Tally {
    fn answered(&mut self, batches: u64, nanos: u64) {
        self.requests += 1;
        self.batches += batches;
        self.latency.record(nanos);
    }

    const fn records(&self) -> u64 {
        self.batches * self.records_per_batch
    }

    const fn value_bytes(&self) -> u64 {
        self.batches * self.values_per_batch
    }

    fn clear(&mut self) {
        self.requests = 0;
        self.batches = 0;
        self.latency.clear();
        self.lateness.clear();
    }
}

/// Produces as `options` say, tells `progress` twice a second, and says what came of it.
///
/// Errors: any refusal of the broker ends the run. What was acknowledged until then stays.
pub fn produce(
    options: &ProduceOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BenchError> {
    check(options)?;
    let common = &options.common;
    pin(common)?;
    let mut machine = Machine::look();
    let payload = Payload::new(
        options.record_bytes,
        options.batch_bytes,
        options.compression,
    )?;
    let target = Target::prepare(common, true)?;
    let mut run = Run::prepare(options, &payload, &target)?;
    if !common.warmup.is_zero() {
        run.phase(Amount::Duration(common.warmup), true, progress)?;
    }
    let warmup_records = run.tally.records();
    run.tally.clear();
    let traffic = run.traffic();
    let before = Sample::take(common.broker_pid)?;
    let began = run.clock.now();
    run.phase(common.amount, false, progress)?;
    let seconds = float(run.clock.now() - began) / 1e9;
    let after = Sample::take(common.broker_pid)?;
    let tally = &run.tally;
    let done = (tally.value_bytes(), tally.records(), tally.requests);
    let cost = Cost::between(&before, &after, common.broker_pid, done);
    machine.load_average_after = load_average();
    let (sent, received) = run.traffic();
    let mut report = Report {
        kind: "produce",
        is_valid: true,
        remarks: Vec::new(),
        settings: run.settings(&payload, &target),
        load: Load {
            seconds,
            requests: tally.requests,
            records: tally.records(),
            value_bytes: tally.value_bytes(),
            sent_bytes: sent - traffic.0,
            received_bytes: received - traffic.1,
            records_per_s: float(tally.records()) / seconds,
            mb_per_s: float(tally.value_bytes()) / seconds / 1e6,
            warmup_records,
        },
        latency: tally.latency.figures(),
        lateness: options.rate.map(|_| tally.lateness.figures()),
        cost,
        machine,
        broker_command: common.broker_pid.map(command_of),
        version: env!("CARGO_PKG_VERSION"),
    };
    report.remark_on_cost();
    report.judge_pace(options.lateness_max);
    if options.acks == Acks::None {
        report.remarks.push(
            "acks 0: latency is the time until the kernel took a request; the count was read by \
             the broker, since it answered a later request of each connection"
                .to_owned(),
        );
    }
    if !target.is_new && !common.configs.is_empty() {
        report
            .remarks
            .push("the topic was there already: settings given here were not applied".to_owned());
    }
    Ok(report)
}

fn check(options: &ProduceOptions) -> Result<(), BenchError> {
    let wrong = |what| Err(BenchError::Options(what));
    if !(1..=CONNECTIONS_MAX).contains(&options.common.connections) {
        return wrong("connections must be from 1 to 100,000");
    }
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

/// Moves this thread, and so the run, to its core.
fn pin(common: &Common) -> Result<(), BenchError> {
    let Some(cpu) = common.cpu else {
        return Ok(());
    };
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return Err(BenchError::Options("there is no such core"));
    }
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(cpu);
    rustix::thread::sched_setaffinity(None, &cores).map_err(|error| BenchError::System {
        what: "cannot move to the core",
        source: error.into(),
    })
}

fn command_of(pid: u32) -> String {
    let command = read(format!("/proc/{pid}/cmdline"));
    command.trim_end_matches('\0').replace('\0', " ")
}

struct Run<'a> {
    options: &'a ProduceOptions,
    clock: Clock,
    senders: Vec<Sender>,
    poller: Poller,
    tally: Tally,
    version: i16,
    batches_per_request: usize,
}

impl<'a> Run<'a> {
    fn prepare(
        options: &'a ProduceOptions,
        payload: &Payload,
        target: &Target,
    ) -> Result<Self, BenchError> {
        let common = &options.common;
        let mut senders = Vec::new();
        let mut version = 0;
        let mut batches_per_request = usize::MAX;
        for (node, address, partitions) in deal(target, common.connections) {
            let address = [address];
            let mut control = Control::connect(&address, &common.client_id, common.timeout)?;
            version = control.version(ApiKey::Produce)?;
            let writer = if options.is_idempotent {
                Some(ask_producer_id(&mut control)?)
            } else {
                None
            };
            let mut groups = Vec::new();
            for partitions in partitions.chunks(options.partitions_per_request) {
                batches_per_request = batches_per_request.min(partitions.len());
                let frame = encode(options, target, partitions, payload, version)?;
                let template = Template::new(frame, &payload.batch, options.is_idempotent);
                groups.push(Group {
                    template,
                    sequences: vec![0; partitions.len()],
                });
            }
            let _ = node;
            let (address, stream) = control.into_parts();
            let socket = Socket::new(address, stream)?;
            let records = i32::try_from(payload.records).unwrap_or(i32::MAX);
            senders.push(Sender::new(socket, groups, writer, version, records));
        }
        let poller = Poller::new(senders.iter().map(|sender| &sender.socket))?;
        Ok(Self {
            options,
            clock: Clock::start(),
            senders,
            poller,
            tally: Tally {
                records_per_batch: payload.records,
                values_per_batch: payload.value_bytes,
                requests: 0,
                batches: 0,
                latency: Durations::new(),
                lateness: Durations::new(),
            },
            version,
            batches_per_request,
        })
    }

    /// Bytes sent and received so far.
    fn traffic(&self) -> (u64, u64) {
        let sockets = self.senders.iter().map(|sender| &sender.socket);
        sockets.fold((0, 0), |(sent, received), socket| {
            (sent + socket.sent_bytes, received + socket.received_bytes)
        })
    }

    fn settings(&self, payload: &Payload, target: &Target) -> Settings {
        let options = self.options;
        Settings {
            topic: options.common.topic.to_string(),
            partitions: target.partitions.len(),
            topic_is_new: target.is_new,
            connections: self.senders.len(),
            window: options.window,
            record_bytes: options.record_bytes,
            batch_bytes: options.batch_bytes,
            records_per_batch: payload.records,
            batch_wire_bytes: payload.batch.len(),
            batches_per_request: self.batches_per_request,
            compression: options.compression.name().to_owned(),
            acks: match options.acks {
                Acks::None => "0",
                Acks::Leader => "1",
                Acks::All => "all",
            }
            .to_owned(),
            is_idempotent: options.is_idempotent,
            requests_per_s: self.pace(0).map(|pace| pace.requests_per_second()),
            api_version: self.version,
        }
    }

    fn records_per_request(&self) -> u64 {
        self.tally.records_per_batch * wide(self.batches_per_request)
    }

    fn values_per_request(&self) -> u64 {
        self.tally.values_per_batch * wide(self.batches_per_request)
    }

    fn pace(&self, start: u64) -> Option<Pace> {
        let rate = self.options.rate?;
        let (records, values) = (self.records_per_request(), self.values_per_request());
        Some(Pace::new(rate, start, records, values))
    }

    /// Issues as much as `amount` says and waits for every answer.
    fn phase(
        &mut self,
        amount: Amount,
        is_warmup: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), BenchError> {
        let start = self.clock.now();
        let records = self.records_per_request();
        let mut limit = Limit::new(amount, start, records, wide(self.options.record_bytes));
        let mut pace = self.pace(start);
        // Connections that may be able to send: at first all.
        let mut awake: Vec<usize> = (0..self.senders.len()).collect();
        let mut ready: Vec<Ready> = Vec::new();
        let mut turn = 0;
        let mut heard = start;
        let mut told = start;
        loop {
            let now = self.clock.now();
            if let Some(pace) = &mut pace {
                self.schedule(pace, &mut limit, now, &mut turn, &mut awake);
            }
            let mut again = Vec::new();
            for place in awake.drain(..) {
                if self.send(place, pace.is_none().then_some(&mut limit), now)? {
                    again.push(place);
                }
            }
            awake = again;
            let may_issue = limit.allows(now);
            let is_idle = self
                .senders
                .iter()
                .all(|sender| sender.in_flight() == 0 && sender.backlog.is_empty());
            if !may_issue && is_idle {
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
                let Some(sender) = self.senders.get_mut(event.socket) else {
                    continue;
                };
                if event.is_readable {
                    sender.socket.fill()?;
                    sender.take_answers(now, &mut self.tally)?;
                }
                awake.push(event.socket);
            }
            if !ready.is_empty() || is_idle {
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
                    records: self.tally.records(),
                    value_bytes: self.tally.value_bytes(),
                });
            }
        }
        if self.options.acks == Acks::None {
            self.settle()?;
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
            sender.issue(since)?;
        }
        let is_out = sender.socket.flush()?;
        self.poller.want_write(place, &sender.socket, !is_out)?;
        if self.options.acks != Acks::None || !is_out {
            return Ok(false);
        }
        let now = self.clock.now();
        sender.take_sent(now, &mut self.tally);
        Ok(limit.is_some_and(|limit| limit.allows(now)) || !sender.backlog.is_empty())
    }

    /// Waits until the broker has read everything: it answers in order, so it answers a later request.
    fn settle(&mut self) -> Result<(), BenchError> {
        let request = ApiVersionsRequest::default();
        let client_id = &self.options.common.client_id;
        let frame = request_frame(0, i32::MAX, Some(client_id), &request)?;
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
            for event in &ready {
                let Some(sender) = self.senders.get_mut(event.socket) else {
                    continue;
                };
                let is_out = sender.socket.flush()?;
                self.poller
                    .want_write(event.socket, &sender.socket, !is_out)?;
                if event.is_readable {
                    sender.socket.fill()?;
                }
                while let Some(frame) = sender.socket.next_frame()? {
                    if answer::correlation_id(frame) == Some(i32::MAX)
                        && let Some(missing) = missing.get_mut(event.socket)
                    {
                        *missing = false;
                    }
                }
            }
            let waited = self.clock.now() - start;
            if waited > timeout {
                let waited = Duration::from_nanos(waited);
                return Err(BenchError::Silent { waited });
            }
        }
        Ok(())
    }
}

/// The partitions of each connection: every leader's partitions are dealt to the connections to it;
/// where there are fewer partitions than connections, several share one.
pub fn deal(target: &Target, connections: usize) -> Vec<(NodeId, String, Vec<TargetPartition>)> {
    let leaders = target.brokers.len().max(1);
    let connections = connections.max(leaders);
    let mut dealt = Vec::new();
    for (place, (node, address)) in target.brokers.iter().enumerate() {
        let led: Vec<_> = target
            .partitions
            .iter()
            .filter(|partition| partition.leader == *node)
            .copied()
            .collect();
        let own = (connections + leaders - 1 - place) / leaders;
        for connection in 0..own {
            let partitions: Vec<_> = if led.len() >= own {
                led.iter().skip(connection).step_by(own).copied().collect()
            } else {
                let place = connection % led.len().max(1);
                led.get(place).copied().into_iter().collect()
            };
            dealt.push((*node, address.clone(), partitions));
        }
    }
    dealt
}

fn ask_producer_id(control: &mut Control) -> Result<Writer, BenchError> {
    let response = control.call(InitProducerIdRequest {
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    })?;
    if response.error_code.is_error() {
        return Err(net_client::ClientError::Broker {
            api: ApiKey::InitProducerId,
            code: response.error_code,
        }
        .into());
    }
    Ok(Writer {
        id: response.producer_id,
        epoch: response.producer_epoch,
    })
}

fn encode(
    options: &ProduceOptions,
    target: &Target,
    partitions: &[TargetPartition],
    payload: &Payload,
    version: i16,
) -> Result<Vec<Bytes>, BenchError> {
    let common = &options.common;
    let request = ProduceRequest {
        acks: match options.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        },
        timeout_ms: i32::try_from(common.timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: vec![TopicProduceData {
            name: common.topic.clone(),
            topic_id: target.id,
            partition_data: partitions
                .iter()
                .map(|partition| PartitionProduceData {
                    index: partition.index,
                    records: Some(Records::from(payload.batch.clone())),
                })
                .collect(),
        }],
        ..ProduceRequest::default()
    };
    let client_id: &Text = &common.client_id;
    Ok(request_frame(version, 0, Some(client_id), &request)?)
}
