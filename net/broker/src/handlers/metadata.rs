//! Metadata: brokers, topics and partitions out of this shard's image; creates missing topics.
//!
//! Source: Kafka 4.3.1's answers, KIP-204, KIP-430 (authorized operations), KIP-516 (topic ids).

use engine_model::{ErrorCode, NodeId, TopicId, TopicName};
use net_protocol::Text;
use net_protocol::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use net_transport::Client;
use replication_metadata::{MetadataImage, PartitionImage, TopicImage};
use std::collections::BTreeMap;

use crate::broker::Broker;

/// In version 0 an empty list of topics means all of them.
const EMPTY_IS_NONE_FROM: i16 = 1;
/// From this version on topics may be asked for by id.
const IDS_FROM: i16 = 12;

/// The name of the controller's log, which clients cannot reach.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Bits of the operations on a topic: read, write, create, delete, alter, describe, and describe
/// and alter its settings. Source: Kafka's `AclOperation` numbers.
pub(crate) const TOPIC_OPERATIONS: i32 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// Bits of the operations on a cluster: create, alter, describe, cluster action, describe and
/// alter settings, idempotent write.
pub(crate) const CLUSTER_OPERATIONS: i32 =
    1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// Answers from the image; topics that may be created are created first.
pub(crate) async fn metadata(
    broker: &Broker,
    version: i16,
    request: MetadataRequest,
    client: &Client,
) -> MetadataResponse {
    let operations = request.include_topic_authorized_operations;
    let wanted = match request.topics {
        Some(topics) if !topics.is_empty() || version >= EMPTY_IS_NONE_FROM => Some(topics),
        _ => None,
    };
    if let Some(topics) = &wanted
        && let Some(refused) = refuse_ids(version, topics)
    {
        return MetadataResponse {
            topics: refused,
            ..MetadataResponse::default()
        };
    }
    let mut refusals = BTreeMap::new();
    if let Some(topics) = &wanted
        && request.allow_auto_topic_creation
        && broker.config().auto_create_topics
    {
        refusals = create_missing(broker, topics).await;
    }
    let image = broker.image();
    let topics = match &wanted {
        None => image
            .topics()
            .map(|topic| describe(&image, topic, operations))
            .collect(),
        Some(topics) => {
            let mut described: Vec<MetadataResponseTopic> = topics
                .iter()
                .map(|topic| one(&image, topic, &refusals, operations))
                .collect();
            described.sort_by(|a, b| (&a.name, a.topic_id).cmp(&(&b.name, b.topic_id)));
            described.dedup_by(|a, b| (&a.name, a.topic_id) == (&b.name, b.topic_id));
            described
        }
    };
    let mut response = MetadataResponse {
        topics,
        ..cluster(broker, client)
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
}

fn cluster(broker: &Broker, client: &Client) -> MetadataResponse {
    let image = broker.image();
    MetadataResponse {
        brokers: advertised_brokers(broker, client).collect(),
        cluster_id: image.cluster_id().map(|id| Text::from(id.to_string())),
        controller_id: broker.config().node_id,
        ..MetadataResponse::default()
    }
}

/// The brokers as this client can reach them.
pub(crate) fn advertised_brokers(
    broker: &Broker,
    client: &Client,
) -> impl Iterator<Item = MetadataResponseBroker> {
    let (host, port) = broker.advertised().address(client.local_addr());
    let config = broker.config();
    let rack = config.rack.as_deref().map(Text::from);
    let nodes: Vec<NodeId> = broker
        .image()
        .brokers()
        .map(|known| known.node_id)
        .collect();
    nodes
        .into_iter()
        .map(move |node_id| MetadataResponseBroker {
            node_id,
            host: host.clone(),
            port,
            rack: rack.clone(),
        })
}

/// Versions 10 and 11 have a field for the id but do not take it: Kafka refuses the whole request.
fn refuse_ids(version: i16, topics: &[MetadataRequestTopic]) -> Option<Vec<MetadataResponseTopic>> {
    let is_bad =
        |topic: &MetadataRequestTopic| topic.name.is_none() || topic.topic_id != TopicId::ZERO;
    (version < IDS_FROM && topics.iter().any(is_bad)).then(|| {
        topics
            .iter()
            .map(|topic| MetadataResponseTopic {
                error_code: ErrorCode::INVALID_REQUEST,
                name: Some(topic.name.clone().unwrap_or_default()),
                topic_id: topic.topic_id,
                ..MetadataResponseTopic::default()
            })
            .collect()
    })
}

/// Creates the topics that are missing and may be created; returns why others were not.
async fn create_missing(
    broker: &Broker,
    topics: &[MetadataRequestTopic],
) -> BTreeMap<Text, ErrorCode> {
    let image = broker.image();
    let missing: Vec<TopicName> = topics
        .iter()
        .filter(|topic| topic.topic_id == TopicId::ZERO)
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| *name != CLUSTER_METADATA && image.topic_named(name).is_none())
        .filter_map(|name| TopicName::new(name).ok())
        .collect();
    if missing.is_empty() {
        return BTreeMap::new();
    }
    broker.create_automatically(missing).await
}

fn one(
    image: &MetadataImage,
    wanted: &MetadataRequestTopic,
    refusals: &BTreeMap<Text, ErrorCode>,
    operations: bool,
) -> MetadataResponseTopic {
    if wanted.topic_id != TopicId::ZERO {
        return image.topic(wanted.topic_id).map_or_else(
            || MetadataResponseTopic {
                error_code: ErrorCode::UNKNOWN_TOPIC_ID,
                topic_id: wanted.topic_id,
                name: None,
                ..MetadataResponseTopic::default()
            },
            |topic| describe(image, topic, operations),
        );
    }
    let name = wanted.name.clone().unwrap_or_default();
    if let Some(topic) = image.topic_named(&name) {
        return describe(image, topic, operations);
    }
    let error_code = match TopicName::new(&name) {
        Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        Ok(_) => refusals
            .get(&*name)
            .copied()
            .unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    };
    MetadataResponseTopic {
        error_code,
        is_internal: is_internal(&name),
        name: Some(name),
        topic_authorized_operations: told(operations),
        ..MetadataResponseTopic::default()
    }
}

/// Whether a topic of that name would be one of Kafka's own. The controller's log is no topic.
pub(crate) fn is_internal(name: &str) -> bool {
    name != CLUSTER_METADATA && TopicName::new(name).is_ok_and(|name| name.is_internal())
}

fn told(operations: bool) -> i32 {
    if operations {
        TOPIC_OPERATIONS
    } else {
        i32::MIN
    }
}

fn describe(image: &MetadataImage, topic: &TopicImage, operations: bool) -> MetadataResponseTopic {
    let partitions = topic
        .numbered_partitions()
        .map(|(index, partition)| MetadataResponsePartition {
            error_code: if partition.leader == NodeId::NONE {
                ErrorCode::LEADER_NOT_AVAILABLE
            } else {
                ErrorCode::NONE
            },
            partition_index: index,
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            replica_nodes: partition.replicas.clone(),
            isr_nodes: partition.isr.clone(),
            offline_replicas: offline(image, partition),
        })
        .collect();
    MetadataResponseTopic {
        error_code: ErrorCode::NONE,
        name: Some(Text::from(&topic.name)),
        topic_id: topic.id,
        is_internal: topic.name.is_internal(),
        partitions,
        topic_authorized_operations: told(operations),
    }
}

/// Replicas on brokers that nobody knows.
pub(crate) fn offline(image: &MetadataImage, partition: &PartitionImage) -> Vec<NodeId> {
    let is_unknown = |node: &NodeId| image.broker(*node).is_none();
    partition
        .replicas
        .iter()
        .copied()
        .filter(is_unknown)
        .collect()
}
