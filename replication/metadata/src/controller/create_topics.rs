//! Creating topics.
//!
//! What is checked, and in which order, is Kafka's: the request as a whole, then per topic the
//! name, whether it exists, its settings, its counts or assignment.

use super::{Controller, Outcome, collision_key};
use crate::error::{AssignmentError, CreateTopicError};
use crate::limits;
use crate::record::{ConfigResource, MetadataRecord, PartitionRecord};
use engine_config::TopicConfig;
use engine_model::{
    DirectoryId, LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicName, TopicNameError,
};
use std::collections::{BTreeMap, BTreeSet};

/// Replicas given by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedPartition {
    /// The partition's number.
    pub partition: i32,
    /// Its replicas; the first leads.
    pub replicas: Vec<NodeId>,
}

/// A topic to be created, as a client asks for it: nothing of it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// The id it will have; drawn at random by the caller.
    pub topic_id: TopicId,
    /// Its name.
    pub name: String,
    /// Its partitions; -1 is the broker's default.
    pub partition_count: i32,
    /// Its replicas; -1 is the broker's default.
    pub replication_factor: i16,
    /// Whether fewer replicas will do where brokers are lacking; the factor asked for is
    /// remembered. For Kafka's internal topics only.
    pub may_have_fewer_replicas: bool,
    /// Replicas given by hand; both counts must then be -1.
    pub assignments: Vec<AssignedPartition>,
    /// Its settings; the last of a name counts.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the broker's defaults for everything.
    pub fn with_defaults(topic_id: TopicId, name: &str) -> Self {
        Self {
            topic_id,
            name: name.to_owned(),
            partition_count: -1,
            replication_factor: -1,
            may_have_fewer_replicas: false,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A request to create topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopics {
    /// The topics.
    pub topics: Vec<NewTopic>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// A topic as it was, or would be, created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity.
    pub topic_id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// How many partitions it has.
    pub partition_count: usize,
    /// How many replicas each has.
    pub replication_factor: usize,
    /// The settings it was given, in their stored form.
    pub configs: BTreeMap<String, String>,
}

/// A name and what became of it.
type Answer = (String, Result<CreatedTopic, CreateTopicError>);

impl Controller {
    /// Creates the topics of a request that can be created.
    ///
    /// The answers stand in the order of the request, but for names given more than once: those
    /// have one answer each, at the end, as in Kafka.
    pub fn create_topics(&self, request: &CreateTopics) -> Outcome<Vec<Answer>> {
        let repeated = super::repeated(request.topics.iter().map(|topic| topic.name.as_str()));
        let mut plan = Plan {
            collision_keys: BTreeMap::new(),
            ids: BTreeSet::new(),
        };
        let is_excessive = self.partitions_asked_for(request) > limits::PARTITIONS_PER_REQUEST_MAX;
        let mut records = Vec::new();
        let mut response: Vec<Answer> = Vec::new();
        let mut partition_count = self.image.partition_count();
        for topic in request
            .topics
            .iter()
            .filter(|topic| !repeated.contains(topic.name.as_str()))
        {
            if is_excessive {
                response.push((topic.name.clone(), Err(CreateTopicError::TooManyPartitions)));
                continue;
            }
            let planned = self.plan_topic(topic, &mut plan, partition_count);
            let answer = planned.map(|(created, of_topic)| {
                partition_count = partition_count.saturating_add(created.partition_count);
                records.extend(of_topic);
                created
            });
            response.push((topic.name.clone(), answer));
        }
        let duplicate = |name: &&str| ((*name).to_owned(), Err(CreateTopicError::Duplicate));
        response.extend(repeated.iter().map(duplicate));
        if request.validate_only {
            records.clear();
        }
        Outcome::atomic(records, response)
    }

    fn partitions_asked_for(&self, request: &CreateTopics) -> usize {
        let of_topic = |topic: &NewTopic| match (topic.assignments.len(), topic.partition_count) {
            (0, -1) => usize::try_from(self.config.num_partitions).unwrap_or(0),
            (0, count) => usize::try_from(count).unwrap_or(0),
            (assigned, _) => assigned,
        };
        request
            .topics
            .iter()
            .map(of_topic)
            .fold(0, usize::saturating_add)
    }

    fn plan_topic(
        &self,
        topic: &NewTopic,
        plan: &mut Plan,
        partitions_before: usize,
    ) -> Result<(CreatedTopic, Vec<MetadataRecord>), CreateTopicError> {
        let name = self.check_name(&topic.name, plan)?;
        let is_taken = self.image.topic(topic.topic_id).is_some()
            || [TopicId::ZERO, TopicId::CLUSTER_METADATA].contains(&topic.topic_id)
            || !plan.ids.insert(topic.topic_id);
        if is_taken {
            return Err(CreateTopicError::IdTaken {
                topic_id: topic.topic_id,
            });
        }
        let configs = self.check_configs(topic)?;
        let placed = if topic.assignments.is_empty() {
            self.place(topic)?
        } else {
            self.check_assignments(topic)?
        };
        let partition_count = placed.replicas.len();
        if partitions_before.saturating_add(partition_count) > limits::PARTITIONS_MAX {
            return Err(CreateTopicError::ClusterFull {
                max: limits::PARTITIONS_MAX,
            });
        }
        if let Some(key) = collision_key(&topic.name) {
            plan.collision_keys.insert(key, name.clone());
        }
        let created = CreatedTopic {
            topic_id: topic.topic_id,
            name,
            partition_count,
            replication_factor: placed.replicas.first().map_or(0, Vec::len),
            configs,
        };
        let records = self.topic_records(&created, placed);
        Ok((created, records))
    }

    fn check_name(&self, text: &str, plan: &Plan) -> Result<TopicName, CreateTopicError> {
        let name = TopicName::new(text).map_err(|error| CreateTopicError::InvalidName {
            reason: match error {
                TopicNameError::Dots => format!("'{text}' is not allowed"),
                other => other.to_string(),
            },
        })?;
        if text == "__cluster_metadata" {
            return Err(CreateTopicError::Prohibited {
                name: text.to_owned(),
            });
        }
        if self.image.topic_named(text).is_some() {
            return Err(CreateTopicError::Exists {
                name: text.to_owned(),
            });
        }
        // Kafka looks only at topics that exist, so one request can create two that collide.
        let other = collision_key(text).and_then(|key| {
            self.collision_keys
                .get(&key)
                .or_else(|| plan.collision_keys.get(&key))
        });
        match other {
            Some(other) => Err(CreateTopicError::Collides {
                name: text.to_owned(),
                other: other.to_string(),
            }),
            None => Ok(name),
        }
    }

    fn check_configs(
        &self,
        topic: &NewTopic,
    ) -> Result<BTreeMap<String, String>, CreateTopicError> {
        let given = topic
            .configs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()));
        let configs = TopicConfig::canonical_overrides(given, &self.config)?;
        let max = limits::CONFIG_VALUE_BYTES_MAX;
        match configs.iter().find(|(_, value)| value.len() > max) {
            Some((key, _)) => Err(CreateTopicError::ConfigTooLong {
                key: key.clone(),
                max,
            }),
            None => Ok(configs),
        }
    }

    /// Spreads replicas over the brokers, beginning at one that the topic's id picks.
    fn place(&self, topic: &NewTopic) -> Result<Placed, CreateTopicError> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            return Err(CreateTopicError::ReplicationFactor);
        }
        if topic.partition_count < -1 || topic.partition_count == 0 {
            return Err(CreateTopicError::PartitionCount);
        }
        let count = match topic.partition_count {
            -1 => self.config.num_partitions,
            count => count,
        };
        let wanted = match topic.replication_factor {
            -1 => self.config.default_replication_factor,
            factor => factor,
        };
        let brokers: Vec<NodeId> = self.image.brokers().map(|broker| broker.node_id).collect();
        let factor = match usize::try_from(wanted) {
            Ok(factor) if factor <= brokers.len() => factor,
            _ if topic.may_have_fewer_replicas && !brokers.is_empty() => brokers.len(),
            _ => {
                return Err(CreateTopicError::TooFewBrokers {
                    wanted,
                    brokers: brokers.len(),
                });
            }
        };
        let replicas = (0..usize::try_from(count).unwrap_or(0))
            .map(|partition| super::ring(topic.topic_id, partition, &brokers, factor));
        Ok(Placed {
            replicas: replicas.collect(),
            wanted,
        })
    }

    fn check_assignments(&self, topic: &NewTopic) -> Result<Placed, CreateTopicError> {
        for (given, field) in [
            (i32::from(topic.replication_factor), "replication factor"),
            (topic.partition_count, "numPartitions"),
        ] {
            if given != -1 {
                return Err(CreateTopicError::AssignedAndCounted { field });
            }
        }
        let mut by_partition: BTreeMap<i32, Vec<NodeId>> = BTreeMap::new();
        let mut factor = None;
        for AssignedPartition {
            partition,
            replicas,
        } in &topic.assignments
        {
            if by_partition.contains_key(partition) {
                return Err(AssignmentError::Repeated {
                    partition: *partition,
                }
                .into());
            }
            self.check_replicas(replicas, factor)?;
            factor = Some(replicas.len());
            by_partition.insert(*partition, replicas.clone());
        }
        if !(0..)
            .zip(by_partition.keys())
            .all(|(expected, partition)| expected == *partition)
        {
            return Err(AssignmentError::Gap.into());
        }
        let wanted = factor
            .and_then(|factor| i16::try_from(factor).ok())
            .unwrap_or(i16::MAX);
        Ok(Placed {
            replicas: by_partition.into_values().collect(),
            wanted,
        })
    }

    pub(super) fn check_replicas(
        &self,
        replicas: &[NodeId],
        factor: Option<usize>,
    ) -> Result<(), AssignmentError> {
        if replicas.is_empty() {
            return Err(AssignmentError::Empty);
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        let mut before = None;
        for broker in sorted {
            if before == Some(broker) {
                return Err(AssignmentError::RepeatedBroker { broker });
            }
            if self.image.broker(broker).is_none() {
                return Err(AssignmentError::NoSuchBroker { broker });
            }
            before = Some(broker);
        }
        match factor {
            Some(expected) if expected != replicas.len() => Err(AssignmentError::Uneven {
                expected,
                found: replicas.len(),
            }),
            _ => Ok(()),
        }
    }

    /// The record of a new partition, led by the first of its replicas.
    pub(super) fn partition_record(
        &self,
        topic_id: TopicId,
        partition: PartitionIndex,
        replicas: Vec<NodeId>,
    ) -> MetadataRecord {
        let directory = |node: &NodeId| match self.image.broker(*node) {
            Some(broker) => broker.directory,
            None => DirectoryId::ZERO,
        };
        MetadataRecord::Partition(PartitionRecord {
            topic_id,
            partition,
            directories: replicas.iter().map(directory).collect(),
            // An empty log is in sync with every other one.
            isr: replicas.clone(),
            leader: replicas.first().copied().unwrap_or(NodeId::NONE),
            leader_epoch: LeaderEpoch::ZERO,
            replicas,
        })
    }

    fn topic_records(&self, created: &CreatedTopic, placed: Placed) -> Vec<MetadataRecord> {
        let topic_id = created.topic_id;
        let mut records = vec![MetadataRecord::Topic {
            topic_id,
            name: created.name.clone(),
            wanted_replication_factor: placed.wanted,
        }];
        let partitions = (0..).map(PartitionIndex::new).zip(placed.replicas);
        records.extend(
            partitions
                .map(|(partition, replicas)| self.partition_record(topic_id, partition, replicas)),
        );
        records.extend(
            created
                .configs
                .iter()
                .map(|(key, value)| MetadataRecord::Config {
                    resource: ConfigResource::Topic(topic_id),
                    key: key.clone(),
                    value: Some(value.clone()),
                }),
        );
        records
    }
}

/// What earlier topics of the same request have taken.
struct Plan {
    collision_keys: BTreeMap<String, TopicName>,
    ids: BTreeSet<TopicId>,
}

struct Placed {
    /// The replicas of each partition, in order of their numbers.
    replicas: Vec<Vec<NodeId>>,
    /// How many replicas there should be.
    wanted: i16,
}
