//! Well-formed requests of every API in every version: what is mutated.

use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId,
};
use net_protocol::alter_configs::{self, AlterConfigsRequest};
use net_protocol::api_versions::ApiVersionsRequest;
use net_protocol::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use net_protocol::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use net_protocol::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use net_protocol::describe_cluster::DescribeClusterRequest;
use net_protocol::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use net_protocol::describe_topic_partitions::{DescribeTopicPartitionsRequest, TopicRequest};
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use net_protocol::find_coordinator::FindCoordinatorRequest;
use net_protocol::incremental_alter_configs::{self, IncrementalAlterConfigsRequest};
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use net_protocol::metadata::{MetadataRequest, MetadataRequestTopic};
use net_protocol::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use net_protocol::{ApiKey, Records, Request, Text, request_frame};
use std::ops::Range;

/// Stands for the topic's id in seeds and in the files of the corpus; the real one is put in its
/// place when a frame is sent.
pub const TOPIC_ID_PLACE: [u8; 16] = *b"<the topic's id>";

/// A well-formed request frame, its length first.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The API.
    pub api: ApiKey,
    /// Its version.
    pub version: i16,
    /// The frame.
    pub bytes: Vec<u8>,
    /// Where a record batch stands in it.
    pub batch: Option<Range<usize>>,
}

/// Seeds around the topic `name`, which has two partitions.
pub fn seeds(name: &str) -> Vec<Seed> {
    let mut found = Vec::new();
    let id = TopicId::from_bytes(TOPIC_ID_PLACE);
    for batch in batches() {
        for acks in [-1, 0, 1] {
            let request = ProduceRequest {
                acks,
                timeout_ms: 1000,
                topic_data: vec![TopicProduceData {
                    name: name.into(),
                    topic_id: id,
                    partition_data: (0..2)
                        .map(|index| PartitionProduceData {
                            index: PartitionIndex::new(index),
                            records: Some(Records::from(batch.clone())),
                        })
                        .collect(),
                }],
                ..ProduceRequest::default()
            };
            add(&mut found, &request, Some(&batch));
        }
    }
    for session in [(0, -1), (0, 0), (7, 3)] {
        add(&mut found, &fetch(name, id, session), None);
    }
    for timestamp in [-1, -2, -3, -4, -5, 0, 1_700_000_000_000] {
        let request = ListOffsetsRequest {
            replica_id: NodeId(-1),
            topics: vec![ListOffsetsTopic {
                name: name.into(),
                partitions: partitions(|index| ListOffsetsPartition {
                    partition_index: index,
                    timestamp: Timestamp(timestamp),
                    ..ListOffsetsPartition::default()
                }),
            }],
            ..ListOffsetsRequest::default()
        };
        add(&mut found, &request, None);
    }
    for topics in [None, Some(Vec::new()), Some(vec![metadata_topic(name, id)])] {
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        add(&mut found, &request, None);
    }
    add_admin(&mut found, name);
    add_configs(&mut found, name);
    add_small(&mut found, name);
    found
}

fn partitions<T>(make: impl Fn(PartitionIndex) -> T) -> Vec<T> {
    (0..2)
        .map(|index| make(PartitionIndex::new(index)))
        .collect()
}

fn metadata_topic(name: &str, id: TopicId) -> MetadataRequestTopic {
    MetadataRequestTopic {
        topic_id: id,
        name: Some(name.into()),
    }
}

fn fetch(name: &str, id: TopicId, (session_id, session_epoch): (i32, i32)) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 1,
        min_bytes: 0,
        max_bytes: 1 << 20,
        session_id,
        session_epoch,
        topics: vec![FetchTopic {
            topic: name.into(),
            topic_id: id,
            partitions: partitions(|partition| FetchPartition {
                partition,
                fetch_offset: Offset::ZERO,
                partition_max_bytes: 1 << 14,
                ..FetchPartition::default()
            }),
        }],
        forgotten_topics_data: vec![ForgottenTopic {
            topic: name.into(),
            topic_id: id,
            partitions: partitions(|index| index),
        }],
        ..FetchRequest::default()
    }
}

/// Without a time to wait the broker begins no change.
const CHANGE_MS: i32 = 10_000;

fn add_admin(found: &mut Vec<Seed>, name: &str) {
    for validate_only in [true, false] {
        let request = CreateTopicsRequest {
            topics: vec![
                CreatableTopic {
                    name: "fuzz-a".into(),
                    num_partitions: 2,
                    replication_factor: 1,
                    configs: vec![CreatableTopicConfig {
                        name: "max.message.bytes".into(),
                        value: Some("1000".into()),
                    }],
                    ..CreatableTopic::default()
                },
                CreatableTopic {
                    name: "fuzz-b".into(),
                    num_partitions: -1,
                    replication_factor: -1,
                    assignments: vec![CreatableReplicaAssignment {
                        partition_index: PartitionIndex::ZERO,
                        broker_ids: vec![NodeId(1)],
                    }],
                    ..CreatableTopic::default()
                },
            ],
            validate_only,
            ..CreateTopicsRequest::default()
        };
        add(found, &request, None);
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: "fuzz-a".into(),
                count: 3,
                assignments: Some(vec![CreatePartitionsAssignment {
                    broker_ids: vec![NodeId(1)],
                }]),
            }],
            validate_only,
            timeout_ms: CHANGE_MS,
        };
        add(found, &request, None);
    }
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: Some("fuzz-a".into()),
            ..DeleteTopicState::default()
        }],
        topic_names: vec!["fuzz-a".into(), "fuzz-b".into()],
        timeout_ms: CHANGE_MS,
    };
    add(found, &request, None);
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: name.into(),
            partitions: partitions(|partition_index| DeleteRecordsPartition {
                partition_index,
                offset: Offset::new(1),
            }),
        }],
        timeout_ms: CHANGE_MS,
    };
    add(found, &request, None);
    let request = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: name.into(),
            partitions: partitions(|partition| OffsetForLeaderPartition {
                partition,
                leader_epoch: LeaderEpoch::new(1),
                ..OffsetForLeaderPartition::default()
            }),
        }],
        ..OffsetForLeaderEpochRequest::default()
    };
    add(found, &request, None);
    let request = DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest { name: name.into() }],
        ..DescribeTopicPartitionsRequest::default()
    };
    add(found, &request, None);
}

fn add_configs(found: &mut Vec<Seed>, name: &str) {
    for (resource_type, resource_name, setting, value) in [
        (2, "fuzz-a", "cleanup.policy", "compact"),
        (4, "1", "log.cleanup.policy", "delete"),
    ] {
        let request = AlterConfigsRequest {
            resources: vec![alter_configs::AlterConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configs: vec![alter_configs::AlterableConfig {
                    name: setting.into(),
                    value: Some(value.into()),
                }],
            }],
            validate_only: false,
        };
        add(found, &request, None);
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs::AlterConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configs: [0, 2, 3, 1]
                    .map(
                        |config_operation| incremental_alter_configs::AlterableConfig {
                            name: setting.into(),
                            config_operation,
                            value: Some(value.into()),
                        },
                    )
                    .into(),
            }],
            validate_only: false,
        };
        add(found, &request, None);
    }
    for (resource_type, resource_name) in [(2, name), (4, "1")] {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configuration_keys: Some(vec!["compression.type".into(), "".into()]),
            }],
            include_synonyms: true,
            include_documentation: false,
        };
        add(found, &request, None);
    }
}

fn add_small(found: &mut Vec<Seed>, name: &str) {
    add(found, &DescribeClusterRequest::default(), None);
    let request = FindCoordinatorRequest {
        key: name.into(),
        coordinator_keys: vec![name.into(), "other".into()],
        ..FindCoordinatorRequest::default()
    };
    add(found, &request, None);
    let request = ApiVersionsRequest {
        client_software_name: "tests-hostile".into(),
        client_software_version: "1.0".into(),
    };
    add(found, &request, None);
    add(found, &InitProducerIdRequest::default(), None);
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1000,
        ..InitProducerIdRequest::default()
    };
    add(found, &request, None);
}

/// The request in every version that can carry it.
fn add<R: Request>(found: &mut Vec<Seed>, request: &R, batch: Option<&Bytes>) {
    let client = Text::from("tests-hostile");
    for version in R::KEY.versions() {
        let Ok(pieces) = request_frame(version, 7, Some(&client), request) else {
            continue;
        };
        let bytes = pieces.concat();
        let batch = batch.and_then(|batch| {
            let at = bytes
                .windows(batch.len())
                .position(|window| window == batch)?;
            Some(at..at + batch.len())
        });
        found.push(Seed {
            api: R::KEY,
            version,
            bytes,
            batch,
        });
    }
}

/// Batches in every codec, of idempotent producers and others.
fn batches() -> Vec<Bytes> {
    let mut found = Vec::new();
    for compression in Compression::ALL {
        for producer in [-1, 5] {
            let options = BatchOptions {
                compression,
                producer_id: ProducerId(producer),
                producer_epoch: ProducerEpoch::new(if producer < 0 { -1 } else { 0 }),
                base_sequence: Sequence::new(if producer < 0 { -1 } else { 0 }),
                ..BatchOptions::default()
            };
            let mut builder = BatchBuilder::new(options);
            for n in 0..4_u8 {
                let value = vec![n; usize::from(n) * 40];
                let headers: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"v")), (b"h", None)];
                let record = RecordData {
                    timestamp: Timestamp(1_700_000_000_000 + i64::from(n)),
                    key: (n % 2 == 0).then_some(b"key".as_slice()),
                    value: (n != 3).then_some(value.as_slice()),
                    headers: &headers,
                };
                assert!(builder.append(&record).unwrap());
            }
            found.push(builder.build().unwrap());
        }
    }
    found
}
