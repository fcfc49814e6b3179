//! What a partition holds as librdkafka reads it, and what a producer was told.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// A partition that cannot be read to its end by then fails the test.
const READ_DURATION_MAX: Duration = Duration::from_mins(2);

/// One acknowledged record: where the broker said it lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivered {
    /// Partition it was sent to.
    pub partition: i32,
    /// Offset it was given.
    pub offset: i64,
    /// Its value.
    pub value: Vec<u8>,
}

/// One record as a consumer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSeen {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers in order, duplicates kept.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Reads one partition from its beginning to its end, CRCs checked.
pub fn read_partition(address: &str, topic: &str, partition: i32) -> Vec<RecordSeen> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning)
        .expect("a partition");
    consumer.assign(&list).expect("assigning");
    let mut seen = Vec::new();
    let deadline = Instant::now() + READ_DURATION_MAX;
    loop {
        assert!(
            Instant::now() < deadline,
            "{topic}-{partition}: no end after {} records",
            seen.len()
        );
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => seen.push(RecordSeen {
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers
                        .iter()
                        .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                        .collect()
                }),
            }),
            Some(Err(KafkaError::PartitionEOF(_))) => return seen,
            Some(Err(e)) => panic!("{topic}-{partition}: {e}"),
        }
    }
}
