//! `odradek topic describe`.

use super::find::{self, EARLIEST, LATEST};
use super::texts;
use crate::cli::{DescribeArguments, Global};
use crate::config::{self, Resource};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use engine_model::{NodeId, PartitionIndex};
use net_client::Topic;
use net_protocol::Text;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct PartitionRow {
    topic: String,
    topic_id: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    start_offset: Option<i64>,
    end_offset: Option<i64>,
    error: Option<&'static str>,
}

impl Row for PartitionRow {
    const COLUMNS: &'static [&'static str] = &[
        "TOPIC",
        "PARTITION",
        "LEADER",
        "EPOCH",
        "REPLICAS",
        "ISR",
        "START",
        "END",
        "ERROR",
    ];

    fn cells(&self) -> Vec<String> {
        let list = |nodes: &[i32]| {
            let nodes: Vec<String> = nodes.iter().map(i32::to_string).collect();
            nodes.join(",")
        };
        let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), |o| o.to_string());
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.leader
                .map_or("none".to_owned(), |node| node.to_string()),
            self.leader_epoch.to_string(),
            list(&self.replicas),
            list(&self.isr),
            offset(self.start_offset),
            offset(self.end_offset),
            self.error.unwrap_or_default().to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.topic.clone()
    }
}

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    arguments: &DescribeArguments,
) -> Result<(), Failure> {
    if arguments.configs {
        return configs(driver, global, arguments);
    }
    let names = texts(&arguments.names);
    let mut rows = Vec::new();
    for (name, topic) in find::topics(driver, &names)? {
        let starts = find::offsets(driver, &name, &topic, EARLIEST)?;
        let ends = find::offsets(driver, &name, &topic, LATEST)?;
        rows.extend(partition_rows(
            &name,
            &topic,
            &find::numbers(&starts),
            &find::numbers(&ends),
        ));
    }
    output::print(global.format(), &rows)
}

#[derive(Serialize)]
struct ConfigRow {
    topic: String,
    key: String,
    value: Option<String>,
    origin: &'static str,
}

impl Row for ConfigRow {
    const COLUMNS: &'static [&'static str] = &["TOPIC", "KEY", "VALUE", "ORIGIN"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.key.clone(),
            self.value.clone().unwrap_or_else(|| "null".to_owned()),
            self.origin.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.topic.clone()
    }
}

fn configs(
    driver: &mut Driver,
    global: &Global,
    arguments: &DescribeArguments,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for name in &arguments.names {
        let told = config::describe(driver, &Resource::Topic(name.clone()))?;
        rows.extend(told.into_iter().map(|told| ConfigRow {
            topic: name.clone(),
            key: told.key,
            value: told.value,
            origin: told.origin,
        }));
    }
    output::print(global.format(), &rows)
}

fn partition_rows(
    name: &Text,
    topic: &Topic,
    starts: &BTreeMap<PartitionIndex, i64>,
    ends: &BTreeMap<PartitionIndex, i64>,
) -> Vec<PartitionRow> {
    let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
    topic
        .partitions
        .iter()
        .map(|partition| PartitionRow {
            topic: name.to_string(),
            topic_id: topic.id.to_string(),
            partition: partition.index.get(),
            leader: Some(partition.leader.0).filter(|node| *node >= 0),
            leader_epoch: partition.leader_epoch.get(),
            replicas: numbers(&partition.replicas),
            isr: numbers(&partition.isr),
            start_offset: starts.get(&partition.index).copied(),
            end_offset: ends.get(&partition.index).copied(),
            error: partition
                .error
                .is_error()
                .then(|| partition.error.name())
                .flatten(),
        })
        .collect()
}
