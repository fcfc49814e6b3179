//! What the controller answers and what its records make of an image.

mod added_partitions;
mod kafka_answers;
mod machine;

use super::*;
use crate::error::*;
use crate::record::ConfigResource;
use engine_config::Sources;
use engine_model::{
    ClusterId, DirectoryId, LeaderEpoch, NodeId, PartitionIndex, ProducerId, TopicId,
};

/// A controller with its log: what the driver does, without the disk.
#[derive(Clone)]
struct Rig {
    controller: Controller,
    log: Vec<MetadataRecord>,
    config: Arc<BrokerConfig>,
    next_id: u8,
}

impl Rig {
    fn alter(
        &self,
        topic: &str,
        changes: Vec<(String, ConfigChange)>,
    ) -> Outcome<Vec<Result<(), AlterConfigsError>>> {
        self.controller.alter_configs(&AlterConfigs {
            resources: vec![ResourceChanges {
                target: ConfigTarget::Topic(topic.to_owned()),
                changes,
                replace: false,
            }],
            validate_only: false,
        })
    }

    /// A formed cluster of brokers 1 to `brokers`.
    fn with_brokers(brokers: i32) -> Self {
        Self::with_settings(brokers, &[])
    }

    fn with_settings(brokers: i32, assignments: &[&str]) -> Self {
        let mut sources = Sources::new();
        for text in assignments {
            sources.assignment(text).unwrap();
        }
        let config = Arc::new(BrokerConfig::new(sources.resolve()).unwrap());
        let controller = Controller::new(config.clone());
        let mut rig = Self {
            controller,
            log: Vec::new(),
            config,
            next_id: 1,
        };
        let outcome = rig
            .controller
            .form_cluster(ClusterId::from_bytes([1; 16]))
            .unwrap();
        rig.commit(outcome);
        for node in 1..=brokers {
            rig.register(node, 1);
        }
        rig
    }

    fn register(&mut self, node: i32, incarnation: u8) -> i64 {
        let outcome = self
            .controller
            .register_broker(registration(node, incarnation))
            .unwrap();
        self.commit(outcome)
    }

    fn commit<R>(&mut self, outcome: Outcome<R>) -> R {
        let mut delta = MetadataDelta::default();
        for record in outcome.records {
            let offset = self.controller.image().next_offset();
            self.controller.replay(offset, &record, &mut delta).unwrap();
            self.log.push(record);
        }
        outcome.response
    }

    /// A controller built anew from the log, through bytes.
    fn reloaded(&self) -> Controller {
        let mut controller = Controller::new(self.config.clone());
        for record in &self.log {
            let record = MetadataRecord::decode(&record.encode()).unwrap();
            let offset = controller.image().next_offset();
            controller
                .replay(offset, &record, &mut MetadataDelta::default())
                .unwrap();
        }
        controller
    }

    fn id(&mut self) -> TopicId {
        self.next_id += 1;
        TopicId::from_bytes([self.next_id; 16])
    }

    fn topic(&mut self, name: &str) -> NewTopic {
        NewTopic::with_defaults(self.id(), name)
    }

    fn create(&mut self, name: &str) -> TopicId {
        let topic = self.topic(name);
        let request = CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        let outcome = self.controller.create_topics(&request);
        let [(_, created)] = self.commit(outcome).try_into().unwrap();
        created.unwrap().topic_id
    }
}

fn registration(node: i32, incarnation: u8) -> BrokerRegistration {
    BrokerRegistration {
        node_id: NodeId(node),
        incarnation: [incarnation; 16],
        directory: DirectoryId::from_bytes([u8::try_from(node).unwrap(); 16]),
        was_clean: true,
        endpoints: Vec::new(),
        rack: None,
    }
}

#[test]
fn a_cluster_is_formed_once_and_brokers_need_one() {
    let controller = Controller::new(Rig::with_brokers(0).config);
    assert_eq!(
        controller.register_broker(registration(1, 1)).unwrap_err(),
        BrokerError::NoCluster
    );
    let rig = Rig::with_brokers(0);
    assert_eq!(
        rig.controller
            .form_cluster(ClusterId::from_bytes([2; 16]))
            .unwrap_err(),
        FormClusterError::AlreadyFormed
    );
    let image = rig.controller.image();
    assert_eq!(image.cluster_id(), Some(ClusterId::from_bytes([1; 16])));
    assert_eq!(
        image.feature(FEATURE_METADATA),
        Some(FEATURE_METADATA_LEVEL)
    );
}

#[test]
fn every_registration_has_a_higher_epoch_and_a_repeated_one_the_same() {
    let mut rig = Rig::with_brokers(1);
    let first = rig.controller.image().broker(NodeId(1)).unwrap().epoch;
    assert_eq!(rig.register(1, 1), first);
    let second = rig.register(1, 2);
    assert!(second > first);
    assert!(rig.register(2, 1) > second);
}

#[test]
fn a_broker_of_an_older_registration_is_not_heard() {
    let mut rig = Rig::with_brokers(1);
    let stale = rig.register(1, 1);
    let fresh = rig.register(1, 2);
    let refused = BrokerError::StaleEpoch {
        node_id: NodeId(1),
        expected: fresh,
        found: stale,
    };
    assert_eq!(
        rig.controller
            .start_leadership(NodeId(1), stale)
            .unwrap_err(),
        refused
    );
    assert_eq!(
        rig.controller
            .allocate_producer_ids(NodeId(1), stale)
            .unwrap_err(),
        AllocateProducerIdsError::Broker(refused)
    );
    assert_eq!(
        rig.controller.start_leadership(NodeId(9), 0).unwrap_err(),
        BrokerError::NotRegistered { node_id: NodeId(9) }
    );
}

#[test]
fn each_start_of_leadership_raises_the_epochs_of_what_the_broker_leads() {
    let mut rig = Rig::with_brokers(2);
    let mut topic = rig.topic("t");
    topic.assignments = [[1, 2], [2, 1], [1, 2]]
        .iter()
        .zip(0..)
        .map(|(replicas, partition)| AssignedPartition {
            partition,
            replicas: replicas.iter().copied().map(NodeId).collect(),
        })
        .collect();
    let outcome = rig.controller.create_topics(&CreateTopics {
        topics: vec![topic.clone()],
        validate_only: false,
    });
    rig.commit(outcome);
    for round in 1..=3 {
        let epoch = rig.register(1, 10 + u8::try_from(round).unwrap());
        let outcome = rig.controller.start_leadership(NodeId(1), epoch).unwrap();
        assert_eq!(rig.commit(outcome), 2);
        let topic = rig.controller.image().topic(topic.topic_id).unwrap();
        let epochs: Vec<(i32, i32, i32)> = topic
            .partitions
            .iter()
            .map(|p| (p.leader.0, p.leader_epoch.get(), p.partition_epoch))
            .collect();
        assert_eq!(epochs, [(1, round, round), (2, 0, 0), (1, round, round)]);
    }
}

#[test]
fn producer_ids_are_handed_out_once_also_after_a_reload() {
    let mut rig = Rig::with_brokers(1);
    let epoch = rig.register(1, 1);
    let mut first = 0;
    for _ in 0..3 {
        let outcome = rig
            .controller
            .allocate_producer_ids(NodeId(1), epoch)
            .unwrap();
        let block = rig.commit(outcome);
        assert_eq!(
            block,
            ProducerIdBlock {
                first: ProducerId(first),
                count: 1000
            }
        );
        first += 1000;
        rig.controller = rig.reloaded();
    }
}

#[test]
fn settings_change_together_or_not_at_all() {
    let mut rig = Rig::with_brokers(1);
    let topic_id = rig.create("t");
    let set = |key: &str, value: &str| (key.to_owned(), ConfigChange::Set(Some(value.to_owned())));
    let delete = |key: &str| (key.to_owned(), ConfigChange::Delete);
    let alter = |rig: &Rig, changes: Vec<(String, ConfigChange)>| rig.alter("t", changes);
    let outcome = alter(
        &rig,
        vec![set("retention.ms", "7d"), set("segment.bytes", "1MiB")],
    );
    assert_eq!(rig.commit(outcome), [Ok(())]);
    let outcome = alter(
        &rig,
        vec![delete("retention.ms"), set("min.compaction.lag.ms", "9")],
    );
    assert_eq!(rig.commit(outcome), [Ok(())]);
    let image = rig.controller.image();
    let configs: Vec<(&str, &str)> = image
        .configs(ConfigResource::Topic(topic_id))
        .unwrap()
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        configs,
        [("min.compaction.lag.ms", "9"), ("segment.bytes", "1048576")]
    );
    for (changes, words) in [
        (
            vec![set("retention.ms", "1"), set("foo", "1")],
            "Unknown topic config name: foo",
        ),
        (
            vec![set("a", "1"), delete("a")],
            "Error due to duplicate config keys",
        ),
        (
            vec![("retention.ms".to_owned(), ConfigChange::Set(None))],
            "Null value not supported for : retention.ms",
        ),
        (
            vec![set("max.compaction.lag.ms", "8")],
            "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)",
        ),
    ] {
        let outcome = alter(&rig, changes);
        assert!(outcome.records.is_empty());
        let error = outcome.response[0].clone().unwrap_err();
        assert_eq!(error.to_string(), words);
    }
    for nothing in [
        vec![set("segment.bytes", "1048576")],
        vec![delete("foo")],
        vec![],
    ] {
        let outcome = alter(&rig, nothing);
        assert_eq!(outcome.response, [Ok(())]);
        assert!(outcome.records.is_empty());
    }
}

#[test]
fn internal_topics_take_the_replicas_there_are_and_remember_what_was_wanted() {
    let mut rig = Rig::with_brokers(1);
    let mut topic = rig.topic("__consumer_offsets");
    topic.replication_factor = 3;
    topic.may_have_fewer_replicas = true;
    let topic_id = topic.topic_id;
    let request = CreateTopics {
        topics: vec![topic],
        validate_only: false,
    };
    let outcome = rig.controller.create_topics(&request);
    rig.commit(outcome);
    let topic = rig.controller.image().topic(topic_id).unwrap();
    assert_eq!(topic.wanted_replication_factor, 3);
    assert_eq!(topic.partitions[0].replicas, [NodeId(1)]);
    assert_eq!(
        topic.partitions[0].directories,
        [DirectoryId::from_bytes([1; 16])]
    );
}

#[test]
fn a_deleted_name_comes_back_with_another_id_and_nothing_of_the_old() {
    let mut rig = Rig::with_brokers(1);
    let old = rig.create("a.b");
    let change = (
        "retention.ms".to_owned(),
        ConfigChange::Set(Some("5".to_owned())),
    );
    let outcome = rig.alter("a.b", vec![change]);
    rig.commit(outcome);
    let outcome = rig.controller.delete_topics(&[TopicSelector::Id(old)]);
    rig.commit(outcome);
    let new = rig.create("a_b");
    assert_ne!(old, new);
    let image = rig.controller.image();
    assert!(image.topic(old).is_none() && image.topic_named("a.b").is_none());
    assert!(image.topic(new).unwrap().configs.is_empty());
    assert_eq!(image.partition_count(), 1);
}

#[test]
fn an_id_that_is_taken_or_reserved_is_refused() {
    let mut rig = Rig::with_brokers(1);
    let taken = rig.create("t");
    for topic_id in [taken, TopicId::ZERO, TopicId::CLUSTER_METADATA] {
        let topics = vec![NewTopic::with_defaults(topic_id, "u")];
        let outcome = rig.controller.create_topics(&CreateTopics {
            topics,
            validate_only: false,
        });
        assert_eq!(
            outcome.response[0].1,
            Err(CreateTopicError::IdTaken { topic_id })
        );
    }
}

#[test]
fn what_cannot_follow_stops_the_replica() {
    let mut rig = Rig::with_brokers(1);
    let topic_id = rig.create("t");
    let partition = PartitionIndex::ZERO;
    let change = |leader_epoch, partition_epoch| {
        MetadataRecord::PartitionChange(crate::PartitionChangeRecord {
            topic_id,
            partition,
            partition_epoch,
            leader: NodeId(1),
            leader_epoch: LeaderEpoch::new(leader_epoch),
            isr: vec![NodeId(1)],
            elr: Vec::new(),
        })
    };
    let gone = TopicId::from_bytes([99; 16]);
    for (record, refused) in [
        (
            MetadataRecord::Cluster {
                cluster_id: ClusterId::from_bytes([3; 16]),
            },
            ReplayError::FormedTwice,
        ),
        (
            MetadataRecord::Feature {
                name: FEATURE_METADATA.to_owned(),
                level: 2,
            },
            ReplayError::NewerFeature { found: 2, known: 1 },
        ),
        (
            MetadataRecord::TopicRemoved { topic_id: gone },
            ReplayError::NoSuchTopic { topic_id: gone },
        ),
        (
            change(-1, 1),
            ReplayError::PartitionEpoch {
                topic_id,
                partition,
            },
        ),
        (
            change(1, 0),
            ReplayError::PartitionEpoch {
                topic_id,
                partition,
            },
        ),
        (
            MetadataRecord::ProducerIds {
                node_id: NodeId(1),
                broker_epoch: 2,
                next: ProducerId(0),
            },
            ReplayError::ProducerIds {
                standing: ProducerId(0),
                found: ProducerId(0),
            },
        ),
    ] {
        let mut controller = rig.controller.clone();
        let offset = controller.image().next_offset();
        let answer = controller.replay(offset, &record, &mut MetadataDelta::default());
        assert_eq!(answer, Err(refused), "{record:?}");
    }
    let record = MetadataRecord::TopicRemoved { topic_id };
    let answer = rig
        .controller
        .replay(Offset::new(1), &record, &mut MetadataDelta::default());
    assert!(matches!(answer, Err(ReplayError::OutOfOrder { .. })));
}
