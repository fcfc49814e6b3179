//! A producer against a broker that loses requests, loses answers, refuses and forgets.

use super::{TOPIC, leader, metadata};
use crate::{
    Acks, Answer, Call, ClientError, Delivery, Exchange, NewRecord, Producer, ProducerOptions,
    PushError, Step, Target,
};
use bytes::Bytes;
use core::time::Duration;
use engine_codec::{Compression, batches};
use engine_model::{
    ErrorCode, Moment, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp,
};
use net_protocol::init_producer_id::InitProducerIdResponse;
use net_protocol::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const PARTITIONS: i32 = 3;

/// A broker that keeps values, and the base sequence and offset of each batch.
#[derive(Default)]
struct Broker {
    logs: BTreeMap<i32, Vec<Bytes>>,
    batches: BTreeMap<i32, Vec<(i32, i64)>>,
    is_idempotent: bool,
    calls: usize,
}

impl Broker {
    fn append(&mut self, partition: PartitionIndex, records: &Bytes) -> Offset {
        let partition = partition.get();
        let log = self.logs.entry(partition).or_default();
        let known = self.batches.entry(partition).or_default();
        let batch = batches(records).next().unwrap().unwrap();
        batch.check_crc().unwrap();
        let sequence = batch.header().base_sequence.get();
        if self.is_idempotent {
            assert_eq!(batch.header().producer_id, ProducerId(7));
            if let Some((_, offset)) = known.iter().find(|(found, _)| *found == sequence) {
                return Offset::new(*offset);
            }
            assert_eq!(
                usize::try_from(sequence).unwrap(),
                log.len(),
                "a gap in the sequence"
            );
        }
        let offset = i64::try_from(log.len()).unwrap();
        known.push((sequence, offset));
        log.extend(
            batch
                .records(1 << 20)
                .map(|record| record.unwrap().value.unwrap()),
        );
        Offset::new(offset)
    }

    /// Answers one request, with a fault.
    fn answer(&mut self, exchange: &Exchange, fault: u8) -> Result<Answer, ClientError> {
        self.calls += 1;
        let lost = Err(ClientError::ConnectionLost { node: NodeId(1) });
        match &exchange.call {
            _ if fault == 1 => lost,
            Call::Metadata(_) => Ok(metadata(PARTITIONS)),
            Call::InitProducerId(_) => Ok(Answer::InitProducerId(InitProducerIdResponse {
                error_code: if fault == 2 {
                    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                } else {
                    ErrorCode::NONE
                },
                producer_id: ProducerId(7),
                producer_epoch: ProducerEpoch::ZERO,
                ..InitProducerIdResponse::default()
            })),
            Call::Produce(request) => self.produce(exchange.target, request, fault),
            other => panic!("{other:?}"),
        }
    }

    fn produce(
        &mut self,
        target: Target,
        request: &ProduceRequest,
        fault: u8,
    ) -> Result<Answer, ClientError> {
        let mut partition_responses = Vec::new();
        for data in request
            .topic_data
            .iter()
            .flat_map(|topic| &topic.partition_data)
        {
            assert_eq!(target, Target::Node(leader(data.index)));
            let mut answer = PartitionProduceResponse {
                index: data.index,
                base_offset: Offset::NONE,
                ..PartitionProduceResponse::default()
            };
            match fault {
                2 => answer.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER,
                3 => answer.error_code = ErrorCode::NOT_ENOUGH_REPLICAS,
                _ => {
                    let records = data.records.clone().unwrap().into_bytes();
                    answer.base_offset = self.append(data.index, &records);
                }
            }
            // One that is left out of the answer although it was appended.
            if fault != 5 || partition_responses.is_empty() {
                partition_responses.push(answer);
            }
        }
        if fault == 4 {
            return Err(ClientError::ConnectionLost { node: NodeId(1) });
        }
        Ok(Answer::Produce(ProduceResponse {
            responses: vec![TopicProduceResponse {
                partition_responses,
                ..TopicProduceResponse::default()
            }],
            ..ProduceResponse::default()
        }))
    }
}

struct Run {
    producer: Producer,
    broker: Broker,
    now: Moment,
    faults: Vec<u8>,
    deliveries: Vec<Delivery>,
}

impl Run {
    fn new(options: ProducerOptions, faults: Vec<u8>) -> Self {
        Self {
            producer: Producer::new(TOPIC.into(), options, 1),
            broker: Broker {
                is_idempotent: options.is_idempotent,
                ..Broker::default()
            },
            now: Moment(0),
            faults,
            deliveries: Vec::new(),
        }
    }

    /// One step; false when there is nothing to do.
    fn step(&mut self) -> bool {
        let goes_on = match self.producer.poll(self.now) {
            Step::Send(exchange) => {
                let fault = self.faults.pop().unwrap_or(0);
                let answer = self.broker.answer(&exchange, fault);
                if exchange.call.is_answered() {
                    self.producer.on_answer(self.now, exchange.token, answer);
                }
                true
            }
            Step::Wait(moment) => {
                self.now = self.now.max(moment);
                true
            }
            Step::Idle => false,
        };
        self.deliveries.extend(self.producer.take_deliveries());
        goes_on
    }

    fn push(&mut self, record: &NewRecord) -> Result<(), ClientError> {
        for _ in 0..10_000 {
            match self.producer.push(self.now, record) {
                Ok(()) => return Ok(()),
                Err(PushError::Refused(error)) => return Err(error),
                Err(PushError::Full) => self.drain(),
                Err(PushError::NotReady) => {
                    self.step();
                }
            }
        }
        panic!("never ready");
    }

    fn drain(&mut self) {
        self.producer.flush(self.now).unwrap();
        for _ in 0..10_000 {
            if self.producer.is_drained() {
                return;
            }
            self.step();
        }
        panic!("never drained");
    }
}

fn record(partition: Option<i32>, key: Option<u8>, value: String) -> NewRecord {
    NewRecord {
        partition: partition.map(PartitionIndex::new),
        key: key.map(|key| vec![key].into()),
        value: Some(value.into()),
        timestamp: Timestamp(5),
        ..NewRecord::default()
    }
}

fn options(is_idempotent: bool) -> ProducerOptions {
    ProducerOptions {
        acks: if is_idempotent {
            Acks::All
        } else {
            Acks::Leader
        },
        is_idempotent,
        batch_bytes_max: 120,
        buffer_bytes_max: 600,
        delivery_timeout: Duration::from_hours(1),
        ..ProducerOptions::default()
    }
}

fn check(is_idempotent: bool, records: &[(u8, usize)], faults: Vec<u8>) {
    let mut run = Run::new(options(is_idempotent), faults);
    let mut sent: BTreeMap<i32, Vec<Bytes>> = BTreeMap::new();
    for (place, (kind, size)) in records.iter().enumerate() {
        let partition = i32::from(*kind) % PARTITIONS;
        let value = format!("{place} {}", "x".repeat(*size));
        let new = match kind {
            0..6 => {
                sent.entry(partition)
                    .or_default()
                    .push(value.clone().into());
                record(Some(partition), None, value)
            }
            6..8 => record(None, Some(*kind), value),
            _ => record(None, None, value),
        };
        run.push(&new).unwrap();
    }
    run.drain();
    let delivered: i32 = run.deliveries.iter().map(|d| d.record_count).sum();
    assert_eq!(usize::try_from(delivered).unwrap(), records.len());
    let in_logs: usize = run.broker.logs.values().map(Vec::len).sum();
    assert_eq!(in_logs, records.len());
    for delivery in &run.deliveries {
        let offset = delivery.result.clone().unwrap().unwrap().get();
        let known = &run.broker.batches[&delivery.partition.get()];
        assert!(
            known.iter().any(|(_, found)| *found == offset),
            "{delivery:?}"
        );
    }
    // What was sent to a partition by number stands there in that order.
    for (partition, values) in sent {
        let found: Vec<&Bytes> = run.broker.logs[&partition]
            .iter()
            .filter(|value| values.contains(value))
            .collect();
        assert_eq!(found, values.iter().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn an_idempotent_producer_writes_every_record_once_and_in_order(
        records in proptest::collection::vec((0_u8..10, 0_usize..200), 0..60),
        faults in proptest::collection::vec(0_u8..6, 0..40),
    ) {
        check(true, &records, faults);
    }

    #[test]
    fn a_plain_producer_does_too_while_nothing_that_was_appended_is_lost(
        records in proptest::collection::vec((0_u8..10, 0_usize..200), 0..60),
        faults in proptest::collection::vec(0_u8..4, 0..40),
    ) {
        check(false, &records, faults);
    }
}

#[test]
fn a_refusal_fails_an_idempotent_producer_and_all_behind_it() {
    let roomy = ProducerOptions {
        buffer_bytes_max: 10_000,
        ..options(true)
    };
    let mut run = Run::new(roomy, Vec::new());
    for place in 0..10 {
        run.push(&record(
            Some(0),
            None,
            format!("{place} {}", "x".repeat(60)),
        ))
        .unwrap();
    }
    run.producer.flush(run.now).unwrap();
    let Step::Send(exchange) = run.producer.poll(run.now) else {
        panic!("nothing to send");
    };
    let refusal = Answer::Produce(ProduceResponse {
        responses: vec![TopicProduceResponse {
            partition_responses: vec![PartitionProduceResponse {
                error_code: ErrorCode::MESSAGE_TOO_LARGE,
                ..PartitionProduceResponse::default()
            }],
            ..TopicProduceResponse::default()
        }],
        ..ProduceResponse::default()
    });
    run.producer.on_answer(run.now, exchange.token, Ok(refusal));
    let failed: i32 = run
        .producer
        .take_deliveries()
        .iter()
        .map(|delivery| {
            let code = delivery.result.as_ref().unwrap_err().code();
            assert_eq!(code, Some(ErrorCode::MESSAGE_TOO_LARGE));
            delivery.record_count
        })
        .sum();
    assert_eq!(failed, 10);
    assert!(run.producer.is_drained());
    assert_eq!(run.producer.poll(run.now), Step::Idle);
    let again = run
        .producer
        .push(run.now, &record(Some(0), None, "late".into()));
    assert!(matches!(again, Err(PushError::Refused(_))));
}

#[test]
fn a_batch_that_cannot_be_delivered_fails_at_its_deadline_with_the_last_error() {
    let mut run = Run::new(
        ProducerOptions {
            delivery_timeout: Duration::from_secs(5),
            ..options(false)
        },
        Vec::new(),
    );
    run.push(&record(Some(0), None, "x".into())).unwrap();
    run.faults = vec![3; 1000];
    run.drain();
    assert!(run.now.saturating_since(Moment(0)) >= Duration::from_secs(5));
    // Pauses grow: it is not hammered.
    assert!(run.broker.calls < 40, "{}", run.broker.calls);
    let [delivery] = &run.deliveries[..] else {
        panic!("{:?}", run.deliveries);
    };
    let Err(ClientError::TimedOut { last: Some(last) }) = &delivery.result else {
        panic!("{delivery:?}");
    };
    assert_eq!(last.code(), Some(ErrorCode::NOT_ENOUGH_REPLICAS));
}

#[test]
fn a_topic_that_never_comes_fails_at_the_deadline() {
    let mut run = Run::new(
        ProducerOptions {
            delivery_timeout: Duration::from_secs(5),
            ..options(true)
        },
        vec![1; 1000],
    );
    let result = run.push(&record(None, None, "x".into()));
    assert!(
        matches!(result, Err(ClientError::TimedOut { last: Some(_) })),
        "{result:?}"
    );
}

#[test]
fn acks_0_delivers_without_an_offset_and_waits_for_nothing() {
    let mut run = Run::new(
        ProducerOptions {
            acks: Acks::None,
            compression: Compression::Lz4,
            ..ProducerOptions::default()
        },
        Vec::new(),
    );
    run.broker.is_idempotent = false;
    for place in 0..5 {
        run.push(&record(Some(1), None, place.to_string())).unwrap();
    }
    run.drain();
    assert_eq!(run.broker.logs[&1].len(), 5);
    assert_eq!(run.deliveries.len(), 1);
    assert_eq!(run.deliveries[0].result, Ok(None));
}

#[test]
fn a_partition_that_is_not_there_is_refused() {
    let mut run = Run::new(options(false), Vec::new());
    let result = run.push(&record(Some(PARTITIONS), None, "x".into()));
    assert!(
        matches!(result, Err(ClientError::NoSuchPartition { count: 3, .. })),
        "{result:?}"
    );
}
