//! Topic settings out of overrides and defaults.

use super::*;
use crate::sources::Sources;

fn broker(assignments: &[&str]) -> BrokerConfig {
    let mut sources = Sources::new();
    for text in assignments {
        sources.assignment(text).unwrap();
    }
    BrokerConfig::new(sources.resolve()).unwrap()
}

fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The answers were asked of Apache Kafka 4.3.1 with CreateTopics.
#[test]
fn what_kafka_refuses_is_refused_in_its_words() {
    type Given<'a> = &'a [(&'a str, Option<&'a str>)];
    let cases: &[(Given<'_>, &str)] = &[
        (&[("foo", Some("1"))], "Unknown topic config name: foo"),
        (&[("", Some("1"))], "Unknown topic config name: "),
        (
            &[("message.format.version", Some("2.0"))],
            "Unknown topic config name: message.format.version",
        ),
        (
            &[("retention.ms", None)],
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            &[("retention.ms", None), ("foo", None)],
            "Null value not supported for topic configs: retention.ms,foo",
        ),
        (
            &[("retention.ms", Some("abc"))],
            "Invalid value abc for configuration retention.ms: Not a number of type LONG",
        ),
        (
            &[
                ("min.compaction.lag.ms", Some("10")),
                ("max.compaction.lag.ms", Some("5")),
            ],
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
        (
            &[("remote.storage.enable", Some("true"))],
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
    ];
    let broker = broker(&[]);
    for (given, words) in cases {
        let error = TopicConfig::canonical_overrides(given.iter().copied(), &broker).unwrap_err();
        assert_eq!(error.to_string(), *words);
    }
}

#[test]
fn values_are_stored_as_raw_numbers_and_the_last_of_a_name_counts() {
    let given = [
        ("retention.ms", Some("5")),
        ("retention.ms", Some(" 7d ")),
        ("max.message.bytes", Some("64KiB")),
    ];
    assert_eq!(
        TopicConfig::canonical_overrides(given, &broker(&[])),
        Ok(overrides(&[
            ("retention.ms", "604800000"),
            ("max.message.bytes", "65536")
        ]))
    );
}

#[test]
fn a_topics_own_values_stand_above_the_brokers_defaults() {
    let broker = broker(&["message.max.bytes=1000", "log.cleanup.policy=compact"]);
    assert_eq!(broker.default_topic_config.max_message_bytes, 1000);
    let own = overrides(&[
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "LogAppendTime"),
    ]);
    let config = TopicConfig::from_overrides(&own, &broker).unwrap();
    assert_eq!(config.max_message_bytes, 1000);
    assert_eq!(
        config.cleanup_policy,
        CleanupPolicy {
            compact: false,
            delete: true
        }
    );
    assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
}

#[test]
fn the_durability_class_is_the_topics_the_brokers_or_flush_messages() {
    for (on_broker, on_topic, class) in [
        (&[][..], &[][..], Durability::Fsync),
        (&["durability=written"], &[], Durability::Written),
        (
            &["durability=written"],
            &[("durability", "fsync")],
            Durability::Fsync,
        ),
        (&[], &[("durability", "written")], Durability::Written),
        (
            &[],
            &[("durability", "written"), ("flush.messages", "1")],
            Durability::Fsync,
        ),
        (
            &["durability=written", "log.flush.interval.messages=1"],
            &[],
            Durability::Fsync,
        ),
        (
            &["durability=written"],
            &[("flush.messages", "2")],
            Durability::Written,
        ),
    ] {
        let config = TopicConfig::from_overrides(&overrides(on_topic), &broker(on_broker)).unwrap();
        assert_eq!(config.durability, class, "{on_broker:?} {on_topic:?}");
        assert_eq!(config.with_fsync().durability, Durability::Fsync);
    }
}

/// Kafka's defaults, from its table of topic settings.
#[test]
fn the_typed_defaults_are_kafkas() {
    let config = broker(&[]).default_topic_config;
    let expected = TopicConfig {
        cleanup_policy: CleanupPolicy {
            compact: false,
            delete: true,
        },
        compression_type: CompressionType::Producer,
        durability: Durability::Fsync,
        delete_retention_ms: 86_400_000,
        file_delete_delay_ms: 60_000,
        max_compaction_lag_ms: i64::MAX,
        max_message_bytes: 1_048_588,
        timestamp_after_max_ms: 3_600_000,
        timestamp_before_max_ms: i64::MAX,
        timestamp_type: TimestampType::CreateTime,
        min_cleanable_dirty_ratio: 0.5,
        min_compaction_lag_ms: 0,
        min_insync_replicas: 1,
        retention_bytes: -1,
        retention_ms: 604_800_000,
        segment_bytes: 1 << 30,
        segment_jitter_ms: 0,
        segment_ms: 604_800_000,
        unclean_leader_election: false,
    };
    assert_eq!(config, expected);
}
