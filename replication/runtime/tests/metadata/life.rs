//! Topics come, are used, go and come back, on one shard and on several, across clean restarts.

use crate::rig::*;
use core::time::Duration;
use engine_model::{ErrorCode, Offset, PartitionIndex, TopicPartition};
use engine_rt::sim::Simulation;
use replication_metadata::{AlterConfigs, ConfigChange, ConfigTarget, ResourceChanges};
use replication_runtime::{
    Acks, ControllerRequest, ControllerResponse, OffsetTarget, ReplicaError,
};

fn partition(topic_id: engine_model::TopicId, number: i32) -> TopicPartition {
    TopicPartition {
        topic_id,
        partition: PartitionIndex::new(number),
    }
}

#[test]
fn a_recreated_topic_has_another_id_and_nothing_of_the_old_one() {
    for shards in [1, 3] {
        let mut sim = Simulation::new(11);
        let node = sim.add_node(shards);
        run(&mut sim, node, shards, |node| async move {
            let old = node.create_one("t", 4).await;
            for number in 0..4 {
                let here = partition(old.topic_id, number);
                node.append(here, batch(&["a", "b"]), Some(Acks::All))
                    .await
                    .unwrap();
            }
            assert_eq!(node.logs(), node.named_partitions());
            assert!(node.delete(&["t"]).await.unwrap()[0].is_ok());
            assert_eq!(node.image().topic_count(), 0);
            assert_eq!(node.logs(), []);
            let new = node.create_one("t", 2).await;
            assert_ne!(old.topic_id, new.topic_id);
            let gone = partition(old.topic_id, 0);
            let answer = node.append(gone, batch(&["c"]), Some(Acks::All)).await;
            assert_eq!(answer, Err(ReplicaError::NotHere(gone)));
            let here = partition(new.topic_id, 0);
            let answer = node
                .append(here, batch(&["c"]), Some(Acks::All))
                .await
                .unwrap();
            assert_eq!(answer.base_offset, Offset::ZERO);
        })
        .unwrap();
    }
}

#[test]
fn metadata_and_records_survive_clean_restarts_and_another_shard_count() {
    let mut sim = Simulation::new(12);
    let node = sim.add_node(2);
    let first = run(&mut sim, node, 2, |node| async move {
        for (name, partitions) in [("a", 3), ("b", 1), ("c.d", 5)] {
            let created = node.create_one(name, partitions).await;
            for number in 0..partitions {
                let here = partition(created.topic_id, number);
                node.append(here, batch(&["x"]), Some(Acks::All))
                    .await
                    .unwrap();
            }
        }
        node.producer_ids().await.unwrap();
        // Shards are not told of producer ids: only the controller has them all.
        node.driver.image().unwrap()
    })
    .unwrap();
    for (shards, epoch) in [(2, 1), (1, 2), (4, 3)] {
        let expected = first.clone();
        run(&mut sim, node, shards, move |node| async move {
            let image = node.image();
            assert_eq!(image.cluster_id(), expected.cluster_id());
            assert_eq!(image.next_producer_id(), expected.next_producer_id());
            assert_eq!(node.logs(), node.named_partitions());
            for topic in expected.topics() {
                let now = image.topic(topic.id).unwrap();
                assert_eq!((&now.name, &now.configs), (&topic.name, &topic.configs));
                assert_eq!(now.partitions.len(), topic.partitions.len());
                for (number, standing) in now.numbered_partitions() {
                    assert_eq!(standing.leader_epoch.get(), epoch, "each start raises it");
                    let here = partition(topic.id, number.get());
                    let replica = node.manager(here).replica(here).unwrap();
                    assert_eq!(replica.high_watermark(), Offset::new(1));
                }
            }
            let registered = image.brokers().next().unwrap().epoch;
            assert!(registered > expected.brokers().next().unwrap().epoch);
        })
        .unwrap();
    }
}

#[test]
fn requests_made_at_once_are_taken_one_at_a_time_and_all_answered() {
    let mut sim = Simulation::new(13);
    let node = sim.add_node(3);
    run(&mut sim, node, 3, |node| async move {
        let asked = (0..40).map(|number| {
            let node = node.clone();
            // Every name is asked for twice.
            let name = format!("t{}", number / 2);
            async move {
                node.create(vec![topic(&name, 3)])
                    .await
                    .unwrap()
                    .remove(0)
                    .1
            }
        });
        let answers = engine_shard::join_all(asked.collect()).await;
        let created = answers.iter().filter(|answer| answer.is_ok()).count();
        let exists = answers
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .filter(|error| error.error_code() == ErrorCode::TOPIC_ALREADY_EXISTS)
            .count();
        assert_eq!((created, exists), (20, 20));
        assert_eq!(node.image().partition_count(), 60);
        assert_eq!(node.logs(), node.named_partitions());
    })
    .unwrap();
}

#[test]
fn whoever_stops_waiting_for_an_answer_stops_nothing() {
    let mut sim = Simulation::new(14);
    let node = sim.add_node(2);
    run(&mut sim, node, 2, |node| async move {
        for number in 0..10 {
            let name = format!("t{number}");
            let asked = node.create(vec![topic(&name, 2)]);
            let waited = Duration::from_micros(50 * number);
            // Whether it is over by then does not matter.
            let _ = engine_rt::timeout(waited, asked).await;
        }
        node.create_one("last", 1).await;
        assert_eq!(node.logs(), node.named_partitions());
    })
    .unwrap();
    run(&mut sim, node, 2, |node| async move {
        assert!(node.image().topic_named("last").is_some());
        assert_eq!(node.logs(), node.named_partitions());
    })
    .unwrap();
}

#[test]
fn changed_settings_are_in_force_on_every_shard_when_the_answer_comes() {
    let mut sim = Simulation::new(15);
    let node = sim.add_node(3);
    let config = config(&["durability=written"]);
    run_with(&mut sim, node, 3, &config, |node| async move {
        let created = node.create_one("t", 6).await;
        let durability = |number| {
            let here = partition(created.topic_id, number);
            node.manager(here)
                .store()
                .find(here)
                .unwrap()
                .config()
                .durability
        };
        assert!((0..6).all(|number| durability(number) == engine_log::Durability::Written));
        let changes = vec![(
            "durability".to_owned(),
            ConfigChange::Set(Some("fsync".to_owned())),
        )];
        let request = AlterConfigs {
            resources: vec![ResourceChanges {
                target: ConfigTarget::Topic("t".to_owned()),
                changes,
                replace: false,
            }],
            validate_only: false,
        };
        let answer = node.ask(ControllerRequest::AlterConfigs(request)).await;
        let ControllerResponse::AlterConfigs(Ok(answers)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(answers, [Ok(())]);
        assert!((0..6).all(|number| durability(number) == engine_log::Durability::Fsync));
    })
    .unwrap();
}

#[test]
fn internal_topics_are_flushed_whatever_the_settings_say() {
    let mut sim = Simulation::new(16);
    let node = sim.add_node(1);
    run_with(
        &mut sim,
        node,
        1,
        &config(&["durability=written"]),
        |node| async move {
            let created = node.create_one("__consumer_offsets", 1).await;
            let here = partition(created.topic_id, 0);
            let log = node.manager(here).store().find(here).unwrap();
            assert_eq!(log.config().durability, engine_log::Durability::Fsync);
        },
    )
    .unwrap();
}

#[test]
fn thousands_of_partitions_fit_one_request_and_one_restart() {
    let mut sim = Simulation::new(17);
    let node = sim.add_node(2);
    run(&mut sim, node, 2, |node| async move {
        let created = node.create_one("wide", 3000).await;
        assert_eq!(created.partition_count, 3000);
        assert_eq!(node.logs().len(), 3000);
    })
    .unwrap();
    run(&mut sim, node, 2, |node| async move {
        assert_eq!(node.logs().len(), 3000);
        assert_eq!(node.image().partition_count(), 3000);
        assert!(node.delete(&["wide"]).await.unwrap()[0].is_ok());
        assert_eq!(node.logs(), []);
    })
    .unwrap();
}

#[test]
fn earliest_and_latest_of_an_empty_partition_are_its_start() {
    let mut sim = Simulation::new(18);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, |node| async move {
        let created = node.create_one("t", 1).await;
        let here = partition(created.topic_id, 0);
        let manager = node.manager(here);
        for target in [OffsetTarget::Earliest, OffsetTarget::Latest] {
            let found = manager
                .list_offset(
                    here,
                    engine_model::LeaderEpoch::NONE,
                    target,
                    replication_runtime::Horizon::HighWatermark,
                )
                .await;
            assert_eq!(found.unwrap().unwrap().offset, Offset::ZERO);
        }
    })
    .unwrap();
}
