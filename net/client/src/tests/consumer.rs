//! A consumer against a broker that loses answers, moves leaders and cuts batches.

use super::{TOPIC, batch, leader, metadata};
use crate::{Answer, Call, ClientError, Consumer, ConsumerOptions, Exchange, Start, Step, Target};
use bytes::Bytes;
use core::time::Duration;
use engine_codec::Compression;
use engine_model::{ErrorCode, Moment, NodeId, Offset, PartitionIndex, Timestamp};
use net_protocol::Records;
use net_protocol::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use net_protocol::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const PARTITIONS: i32 = 3;

/// One partition: batches with the offset behind each.
#[derive(Default)]
struct Log {
    start: i64,
    end: i64,
    batches: Vec<(i64, Bytes)>,
    values: BTreeMap<i64, String>,
}

impl Log {
    fn append(&mut self, count: usize, is_control: bool, compression: Compression) {
        let values: Vec<String> = (0..count)
            .map(|n| format!("v{}", self.end + i64::try_from(n).unwrap()))
            .collect();
        let bytes = batch(self.end, &values, is_control, compression);
        for value in values {
            if !is_control {
                self.values.insert(self.end, value);
            }
            self.end += 1;
        }
        self.batches.push((self.end, bytes));
    }
}

struct Broker {
    logs: Vec<Log>,
    /// Appended to a log at a fetch, until there are none left.
    later: Vec<usize>,
    calls: usize,
}

impl Broker {
    fn answer(&mut self, exchange: &Exchange, fault: u8) -> Result<Answer, ClientError> {
        self.calls += 1;
        if fault == 1 {
            return Err(ClientError::ConnectionLost { node: NodeId(1) });
        }
        match &exchange.call {
            Call::Metadata(_) => Ok(metadata(PARTITIONS)),
            Call::ListOffsets(request) => Ok(self.offsets(exchange.target, request, fault)),
            Call::Fetch(request) => Ok(self.fetch(exchange.target, request, fault)),
            other => panic!("{other:?}"),
        }
    }

    fn log(&self, target: Target, partition: PartitionIndex) -> &Log {
        assert_eq!(target, Target::Node(leader(partition)));
        &self.logs[usize::try_from(partition.get()).unwrap()]
    }

    fn offsets(&self, target: Target, request: &ListOffsetsRequest, fault: u8) -> Answer {
        let answer = |partition_index, timestamp: Timestamp| {
            let log = self.log(target, partition_index);
            let offset = match timestamp.0 {
                -1 => log.end,
                -2 => log.start,
                // Timestamps are the base offsets of batches.
                ms => log
                    .batches
                    .iter()
                    .map(|(end, _)| *end)
                    .find(|end| *end > ms)
                    .map_or(-1, |_| ms),
            };
            ListOffsetsPartitionResponse {
                partition_index,
                error_code: if fault == 2 {
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                } else {
                    ErrorCode::NONE
                },
                offset: Offset::new(offset),
                ..ListOffsetsPartitionResponse::default()
            }
        };
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        Answer::ListOffsets(ListOffsetsResponse {
            topics: vec![ListOffsetsTopicResponse {
                partitions: partitions
                    .map(|p| answer(p.partition_index, p.timestamp))
                    .collect(),
                ..ListOffsetsTopicResponse::default()
            }],
            ..ListOffsetsResponse::default()
        })
    }

    fn fetch(&mut self, target: Target, request: &FetchRequest, fault: u8) -> Answer {
        if let Some(count) = self.later.pop() {
            let log = count % 3;
            self.logs[log].append(count, false, Compression::None);
        }
        let mut partitions = Vec::new();
        for wanted in request.topics.iter().flat_map(|topic| &topic.partitions) {
            let log = self.log(target, wanted.partition);
            let offset = wanted.fetch_offset.get();
            let in_range = offset >= log.start && offset <= log.end;
            let mut bytes: Vec<u8> = log
                .batches
                .iter()
                .filter(|(end, _)| *end > offset)
                .take(2)
                .flat_map(|(_, bytes)| bytes.to_vec())
                .collect();
            let first = log
                .batches
                .iter()
                .find(|(end, _)| *end > offset)
                .map_or(0, |(_, b)| b.len());
            if fault == 4 && bytes.len() > first {
                // Cut inside the last batch, as a size limit does.
                bytes.pop();
            }
            partitions.push(PartitionData {
                partition_index: wanted.partition,
                error_code: match fault {
                    2 => ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    _ if !in_range => ErrorCode::OFFSET_OUT_OF_RANGE,
                    _ => ErrorCode::NONE,
                },
                records: (fault != 2).then(|| Records::from(Bytes::from(bytes))),
                ..PartitionData::default()
            });
        }
        Answer::Fetch(FetchResponse {
            error_code: if fault == 3 {
                ErrorCode::UNKNOWN_SERVER_ERROR
            } else {
                ErrorCode::NONE
            },
            responses: vec![FetchableTopicResponse {
                partitions,
                ..FetchableTopicResponse::default()
            }],
            ..FetchResponse::default()
        })
    }
}

fn read(
    broker: &mut Broker,
    options: ConsumerOptions,
    partitions: Option<Vec<PartitionIndex>>,
    mut faults: Vec<u8>,
) -> Result<BTreeMap<i32, Vec<(i64, String)>>, ClientError> {
    let mut consumer = Consumer::new(TOPIC.into(), partitions, options);
    let mut now = Moment(0);
    let mut found: BTreeMap<i32, Vec<(i64, String)>> = BTreeMap::new();
    for _ in 0..10_000 {
        match consumer.poll(now) {
            Step::Send(exchange) => {
                let answer = broker.answer(&exchange, faults.pop().unwrap_or(0));
                consumer.on_answer(now, exchange.token, answer);
            }
            Step::Wait(moment) => now = now.max(moment),
            Step::Idle => {
                if let Some(error) = consumer.failure() {
                    return Err(error.clone());
                }
                assert!(consumer.is_done());
                return Ok(found);
            }
        }
        while let Some(record) = consumer.next_record() {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            found
                .entry(record.partition.get())
                .or_default()
                .push((record.offset.get(), value));
        }
    }
    panic!("never done");
}

fn to_end(start: Start) -> ConsumerOptions {
    ConsumerOptions {
        start,
        stops_at_end: true,
        retry_timeout: Duration::from_hours(1),
        ..ConsumerOptions::default()
    }
}

fn broker(shapes: &[(u8, u8, bool)]) -> Broker {
    let mut logs: Vec<Log> = (0..PARTITIONS).map(|_| Log::default()).collect();
    for (partition, count, is_control) in shapes {
        let compression = Compression::ALL[usize::from(*count) % 5];
        logs[usize::from(*partition) % 3].append(usize::from(*count), *is_control, compression);
    }
    Broker {
        logs,
        later: Vec::new(),
        calls: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_record_from_the_start_to_the_end_comes_once_and_in_order(
        shapes in proptest::collection::vec((0_u8..3, 1_u8..9, any::<bool>()), 0..20),
        later in proptest::collection::vec(1_usize..5, 0..5),
        faults in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(2), Just(4)], 0..30),
        start in prop_oneof![
            Just(Start::Earliest),
            Just(Start::Latest),
            (0_i64..20).prop_map(Start::BeforeEnd),
            (0_i64..40).prop_map(|ms| Start::Timestamp(Timestamp(ms))),
        ],
    ) {
        let mut broker = broker(&shapes);
        let expected: BTreeMap<i32, Vec<(i64, String)>> = (0..PARTITIONS).map(|partition| {
            let log = &broker.logs[usize::try_from(partition).unwrap()];
            let first = match start {
                Start::BeforeEnd(count) => log.end - count,
                Start::Timestamp(ms) => ms.0,
                Start::Latest => log.end,
                _ => 0,
            };
            let values = log.values.range(first..).map(|(o, v)| (*o, v.clone())).collect::<Vec<_>>();
            (partition, values)
        }).filter(|(_, values)| !values.is_empty()).collect();
        // What is appended while reading lies behind the end.
        broker.later = later;
        let mut found = read(&mut broker, to_end(start), None, faults).unwrap();
        found.retain(|_, values| !values.is_empty());
        if matches!(start, Start::Timestamp(_)) {
            // The end is taken before the start is looked up, and a time behind the end waits there.
            for (partition, values) in &expected {
                prop_assert_eq!(found.get(partition), Some(values));
            }
        } else {
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn only_the_partitions_asked_for_are_read() {
    let mut broker = broker(&[(0, 2, false), (1, 3, false), (2, 4, false)]);
    let one = Some(vec![PartitionIndex::new(1)]);
    let found = read(&mut broker, to_end(Start::Earliest), one, Vec::new()).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(found[&1].len(), 3);
    let absent = Some(vec![PartitionIndex::new(3)]);
    let result = read(&mut broker, to_end(Start::Earliest), absent, Vec::new());
    assert!(matches!(
        result,
        Err(ClientError::NoSuchPartition { count: 3, .. })
    ));
}

#[test]
fn reading_begins_inside_a_batch_at_the_very_offset() {
    let mut broker = broker(&[(0, 8, false)]);
    let start = to_end(Start::Offset(Offset::new(5)));
    let zero = Some(vec![PartitionIndex::ZERO]);
    let found = read(&mut broker, start, zero, Vec::new()).unwrap();
    let offsets: Vec<i64> = found[&0].iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [5, 6, 7]);
}

#[test]
fn an_offset_out_of_range_and_other_refusals_fail_it() {
    let mut logs = broker(&[(0, 8, false)]);
    logs.logs[0].start = 4;
    let zero = || Some(vec![PartitionIndex::ZERO]);
    let mut options = to_end(Start::Offset(Offset::new(2)));
    let result = read(&mut logs, options, zero(), Vec::new());
    assert!(
        matches!(result, Err(ClientError::OffsetOutOfRange { .. })),
        "{result:?}"
    );
    options.start = Start::Earliest;
    // Metadata, the end, the start, then the fetch that fails for good.
    let result = read(&mut logs, options, zero(), vec![3, 0, 0, 0]);
    assert_eq!(
        result.unwrap_err().code(),
        Some(ErrorCode::UNKNOWN_SERVER_ERROR)
    );
}

#[test]
fn a_broker_that_stays_away_is_given_up_with_the_last_error() {
    let mut broker = broker(&[]);
    let options = ConsumerOptions {
        retry_timeout: Duration::from_secs(3),
        ..to_end(Start::Earliest)
    };
    let result = read(&mut broker, options, None, vec![1; 1000]);
    let Err(ClientError::TimedOut { last: Some(last) }) = result else {
        panic!("{result:?}");
    };
    assert!(matches!(*last, ClientError::ConnectionLost { .. }));
}

#[test]
fn a_partition_that_keeps_refusing_is_given_up_without_hammering() {
    let mut broker = broker(&[(0, 4, false)]);
    let options = ConsumerOptions {
        retry_timeout: Duration::from_secs(3),
        ..to_end(Start::Earliest)
    };
    // Metadata is always answered; whatever else is asked is refused.
    let faults = [2_u8, 0].repeat(1000);
    let result = read(&mut broker, options, None, faults);
    assert_eq!(
        result.unwrap_err().code(),
        Some(ErrorCode::NOT_LEADER_OR_FOLLOWER)
    );
    assert!(broker.calls < 40, "{}", broker.calls);
}

#[test]
fn a_partition_without_a_leader_is_waited_for_and_given_up() {
    let mut consumer = Consumer::new(
        TOPIC.into(),
        None,
        ConsumerOptions {
            retry_timeout: Duration::from_secs(3),
            ..to_end(Start::Earliest)
        },
    );
    let mut now = Moment(0);
    let mut calls = 0;
    loop {
        match consumer.poll(now) {
            Step::Send(exchange) => {
                let Answer::Metadata(mut response) = metadata(PARTITIONS) else {
                    panic!();
                };
                response.topics[0].partitions[1].leader_id = NodeId::NONE;
                consumer.on_answer(now, exchange.token, Ok(Answer::Metadata(response)));
                calls += 1;
            }
            Step::Wait(moment) => now = now.max(moment),
            Step::Idle => break,
        }
    }
    let code = consumer.failure().unwrap().code();
    assert_eq!(code, Some(ErrorCode::LEADER_NOT_AVAILABLE));
    assert!(calls < 40, "{calls}");
}

#[test]
fn damaged_records_are_an_error_and_not_a_gap() {
    let mut logs = broker(&[(0, 4, false)]);
    let mut bytes = logs.logs[0].batches[0].1.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    logs.logs[0].batches[0].1 = bytes.into();
    let zero = Some(vec![PartitionIndex::ZERO]);
    let result = read(&mut logs, to_end(Start::Earliest), zero, Vec::new());
    assert!(
        matches!(result, Err(ClientError::Batch { .. })),
        "{result:?}"
    );
}
