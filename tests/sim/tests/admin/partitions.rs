//! CreatePartitions, also under clients that use the topic.

use bytes::Bytes;
use engine_model::{ErrorCode, NodeId};
use engine_rt::sim::CrashKind;
use net_protocol::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use tests_sim::{Client, World, records, topics};

fn wanted(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: None,
    }
}

fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest {
        topics,
        timeout_ms: 10_000,
        validate_only: false,
    }
}

async fn add(client: &mut Client, version: i16, name: &str, count: i32) -> (i16, String) {
    let answer = client
        .call(version, &request(vec![wanted(name, count)]))
        .await
        .unwrap();
    let result = answer.results.into_iter().next().unwrap();
    assert_eq!(&*result.name, name, "the answer names its topic");
    let words = result.error_message.unwrap_or_default().to_string();
    (result.error_code.0, words)
}

async fn count(client: &mut Client, name: &str) -> usize {
    topics::describe(client, name, false).await.partitions.len()
}

#[test]
fn partitions_are_added_in_every_version_and_can_be_used_at_once() {
    let mut world = World::new(21, 3);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[("max.message.bytes", "2000")]).await;
        for version in 0..=3 {
            let more = 3 + 2 * i32::from(version);
            assert_eq!(
                add(&mut client, version, "t", more).await,
                (0, String::new())
            );
            let batch = records::batch(&["a"]);
            let part = records::append(&mut client, 9, -1, &topic, more - 1, batch).await;
            assert_eq!(
                (part.error_code, part.base_offset.get()),
                (ErrorCode::NONE, 0)
            );
        }
        // The settings of the topic hold for what was added.
        let large = records::batch(&["x".repeat(3000)]);
        let part = records::append(&mut client, 9, -1, &topic, 8, large).await;
        assert_eq!(part.error_code, ErrorCode::MESSAGE_TOO_LARGE);
        let mut check = request(vec![wanted("t", 12)]);
        check.validate_only = true;
        let answer = client.call(3, &check).await.unwrap();
        assert_eq!(answer.results[0].error_code, ErrorCode::NONE);
        assert_eq!(count(&mut client, "t").await, 9, "checked only");
    });
    world.stop();
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        assert_eq!(count(&mut client, "t").await, 9, "after a restart");
    });
    world.stop();
}

#[test]
fn what_cannot_be_added_is_refused_and_the_rest_of_the_request_is_served() {
    let mut world = World::new(22, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "t", 2, &[]).await;
        topics::create(&mut client, "u", 1, &[]).await;
        let missing = String::new();
        for (name, count, expected) in [
            ("t", 2, (37, "Topic already has 2 partition(s).".to_owned())),
            (
                "t",
                -1,
                (
                    37,
                    "The topic t currently has 2 partition(s); -1 would not be an increase."
                        .to_owned(),
                ),
            ),
            ("no", 2, (3, missing.clone())),
            ("..", 2, (3, missing.clone())),
            ("__cluster_metadata", 2, (3, missing.clone())),
            // Kafka ends itself with out-of-memory.
            (
                "t",
                i32::MAX,
                (
                    44,
                    "Excessively large number of partitions per request.".to_owned(),
                ),
            ),
        ] {
            assert_eq!(
                add(&mut client, 3, name, count).await,
                expected,
                "{name} {count}"
            );
        }
        let node = topics::describe(&mut client, "t", false).await.partitions[0].leader_id;
        let assigned = |name: &str, count: i32, nodes: &[NodeId]| CreatePartitionsTopic {
            assignments: Some(vec![CreatePartitionsAssignment {
                broker_ids: nodes.to_vec(),
            }]),
            ..wanted(name, count)
        };
        let mixed = request(vec![
            assigned("t", 3, &[node]),
            assigned("u", 3, &[node]),
            wanted("no", 5),
            wanted("no", 6),
        ]);
        let answer = client.call(2, &mixed).await.unwrap();
        let found: Vec<_> = answer
            .results
            .iter()
            .map(|result| (&*result.name, result.error_code.0))
            .collect();
        assert_eq!(found, [("no", 42), ("t", 0), ("u", 39)]);
        assert_eq!(count(&mut client, "t").await, 3);
        let stranger = request(vec![assigned("t", 4, &[NodeId(77)])]);
        let answer = client.call(3, &stranger).await.unwrap();
        assert_eq!(
            answer.results[0].error_code,
            ErrorCode::INVALID_REPLICA_ASSIGNMENT
        );
        let mut hasty = request(vec![wanted("t", 9)]);
        hasty.timeout_ms = 0;
        let answer = client.call(3, &hasty).await.unwrap();
        assert_eq!(answer.results[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
        assert_eq!(count(&mut client, "t").await, 3);
    });
    world.stop();
}

#[test]
fn a_topic_grows_under_its_producers_and_keeps_what_they_wrote_through_a_kill() {
    let mut world = World::new(23, 3);
    world.up();
    world.client(async |address| {
        let mut admin = Client::connect(address).await;
        let topic = topics::create(&mut admin, "t", 2, &[]).await;
        let mut producer = Client::connect(address).await;
        for round in 0..10_i32 {
            let batches: Vec<(i32, Bytes)> = (0..2 + round)
                .map(|partition| (partition, records::batch(&[format!("{round}")])))
                .collect();
            let sent = records::produce(-1, &topic, &batches);
            let id = producer.send(9, &sent).await.unwrap();
            assert_eq!(add(&mut admin, 3, "t", 3 + round).await.0, 0);
            let answer = producer
                .answer::<net_protocol::produce::ProduceRequest>(9, id)
                .await
                .unwrap();
            for part in &answer.responses[0].partition_responses {
                assert_eq!(part.error_code, ErrorCode::NONE);
            }
        }
    });
    world.crash(CrashKind::Kill);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::describe(&mut client, "t", false).await;
        assert_eq!(topic.partitions.len(), 12);
        let topic = records::Topic {
            name: "t".to_owned(),
            id: topic.topic_id,
        };
        let offsets: Vec<(i32, i64)> = (0..12).map(|partition| (partition, 0)).collect();
        let answer = client
            .call(12, &records::fetch(&topic, 0, 1, &offsets))
            .await
            .unwrap();
        for (partition, data) in (0..).zip(&answer.responses[0].partitions) {
            // Partition 2 was there from the second round on, and so forth.
            let expected = (11 - partition).min(10);
            assert_eq!(data.high_watermark.get(), expected, "partition {partition}");
        }
    });
    world.stop();
}
