//! Reads the lines of a fixture file.

use bytes::Bytes;

/// One line of a fixture file.
pub struct Fixture {
    pub case: &'static str,
    pub compression: &'static str,
    pub bytes: Bytes,
}

/// What Apache Kafka's own code wrote.
pub fn java() -> Vec<Fixture> {
    parse(include_str!("../fixtures/java.txt"))
}

/// What librdkafka wrote.
pub fn librdkafka() -> Vec<Fixture> {
    parse(include_str!("../fixtures/librdkafka.txt"))
}

fn parse(text: &'static str) -> Vec<Fixture> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [case, compression, hex] = words[..] else {
                panic!("three words a line: {line}");
            };
            Fixture {
                case,
                compression,
                bytes: hex
                    .as_bytes()
                    .chunks(2)
                    .map(|digits| {
                        u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
                    })
                    .collect(),
            }
        })
        .collect()
}
