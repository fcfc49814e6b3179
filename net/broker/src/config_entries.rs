//! Settings as clients are told them: value, where it comes from, and every other place that gives
//! one.
//!
//! Keeps: the value of a sensitive setting is never told; the source is that of the place that
//! won.
//! Source: Kafka 4.3.1's answers; KIP-226 (sources and synonyms), KIP-569 (types).

use engine_config::{
    BROKER_SETTINGS, BrokerConfig, Kind, Origin, Scope, Setting, TOPIC_SETTINGS, Update, Value,
};
use net_protocol::Text;
use net_protocol::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use std::collections::BTreeMap;

/// Where a value comes from, by Kafka's numbers.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_THIS_BROKER: i8 = 2;
const SOURCE_ALL_BROKERS: i8 = 3;
const SOURCE_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

/// A setting in force.
pub(crate) struct ConfigEntry<'a> {
    /// Its row.
    pub(crate) setting: &'static Setting,
    /// Its value as Kafka writes it, null if there is none or it is withheld.
    pub(crate) value: Option<Text>,
    /// Where that comes from.
    pub(crate) source: i8,
    config: &'a BrokerConfig,
    /// Whether the value is the topic's own.
    is_topics_own: bool,
}

/// Every setting of a topic that was given `own`.
pub(crate) fn topic_entries<'a>(
    config: &'a BrokerConfig,
    own: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = ConfigEntry<'a>> {
    TOPIC_SETTINGS.iter().map(move |setting| {
        let given = own.get(setting.key);
        let value = given.map(|value| Text::from(value.as_str())).or_else(|| {
            let default = config.topic_defaults.get(setting.key);
            default.map(|value| Text::from(value.to_string()))
        });
        let from_broker = || broker_places(config, setting.synonyms).next();
        ConfigEntry {
            setting,
            value: value.filter(|_| !setting.sensitive),
            source: match given {
                Some(_) => SOURCE_TOPIC,
                None => from_broker().map_or(SOURCE_DEFAULT, |place| place.source),
            },
            config,
            is_topics_own: given.is_some(),
        }
    })
}

/// Every setting of the broker.
pub(crate) fn broker_entries(config: &BrokerConfig) -> impl Iterator<Item = ConfigEntry<'_>> {
    config.settings.iter().map(move |resolved| ConfigEntry {
        setting: resolved.setting,
        value: shown(resolved.setting, resolved.value.as_ref()),
        source: source(&resolved.origin),
        config,
        is_topics_own: false,
    })
}

/// What was changed for all brokers, from its stored form.
pub(crate) fn all_broker_entries(
    stored: &BTreeMap<String, String>,
) -> impl Iterator<Item = DescribeConfigsResourceResult> {
    stored.iter().filter_map(|(key, value)| {
        let setting = BROKER_SETTINGS.iter().find(|row| row.key == key)?;
        let value = Some(Text::from(value.as_str())).filter(|_| !setting.sensitive);
        Some(DescribeConfigsResourceResult {
            name: Text::from_static(setting.key),
            value: value.clone(),
            read_only: setting.update == Update::AtStart,
            config_source: SOURCE_ALL_BROKERS,
            is_sensitive: setting.sensitive,
            synonyms: vec![DescribeConfigsSynonym {
                name: Text::from_static(setting.key),
                value,
                source: SOURCE_ALL_BROKERS,
            }],
            config_type: kind_number(setting.kind),
            documentation: Some(Text::from_static(setting.doc)),
        })
    })
}

/// The values that the broker was given under these names, the one in force first.
fn broker_places<'a>(
    config: &'a BrokerConfig,
    keys: &'a [&'static str],
) -> impl Iterator<Item = DescribeConfigsSynonym> {
    let mut places: Vec<_> = keys
        .iter()
        .filter_map(|key| config.settings.get(key))
        .flat_map(|resolved| {
            resolved
                .given()
                .map(|(value, origin)| DescribeConfigsSynonym {
                    name: Text::from_static(resolved.setting.key),
                    value: shown(resolved.setting, value),
                    source: source(origin),
                })
        })
        .collect();
    // Stable: of one place the stronger name stays in front.
    places.sort_by_key(|place| place.source);
    places.into_iter()
}

fn shown(setting: &Setting, value: Option<&Value>) -> Option<Text> {
    value
        .filter(|_| !setting.sensitive)
        .map(|value| value.to_string().into())
}

fn source(origin: &Origin) -> i8 {
    match origin {
        Origin::Default => SOURCE_DEFAULT,
        Origin::AllBrokers => SOURCE_ALL_BROKERS,
        Origin::ThisBroker => SOURCE_THIS_BROKER,
        _ => SOURCE_BROKER,
    }
}

impl ConfigEntry<'_> {
    /// As DescribeConfigs tells it.
    pub(crate) fn describe(
        self,
        with_synonyms: bool,
        with_documentation: bool,
    ) -> DescribeConfigsResourceResult {
        let synonyms = if with_synonyms {
            self.synonyms()
        } else {
            Vec::new()
        };
        let setting = self.setting;
        DescribeConfigsResourceResult {
            name: Text::from_static(setting.key),
            value: self.value,
            read_only: setting.update == Update::AtStart,
            config_source: self.source,
            is_sensitive: setting.sensitive,
            synonyms,
            config_type: kind_number(setting.kind),
            documentation: with_documentation.then(|| Text::from_static(setting.doc)),
        }
    }

    /// Every place that gives a value, the one in force first.
    fn synonyms(&self) -> Vec<DescribeConfigsSynonym> {
        let mut places = Vec::new();
        if self.is_topics_own && self.value.is_some() {
            places.push(DescribeConfigsSynonym {
                name: Text::from_static(self.setting.key),
                value: self.value.clone(),
                source: self.source,
            });
        }
        let own = [self.setting.key];
        let keys = match self.setting.scope {
            Scope::Topic => self.setting.synonyms,
            Scope::Broker => fallbacks(self.setting.key).unwrap_or(&own),
        };
        places.extend(broker_places(self.config, keys));
        let defaults = keys.iter().filter_map(|key| {
            let setting = self.config.settings.get(key)?.setting;
            let value = setting.default.filter(|_| !setting.sensitive)?;
            Some(DescribeConfigsSynonym {
                name: Text::from_static(setting.key),
                value: Some(Text::from_static(value)),
                source: SOURCE_DEFAULT,
            })
        });
        places.extend(defaults);
        places
    }
}

/// A broker setting that topics default from, and those they default from when it is not set.
fn fallbacks(key: &str) -> Option<&'static [&'static str]> {
    TOPIC_SETTINGS.iter().find_map(|row| {
        let place = row.synonyms.iter().position(|name| *name == key)?;
        row.synonyms.get(place..)
    })
}

/// Kafka's number of a type.
const fn kind_number(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_config::Sources;

    fn config(assignments: &[&str]) -> BrokerConfig {
        let mut sources = Sources::new();
        for assignment in assignments {
            sources.assignment(assignment).unwrap();
        }
        BrokerConfig::new(sources.resolve()).unwrap()
    }

    fn places(entry: &ConfigEntry<'_>) -> Vec<(String, String, i8)> {
        let told = |synonym: DescribeConfigsSynonym| {
            let value = synonym.value.unwrap_or_default();
            (synonym.name.to_string(), value.to_string(), synonym.source)
        };
        entry.synonyms().into_iter().map(told).collect()
    }

    fn place(name: &str, value: &str, source: i8) -> (String, String, i8) {
        (name.to_owned(), value.to_owned(), source)
    }

    #[test]
    fn the_topics_own_value_stands_before_the_brokers_and_that_before_the_default() {
        let own = [("max.message.bytes".to_owned(), "5000".to_owned())].into();
        let none = BTreeMap::new();
        let default = config(&[]);
        let given = config(&["message.max.bytes=7000", "log.retention.hours=2"]);
        let find = |config, own, key: &str| {
            topic_entries(config, own)
                .find(|entry| entry.setting.key == key)
                .unwrap()
        };
        let first = place("max.message.bytes", "5000", 1);
        let last = place("message.max.bytes", "1048588", 5);
        // Kafka's answer to the same.
        let entry = find(&default, &own, "max.message.bytes");
        assert_eq!((entry.value.as_deref(), entry.source), (Some("5000"), 1));
        assert_eq!(places(&entry), [first.clone(), last.clone()]);
        let entry = find(&default, &none, "max.message.bytes");
        assert_eq!((entry.value.as_deref(), entry.source), (Some("1048588"), 5));
        assert_eq!(places(&entry), std::slice::from_ref(&last));
        let middle = place("message.max.bytes", "7000", 4);
        let entry = find(&given, &own, "max.message.bytes");
        assert_eq!(places(&entry), [first, middle.clone(), last.clone()]);
        let entry = find(&given, &none, "max.message.bytes");
        assert_eq!((entry.value.as_deref(), entry.source), (Some("7000"), 4));
        assert_eq!(places(&entry), [middle, last]);
        let entry = find(&given, &none, "retention.ms");
        assert_eq!((entry.value.as_deref(), entry.source), (Some("7200000"), 4));
        assert_eq!(
            places(&entry),
            [
                place("log.retention.hours", "2", 4),
                place("log.retention.hours", "168", 5)
            ]
        );
    }

    #[test]
    fn every_setting_is_told_with_its_type_and_words() {
        let config = config(&["node.id=7"]);
        let none = BTreeMap::new();
        let broker = broker_entries(&config).map(|entry| entry.describe(true, true));
        let topic = topic_entries(&config, &none).map(|entry| entry.describe(true, true));
        for entry in broker.chain(topic) {
            assert!(entry.config_type > 0, "{}", entry.name);
            let words = entry.documentation.unwrap_or_default();
            assert!(!words.is_empty(), "{}", entry.name);
            let first = entry.synonyms.first();
            assert!(
                first.is_none_or(|first| first.source == entry.config_source),
                "{}",
                entry.name
            );
        }
        let node_id = broker_entries(&config)
            .find(|entry| entry.setting.key == "node.id")
            .unwrap();
        assert_eq!((node_id.value.as_deref(), node_id.source), (Some("7"), 4));
    }
}
