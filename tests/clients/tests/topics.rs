//! Topics by every client: created, described, widened, emptied, deleted and made again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use serde_json::{Value, json};
use std::time::Duration;
use tests_clients::{Kind, Program, Record, Target, with_every_client};

with_every_client!(
    topics_are_created_described_and_deleted,
    what_kafka_refuses_to_create_is_refused_with_its_code,
    nothing_of_a_deleted_topic_shows_in_one_made_again_by_its_name,
    partitions_are_added_under_a_running_producer,
    records_are_deleted_up_to_an_offset,
    settings_of_topics_and_brokers_are_described,
    settings_of_topics_and_brokers_are_changed,
    the_cluster_is_described,
);

fn names(client: &mut Program) -> Vec<String> {
    let names = client.ask(&json!({"do": "topics"}));
    names
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// Describes a topic; Apache Kafka may learn a moment late of what it was just told.
fn describe(client: &mut Program, topic: &str) -> Value {
    let command = json!({"do": "describe_topic", "topic": topic});
    for _ in 0..100 {
        match client.try_ask(&command) {
            Err(refusal) if refusal.code == Some(3) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            answer => return answer.unwrap(),
        }
    }
    client.ask(&command)
}

/// Waits for what the broker said is done and then also shows in what it tells of itself.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..300 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("never: {what}");
}

fn topics_are_created_described_and_deleted(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let cluster = client.ask(&json!({"do": "describe_cluster"}));
    let node = &cluster["brokers"][0]["id"];
    let (by_count, by_hand) = (target.name("by-count"), target.name("by-hand"));
    let validated =
        json!({"do": "create_topic", "topic": by_count, "partitions": 3, "validate_only": true});
    client.ask(&validated);
    assert!(
        !names(&mut client).contains(&by_count),
        "{kind:?}: only validated"
    );
    client.create_topic(&by_count, 3, &json!({"retention.ms": "3600000"}));
    client.ask(&json!({"do": "create_topic", "topic": by_hand, "assignment": [[node], [node]]}));
    for (topic, partitions) in [(&by_count, 3), (&by_hand, 2)] {
        eventually("the topic is listed", || names(&mut client).contains(topic));
        let found = describe(&mut client, topic);
        let expected: Vec<Value> = (0..partitions)
            .map(|n| json!({"partition": n, "leader": node, "replicas": [node], "isr": [node]}))
            .collect();
        assert_eq!(found["partitions"], json!(expected), "{kind:?} {topic}");
    }
    for topic in [&by_count, &by_hand] {
        client.delete_topic(topic);
        eventually("the topic is gone", || !names(&mut client).contains(topic));
        let command = json!({"do": "describe_topic", "topic": topic});
        assert_eq!(client.refused(&command), Some(3), "{kind:?} {topic}");
        let command = json!({"do": "delete_topic", "topic": topic});
        assert_eq!(client.refused(&command), Some(3), "{kind:?} {topic}");
    }
}

fn what_kafka_refuses_to_create_is_refused_with_its_code(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let there = target.name("there");
    client.create_topic(&there, 1, &json!({}));
    let long = "x".repeat(250);
    let cases = [
        ("exists", json!({"topic": there, "partitions": 1}), 36),
        ("name of dots", json!({"topic": "..", "partitions": 1}), 17),
        (
            "name with a slash",
            json!({"topic": "a/b", "partitions": 1}),
            17,
        ),
        ("name too long", json!({"topic": long, "partitions": 1}), 17),
        (
            "no partitions",
            json!({"topic": "none", "partitions": 0}),
            37,
        ),
        (
            "unknown setting",
            json!({"topic": "set", "partitions": 1, "settings": {"no.such": "1"}}),
            40,
        ),
        (
            "setting out of range",
            json!({"topic": "set", "partitions": 1, "settings": {"max.message.bytes": "-1"}}),
            40,
        ),
        (
            "setting of another type",
            json!({"topic": "set", "partitions": 1, "settings": {"retention.ms": "soon"}}),
            40,
        ),
        (
            "unknown broker",
            json!({"topic": "far", "assignment": [[12345]]}),
            39,
        ),
        (
            "replica twice",
            json!({"topic": "twice", "assignment": [[1, 1]]}),
            39,
        ),
    ];
    for (what, mut command, code) in cases {
        for validate_only in [true, false] {
            command["do"] = json!("create_topic");
            command["validate_only"] = json!(validate_only);
            match client.try_ask(&command) {
                Ok(_) => panic!("{kind:?} {what}: not refused"),
                // librdkafka refuses some of them without asking.
                Err(refusal) if kind == Kind::Confluent && refusal.code.is_none() => {}
                Err(refusal) => {
                    assert_eq!(refusal.code, Some(code), "{kind:?} {what}: {refusal:?}");
                }
            }
        }
    }
    assert_eq!(
        names(&mut client)
            .iter()
            .filter(|n| ["none", "set", "far"].contains(&n.as_str()))
            .count(),
        0
    );
}

fn nothing_of_a_deleted_topic_shows_in_one_made_again_by_its_name(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("again");
    let mut ids = Vec::new();
    for round in 0..4 {
        client.create_topic(&topic, 1 + round, &json!({}));
        let found = describe(&mut client, &topic);
        assert_eq!(found["partitions"].as_array().unwrap().len(), 1 + round);
        assert!(
            !ids.contains(&found["id"]),
            "{kind:?}: every topic has an id of its own"
        );
        ids.push(found["id"].clone());
        assert_eq!(
            client.offset(&topic, 0, &json!("latest")),
            0,
            "{kind:?}: round {round}"
        );
        // Fresh clients: those that run across it are tested in running.rs.
        let name = format!("round-{round}");
        client.producer(&name, &json!({"idempotent": round % 2 == 0, "acks": "all"}));
        let sent: Vec<Record> = (0..10)
            .map(|n| Record::of(format!("{round} {n}")))
            .collect();
        let offsets = client.produce(&name, &topic, &sent);
        assert_eq!(
            offsets,
            (0..10).collect::<Vec<i64>>(),
            "{kind:?}: round {round}"
        );
        let consumer = format!("consumer-{round}");
        client.consumer(&consumer, &json!({}));
        client.assign(&consumer, &topic, 0, &json!("beginning"));
        let (seen, _) = client.poll_for(&consumer, 11, Duration::from_millis(700));
        let texts: Vec<String> = seen.iter().map(Record::text).collect();
        let expected: Vec<String> = sent.iter().map(Record::text).collect();
        assert_eq!(texts, expected, "{kind:?}: round {round}");
        client.ask(&json!({"do": "close", "name": name}));
        client.ask(&json!({"do": "close", "name": consumer}));
        client.delete_topic(&topic);
        eventually("the topic is gone", || !names(&mut client).contains(&topic));
    }
}

fn partitions_are_added_under_a_running_producer(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("widened");
    client.create_topic(&topic, 1, &json!({}));
    client.producer("p", &json!({"acks": "all", "metadata_age_ms": 300}));
    client.ask(
        &json!({"do": "stream", "name": "s", "producer": "p", "topic": topic, "pause_us": 1000}),
    );
    let mut ends = vec![0; 1];
    for total in [2, 5] {
        client.ask(&json!({"do": "create_partitions", "topic": topic, "total": total}));
        ends.resize(total, 0);
        let found = describe(&mut client, &topic);
        assert_eq!(
            found["partitions"].as_array().unwrap().len(),
            total,
            "{kind:?}"
        );
        // The producer finds the new ones by itself and goes on with all of them.
        let before = ends.clone();
        eventually("records in every partition", || {
            for (partition, end) in (0..).zip(ends.iter_mut()) {
                *end = client.offset(&topic, partition, &json!("latest"));
            }
            ends.iter().zip(&before).all(|(end, before)| end > before)
        });
    }
    let ended = client.ask(&json!({"do": "end", "name": "s"}));
    assert_eq!(ended["failed"], json!([]), "{kind:?}");
    let delivered = ended["delivered"].as_array().unwrap();
    for (partition, _) in (0..).zip(&ends) {
        let expected: Vec<&Value> = delivered
            .iter()
            .filter(|d| d[1] == json!(partition))
            .collect();
        let consumer = format!("consumer-{partition}");
        client.consumer(&consumer, &json!({}));
        client.assign(&consumer, &topic, partition, &json!("beginning"));
        let seen = client.poll(&consumer, expected.len());
        for (seen, expected) in seen.iter().zip(&expected) {
            assert_eq!(json!(seen.offset), expected[2], "{kind:?}");
            let number = format!("any {} ", expected[0]);
            assert!(
                seen.text().starts_with(&number),
                "{kind:?} {partition} {}",
                seen.offset
            );
        }
        let latest = client.offset(&topic, partition, &json!("latest"));
        assert_eq!(
            latest,
            i64::try_from(expected.len()).unwrap(),
            "{kind:?} {partition}"
        );
    }
    for (total, code) in [(5, 37), (4, 37), (0, 37)] {
        let command = json!({"do": "create_partitions", "topic": topic, "total": total});
        let refusal = client
            .try_ask(&command)
            .expect_err("fewer or as many partitions");
        if kind != Kind::Confluent || refusal.code.is_some() {
            assert_eq!(refusal.code, Some(code), "{kind:?} to {total}: {refusal:?}");
        }
    }
    let command = json!({"do": "create_partitions", "topic": target.name("no-such"), "total": 2});
    assert_eq!(client.refused(&command), Some(3), "{kind:?}");
}

fn records_are_deleted_up_to_an_offset(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("trimmed");
    client.create_topic(&topic, 1, &json!({}));
    client.producer("p", &json!({"linger_ms": 100}));
    let sent: Vec<Record> = (0..20).map(|n| Record::of(format!("value {n}"))).collect();
    client.produce("p", &topic, &sent);
    client.consumer("c", &json!({"reset": "earliest"}));
    client.assign("c", &topic, 0, &json!("beginning"));
    assert_eq!(client.poll("c", 3)[2].offset, 2);
    let delete = |client: &mut Program, before: i64| {
        let command =
            json!({"do": "delete_records", "topic": topic, "partition": 0, "before": before});
        client.try_ask(&command).map(|low| low.as_i64().unwrap())
    };
    // In the middle of a batch; again, which is no error; and never backwards.
    for (before, low) in [(0, 0), (7, 7), (7, 7), (3, 7), (12, 12)] {
        assert_eq!(
            delete(&mut client, before).unwrap(),
            low,
            "{kind:?} {before}"
        );
        assert_eq!(
            client.offset(&topic, 0, &json!("earliest")),
            low,
            "{kind:?}"
        );
    }
    assert_eq!(client.offset(&topic, 0, &json!("latest")), 20, "{kind:?}");
    // By time, too, nothing of it is found any more.
    assert_eq!(client.offset(&topic, 0, &json!(0)), 12, "{kind:?}");
    for at in [json!("beginning"), json!(5), json!(12)] {
        client.assign("c", &topic, 0, &at);
        let seen: Vec<i64> = client.poll("c", 8).iter().map(|r| r.offset).collect();
        assert_eq!(seen, (12..20).collect::<Vec<i64>>(), "{kind:?} from {at}");
    }
    assert_eq!(
        delete(&mut client, 21).unwrap_err().code,
        Some(1),
        "{kind:?}: beyond the end"
    );
    // To the end of whatever is there.
    assert_eq!(delete(&mut client, -1).unwrap(), 20, "{kind:?}");
    let offset = client.produce("p", &topic, &[Record::of("behind")])[0];
    assert_eq!(offset, 20, "{kind:?}: offsets go on");
    client.assign("c", &topic, 0, &json!("beginning"));
    assert_eq!(client.poll("c", 1)[0].text(), "behind", "{kind:?}");
    if kind != Kind::Java {
        // Java goes on asking for a leader until its time is over.
        let command = json!({"do": "delete_records", "topic": topic, "partition": 7, "before": 0});
        let refusal = client.try_ask(&command).expect_err("no such partition");
        assert!(
            refusal.code.is_none_or(|code| code == 3),
            "{kind:?}: {refusal:?}"
        );
    }
}

fn settings_of_topics_and_brokers_are_described(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("set");
    client.create_topic(
        &topic,
        1,
        &json!({"retention.ms": "3600000", "compression.type": "lz4"}),
    );
    let of_topic = client.ask(&json!({"do": "describe_configs", "kind": "topic", "name": topic}));
    let expected = [
        ("retention.ms", "3600000", false),
        ("compression.type", "lz4", false),
        // Apache Kafka's own defaults.
        ("cleanup.policy", "delete", true),
        ("max.message.bytes", "1048588", true),
        ("message.timestamp.type", "CreateTime", true),
    ];
    for (key, value, is_default) in expected {
        let entry = &of_topic[key];
        assert_eq!(entry["value"], value, "{kind:?} {key}: {entry}");
        assert_eq!(entry["sensitive"], false, "{kind:?} {key}");
        assert_eq!(entry["read_only"], false, "{kind:?} {key}");
        assert_eq!(entry["default"], is_default, "{kind:?} {key}: {entry}");
    }
    let cluster = client.ask(&json!({"do": "describe_cluster"}));
    let node = cluster["brokers"][0]["id"].to_string();
    let of_broker = client.ask(&json!({"do": "describe_configs", "kind": "broker", "name": node}));
    for key in [
        "message.max.bytes",
        "num.partitions",
        "auto.create.topics.enable",
        "node.id",
    ] {
        assert!(
            of_broker[key]["value"].is_string(),
            "{kind:?}: {key} in {of_broker}"
        );
    }
    let unknown =
        json!({"do": "describe_configs", "kind": "topic", "name": target.name("no-such")});
    match client.try_ask(&unknown) {
        Err(refusal) => assert_eq!(refusal.code, Some(3), "{kind:?}"),
        // kafka-python looks at no error here, and tells of no settings.
        Ok(answer) => assert_eq!((kind, answer), (Kind::KafkaPython, json!({}))),
    }
}

fn settings_of_topics_and_brokers_are_changed(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let topic = target.name("changed");
    client.create_topic(&topic, 1, &json!({"retention.ms": "3600000"}));
    let cluster = client.ask(&json!({"do": "describe_cluster"}));
    let node = cluster["brokers"][0]["id"].to_string();
    // Apache Kafka takes a change up a moment after it was acknowledged.
    let holds = |client: &mut Program, of: &str, name: &str, key: &str, value: &str| {
        let ask = json!({"do": "describe_configs", "kind": of, "name": name});
        let what = format!("{kind:?} {of} {key} is {value}");
        eventually(&what, || client.ask(&ask)[key]["value"] == value);
    };
    let change = |of: &str, name: &str, set: Value, unset: Value| json!({"do": "alter_configs", "kind": of, "name": name, "set": set, "unset": unset});
    let set = json!({"max.message.bytes": "2000", "cleanup.policy": "compact,delete"});
    let mut only_checked = change("topic", &topic, set.clone(), json!(["retention.ms"]));
    only_checked["validate_only"] = json!(true);
    client.ask(&only_checked);
    holds(&mut client, "topic", &topic, "max.message.bytes", "1048588");
    client.ask(&change("topic", &topic, set, json!(["retention.ms"])));
    for (key, value) in [
        ("max.message.bytes", "2000"),
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "604800000"),
    ] {
        holds(&mut client, "topic", &topic, key, value);
    }
    let set = json!({"log.segment.bytes": "2097152"});
    client.ask(&change("broker", &node, set, json!([])));
    holds(&mut client, "broker", &node, "log.segment.bytes", "2097152");
    holds(&mut client, "topic", &topic, "segment.bytes", "2097152");
    client.ask(&change(
        "broker",
        &node,
        json!({}),
        json!(["log.segment.bytes"]),
    ));
    holds(&mut client, "topic", &topic, "segment.bytes", "1073741824");
    let nowhere = target.name("nowhere");
    for (of, name, set, code) in [
        ("topic", nowhere.as_str(), json!({"retention.ms": "5"}), 3),
        ("topic", topic.as_str(), json!({"no.such": "5"}), 40),
        ("topic", topic.as_str(), json!({"retention.ms": "soon"}), 40),
        ("broker", node.as_str(), json!({"node.id": "5"}), 42),
    ] {
        let refused = client.refused(&change(of, name, set.clone(), json!([])));
        assert_eq!(refused, Some(code), "{kind:?} {of} {name} {set}");
    }
}

fn the_cluster_is_described(kind: Kind) {
    let target = Target::start();
    let mut client = Program::start(kind, target.address());
    let cluster = client.ask(&json!({"do": "describe_cluster"}));
    // A cluster id is a UUID in 22 characters of base64.
    assert_eq!(
        cluster["id"].as_str().unwrap().len(),
        22,
        "{kind:?} {cluster}"
    );
    let brokers = cluster["brokers"].as_array().unwrap();
    assert_eq!(brokers.len(), 1, "{kind:?} {cluster}");
    assert_eq!(brokers[0]["address"], target.address(), "{kind:?}");
    assert_eq!(
        cluster["controller"], brokers[0]["id"],
        "{kind:?} {cluster}"
    );
}
