//! kcat against the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::process::Command;
use tests_clients::{ACKS, Broker, COMPRESSIONS, consume_partition, produce_partition, run};

const PARTITIONS: usize = 4;
const RECORDS: usize = 50;

fn lines(compression: &str, acks: &str, partition: usize) -> Vec<String> {
    (0..RECORDS)
        .map(|i| {
            format!(
                "{compression} {acks} {partition} {i} {}",
                "payload ".repeat(i % 40)
            )
        })
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn lists_the_broker_and_its_topics() {
    let broker = Broker::with_defaults();
    broker.create_topic("listed", 3);
    let listing = run(Command::new("kcat").args(["-L", "-b", broker.address()])).expect_success();
    let text = listing.text();
    assert!(text.contains("1 brokers:"), "{text}");
    assert!(
        text.contains(&format!("at {} (controller)", broker.address())),
        "{text}"
    );
    assert!(
        text.contains("topic \"listed\" with 3 partitions:"),
        "{text}"
    );
}

#[test]
fn every_compression_and_acks_makes_the_round_trip_over_several_shards() {
    let broker = Broker::with_defaults();
    broker.create_topic("round-trip", PARTITIONS);
    let mut expected: Vec<Vec<String>> = vec![Vec::new(); PARTITIONS];
    for compression in COMPRESSIONS {
        for acks in ACKS {
            for (partition, sent) in expected.iter_mut().enumerate() {
                let lines = lines(compression, acks, partition);
                let settings = [("compression.codec", *compression), ("acks", *acks)];
                produce_partition(broker.address(), "round-trip", partition, &settings, &lines);
                sent.extend(lines);
            }
        }
    }
    for (partition, sent) in expected.iter().enumerate() {
        let seen = consume_partition(broker.address(), "round-trip", partition, "beginning");
        let offsets: Vec<i64> = seen.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(
            offsets,
            (0..i64::try_from(sent.len()).unwrap()).collect::<Vec<_>>()
        );
        let values: Vec<&String> = seen.iter().map(|(_, value)| value).collect();
        assert_eq!(
            values,
            sent.iter().collect::<Vec<_>>(),
            "partition {partition}"
        );
        // From the middle of a batch: the client drops what it did not ask for.
        let tail = consume_partition(broker.address(), "round-trip", partition, "77");
        assert_eq!(tail, seen[77..], "partition {partition} from 77");
    }
}

#[test]
fn a_topic_is_created_by_the_first_record_sent_to_it() {
    let broker = Broker::with_defaults();
    let sent = vec!["one".to_owned(), "two".to_owned()];
    produce_partition(broker.address(), "made-on-the-way", 0, &[], &sent);
    let seen = consume_partition(broker.address(), "made-on-the-way", 0, "beginning");
    assert_eq!(seen, [(0, "one".to_owned()), (1, "two".to_owned())]);
}

#[test]
fn offsets_are_found_by_time() {
    let broker = Broker::with_defaults();
    broker.create_topic("timed", 1);
    produce_partition(broker.address(), "timed", 0, &[], &["early".to_owned()]);
    let query = |time: &str| {
        let topic = format!("timed:0:{time}");
        run(Command::new("kcat").args(["-Q", "-b", broker.address(), "-t", &topic]))
            .expect_success()
            .text()
    };
    assert!(
        query("-2").contains("timed [0] offset 0"),
        "{}",
        query("-2")
    );
    assert!(
        query("-1").contains("timed [0] offset 1"),
        "{}",
        query("-1")
    );
    assert!(query("1").contains("timed [0] offset 0"), "{}", query("1"));
    // 2100-01-01: nothing is that late.
    assert!(
        query("4102444800000").contains("timed [0] offset -1"),
        "{}",
        query("4102444800000")
    );
}

#[test]
fn data_stays_through_stops_kills_and_another_number_of_shards() {
    let mut broker = Broker::with_defaults();
    broker.create_topic("kept", PARTITIONS);
    for partition in 0..PARTITIONS {
        produce_partition(
            broker.address(),
            "kept",
            partition,
            &[],
            &lines("none", "all", partition),
        );
    }
    let all = |broker: &Broker| -> Vec<Vec<(i64, String)>> {
        (0..PARTITIONS)
            .map(|p| consume_partition(broker.address(), "kept", p, "beginning"))
            .collect()
    };
    let before = all(&broker);
    assert_eq!(
        before.iter().map(Vec::len).sum::<usize>(),
        PARTITIONS * RECORDS
    );
    broker.kill();
    broker.restart();
    assert_eq!(all(&broker), before, "after a kill");
    for shards in [1, 3, 2] {
        let status = broker.stop();
        assert!(status.success(), "{status}");
        broker.restart_with_shards(shards);
        assert_eq!(all(&broker), before, "with {shards} shards");
        broker.kill();
        broker.restart();
        assert_eq!(all(&broker), before, "with {shards} shards, after a kill");
    }
}
