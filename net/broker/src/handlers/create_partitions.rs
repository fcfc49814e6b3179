//! CreatePartitions: hands the request to the controller and lays out its answers.
//!
//! Source: Kafka 4.3.1's answers; KIP-195.

use engine_model::ErrorCode;
use net_protocol::Text;
use net_protocol::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use replication_metadata::{CreatePartitions, CreatePartitionsError, NewPartitions};

use crate::broker::Broker;
use crate::error::Fault;
use crate::patience::within;

/// Adds partitions to topics, or checks whether they could be added.
pub(crate) async fn create_partitions(
    broker: &Broker,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let names: Vec<Text> = request
        .topics
        .iter()
        .map(|topic| topic.name.clone())
        .collect();
    let wanted = CreatePartitions {
        topics: request.topics.into_iter().map(new_partitions).collect(),
        validate_only: request.validate_only,
    };
    let results = match within(request.timeout_ms, broker.create_partitions(wanted)).await {
        Ok(answers) => answers
            .into_iter()
            .map(|(name, answer)| match answer {
                Ok(_) => CreatePartitionsTopicResult {
                    name: name.into(),
                    ..CreatePartitionsTopicResult::default()
                },
                Err(error) => refuse(name.into(), &Fault::from(&error)),
            })
            .collect(),
        Err(fault) => names.into_iter().map(|name| refuse(name, &fault)).collect(),
    };
    CreatePartitionsResponse {
        results,
        ..CreatePartitionsResponse::default()
    }
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    NewPartitions {
        name: topic.name.to_string(),
        count: topic.count,
        assignments: topic.assignments.map(|assignments| {
            assignments
                .into_iter()
                .map(|assignment| assignment.broker_ids)
                .collect()
        }),
    }
}

fn refuse(name: Text, fault: &Fault) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name,
        error_code: fault.code,
        error_message: fault.message.clone(),
    }
}

impl From<&CreatePartitionsError> for Fault {
    fn from(error: &CreatePartitionsError) -> Self {
        match error.error_code() {
            // Kafka adds no words to this one.
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                Self::code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            code => Self::new(code, error.to_string()),
        }
    }
}
