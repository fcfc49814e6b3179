//! Clients that run on while the broker is killed, stopped and started, or their topic is made again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tests_clients::{Kind, Program, Record, Target, read_partition, with_every_client};

const PARTITIONS: i32 = 3;
/// How many records must have been acknowledged before the broker is ended again.
const ACKNOWLEDGED_BETWEEN_ENDS: u64 = 150;

with_every_client!(
    an_idempotent_producer_and_a_consumer_run_through_kills_and_stops,
    a_topic_made_again_goes_on_under_its_producer_and_consumer,
);

fn delivered(client: &mut Program) -> u64 {
    let progress = client.ask(&json!({"do": "progress", "name": "s"}));
    progress["delivered"].as_u64().unwrap()
}

/// Waits until this many more records are acknowledged.
fn wait_for(client: &mut Program, more: u64) {
    let enough = delivered(client) + more;
    for _ in 0..1200 {
        if delivered(client) >= enough {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let progress = client.ask(&json!({"do": "progress", "name": "s"}));
    panic!(
        "{:?}: nothing is acknowledged any more: {progress}",
        client.kind()
    );
}

/// What a stream sends as record `number`, as COMMANDS.md says.
fn numbered(place: &str, number: usize) -> Vec<u8> {
    let mut value = format!("{place} {number} ").into_bytes();
    let filler = u8::try_from(number % 251).unwrap();
    value.extend(std::iter::repeat_n(filler, number * 7919 % 2000));
    value
}

fn an_idempotent_producer_and_a_consumer_run_through_kills_and_stops(kind: Kind) {
    let mut target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("through");
    client.create_topic(&topic, usize::try_from(PARTITIONS).unwrap(), &json!({}));
    client.consumer("c", &json!({"reset": "earliest"}));
    client.assign("c", &topic, 0, &json!("beginning"));
    client.producer(
        "p",
        &json!({"acks": "all", "idempotent": true, "linger_ms": 1, "compression": "lz4"}),
    );
    client.ask(&json!({
        "do": "stream", "name": "s", "producer": "p", "topic": topic, "partitions": PARTITIONS, "pause_us": 300,
    }));
    let mut consumed = Vec::new();
    for is_killed in [true, false, true] {
        wait_for(&mut client, ACKNOWLEDGED_BETWEEN_ENDS);
        consumed.extend(client.poll_for("c", 10, Duration::from_secs(10)).0);
        if is_killed {
            target.kill();
        } else {
            target.stop();
        }
        target.restart();
    }
    wait_for(&mut client, ACKNOWLEDGED_BETWEEN_ENDS);
    let ended = client.ask(&json!({"do": "end", "name": "s"}));
    assert_eq!(ended["failed"], json!([]), "{kind:?}");
    let delivered = ended["delivered"].as_array().unwrap();
    for partition in 0..PARTITIONS {
        let expected: Vec<(i64, Vec<u8>)> = delivered
            .iter()
            .filter(|line| line[1] == json!(partition))
            .map(|line| {
                let number = usize::try_from(line[0].as_u64().unwrap()).unwrap();
                (
                    line[2].as_i64().unwrap(),
                    numbered(&partition.to_string(), number),
                )
            })
            .collect();
        let seen: Vec<(i64, Vec<u8>)> = read_partition(target.address(), &topic, partition)
            .into_iter()
            .map(|record| (record.offset, record.value.unwrap_or_default()))
            .collect();
        let offsets: Vec<i64> = seen.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(
            offsets,
            (0..).take(expected.len()).collect::<Vec<i64>>(),
            "{kind:?}"
        );
        assert!(
            seen == expected,
            "{kind:?}: partition {partition} is not what was acknowledged"
        );
        if partition == 0 {
            let rest = expected.len() - consumed.len();
            consumed.extend(client.poll("c", rest));
            let consumed: Vec<(i64, Vec<u8>)> = consumed
                .drain(..)
                .map(|record| (record.offset, record.value.unwrap_or_default()))
                .collect();
            assert!(
                consumed == expected,
                "{kind:?}: the consumer saw something else"
            );
        }
    }
}

/// Creates a topic that a running producer may create at the same moment.
fn make(client: &mut Program, topic: &str) {
    let command = json!({"do": "create_topic", "topic": topic, "partitions": 1});
    for _ in 0..200 {
        match client.try_ask(&command) {
            Ok(_) => return,
            // Asked for by the producer's own request for metadata.
            Err(refusal) if refusal.code == Some(36) => return,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    client.ask(&command);
}

fn number_of(record: &Record) -> u64 {
    record.text().split(' ').nth(1).unwrap().parse().unwrap()
}

fn a_topic_made_again_goes_on_under_its_producer_and_consumer(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("again");
    client.create_topic(&topic, 1, &json!({}));
    // Without idempotence librdkafka may reorder what it sends again, also to Apache Kafka.
    let settings = json!({"acks": "all", "idempotent": true, "metadata_age_ms": 300});
    client.producer("p", &settings);
    client.consumer("old", &json!({"reset": "earliest"}));
    client.assign("old", &topic, 0, &json!("beginning"));
    client.ask(&json!({
        "do": "stream", "name": "s", "producer": "p", "topic": topic, "partitions": 1, "pause_us": 2000,
    }));
    for _ in 0..2 {
        wait_for(&mut client, 100);
        let before = client.poll("old", 50);
        assert_eq!(before.len(), 50);
        client.delete_topic(&topic);
        make(&mut client, &topic);
    }
    wait_for(&mut client, 200);
    let ended = client.ask(&json!({"do": "end", "name": "s"}));
    let acknowledged: BTreeMap<u64, i64> = ended["delivered"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line[0].as_u64().unwrap(), line[2].as_i64().unwrap()))
        .collect();
    let end = client.offset(&topic, 0, &json!("latest"));
    client.consumer("new", &json!({}));
    client.assign("new", &topic, 0, &json!("beginning"));
    let log = client.poll("new", usize::try_from(end).unwrap());
    let held: BTreeMap<u64, i64> = log.iter().map(|r| (number_of(r), r.offset)).collect();
    assert_eq!(held.len(), log.len(), "{kind:?}: a record twice");
    assert!(
        log.iter().map(number_of).is_sorted(),
        "{kind:?}: out of order"
    );
    let (first, _) = held
        .first_key_value()
        .expect("records after the topic was made again");
    assert!(
        *first >= 200,
        "{kind:?}: record {first} is of a deleted topic"
    );
    // From the first record on, whatever was acknowledged went into this topic.
    for (number, offset) in acknowledged.range(first..) {
        assert_eq!(
            held.get(number),
            Some(offset),
            "{kind:?}: record {number} was acknowledged"
        );
    }
    // The consumer that was there from the beginning finds the new topic by itself.
    let found = (0..60).any(|_| {
        let (seen, _) = client.poll_for("old", 50, Duration::from_millis(500));
        seen.iter()
            .any(|record| held.get(&number_of(record)) == Some(&record.offset))
    });
    assert!(
        found || log.is_empty(),
        "{kind:?}: the old consumer reads nothing of the new topic"
    );
}
