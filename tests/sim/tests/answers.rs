//! What Produce, InitProducerId, Fetch and ListOffsets answer to what is wrong, and to what is right
//! in each of their versions. Codes are Kafka 4.3.1's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use bytes::Bytes;
use core::time::Duration;
use engine_codec::{BatchOptions, Compression};
use engine_model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerId, Timestamp};
use net_protocol::Records;
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use std::collections::BTreeSet;
use tests_sim::records::{self, Topic};
use tests_sim::{Client, World, topics};

#[test]
fn a_produce_that_is_wrong_gets_kafkas_code_and_the_connection_stays() {
    let mut world = World::new(1, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 2, &[("max.message.bytes", "2000")]).await;
        let good = records::batch(&["a"]);
        let change = |place: usize, value: u8| {
            let mut bytes = good.to_vec();
            bytes[place] = value;
            Bytes::from(bytes)
        };
        let two = [good.clone(), good.clone()].concat();
        let zstd = BatchOptions {
            compression: Compression::Zstd,
            ..BatchOptions::default()
        };
        let transactional = BatchOptions {
            producer_id: ProducerId(5),
            producer_epoch: engine_model::ProducerEpoch::ZERO,
            base_sequence: engine_model::Sequence::ZERO,
            is_transactional: true,
            ..BatchOptions::default()
        };
        let cases: Vec<(&str, i16, i16, i32, Bytes, ErrorCode)> = vec![
            ("good", 9, -1, 0, good.clone(), ErrorCode::NONE),
            (
                "acks 2",
                9,
                2,
                0,
                good.clone(),
                ErrorCode::INVALID_REQUIRED_ACKS,
            ),
            (
                "acks -2",
                9,
                -2,
                0,
                good.clone(),
                ErrorCode::INVALID_REQUIRED_ACKS,
            ),
            (
                "no such partition",
                9,
                -1,
                2,
                good.clone(),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ),
            (
                "partition -1",
                13,
                -1,
                -1,
                good.clone(),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ),
            ("empty", 9, -1, 0, Bytes::new(), ErrorCode::INVALID_RECORD),
            (
                "cut",
                9,
                -1,
                0,
                good.slice(..good.len() - 1),
                ErrorCode::INVALID_RECORD,
            ),
            (
                "two batches",
                9,
                -1,
                0,
                two.into(),
                ErrorCode::INVALID_RECORD,
            ),
            (
                "magic 1",
                9,
                -1,
                0,
                change(16, 1),
                ErrorCode::INVALID_RECORD,
            ),
            (
                "magic 3",
                9,
                -1,
                0,
                change(16, 3),
                ErrorCode::CORRUPT_MESSAGE,
            ),
            ("crc", 9, -1, 0, change(17, 0), ErrorCode::CORRUPT_MESSAGE),
            (
                "a byte of a record",
                9,
                -1,
                1,
                change(good.len() - 2, 0),
                ErrorCode::CORRUPT_MESSAGE,
            ),
            (
                "large",
                9,
                -1,
                0,
                records::batch(&["x".repeat(3000)]),
                ErrorCode::MESSAGE_TOO_LARGE,
            ),
            (
                "zstd too early",
                6,
                -1,
                0,
                records::batch_with(zstd, &["a"]),
                ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            ),
            (
                "zstd",
                7,
                -1,
                0,
                records::batch_with(zstd, &["a"]),
                ErrorCode::NONE,
            ),
            (
                "transactional",
                9,
                -1,
                0,
                records::batch_with(transactional, &["a"]),
                ErrorCode::INVALID_TXN_STATE,
            ),
        ];
        for (what, version, acks, partition, batch, expected) in cases {
            let part = records::append(&mut client, version, acks, &topic, partition, batch).await;
            assert_eq!(part.error_code, expected, "{what}: {part:?}");
            assert_eq!(part.index.get(), partition, "{what}");
            assert_eq!(
                part.base_offset == Offset::NONE,
                expected.is_error(),
                "{what}"
            );
        }
        let part = records::append(&mut client, 9, -1, &Topic::unknown(), 0, good.clone()).await;
        assert_eq!(part.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let part = records::append(&mut client, 13, -1, &Topic::unknown(), 0, good.clone()).await;
        assert_eq!(part.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
        // Null records are as none.
        let mut request = records::produce(-1, &topic, &[(0, good.clone())]);
        request.topic_data[0].partition_data[0].records = None;
        let answer = client.call(9, &request).await.unwrap();
        let part = &answer.responses[0].partition_responses[0];
        assert_eq!(part.error_code, ErrorCode::INVALID_RECORD);
        // One partition's error leaves the others alone.
        let mut request = records::produce(-1, &topic, &[(0, good.clone()), (1, good)]);
        request.topic_data[0].partition_data[0].records =
            Some(Records::from(Bytes::from_static(b"?")));
        let answer = client.call(9, &request).await.unwrap();
        let codes: Vec<_> = answer.responses[0]
            .partition_responses
            .iter()
            .map(|part| part.error_code)
            .collect();
        assert_eq!(codes, [ErrorCode::INVALID_RECORD, ErrorCode::NONE]);
    });
    world.stop();
}

#[test]
fn an_idempotent_producer_is_answered_as_kafka_does() {
    let mut world = World::new(2, 3);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        let mut ids = BTreeSet::new();
        for version in 0..=5 {
            let request = InitProducerIdRequest {
                transactional_id: None,
                ..InitProducerIdRequest::default()
            };
            let answer = client.call(version, &request).await.unwrap();
            assert_eq!(answer.error_code, ErrorCode::NONE);
            assert_eq!(answer.producer_epoch.get(), 0);
            assert!(ids.insert(answer.producer_id), "an id is given once");
        }
        let producer = *ids.first().unwrap();
        for (sequence, expected, offset) in [
            (0, ErrorCode::NONE, 0),
            (1, ErrorCode::NONE, 1),
            (1, ErrorCode::NONE, 1),
            (0, ErrorCode::NONE, 0),
            (5, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1),
            (2, ErrorCode::NONE, 2),
        ] {
            let batch = records::sequenced(producer, sequence, &["a"]);
            let part = records::append(&mut client, 9, -1, &topic, 0, batch).await;
            assert_eq!(
                (part.error_code, part.base_offset.get()),
                (expected, offset)
            );
        }
        let request = InitProducerIdRequest {
            transactional_id: Some("t".into()),
            transaction_timeout_ms: 1000,
            ..InitProducerIdRequest::default()
        };
        let answer = client.call(4, &request).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
    });
    world.stop();
}

#[test]
fn a_fetch_that_is_wrong_gets_kafkas_code() {
    let mut world = World::new(3, 2);
    world.up();
    let topic = world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 2, &[]).await;
        records::append(&mut client, 9, -1, &topic, 0, records::batch(&["a", "b"])).await;
        topic
    });
    // A start of leadership raises the epoch, so there is an old one to be fenced.
    world.stop();
    world.up();
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        let found = topics::describe(&mut client, "t", false).await;
        let epoch = found.partitions[0].leader_epoch.get();
        assert!(epoch > 0);
        for (what, version, partition, offset, known, expected) in [
            ("all", 12, 0, 0, -1, ErrorCode::NONE),
            ("the end", 12, 0, 2, -1, ErrorCode::NONE),
            ("the epoch", 12, 0, 0, epoch, ErrorCode::NONE),
            ("past the end", 12, 0, 3, -1, ErrorCode::OFFSET_OUT_OF_RANGE),
            ("negative", 4, 0, -1, -1, ErrorCode::OFFSET_OUT_OF_RANGE),
            (
                "no partition",
                13,
                2,
                0,
                -1,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ),
            (
                "an old epoch",
                12,
                0,
                0,
                epoch - 1,
                ErrorCode::FENCED_LEADER_EPOCH,
            ),
            (
                "a new epoch",
                12,
                0,
                0,
                epoch + 1,
                ErrorCode::UNKNOWN_LEADER_EPOCH,
            ),
        ] {
            let mut request = records::fetch(&topic, 0, 1, &[(partition, offset)]);
            request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch::new(known);
            let answer = client.call(version, &request).await.unwrap();
            assert_eq!(answer.session_id, 0);
            let data = &answer.responses[0].partitions[0];
            assert_eq!(data.error_code, expected, "{what}");
            let high_watermark = if expected.is_error() { -1 } else { 2 };
            assert_eq!(data.high_watermark.get(), high_watermark, "{what}");
        }
        for (version, expected) in [
            (12, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            (13, ErrorCode::UNKNOWN_TOPIC_ID),
        ] {
            let request = records::fetch(&Topic::unknown(), 0, 1, &[(0, 0)]);
            let answer = client.call(version, &request).await.unwrap();
            assert_eq!(answer.responses[0].partitions[0].error_code, expected);
        }
        // Who refers to a session that is not there is told to begin anew.
        for (session_id, session_epoch, expected) in [
            (0, -1, ErrorCode::NONE),
            (0, 0, ErrorCode::NONE),
            (7, -1, ErrorCode::NONE),
            (7, 1, ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
            (0, 1, ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
        ] {
            let mut request = records::fetch(&topic, 0, 1, &[(0, 0)]);
            request.session_id = session_id;
            request.session_epoch = session_epoch;
            let answer = client.call(12, &request).await.unwrap();
            assert_eq!(answer.error_code, expected, "{session_id} {session_epoch}");
            let begins = session_epoch == 0;
            assert_eq!(
                answer.session_id != 0,
                begins,
                "{session_id} {session_epoch}"
            );
        }
    });
    world.stop();
}

#[test]
fn a_reader_whose_log_is_longer_learns_where_to_cut_it() {
    let mut world = World::new(19, 2);
    world.up();
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        let part = records::append(&mut client, 9, -1, &topic, 0, records::batch(&["x"])).await;
        assert_eq!(part.error_code, ErrorCode::NONE);
        for (offset, last, code, diverging) in [
            (99, 0, 0, (0, 1)),
            (1, 0, 0, (-1, -1)),
            (0, 7, 1, (-1, -1)),
            (99, -1, 1, (-1, -1)),
        ] {
            let mut request = records::fetch(&topic, 5_000, 1, &[(0, offset)]);
            request.max_wait_ms = if offset == 1 { 0 } else { 5_000 };
            let partition = &mut request.topics[0].partitions[0];
            partition.last_fetched_epoch = LeaderEpoch::new(last);
            let begun = engine_rt::now();
            let answer = client.call(13, &request).await.unwrap();
            assert!(engine_rt::now().saturating_since(begun) < Duration::from_millis(500));
            let data = &answer.responses[0].partitions[0];
            let found = &data.diverging_epoch;
            let found = (found.epoch.get(), found.end_offset.get());
            assert_eq!(
                (data.error_code.0, found),
                (code, diverging),
                "{offset} {last}"
            );
            assert_eq!(
                data.high_watermark,
                Offset::new(if code == 0 { 1 } else { -1 })
            );
        }
    });
    world.stop();
}

#[test]
fn a_batch_larger_than_every_limit_is_fetched_alone() {
    let mut world = World::new(4, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 4, &[]).await;
        for partition in 0..4 {
            let batch = records::batch(&["x".repeat(10_000)]);
            records::append(&mut client, 9, -1, &topic, partition, batch).await;
        }
        for (bytes_max, partition_bytes_max, expected) in [
            (1, 1, 1),
            (0, 0, 1),
            (50 << 20, 1, 1),
            (50 << 20, 1 << 20, 4),
            (25_000, 1 << 20, 2),
        ] {
            let offsets = [(0, 0), (1, 0), (2, 0), (3, 0)];
            let mut request = records::fetch(&topic, 0, 1, &offsets);
            request.max_bytes = bytes_max;
            for wanted in &mut request.topics[0].partitions {
                wanted.partition_max_bytes = partition_bytes_max;
            }
            let answer = client.call(12, &request).await.unwrap();
            let count: usize = answer.responses[0]
                .partitions
                .iter()
                .map(|data| records::read(data.records.clone()).len())
                .sum();
            // Two shards answer at the same time, each at least one batch: what is above the
            // limit together is left out again, so never more than asked for, never nothing.
            assert!(count >= 1, "{bytes_max} {partition_bytes_max}");
            if partition_bytes_max > 1 {
                assert_eq!(count, expected, "{bytes_max} {partition_bytes_max}");
            }
        }
    });
    world.stop();
}

#[test]
fn offsets_are_found_by_time_and_by_name_of_the_end() {
    let mut world = World::new(5, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 2, &[]).await;
        // All records of this client carry the same time.
        let time = 1_799_999_000_000;
        records::append(
            &mut client,
            9,
            -1,
            &topic,
            0,
            records::batch(&["a", "b", "c"]),
        )
        .await;
        let ask = |timestamp: i64, partition: i32| ListOffsetsRequest {
            replica_id: NodeId::NONE,
            topics: vec![ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: PartitionIndex::new(partition),
                    timestamp: Timestamp(timestamp),
                    ..ListOffsetsPartition::default()
                }],
            }],
            ..ListOffsetsRequest::default()
        };
        for version in 1..=11 {
            for (timestamp, partition, from, expected) in [
                (-2, 0, 1, (0, -1)),
                (-1, 0, 1, (3, -1)),
                (0, 0, 1, (0, time)),
                (time, 0, 1, (0, time)),
                (time + 1, 0, 1, (-1, -1)),
                (-3, 0, 7, (0, time)),
                (-4, 0, 8, (0, -1)),
                (-5, 0, 9, (-1, -1)),
                (-6, 0, 11, (-1, -1)),
                (-1, 1, 1, (0, -1)),
                (0, 1, 1, (-1, -1)),
                (-3, 1, 7, (-1, -1)),
            ] {
                let answer = client
                    .call(version, &ask(timestamp, partition))
                    .await
                    .unwrap();
                let part = &answer.topics[0].partitions[0];
                let context = format!("{timestamp} of {partition} in version {version}");
                if version < from {
                    assert_eq!(part.error_code, ErrorCode::UNSUPPORTED_VERSION, "{context}");
                    continue;
                }
                assert_eq!(part.error_code, ErrorCode::NONE, "{context}");
                assert_eq!((part.offset.get(), part.timestamp.0), expected, "{context}");
            }
            // Named twice: answered once. As Kafka 4.3.1 does, asked.
            let mut twice = ask(-1, 0);
            let mut again = ask(-2, 0).topics.remove(0).partitions;
            twice.topics[0].partitions.append(&mut again);
            let answer = client.call(version, &twice).await.unwrap();
            let codes: Vec<ErrorCode> = answer.topics[0]
                .partitions
                .iter()
                .map(|part| part.error_code)
                .collect();
            assert_eq!(codes, [ErrorCode::INVALID_REQUEST]);
            // A wrong epoch is told whatever is asked for, a tier that is not there included.
            for (timestamp, from) in [
                (-1, 4),
                (-2, 4),
                (0, 4),
                (-3, 7),
                (-4, 8),
                (-5, 9),
                (-6, 11),
            ] {
                if version < from {
                    continue;
                }
                let mut request = ask(timestamp, 0);
                request.topics[0].partitions[0].current_leader_epoch = LeaderEpoch::new(9);
                let answer = client.call(version, &request).await.unwrap();
                let code = answer.topics[0].partitions[0].error_code;
                assert_eq!(code, ErrorCode::UNKNOWN_LEADER_EPOCH, "{timestamp}");
            }
            let answer = client.call(version, &ask(-7, 0)).await.unwrap();
            let part = &answer.topics[0].partitions[0];
            assert_eq!(part.error_code, ErrorCode::UNSUPPORTED_VERSION);
            let answer = client.call(version, &ask(-1, 5)).await.unwrap();
            let part = &answer.topics[0].partitions[0];
            assert_eq!(part.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
    });
    world.stop();
}
