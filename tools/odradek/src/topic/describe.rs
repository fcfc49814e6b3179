//! `odradek topic describe`.

use super::{not_found, texts};
use crate::cli::{DescribeArguments, Global};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use engine_model::{ErrorCode, NodeId, PartitionIndex, Timestamp};
use net_client::{Target, Topic};
use net_protocol::Text;
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use serde::Serialize;
use std::collections::BTreeMap;

/// ListOffsets: the first offset, and the end.
const EARLIEST: Timestamp = Timestamp(-2);
const LATEST: Timestamp = Timestamp(-1);

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
    let names = texts(&arguments.names);
    driver.call(Target::Any, net_client::describe_topics(&names))?;
    let mut rows = Vec::new();
    for name in &names {
        let Some(topic) = driver.cluster().topics.get(name).cloned() else {
            return Err(not_found(name));
        };
        match topic.error {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Err(not_found(name)),
            code => {
                let what = format!("cannot describe topic '{}'", name.escape_debug());
                return Err(Failure::broker(what, code, None));
            }
        }
        let starts = offsets(driver, name, &topic, EARLIEST)?;
        let ends = offsets(driver, name, &topic, LATEST)?;
        rows.extend(partition_rows(name, &topic, &starts, &ends));
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

/// Asks every leader for the offsets of its partitions. A partition that cannot be asked has none.
fn offsets(
    driver: &mut Driver,
    name: &Text,
    topic: &Topic,
    timestamp: Timestamp,
) -> Result<BTreeMap<PartitionIndex, i64>, Failure> {
    let mut of_leader: BTreeMap<NodeId, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for partition in topic.partitions.iter().filter(|p| p.leader != NodeId::NONE) {
        of_leader
            .entry(partition.leader)
            .or_default()
            .push(ListOffsetsPartition {
                partition_index: partition.index,
                current_leader_epoch: partition.leader_epoch,
                timestamp,
            });
    }
    let mut found = BTreeMap::new();
    for (leader, partitions) in of_leader {
        let request = ListOffsetsRequest {
            replica_id: NodeId::NONE,
            topics: vec![ListOffsetsTopic {
                name: name.clone(),
                partitions,
            }],
            timeout_ms: i32::try_from(driver.timeout().as_millis()).unwrap_or(i32::MAX),
            ..ListOffsetsRequest::default()
        };
        let response = driver.call(Target::Node(leader), request)?;
        for answer in response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions)
        {
            if !answer.error_code.is_error() {
                found.insert(answer.partition_index, answer.offset.get());
            }
        }
    }
    Ok(found)
}
