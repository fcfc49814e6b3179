//! What the APIs of administration answer to what is wrong, and to what is right in each of their
//! versions. Codes and words are Kafka 4.3.1's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    missing_docs,
    reason = "test code: a failure is the report"
)]

mod configs;
mod epochs;
mod many;
mod metadata;
mod pages;
mod partitions;
mod records_deleted;
mod topics;

use bytes::Bytes;
use engine_model::TopicId;
use net_protocol::produce::PartitionProduceResponse;
use tests_sim::Client;
use tests_sim::records::{self, Topic};

async fn produce(
    client: &mut Client,
    version: i16,
    acks: i16,
    topic: &Topic,
    partition: i32,
    batch: Bytes,
) -> PartitionProduceResponse {
    let request = records::produce(acks, topic, &[(partition, batch)]);
    let answer = client.call(version, &request).await.unwrap();
    let topic = answer.responses.into_iter().next().unwrap();
    topic.partition_responses.into_iter().next().unwrap()
}

fn unknown() -> Topic {
    Topic {
        name: "nowhere".to_owned(),
        id: TopicId::from_bytes([9; 16]),
    }
}
