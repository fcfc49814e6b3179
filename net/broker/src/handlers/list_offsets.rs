//! ListOffsets: finds offsets by time, or the ends of partitions.
//!
//! Source: Kafka 4.3.1's answers; KIP-79, KIP-734 (largest time), KIP-405 and KIP-1005 (tiers).

use engine_model::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, ShardId, Timestamp};
use engine_shard::join_all;
use net_protocol::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use replication_metadata::TopicImage;
use replication_runtime::{Horizon, OffsetTarget};
use std::collections::{BTreeMap, BTreeSet};

use crate::broker::Broker;
use crate::question::{Answer, OffsetAnswer, OffsetQuestion, Question, partition};

/// From this version on an answer has the leader epoch.
const EPOCH_FROM: i16 = 4;
const READ_COMMITTED: i8 = 1;
/// A replica id that stands for a person looking at everything.
const DEBUGGER: NodeId = NodeId(-2);

/// Questions by owner, each with its place in the request.
type Routes = BTreeMap<ShardId, Vec<((usize, usize), OffsetQuestion)>>;

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
    let mut routes: Routes = BTreeMap::new();
    let mut answers: Vec<Vec<OffsetAnswer>> = Vec::with_capacity(request.topics.len());
    for (topic_place, topic) in request.topics.iter().enumerate() {
        let found = image.topic_named(&topic.name).map(|topic| &**topic);
        let mut row = Vec::with_capacity(topic.partitions.len());
        for (place, wanted) in topic.partitions.iter().enumerate() {
            let question = if repeated.contains(&(&*topic.name, wanted.partition_index)) {
                Err(OffsetAnswer::refused(ErrorCode::INVALID_REQUEST))
            } else {
                question(version, wanted, found, horizon)
            };
            row.push(match question {
                Ok(question) => {
                    let owner = broker.owner(question.partition);
                    let place = (topic_place, place);
                    routes.entry(owner).or_default().push((place, question));
                    OffsetAnswer::refused(ErrorCode::NOT_LEADER_OR_FOLLOWER)
                }
                Err(answer) => answer,
            });
        }
        answers.push(row);
    }
    ask(broker, routes, &mut answers).await;
    let topics = request
        .topics
        .into_iter()
        .zip(answers)
        .map(|(topic, answers)| ListOffsetsTopicResponse {
            partitions: topic
                .partitions
                .iter()
                .zip(answers)
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

async fn ask(broker: &Broker, routes: Routes, answers: &mut [Vec<OffsetAnswer>]) {
    let mut places = Vec::with_capacity(routes.len());
    let mut calls = Vec::with_capacity(routes.len());
    for (owner, routed) in routes {
        let (places_here, questions): (Vec<_>, Vec<_>) = routed.into_iter().unzip();
        places.push(places_here);
        calls.push(broker.ask(owner, Question::ListOffsets(questions)));
    }
    for (places, answered) in places.into_iter().zip(join_all(calls).await) {
        let Ok(Answer::ListOffsets(found)) = answered else {
            continue;
        };
        for ((topic, place), answer) in places.into_iter().zip(found) {
            if let Some(slot) = answers.get_mut(topic).and_then(|row| row.get_mut(place)) {
                *slot = answer;
            }
        }
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
