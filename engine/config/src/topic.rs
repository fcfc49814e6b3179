//! The settings of one topic, typed: the broker's defaults with the topic's own values on top.

use crate::broker::BrokerConfig;
use crate::error::{InvalidValue, TopicConfigError};
use crate::setting::{Setting, Unit};
use crate::settings::Settings;
use crate::topic_rows::TOPIC_SETTINGS;
use crate::value::Value;
use std::collections::BTreeMap;

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// The last record of each key is kept; records without key are refused.
    pub compact: bool,
    /// Old records go by time and size.
    pub delete: bool,
}

/// How batches are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// With gzip.
    Gzip,
    /// With Snappy.
    Snappy,
    /// With LZ4.
    Lz4,
    /// With Zstandard.
    Zstd,
}

/// Whose time records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's at the append.
    LogAppendTime,
}

/// When a record counts as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is flushed: it survives a power cut.
    Fsync,
    /// Once it left the process: it survives a killed broker.
    Written,
}

/// The settings of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`.
    pub compression_type: CompressionType,
    /// The class in force: `durability`, or `Fsync` if `flush.messages` is 1.
    pub durability: Durability,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `max.message.bytes`: the largest batch, in bytes, at most 32 MiB.
    pub max_message_bytes: usize,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`, from 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `min.insync.replicas`, at least 1.
    pub min_insync_replicas: usize,
    /// `retention.bytes`; negative is no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 is no limit.
    pub retention_ms: i64,
    /// `segment.bytes`, at least 1 MiB.
    pub segment_bytes: u64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
}

impl TopicConfig {
    /// The settings that hold for a topic with these values of its own.
    ///
    /// Errors: in the order Kafka finds them; INVALID_CONFIG for the client.
    pub fn from_overrides(
        overrides: &BTreeMap<String, String>,
        broker: &BrokerConfig,
    ) -> Result<Self, TopicConfigError> {
        let mut values = broker.topic_defaults.clone();
        for (key, text) in overrides {
            let setting = find(key)?;
            values.insert(setting.key, parse(setting, text)?);
        }
        Self::from_values(values)
    }

    /// The settings in force for a topic with these stored values, and what is wrong with them.
    ///
    /// They were checked when they were stored, but the broker's defaults may have changed since, or
    /// the release. A value that cannot be read any more leaves that setting to the broker; all
    /// others hold, for records must not go because of a setting beside the one that says they stay.
    pub fn in_force(
        overrides: &BTreeMap<String, String>,
        broker: &BrokerConfig,
    ) -> (Self, Option<TopicConfigError>) {
        let mut values = broker.topic_defaults.clone();
        let mut wrong = None;
        for (key, text) in overrides {
            match find(key).and_then(|setting| Ok((setting.key, parse(setting, text)?))) {
                Ok((key, value)) => {
                    values.insert(key, value);
                }
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        let values = Values(values);
        let wrong = wrong.or(values.check().err());
        (values.typed(), wrong)
    }

    /// The types, after the checks that concern several settings.
    pub(crate) fn from_values(
        values: BTreeMap<&'static str, Value>,
    ) -> Result<Self, TopicConfigError> {
        let values = Values(values);
        values.check()?;
        Ok(values.typed())
    }

    /// The types alone.
    pub(crate) fn from_unchecked_values(values: BTreeMap<&'static str, Value>) -> Self {
        Values(values).typed()
    }

    /// The values a client gave for a new topic, checked, in the form in which they are stored:
    /// raw numbers, no blanks. A name given twice counts with its last value, as in Kafka.
    pub fn canonical_overrides<'a>(
        given: impl IntoIterator<Item = (&'a str, Option<&'a str>)> + Clone,
        broker: &BrokerConfig,
    ) -> Result<BTreeMap<String, String>, TopicConfigError> {
        let nulls: Vec<&str> = given
            .clone()
            .into_iter()
            .filter_map(|(key, value)| value.is_none().then_some(key))
            .collect();
        if !nulls.is_empty() {
            return Err(TopicConfigError::Null {
                keys: nulls.join(","),
            });
        }
        let given: Vec<(&str, &str)> = given
            .into_iter()
            .map(|(key, text)| (key, text.unwrap_or_default()))
            .collect();
        let overrides = Self::canonical_values(given)?;
        Self::from_overrides(&overrides, broker)?;
        Ok(overrides)
    }

    /// Values of topic settings, each checked alone, in the form in which they are stored. A name
    /// given twice counts with its last value.
    pub fn canonical_values<'a>(
        given: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<BTreeMap<String, String>, TopicConfigError> {
        // All names before any value, as in Kafka.
        for (key, _) in given.clone() {
            find(key)?;
        }
        let mut values = BTreeMap::new();
        for (key, text) in given {
            let setting = find(key)?;
            let value = parse(setting, text)?;
            values.insert(setting.key.to_owned(), value.to_string());
        }
        Ok(values)
    }

    /// The same settings with every append flushed: what Kafka's internal topics get, whatever
    /// their settings say.
    #[must_use]
    pub fn with_fsync(self) -> Self {
        Self {
            durability: Durability::Fsync,
            ..self
        }
    }
}

fn find(key: &str) -> Result<&'static Setting, TopicConfigError> {
    TOPIC_SETTINGS
        .iter()
        .find(|row| row.key == key)
        .ok_or_else(|| TopicConfigError::Unknown {
            key: key.to_owned(),
        })
}

fn parse(setting: &'static Setting, text: &str) -> Result<Value, TopicConfigError> {
    setting.parse(text).map_err(|reason| {
        let key = setting.key;
        match reason {
            InvalidValue::EmptyElement => TopicConfigError::EmptyElement { key },
            reason => TopicConfigError::Invalid {
                key,
                value: setting.at_fault(text, &reason),
                reason,
            },
        }
    })
}

/// What a topic without settings of its own has under these broker settings.
pub(crate) fn defaults(settings: &Settings) -> BTreeMap<&'static str, Value> {
    TOPIC_SETTINGS
        .iter()
        .filter_map(|row| {
            let from_broker = settings
                .strongest(row.synonyms)
                .and_then(|found| Some(scaled(found.value.clone()?, found.setting.unit)));
            let value = from_broker.or_else(|| row.parse(row.default?).ok())?;
            Some((row.key, value))
        })
        .collect()
}

/// Kafka counts some broker defaults in minutes or hours, where -1 stays "no limit".
fn scaled(value: Value, unit: Unit) -> Value {
    let scale = match unit {
        Unit::Minutes => 60_000,
        Unit::Hours => 3_600_000,
        Unit::None | Unit::Bytes | Unit::Milliseconds => return value,
    };
    match value {
        Value::Number(number) if number < 0 => Value::Number(-1),
        Value::Number(number) => Value::Number(number.saturating_mul(scale)),
        other => other,
    }
}

struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// What stands alone may not stand together.
    fn check(&self) -> Result<(), TopicConfigError> {
        if self.boolean("remote.storage.enable") {
            return Err(TopicConfigError::RemoteStorage);
        }
        let (min, max) = (
            self.number("min.compaction.lag.ms"),
            self.number("max.compaction.lag.ms"),
        );
        if min > max {
            return Err(TopicConfigError::CompactionLags { min, max });
        }
        Ok(())
    }

    fn number(&self, key: &str) -> i64 {
        match self.0.get(key) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    fn boolean(&self, key: &str) -> bool {
        matches!(self.0.get(key), Some(Value::Boolean(true)))
    }

    fn text(&self, key: &str) -> &str {
        match self.0.get(key) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    fn lists(&self, key: &str, item: &str) -> bool {
        matches!(self.0.get(key), Some(Value::List(list)) if list.iter().any(|text| text == item))
    }

    fn double(&self, key: &str) -> f64 {
        match self.0.get(key) {
            Some(Value::Double(number)) => *number,
            _ => 0.0,
        }
    }

    /// A negative number, which no range lets through, counts as zero.
    fn size<T: TryFrom<i64> + Default>(&self, key: &str) -> T {
        T::try_from(self.number(key)).unwrap_or_default()
    }

    fn typed(&self) -> TopicConfig {
        TopicConfig {
            cleanup_policy: CleanupPolicy {
                compact: self.lists("cleanup.policy", "compact"),
                delete: self.lists("cleanup.policy", "delete"),
            },
            compression_type: match self.text("compression.type") {
                "uncompressed" => CompressionType::Uncompressed,
                "gzip" => CompressionType::Gzip,
                "snappy" => CompressionType::Snappy,
                "lz4" => CompressionType::Lz4,
                "zstd" => CompressionType::Zstd,
                _ => CompressionType::Producer,
            },
            durability: match self.text("durability") {
                "written" if self.number("flush.messages") != 1 => Durability::Written,
                _ => Durability::Fsync,
            },
            delete_retention_ms: self.number("delete.retention.ms"),
            file_delete_delay_ms: self.number("file.delete.delay.ms"),
            max_compaction_lag_ms: self.number("max.compaction.lag.ms"),
            max_message_bytes: self.size("max.message.bytes"),
            timestamp_after_max_ms: self.number("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: self.number("message.timestamp.before.max.ms"),
            timestamp_type: match self.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: self.double("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: self.number("min.compaction.lag.ms"),
            min_insync_replicas: self.size::<usize>("min.insync.replicas").max(1),
            retention_bytes: self.number("retention.bytes"),
            retention_ms: self.number("retention.ms"),
            segment_bytes: self.size("segment.bytes"),
            segment_jitter_ms: self.number("segment.jitter.ms"),
            segment_ms: self.number("segment.ms"),
            unclean_leader_election: self.boolean("unclean.leader.election.enable"),
        }
    }
}

#[cfg(test)]
mod tests;
