//! CreateTopics: hands the request to the controller and lays out its answers.
//!
//! Source: Kafka 4.3.1's answers; KIP-4, KIP-464 (defaults), KIP-525 (settings in the answer).

use engine_model::{ErrorCode, TopicId};
use net_protocol::Text;
use net_protocol::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use replication_metadata::{
    AssignedPartition, CreateTopicError, CreateTopics, CreatedTopic, NewTopic,
};

use crate::broker::Broker;
use crate::config_entries::topic_entries;
use crate::patience::within;

/// Creates topics, or checks whether they could be.
pub(crate) async fn create_topics(
    broker: &Broker,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let names: Vec<Text> = request
        .topics
        .iter()
        .map(|topic| topic.name.clone())
        .collect();
    let wanted = CreateTopics {
        topics: request.topics.into_iter().map(new_topic).collect(),
        validate_only: request.validate_only,
    };
    let validate_only = wanted.validate_only;
    let topics = match within(request.timeout_ms, broker.create_topics(wanted)).await {
        Ok(answers) => answers
            .into_iter()
            .map(|(name, answer)| result(broker, name.into(), answer, validate_only))
            .collect(),
        Err(fault) => names
            .into_iter()
            .map(|name| CreatableTopicResult {
                name,
                error_code: fault.code,
                error_message: fault.message.clone(),
                ..CreatableTopicResult::default()
            })
            .collect(),
    };
    CreateTopicsResponse {
        topics,
        ..CreateTopicsResponse::default()
    }
}

fn new_topic(topic: CreatableTopic) -> NewTopic {
    NewTopic {
        topic_id: random_topic_id(),
        name: topic.name.to_string(),
        partition_count: topic.num_partitions,
        replication_factor: topic.replication_factor,
        may_have_fewer_replicas: false,
        assignments: topic
            .assignments
            .into_iter()
            .map(|assignment| AssignedPartition {
                partition: assignment.partition_index.get(),
                replicas: assignment.broker_ids,
            })
            .collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|config| {
                let value = config.value.map(|value| value.to_string());
                (config.name.to_string(), value)
            })
            .collect(),
    }
}

/// A fresh id. Kafka's never begin with a dash, so that a shell does not take them for flags.
pub(crate) fn random_topic_id() -> TopicId {
    loop {
        let id = TopicId::from_random_bytes(engine_rt::random_bytes());
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

fn result(
    broker: &Broker,
    name: Text,
    answer: Result<CreatedTopic, CreateTopicError>,
    validate_only: bool,
) -> CreatableTopicResult {
    match answer {
        Ok(created) => CreatableTopicResult {
            name,
            topic_id: if validate_only {
                TopicId::ZERO
            } else {
                created.topic_id
            },
            error_code: ErrorCode::NONE,
            error_message: None,
            num_partitions: i32::try_from(created.partition_count).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(created.replication_factor).unwrap_or(i16::MAX),
            configs: Some(configs(broker, &created)),
            ..CreatableTopicResult::default()
        },
        Err(error) => CreatableTopicResult {
            name,
            error_code: error.error_code(),
            error_message: Some(error.to_string().into()),
            ..CreatableTopicResult::default()
        },
    }
}

/// Every setting of the topic.
fn configs(broker: &Broker, created: &CreatedTopic) -> Vec<CreatableTopicConfigs> {
    topic_entries(&broker.config(), &created.configs)
        .map(|entry| CreatableTopicConfigs {
            name: Text::from_static(entry.setting.key),
            value: entry.value,
            read_only: false,
            config_source: entry.source,
            is_sensitive: entry.setting.sensitive,
        })
        .collect()
}
