//! One request at a time: what the machine decides, carried out.

use super::ControllerDriver;
use crate::error::ControllerError;
use crate::log_config::log_config;
use crate::request::{
    ControllerRequest, ControllerResponse, CreateTopicsAnswer, DeleteTopicsAnswer, NewLog,
    ShardRequest,
};
use engine_config::TopicConfig;
use engine_log::home_shard;
use engine_model::{PartitionIndex, ShardId, TopicPartition};
use replication_metadata::{
    AlterConfigsError, AlterTopicConfigs, CreateTopicError, CreateTopics, MetadataBatchError,
    MetadataRecord, Outcome, ProducerIdBlock, TopicSelector, encode_batches,
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
            ControllerRequest::DeleteTopics(selectors) => {
                ControllerResponse::DeleteTopics(self.delete_topics(&selectors).await)
            }
            ControllerRequest::AlterTopicConfigs(request) => {
                ControllerResponse::AlterTopicConfigs(self.alter_topic_configs(&request).await)
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
        if outcome.records.is_empty() {
            return Ok(outcome.response);
        }
        match encode_batches(&outcome.records, engine_rt::wall_clock(), outcome.is_atomic) {
            Err(MetadataBatchError::TooLarge { .. }) => return Ok(too_large(outcome.response)),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let logs = self.new_logs(&outcome)?;
        let created = self
            .ask_all(|shard| logs.get(&shard).cloned().map(ShardRequest::CreateLogs))
            .await;
        let committed = match created {
            Ok(_) => self.commit(&outcome.records, outcome.is_atomic).await,
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
        Ok(outcome.response)
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

    /// The logs that the new partitions need on this node, by shard.
    fn new_logs(
        &self,
        outcome: &Outcome<CreateTopicsAnswer>,
    ) -> Result<BTreeMap<ShardId, Vec<NewLog>>, ControllerError> {
        let mut configs = BTreeMap::new();
        for created in outcome
            .response
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok())
        {
            let topic = TopicConfig::from_overrides(&created.configs, &self.config)
                .map_err(|error| ControllerError::Unreadable(error.to_string()))?;
            configs.insert(
                created.topic_id,
                log_config(&created.name, &topic, &self.config),
            );
        }
        let mut logs: BTreeMap<ShardId, Vec<NewLog>> = BTreeMap::new();
        for record in &outcome.records {
            if let MetadataRecord::Partition(record) = record
                && record.replicas.contains(&self.node_id)
                && let Some(config) = configs.get(&record.topic_id)
            {
                let (topic_id, partition): (_, PartitionIndex) =
                    (record.topic_id, record.partition);
                let partition = TopicPartition {
                    topic_id,
                    partition,
                };
                let shard = home_shard(partition, self.shards);
                let log = NewLog {
                    partition,
                    config: config.clone(),
                };
                logs.entry(shard).or_default().push(log);
            }
        }
        Ok(logs)
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

    async fn alter_topic_configs(
        &self,
        request: &AlterTopicConfigs,
    ) -> Result<Result<(), AlterConfigsError>, ControllerError> {
        let outcome = match self.ask(|machine| machine.alter_topic_configs(request))? {
            Ok(outcome) => outcome,
            Err(refused) => return Ok(Err(refused)),
        };
        if !outcome.records.is_empty() {
            self.commit_and_publish(&outcome.records, outcome.is_atomic)
                .await?;
        }
        Ok(Ok(()))
    }

    async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, ControllerError> {
        let (node_id, epoch) = (self.node_id, self.broker_epoch.get());
        let block = self
            .commit_one(|machine| machine.allocate_producer_ids(node_id, epoch))
            .await?;
        block.map_err(ControllerError::ProducerIds)
    }

    fn ask<R>(
        &self,
        verb: impl FnOnce(&replication_metadata::Controller) -> R,
    ) -> Result<R, ControllerError> {
        self.machine
            .borrow()
            .as_ref()
            .map(verb)
            .ok_or(ControllerError::Stopped)
    }
}

/// Every topic that would have been created is refused instead.
fn too_large(answers: CreateTopicsAnswer) -> CreateTopicsAnswer {
    let refuse = |(name, answer): (String, Result<_, CreateTopicError>)| {
        (name, answer.and(Err(CreateTopicError::TooLarge)))
    };
    answers.into_iter().map(refuse).collect()
}
