//! Turns, settling and finding of partitions.

use super::*;
use engine_model::TopicName;
use engine_shard::Purgatory;
use net_protocol::Records;
use replication_metadata::PartitionImage;

fn id(number: u8) -> TopicId {
    TopicId::from_bytes([number; 16])
}

fn index(number: i32) -> PartitionIndex {
    PartitionIndex::new(number)
}

fn wanted(topic: u8, offsets: &[(i32, i64)]) -> FetchTopic {
    FetchTopic {
        topic: format!("t{topic}").as_str().into(),
        topic_id: id(topic),
        partitions: offsets
            .iter()
            .map(|(partition, offset)| FetchPartition {
                partition: index(*partition),
                fetch_offset: Offset::new(*offset),
                partition_max_bytes: 1000,
                ..FetchPartition::default()
            })
            .collect(),
    }
}

fn due(set: &FetchSet) -> Vec<i32> {
    let parts = set.due.values().filter_map(|part| set.parts.get(*part));
    parts.map(|part| part.partition.get()).collect()
}

fn data(bytes: usize, end: i64) -> PartitionData {
    PartitionData {
        high_watermark: Offset::new(end),
        last_stable_offset: Offset::new(end),
        log_start_offset: Offset::ZERO,
        records: Some(Records::from(vec![vec![7; bytes].into()])),
        ..PartitionData::default()
    }
}

fn session(topics: Vec<FetchTopic>) -> (FetchSet, Purgatory<TopicPartition>) {
    let purgatory = Purgatory::new(10, 100);
    let mut set = FetchSet::new(true);
    set.want(topics);
    set.keep(purgatory.enter().unwrap());
    (set, purgatory)
}

fn part(set: &FetchSet, partition: i32) -> usize {
    let topic = set.topics.get(set.by_id[&id(1)]).unwrap();
    topic.parts[&index(partition)]
}

#[test]
fn those_with_records_go_to_the_end_and_those_left_out_keep_their_turn() {
    let (mut set, _purgatory) = session(vec![wanted(1, &[(0, 0), (1, 0), (2, 0), (3, 9)])]);
    assert_eq!(due(&set), [0, 1, 2, 3]);
    for (partition, bytes) in [(0, 100), (1, 0), (2, 50), (3, 0)] {
        let part = part(&set, partition);
        let answered = set.answered(part, &data(bytes, 9));
        if answered.is_settled {
            set.settle(part);
        }
    }
    // 1 has records that did not fit, 3 is at its end.
    assert_eq!(due(&set), [1, 0, 2]);
    assert_eq!(set.changed(&[partition(id(1), index(3))]).len(), 1);
    assert_eq!(set.changed(&[partition(id(1), index(3))]).len(), 0);
    assert_eq!(due(&set), [1, 0, 2, 3]);
    set.want(vec![wanted(1, &[(2, 1)])]);
    assert_eq!(due(&set), [1, 0, 2, 3], "wanting otherwise is no new turn");
}

#[test]
fn what_the_client_knows_is_no_news() {
    let (mut set, _purgatory) = session(vec![wanted(1, &[(0, 5)])]);
    let part = part(&set, 0);
    let told = |set: &mut FetchSet, data: PartitionData| {
        let answered = set.answered(part, &data);
        (answered.is_news, answered.is_settled)
    };
    assert_eq!(told(&mut set, data(0, 5)), (true, true), "nothing is known");
    assert_eq!(told(&mut set, data(0, 5)), (false, true));
    assert_eq!(told(&mut set, data(0, 6)), (true, false), "high watermark");
    assert_eq!(told(&mut set, data(0, 6)), (false, false));
    assert_eq!(told(&mut set, data(9, 6)), (true, false), "records");
    assert_eq!(told(&mut set, data(9, 6)), (true, false), "records again");
    let start = PartitionData {
        log_start_offset: Offset::new(2),
        ..data(0, 5)
    };
    assert_eq!(told(&mut set, start.clone()), (true, true), "log start");
    assert_eq!(told(&mut set, start), (false, true));
    let error = PartitionData {
        error_code: ErrorCode::OFFSET_OUT_OF_RANGE,
        ..PartitionData::default()
    };
    assert_eq!(told(&mut set, error.clone()), (true, false), "an error");
    assert_eq!(told(&mut set, error), (true, false), "each time");
    assert_eq!(told(&mut set, data(0, 5)), (true, true), "it has gone");
    let mut diverging = data(0, 5);
    diverging.diverging_epoch.epoch = LeaderEpoch::ZERO;
    assert_eq!(told(&mut set, diverging), (true, false));
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let (mut set, purgatory) = session(vec![
        wanted(1, &[(0, 0), (1, 0)]),
        wanted(2, &[(0, 0)]),
        wanted(3, &[]),
    ]);
    assert_eq!(set.len(), 3);
    let settled = part(&set, 1);
    let keys = [partition(id(1), index(1))];
    set.waiter()
        .unwrap()
        .watch(&keys, purgatory.mark())
        .unwrap();
    set.settle(settled);
    assert!(!set.is_all_due());
    for (topic, partitions) in [(1, vec![1, 0, 7]), (2, vec![0]), (9, vec![0])] {
        set.forget(&[ForgottenTopic {
            topic_id: id(topic),
            partitions: partitions.into_iter().map(index).collect(),
            ..ForgottenTopic::default()
        }]);
    }
    assert_eq!((set.len(), set.topics.len(), set.by_id.len()), (0, 0, 0));
    assert!(set.due.is_empty());
    assert_eq!(purgatory.key_count(), 0);
    drop(set);
    assert!(purgatory.is_empty());
}

#[test]
fn a_partition_named_twice_is_wanted_as_it_was_named_last() {
    let mut set = FetchSet::new(true);
    set.want(vec![
        wanted(1, &[(0, 1), (1, 0), (0, 2)]),
        wanted(1, &[(1, 5)]),
    ]);
    assert_eq!((due(&set), set.len()), (vec![0, 1], 2));
    let offsets = [0, 1].map(|partition| {
        let part = part(&set, partition);
        set.parts.get(part).unwrap().wanted.offset.get()
    });
    assert_eq!(offsets, [2, 5]);
}

/// As Kafka 4.3.1 answers, asked with raw frames.
#[test]
fn a_topic_that_goes_and_comes_back_gets_kafkas_errors() {
    let topic = |id: u8| TopicImage {
        id: TopicId::from_bytes([id; 16]),
        name: TopicName::new("t1").unwrap(),
        partitions: vec![PartitionImage {
            leader: engine_model::NodeId(1),
            leader_epoch: LeaderEpoch::ZERO,
            partition_epoch: 0,
            replicas: Vec::new(),
            directories: Vec::new(),
            isr: Vec::new(),
            elr: Vec::new(),
        }],
        wanted_replication_factor: 1,
        configs: BTreeMap::new(),
    };
    let fetch = partition(id(1), index(0));
    let there = || Found::There(Arc::new(topic(1)));
    let mut set = FetchSet::new(true);
    set.want(vec![wanted(1, &[(0, 0), (3, 0)])]);
    let read = |partition: i32, found: &Found| {
        let part = set.parts.get(part(&set, partition)).unwrap();
        part.read(found).map(|fetch| fetch.partition)
    };
    let unknown_id = ErrorCode::UNKNOWN_TOPIC_ID;
    for (partition, found, expected) in [
        (0, there(), Ok(fetch)),
        (3, there(), Err(ErrorCode(3))),
        (0, Found::Missing(unknown_id), Err(ErrorCode(100))),
        (0, Found::Gone(None), Err(ErrorCode(3))),
        (
            0,
            Found::Gone(Some(Arc::new(topic(2)))),
            Err(ErrorCode(103)),
        ),
        (3, Found::Gone(Some(Arc::new(topic(2)))), Err(ErrorCode(3))),
    ] {
        assert_eq!(read(partition, &found), expected);
    }
}
