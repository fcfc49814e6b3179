//! Producers under `kill -9`: everything acknowledged is read back, once, in order, unchanged.
//!
//! `ODRADEK_TEST_KILLS` sets the number of kills; 50 in the short form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tests_clients::{Broker, Delivered, read_partition};

const PARTITIONS: i32 = 6;
const TOPIC: &str = "killed";
/// How many records must have been acknowledged between two kills, so that each kill hits work.
const ACKNOWLEDGED_BETWEEN_KILLS: u64 = 200;

/// Remembers what the broker acknowledged.
#[derive(Clone, Default)]
struct Acknowledged {
    records: Arc<Mutex<Vec<Delivered>>>,
    count: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                self.records.lock().unwrap().push(Delivered {
                    partition: message.partition(),
                    offset: message.offset(),
                    value: message.payload().unwrap_or_default().to_vec(),
                });
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            Err((e, _)) => {
                eprintln!("not delivered: {e}");
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn kills() -> u64 {
    std::env::var("ODRADEK_TEST_KILLS").map_or(50, |n| n.parse().expect("a number of kills"))
}

/// Record `number` of a partition: its number, then bytes that follow from it.
fn value(partition: i32, number: u64) -> Vec<u8> {
    let mut value = format!("{partition} {number} ").into_bytes();
    let length = usize::try_from(number * 7919 % 2000).unwrap();
    let filler = u8::try_from(number % 251).unwrap();
    value.extend(std::iter::repeat_n(filler, length));
    value
}

/// Sends numbered records to every partition until told to stop; returns how many to each.
fn send_until(stop: &AtomicBool, producer: &ThreadedProducer<Acknowledged>) -> u64 {
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        for partition in 0..PARTITIONS {
            let value = value(partition, sent);
            let mut record = BaseRecord::<(), [u8]>::to(TOPIC)
                .partition(partition)
                .payload(&value);
            // A full queue is waited for, so that no number is left out.
            while let Err((e, returned)) = producer.send(record) {
                assert_eq!(
                    e.rdkafka_error_code(),
                    Some(rdkafka::types::RDKafkaErrorCode::QueueFull)
                );
                record = returned;
                thread::sleep(Duration::from_millis(2));
            }
        }
        sent += 1;
        thread::sleep(Duration::from_micros(200));
    }
    sent
}

/// Kills and restarts the broker under its producer; returns how long each restart took.
fn kill_again_and_again(broker: &mut Broker, acknowledged: &Acknowledged) -> Vec<Duration> {
    let mut recoveries = Vec::new();
    for kill in 0..kills() {
        let target = acknowledged.count.load(Ordering::Relaxed) + ACKNOWLEDGED_BETWEEN_KILLS;
        let deadline = Instant::now() + Duration::from_mins(2);
        while acknowledged.count.load(Ordering::Relaxed) < target {
            assert!(
                Instant::now() < deadline,
                "kill {kill}: nothing is acknowledged any more"
            );
            assert!(
                broker.is_running(),
                "kill {kill}: the broker ended by itself"
            );
            thread::sleep(Duration::from_millis(1));
        }
        // Another moment each time, so that kills meet appends, flushes and answers.
        thread::sleep(Duration::from_micros(kill * 1371 % 9000));
        broker.kill();
        let began = Instant::now();
        broker.restart();
        recoveries.push(began.elapsed());
    }
    recoveries.sort();
    recoveries
}

/// Every record sent is in its partition once, in order, unchanged, where the broker said.
fn compare(broker: &Broker, records: &[Delivered]) {
    for partition in 0..PARTITIONS {
        let seen = read_partition(broker.address(), TOPIC, partition);
        let expected: Vec<&Delivered> = records
            .iter()
            .filter(|r| r.partition == partition)
            .collect();
        assert_eq!(
            seen.len(),
            expected.len(),
            "partition {partition}: lost or doubled"
        );
        for (number, (seen, expected)) in seen.iter().zip(expected).enumerate() {
            assert_eq!(seen.offset, expected.offset, "partition {partition}");
            let bytes = value(partition, u64::try_from(number).unwrap());
            assert_eq!(
                seen.value.as_ref(),
                Some(&bytes),
                "partition {partition} reordered"
            );
            assert_eq!(
                expected.value, bytes,
                "partition {partition} acknowledged out of order"
            );
        }
    }
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let mut broker = Broker::with_defaults();
    broker.create_topic(TOPIC, usize::try_from(PARTITIONS).unwrap());
    let acknowledged = Acknowledged::default();
    let producer: Arc<ThreadedProducer<Acknowledged>> = Arc::new(
        ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "1")
            .set("compression.type", "lz4")
            .set("message.timeout.ms", "300000")
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "200")
            .set("queue.buffering.max.messages", "5000")
            .create_with_context(acknowledged.clone())
            .expect("a producer"),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let sender = {
        let (producer, stop) = (Arc::clone(&producer), Arc::clone(&stop));
        thread::spawn(move || send_until(&stop, &producer))
    };
    let recoveries = kill_again_and_again(&mut broker, &acknowledged);
    stop.store(true, Ordering::Relaxed);
    let sent = sender.join().expect("the sender");
    producer
        .flush(Duration::from_mins(3))
        .expect("everything is answered in the end");
    assert_eq!(
        acknowledged.failed.load(Ordering::Relaxed),
        0,
        "records were refused"
    );

    let mut records = acknowledged.records.lock().unwrap().clone();
    records.sort();
    assert_eq!(
        u64::try_from(records.len()).unwrap(),
        sent * u64::try_from(PARTITIONS).unwrap()
    );
    compare(&broker, &records);
    println!(
        "{} kills, {} records acknowledged, 0 lost, restart p50 {:?} max {:?}",
        recoveries.len(),
        records.len(),
        recoveries.get(recoveries.len() / 2),
        recoveries.last()
    );
}
