//! The machines against brokers that are made up: honest, faulty, hostile.

mod connection;
mod consumer;
mod producer;

use crate::Answer;
use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::{LeaderEpoch, NodeId, Offset, PartitionIndex, Timestamp, TopicId};
use net_protocol::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

const TOPIC: &str = "topic";

/// A topic of `partitions` on two brokers: even partitions are led by 1, odd ones by 2.
fn metadata(partitions: i32) -> Answer {
    let broker = |id: i32| MetadataResponseBroker {
        node_id: NodeId(id),
        host: "h".into(),
        port: id,
        rack: None,
    };
    let partition = |index: i32| MetadataResponsePartition {
        partition_index: PartitionIndex::new(index),
        leader_id: leader(PartitionIndex::new(index)),
        leader_epoch: LeaderEpoch::new(4),
        ..MetadataResponsePartition::default()
    };
    Answer::Metadata(MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        controller_id: NodeId(1),
        topics: vec![MetadataResponseTopic {
            name: Some(TOPIC.into()),
            topic_id: TopicId::from_bytes([1; 16]),
            partitions: (0..partitions).map(partition).collect(),
            ..MetadataResponseTopic::default()
        }],
        ..MetadataResponse::default()
    })
}

fn leader(partition: PartitionIndex) -> NodeId {
    NodeId(1 + partition.get() % 2)
}

/// A batch of values at an offset.
fn batch(base_offset: i64, values: &[String], is_control: bool, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(base_offset),
        is_control,
        compression,
        ..BatchOptions::default()
    });
    for value in values {
        let data = RecordData {
            timestamp: Timestamp(base_offset),
            value: Some(value.as_bytes()),
            ..RecordData::default()
        };
        assert!(builder.append(&data).unwrap());
    }
    builder.build().unwrap()
}
