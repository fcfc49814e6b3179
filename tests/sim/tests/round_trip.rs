//! What is produced is fetched, in every version, over one shard and several.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use core::net::SocketAddr;
use engine_codec::{BatchOptions, Compression};
use engine_model::ErrorCode;
use tests_sim::records::{self, Topic};
use tests_sim::{Client, World, topics};

async fn round_trip(address: SocketAddr) {
    let mut client = Client::connect(address).await;
    let found = topics::describe(&mut client, "t", true).await;
    assert_eq!(found.error_code, ErrorCode::NONE);
    let topic = Topic {
        name: "t".to_owned(),
        id: found.topic_id,
    };
    let mut next = 0;
    for version in 3..=13 {
        for acks in [1, -1] {
            let values = [format!("v{version} acks {acks}"), "second".to_owned()];
            let batch = records::batch(&values);
            let part = records::append(&mut client, version, acks, &topic, 0, batch).await;
            assert_eq!(part.error_code, ErrorCode::NONE, "version {version}");
            assert_eq!(part.base_offset.get(), next);
            next += 2;
        }
    }
    for version in 4..=18 {
        let request = records::fetch(&topic, 0, 1, &[(0, 0)]);
        let answer = client.call(version, &request).await.unwrap();
        let data = answer.responses[0].partitions[0].clone();
        assert_eq!(data.error_code, ErrorCode::NONE, "version {version}");
        assert_eq!(data.high_watermark.get(), next);
        let found = records::read(data.records);
        let offsets: Vec<i64> = found.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets, (0..next).collect::<Vec<_>>(), "version {version}");
        assert_eq!(found[0].1, b"v3 acks 1");
    }
}

#[test]
fn what_is_produced_is_fetched_in_every_version() {
    for shards in [1, 3] {
        let mut world = World::new(1, shards);
        world.up();
        world.client(round_trip);
        world.stop();
    }
}

/// Twelve partitions over three shards: one request to all of them, one answer from all of them.
#[test]
fn one_request_reaches_partitions_on_every_shard() {
    for seed in 0..5 {
        let mut world = World::new(seed, 3);
        world.up();
        world.client(async |address| {
            let mut client = Client::connect(address).await;
            let topic = topics::create(&mut client, "wide", 12, &[]).await;
            for round in 0..3 {
                let batches: Vec<_> = (0..12)
                    .map(|p| (p, records::batch(&[format!("{p} in {round}")])))
                    .collect();
                let answer = client
                    .call(9, &records::produce(-1, &topic, &batches))
                    .await
                    .unwrap();
                for (place, part) in answer.responses[0].partition_responses.iter().enumerate() {
                    assert_eq!(part.error_code, ErrorCode::NONE);
                    assert_eq!(part.index.get(), i32::try_from(place).unwrap());
                    assert_eq!(part.base_offset.get(), round);
                }
            }
            let offsets: Vec<_> = (0..12).map(|p| (p, 0)).collect();
            let answer = client
                .call(13, &records::fetch(&topic, 0, 1, &offsets))
                .await
                .unwrap();
            for (p, data) in answer.responses[0].partitions.iter().enumerate() {
                let values: Vec<_> = records::read(data.records.clone())
                    .into_iter()
                    .map(|(_, value)| String::from_utf8(value).unwrap())
                    .collect();
                let expected: Vec<_> = (0..3).map(|round| format!("{p} in {round}")).collect();
                assert_eq!(values, expected);
            }
        });
        world.stop();
    }
}

#[test]
fn every_compression_comes_back_as_it_was_sent() {
    let mut world = World::new(2, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "squeezed", 1, &[]).await;
        let mut sent = Vec::new();
        for compression in Compression::ALL {
            let options = BatchOptions {
                compression,
                ..BatchOptions::default()
            };
            let values: Vec<String> = (0..50).map(|n| format!("{compression:?} {n}")).collect();
            let batch = records::batch_with(options, &values);
            let part = records::append(&mut client, 9, -1, &topic, 0, batch).await;
            assert!(!part.error_code.is_error());
            sent.extend(values);
        }
        let request = records::fetch(&topic, 0, 1, &[(0, 0)]);
        let answer = client.call(13, &request).await.unwrap();
        let found = records::read(answer.responses[0].partitions[0].records.clone());
        let found: Vec<_> = found
            .into_iter()
            .map(|(_, value)| String::from_utf8(value).unwrap())
            .collect();
        assert_eq!(found, sent);
    });
    world.stop();
}

/// acks=0: no answer, the record is there all the same; a failure closes the connection.
#[test]
fn a_produce_without_acks_is_silent_and_its_failure_hangs_up() {
    let mut world = World::new(3, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "quiet", 4, &[]).await;
        for n in 0..10 {
            let batches: Vec<_> = (0..4)
                .map(|p| (p, records::batch(&[n.to_string()])))
                .collect();
            client
                .send(9, &records::produce(0, &topic, &batches))
                .await
                .unwrap();
        }
        // The answer to this one is the first that comes.
        let last = records::batch(&["last"]);
        let part = records::append(&mut client, 9, -1, &topic, 0, last).await;
        assert_eq!(part.base_offset.get(), 10);
        let wrong = records::produce(0, &topic, &[(99, records::batch(&["nowhere"]))]);
        client.send(9, &wrong).await.unwrap();
        assert!(client.frame().await.is_err());
    });
    world.stop();
}

/// Many Produces of one connection are under way at a time; each partition keeps their order.
#[test]
fn pipelined_produces_keep_the_order_of_every_partition() {
    for seed in 0..10 {
        let mut world = World::new(seed, 3);
        world.up();
        world.client(async move |address| {
            let mut client = Client::connect(address).await;
            let topic = topics::create(&mut client, "ordered", 5, &[]).await;
            let mut ids = Vec::new();
            for n in 0..100_i32 {
                let partition = n % 5;
                let batch = records::batch(&[n.to_string()]);
                let request = records::produce(-1, &topic, &[(partition, batch)]);
                ids.push(client.send(9, &request).await.unwrap());
            }
            for (n, id) in ids.into_iter().enumerate() {
                let answer = client
                    .answer::<net_protocol::produce::ProduceRequest>(9, id)
                    .await
                    .unwrap();
                let part = &answer.responses[0].partition_responses[0];
                assert_eq!(part.error_code, ErrorCode::NONE, "seed {seed}");
                let expected = i64::try_from(n / 5).unwrap();
                assert_eq!(part.base_offset.get(), expected, "seed {seed}");
            }
        });
        world.stop();
    }
}

/// The leader shows what it acknowledged: written is enough for acks=1, readers wait for the flush.
#[test]
fn what_is_acknowledged_to_acks_1_is_read_at_once() {
    for seed in 0..4 {
        let mut world = World::new(seed, 2);
        world.up();
        world.client(async move |address| {
            let mut writer = Client::connect(address).await;
            let mut reader = Client::connect(address).await;
            let topic = topics::create(&mut writer, "t", 1, &[]).await;
            for offset in 0..30 {
                let batch = records::batch(&["x"]);
                let part = records::append(&mut writer, 9, 1, &topic, 0, batch).await;
                assert_eq!(part.base_offset.get(), offset);
                let request = records::fetch(&topic, 0, 1, &[(0, offset)]);
                let answer = reader.call(12, &request).await.unwrap();
                let data = answer.responses[0].partitions[0].clone();
                assert_eq!(
                    records::read(data.records).len(),
                    1,
                    "seed {seed}, {offset}"
                );
            }
        });
        world.stop();
    }
}
