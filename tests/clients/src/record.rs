//! A record as it is sent and as it is seen, and its form in the commands of the client programs.

use serde_json::{Value, json};

/// One record; compared whole, so that nothing a client was given may change.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset; not told to a producer.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers in order, duplicates kept.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// A record of partition 0 with a value only.
    pub fn of(value: impl Into<Vec<u8>>) -> Self {
        Self {
            partition: 0,
            offset: 0,
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    /// The same record in another partition.
    #[must_use]
    pub fn in_partition(self, partition: i32) -> Self {
        Self { partition, ..self }
    }

    /// The same record at another time.
    #[must_use]
    pub fn at(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    /// The same record with the offset it was given.
    #[must_use]
    pub fn with_offset(self, offset: i64) -> Self {
        Self { offset, ..self }
    }

    /// Its value as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    pub(crate) fn to_json(&self) -> Value {
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, content)| json!([name, content.as_deref().map(hex)]))
            .collect();
        json!({
            "partition": self.partition,
            "timestamp": self.timestamp,
            "key": self.key.as_deref().map(hex),
            "value": self.value.as_deref().map(hex),
            "headers": headers,
        })
    }

    pub(crate) fn from_json(seen: &Value) -> Self {
        let number = |name: &str| seen[name].as_i64().expect("a number");
        let headers = seen["headers"].as_array().expect("headers");
        Self {
            partition: i32::try_from(number("partition")).expect("a partition"),
            offset: number("offset"),
            timestamp: number("timestamp"),
            key: seen["key"].as_str().map(raw),
            value: seen["value"].as_str().map(raw),
            headers: headers
                .iter()
                .map(|header| {
                    let name = header[0].as_str().expect("the name of a header");
                    (name.to_owned(), header[1].as_str().map(raw))
                })
                .collect(),
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of 10 MiB are no help in a report.
        let short = |bytes: &Option<Vec<u8>>| {
            bytes
                .as_ref()
                .map(|b| (b.len(), hex(&b[..b.len().min(20)])))
        };
        f.debug_struct("Record")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &short(&self.key))
            .field("value", &short(&self.value))
            .field("headers", &self.headers)
            .finish()
    }
}

/// Bytes as hexadecimal text.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    String::from_utf8(text).expect("digits")
}

/// The bytes that hexadecimal text stands for.
fn raw(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => c - b'0',
        b'a'..=b'f' => c - b'a' + 10,
        _ => panic!("{c} is no hexadecimal digit"),
    };
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
