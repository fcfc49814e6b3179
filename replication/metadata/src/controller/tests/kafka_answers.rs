//! Answers that were asked of Apache Kafka 4.3.1, one broker, with CreateTopics and DeleteTopics.

use super::*;

/// Partitions with their replicas, as given by hand.
type Assigned<'a> = &'a [(i32, &'a [i32])];

const NO: Assigned<'_> = &[];

struct Case {
    name: String,
    partitions: i32,
    factor: i16,
    assignments: Vec<(i32, Vec<i32>)>,
    configs: Vec<(String, Option<String>)>,
}

fn case(name: &str, partitions: i32, factor: i16, assignments: Assigned<'_>) -> Case {
    Case {
        name: name.to_owned(),
        partitions,
        factor,
        assignments: assignments
            .iter()
            .map(|(p, replicas)| (*p, replicas.to_vec()))
            .collect(),
        configs: Vec::new(),
    }
}

fn ask(rig: &mut Rig, cases: &[Case], validate_only: bool) -> Vec<(String, i16, Option<String>)> {
    let topics = cases
        .iter()
        .map(|case| NewTopic {
            partition_count: case.partitions,
            replication_factor: case.factor,
            assignments: case
                .assignments
                .iter()
                .map(|(partition, replicas)| AssignedPartition {
                    partition: *partition,
                    replicas: replicas.iter().copied().map(NodeId).collect(),
                })
                .collect(),
            configs: case.configs.clone(),
            ..NewTopic::with_defaults(rig.id(), &case.name)
        })
        .collect();
    let outcome = rig.controller.create_topics(&CreateTopics {
        topics,
        validate_only,
    });
    rig.commit(outcome)
        .into_iter()
        .map(|(name, answer)| match answer {
            Ok(_) => (name, 0, None),
            Err(error) => (name, error.error_code().0, Some(error.to_string())),
        })
        .collect()
}

fn check(rig: &mut Rig, case: Case, code: i16, words: Option<&str>) {
    let name = case.name.clone();
    let answers = ask(rig, &[case], true);
    assert_eq!(answers, [(name, code, words.map(str::to_owned))]);
}

#[test]
fn names() {
    let mut rig = Rig::with_brokers(1);
    rig.create("a.b");
    let long = "x".repeat(250);
    let too_long = format!(
        "Topic name is invalid: the length of '{}' is longer than the max allowed length 249",
        "x".repeat(249)
    );
    for (name, code, words) in [
        (
            "",
            17,
            "Topic name is invalid: the empty string is not allowed",
        ),
        (".", 17, "Topic name is invalid: '.' is not allowed"),
        ("..", 17, "Topic name is invalid: '..' is not allowed"),
        (&long, 17, &too_long),
        (
            "a/b",
            17,
            "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            "__cluster_metadata",
            42,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        ("a_b", 17, "Topic 'a_b' collides with existing topic: a.b"),
        ("a.b", 36, "Topic 'a.b' already exists."),
    ] {
        check(&mut rig, case(name, 1, 1, NO), code, Some(words));
    }
    check(&mut rig, case("__consumer_offsets", 1, 1, NO), 0, None);
}

#[test]
fn counts() {
    let mut rig = Rig::with_brokers(1);
    let partitions = "Number of partitions was set to an invalid non-positive value.";
    let factor = "Replication factor must be larger than 0, or -1 to use the default value.";
    let many = "Excessively large number of partitions per request.";
    // Kafka's text goes on about log directories here, which are ours to have one of.
    let few = "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered.";
    for (count, replicas, code, words) in [
        (0, 1, 37, Some(partitions)),
        (-2, 1, 37, Some(partitions)),
        (1, 0, 38, Some(factor)),
        (1, -2, 38, Some(factor)),
        (0, 0, 38, Some(factor)),
        (1, 2, 38, Some(few)),
        (-1, -1, 0, None),
        (10_001, 1, 44, Some(many)),
        (i32::MAX, 1, 44, Some(many)),
    ] {
        check(&mut rig, case("c", count, replicas, NO), code, words);
    }
    let answers = ask(
        &mut rig,
        &[case("c1", 6000, 1, NO), case("c2", 6000, 1, NO)],
        true,
    );
    assert!(answers.iter().all(|(_, code, _)| *code == 44));
}

#[test]
fn assignments() {
    let mut rig = Rig::with_brokers(1);
    let factor =
        "A manual partition assignment was specified, but replication factor was not set to -1.";
    let count = "A manual partition assignment was specified, but numPartitions was not set to -1.";
    let gap = "partitions should be a consecutive 0-based integer sequence";
    let lacking = |broker| {
        format!(
            "The manual partition assignment includes broker {broker}, but no such broker is registered."
        )
    };
    let cases: &[(i32, i16, Assigned<'_>, i16, &str)] = &[
        (1, 1, &[(0, &[1])], 42, factor),
        (-1, 1, &[(0, &[1])], 42, factor),
        (1, -1, &[(0, &[1])], 42, count),
        (-1, -1, &[(1, &[1])], 39, gap),
        (
            -1,
            -1,
            &[(0, &[1]), (0, &[1])],
            39,
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            -1,
            -1,
            &[(0, &[1, 1])],
            39,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            -1,
            -1,
            &[(0, &[])],
            39,
            "The manual partition assignment includes an empty replica list.",
        ),
        (-1, -1, &[(0, &[7])], 39, &lacking(7)),
        (-1, -1, &[(0, &[1]), (1, &[1, 2])], 39, &lacking(2)),
        (-1, -1, &[(0, &[1]), (2, &[1])], 39, gap),
        (-1, -1, &[(-1, &[1])], 39, gap),
    ];
    for (partitions, replicas, assigned, code, words) in cases {
        check(
            &mut rig,
            case("as", *partitions, *replicas, assigned),
            *code,
            Some(words),
        );
    }
    check(&mut rig, case("as", -1, -1, &[(0, &[1])]), 0, None);
}

#[test]
fn the_first_thing_wrong_in_kafkas_order_is_told() {
    let mut rig = Rig::with_brokers(1);
    rig.create("a.b");
    let with = |mut case: Case, key: &str, value: Option<&str>| {
        case.configs = vec![(key.to_owned(), value.map(str::to_owned))];
        case
    };
    for (case, code, words) in [
        (
            with(case("cf", 0, 5, NO), "foo", Some("1")),
            40,
            "Unknown topic config name: foo",
        ),
        (
            with(case("", 0, 5, NO), "foo", Some("1")),
            17,
            "Topic name is invalid: the empty string is not allowed",
        ),
        (
            with(case("a.b", 0, 5, NO), "foo", Some("1")),
            36,
            "Topic 'a.b' already exists.",
        ),
        (
            with(case("m1", 1, 2, &[(0, &[1])]), "retention.ms", Some("x")),
            40,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            with(case("m1", 1, 1, NO), "retention.ms", None),
            40,
            "Null value not supported for topic configs: retention.ms",
        ),
    ] {
        check(&mut rig, case, code, Some(words));
    }
}

#[test]
fn names_given_twice_are_answered_once_and_last() {
    let mut rig = Rig::with_brokers(1);
    let cases = [
        case("d1", 1, 1, NO),
        case("d1", 1, 1, NO),
        case("d2", 1, 1, NO),
    ];
    assert_eq!(
        ask(&mut rig, &cases, false),
        [
            ("d2".to_owned(), 0, None),
            (
                "d1".to_owned(),
                42,
                Some("Duplicate topic name.".to_owned())
            ),
        ]
    );
    assert_eq!(rig.controller.image().topic_count(), 1);
}

#[test]
fn one_bad_topic_does_not_hold_up_the_others() {
    let mut rig = Rig::with_brokers(1);
    let cases = [
        case("m1", 1, 1, NO),
        case("m2", 0, 1, NO),
        case("m3", 1, 1, NO),
    ];
    let codes: Vec<i16> = ask(&mut rig, &cases, false)
        .iter()
        .map(|(_, code, _)| *code)
        .collect();
    assert_eq!(codes, [0, 37, 0]);
    assert_eq!(rig.controller.image().topic_count(), 2);
}

/// Here we are stricter: Kafka creates both.
#[test]
fn topics_of_one_request_that_collide_are_not_both_created() {
    let mut rig = Rig::with_brokers(1);
    let cases = [
        case("same", 1, 1, NO),
        case("sa.me", 1, 1, NO),
        case("sa_me", 1, 1, NO),
    ];
    let codes: Vec<i16> = ask(&mut rig, &cases, false)
        .iter()
        .map(|(_, code, _)| *code)
        .collect();
    assert_eq!(codes, [0, 0, 17]);
}

#[test]
fn checking_only_changes_nothing() {
    let mut rig = Rig::with_brokers(1);
    check(&mut rig, case("t", 1, 1, NO), 0, None);
    assert_eq!(rig.controller.image().topic_count(), 0);
}

#[test]
fn deletions() {
    let mut rig = Rig::with_brokers(1);
    let ids: Vec<TopicId> = ["a.b", "m1", "m3", "x"].map(|name| rig.create(name)).into();
    let name = |text: &str| TopicSelector::Name(text.to_owned());
    let unknown = TopicId::from_bytes([77; 16]);
    let selectors = [
        name("nope"),
        name("a.b"),
        name("a.b"),
        name(".."),
        name("m1"),
        TopicSelector::Id(ids[2]),
        TopicSelector::Id(unknown),
        name("x"),
        TopicSelector::Id(ids[3]),
    ];
    let outcome = rig.controller.delete_topics(&selectors);
    let codes: Vec<i16> = rig
        .commit(outcome)
        .iter()
        .map(|answer| {
            answer
                .as_ref()
                .map_or_else(|error| error.error_code().0, |_| 0)
        })
        .collect();
    assert_eq!(codes, [3, 42, 42, 3, 0, 0, 100, 42, 42]);
    let left: Vec<&str> = rig
        .controller
        .image()
        .topics()
        .map(|topic| topic.name.as_str())
        .collect();
    assert_eq!(left, ["a.b", "x"]);
}
