//! Batches that Apache Kafka and librdkafka wrote are read as they meant them, and what the builder
//! writes uncompressed has Kafka's bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code: a failure is the report"
)]

#[path = "cases/fixtures.rs"]
mod fixtures;
#[path = "cases/kafka.rs"]
mod kafka;

use bytes::Bytes;
use engine_codec::{
    Batch, BatchHeader, Compression, DeepLimits, Origin, Record, TimestampType, batches,
    recompress, validate, validate_deep,
};
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use kafka::TIME;

const OUTPUT_MAX: usize = 1 << 20;

fn compression_of(name: &str) -> Compression {
    Compression::from_name(name.trim_end_matches("-22")).unwrap()
}

fn limits() -> DeepLimits {
    DeepLimits {
        are_gaps_allowed: true,
        ..DeepLimits::new(OUTPUT_MAX)
    }
}

/// The header that Kafka's `DefaultRecordBatch` shows for a case (printed by its accessors), without
/// length and checksum.
fn expected_header(case: &str, compression: Compression) -> BatchHeader {
    let plain = BatchHeader {
        base_offset: Offset::ZERO,
        length: 0,
        partition_leader_epoch: LeaderEpoch::NONE,
        magic: 2,
        crc: 0,
        attributes: engine_codec::Attributes::new(compression.id()),
        last_offset_delta: 4,
        base_timestamp: Timestamp(TIME),
        max_timestamp: Timestamp(TIME + 5),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: Sequence::NONE,
        record_count: 5,
    };
    let idempotent = BatchHeader {
        producer_id: ProducerId(4711),
        producer_epoch: ProducerEpoch::new(7),
        base_sequence: Sequence::new(i32::MAX - 1),
        ..plain
    };
    let compacted = BatchHeader {
        base_offset: Offset::new(100),
        partition_leader_epoch: LeaderEpoch::new(9),
        ..plain
    };
    match case {
        "mixed" => plain,
        "no-timestamp" => BatchHeader {
            last_offset_delta: 0,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            record_count: 1,
            ..plain
        },
        "idempotent" => idempotent,
        "transactional" => BatchHeader {
            attributes: plain.attributes.with_transactional(true),
            base_sequence: Sequence::ZERO,
            ..idempotent
        },
        "log-append-time" => BatchHeader {
            base_offset: Offset::new(42),
            partition_leader_epoch: LeaderEpoch::new(5),
            attributes: plain
                .attributes
                .with_timestamp_type(TimestampType::LogAppendTime),
            max_timestamp: Timestamp(TIME + 1_234),
            ..plain
        },
        "gaps" => BatchHeader {
            last_offset_delta: 20,
            max_timestamp: Timestamp(TIME + 2),
            record_count: 3,
            ..compacted
        },
        "delete-horizon" => BatchHeader {
            attributes: plain.attributes.with_delete_horizon(true),
            last_offset_delta: 3,
            base_timestamp: Timestamp(TIME + 99_999),
            max_timestamp: Timestamp(TIME + 1),
            record_count: 2,
            ..compacted
        },
        "large" => BatchHeader {
            last_offset_delta: 1,
            max_timestamp: Timestamp(TIME),
            record_count: 2,
            ..plain
        },
        "commit-marker" => BatchHeader {
            attributes: plain.attributes.with_transactional(true).with_control(true),
            base_sequence: Sequence::NONE,
            last_offset_delta: 0,
            max_timestamp: Timestamp(TIME),
            record_count: 1,
            ..idempotent
        },
        "empty" => BatchHeader {
            base_offset: Offset::new(500),
            partition_leader_epoch: LeaderEpoch::new(9),
            base_sequence: Sequence::new(12),
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp(TIME),
            record_count: 0,
            ..idempotent
        },
        other => panic!("no header for {other}"),
    }
}

fn assert_records(batch: &Batch, case: &str) {
    let records: Vec<Record> = batch.records(OUTPUT_MAX).map(Result::unwrap).collect();
    let expected = kafka::records(case);
    assert_eq!(records.len(), expected.len(), "{case}");
    let is_moved = case == "log-append-time";
    for (record, (offset, timestamp, key, value, headers)) in records.iter().zip(expected) {
        let header = batch.header();
        let (offset, timestamp) = if is_moved {
            (offset + 42, TIME + 1_234)
        } else {
            (offset, timestamp)
        };
        assert_eq!(
            header.record_offset(record.offset_delta),
            Offset::new(offset)
        );
        assert_eq!(
            header.record_timestamp(record.timestamp_delta),
            Timestamp(timestamp)
        );
        assert_eq!(record.key.as_deref(), key);
        assert_eq!(record.value.as_deref(), value);
        let found: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()))
            .collect();
        assert_eq!(found, headers, "{case}");
    }
}

#[test]
fn what_kafka_wrote_is_read_as_kafka_reads_it() {
    let fixtures = fixtures::java();
    assert_eq!(fixtures.len(), 42);
    for fixture in fixtures {
        let name = format!("{} {}", fixture.case, fixture.compression);
        let batch = Batch::parse(&fixture.bytes).unwrap();
        let compression = compression_of(fixture.compression);
        let expected = BatchHeader {
            length: batch.header().length,
            crc: batch.header().crc,
            ..expected_header(fixture.case, compression)
        };
        assert_eq!(batch.header(), &expected, "{name}");
        assert_eq!(batch.header().total_bytes(), fixture.bytes.len(), "{name}");
        validate(&batch, Origin::Replication).unwrap();
        assert_records(&batch, fixture.case);
        validate_deep(&batch, &limits()).unwrap();
    }
}

#[test]
fn what_kafka_producers_write_is_accepted_from_clients() {
    for fixture in fixtures::java() {
        let batch = Batch::parse(&fixture.bytes).unwrap();
        let is_produced = matches!(
            fixture.case,
            "mixed" | "no-timestamp" | "idempotent" | "transactional" | "large"
        );
        assert_eq!(
            validate(&batch, Origin::Client).is_ok(),
            is_produced,
            "{} {}",
            fixture.case,
            fixture.compression
        );
    }
}

#[test]
fn the_builder_writes_kafkas_bytes() {
    let mut compared = 0;
    for fixture in fixtures::java() {
        if fixture.compression == "none" {
            let built = kafka::build(fixture.case, Compression::None).unwrap();
            assert_eq!(built, fixture.bytes, "{}", fixture.case);
            compared += 1;
        }
    }
    assert_eq!(compared, 9, "every case but the large one");
}

#[test]
fn batches_that_kafka_compressed_become_its_uncompressed_ones() {
    let mut compared = 0;
    for fixture in fixtures::java() {
        let batch = Batch::parse(&fixture.bytes).unwrap();
        let (plain, _) = recompress(&batch, Compression::None, None, &limits()).unwrap();
        let built = kafka::build(fixture.case, Compression::None).unwrap();
        assert_eq!(plain, built, "{} {}", fixture.case, fixture.compression);
        compared += 1;
    }
    assert_eq!(compared, 42);
}

#[test]
fn a_records_field_of_many_batches_is_walked_to_its_end() {
    let fixtures = fixtures::java();
    let joined: Bytes = fixtures.iter().flat_map(|f| f.bytes.to_vec()).collect();
    let found: Vec<Bytes> = batches(&joined).map(|b| b.unwrap().into_bytes()).collect();
    let expected: Vec<Bytes> = fixtures.into_iter().map(|f| f.bytes).collect();
    assert_eq!(found, expected);
    for batch in &found {
        let range = joined.as_ptr_range();
        assert!(range.contains(&batch.as_ptr()), "a slice, not a copy");
    }
}

#[test]
fn what_librdkafka_wrote_is_read() {
    let fixtures = fixtures::librdkafka();
    assert_eq!(fixtures.len(), 7);
    for fixture in fixtures {
        let batch = Batch::parse(&fixture.bytes).unwrap();
        validate(&batch, Origin::Client).unwrap();
        validate_deep(&batch, &DeepLimits::new(OUTPUT_MAX)).unwrap();
        assert_eq!(
            batch.header().attributes.compression(),
            Some(compression_of(fixture.compression))
        );
        let records: Vec<Record> = batch.records(OUTPUT_MAX).map(Result::unwrap).collect();
        if fixture.case == "large" {
            let value: Vec<u8> = (0..150_000_u32).map(|i| (97 + i % 23) as u8).collect();
            assert_eq!(records.len(), 2);
            assert_eq!(records[0].key.as_deref(), Some(&b"large"[..]));
            assert!(records[0].value.as_deref() == Some(&value[..]));
            assert_eq!(records[1].value.as_deref(), Some(&b"after"[..]));
            continue;
        }
        let values = [b"value-0".to_vec(), vec![b'a'; 116], vec![b'b'; 116]];
        assert_eq!(records.len(), values.len());
        for (index, (record, value)) in records.iter().zip(values).enumerate() {
            assert_eq!(record.key, Some(Bytes::from(format!("key-{index}"))));
            assert_eq!(record.value, Some(Bytes::from(value)));
            let headers = [("h", Some("1")), ("h", Some("2")), ("n", None)]
                .map(|(key, value)| (Bytes::from(key), value.map(Bytes::from)));
            assert_eq!(record.headers, headers);
        }
    }
}

#[test]
fn stamping_an_append_time_gives_what_kafka_gives() {
    for fixture in fixtures::java() {
        if fixture.case != "log-append-time" {
            continue;
        }
        let produced = fixtures::java()
            .into_iter()
            .find(|f| f.case == "mixed" && f.compression == fixture.compression)
            .unwrap();
        let mut bytes = produced.bytes.to_vec();
        engine_codec::set_broker_fields(&mut bytes, Offset::new(42), LeaderEpoch::new(5)).unwrap();
        engine_codec::stamp_log_append_time(&mut bytes, Timestamp(TIME + 1_234)).unwrap();
        assert_eq!(bytes, fixture.bytes, "{}", fixture.compression);
    }
}
