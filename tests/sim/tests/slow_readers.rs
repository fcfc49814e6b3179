//! Consumers that ask for much more than there is memory, and take nothing: others are served.
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
use tests_sim::{Client, World, records, topics};

/// Forty readers send one fetch of everything after the other and never read; one reads all.
#[test]
fn a_reader_is_served_beside_many_that_take_nothing() {
    let mut world = World::new(21, 2)
        .with("queued.max.request.bytes=16777216")
        .with("socket.request.max.bytes=1048576");
    world.up();
    world.client(async move |address| {
        let mut writer = Client::connect(address).await;
        let topic = topics::create(&mut writer, "t", 4, &[]).await;
        let value = "x".repeat(60_000);
        for n in 0..64 {
            let batch = records::batch(&[&value]);
            let part = records::append(&mut writer, 9, -1, &topic, n % 4, batch).await;
            assert_eq!(part.error_code, ErrorCode::NONE);
        }
        let all: Vec<(i32, i64)> = (0..4).map(|partition| (partition, 0)).collect();
        let request = records::fetch(&topic, 0, 1, &all);
        let mut idle = Vec::new();
        for _ in 0..40 {
            let mut client = Client::connect(address).await;
            for _ in 0..4 {
                if client.send(13, &request).await.is_err() {
                    break;
                }
            }
            idle.push(client);
        }
        engine_rt::sleep(Duration::from_secs(2)).await;
        let mut reader = Client::connect(address).await;
        let mut offsets = [0_i64; 4];
        let begun = engine_rt::now();
        while offsets != [16; 4] {
            let wanted: Vec<(i32, i64)> = (0..4).zip(offsets).collect();
            let request = records::fetch(&topic, 500, 1, &wanted);
            let answer = reader.call(13, &request).await.unwrap();
            for data in &answer.responses[0].partitions {
                assert_eq!(data.error_code, ErrorCode::NONE);
                let place = usize::try_from(data.partition_index.get()).unwrap();
                for (offset, _) in records::read(data.records.clone()) {
                    assert_eq!(offset, offsets[place]);
                    offsets[place] += 1;
                }
            }
            let took = engine_rt::now().saturating_since(begun);
            assert!(took < Duration::from_mins(5), "{offsets:?}");
        }
        drop(idle);
    });
    world.stop();
}
