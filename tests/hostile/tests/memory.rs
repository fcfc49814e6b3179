//! Whatever clients send, the broker keeps to `queued.max.request.bytes` and 64 MiB, serves honest
//! clients meanwhile, and has their descriptors back afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "test code: a failure is the report"
)]

use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::{ErrorCode, Offset, PartitionIndex, Timestamp, TopicId};
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use net_protocol::metadata::MetadataRequest;
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use net_protocol::{Records, request_frame};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tests_hostile::{Broker, Honest, Wire, create_topic};

const MIB: u64 = 1 << 20;
const BUDGET: u64 = 128 * MIB;
/// What the process may have beside its budget.
const BESIDE: u64 = 64 * MIB;
/// How long an attack goes on once it holds what it can.
const HOLD: Duration = Duration::from_secs(1);
/// How long the broker may take to notice that its clients have gone.
const GONE: Duration = Duration::from_secs(20);

/// Runs `attack` beside an honest client; what it returns is held for a while, then dropped.
fn survive<T>(name: &str, attack: impl FnOnce(SocketAddr) -> T) {
    engine_rt::process::raise_descriptor_limit(1 << 16);
    let mut broker = Broker::start(2, BUDGET);
    let honest = Honest::start(broker.address());
    let sockets = broker.sockets();
    let held = attack(broker.address());
    std::thread::sleep(HOLD);
    let most = broker.resident_bytes_max();
    drop(held);
    let (count, longest) = honest.finish();
    println!(
        "{name}: at most {} MiB, {count} honest records, the longest took {longest:.0?}",
        most / MIB
    );
    assert!(broker.is_running(), "the broker ended");
    assert_eq!(broker.complaints(), [""; 0]);
    assert!(most <= BUDGET + BESIDE, "{} MiB", most / MIB);
    let deadline = Instant::now() + GONE;
    while broker.sockets() > sockets {
        assert!(Instant::now() < deadline, "{} sockets", broker.sockets());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count)
        .filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(10)).ok())
        .inspect(|stream| stream.set_nonblocking(true).unwrap())
        .collect()
}

/// Writes as much of `bytes` to each as it takes, for a while; nobody reads an answer.
fn pour(streams: &mut [TcpStream], bytes: &[u8], time: Duration) {
    let mut sent = vec![0_usize; streams.len()];
    let end = Instant::now() + time;
    while Instant::now() < end {
        let mut is_moving = false;
        for (stream, sent) in streams.iter_mut().zip(&mut sent) {
            if let Ok(count) = stream.write(&bytes[*sent..]) {
                *sent += count;
                is_moving |= count > 0;
            }
        }
        if !is_moving {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn idle_connections() {
    survive("2000 idle connections", |address| connect(address, 2000));
}

/// Accepts that fail for want of descriptors neither spin nor flood the log, and go on later.
#[test]
fn more_connections_than_descriptors() {
    let mut broker = Broker::start_within(2, BUDGET, Some(120));
    let before = broker.sockets();
    let streams = connect(broker.address(), 300);
    std::thread::sleep(2 * HOLD);
    assert!(broker.sockets() < 120 && broker.sockets() > before);
    let told = broker.said_count("accepting connections fails");
    assert!((1..10).contains(&told), "told {told} times");
    drop(streams);
    let (count, _) = {
        let honest = Honest::start(broker.address());
        std::thread::sleep(HOLD);
        honest.finish()
    };
    assert!(count > 0 && broker.is_running());
}

#[test]
fn connections_opened_and_killed() {
    survive("4000 connections opened and killed", |address| {
        for round in 0..20_usize {
            let mut streams = connect(address, 200);
            for (place, stream) in streams.iter_mut().enumerate() {
                // Nothing, a part of a length, a part of a frame, a long poll, requests whose
                // answers wait in the socket: closing it then is a reset.
                let bytes: &[u8] = match (place + round) % 5 {
                    0 => &[],
                    1 => &[0, 0],
                    2 => &[0, 0, 1, 0, 0, 3, 0, 1, 7],
                    3 => &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
                    _ => &[
                        0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                    ],
                };
                let _ = stream.write(bytes);
            }
            if round % 2 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

#[test]
fn promises_that_are_not_kept() {
    survive("932 promises of 512 KiB, half kept", |address| {
        let mut streams = connect(address, 932);
        let mut bytes = (512_u32 << 10).to_be_bytes().to_vec();
        bytes.resize(256 << 10, 0);
        pour(&mut streams, &bytes, Duration::from_secs(3));
        streams
    });
}

#[test]
fn large_promises_with_nothing_behind_them() {
    survive("1500 promises of 100 MiB", |address| {
        let mut streams = connect(address, 1500);
        let mut bytes = (100_u32 << 20).to_be_bytes().to_vec();
        bytes.resize(5000, 0);
        pour(&mut streams, &bytes, Duration::from_secs(1));
        streams
    });
}

#[test]
fn answers_that_nobody_reads() {
    survive("300 connections that ask and never read", |address| {
        // Auto-created by nobody: an answer of a few hundred bytes each.
        let request = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let frame = request_frame(12, 1, None, &request).unwrap().concat();
        let mut streams = connect(address, 300);
        pour(&mut streams, &frame.repeat(40_000), Duration::from_secs(4));
        streams
    });
}

/// A frame around a body, with a header of the first flexible version or the one before.
fn frame(api: i16, version: i16, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&api.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
    if flexible {
        bytes.push(0);
    }
    bytes.extend_from_slice(body);
    let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&bytes);
    frame
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// An array of `count` elements of these bytes, compact.
fn array(count: usize, element: &[u8]) -> Vec<u8> {
    [varint(count + 1), element.repeat(count)].concat()
}

#[test]
fn arrays_of_the_smallest_elements() {
    survive("arrays of many elements", |address| {
        let count = 60_000;
        let names = array(count, &[2, b'x', 0]);
        // Metadata 9: names, and three flags. Metadata 0: names, not compact.
        let metadata = frame(3, 9, true, &[&names[..], &[0, 0, 0, 0]].concat());
        let old = [
            &u32::try_from(count).unwrap().to_be_bytes()[..],
            &[0, 1, b'y'].repeat(count),
        ];
        let metadata_0 = frame(3, 0, false, &old.concat());
        // DescribeTopicPartitions 0: names, a limit, no cursor.
        let limit = [0x7f, 0xff, 0xff, 0xff, 0xff, 0];
        let describe = frame(75, 0, true, &[&names[..], &limit].concat());
        // FindCoordinator 4: a type, keys.
        let keys = array(count, &[2, b'g']);
        let find = frame(10, 4, true, &[&[0][..], &keys, &[0]].concat());
        // DeleteTopics 5: names, a time.
        let delete = frame(
            20,
            5,
            true,
            &[&array(count, &[2, b'z'])[..], &[0, 0, 1, 0, 0]].concat(),
        );
        // ListOffsets 6, one topic: partitions of one topic, all the same.
        let partition = [
            0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0,
        ];
        let topic = [&[2, 2, b't'][..], &array(count, &partition), &[0]].concat();
        let offsets = frame(
            2,
            6,
            true,
            &[&[0xff, 0xff, 0xff, 0xff, 0][..], &topic, &[0]].concat(),
        );
        let mut streams = Vec::new();
        for bytes in [metadata, metadata_0, describe, find, delete, offsets] {
            let mut some = connect(address, 12);
            pour(&mut some, &bytes.repeat(3), Duration::from_millis(1500));
            streams.append(&mut some);
        }
        streams
    });
}

fn batch(compression: Compression, values: usize, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        bytes_max: 256 << 20,
        ..BatchOptions::default()
    });
    for _ in 0..values {
        let record = RecordData {
            timestamp: Timestamp(1_700_000_000_000),
            value: Some(value),
            ..RecordData::default()
        };
        assert!(builder.append(&record).unwrap());
    }
    builder.build().unwrap()
}

fn produce(id: TopicId, batches: &[Bytes]) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: batches
            .iter()
            .map(|batch| TopicProduceData {
                topic_id: id,
                partition_data: vec![PartitionProduceData {
                    index: PartitionIndex::ZERO,
                    records: Some(Records::from(batch.clone())),
                }],
                ..TopicProduceData::default()
            })
            .collect(),
        ..ProduceRequest::default()
    }
}

#[test]
fn large_fetches_that_nobody_reads() {
    survive("150 fetches of 24 MiB that nobody reads", |address| {
        let id = create_topic(address, "large", &[]);
        let mut wire = Wire::connect(address).unwrap();
        let noise: Vec<u8> = (0..1_000_000_u32)
            .map(|n| n.wrapping_mul(n).to_be_bytes()[1])
            .collect();
        for _ in 0..24 {
            let answer = wire
                .call(13, &produce(id, &[batch(Compression::None, 1, &noise)]))
                .unwrap();
            assert_eq!(
                answer.responses[0].partition_responses[0].error_code,
                ErrorCode::NONE
            );
        }
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: i32::MAX,
            max_bytes: i32::MAX,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic_id: id,
                partitions: vec![FetchPartition {
                    partition: PartitionIndex::ZERO,
                    fetch_offset: Offset::ZERO,
                    partition_max_bytes: i32::MAX,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let frame = request_frame(13, 1, None, &request).unwrap().concat();
        let mut streams = connect(address, 150);
        pour(&mut streams, &frame.repeat(3), Duration::from_secs(4));
        // Some read a little.
        let mut room = vec![0; 100_000];
        for stream in streams.iter_mut().step_by(3) {
            let _ = stream.read(&mut room);
        }
        streams
    });
}

#[test]
fn decompression_bombs() {
    survive("bombs in all codecs", |address| {
        let recompressed = create_topic(address, "lz4", &[("compression.type", "lz4")]);
        let as_it_is = create_topic(address, "plain", &[]);
        let zeros = vec![0; 10 << 20];
        let mut codecs = 0;
        let mut wire = Wire::connect(address).unwrap();
        for compression in [
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            // Snappy leaves a twentieth: the largest bomb that a topic takes is a small one.
            let values = if compression == Compression::Snappy {
                1
            } else {
                6
            };
            let bomb = batch(compression, values, &zeros);
            assert!(bomb.len() < 1 << 20, "{compression:?}: {}", bomb.len());
            codecs += 1;
            // Many in one request, over and over.
            let bombs = vec![bomb.clone(); (4 << 20) / bomb.len()];
            for _ in 0..2 {
                for id in [recompressed, as_it_is] {
                    let answer = wire.call(13, &produce(id, &bombs)).unwrap();
                    assert_eq!(answer.responses.len(), bombs.len());
                }
            }
        }
        assert_eq!(codecs, 4);
        // What was taken unopened is looked for by time.
        for timestamp in [-3, 0, 1_700_000_000_001] {
            let request = ListOffsetsRequest {
                topics: vec![ListOffsetsTopic {
                    name: "plain".into(),
                    partitions: vec![ListOffsetsPartition {
                        partition_index: PartitionIndex::ZERO,
                        timestamp: Timestamp(timestamp),
                        ..ListOffsetsPartition::default()
                    }],
                }],
                ..ListOffsetsRequest::default()
            };
            wire.call(7, &request).unwrap();
        }
    });
}
