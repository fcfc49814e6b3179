//! The administrator of a run: creates, enlarges, deletes topics and creates them again, deletes
//! records; and looks at the end which topics there are.
//!
//! Keeps: what was asked for is in the history before the request leaves.

use super::caller::Caller;
use super::journal::{Journal, Phase, Target};
use super::plan::{AdminPlan, TopicPlan};
use crate::chance::Chance;
use crate::checker::history::{Deletion, LastTopic, Place, TopicLife};
use crate::client::Hangup;
use crate::records::Topic;
use core::net::SocketAddr;
use engine_model::{ErrorCode, Offset, PartitionIndex};
use net_protocol::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use net_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use net_protocol::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use net_protocol::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use net_protocol::metadata::{MetadataRequest, MetadataResponse};

/// Kafka's number of a topic among the resources that have settings.
const TOPIC: i8 = 2;
/// Kafka's number of setting a setting.
const SET: i8 = 0;
/// Attempts of the last look at an answer.
const ATTEMPTS_MAX: usize = 300;
const TIMEOUT_MS: i32 = 5_000;

/// The administrator at work.
pub struct Admin {
    plan: AdminPlan,
    journal: Journal,
    chance: Chance,
    caller: Caller,
}

impl Admin {
    /// An administrator who has not begun.
    pub fn new(plan: AdminPlan, journal: Journal, address: SocketAddr) -> Self {
        Self {
            chance: Chance::new(plan.seed),
            caller: Caller::new(address, journal.clone()),
            plan,
            journal,
        }
    }

    /// Creates the first topics, then changes things until the run drains.
    pub async fn run(mut self) {
        let wanted = self.plan.topics.clone();
        for topic in &wanted {
            while self.journal.phase() == Phase::Work && self.create(topic).await.is_err() {
                self.caller.hang_up();
            }
        }
        while self.journal.phase() == Phase::Work {
            let pause = self
                .chance
                .micros(self.plan.think_us / 4, self.plan.think_us);
            engine_rt::sleep(pause).await;
            if self.turn().await.is_err() {
                self.caller.hang_up();
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Hangup> {
        let targets = self.journal.targets();
        let topic = self.chance.size(0, self.plan.topics.len() - 1);
        let topic = self.plan.topics[topic].clone();
        let there = targets.into_iter().find(|it| it.topic.name == topic.name);
        match (there, self.chance.below(9)) {
            (None, _) => self.create(&topic).await,
            (Some(target), 0) if self.plan.deletes_topics => self.delete(&target).await,
            (Some(target), 1 | 2) if self.plan.adds_partitions => self.enlarge(&target).await,
            (Some(target), 3..=5) if self.plan.deletes_records => {
                self.delete_records(&target).await
            }
            (Some(target), 6..=7) if self.plan.alters_configs => {
                self.alter_config(&target, &topic).await
            }
            _ => Ok(()),
        }
    }

    /// Changes one setting, to a value under which all promises stay what they are.
    async fn alter_config(&mut self, target: &Target, plan: &TopicPlan) -> Result<(), Hangup> {
        let mut choices = vec![
            ("segment.ms", "5"),
            ("segment.ms", "100000"),
            ("segment.bytes", "1048576"),
            ("segment.bytes", "2000000"),
            ("compression.type", "producer"),
            ("compression.type", "lz4"),
            ("compression.type", "zstd"),
            ("message.timestamp.type", "LogAppendTime"),
            ("message.timestamp.type", "CreateTime"),
            ("file.delete.delay.ms", "0"),
            ("max.message.bytes", "500000"),
        ];
        if plan.is_weak {
            choices.extend([("durability", "fsync"), ("durability", "written")]);
        }
        if plan.has_retention {
            choices.extend([("retention.ms", "1"), ("retention.bytes", "2000")]);
            choices.extend([("retention.ms", "-1"), ("retention.bytes", "-1")]);
        }
        let (name, value) = self.chance.pick(&choices);
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: target.topic.name.as_str().into(),
                configs: vec![AlterableConfig {
                    name: name.into(),
                    config_operation: SET,
                    value: Some(value.into()),
                }],
            }],
            ..IncrementalAlterConfigsRequest::default()
        };
        let answer = self.caller.call(1, &request).await?;
        let code = answer.responses.first().map(|it| it.error_code);
        if let Some(code) = code.filter(|code| *code != ErrorCode::NONE) {
            self.journal.error(code.0);
        }
        Ok(())
    }

    async fn create(&mut self, plan: &TopicPlan) -> Result<(), Hangup> {
        self.caller.client().await?;
        let number = self.journal.ask_for_topic(TopicLife {
            name: plan.name.clone(),
            partitions_most: plan.partitions,
            is_weak: plan.is_weak,
            has_retention: plan.has_retention,
            is_compacted: plan.is_compacted,
            ..TopicLife::default()
        });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: plan.name.as_str().into(),
                num_partitions: plan.partitions,
                replication_factor: -1,
                configs: plan
                    .configs
                    .iter()
                    .map(|(key, value)| CreatableTopicConfig {
                        name: key.as_str().into(),
                        value: Some(value.as_str().into()),
                    })
                    .collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: TIMEOUT_MS,
            ..CreateTopicsRequest::default()
        };
        let created = self.caller.call(7, &request).await?;
        let created = created
            .topics
            .first()
            .expect("an answer names what was asked");
        let (id, partitions) = match created.error_code {
            ErrorCode::NONE => (created.topic_id, plan.partitions),
            ErrorCode::TOPIC_ALREADY_EXISTS => {
                // An answer was lost before: an earlier attempt is it.
                return self.adopt(plan, number).await;
            }
            code => {
                self.journal.error(code.0);
                engine_rt::sleep(self.chance.micros(1_000, 20_000)).await;
                return Ok(());
            }
        };
        self.journal.with(|history| {
            let topic = &mut history.topics[number];
            topic.is_created = true;
            topic.partitions_least = partitions;
        });
        self.journal.add_target(Target {
            number,
            topic: Topic {
                name: plan.name.clone(),
                id,
            },
            partitions,
            is_compacted: plan.is_compacted,
        });
        Ok(())
    }

    /// Takes a topic that is there already for the one of this attempt: which of the attempts
    /// made it nobody can tell, and they were equal.
    async fn adopt(&mut self, plan: &TopicPlan, number: usize) -> Result<(), Hangup> {
        let answer = self.describe_all().await?;
        let there = answer
            .topics
            .iter()
            .find(|topic| topic.name.as_ref().is_some_and(|name| **name == *plan.name));
        let Some(there) = there else {
            return Ok(());
        };
        if let Some(known) = self.journal.target_of(there.topic_id) {
            // Its deletion was asked for, and the answer was lost.
            return self.delete(&known).await;
        }
        let partitions = i32::try_from(there.partitions.len()).unwrap_or(0);
        self.journal.with(|history| {
            let topic = &mut history.topics[number];
            topic.is_created = true;
            topic.partitions_least = partitions;
        });
        self.journal.add_target(Target {
            number,
            topic: Topic {
                name: plan.name.clone(),
                id: there.topic_id,
            },
            partitions,
            is_compacted: plan.is_compacted,
        });
        Ok(())
    }

    async fn delete(&mut self, target: &Target) -> Result<(), Hangup> {
        self.caller.client().await?;
        let number = target.number;
        self.journal
            .with(|history| history.topics[number].deletion_asked = true);
        self.journal.remove_target(number);
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                topic_id: target.topic.id,
                ..DeleteTopicState::default()
            }],
            timeout_ms: TIMEOUT_MS,
            ..DeleteTopicsRequest::default()
        };
        let mut span = self.journal.asked();
        let answer = self.caller.call(6, &request).await?;
        span.returned = engine_rt::now().0;
        let code = answer.responses.first().map(|it| it.error_code);
        match code {
            Some(ErrorCode::NONE) => {
                self.journal
                    .with(|history| history.topics[number].deleted = Some(span));
            }
            Some(code) => self.journal.error(code.0),
            None => {}
        }
        Ok(())
    }

    async fn enlarge(&mut self, target: &Target) -> Result<(), Hangup> {
        if target.partitions >= self.plan.partitions_max {
            return Ok(());
        }
        self.caller.client().await?;
        let (number, count) = (target.number, target.partitions + 1);
        self.journal.with(|history| {
            let topic = &mut history.topics[number];
            topic.partitions_most = topic.partitions_most.max(count);
        });
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: target.topic.name.as_str().into(),
                count,
                ..CreatePartitionsTopic::default()
            }],
            timeout_ms: TIMEOUT_MS,
            ..CreatePartitionsRequest::default()
        };
        let answer = self.caller.call(3, &request).await?;
        let code = answer.results.first().map(|it| it.error_code);
        match code {
            Some(ErrorCode::NONE) => {
                self.journal
                    .with(|history| history.topics[number].partitions_least = count);
                self.journal.set_partitions(number, count);
            }
            // An earlier attempt whose answer was lost did it.
            Some(ErrorCode::INVALID_PARTITIONS) => self.journal.set_partitions(number, count),
            Some(code) => self.journal.error(code.0),
            None => {}
        }
        Ok(())
    }

    async fn delete_records(&mut self, target: &Target) -> Result<(), Hangup> {
        self.caller.client().await?;
        let most = u64::try_from(target.partitions)
            .unwrap_or(1)
            .saturating_sub(1);
        let place = Place {
            topic: target.number,
            partition: i32::try_from(self.chance.between(0, most)).unwrap_or(0),
        };
        let known = self.journal.with(|history| {
            let reads = history.reads.iter().rev();
            let mut of_place = reads.filter(|read| read.place == place);
            of_place.next().map_or(0, |read| read.high_watermark)
        });
        let offset = match self.chance.below(6) {
            0 => -1,
            _ => i64::try_from(self.chance.below(known.unsigned_abs() + 1)).unwrap_or(0),
        };
        let span = self.journal.asked();
        let number = self.journal.deletes(Deletion {
            place,
            below: if offset < 0 { i64::MAX } else { offset },
            span,
            low_watermark: None,
        });
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: target.topic.name.as_str().into(),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: PartitionIndex::new(place.partition),
                    offset: Offset::new(offset),
                }],
            }],
            timeout_ms: TIMEOUT_MS,
        };
        let answer = self.caller.call(2, &request).await?;
        let done = answer
            .topics
            .first()
            .and_then(|topic| topic.partitions.first())
            .expect("an answer names what was asked");
        if done.error_code == ErrorCode::NONE {
            let low = done.low_watermark.get();
            self.journal.deleted(number, low, engine_rt::now().0);
        } else {
            self.journal.error(done.error_code.0);
        }
        Ok(())
    }

    async fn describe_all(&mut self) -> Result<MetadataResponse, Hangup> {
        let request = MetadataRequest {
            topics: None,
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        self.caller.call(12, &request).await
    }

    /// The topics there are at the end, each with its partitions, and which of the history's they
    /// are; `None` if nobody answers.
    pub async fn last_look(&mut self) -> Option<Vec<(LastTopic, Topic)>> {
        for _ in 0..ATTEMPTS_MAX {
            let Ok(answer) = self.describe_all().await else {
                continue;
            };
            let mut topics = Vec::new();
            for topic in answer.topics {
                let partitions = i32::try_from(topic.partitions.len()).unwrap_or(0);
                let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
                let known = self.journal.target_of(topic.topic_id);
                let number = known.map_or(usize::MAX, |it| it.number);
                let topic = Topic {
                    name,
                    id: topic.topic_id,
                };
                topics.push((
                    LastTopic {
                        topic: number,
                        partitions,
                    },
                    topic,
                ));
            }
            return Some(topics);
        }
        None
    }
}
