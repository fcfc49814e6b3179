//! Replays the corpus through the entry points for fuzzers: Kafka's own bytes, and frames that are
//! hostile in one way each (`fixtures/hostile_requests.txt`: name, then the frame in hex).

use super::fixtures::{Fixture, fixtures};
use super::for_each_message;
use crate::{Message, fuzz};

const HOSTILE: &str = include_str!("../../fixtures/hostile_requests.txt");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// Key, version, correlation id; for a request the null client id too, and in both no tags.
fn head<M: Message>(version: i16, is_request: bool) -> Vec<u8> {
    let mut bytes = M::KEY.code().to_be_bytes().to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend([0, 0, 0, 7]);
    if is_request {
        bytes.extend([0xff, 0xff]);
    }
    let is_flexible = version >= M::KEY.flexible_from();
    if is_flexible && (is_request || M::KEY != crate::ApiKey::ApiVersions) {
        bytes.push(0);
    }
    bytes
}

fn replay<M: Message>(name: &str) {
    let is_request = name.ends_with("Request");
    let entry = if is_request {
        fuzz::request
    } else {
        fuzz::response
    };
    for Fixture {
        kind,
        version,
        bytes,
    } in fixtures(name)
    {
        let head = head::<M>(version, is_request);
        let mut frame = [&head[..], &bytes].concat();
        assert!(entry(&frame), "{name} {kind} {version}");
        for cut in 0..frame.len() {
            assert!(!entry(&frame[..cut]), "{name} {kind} {version} at {cut}");
        }
        for place in 0..frame.len() {
            for flip in [0x01, 0x80, 0xff] {
                frame[place] ^= flip;
                entry(&frame);
                frame[place] ^= flip;
            }
        }
    }
}

#[test]
fn kafkas_frames_are_read_and_cuts_and_flips_of_them_harm_nobody() {
    macro_rules! each {
        ($name:ident, $module:ident) => {
            replay::<crate::$module::$name>(stringify!($name));
        };
    }
    for_each_message!(each);
}

#[test]
fn hostile_requests_are_refused_or_read_as_kafka_reads_them() {
    let mut count = 0;
    for line in HOSTILE.lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let frame = unhex(hex);
        let is_read = fuzz::request(&frame);
        assert_eq!(is_read, name.starts_with("read:"), "{name}");
        count += 1;
    }
    assert!(count >= 20);
}
