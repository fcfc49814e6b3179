//! What is wrong with a produced batch is told apart, and sorted as Apache Kafka 4.3.1 sorts it.
//!
//! The codes in the tables are what such a broker answered to these very bytes (Produce version 8,
//! topic without settings).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

#[path = "cases/kafka.rs"]
mod kafka;

use bytes::Bytes;
use engine_codec::{
    Batch, BatchError, BatchErrorKind, BatchHeader, Compression, DeepLimits, HEADER_BYTES, Origin,
    RecordErrorReason, RecordFault, batches, crc, validate, validate_deep,
};
use engine_model::Timestamp;

const BASE_OFFSET: usize = 0;
const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

/// Five good records; see `cases/kafka.rs`.
fn good() -> Vec<u8> {
    kafka::build("mixed", Compression::None).unwrap().to_vec()
}

fn patch(mut batch: Vec<u8>, at: usize, field: &[u8]) -> Vec<u8> {
    batch[at..at + field.len()].copy_from_slice(field);
    batch
}

fn seal(batch: Vec<u8>) -> Vec<u8> {
    let crc = crc::crc32c(&batch[ATTRIBUTES..]);
    patch(batch, CRC, &crc.to_be_bytes())
}

fn with(fields: &[(usize, &[u8])]) -> Vec<u8> {
    seal(
        fields
            .iter()
            .fold(good(), |batch, (at, field)| patch(batch, *at, field)),
    )
}

/// What a broker on this crate would find: exactly one batch, valid, from a client.
fn accept(bytes: Vec<u8>) -> Result<Batch, BatchError> {
    let batch = Batch::parse(&Bytes::from(bytes))?;
    validate(&batch, Origin::Client)?;
    Ok(batch)
}

fn code(kind: BatchErrorKind) -> i16 {
    match kind {
        BatchErrorKind::Corrupt => 2,
        BatchErrorKind::TooLarge => 10,
        BatchErrorKind::InvalidTimestamp => 32,
        BatchErrorKind::UnsupportedCompression => 76,
        BatchErrorKind::UnsupportedMagic | BatchErrorKind::InvalidRecord => 87,
    }
}

fn cut(bytes: usize) -> Vec<u8> {
    let mut batch = good();
    batch.truncate(bytes);
    batch
}

#[test]
fn a_batch_that_is_wrong_gets_kafkas_answer() {
    let whole = good().len();
    let max = i32::MAX.to_be_bytes();
    let twice = [good(), good()].concat();
    let shorter = i32::try_from(whole - 13).unwrap().to_be_bytes();
    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<u8>, i16)> = vec![
        ("good", good(), 0),
        ("last byte missing", cut(whole - 1), 87),
        ("header cut", cut(40), 87),
        ("cut before the magic", cut(16), 87),
        ("nothing", cut(0), 87),
        ("two batches", twice, 87),
        ("magic 0", with(&[(MAGIC, &[0])]), 87),
        ("magic 1", with(&[(MAGIC, &[1])]), 87),
        ("magic 3", with(&[(MAGIC, &[3])]), 2),
        ("magic 255", with(&[(MAGIC, &[255])]), 2),
        ("length 48", with(&[(LENGTH, &48_i32.to_be_bytes())]), 2),
        ("length 13", with(&[(LENGTH, &13_i32.to_be_bytes())]), 2),
        ("length 0", with(&[(LENGTH, &[0; 4])]), 2),
        ("length -1", with(&[(LENGTH, &[0xff; 4])]), 2),
        ("length smallest", with(&[(LENGTH, &i32::MIN.to_be_bytes())]), 2),
        ("checksum", patch(good(), CRC, &[0; 4]), 2),
        ("checksum of another count", patch(good(), RECORD_COUNT, &[0xff; 4]), 2),
        ("checksum of another delta", patch(good(), LAST_OFFSET_DELTA, &[0xff; 4]), 2),
        ("base offset 5", with(&[(BASE_OFFSET, &5_i64.to_be_bytes())]), 87),
        ("base offset -1", with(&[(BASE_OFFSET, &[0xff; 8])]), 87),
        ("base offset too large", with(&[(BASE_OFFSET, &i64::MAX.to_be_bytes())]), 87),
        ("count 6", with(&[(RECORD_COUNT, &[0, 0, 0, 6])]), 87),
        ("count 4", with(&[(RECORD_COUNT, &[0, 0, 0, 4])]), 87),
        ("count 0", with(&[(RECORD_COUNT, &[0; 4])]), 87),
        ("count -1", with(&[(RECORD_COUNT, &[0xff; 4])]), 87),
        ("count largest", with(&[(RECORD_COUNT, &max)]), 87),
        ("count and delta largest",
            with(&[(RECORD_COUNT, &max), (LAST_OFFSET_DELTA, &(i32::MAX - 1).to_be_bytes())]), 87),
        ("delta -1", with(&[(LAST_OFFSET_DELTA, &[0xff; 4])]), 87),
        ("delta 9", with(&[(LAST_OFFSET_DELTA, &[0, 0, 0, 9])]), 87),
        ("control", with(&[(ATTRIBUTES, &[0, 0x20])]), 87),
        ("producer without sequence", with(&[(PRODUCER_ID, &9_i64.to_be_bytes())]), 87),
        ("no producer but epoch and sequence 0",
            with(&[(PRODUCER_EPOCH, &[0; 2]), (BASE_SEQUENCE, &[0; 4])]), 0),
        ("max timestamp -1", with(&[(MAX_TIMESTAMP, &[0xff; 8])]), 0),
        ("leader epoch 5", with(&[(LEADER_EPOCH, &[0, 0, 0, 5])]), 0),
        ("length one less", patch(good(), LENGTH, &shorter), 2),
    ];
    for (name, bytes, expected) in cases {
        let found = accept(bytes).map_or_else(|error| code(error.kind()), |_| 0);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_record_that_runs_over_the_end_shows_only_to_the_deep_check() {
    // Kafka, which always walks: 87.
    let whole = good().len();
    let shorter = i32::try_from(whole - 13).unwrap().to_be_bytes();
    let batch = accept(seal(patch(cut(whole - 1), LENGTH, &shorter))).unwrap();
    let error = validate_deep(&batch, &DeepLimits::new(1 << 20)).unwrap_err();
    assert_eq!(
        error,
        BatchError::Record {
            index: 4,
            fault: RecordFault::Truncated
        }
    );
    assert_eq!(code(error.kind()), 87);
}

/// Where this crate refuses what Kafka took (0) or stumbled over (-1, unknown server error).
#[test]
fn what_kafka_lets_pass_is_refused_where_it_would_be_stored_wrong() {
    let attributes = |bits: i16| with(&[(ATTRIBUTES, &bits.to_be_bytes())]);
    let id = 9_i64.to_be_bytes();
    let cases: Vec<(&str, Vec<u8>, BatchError)> = vec![
        (
            "a byte after the batch; Kafka drops it",
            [good(), vec![0]].concat(),
            BatchError::TrailingBytes { record_count: 5 },
        ),
        (
            "length largest; Kafka answers -1",
            with(&[(LENGTH, &i32::MAX.to_be_bytes())]),
            BatchError::Truncated {
                needed: 0x8000_000b,
                found: good().len(),
            },
        ),
        (
            "attribute bit 7",
            attributes(0x80),
            BatchError::UnknownAttributes { bits: 0x80 },
        ),
        (
            "attribute bit 15",
            attributes(i16::MIN),
            BatchError::UnknownAttributes { bits: i16::MIN },
        ),
        (
            "compression 5; Kafka answers -1",
            attributes(5),
            BatchError::UnknownCompression { id: 5 },
        ),
        (
            "compression 7; Kafka answers -1",
            attributes(7),
            BatchError::UnknownCompression { id: 7 },
        ),
        (
            "delete horizon",
            attributes(0x40),
            BatchError::DeleteHorizon,
        ),
        ("append time", attributes(8), BatchError::LogAppendTime),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(accept(bytes), Err(expected), "{name}");
    }
    for (name, bytes) in [
        (
            "producer id -5",
            with(&[(PRODUCER_ID, &(-5_i64).to_be_bytes())]),
        ),
        (
            "producer without epoch",
            with(&[(PRODUCER_ID, &id), (BASE_SEQUENCE, &[0; 4])]),
        ),
        // Kafka: 53, for its request named no transactional id.
        ("transaction without producer", attributes(0x10)),
    ] {
        let error = accept(bytes).unwrap_err();
        assert!(
            matches!(error, BatchError::InvalidProducer { .. }),
            "{name}"
        );
        assert_eq!(error.kind(), BatchErrorKind::InvalidRecord, "{name}");
    }
}

#[test]
fn errors_tell_their_numbers() {
    let whole = good().len();
    let cases: Vec<(Vec<u8>, BatchError)> = vec![
        (
            cut(3),
            BatchError::Truncated {
                needed: HEADER_BYTES,
                found: 3,
            },
        ),
        (
            cut(100),
            BatchError::Truncated {
                needed: whole,
                found: 100,
            },
        ),
        (
            patch(cut(17), MAGIC, &[1]),
            BatchError::UnsupportedMagic { magic: 1 },
        ),
        (
            with(&[(LENGTH, &[0, 0, 0, 48])]),
            BatchError::InvalidLength { length: 48 },
        ),
        (
            with(&[(BASE_OFFSET, &(i64::MAX - 4).to_be_bytes())]),
            BatchError::InvalidOffsetRange {
                base_offset: i64::MAX - 4,
                last_offset_delta: 4,
            },
        ),
        (
            with(&[(RECORD_COUNT, &[0, 0, 0, 4])]),
            BatchError::CountMismatch {
                record_count: 4,
                last_offset_delta: 4,
            },
        ),
        (
            with(&[(RECORD_COUNT, &[0, 1, 0, 0])]),
            BatchError::InvalidRecordCount {
                record_count: 0x1_0000,
                payload_bytes: whole - HEADER_BYTES,
            },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(accept(bytes), Err(expected));
    }
    let bytes = patch(good(), CRC, &[0; 4]);
    let stored = BatchHeader::parse(&good()).unwrap().crc;
    assert_eq!(
        accept(bytes),
        Err(BatchError::InvalidCrc {
            stored: 0,
            computed: stored
        })
    );
}

#[test]
fn a_walk_over_batches_ends_with_its_first_error() {
    let field = [good(), with(&[(MAGIC, &[1])]), good()].concat();
    let mut walk = batches(&Bytes::from(field));
    assert!(walk.next().is_some_and(|batch| batch.is_ok()));
    assert_eq!(
        walk.next(),
        Some(Err(BatchError::UnsupportedMagic { magic: 1 }))
    );
    assert_eq!(walk.next(), None);
    let field = [good(), cut(70)].concat();
    let found: Vec<_> = batches(&Bytes::from(field)).collect();
    assert_eq!(
        found[1],
        Err(BatchError::Truncated {
            needed: good().len(),
            found: 70
        })
    );
    assert_eq!(batches(&Bytes::new()).count(), 0);
}

#[test]
fn brokers_may_write_markers_and_replicas_hold_what_compaction_left() {
    let check = |case: &str, origin: Origin| {
        let batch = Batch::parse(&kafka::build(case, Compression::None).unwrap()).unwrap();
        validate(&batch, origin).is_ok()
    };
    // Case; from a client; from this broker; from a leader or a disk.
    for (case, expected) in [
        ("mixed", [true, true, true]),
        ("transactional", [true, true, true]),
        ("commit-marker", [false, true, true]),
        ("log-append-time", [false, false, true]),
        ("gaps", [false, false, true]),
        ("delete-horizon", [false, false, true]),
        ("empty", [false, false, true]),
    ] {
        let found = [Origin::Client, Origin::Internal, Origin::Replication]
            .map(|origin| check(case, origin));
        let expected = if case == "log-append-time" {
            // The broker's own batches may carry its time, at any offset.
            [false, true, true]
        } else {
            expected
        };
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn records_that_a_topic_does_not_take_are_listed() {
    for compression in Compression::ALL {
        let bytes = kafka::build("mixed", compression).unwrap();
        let batch = Batch::parse(&bytes).unwrap();
        let limits = DeepLimits {
            are_keys_required: true,
            timestamp_earliest: Timestamp(kafka::TIME),
            timestamp_latest: Timestamp(kafka::TIME + 4),
            ..DeepLimits::new(1 << 20)
        };
        let Err(BatchError::InvalidRecords { errors }) = validate_deep(&batch, &limits) else {
            panic!("records are refused");
        };
        let found: Vec<(i32, bool)> = errors
            .iter()
            .map(|e| (e.index, e.reason == RecordErrorReason::MissingKey))
            .collect();
        assert_eq!(found, [(1, true), (2, false), (3, false)], "{compression}");
        let report = validate_deep(&batch, &DeepLimits::new(1 << 20)).unwrap();
        assert_eq!(report.max_timestamp, Timestamp(kafka::TIME + 5));
        assert_eq!(report.max_timestamp_offset_delta, 1);
    }
}

#[test]
fn a_timestamp_that_does_not_add_up_is_refused_as_kafka_does() {
    // Kafka: 32, for its sum wraps.
    let batch = with(&[(BASE_TIMESTAMP, &i64::MIN.to_be_bytes())]);
    let batch = accept(batch).unwrap();
    let Err(error) = validate_deep(&batch, &DeepLimits::new(1 << 20)) else {
        panic!("refused");
    };
    assert_eq!(error.kind(), BatchErrorKind::InvalidTimestamp);
    let BatchError::InvalidRecords { errors } = error else {
        panic!("with a list");
    };
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].reason,
        RecordErrorReason::TimestampOverflow {
            base_timestamp: Timestamp(i64::MIN),
            timestamp_delta: -1_000
        }
    );
}
