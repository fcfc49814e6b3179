//! Limits over the answers of several owners, and who leads now.

use super::*;
use crate::question::PartitionFetch;
use bytes::Bytes;
use core::time::Duration;
use engine_model::{LeaderEpoch, NodeId, PartitionIndex, TopicId};
use engine_shard::Purgatory;
use net_protocol::Message;

fn slot(size: usize) -> Slot {
    let wanted: Option<PartitionFetch> = None;
    Slot::for_test(
        wanted,
        FetchAnswer {
            chunks: vec![Bytes::from(vec![0; size])],
            bytes: size,
            ..FetchAnswer::default()
        },
        Purgatory::<u8>::new(1, 1).mark(),
    )
}

#[test]
fn the_answer_keeps_to_its_limit_but_for_the_first_records() {
    for (sizes, bytes_max, expected) in [
        (&[10, 10, 10][..], 100, &[10, 10, 10][..]),
        (&[10, 10, 10], 20, &[10, 10, 0]),
        (&[10, 15, 5], 20, &[10, 0, 5]),
        (&[50, 10], 20, &[50, 0]),
        (&[0, 50, 1], 0, &[0, 50, 0]),
    ] {
        let mut slots: Vec<Slot> = sizes.iter().map(|size| slot(*size)).collect();
        limit(&mut slots, bytes_max);
        let found: Vec<usize> = slots.iter().map(|slot| slot.answer.bytes).collect();
        assert_eq!(found, expected, "{sizes:?} with {bytes_max}");
    }
}

#[test]
fn who_leads_now_is_told_where_the_version_can_say_it() {
    let image = MetadataImage::default();
    for version in net_protocol::ApiKey::Fetch.versions() {
        let limits = Limits {
            bytes_max: 0,
            bytes_min: 0,
            wait_max: Duration::ZERO,
            read_committed: false,
            is_follower: false,
            names_leaders: version >= super::super::LEADERS_FROM,
        };
        let place = Place {
            topic: "t".into(),
            topic_id: TopicId::ZERO,
            partition: PartitionIndex::new(0),
        };
        let answer = FetchAnswer::refused(ErrorCode::FENCED_LEADER_EPOCH);
        let leader = |leader: NodeId| LeaderIdAndEpoch {
            leader_id: leader,
            leader_epoch: LeaderEpoch::new(3),
        };
        let mut data = data(answer, &place, &limits, &image);
        assert_eq!(data.current_leader, LeaderIdAndEpoch::default());
        if limits.names_leaders {
            data.current_leader = leader(NodeId(7));
        }
        let response = FetchResponse {
            responses: vec![FetchableTopicResponse {
                topic: place.topic,
                topic_id: place.topic_id,
                partitions: vec![data],
            }],
            ..FetchResponse::default()
        };
        let mut writer = net_protocol::Writer::new();
        assert_eq!(response.encode(version, &mut writer), Ok(()), "{version}");
    }
}
