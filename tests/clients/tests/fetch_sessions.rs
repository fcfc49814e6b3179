//! Fetch sessions as the Java client uses them, told in its log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use serde_json::{Value, json};
use tests_clients::{Program, Record, Target};

/// Makes Java tell of the sessions it fetches with.
const TELLS_OF_SESSIONS: &str =
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.FetchSessionHandler=debug";

#[test]
fn fetch_sessions_are_used_grow_shrink_and_end_with_the_broker() {
    let mut target = Target::start();
    let topic = target.name("sessions");
    let mut client = Program::start_java(target.address(), &[TELLS_OF_SESSIONS]);
    client.create_topic(&topic, 20, &json!({}));
    client.producer("p", &json!({}));
    client.consumer("c", &json!({"reset": "earliest", "fetch_wait_ms": 50}));
    let mut lengths = [0_i64; 20];
    // Partitions join, go, and come back.
    for (round, range) in [0..5, 0..20, 10..15, 0..20].into_iter().enumerate() {
        let partitions: Vec<Value> = range
            .clone()
            .map(|n| json!({"topic": topic, "partition": n, "at": lengths[n]}))
            .collect();
        client.ask(&json!({"do": "assign", "consumer": "c", "partitions": partitions}));
        // A few of many have something new each time.
        for step in 0..4 {
            let records: Vec<Record> = range
                .clone()
                .step_by(3 + step)
                .map(|n| {
                    Record::of(format!("{round} {step} {n}"))
                        .in_partition(i32::try_from(n).unwrap())
                })
                .collect();
            let offsets = client.produce("p", &topic, &records);
            let mut expected: Vec<Record> = records
                .into_iter()
                .zip(offsets)
                .map(|(record, offset)| record.with_offset(offset))
                .collect();
            for record in &expected {
                lengths[usize::try_from(record.partition).unwrap()] += 1;
            }
            let mut seen = client.poll("c", expected.len());
            seen.sort_by_key(|r| (r.partition, r.offset));
            expected.sort_by_key(|r| (r.partition, r.offset));
            assert_eq!(seen, expected, "round {round} step {step}");
        }
    }
    let said = client.said();
    assert!(
        said.contains("created a new incremental fetch session"),
        "{said}"
    );
    assert!(
        said.contains("sent an incremental fetch response"),
        "{said}"
    );
    // The broker forgets its sessions; the client starts a new one.
    target.kill();
    target.restart();
    let offset = client.produce("p", &topic, &[Record::of("after").in_partition(7)])[0];
    let seen = client.poll("c", 1);
    assert_eq!(
        (seen[0].text(), seen[0].offset),
        ("after".to_owned(), offset)
    );
    let later = client.said().split_off(said.len());
    assert!(
        later.contains("created a new incremental fetch session"),
        "{later}"
    );
}
