//! What the replica promises, over every transition and under random events.

mod machine;

use super::*;

const ME: NodeId = NodeId(1);
const NONE: LeaderEpoch = LeaderEpoch::NONE;

fn offset(raw: i64) -> Offset {
    Offset::new(raw)
}

fn epoch(raw: i32) -> LeaderEpoch {
    LeaderEpoch::new(raw)
}

fn ends(log_start: i64, stable: i64, written: i64) -> LogEnds {
    LogEnds {
        log_start: offset(log_start),
        stable: offset(stable),
        written: offset(written),
    }
}

fn nodes(numbers: &[i32]) -> Vec<NodeId> {
    numbers.iter().copied().map(NodeId).collect()
}

fn lead(raw: i32, replicas: &[i32], isr: &[i32], min: usize, ends: LogEnds) -> Event {
    Event::BecomeLeader {
        leader_epoch: epoch(raw),
        replicas: nodes(replicas),
        isr: nodes(isr),
        min_insync_replicas: min,
        ends,
    }
}

fn change(replicas: &[i32], isr: &[i32], min: usize) -> Event {
    Event::PartitionChanged {
        replicas: nodes(replicas),
        isr: nodes(isr),
        min_insync_replicas: min,
    }
}

fn wait(number: u64, acks: Acks, end: i64, raw_epoch: i32) -> Event {
    Event::Await {
        waiter: WaiterId(number),
        acks,
        end: offset(end),
        leader_epoch: epoch(raw_epoch),
    }
}

fn follower(node: i32, raw_epoch: i32, stable: i64) -> Event {
    Event::FollowerEnd {
        node_id: NodeId(node),
        leader_epoch: epoch(raw_epoch),
        stable: offset(stable),
    }
}

fn step(replica: &mut Replica, event: Event) -> Effects {
    let mut effects = Effects::new();
    replica.step(event, &mut effects);
    effects
}

fn answer(number: u64, result: Result<(), WaitError>) -> Effect {
    Effect::Answer {
        waiter: WaiterId(number),
        result,
    }
}

fn watermark(raw: i64) -> Effect {
    Effect::HighWatermark {
        high_watermark: offset(raw),
    }
}

/// A leader of epoch 0 with all replicas in sync.
fn leader(replicas: &[i32], min: usize) -> Replica {
    let mut replica = Replica::new(ME);
    step(
        &mut replica,
        lead(0, replicas, replicas, min, ends(0, 0, 0)),
    );
    replica
}

#[test]
fn a_single_replica_commits_what_is_stable_and_no_more() {
    let mut replica = leader(&[1], 1);
    assert_eq!(step(&mut replica, wait(1, Acks::All, 5, 0)), []);
    assert_eq!(step(&mut replica, wait(2, Acks::Leader, 5, 0)), []);
    assert_eq!(
        step(&mut replica, Event::LocalEnds(ends(0, 0, 5))),
        [answer(2, Ok(()))]
    );
    assert_eq!(
        step(&mut replica, Event::LocalEnds(ends(0, 5, 5))),
        [watermark(5), answer(1, Ok(()))]
    );
    assert_eq!(replica.waiter_count(), 0);
}

#[test]
fn a_start_of_leadership_begins_its_epoch_and_commits_what_survived() {
    let mut replica = Replica::new(ME);
    assert_eq!(
        step(&mut replica, lead(7, &[1], &[1], 1, ends(3, 9, 9))),
        [
            Effect::WakeReaders,
            Effect::BeginEpoch {
                leader_epoch: epoch(7)
            },
            Effect::HighWatermark {
                high_watermark: offset(9)
            },
        ]
    );
    assert_eq!(
        (replica.role(), replica.leader_epoch()),
        (Role::Leader, epoch(7))
    );
}

#[test]
fn what_is_there_already_is_answered_at_once() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, Event::LocalEnds(ends(0, 5, 8)));
    assert_eq!(
        step(&mut replica, wait(1, Acks::All, 5, 0)),
        [answer(1, Ok(()))]
    );
    assert_eq!(
        step(&mut replica, wait(2, Acks::Leader, 8, 0)),
        [answer(2, Ok(()))]
    );
}

#[test]
fn the_high_watermark_is_the_least_stable_end_in_sync() {
    let mut replica = leader(&[1, 2, 3], 1);
    assert_eq!(step(&mut replica, Event::LocalEnds(ends(0, 10, 10))), []);
    assert_eq!(step(&mut replica, follower(2, 0, 6)), []);
    assert_eq!(step(&mut replica, follower(3, 0, 4)), [watermark(4)]);
    assert_eq!(step(&mut replica, follower(3, 0, 20)), [watermark(6)]);
    // Replica 2 leaves: what it lacks holds nothing up any more.
    assert_eq!(
        step(&mut replica, change(&[1, 2, 3], &[1, 3], 1)),
        [watermark(10)]
    );
    // It comes back behind: what was committed stays so.
    assert_eq!(step(&mut replica, change(&[1, 2, 3], &[1, 2, 3], 1)), []);
    assert_eq!(replica.high_watermark(), offset(10));
}

#[test]
fn a_follower_of_another_epoch_or_unknown_counts_for_nothing() {
    let mut replica = leader(&[1, 2], 1);
    step(&mut replica, Event::LocalEnds(ends(0, 10, 10)));
    assert_eq!(step(&mut replica, follower(2, 1, 10)), []);
    assert_eq!(step(&mut replica, follower(9, 0, 10)), []);
    assert_eq!(step(&mut replica, follower(2, 0, 10)), [watermark(10)]);
}

#[test]
fn too_few_in_sync_are_refused_before_and_told_after_the_append() {
    let mut replica = leader(&[1, 2, 3], 2);
    assert_eq!(step(&mut replica, wait(1, Acks::All, 5, 0)), []);
    assert_eq!(step(&mut replica, wait(2, Acks::Leader, 5, 0)), []);
    let lacking = WaitError::NotEnoughReplicas {
        in_sync: 1,
        needed: 2,
    };
    assert_eq!(
        step(&mut replica, change(&[1, 2, 3], &[1], 2)),
        [answer(1, Err(lacking))]
    );
    assert_eq!(
        replica.check_append(Some(Acks::All)),
        Err(Refusal::NotEnoughReplicas {
            in_sync: 1,
            needed: 2
        })
    );
    assert_eq!(replica.check_append(Some(Acks::Leader)), Ok(epoch(0)));
    assert_eq!(replica.check_append(None), Ok(epoch(0)));
    // An append that raced with the change is told so as well.
    assert_eq!(
        step(&mut replica, wait(3, Acks::All, 5, 0)),
        [answer(3, Err(lacking))]
    );
    // Below the minimum nothing is committed.
    assert_eq!(
        step(&mut replica, Event::LocalEnds(ends(0, 5, 5))),
        [answer(2, Ok(()))]
    );
    assert_eq!(replica.high_watermark(), offset(0));
}

/// Asked of Apache Kafka 4.3.1: one replica, min.insync.replicas=2, acks=all is taken.
#[test]
fn a_partition_needs_no_more_replicas_than_it_has() {
    let mut replica = leader(&[1], 2);
    assert_eq!(replica.check_append(Some(Acks::All)), Ok(epoch(0)));
    assert_eq!(
        step(&mut replica, Event::LocalEnds(ends(0, 5, 5))),
        [watermark(5)]
    );
}

#[test]
fn epochs_fence_whoever_is_behind() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, lead(4, &[1], &[1], 1, ends(0, 0, 0)));
    for (found, expected) in [
        (NONE, Ok(epoch(4))),
        (epoch(4), Ok(epoch(4))),
        (
            epoch(3),
            Err(Refusal::FencedLeaderEpoch {
                current: epoch(4),
                found: epoch(3),
            }),
        ),
        (
            epoch(5),
            Err(Refusal::UnknownLeaderEpoch {
                current: epoch(4),
                found: epoch(5),
            }),
        ),
    ] {
        assert_eq!(replica.check_leader(found), expected);
    }
    step(
        &mut replica,
        Event::BecomeFollower {
            leader_epoch: epoch(5),
        },
    );
    assert_eq!(replica.check_leader(epoch(5)), Err(Refusal::NotLeader));
    assert_eq!(
        replica.check_leader(epoch(4)),
        Err(Refusal::FencedLeaderEpoch {
            current: epoch(5),
            found: epoch(4)
        })
    );
}

#[test]
fn whoever_waits_is_told_when_leadership_moves() {
    for (event, role) in [
        (
            Event::BecomeFollower {
                leader_epoch: epoch(1),
            },
            Role::Follower,
        ),
        (lead(1, &[1], &[1], 1, ends(0, 0, 0)), Role::Leader),
    ] {
        let mut replica = leader(&[1], 1);
        step(&mut replica, wait(1, Acks::All, 5, 0));
        step(&mut replica, wait(2, Acks::Leader, 5, 0));
        let moved = Err(WaitError::NotLeader {
            leader_epoch: epoch(1),
        });
        let effects = step(&mut replica, event);
        assert_eq!(
            effects[..3],
            [answer(1, moved), answer(2, moved), Effect::WakeReaders]
        );
        assert_eq!(replica.role(), role);
        // An append made in the old epoch comes late.
        assert_eq!(
            step(&mut replica, wait(3, Acks::All, 0, 0)),
            [answer(3, moved)]
        );
    }
}

#[test]
fn late_news_of_an_older_epoch_changes_nothing() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, lead(3, &[1], &[1], 1, ends(0, 0, 0)));
    for event in [
        lead(2, &[1], &[1], 1, ends(0, 0, 0)),
        Event::BecomeFollower {
            leader_epoch: epoch(2),
        },
        lead(3, &[1], &[1], 1, ends(0, 0, 0)),
    ] {
        assert_eq!(step(&mut replica, event), []);
        assert_eq!(
            (replica.role(), replica.leader_epoch()),
            (Role::Leader, epoch(3))
        );
    }
}

#[test]
fn a_truncation_fails_those_it_cuts_and_lowers_the_high_watermark() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, Event::LocalEnds(ends(0, 10, 12)));
    step(&mut replica, wait(1, Acks::All, 12, 0));
    step(&mut replica, wait(2, Acks::All, 15, 0));
    step(&mut replica, wait(3, Acks::Leader, 16, 0));
    let cut = Err(WaitError::Truncated { to: offset(12) });
    assert_eq!(
        step(&mut replica, Event::Truncated { to: offset(12) }),
        [answer(2, cut), answer(3, cut), Effect::WakeReaders]
    );
    assert_eq!(replica.high_watermark(), offset(10));
    step(&mut replica, Event::Truncated { to: offset(4) });
    assert_eq!(replica.high_watermark(), offset(4));
    assert_eq!(replica.waiter_count(), 0);
}

#[test]
fn a_failed_log_fails_whoever_waits_and_serves_nothing_until_it_leads_anew() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, wait(1, Acks::All, 5, 0));
    assert_eq!(
        step(&mut replica, Event::Offline(OfflineCause::Failed)),
        [answer(1, Err(WaitError::Offline)), Effect::WakeReaders]
    );
    assert_eq!(
        replica.check_leader(NONE),
        Err(Refusal::Offline(OfflineCause::Failed))
    );
    assert_eq!(
        step(&mut replica, wait(2, Acks::All, 5, 0)),
        [answer(2, Err(WaitError::Offline))]
    );
    step(&mut replica, lead(1, &[1], &[1], 1, ends(0, 0, 0)));
    assert_eq!(replica.check_leader(NONE), Ok(epoch(1)));
}

#[test]
fn a_fenced_log_takes_nothing_and_is_still_read() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, Event::LocalEnds(ends(0, 5, 5)));
    step(&mut replica, wait(1, Acks::All, 9, 0));
    step(&mut replica, wait(2, Acks::Leader, 9, 0));
    let failed = Err(WaitError::Offline);
    assert_eq!(
        step(&mut replica, Event::Fenced),
        [answer(1, failed), answer(2, failed)]
    );
    assert_eq!(replica.check_leader(NONE), Ok(epoch(0)));
    for acks in [None, Some(Acks::Leader), Some(Acks::All)] {
        let refused = Err(Refusal::Offline(OfflineCause::Failed));
        assert_eq!(replica.check_append(acks), refused);
    }
    // What raced with the fence: acknowledged if it was there before, failed if not.
    assert_eq!(
        step(&mut replica, wait(3, Acks::All, 5, 0)),
        [answer(3, Ok(()))]
    );
    assert_eq!(
        step(&mut replica, wait(4, Acks::All, 9, 0)),
        [answer(4, failed)]
    );
    step(&mut replica, lead(1, &[1], &[1], 1, ends(0, 5, 5)));
    assert_eq!(replica.check_append(Some(Acks::All)), Ok(epoch(1)));
}

#[test]
fn nothing_leaves_deleted() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, wait(1, Acks::Leader, 5, 0));
    assert_eq!(
        step(&mut replica, Event::Deleted),
        [answer(1, Err(WaitError::Deleted)), Effect::WakeReaders]
    );
    assert_eq!(
        step(&mut replica, lead(9, &[1], &[1], 1, ends(0, 0, 0))),
        []
    );
    assert_eq!(step(&mut replica, Event::LocalEnds(ends(0, 9, 9))), []);
    assert_eq!(
        step(&mut replica, wait(2, Acks::Leader, 1, 0)),
        [answer(2, Err(WaitError::Deleted))]
    );
    assert_eq!(replica.check_append(None), Err(Refusal::Deleted));
}

#[test]
fn who_waits_no_more_is_not_answered() {
    let mut replica = leader(&[1], 1);
    step(&mut replica, wait(1, Acks::All, 5, 0));
    assert_eq!(
        step(
            &mut replica,
            Event::Abandon {
                waiter: WaiterId(1),
                acks: Acks::All,
                end: offset(5)
            }
        ),
        []
    );
    assert_eq!(
        step(&mut replica, Event::LocalEnds(ends(0, 5, 5))),
        [watermark(5)]
    );
}

#[test]
fn appends_are_refused_when_too_many_wait() {
    let mut replica = leader(&[1], 1);
    for number in 0..u64::try_from(WAITERS_MAX).unwrap() {
        assert_eq!(replica.check_append(Some(Acks::All)), Ok(epoch(0)));
        replica
            .waiting_for_all
            .insert((offset(1), WaiterId(number)));
    }
    assert_eq!(
        replica.check_append(Some(Acks::All)),
        Err(Refusal::TooManyWaiters)
    );
    assert_eq!(replica.check_append(None), Ok(epoch(0)));
}
