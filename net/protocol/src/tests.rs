//! Every message in every version, against Kafka's own classes, another codec, and hostile bytes.

mod corpus;
mod fixtures;
mod hostile;
pub(crate) mod lengths;
mod oracle;
pub(crate) mod sample;

/// Calls `$call!(Name, module)` for every message.
macro_rules! for_each_message {
    ($call:ident) => {
        $call!(ProduceRequest, produce);
        $call!(ProduceResponse, produce);
        $call!(FetchRequest, fetch);
        $call!(FetchResponse, fetch);
        $call!(ListOffsetsRequest, list_offsets);
        $call!(ListOffsetsResponse, list_offsets);
        $call!(MetadataRequest, metadata);
        $call!(MetadataResponse, metadata);
        $call!(FindCoordinatorRequest, find_coordinator);
        $call!(FindCoordinatorResponse, find_coordinator);
        $call!(ApiVersionsRequest, api_versions);
        $call!(ApiVersionsResponse, api_versions);
        $call!(CreateTopicsRequest, create_topics);
        $call!(CreateTopicsResponse, create_topics);
        $call!(DeleteTopicsRequest, delete_topics);
        $call!(DeleteTopicsResponse, delete_topics);
        $call!(InitProducerIdRequest, init_producer_id);
        $call!(InitProducerIdResponse, init_producer_id);
        $call!(DeleteRecordsRequest, delete_records);
        $call!(DeleteRecordsResponse, delete_records);
        $call!(OffsetForLeaderEpochRequest, offset_for_leader_epoch);
        $call!(OffsetForLeaderEpochResponse, offset_for_leader_epoch);
        $call!(DescribeConfigsRequest, describe_configs);
        $call!(DescribeConfigsResponse, describe_configs);
        $call!(AlterConfigsRequest, alter_configs);
        $call!(AlterConfigsResponse, alter_configs);
        $call!(IncrementalAlterConfigsRequest, incremental_alter_configs);
        $call!(IncrementalAlterConfigsResponse, incremental_alter_configs);
        $call!(CreatePartitionsRequest, create_partitions);
        $call!(CreatePartitionsResponse, create_partitions);
        $call!(DescribeClusterRequest, describe_cluster);
        $call!(DescribeClusterResponse, describe_cluster);
        $call!(DescribeTopicPartitionsRequest, describe_topic_partitions);
        $call!(DescribeTopicPartitionsResponse, describe_topic_partitions);
    };
}
pub(crate) use for_each_message;
