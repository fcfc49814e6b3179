//! Sessions against Kafka's rules of epochs and eviction.

use super::*;
use engine_model::{PartitionIndex, TopicId};
use net_protocol::fetch::{FetchPartition, FetchTopic};

fn set(partitions: i32) -> Box<FetchSet> {
    let mut set = FetchSet::new(true);
    set.want(vec![FetchTopic {
        topic_id: TopicId::from_bytes([1; 16]),
        partitions: (0..partitions)
            .map(|index| FetchPartition {
                partition: PartitionIndex::new(index),
                ..FetchPartition::default()
            })
            .collect(),
        ..FetchTopic::default()
    }]);
    Box::new(set)
}

fn at(seconds: u64) -> Moment {
    Moment(0).saturating_add(Duration::from_secs(seconds))
}

fn has(sessions: &Sessions, id: i32) -> bool {
    sessions.inner.borrow().by_id.contains_key(&id)
}

/// Random ids are the runtime's, which wants a shard.
fn run(program: impl FnOnce() + 'static) {
    let mut simulation = engine_rt::sim::Simulation::new(1);
    let node = simulation.add_node(1);
    simulation
        .block_on(node, Duration::from_mins(1), async move || program())
        .unwrap();
}

#[test]
fn epochs_count_up_and_a_wrong_one_changes_nothing() {
    run(|| {
        let sessions = Sessions::new(ShardId(0), 1, 10);
        let id = sessions.create(set(1), false, at(0)).unwrap();
        for epoch in 1..4 {
            for wrong in [epoch - 1, epoch + 1, -2, i32::MAX] {
                let error = sessions.begin(id, wrong, true, at(1)).unwrap_err();
                assert_eq!(error, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
            }
            let error = sessions.begin(id, epoch, false, at(1)).unwrap_err();
            assert_eq!(error, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
            let using = sessions.begin(id, epoch, true, at(1)).unwrap();
            // Another connection that counts along while this request is under way.
            let error = sessions.begin(id, epoch + 1, true, at(1)).unwrap_err();
            assert_eq!(error, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
            assert!(sessions.end(using, at(1)));
        }
        sessions.close(id);
        let error = sessions.begin(id, 4, true, at(1)).unwrap_err();
        assert_eq!(error, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        assert_eq!((sessions.len(), sessions.partitions()), (0, 0));
    });
}

#[test]
fn the_epoch_after_the_largest_is_one() {
    assert_eq!(
        [0, 1, i32::MAX - 1, i32::MAX].map(next_epoch),
        [1, 2, i32::MAX, 1]
    );
}

#[test]
fn a_session_that_is_closed_while_in_use_stays_closed() {
    run(|| {
        let sessions = Sessions::new(ShardId(0), 1, 10);
        let id = sessions.create(set(3), false, at(0)).unwrap();
        let using = sessions.begin(id, 1, true, at(1)).unwrap();
        sessions.close(id);
        assert!(!sessions.end(using, at(1)));
        assert_eq!((sessions.len(), sessions.partitions()), (0, 0));
    });
}

#[test]
fn ids_name_their_shard() {
    run(|| {
        for shards in [1, 2, 3, 7] {
            for shard in 0..shards {
                let shard = ShardId(u16::try_from(shard).unwrap());
                let sessions = Sessions::new(shard, shards, 1000);
                for _ in 0..50 {
                    let id = sessions.create(set(1), false, at(0)).unwrap();
                    assert!(id > 0);
                    assert_eq!(sessions.home(id), Some(shard));
                }
                assert_eq!(sessions.home(0), None);
                assert_eq!(sessions.home(-1), None);
            }
        }
    });
}

/// Kafka's rules, on a cache of two slots with a session of 5 and one of 10 partitions.
#[test]
fn a_full_cache_gives_up_what_is_worth_least() {
    /// The sizes that are left; 0 stands for a new session without a place.
    struct Case {
        /// When the first and the second were last used.
        used: (u64, u64),
        now: u64,
        new: i32,
        is_follower: bool,
        left: &'static [usize],
    }
    let case = |used, now, new, is_follower, left| Case {
        used,
        now,
        new,
        is_follower,
        left,
    };
    let cases = [
        // Both are young: nobody goes, however large the new one.
        case((0, 0), 120, 50, false, &[5, 10]),
        // A follower's evicts the smaller young one.
        case((0, 0), 120, 6, true, &[6, 10]),
        // However small it is.
        case((0, 0), 120, 1, true, &[1, 10]),
        // The one unused for more than two minutes goes, even for a smaller one.
        case((100, 0), 121, 1, false, &[1, 5]),
        // No longer young, both in use: the smaller one goes for a larger one, not for an equal.
        case((100, 100), 121, 6, false, &[6, 10]),
        case((100, 100), 121, 5, false, &[5, 10]),
        case((100, 100), 121, 4, false, &[5, 10]),
    ];
    run(move || {
        for (place, case) in cases.into_iter().enumerate() {
            let sessions = Sessions::new(ShardId(0), 1, 2);
            let small = sessions.create(set(5), false, at(0)).unwrap();
            let large = sessions.create(set(10), false, at(0)).unwrap();
            for (id, used) in [(small, case.used.0), (large, case.used.1)] {
                let using = sessions.begin(id, 1, true, at(used)).unwrap();
                sessions.end(using, at(used));
            }
            let is_new = sessions
                .create(set(case.new), case.is_follower, at(case.now))
                .is_ok();
            let mut left: Vec<usize> = {
                let inner = sessions.inner.borrow();
                inner.by_id.values().map(|session| session.size).collect()
            };
            left.sort_unstable();
            let is_changed = case.left != [5, 10];
            assert_eq!(
                (left.as_slice(), is_new),
                (case.left, is_changed),
                "{place}"
            );
            assert_eq!(sessions.partitions(), left.iter().sum::<usize>());
        }
    });
}

#[test]
fn partitions_are_bounded_too() {
    run(|| {
        let sessions = Sessions::new(ShardId(0), 2, 1000);
        let half = i32::try_from(PARTITIONS_MAX / 2).unwrap();
        assert!(sessions.create(set(half + 1), false, at(0)).is_err());
        let first = sessions.create(set(half - 1), false, at(0)).unwrap();
        assert!(sessions.create(set(2), false, at(0)).is_err());
        let second = sessions.create(set(1), false, at(0)).unwrap();
        // One that outgrows the limit is gone at its next request.
        let mut using = sessions.begin(second, 1, true, at(0)).unwrap();
        using.set = set(2);
        assert!(!sessions.end(using, at(0)));
        assert!(has(&sessions, first) && !has(&sessions, second));
        // And all of it is free again.
        sessions.close(first);
        assert!(sessions.create(set(half), false, at(0)).is_ok());
    });
}

#[test]
fn without_slots_there_are_no_sessions() {
    let sessions = Sessions::new(ShardId(0), 2, 0);
    assert!(sessions.create(set(1), false, at(0)).is_err());
}
