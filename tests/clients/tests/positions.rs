//! Where a client starts to read: by time, by name, in the middle of a batch, outside of the log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use serde_json::{Value, json};
use std::time::Duration;
use tests_clients::{COMPRESSIONS, Kind, Program, Record, Target, with_every_client};

const RECORDS: i64 = 50;
/// The time of the first record; each further one is `STEP_MS` later.
const START_MS: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 10;

with_every_client!(
    offsets_are_found_by_time_also_inside_of_a_batch,
    reading_starts_at_the_beginning_the_end_and_in_the_middle_of_a_batch,
    offsets_outside_of_the_log_are_reset_or_told,
    the_latest_time_is_found_where_times_are_out_of_order,
);

/// A producer whose records of one call make one batch.
fn batching(client: &mut Program, name: &str, compression: &str) {
    let settings = json!({"compression": compression, "linger_ms": 200, "batch_bytes": 500_000});
    client.producer(name, &settings);
}

fn record(number: i64) -> Record {
    Record::of(format!("value {number}")).at(START_MS + number * STEP_MS)
}

/// Fills a topic for each compression: one batch of `RECORDS` and one of a single record behind it.
fn filled(client: &mut Program, target: &Target) -> Vec<(String, Vec<Record>)> {
    COMPRESSIONS
        .iter()
        .map(|compression| {
            let topic = target.name(&format!("batch-{compression}"));
            client.create_topic(&topic, 1, &json!({}));
            batching(client, compression, compression);
            let mut sent: Vec<Record> = (0..RECORDS).map(record).collect();
            client.produce(compression, &topic, &sent);
            sent.push(record(RECORDS));
            client.produce(compression, &topic, &sent[50..]);
            let expected = (0..)
                .zip(sent)
                .map(|(n, record)| record.with_offset(n))
                .collect();
            (topic, expected)
        })
        .collect()
}

fn offsets_are_found_by_time_also_inside_of_a_batch(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    for (topic, records) in filled(&mut client, &target) {
        let end = RECORDS + 1;
        let cases = [
            (json!(0), 0),
            (json!(START_MS), 0),
            (json!(START_MS + 1), 1),
            (json!(START_MS + 17 * STEP_MS), 17),
            (json!(START_MS + 17 * STEP_MS + 1), 18),
            (json!(START_MS + RECORDS * STEP_MS), RECORDS),
            (json!(START_MS + RECORDS * STEP_MS + 1), -1),
            (json!("earliest"), 0),
            (json!("latest"), end),
            (json!("max_timestamp"), RECORDS),
        ];
        for (at, expected) in cases {
            let found = client.offset(&topic, 0, &at);
            assert_eq!(found, expected, "{kind:?} {topic} {at}");
        }
        if kind.asks_for_tiers() {
            // Nothing is tiered: the local log starts where the log does, and no tier has an end.
            assert_eq!(client.offset(&topic, 0, &json!("earliest_local")), 0);
            assert_eq!(client.offset(&topic, 0, &json!("latest_tiered")), -1);
        }
        let command =
            json!({"do": "offsets", "topic": topic, "partition": 0, "at": records[20].timestamp});
        assert_eq!(client.ask(&command)["timestamp"], records[20].timestamp);
    }
    let unknown =
        json!({"do": "offsets", "topic": target.name("none"), "partition": 0, "at": "latest"});
    let code = client.refused(&unknown);
    // librdkafka looks into its own metadata and refuses by itself.
    assert_eq!(code, (kind != Kind::Confluent).then_some(3), "{kind:?}");
}

fn reading_starts_at_the_beginning_the_end_and_in_the_middle_of_a_batch(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    // A request for the end waits behind a fetch that waits for records.
    client.consumer("c", &json!({"fetch_wait_ms": 50}));
    for (topic, mut records) in filled(&mut client, &target) {
        let cases: [(Value, usize); 4] = [
            (json!("beginning"), 0),
            (json!(37), 37),
            (json!(50), 50),
            (json!(1), 1),
        ];
        for (at, first) in cases {
            client.assign("c", &topic, 0, &at);
            let seen = client.poll("c", 51 - first);
            assert_eq!(seen, records[first..], "{kind:?} {topic} from {at}");
        }
        // Back, forth and back again without letting go of the partition.
        for at in [49, 0, 12] {
            client.seek("c", &topic, 0, &json!(at));
            assert_eq!(
                client.poll("c", 2),
                records[at..at + 2],
                "{kind:?} {topic} sought {at}"
            );
        }
        client.assign("c", &topic, 0, &json!("end"));
        let producer = COMPRESSIONS.iter().find(|c| topic.contains(**c)).unwrap();
        // Clients ask where the end is when they like: so the first record seen may be a later one.
        let seen = (0..60).find_map(|_| {
            let number = i64::try_from(records.len()).unwrap();
            let offset = client.produce(producer, &topic, &[record(number)])[0];
            records.push(record(number).with_offset(offset));
            let (seen, _) = client.poll_for("c", 1, Duration::from_millis(500));
            seen.into_iter().next()
        });
        let seen = seen.expect("something behind the end");
        assert!(
            records[51..].contains(&seen),
            "{kind:?} {topic}: {seen:?} lay before the end"
        );
    }
}

fn offsets_outside_of_the_log_are_reset_or_told(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("outside");
    client.create_topic(&topic, 1, &json!({}));
    client.producer("p", &json!({}));
    let sent: Vec<Record> = (0..5).map(record).collect();
    client.produce("p", &topic, &sent);
    client.consumer("resetting", &json!({"reset": "earliest"}));
    client.assign("resetting", &topic, 0, &json!(1000));
    let seen = client.poll("resetting", 5);
    assert_eq!(seen[0].offset, 0, "{kind:?}");
    assert_eq!(seen[4].text(), "value 4");
    client.consumer("telling", &json!({"reset": "none"}));
    client.assign("telling", &topic, 0, &json!(1000));
    let (seen, errors) = client.poll_for("telling", 1, Duration::from_secs(3));
    assert_eq!(seen, [], "{kind:?}");
    assert!(
        !errors.is_empty(),
        "{kind:?} must be told that there is no offset 1000"
    );
    // librdkafka tells of it with a code of its own.
    if kind != Kind::Confluent {
        assert_eq!(errors[0].code, Some(1), "{kind:?} {errors:?}");
    }
}

fn the_latest_time_is_found_where_times_are_out_of_order(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    for compression in ["none", "zstd"] {
        let topic = target.name(&format!("disorder-{compression}"));
        client.create_topic(&topic, 1, &json!({}));
        assert_eq!(
            client.offset(&topic, 0, &json!("max_timestamp")),
            -1,
            "nothing is there"
        );
        assert_eq!(client.offset(&topic, 0, &json!(0)), -1, "nothing is there");
        batching(&mut client, compression, compression);
        // The latest lies within the first batch, and twice.
        let batches: [&[i64]; 2] = [&[5, 3, 90, 1, 90], &[40, 2, 60]];
        for times in batches {
            let records: Vec<Record> = times.iter().map(|t| record(*t)).collect();
            client.produce(compression, &topic, &records);
        }
        assert_eq!(
            client.offset(&topic, 0, &json!("max_timestamp")),
            2,
            "{kind:?} {compression}"
        );
        // The first record that is not earlier than asked for, by offset.
        for (time, expected) in [(0, 0), (4, 0), (6, 2), (89, 2), (90, 2), (91, -1)] {
            let at = json!(START_MS + time * STEP_MS);
            let found = client.offset(&topic, 0, &at);
            assert_eq!(found, expected, "{kind:?} {compression} {time}");
        }
        client.consumer("c", &json!({}));
        client.assign("c", &topic, 0, &json!("beginning"));
        let seen: Vec<i64> = client
            .poll("c", 8)
            .iter()
            .map(|r| (r.timestamp - START_MS) / STEP_MS)
            .collect();
        assert_eq!(seen, [5, 3, 90, 1, 90, 40, 2, 60]);
    }
}
