//! Compaction as a client sees it: of each key the last record stays, over a restart too.

use bytes::Bytes;
use core::time::Duration;
use engine_codec::{BatchBuilder, BatchOptions, RecordData};
use engine_model::{ErrorCode, Timestamp};
use engine_rt::sim::CrashKind;
use std::sync::{Arc, Mutex};
use tests_sim::records::Topic;
use tests_sim::{Client, World, records, topics};

fn keyed(key: &str, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = RecordData {
        timestamp: Timestamp(1_799_999_000_000),
        key: Some(key.as_bytes()),
        value: Some(value),
        headers: &[],
    };
    assert!(builder.append(&record).unwrap());
    builder.build().unwrap()
}

/// Offsets of all records, as a consumer from the beginning finds them.
async fn offsets(client: &mut Client, topic: &Topic, end: i64) -> Vec<i64> {
    let mut found = Vec::new();
    let mut next = 0;
    while next < end {
        let request = records::fetch(topic, 0, 1, &[(0, next)]);
        let answer = client.call(12, &request).await.unwrap();
        let data = answer.responses.into_iter().next().unwrap();
        let data = data.partitions.into_iter().next().unwrap();
        assert_eq!(data.error_code, ErrorCode::NONE);
        let read = records::read(data.records);
        next = read.last().expect("a record below the end").0 + 1;
        found.extend(read.into_iter().map(|(offset, _)| offset));
    }
    found
}

#[test]
fn of_each_key_the_last_record_below_the_active_segment_stays() {
    let mut world = World::new(72, 1).with("log.cleaner.backoff.ms=200");
    let topic = Arc::new(Mutex::new(Topic::unknown()));
    world.up();
    let made = Arc::clone(&topic);
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        let own = [
            ("cleanup.policy", "compact"),
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("file.delete.delay.ms", "500"),
        ];
        let topic = topics::create(&mut client, "t", 1, &own).await;
        *made.lock().unwrap() = topic.clone();
        // Each record is a segment of its own; the last one is active, and out of reach.
        for key in ["a", "b", "a", "b", "a", "b"] {
            let batch = keyed(key, &vec![b'x'; 1_000_000]);
            let done = records::append(&mut client, 9, -1, &topic, 0, batch).await;
            assert_eq!(done.error_code, ErrorCode::NONE);
        }
        let mut found = Vec::new();
        for _ in 0..300 {
            found = offsets(&mut client, &topic, 6).await;
            if found.len() == 3 {
                break;
            }
            engine_rt::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(found, [3, 4, 5]);
        // Without a key nothing is taken.
        let batch = records::batch(&["keyless"]);
        let done = records::append(&mut client, 9, -1, &topic, 0, batch).await;
        assert_eq!(done.error_code, ErrorCode::INVALID_RECORD);
        let done = records::append(&mut client, 9, -1, &topic, 0, keyed("c", b"c")).await;
        assert_eq!(done.base_offset.get(), 6);
    });
    world.crash(CrashKind::Power);
    world.up();
    world.client(async move |address| {
        let topic = topic.lock().unwrap().clone();
        let mut client = Client::connect(address).await;
        assert_eq!(offsets(&mut client, &topic, 7).await, [3, 4, 5, 6]);
    });
    world.stop();
}
