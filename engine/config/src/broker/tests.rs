//! Broker settings out of every source.

use super::*;
use crate::sources::Sources;

fn config(assignments: &[&str]) -> Result<BrokerConfig, String> {
    let mut sources = Sources::new();
    for text in assignments {
        sources
            .assignment(text)
            .map_err(|error| error.to_string())?;
    }
    BrokerConfig::new(sources.resolve()).map_err(|error| error.to_string())
}

#[test]
fn a_start_without_settings_is_one_durable_node_on_loopback() {
    let config = config(&[]).unwrap();
    assert_eq!(config.node_id, NodeId(1));
    assert_eq!(config.data_dir, "./odradek-data");
    let listeners: Vec<String> = config.listeners.iter().map(Endpoint::to_string).collect();
    assert_eq!(listeners, ["PLAINTEXT://127.0.0.1:9092"]);
    assert!(config.advertised_listeners.is_empty());
    assert_eq!(config.shards, None);
    assert_eq!(
        (config.num_partitions, config.default_replication_factor),
        (1, 1)
    );
    assert_eq!(config.request_bytes_max, 100 << 20);
    assert_eq!(config.connections_idle_max, Some(Duration::from_mins(10)));
    assert_eq!(config.queued_request_bytes_max, None);
    assert!(config.auto_create_topics && config.delete_topics);
    assert_eq!(
        config.default_topic_config.durability,
        crate::Durability::Fsync
    );
}

#[test]
fn kafkas_own_settings_file_is_taken_as_it_is() {
    let text = "process.roles=broker,controller\nnode.id=7\n\
        listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093\n\
        advertised.listeners=PLAINTEXT://example.org:19092\n\
        controller.listener.names=CONTROLLER\n\
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
        controller.quorum.bootstrap.servers=127.0.0.1:19093\nlog.dirs=/data/kafka\n\
        num.network.threads=3\noffsets.topic.replication.factor=1\n";
    let mut sources = Sources::new();
    sources.file("server.properties", text).unwrap();
    let settings = sources.resolve();
    let unused: Vec<(&str, String)> = settings
        .unused()
        .iter()
        .map(|unused| (unused.key, unused.origin.to_string()))
        .collect();
    assert_eq!(
        unused,
        [
            ("process.roles", "server.properties:1".to_owned()),
            (
                "controller.quorum.bootstrap.servers",
                "server.properties:7".to_owned()
            ),
            ("num.network.threads", "server.properties:9".to_owned()),
            (
                "offsets.topic.replication.factor",
                "server.properties:10".to_owned()
            ),
        ]
    );
    let config = BrokerConfig::new(settings).unwrap();
    assert_eq!(config.node_id, NodeId(7));
    assert_eq!(config.data_dir, "/data/kafka");
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.advertised_listeners.len(), 1);
}

#[test]
fn settings_that_cannot_stand_together_are_refused_with_their_place() {
    for (assignments, words) in [
        (&["listeners=SSL://:9093"][..], "listener SSL asks for SSL"),
        (
            &["listeners=INNER://:9093"],
            "listener INNER has no protocol",
        ),
        (
            &["listeners=A://:1,B://:2,a://:3"],
            "two listeners are named A",
        ),
        (&["listeners="], "no listener for clients is left"),
        (
            &["listeners=C://:1", "controller.listener.names=C"],
            "no listener for clients is left",
        ),
        (
            &["advertised.listeners=X://a:1"],
            "X is advertised but not listened on",
        ),
        (
            &["advertised.listeners=PLAINTEXT://:1"],
            "needs a host and a port",
        ),
        (&["log.dirs=/a,/b"], "one directory, please"),
        (&["data.dir="], "one directory, please"),
        (
            &[
                "log.cleaner.min.compaction.lag.ms=9",
                "log.cleaner.max.compaction.lag.ms=8",
            ],
            "min.compaction.lag.ms (9) > max.compaction.lag.ms (8)",
        ),
    ] {
        let error = config(assignments).unwrap_err();
        assert!(error.contains(words), "{assignments:?}: {error}");
    }
}

#[test]
fn several_names_for_one_thing_follow_source_and_then_order() {
    let mut sources = Sources::new();
    sources
        .properties(
            "a.properties",
            "data.dir=/ours\nlog.dirs=/theirs\nbroker.id=3",
        )
        .unwrap();
    let config = BrokerConfig::new(sources.clone().resolve()).unwrap();
    assert_eq!(
        (config.data_dir.as_str(), config.node_id),
        ("/ours", NodeId(3))
    );
    sources.assignment("log.dir=/flag").unwrap();
    let config = BrokerConfig::new(sources.resolve()).unwrap();
    assert_eq!(config.data_dir, "/flag");
}

#[test]
fn topic_defaults_come_from_the_strongest_synonym_in_milliseconds() {
    for (assignments, retention_ms) in [
        (&[][..], 604_800_000),
        (&["log.retention.hours=2"], 7_200_000),
        (
            &["log.retention.hours=2", "log.retention.minutes=3"],
            180_000,
        ),
        (&["log.retention.minutes=3", "log.retention.ms=4s"], 4_000),
        (&["log.retention.hours=-1"], -1),
    ] {
        let config = config(assignments).unwrap();
        assert_eq!(
            config.default_topic_config.retention_ms, retention_ms,
            "{assignments:?}"
        );
    }
}

#[test]
fn memory_for_requests_holds_one_largest_request() {
    let limits = |queued: &str, request: &str| {
        config(&[
            &format!("queued.max.request.bytes={queued}"),
            &format!("socket.request.max.bytes={request}"),
        ])
        .map(|config| config.queued_request_bytes_max)
    };
    assert_eq!(limits("4096", "4096"), Ok(Some(4096)));
    assert_eq!(limits("-1", "4096"), Ok(None));
    let error = limits("4095", "4096").unwrap_err();
    assert!(error.contains("socket.request.max.bytes"), "{error}");
}

#[test]
fn limits_on_connections_are_read_and_hosts_by_name_refused() {
    let read = config(&[
        "max.connections=10",
        "max.connections.per.ip=4",
        "max.connections.per.ip.overrides=127.0.0.1:7,::ffff:10.0.0.1:0,[::1]:8",
        "max.connection.creation.rate=100",
    ])
    .unwrap();
    assert_eq!((read.connections_max, read.connections_per_ip_max), (10, 4));
    let overrides: Vec<(String, usize)> = read
        .connections_per_ip_overrides
        .iter()
        .map(|(ip, count)| (ip.to_string(), *count))
        .collect();
    let expected = [("10.0.0.1", 0), ("127.0.0.1", 7), ("::1", 8)];
    assert_eq!(
        overrides,
        expected.map(|(ip, count)| (ip.to_owned(), count))
    );
    assert_eq!(read.connection_rate_max, Some(100));
    let unset = config(&[]).unwrap();
    assert_eq!(unset.connection_rate_max, None);
    assert!(unset.connections_per_ip_overrides.is_empty());
    for wrong in ["example.org:3", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:-1"] {
        let setting = format!("max.connections.per.ip.overrides={wrong}");
        assert!(config(&[&setting]).is_err(), "{wrong}");
    }
}

#[test]
fn compaction_and_retention_have_kafkas_defaults_and_sane_rates() {
    let read = config(&[]).unwrap();
    assert_eq!(read.log_retention_check_interval, Duration::from_mins(5));
    assert_eq!(read.log_segment_delete_delay, Duration::from_mins(1));
    assert_eq!(read.log_cleaner_backoff, Duration::from_secs(15));
    assert!(read.log_cleaner_enable);
    assert_eq!(read.log_cleaner_dedupe_buffer_size, 128 << 20);
    assert_eq!(read.log_cleaner_io_max_bytes_per_second, None);
    for (given, rate) in [
        ("1.0E6", Some(1_000_000)),
        ("0", Some(1)),
        ("-3", Some(1)),
        ("1.7976931348623157E308", None),
    ] {
        let setting = format!("log.cleaner.io.max.bytes.per.second={given}");
        let read = config(&[&setting]).unwrap();
        assert_eq!(read.log_cleaner_io_max_bytes_per_second, rate, "{given}");
    }
    assert!(config(&["log.retention.check.interval.ms=0"]).is_err());
}
