//! One request at a time: what the machine decides, carried out.

use super::ControllerDriver;
use crate::error::ControllerError;
use crate::log_config::log_config;
use crate::request::{
    AlterConfigsAnswer, ControllerRequest, ControllerResponse, CreatePartitionsAnswer,
    CreateTopicsAnswer, DeleteTopicsAnswer, NewLog, ShardRequest,
};
use engine_config::TopicConfig;
use engine_log::{LogConfig, home_shard};
use engine_model::planted::{self, Bug};
use engine_model::{ShardId, TopicId, TopicName, TopicPartition};
use replication_metadata::{
    AlterConfigs, AlterConfigsError, Controller, CreatePartitions, CreatePartitionsError,
    CreateTopicError, CreateTopics, MetadataBatchError, MetadataRecord, ProducerIdBlock,
    TopicSelector, encode_batches,
};
use std::collections::BTreeMap;

impl ControllerDriver {
    pub(super) async fn serve(&self, request: ControllerRequest) -> ControllerResponse {
        if let Err(error) = self.recover().await {
            return request.refused(error);
        }
        match request {
            ControllerRequest::CreateTopics(request) => {
                ControllerResponse::CreateTopics(self.create_topics(&request).await)
            }
            ControllerRequest::CreatePartitions(request) => {
                ControllerResponse::CreatePartitions(self.create_partitions(&request).await)
            }
            ControllerRequest::DeleteTopics(selectors) => {
                ControllerResponse::DeleteTopics(self.delete_topics(&selectors).await)
            }
            ControllerRequest::AlterConfigs(request) => {
                ControllerResponse::AlterConfigs(self.alter_configs(&request).await)
            }
            ControllerRequest::AllocateProducerIds => {
                ControllerResponse::AllocateProducerIds(self.allocate_producer_ids().await)
            }
        }
    }

    async fn create_topics(
        &self,
        request: &CreateTopics,
    ) -> Result<CreateTopicsAnswer, ControllerError> {
        let outcome = self.ask(|machine| machine.create_topics(request))?;
        let created = outcome.response.iter().filter_map(|(_, answer)| {
            let created = answer.as_ref().ok()?;
            Some((created.topic_id, &created.name, &created.configs))
        });
        let configs = self.log_configs(created);
        match self.add_partitions(&outcome.records, &configs).await? {
            Added::Done => Ok(outcome.response),
            Added::TooLarge => Ok(refuse(outcome.response, &CreateTopicError::TooLarge)),
        }
    }

    async fn create_partitions(
        &self,
        request: &CreatePartitions,
    ) -> Result<CreatePartitionsAnswer, ControllerError> {
        let outcome = self.ask(|machine| machine.create_partitions(request))?;
        let added = outcome.response.iter().filter_map(|(_, answer)| {
            let added = answer.as_ref().ok()?;
            Some((added.topic_id, &added.name, &added.configs))
        });
        let configs = self.log_configs(added);
        match self.add_partitions(&outcome.records, &configs).await? {
            Added::Done => Ok(outcome.response),
            Added::TooLarge => Ok(refuse(outcome.response, &CreatePartitionsError::TooLarge)),
        }
    }

    /// Creates the logs of new partitions, then commits the records that name them, as one batch.
    async fn add_partitions(
        &self,
        records: &[MetadataRecord],
        configs: &BTreeMap<TopicId, LogConfig>,
    ) -> Result<Added, ControllerError> {
        if records.is_empty() {
            return Ok(Added::Done);
        }
        match encode_batches(records, engine_rt::wall_clock(), true) {
            Err(MetadataBatchError::TooLarge { .. }) => return Ok(Added::TooLarge),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let logs = self.new_logs(records, configs);
        let is_committed = planted::is(Bug::MetadataBeforeLogs);
        if is_committed {
            self.commit(records, true).await?;
        }
        let created = self
            .ask_all(|shard| logs.get(&shard).cloned().map(ShardRequest::CreateLogs))
            .await;
        let committed = match created {
            Ok(_) if is_committed => Ok(()),
            Ok(_) => self.commit(records, true).await,
            Err(error) => Err(error),
        };
        if let Err(error) = committed {
            // Without a machine the records may yet be committed, and the logs must stay.
            if self.machine.borrow().is_some() {
                self.give_up(&logs).await;
            }
            return Err(error);
        }
        self.publish_changes().await?;
        Ok(Added::Done)
    }

    /// Deletes logs whose topics were not created. What stays is deleted at the next load.
    async fn give_up(&self, logs: &BTreeMap<ShardId, Vec<NewLog>>) {
        let partitions = |logs: &Vec<NewLog>| logs.iter().map(|log| log.partition).collect();
        let deleted = self
            .ask_all(|shard| {
                logs.get(&shard)
                    .map(partitions)
                    .map(ShardRequest::DeleteLogs)
            })
            .await;
        if let Err(error) = deleted {
            tracing::warn!(%error, "logs of topics that were not created stay until the next start");
        }
    }

    /// The settings of the logs of topics.
    fn log_configs<'a>(
        &self,
        topics: impl Iterator<Item = (TopicId, &'a TopicName, &'a BTreeMap<String, String>)>,
    ) -> BTreeMap<TopicId, LogConfig> {
        let machine = self.machine.borrow();
        // In force: what clients changed counts for what is created after it.
        let config = machine.as_ref().map_or(&self.config, Controller::config);
        topics
            .map(|(topic_id, name, configs)| {
                // The shards tell where a topic's own settings do not hold.
                let (topic, _) = TopicConfig::in_force(configs, config);
                (topic_id, log_config(name, &topic, config))
            })
            .collect()
    }

    /// The logs that the new partitions need on this node, by shard.
    fn new_logs(
        &self,
        records: &[MetadataRecord],
        configs: &BTreeMap<TopicId, LogConfig>,
    ) -> BTreeMap<ShardId, Vec<NewLog>> {
        let mut logs: BTreeMap<ShardId, Vec<NewLog>> = BTreeMap::new();
        for record in records {
            if let MetadataRecord::Partition(record) = record
                && record.replicas.contains(&self.node_id)
                && let Some(config) = configs.get(&record.topic_id)
            {
                let partition = TopicPartition {
                    topic_id: record.topic_id,
                    partition: record.partition,
                };
                let shard = home_shard(partition, self.shards);
                let log = NewLog {
                    partition,
                    config: config.clone(),
                };
                logs.entry(shard).or_default().push(log);
            }
        }
        logs
    }

    async fn delete_topics(
        &self,
        selectors: &[TopicSelector],
    ) -> Result<DeleteTopicsAnswer, ControllerError> {
        let outcome = self.ask(|machine| machine.delete_topics(selectors))?;
        if !outcome.records.is_empty() {
            self.commit_and_publish(&outcome.records, outcome.is_atomic)
                .await?;
        }
        Ok(outcome.response)
    }

    async fn alter_configs(
        &self,
        request: &AlterConfigs,
    ) -> Result<AlterConfigsAnswer, ControllerError> {
        let outcome = self.ask(|machine| machine.alter_configs(request))?;
        if outcome.records.is_empty() {
            return Ok(outcome.response);
        }
        match encode_batches(&outcome.records, engine_rt::wall_clock(), outcome.is_atomic) {
            Err(MetadataBatchError::TooLarge { .. }) => {
                let refuse = |answer: Result<(), AlterConfigsError>| {
                    answer.and(Err(AlterConfigsError::TooLarge))
                };
                return Ok(outcome.response.into_iter().map(refuse).collect());
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        self.commit_and_publish(&outcome.records, outcome.is_atomic)
            .await?;
        Ok(outcome.response)
    }

    async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, ControllerError> {
        let (node_id, epoch) = (self.node_id, self.broker_epoch.get());
        let block = self
            .commit_one(|machine| machine.allocate_producer_ids(node_id, epoch))
            .await?;
        block.map_err(ControllerError::ProducerIds)
    }

    fn ask<R>(&self, verb: impl FnOnce(&Controller) -> R) -> Result<R, ControllerError> {
        self.machine
            .borrow()
            .as_ref()
            .map(verb)
            .ok_or(ControllerError::Stopped)
    }
}

/// What became of new partitions.
enum Added {
    /// They are there.
    Done,
    /// Their records are more than one batch holds, and nothing changed.
    TooLarge,
}

/// Every topic that would have got partitions is refused instead.
fn refuse<T, E: Clone>(
    answers: Vec<(String, Result<T, E>)>,
    error: &E,
) -> Vec<(String, Result<T, E>)> {
    let refuse = |(name, answer): (String, Result<T, E>)| (name, answer.and(Err(error.clone())));
    answers.into_iter().map(refuse).collect()
}
