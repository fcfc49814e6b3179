//! Kafka's own console producer and consumer against the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::thread;
use tests_clients::{ACKS, Broker, COMPRESSIONS, Java};

const PARTITIONS: usize = 3;
const RECORDS: usize = 30;

/// Every combination in its own topic, so that the order within it is known.
#[test]
fn every_compression_and_acks_makes_the_round_trip() {
    let broker = Broker::with_defaults();
    let combinations: Vec<(&str, &str)> = COMPRESSIONS
        .iter()
        .flat_map(|c| ACKS.iter().map(|a| (*c, *a)))
        .collect();
    // Two JVMs at a time: more would only wait for each other.
    thread::scope(|scope| {
        for half in combinations.chunks(combinations.len().div_ceil(2)) {
            let broker = &broker;
            scope.spawn(move || {
                for (compression, acks) in half {
                    round_trip(broker, compression, acks);
                }
            });
        }
    });
}

fn round_trip(broker: &Broker, compression: &str, acks: &str) {
    let java = Java::new();
    let topic = format!("java-{compression}-{acks}");
    broker.create_topic(&topic, PARTITIONS);
    let lines: Vec<String> = (0..RECORDS)
        .map(|i| format!("key-{i}\tvalue {i} {}", "x".repeat(i * 50)))
        .collect();
    let mut properties = vec![
        format!("compression.type={compression}"),
        format!("acks={acks}"),
    ];
    if acks != "all" {
        properties.push("enable.idempotence=false".to_owned());
    }
    java.produce(broker.address(), &topic, &properties, &lines);

    let counts: Vec<usize> = (0..PARTITIONS)
        .map(|p| {
            let p = p.to_string();
            let output = std::process::Command::new("kcat")
                .args([
                    "-C",
                    "-q",
                    "-e",
                    "-b",
                    broker.address(),
                    "-t",
                    &topic,
                    "-p",
                    &p,
                ])
                .args(["-o", "beginning", "-f", "%o\n"])
                .output()
                .expect("kcat");
            String::from_utf8(output.stdout)
                .expect("offsets")
                .lines()
                .count()
        })
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), RECORDS, "{topic}: {counts:?}");
    // One partition by Java itself: the fullest, so that there is something to see.
    let fullest = (0..PARTITIONS)
        .max_by_key(|p| counts[*p])
        .expect("a partition");
    let seen = java.consume(broker.address(), &topic, fullest, counts[fullest]);
    assert_eq!(seen.len(), counts[fullest], "{topic}");
    let mut place = 0;
    for (offset, line) in seen.iter().enumerate() {
        let (label, record) = line.split_once('\t').expect("OFFSET KEY VALUE");
        assert_eq!(label, format!("Offset:{offset}"), "{topic}");
        let found = lines[place..].iter().position(|l| l == record);
        place += found.unwrap_or_else(|| panic!("{topic}: {record:?} out of order or changed")) + 1;
    }
}
