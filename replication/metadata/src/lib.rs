//! The metadata of a cluster: its controller as a replayed machine, and the image it publishes.
//!
//! - [`MetadataRecord`]: what `__cluster_metadata` holds, in an encoding of our own;
//! - [`Controller`]: verbs take a request and return the records it leads to, changing nothing;
//!   only [`Controller::replay`] changes anything;
//! - [`MetadataImage`]: an immutable snapshot, cheap to clone, that every shard holds.
//!
//! Nothing here does I/O, reads a clock or draws a random number: ids are arguments.
//! Source: Kafka's KRaft controller (KIP-500, KIP-631, KIP-966), whose words and answers it keeps.

mod batch;
mod controller;
mod delta;
mod error;
mod image;
pub mod limits;
mod record;

pub use batch::{MetadataBatchError, decode_batch, encode_batches};
pub use controller::{
    AddedPartitions, AlterConfigs, AssignedPartition, BrokerRegistration, ConfigChange,
    ConfigTarget, Controller, CreatePartitions, CreateTopics, CreatedTopic, DeletedTopic,
    NewPartitions, NewTopic, Outcome, ProducerIdBlock, ResourceChanges, TopicSelector,
};
pub use delta::MetadataDelta;
pub use error::{
    AllocateProducerIdsError, AlterConfigsError, AssignmentError, BrokerError,
    CreatePartitionsError, CreateTopicError, DeleteTopicError, FormClusterError, ReplayError,
};
pub use image::{BrokerImage, MetadataImage, PartitionImage, TopicImage};
pub use record::{
    BrokerRecord, ConfigResource, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RecordError,
};
