//! The batches of `fixtures/KafkaBatches.java`, built by this crate.
//!
//! The same cases with the same content stand in both; change them together.

use bytes::Bytes;
use engine_codec::{
    BatchBuilder, BatchOptions, BuildError, Compression, RecordData, empty_batch,
    set_broker_fields, stamp_log_append_time,
};
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::sync::LazyLock;

/// The time that all cases count from.
pub const TIME: i64 = 1_700_000_000_000;

/// Borrowed headers of a record.
pub type Headers = &'static [(&'static [u8], Option<&'static [u8]>)];

/// One record of a case: offset, timestamp, key, value, headers.
pub type CaseRecord = (
    i64,
    i64,
    Option<&'static [u8]>,
    Option<&'static [u8]>,
    Headers,
);

/// 150,000 bytes that compress well and do not fit one block of snappy or lz4.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=250).cycle().take(150_000).collect());

const MIXED: &[CaseRecord] = &[
    (0, TIME, Some(b"key-0"), Some(b"value-0"), &[]),
    (
        1,
        TIME + 5,
        None,
        Some(b"v"),
        &[
            (b"h", Some(b"1")),
            (b"h", Some(b"2")),
            (b"h", None),
            (b"", Some(b"")),
        ],
    ),
    (2, TIME - 1_000, Some(&[0xff, 0xfe, 0]), None, &[]),
    (3, TIME + 5, Some(b""), Some(b""), &[]),
    (4, TIME + 1, Some(b"k"), Some(&[b'a'; 200]), &[]),
];

const GAPS: &[CaseRecord] = &[
    (101, TIME, Some(b"a"), Some(b"1"), &[]),
    (103, TIME + 1, Some(b"b"), Some(b"2"), &[]),
    (109, TIME + 2, Some(b"c"), Some(b"3"), &[]),
];

const DELETE_HORIZON: &[CaseRecord] = &[
    (100, TIME, Some(b"a"), None, &[]),
    (103, TIME + 1, Some(b"b"), Some(b"2"), &[]),
];

/// Version 0, type 1 (commit); version 0, coordinator epoch 3.
const COMMIT_MARKER: &[CaseRecord] =
    &[(0, TIME, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 3]), &[])];

/// The records of a case, with offsets before the broker moves them.
pub fn records(case: &str) -> Vec<CaseRecord> {
    match case {
        "no-timestamp" => vec![(0, -1, Some(b"k"), Some(b"v"), &[])],
        "gaps" => GAPS.to_vec(),
        "delete-horizon" => DELETE_HORIZON.to_vec(),
        "large" => vec![
            (0, TIME, Some(b"large"), Some(&LARGE), &[]),
            (1, TIME, Some(b"small"), Some(b"after"), &[]),
        ],
        "commit-marker" => COMMIT_MARKER.to_vec(),
        "empty" => Vec::new(),
        _ => MIXED.to_vec(),
    }
}

/// What the case says besides its records.
fn options(case: &str, compression: Compression) -> BatchOptions {
    let plain = BatchOptions {
        compression,
        ..BatchOptions::default()
    };
    let idempotent = BatchOptions {
        producer_id: ProducerId(4711),
        producer_epoch: ProducerEpoch::new(7),
        base_sequence: Sequence::new(i32::MAX - 1),
        ..plain
    };
    let compacted = BatchOptions {
        base_offset: Offset::new(100),
        partition_leader_epoch: LeaderEpoch::new(9),
        ..plain
    };
    match case {
        "idempotent" => idempotent,
        "transactional" => BatchOptions {
            base_sequence: Sequence::ZERO,
            is_transactional: true,
            ..idempotent
        },
        "commit-marker" => BatchOptions {
            base_sequence: Sequence::NONE,
            is_transactional: true,
            is_control: true,
            ..idempotent
        },
        "gaps" => compacted,
        "delete-horizon" => BatchOptions {
            delete_horizon: Some(Timestamp(TIME + 99_999)),
            ..compacted
        },
        "empty" => BatchOptions {
            base_offset: Offset::new(500),
            partition_leader_epoch: LeaderEpoch::new(9),
            base_sequence: Sequence::new(12),
            ..idempotent
        },
        _ => plain,
    }
}

/// Builds a case.
pub fn build(case: &str, compression: Compression) -> Result<Bytes, BuildError> {
    let mut builder = BatchBuilder::new(options(case, compression));
    if case == "empty" {
        // A batch that had five records, before compaction took them.
        for offset in 500..505 {
            builder.append_at(
                Offset::new(offset),
                &RecordData {
                    timestamp: Timestamp(TIME),
                    ..RecordData::default()
                },
            )?;
        }
        let full = builder.build()?;
        return empty_batch(&engine_codec::BatchHeader::parse(&full)?);
    }
    for (offset, timestamp, key, value, headers) in records(case) {
        builder.append_at(
            Offset::new(offset),
            &RecordData {
                timestamp: Timestamp(timestamp),
                key,
                value,
                headers,
            },
        )?;
    }
    if case == "gaps" {
        builder.end_at(Offset::new(120))?;
    }
    let batch = builder.build()?;
    if case != "log-append-time" {
        return Ok(batch);
    }
    let mut batch = batch.to_vec();
    set_broker_fields(&mut batch, Offset::new(42), LeaderEpoch::new(5))?;
    stamp_log_append_time(&mut batch, Timestamp(TIME + 1_234))?;
    Ok(batch.into())
}
