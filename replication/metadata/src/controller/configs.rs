//! Changing the settings of topics.

use super::{Controller, Outcome};
use crate::error::AlterConfigsError;
use crate::limits::CONFIG_VALUE_BYTES_MAX;
use crate::record::{ConfigResource, MetadataRecord};
use engine_config::{TopicConfig, TopicConfigError};
use engine_model::TopicId;
use std::collections::BTreeSet;

/// What happens to one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// It gets a value of its own; `None` is Kafka's null and refused.
    Set(Option<String>),
    /// It falls back to the broker's default.
    Delete,
}

/// Changes to the settings of one topic; what is not named stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTopicConfigs {
    /// The topic.
    pub topic_id: TopicId,
    /// The settings by name, each once.
    pub changes: Vec<(String, ConfigChange)>,
}

impl Controller {
    /// Changes settings of a topic: all of them, or on an error none.
    pub fn alter_topic_configs(
        &self,
        request: &AlterTopicConfigs,
    ) -> Result<Outcome<()>, AlterConfigsError> {
        let topic = self
            .image
            .topic(request.topic_id)
            .ok_or(AlterConfigsError::UnknownTopic)?;
        let mut seen = BTreeSet::new();
        if !request.changes.iter().all(|(key, _)| seen.insert(key)) {
            return Err(AlterConfigsError::DuplicateKey);
        }
        let given = request
            .changes
            .iter()
            .filter_map(|(key, change)| match change {
                ConfigChange::Set(value) => Some((key.as_str(), value.as_deref())),
                ConfigChange::Delete => None,
            });
        let set = TopicConfig::canonical_overrides(given, &self.config)?;
        let mut after = topic.configs.clone();
        let mut records = Vec::new();
        for (key, change) in &request.changes {
            let value = match change {
                ConfigChange::Set(_) => set.get(key).cloned(),
                ConfigChange::Delete => None,
            };
            let is_too_long = value
                .as_ref()
                .is_some_and(|value| value.len() > CONFIG_VALUE_BYTES_MAX);
            if is_too_long {
                let (key, max) = (key.clone(), CONFIG_VALUE_BYTES_MAX);
                return Err(AlterConfigsError::TooLong { key, max });
            }
            let is_known = engine_config::TOPIC_SETTINGS
                .iter()
                .any(|row| row.key == key);
            if !is_known {
                return Err(TopicConfigError::Unknown { key: key.clone() }.into());
            }
            let before = match &value {
                Some(value) => after.insert(key.clone(), value.clone()),
                None => after.remove(key),
            };
            if before != value {
                let resource = ConfigResource::Topic(request.topic_id);
                records.push(MetadataRecord::Config {
                    resource,
                    key: key.clone(),
                    value,
                });
            }
        }
        // What stands alone may not stand together.
        TopicConfig::from_overrides(&after, &self.config)?;
        Ok(Outcome::atomic(records, ()))
    }
}
