//! Broken storage: a fenced lane, logs that are missing, metadata that is missing.

use crate::rig::*;
use engine_model::{PartitionIndex, TopicId, TopicPartition};
use engine_rt::sim::{FaultKind, Simulation};
use replication_runtime::{
    Acks, ControllerError, FetchOptions, Horizon, OfflineCause, Refusal, ReplicaError,
};

const EIO: i32 = 5;

fn partition(topic_id: TopicId, number: i32) -> TopicPartition {
    TopicPartition {
        topic_id,
        partition: PartitionIndex::new(number),
    }
}

#[test]
fn a_failed_flush_is_answered_as_such_and_what_was_kept_is_still_read() {
    for kind in [FaultKind::Flush, FaultKind::Write] {
        let mut sim = Simulation::new(31);
        let node = sim.add_node(1);
        let disk = sim.disk(node);
        let here = run(&mut sim, node, 1, move |node| async move {
            let here = partition(node.create_one("t", 1).await.topic_id, 0);
            node.append(here, batch(&["a"]), Some(Acks::All))
                .await
                .unwrap();
            disk.fail_next(kind, EIO);
            let refused = node.append(here, batch(&["b"]), Some(Acks::All)).await;
            assert!(
                matches!(
                    refused,
                    Err(ReplicaError::Wait(_) | ReplicaError::Append(_))
                ),
                "{refused:?}"
            );
            for _ in 0..2 {
                let refused = node.append(here, batch(&["c"]), Some(Acks::All)).await;
                assert!(
                    matches!(
                        refused,
                        Err(
                            ReplicaError::Refused(Refusal::Offline(OfflineCause::Failed))
                                | ReplicaError::Append(_)
                        )
                    ),
                    "{refused:?}"
                );
            }
            let refused = node.create(vec![topic("u", 1)]).await;
            assert!(
                matches!(
                    refused,
                    Err(ControllerError::Storage(_) | ControllerError::Uncommitted(_))
                ),
                "{refused:?}"
            );
            assert!(node.producer_ids().await.is_err());
            assert!(node.image().topic_named("u").is_none());
            let options = FetchOptions {
                offset: engine_model::Offset::ZERO,
                current_leader_epoch: engine_model::LeaderEpoch::NONE,
                last_fetched_epoch: engine_model::LeaderEpoch::NONE,
                bytes_max: 1 << 20,
                at_least_one: true,
                horizon: Horizon::HighWatermark,
            };
            let answer = node.manager(here).fetch(here, options).await.unwrap();
            assert_eq!(answer.high_watermark.get(), 1);
            assert!(answer.bytes > 0);
            here
        });
        // The rig's close says the directory is fenced; what matters is the next start.
        let here = here.unwrap();
        run(&mut sim, node, 1, move |node| async move {
            let replica = node.manager(here).replica(here).unwrap();
            assert!(replica.high_watermark().get() >= 1);
            node.append(here, batch(&["d"]), Some(Acks::All))
                .await
                .unwrap();
            node.create_one("u", 1).await;
        })
        .unwrap();
    }
}

#[test]
fn a_log_that_metadata_names_and_the_directory_lacks_is_offline_and_stays_so() {
    let mut sim = Simulation::new(32);
    let node = sim.add_node(2);
    let topic_id = run(&mut sim, node, 2, |node| async move {
        let created = node.create_one("t", 4).await;
        for number in 0..4 {
            let here = partition(created.topic_id, number);
            node.append(here, batch(&["a"]), Some(Acks::All))
                .await
                .unwrap();
        }
        created.topic_id
    })
    .unwrap();
    // Somebody deletes one of the logs behind the metadata's back.
    let lost = partition(topic_id, 2);
    run(&mut sim, node, 2, move |node| async move {
        let question = Question::Shard(replication_runtime::ShardRequest::DeleteLogs(vec![lost]));
        let owner = node.manager(lost).owner(lost);
        assert!(node.mesh.call(owner, question).await.is_ok());
    })
    .unwrap();
    for _ in 0..2 {
        run(&mut sim, node, 2, move |node| async move {
            for number in 0..4 {
                let here = partition(topic_id, number);
                let answer = node.append(here, batch(&["b"]), Some(Acks::All)).await;
                if here == lost {
                    let missing = Refusal::Offline(OfflineCause::Missing);
                    assert_eq!(answer, Err(ReplicaError::Refused(missing)));
                } else {
                    assert!(answer.is_ok());
                }
            }
            assert_eq!(node.logs().len(), 3, "it is not created anew");
        })
        .unwrap();
    }
    // The topic can still be deleted.
    run(&mut sim, node, 2, move |node| async move {
        assert!(node.delete(&["t"]).await.unwrap()[0].is_ok());
        assert_eq!(node.logs(), []);
    })
    .unwrap();
}

#[test]
fn logs_without_any_metadata_are_refused_and_kept() {
    let mut sim = Simulation::new(33);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let here = partition(node.create_one("t", 2).await.topic_id, 0);
        node.append(here, batch(&["a"]), Some(Acks::All))
            .await
            .unwrap();
        let manager = node.manager(here);
        manager
            .store()
            .delete(TopicPartition::CLUSTER_METADATA)
            .await
            .unwrap();
    })
    .unwrap();
    for _ in 0..2 {
        let answer = run(&mut sim, node, 1, |_| async move {});
        assert!(
            matches!(answer, Err(ControllerError::MetadataLost { logs: 2 })),
            "{answer:?}"
        );
    }
}

#[test]
fn logs_that_metadata_does_not_name_are_deleted_at_load() {
    let mut sim = Simulation::new(34);
    let node = sim.add_node(2);
    run(&mut sim, node, 2, |node| async move {
        node.create_one("t", 2).await;
        let stray = partition(TopicId::from_bytes([9; 16]), 0);
        let log = replication_runtime::NewLog {
            partition: stray,
            config: engine_log::LogConfig::default(),
        };
        let question = Question::Shard(replication_runtime::ShardRequest::CreateLogs(vec![log]));
        let owner = node.manager(stray).owner(stray);
        assert!(node.mesh.call(owner, question).await.is_ok());
        assert_eq!(node.logs().len(), 3);
    })
    .unwrap();
    run(&mut sim, node, 2, |node| async move {
        assert_eq!(node.logs().len(), 2);
        assert_eq!(node.logs(), node.named_partitions());
    })
    .unwrap();
}

/// Metadata that rotted refuses the start, and nothing is deleted or made anew because of it.
#[test]
fn a_rotten_metadata_log_refuses_the_start_and_healed_it_serves_again() {
    let mut sim = Simulation::new(35);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        node.create_one("t", 2).await;
    })
    .unwrap();
    let disk = sim.disk(node);
    let clean = disk.snapshot();
    let segments: Vec<(String, u64)> = disk
        .files()
        .into_iter()
        .filter(|(path, _)| path.contains("/segments/"))
        .collect();
    assert_eq!(segments.len(), 1, "only metadata has records: {segments:?}");
    let (path, bytes) = &segments[0];
    let mut refused = 0;
    for position in (0..*bytes).step_by(509) {
        disk.restore(&clean);
        disk.flip_bit(path, position, 3).unwrap();
        let answer = run(&mut sim, node, 1, |_| async move {});
        match answer {
            Err(ControllerError::Storage(_) | ControllerError::Unreadable(_)) => refused += 1,
            // Bits that nothing covers hold nothing.
            Ok(()) => {}
            Err(other) => panic!("{position}: {other:?}"),
        }
        disk.flip_bit(path, position, 3).unwrap();
        run(&mut sim, node, 1, |node| async move {
            assert!(node.image().topic_named("t").is_some());
            assert_eq!(node.logs().len(), 2);
        })
        .unwrap();
    }
    assert!(refused > 0);
}
