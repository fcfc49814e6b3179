//! Answers that were asked of Apache Kafka 4.3.1, one broker, with CreatePartitions.

use super::*;

type Assigned<'a> = Option<&'a [&'a [i32]]>;

fn wanted(name: &str, count: i32, assignments: Assigned<'_>) -> NewPartitions {
    let brokers = |replicas: &&[i32]| replicas.iter().copied().map(NodeId).collect();
    NewPartitions {
        name: name.to_owned(),
        count,
        assignments: assignments.map(|all| all.iter().map(brokers).collect()),
    }
}

fn ask(
    rig: &mut Rig,
    topics: Vec<NewPartitions>,
    validate_only: bool,
) -> Vec<(String, i16, Option<String>)> {
    let request = CreatePartitions {
        topics,
        validate_only,
    };
    let outcome = rig.controller.create_partitions(&request);
    rig.commit(outcome)
        .into_iter()
        .map(|(name, answer)| match answer {
            Ok(_) => (name, 0, None),
            Err(error) => (name, error.error_code().0, Some(error.to_string())),
        })
        .collect()
}

fn count(rig: &Rig, name: &str) -> usize {
    let topic = rig.controller.image().topic_named(name).unwrap();
    topic.partitions.len()
}

#[test]
fn counts_and_assignments() {
    let mut rig = Rig::with_brokers(1);
    rig.create("t");
    let missing = "This server does not host this topic-partition.";
    let few = |found| {
        format!(
            "Attempted to add 2 additional partition(s), but only {found} assignment(s) were specified."
        )
    };
    let smaller = |wanted: i32| {
        format!("The topic t currently has 1 partition(s); {wanted} would not be an increase.")
    };
    let cases: Vec<(&str, i32, Assigned<'_>, i16, Option<String>)> = vec![
        ("t", 2, None, 0, None),
        ("t", 1, None, 37, Some("Topic already has 1 partition(s).".to_owned())),
        ("t", 0, None, 37, Some(smaller(0))),
        ("t", -1, None, 37, Some(smaller(-1))),
        ("t", i32::MIN, None, 37, Some(smaller(i32::MIN))),
        ("nope", 2, None, 3, Some(missing.to_owned())),
        ("", 2, None, 3, Some(missing.to_owned())),
        ("../x", 2, None, 3, Some(missing.to_owned())),
        ("t", 3, Some(&[]), 39, Some(few(0))),
        ("t", 3, Some(&[&[1]]), 39, Some(few(1))),
        ("t", 3, Some(&[&[1], &[1], &[1]]), 39, Some(few(3))),
        (
            "t",
            3,
            Some(&[&[1], &[2]]),
            39,
            Some("The manual partition assignment includes broker 2, but no such broker is registered.".to_owned()),
        ),
        (
            "t",
            3,
            Some(&[&[], &[1]]),
            39,
            Some("The manual partition assignment includes an empty replica list.".to_owned()),
        ),
        (
            "t",
            3,
            Some(&[&[1, 1], &[1]]),
            39,
            Some("The manual partition assignment includes the broker 1 more than once.".to_owned()),
        ),
        ("t", 3, Some(&[&[1], &[1]]), 0, None),
    ];
    for (name, count, assignments, code, words) in cases {
        let answers = ask(&mut rig, vec![wanted(name, count, assignments)], true);
        assert_eq!(answers, [(name.to_owned(), code, words)], "{name} {count}");
    }
    assert_eq!(count(&rig, "t"), 1, "nothing was more than checked");
    assert_eq!(ask(&mut rig, Vec::new(), false), []);
}

#[test]
fn a_name_given_twice_is_refused_once_and_the_others_are_served() {
    let mut rig = Rig::with_brokers(1);
    rig.create("a");
    rig.create("b");
    let topics = vec![
        wanted("a", 2, None),
        wanted("b", 4, None),
        wanted("a", 3, None),
    ];
    let duplicate = Some("Duplicate topic name.".to_owned());
    assert_eq!(
        ask(&mut rig, topics, false),
        [("a".to_owned(), 42, duplicate), ("b".to_owned(), 0, None)]
    );
    assert_eq!((count(&rig, "a"), count(&rig, "b")), (1, 4));
    assert_eq!(rig.reloaded().image(), rig.controller.image());
}

#[test]
fn counts_beyond_the_limits_are_refused_before_anything_is_made_of_them() {
    let mut rig = Rig::with_brokers(1);
    for name in ["a", "b", "c"] {
        rig.create(name);
    }
    let many = Some("Excessively large number of partitions per request.".to_owned());
    // Kafka answers -1 to 10,002 and ends itself with out-of-memory at the larger ones.
    for wanted_count in [10_002, 1_000_000, i32::MAX] {
        let answers = ask(&mut rig, vec![wanted("a", wanted_count, None)], false);
        assert_eq!(answers, [("a".to_owned(), 44, many.clone())]);
    }
    // All topics of a request together.
    let topics = vec![
        wanted("a", 5_001, None),
        wanted("b", 5_002, None),
        wanted("c", 5_001, None),
    ];
    assert_eq!(
        ask(&mut rig, topics, true),
        [
            ("a".to_owned(), 0, None),
            ("b".to_owned(), 44, many),
            ("c".to_owned(), 0, None)
        ]
    );
}

#[test]
fn added_partitions_go_on_round_the_brokers_and_keep_the_number_of_replicas() {
    let mut rig = Rig::with_brokers(3);
    let name = "t";
    let topic = NewTopic {
        partition_count: 2,
        replication_factor: 2,
        ..NewTopic::with_defaults(rig.id(), name)
    };
    let outcome = rig.controller.create_topics(&CreateTopics {
        topics: vec![topic],
        validate_only: false,
    });
    rig.commit(outcome);
    assert_eq!(
        ask(&mut rig, vec![wanted(name, 6, None)], false),
        [(name.to_owned(), 0, None)]
    );
    let topic = rig.controller.image().topic_named(name).unwrap();
    let leaders: Vec<i32> = topic.partitions.iter().map(|p| p.leader.0).collect();
    assert_eq!(leaders[..3], leaders[3..], "{leaders:?}");
    for partition in &topic.partitions {
        assert_eq!(partition.replicas.len(), 2);
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.leader_epoch, LeaderEpoch::ZERO);
    }
    let uneven = "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s).";
    assert_eq!(
        ask(&mut rig, vec![wanted(name, 7, Some(&[&[1]]))], false),
        [(name.to_owned(), 39, Some(uneven.to_owned()))]
    );
}
