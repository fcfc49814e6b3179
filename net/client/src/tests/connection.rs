//! A connection: agreeing on versions, order, pieces of any size, hostile bytes.

use crate::connection::{Connection, Event, RESPONSE_BYTES_MAX};
use crate::{Answer, Call, ClientError};
use bytes::Bytes;
use engine_model::ErrorCode;
use net_protocol::api_versions::{ApiVersion, ApiVersionsResponse};
use net_protocol::delete_topics::DeleteTopicsRequest;
use net_protocol::metadata::{MetadataRequest, MetadataResponse};
use net_protocol::{ApiKey, Message, Reader, Request, RequestHeader, Text, response_frame};
use proptest::prelude::*;

fn new() -> Connection {
    Connection::new(Text::from_static("me"), Text::from_static("1"))
}

/// The header and body of what was sent.
fn sent(bytes: &[Bytes]) -> (RequestHeader, Reader) {
    let whole = Bytes::from(bytes.concat());
    assert_eq!(
        whole[..4],
        u32::try_from(whole.len() - 4).unwrap().to_be_bytes()
    );
    let mut reader = Reader::new(whole.slice(4..));
    (RequestHeader::decode(&mut reader).unwrap(), reader)
}

fn versions(ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    ApiVersionsResponse {
        api_keys: ranges
            .iter()
            .map(|(key, min_version, max_version)| ApiVersion {
                api_key: key.code(),
                min_version: *min_version,
                max_version: *max_version,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

/// A connection that has agreed with a broker of these ranges.
fn ready(ranges: &[(ApiKey, i16, i16)]) -> Connection {
    let mut connection = new();
    connection.handshake().unwrap();
    receive(&mut connection, 4, 0, &versions(ranges));
    assert_eq!(connection.next_event(), Ok(Some(Event::Ready)));
    connection
}

fn receive<M: Message>(
    connection: &mut Connection,
    version: i16,
    correlation_id: i32,
    message: &M,
) {
    for chunk in response_frame(version, correlation_id, message).unwrap() {
        connection.receive(&chunk);
    }
}

fn ask<R: Request>(connection: &mut Connection, call: Call) -> (i32, i16, R) {
    let (id, bytes) = connection.send(call).unwrap();
    let (header, mut reader) = sent(&bytes);
    assert_eq!(header.client_id, Some("me".into()));
    assert_eq!(header.correlation_id, id);
    let request = R::decode(header.api_version, &mut reader).unwrap();
    assert_eq!(reader.left(), 0);
    (id, header.api_version, request)
}

#[test]
fn versions_are_asked_for_again_in_a_version_the_broker_has() {
    let mut connection = new();
    assert_eq!(
        connection.send(Call::Metadata(MetadataRequest::default())),
        Err(ClientError::NotReady)
    );
    let (header, _) = sent(&connection.handshake().unwrap());
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (18, 4, 0)
    );
    // What Kafka answers to a version it lacks: version 0, error 35, the range it has.
    connection.receive(b"\0\0\0\x10\0\0\0\0\0\x23\0\0\0\x01\0\x12\0\0\0\x02");
    let Ok(Some(Event::AskAgain(bytes))) = connection.next_event() else {
        panic!("not asked again");
    };
    let (header, _) = sent(&bytes);
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (18, 2, 1)
    );
    receive(
        &mut connection,
        2,
        1,
        &versions(&[(ApiKey::Metadata, 0, 5)]),
    );
    assert_eq!(connection.next_event(), Ok(Some(Event::Ready)));
    let (_, version, _) =
        ask::<MetadataRequest>(&mut connection, Call::Metadata(MetadataRequest::default()));
    assert_eq!(version, 5);
}

#[test]
fn a_broker_that_refuses_every_version_is_given_up() {
    let mut connection = new();
    connection.handshake().unwrap();
    let mut asked = 0;
    for correlation_id in 0..10 {
        // The oldest brokers say error 35 and no range.
        let response = ApiVersionsResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..ApiVersionsResponse::default()
        };
        receive(&mut connection, 0, correlation_id, &response);
        match connection.next_event() {
            Ok(Some(Event::AskAgain(bytes))) => {
                asked += 1;
                assert_eq!(sent(&bytes).0.api_version, 0);
            }
            other => {
                assert!(
                    matches!(other, Err(ClientError::UnknownApi { .. })),
                    "{other:?}"
                );
                assert!(asked > 0);
                return;
            }
        }
    }
    panic!("never given up");
}

#[test]
fn requests_are_said_in_the_words_of_their_version() {
    for (max, in_topics, in_names) in [(6, 1, 0), (5, 0, 1), (1, 0, 1)] {
        let mut connection = ready(&[(ApiKey::DeleteTopics, 0, max)]);
        let request = crate::delete_topics([&Text::from("t")], core::time::Duration::from_secs(1));
        let (_, version, said) =
            ask::<DeleteTopicsRequest>(&mut connection, Call::DeleteTopics(request));
        assert_eq!(version, max);
        assert_eq!(
            (said.topics.len(), said.topic_names.len()),
            (in_topics, in_names)
        );
    }
    for (max, topics, may_create) in [(13, None, true), (1, None, true), (0, Some(0), true)] {
        let mut connection = ready(&[(ApiKey::Metadata, 0, max)]);
        let (_, _, said) =
            ask::<MetadataRequest>(&mut connection, Call::Metadata(crate::list_topics()));
        assert_eq!(said.topics.map(|topics| topics.len()), topics);
        assert_eq!(said.allow_auto_topic_creation, may_create);
    }
    let mut connection = ready(&[(ApiKey::Metadata, 0, 3)]);
    let describe = crate::describe_topics([&Text::from("t")]);
    ask::<MetadataRequest>(&mut connection, Call::Metadata(describe));
}

#[test]
fn an_api_the_broker_lacks_is_refused_and_the_connection_goes_on() {
    let mut connection = ready(&[(ApiKey::Metadata, 0, 13)]);
    let delete = Call::DeleteTopics(DeleteTopicsRequest::default());
    assert_eq!(
        connection.send(delete),
        Err(ClientError::UnknownApi {
            api: ApiKey::DeleteTopics
        })
    );
    ask::<MetadataRequest>(&mut connection, Call::Metadata(MetadataRequest::default()));
}

#[test]
fn answers_out_of_order_or_unasked_end_the_connection() {
    let asked = || {
        let mut connection = ready(&[(ApiKey::Metadata, 0, 13)]);
        connection
            .send(Call::Metadata(MetadataRequest::default()))
            .unwrap();
        connection
    };
    let mut connection = asked();
    receive(&mut connection, 13, 2, &MetadataResponse::default());
    assert_eq!(
        connection.next_event(),
        Err(ClientError::OutOfOrder {
            expected: Some(1),
            found: 2
        })
    );
    let mut connection = asked();
    receive(&mut connection, 13, 1, &MetadataResponse::default());
    assert!(matches!(
        connection.next_event(),
        Ok(Some(Event::Answer(1, Answer::Metadata(_))))
    ));
    receive(&mut connection, 13, 2, &MetadataResponse::default());
    assert!(matches!(
        connection.next_event(),
        Err(ClientError::OutOfOrder { expected: None, .. })
    ));
}

#[test]
fn an_answer_of_an_impossible_size_is_refused_at_once() {
    let too_much = i32::try_from(RESPONSE_BYTES_MAX + 1).unwrap();
    for size in [
        i32::MIN,
        -1,
        0,
        3,
        too_much,
        i32::MAX,
        i32::from_be_bytes(*b"HTTP"),
    ] {
        let mut connection = ready(&[]);
        connection.receive(&size.to_be_bytes());
        assert_eq!(
            connection.next_event(),
            Err(ClientError::AnswerSize {
                size,
                max: RESPONSE_BYTES_MAX
            })
        );
    }
}

#[test]
fn no_more_than_a_named_number_of_requests_waits() {
    let mut connection = ready(&[(ApiKey::Metadata, 0, 13)]);
    let mut count = 0;
    let error = loop {
        match connection.send(Call::Metadata(MetadataRequest::default())) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, ClientError::TooManyInFlight { max: count });
    // One answer makes room for one request.
    receive(&mut connection, 13, 1, &MetadataResponse::default());
    connection.next_event().unwrap();
    assert!(
        connection
            .send(Call::Metadata(MetadataRequest::default()))
            .is_ok()
    );
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_answers(sizes in proptest::collection::vec(1_usize..40, 1..40)) {
        let mut connection = ready(&[(ApiKey::Metadata, 0, 13)]);
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let (id, _) = connection.send(Call::Metadata(MetadataRequest::default())).unwrap();
            let frame = response_frame(13, id, &MetadataResponse::default()).unwrap();
            bytes.extend(frame.concat());
        }
        let mut answers = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            rest = after;
            connection.receive(piece);
            while let Some(Event::Answer(id, _)) = connection.next_event().unwrap() {
                answers.push(id);
            }
        }
        prop_assert_eq!(answers, vec![1, 2, 3]);
    }

    #[test]
    fn any_bytes_of_a_broker_are_an_answer_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        size in 0_u32..200,
        is_ready in any::<bool>(),
    ) {
        let mut connection = if is_ready { ready(&[(ApiKey::Metadata, 0, 13)]) } else { new() };
        let first = if is_ready {
            connection.send(Call::Metadata(MetadataRequest::default())).unwrap().0
        } else {
            connection.handshake().unwrap();
            0
        };
        connection.receive(&size.to_be_bytes());
        connection.receive(&first.to_be_bytes());
        connection.receive(&bytes);
        for _ in 0..10 {
            match connection.next_event() {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}
