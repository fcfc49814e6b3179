//! DescribeConfigs: the settings of topics and of this broker, and what a client may ask of loggers,
//! groups and metrics subscriptions.
//!
//! Keeps: a request cannot make more of an answer than all there is to describe.
//! Source: Kafka 4.3.1's answers; KIP-133, KIP-226, KIP-412 (loggers), KIP-569, KIP-714, KIP-848.

use engine_model::{ErrorCode, TopicName, TopicNameError};
use net_protocol::Text;
use net_protocol::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult,
};
use replication_metadata::{ConfigResource, MetadataImage};
use tracing::level_filters::LevelFilter;

use crate::broker::Broker;
use crate::config_entries::{ConfigEntry, all_broker_entries, broker_entries, topic_entries};
use crate::error::Fault;

/// Kafka's numbers of the kinds of resources.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

/// The logger all others follow, and where its level comes from by Kafka's number.
const ROOT_LOGGER: Text = Text::from_static("root");
const SOURCE_LOGGER: i8 = 6;

/// Resources that one request may name beyond one for each topic there is. An answer is a thousand
/// times as long as its question, so that repeated names would cost gigabytes.
const RESOURCES_BEYOND_TOPICS_MAX: usize = 256;

/// What the request wants of each setting.
#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
}

/// Describes every resource asked for, in the order of the request.
pub(crate) async fn describe_configs(
    broker: &Broker,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let image = broker.image();
    let detail = Detail {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let resources_max = image
        .topic_count()
        .saturating_add(RESOURCES_BEYOND_TOPICS_MAX);
    let is_excessive = request.resources.len() > resources_max;
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let described = if is_excessive {
            Err(invalid(format!(
                "The request names more than {resources_max} resources."
            )))
        } else {
            describe(broker, &image, resource, detail)
        };
        let (fault, configs) = match described {
            Ok(configs) => (Fault::code(ErrorCode::NONE), configs),
            Err(fault) => (fault, Vec::new()),
        };
        results.push(DescribeConfigsResult {
            error_code: fault.code,
            // Kafka says nothing here in an empty text.
            error_message: Some(fault.message.unwrap_or_default()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs,
        });
        engine_rt::yield_if_due().await;
    }
    DescribeConfigsResponse {
        results,
        ..DescribeConfigsResponse::default()
    }
}

fn describe(
    broker: &Broker,
    image: &MetadataImage,
    resource: &DescribeConfigsResource,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Fault> {
    let name = &*resource.resource_name;
    let config = broker.config();
    match resource.resource_type {
        TOPIC => {
            check_topic_name(name)?;
            let topic = image
                .topic_named(name)
                .ok_or_else(|| Fault::code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
            let entries = topic_entries(&config, &topic.configs);
            Ok(select(resource, entries, detail))
        }
        // What was changed for all brokers.
        BROKER if name.is_empty() => {
            let all = image.configs(ConfigResource::AllBrokers);
            let entries = all.into_iter().flat_map(all_broker_entries);
            Ok(entries
                .filter(|entry| is_wanted(resource, &entry.name))
                .map(|mut entry| {
                    if !detail.synonyms {
                        entry.synonyms.clear();
                    }
                    if !detail.documentation {
                        entry.documentation = None;
                    }
                    entry
                })
                .collect())
        }
        BROKER => {
            check_broker(name, config.node_id.0, " or empty string,")?;
            Ok(select(resource, broker_entries(&config), detail))
        }
        BROKER_LOGGER if name.is_empty() => Err(invalid("Broker id must not be empty")),
        BROKER_LOGGER => {
            check_broker(name, config.node_id.0, "")?;
            let entry = root_logger(detail);
            Ok(if is_wanted(resource, &entry.name) {
                vec![entry]
            } else {
                Vec::new()
            })
        }
        CLIENT_METRICS if name.is_empty() => Err(invalid(
            "Client metrics subscription name must not be empty",
        )),
        GROUP if name.is_empty() => Err(invalid("Group name must not be empty")),
        // Neither has settings in this release.
        CLIENT_METRICS | GROUP => Ok(Vec::new()),
        other => Err(invalid(format!("Resource type {other} has no settings."))),
    }
}

fn select<'a>(
    resource: &DescribeConfigsResource,
    entries: impl Iterator<Item = ConfigEntry<'a>>,
    detail: Detail,
) -> Vec<DescribeConfigsResourceResult> {
    entries
        .filter(|entry| is_wanted(resource, entry.setting.key))
        .map(|entry| entry.describe(detail.synonyms, detail.documentation))
        .collect()
}

/// No names at all mean every name, as in Kafka.
fn is_wanted(resource: &DescribeConfigsResource, key: &str) -> bool {
    resource
        .configuration_keys
        .as_ref()
        .is_none_or(|keys| keys.is_empty() || keys.iter().any(|wanted| &**wanted == key))
}

fn check_topic_name(name: &str) -> Result<(), Fault> {
    TopicName::new(name).map(|_| ()).map_err(|error| {
        let reason = match error {
            TopicNameError::Dots => format!("'{name}' is not allowed"),
            other => other.to_string(),
        };
        Fault::new(
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            format!("Topic name is invalid: {reason}"),
        )
    })
}

/// `or` are Kafka's words for what else the name might be.
fn check_broker(name: &str, node_id: i32, or: &str) -> Result<(), Fault> {
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(id) => Err(invalid(format!(
            "Unexpected broker id, expected {node_id}{or} but received {id}"
        ))),
        Err(_) => Err(invalid(format!(
            "Broker id must be an integer, but it is: {name}"
        ))),
    }
}

fn invalid(words: impl Into<Text>) -> Fault {
    Fault::new(ErrorCode::INVALID_REQUEST, words)
}

/// The level of what this process logs, in the words of Kafka's loggers.
fn root_logger(detail: Detail) -> DescribeConfigsResourceResult {
    let current = LevelFilter::current();
    let level = if current == LevelFilter::OFF {
        "FATAL"
    } else if current == LevelFilter::ERROR {
        "ERROR"
    } else if current == LevelFilter::WARN {
        "WARN"
    } else if current == LevelFilter::INFO {
        "INFO"
    } else if current == LevelFilter::DEBUG {
        "DEBUG"
    } else {
        "TRACE"
    };
    DescribeConfigsResourceResult {
        name: ROOT_LOGGER,
        value: Some(Text::from_static(level)),
        read_only: true,
        config_source: SOURCE_LOGGER,
        documentation: detail.documentation.then_some(Text::EMPTY),
        ..DescribeConfigsResourceResult::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_its_number() {
        // Kafka 4.3.1's answers on node 1.
        for (name, words) in [
            ("1", None),
            ("01", None),
            ("+1", None),
            (
                "2",
                Some("Unexpected broker id, expected 1 or empty string, but received 2"),
            ),
            (
                "-1",
                Some("Unexpected broker id, expected 1 or empty string, but received -1"),
            ),
            ("abc", Some("Broker id must be an integer, but it is: abc")),
        ] {
            let fault = check_broker(name, 1, " or empty string,").err();
            let found = fault.and_then(|fault| fault.message);
            assert_eq!(found.as_deref(), words, "{name}");
        }
    }
}
