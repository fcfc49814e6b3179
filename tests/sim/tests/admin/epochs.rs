//! OffsetForLeaderEpoch.

use engine_model::{LeaderEpoch, NodeId, PartitionIndex};
use net_protocol::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use tests_sim::{Client, World, records, topics};

/// Asks for (partition, current epoch, epoch); answers (error, epoch, end).
async fn ends(
    client: &mut Client,
    version: i16,
    topic: &str,
    wanted: &[(i32, i32, i32)],
) -> Vec<(i16, i32, i64)> {
    let request = OffsetForLeaderEpochRequest {
        replica_id: NodeId(-1),
        topics: vec![OffsetForLeaderTopic {
            topic: topic.into(),
            partitions: wanted
                .iter()
                .map(|(partition, current, epoch)| OffsetForLeaderPartition {
                    partition: PartitionIndex::new(*partition),
                    current_leader_epoch: LeaderEpoch::new(*current),
                    leader_epoch: LeaderEpoch::new(*epoch),
                })
                .collect(),
        }],
    };
    let answer = client.call(version, &request).await.unwrap();
    assert_eq!(&*answer.topics[0].topic, topic);
    let told = |(wanted, part): (
        &(i32, i32, i32),
        &net_protocol::offset_for_leader_epoch::EpochEndOffset,
    )| {
        assert_eq!(part.partition.get(), wanted.0);
        (
            part.error_code.0,
            part.leader_epoch.get(),
            part.end_offset.get(),
        )
    };
    wanted
        .iter()
        .zip(&answer.topics[0].partitions)
        .map(told)
        .collect()
}

#[test]
fn an_epoch_ends_where_the_next_one_begins() {
    let mut world = World::new(41, 2);
    for round in 0..3_i32 {
        world.up();
        world.client(async move |address| {
            let mut client = Client::connect(address).await;
            let topic = if round == 0 {
                topics::create(&mut client, "t", 2, &[]).await
            } else {
                records::Topic {
                    name: "t".to_owned(),
                    id: topics::describe(&mut client, "t", false).await.topic_id,
                }
            };
            let described = topics::describe(&mut client, "t", false).await;
            // Each start of the node begins a new epoch.
            assert_eq!(described.partitions[0].leader_epoch.get(), round);
            for _ in 0..5 {
                records::append(&mut client, 9, -1, &topic, 0, records::batch(&["a", "b"])).await;
            }
        });
        world.stop();
    }
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        for version in 2..=4 {
            let asked = [(0, -1, 0), (0, 3, 1), (0, -1, 2), (0, -1, 3), (1, -1, 3)];
            let expected = [(0, 0, 10), (0, 1, 20), (0, 2, 30), (0, 3, 30), (0, 3, 0)];
            let found = ends(&mut client, version, "t", &asked).await;
            assert_eq!(found, expected, "version {version}");
        }
        // Kafka 4.3.1's codes: newer than all and none at all, a client that is behind or ahead,
        // no such partition; the same one twice is answered twice.
        for (asked, expected) in [
            (vec![(0, -1, 4)], vec![(0, -1, -1)]),
            (vec![(0, -1, -1)], vec![(0, -1, -1)]),
            (vec![(0, 2, 0)], vec![(74, -1, -1)]),
            (vec![(0, 4, 0)], vec![(75, -1, -1)]),
            (vec![(7, -1, 0), (-1, -1, 0)], vec![(3, -1, -1); 2]),
            (vec![(0, -1, 0), (0, -1, 0)], vec![(0, 0, 10); 2]),
            (vec![], vec![]),
        ] {
            assert_eq!(
                ends(&mut client, 4, "t", &asked).await,
                expected,
                "{asked:?}"
            );
        }
        assert_eq!(
            ends(&mut client, 4, "no", &[(0, -1, 0)]).await,
            [(3, -1, -1)]
        );
    });
    world.stop();
}
