//! Topics by name, and the offsets of their partitions.

use super::not_found;
use crate::driver::Driver;
use crate::failure::Failure;
use engine_model::{ErrorCode, NodeId, PartitionIndex, Timestamp};
use net_client::{Target, Topic};
use net_protocol::Text;
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use std::collections::BTreeMap;

/// ListOffsets: the first offset.
pub const EARLIEST: Timestamp = Timestamp(-2);
/// ListOffsets: the end.
pub const LATEST: Timestamp = Timestamp(-1);

/// Offset and timestamp of what was asked for, by partition.
pub type Found = BTreeMap<PartitionIndex, (i64, i64)>;

/// What the brokers know of these topics, in the order they were named.
///
/// Errors: `NotFound` for the first that is not there.
pub fn topics(driver: &mut Driver, names: &[Text]) -> Result<Vec<(Text, Topic)>, Failure> {
    driver.call(Target::Any, net_client::describe_topics(names))?;
    let mut found = Vec::new();
    for name in names {
        let Some(topic) = driver.cluster().topics.get(name).cloned() else {
            return Err(not_found(name));
        };
        match topic.error {
            ErrorCode::NONE => found.push((name.clone(), topic)),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Err(not_found(name)),
            code => {
                let what = format!("cannot describe topic '{}'", name.escape_debug());
                return Err(Failure::broker(what, code, None));
            }
        }
    }
    Ok(found)
}

/// Only the offsets.
pub fn numbers(found: &Found) -> BTreeMap<PartitionIndex, i64> {
    let offsets = found
        .iter()
        .map(|(partition, (offset, _))| (*partition, *offset));
    offsets.collect()
}

/// Asks every leader for the offsets of its partitions. A partition that cannot be asked has none.
pub fn offsets(
    driver: &mut Driver,
    name: &Text,
    topic: &Topic,
    timestamp: Timestamp,
) -> Result<Found, Failure> {
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
                found.insert(
                    answer.partition_index,
                    (answer.offset.get(), answer.timestamp.0),
                );
            }
        }
    }
    Ok(found)
}
