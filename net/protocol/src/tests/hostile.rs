//! Bytes that no honest client sends. What must come of them was asked of Kafka 4.3.1's own classes,
//! except where a line says that we are stricter.

use super::for_each_message;
use crate::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::fetch::FetchRequest;
use crate::init_producer_id::InitProducerIdRequest;
use crate::metadata::{MetadataRequest, MetadataResponse};
use crate::produce::{ProduceRequest, ProduceResponse};
use crate::{DecodeError, EncodeError, Message, Reader, RequestHeader, Text, Writer};
use bytes::Bytes;
use proptest::prelude::*;

fn decode<M: Message>(version: i16, parts: &[&[u8]]) -> Result<(M, usize), DecodeError> {
    let mut reader = Reader::new(parts.concat().into());
    let message = M::decode(version, &mut reader)?;
    Ok((message, reader.left()))
}

/// Error, no entries, throttle time: an ApiVersionsResponse up to its tags.
const TAGS_NEXT: &[u8] = b"\0\0\x01\0\0\0\0";

#[test]
fn tags_are_read_as_kafka_reads_them() {
    let read = |tags: &[u8]| decode::<ApiVersionsResponse>(3, &[TAGS_NEXT, tags]);
    let epoch = |tags: &[u8]| {
        read(tags).map(|(message, left)| {
            assert_eq!(left, 0);
            message.finalized_features_epoch
        })
    };
    // The last of two, and any order.
    assert_eq!(
        epoch(b"\x02\x01\x08\0\0\0\0\0\0\0\x05\x01\x08\0\0\0\0\0\0\0\x06"),
        Ok(6)
    );
    assert_eq!(epoch(b"\x02\x03\x01\x01\x01\x08\0\0\0\0\0\0\0\x06"), Ok(6));
    assert_eq!(epoch(b"\x01\x09\x02\x01\x00"), Ok(-1));
    // An unknown one that runs past the end.
    assert_eq!(
        epoch(b"\x01\x09\x09\x01\0"),
        Err(DecodeError::Short { needed: 9, left: 2 })
    );
    // Kafka goes by the field and not by its size; a size that lies is refused here.
    assert_eq!(
        epoch(b"\x01\x03\x02\x01\0"),
        Err(DecodeError::TagSize { tag: 3, left: 1 })
    );
    assert_eq!(
        epoch(b"\x01\x01\x01\0\0\0\0\0\0\0\x06"),
        Err(DecodeError::Short { needed: 8, left: 1 })
    );
    // Kafka takes 2^32-1 tags for -1 and reads none.
    assert!(matches!(
        epoch(b"\xff\xff\xff\xff\x0f"),
        Err(DecodeError::Short { .. })
    ));
}

#[test]
fn a_tag_of_a_later_version_is_refused() {
    // Tag 1, ReplicaState, is of version 15 and later.
    let body = [&[0xff; 4][..], &[0; 21], b"\x01\x01\x01"].concat();
    let read = |version, tags: &[u8]| decode::<FetchRequest>(version, &[&body, tags]);
    let state = b"\x01\x01\x0d\0\0\0\x01\0\0\0\0\0\0\0\x01\0";
    assert!(read(12, b"\0").is_ok());
    assert_eq!(
        read(12, state),
        Err(DecodeError::TagVersion {
            tag: 1,
            version: 12
        })
    );
}

#[test]
fn bytes_after_a_message_are_left_to_the_caller() {
    let (_, left) = decode::<ApiVersionsResponse>(3, &[TAGS_NEXT, b"\0\xff"]).unwrap();
    assert_eq!(left, 1);
}

#[test]
fn a_negative_length_is_null_where_there_may_be_one() {
    let id = |bytes: &[u8]| {
        decode::<InitProducerIdRequest>(0, &[bytes, &[0; 4]]).map(|(m, _)| m.transactional_id)
    };
    for length in [-1_i16, -5, i16::MIN] {
        assert_eq!(id(&length.to_be_bytes()), Ok(None));
    }
    assert_eq!(id(b"\0\0"), Ok(Some(Text::EMPTY)));

    let topics = |version, count: i32| {
        decode::<MetadataRequest>(version, &[&count.to_be_bytes()]).map(|(m, _)| m.topics)
    };
    for count in [-1, -2, i32::MIN] {
        assert_eq!(topics(1, count), Ok(None));
        assert_eq!(
            topics(0, count),
            Err(DecodeError::Null {
                field: "MetadataRequest.topics",
                version: 0
            })
        );
    }
    assert_eq!(topics(0, 0), Ok(Some(Vec::new())));
    assert_eq!(
        decode::<MetadataRequest>(0, &[b"\0\0\0\x01\xff\xfe"]).map(|_| ()),
        Err(DecodeError::Null {
            field: "MetadataRequestTopic.name",
            version: 0
        })
    );
    // Records of length -2.
    let (produce, _) = decode::<ProduceRequest>(
        3,
        &[b"\xff\xff\0\x01\0\0\0\0\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\0\xff\xff\xff\xfe"],
    )
    .unwrap();
    assert_eq!(produce.topic_data[0].partition_data[0].records, None);
    assert_eq!(
        decode::<ApiVersionsRequest>(3, &[b"\0\x02a\0"]).map(|_| ()),
        Err(DecodeError::Null {
            field: "ApiVersionsRequest.client_software_name",
            version: 3
        })
    );
}

#[test]
fn varints_may_be_padded_but_not_run_over() {
    let name = |bytes: &[u8]| {
        decode::<ApiVersionsRequest>(3, &[bytes, b"\x02a\0"]).map(|(m, _)| m.client_software_name)
    };
    assert_eq!(name(b"\x02a"), Ok("a".into()));
    assert_eq!(name(b"\x82\x80\x80\x80\0a"), Ok("a".into()));
    assert_eq!(name(b"\x80\x80\x80\x80\x80\x01"), Err(DecodeError::Varint));
    // Kafka drops the bits above the 32nd; they are refused here.
    assert_eq!(name(b"\x82\x80\x80\x80\x70a"), Err(DecodeError::Varint));
    for length in [0x0fff_ffff_u32, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut writer = Writer::new();
        writer.unsigned_varint(length);
        let result = name(&writer.into_bytes());
        assert!(
            matches!(result, Err(DecodeError::StringTooLong { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn strings_end_at_32767_bytes() {
    let name = |length: usize| {
        let mut writer = Writer::new();
        writer.unsigned_varint(u32::try_from(length + 1).unwrap());
        writer.bytes(&vec![b'a'; length]);
        writer.bytes(b"\x02a\0");
        decode::<ApiVersionsRequest>(3, &[&writer.into_bytes()])
            .map(|(m, _)| m.client_software_name.len())
    };
    assert_eq!(name(32_767), Ok(32_767));
    assert_eq!(
        name(32_768),
        Err(DecodeError::StringTooLong {
            bytes: 32_768,
            max: 32_767
        })
    );
    let request = ApiVersionsRequest {
        client_software_name: "a".repeat(32_768).into(),
        ..ApiVersionsRequest::default()
    };
    assert_eq!(
        request.encode(3, &mut Writer::new()),
        Err(EncodeError::StringTooLong {
            bytes: 32_768,
            max: 32_767
        })
    );
}

#[test]
fn bytes_that_are_no_utf_8_become_the_replacement_character() {
    let (message, _) = decode::<ApiVersionsRequest>(3, &[b"\x02\xff\x02a\0"]).unwrap();
    assert_eq!(message.client_software_name, "\u{fffd}");
    assert!(!message.is_valid());
}

#[test]
fn any_byte_but_zero_is_true() {
    let (message, _) = decode::<MetadataRequest>(4, &[b"\xff\xff\xff\xff\x02"]).unwrap();
    assert!(message.allow_auto_topic_creation);
}

#[test]
fn a_count_that_the_bytes_cannot_hold_reserves_nothing() {
    // Topics of version 0 take at least two bytes each.
    for (count, room, good) in [
        (i32::MAX, 100, false),
        (51, 100, false),
        (50, 100, true),
        (1, 0, false),
    ] {
        let result = decode::<MetadataRequest>(0, &[&i32::to_be_bytes(count), &vec![0; room]]);
        assert_eq!(result.is_ok(), good, "{count} in {room}: {result:?}");
        if !good {
            assert!(
                matches!(result, Err(DecodeError::ArrayTooLong { .. })),
                "{result:?}"
            );
        }
    }
    let compact = |varint: &[u8]| decode::<MetadataRequest>(9, &[varint, &[0; 64]]);
    for varint in [
        &b"\xff\xff\xff\xff\x0f"[..],
        b"\xff\xff\xff\xff\x07",
        b"\x80\x80\x80\x80\x08",
    ] {
        assert!(matches!(
            compact(varint),
            Err(DecodeError::ArrayTooLong { .. })
        ));
    }
}

#[test]
fn many_tiny_elements_are_refused_before_they_eat_the_memory() {
    // 30 million empty names in 60 MB would be well over a gigabyte of structs.
    let count = 30_000_000_u32;
    let mut bytes = count.to_be_bytes().to_vec();
    bytes.resize(4 + 60_000_000, 0);
    let result = MetadataRequest::decode(0, &mut Reader::new(bytes.into()));
    assert!(
        matches!(result, Err(DecodeError::ArrayMemory { .. })),
        "{:?}",
        result.map(|_| ())
    );
}

#[test]
fn a_value_the_version_cannot_carry_is_an_error_unless_it_may_be_dropped() {
    let encode =
        |message: &dyn Fn(&mut Writer) -> Result<(), EncodeError>| message(&mut Writer::new());
    let request = MetadataRequest {
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    assert_eq!(
        encode(&|w| request.encode(3, w)),
        Err(EncodeError::NotInVersion {
            field: "MetadataRequest.allow_auto_topic_creation",
            version: 3
        })
    );
    assert_eq!(encode(&|w| request.encode(4, w)), Ok(()));
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    assert_eq!(
        encode(&|w| all.encode(0, w)),
        Err(EncodeError::Null {
            field: "MetadataRequest.topics",
            version: 0
        })
    );
    assert_eq!(encode(&|w| all.encode(1, w)), Ok(()));
    // The cluster id is ignorable.
    let response = MetadataResponse {
        cluster_id: Some("c".into()),
        ..MetadataResponse::default()
    };
    assert_eq!(encode(&|w| response.encode(0, w)), Ok(()));
    // The leader hint is a tagged field that version 9 lacks, and is not.
    let mut response = ProduceResponse::default();
    response
        .node_endpoints
        .push(crate::produce::NodeEndpoint::default());
    assert!(matches!(
        encode(&|w| response.encode(9, w)),
        Err(EncodeError::NotInVersion { .. })
    ));
    assert_eq!(encode(&|w| response.encode(10, w)), Ok(()));
}

#[test]
fn headers_follow_the_version_and_unknown_keys_are_refused() {
    let header = |bytes: &[u8]| RequestHeader::decode(&mut Reader::new(bytes.to_vec().into()));
    let expected = |api_key, api_version| RequestHeader {
        api_key,
        api_version,
        correlation_id: 5,
        client_id: Some("a".into()),
    };
    // The client id is not compact even where the header has tags.
    assert_eq!(header(b"\0\x03\0\x08\0\0\0\x05\0\x01a"), Ok(expected(3, 8)));
    assert_eq!(
        header(b"\0\x03\0\x09\0\0\0\x05\0\x01a\0"),
        Ok(expected(3, 9))
    );
    assert_eq!(
        header(b"\0\x03\0\x09\0\0\0\x05\0\x01a\x01\x07\x01x"),
        Ok(expected(3, 9))
    );
    assert!(header(b"\0\x03\0\x09\0\0\0\x05\0\x01a").is_err());
    // A version of ApiVersions that nobody knows still has a header.
    assert_eq!(
        header(b"\0\x12\x7f\xff\0\0\0\x05\0\x01a\0"),
        Ok(expected(18, i16::MAX))
    );
    assert_eq!(
        header(b"\0\x12\xff\xff\0\0\0\x05\0\x01a"),
        Ok(expected(18, -1))
    );
    for key in [-1_i16, 4, 7, 127] {
        let bytes = [&key.to_be_bytes()[..], &[0; 8]].concat();
        assert_eq!(header(&bytes), Err(DecodeError::UnknownApi { key }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = RequestHeader::decode(&mut Reader::new(bytes.clone()));
        macro_rules! each {
            ($name:ident, $module:ident) => {
                for version in <crate::$module::$name as Message>::VERSIONS {
                    let _ = crate::$module::$name::decode(version, &mut Reader::new(bytes.clone()));
                }
            };
        }
        for_each_message!(each);
    }

    #[test]
    fn a_flipped_byte_never_panics_and_what_decodes_encodes(place in any::<usize>(), flip in 1_u8..) {
        for line in include_str!("../../fixtures/messages.txt").lines() {
            let mut words = line.split(' ').skip(1);
            let name = words.next().unwrap();
            let version: i16 = words.next().unwrap().parse().unwrap();
            let hex = words.next().unwrap();
            let mut bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
                .collect();
            // Requests of ApiVersions 0 to 2 are empty.
            let Some(place) = place.checked_rem(bytes.len()) else {
                continue;
            };
            bytes[place] ^= flip;
            macro_rules! each {
                ($message:ident, $module:ident) => {
                    if name == stringify!($message) {
                        let mut reader = Reader::new(bytes.clone().into());
                        if let Ok(message) = crate::$module::$message::decode(version, &mut reader) {
                            prop_assert_eq!(message.encode(version, &mut Writer::new()), Ok(()));
                        }
                    }
                };
            }
            for_each_message!(each);
        }
    }
}
