//! DescribeTopicPartitions: partitions page by page out of this shard's image.
//!
//! Keeps: topics are told in order of their names; a page has at least one partition, where there is
//! one, and at most [`PARTITIONS_MAX`]; pages strung together by their cursors tell every partition
//! that stands through all of them exactly once.
//! Source: Kafka 4.3.1's answers; KIP-966.

use engine_model::{ErrorCode, NodeId, PartitionIndex, TopicName};
use net_protocol::Text;
use net_protocol::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use replication_metadata::{MetadataImage, PartitionImage, TopicImage};
use std::collections::BTreeSet;

use crate::handlers::metadata::{TOPIC_OPERATIONS, is_internal, offline};

/// The most partitions a page has; Kafka's default of `max.request.partition.size.limit`.
const PARTITIONS_MAX: usize = 2000;

/// One page.
pub(crate) fn describe_topic_partitions(
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let wanted: BTreeSet<&str> = request.topics.iter().map(|topic| &*topic.name).collect();
    if let Some(cursor) = &request.cursor
        && !is_sound(cursor, &wanted)
    {
        return refuse(wanted);
    }
    let mut page = Page {
        image,
        cursor: request.cursor.as_ref(),
        left: usize::try_from(request.response_partition_limit)
            .unwrap_or(0)
            .clamp(1, PARTITIONS_MAX),
        response: DescribeTopicPartitionsResponse::default(),
    };
    let from = page.cursor.map_or("", |cursor| &*cursor.topic_name);
    if wanted.is_empty() {
        for topic in image.topics_from(from) {
            if !page.add(topic) {
                break;
            }
        }
    } else {
        for name in wanted.range::<&str, _>(from..) {
            let goes_on = match image.topic_named(name) {
                Some(topic) => page.add(topic),
                None => page.add_unknown(name),
            };
            if !goes_on {
                break;
            }
        }
    }
    page.response
}

/// A cursor stands at a partition of one of the topics asked for.
fn is_sound(cursor: &Cursor, wanted: &BTreeSet<&str>) -> bool {
    cursor.partition_index.get() >= 0 && (wanted.is_empty() || wanted.contains(&*cursor.topic_name))
}

fn refuse(wanted: BTreeSet<&str>) -> DescribeTopicPartitionsResponse {
    let topics = wanted
        .into_iter()
        .map(|name| DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::INVALID_REQUEST,
            name: Some(name.into()),
            ..DescribeTopicPartitionsResponseTopic::default()
        })
        .collect();
    DescribeTopicPartitionsResponse {
        topics,
        ..DescribeTopicPartitionsResponse::default()
    }
}

/// A page as it fills.
struct Page<'a> {
    image: &'a MetadataImage,
    /// Where it begins.
    cursor: Option<&'a Cursor>,
    /// Partitions it has room for.
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds what there is room for; whether there may be more.
    fn add(&mut self, topic: &TopicImage) -> bool {
        let name = topic.name.as_str();
        if self.left == 0 {
            return self.end(name, PartitionIndex::ZERO);
        }
        let first = match self.cursor {
            Some(cursor) if &*cursor.topic_name == name => cursor.partition_index,
            _ => PartitionIndex::ZERO,
        };
        let mut rest = topic
            .numbered_partitions()
            .skip_while(|(number, _)| *number < first);
        let partitions: Vec<_> = rest
            .by_ref()
            .take(self.left)
            .map(|(number, partition)| describe(self.image, number, partition))
            .collect();
        self.left = self.left.saturating_sub(partitions.len());
        self.response
            .topics
            .push(DescribeTopicPartitionsResponseTopic {
                error_code: ErrorCode::NONE,
                name: Some(Text::from(&topic.name)),
                topic_id: topic.id,
                is_internal: topic.name.is_internal(),
                partitions,
                topic_authorized_operations: TOPIC_OPERATIONS,
            });
        match rest.next() {
            Some((next, _)) => self.end(name, next),
            None => true,
        }
    }

    fn add_unknown(&mut self, name: &str) -> bool {
        if self.left == 0 {
            return self.end(name, PartitionIndex::ZERO);
        }
        self.response
            .topics
            .push(DescribeTopicPartitionsResponseTopic {
                error_code: match TopicName::new(name) {
                    Ok(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
                },
                name: Some(name.into()),
                is_internal: is_internal(name),
                topic_authorized_operations: TOPIC_OPERATIONS,
                ..DescribeTopicPartitionsResponseTopic::default()
            });
        true
    }

    /// Ends the page: the next one begins there.
    fn end(&mut self, topic_name: &str, partition_index: PartitionIndex) -> bool {
        self.response.next_cursor = Some(Cursor {
            topic_name: topic_name.into(),
            partition_index,
        });
        false
    }
}

fn describe(
    image: &MetadataImage,
    partition_index: PartitionIndex,
    partition: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition {
        error_code: if partition.leader == NodeId::NONE {
            ErrorCode::LEADER_NOT_AVAILABLE
        } else {
            ErrorCode::NONE
        },
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.isr.clone(),
        eligible_leader_replicas: Some(partition.elr.clone()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: offline(image, partition),
    }
}
