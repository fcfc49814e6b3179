//! The decoders as plain functions of bytes, for a fuzzer, for a corpus that `cargo test` replays, and
//! for programs that send mutated frames.
//!
//! Keeps: any bytes at all come back as a message or an error; a message that was read and can be
//! written reads back as itself.

use crate::api::ApiKey;
use crate::error::EncodeError;
use crate::header::{RequestHeader, ResponseHeader};
use crate::message::Message;
use crate::reader::Reader;
use crate::writer::Writer;
use bytes::Bytes;

macro_rules! by_api {
    ($($api:ident: $module:ident, $request:ident, $response:ident;)*) => {
        fn request_body(api: ApiKey, version: i16, reader: &mut Reader) -> bool {
            match api {
                $(ApiKey::$api => check::<crate::$module::$request>(version, reader),)*
            }
        }

        fn response_body(api: ApiKey, version: i16, reader: &mut Reader) -> bool {
            match api {
                $(ApiKey::$api => check::<crate::$module::$response>(version, reader),)*
            }
        }
    };
}

by_api! {
    Produce: produce, ProduceRequest, ProduceResponse;
    Fetch: fetch, FetchRequest, FetchResponse;
    ListOffsets: list_offsets, ListOffsetsRequest, ListOffsetsResponse;
    Metadata: metadata, MetadataRequest, MetadataResponse;
    FindCoordinator: find_coordinator, FindCoordinatorRequest, FindCoordinatorResponse;
    ApiVersions: api_versions, ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics: create_topics, CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics: delete_topics, DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords: delete_records, DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId: init_producer_id, InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch: offset_for_leader_epoch, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    DescribeConfigs: describe_configs, DescribeConfigsRequest, DescribeConfigsResponse;
    AlterConfigs: alter_configs, AlterConfigsRequest, AlterConfigsResponse;
    CreatePartitions: create_partitions, CreatePartitionsRequest, CreatePartitionsResponse;
    IncrementalAlterConfigs: incremental_alter_configs, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    DescribeCluster: describe_cluster, DescribeClusterRequest, DescribeClusterResponse;
    DescribeTopicPartitions: describe_topic_partitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}

/// Reads a request as a connection would: header, then body. Whether it was one.
pub fn request(frame: &[u8]) -> bool {
    let mut reader = Reader::new(Bytes::copy_from_slice(frame));
    let Ok(header) = RequestHeader::decode(&mut reader) else {
        return false;
    };
    ApiKey::from_code(header.api_key)
        .is_some_and(|api| request_body(api, header.api_version, &mut reader))
}

/// Reads a response as a client would. Two bytes of key and two of version, which no response
/// carries, stand in front. Whether it was one.
pub fn response(frame: &[u8]) -> bool {
    let mut reader = Reader::new(Bytes::copy_from_slice(frame));
    let (Ok(code), Ok(version)) = (reader.i16(), reader.i16()) else {
        return false;
    };
    let Some(api) = ApiKey::from_code(code) else {
        return false;
    };
    ResponseHeader::decode(api, version, &mut reader).is_ok()
        && response_body(api, version, &mut reader)
}

fn check<M: Message + PartialEq>(version: i16, reader: &mut Reader) -> bool {
    let Ok(message) = M::decode(version, reader) else {
        return false;
    };
    let mut writer = Writer::new();
    let encoded = message.encode(version, &mut writer);
    // Bytes that are no UTF-8 have become longer ones that are.
    let is_too_long = matches!(encoded, Err(EncodeError::StringTooLong { .. }));
    assert!(encoded.is_ok() || is_too_long, "{encoded:?}");
    if encoded.is_ok() {
        let again = M::decode(version, &mut Reader::new(writer.into_bytes()));
        assert_eq!(
            again.as_ref(),
            Ok(&message),
            "a message reads back as itself"
        );
    }
    true
}
