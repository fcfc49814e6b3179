//! What shards ask each other about metadata. All of it may cross threads.

use crate::error::ControllerError;
use core::pin::Pin;
use engine_log::{LogConfig, StorageError};
use engine_model::{ShardId, TopicPartition};
use replication_metadata::{
    AddedPartitions, AlterConfigs, AlterConfigsError, CreatePartitions, CreatePartitionsError,
    CreateTopicError, CreateTopics, CreatedTopic, DeleteTopicError, DeletedTopic, MetadataDelta,
    MetadataImage, ProducerIdBlock, TopicSelector,
};
use std::rc::Rc;
use std::sync::Arc;

/// A log that is to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLog {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its settings.
    pub config: LogConfig,
}

/// From the controller to a shard.
#[derive(Clone, Debug)]
pub enum ShardRequest {
    /// How many logs are there, that of `__cluster_metadata` aside?
    CountLogs,
    /// Create these logs, all of which live on the shard. Answered when they are durable.
    CreateLogs(Vec<NewLog>),
    /// Delete these logs again: their topics were not created after all.
    DeleteLogs(Vec<TopicPartition>),
    /// This is the metadata now.
    Apply {
        /// The image.
        image: Arc<MetadataImage>,
        /// What changed since the image before; `None` is everything, and logs that the image does
        /// not name are deleted.
        delta: Option<Arc<MetadataDelta>>,
    },
}

/// The answer of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardAnswer {
    /// So many.
    Count(usize),
    /// It is done.
    Done,
    /// It could not be done; of several things some may be.
    Failed(StorageError),
}

/// A shard that does not answer any more: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard} does not answer")]
pub struct ShardUnreachable {
    /// The shard.
    pub shard: ShardId,
}

/// How the controller reaches every shard, its own included.
pub type ShardLink = Rc<
    dyn Fn(
        ShardId,
        ShardRequest,
    ) -> Pin<Box<dyn Future<Output = Result<ShardAnswer, ShardUnreachable>>>>,
>;

/// From any shard to the controller.
#[derive(Clone, Debug)]
pub enum ControllerRequest {
    /// Create topics.
    CreateTopics(CreateTopics),
    /// Add partitions to topics.
    CreatePartitions(CreatePartitions),
    /// Delete topics.
    DeleteTopics(Vec<TopicSelector>),
    /// Change settings.
    AlterConfigs(AlterConfigs),
    /// Give this node more producer ids.
    AllocateProducerIds,
}

/// What became of each topic, in the controller's order.
pub type CreateTopicsAnswer = Vec<(String, Result<CreatedTopic, CreateTopicError>)>;
/// What became of each topic, in the controller's order.
pub type CreatePartitionsAnswer = Vec<(String, Result<AddedPartitions, CreatePartitionsError>)>;
/// What became of each topic, in the order of the request.
pub type DeleteTopicsAnswer = Vec<Result<DeletedTopic, DeleteTopicError>>;

/// What became of each resource, in the order of the request.
pub type AlterConfigsAnswer = Vec<Result<(), AlterConfigsError>>;

/// The controller's answer to the request of the same name. What it tells of is committed, and
/// every shard has applied it.
#[derive(Clone, Debug)]
pub enum ControllerResponse {
    /// What became of the topics.
    CreateTopics(Result<CreateTopicsAnswer, ControllerError>),
    /// What became of the topics.
    CreatePartitions(Result<CreatePartitionsAnswer, ControllerError>),
    /// What became of the topics.
    DeleteTopics(Result<DeleteTopicsAnswer, ControllerError>),
    /// What became of the resources.
    AlterConfigs(Result<AlterConfigsAnswer, ControllerError>),
    /// Ids that nobody else has.
    AllocateProducerIds(Result<ProducerIdBlock, ControllerError>),
}
