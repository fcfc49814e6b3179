//! The builder's edges, and which record a timestamp leads to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use bytes::Bytes;
use engine_codec::{
    Batch, BatchBuilder, BatchError, BatchOptions, BuildError, Compression, DeepLimits,
    HEADER_BYTES, Origin, RecordData, TimestampType, TimestampedOffset, first_at_or_after,
    latest_record, recompress, stamp_log_append_time, stamp_max_timestamp, validate, validate_deep,
};
use engine_model::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use proptest::prelude::*;

const OUTPUT_MAX: usize = 1 << 20;

fn at(timestamp: i64) -> RecordData<'static> {
    RecordData {
        timestamp: Timestamp(timestamp),
        value: Some(b"0123456789"),
        ..RecordData::default()
    }
}

fn batch_of(timestamps: &[i64], compression: Compression) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        base_offset: Offset::new(1_000),
        ..BatchOptions::default()
    });
    for timestamp in timestamps {
        assert_eq!(builder.append(&at(*timestamp)), Ok(true));
    }
    Batch::parse(&builder.build().unwrap()).unwrap()
}

#[test]
fn a_full_batch_takes_no_more_and_is_as_large_as_it_said() {
    // Kafka's size of such a record: attributes, timestamp delta, offset delta, null key, value of
    // 10 with its size, header count: 16, and the size of that.
    let record_bytes = 17;
    for records in 1..5 {
        let bytes_max = HEADER_BYTES + records * record_bytes;
        let mut builder = BatchBuilder::new(BatchOptions {
            bytes_max,
            ..BatchOptions::default()
        });
        for _ in 0..records {
            assert_eq!(builder.append(&at(5)), Ok(true));
        }
        assert_eq!(builder.bytes(), bytes_max);
        assert_eq!(builder.append(&at(5)), Ok(false));
        assert_eq!(builder.bytes(), bytes_max, "nothing was taken");
        assert_eq!(builder.record_count(), i32::try_from(records).unwrap());
        assert_eq!(builder.build().unwrap().len(), bytes_max);
    }
}

#[test]
fn the_first_record_always_has_room() {
    let mut builder = BatchBuilder::new(BatchOptions {
        bytes_max: 0,
        ..BatchOptions::default()
    });
    assert!(builder.is_empty());
    assert_eq!(builder.append(&at(5)), Ok(true));
    assert_eq!(builder.append(&at(5)), Ok(false));
}

#[test]
fn offsets_only_rise() {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(100),
        ..BatchOptions::default()
    });
    let refused = |offset, last_offset| {
        Err(BuildError::OffsetOutOfOrder {
            offset,
            last_offset,
            base_offset: 100,
        })
    };
    assert_eq!(builder.append_at(Offset::new(99), &at(1)), refused(99, 99));
    assert_eq!(builder.append_at(Offset::new(105), &at(1)), Ok(true));
    assert_eq!(
        builder.append_at(Offset::new(105), &at(1)),
        refused(105, 105)
    );
    assert_eq!(builder.append(&at(1)), Ok(true));
    let too_far = 100 + (1_i64 << 31);
    assert_eq!(
        builder.append_at(Offset::new(too_far), &at(1)),
        refused(too_far, 106)
    );
    assert_eq!(
        builder.append_at(Offset::new(i64::MIN), &at(1)),
        refused(i64::MIN, 106)
    );
    assert!(builder.end_at(Offset::new(105)).is_err());
    assert!(builder.end_at(Offset::new(110)).is_ok());
    let batch = Batch::parse(&builder.build().unwrap()).unwrap();
    assert_eq!(batch.header().last_offset(), Offset::new(110));
    assert_eq!(batch.header().next_offset(), Offset::new(111));
    assert_eq!(batch.header().record_count, 2);
    assert_eq!(validate(&batch, Origin::Replication), Ok(()));
}

#[test]
fn a_batch_without_records_needs_an_end() {
    let builder = BatchBuilder::new(BatchOptions::default());
    assert!(matches!(
        builder.build(),
        Err(BuildError::Batch(BatchError::InvalidRecordCount { .. }))
    ));
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: Compression::Gzip,
        base_offset: Offset::new(7),
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch::ZERO,
        base_sequence: Sequence::ZERO,
        ..BatchOptions::default()
    });
    builder.end_at(Offset::new(9)).unwrap();
    let batch = Batch::parse(&builder.build().unwrap()).unwrap();
    assert_eq!(batch.bytes().len(), HEADER_BYTES);
    assert_eq!(validate(&batch, Origin::Replication), Ok(()));
    assert_eq!(batch.records(0).count(), 0);
    assert_eq!(latest_record(&batch, 0), Ok(None));
    let limits = DeepLimits::new(0);
    let (same, _) = recompress(&batch, Compression::Zstd, None, &limits).unwrap();
    assert_eq!(&same, batch.bytes());
}

#[test]
fn timestamps_too_far_apart_are_refused() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    assert_eq!(builder.append(&at(i64::MIN)), Ok(true));
    assert_eq!(
        builder.append(&at(0)),
        Err(BuildError::TimestampOutOfRange {
            timestamp: Timestamp(0),
            base_timestamp: Timestamp(i64::MIN)
        })
    );
    assert_eq!(builder.append(&at(-1)), Ok(true));
    let batch = Batch::parse(&builder.build().unwrap()).unwrap();
    let latest = latest_record(&batch, OUTPUT_MAX).unwrap().unwrap();
    assert_eq!(latest.timestamp, Timestamp(-1));
    assert_eq!(batch.header().max_timestamp, Timestamp(-1));
}

#[test]
fn no_timestamp_lies_within_any_bounds() {
    let limits = DeepLimits {
        timestamp_earliest: Timestamp(100),
        timestamp_latest: Timestamp(200),
        ..DeepLimits::new(OUTPUT_MAX)
    };
    let check = |timestamps: &[i64]| {
        validate_deep(&batch_of(timestamps, Compression::None), &limits)
            .map(|report| report.max_timestamp.0)
    };
    assert_eq!(check(&[-1]), Ok(-1));
    assert_eq!(check(&[100, -1, 200]), Ok(200));
    for refused in [-2, 0, 99, 201] {
        assert!(check(&[150, refused]).is_err(), "{refused}");
    }
}

#[test]
fn times_before_1970_are_times() {
    let batch = batch_of(&[-500, -400, -600], Compression::Gzip);
    let report = validate_deep(&batch, &DeepLimits::new(OUTPUT_MAX)).unwrap();
    assert_eq!(report.max_timestamp, Timestamp(-400));
    assert_eq!(report.max_timestamp_offset_delta, 1);
    assert_eq!(batch.header().max_timestamp, Timestamp(-400));
}

#[test]
fn sequences_run_on_from_the_largest_to_zero() {
    let header = |base_sequence| {
        let mut header = *batch_of(&[1, 2, 3], Compression::None).header();
        header.base_sequence = Sequence::new(base_sequence);
        header.last_sequence().get()
    };
    assert_eq!(header(-1), -1);
    assert_eq!(header(0), 2);
    assert_eq!(header(i32::MAX - 2), i32::MAX);
    assert_eq!(header(i32::MAX), 1);
}

#[test]
fn a_missing_max_timestamp_can_be_written() {
    let batch = batch_of(&[5, 9, 7], Compression::Lz4);
    let mut bytes = batch.bytes().to_vec();
    stamp_max_timestamp(&mut bytes, TimestampType::CreateTime, Timestamp(-1)).unwrap();
    let told_nothing = Batch::parse(&Bytes::from(bytes.clone())).unwrap();
    assert_eq!(validate(&told_nothing, Origin::Replication), Ok(()));
    let found = latest_record(&told_nothing, OUTPUT_MAX).unwrap().unwrap();
    stamp_max_timestamp(&mut bytes, TimestampType::CreateTime, found.timestamp).unwrap();
    assert_eq!(&bytes, batch.bytes());
}

#[test]
fn all_records_of_a_stamped_batch_have_its_time() {
    for compression in Compression::ALL {
        let mut bytes = batch_of(&[5, 9, 7], compression).bytes().to_vec();
        stamp_log_append_time(&mut bytes, Timestamp(50)).unwrap();
        let batch = Batch::parse(&Bytes::from(bytes)).unwrap();
        let find = |timestamp, offset_min| {
            first_at_or_after(
                &batch,
                Timestamp(timestamp),
                Offset::new(offset_min),
                OUTPUT_MAX,
            )
            .unwrap()
            .map(|found| (found.offset.get(), found.timestamp.0))
        };
        assert_eq!(find(50, 0), Some((1_000, 50)));
        assert_eq!(find(0, 1_002), Some((1_002, 50)));
        assert_eq!(find(51, 0), None);
        let latest = latest_record(&batch, OUTPUT_MAX).unwrap().unwrap();
        assert_eq!(latest.offset, Offset::new(1_000));
    }
}

#[test]
fn damage_behind_the_answer_does_not_hide_it() {
    let good = batch_of(&[5, 9, 7], Compression::None);
    let mut bytes = good.bytes().to_vec();
    let last = bytes.len() - 3;
    bytes.truncate(last);
    let length = i32::try_from(last - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let batch = Batch::parse(&Bytes::from(bytes)).unwrap();
    let find = |timestamp| {
        first_at_or_after(&batch, Timestamp(timestamp), Offset::ZERO, OUTPUT_MAX)
            .map(|found| found.map(|f| f.offset.get()))
    };
    assert_eq!(find(6), Ok(Some(1_001)));
    assert!(find(10).is_err());
}

proptest! {
    #[test]
    fn a_timestamp_leads_to_the_first_record_that_is_not_earlier(
        timestamps in proptest::collection::vec(-1..30_i64, 1..40),
        wanted in -2..32_i64,
        skipped in 0..45_i64,
        compression in proptest::sample::select(Compression::ALL.to_vec()),
    ) {
        let batch = batch_of(&timestamps, compression);
        let all: Vec<TimestampedOffset> = (1_000..)
            .zip(&timestamps)
            .map(|(offset, timestamp)| TimestampedOffset {
                offset: Offset::new(offset),
                timestamp: Timestamp(*timestamp),
            })
            .collect();
        let offset_min = Offset::new(1_000 + skipped);
        let expected = all
            .iter()
            .find(|r| r.timestamp >= Timestamp(wanted) && r.offset >= offset_min);
        prop_assert_eq!(
            first_at_or_after(&batch, Timestamp(wanted), offset_min, OUTPUT_MAX).unwrap(),
            expected.copied()
        );
        let largest = timestamps.iter().max().unwrap();
        let expected = all.iter().find(|r| r.timestamp == Timestamp(*largest));
        prop_assert_eq!(latest_record(&batch, OUTPUT_MAX).unwrap(), expected.copied());
        prop_assert_eq!(batch.header().max_timestamp, Timestamp(*largest));
    }
}
