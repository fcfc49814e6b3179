//! Batches and names that are wrong in every way a client can think of: each gets the protocol's
//! error, and nothing of it stays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use bytes::Bytes;
use core::time::Duration;
use engine_codec::crc::crc32c;
use engine_codec::{BatchOptions, Compression};
use engine_model::{ErrorCode, Offset, ProducerId, TopicId};
use engine_rt::Stream;
use net_protocol::fetch::FetchRequest;
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use net_protocol::metadata::{MetadataRequest, MetadataRequestTopic};
use tests_sim::records::{self, Topic};
use tests_sim::{Client, World, topics};

/// The batch with these bytes at this place, under a checksum that is right.
fn with(batch: &[u8], at: usize, bytes: &[u8]) -> Bytes {
    let mut changed = batch.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&changed[21..]);
    changed[17..21].copy_from_slice(&crc.to_be_bytes());
    changed.into()
}

/// An error keeps the connection: there is an answer whatever the batch is.
async fn produce(client: &mut Client, topic: &Topic, batch: Bytes) -> ErrorCode {
    let part = records::append(client, 13, -1, topic, 0, batch).await;
    part.error_code
}

#[test]
fn fields_of_a_batch_that_cannot_be_are_refused_and_leave_nothing() {
    const INVALID: ErrorCode = ErrorCode::INVALID_RECORD;
    const CORRUPT: ErrorCode = ErrorCode::CORRUPT_MESSAGE;
    let mut world = World::new(1, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        let plain = records::batch(&["a", "b"]);
        let sequenced = records::sequenced(ProducerId(9), 0, &["a", "b"]);
        let mut cases: Vec<(String, Bytes, &[ErrorCode])> = Vec::new();
        for length in [-1, 0, 1, i32::MIN, i32::MAX, 48, 49] {
            let bytes = with(&plain, 8, &i32::to_be_bytes(length));
            cases.push((format!("length {length}"), bytes, &[INVALID, CORRUPT]));
        }
        for off in [-1, 1] {
            let length = i32::try_from(plain.len()).unwrap() - 12 + off;
            let bytes = with(&plain, 8, &length.to_be_bytes());
            cases.push((format!("length off by {off}"), bytes, &[INVALID, CORRUPT]));
        }
        for magic in [0_u8, 1] {
            cases.push((
                format!("magic {magic}"),
                with(&plain, 16, &[magic]),
                &[INVALID],
            ));
        }
        for magic in [3_u8, 127, 128, 255] {
            let bytes = with(&plain, 16, &[magic]);
            cases.push((format!("magic {magic}"), bytes, &[INVALID, CORRUPT]));
        }
        for count in [-1, 0, 1, 3, i32::MIN, i32::MAX] {
            let bytes = with(&plain, 57, &i32::to_be_bytes(count));
            cases.push((format!("count {count}"), bytes, &[INVALID]));
        }
        for delta in [-1, 0, 2, i32::MIN, i32::MAX] {
            let bytes = with(&plain, 23, &i32::to_be_bytes(delta));
            cases.push((format!("last offset delta {delta}"), bytes, &[INVALID]));
        }
        for count in [i32::MAX, 1 << 20] {
            // Both agree, and the bytes hold two.
            let bytes = with(&plain, 23, &i32::to_be_bytes(count - 1));
            let bytes = with(&bytes, 57, &i32::to_be_bytes(count));
            cases.push((format!("{count} records in few bytes"), bytes, &[INVALID]));
        }
        for sequence in [-1, -2, i32::MIN] {
            let bytes = with(&sequenced, 53, &i32::to_be_bytes(sequence));
            cases.push((format!("sequence {sequence}"), bytes, &[INVALID]));
        }
        for epoch in [-1, i16::MIN] {
            let bytes = with(&sequenced, 51, &i16::to_be_bytes(epoch));
            cases.push((format!("producer epoch {epoch}"), bytes, &[INVALID]));
        }
        for id in [-2, i64::MIN] {
            let bytes = with(&sequenced, 43, &i64::to_be_bytes(id));
            cases.push((format!("producer id {id}"), bytes, &[INVALID]));
        }
        for bits in [0x20_u16, 0x40, 0x80, 0x8000, 0xff00] {
            let bytes = with(&plain, 21, &bits.to_be_bytes());
            cases.push((format!("attributes {bits:#x}"), bytes, &[INVALID]));
        }
        for codec in [5_u16, 6, 7] {
            let bytes = with(&plain, 21, &codec.to_be_bytes());
            let expected = &[INVALID, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE];
            cases.push((format!("codec {codec}"), bytes, expected));
        }
        for time in [i64::MAX, i64::MAX - 1, 1 << 61] {
            let bytes = with(&plain, 27, &time.to_be_bytes());
            let bytes = with(&bytes, 35, &time.to_be_bytes());
            let expected = &[ErrorCode::INVALID_TIMESTAMP];
            cases.push((format!("time {time}"), bytes, expected));
        }
        for (what, batch, expected) in cases {
            let code = produce(&mut client, &topic, batch).await;
            assert!(expected.contains(&code), "{what}: {code:?}");
        }
        let fetch = records::fetch(&topic, 0, 0, &[(0, 0)]);
        let answer = client.call::<FetchRequest>(13, &fetch).await.unwrap();
        let data = &answer.responses[0].partitions[0];
        assert_eq!(data.high_watermark, Offset::ZERO, "nothing was appended");
        // Whatever it was: a good batch is still taken.
        assert_eq!(
            produce(&mut client, &topic, sequenced).await,
            ErrorCode::NONE
        );
    });
    world.stop();
}

/// What a producer may send unopened, because no setting asks for more, harms nobody later.
#[test]
fn noise_under_a_codec_keeps_nobody_from_the_rest() {
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut world = World::new(2, 1);
        world.up();
        world.client(async move |address| {
            let mut client = Client::connect(address).await;
            let topic = topics::create(&mut client, "t", 1, &[]).await;
            let options = BatchOptions {
                compression,
                ..BatchOptions::default()
            };
            let good = records::batch_with(options, &["a", "b", "c"]);
            let noise = vec![0xa5; good.len() - 61];
            let bad = with(&good, 61, &noise);
            for batch in [good.clone(), bad, good] {
                // Some settings would have it refused; as it is, Kafka's codes or none.
                let code = produce(&mut client, &topic, batch).await;
                let expected = [
                    ErrorCode::NONE,
                    ErrorCode::INVALID_RECORD,
                    ErrorCode::CORRUPT_MESSAGE,
                ];
                assert!(expected.contains(&code), "{code:?}");
            }
            for timestamp in [-3, -2, -1, 0, 1_700_000_000_000, i64::MAX] {
                let request = ListOffsetsRequest {
                    topics: vec![ListOffsetsTopic {
                        name: "t".into(),
                        partitions: vec![ListOffsetsPartition {
                            timestamp: engine_model::Timestamp(timestamp),
                            ..ListOffsetsPartition::default()
                        }],
                    }],
                    ..ListOffsetsRequest::default()
                };
                let answer = client.call(7, &request).await.unwrap();
                let part = &answer.topics[0].partitions[0];
                assert_eq!(
                    part.error_code,
                    ErrorCode::NONE,
                    "{compression:?} at {timestamp}"
                );
            }
        });
        world.stop();
    }
}

#[test]
fn names_that_are_none_are_refused_everywhere() {
    let mut world = World::new(3, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let long = "x".repeat(250);
        let wrong = [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "../../etc/passwd",
            "a\0b",
            "a\r\nb",
            "\u{1b}[31m",
            " ",
            "a b",
            "t\u{f6}pic",
            "\u{430}dmin",
            "a:b",
            "a\\b",
            "*",
            "a,b",
            &long,
        ];
        for name in wrong {
            let created = topics::try_create(&mut client, name, 1, &[]).await;
            assert_eq!(
                created.error_code,
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                "{name:?}"
            );
            let request = MetadataRequest {
                topics: Some(vec![MetadataRequestTopic {
                    topic_id: TopicId::ZERO,
                    name: Some(name.into()),
                }]),
                allow_auto_topic_creation: true,
                ..MetadataRequest::default()
            };
            let answer = client.call(12, &request).await.unwrap();
            let code = answer.topics[0].error_code;
            assert_eq!(code, ErrorCode::INVALID_TOPIC_EXCEPTION, "{name:?}");
            let topic = Topic {
                name: name.to_owned(),
                id: TopicId::ZERO,
            };
            let batch = records::batch(&["a"]);
            let part = records::append(&mut client, 9, -1, &topic, 0, batch).await;
            let code = part.error_code;
            assert!(code.is_error(), "{name:?}: {code:?}");
            let fetch = records::fetch(&topic, 0, 0, &[(0, 0)]);
            let answer = client.call(11, &fetch).await.unwrap();
            let code = answer.responses[0].partitions[0].error_code;
            assert!(code.is_error(), "{name:?}: {code:?}");
        }
        let all = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let answer = client.call(12, &all).await.unwrap();
        assert!(answer.topics.is_empty(), "{:?}", answer.topics);
        // Of two names that only differ in what metrics cannot tell apart, Kafka takes the first.
        topics::create(&mut client, "a.b", 1, &[]).await;
        let twin = topics::try_create(&mut client, "a_b", 1, &[]).await;
        assert_eq!(twin.error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
        let longest = "y".repeat(249);
        topics::create(&mut client, &longest, 1, &[]).await;
    });
    world.stop();
}

/// Connections that come and go in every state leave no task and no entry behind.
#[test]
fn connections_killed_in_any_state_leave_nothing_behind() {
    let mut world = World::new(4, 1);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        let poll = records::fetch(&topic, i32::MAX, i32::MAX, &[(0, 0)]);
        let poll = net_protocol::request_frame(13, 1, None, &poll)
            .unwrap()
            .concat();
        let pieces: [Vec<u8>; 6] = [
            Vec::new(),
            vec![0, 0],
            vec![0, 0, 0, 50, 0, 3],
            poll.clone(),
            // A long poll with others behind it.
            poll.repeat(3),
            [poll.clone(), vec![0, 1, 0, 0, 7]].concat(),
        ];
        for _ in 0..20 {
            let mut open = Vec::new();
            for piece in &pieces {
                let stream = Stream::connect(address).await.unwrap();
                if !piece.is_empty() {
                    stream.send(vec![Bytes::from(piece.clone())]).await.unwrap();
                }
                open.push(stream);
            }
            engine_rt::sleep(Duration::from_millis(20)).await;
            drop(open);
        }
        // They asked to wait for 24 days: all are gone long before.
        engine_rt::sleep(Duration::from_secs(2)).await;
        client.close().await;
    });
    // A stop waits for requests under way: it would take the whole grace if one were left.
    let begun = world.simulation.now();
    world.stop();
    let took = world.simulation.now().saturating_since(begun);
    assert!(took < Duration::from_secs(5), "{took:?}");
}
