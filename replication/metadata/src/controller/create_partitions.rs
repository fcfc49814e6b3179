//! Adding partitions to topics.
//!
//! A partition that is added has the same record as one that came with its topic; it continues the
//! topic's numbers. Answers and words are Kafka's, but for counts beyond the limits, which are
//! refused before anything is made of them (Kafka ends itself with out-of-memory).

use super::{Controller, Outcome};
use crate::error::{AssignmentError, CreatePartitionsError};
use crate::image::TopicImage;
use crate::limits;
use crate::record::MetadataRecord;
use engine_model::{NodeId, PartitionIndex, TopicId, TopicName};
use std::collections::BTreeMap;

/// A topic that is to have more partitions, as a client asks for it: nothing of it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub name: String,
    /// How many partitions it shall have, those it has included.
    pub count: i32,
    /// The replicas of each new partition, in order; `None` leaves them to the controller.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// A request to add partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePartitions {
    /// The topics.
    pub topics: Vec<NewPartitions>,
    /// Whether to check only.
    pub validate_only: bool,
}

/// What was, or would be, added to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedPartitions {
    /// Its identity.
    pub topic_id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// The first new partition.
    pub first: PartitionIndex,
    /// How many are new.
    pub count: usize,
    /// The settings of the topic, in their stored form.
    pub configs: BTreeMap<String, String>,
}

/// A name and what became of it.
type Answer = (String, Result<AddedPartitions, CreatePartitionsError>);

impl Controller {
    /// Adds the partitions of a request that can be added.
    ///
    /// Names given more than once have one answer each, before all others; the others stand in the
    /// order of the request.
    pub fn create_partitions(&self, request: &CreatePartitions) -> Outcome<Vec<Answer>> {
        let repeated = super::repeated(request.topics.iter().map(|topic| topic.name.as_str()));
        let mut response: Vec<Answer> = repeated
            .iter()
            .map(|name| ((*name).to_owned(), Err(CreatePartitionsError::Duplicate)))
            .collect();
        let mut records = Vec::new();
        let mut added: usize = 0;
        for topic in &request.topics {
            if repeated.contains(topic.name.as_str()) {
                continue;
            }
            let planned = self.plan_partitions(topic, added);
            response.push((
                topic.name.clone(),
                planned.map(|(answer, of_topic)| {
                    added = added.saturating_add(answer.count);
                    records.extend(of_topic);
                    answer
                }),
            ));
        }
        if request.validate_only {
            records.clear();
        }
        Outcome::atomic(records, response)
    }

    /// `added` partitions are planned for topics before this one.
    fn plan_partitions(
        &self,
        wanted: &NewPartitions,
        added: usize,
    ) -> Result<(AddedPartitions, Vec<MetadataRecord>), CreatePartitionsError> {
        let topic = self
            .image
            .topic_named(&wanted.name)
            .ok_or(CreatePartitionsError::UnknownTopic)?;
        let current = topic.partitions.len();
        let count = match usize::try_from(wanted.count) {
            Ok(wanted) if wanted > current => wanted.saturating_sub(current),
            Ok(wanted) if wanted == current => {
                return Err(CreatePartitionsError::NoIncrease { current });
            }
            _ => {
                return Err(CreatePartitionsError::Decrease {
                    name: wanted.name.clone(),
                    current,
                    wanted: wanted.count,
                });
            }
        };
        if let Some(assignments) = &wanted.assignments
            && assignments.len() != count
        {
            return Err(CreatePartitionsError::AssignmentCount {
                wanted: count,
                found: assignments.len(),
            });
        }
        if added.saturating_add(count) > limits::PARTITIONS_PER_REQUEST_MAX {
            return Err(CreatePartitionsError::TooManyPartitions);
        }
        let after = self.image.partition_count().saturating_add(added);
        if after.saturating_add(count) > limits::PARTITIONS_MAX {
            return Err(CreatePartitionsError::ClusterFull {
                max: limits::PARTITIONS_MAX,
            });
        }
        let replicas = match &wanted.assignments {
            Some(assignments) => self.check_added(topic, assignments)?,
            None => self.place_added(topic, count)?,
        };
        let first = i32::try_from(current).unwrap_or(i32::MAX);
        let records = (first..)
            .map(PartitionIndex::new)
            .zip(replicas)
            .map(|(partition, replicas)| self.partition_record(topic.id, partition, replicas))
            .collect();
        let answer = AddedPartitions {
            topic_id: topic.id,
            name: topic.name.clone(),
            first: PartitionIndex::new(first),
            count,
            configs: topic.configs.clone(),
        };
        Ok((answer, records))
    }

    fn check_added(
        &self,
        topic: &TopicImage,
        assignments: &[Vec<NodeId>],
    ) -> Result<Vec<Vec<NodeId>>, AssignmentError> {
        let factor = topic.partitions.first().map(|first| first.replicas.len());
        for replicas in assignments {
            self.check_replicas(replicas, factor)?;
        }
        Ok(assignments.to_vec())
    }

    /// Goes on where the placement of the topic's first partitions ended.
    fn place_added(
        &self,
        topic: &TopicImage,
        count: usize,
    ) -> Result<Vec<Vec<NodeId>>, CreatePartitionsError> {
        let factor = topic
            .partitions
            .first()
            .map_or(1, |first| first.replicas.len());
        let brokers: Vec<NodeId> = self.image.brokers().map(|broker| broker.node_id).collect();
        if factor > brokers.len() {
            return Err(CreatePartitionsError::TooFewBrokers {
                wanted: factor,
                brokers: brokers.len(),
            });
        }
        let first = topic.partitions.len();
        let numbers = first..first.saturating_add(count);
        Ok(numbers
            .map(|partition| super::ring(topic.id, partition, &brokers, factor))
            .collect())
    }
}
