//! What only the Java client does: positions checked by leader epochs; and a topic of 2,000 partitions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use serde_json::{Value, json};
use std::time::Duration;
use tests_clients::{Kind, Program, Record, Target};

const PARTITIONS: i32 = 2000;

fn consumer_offset(client: &mut Program, topic: &str, at: &Value) -> Value {
    client.ask(&json!({
        "do": "consumer_offsets", "consumer": "c", "topic": topic, "partition": 0, "at": at,
    }))
}

#[test]
fn a_position_of_an_older_leader_is_checked_before_it_is_read_from() {
    let mut target = Target::start();
    let topic = target.name("epochs");
    let mut client = Program::start(Kind::Java, target.address());
    client.create_topic(&topic, 1, &json!({}));
    client.producer("p", &json!({}));
    let records = |from: i64| -> Vec<Record> {
        (from..from + 10)
            .map(|n| Record::of(format!("value {n}")).at(1_700_000_000_000 + n))
            .collect()
    };
    client.produce("p", &topic, &records(0));
    client.consumer("c", &json!({"reset": "earliest"}));
    client.assign("c", &topic, 0, &json!("beginning"));
    let older = consumer_offset(&mut client, &topic, &json!(1_700_000_000_003_i64));
    assert_eq!(older["offset"], 3);
    target.kill();
    target.restart();
    client.produce("p", &topic, &records(10));
    let newer = consumer_offset(&mut client, &topic, &json!(1_700_000_000_013_i64));
    assert_eq!(newer["offset"], 13);
    // A leader that starts leads in an epoch of its own.
    assert!(
        newer["epoch"].as_i64() > older["epoch"].as_i64(),
        "{older} {newer}"
    );
    assert_eq!(
        consumer_offset(&mut client, &topic, &json!("earliest"))["offset"],
        0
    );
    assert_eq!(
        consumer_offset(&mut client, &topic, &json!("latest"))["offset"],
        20
    );
    assert_eq!(
        consumer_offset(&mut client, &topic, &json!(1_700_000_000_020_i64)),
        Value::Null
    );
    // Offset and epoch fit together: read on from there. The older leader's log ended at 10: a position
    // behind that in its epoch is one of a log that was cut, and reading goes on where the logs part.
    for (at, epoch, first) in [(4, &older, 4), (13, &newer, 13), (15, &older, 10)] {
        client.ask(&json!({
            "do": "seek", "consumer": "c", "topic": topic, "partition": 0, "at": at, "epoch": epoch["epoch"],
        }));
        let seen = client.poll("c", 3);
        assert_eq!(
            seen[0].offset, first,
            "from {at} of epoch {}",
            epoch["epoch"]
        );
    }
}

#[test]
fn two_thousand_partitions_are_created_filled_and_read() {
    let target = Target::start();
    let topic = target.name("many");
    let mut client = Program::start(Kind::Java, target.address());
    client.create_topic(&topic, usize::try_from(PARTITIONS).unwrap(), &json!({}));
    client.producer("p", &json!({"linger_ms": 50}));
    let records: Vec<Record> = (0..PARTITIONS)
        .map(|n| Record::of(format!("value {n}")).in_partition(n))
        .collect();
    let offsets = client.produce("p", &topic, &records);
    assert!(offsets.iter().all(|offset| *offset == 0));
    let ends = client.ask(&json!({"do": "all_offsets", "topic": topic, "at": "latest"}));
    assert_eq!(ends, json!(vec![1; records.len()]));
    client.consumer("c", &json!({"fetch_bytes_max": 60_000}));
    let partitions: Vec<Value> = (0..PARTITIONS)
        .map(|n| json!({"topic": topic, "partition": n, "at": 0}))
        .collect();
    client.ask(&json!({"do": "assign", "consumer": "c", "partitions": partitions}));
    // Limited to few bytes at a time, each partition has its turn.
    let mut seen = client.poll("c", records.len());
    seen.sort_by_key(|record| record.partition);
    assert_eq!(seen, records);
    let (more, _) = client.poll_for("c", 1, Duration::from_millis(100));
    assert_eq!(more, []);
    client.delete_topic(&topic);
}
