//! Batches as producers write them, and what consumers find in an answer.

use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, RecordData, batches};
use engine_model::{
    Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
};
use net_protocol::Records;
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use net_protocol::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};

use crate::client::Client;

/// One batch of these values, without keys.
pub fn batch<V: AsRef<[u8]>>(values: &[V]) -> Bytes {
    batch_with(BatchOptions::default(), values)
}

/// One batch of an idempotent producer.
pub fn sequenced<V: AsRef<[u8]>>(producer: ProducerId, sequence: i32, values: &[V]) -> Bytes {
    let options = BatchOptions {
        producer_id: producer,
        producer_epoch: ProducerEpoch::ZERO,
        base_sequence: Sequence::new(sequence),
        ..BatchOptions::default()
    };
    batch_with(options, values)
}

/// One batch with these options.
pub fn batch_with<V: AsRef<[u8]>>(options: BatchOptions, values: &[V]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for value in values {
        let record = RecordData {
            timestamp: Timestamp(1_799_999_000_000),
            value: Some(value.as_ref()),
            ..RecordData::default()
        };
        assert!(builder.append(&record).unwrap(), "the batch is full");
    }
    builder.build().unwrap()
}

/// A topic as a request names it: by name and id, of which each version takes its own.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The name.
    pub name: String,
    /// The id.
    pub id: TopicId,
}

impl Topic {
    /// A topic that no node has.
    pub fn unknown() -> Self {
        Self {
            name: "nowhere".to_owned(),
            id: TopicId::from_bytes([9; 16]),
        }
    }
}

/// A Produce of one batch to each of some partitions.
pub fn produce(acks: i16, topic: &Topic, batches: &[(i32, Bytes)]) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.name.as_str().into(),
            topic_id: topic.id,
            partition_data: batches
                .iter()
                .map(|(index, records)| PartitionProduceData {
                    index: PartitionIndex::new(*index),
                    records: Some(Records::from(records.clone())),
                })
                .collect(),
        }],
        ..ProduceRequest::default()
    }
}

/// Sends one batch to one partition and returns what became of it.
pub async fn append(
    client: &mut Client,
    version: i16,
    acks: i16,
    topic: &Topic,
    partition: i32,
    batch: Bytes,
) -> PartitionProduceResponse {
    let request = produce(acks, topic, &[(partition, batch)]);
    let answer = client.call(version, &request).await.unwrap();
    let topic = answer.responses.into_iter().next().unwrap();
    topic.partition_responses.into_iter().next().unwrap()
}

/// A Fetch without a session of some partitions from some offsets.
pub fn fetch(topic: &Topic, wait_ms: i32, min_bytes: i32, offsets: &[(i32, i64)]) -> FetchRequest {
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: topic.name.as_str().into(),
            topic_id: topic.id,
            partitions: offsets
                .iter()
                .map(|(partition, offset)| FetchPartition {
                    partition: PartitionIndex::new(*partition),
                    fetch_offset: Offset::new(*offset),
                    partition_max_bytes: 1 << 20,
                    ..FetchPartition::default()
                })
                .collect(),
        }],
        ..FetchRequest::default()
    }
}

/// The offset after the last batch of a field, which may hold no record any more.
pub fn next_offset(records: Option<&Records>) -> Option<i64> {
    let bytes = records.cloned().unwrap_or_default().into_bytes();
    let last = batches(&bytes).last()?.unwrap();
    Some(last.header().last_offset().get() + 1)
}

/// The records of a field, each with its offset; every batch must be whole.
pub fn read(records: Option<Records>) -> Vec<(i64, Vec<u8>)> {
    let bytes = records.unwrap_or_default().into_bytes();
    let mut found = Vec::new();
    for batch in batches(&bytes) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        for record in batch.records(1 << 30) {
            let record = record.unwrap();
            let offset = batch.header().record_offset(record.offset_delta).get();
            found.push((offset, record.value.unwrap_or_default().to_vec()));
        }
    }
    found
}
