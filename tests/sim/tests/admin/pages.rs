//! DescribeTopicPartitions and DescribeCluster.

use engine_model::{ErrorCode, PartitionIndex};
use net_protocol::describe_cluster::DescribeClusterRequest;
use net_protocol::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use tests_sim::{Client, World, topics};

type Place = Option<(&'static str, i32)>;
type Topics = &'static [(&'static str, i16, &'static [i32])];

/// Topic, code and partitions of each entry, and where the next page begins.
type Told = (Vec<(String, i16, Vec<i32>)>, Option<(String, i32)>);

fn page(names: &[&str], limit: i32, cursor: Place) -> DescribeTopicPartitionsRequest {
    DescribeTopicPartitionsRequest {
        topics: names
            .iter()
            .map(|name| TopicRequest {
                name: (*name).into(),
            })
            .collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(topic_name, partition)| Cursor {
            topic_name: topic_name.into(),
            partition_index: PartitionIndex::new(partition),
        }),
    }
}

fn told(answer: &DescribeTopicPartitionsResponse) -> Told {
    let topics = answer
        .topics
        .iter()
        .map(|topic| {
            let name = topic.name.clone().unwrap_or_default().to_string();
            let numbers = topic
                .partitions
                .iter()
                .map(|partition| partition.partition_index.get())
                .collect();
            (name, topic.error_code.0, numbers)
        })
        .collect();
    let next = answer.next_cursor.as_ref();
    let next = next.map(|next| (next.topic_name.to_string(), next.partition_index.get()));
    (topics, next)
}

#[test]
fn pages_begin_at_their_cursor_and_end_at_their_limit() {
    let mut world = World::new(51, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        for (name, count) in [("c", 3), ("a", 4), ("b", 1)] {
            topics::create(&mut client, name, count, &[]).await;
        }
        // What Kafka 4.3.1 answered, but for its names of topics.
        let all: Topics = &[
            ("a", 0, &[0, 1, 2, 3]),
            ("b", 0, &[0]),
            ("c", 0, &[0, 1, 2]),
        ];
        let cases: &[(&[&str], i32, Place, Topics, Place)] = &[
            (&[], 2000, None, all, None),
            (&["c", "a", "c", "b"], 2000, None, all, None),
            (&[], 2, None, &[("a", 0, &[0, 1])], Some(("a", 2))),
            (&[], 0, None, &[("a", 0, &[0])], Some(("a", 1))),
            (&[], -5, None, &[("a", 0, &[0])], Some(("a", 1))),
            (&[], 4, None, &all[..1], Some(("b", 0))),
            (&[], 5, None, &all[..2], Some(("c", 0))),
            (&[], 8, None, all, None),
            (&[], 2000, Some(("b", 0)), &all[1..], None),
            (&[], 2000, Some(("c", 2)), &[("c", 0, &[2])], None),
            (
                &[],
                2000,
                Some(("b", 9)),
                &[("b", 0, &[]), ("c", 0, &[0, 1, 2])],
                None,
            ),
            (&[], 2000, Some(("bb", 1)), &all[2..], None),
            (
                &["a", "b", "c"],
                1,
                Some(("b", 0)),
                &all[1..2],
                Some(("c", 0)),
            ),
            (
                &["a", "c"],
                2000,
                Some(("b", 0)),
                &[("a", 42, &[]), ("c", 42, &[])],
                None,
            ),
            (&["a"], 2000, Some(("", 0)), &[("a", 42, &[])], None),
            (&["a"], 2000, Some(("a", -1)), &[("a", 42, &[])], None),
            (
                &["no", "a"],
                2000,
                None,
                &[("a", 0, &[0, 1, 2, 3]), ("no", 3, &[])],
                None,
            ),
            (&["no"], 0, None, &[("no", 3, &[])], None),
            (
                &["no", "nu"],
                2000,
                Some(("nu", 0)),
                &[("nu", 3, &[])],
                None,
            ),
            (&["../x"], 2000, None, &[("../x", 17, &[])], None),
        ];
        for (names, limit, cursor, expected, next) in cases {
            let answer = client.call(0, &page(names, *limit, *cursor)).await.unwrap();
            let expected = expected
                .iter()
                .map(|(name, code, numbers)| ((*name).to_owned(), *code, numbers.to_vec()))
                .collect();
            let next = next.map(|(name, number)| (name.to_owned(), number));
            assert_eq!(
                told(&answer),
                (expected, next),
                "{names:?} {limit} {cursor:?}"
            );
        }
        let answer = client.call(0, &page(&["b"], 2000, None)).await.unwrap();
        let topic = &answer.topics[0];
        assert_eq!(topic.topic_authorized_operations, 3576);
        let partition = &topic.partitions[0];
        assert_eq!(partition.isr_nodes, partition.replica_nodes);
        assert_eq!(partition.isr_nodes, [partition.leader_id]);
        assert_eq!(partition.eligible_leader_replicas, Some(Vec::new()));
        assert_eq!(partition.last_known_elr, Some(Vec::new()));
        assert!(partition.offline_replicas.is_empty());
    });
    world.stop();
}

#[test]
fn a_page_has_at_most_two_thousand_partitions_and_pages_tell_each_once() {
    let mut world = World::new(52, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "large", 2500, &[]).await;
        topics::create(&mut client, "more", 3, &[]).await;
        let mut request = page(&[], i32::MAX, None);
        let mut counts = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let answer = client.call(0, &request).await.unwrap();
            counts.push(0);
            for topic in &answer.topics {
                for partition in &topic.partitions {
                    *counts.last_mut().unwrap() += 1;
                    assert!(seen.insert((topic.name.clone(), partition.partition_index)));
                }
            }
            request.cursor = answer.next_cursor;
            if request.cursor.is_none() {
                break;
            }
        }
        assert_eq!(counts, [2000, 503]);
    });
    world.stop();
}

#[test]
fn the_cluster_is_described_to_who_asks_for_brokers() {
    let mut world = World::new(53, 1);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        for version in 0..=2 {
            let mut request = DescribeClusterRequest {
                include_fenced_brokers: version >= 2,
                ..DescribeClusterRequest::default()
            };
            let answer = client.call(version, &request).await.unwrap();
            assert_eq!(answer.error_code, ErrorCode::NONE);
            assert_eq!(answer.cluster_id.len(), 22);
            assert_eq!(answer.brokers.len(), 1);
            let broker = &answer.brokers[0];
            assert_eq!(
                format!("{}:{}", broker.host, broker.port),
                address.to_string()
            );
            assert_eq!(answer.controller_id, broker.broker_id);
            assert!(!broker.is_fenced);
            assert_eq!(answer.cluster_authorized_operations, i32::MIN);
            request.include_cluster_authorized_operations = true;
            let answer = client.call(version, &request).await.unwrap();
            assert_eq!(answer.cluster_authorized_operations, 8096);
        }
        for (endpoint_type, code) in [(0, 115), (1, 0), (2, 114), (3, 115), (-1, 115)] {
            let request = DescribeClusterRequest {
                endpoint_type,
                ..DescribeClusterRequest::default()
            };
            let answer = client.call(1, &request).await.unwrap();
            assert_eq!(answer.error_code.0, code, "{endpoint_type}");
            assert_eq!(answer.brokers.is_empty(), code != 0);
            assert_eq!(answer.endpoint_type, 1);
        }
    });
    world.stop();
}
