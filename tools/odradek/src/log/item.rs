//! What a dump consists of.
//!
//! The lines of batches and records are laid out as Kafka's `kafka-dump-log` does.

use crate::base64;
use crate::time;
use engine_codec::{Batch, Record, TimestampType};
use serde::Serialize;
use std::fmt::Write;

/// Bytes as text, or in base64 where they are no UTF-8.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Bytes { base64: String },
}

impl Content {
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                base64: base64::encode(bytes),
            },
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bytes { base64 } => format!("base64:{base64}"),
        }
    }
}

/// A header of a record.
#[derive(Serialize)]
pub struct HeaderItem {
    pub key: Content,
    pub value: Option<Content>,
}

/// One thing found.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    Current {
        directory_id: String,
        run: u64,
        clean: bool,
        lanes: usize,
    },
    Lane {
        lane: u16,
        file: String,
        bytes: u64,
    },
    Manifest {
        lane: u16,
        file: String,
        number: u64,
        run: u64,
        sequence: u64,
        logs: u32,
    },
    Log {
        log: String,
        topic: Option<String>,
        topic_id: String,
        partition: i32,
        generation: u32,
        quarantined: bool,
        start_offset: i64,
        end_offset: i64,
        segments: usize,
        lane_batches: usize,
    },
    Segment {
        file: String,
        log: Option<String>,
        base_offset: Option<i64>,
        end_offset: Option<i64>,
        bytes: u64,
        sealed: Option<bool>,
    },
    Extent {
        position: u64,
        bytes: usize,
        holds: &'static str,
        first_offset: i64,
        last_offset: i64,
        count: u32,
        checked: bool,
    },
    Frame {
        position: u64,
        bytes: usize,
        run: u64,
        sequence: u64,
        durable_sequence: u64,
        entries: u32,
        verdict: &'static str,
    },
    Entry {
        entry: &'static str,
        log: String,
        generation: u32,
        first_offset: i64,
        last_offset: i64,
        bytes: u32,
    },
    Batch(BatchItem),
    Record(RecordItem),
    MetadataRecord {
        offset: i64,
        record: String,
    },
    Damage {
        file: String,
        position: u64,
        what: String,
    },
}

/// A record batch.
#[derive(Serialize)]
pub struct BatchItem {
    base_offset: i64,
    last_offset: i64,
    count: i32,
    base_sequence: i32,
    last_sequence: i32,
    producer_id: i64,
    producer_epoch: i16,
    partition_leader_epoch: i32,
    is_transactional: bool,
    is_control: bool,
    position: u64,
    timestamp_type: &'static str,
    max_timestamp: Option<String>,
    #[serde(skip)]
    max_timestamp_ms: i64,
    bytes: usize,
    magic: i8,
    codec: String,
    crc: u32,
    valid: bool,
}

/// A record.
#[derive(Serialize)]
pub struct RecordItem {
    offset: i64,
    timestamp: Option<String>,
    #[serde(skip)]
    timestamp_ms: i64,
    timestamp_type: &'static str,
    sequence: i32,
    key_bytes: i64,
    value_bytes: i64,
    key: Option<Content>,
    value: Option<Content>,
    headers: Vec<HeaderItem>,
}

const fn type_name(timestamp_type: TimestampType) -> &'static str {
    match timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

impl BatchItem {
    /// `valid`: its checksum is right.
    pub fn new(batch: &Batch, position: u64, valid: bool) -> Self {
        let header = batch.header();
        let codec = header.attributes.compression();
        Self {
            base_offset: header.base_offset.get(),
            last_offset: header.last_offset().get(),
            count: header.record_count,
            base_sequence: header.base_sequence.get(),
            last_sequence: if header.has_producer_id() {
                header.last_sequence().get()
            } else {
                -1
            },
            producer_id: header.producer_id.0,
            producer_epoch: header.producer_epoch.get(),
            partition_leader_epoch: header.partition_leader_epoch.get(),
            is_transactional: header.attributes.is_transactional(),
            is_control: header.attributes.is_control(),
            position,
            timestamp_type: type_name(header.attributes.timestamp_type()),
            max_timestamp: time::of_record(header.max_timestamp.0),
            max_timestamp_ms: header.max_timestamp.0,
            bytes: batch.bytes().len(),
            magic: header.magic,
            codec: codec.map_or("unknown".to_owned(), |codec| codec.name().to_owned()),
            crc: header.crc,
            valid,
        }
    }
}

impl RecordItem {
    pub fn new(batch: &Batch, record: &Record) -> Self {
        let header = batch.header();
        let length = |bytes: Option<&bytes::Bytes>| {
            bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
        };
        let timestamp_ms = header.record_timestamp(record.timestamp_delta).0;
        let sequence = if header.has_producer_id() {
            header.base_sequence.wrapping_add(record.offset_delta).get()
        } else {
            -1
        };
        Self {
            offset: header.record_offset(record.offset_delta).get(),
            timestamp: time::of_record(timestamp_ms),
            timestamp_ms,
            timestamp_type: type_name(header.attributes.timestamp_type()),
            sequence,
            key_bytes: length(record.key.as_ref()),
            value_bytes: length(record.value.as_ref()),
            key: record.key.as_deref().map(Content::of),
            value: record.value.as_deref().map(Content::of),
            headers: record
                .headers
                .iter()
                .map(|(key, value)| HeaderItem {
                    key: Content::of(key),
                    value: value.as_deref().map(Content::of),
                })
                .collect(),
        }
    }
}

impl Item {
    /// How far the line is set in.
    pub const fn depth(&self) -> usize {
        match self {
            Self::Current { .. } | Self::Log { .. } | Self::Lane { .. } | Self::Damage { .. } => 0,
            Self::Manifest { .. } | Self::Segment { .. } | Self::Frame { .. } => 1,
            Self::Extent { .. } | Self::Entry { .. } | Self::Batch(_) => 2,
            Self::Record(_) | Self::MetadataRecord { .. } => 3,
        }
    }

    /// The line for people.
    pub fn text(&self) -> String {
        match self {
            Self::Current {
                directory_id,
                run,
                clean,
                lanes,
            } => format!(
                "CURRENT directory: {directory_id} run: {run} clean: {clean} lanes: {lanes}"
            ),
            Self::Lane { lane, file, bytes } => format!("lane {lane} file: {file} bytes: {bytes}"),
            Self::Manifest {
                lane,
                file,
                number,
                run,
                sequence,
                logs,
            } => format!(
                "manifest {number} lane: {lane} file: {file} run: {run} sequence: {sequence} logs: {logs}"
            ),
            Self::Log {
                log,
                topic,
                topic_id,
                partition,
                generation,
                quarantined,
                start_offset,
                end_offset,
                segments,
                lane_batches,
            } => {
                let topic = topic.as_deref().unwrap_or("?");
                let mark = if *quarantined { " QUARANTINED" } else { "" };
                format!(
                    "log {log} topic: {topic} ({topic_id}) partition: {partition} generation: {generation} \
                     offsets: {start_offset}..{end_offset} segments: {segments} lane batches: {lane_batches}{mark}"
                )
            }
            Self::Segment {
                file,
                log,
                base_offset,
                end_offset,
                bytes,
                ..
            } => {
                let mut line = format!("segment {file} bytes: {bytes}");
                if let Some(log) = log {
                    let _ = write!(line, " log: {log}");
                }
                if let (Some(base), Some(end)) = (base_offset, end_offset) {
                    let _ = write!(line, " offsets: {base}..{end}");
                }
                line
            }
            Self::Extent {
                position,
                bytes,
                holds,
                first_offset,
                last_offset,
                count,
                checked,
            } => {
                let mark = if *checked { "" } else { " unchecked" };
                format!(
                    "extent position: {position} bytes: {bytes} holds: {holds} offsets: {first_offset}..={last_offset} count: {count}{mark}"
                )
            }
            Self::Frame {
                position,
                bytes,
                run,
                sequence,
                durable_sequence,
                entries,
                verdict,
            } => format!(
                "frame {sequence} position: {position} bytes: {bytes} run: {run} durable: {durable_sequence} entries: {entries} {verdict}"
            ),
            Self::Entry {
                entry,
                log,
                generation,
                first_offset,
                last_offset,
                bytes,
            } => format!(
                "{entry} log: {log} generation: {generation} first: {first_offset} last: {last_offset} bytes: {bytes}"
            ),
            Self::Batch(batch) => batch.text(),
            Self::Record(record) => record.text(),
            Self::MetadataRecord { offset, record } => format!("| offset: {offset} {record}"),
            Self::Damage {
                file,
                position,
                what,
            } => format!("DAMAGED {file} at {position}: {what}"),
        }
    }
}

impl BatchItem {
    fn text(&self) -> String {
        format!(
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
             producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} \
             deleteHorizonMs: OptionalLong.empty position: {} {}: {} size: {} magic: {} \
             compresscodec: {} crc: {} isvalid: {}",
            self.base_offset,
            self.last_offset,
            self.count,
            self.base_sequence,
            self.last_sequence,
            self.producer_id,
            self.producer_epoch,
            self.partition_leader_epoch,
            self.is_transactional,
            self.is_control,
            self.position,
            self.timestamp_type,
            self.max_timestamp_ms,
            self.bytes,
            self.magic,
            self.codec,
            self.crc,
            self.valid
        )
    }
}

impl RecordItem {
    fn text(&self) -> String {
        let headers: Vec<String> = self.headers.iter().map(|h| h.key.text()).collect();
        let mut line = format!(
            "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
            self.offset,
            self.timestamp_type,
            self.timestamp_ms,
            self.key_bytes,
            self.value_bytes,
            self.sequence,
            headers.join(",")
        );
        if let Some(key) = &self.key {
            let _ = write!(line, " key: {}", key.text());
        }
        if let Some(value) = &self.value {
            let _ = write!(line, " payload: {}", value.text());
        }
        line
    }
}
