//! DeleteTopics: hands the request to the controller and lays out its answers.
//!
//! Source: Kafka 4.3.1's answers; KIP-4, KIP-516 (topic ids).

use engine_model::{ErrorCode, TopicId};
use net_protocol::Text;
use net_protocol::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use replication_metadata::{DeleteTopicError, DeletedTopic, MetadataImage, TopicSelector};
use std::collections::{BTreeMap, BTreeSet};

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
    let (wanted, mut responses) = take_repeated(&broker.image(), wanted);
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

/// Parts what is named more than once, in whichever way, from what is not: each of the former has
/// one answer.
fn take_repeated(
    image: &MetadataImage,
    wanted: Vec<DeleteTopicState>,
) -> (Vec<DeleteTopicState>, Vec<DeletableTopicResult>) {
    let mut names: BTreeMap<Text, usize> = BTreeMap::new();
    let mut ids: BTreeMap<TopicId, usize> = BTreeMap::new();
    for state in wanted.iter().filter(|state| select(state).is_ok()) {
        match &state.name {
            Some(name) => *names.entry(name.clone()).or_default() += 1,
            None => *ids.entry(state.topic_id).or_default() += 1,
        }
    }
    let mut refused = Vec::new();
    let mut refuse_once = |name: Option<Text>, topic_id: TopicId, words| {
        let state = DeleteTopicState { name, topic_id };
        let words = Some(Text::from_static(words));
        refused.push(refuse(state, ErrorCode::INVALID_REQUEST, words));
    };
    let mut doubled: BTreeSet<TopicId> = BTreeSet::new();
    for (name, count) in &names {
        let id = image.topic_named(name).map(|topic| topic.id);
        if *count > 1 {
            refuse_once(Some(name.clone()), TopicId::ZERO, "Duplicate topic name.");
        } else if let Some(id) = id.filter(|id| ids.contains_key(id)) {
            doubled.insert(id);
            let words = "The provided topic name maps to an ID that was already supplied.";
            refuse_once(Some(name.clone()), id, words);
        }
    }
    for (id, count) in &ids {
        if *count > 1 && !doubled.contains(id) {
            refuse_once(None, *id, "Duplicate topic id.");
        }
    }
    let is_single = |state: &DeleteTopicState| match &state.name {
        _ if select(state).is_err() => true,
        Some(name) => {
            let id = image.topic_named(name).map(|topic| topic.id);
            names.get(name) == Some(&1) && id.is_none_or(|id| !doubled.contains(&id))
        }
        None => ids.get(&state.topic_id) == Some(&1) && !doubled.contains(&state.topic_id),
    };
    let mut single = wanted;
    single.retain(is_single);
    (single, refused)
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
