//! Thousands of partitions and topics in one node.

use engine_model::ErrorCode;
use engine_rt::sim::CrashKind;
use net_protocol::create_topics::{CreatableTopic, CreateTopicsRequest};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use net_protocol::metadata::{MetadataRequest, MetadataResponseTopic};
use tests_sim::{Client, World, topics};

const TOPICS: usize = 2_000;
const PARTITIONS: i32 = 2_000;

async fn all(client: &mut Client) -> Vec<MetadataResponseTopic> {
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    client.call(12, &request).await.unwrap().topics
}

/// Every name with its count of partitions, in order, and all of them led.
fn check(told: &[MetadataResponseTopic], expected: &[(String, i32)]) {
    assert_eq!(told.len(), expected.len());
    for (topic, (name, count)) in told.iter().zip(expected) {
        assert_eq!(topic.name.as_deref(), Some(name.as_str()));
        assert_eq!(topic.error_code, ErrorCode::NONE);
        for (number, partition) in (0..*count).zip(&topic.partitions) {
            assert_eq!(partition.partition_index.get(), number);
            assert_eq!(partition.error_code, ErrorCode::NONE);
        }
        assert_eq!(topic.partitions.len(), usize::try_from(*count).unwrap());
    }
}

#[test]
fn thousands_of_topics_and_partitions_come_stay_through_a_kill_and_go() {
    let mut expected: Vec<(String, i32)> = (0..TOPICS)
        .map(|number| (format!("t{number:04}"), 1))
        .collect();
    expected.insert(0, ("large".to_owned(), PARTITIONS));
    let mut world = World::new(71, 3);
    world.up();
    let wanted = expected.clone();
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "large", PARTITIONS, &[]).await;
        let request = CreateTopicsRequest {
            topics: (wanted.iter().skip(1))
                .map(|(name, _)| CreatableTopic {
                    name: name.as_str().into(),
                    num_partitions: 1,
                    replication_factor: 1,
                    ..CreatableTopic::default()
                })
                .collect(),
            ..CreateTopicsRequest::default()
        };
        let answer = client.call(7, &request).await.unwrap();
        assert_eq!(answer.topics.len(), TOPICS);
        for topic in &answer.topics {
            assert_eq!(topic.error_code, ErrorCode::NONE);
        }
        check(&all(&mut client).await, &wanted);
    });
    world.crash(CrashKind::Kill);
    world.up();
    let wanted = expected.clone();
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        check(&all(&mut client).await, &wanted);
        let request = DeleteTopicsRequest {
            topics: (wanted.iter().take(TOPICS))
                .map(|(name, _)| DeleteTopicState {
                    name: Some(name.as_str().into()),
                    ..DeleteTopicState::default()
                })
                .collect(),
            timeout_ms: 60_000,
            ..DeleteTopicsRequest::default()
        };
        let answer = client.call(6, &request).await.unwrap();
        assert_eq!(answer.responses.len(), TOPICS);
        for topic in &answer.responses {
            assert_eq!(topic.error_code, ErrorCode::NONE);
        }
        check(&all(&mut client).await, &wanted[TOPICS..]);
    });
    world.stop();
    let ready = world.up();
    assert_eq!((ready.topics, ready.partitions), (1, 1));
    world.stop();
}
