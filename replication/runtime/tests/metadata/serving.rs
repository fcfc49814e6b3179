//! What a replica answers: acknowledgements, fetches, offsets, epochs.

use crate::rig::*;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use engine_log::ReadError;
use engine_model::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
use engine_rt::sim::Simulation;
use replication_runtime::{
    Acks, FetchAnswer, FetchOptions, Horizon, OffsetTarget, Refusal, ReplicaError, WaitError,
};
use std::rc::Rc;

const NONE: LeaderEpoch = LeaderEpoch::NONE;

fn first(topic_id: TopicId) -> TopicPartition {
    TopicPartition {
        topic_id,
        partition: PartitionIndex::ZERO,
    }
}

fn from(offset: i64) -> FetchOptions {
    FetchOptions {
        offset: Offset::new(offset),
        current_leader_epoch: NONE,
        last_fetched_epoch: NONE,
        bytes_max: 1 << 20,
        at_least_one: true,
        horizon: Horizon::HighWatermark,
    }
}

/// Base offsets and record counts of what was fetched.
fn batches(answer: &FetchAnswer) -> Vec<(i64, i32)> {
    answer
        .chunks
        .iter()
        .flat_map(engine_codec::batches)
        .map(|batch| {
            let batch = batch.unwrap();
            (
                batch.header().base_offset.get(),
                batch.header().record_count,
            )
        })
        .collect()
}

#[test]
fn what_is_acknowledged_to_all_is_below_the_high_watermark() {
    for class in ["fsync", "written"] {
        let mut sim = Simulation::new(21);
        let node = sim.add_node(1);
        let config = config(&[&format!("durability={class}")]);
        run_with(&mut sim, node, 1, &config, |node| async move {
            let here = first(node.create_one("t", 1).await.topic_id);
            let replica = node.manager(here).replica(here).unwrap();
            for number in 0..20 {
                let acks = [None, Some(Acks::Leader), Some(Acks::All)][number % 3];
                let answer = node.append(here, batch(&["a", "b"]), acks).await.unwrap();
                let end = answer.last_offset.saturating_next();
                let log = node.manager(here).store().find(here).unwrap();
                match acks {
                    Some(Acks::All) => assert!(replica.high_watermark() >= end),
                    Some(Acks::Leader) => assert!(log.written_end() >= end),
                    None => assert_eq!(log.log_end_offset(), end),
                }
                assert!(replica.high_watermark() <= log.stable_end());
            }
        })
        .unwrap();
    }
}

#[test]
fn fetches_see_whole_batches_up_to_the_high_watermark() {
    let mut sim = Simulation::new(22);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        let manager = node.manager(here);
        for values in [&["a", "b"][..], &["c", "d", "e"], &["f"]] {
            node.append(here, batch(values), Some(Acks::All))
                .await
                .unwrap();
        }
        let answer = manager.fetch(here, from(0)).await.unwrap();
        assert_eq!(batches(&answer), [(0, 2), (2, 3), (5, 1)]);
        assert_eq!(
            (answer.high_watermark, answer.last_stable_offset),
            (Offset::new(6), Offset::new(6))
        );
        // In the midst of a batch: the batch, whole.
        assert_eq!(
            batches(&manager.fetch(here, from(3)).await.unwrap())[0],
            (2, 3)
        );
        assert_eq!(batches(&manager.fetch(here, from(6)).await.unwrap()), []);
        let tight = FetchOptions {
            bytes_max: 1,
            ..from(0)
        };
        assert_eq!(
            batches(&manager.fetch(here, tight).await.unwrap()),
            [(0, 2)]
        );
        let strict = FetchOptions {
            at_least_one: false,
            ..tight
        };
        assert_eq!(batches(&manager.fetch(here, strict).await.unwrap()), []);
        for offset in [-1, 7] {
            let answer = manager
                .fetch(here, from(offset))
                .await
                .map(|answer| batches(&answer));
            assert_eq!(
                answer,
                Err(ReplicaError::Read(ReadError::OffsetOutOfRange {
                    offset: Offset::new(offset),
                    start: Offset::ZERO,
                    end: Offset::new(6),
                }))
            );
        }
        // Appended and not yet stable: nobody sees it.
        node.append(here, batch(&["g"]), None).await.unwrap();
        let answer = manager.fetch(here, from(6)).await.unwrap();
        assert_eq!(
            (batches(&answer), answer.high_watermark),
            (vec![], Offset::new(6))
        );
    })
    .unwrap();
}

#[test]
fn epochs_fence_and_their_ends_are_known() {
    let mut sim = Simulation::new(23);
    let node = sim.add_node(1);
    let here = run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        node.append(here, batch(&["a", "b"]), Some(Acks::All))
            .await
            .unwrap();
        here
    })
    .unwrap();
    run(&mut sim, node, 1, move |node| async move {
        let manager = node.manager(here);
        node.append(here, batch(&["c"]), Some(Acks::All))
            .await
            .unwrap();
        let epoch = LeaderEpoch::new;
        let knows = |raw| FetchOptions {
            current_leader_epoch: epoch(raw),
            ..from(0)
        };
        let fetch = async |options| manager.fetch(here, options).await.map(|it| it.bytes > 0);
        assert_eq!(fetch(knows(1)).await, Ok(true));
        let (current, found) = (epoch(1), epoch(0));
        let fenced = Refusal::FencedLeaderEpoch { current, found };
        assert_eq!(fetch(knows(0)).await, Err(ReplicaError::Refused(fenced)));
        let unknown = Refusal::UnknownLeaderEpoch {
            current,
            found: epoch(2),
        };
        assert_eq!(fetch(knows(2)).await, Err(ReplicaError::Refused(unknown)));
        let end = |asked| manager.epoch_end(here, NONE, epoch(asked)).unwrap();
        assert_eq!(end(0), Some((epoch(0), Offset::new(2))));
        assert_eq!(end(1), Some((epoch(1), Offset::new(3))));
        // A reader that has seen records of epoch 0 which this log does not have.
        let lost = FetchOptions {
            last_fetched_epoch: epoch(0),
            ..from(3)
        };
        let answer = manager.fetch(here, lost).await.unwrap();
        assert_eq!(
            (answer.diverging, answer.bytes),
            (Some((epoch(0), Offset::new(2))), 0)
        );
        let fine = FetchOptions {
            last_fetched_epoch: epoch(0),
            ..from(2)
        };
        assert_eq!(manager.fetch(here, fine).await.unwrap().diverging, None);
        let latest = manager.list_offset(here, NONE, OffsetTarget::Latest, Horizon::HighWatermark);
        let latest = latest.await.unwrap().unwrap();
        assert_eq!(
            (latest.offset, latest.leader_epoch),
            (Offset::new(3), epoch(1))
        );
        let by_time = |millis| OffsetTarget::Time(Timestamp(millis));
        for (target, offset) in [
            (by_time(0), Some(0)),
            (by_time(1_000), Some(0)),
            (by_time(1_001), None),
        ] {
            let found = manager
                .list_offset(here, NONE, target, Horizon::HighWatermark)
                .await;
            assert_eq!(found.unwrap().map(|found| found.offset.get()), offset);
        }
    })
    .unwrap();
}

#[test]
fn readers_are_told_of_appends_and_of_deletion() {
    let mut sim = Simulation::new(24);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        let told: Rc<RefCell<Vec<TopicPartition>>> = Rc::default();
        let manager = node.manager(here);
        let list = told.clone();
        manager.set_on_change(Rc::new(move |partition| list.borrow_mut().push(partition)));
        node.append(here, batch(&["a"]), Some(Acks::All))
            .await
            .unwrap();
        assert_eq!(told.take(), [here]);
        node.delete(&["t"]).await.unwrap()[0].as_ref().unwrap();
        assert!(told.take().contains(&here));
    })
    .unwrap();
}

#[test]
fn a_deletion_fails_the_appends_that_wait() {
    let mut sim = Simulation::new(25);
    let node = sim.add_node(1);
    // Flushes that take long leave appends waiting.
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        let answered = Rc::new(Cell::new(0));
        let appends: Vec<_> = (0..50)
            .map(|_| {
                let (node, answered) = (node.clone(), answered.clone());
                engine_rt::spawn(async move {
                    let answer = node.append(here, batch(&["a"]), Some(Acks::All)).await;
                    answered.set(answered.get() + 1);
                    answer
                })
            })
            .collect();
        engine_rt::yield_now().await;
        node.delete(&["t"]).await.unwrap()[0].as_ref().unwrap();
        for append in appends {
            match append.await.unwrap() {
                Ok(_)
                | Err(
                    ReplicaError::Wait(WaitError::Deleted)
                    | ReplicaError::NotHere(_)
                    | ReplicaError::Refused(Refusal::Deleted)
                    | ReplicaError::Append(_),
                ) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(answered.get(), 50);
    })
    .unwrap();
}

#[test]
fn an_append_that_is_given_up_leaves_nobody_waiting() {
    let mut sim = Simulation::new(26);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        for _ in 0..20 {
            let append = node.append(here, batch(&["a"]), Some(Acks::All));
            let _ = engine_rt::timeout(Duration::from_nanos(1), append).await;
        }
        node.append(here, batch(&["b"]), Some(Acks::All))
            .await
            .unwrap();
        let replica = node.manager(here).replica(here).unwrap();
        assert_eq!(replica.waiter_count(), 0);
    })
    .unwrap();
}

#[test]
fn an_append_that_is_not_acknowledged_in_time_is_committed_all_the_same() {
    let mut sim = Simulation::new(27);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        let manager = node.manager(here);
        let late = manager
            .append(here, batch(&["a"]), Some(Acks::All), Duration::ZERO)
            .await;
        assert_eq!(late, Err(ReplicaError::TimedOut));
        let replica = manager.replica(here).unwrap();
        assert_eq!(replica.waiter_count(), 0);
        // The next one is acknowledged, and so what stands before it is committed.
        node.append(here, batch(&["b"]), Some(Acks::All))
            .await
            .unwrap();
        let answer = manager.fetch(here, from(0)).await.unwrap();
        assert_eq!(batches(&answer), [(0, 1), (1, 1)]);
    })
    .unwrap();
}

#[test]
fn a_start_that_moves_up_is_told_to_readers_and_bounds_them() {
    let mut sim = Simulation::new(28);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        let manager = node.manager(here);
        for value in ["a", "b", "c"] {
            node.append(here, batch(&[value]), Some(Acks::All))
                .await
                .unwrap();
        }
        let told = Rc::new(Cell::new(0));
        let count = told.clone();
        manager.set_on_change(Rc::new(move |_| count.set(count.get() + 1)));
        let log = manager.store().find(here).unwrap();
        log.advance_log_start(Offset::new(2)).await.unwrap();
        assert!(told.get() > 0);
        let answer = manager.fetch(here, from(2)).await.unwrap();
        assert_eq!(
            (answer.log_start_offset, batches(&answer)),
            (Offset::new(2), vec![(2, 1)])
        );
        assert!(manager.fetch(here, from(1)).await.is_err());
        let horizon = Horizon::HighWatermark;
        let earliest = manager
            .list_offset(here, NONE, OffsetTarget::Earliest, horizon)
            .await;
        assert_eq!(earliest.unwrap().unwrap().offset, Offset::new(2));
    })
    .unwrap();
}

/// Repeats of an idempotent producer wait for what they repeat, on the same list.
#[test]
fn a_duplicate_is_acknowledged_with_its_originals_offsets() {
    let mut sim = Simulation::new(29);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = first(node.create_one("t", 1).await.topic_id);
        let records = idempotent_batch(7, 0, &["a", "b"]);
        let appends = (0..3).map(|_| node.append(here, records.clone(), Some(Acks::All)));
        for answer in engine_shard::join_all(appends.collect()).await {
            let answer = answer.unwrap();
            assert_eq!(
                (answer.base_offset, answer.last_offset),
                (Offset::ZERO, Offset::new(1))
            );
        }
        let answer = node.manager(here).fetch(here, from(0)).await.unwrap();
        assert_eq!(batches(&answer), [(0, 2)]);
    })
    .unwrap();
}
