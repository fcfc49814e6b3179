//! Requests about topics as a whole, and what their answers say topic by topic.

use core::time::Duration;
use engine_model::{ErrorCode, TopicId};
use net_protocol::Text;
use net_protocol::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use net_protocol::metadata::{MetadataRequest, MetadataRequestTopic};

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Text,
    /// Number of partitions; `None` for the broker's default.
    pub partitions: Option<i32>,
    /// Number of replicas; `None` for the broker's default.
    pub replication_factor: Option<i16>,
    /// Settings.
    pub configs: Vec<(Text, Text)>,
}

/// What became of one topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResult {
    /// Its name.
    pub name: Text,
    /// Its id; zero where the broker is too old to say, or there was an error.
    pub id: TopicId,
    /// What went wrong, or `NONE`.
    pub error: ErrorCode,
    /// What went wrong, in the broker's words.
    pub message: Option<Text>,
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Asks for every topic.
pub fn list_topics() -> MetadataRequest {
    MetadataRequest {
        topics: None,
        allow_auto_topic_creation: true,
        ..MetadataRequest::default()
    }
}

/// Asks for these topics, without creating what is missing where the version can say so.
///
/// Versions below 4 cannot: there the broker's own setting decides.
pub fn describe_topics<'a>(names: impl IntoIterator<Item = &'a Text>) -> MetadataRequest {
    let topic = |name: &Text| MetadataRequestTopic {
        name: Some(name.clone()),
        ..MetadataRequestTopic::default()
    };
    MetadataRequest {
        topics: Some(names.into_iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    }
}

/// Asks to create topics, or with `validate_only` whether they could be.
pub fn create_topics(
    topics: Vec<NewTopic>,
    timeout: Duration,
    validate_only: bool,
) -> CreateTopicsRequest {
    let topic = |topic: NewTopic| CreatableTopic {
        name: topic.name,
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        configs: topic
            .configs
            .into_iter()
            .map(|(name, value)| CreatableTopicConfig {
                name,
                value: Some(value),
            })
            .collect(),
        ..CreatableTopic::default()
    };
    CreateTopicsRequest {
        topics: topics.into_iter().map(topic).collect(),
        timeout_ms: millis(timeout),
        validate_only,
    }
}

/// Asks to delete topics by name.
pub fn delete_topics<'a>(
    names: impl IntoIterator<Item = &'a Text>,
    timeout: Duration,
) -> DeleteTopicsRequest {
    let topic = |name: &Text| DeleteTopicState {
        name: Some(name.clone()),
        ..DeleteTopicState::default()
    };
    DeleteTopicsRequest {
        topics: names.into_iter().map(topic).collect(),
        timeout_ms: millis(timeout),
        ..DeleteTopicsRequest::default()
    }
}

impl TopicResult {
    /// The results of a creation, in the broker's order.
    pub fn of_creation(response: CreateTopicsResponse) -> Vec<Self> {
        response
            .topics
            .into_iter()
            .map(|topic| Self {
                name: topic.name,
                id: topic.topic_id,
                error: topic.error_code,
                message: topic.error_message.filter(|text| !text.is_empty()),
            })
            .collect()
    }

    /// The results of a deletion, in the broker's order.
    pub fn of_deletion(response: DeleteTopicsResponse) -> Vec<Self> {
        response
            .responses
            .into_iter()
            .map(|topic| Self {
                name: topic.name.unwrap_or_default(),
                id: topic.topic_id,
                error: topic.error_code,
                message: topic.error_message.filter(|text| !text.is_empty()),
            })
            .collect()
    }
}
