//! DeleteTopics: hands the request to the controller and lays out its answers.
//!
//! Source: Kafka 4.3.1's answers; KIP-4, KIP-516 (topic ids).

use engine_model::{ErrorCode, TopicId};
use net_protocol::Text;
use net_protocol::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use replication_metadata::{DeleteTopicError, DeletedTopic, TopicSelector};

use crate::broker::Broker;
use crate::patience::within;

/// From this version on topics may be named by id.
const IDS_FROM: i16 = 6;
/// Older clients do not know error 73.
const DISABLED_FROM: i16 = 3;

/// Deletes topics.
pub(crate) async fn delete_topics(
    broker: &Broker,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let wanted: Vec<DeleteTopicState> = if version >= IDS_FROM {
        request.topics
    } else {
        request
            .topic_names
            .into_iter()
            .map(|name| DeleteTopicState {
                name: Some(name),
                ..DeleteTopicState::default()
            })
            .collect()
    };
    let responses = if broker.config().delete_topics {
        delete(broker, wanted, request.timeout_ms).await
    } else {
        let code = if version < DISABLED_FROM {
            ErrorCode::INVALID_REQUEST
        } else {
            ErrorCode::TOPIC_DELETION_DISABLED
        };
        let words = Text::from_static("Topic deletion is disabled.");
        wanted
            .into_iter()
            .map(|state| refuse(state, code, Some(words.clone())))
            .collect()
    };
    DeleteTopicsResponse {
        responses,
        ..DeleteTopicsResponse::default()
    }
}

async fn delete(
    broker: &Broker,
    wanted: Vec<DeleteTopicState>,
    timeout_ms: i32,
) -> Vec<DeletableTopicResult> {
    let mut responses = Vec::with_capacity(wanted.len());
    let mut asked = Vec::new();
    let mut selectors = Vec::new();
    for state in wanted {
        match select(&state) {
            Ok(selector) => {
                selectors.push(selector);
                asked.push(state);
            }
            Err(words) => responses.push(refuse(
                state,
                ErrorCode::INVALID_REQUEST,
                Some(Text::from_static(words)),
            )),
        }
    }
    match within(timeout_ms, broker.delete_topics(selectors)).await {
        Ok(answers) => responses.extend(
            asked
                .into_iter()
                .zip(answers)
                .map(|(state, answer)| result(state, answer)),
        ),
        Err(fault) => responses.extend(
            asked
                .into_iter()
                .map(|state| refuse(state, fault.code, fault.message.clone())),
        ),
    }
    responses
}

fn select(state: &DeleteTopicState) -> Result<TopicSelector, &'static str> {
    match (&state.name, state.topic_id) {
        (Some(name), TopicId::ZERO) => Ok(TopicSelector::Name(name.to_string())),
        (None, TopicId::ZERO) => Err("Neither topic name nor id were specified."),
        (None, id) => Ok(TopicSelector::Id(id)),
        (Some(_), _) => Err("You may not specify both topic name and topic id."),
    }
}

fn result(
    state: DeleteTopicState,
    answer: Result<DeletedTopic, DeleteTopicError>,
) -> DeletableTopicResult {
    match answer {
        Ok(deleted) => DeletableTopicResult {
            name: Some(Text::from(&deleted.name)),
            topic_id: deleted.topic_id,
            ..DeletableTopicResult::default()
        },
        Err(error) => refuse(state, error.error_code(), Some(error.to_string().into())),
    }
}

fn refuse(
    state: DeleteTopicState,
    error_code: ErrorCode,
    error_message: Option<Text>,
) -> DeletableTopicResult {
    DeletableTopicResult {
        name: state.name,
        topic_id: state.topic_id,
        error_code,
        error_message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_in_one_way() {
        let id = TopicId::from_bytes([7; 16]);
        for (name, topic_id, is_one) in [
            (Some("a"), TopicId::ZERO, true),
            (None, id, true),
            (None, TopicId::ZERO, false),
            (Some("a"), id, false),
        ] {
            let state = DeleteTopicState {
                name: name.map(Text::from),
                topic_id,
            };
            assert_eq!(select(&state).is_ok(), is_one, "{state:?}");
        }
    }
}
