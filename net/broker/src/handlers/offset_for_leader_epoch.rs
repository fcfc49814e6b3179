//! OffsetForLeaderEpoch: asks the owners of partitions where leader epochs end.
//!
//! Source: Kafka 4.3.1's answers; KIP-101, KIP-279, KIP-320.

use engine_model::{ErrorCode, LeaderEpoch, Offset};
use net_protocol::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
};

use crate::broker::Broker;
use crate::question::{Answer, EpochAnswer, EpochQuestion, Question, partition};
use crate::routes::Routes;

/// Finds every end asked for; the answers stand as the questions do.
pub(crate) async fn offset_for_leader_epoch(
    broker: &Broker,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let image = broker.image();
    let mut routes = Routes::new();
    let mut answers = Vec::new();
    for topic in &request.topics {
        let found = image.topic_named(&topic.topic);
        for wanted in &topic.partitions {
            let known = found.filter(|topic| topic.partition(wanted.partition).is_some());
            answers.push(EpochAnswer::refused(match known {
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(topic) => {
                    let question = EpochQuestion {
                        partition: partition(topic.id, wanted.partition),
                        current_leader_epoch: wanted.current_leader_epoch,
                        leader_epoch: wanted.leader_epoch,
                    };
                    let owner = broker.owner(question.partition);
                    routes.push(owner, answers.len(), question);
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                }
            }));
        }
    }
    let open = |answer| match answer {
        Answer::EpochEnds(found) => Some(found),
        _ => None,
    };
    routes
        .ask(broker, Question::EpochEnds, open, &mut answers)
        .await;
    let mut answers = answers.into_iter();
    let topics = request
        .topics
        .into_iter()
        .map(|topic| OffsetForLeaderTopicResult {
            partitions: topic
                .partitions
                .iter()
                .zip(&mut answers)
                .map(|(wanted, answer)| respond(wanted.partition, answer))
                .collect(),
            topic: topic.topic,
        })
        .collect();
    OffsetForLeaderEpochResponse {
        topics,
        ..OffsetForLeaderEpochResponse::default()
    }
}

fn respond(partition: engine_model::PartitionIndex, answer: EpochAnswer) -> EpochEndOffset {
    let (leader_epoch, end_offset) = answer.end.unwrap_or((LeaderEpoch::NONE, Offset::NONE));
    EpochEndOffset {
        error_code: answer.error,
        partition,
        leader_epoch,
        end_offset,
    }
}
