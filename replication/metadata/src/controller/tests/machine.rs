//! Random requests against the controller, with what must hold after each of them.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Step {
    Register {
        node: i32,
        incarnation: u8,
    },
    Lead {
        node: i32,
        is_stale: bool,
    },
    Create {
        names: Vec<usize>,
        partitions: i32,
        factor: i16,
        config: Option<usize>,
        dry: bool,
    },
    Grow {
        names: Vec<usize>,
        count: i32,
        dry: bool,
    },
    Delete {
        names: Vec<usize>,
        by_id: bool,
    },
    Alter {
        name: usize,
        key: usize,
        delete: bool,
    },
    ProducerIds {
        node: i32,
    },
}

const NAMES: &[&str] = &["a", "a.b", "a_b", "c.d_e", "c_d.e", "..", "f"];
const CONFIGS: &[(&str, &str)] = &[
    ("retention.ms", "5s"),
    ("min.compaction.lag.ms", "9"),
    ("max.compaction.lag.ms", "8"),
    ("foo", "1"),
];

fn any_step() -> impl Strategy<Value = Step> {
    let names = || prop::collection::vec(0..NAMES.len(), 1..4);
    prop_oneof![
        (1..4, any::<u8>()).prop_map(|(node, incarnation)| Step::Register { node, incarnation }),
        (1..5, any::<bool>()).prop_map(|(node, is_stale)| Step::Lead { node, is_stale }),
        (
            names(),
            -2..5,
            -2..4_i16,
            prop::option::of(0..CONFIGS.len()),
            any::<bool>()
        )
            .prop_map(|(names, partitions, factor, config, dry)| {
                Step::Create {
                    names,
                    partitions,
                    factor,
                    config,
                    dry,
                }
            }),
        (names(), -1..9, any::<bool>()).prop_map(|(names, count, dry)| Step::Grow {
            names,
            count,
            dry
        }),
        (names(), any::<bool>()).prop_map(|(names, by_id)| Step::Delete { names, by_id }),
        (0..NAMES.len(), 0..CONFIGS.len(), any::<bool>())
            .prop_map(|(name, key, delete)| Step::Alter { name, key, delete }),
        (1..5).prop_map(|node| Step::ProducerIds { node }),
    ]
}

/// What was ever handed out, to see that nothing is handed out twice.
#[derive(Default)]
struct History {
    topic_ids: BTreeSet<TopicId>,
    broker_epochs: BTreeSet<i64>,
    producer_ids: BTreeSet<ProducerId>,
}

fn run(rig: &mut Rig, history: &mut History, step: &Step) {
    let epoch_of = |rig: &Rig, node: i32| {
        rig.controller
            .image()
            .broker(NodeId(node))
            .map_or(0, |broker| broker.epoch)
    };
    match step {
        Step::Register { node, incarnation } => {
            let length = rig.log.len();
            let epoch = rig.register(*node, *incarnation);
            assert!(rig.log.len() == length || history.broker_epochs.insert(epoch));
        }
        Step::Lead { node, is_stale } => {
            let epoch = epoch_of(rig, *node) - i64::from(*is_stale);
            if let Ok(outcome) = rig.controller.start_leadership(NodeId(*node), epoch) {
                rig.commit(outcome);
            }
        }
        Step::Create {
            names,
            partitions,
            factor,
            config,
            dry,
        } => {
            create(rig, history, names, (*partitions, *factor), *config, *dry);
        }
        Step::Grow { names, count, dry } => {
            let topics = names.iter().map(|name| NewPartitions {
                name: NAMES[*name].to_owned(),
                count: *count,
                assignments: None,
            });
            let outcome = rig.controller.create_partitions(&CreatePartitions {
                topics: topics.collect(),
                validate_only: *dry,
            });
            for added in rig
                .commit(outcome)
                .iter()
                .filter_map(|(_, it)| it.as_ref().ok())
            {
                let topic = rig.controller.image().topic(added.topic_id).unwrap();
                let grown = *count == i32::try_from(topic.partitions.len()).unwrap();
                assert_ne!(grown, *dry);
            }
        }
        Step::Delete { names, by_id } => {
            let selectors: Vec<TopicSelector> = names
                .iter()
                .map(
                    |name| match rig.controller.image().topic_named(NAMES[*name]) {
                        Some(topic) if *by_id => TopicSelector::Id(topic.id),
                        _ => TopicSelector::Name(NAMES[*name].to_owned()),
                    },
                )
                .collect();
            let outcome = rig.controller.delete_topics(&selectors);
            for deleted in rig.commit(outcome).iter().flatten() {
                assert!(rig.controller.image().topic(deleted.topic_id).is_none());
            }
        }
        Step::Alter { name, key, delete } => {
            let (key, value) = CONFIGS[*key];
            let change = match delete {
                true => ConfigChange::Delete,
                false => ConfigChange::Set(Some(value.to_owned())),
            };
            let outcome = rig.alter(NAMES[*name], vec![(key.to_owned(), change)]);
            rig.commit(outcome);
        }
        Step::ProducerIds { node } => {
            let epoch = epoch_of(rig, *node);
            if let Ok(outcome) = rig.controller.allocate_producer_ids(NodeId(*node), epoch) {
                let block = rig.commit(outcome);
                for id in block.first.0..block.first.0 + block.count {
                    assert!(history.producer_ids.insert(ProducerId(id)));
                }
            }
        }
    }
}

fn create(
    rig: &mut Rig,
    history: &mut History,
    names: &[usize],
    (partition_count, replication_factor): (i32, i16),
    config: Option<usize>,
    validate_only: bool,
) {
    let config = config.map(|config| CONFIGS[config]);
    let configs: Vec<(String, Option<String>)> = config
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
        .collect();
    let topics = names
        .iter()
        .map(|name| NewTopic {
            partition_count,
            replication_factor,
            configs: configs.clone(),
            ..rig.topic(NAMES[*name])
        })
        .collect();
    let outcome = rig.controller.create_topics(&CreateTopics {
        topics,
        validate_only,
    });
    for created in rig
        .commit(outcome)
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok())
    {
        assert!(history.topic_ids.insert(created.topic_id));
        assert_eq!(
            rig.controller.image().topic(created.topic_id).is_none(),
            validate_only
        );
    }
}

fn assert_image_holds(before: &MetadataImage, after: &MetadataImage) {
    assert_eq!(
        after.partition_count(),
        after
            .topics()
            .map(|topic| topic.partitions.len())
            .sum::<usize>()
    );
    assert_eq!(after.topics().count(), after.topic_count());
    let mut keys = BTreeSet::new();
    for topic in after.topics() {
        assert!(
            keys.insert(topic.name.as_str().replace('.', "_")),
            "{} collides",
            topic.name
        );
        assert_eq!(
            after.topic_named(topic.name.as_str()).map(|found| found.id),
            Some(topic.id)
        );
        for (number, partition) in topic.numbered_partitions() {
            assert!(
                partition
                    .isr
                    .iter()
                    .all(|node| partition.replicas.contains(node))
            );
            assert!(partition.isr.contains(&partition.leader));
            assert_eq!(partition.replicas.len(), partition.directories.len());
            let earlier = before
                .topic(topic.id)
                .and_then(|topic| topic.partition(number));
            if let Some(earlier) = earlier {
                assert!(earlier.leader_epoch <= partition.leader_epoch);
                assert!(earlier.partition_epoch <= partition.partition_epoch);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_asked_the_log_tells_the_same_story(steps in prop::collection::vec(any_step(), 1..40)) {
        let mut rig = Rig::with_brokers(1);
        let mut history = History::default();
        for step in &steps {
            // The image is shared with others: what they hold must not move.
            let held = rig.controller.image().clone();
            let copy = rig.reloaded().image().clone();
            prop_assert_eq!(&held, &copy);
            run(&mut rig, &mut history, step);
            prop_assert_eq!(&held, &copy, "a verb or a replay moved an image that was held");
            assert_image_holds(&held, rig.controller.image());
        }
        let reloaded = rig.reloaded();
        prop_assert_eq!(reloaded.image(), rig.controller.image());
        prop_assert_eq!(&reloaded.collision_keys, &rig.controller.collision_keys);
    }
}
