//! The answer to a Fetch as it fills: partitions in the order of the request.

use engine_model::{ErrorCode, TopicPartition};
use net_protocol::Records;
use net_protocol::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use replication_metadata::{MetadataImage, TopicImage};
use std::sync::Arc;

use super::{READ_COMMITTED, is_consumer, size};
use crate::question::{FetchAnswer, PartitionFetch, partition};

/// From this version on topics are named by id alone.
const IDS_FROM: i16 = 13;
/// From this version on an answer can say who leads now; below it a hint could not be encoded.
const LEADERS_FROM: i16 = 12;

pub(super) struct Layout {
    topics: Vec<Topic>,
    places: Vec<(usize, usize)>,
    read_committed: bool,
    names_leaders: bool,
}

struct Topic {
    head: FetchTopic,
    image: Option<Arc<TopicImage>>,
    parts: Vec<Part>,
}

struct Part {
    wanted: FetchPartition,
    fetch: Option<PartitionFetch>,
    answer: FetchAnswer,
}

/// A partition that is to be read.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) fetch: PartitionFetch,
}

impl Layout {
    /// Finds the partitions; those that are not there have their errors already.
    pub(super) fn new(image: &MetadataImage, version: i16, request: FetchRequest) -> Self {
        let is_follower =
            !is_consumer(request.replica_id) || !is_consumer(request.replica_state.replica_id);
        let mut places = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for mut head in request.topics {
            let (found, missing) = if version >= IDS_FROM {
                (image.topic(head.topic_id), ErrorCode::UNKNOWN_TOPIC_ID)
            } else {
                let found = image.topic_named(&head.topic);
                (found, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            };
            let found = found.cloned();
            let wanted = core::mem::take(&mut head.partitions);
            let parts: Vec<Part> = wanted
                .into_iter()
                .map(|wanted| match &found {
                    None => Part::refused(wanted, missing),
                    Some(topic) if topic.partition(wanted.partition).is_none() => {
                        Part::refused(wanted, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                    }
                    Some(_) if is_follower => {
                        Part::refused(wanted, ErrorCode::NOT_LEADER_OR_FOLLOWER)
                    }
                    Some(topic) => Part::to_read(topic, wanted),
                })
                .collect();
            let topic_place = topics.len();
            places.extend(
                parts
                    .iter()
                    .enumerate()
                    .filter(|(_, part)| part.fetch.is_some())
                    .map(|(place, _)| (topic_place, place)),
            );
            topics.push(Topic {
                head,
                image: found,
                parts,
            });
        }
        Self {
            topics,
            places,
            read_committed: request.isolation_level == READ_COMMITTED,
            names_leaders: version >= LEADERS_FROM,
        }
    }

    fn part_mut(&mut self, place: usize) -> Option<&mut Part> {
        let (topic, part) = self.places.get(place).copied()?;
        self.topics.get_mut(topic)?.parts.get_mut(part)
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.topics.iter().flat_map(|topic| &topic.parts)
    }

    /// The partitions to read, each with its place.
    pub(super) fn slots(&self) -> Vec<(usize, Slot)> {
        self.parts()
            .filter_map(|part| part.fetch)
            .map(|fetch| Slot { fetch })
            .enumerate()
            .collect()
    }

    /// The partitions to read.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.parts()
            .filter_map(|part| part.fetch)
            .map(|fetch| fetch.partition)
            .collect()
    }

    pub(super) fn set(&mut self, place: usize, answer: FetchAnswer) {
        if let Some(part) = self.part_mut(place) {
            part.answer = answer;
        }
    }

    /// Record bytes read.
    pub(super) fn bytes(&self) -> usize {
        self.parts()
            .fold(0, |sum, part| sum.saturating_add(part.answer.bytes))
    }

    /// Whether a client should hear at once that something is wrong.
    pub(super) fn has_errors(&self) -> bool {
        self.parts()
            .any(|part| part.answer.error.is_error() || part.answer.diverging.is_some())
    }

    pub(super) fn forget_records(&mut self) {
        for part in self.topics.iter_mut().flat_map(|topic| &mut topic.parts) {
            part.answer.chunks = Vec::new();
            part.answer.bytes = 0;
        }
    }

    /// The response, with records up to `bytes_max` bytes: owners answered at the same time and
    /// may have read more together. The first records stay, however many they are.
    pub(super) fn into_response(self, bytes_max: usize) -> FetchResponse {
        let mut bytes = 0_usize;
        let mut responses = Vec::with_capacity(self.topics.len());
        for topic in self.topics {
            let image = topic.image;
            let partitions = topic
                .parts
                .into_iter()
                .map(|mut part| {
                    let sum = bytes.saturating_add(part.answer.bytes);
                    if bytes > 0 && sum > bytes_max {
                        part.answer.chunks = Vec::new();
                    } else {
                        bytes = sum;
                    }
                    let image = image.as_deref().filter(|_| self.names_leaders);
                    part.into_data(image, self.read_committed)
                })
                .collect();
            responses.push(FetchableTopicResponse {
                topic: topic.head.topic,
                topic_id: topic.head.topic_id,
                partitions,
            });
        }
        FetchResponse {
            responses,
            ..FetchResponse::default()
        }
    }
}

impl Part {
    fn refused(wanted: FetchPartition, error: ErrorCode) -> Self {
        Self {
            wanted,
            fetch: None,
            answer: FetchAnswer::refused(error),
        }
    }

    fn to_read(topic: &TopicImage, wanted: FetchPartition) -> Self {
        Self {
            fetch: Some(PartitionFetch {
                partition: partition(topic.id, wanted.partition),
                offset: wanted.fetch_offset,
                current_leader_epoch: wanted.current_leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
                bytes_max: size(wanted.partition_max_bytes),
            }),
            answer: FetchAnswer::default(),
            wanted,
        }
    }

    fn into_data(self, image: Option<&TopicImage>, read_committed: bool) -> PartitionData {
        let answer = self.answer;
        let is_elsewhere = matches!(
            answer.error,
            ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
        );
        let leader = image.and_then(|topic| topic.partition(self.wanted.partition));
        PartitionData {
            partition_index: self.wanted.partition,
            error_code: answer.error,
            high_watermark: answer.high_watermark,
            last_stable_offset: answer.last_stable_offset,
            log_start_offset: answer.log_start_offset,
            diverging_epoch: answer
                .diverging
                .map_or_else(EpochEndOffset::default, |(epoch, end_offset)| {
                    EpochEndOffset { epoch, end_offset }
                }),
            current_leader: match leader {
                Some(leader) if is_elsewhere => LeaderIdAndEpoch {
                    leader_id: leader.leader,
                    leader_epoch: leader.leader_epoch,
                },
                _ => LeaderIdAndEpoch::default(),
            },
            // No transactions yet, so none is aborted; null says that nobody asked.
            aborted_transactions: read_committed.then(Vec::new),
            records: Some(Records::from(answer.chunks)),
            ..PartitionData::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use engine_model::{LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId, TopicName};
    use net_protocol::Message;
    use replication_metadata::PartitionImage;

    fn layout(sizes: &[usize]) -> Layout {
        let part = |(place, size): (usize, &usize)| Part {
            wanted: FetchPartition {
                partition: PartitionIndex::new(i32::try_from(place).unwrap()),
                ..FetchPartition::default()
            },
            fetch: None,
            answer: FetchAnswer {
                chunks: vec![Bytes::from(vec![0; *size])],
                bytes: *size,
                high_watermark: Offset::ZERO,
                ..FetchAnswer::default()
            },
        };
        Layout {
            topics: vec![Topic {
                head: FetchTopic::default(),
                image: None,
                parts: sizes.iter().enumerate().map(part).collect(),
            }],
            places: Vec::new(),
            read_committed: false,
            names_leaders: true,
        }
    }

    #[test]
    fn who_leads_now_is_told_where_the_version_can_say_it() {
        let partition = PartitionImage {
            leader: NodeId(7),
            leader_epoch: LeaderEpoch::new(3),
            partition_epoch: 0,
            replicas: Vec::new(),
            directories: Vec::new(),
            isr: Vec::new(),
            elr: Vec::new(),
        };
        for version in net_protocol::ApiKey::Fetch.versions() {
            let mut layout = layout(&[0]);
            layout.names_leaders = version >= LEADERS_FROM;
            layout.topics[0].parts[0].answer.error = ErrorCode::FENCED_LEADER_EPOCH;
            layout.topics[0].image = Some(Arc::new(TopicImage {
                id: TopicId::ZERO,
                name: TopicName::new("t").unwrap(),
                partitions: vec![partition.clone()],
                wanted_replication_factor: 1,
                configs: std::collections::BTreeMap::new(),
            }));
            let response = layout.into_response(0);
            let leader = response.responses[0].partitions[0].current_leader.leader_id;
            assert_eq!(leader == NodeId(7), version >= LEADERS_FROM, "{version}");
            let mut writer = net_protocol::Writer::new();
            assert_eq!(response.encode(version, &mut writer), Ok(()), "{version}");
        }
    }

    #[test]
    fn the_answer_keeps_to_its_limit_but_for_the_first_records() {
        for (sizes, bytes_max, expected) in [
            (&[10, 10, 10][..], 100, &[10, 10, 10][..]),
            (&[10, 10, 10], 20, &[10, 10, 0]),
            (&[10, 15, 5], 20, &[10, 0, 5]),
            (&[50, 10], 20, &[50, 0]),
            (&[0, 50, 1], 0, &[0, 50, 0]),
        ] {
            let response = layout(sizes).into_response(bytes_max);
            let found: Vec<usize> = response.responses[0]
                .partitions
                .iter()
                .map(|data| data.records.as_ref().unwrap().size())
                .collect();
            assert_eq!(found, expected, "{sizes:?} with {bytes_max}");
        }
    }
}
