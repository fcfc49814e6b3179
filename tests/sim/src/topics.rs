//! Making topics, one way or the other, and deleting them.

use engine_model::ErrorCode;
use net_protocol::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use net_protocol::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};

use crate::client::Client;
use crate::records::Topic;

/// Creates a topic of so many partitions with these settings.
pub async fn create(
    client: &mut Client,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Topic {
    let answer = try_create(client, name, partitions, configs).await;
    assert_eq!(answer.error_code, ErrorCode::NONE, "{answer:?}");
    Topic {
        name: name.to_owned(),
        id: answer.topic_id,
    }
}

/// Asks for a topic and returns what became of it.
pub async fn try_create(
    client: &mut Client,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> CreatableTopicResult {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: -1,
            configs: configs
                .iter()
                .map(|(key, value)| CreatableTopicConfig {
                    name: (*key).into(),
                    value: Some((*value).into()),
                })
                .collect(),
            ..CreatableTopic::default()
        }],
        ..CreateTopicsRequest::default()
    };
    let answer = client.call(7, &request).await.unwrap();
    answer.topics.into_iter().next().unwrap()
}

/// Deletes a topic by its id.
pub async fn delete(client: &mut Client, topic: &Topic) {
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            topic_id: topic.id,
            ..DeleteTopicState::default()
        }],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    let answer = client.call(6, &request).await.unwrap();
    let deleted = answer.responses.first().unwrap();
    assert_eq!(deleted.error_code, ErrorCode::NONE);
}

/// What Metadata says of a topic, which is created if `create` says so.
pub async fn describe(client: &mut Client, name: &str, create: bool) -> MetadataResponseTopic {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name.into()),
            ..MetadataRequestTopic::default()
        }]),
        allow_auto_topic_creation: create,
        ..MetadataRequest::default()
    };
    let answer = client.call(12, &request).await.unwrap();
    answer.topics.into_iter().next().unwrap()
}
