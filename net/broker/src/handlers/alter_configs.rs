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
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use replication_metadata::{
    AlterConfigs, AlterConfigsError, ConfigChange, ConfigTarget, ResourceChanges,
};
use std::collections::BTreeMap;

use super::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::broker::Broker;
use crate::error::Fault;

/// The changes of one resource, or why nobody need be asked about them.
pub(super) type Wanted = Result<ResourceChanges, Fault>;

/// Replaces settings, or checks whether they could be replaced.
pub(crate) async fn alter_configs(
    broker: &Broker,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let node_id = broker.config().node_id.0;
    let names: Vec<(i8, Text)> = request
        .resources
        .iter()
        .map(|resource| (resource.resource_type, resource.resource_name.clone()))
        .collect();
    let wanted: Vec<Wanted> = request
        .resources
        .into_iter()
        .map(|resource| {
            let (kind, name) = (resource.resource_type, resource.resource_name);
            // Loggers came with the other request.
            if kind == BROKER_LOGGER {
                return Err(unknown_kind(kind));
            }
            let target = target(kind, &name, node_id)?;
            let changes = resource.configs.into_iter().map(|config| {
                let value = config.value.map(|value| value.to_string());
                (config.name.to_string(), ConfigChange::Set(value))
            });
            Ok(ResourceChanges {
                target,
                changes: changes.collect(),
                replace: true,
            })
        })
        .collect();
    let faults = alter(broker, &names, wanted, request.validate_only).await;
    AlterConfigsResponse {
        responses: names
            .into_iter()
            .zip(faults)
            .map(|((kind, name), fault)| AlterConfigsResourceResponse {
                error_code: fault.code,
                error_message: fault.message,
                resource_type: kind,
                resource_name: name,
            })
            .collect(),
        ..AlterConfigsResponse::default()
    }
}

/// Has the controller change what can be; one answer a resource.
pub(super) async fn alter(
    broker: &Broker,
    names: &[(i8, Text)],
    wanted: Vec<Wanted>,
    validate_only: bool,
) -> Vec<Fault> {
    let mut times: BTreeMap<&(i8, Text), usize> = BTreeMap::new();
    for name in names {
        let count = times.entry(name).or_default();
        *count = count.saturating_add(1);
    }
    let mut answers = Vec::with_capacity(wanted.len());
    let mut places = Vec::new();
    let mut resources = Vec::new();
    for (place, (name, wanted)) in names.iter().zip(wanted).enumerate() {
        let is_repeated = times.get(name).is_some_and(|count| *count > 1);
        let refused = match wanted {
            _ if is_repeated => Some(invalid("Each resource must appear at most once.")),
            Err(fault) => Some(fault),
            Ok(changes) => {
                places.push(place);
                resources.push(changes);
                None
            }
        };
        answers.push(refused.unwrap_or_else(|| Fault::code(ErrorCode::NONE)));
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
            *answer = fault;
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
