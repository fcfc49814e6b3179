//! Applies one record to an image. Nothing is chosen here: a record says what is.
//!
//! A record that does not fit what stands is an error and stops the replica: the log is not one
//! that this controller can have written.

use super::{Configs, MetadataImage, PartitionImage, TopicImage};
use crate::controller::{FEATURE_METADATA, FEATURE_METADATA_LEVEL};
use crate::delta::MetadataDelta;
use crate::error::ReplayError;
use crate::record::{ConfigResource, MetadataRecord, PartitionChangeRecord, PartitionRecord};
use engine_model::{Offset, TopicId, TopicName};
use std::collections::BTreeMap;
use std::sync::Arc;

impl MetadataImage {
    /// Applies the record at `offset` and notes in `delta` what it changed.
    ///
    /// After an error the image is unusable.
    pub(crate) fn apply(
        &mut self,
        offset: Offset,
        record: &MetadataRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        if offset != self.next_offset {
            return Err(ReplayError::OutOfOrder {
                expected: self.next_offset,
                found: offset,
            });
        }
        self.next_offset = offset.checked_add(1).ok_or(ReplayError::NoOffsetsLeft)?;
        match record {
            MetadataRecord::Cluster { cluster_id } => match self.cluster_id.replace(*cluster_id) {
                None => Ok(()),
                Some(_) => Err(ReplayError::FormedTwice),
            },
            MetadataRecord::Feature { name, level } => self.apply_feature(name, *level),
            MetadataRecord::Broker(broker) => {
                let standing = self.brokers.get(&broker.node_id);
                if standing.is_some_and(|standing| standing.epoch >= broker.epoch) {
                    return Err(ReplayError::BrokerEpoch {
                        node_id: broker.node_id,
                    });
                }
                Arc::make_mut(&mut self.brokers).insert(broker.node_id, broker.clone());
                delta.brokers.insert(broker.node_id);
                Ok(())
            }
            MetadataRecord::Topic {
                topic_id,
                name,
                wanted_replication_factor,
            } => self.apply_topic(*topic_id, name, *wanted_replication_factor, delta),
            MetadataRecord::Partition(partition) => self.apply_partition(partition, delta),
            MetadataRecord::PartitionChange(change) => self.apply_partition_change(change, delta),
            MetadataRecord::TopicRemoved { topic_id } => self.apply_removal(*topic_id, delta),
            MetadataRecord::Config {
                resource,
                key,
                value,
            } => self.apply_config(*resource, key, value.as_deref(), delta),
            MetadataRecord::ProducerIds { next, .. } => {
                if *next <= self.next_producer_id {
                    return Err(ReplayError::ProducerIds {
                        standing: self.next_producer_id,
                        found: *next,
                    });
                }
                self.next_producer_id = *next;
                Ok(())
            }
        }
    }

    fn apply_feature(&mut self, name: &str, level: i16) -> Result<(), ReplayError> {
        if name == FEATURE_METADATA && level > FEATURE_METADATA_LEVEL {
            return Err(ReplayError::NewerFeature {
                found: level,
                known: FEATURE_METADATA_LEVEL,
            });
        }
        Arc::make_mut(&mut self.features).insert(name.to_owned(), level);
        Ok(())
    }

    fn apply_topic(
        &mut self,
        topic_id: TopicId,
        name: &TopicName,
        wanted_replication_factor: i16,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        let topics = Arc::make_mut(&mut self.topics);
        if topics.by_id.contains_key(&topic_id) || topics.by_name.contains_key(name) {
            return Err(ReplayError::TopicExists { topic_id });
        }
        let topic = TopicImage {
            id: topic_id,
            name: name.clone(),
            partitions: Vec::new(),
            wanted_replication_factor,
            configs: BTreeMap::new(),
        };
        topics.by_id.insert(topic_id, Arc::new(topic));
        topics.by_name.insert(name.clone(), topic_id);
        delta.topics.insert(topic_id);
        Ok(())
    }

    fn topic_mut(&mut self, topic_id: TopicId) -> Result<&mut TopicImage, ReplayError> {
        let topic = Arc::make_mut(&mut self.topics).by_id.get_mut(&topic_id);
        topic
            .map(Arc::make_mut)
            .ok_or(ReplayError::NoSuchTopic { topic_id })
    }

    fn apply_partition(
        &mut self,
        record: &PartitionRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        let topic_id = record.topic_id;
        let partition = record.partition;
        let topic = self.topic_mut(topic_id)?;
        let is_next = usize::try_from(partition.get()) == Ok(topic.partitions.len());
        let is_whole =
            !record.replicas.is_empty() && record.replicas.len() == record.directories.len();
        if !is_next || !is_whole {
            return Err(ReplayError::Partition {
                topic_id,
                partition,
            });
        }
        topic.partitions.push(PartitionImage {
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: 0,
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
            isr: record.isr.clone(),
            elr: Vec::new(),
        });
        let topics = Arc::make_mut(&mut self.topics);
        topics.partition_count = topics.partition_count.saturating_add(1);
        delta.topics.insert(topic_id);
        Ok(())
    }

    fn apply_partition_change(
        &mut self,
        record: &PartitionChangeRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        let (topic_id, partition) = (record.topic_id, record.partition);
        let topic = self.topic_mut(topic_id)?;
        let standing = usize::try_from(partition.get())
            .ok()
            .and_then(|index| topic.partitions.get_mut(index))
            .ok_or(ReplayError::Partition {
                topic_id,
                partition,
            })?;
        let goes_back = record.leader_epoch < standing.leader_epoch
            || record.partition_epoch <= standing.partition_epoch;
        if goes_back {
            return Err(ReplayError::PartitionEpoch {
                topic_id,
                partition,
            });
        }
        standing.leader = record.leader;
        standing.leader_epoch = record.leader_epoch;
        standing.partition_epoch = record.partition_epoch;
        standing.isr.clone_from(&record.isr);
        standing.elr.clone_from(&record.elr);
        delta.topics.insert(topic_id);
        Ok(())
    }

    fn apply_removal(
        &mut self,
        topic_id: TopicId,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        let topics = Arc::make_mut(&mut self.topics);
        let topic = topics
            .by_id
            .remove(&topic_id)
            .ok_or(ReplayError::NoSuchTopic { topic_id })?;
        topics.by_name.remove(&topic.name);
        topics.partition_count = topics
            .partition_count
            .saturating_sub(topic.partitions.len());
        delta.topics.insert(topic_id);
        Ok(())
    }

    fn apply_config(
        &mut self,
        resource: ConfigResource,
        key: &str,
        value: Option<&str>,
        delta: &mut MetadataDelta,
    ) -> Result<(), ReplayError> {
        let set = |configs: &mut Configs| match value {
            Some(value) => configs.insert(key.to_owned(), value.to_owned()),
            None => configs.remove(key),
        };
        let broker = match resource {
            ConfigResource::Topic(topic_id) => {
                set(&mut self.topic_mut(topic_id)?.configs);
                delta.topics.insert(topic_id);
                return Ok(());
            }
            ConfigResource::Broker(node_id) => Some(node_id),
            ConfigResource::AllBrokers => None,
        };
        let all = Arc::make_mut(&mut self.broker_configs);
        let configs = all.entry(broker).or_default();
        set(configs);
        if configs.is_empty() {
            all.remove(&broker);
        }
        delta.broker_configs = true;
        Ok(())
    }
}
