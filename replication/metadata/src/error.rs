//! What the controller refuses, with Kafka's codes and words, and what stops a replica.
//!
//! The texts were compared with Apache Kafka 4.3.1's answers.

use engine_config::{DynamicConfigError, TopicConfigError};
use engine_model::{ErrorCode, NodeId, Offset, PartitionIndex, ProducerId, TopicId};

/// Why a record does not follow from those before it. The replica must stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A gap or a step back.
    #[error("metadata record at offset {found} where {expected} is next")]
    OutOfOrder {
        /// The offset that is next.
        expected: Offset,
        /// The offset of the record.
        found: Offset,
    },
    /// The end of all offsets.
    #[error("no offsets are left")]
    NoOffsetsLeft,
    /// A second cluster id.
    #[error("the cluster is formed twice")]
    FormedTwice,
    /// The log is written for a newer release.
    #[error("the metadata is at level {found}; this release knows {known}")]
    NewerFeature {
        /// The level it is at.
        found: i16,
        /// The highest one known.
        known: i16,
    },
    /// A registration that is not newer than the one that stands.
    #[error("registration of broker {node_id} does not raise its epoch")]
    BrokerEpoch {
        /// The broker.
        node_id: NodeId,
    },
    /// A topic with an id or name that is taken.
    #[error("topic {topic_id} exists, or its name does")]
    TopicExists {
        /// The topic.
        topic_id: TopicId,
    },
    /// A record of a topic that is not there.
    #[error("there is no topic {topic_id}")]
    NoSuchTopic {
        /// The topic.
        topic_id: TopicId,
    },
    /// A partition that is not next, not there, or not whole.
    #[error("partition {partition} of topic {topic_id} does not fit")]
    Partition {
        /// Its topic.
        topic_id: TopicId,
        /// Its number.
        partition: PartitionIndex,
    },
    /// An epoch that goes back.
    #[error("an epoch of partition {partition} of topic {topic_id} goes back")]
    PartitionEpoch {
        /// Its topic.
        topic_id: TopicId,
        /// Its number.
        partition: PartitionIndex,
    },
    /// Producer ids that were handed out before.
    #[error("producer ids go back from {standing} to {found}")]
    ProducerIds {
        /// The first id that nobody has.
        standing: ProducerId,
        /// What the record says it is.
        found: ProducerId,
    },
}

/// Why a topic was not created.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTopicError {
    /// The request names it more than once.
    #[error("Duplicate topic name.")]
    Duplicate,
    /// Kafka's log of metadata is no topic.
    #[error("Creation of internal topic {name} is prohibited.")]
    Prohibited {
        /// The name.
        name: String,
    },
    /// Not a name.
    #[error("Topic name is invalid: {reason}")]
    InvalidName {
        /// Why not.
        reason: String,
    },
    /// It is there.
    #[error("Topic '{name}' already exists.")]
    Exists {
        /// The name.
        name: String,
    },
    /// Its metrics would have another topic's names.
    #[error("Topic '{name}' collides with existing topic: {other}")]
    Collides {
        /// The name.
        name: String,
        /// The other topic.
        other: String,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] TopicConfigError),
    /// A setting's value is longer than what is stored.
    #[error("Invalid value for configuration {key}: it has more than {max} bytes")]
    ConfigTooLong {
        /// The setting.
        key: String,
        /// The limit.
        max: usize,
    },
    /// The request asks for too many partitions.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// The cluster would have too many.
    #[error("The cluster would have more than {max} partitions.")]
    ClusterFull {
        /// The limit.
        max: usize,
    },
    /// The records of the request are too many to be kept together.
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
    /// Not a count.
    #[error("Number of partitions was set to an invalid non-positive value.")]
    PartitionCount,
    /// Not a count.
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    ReplicationFactor,
    /// Fewer brokers than replicas.
    #[error(
        "Unable to replicate the partition {wanted} time(s): The target replication factor of {wanted} cannot be reached because only {brokers} broker(s) are registered."
    )]
    TooFewBrokers {
        /// Replicas asked for.
        wanted: i16,
        /// Brokers there are.
        brokers: usize,
    },
    /// An assignment and a count.
    #[error("A manual partition assignment was specified, but {field} was not set to -1.")]
    AssignedAndCounted {
        /// The count, in Kafka's words.
        field: &'static str,
    },
    /// An assignment that cannot be.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// The proposed id is reserved or taken; draw another.
    #[error("topic id {topic_id} is taken")]
    IdTaken {
        /// The id.
        topic_id: TopicId,
    },
}

/// Why replicas cannot be assigned by hand so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignmentError {
    /// A partition stands twice.
    #[error("Found multiple manual partition assignments for partition {partition}")]
    Repeated {
        /// Its number.
        partition: i32,
    },
    /// A partition without replicas.
    #[error("The manual partition assignment includes an empty replica list.")]
    Empty,
    /// A broker stands twice.
    #[error("The manual partition assignment includes the broker {broker} more than once.")]
    RepeatedBroker {
        /// The broker.
        broker: NodeId,
    },
    /// A broker that is not there.
    #[error(
        "The manual partition assignment includes broker {broker}, but no such broker is registered."
    )]
    NoSuchBroker {
        /// The broker.
        broker: NodeId,
    },
    /// Partitions with different numbers of replicas.
    #[error(
        "The manual partition assignment includes a partition with {found} replica(s), but this is not consistent with previous partitions, which have {expected} replica(s)."
    )]
    Uneven {
        /// Replicas of the partitions before.
        expected: usize,
        /// Replicas of this one.
        found: usize,
    },
    /// A gap.
    #[error("partitions should be a consecutive 0-based integer sequence")]
    Gap,
}

impl CreateTopicError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Duplicate | Self::Prohibited { .. } | Self::AssignedAndCounted { .. } => {
                ErrorCode::INVALID_REQUEST
            }
            Self::InvalidName { .. } | Self::Collides { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
            Self::Exists { .. } => ErrorCode::TOPIC_ALREADY_EXISTS,
            Self::Config(_) | Self::ConfigTooLong { .. } => ErrorCode::INVALID_CONFIG,
            Self::TooManyPartitions | Self::ClusterFull { .. } | Self::TooLarge => {
                ErrorCode::POLICY_VIOLATION
            }
            Self::PartitionCount => ErrorCode::INVALID_PARTITIONS,
            Self::ReplicationFactor | Self::TooFewBrokers { .. } => {
                ErrorCode::INVALID_REPLICATION_FACTOR
            }
            Self::Assignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            Self::IdTaken { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}

/// Why a topic got no more partitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreatePartitionsError {
    /// The request names it more than once.
    #[error("Duplicate topic name.")]
    Duplicate,
    /// There is no such topic.
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// It has as many as it shall have.
    #[error("Topic already has {current} partition(s).")]
    NoIncrease {
        /// How many.
        current: usize,
    },
    /// It has more than it shall have.
    #[error(
        "The topic {name} currently has {current} partition(s); {wanted} would not be an increase."
    )]
    Decrease {
        /// Its name.
        name: String,
        /// How many it has.
        current: usize,
        /// How many it shall have.
        wanted: i32,
    },
    /// Not one assignment for each new partition.
    #[error(
        "Attempted to add {wanted} additional partition(s), but only {found} assignment(s) were specified."
    )]
    AssignmentCount {
        /// New partitions.
        wanted: usize,
        /// Assignments.
        found: usize,
    },
    /// An assignment that cannot be.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// Fewer brokers than the topic's partitions have replicas.
    #[error(
        "Unable to replicate the partition {wanted} time(s): The target replication factor of {wanted} cannot be reached because only {brokers} broker(s) are registered."
    )]
    TooFewBrokers {
        /// Replicas of the topic's partitions.
        wanted: usize,
        /// Brokers there are.
        brokers: usize,
    },
    /// The request asks for too many partitions.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// The cluster would have too many.
    #[error("The cluster would have more than {max} partitions.")]
    ClusterFull {
        /// The limit.
        max: usize,
    },
    /// The records of the request are too many to be kept together.
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
}

impl CreatePartitionsError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Duplicate => ErrorCode::INVALID_REQUEST,
            Self::UnknownTopic => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::NoIncrease { .. } | Self::Decrease { .. } => ErrorCode::INVALID_PARTITIONS,
            Self::AssignmentCount { .. } | Self::Assignment(_) => {
                ErrorCode::INVALID_REPLICA_ASSIGNMENT
            }
            Self::TooFewBrokers { .. } => ErrorCode::INVALID_REPLICATION_FACTOR,
            Self::TooManyPartitions | Self::ClusterFull { .. } | Self::TooLarge => {
                ErrorCode::POLICY_VIOLATION
            }
        }
    }
}

/// Why a topic was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteTopicError {
    /// There is no topic of that name.
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    /// There is no topic of that id.
    #[error("This server does not host this topic ID.")]
    UnknownId,
    /// The request names it more than once.
    #[error("Duplicate topic name.")]
    DuplicateName,
    /// The request names it more than once.
    #[error("Duplicate topic ID.")]
    DuplicateId,
}

impl DeleteTopicError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownName => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::UnknownId => ErrorCode::UNKNOWN_TOPIC_ID,
            Self::DuplicateName | Self::DuplicateId => ErrorCode::INVALID_REQUEST,
        }
    }
}

/// Why the settings of a resource were not changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AlterConfigsError {
    /// There is no such topic.
    #[error("The topic '{name}' does not exist.")]
    UnknownTopic {
        /// The name.
        name: String,
    },
    /// Not a topic's name.
    #[error("Topic name is invalid: {reason}")]
    InvalidName {
        /// Why not.
        reason: String,
    },
    /// No topic is named; for brokers alone that means all of them.
    #[error("Default topic resources are not allowed.")]
    NoTopic,
    /// The request changes a setting more than once.
    #[error("Error due to duplicate config keys")]
    DuplicateKey,
    /// Settings without a value.
    #[error("Null value not supported for : {keys}")]
    Null {
        /// Their names, with commas between them.
        keys: String,
    },
    /// Only lists have items.
    #[error("Can't {verb} to key {key} because its type is not LIST.")]
    NotAList {
        /// Kafka's word for what was asked.
        verb: &'static str,
        /// The setting.
        key: String,
    },
    /// Only lists have items.
    #[error("Config value {verb} is not allowed for config key: {key}")]
    NotABrokerList {
        /// Kafka's word for what was asked.
        verb: &'static str,
        /// The setting.
        key: String,
    },
    /// A value is longer than what is stored.
    #[error("Invalid value for configuration {key}: it has more than {max} bytes")]
    TooLong {
        /// The setting.
        key: String,
        /// The limit.
        max: usize,
    },
    /// A topic's setting is wrong.
    #[error(transparent)]
    Topic(#[from] TopicConfigError),
    /// A broker's setting is wrong.
    #[error(transparent)]
    Broker(#[from] DynamicConfigError),
    /// The records of the request are too many to be kept together.
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
}

impl AlterConfigsError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic { .. } => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::InvalidName { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
            Self::NoTopic | Self::DuplicateKey | Self::Null { .. } | Self::Broker(_) => {
                ErrorCode::INVALID_REQUEST
            }
            Self::NotAList { .. }
            | Self::NotABrokerList { .. }
            | Self::TooLong { .. }
            | Self::Topic(_) => ErrorCode::INVALID_CONFIG,
            Self::TooLarge => ErrorCode::POLICY_VIOLATION,
        }
    }
}

/// Why a cluster was not formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormClusterError {
    /// It is formed.
    #[error("the cluster is formed already")]
    AlreadyFormed,
}

/// Why a broker was not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It is not registered.
    #[error("broker {node_id} is not registered")]
    NotRegistered {
        /// The broker.
        node_id: NodeId,
    },
    /// It speaks for an older registration.
    #[error("broker {node_id} is registered with epoch {expected}, not {found}")]
    StaleEpoch {
        /// The broker.
        node_id: NodeId,
        /// The epoch that stands.
        expected: i64,
        /// The epoch it gave.
        found: i64,
    },
    /// The cluster is not formed yet.
    #[error("the cluster is not formed yet")]
    NoCluster,
    /// An epoch cannot be raised any further.
    #[error("no epochs are left")]
    NoEpochsLeft,
}

impl BrokerError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::NotRegistered { .. } => ErrorCode::BROKER_ID_NOT_REGISTERED,
            Self::StaleEpoch { .. } => ErrorCode::STALE_BROKER_EPOCH,
            Self::NoCluster | Self::NoEpochsLeft => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}

/// Why no producer ids were handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateProducerIdsError {
    /// The broker was not heard.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// All 2^63 have been.
    #[error("no producer ids are left")]
    Exhausted,
}

impl AllocateProducerIdsError {
    /// Kafka's code.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Broker(error) => error.error_code(),
            Self::Exhausted => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}
