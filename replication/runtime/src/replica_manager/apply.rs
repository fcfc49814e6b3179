//! Following the metadata: what the controller asks of a shard.

use super::ReplicaManager;
use crate::log_config::log_config;
use crate::partition_replica::{OnChange, PartitionReplica};
use crate::request::{NewLog, ShardAnswer, ShardRequest};
use engine_config::TopicConfig;
use engine_log::{LogConfig, StorageError};
use engine_model::planted::{self, Bug};
use engine_model::{PartitionIndex, TopicId, TopicPartition};
use engine_shard::join_all;
use replication_metadata::{MetadataDelta, MetadataImage, PartitionImage, TopicImage};
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Logs that are created or deleted at the same time.
const LOGS_AT_ONCE: usize = 256;

impl ReplicaManager {
    /// Does what the controller asks. Requests come one at a time.
    ///
    /// Cancel: not safe; once polled it must be driven to its end.
    pub async fn handle(self: Rc<Self>, request: ShardRequest) -> ShardAnswer {
        match request {
            ShardRequest::CountLogs => {
                let logs = self.store().logs();
                let own = TopicPartition::CLUSTER_METADATA;
                ShardAnswer::Count(logs.iter().filter(|log| log.partition() != own).count())
            }
            ShardRequest::CreateLogs(logs) => answer(self.create_logs(logs).await),
            ShardRequest::DeleteLogs(partitions) => answer(self.delete_logs(&partitions).await),
            ShardRequest::Apply { image, delta } => {
                self.apply(image, delta.as_deref()).await;
                ShardAnswer::Done
            }
        }
    }

    /// Many at a time, so that one flush makes many of them durable.
    async fn create_logs(&self, logs: Vec<NewLog>) -> Result<(), StorageError> {
        let store = self.store();
        for logs in logs.chunks(LOGS_AT_ONCE) {
            let create = |log: &NewLog| store.create(log.partition, log.config.clone());
            let created = join_all(logs.iter().map(create).collect()).await;
            created
                .into_iter()
                .try_for_each(|created| created.map(|_| ()))?;
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }

    /// All of them are tried; the answer is the first error.
    async fn delete_logs(&self, partitions: &[TopicPartition]) -> Result<(), StorageError> {
        let store = self.store();
        let mut result = Ok(());
        for partitions in partitions.chunks(LOGS_AT_ONCE) {
            let delete = |partition: &TopicPartition| store.delete(*partition);
            let deleted = join_all(partitions.iter().map(delete).collect()).await;
            for (partition, deleted) in partitions.iter().zip(deleted) {
                match deleted {
                    Ok(()) => tracing::debug!(shard = %self.shard, %partition, "log deleted"),
                    Err(StorageError::NotFound(_)) => {}
                    Err(error) => result = result.and(Err(error)),
                }
            }
            engine_rt::yield_if_due().await;
        }
        result
    }

    async fn apply(self: &Rc<Self>, image: Arc<MetadataImage>, delta: Option<&MetadataDelta>) {
        let before = self.image();
        if image.next_offset() < before.next_offset() {
            return;
        }
        let mut gone: Vec<TopicPartition> = Vec::new();
        // Without a delta everything is; with new settings of brokers what topics have by default is.
        let is_all_new = delta.is_none_or(|delta| delta.broker_configs);
        if is_all_new {
            self.follow_broker_configs(&image);
            for topic in image.topics() {
                self.follow_topic(topic).await;
            }
        }
        match delta {
            None => {
                let unnamed = |partition: &TopicPartition| image.partition(*partition).is_none();
                let logs = self.store().logs();
                let partitions = logs.iter().map(engine_log::PartitionLog::partition);
                gone.extend(
                    partitions.filter(|p| *p != TopicPartition::CLUSTER_METADATA && unnamed(p)),
                );
            }
            Some(delta) => {
                for topic_id in &delta.topics {
                    match image.topic(*topic_id) {
                        Some(_) if is_all_new => {}
                        Some(topic) => self.follow_topic(topic).await,
                        None => gone.extend(self.partitions_here(&before, *topic_id)),
                    }
                }
            }
        }
        if planted::is(Bug::UnnamedLogsKept) && delta.is_none() {
            gone.clear();
        }
        *self.image.borrow_mut() = image;
        if delta.is_none() {
            self.is_suspended.set(false);
        }
        for partition in &gone {
            let replica = self.replicas.borrow_mut().remove(partition);
            if let Some(replica) = replica {
                replica.deleted();
            }
        }
        // What cannot be deleted now is deleted at the next start: metadata does not name it.
        if let Err(error) = self.delete_logs(&gone).await {
            tracing::warn!(shard = %self.shard, %error, "logs of deleted topics stay for now");
        }
    }

    fn follow_broker_configs(&self, image: &MetadataImage) {
        let (config, idle) = image.broker_config(&self.base);
        if !idle.is_empty() {
            let settings = idle.join(", ");
            tracing::warn!(shard = %self.shard, settings, "changed settings do not hold here");
        }
        *self.config.borrow_mut() = Rc::new(config);
    }

    /// The partitions of a topic that live on this shard.
    fn partitions_here(&self, image: &MetadataImage, topic_id: TopicId) -> Vec<TopicPartition> {
        let topic = image.topic(topic_id);
        let numbers = topic
            .into_iter()
            .flat_map(|topic| topic.numbered_partitions());
        numbers
            .map(|(partition, _)| TopicPartition {
                topic_id,
                partition,
            })
            .filter(|partition| self.owner(*partition) == self.shard)
            .collect()
    }

    async fn follow_topic(self: &Rc<Self>, topic: &TopicImage) {
        let broker = self.config();
        let (topic_config, wrong) = TopicConfig::in_force(&topic.configs, &broker);
        if let Some(error) = wrong {
            tracing::warn!(topic = %topic.name, %error, "a setting of the topic does not stand");
        }
        let config = log_config(&topic.name, &topic_config, &broker);
        for (partition, image) in topic.numbered_partitions() {
            let here = TopicPartition {
                topic_id: topic.id,
                partition,
            };
            let is_mine = image.replicas.contains(&self.node_id);
            if is_mine && self.owner(here) == self.shard {
                self.follow_partition(topic, partition, image, &topic_config, &config)
                    .await;
                engine_rt::yield_if_due().await;
            }
        }
    }

    async fn follow_partition(
        self: &Rc<Self>,
        topic: &TopicImage,
        partition: PartitionIndex,
        image: &PartitionImage,
        topic_config: &TopicConfig,
        log_config: &LogConfig,
    ) {
        let here = TopicPartition {
            topic_id: topic.id,
            partition,
        };
        let standing = self.replicas.borrow().get(&here).cloned();
        let replica = match standing {
            Some(replica) => replica,
            None => self.open_replica(topic, here),
        };
        if let Ok(log) = replica.log()
            && log.config() != *log_config
            && let Err(error) = log.set_config(log_config.clone()).await
        {
            tracing::warn!(topic = %topic.name, %partition, %error, "settings not in force");
        }
        let min_insync = topic_config.min_insync_replicas;
        if let Err(error) = replica
            .follow_metadata(self.node_id, image, min_insync)
            .await
        {
            tracing::error!(
                topic = %topic.name, %partition, leader_epoch = %image.leader_epoch, %error,
                "leadership could not begin"
            );
            replica.stopped();
        }
    }

    fn open_replica(
        self: &Rc<Self>,
        topic: &TopicImage,
        partition: TopicPartition,
    ) -> Rc<PartitionReplica> {
        let log = self.store().find(partition);
        if log.is_none() {
            tracing::error!(
                topic = %topic.name, partition = %partition.partition,
                "metadata names this log and the data directory lacks it: the partition is offline"
            );
        }
        let weak = Rc::downgrade(self);
        let on_change: Rc<OnChange> = Rc::new(move |partition| changed(&weak, partition));
        let replica = PartitionReplica::new(self.node_id, partition, log, on_change);
        self.replicas
            .borrow_mut()
            .insert(partition, replica.clone());
        replica
    }
}

/// Weak, because the manager holds its replicas.
fn changed(manager: &Weak<ReplicaManager>, partition: TopicPartition) {
    let on_change = manager
        .upgrade()
        .and_then(|manager| manager.on_change.borrow().clone());
    if let Some(on_change) = on_change {
        on_change(partition);
    }
}

fn answer(result: Result<(), StorageError>) -> ShardAnswer {
    match result {
        Ok(()) => ShardAnswer::Done,
        Err(error) => ShardAnswer::Failed(error),
    }
}
