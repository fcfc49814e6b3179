//! DeleteRecords: asks the owners of partitions to forget the records below an offset.
//!
//! Keeps: an answer without error leaves when the new start is durable.
//! Source: Kafka 4.3.1's answers; KIP-107.

use engine_model::{ErrorCode, Offset, PartitionIndex};
use net_protocol::Text;
use net_protocol::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
    DeleteRecordsTopicResult,
};
use replication_metadata::TopicImage;
use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::question::{Answer, DeleteRecordsAnswer, DeleteRecordsQuestion, Question, partition};
use crate::routes::Routes;

/// Moves log starts up. One replica is all there is, so the timeout is waited for by nobody.
pub(crate) async fn delete_records(
    broker: &Broker,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let wanted = merge(request.topics);
    let image = broker.image();
    let mut routes = Routes::new();
    let mut answers = Vec::new();
    for (name, partitions) in &wanted {
        let topic = image.topic_named(name);
        for (number, offset) in partitions {
            answers.push(DeleteRecordsAnswer::refused(
                match check(topic.map(|topic| &**topic), *number) {
                    Err(code) => code,
                    Ok(topic) => {
                        let question = DeleteRecordsQuestion {
                            partition: partition(topic.id, *number),
                            offset: *offset,
                        };
                        routes.push(broker.owner(question.partition), answers.len(), question);
                        ErrorCode::NOT_LEADER_OR_FOLLOWER
                    }
                },
            ));
        }
    }
    let open = |answer| match answer {
        Answer::DeleteRecords(done) => Some(done),
        _ => None,
    };
    routes
        .ask(broker, Question::DeleteRecords, open, &mut answers)
        .await;
    let mut answers = answers.into_iter();
    let topics = wanted
        .into_iter()
        .map(|(name, partitions)| DeleteRecordsTopicResult {
            name,
            partitions: partitions
                .into_iter()
                .zip(&mut answers)
                .map(
                    |((partition_index, _), answer)| DeleteRecordsPartitionResult {
                        partition_index,
                        low_watermark: answer.low_watermark,
                        error_code: answer.error,
                    },
                )
                .collect(),
        })
        .collect();
    DeleteRecordsResponse {
        topics,
        ..DeleteRecordsResponse::default()
    }
}

fn check(topic: Option<&TopicImage>, partition: PartitionIndex) -> Result<&TopicImage, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if topic.name.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    match topic.partition(partition) {
        Some(_) => Ok(topic),
        None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// Each partition once, with the offset that stands last, as in Kafka; topics without any go.
fn merge(topics: Vec<DeleteRecordsTopic>) -> BTreeMap<Text, BTreeMap<PartitionIndex, Offset>> {
    let mut merged: BTreeMap<Text, BTreeMap<PartitionIndex, Offset>> = BTreeMap::new();
    for topic in topics {
        for wanted in topic.partitions {
            merged
                .entry(topic.name.clone())
                .or_default()
                .insert(wanted.partition_index, wanted.offset);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_protocol::delete_records::DeleteRecordsPartition;

    #[test]
    fn the_last_offset_of_a_partition_counts_and_topics_without_partitions_go() {
        let topic = |name: &str, wanted: &[(i32, i64)]| DeleteRecordsTopic {
            name: name.into(),
            partitions: wanted
                .iter()
                .map(|(partition, offset)| DeleteRecordsPartition {
                    partition_index: PartitionIndex::new(*partition),
                    offset: Offset::new(*offset),
                })
                .collect(),
        };
        let merged = merge(vec![
            topic("b", &[(1, 5), (0, 9), (1, 4)]),
            topic("none", &[]),
            topic("b", &[(0, 3)]),
        ]);
        let partitions = &merged["b"];
        assert_eq!(merged.len(), 1);
        assert_eq!(partitions[&PartitionIndex::new(0)], Offset::new(3));
        assert_eq!(partitions[&PartitionIndex::new(1)], Offset::new(4));
    }
}
