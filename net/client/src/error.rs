//! What can go wrong between a client and a broker.

use engine_model::{ErrorCode, NodeId, Offset, PartitionIndex};
use net_protocol::{ApiKey, DecodeError, EncodeError, Text};

/// Why something a client wanted did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker sent bytes that are no answer. The connection is of no more use.
    #[error("the broker's answer cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The request cannot be said in the version the broker speaks.
    #[error("the request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// Broker and client have no version in common.
    #[error("{api:?}: the broker speaks versions {broker_min} to {broker_max}, we {min} to {max}")]
    NoCommonVersion {
        /// The API.
        api: ApiKey,
        /// Our lowest.
        min: i16,
        /// Our highest.
        max: i16,
        /// The broker's lowest.
        broker_min: i16,
        /// The broker's highest.
        broker_max: i16,
    },
    /// The broker does not speak the API at all.
    #[error("the broker does not speak {api:?}")]
    UnknownApi {
        /// The API.
        api: ApiKey,
    },
    /// A request before versions were agreed on.
    #[error("the connection has not agreed on versions yet")]
    NotReady,
    /// More requests in flight than a connection takes.
    #[error("{max} requests are in flight already")]
    TooManyInFlight {
        /// The limit.
        max: usize,
    },
    /// An answer that claims to be larger than any may be.
    #[error("an answer of {size} bytes is not between 4 and {max}; is this a Kafka broker?")]
    AnswerSize {
        /// Its claim.
        size: i32,
        /// The limit.
        max: usize,
    },
    /// An answer to something that was not asked.
    #[error("the broker answered request {found} where {expected:?} was next")]
    OutOfOrder {
        /// The oldest request in flight.
        expected: Option<i32>,
        /// What the answer says.
        found: i32,
    },
    /// An answer that leaves out what was asked for.
    #[error("the broker's answer to {api:?} lacks what was asked for")]
    Incomplete {
        /// The API.
        api: ApiKey,
    },
    /// The broker said no.
    #[error("{api:?}: {code}")]
    Broker {
        /// What was asked.
        api: ApiKey,
        /// Kafka's code.
        code: ErrorCode,
    },
    /// The broker said no to a topic.
    #[error("topic '{}': {code}", topic.escape_debug())]
    Topic {
        /// The topic.
        topic: Text,
        /// Kafka's code.
        code: ErrorCode,
    },
    /// The broker said no to a partition.
    #[error("partition {partition} of topic '{}': {code}", topic.escape_debug())]
    Partition {
        /// The topic.
        topic: Text,
        /// The partition.
        partition: PartitionIndex,
        /// Kafka's code.
        code: ErrorCode,
    },
    /// There is no such partition.
    #[error("topic '{}' has no partition {partition}: it has {count}", topic.escape_debug())]
    NoSuchPartition {
        /// The topic.
        topic: Text,
        /// The partition.
        partition: PartitionIndex,
        /// How many there are.
        count: usize,
    },
    /// The offset asked for is not in the partition.
    #[error(
        "offset {offset} is out of the range of partition {partition} of topic '{}'",
        topic.escape_debug()
    )]
    OffsetOutOfRange {
        /// The topic.
        topic: Text,
        /// The partition.
        partition: PartitionIndex,
        /// The offset.
        offset: Offset,
    },
    /// Records that came back are damaged.
    #[error("partition {partition} of topic '{}' at offset {offset}: {cause}", topic.escape_debug())]
    Batch {
        /// The topic.
        topic: Text,
        /// The partition.
        partition: PartitionIndex,
        /// Where the fetch began.
        offset: Offset,
        /// What is wrong.
        cause: engine_codec::BatchError,
    },
    /// A batch could not be built.
    #[error("a batch cannot be built: {0}")]
    Build(#[from] engine_codec::BuildError),
    /// Not done in the time it was given; `last` is the last thing that went wrong.
    #[error("not done in time{}", last.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    TimedOut {
        /// The last error, if there was one.
        last: Option<Box<ClientError>>,
    },
    /// The connection broke while something was under way.
    #[error("the connection to broker {node} was lost")]
    ConnectionLost {
        /// The broker; -1 for one that is known by address only.
        node: NodeId,
    },
}

impl ClientError {
    /// Whether a connection on which this happened is of no more use: one that only could not say
    /// a request is.
    pub const fn breaks_connection(&self) -> bool {
        !matches!(
            self,
            Self::NoCommonVersion { .. } | Self::UnknownApi { .. } | Self::Encode(_)
        )
    }

    /// Kafka's code, where the broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } | Self::Topic { code, .. } | Self::Partition { code, .. } => {
                Some(*code)
            }
            Self::OffsetOutOfRange { .. } => Some(ErrorCode::OFFSET_OUT_OF_RANGE),
            Self::TimedOut { last } => last.as_ref().and_then(|error| error.code()),
            _ => None,
        }
    }
}
