//! The controller of the cluster's metadata as a replayed machine.
//!
//! | verb                  | refuses when                               | leads to                          |
//! |-----------------------|--------------------------------------------|-----------------------------------|
//! | `form_cluster`        | it is formed                               | Cluster, Feature                  |
//! | `register_broker`     | no cluster                                 | Broker                            |
//! | `start_leadership`    | the broker's epoch is stale                | PartitionChange each              |
//! | `create_topics`       | name, counts, assignment, settings, limits | Topic, Partition each, Config each |
//! | `create_partitions`   | unknown topic, count, assignment, limits   | Partition each                    |
//! | `delete_topics`       | unknown, named twice                       | TopicRemoved                      |
//! | `alter_configs`       | unknown topic, setting, value              | Config each                       |
//! | `allocate_producer_ids` | the broker's epoch is stale              | ProducerIds                       |
//!
//! Keeps:
//! - a verb changes nothing: it takes `&self` and returns records; only [`Controller::replay`]
//!   changes anything, so the same records give the same image on every node and at every start;
//! - the records of an atomic [`Outcome`] are kept together or not at all;
//! - a topic id, a registration epoch, a leader epoch and a producer id are never given twice.
//!
//! The driver appends the records, replays them, and lets the response go once they are committed;
//! if the append fails, it drops the machine and builds it anew from the log. There is no rollback.
//! Source: Kafka's KRaft controller; KIP-631, KIP-966.

mod brokers;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod producer_ids;

pub use brokers::BrokerRegistration;
pub use configs::{AlterConfigs, ConfigChange, ConfigTarget, ResourceChanges};
pub use create_partitions::{AddedPartitions, CreatePartitions, NewPartitions};
pub use create_topics::{AssignedPartition, CreateTopics, CreatedTopic, NewTopic};
pub use delete_topics::{DeletedTopic, TopicSelector};
pub use producer_ids::ProducerIdBlock;

use crate::delta::MetadataDelta;
use crate::error::ReplayError;
use crate::image::MetadataImage;
use crate::record::{ConfigResource, MetadataRecord};
use engine_config::BrokerConfig;
use engine_model::{NodeId, Offset, TopicId, TopicName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The feature that says which records and rules the metadata needs.
pub(crate) const FEATURE_METADATA: &str = "odradek.metadata";
/// The highest level of it that this release knows; a log at a higher one is refused.
pub(crate) const FEATURE_METADATA_LEVEL: i16 = 1;

/// What a verb decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<R> {
    /// The records to append, in order; none where nothing changes.
    pub records: Vec<MetadataRecord>,
    /// Whether they must be one batch.
    pub is_atomic: bool,
    /// What to answer once they, and all before them, are committed.
    pub response: R,
}

impl<R> Outcome<R> {
    fn atomic(records: Vec<MetadataRecord>, response: R) -> Self {
        Self {
            records,
            is_atomic: true,
            response,
        }
    }
}

/// The controller. Cheap to drop: everything it knows is in its log.
#[derive(Clone, Debug)]
pub struct Controller {
    image: MetadataImage,
    /// Names with `.` or `_`, by what they are when both are `_`: the ones that can collide.
    collision_keys: BTreeMap<String, TopicName>,
    /// The settings the node was started with.
    base: Arc<BrokerConfig>,
    /// The settings in force: those, under what clients changed since.
    config: Arc<BrokerConfig>,
}

impl Controller {
    /// A controller that has replayed nothing.
    pub fn new(config: Arc<BrokerConfig>) -> Self {
        Self {
            image: MetadataImage::default(),
            collision_keys: BTreeMap::new(),
            base: config.clone(),
            config,
        }
    }

    /// The metadata as of the last record replayed, committed or not.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// The settings of this node as of the last record replayed.
    pub fn config(&self) -> &Arc<BrokerConfig> {
        &self.config
    }

    /// Applies the record at `offset`, which must be the next one, and notes in `delta` what it
    /// touched.
    ///
    /// Errors: the log is not one this controller can have written; drop it and stop.
    pub fn replay(
        &mut self,
        offset: Offset,
        record: &MetadataRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::Topic { name, .. } => {
                if let Some(key) = collision_key(name.as_str()) {
                    self.collision_keys.insert(key, name.clone());
                }
            }
            MetadataRecord::TopicRemoved { topic_id } => {
                let topic = self.image.topic(*topic_id);
                if let Some(key) = topic.and_then(|topic| collision_key(topic.name.as_str())) {
                    self.collision_keys.remove(&key);
                }
            }
            _ => {}
        }
        self.image.apply(offset, record, delta)?;
        if let MetadataRecord::Config {
            resource: ConfigResource::Broker(_) | ConfigResource::AllBrokers,
            ..
        } = record
        {
            self.config = Arc::new(self.image.broker_config(&self.base).0);
        }
        Ok(())
    }
}

/// What two names have in common that collide; `None` for a name that collides with none.
fn collision_key(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

/// The names that are given more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// `factor` of the brokers for one partition. The topic's id picks where the first partition
/// begins, and each next one begins one broker on.
fn ring(topic_id: TopicId, partition: usize, brokers: &[NodeId], factor: usize) -> Vec<NodeId> {
    let [first, ..] = topic_id.to_bytes();
    let start = usize::from(first)
        .saturating_add(partition)
        .checked_rem(brokers.len())
        .unwrap_or(0);
    let ring = brokers.iter().cycle().skip(start);
    ring.take(factor).copied().collect()
}

#[cfg(test)]
mod tests;
