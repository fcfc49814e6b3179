//! Requests and responses as one type each, for whoever carries them without looking inside.

use bytes::Bytes;
use net_protocol::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use net_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use net_protocol::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use net_protocol::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use net_protocol::delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
use net_protocol::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use net_protocol::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use net_protocol::describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
use net_protocol::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
};
use net_protocol::fetch::{FetchRequest, FetchResponse};
use net_protocol::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use net_protocol::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use net_protocol::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use net_protocol::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use net_protocol::metadata::{MetadataRequest, MetadataResponse};
use net_protocol::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use net_protocol::produce::{ProduceRequest, ProduceResponse};
use net_protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Request, Text, request_frame,
};

macro_rules! calls {
    ($($name:ident($request:ident, $response:ident);)*) => {
        /// Any request.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Call {
            $(
                #[doc = concat!("A request of ", stringify!($name), ".")]
                $name($request),
            )*
        }

        /// Any response.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Answer {
            $(
                #[doc = concat!("A response of ", stringify!($name), ".")]
                $name($response),
            )*
        }

        impl Call {
            /// The API it belongs to.
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            pub(crate) fn frame(
                &self,
                version: i16,
                correlation_id: i32,
                client_id: &Text,
            ) -> Result<Vec<Bytes>, EncodeError> {
                match self {
                    $(Self::$name(request) => {
                        request_frame(version, correlation_id, Some(client_id), request)
                    })*
                }
            }
        }

        impl Answer {
            /// The API it belongs to.
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            pub(crate) fn decode(
                key: ApiKey,
                version: i16,
                reader: &mut Reader,
            ) -> Result<Self, DecodeError> {
                match key {
                    $(ApiKey::$name => $response::decode(version, reader).map(Self::$name),)*
                }
            }
        }

        $(
            impl Operation for $request {
                fn into_call(self) -> Call {
                    Call::$name(self)
                }

                fn from_answer(answer: Answer) -> Option<Self::Response> {
                    match answer {
                        Answer::$name(response) => Some(response),
                        _ => None,
                    }
                }
            }
        )*
    };
}

/// A request whose answer has a known type.
pub trait Operation: Request {
    /// As any request.
    fn into_call(self) -> Call;
    /// The response, if `answer` is one of this API.
    fn from_answer(answer: Answer) -> Option<Self::Response>;
}

calls! {
    Produce(ProduceRequest, ProduceResponse);
    Fetch(FetchRequest, FetchResponse);
    ListOffsets(ListOffsetsRequest, ListOffsetsResponse);
    Metadata(MetadataRequest, MetadataResponse);
    FindCoordinator(FindCoordinatorRequest, FindCoordinatorResponse);
    ApiVersions(ApiVersionsRequest, ApiVersionsResponse);
    CreateTopics(CreateTopicsRequest, CreateTopicsResponse);
    DeleteTopics(DeleteTopicsRequest, DeleteTopicsResponse);
    InitProducerId(InitProducerIdRequest, InitProducerIdResponse);
    DeleteRecords(DeleteRecordsRequest, DeleteRecordsResponse);
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse);
    DescribeConfigs(DescribeConfigsRequest, DescribeConfigsResponse);
    AlterConfigs(AlterConfigsRequest, AlterConfigsResponse);
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse);
    CreatePartitions(CreatePartitionsRequest, CreatePartitionsResponse);
    DescribeCluster(DescribeClusterRequest, DescribeClusterResponse);
    DescribeTopicPartitions(DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse);
}

impl Call {
    /// Whether the broker answers it: all but a Produce with acks 0.
    pub const fn is_answered(&self) -> bool {
        !matches!(self, Self::Produce(ProduceRequest { acks: 0, .. }))
    }

    /// The same request in the words of `version`, where a version says it in other fields.
    #[must_use]
    pub(crate) fn adapted(self, version: i16) -> Self {
        match self {
            // Up to version 5 topics are deleted by name only.
            Self::DeleteTopics(mut request) if version < 6 => {
                let names = request.topics.drain(..).filter_map(|topic| topic.name);
                request.topic_names.extend(names);
                Self::DeleteTopics(request)
            }
            // Up to version 3 the broker alone decides about auto-creation, and version 0 says "all
            // topics" with an empty list.
            Self::Metadata(mut request) if version < 4 => {
                request.allow_auto_topic_creation = true;
                if version == 0 {
                    request.topics.get_or_insert_default();
                }
                Self::Metadata(request)
            }
            other => other,
        }
    }
}
