//! An immutable snapshot of the cluster's metadata, cheap to clone and free to cross shards.
//!
//! Keeps: `topics` by name and by id hold the same topics; a topic's partitions are numbered from
//! 0 without gap; every partition names at least one replica.
//! Only `apply` (used by [`crate::Controller::replay`]) makes a different image, by copying what changes:
//! a clone held elsewhere never moves.

mod apply;

use crate::record::{BrokerRecord, ConfigResource};
use engine_config::BrokerConfig;
use engine_model::{
    ClusterId, DirectoryId, HashMap, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerId,
    TopicId, TopicName, TopicPartition,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The settings of one resource, in their stored form.
pub(crate) type Configs = BTreeMap<String, String>;

/// A registered broker.
pub type BrokerImage = BrokerRecord;

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The leader, or `NodeId::NONE`.
    pub leader: NodeId,
    /// Raised at every start of leadership.
    pub leader_epoch: LeaderEpoch,
    /// Raised at every change.
    pub partition_epoch: i32,
    /// The brokers that hold it; the first is preferred as leader.
    pub replicas: Vec<NodeId>,
    /// The directory of each replica, in the same order.
    pub directories: Vec<DirectoryId>,
    /// The replicas in sync.
    pub isr: Vec<NodeId>,
    /// Replicas that may lead although they left the ISR.
    pub elr: Vec<NodeId>,
}

/// One topic with its partitions and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// Its partitions; the place in the list is the number.
    pub partitions: Vec<PartitionImage>,
    /// How many replicas it should have; more than it has where nodes were lacking.
    pub wanted_replication_factor: i16,
    /// The settings it was given, in their stored form; the rest are the broker's defaults.
    pub configs: BTreeMap<String, String>,
}

impl TopicImage {
    /// One of its partitions.
    pub fn partition(&self, partition: PartitionIndex) -> Option<&PartitionImage> {
        self.partitions.get(usize::try_from(partition.get()).ok()?)
    }

    /// Its partitions by number, in order.
    pub fn numbered_partitions(&self) -> impl Iterator<Item = (PartitionIndex, &PartitionImage)> {
        (0..).map(PartitionIndex::new).zip(&self.partitions)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Topics {
    by_id: HashMap<TopicId, Arc<TopicImage>>,
    by_name: BTreeMap<TopicName, TopicId>,
    partition_count: usize,
}

/// The metadata of the cluster as of one offset of `__cluster_metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataImage {
    next_offset: Offset,
    cluster_id: Option<ClusterId>,
    features: Arc<BTreeMap<String, i16>>,
    brokers: Arc<BTreeMap<NodeId, BrokerImage>>,
    broker_configs: Arc<BTreeMap<Option<NodeId>, Configs>>,
    topics: Arc<Topics>,
    next_producer_id: ProducerId,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self {
            next_offset: Offset::ZERO,
            cluster_id: None,
            features: Arc::default(),
            brokers: Arc::default(),
            broker_configs: Arc::default(),
            topics: Arc::default(),
            next_producer_id: ProducerId(0),
        }
    }
}

impl MetadataImage {
    /// The end of what the image holds: every record below this offset, and none at or above.
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The cluster's identity, once it is formed.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// The level of a feature.
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }

    /// The registered brokers, in order of their numbers.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &BrokerImage> {
        self.brokers.values()
    }

    /// One broker.
    pub fn broker(&self, node_id: NodeId) -> Option<&BrokerImage> {
        self.brokers.get(&node_id)
    }

    /// The topics, in order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics
            .by_name
            .values()
            .filter_map(|id| self.topics.by_id.get(id))
    }

    /// The topics whose names stand at or after `name`, in order of their names.
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        let from = (
            core::ops::Bound::Included(name),
            core::ops::Bound::Unbounded,
        );
        let ids = self.topics.by_name.range::<str, _>(from).map(|(_, id)| id);
        ids.filter_map(|id| self.topics.by_id.get(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.by_id.len()
    }

    /// How many partitions there are, all topics together.
    pub fn partition_count(&self) -> usize {
        self.topics.partition_count
    }

    /// A topic by its id.
    pub fn topic(&self, topic_id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.by_id.get(&topic_id)
    }

    /// A topic by its name, which need not be a legal one.
    pub fn topic_named(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.by_id.get(self.topics.by_name.get(name)?)
    }

    /// A partition.
    pub fn partition(&self, partition: TopicPartition) -> Option<&PartitionImage> {
        self.topic(partition.topic_id)?
            .partition(partition.partition)
    }

    /// The settings given to a resource, in their stored form; `None` where there are none.
    pub fn configs(&self, resource: ConfigResource) -> Option<&BTreeMap<String, String>> {
        match resource {
            ConfigResource::Topic(topic_id) => self.topic(topic_id).map(|topic| &topic.configs),
            ConfigResource::Broker(node_id) => self.broker_configs.get(&Some(node_id)),
            ConfigResource::AllBrokers => self.broker_configs.get(&None),
        }
    }

    /// The settings in force of a broker that was started with `base`, and the names of changed ones
    /// that do not hold.
    pub fn broker_config(&self, base: &BrokerConfig) -> (BrokerConfig, Vec<String>) {
        let all = self.configs(ConfigResource::AllBrokers);
        let own = self.configs(ConfigResource::Broker(base.node_id));
        base.with_dynamic(all, own)
    }

    /// The first producer id that nobody has.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}
