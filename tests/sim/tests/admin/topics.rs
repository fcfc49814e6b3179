//! CreateTopics and DeleteTopics.

use engine_model::{ErrorCode, TopicId};
use net_protocol::create_topics::{CreatableTopic, CreateTopicsRequest};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use tests_sim::{Client, World, records, topics};

#[test]
fn topics_come_and_go_and_come_back_as_others() {
    let mut world = World::new(8, 3);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let first = topics::create(&mut client, "t", 6, &[("retention.ms", "1000")]).await;
        let again = topics::try_create(&mut client, "t", 6, &[]).await;
        assert_eq!(again.error_code, ErrorCode::TOPIC_ALREADY_EXISTS);
        for (name, partitions, configs, expected) in [
            ("a/b", 1, &[][..], ErrorCode::INVALID_TOPIC_EXCEPTION),
            ("x", 0, &[], ErrorCode::INVALID_PARTITIONS),
            (
                "x",
                1,
                &[("no.such.setting", "1")],
                ErrorCode::INVALID_CONFIG,
            ),
            (
                "x",
                1,
                &[("retention.ms", "soon")],
                ErrorCode::INVALID_CONFIG,
            ),
        ] {
            let answer = topics::try_create(&mut client, name, partitions, configs).await;
            assert_eq!(
                answer.error_code, expected,
                "{name} {partitions} {configs:?}"
            );
        }
        for version in 2..=7 {
            let answer = client
                .call(version, &CreateTopicsRequest::default())
                .await
                .unwrap();
            assert!(answer.topics.is_empty());
        }
        records::append(&mut client, 9, -1, &first, 3, records::batch(&["old"])).await;
        for version in 1..=6 {
            let by_id = version >= 6;
            let request = DeleteTopicsRequest {
                topics: if by_id {
                    vec![DeleteTopicState {
                        name: None,
                        topic_id: first.id,
                    }]
                } else {
                    Vec::new()
                },
                topic_names: if by_id {
                    Vec::new()
                } else {
                    vec!["none".into()]
                },
                timeout_ms: 10_000,
            };
            let answer = client.call(version, &request).await.unwrap();
            let expected = if by_id {
                ErrorCode::NONE
            } else {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            };
            assert_eq!(
                answer.responses[0].error_code, expected,
                "version {version}"
            );
        }
        let second = topics::create(&mut client, "t", 6, &[]).await;
        assert_ne!(first.id, second.id);
        let request = records::fetch(&second, 0, 1, &[(3, 0)]);
        let answer = client.call(13, &request).await.unwrap();
        let data = &answer.responses[0].partitions[0];
        assert_eq!(
            data.high_watermark.get(),
            0,
            "nothing of the old topic shows"
        );
        let part = records::append(&mut client, 13, -1, &first, 3, records::batch(&["late"])).await;
        assert_eq!(part.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    });
    world.stop();
}

fn named(name: &str) -> DeleteTopicState {
    DeleteTopicState {
        name: Some(name.into()),
        ..DeleteTopicState::default()
    }
}

fn by_id(topic_id: TopicId) -> DeleteTopicState {
    DeleteTopicState {
        name: None,
        topic_id,
    }
}

#[test]
fn a_topic_that_a_deletion_names_twice_stays_and_has_one_answer() {
    let mut world = World::new(18, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let a = topics::create(&mut client, "a", 1, &[]).await.id;
        let zero = TopicId::ZERO;
        // Kafka 4.3.1's answers: name, id, code, words.
        let name_twice = "Duplicate topic name.";
        let id_twice = "Duplicate topic id.";
        let both = "The provided topic name maps to an ID that was already supplied.";
        for (wanted, expected) in [
            (
                vec![named("a"), named("a")],
                vec![(Some("a"), zero, 42, name_twice)],
            ),
            (
                vec![named("no"), named("no")],
                vec![(Some("no"), zero, 42, name_twice)],
            ),
            (vec![by_id(a), by_id(a)], vec![(None, a, 42, id_twice)]),
            (vec![named("a"), by_id(a)], vec![(Some("a"), a, 42, both)]),
            (
                vec![DeleteTopicState {
                    name: Some("a".into()),
                    topic_id: a,
                }],
                vec![(
                    Some("a"),
                    a,
                    42,
                    "You may not specify both topic name and topic id.",
                )],
            ),
            (
                vec![by_id(zero)],
                vec![(None, zero, 42, "Neither topic name nor id were specified.")],
            ),
        ] {
            let request = DeleteTopicsRequest {
                topics: wanted,
                timeout_ms: 10_000,
                ..DeleteTopicsRequest::default()
            };
            let answer = client.call(6, &request).await.unwrap();
            let found: Vec<_> = answer
                .responses
                .iter()
                .map(|one| {
                    let words = one.error_message.as_deref().unwrap_or_default();
                    (one.name.as_deref(), one.topic_id, one.error_code.0, words)
                })
                .collect();
            assert_eq!(found, expected, "{:?}", request.topics);
        }
        let found = topics::describe(&mut client, "a", false).await;
        assert_eq!(found.error_code, ErrorCode::NONE);
    });
    world.stop();
}

#[test]
fn without_a_time_to_wait_nothing_is_begun() {
    let mut world = World::new(19, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "t", 1, &[]).await;
        for timeout_ms in [0, -1, i32::MIN] {
            let create = CreateTopicsRequest {
                topics: vec![CreatableTopic {
                    name: "x".into(),
                    num_partitions: 1,
                    replication_factor: 1,
                    ..CreatableTopic::default()
                }],
                timeout_ms,
                validate_only: false,
            };
            let answer = client.call(7, &create).await.unwrap();
            assert_eq!(answer.topics[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
            let delete = DeleteTopicsRequest {
                topics: vec![named("t")],
                timeout_ms,
                ..DeleteTopicsRequest::default()
            };
            let answer = client.call(6, &delete).await.unwrap();
            assert_eq!(answer.responses[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
        }
        for (name, code) in [
            ("x", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            ("t", ErrorCode::NONE),
        ] {
            let found = topics::describe(&mut client, name, false).await;
            assert_eq!(found.error_code, code, "{name}");
        }
    });
    world.stop();
}

#[test]
fn settings_of_a_topic_are_in_force_from_its_first_record_on() {
    let mut world = World::new(20, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let now = engine_rt::wall_clock().0;
        let ago = 1_799_999_000_000;
        let large = "x".repeat(3000);
        for (name, settings, value, code, stamped) in [
            ("plain", &[][..], "a", ErrorCode::NONE, false),
            (
                "small",
                &[("max.message.bytes", "2000")],
                large.as_str(),
                ErrorCode::MESSAGE_TOO_LARGE,
                false,
            ),
            (
                "stamped",
                &[("message.timestamp.type", "LogAppendTime")],
                "a",
                ErrorCode::NONE,
                true,
            ),
            (
                "recent",
                &[("message.timestamp.before.max.ms", "1000")],
                "a",
                ErrorCode::INVALID_TIMESTAMP,
                false,
            ),
            (
                "keyed",
                &[("cleanup.policy", "compact")],
                "a",
                ErrorCode::INVALID_RECORD,
                false,
            ),
            // As in Kafka, more than there are replicas counts as all of them.
            (
                "many",
                &[("min.insync.replicas", "3")],
                "a",
                ErrorCode::NONE,
                false,
            ),
        ] {
            let topic = topics::create(&mut client, name, 1, settings).await;
            let part =
                records::append(&mut client, 9, -1, &topic, 0, records::batch(&[value])).await;
            assert_eq!(part.error_code, code, "{name}");
            assert_eq!(part.log_append_time_ms.0 >= now, stamped, "{name}");
        }
        assert!(now > ago + 1000, "the records of the test are old");
        for (name, id) in [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)] {
            let settings = [("compression.type", name)];
            let topic = topics::create(&mut client, name, 1, &settings).await;
            let part =
                records::append(&mut client, 9, -1, &topic, 0, records::batch(&[&large])).await;
            assert_eq!(part.error_code, ErrorCode::NONE, "{name}");
            let request = records::fetch(&topic, 0, 1, &[(0, 0)]);
            let answer = client.call(12, &request).await.unwrap();
            let stored = answer.responses[0].partitions[0].records.clone().unwrap();
            let bytes = stored.into_bytes();
            // Attributes of the batch: its lowest three bits are the codec.
            assert_eq!(bytes[22] & 7, id, "{name}");
        }
    });
    world.stop();
}
