//! Changing the settings of topics and brokers.
//!
//! Keeps: of one resource all changes are made or none; what is stored is a value of its setting, in
//! its raw form, and stands beside what holds with it.
//! Source: KIP-133, KIP-226, KIP-339; Kafka 4.3.1's answers, order of checks included.

use super::{Controller, Outcome};
use crate::error::AlterConfigsError;
use crate::image::Configs;
use crate::limits::CONFIG_VALUE_BYTES_MAX;
use crate::record::{ConfigResource, MetadataRecord};
use engine_config::{BROKER_SETTINGS, BrokerConfig, Kind, Setting, TOPIC_SETTINGS, TopicConfig};
use engine_model::{NodeId, TopicName, TopicNameError};
use std::collections::BTreeSet;

/// Whose settings change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigTarget {
    /// A topic, by a name that need not be a legal one.
    Topic(String),
    /// One broker.
    Broker(NodeId),
    /// Every broker.
    AllBrokers,
}

/// What happens to one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// It gets a value of its own; `None` is Kafka's null and refused.
    Set(Option<String>),
    /// It falls back to the default.
    Delete,
    /// These items join its list, as far as they are not in it.
    Append(Option<String>),
    /// These items leave its list.
    Subtract(Option<String>),
}

/// Changes to the settings of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceChanges {
    /// Whose.
    pub target: ConfigTarget,
    /// The settings by name, each once.
    pub changes: Vec<(String, ConfigChange)>,
    /// Whether what is not named loses its value, instead of keeping it.
    pub replace: bool,
}

/// Changes to the settings of several resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    /// One entry a resource, each once.
    pub resources: Vec<ResourceChanges>,
    /// Whether to check only.
    pub validate_only: bool,
}

type Answers = Vec<Result<(), AlterConfigsError>>;

impl Controller {
    /// Changes settings. Each resource stands for itself: all its changes are made, or none and its
    /// answer says why.
    pub fn alter_configs(&self, request: &AlterConfigs) -> Outcome<Answers> {
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(request.resources.len());
        for resource in &request.resources {
            let altered = self.alter_resource(resource);
            answers.push(altered.map(|found| records.extend(found)));
        }
        if request.validate_only {
            records.clear();
        }
        Outcome::atomic(records, answers)
    }

    fn alter_resource(
        &self,
        request: &ResourceChanges,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        let mut seen = BTreeSet::new();
        if !request.changes.iter().all(|(key, _)| seen.insert(key)) {
            return Err(AlterConfigsError::DuplicateKey);
        }
        let nulls: Vec<&str> = request
            .changes
            .iter()
            .filter(|(_, change)| change.is_null())
            .map(|(key, _)| key.as_str())
            .collect();
        if !nulls.is_empty() {
            let keys = nulls.join(", ");
            return Err(AlterConfigsError::Null { keys });
        }
        match &request.target {
            ConfigTarget::Topic(name) => self.alter_topic(name, request),
            ConfigTarget::Broker(node_id) => {
                self.alter_broker(ConfigResource::Broker(*node_id), request)
            }
            ConfigTarget::AllBrokers => self.alter_broker(ConfigResource::AllBrokers, request),
        }
    }

    fn alter_topic(
        &self,
        name: &str,
        request: &ResourceChanges,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        check_topic_name(name)?;
        let topic = self.image.topic_named(name);
        let none = Configs::new();
        let standing = topic.map_or(&none, |topic| &topic.configs);
        let mut texts = Vec::new();
        for (key, change) in &request.changes {
            let list = || {
                let row = list_row(TOPIC_SETTINGS, key);
                row.ok_or_else(|| AlterConfigsError::NotAList {
                    verb: if change.is_append() {
                        "APPEND"
                    } else {
                        "SUBTRACT"
                    },
                    key: key.clone(),
                })
            };
            // What holds: Kafka 4.3.1 overlooks here what was changed for its brokers.
            let held = |row: &Setting| match standing.get(row.key) {
                Some(own) => own.clone(),
                None => self
                    .config
                    .topic_defaults
                    .get(row.key)
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            };
            if let Some(text) = change.text(list, held)? {
                texts.push((key.as_str(), text));
            }
        }
        let given = texts.iter().map(|(key, text)| (*key, text.as_str()));
        let set = TopicConfig::canonical_values(given)?;
        let topic = topic.ok_or_else(|| AlterConfigsError::UnknownTopic {
            name: name.to_owned(),
        })?;
        let after = after(standing, set, request);
        TopicConfig::from_overrides(&after, &self.config)?;
        records(ConfigResource::Topic(topic.id), standing, &after)
    }

    fn alter_broker(
        &self,
        resource: ConfigResource,
        request: &ResourceChanges,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        let none = Configs::new();
        let standing = self.image.configs(resource).unwrap_or(&none);
        let holds = match resource {
            ConfigResource::AllBrokers => &self.base,
            ConfigResource::Broker(_) | ConfigResource::Topic(_) => &self.config,
        };
        let mut texts = Vec::new();
        for (key, change) in &request.changes {
            let list = || {
                let row = list_row(BROKER_SETTINGS, key);
                row.ok_or_else(|| AlterConfigsError::NotABrokerList {
                    verb: if change.is_append() {
                        "append"
                    } else {
                        "subtract"
                    },
                    key: key.clone(),
                })
            };
            let held = |row: &Setting| match standing.get(row.key) {
                Some(own) => own.clone(),
                None => holds
                    .settings
                    .get(row.key)
                    .and_then(|found| found.value.as_ref())
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            };
            if let Some(text) = change.text(list, held)? {
                texts.push((key.as_str(), text));
            }
        }
        let given = texts.iter().map(|(key, text)| (*key, text.as_str()));
        let set = BrokerConfig::canonical_dynamic(given)?;
        let after = after(standing, set, request);
        let stored = |resource| self.image.configs(resource);
        let node_id = self.base.node_id;
        let (all, own) = match resource {
            ConfigResource::AllBrokers => (Some(&after), stored(ConfigResource::Broker(node_id))),
            ConfigResource::Broker(_) | ConfigResource::Topic(_) => {
                (stored(ConfigResource::AllBrokers), Some(&after))
            }
        };
        self.base.with_dynamic(all, own).0.check_topic_defaults()?;
        records(resource, standing, &after)
    }
}

impl ConfigChange {
    fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Set(None) | Self::Append(None) | Self::Subtract(None)
        )
    }

    fn is_append(&self) -> bool {
        matches!(self, Self::Append(_))
    }

    /// What the setting is to be, as it would be written; `None` for the default. `list` finds the
    /// row of a list, `held` what holds.
    fn text(
        &self,
        list: impl FnOnce() -> Result<&'static Setting, AlterConfigsError>,
        held: impl FnOnce(&Setting) -> String,
    ) -> Result<Option<String>, AlterConfigsError> {
        let (items, joins) = match self {
            Self::Set(value) => return Ok(value.clone()),
            Self::Delete => return Ok(None),
            Self::Append(items) => (items, true),
            Self::Subtract(items) => (items, false),
        };
        let held = held(list()?);
        let mut standing: Vec<&str> = split(&held).filter(|item| !item.is_empty()).collect();
        let items = split(items.as_deref().unwrap_or_default());
        if joins {
            for item in items {
                if !standing.contains(&item) {
                    standing.push(item);
                }
            }
        } else {
            let leave: Vec<&str> = items.collect();
            standing.retain(|item| !leave.contains(item));
        }
        Ok(Some(standing.join(",")))
    }
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

fn list_row(rows: &'static [Setting], key: &str) -> Option<&'static Setting> {
    rows.iter()
        .find(|row| row.key == key && row.kind == Kind::List)
}

fn check_topic_name(name: &str) -> Result<(), AlterConfigsError> {
    if name.is_empty() {
        return Err(AlterConfigsError::NoTopic);
    }
    let invalid = |error: TopicNameError| AlterConfigsError::InvalidName {
        reason: match error {
            TopicNameError::Dots => format!("'{name}' is not allowed"),
            other => other.to_string(),
        },
    };
    TopicName::new(name).map(|_| ()).map_err(invalid)
}

/// What a resource has after `set` and the deletions of a request.
fn after(standing: &Configs, set: Configs, request: &ResourceChanges) -> Configs {
    let mut after = if request.replace {
        Configs::new()
    } else {
        standing.clone()
    };
    for (key, change) in &request.changes {
        if *change == ConfigChange::Delete {
            after.remove(key);
        }
    }
    after.extend(set);
    after
}

/// The records that lead from one to the other.
fn records(
    resource: ConfigResource,
    before: &Configs,
    after: &Configs,
) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut records = Vec::new();
    for key in keys {
        let value = after.get(key);
        if before.get(key) == value {
            continue;
        }
        if value.is_some_and(|value| value.len() > CONFIG_VALUE_BYTES_MAX) {
            let (key, max) = (key.clone(), CONFIG_VALUE_BYTES_MAX);
            return Err(AlterConfigsError::TooLong { key, max });
        }
        records.push(MetadataRecord::Config {
            resource,
            key: key.clone(),
            value: value.cloned(),
        });
    }
    Ok(records)
}
