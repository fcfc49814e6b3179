//! ListOffsets: finds offsets by time, or the ends of partitions.
//!
//! Source: Kafka 4.3.1's answers; KIP-79, KIP-734 (largest time), KIP-405 and KIP-1005 (tiers).

use engine_model::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, Timestamp};
use net_protocol::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use replication_metadata::TopicImage;
use replication_runtime::{Horizon, OffsetTarget};
use std::collections::BTreeSet;

use crate::broker::Broker;
use crate::question::{Answer, OffsetAnswer, OffsetQuestion, Question, partition};
use crate::routes::Routes;

/// From this version on an answer has the leader epoch.
const EPOCH_FROM: i16 = 4;
const READ_COMMITTED: i8 = 1;
/// A replica id that stands for a person looking at everything.
const DEBUGGER: NodeId = NodeId(-2);

/// Finds every offset asked for.
pub(crate) async fn list_offsets(
    broker: &Broker,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let horizon = match (request.replica_id, request.isolation_level) {
        (NodeId(0..) | DEBUGGER, _) => Horizon::LogEnd,
        (_, READ_COMMITTED) => Horizon::LastStableOffset,
        _ => Horizon::HighWatermark,
    };
    let repeated = repeated(&request.topics);
    let image = broker.image();
    let mut routes = Routes::new();
    let mut answers = Vec::new();
    for topic in &request.topics {
        let found = image.topic_named(&topic.name).map(|topic| &**topic);
        for wanted in &topic.partitions {
            let question = if repeated.contains(&(&*topic.name, wanted.partition_index)) {
                Err(OffsetAnswer::refused(ErrorCode::INVALID_REQUEST))
            } else {
                question(version, wanted, found, horizon)
            };
            answers.push(match question {
                Ok(question) => {
                    routes.push(broker.owner(question.partition), answers.len(), question);
                    OffsetAnswer::refused(ErrorCode::NOT_LEADER_OR_FOLLOWER)
                }
                Err(answer) => answer,
            });
        }
    }
    let open = |answer| match answer {
        Answer::ListOffsets(found) => Some(found),
        _ => None,
    };
    routes
        .ask(broker, Question::ListOffsets, open, &mut answers)
        .await;
    let mut answers = answers.into_iter();
    let topics = request
        .topics
        .into_iter()
        .map(|topic| ListOffsetsTopicResponse {
            partitions: topic
                .partitions
                .iter()
                .zip(&mut answers)
                // A partition named twice is answered once, with its error.
                .filter({
                    let mut seen = BTreeSet::new();
                    move |(wanted, _)| seen.insert(wanted.partition_index)
                })
                .map(|(wanted, answer)| respond(version, wanted.partition_index, answer))
                .collect(),
            name: topic.name,
        })
        .collect();
    ListOffsetsResponse {
        topics,
        ..ListOffsetsResponse::default()
    }
}

/// What to ask the owner, or the answer if nobody has to be asked.
fn question(
    version: i16,
    wanted: &ListOffsetsPartition,
    topic: Option<&TopicImage>,
    horizon: Horizon,
) -> Result<OffsetQuestion, OffsetAnswer> {
    let target = meaning(version, wanted.timestamp)
        .ok_or(OffsetAnswer::refused(ErrorCode::UNSUPPORTED_VERSION))?;
    let topic = topic
        .filter(|topic| topic.partition(wanted.partition_index).is_some())
        .ok_or(OffsetAnswer::refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    Ok(OffsetQuestion {
        partition: partition(topic.id, wanted.partition_index),
        current_leader_epoch: wanted.current_leader_epoch,
        target,
        horizon,
    })
}

/// What a timestamp of a request means, if it means anything in that version.
fn meaning(version: i16, timestamp: Timestamp) -> Option<OffsetTarget> {
    Some(match (timestamp.0, version) {
        (0.., _) => OffsetTarget::Time(timestamp),
        (-1, _) => OffsetTarget::Latest,
        // All of a log is on this node's disk: its first offset is its first local one.
        (-2, _) | (-4, 8..) => OffsetTarget::Earliest,
        (-3, 7..) => OffsetTarget::MaxTimestamp,
        (-5, 9..) | (-6, 11..) => OffsetTarget::Tiered,
        _ => return None,
    })
}

/// Partitions that the request names more than once.
fn repeated(topics: &[ListOffsetsTopic]) -> BTreeSet<(&str, PartitionIndex)> {
    let mut seen = BTreeSet::new();
    topics
        .iter()
        .flat_map(|topic| {
            let name = &*topic.name;
            topic
                .partitions
                .iter()
                .map(move |wanted| (name, wanted.partition_index))
        })
        .filter(|key| !seen.insert(*key))
        .collect()
}

fn respond(
    version: i16,
    partition_index: PartitionIndex,
    answer: OffsetAnswer,
) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index,
        error_code: answer.error,
        timestamp: answer.timestamp,
        offset: answer.offset,
        leader_epoch: if version >= EPOCH_FROM {
            answer.leader_epoch
        } else {
            LeaderEpoch::NONE
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_time_means_something_only_from_its_version_on() {
        // Kafka's ListOffsetsRequest, by version: -1 and -2 always, -3 from 7, -4 from 8, -5 from
        // 9, -6 from 11.
        for (timestamp, from) in [
            (-1, 1),
            (-2, 1),
            (-3, 7),
            (-4, 8),
            (-5, 9),
            (-6, 11),
            (-7, 99),
        ] {
            for version in 1..=11 {
                let found = meaning(version, Timestamp(timestamp)).is_some();
                assert_eq!(found, version >= from, "{timestamp} in {version}");
            }
        }
        assert_eq!(meaning(1, Timestamp(i64::MIN)), None);
    }

    #[test]
    fn a_partition_named_twice_is_found_whatever_the_nesting() {
        let topic = |name: &str, indexes: &[i32]| ListOffsetsTopic {
            name: name.into(),
            partitions: indexes
                .iter()
                .map(|index| ListOffsetsPartition {
                    partition_index: PartitionIndex::new(*index),
                    ..ListOffsetsPartition::default()
                })
                .collect(),
        };
        let topics = [topic("a", &[0, 1, 1]), topic("b", &[0]), topic("b", &[0])];
        let found: Vec<_> = repeated(&topics).into_iter().collect();
        let index = PartitionIndex::new;
        assert_eq!(found, [("a", index(1)), ("b", index(0))]);
    }
}
