//! Produce: checks what can be checked here, hands each batch to the shard that owns its
//! partition, lays out the answers in the order of the request.
//!
//! Keeps: everything up to the calls happens in the first poll, so batches of one connection reach
//! a partition in the order they were sent.
//! Source: Kafka 4.3.1's answers; KIP-98, KIP-467 (record errors), KIP-516, KIP-951.

mod check;

use core::time::Duration;
use engine_model::{ErrorCode, PartitionIndex, TopicPartition};
use net_protocol::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use replication_metadata::{MetadataImage, TopicImage};

use crate::broker::Broker;
use crate::question::{Answer, ProduceAnswer, ProduceQuestion, Question, partition};
use crate::routes::Routes;

/// From this version on topics are named by id alone.
const IDS_FROM: i16 = 13;

/// What became of a Produce.
pub(crate) enum Produced {
    /// To be sent.
    Answer(ProduceResponse),
    /// acks=0 and all is well: the client expects nothing.
    Silent,
    /// acks=0 and something went wrong: closing is the only way to tell.
    Failed,
}

/// Appends the batches of a request.
pub(crate) async fn produce(broker: &Broker, version: i16, request: ProduceRequest) -> Produced {
    let acks = request.acks;
    let mut answers = Vec::new();
    let mut routes = Routes::new();
    let mut layout = Vec::with_capacity(request.topic_data.len());
    let image = broker.image();
    for topic in request.topic_data {
        let found = find_topic(&image, version, &topic);
        let mut indexes = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            indexes.push(data.index);
            let checked = check::acks(acks)
                .and_then(|()| found.clone())
                .and_then(|topic| find_partition(topic, data.index))
                .and_then(|partition| Ok((partition, check::records(version, data.records)?)));
            answers.push(match checked {
                // Overwritten by the owner's answer; stands if the owner has gone.
                Ok(batch) => {
                    routes.push(broker.owner(batch.0), answers.len(), batch);
                    ProduceAnswer::refused(ErrorCode::NOT_LEADER_OR_FOLLOWER, None)
                }
                Err(refusal) => refusal.into_answer(),
            });
        }
        layout.push((topic.name, topic.topic_id, indexes));
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or_default());
    let question = |batches| {
        Question::Produce(ProduceQuestion {
            acks,
            timeout,
            batches,
        })
    };
    let open = |answer| match answer {
        Answer::Produce(found) => Some(found),
        _ => None,
    };
    routes.ask(broker, question, open, &mut answers).await;
    if acks == 0 {
        return if answers.iter().any(|answer| answer.error.is_error()) {
            Produced::Failed
        } else {
            Produced::Silent
        };
    }
    let mut answers = answers.into_iter();
    let responses = layout
        .into_iter()
        .map(|(name, topic_id, indexes)| TopicProduceResponse {
            partition_responses: indexes
                .into_iter()
                .zip(&mut answers)
                .map(|(index, answer)| {
                    let leader = leader_hint(&image, partition(topic_id, index), &answer);
                    respond(index, answer, leader)
                })
                .collect(),
            name,
            topic_id,
        })
        .collect();
    Produced::Answer(ProduceResponse {
        responses,
        ..ProduceResponse::default()
    })
}

fn find_topic<'a>(
    image: &'a MetadataImage,
    version: i16,
    topic: &TopicProduceData,
) -> Result<&'a TopicImage, check::Refusal> {
    let found = if version >= IDS_FROM {
        image
            .topic(topic.topic_id)
            .ok_or(check::Refusal::Code(ErrorCode::UNKNOWN_TOPIC_ID))?
    } else {
        image
            .topic_named(&topic.name)
            .ok_or(check::Refusal::Code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?
    };
    if found.name.is_internal() {
        return Err(check::Refusal::Internal);
    }
    Ok(found)
}

fn find_partition(
    topic: &TopicImage,
    index: PartitionIndex,
) -> Result<TopicPartition, check::Refusal> {
    topic
        .partition(index)
        .map(|_| partition(topic.id, index))
        .ok_or(check::Refusal::Code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
}

fn leader_hint(
    image: &MetadataImage,
    partition: TopicPartition,
    answer: &ProduceAnswer,
) -> LeaderIdAndEpoch {
    if answer.error != ErrorCode::NOT_LEADER_OR_FOLLOWER {
        return LeaderIdAndEpoch::default();
    }
    image
        .partition(partition)
        .map_or_else(LeaderIdAndEpoch::default, |partition| LeaderIdAndEpoch {
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
        })
}

fn respond(
    index: PartitionIndex,
    answer: ProduceAnswer,
    current_leader: LeaderIdAndEpoch,
) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: answer.error,
        base_offset: answer.base_offset,
        log_append_time_ms: answer.log_append_time,
        log_start_offset: answer.log_start_offset,
        record_errors: answer
            .record_errors
            .into_iter()
            .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                batch_index,
                batch_index_error_message: Some(message),
            })
            .collect(),
        error_message: answer.message,
        current_leader,
    }
}
