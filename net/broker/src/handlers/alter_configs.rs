//! AlterConfigs: replaces all settings of topics and brokers; and what it shares with
//! IncrementalAlterConfigs.
//!
//! Keeps: one answer a resource, in the order of the request; a resource named twice is changed by
//! neither.
//! Source: Kafka 4.3.1's answers; KIP-133. Kafka leaves a request with a resource named twice
//! unanswered here.

use engine_model::{ErrorCode, NodeId};
use net_protocol::Text;
use net_protocol::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse, AlterableConfig,
};
use replication_metadata::{
    AlterConfigs, AlterConfigsError, ConfigChange, ConfigTarget, ResourceChanges,
};
use std::collections::BTreeMap;

use super::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::broker::Broker;
use crate::error::Fault;

/// One resource of a request.
pub(super) struct Asked {
    pub(super) kind: i8,
    pub(super) name: Text,
    /// Its changes, or why nobody need be asked about them.
    pub(super) wanted: Result<ResourceChanges, Fault>,
}

/// What became of one resource.
pub(super) struct Altered {
    pub(super) kind: i8,
    pub(super) name: Text,
    pub(super) fault: Fault,
}

/// Replaces settings, or checks whether they could be replaced.
pub(crate) async fn alter_configs(
    broker: &Broker,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let node_id = broker.config().node_id.0;
    let asked = request.resources.into_iter().map(|resource| Asked {
        kind: resource.resource_type,
        wanted: replacement(
            resource.resource_type,
            &resource.resource_name,
            resource.configs,
            node_id,
        ),
        name: resource.resource_name,
    });
    let altered = alter(broker, asked.collect(), request.validate_only).await;
    let answer = |altered: Altered| AlterConfigsResourceResponse {
        error_code: altered.fault.code,
        error_message: altered.fault.message,
        resource_type: altered.kind,
        resource_name: altered.name,
    };
    AlterConfigsResponse {
        responses: altered.into_iter().map(answer).collect(),
        ..AlterConfigsResponse::default()
    }
}

fn replacement(
    kind: i8,
    name: &str,
    configs: Vec<AlterableConfig>,
    node_id: i32,
) -> Result<ResourceChanges, Fault> {
    // Loggers came with the other request.
    if kind == BROKER_LOGGER {
        return Err(unknown_kind(kind));
    }
    let target = target(kind, name, node_id)?;
    let changes = configs.into_iter().map(|config| {
        let value = config.value.map(|value| value.to_string());
        (config.name.to_string(), ConfigChange::Set(value))
    });
    Ok(ResourceChanges {
        target,
        changes: changes.collect(),
        replace: true,
    })
}

/// Has the controller change what can be; one answer a resource, in the order of asking.
pub(super) async fn alter(broker: &Broker, asked: Vec<Asked>, validate_only: bool) -> Vec<Altered> {
    let mut times: BTreeMap<(i8, Text), usize> = BTreeMap::new();
    for resource in &asked {
        let count = times.entry((resource.kind, resource.name.clone()));
        let count = count.or_default();
        *count = count.saturating_add(1);
    }
    let mut answers = Vec::with_capacity(asked.len());
    let mut places = Vec::new();
    let mut resources = Vec::new();
    for Asked { kind, name, wanted } in asked {
        let resource = (kind, name);
        let is_repeated = times.get(&resource).is_some_and(|count| *count > 1);
        let fault = match wanted {
            _ if is_repeated => invalid("Each resource must appear at most once."),
            Err(fault) => fault,
            Ok(changes) => {
                places.push(answers.len());
                resources.push(changes);
                Fault::code(ErrorCode::NONE)
            }
        };
        let (kind, name) = resource;
        answers.push(Altered { kind, name, fault });
    }
    let request = AlterConfigs {
        resources,
        validate_only,
    };
    let altered = broker.alter_configs(request).await;
    for (index, place) in places.into_iter().enumerate() {
        let fault = match &altered {
            Ok(altered) => match altered.get(index) {
                Some(Ok(())) => continue,
                Some(Err(error)) => Fault::from(error),
                None => Fault::unknown(),
            },
            Err(fault) => fault.clone(),
        };
        if let Some(answer) = answers.get_mut(place) {
            answer.fault = fault;
        }
    }
    answers
}

/// Whose settings are meant.
pub(super) fn target(kind: i8, name: &str, node_id: i32) -> Result<ConfigTarget, Fault> {
    match kind {
        TOPIC => Ok(ConfigTarget::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigTarget::AllBrokers),
        BROKER => match name.parse::<i32>() {
            Ok(id) if id == node_id => Ok(ConfigTarget::Broker(NodeId(id))),
            Ok(id) => Err(invalid(format!(
                "Unexpected broker id, expected {node_id}, but received {id}"
            ))),
            Err(_) => Err(invalid(format!(
                "Node id must be an integer, but it is: {name}"
            ))),
        },
        BROKER_LOGGER => Err(invalid(
            "Log levels cannot be changed while this broker runs.",
        )),
        CLIENT_METRICS if name.is_empty() => Err(invalid("Subscription name can't be empty")),
        GROUP if name.is_empty() => Err(invalid("Default group resources are not allowed.")),
        CLIENT_METRICS => Err(invalid("This broker has no metrics subscriptions.")),
        GROUP => Err(invalid("This broker has no settings of groups yet.")),
        other => Err(unknown_kind(other)),
    }
}

fn unknown_kind(kind: i8) -> Fault {
    invalid(format!("Unknown resource type {kind}"))
}

pub(super) fn invalid(words: impl Into<Text>) -> Fault {
    Fault::new(ErrorCode::INVALID_REQUEST, words)
}

impl From<&AlterConfigsError> for Fault {
    fn from(error: &AlterConfigsError) -> Self {
        Self::new(error.error_code(), error.to_string())
    }
}
