//! Batches filtered one by one, compared with what Kafka 4.3.1's `RecordFilter` leaves.

use super::super::transactions::TransactionScan;
use super::*;
use engine_codec::TimestampType;
use engine_model::{LeaderEpoch, Sequence};
use proptest::prelude::*;

const NOW: i64 = 1_000_000;
const TIME: i64 = 5_000;
const RETENTION: i64 = 1_000;

/// A record: key, value.
type Pair<'a> = (Option<&'a str>, Option<&'a str>);

fn batch(options: BatchOptions, records: &[Pair<'_>]) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for (place, (key, value)) in records.iter().enumerate() {
        let record = RecordData {
            timestamp: Timestamp(TIME + i64::try_from(place).unwrap()),
            key: key.map(str::as_bytes),
            value: value.map(str::as_bytes),
            headers: &[(b"header", None), (b"header", Some(b"x"))],
        };
        assert!(builder.append(&record).unwrap());
    }
    Batch::parse(&builder.build().unwrap()).unwrap()
}

fn at(base: i64) -> BatchOptions {
    BatchOptions {
        base_offset: Offset::new(base),
        partition_leader_epoch: LeaderEpoch::new(4),
        ..BatchOptions::default()
    }
}

fn of_producer(base: i64, sequence: i32) -> BatchOptions {
    BatchOptions {
        producer_id: ProducerId(9),
        producer_epoch: ProducerEpoch::new(2),
        base_sequence: Sequence::new(sequence),
        ..at(base)
    }
}

fn transactional(base: i64) -> BatchOptions {
    BatchOptions {
        is_transactional: true,
        ..of_producer(base, 0)
    }
}

/// A marker: 0 aborts, 1 commits.
fn marker(base: i64, kind: u8) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions {
        is_control: true,
        base_sequence: Sequence::NONE,
        ..transactional(base)
    });
    let record = RecordData {
        timestamp: Timestamp(TIME),
        key: Some(&[0, 0, 0, kind]),
        value: Some(&[0, 0, 0, 0, 0, 1]),
        headers: &[],
    };
    assert!(builder.append(&record).unwrap());
    Batch::parse(&builder.build().unwrap()).unwrap()
}

fn rules(now: i64) -> Rules {
    Rules {
        now: Timestamp(now),
        delete_retention_ms: RETENTION,
        round_end: Offset::new(1_000_000),
        decompressed_bytes_max: 1 << 20,
        producers: BTreeMap::new(),
    }
}

/// A map of everything below 100, with these keys at their last offsets.
fn map(keys: &[(&str, i64)]) -> OffsetMap {
    let mut map = OffsetMap::new(24 * 100, [3, 4], Offset::ZERO);
    for (key, offset) in keys {
        assert!(map.put(key.as_bytes(), Offset::new(*offset)));
    }
    map.set_end(Offset::new(100));
    map
}

fn filter(rules: &Rules, batch: &Batch, map: &OffsetMap) -> Filtered {
    let mut none = CleanedTransactions::default();
    rules.filter(batch, map, Some(&mut none)).unwrap()
}

fn rewritten(filtered: Filtered) -> Batch {
    let Filtered::Some(bytes) = filtered else {
        panic!("{filtered:?}");
    };
    let batch = Batch::parse(&bytes).unwrap();
    batch.check_crc().unwrap();
    batch
}

/// Offsets, times and values of a batch.
fn records(batch: &Batch) -> Vec<(i64, i64, Option<String>)> {
    let header = *batch.header();
    batch
        .records(1 << 20)
        .map(|record| {
            let record = record.unwrap();
            assert_eq!(record.headers.len(), 2, "headers stay");
            (
                header.record_offset(record.offset_delta).get(),
                header.record_timestamp(record.timestamp_delta).0,
                record
                    .value
                    .map(|value| String::from_utf8_lossy(&value).into_owned()),
            )
        })
        .collect()
}

#[test]
fn the_last_record_of_each_key_stays_in_its_place() {
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let options = BatchOptions {
            compression,
            ..of_producer(10, 70)
        };
        let before = batch(
            options,
            &[
                (Some("a"), Some("1")),
                (Some("b"), Some("2")),
                (Some("a"), Some("3")),
                (Some("c"), Some("4")),
            ],
        );
        let map = map(&[("a", 12), ("b", 11), ("c", 50)]);
        let after = rewritten(filter(&rules(NOW), &before, &map));
        assert_eq!(
            records(&after),
            [
                (11, TIME + 1, Some("2".to_owned())),
                (12, TIME + 2, Some("3".to_owned()))
            ]
        );
        let (was, is) = (before.header(), after.header());
        assert_eq!(
            (is.base_offset, is.last_offset(), is.partition_leader_epoch),
            (
                was.base_offset,
                was.last_offset(),
                was.partition_leader_epoch
            )
        );
        assert_eq!(
            (
                is.producer_id,
                is.producer_epoch,
                is.base_sequence,
                is.last_sequence()
            ),
            (
                was.producer_id,
                was.producer_epoch,
                was.base_sequence,
                was.last_sequence()
            )
        );
        assert_eq!(is.attributes, was.attributes);
        assert_eq!(is.base_timestamp, Timestamp(TIME + 1));
        assert_eq!(is.max_timestamp, Timestamp(TIME + 2));
    }
}

#[test]
fn what_has_nothing_to_lose_is_not_touched_and_what_has_nothing_left_goes() {
    let one = batch(at(10), &[(Some("a"), Some("1")), (Some("b"), Some("2"))]);
    let rules = rules(NOW);
    assert_eq!(
        filter(&rules, &one, &map(&[("a", 10), ("b", 11)])),
        Filtered::Whole
    );
    // Keys that the map does not know are older than what is dirty.
    assert_eq!(filter(&rules, &one, &map(&[])), Filtered::Whole);
    assert_eq!(
        filter(&rules, &one, &map(&[("a", 20), ("b", 20)])),
        Filtered::Nothing
    );
    // Without keys they are from before the topic was compacted.
    let keyless = batch(at(10), &[(None, Some("1"))]);
    assert_eq!(filter(&rules, &keyless, &map(&[])), Filtered::Nothing);
    // Behind the end of the map nothing goes.
    let behind = batch(at(100), &[(None, Some("1")), (Some("a"), Some("2"))]);
    assert_eq!(
        filter(&rules, &behind, &map(&[("a", 300)])),
        Filtered::Whole
    );
}

#[test]
fn a_tombstone_gets_a_horizon_and_goes_when_it_has_passed() {
    let before = batch(at(10), &[(Some("a"), None), (Some("b"), Some("2"))]);
    let known = map(&[("a", 10), ("b", 11)]);
    let first = rewritten(filter(&rules(NOW), &before, &known));
    let header = *first.header();
    assert_eq!(header.delete_horizon(), Some(Timestamp(NOW + RETENTION)));
    assert_eq!(header.base_timestamp, Timestamp(NOW + RETENTION));
    assert_eq!(header.max_timestamp, Timestamp(TIME + 1));
    let both = [(10, TIME, None), (11, TIME + 1, Some("2".to_owned()))];
    assert_eq!(records(&first), both);
    // It is set once, and holds until it has passed.
    let again = filter(&rules(NOW + RETENTION - 1), &first, &known);
    assert_eq!(again, Filtered::Whole);
    let last = rewritten(filter(&rules(NOW + RETENTION), &first, &known));
    assert_eq!(records(&last), both[1..]);
    // What stays of the batch keeps the horizon, as in Kafka.
    assert_eq!(
        last.header().delete_horizon(),
        Some(Timestamp(NOW + RETENTION))
    );
    // A tombstone that a later record has replaced goes at once.
    let replaced = filter(&rules(NOW), &before, &map(&[("a", 20), ("b", 11)]));
    assert_eq!(records(&rewritten(replaced)), both[1..]);
}

#[test]
fn stamped_times_stay_stamped() {
    let options = BatchOptions {
        timestamp_type: TimestampType::LogAppendTime,
        ..at(10)
    };
    let records_of = [(Some("a"), Some("1")), (Some("b"), Some("2"))];
    let before = batch(options, &records_of);
    let after = rewritten(filter(&rules(NOW), &before, &map(&[("b", 20)])));
    assert_eq!(after.header().max_timestamp, before.header().max_timestamp);
    assert_eq!(records(&after), [(10, TIME + 1, Some("1".to_owned()))]);
}

#[test]
fn the_last_batch_of_a_producer_and_of_a_round_stays_though_empty() {
    let before = batch(
        of_producer(10, 70),
        &[(Some("a"), Some("1")), (Some("b"), Some("2"))],
    );
    let gone = map(&[("a", 20), ("b", 20)]);
    let with = |last_offset| Rules {
        producers: BTreeMap::from([(
            ProducerId(9),
            LastOfProducer {
                last_offset,
                epoch: ProducerEpoch::new(2),
            },
        )]),
        ..rules(NOW)
    };
    let kept = rewritten(filter(&with(Some(Offset::new(11))), &before, &gone));
    let (was, is) = (before.header(), kept.header());
    assert_eq!(is.record_count, 0);
    assert_eq!(
        (
            is.base_offset,
            is.last_offset(),
            is.last_sequence(),
            is.producer_epoch
        ),
        (
            was.base_offset,
            was.last_offset(),
            was.last_sequence(),
            was.producer_epoch
        )
    );
    // As Kafka writes it: no base timestamp, the largest one as it was.
    assert_eq!(is.base_timestamp, Timestamp::NONE);
    assert_eq!(is.max_timestamp, was.max_timestamp);
    // It stays while it is the last, and goes with the producer or behind a later batch.
    assert_eq!(
        filter(&with(Some(Offset::new(11))), &kept, &gone),
        Filtered::Whole
    );
    assert_eq!(
        filter(&with(Some(Offset::new(50))), &kept, &gone),
        Filtered::Nothing
    );
    assert_eq!(filter(&with(None), &kept, &gone), Filtered::Nothing);
    assert_eq!(filter(&rules(NOW), &kept, &gone), Filtered::Nothing);
    let end = Rules {
        round_end: Offset::new(12),
        ..rules(NOW)
    };
    assert_eq!(
        rewritten(filter(&end, &before, &gone))
            .header()
            .record_count,
        0
    );
}

/// Filters a log of batches as a round does, transactions and all.
fn clean(rules: &Rules, log: &[Batch], map: &OffsetMap) -> Vec<Batch> {
    let mut scan = TransactionScan::default();
    for batch in log {
        scan.note(batch);
    }
    let mut transactions = CleanedTransactions::new(scan.aborted);
    log.iter()
        .filter_map(
            |batch| match rules.filter(batch, map, Some(&mut transactions)).unwrap() {
                Filtered::Nothing => None,
                Filtered::Whole => Some(batch.clone()),
                Filtered::Some(bytes) => Some(Batch::parse(&bytes).unwrap()),
            },
        )
        .collect()
}

fn offsets(log: &[Batch]) -> Vec<i64> {
    log.iter()
        .map(|batch| batch.header().base_offset.get())
        .collect()
}

#[test]
fn records_of_an_aborted_transaction_go_and_its_marker_later() {
    let log = [
        batch(transactional(10), &[(Some("a"), Some("1"))]),
        batch(at(11), &[(Some("b"), Some("2"))]),
        marker(12, 0),
        batch(transactional(13), &[(Some("c"), Some("3"))]),
        marker(14, 1),
    ];
    let known = map(&[("b", 11), ("c", 13)]);
    // Its batch was seen in this round, so the marker stays, and has no horizon yet.
    let first = clean(&rules(NOW), &log, &known);
    assert_eq!(offsets(&first), [11, 12, 13, 14]);
    assert_eq!(first[1], log[2]);
    // Nothing of it is left: now the marker gets its horizon.
    let second = clean(&rules(NOW), &first, &known);
    assert_eq!(offsets(&second), [11, 12, 13, 14]);
    assert_eq!(
        second[1].header().delete_horizon(),
        Some(Timestamp(NOW + RETENTION))
    );
    assert_eq!(second[3], log[4], "the committed one still has a record");
    let third = clean(&rules(NOW + RETENTION - 1), &second, &known);
    assert_eq!(offsets(&third), [11, 12, 13, 14]);
    let fourth = clean(&rules(NOW + RETENTION), &third, &known);
    assert_eq!(offsets(&fourth), [11, 13, 14]);
}

#[test]
fn a_commit_marker_goes_when_its_records_have_been_replaced() {
    let log = [
        batch(transactional(10), &[(Some("a"), Some("1"))]),
        marker(11, 1),
        batch(at(12), &[(Some("a"), Some("2"))]),
    ];
    let known = map(&[("a", 12)]);
    let first = clean(&rules(NOW), &log, &known);
    assert_eq!(offsets(&first), [11, 12]);
    let second = clean(&rules(NOW), &first, &known);
    let third = clean(&rules(NOW + RETENTION), &second, &known);
    assert_eq!(offsets(&second), [11, 12]);
    assert_eq!(offsets(&third), [12]);
}

#[test]
fn the_last_marker_of_a_producer_without_records_stays() {
    let kept = Rules {
        producers: BTreeMap::from([(
            ProducerId(9),
            LastOfProducer {
                last_offset: None,
                epoch: ProducerEpoch::new(2),
            },
        )]),
        ..rules(NOW + 10 * RETENTION)
    };
    let known = map(&[]);
    let horizon = clean(&rules(NOW), &[marker(12, 1)], &known);
    assert!(horizon[0].header().delete_horizon().is_some());
    let left = clean(&kept, &horizon, &known);
    assert_eq!(offsets(&left), [12]);
    assert_eq!(left[0].header().record_count, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the log: of each key the last record stays, and nothing else is made up.
    #[test]
    fn of_each_key_the_last_value_stays(
        log in proptest::collection::vec(
            proptest::collection::vec((0_u8..6, proptest::option::of(0_u16..1000)), 1..6),
            1..12,
        ),
    ) {
        let mut base = 0_i64;
        let mut batches = Vec::new();
        let mut all: Vec<(i64, String, Option<String>)> = Vec::new();
        for records in &log {
            let texts: Vec<_> = records
                .iter()
                .map(|(key, value)| (key.to_string(), value.map(|value| value.to_string())))
                .collect();
            let pairs: Vec<Pair<'_>> = texts
                .iter()
                .map(|(key, value)| (Some(key.as_str()), value.as_deref()))
                .collect();
            batches.push(batch(at(base), &pairs));
            for (key, value) in texts {
                all.push((base, key, value));
                base += 1;
            }
        }
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (offset, key, _) in &all {
            last.insert(key, *offset);
        }
        let keys: Vec<_> = last.iter().map(|(key, offset)| (*key, *offset)).collect();
        let known = map(&keys);
        let left = clean(&rules(NOW), &batches, &known);
        let found: Vec<_> = left
            .iter()
            .flat_map(records)
            .map(|(offset, _, value)| (offset, value))
            .collect();
        let expected: Vec<_> = all
            .iter()
            .filter(|(offset, key, _)| last[key.as_str()] == *offset)
            .map(|(offset, _, value)| (*offset, value.clone()))
            .collect();
        prop_assert_eq!(found, expected);
        // Once more changes nothing; and when the horizon has passed, only values are left.
        prop_assert_eq!(&clean(&rules(NOW), &left, &known), &left);
        let later = clean(&rules(NOW + RETENTION), &left, &known);
        let values = later.iter().flat_map(records).filter(|(_, _, value)| value.is_none());
        prop_assert_eq!(values.count(), 0);
    }
}
