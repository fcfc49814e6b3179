//! Deleting topics, by name or by id.

use super::{Controller, Outcome};
use crate::error::DeleteTopicError;
use crate::image::TopicImage;
use crate::record::MetadataRecord;
use engine_model::{TopicId, TopicName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which topic is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicSelector {
    /// The one of that name, which need not be a legal one.
    Name(String),
    /// The one of that id.
    Id(TopicId),
}

/// A topic that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its identity, which never comes back.
    pub topic_id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// How many partitions it had.
    pub partition_count: usize,
}

impl Controller {
    /// Deletes topics. The answers stand in the order of the request; a topic that is named
    /// several times, in whichever way, is not deleted.
    pub fn delete_topics(
        &self,
        selectors: &[TopicSelector],
    ) -> Outcome<Vec<Result<DeletedTopic, DeleteTopicError>>> {
        let find = |selector: &TopicSelector| match selector {
            TopicSelector::Name(name) => self
                .image
                .topic_named(name)
                .ok_or(DeleteTopicError::UnknownName),
            TopicSelector::Id(id) => self.image.topic(*id).ok_or(DeleteTopicError::UnknownId),
        };
        let found: Vec<Result<&Arc<TopicImage>, DeleteTopicError>> =
            selectors.iter().map(find).collect();
        let mut counts: BTreeMap<TopicId, usize> = BTreeMap::new();
        for topic in found.iter().flatten() {
            *counts.entry(topic.id).or_default() += 1;
        }
        let mut records = Vec::new();
        let mut response = Vec::with_capacity(selectors.len());
        for (selector, found) in selectors.iter().zip(found) {
            response.push(found.and_then(|topic| {
                if counts.get(&topic.id).is_some_and(|count| *count > 1) {
                    return Err(match selector {
                        TopicSelector::Name(_) => DeleteTopicError::DuplicateName,
                        TopicSelector::Id(_) => DeleteTopicError::DuplicateId,
                    });
                }
                records.push(MetadataRecord::TopicRemoved { topic_id: topic.id });
                Ok(DeletedTopic {
                    topic_id: topic.id,
                    name: topic.name.clone(),
                    partition_count: topic.partitions.len(),
                })
            }));
        }
        Outcome {
            records,
            is_atomic: false,
            response,
        }
    }
}
