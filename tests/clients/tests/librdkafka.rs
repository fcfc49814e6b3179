//! librdkafka against the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::producer::{DefaultProducerContext, NoCustomPartitioner};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use tests_clients::{ACKS, Broker, COMPRESSIONS, RecordSeen, read_partition};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 100;

type TestProducer = ThreadedProducer<DefaultProducerContext, NoCustomPartitioner>;

fn producer(address: &str, settings: &[(&str, &str)]) -> TestProducer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("linger.ms", "2");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
        .create_with_context(DefaultProducerContext)
        .expect("a producer")
}

/// A record of the given number: keys, values and headers of every odd kind.
fn record(number: usize) -> RecordSeen {
    let key = match number % 4 {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(vec![0xff, 0xfe, u8::try_from(number % 256).unwrap()]),
        _ => Some(format!("key-{number}").into_bytes()),
    };
    let value = match number % 5 {
        0 => None,
        1 => Some(Vec::new()),
        _ => Some(vec![
            u8::try_from(number % 251).unwrap();
            1 + (number * 37) % 3000
        ]),
    };
    let headers = match number % 3 {
        0 => Vec::new(),
        1 => vec![
            ("h".to_owned(), Some(b"1".to_vec())),
            ("h".to_owned(), Some(b"2".to_vec())),
        ],
        _ => vec![
            ("none".to_owned(), None),
            ("raw".to_owned(), Some(vec![0, 0xff])),
        ],
    };
    RecordSeen {
        offset: 0,
        key,
        value,
        headers,
    }
}

fn send(producer: &TestProducer, topic: &str, partition: i32, record: &RecordSeen) {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &record.headers {
        headers = headers.insert(Header {
            key,
            value: value.as_ref(),
        });
    }
    let mut message = BaseRecord::<Vec<u8>, Vec<u8>>::to(topic)
        .partition(partition)
        .headers(headers);
    if let Some(key) = &record.key {
        message = message.key(key);
    }
    if let Some(value) = &record.value {
        message = message.payload(value);
    }
    producer
        .send(message)
        .map_err(|(e, _)| e)
        .expect("queueing a record");
}

#[test]
fn records_of_every_kind_make_the_round_trip_with_every_compression_and_acks() {
    let broker = Broker::with_defaults();
    broker.create_topic("kinds", usize::try_from(PARTITIONS).unwrap());
    let mut expected: BTreeMap<i32, Vec<RecordSeen>> = BTreeMap::new();
    for compression in COMPRESSIONS {
        for acks in ACKS {
            let producer = producer(
                broker.address(),
                &[("compression.type", compression), ("acks", acks)],
            );
            for number in 0..RECORDS {
                let partition = i32::try_from(number).unwrap() % PARTITIONS;
                let mut record = record(number);
                send(&producer, "kinds", partition, &record);
                let log = expected.entry(partition).or_default();
                record.offset = i64::try_from(log.len()).unwrap();
                log.push(record);
            }
            producer
                .flush(Duration::from_mins(1))
                .expect("all records delivered");
        }
    }
    for (partition, expected) in expected {
        let seen = read_partition(broker.address(), "kinds", partition);
        assert_eq!(seen, expected, "partition {partition}");
    }
}

#[test]
fn an_idempotent_producer_goes_on_after_a_restart_of_the_broker() {
    let mut broker = Broker::with_defaults();
    broker.create_topic("idempotent", 2);
    let producer = producer(broker.address(), &[("enable.idempotence", "true")]);
    let mut expected: BTreeMap<i32, Vec<RecordSeen>> = BTreeMap::new();
    for round in 0..4 {
        for number in 0..RECORDS {
            let partition = i32::try_from(number).unwrap() % 2;
            let mut record = record(number + round);
            send(&producer, "idempotent", partition, &record);
            let log = expected.entry(partition).or_default();
            record.offset = i64::try_from(log.len()).unwrap();
            log.push(record);
        }
        producer
            .flush(Duration::from_mins(1))
            .expect("all records delivered");
        broker.kill();
        broker.restart();
    }
    for (partition, expected) in expected {
        let seen = read_partition(broker.address(), "idempotent", partition);
        assert_eq!(seen, expected, "partition {partition}");
    }
}

#[test]
fn a_record_larger_than_the_topic_allows_is_refused_and_the_connection_goes_on() {
    let broker = Broker::with_defaults();
    broker.create_topic("limited", 1);
    let producer = producer(
        broker.address(),
        &[
            ("message.max.bytes", "20000000"),
            ("acks", "all"),
            ("compression.type", "none"),
        ],
    );
    let small = RecordSeen {
        offset: 0,
        key: None,
        value: Some(vec![7; 100]),
        headers: vec![],
    };
    let large = RecordSeen {
        value: Some(vec![8; 2_000_000]),
        ..small.clone()
    };
    send(&producer, "limited", 0, &small);
    producer
        .flush(Duration::from_mins(1))
        .expect("the small one delivered");
    send(&producer, "limited", 0, &large);
    producer
        .flush(Duration::from_mins(1))
        .expect("the large one answered");
    send(&producer, "limited", 0, &small);
    producer
        .flush(Duration::from_mins(1))
        .expect("the second small one delivered");
    let seen = read_partition(broker.address(), "limited", 0);
    assert_eq!(seen, [small.clone(), RecordSeen { offset: 1, ..small }]);
}

#[test]
fn metadata_names_every_partition_with_this_broker_as_its_leader() {
    let broker = Broker::with_defaults();
    broker.create_topic("known", 7);
    let producer = producer(broker.address(), &[]);
    let metadata = producer
        .client()
        .fetch_metadata(Some("known"), Duration::from_secs(30))
        .expect("metadata");
    assert_eq!(metadata.brokers().len(), 1);
    let node = &metadata.brokers()[0];
    assert_eq!(format!("{}:{}", node.host(), node.port()), broker.address());
    let topic = &metadata.topics()[0];
    assert_eq!(topic.partitions().len(), 7);
    for partition in topic.partitions() {
        assert_eq!(partition.leader(), node.id());
        assert_eq!(partition.replicas(), [node.id()]);
        assert_eq!(partition.isr(), [node.id()]);
    }
    let (low, high) = producer
        .client()
        .fetch_watermarks("known", 6, Duration::from_secs(30))
        .expect("watermarks");
    assert_eq!((low, high), (0, 0));
}

#[test]
fn consumers_see_timestamps_the_producer_gave() {
    let broker = Broker::with_defaults();
    broker.create_topic("timestamps", 1);
    let producer = producer(broker.address(), &[]);
    // A minute apart, in the past.
    let times = [1_700_000_000_000_i64, 1_700_000_060_000, 1_700_000_120_000];
    for time in times {
        producer
            .send(
                BaseRecord::<(), [u8]>::to("timestamps")
                    .payload(&b"x"[..])
                    .timestamp(time),
            )
            .map_err(|(e, _)| e)
            .expect("queueing");
        producer.flush(Duration::from_mins(1)).expect("delivered");
    }
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("group.id", "times")
        .create()
        .expect("a consumer");
    let mut query = TopicPartitionList::new();
    query
        .add_partition_offset("timestamps", 0, Offset::Offset(times[1] - 1))
        .unwrap();
    let found = consumer
        .offsets_for_times(query, Duration::from_secs(30))
        .expect("offsets");
    assert_eq!(found.elements()[0].offset(), Offset::Offset(1));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("timestamps", 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    let mut seen = Vec::new();
    for _ in 0..300 {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            seen.push(
                message
                    .expect("a record")
                    .timestamp()
                    .to_millis()
                    .expect("a timestamp"),
            );
        }
        if seen.len() == times.len() {
            break;
        }
    }
    assert_eq!(seen, times);
}
