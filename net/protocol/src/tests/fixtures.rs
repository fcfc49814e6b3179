//! Against the bytes that Kafka 4.3.1's own classes write (`fixtures/MakeMessages.java`).

use super::for_each_message;
use crate::{DecodeError, Message, Reader, Writer};
use bytes::Bytes;

const FIXTURES: &str = include_str!("../../fixtures/messages.txt");

pub(super) struct Fixture {
    pub(super) kind: &'static str,
    pub(super) version: i16,
    pub(super) bytes: Bytes,
}

pub(super) fn fixtures(message: &str) -> Vec<Fixture> {
    let line = |line: &'static str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, name, version, hex] = words[..] else {
            panic!("{line}");
        };
        (name == message).then(|| Fixture {
            kind,
            version: version.parse().unwrap(),
            bytes: (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
                .collect(),
        })
    };
    let found: Vec<Fixture> = FIXTURES.lines().filter_map(line).collect();
    assert!(!found.is_empty(), "no fixtures of {message}");
    found
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(version, &mut writer).unwrap();
    let size = writer.size();
    let bytes = writer.into_bytes();
    assert_eq!(bytes.len(), size);
    bytes
}

fn decode<M: Message>(version: i16, bytes: Bytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    let message = M::decode(version, &mut reader)?;
    assert_eq!(reader.left(), 0);
    Ok(message)
}

/// The number `MakeMessages.java` makes of a name.
fn hash(name: &str) -> i64 {
    let step = |sum: i64, byte: u8| (sum * 31 + i64::from(byte)) & 0x3fff_ffff;
    name.bytes().fold(7, step) | 0x10
}

/// Checks in the `Debug` text of a message that every field of its version has the value made of its
/// name, and so that no two fields of a table have changed places. Returns how many there were.
fn check_names(message: &str, debug: &str) -> usize {
    let mut field = "";
    let mut seen = 0;
    let mut rest = debug;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let length = match first {
            '"' => rest[1..].find('"').unwrap() + 2,
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        if rest.starts_with(": ") {
            field = word;
        } else if first == '"' {
            let text = word.trim_matches('"');
            assert!(
                text == field || text.is_empty(),
                "{message}.{field}: {text}"
            );
            seen += usize::from(text == field);
        } else if field != "topic_id"
            && field != "replica_directory_id"
            && word.parse::<i64>().is_ok()
        {
            let number: i64 = word.parse().unwrap();
            let hash = hash(field);
            let made = [hash << 20, hash, hash & 0x7fff, hash & 0x7f].contains(&number);
            // What a field has in a version without it.
            let default = [
                0,
                -1,
                1,
                -2,
                i64::from(i32::MIN),
                i64::from(i32::MAX),
                i64::MAX,
            ];
            assert!(
                made || default.contains(&number),
                "{message}.{field}: {number}"
            );
            seen += usize::from(made);
        }
    }
    seen
}

macro_rules! check {
    ($name:ident, $module:ident) => {{
        type M = crate::$module::$name;
        let mut versions = Vec::new();
        for Fixture {
            kind,
            version,
            bytes,
        } in fixtures(stringify!($name))
        {
            let what = format!("{} {kind} {version}", stringify!($name));
            let message: M = decode(version, bytes.clone()).expect(&what);
            assert_eq!(encode(&message, version), bytes, "{what}");
            match kind {
                "values" => {
                    // Records print as bytes, not by name.
                    let debug = format!("{message:?}").replace("b\"records\"", "");
                    let seen = check_names(stringify!($name), &debug);
                    // Some have no name or number in them.
                    let bare = stringify!($name).starts_with("ApiVersionsR")
                        || what == "DescribeClusterRequest values 0";
                    assert!(seen > 0 || bare, "{what}");
                    versions.push(version);
                }
                "defaults" => assert_eq!(encode(&M::default(), version), bytes, "{what}"),
                _ => {}
            }
            for cut in 0..bytes.len() {
                let result = M::decode(version, &mut Reader::new(bytes.slice(..cut)));
                assert!(result.is_err(), "{what} cut at {cut}: {result:?}");
            }
        }
        // Produce 0-2 have no table in Kafka either.
        assert_eq!(versions, M::VERSIONS.collect::<Vec<_>>());
    }};
}

#[test]
fn every_version_is_what_kafka_writes_and_no_cut_of_it_decodes() {
    for_each_message!(check);
}

#[test]
fn versions_out_of_range_are_refused_before_a_byte_is_read() {
    macro_rules! refused {
        ($name:ident, $module:ident) => {
            let (min, max) = <crate::$module::$name as Message>::VERSIONS.into_inner();
            for version in [i16::MIN, -1, min - 1, max + 1, i16::MAX] {
                let mut reader = Reader::new(Bytes::from_static(&[0; 64]));
                let result = crate::$module::$name::decode(version, &mut reader);
                assert!(matches!(
                    result,
                    Err(DecodeError::UnsupportedVersion { .. })
                ));
                assert_eq!(reader.left(), 64);
                let message = crate::$module::$name::default();
                assert!(message.encode(version, &mut Writer::new()).is_err());
            }
        };
    }
    for_each_message!(refused);
}
