//! Bytes of clients and disks, cut, flipped, invented: never a panic, never a wrong record taken
//! for a good one where the checksum covers it, always an end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

#[path = "cases/fixtures.rs"]
mod fixtures;
#[path = "cases/wrap.rs"]
mod wrap;

use bytes::Bytes;
use engine_codec::{
    Batch, BatchError, Compression, CompressionError, DeepLimits, HEADER_BYTES, Origin,
    RecordFault, batches, compress, first_at_or_after, latest_record, recompress, validate,
    validate_deep, varint,
};
use engine_model::{LeaderEpoch, Offset, Timestamp};
use fixtures::Fixture;
use proptest::prelude::*;
use wrap::{seal, wrap};

const OUTPUT_MAX: usize = 1 << 20;

fn limits() -> DeepLimits {
    DeepLimits {
        are_gaps_allowed: true,
        ..DeepLimits::new(OUTPUT_MAX)
    }
}

fn fixtures() -> Vec<Fixture> {
    let mut all = fixtures::java();
    all.extend(fixtures::librdkafka());
    all
}

/// Asks everything of a batch that can be asked, to see it end.
fn ask_everything(batch: &Batch) {
    for origin in [Origin::Client, Origin::Internal, Origin::Replication] {
        let _ = validate(batch, origin);
    }
    let _ = validate_deep(batch, &limits());
    let records = batch.records(OUTPUT_MAX).count();
    assert!(records <= OUTPUT_MAX);
    let _ = latest_record(batch, OUTPUT_MAX);
    let _ = first_at_or_after(batch, Timestamp(0), Offset::ZERO, OUTPUT_MAX);
    for compression in [Compression::None, Compression::Lz4] {
        let _ = recompress(batch, compression, None, &limits());
    }
}

#[test]
fn a_batch_cut_at_any_byte_is_truncated() {
    for fixture in fixtures() {
        for bytes in 1..fixture.bytes.len() {
            let cut = fixture.bytes.slice(..bytes);
            let needed = if bytes < HEADER_BYTES {
                HEADER_BYTES
            } else {
                fixture.bytes.len()
            };
            let expected = BatchError::Truncated {
                needed,
                found: bytes,
            };
            assert_eq!(
                batches(&cut).collect::<Vec<_>>(),
                [Err(expected)],
                "{} {}",
                fixture.case,
                fixture.compression
            );
        }
    }
}

#[test]
fn records_cut_at_any_byte_are_refused_even_under_a_right_checksum() {
    for fixture in fixtures() {
        let whole = Batch::parse(&fixture.bytes).unwrap();
        if whole.payload().len() > 2_000 {
            continue;
        }
        for bytes in HEADER_BYTES..fixture.bytes.len() {
            let mut cut = fixture.bytes[..bytes].to_vec();
            let length = i32::try_from(bytes - 12).unwrap();
            cut[8..12].copy_from_slice(&length.to_be_bytes());
            let batch = Batch::parse(&seal(cut)).unwrap();
            let name = format!("{} {} {bytes}", fixture.case, fixture.compression);
            assert!(validate_deep(&batch, &limits()).is_err(), "{name}");
            assert!(batch.records(OUTPUT_MAX).any(|r| r.is_err()), "{name}");
            assert!(
                recompress(&batch, Compression::Gzip, None, &limits()).is_err(),
                "{name}"
            );
        }
    }
}

#[test]
fn every_flipped_bit_under_the_checksum_is_found() {
    for fixture in fixtures() {
        for at in 0..fixture.bytes.len() {
            for bit in 0..8 {
                let mut bytes = fixture.bytes.to_vec();
                bytes[at] ^= 1 << bit;
                let bytes = Bytes::from(bytes);
                let result =
                    Batch::parse(&bytes).and_then(|batch| validate(&batch, Origin::Replication));
                let name = format!("{} {} {at}.{bit}", fixture.case, fixture.compression);
                match at {
                    // Base offset and leader epoch are the broker's to write.
                    0..8 | 12..16 => {}
                    16 => assert!(
                        matches!(result, Err(BatchError::UnsupportedMagic { .. })),
                        "{name}"
                    ),
                    8..12 => assert!(result.is_err(), "{name}"),
                    _ => assert!(
                        matches!(result, Err(BatchError::InvalidCrc { .. })),
                        "{name}"
                    ),
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_that_the_checksum_was_made_to_fit_ends_well() {
    for fixture in fixtures() {
        if fixture.bytes.len() > 400 {
            continue;
        }
        for at in 0..fixture.bytes.len() {
            for mask in [0x01, 0x02, 0x10, 0x40, 0x80, 0xff] {
                let mut bytes = fixture.bytes.to_vec();
                bytes[at] ^= mask;
                if let Ok(batch) = Batch::parse(&seal(bytes)) {
                    ask_everything(&batch);
                }
            }
        }
    }
}

/// Body of a record: attributes, then what follows.
fn body(rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0];
    for part in rest {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn sized(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::write_signed(&mut bytes, i64::try_from(body.len()).unwrap());
    bytes.extend_from_slice(body);
    bytes
}

fn signed(value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::write_signed(&mut bytes, value);
    bytes
}

#[test]
fn a_record_that_is_wrong_is_told_apart() {
    let max = signed(i64::from(i32::MAX));
    let min = signed(i64::from(i32::MIN));
    let too_long: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
    let too_long_64: &[u8] = &[0x80; 11];
    let zero: &[u8] = &[0];
    let null: &[u8] = &[1];
    let two: &[u8] = &[4];
    let varint_too_long =
        |bytes_max| RecordFault::Varint(varint::VarintError::TooLong { bytes_max });
    let negative = |field, length| RecordFault::NegativeLength { field, length };
    let overrun = |field, length, present| RecordFault::Overrun {
        field,
        length,
        present,
    };
    #[rustfmt::skip]
    let cases: Vec<(Vec<u8>, RecordFault)> = vec![
        (vec![], RecordFault::Truncated),
        (vec![0x80], RecordFault::Truncated),
        (sized(&[]), overrun("attributes", 1, 0)),
        ([too_long, &[0; 20]].concat(), varint_too_long(5)),
        ([&signed(-1)[..], &[0; 20]].concat(), negative("size", -1)),
        ([&min[..], &[0; 20]].concat(), negative("size", i32::MIN)),
        ([&max[..], &[0; 20]].concat(), RecordFault::Truncated),
        (sized(&body(&[too_long_64])), varint_too_long(10)),
        (sized(&body(&[zero, too_long, zero])), varint_too_long(5)),
        (sized(&body(&[zero])), RecordFault::Varint(varint::VarintError::Truncated)),
        (sized(&body(&[zero, zero, &signed(-2), zero, zero])), negative("key", -2)),
        (sized(&body(&[zero, zero, &min, zero, zero])), negative("key", i32::MIN)),
        (sized(&body(&[zero, zero, &max, zero, zero])), overrun("key", 0x7fff_ffff, 2)),
        (sized(&body(&[zero, zero, &signed(3), zero, zero])), overrun("key", 3, 2)),
        (sized(&body(&[zero, zero, null, &signed(-2), zero])), negative("value", -2)),
        (sized(&body(&[zero, zero, null, &max, zero])), overrun("value", 0x7fff_ffff, 1)),
        (sized(&body(&[zero, zero, null, null, null])), negative("header count", -1)),
        (sized(&body(&[zero, zero, null, null, &min])), negative("header count", i32::MIN)),
        (sized(&body(&[zero, zero, null, null, &max])),
            RecordFault::HeaderCount { count: i32::MAX, present: 0 }),
        (sized(&body(&[zero, zero, null, null, two, zero, zero])),
            RecordFault::HeaderCount { count: 2, present: 2 }),
        (sized(&body(&[zero, zero, null, null, two, null, zero, zero, zero])),
            negative("header key", -1)),
        (sized(&body(&[zero, zero, null, null, &[2], &[8], b"key"])), overrun("header key", 4, 3)),
        (sized(&body(&[zero, zero, null, null, &[2], zero, &max])),
            overrun("header value", 0x7fff_ffff, 0)),
        (sized(&body(&[zero, zero, null, null, &[2], zero, &signed(-2)])),
            negative("header value", -2)),
        (sized(&body(&[zero, zero, null, null, zero, b"more"])), RecordFault::LeftOver { count: 4 }),
        (sized(&body(&[zero, &signed(-1), null, null, zero])),
            RecordFault::OffsetOutOfRange { offset_delta: -1, last_offset_delta: 0 }),
        (sized(&body(&[zero, &signed(1), null, null, zero])),
            RecordFault::OffsetOutOfRange { offset_delta: 1, last_offset_delta: 0 }),
    ];
    for (index, (payload, fault)) in cases.into_iter().enumerate() {
        for compression in Compression::ALL {
            let compressed = compress(compression, None, &payload).unwrap();
            let batch = wrap(compression, 1, &compressed);
            let expected = BatchError::Record { index: 0, fault };
            let result: Vec<_> = batch.records(OUTPUT_MAX).collect();
            assert_eq!(result, [Err(expected.clone())], "{index} {compression}");
            assert_eq!(validate_deep(&batch, &limits()), Err(expected));
        }
    }
}

/// The smallest record there is: seven bytes.
const SMALLEST: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];

#[test]
fn counts_that_the_bytes_do_not_hold_are_refused() {
    for compression in Compression::ALL {
        let one = compress(compression, None, &SMALLEST).unwrap();
        assert!(validate_deep(&wrap(compression, 1, &one), &limits()).is_ok());
        for record_count in [2, 1_000, i32::MAX] {
            let batch = wrap(compression, record_count, &one);
            let expected = BatchError::Record {
                index: 1,
                fault: RecordFault::Truncated,
            };
            assert_eq!(validate_deep(&batch, &limits()), Err(expected.clone()));
            assert_eq!(batch.records(OUTPUT_MAX).last(), Some(Err(expected)));
            assert_eq!(
                validate(&batch, Origin::Client).is_err(),
                compression == Compression::None,
                "shows without decompression only where there is none"
            );
        }
        let two = compress(compression, None, &[SMALLEST, SMALLEST].concat()).unwrap();
        for (record_count, payload) in [(0, &one), (1, &two)] {
            let batch = wrap(compression, record_count, payload);
            let expected = BatchError::TrailingBytes { record_count };
            assert_eq!(validate_deep(&batch, &limits()), Err(expected.clone()));
            assert_eq!(batch.records(OUTPUT_MAX).last(), Some(Err(expected)));
        }
    }
}

#[test]
fn a_bomb_inside_a_batch_stops_at_the_bound() {
    // One record that says it has 2^31-1 bytes, and 2^31-1 records that say they have none.
    let mut record = signed(i64::from(i32::MAX));
    record.resize(16 << 20, 0);
    let records = vec![0; 16 << 20];
    let smallest = SMALLEST.repeat((16 << 20) / SMALLEST.len());
    for compression in Compression::ALL {
        if compression == Compression::None {
            continue;
        }
        let too_large = BatchError::Compression(CompressionError::TooLarge {
            compression,
            bytes_max: OUTPUT_MAX,
        });
        let bomb = wrap(
            compression,
            1,
            &compress(compression, None, &record).unwrap(),
        );
        assert_eq!(validate_deep(&bomb, &limits()), Err(too_large.clone()));
        assert_eq!(
            bomb.records(OUTPUT_MAX).last(),
            Some(Err(too_large.clone()))
        );
        let bomb = compress(compression, None, &records).unwrap();
        let bomb = wrap(compression, i32::MAX, &bomb);
        assert!(matches!(
            validate_deep(&bomb, &limits()),
            Err(BatchError::Record { index: 0, .. })
        ));
        let bomb = compress(compression, None, &smallest).unwrap();
        let bomb = wrap(compression, i32::MAX, &bomb);
        assert_eq!(validate_deep(&bomb, &limits()), Err(too_large.clone()));
        assert_eq!(
            recompress(&bomb, Compression::None, None, &limits()),
            Err(engine_codec::BuildError::Batch(too_large))
        );
    }
}

#[test]
fn refused_records_are_listed_up_to_a_limit() {
    let mut payload = Vec::new();
    let count = 10_000;
    for offset in 0..count {
        payload.extend(sized(&body(&[&[0], &signed(offset), &[1], &[1], &[0]])));
    }
    let batch = wrap(Compression::None, i32::try_from(count).unwrap(), &payload);
    let limits = DeepLimits {
        are_keys_required: true,
        ..limits()
    };
    let Err(BatchError::InvalidRecords { errors }) = validate_deep(&batch, &limits) else {
        panic!("no record has a key");
    };
    assert_eq!(errors.len(), 100);
    assert_eq!(errors[99].index, 99);
}

#[test]
fn a_batch_without_records_or_payload_is_whole_whatever_its_compression() {
    for compression in Compression::ALL {
        let batch = wrap(compression, 0, &[]);
        assert!(validate(&batch, Origin::Client).is_err());
        assert!(validate_deep(&batch, &limits()).is_ok());
        assert_eq!(batch.records(OUTPUT_MAX).count(), 0);
        for to in Compression::ALL {
            let (bytes, _) = recompress(&batch, to, None, &limits()).unwrap();
            assert_eq!(bytes.len(), HEADER_BYTES);
        }
    }
}

#[test]
fn unknown_compression_is_not_guessed_at() {
    let mut bytes = wrap(Compression::None, 1, &SMALLEST).into_bytes().to_vec();
    bytes[22] = 6;
    let batch = Batch::parse(&seal(bytes)).unwrap();
    let expected = BatchError::UnknownCompression { id: 6 };
    assert_eq!(validate_deep(&batch, &limits()), Err(expected.clone()));
    assert_eq!(
        batch.records(OUTPUT_MAX).collect::<Vec<_>>(),
        [Err(expected)]
    );
}

#[test]
fn broker_fields_of_a_cut_header_are_not_written() {
    for bytes in 0..HEADER_BYTES {
        let mut short = vec![7; bytes];
        let expected = Err(BatchError::Truncated {
            needed: HEADER_BYTES,
            found: bytes,
        });
        let stamp = Timestamp(1);
        assert_eq!(
            engine_codec::set_broker_fields(&mut short, Offset::ZERO, LeaderEpoch::ZERO),
            expected
        );
        assert_eq!(
            engine_codec::stamp_log_append_time(&mut short, stamp),
            expected
        );
        assert_eq!(short, vec![7; bytes]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_are_no_batches(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        for batch in batches(&bytes).flatten() {
            prop_assert!(validate(&batch, Origin::Replication).is_err());
        }
    }

    #[test]
    fn random_records_end_well(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        record_count in prop_oneof![0..10_i32, Just(i32::MAX)],
        compression in proptest::sample::select(Compression::ALL.to_vec()),
        is_compressed in any::<bool>(),
    ) {
        let payload = if is_compressed {
            compress(compression, None, &payload).unwrap()
        } else {
            Bytes::from(payload)
        };
        ask_everything(&wrap(compression, record_count, &payload));
    }

    #[test]
    fn damage_in_several_places_ends_well(
        fixture in 0..49_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = fixtures().swap_remove(fixture).bytes.to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(batch) = Batch::parse(&seal(bytes)) {
            ask_everything(&batch);
        }
    }
}
