//! Fetches that wait: woken by what they wait for and by nothing else, on any shard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use core::time::Duration;
use engine_model::ErrorCode;
use net_protocol::fetch::FetchRequest;
use tests_sim::{Client, World, records, topics};

const SOON: Duration = Duration::from_millis(500);

/// Eight partitions over three shards: whichever the record goes to, the fetch hears of it at once.
#[test]
fn a_fetch_wakes_when_a_record_is_committed_on_any_shard() {
    for seed in 0..4 {
        let mut world = World::new(seed, 3);
        world.up();
        world.client(async move |address| {
            let mut reader = Client::connect(address).await;
            let mut writer = Client::connect(address).await;
            let topic = topics::create(&mut writer, "t", 8, &[]).await;
            for partition in 0..8 {
                let offsets: Vec<_> = (0..8).map(|p| (p, i64::from(p < partition))).collect();
                let request = records::fetch(&topic, 60_000, 1, &offsets);
                let begun = engine_rt::now();
                let id = reader.send(12, &request).await.unwrap();
                engine_rt::sleep(Duration::from_secs(3)).await;
                let batch = records::batch(&["wake up"]);
                let produce = records::produce(-1, &topic, &[(partition, batch)]);
                writer.call(9, &produce).await.unwrap();
                let answer = reader.answer::<FetchRequest>(12, id).await.unwrap();
                let waited = engine_rt::now().saturating_since(begun);
                assert!(waited >= Duration::from_secs(3), "{waited:?}");
                assert!(waited < Duration::from_secs(3) + SOON, "{waited:?}");
                let place = usize::try_from(partition).unwrap();
                let data = answer.responses[0].partitions[place].clone();
                assert_eq!(records::read(data.records).len(), 1, "seed {seed}");
            }
        });
        world.stop();
    }
}

#[test]
fn a_fetch_ends_empty_when_its_time_is_up() {
    let mut world = World::new(1, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 3, &[]).await;
        for (wait_ms, min_bytes) in [(0, 1), (1500, 1), (700, 1_000_000), (5_000, 0)] {
            let request = records::fetch(&topic, wait_ms, min_bytes, &[(0, 0), (1, 0), (2, 0)]);
            let begun = engine_rt::now();
            let answer = client.call(12, &request).await.unwrap();
            let waited = engine_rt::now().saturating_since(begun);
            let expected = if min_bytes == 0 { 0 } else { wait_ms };
            let expected = Duration::from_millis(u64::try_from(expected).unwrap());
            assert!(waited >= expected && waited < expected + SOON, "{waited:?}");
            for data in &answer.responses[0].partitions {
                assert_eq!(data.error_code, ErrorCode::NONE);
                assert_eq!(data.high_watermark.get(), 0);
                assert!(data.records.as_ref().unwrap().is_empty());
            }
        }
    });
    world.stop();
}

#[test]
fn a_fetch_waits_until_it_has_enough() {
    let mut world = World::new(1, 3);
    world.up();
    world.client(async |address| {
        let mut reader = Client::connect(address).await;
        let mut writer = Client::connect(address).await;
        let topic = topics::create(&mut writer, "t", 4, &[]).await;
        let request = records::fetch(&topic, 60_000, 1000, &[(0, 0), (1, 0), (2, 0), (3, 0)]);
        let begun = engine_rt::now();
        let id = reader.send(12, &request).await.unwrap();
        // Each batch has 61 bytes of header, 7 or 8 of record and 100 of value.
        for n in 0..6 {
            engine_rt::sleep(Duration::from_secs(1)).await;
            let batch = records::batch(&["x".repeat(100)]);
            let produce = records::produce(-1, &topic, &[(n % 4, batch)]);
            writer.call(9, &produce).await.unwrap();
        }
        let answer = reader.answer::<FetchRequest>(12, id).await.unwrap();
        let waited = engine_rt::now().saturating_since(begun);
        assert!(waited >= Duration::from_secs(6), "{waited:?}");
        assert!(waited < Duration::from_secs(6) + SOON, "{waited:?}");
        let count: usize = answer.responses[0]
            .partitions
            .iter()
            .map(|data| records::read(data.records.clone()).len())
            .sum();
        assert_eq!(count, 6);
    });
    world.stop();
}

#[test]
fn a_fetch_wakes_when_its_topic_is_deleted() {
    for shards in [1, 3] {
        let mut world = World::new(5, shards);
        world.up();
        world.client(async |address| {
            let mut reader = Client::connect(address).await;
            let mut other = Client::connect(address).await;
            let topic = topics::create(&mut other, "t", 3, &[]).await;
            let request = records::fetch(&topic, 60_000, 1, &[(0, 0), (1, 0), (2, 0)]);
            let begun = engine_rt::now();
            let id = reader.send(13, &request).await.unwrap();
            engine_rt::sleep(Duration::from_secs(2)).await;
            topics::delete(&mut other, &topic).await;
            let answer = reader.answer::<FetchRequest>(13, id).await.unwrap();
            let waited = engine_rt::now().saturating_since(begun);
            assert!(waited < Duration::from_secs(2) + SOON, "{waited:?}");
            assert!(
                answer.responses[0]
                    .partitions
                    .iter()
                    .any(|data| data.error_code.is_error())
            );
            // And from now on the id is unknown.
            let answer = reader.call(13, &request).await.unwrap();
            for data in &answer.responses[0].partitions {
                assert_eq!(data.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
            }
        });
        world.stop();
    }
}

#[test]
fn a_stop_ends_fetches_that_wait() {
    for shards in [1, 3] {
        let mut world = World::new(6, shards);
        world.up();
        let address = world.address();
        let machine = world.simulation.add_node(1);
        let system = world.simulation.system(machine);
        let answered = std::rc::Rc::new(core::cell::Cell::new(false));
        let seen = answered.clone();
        world.simulation.start_local(
            machine,
            &system,
            vec![Box::new(move || {
                Box::pin(async move {
                    let mut client = Client::connect(address).await;
                    let topic = topics::create(&mut client, "t", 3, &[]).await;
                    let request = records::fetch(&topic, 600_000, 1, &[(0, 0), (1, 0), (2, 0)]);
                    let answer = client.call(12, &request).await.unwrap();
                    assert_eq!(answer.error_code, ErrorCode::NONE);
                    seen.set(true);
                })
            })],
        );
        world.simulation.run_for(Duration::from_secs(30));
        assert!(!answered.get());
        let begun = world.simulation.now();
        world.stop();
        let took = world.simulation.now().saturating_since(begun);
        assert!(took < Duration::from_secs(5), "{took:?}");
        // What the broker sent last may still be on its way.
        world.simulation.run_for(Duration::from_secs(1));
        assert!(answered.get(), "the client has its answer");
    }
}
