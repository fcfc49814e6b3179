//! Records out and in: round trips, cuts, unknown kinds and versions.

use super::*;
use proptest::prelude::*;

/// One record of each kind and shape, with its bytes, which were put together by hand from the
/// description at the top of `encoding`.
#[allow(clippy::too_many_lines, reason = "a table: one row a shape of record")]
fn golden() -> Vec<(MetadataRecord, Vec<u8>)> {
    let id = |first: u8| {
        let mut bytes = [0; 16];
        bytes[0] = first;
        bytes
    };
    let join = |parts: &[&[u8]]| parts.concat();
    vec![
        (
            MetadataRecord::Cluster {
                cluster_id: ClusterId::from_bytes(id(7)),
            },
            join(&[&[1, 1, 1], &id(7)]),
        ),
        (
            MetadataRecord::Feature {
                name: "f".into(),
                level: -2,
            },
            vec![1, 2, 1, 1, b'f', 3],
        ),
        (
            MetadataRecord::Broker(BrokerRecord {
                node_id: NodeId(1),
                epoch: 300,
                incarnation: id(9),
                directory: DirectoryId::from_bytes(id(8)),
                was_clean: true,
                endpoints: vec![Endpoint {
                    listener: "P".into(),
                    host: "ab".into(),
                    port: 0x2384,
                }],
                rack: Some("r".into()),
            }),
            join(&[
                &[1, 3, 1, 2, 0xd8, 0x04],
                &id(9),
                &id(8),
                &[1, 1, 1, b'P', 2, b'a', b'b', 0x23, 0x84, 1, 1, b'r'],
            ]),
        ),
        (
            MetadataRecord::Topic {
                topic_id: TopicId::from_bytes(id(5)),
                name: TopicName::new("t").unwrap(),
                wanted_replication_factor: 3,
            },
            join(&[&[1, 4, 1], &id(5), &[1, b't', 6]]),
        ),
        (
            MetadataRecord::Partition(PartitionRecord {
                topic_id: TopicId::from_bytes(id(5)),
                partition: PartitionIndex::new(64),
                replicas: vec![NodeId(1), NodeId(2)],
                directories: vec![DirectoryId::from_bytes(id(8)), DirectoryId::ZERO],
                isr: vec![NodeId(1)],
                leader: NodeId::NONE,
                leader_epoch: LeaderEpoch::new(4),
            }),
            join(&[
                &[1, 5, 1],
                &id(5),
                &[0x80, 0x01, 2, 2, 4, 2],
                &id(8),
                &id(0),
                &[1, 2, 1, 8],
            ]),
        ),
        (
            MetadataRecord::PartitionChange(PartitionChangeRecord {
                topic_id: TopicId::from_bytes(id(5)),
                partition: PartitionIndex::ZERO,
                partition_epoch: 1,
                leader: NodeId(1),
                leader_epoch: LeaderEpoch::new(5),
                isr: vec![NodeId(1)],
                elr: vec![NodeId(2)],
            }),
            join(&[&[1, 6, 1], &id(5), &[0, 2, 2, 10, 1, 2, 1, 4]]),
        ),
        (
            MetadataRecord::TopicRemoved {
                topic_id: TopicId::from_bytes(id(5)),
            },
            join(&[&[1, 7, 1], &id(5)]),
        ),
        (
            MetadataRecord::Config {
                resource: ConfigResource::Topic(TopicId::from_bytes(id(5))),
                key: "k".into(),
                value: Some("v".into()),
            },
            join(&[&[1, 8, 1, 1], &id(5), &[1, b'k', 1, 1, b'v']]),
        ),
        (
            MetadataRecord::Config {
                resource: ConfigResource::Broker(NodeId(1)),
                key: "k".into(),
                value: None,
            },
            vec![1, 8, 1, 2, 2, 1, b'k', 0],
        ),
        (
            MetadataRecord::Config {
                resource: ConfigResource::AllBrokers,
                key: "k".into(),
                value: None,
            },
            vec![1, 8, 1, 3, 1, b'k', 0],
        ),
        (
            MetadataRecord::ProducerIds {
                node_id: NodeId(1),
                broker_epoch: 2,
                next: ProducerId(1000),
            },
            vec![1, 9, 1, 2, 4, 0xd0, 0x0f],
        ),
    ]
}

#[test]
fn records_have_the_bytes_they_are_described_to_have() {
    for (record, bytes) in golden() {
        assert_eq!(record.encode(), bytes, "{record:?}");
        assert_eq!(MetadataRecord::decode(&bytes), Ok(record));
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    for (record, bytes) in golden() {
        for end in 0..bytes.len() {
            let answer = MetadataRecord::decode(&bytes[..end]);
            assert_eq!(
                answer,
                Err(RecordError::Truncated),
                "{record:?} cut at {end}"
            );
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let refused = Err(RecordError::TrailingBytes { count: 1 });
        assert_eq!(MetadataRecord::decode(&longer), refused, "{record:?}");
    }
}

#[test]
fn records_of_a_newer_release_stop_the_reader() {
    for (bytes, refused) in [
        (&[2, 1, 1][..], RecordError::UnknownFormat { found: 2 }),
        (&[0, 0, 0], RecordError::UnknownFormat { found: 0 }),
        (&[1, 0, 1], RecordError::UnknownKind { found: 0 }),
        (&[1, 10, 1], RecordError::UnknownKind { found: 10 }),
        (
            &[1, 2, 2],
            RecordError::UnknownVersion { kind: 2, found: 2 },
        ),
        (
            &[1, 2, 0],
            RecordError::UnknownVersion { kind: 2, found: 0 },
        ),
    ] {
        assert_eq!(MetadataRecord::decode(bytes), Err(refused));
    }
}

#[test]
fn fields_that_cannot_be_are_refused() {
    let topic = |name: &[u8]| {
        let length = u8::try_from(name.len()).unwrap();
        [&[1, 4, 1][..], &[5; 16], &[length], name, &[2]].concat()
    };
    for bytes in [
        topic(b"a/b"),
        topic(b""),
        topic(b"\xff\xff"),
        // A level beyond 16 bits, a boolean of 2, a resource of 9.
        vec![1, 2, 1, 1, b'f', 0x80, 0x80, 0x08],
        vec![1, 8, 1, 3, 1, b'k', 2],
        vec![1, 8, 1, 9, 1, b'k', 0],
    ] {
        let answer = MetadataRecord::decode(&bytes);
        assert!(
            matches!(answer, Err(RecordError::InvalidField { .. })),
            "{bytes:?}: {answer:?}"
        );
    }
}

#[test]
fn a_count_beyond_the_bytes_that_are_there_allocates_nothing() {
    let bytes = [
        1, 2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
    ];
    assert_eq!(MetadataRecord::decode(&bytes), Err(RecordError::Truncated));
}

proptest! {
    #[test]
    fn no_bytes_upset_the_reader_and_what_is_read_is_written_back(
        which in 0..11_usize,
        place in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (_, mut bytes) = golden().swap_remove(which);
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        bytes.truncate(bytes.len() - tail.len().min(bytes.len() / 2));
        bytes.extend_from_slice(&tail);
        if let Ok(record) = MetadataRecord::decode(&bytes) {
            prop_assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
        }
    }
}
