//! Broker settings that clients change while the broker runs: for one broker, or for all of them.
//!
//! Keeps: the value for this broker wins against the one for all, and either against what the broker
//! was started with; only settings marked so can be changed; what was stored by another release or
//! beside other defaults never stops a broker, it does not hold.
//! Source: KIP-226; Kafka 4.3.1's answers.

use crate::broker::BrokerConfig;
use crate::broker_rows::BROKER_SETTINGS;
use crate::error::{InvalidValue, TopicConfigError};
use crate::setting::{Setting, Update};
use crate::sources::Origin;
use crate::topic::TopicConfig;
use crate::unused::UNUSED_BROKER_SETTINGS;
use crate::value::Value;
use std::collections::BTreeMap;

/// Why a broker setting cannot be changed so. Its text is Kafka's where Kafka has one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DynamicConfigError {
    /// They are read at start only.
    #[error("Cannot update these configs dynamically: [{}]", keys.join(", "))]
    AtStart {
        /// The settings.
        keys: Vec<String>,
    },
    /// A name that no broker setting has. Kafka keeps such values, and nothing ever reads them.
    #[error("Unknown broker config name: {key}")]
    Unknown {
        /// The name.
        key: String,
    },
    /// A value that its setting cannot have.
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        reason: InvalidValue,
    },
    /// What topics would have by default cannot stand together.
    #[error(transparent)]
    TopicDefaults(#[from] TopicConfigError),
}

impl BrokerConfig {
    /// Checks values that a client gives broker settings, and brings them into the form in which they
    /// are stored: raw numbers, no blanks.
    pub fn canonical_dynamic<'a>(
        given: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<BTreeMap<String, String>, DynamicConfigError> {
        let fixed: Vec<String> = given
            .clone()
            .into_iter()
            .filter(|(key, _)| is_fixed(key))
            .map(|(key, _)| key.to_owned())
            .collect();
        if !fixed.is_empty() {
            return Err(DynamicConfigError::AtStart { keys: fixed });
        }
        let mut values = BTreeMap::new();
        for (key, text) in given {
            let setting = find(key).ok_or_else(|| DynamicConfigError::Unknown {
                key: key.to_owned(),
            })?;
            let value = parse(setting, text)?;
            values.insert(setting.key.to_owned(), value.to_string());
        }
        Ok(values)
    }

    /// These settings, as the broker was started with them, under the values stored for `all` brokers
    /// and for this one; and the names of stored values that do not hold.
    #[must_use]
    pub fn with_dynamic(
        &self,
        all: Option<&BTreeMap<String, String>>,
        own: Option<&BTreeMap<String, String>>,
    ) -> (Self, Vec<String>) {
        let mut settings = self.settings.clone();
        let mut idle = Vec::new();
        for (stored, origin) in [(all, Origin::AllBrokers), (own, Origin::ThisBroker)] {
            for (key, text) in stored.into_iter().flatten() {
                let found = find(key).filter(|setting| setting.update == Update::WhileRunning);
                match found.and_then(|setting| Some((setting, parse(setting, text).ok()?))) {
                    Some((setting, value)) => settings.put(setting, value, origin.clone()),
                    None => idle.push(key.clone()),
                }
            }
        }
        // What can be refused beside a value is fixed at start, and was taken then.
        match Self::typed(settings) {
            Ok(config) => (config, idle),
            Err(_) => (self.clone(), idle),
        }
    }

    /// Checks that these settings stand beside each other.
    pub fn check_topic_defaults(&self) -> Result<(), DynamicConfigError> {
        TopicConfig::from_values(self.topic_defaults.clone())?;
        Ok(())
    }
}

/// Whether Kafka knows the setting, or we do, and nobody can change it while the broker runs.
fn is_fixed(key: &str) -> bool {
    match find(key) {
        Some(setting) => setting.update == Update::AtStart,
        None => UNUSED_BROKER_SETTINGS.contains(&key),
    }
}

fn find(key: &str) -> Option<&'static Setting> {
    BROKER_SETTINGS.iter().find(|row| row.key == key)
}

fn parse(setting: &'static Setting, text: &str) -> Result<Value, DynamicConfigError> {
    let refused = |reason| DynamicConfigError::Invalid {
        key: setting.key,
        value: setting.at_fault(text, &reason),
        reason,
    };
    setting.parse(text).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Sources;

    fn broker(assignments: &[&str]) -> BrokerConfig {
        let mut sources = Sources::new();
        for text in assignments {
            sources.assignment(text).unwrap();
        }
        BrokerConfig::new(sources.resolve()).unwrap()
    }

    fn stored(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn this_broker_is_stronger_than_all_brokers_and_both_than_its_start() {
        let start = broker(&["log.retention.ms=3", "log.retention.hours=1"]);
        let all = stored(&[("log.retention.ms", "2"), ("message.max.bytes", "9")]);
        let own = stored(&[("log.retention.ms", "1")]);
        let retention = |all, own| {
            let (config, idle) = start.with_dynamic(all, own);
            assert_eq!(idle, Vec::<String>::new());
            config.default_topic_config.retention_ms
        };
        assert_eq!(retention(None, None), 3);
        assert_eq!(retention(Some(&all), None), 2);
        assert_eq!(retention(None, Some(&own)), 1);
        assert_eq!(retention(Some(&all), Some(&own)), 1);
        let (config, _) = start.with_dynamic(Some(&all), Some(&own));
        assert_eq!(config.default_topic_config.max_message_bytes, 9);
        let places: Vec<String> = config
            .settings
            .get("log.retention.ms")
            .unwrap()
            .given()
            .map(|(value, origin)| format!("{} {origin}", value.unwrap()))
            .collect();
        assert_eq!(
            places,
            [
                "1 changed for this broker",
                "2 changed for all brokers",
                "3 -X"
            ]
        );
    }

    #[test]
    fn stored_values_that_cannot_hold_leave_everything_else_in_force() {
        let start = broker(&[]);
        let all = stored(&[
            ("gone.setting", "1"),
            ("log.retention.ms", "soon"),
            ("node.id", "7"),
            ("message.max.bytes", "9"),
        ]);
        let (config, idle) = start.with_dynamic(Some(&all), None);
        assert_eq!(idle, ["gone.setting", "log.retention.ms", "node.id"]);
        assert_eq!(config.default_topic_config.max_message_bytes, 9);
        assert_eq!(config.default_topic_config.retention_ms, 604_800_000);
        assert_eq!(config.node_id, start.node_id);
    }

    #[test]
    fn only_what_is_taken_up_while_running_can_be_changed() {
        for (given, words) in [
            (
                &[("num.partitions", "x"), ("node.id", "1")][..],
                "Cannot update these configs dynamically: [num.partitions, node.id]",
            ),
            (
                &[("num.io.threads", "9")],
                "Cannot update these configs dynamically: [num.io.threads]",
            ),
            (&[("foo", "9")], "Unknown broker config name: foo"),
            (
                &[("retention.ms", "9")],
                "Unknown broker config name: retention.ms",
            ),
            (
                &[("log.cleanup.policy", "delete,zzz")],
                "Invalid value zzz for configuration log.cleanup.policy: String must be one of: compact, delete",
            ),
        ] {
            let error = BrokerConfig::canonical_dynamic(given.iter().copied()).unwrap_err();
            assert_eq!(error.to_string(), words);
        }
        let given = [("log.retention.ms", " 7d "), ("message.max.bytes", "1KiB")];
        assert_eq!(
            BrokerConfig::canonical_dynamic(given),
            Ok(stored(&[
                ("log.retention.ms", "604800000"),
                ("message.max.bytes", "1024")
            ]))
        );
    }
}
