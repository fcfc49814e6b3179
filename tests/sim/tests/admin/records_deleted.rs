//! DeleteRecords.

use engine_model::{ErrorCode, Offset, PartitionIndex, Timestamp};
use engine_rt::sim::CrashKind;
use net_protocol::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use tests_sim::{Client, World, records, topics};

async fn delete(
    client: &mut Client,
    version: i16,
    topic: &str,
    wanted: &[(i32, i64)],
) -> Vec<(i32, i64, i16)> {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.into(),
            partitions: wanted
                .iter()
                .map(|(partition, offset)| DeleteRecordsPartition {
                    partition_index: PartitionIndex::new(*partition),
                    offset: Offset::new(*offset),
                })
                .collect(),
        }],
        timeout_ms: 5_000,
    };
    let answer = client.call(version, &request).await.unwrap();
    answer
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|part| {
            let index = part.partition_index.get();
            (index, part.low_watermark.get(), part.error_code.0)
        })
        .collect()
}

async fn start(client: &mut Client, topic: &str) -> i64 {
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.into(),
            partitions: vec![ListOffsetsPartition {
                timestamp: Timestamp(-2),
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let answer = client.call(7, &request).await.unwrap();
    answer.topics[0].partitions[0].offset.get()
}

#[test]
fn records_below_an_offset_go_and_stay_gone_after_a_crash() {
    for (seed, kind) in [(31, CrashKind::Kill), (32, CrashKind::Power)] {
        let mut world = World::new(seed, 2);
        world.up();
        world.client(async |address| {
            let mut client = Client::connect(address).await;
            let topic = topics::create(&mut client, "t", 2, &[]).await;
            for _ in 0..5 {
                records::append(&mut client, 9, -1, &topic, 0, records::batch(&["a", "b"])).await;
            }
            // What Kafka 4.3.1 answered to the same questions on ten records.
            for (version, wanted, expected) in [
                (0, vec![(0, 0)], vec![(0, 0, 0)]),
                (1, vec![(0, 1)], vec![(0, 1, 0)]),
                (2, vec![(0, 4)], vec![(0, 4, 0)]),
                (2, vec![(0, 2)], vec![(0, 4, 0)]),
                (2, vec![(0, 11)], vec![(0, -1, 1)]),
                (2, vec![(0, -2)], vec![(0, -1, 1)]),
                (2, vec![(0, i64::MAX)], vec![(0, -1, 1)]),
                (2, vec![(0, i64::MIN)], vec![(0, -1, 1)]),
                (2, vec![(1, 0)], vec![(1, 0, 0)]),
                (2, vec![(1, 1)], vec![(1, -1, 1)]),
                (2, vec![(1, -1)], vec![(1, 0, 0)]),
                (
                    2,
                    vec![(7, 0), (-1, 0), (0, 5)],
                    vec![(-1, -1, 3), (0, 5, 0), (7, -1, 3)],
                ),
                (2, vec![(0, 99), (0, 6)], vec![(0, 6, 0)]),
                (2, vec![], vec![]),
            ] {
                let found = delete(&mut client, version, "t", &wanted).await;
                assert_eq!(found, expected, "{wanted:?}");
            }
            for name in ["no", "..", "", "__cluster_metadata"] {
                assert_eq!(delete(&mut client, 2, name, &[(0, 0)]).await, [(0, -1, 3)]);
            }
            assert_eq!(start(&mut client, "t").await, 6);
            let below = records::fetch(&topic, 0, 1, &[(0, 5)]);
            let answer = client.call(12, &below).await.unwrap();
            let data = &answer.responses[0].partitions[0];
            assert_eq!(data.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
        });
        world.crash(kind);
        world.up();
        world.client(async |address| {
            let mut client = Client::connect(address).await;
            assert_eq!(start(&mut client, "t").await, 6);
            assert_eq!(delete(&mut client, 2, "t", &[(0, -1)]).await, [(0, 10, 0)]);
            assert_eq!(start(&mut client, "t").await, 10);
        });
        world.stop();
    }
}

#[test]
fn a_topic_that_keeps_the_last_record_of_each_key_loses_none() {
    let mut world = World::new(33, 1);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "keyed", 1, &[("cleanup.policy", "compact")]).await;
        let both = [("cleanup.policy", "compact,delete")];
        topics::create(&mut client, "both", 1, &both).await;
        assert_eq!(
            delete(&mut client, 2, "keyed", &[(0, 0)]).await,
            [(0, -1, 44)]
        );
        assert_eq!(delete(&mut client, 2, "both", &[(0, 0)]).await, [(0, 0, 0)]);
    });
    world.stop();
}
