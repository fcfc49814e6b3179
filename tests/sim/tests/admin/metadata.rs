//! Metadata, and FindCoordinator as long as there are no groups.

use engine_model::ErrorCode;
use net_protocol::find_coordinator::FindCoordinatorRequest;
use net_protocol::metadata::{MetadataRequest, MetadataRequestTopic};
use tests_sim::records::Topic;
use tests_sim::{Client, World, topics};

#[test]
fn metadata_answers_by_its_version() {
    let mut world = World::new(6, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        for name in ["b", "a"] {
            topics::create(&mut client, name, 2, &[]).await;
        }
        let named = |names: Option<&[&str]>, create: bool| MetadataRequest {
            topics: names.map(|names| {
                let topic = |name: &&str| MetadataRequestTopic {
                    name: Some((*name).into()),
                    ..MetadataRequestTopic::default()
                };
                names.iter().map(topic).collect()
            }),
            allow_auto_topic_creation: create,
            ..MetadataRequest::default()
        };
        for version in 0..=13 {
            let every = if version == 0 { Some(&[][..]) } else { None };
            // Before version 4 a client cannot say whether topics may be created.
            let answer = client.call(version, &named(every, true)).await.unwrap();
            let listed: Vec<_> = answer
                .topics
                .iter()
                .map(|t| t.name.clone().unwrap())
                .collect();
            assert_eq!(listed, ["a", "b"], "version {version}");
            assert_eq!(answer.topics[0].partitions.len(), 2);
            assert_eq!(answer.brokers.len(), 1);
            let told = format!("{}:{}", answer.brokers[0].host, answer.brokers[0].port);
            assert_eq!(told, address.to_string(), "the address the client came to");
            if version >= 1 {
                assert_eq!(answer.controller_id, answer.brokers[0].node_id);
                let none = client.call(version, &named(Some(&[]), true)).await.unwrap();
                assert!(none.topics.is_empty(), "version {version}");
            }
            if version >= 2 {
                assert_eq!(answer.cluster_id.unwrap().len(), 22);
            }
            if version >= 4 {
                let asked = named(Some(&["missing", "bad/name"]), false);
                let answer = client.call(version, &asked).await.unwrap();
                let codes: Vec<_> = answer
                    .topics
                    .iter()
                    .map(|topic| (topic.name.clone().unwrap().to_string(), topic.error_code))
                    .collect();
                let expected = [
                    ("bad/name".to_owned(), ErrorCode::INVALID_TOPIC_EXCEPTION),
                    ("missing".to_owned(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                ];
                assert_eq!(codes, expected, "version {version}");
            }
        }
        let id = topics::describe(&mut client, "a", false).await.topic_id;
        for version in 10..=13 {
            for (topic_id, expected) in [
                (id, ErrorCode::NONE),
                (Topic::unknown().id, ErrorCode::UNKNOWN_TOPIC_ID),
            ] {
                let request = MetadataRequest {
                    topics: Some(vec![MetadataRequestTopic {
                        topic_id,
                        name: None,
                    }]),
                    ..MetadataRequest::default()
                };
                let answer = client.call(version, &request).await.unwrap();
                let expected = if version < 12 {
                    ErrorCode::INVALID_REQUEST
                } else {
                    expected
                };
                assert_eq!(answer.topics[0].error_code, expected, "version {version}");
            }
        }
        // Authorized operations are Kafka's numbers, and only for those who ask.
        let mut request = named(Some(&["a"]), false);
        let answer = client.call(10, &request).await.unwrap();
        assert_eq!(answer.topics[0].topic_authorized_operations, i32::MIN);
        request.include_topic_authorized_operations = true;
        request.include_cluster_authorized_operations = true;
        let answer = client.call(10, &request).await.unwrap();
        assert_eq!(answer.topics[0].topic_authorized_operations, 3576);
        assert_eq!(answer.cluster_authorized_operations, 8096);
    });
    world.stop();
}

#[test]
fn topics_are_not_created_where_that_is_switched_off() {
    let mut world = World::new(7, 1).with("auto.create.topics.enable=false");
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let found = topics::describe(&mut client, "t", true).await;
        assert_eq!(found.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    });
    world.stop();
}

#[test]
fn there_is_no_coordinator_in_any_version() {
    let mut world = World::new(9, 1);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        for version in 0..=6 {
            let request = FindCoordinatorRequest {
                key: if version < 4 { "g".into() } else { "".into() },
                coordinator_keys: if version < 4 {
                    Vec::new()
                } else {
                    vec!["g".into()]
                },
                ..FindCoordinatorRequest::default()
            };
            let answer = client.call(version, &request).await.unwrap();
            let code = answer
                .coordinators
                .first()
                .map_or(answer.error_code, |coordinator| coordinator.error_code);
            assert_eq!(
                code,
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                "version {version}"
            );
        }
    });
    world.stop();
}
