//! What a client knows of a cluster: brokers, and the leaders of the topics it asked about.

use engine_model::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, TopicId};
use net_protocol::Text;
use net_protocol::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};
use std::collections::BTreeMap;

/// A broker and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: Text,
    /// Port.
    pub port: i32,
    /// Rack, if it has one.
    pub rack: Option<Text>,
}

/// A partition as a broker described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: PartitionIndex,
    /// Why there is no leader, or `NONE`.
    pub error: ErrorCode,
    /// The leader, or -1.
    pub leader: NodeId,
    /// Its epoch, or -1.
    pub leader_epoch: LeaderEpoch,
    /// All replicas.
    pub replicas: Vec<NodeId>,
    /// Those in sync.
    pub isr: Vec<NodeId>,
    /// Those that are down.
    pub offline: Vec<NodeId>,
}

/// A topic as a broker described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id; zero where the broker is too old to say.
    pub id: TopicId,
    /// Why there is nothing to know, or `NONE`.
    pub error: ErrorCode,
    /// Whether it belongs to Kafka itself.
    pub is_internal: bool,
    /// Its partitions in order.
    pub partitions: Vec<Partition>,
}

/// What a client knows of a cluster. Only grows and changes by `update`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Id of the cluster, if told.
    pub id: Option<Text>,
    /// The controller, or -1.
    pub controller: Option<NodeId>,
    /// Every broker.
    pub brokers: BTreeMap<NodeId, Broker>,
    /// The topics that were asked about.
    pub topics: BTreeMap<Text, Topic>,
}

impl Cluster {
    /// Takes an answer: brokers are replaced, topics in it added or replaced.
    pub fn update(&mut self, response: MetadataResponse) {
        self.id = response.cluster_id;
        self.controller = Some(response.controller_id).filter(|node| *node != NodeId::NONE);
        self.brokers = response
            .brokers
            .into_iter()
            .map(|broker| {
                let address = Broker {
                    host: broker.host,
                    port: broker.port,
                    rack: broker.rack,
                };
                (broker.node_id, address)
            })
            .collect();
        for topic in response.topics {
            if let Some(name) = topic.name.clone() {
                self.topics.insert(name, describe(topic));
            }
        }
    }

    /// The leader of a partition, if one is known.
    pub fn leader(&self, topic: &str, partition: PartitionIndex) -> Option<(NodeId, LeaderEpoch)> {
        let partition = self.partition(topic, partition)?;
        (partition.leader != NodeId::NONE).then_some((partition.leader, partition.leader_epoch))
    }

    /// A partition, if it is known.
    pub fn partition(&self, topic: &str, partition: PartitionIndex) -> Option<&Partition> {
        let topic = self.topics.get(topic)?;
        topic.partitions.iter().find(|p| p.index == partition)
    }
}

fn describe(topic: MetadataResponseTopic) -> Topic {
    let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.index);
    Topic {
        id: topic.topic_id,
        error: topic.error_code,
        is_internal: topic.is_internal,
        partitions,
    }
}

fn partition(partition: MetadataResponsePartition) -> Partition {
    Partition {
        index: partition.partition_index,
        error: partition.error_code,
        leader: partition.leader_id,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes,
        isr: partition.isr_nodes,
        offline: partition.offline_replicas,
    }
}
