//! AlterConfigs and IncrementalAlterConfigs: what Apache Kafka 4.3.1 was asked and answered
//! (`kafka/alter_configs.txt`, made by the program beside it), asked here.

use net_protocol::alter_configs::{self, AlterConfigsRequest};
use net_protocol::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use net_protocol::incremental_alter_configs::{self, IncrementalAlterConfigsRequest};
use std::collections::BTreeSet;
use tests_sim::{Client, World, topics};

const KAFKA: &str = include_str!("kafka/alter_configs.txt");

/// A step and what Kafka answered.
struct Step {
    fields: Vec<&'static str>,
    answers: Vec<&'static str>,
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in KAFKA.lines() {
        if line.starts_with('\t') || line.starts_with('=') {
            steps.last_mut().unwrap().answers.push(line);
        } else if !line.is_empty() && !line.starts_with('#') {
            steps.push(Step {
                fields: line.split('\t').collect(),
                answers: Vec::new(),
            });
        }
    }
    steps
}

fn nullable(text: &str) -> Option<net_protocol::Text> {
    (text != "null").then(|| text.into())
}

fn told(code: i16, message: Option<&str>) -> String {
    format!("\t{code}\t{}", message.unwrap_or("null"))
}

async fn incremental(
    client: &mut Client,
    version: i16,
    resources: &[&[&str]],
    check: bool,
) -> Vec<String> {
    let request = IncrementalAlterConfigsRequest {
        resources: resources
            .iter()
            .map(|fields| incremental_alter_configs::AlterConfigsResource {
                resource_type: fields[0].parse().unwrap(),
                resource_name: fields[1].into(),
                configs: fields[2..]
                    .chunks(3)
                    .map(|change| incremental_alter_configs::AlterableConfig {
                        config_operation: change[0].parse().unwrap(),
                        name: change[1].into(),
                        value: nullable(change[2]),
                    })
                    .collect(),
            })
            .collect(),
        validate_only: check,
    };
    let answer = client.call(version, &request).await.unwrap();
    let responses = answer.responses.iter();
    responses
        .map(|one| told(one.error_code.0, one.error_message.as_deref()))
        .collect()
}

async fn replacing(
    client: &mut Client,
    version: i16,
    resources: &[&[&str]],
    check: bool,
) -> Vec<String> {
    let request = AlterConfigsRequest {
        resources: resources
            .iter()
            .map(|fields| alter_configs::AlterConfigsResource {
                resource_type: fields[0].parse().unwrap(),
                resource_name: fields[1].into(),
                configs: fields[2..]
                    .chunks(2)
                    .map(|config| alter_configs::AlterableConfig {
                        name: config[0].into(),
                        value: nullable(config[1]),
                    })
                    .collect(),
            })
            .collect(),
        validate_only: check,
    };
    let answer = client.call(version, &request).await.unwrap();
    let responses = answer.responses.iter();
    responses
        .map(|one| told(one.error_code.0, one.error_message.as_deref()))
        .collect()
}

/// The settings of a resource that are its own or were changed while running.
async fn own(client: &mut Client, kind: &str, name: &str) -> String {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind.parse().unwrap(),
            resource_name: name.into(),
            configuration_keys: None,
        }],
        ..DescribeConfigsRequest::default()
    };
    let answer = client.call(4, &request).await.unwrap();
    let mut line = format!("=\t{kind}\t{name}");
    for config in &answer.results[0].configs {
        if (1..=3).contains(&config.config_source) {
            let value = config.value.as_deref().unwrap_or("None");
            line += &format!("\t{}\t{value}\t{}", config.name, config.config_source);
        }
    }
    line
}

/// What is answered otherwise than by Kafka: the step, and the first answer.
const OTHERWISE: &[(&str, &str)] = &[
    // The same check in other words: here the row of the table says it.
    (
        "inc\t4\t1\t0\tlog.roll.ms\t0",
        "\t42\tInvalid value 0 for configuration log.roll.ms: Value must be at least 1",
    ),
    (
        "inc\t4\t\t0\tlog.roll.ms\t0",
        "\t42\tInvalid value 0 for configuration log.roll.ms: Value must be at least 1",
    ),
];

#[test]
fn every_change_is_answered_as_kafka_does_and_leaves_what_it_leaves_there() {
    let mut world = World::new(71, 2).with("node.id=1");
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let mut count = 0;
        let mut wrong = String::new();
        for (index, step) in steps().iter().enumerate() {
            let (verb, fields) = step.fields.split_first().unwrap();
            let resources: Vec<&[&str]> = if *verb == "create" {
                let settings: Vec<(&str, &str)> = fields[1..]
                    .chunks(2)
                    .map(|pair| (pair[0], pair[1]))
                    .collect();
                topics::create(&mut client, fields[0], 1, &settings).await;
                continue;
            } else {
                fields.split(|field| *field == "|").collect()
            };
            let check = verb.ends_with('?');
            // In every version in turn.
            let mut found = if verb.starts_with("inc") {
                let version = i16::try_from(index % 2).unwrap();
                incremental(&mut client, version, &resources, check).await
            } else {
                let version = i16::try_from(index % 3).unwrap();
                replacing(&mut client, version, &resources, check).await
            };
            let named: BTreeSet<(&str, &str)> = resources
                .iter()
                .map(|fields| (fields[0], fields[1]))
                .collect();
            for (kind, name) in named {
                if ["2", "4"].contains(&kind) {
                    found.push(own(&mut client, kind, name).await);
                }
            }
            let asked = step.fields.join("\t");
            let mut expected: Vec<String> =
                step.answers.iter().map(|line| (*line).to_owned()).collect();
            // Of a name that is too long no more is told than a name may have.
            expected[0] = expected[0].replace(&"x".repeat(250), &"x".repeat(249));
            if let Some((_, answer)) = OTHERWISE.iter().find(|(step, _)| *step == asked) {
                assert_ne!(expected[0], *answer, "no longer otherwise: {asked}");
                (*answer).clone_into(&mut expected[0]);
            }
            if found != expected {
                wrong += &format!("{asked}\n  here  {found:?}\n  Kafka {expected:?}\n");
            }
            count += 1;
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert!(count > 200);
    });
    world.stop();
}
