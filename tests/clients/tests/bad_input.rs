//! Bad input over a raw socket: what closes a connection, what does not, and nothing ends the broker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tests_clients::{Broker, consume_partition, produce_partition};

/// How long a test waits for the broker to answer or to close.
const ANSWER_DURATION_MAX: Duration = Duration::from_secs(20);

fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.address()).expect("connecting");
    stream.set_read_timeout(Some(ANSWER_DURATION_MAX)).unwrap();
    stream
}

/// A frame: length, then header version 1 with a null client id, then the body.
fn frame(api_key: i16, api_version: i16, body: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(api_key.to_be_bytes());
    payload.extend(api_version.to_be_bytes());
    payload.extend(7_i32.to_be_bytes());
    payload.extend((-1_i16).to_be_bytes());
    payload.extend(body);
    let mut frame = i32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(payload);
    frame
}

/// One response payload, or `None` where the broker closed the connection.
fn answer(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ) =>
        {
            return None;
        }
        Err(e) => panic!("neither answered nor closed: {e}"),
    }
    let mut payload = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut payload).expect("a whole response");
    Some(payload)
}

fn assert_closed(broker: &Broker, bytes: &[u8], what: &str) {
    let mut stream = connect(broker);
    stream.write_all(bytes).expect("sending");
    assert_eq!(
        answer(&mut stream),
        None,
        "{what} must close the connection"
    );
}

fn assert_serves(broker: &mut Broker) {
    assert!(broker.is_running(), "the broker ended:\n{}", broker.said());
    let mut stream = connect(broker);
    stream.write_all(&frame(18, 0, b"")).unwrap();
    assert!(answer(&mut stream).is_some(), "ApiVersions unanswered");
}

#[test]
fn what_kafka_closes_is_closed() {
    let mut broker = Broker::with_defaults();
    assert_closed(&broker, &(-1_i32).to_be_bytes(), "a negative length");
    assert_closed(&broker, &i32::MAX.to_be_bytes(), "the largest length");
    assert_closed(&broker, &i32::MIN.to_be_bytes(), "the smallest length");
    assert_closed(&broker, &0_i32.to_be_bytes(), "an empty frame");
    assert_closed(&broker, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP");
    assert_closed(
        &broker,
        &frame(3, 1, b"\x7f\xff\xff\xff"),
        "an array longer than its frame",
    );
    assert_closed(&broker, &frame(0, 2, b""), "Produce 2");
    for (api_key, api_version) in [
        (1000, 0),
        (-1, 0),
        (7, 0),
        (3, 99),
        (3, -1),
        (1, 3),
        (20, 0),
    ] {
        let bytes = frame(api_key, api_version, &[0; 16]);
        assert_closed(
            &broker,
            &bytes,
            &format!("API {api_key} version {api_version}"),
        );
    }
    assert_serves(&mut broker);
}

#[test]
fn every_api_key_and_version_with_a_body_of_noise_leaves_the_broker_standing() {
    let mut broker = Broker::with_defaults();
    for api_key in 0..128 {
        for api_version in -1..20 {
            let mut stream = connect(&broker);
            for noise in [0_u8, 1, 0x7f, 0xff] {
                if stream
                    .write_all(&frame(api_key, api_version, &[noise; 40]))
                    .is_err()
                {
                    break;
                }
            }
        }
    }
    assert_serves(&mut broker);
}

#[test]
fn api_versions_of_an_unknown_version_is_answered_with_version_0_and_error_35() {
    let broker = Broker::with_defaults();
    let mut stream = connect(&broker);
    // Headers of unknown versions are flexible: an empty set of tags follows.
    stream.write_all(&frame(18, 99, b"\0")).unwrap();
    let payload = answer(&mut stream).expect("an answer");
    assert_eq!(payload[..4], 7_i32.to_be_bytes(), "correlation id");
    assert_eq!(payload[4..6], 35_i16.to_be_bytes(), "error code");
    // The same connection goes on with a version that both know.
    stream.write_all(&frame(18, 0, b"")).unwrap();
    let payload = answer(&mut stream).expect("an answer");
    assert_eq!(payload[4..6], 0_i16.to_be_bytes(), "error code");
}

#[test]
fn half_a_frame_and_a_close_harm_nobody() {
    let mut broker = Broker::with_defaults();
    let whole = frame(3, 1, b"\x00\x00\x00\x00");
    for cut in 1..whole.len() {
        connect(&broker).write_all(&whole[..cut]).unwrap();
    }
    assert_serves(&mut broker);
}

#[test]
fn a_corrupt_batch_is_answered_with_its_error_and_the_connection_kept() {
    let broker = Broker::with_defaults();
    broker.create_topic("corrupt", 1);
    // Produce 3: null transactional id, acks -1, one topic with one partition of bytes that are no batch.
    let mut body = Vec::new();
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(5000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(7_i16.to_be_bytes());
    body.extend(b"corrupt");
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let mut batch = vec![0_u8; 80];
    batch[8..12].copy_from_slice(&68_i32.to_be_bytes());
    batch[16] = 2;
    batch[57..61].copy_from_slice(&1_i32.to_be_bytes());
    body.extend(i32::try_from(batch.len()).unwrap().to_be_bytes());
    body.extend(batch);
    let mut stream = connect(&broker);
    for _ in 0..2 {
        stream.write_all(&frame(0, 3, &body)).unwrap();
        let payload = answer(&mut stream).expect("an answer, and the connection kept");
        // correlation, topics, name, partitions, index, then the error code.
        let error = 4 + 4 + 2 + 7 + 4 + 4;
        assert_eq!(
            payload[error..error + 2],
            2_i16.to_be_bytes(),
            "CORRUPT_MESSAGE"
        );
    }
    let address = broker.address();
    produce_partition(address, "corrupt", 0, &[], &["sound".to_owned()]);
    let seen = consume_partition(address, "corrupt", 0, "beginning");
    assert_eq!(
        seen,
        [(0, "sound".to_owned())],
        "nothing of the corrupt batch was kept"
    );
}
