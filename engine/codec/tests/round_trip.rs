//! What the builder writes, the reader reads: any records, any compression.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use bytes::Bytes;
use engine_codec::{
    Batch, BatchBuilder, BatchOptions, Compression, DeepLimits, Origin, Record, RecordData,
    batches, recompress, validate, validate_deep,
};
use engine_model::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use proptest::prelude::*;

const OUTPUT_MAX: usize = 1 << 24;

/// A record as a test makes it up.
#[derive(Clone, Debug)]
struct Made {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0..3000_usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

fn any_record() -> impl Strategy<Value = Made> {
    (
        prop_oneof![Just(-1_i64), 0..2_000_000_000_000_i64],
        proptest::option::of(any_bytes()),
        proptest::option::of(any_bytes()),
        proptest::collection::vec((any_bytes(), proptest::option::of(any_bytes())), 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| Made {
            timestamp,
            key,
            value,
            headers,
        })
}

fn any_compression() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

fn build(options: BatchOptions, records: &[Made]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for made in records {
        let headers: Vec<_> = made
            .headers
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()))
            .collect();
        let has_room = builder
            .append(&RecordData {
                timestamp: Timestamp(made.timestamp),
                key: made.key.as_deref(),
                value: made.value.as_deref(),
                headers: &headers,
            })
            .unwrap();
        assert!(has_room);
    }
    builder.build().unwrap()
}

fn assert_same(batch: &Batch, made: &[Made]) {
    let read: Vec<Record> = batch.records(OUTPUT_MAX).map(Result::unwrap).collect();
    assert_eq!(read.len(), made.len());
    for (index, (read, made)) in read.iter().zip(made).enumerate() {
        assert_eq!(usize::try_from(read.offset_delta).unwrap(), index);
        let timestamp = batch.header().record_timestamp(read.timestamp_delta);
        assert_eq!(timestamp, Timestamp(made.timestamp));
        assert_eq!(read.key.as_deref(), made.key.as_deref());
        assert_eq!(read.value.as_deref(), made.value.as_deref());
        let headers: Vec<_> = read
            .headers
            .iter()
            .map(|(key, value)| (key.to_vec(), value.as_ref().map(|v| v.to_vec())))
            .collect();
        assert_eq!(headers, made.headers);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_record_reads_back(
        records in proptest::collection::vec(any_record(), 1..20),
        compression in any_compression(),
    ) {
        let options = BatchOptions {
            compression,
            producer_id: ProducerId(77),
            producer_epoch: ProducerEpoch::new(3),
            base_sequence: Sequence::new(i32::MAX),
            ..BatchOptions::default()
        };
        let bytes = build(options, &records);
        let batch = Batch::parse(&bytes).unwrap();
        validate(&batch, Origin::Client).unwrap();
        let report = validate_deep(&batch, &DeepLimits::new(OUTPUT_MAX)).unwrap();
        prop_assert_eq!(report.max_timestamp.0, records.iter().map(|r| r.timestamp).max().unwrap());
        prop_assert_eq!(report.max_timestamp, batch.header().max_timestamp);
        assert_same(&batch, &records);
    }

    #[test]
    fn another_compression_changes_nothing_but_itself(
        records in proptest::collection::vec(any_record(), 1..20),
        from in any_compression(),
        to in any_compression(),
    ) {
        let options = BatchOptions {
            compression: from,
            base_offset: Offset::new(1_000_000),
            producer_id: ProducerId(77),
            producer_epoch: ProducerEpoch::new(3),
            base_sequence: Sequence::new(12),
            is_transactional: true,
            ..BatchOptions::default()
        };
        let batch = Batch::parse(&build(options, &records)).unwrap();
        let (bytes, _) = recompress(&batch, to, None, &DeepLimits::new(OUTPUT_MAX)).unwrap();
        let again = Batch::parse(&bytes).unwrap();
        validate(&again, Origin::Internal).unwrap();
        assert_same(&again, &records);
        let mut expected = *batch.header();
        expected.length = again.header().length;
        expected.crc = again.header().crc;
        expected.attributes = expected.attributes.with_compression(to);
        prop_assert_eq!(again.header(), &expected);
        let direct = build(BatchOptions { compression: to, ..options }, &records);
        prop_assert_eq!(again.bytes(), &direct);
    }

    #[test]
    fn batches_of_one_field_come_apart_as_they_were_put_together(
        fields in proptest::collection::vec(
            (proptest::collection::vec(any_record(), 1..4), any_compression()), 0..5),
    ) {
        let mut joined = Vec::new();
        let mut expected = Vec::new();
        for (records, compression) in &fields {
            let bytes = build(
                BatchOptions { compression: *compression, ..BatchOptions::default() },
                records,
            );
            joined.extend_from_slice(&bytes);
            expected.push(bytes);
        }
        let found: Vec<Bytes> = batches(&Bytes::from(joined))
            .map(|batch| batch.unwrap().into_bytes())
            .collect();
        prop_assert_eq!(found, expected);
    }
}
