//! IncrementalAlterConfigs: changes some settings of topics and brokers, and says why the other kinds
//! of resources are not changed.
//!
//! Source: Kafka 4.3.1's answers; KIP-339, KIP-412 (loggers).

use net_protocol::incremental_alter_configs::{
    AlterConfigsResourceResponse, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use replication_metadata::{ConfigChange, ResourceChanges};

use super::alter_configs::{Altered, Asked, alter, invalid, target};
use super::describe_configs::BROKER_LOGGER;
use crate::broker::Broker;
use crate::error::Fault;
use engine_model::ErrorCode;

/// Kafka's numbers of what happens to a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Changes settings, or checks whether they could be changed.
pub(crate) async fn incremental_alter_configs(
    broker: &Broker,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let node_id = broker.config().node_id.0;
    let asked = request.resources.into_iter().map(|resource| Asked {
        kind: resource.resource_type,
        wanted: changes(
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
    IncrementalAlterConfigsResponse {
        responses: altered.into_iter().map(answer).collect(),
        ..IncrementalAlterConfigsResponse::default()
    }
}

fn changes(
    kind: i8,
    name: &str,
    configs: Vec<AlterableConfig>,
    node_id: i32,
) -> Result<ResourceChanges, Fault> {
    if kind == BROKER_LOGGER {
        check_logger(name, node_id, &configs)?;
    }
    let target = target(kind, name, node_id)?;
    let changes = configs.into_iter().map(change);
    Ok(ResourceChanges {
        target,
        changes: changes.collect::<Result<_, _>>()?,
        replace: false,
    })
}

fn change(config: AlterableConfig) -> Result<(String, ConfigChange), Fault> {
    let value = config.value.map(|value| value.to_string());
    let change = match config.config_operation {
        SET => ConfigChange::Set(value),
        DELETE => ConfigChange::Delete,
        APPEND => ConfigChange::Append(value),
        SUBTRACT => ConfigChange::Subtract(value),
        // Kafka fails over this one with an unknown error.
        other => return Err(invalid(format!("Unknown operation type {other}"))),
    };
    Ok((config.name.to_string(), change))
}

/// Kafka's objections; what it would do is refused by [`target`].
fn check_logger(name: &str, node_id: i32, configs: &[AlterableConfig]) -> Result<(), Fault> {
    const LEVELS: [&str; 6] = ["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];
    match name.parse::<i32>() {
        Ok(id) if id == node_id => {}
        Ok(id) => {
            let words = format!("Unexpected node id. Expected {node_id}, but received {id}");
            return Err(invalid(words));
        }
        Err(_) => {
            let words = format!("Node id must be an integer, but it is: {name}");
            return Err(invalid(words));
        }
    }
    for config in configs {
        let (logger, level) = (&config.name, config.value.as_deref().unwrap_or_default());
        let words = match config.config_operation {
            APPEND | SUBTRACT => {
                let verb = if config.config_operation == APPEND {
                    "APPEND"
                } else {
                    "SUBTRACT"
                };
                let words =
                    format!("{verb} operation is not allowed for the BROKER_LOGGER resource");
                return Err(invalid(words));
            }
            _ if **logger != *"root" => format!("Logger {logger} does not exist!"),
            DELETE => {
                let words = "Removing the log level of the root logger is not allowed";
                return Err(invalid(words));
            }
            _ if LEVELS.contains(&level) => continue,
            _ => format!(
                "Cannot set the log level of {logger} to {level} as it is not a supported log level. Valid log levels are {}",
                LEVELS.join(", ")
            ),
        };
        return Err(Fault::new(ErrorCode::INVALID_CONFIG, words));
    }
    Ok(())
}
