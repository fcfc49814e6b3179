//! Records of every kind and size, through every client program, compression and acks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use std::time::Duration;
use tests_clients::{
    ACKS, COMPRESSIONS, Kind, Program, Record, RecordSeen, Target, read_partition,
    with_every_client,
};

const PARTITIONS: i32 = 2;
/// How many records go to a topic with one compression and one acks: every kind a few times.
const RECORDS: usize = 60;
const MIB: usize = 1024 * 1024;

with_every_client!(
    odd_records_make_the_round_trip_with_every_compression_and_acks,
    records_that_librdkafka_wrote_are_read_as_they_were_sent,
    records_of_one_byte_up_to_ten_mib_make_the_round_trip,
    a_slow_consumer_misses_nothing_and_holds_nobody_up,
);

/// The record of a number: absent, empty and odd keys and values, headers twice and null.
fn odd_record(number: usize) -> Record {
    let byte = |n: usize| u8::try_from(n % 251).unwrap();
    let key = match number % 4 {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(vec![0xff, 0xfe, 0x00, byte(number)]),
        _ => Some(format!("key-{number}").into_bytes()),
    };
    let value = match number % 5 {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(vec![0xc3, 0x28, 0xff]),
        _ => Some(vec![byte(number); 1 + (number * 37) % 3000]),
    };
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let headers = match number % 3 {
        0 => Vec::new(),
        1 => vec![
            header("h", Some(b"1")),
            header("h", Some(b"2")),
            header("h", Some(b"1")),
        ],
        _ => vec![
            header("none", None),
            header("", Some(b"")),
            header("Grüße", Some(&[0x00, 0xff, 0x80])),
        ],
    };
    Record {
        partition: i32::try_from(number).unwrap() % PARTITIONS,
        offset: 0,
        timestamp: 1_700_000_000_000 + i64::try_from(number).unwrap() * 1000,
        key,
        value,
        headers,
    }
}

/// The same record as far as this client's producer can send it.
fn as_sent_by(kind: Kind, mut record: Record) -> Record {
    if !kind.sends_null_header_values() {
        for (_, value) in &mut record.headers {
            value.get_or_insert_default();
        }
    }
    if !kind.sends_records_of_nothing() && record.value.is_none() {
        record.key.get_or_insert_default();
    }
    record
}

/// Adds records to what a partition is expected to hold.
fn expect(expected: &mut [Vec<Record>], records: &[Record]) {
    for record in records {
        let log = &mut expected[usize::try_from(record.partition).unwrap()];
        let offset = i64::try_from(log.len()).unwrap();
        log.push(record.clone().with_offset(offset));
    }
}

/// Reads every partition with this client and with librdkafka; both must see what is expected.
fn assert_holds(client: &mut Program, target: &Target, topic: &str, expected: &[Vec<Record>]) {
    for (number, expected) in expected.iter().enumerate() {
        let partition = i32::try_from(number).unwrap();
        let consumer = format!("reader-{number}");
        client.consumer(&consumer, &json!({}));
        client.assign(&consumer, topic, partition, &json!("beginning"));
        let seen = client.poll(&consumer, expected.len());
        for (seen, expected) in seen.iter().zip(expected) {
            assert_eq!(seen, expected, "{:?}", client.kind());
        }
        let kept: Vec<RecordSeen> = expected
            .iter()
            .cloned()
            .map(|record| RecordSeen {
                offset: record.offset,
                key: record.key,
                value: record.value,
                headers: record.headers,
            })
            .collect();
        let seen = read_partition(target.address(), topic, partition);
        assert!(
            seen == kept,
            "{:?}: librdkafka sees another partition {partition}",
            client.kind()
        );
    }
}

fn odd_records_make_the_round_trip_with_every_compression_and_acks(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("odd");
    client.create_topic(&topic, 2, &json!({}));
    let mut expected = vec![Vec::new(); 2];
    let records: Vec<Record> = (0..RECORDS)
        .map(|n| as_sent_by(kind, odd_record(n)))
        .collect();
    for compression in COMPRESSIONS {
        // Nobody says when a record sent with acks=0 has arrived: it comes last, and once.
        for acks in ACKS.iter().filter(|acks| **acks != "0") {
            let settings = json!({"compression": compression, "acks": acks, "idempotent": *acks == "all", "linger_ms": 5});
            let producer = format!("{compression}-{acks}");
            client.producer(&producer, &settings);
            let offsets = client.produce(&producer, &topic, &records);
            // Records go to the two partitions in turn.
            let first = i64::try_from(expected[0].len()).unwrap();
            let given: Vec<i64> = (0..).zip(&records).map(|(n, _)| first + n / 2).collect();
            assert_eq!(offsets, given, "{kind:?} {compression} {acks}");
            expect(&mut expected, &records);
        }
    }
    client.producer("unanswered", &json!({"acks": "0", "idempotent": false}));
    let _unknown = client.try_produce("unanswered", &topic, &records);
    expect(&mut expected, &records);
    assert_holds(&mut client, &target, &topic, &expected);
}

fn records_that_librdkafka_wrote_are_read_as_they_were_sent(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("written");
    client.create_topic(&topic, 2, &json!({}));
    let mut expected = vec![Vec::new(); 2];
    let records: Vec<Record> = (0..RECORDS).map(odd_record).collect();
    for compression in COMPRESSIONS {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", target.address())
            .set("compression.type", *compression)
            .set("linger.ms", "5")
            .create()
            .expect("a producer");
        for record in &records {
            send(&producer, &topic, record);
        }
        producer
            .flush(Duration::from_mins(1))
            .expect("all delivered");
        expect(&mut expected, &records);
    }
    assert_holds(&mut client, &target, &topic, &expected);
}

fn send(producer: &BaseProducer, topic: &str, record: &Record) {
    let headers = record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: value.as_ref(),
            })
        });
    let mut message = BaseRecord::<Vec<u8>, Vec<u8>>::to(topic)
        .partition(record.partition)
        .timestamp(record.timestamp)
        .headers(headers);
    message.key = record.key.as_ref();
    message.payload = record.value.as_ref();
    producer
        .send(message)
        .map_err(|(e, _)| e)
        .expect("queueing a record");
}

/// Bytes that no codec makes shorter.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::try_from(length).unwrap();
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn records_of_one_byte_up_to_ten_mib_make_the_round_trip(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("sizes");
    client.create_topic(
        &topic,
        1,
        &json!({"max.message.bytes": (11 * MIB).to_string()}),
    );
    client.producer("p", &json!({"request_bytes_max": 20 * MIB}));
    let sizes = [
        1,
        2,
        127,
        128,
        16_383,
        16_384,
        65_537,
        MIB - 1,
        MIB,
        MIB + 1,
        10 * MIB,
    ];
    let mut expected = Vec::new();
    for size in sizes {
        let record = Record::of(noise(size));
        let offsets = client.produce("p", &topic, std::slice::from_ref(&record));
        assert_eq!(offsets, [i64::try_from(expected.len()).unwrap()]);
        expected.push(record.with_offset(offsets[0]));
        if size == MIB {
            // Larger than the topic allows, and in the middle: the next ones must go on.
            let large = Record::of(noise(12 * MIB));
            let answers = client.try_produce("p", &topic, &[large]);
            let refusal = answers[0].clone().expect_err("12 MiB must be refused");
            assert_eq!(refusal.code, Some(10), "{kind:?}: {refusal:?}");
            if !kind.goes_on_after_a_refusal() {
                client.producer("p", &json!({"request_bytes_max": 20 * MIB}));
            }
        }
    }
    // A consumer is given at least one batch, however little it asks for.
    for settings in [json!({"partition_bytes_max": 1024}), json!({})] {
        client.consumer("c", &settings);
        client.assign("c", &topic, 0, &json!("beginning"));
        let seen = client.poll("c", expected.len());
        assert_eq!(seen, expected, "{kind:?} {settings}");
        client.ask(&json!({"do": "close", "name": "c"}));
    }
}

fn a_slow_consumer_misses_nothing_and_holds_nobody_up(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("slow");
    client.create_topic(&topic, 1, &json!({}));
    client.producer("p", &json!({}));
    let records: Vec<Record> = (0..40).map(|n| Record::of(noise(20_000 + n))).collect();
    let offsets = client.produce("p", &topic, &records);
    let expected: Vec<Record> = records
        .into_iter()
        .zip(offsets)
        .map(|(record, offset)| record.with_offset(offset))
        .collect();
    client.consumer(
        "slow",
        &json!({"partition_bytes_max": 65_536, "fetch_bytes_max": 65_536}),
    );
    client.assign("slow", &topic, 0, &json!("beginning"));
    let mut seen = client.poll("slow", 1);
    for _ in 0..4 {
        // While one dawdles, another reads everything, and records are appended and read.
        client.consumer("quick", &json!({}));
        client.assign("quick", &topic, 0, &json!("beginning"));
        assert_eq!(client.poll("quick", expected.len()), expected, "{kind:?}");
        client.ask(&json!({"do": "close", "name": "quick"}));
        seen.extend(client.poll("slow", 9));
    }
    seen.extend(client.poll("slow", 3));
    assert_eq!(seen, expected, "{kind:?}");
}
