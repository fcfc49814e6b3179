//! Compaction of live logs: what a reader sees before, after and across restarts.

use super::support::*;
use crate::{AppendOptions, LogConfig, Origin, PartitionLog, StorageOptions};
use bytes::Bytes;
use core::time::Duration;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use engine_rt::sim::{Fault, FaultEffect, FaultKind, Simulation};
use std::collections::BTreeMap;
use std::path::Path;

/// A record with a key; `None` for the value is a tombstone.
type Keyed = (i64, String, Option<String>);

pub(super) fn quick_options() -> StorageOptions {
    StorageOptions {
        cleaner_backoff: Duration::from_millis(50),
        ..small_options()
    }
}

pub(super) fn compacted_config() -> LogConfig {
    LogConfig {
        compacted: true,
        file_delete_delay_ms: 200,
        segment_bytes: 10 << 10,
        min_cleanable_dirty_ratio: 0.01,
        ..small_config()
    }
}

pub(super) fn keyed(options: BatchOptions, records: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        let record = RecordData {
            timestamp: NOW,
            key: Some(key.as_bytes()),
            value: value.map(str::as_bytes),
            headers: &[],
        };
        assert!(builder.append(&record).unwrap());
    }
    builder.build().unwrap()
}

/// Everything a reader sees, by offset.
pub(super) async fn read_keyed(log: &PartitionLog) -> Vec<Keyed> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.stable_end() {
        let options = crate::ReadOptions {
            offset,
            end: log.stable_end(),
            bytes_max: 3000,
            at_least_one: true,
        };
        let answer = log.read(options).await.unwrap();
        assert!(answer.next_offset > offset, "no progress at {offset}");
        let mut all = Vec::new();
        for chunk in &answer.chunks {
            all.extend_from_slice(chunk);
        }
        for batch in engine_codec::batches(&all.into()) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in batch.records(1 << 20) {
                let record = record.unwrap();
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                found.push((
                    batch.header().record_offset(record.offset_delta).get(),
                    record.key.as_ref().map(text).unwrap(),
                    record.value.as_ref().map(text),
                ));
            }
        }
        offset = answer.next_offset;
    }
    found
}

/// The last record of each key.
pub(super) fn last_of_each(records: &[Keyed]) -> BTreeMap<String, (i64, Option<String>)> {
    records
        .iter()
        .map(|(offset, key, value)| (key.clone(), (*offset, value.clone())))
        .collect()
}

/// Text that no codec makes much smaller.
fn noise(number: i64) -> String {
    let mut state = number.unsigned_abs() + 1;
    let mut text = format!("{number}.");
    while text.len() < 200 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text = format!("{text}{:x}", state >> 16);
    }
    text
}

/// Appends `count` batches of two records each over seven keys; the records by offset.
async fn fill(log: &PartitionLog, count: i64, compression: Compression) -> Vec<Keyed> {
    let mut written = Vec::new();
    let mut offset = log.log_end_offset().get();
    for i in 0..count {
        let values = [noise(2 * i), noise(2 * i + 1)];
        let keys = [format!("k{}", i % 7), format!("k{}", (i * 3) % 7)];
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        let records = [
            (keys[0].as_str(), Some(values[0].as_str())),
            (keys[1].as_str(), Some(values[1].as_str())),
        ];
        append(log, &keyed(options, &records)).await.unwrap();
        for (key, value) in records {
            written.push((offset, key.to_owned(), value.map(str::to_owned)));
            offset += 1;
        }
    }
    written
}

/// Waits until a reader sees at most `count` records.
async fn shrinks_to(log: &PartitionLog, count: usize) -> Vec<Keyed> {
    for _ in 0..3000 {
        let found = read_keyed(log).await;
        if found.len() <= count {
            return found;
        }
        engine_rt::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} records are left", read_keyed(log).await.len());
}

#[test]
fn of_each_key_the_last_record_stays_where_it_was() {
    for compression in [Compression::None, Compression::Lz4] {
        on_both(move |path| async move {
            let options = StorageOptions {
                tail_cache_bytes: 0,
                ..quick_options()
            };
            let node = start(&path, &options).await;
            let (log, watch) = node.create(0).await;
            log.set_config(compacted_config()).await.unwrap();
            let written = fill(&log, 300, compression).await;
            stable(&log, &watch, Offset::new(600)).await;
            let found = shrinks_to(&log, 350).await;
            assert_eq!(last_of_each(&found), last_of_each(&written));
            assert!(found.iter().all(|record| written.contains(record)));
            assert_eq!(log.log_start_offset(), Offset::ZERO);
            assert_eq!(log.log_end_offset(), Offset::new(600));
            let more = fill(&log, 10, compression).await;
            stable(&log, &watch, Offset::new(620)).await;
            node.stop().await;
            let node = start(&path, &options).await;
            let (log, _) = node.find(0).await;
            let found = read_keyed(&log).await;
            let all = [written, more].concat();
            assert_eq!(last_of_each(&found), last_of_each(&all));
            assert!(found.len() <= 370);
            node.stop().await;
        });
    }
}

#[test]
fn what_was_aborted_takes_no_records_place_wherever_the_log_begins() {
    on_both(async |path| {
        let options = StorageOptions {
            tail_cache_bytes: 0,
            ..quick_options()
        };
        let node = start(&path, &options).await;
        let (log, watch) = node.create(0).await;
        log.set_config(compacted_config()).await.unwrap();
        let internal = AppendOptions {
            origin: Origin::Internal,
            ..client()
        };
        let transactional = BatchOptions {
            producer_id: ProducerId(9),
            producer_epoch: ProducerEpoch::new(0),
            base_sequence: Sequence::new(0),
            is_transactional: true,
            ..BatchOptions::default()
        };
        let abort = BatchOptions {
            base_sequence: Sequence::NONE,
            is_control: true,
            ..transactional
        };
        // The first batch of the log is plain.
        append(
            &log,
            &keyed(BatchOptions::default(), &[("x", Some("kept"))]),
        )
        .await
        .unwrap();
        for batch in [
            keyed(transactional, &[("x", Some("aborted"))]),
            keyed(abort, &[("\0\0\0\0", Some("\0\0\0\0\0\u{1}"))]),
        ] {
            log.append(batch, internal).await.unwrap();
        }
        fill(&log, 300, Compression::None).await;
        stable(&log, &watch, Offset::new(603)).await;
        let found = shrinks_to(&log, 350).await;
        let of_x: Vec<_> = found.iter().filter(|(_, key, _)| key == "x").collect();
        assert_eq!(of_x, [&(0, "x".to_owned(), Some("kept".to_owned()))]);
        node.stop().await;
    });
}

#[test]
fn a_compacted_log_is_found_by_offset_and_time_over_its_gaps() {
    on_both(async |path| {
        let options = StorageOptions {
            tail_cache_bytes: 0,
            ..quick_options()
        };
        let node = start(&path, &options).await;
        let (log, watch) = node.create(0).await;
        log.set_config(compacted_config()).await.unwrap();
        let written = fill(&log, 300, Compression::None).await;
        stable(&log, &watch, Offset::new(600)).await;
        shrinks_to(&log, 350).await;
        // Nothing more goes from now on.
        log.set_config(small_config()).await.unwrap();
        let found = read_keyed(&log).await;
        // From any offset the next record that is left is read.
        for offset in (0..600).step_by(7) {
            let options = crate::ReadOptions {
                offset: Offset::new(offset),
                end: log.stable_end(),
                bytes_max: 1,
                at_least_one: true,
            };
            let answer = log.read(options).await.unwrap();
            let first = engine_codec::batches(&answer.chunks[0]).next().unwrap();
            let last = first.unwrap().header().last_offset().get();
            assert!(last >= offset);
            let skipped = found
                .iter()
                .filter(|(at, _, _)| (offset..=last).contains(at));
            assert!(skipped.count() <= 2, "from {offset} to {last}");
        }
        let first = log
            .offset_for_timestamp(NOW, log.stable_end())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(first.offset.get(), found[0].0);
        assert_eq!(first.timestamp, NOW);
        let later = Timestamp(NOW.0 + 1);
        let found_later = log.offset_for_timestamp(later, log.stable_end()).await;
        assert_eq!(found_later.unwrap(), None);
        assert!(written.len() > found.len());
        node.stop().await;
    });
}

/// What happens to a log while it is being compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meanwhile {
    Truncated,
    StartedAnew,
    Trimmed,
    NotCompactedAnyMore,
    Deleted,
    Stopped,
}

#[test]
fn what_happens_to_a_log_during_a_round_wins() {
    for meanwhile in [
        Meanwhile::Truncated,
        Meanwhile::StartedAnew,
        Meanwhile::Trimmed,
        Meanwhile::NotCompactedAnyMore,
        Meanwhile::Deleted,
        Meanwhile::Stopped,
    ] {
        for moment_ms in [100, 700, 1500, 2300] {
            on_sim(&mut Simulation::new(moment_ms), move |path| async move {
                disturb(&path, meanwhile, Duration::from_millis(moment_ms)).await;
            });
        }
    }
}

/// Lets it happen that long after a slow round could begin, and compares what is left.
async fn disturb(path: &Path, meanwhile: Meanwhile, moment: Duration) {
    let options = StorageOptions {
        tail_cache_bytes: 0,
        // Some 120 KiB twice: the round takes seconds.
        cleaner_bytes_per_second: 80 << 10,
        ..quick_options()
    };
    let node = start(path, &options).await;
    let (log, watch) = node.create(0).await;
    log.set_config(compacted_config()).await.unwrap();
    let mut written = fill(&log, 300, Compression::None).await;
    stable(&log, &watch, Offset::new(600)).await;
    engine_rt::sleep(moment).await;
    match meanwhile {
        Meanwhile::Truncated => {
            // No replica cuts below the high watermark; the newest segment is not compacted.
            log.truncate_to(Offset::new(598)).await.unwrap();
            written.truncate(598);
        }
        Meanwhile::StartedAnew => {
            log.truncate_fully_and_start_at(Offset::new(700))
                .await
                .unwrap();
            written.clear();
        }
        Meanwhile::Trimmed => {
            log.advance_log_start(Offset::new(300)).await.unwrap();
            written.retain(|(offset, _, _)| *offset >= 300);
        }
        Meanwhile::NotCompactedAnyMore => log.set_config(small_config()).await.unwrap(),
        Meanwhile::Deleted => node.store.delete(partition(0)).await.unwrap(),
        Meanwhile::Stopped => {}
    }
    if meanwhile != Meanwhile::Stopped {
        engine_rt::sleep(Duration::from_secs(20)).await;
    }
    node.stop().await;
    let node = start(path, &options).await;
    let Some(log) = node.store.find(partition(0)) else {
        assert_eq!(meanwhile, Meanwhile::Deleted);
        let root = engine_rt::Dir::open(path).await.unwrap();
        let segments = root.open_dir("segments").await.unwrap();
        assert_eq!(segments.list().await.unwrap(), []);
        return;
    };
    let found = read_keyed(&log).await;
    assert_eq!(
        last_of_each(&found),
        last_of_each(&written),
        "{meanwhile:?}"
    );
    assert!(found.iter().all(|record| written.contains(record)));
    node.stop().await;
}

#[test]
fn a_disk_that_is_full_or_fails_costs_a_round_and_no_record() {
    for (seed, fault) in (0_u64..).zip([
        Fault::always(FaultKind::Write, 28).times(6),
        Fault::once(FaultKind::Write, 5).after(20),
        Fault::once(FaultKind::Flush, 5).after(8),
        Fault::once(FaultKind::Read, 5),
    ]) {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        let disk = sim.disk(node);
        sim.block_on(node, Duration::from_mins(10), move || async move {
            let options = StorageOptions {
                tail_cache_bytes: 0,
                ..quick_options()
            };
            let node = start(Path::new("/data"), &options).await;
            let (log, watch) = node.create(0).await;
            log.set_config(compacted_config()).await.unwrap();
            disk.fail(fault.on(".segment"));
            let written = fill(&log, 300, Compression::None).await;
            stable(&log, &watch, Offset::new(600)).await;
            engine_rt::sleep(Duration::from_secs(5)).await;
            let found = shrinks_to(&log, 350).await;
            assert_eq!(last_of_each(&found), last_of_each(&written));
            node.stop().await;
        })
        .unwrap();
    }
}

#[test]
fn a_log_that_cannot_be_read_is_left_alone_and_the_others_go_on() {
    let mut sim = Simulation::new(1);
    let node = sim.add_node(1);
    let disk = sim.disk(node);
    sim.block_on(node, Duration::from_mins(10), move || async move {
        let options = StorageOptions {
            tail_cache_bytes: 0,
            ..quick_options()
        };
        let node = start(Path::new("/data"), &options).await;
        let mut logs = Vec::new();
        for number in 0..3 {
            let (log, watch) = node.create(number).await;
            let written = fill(&log, 300, Compression::None).await;
            stable(&log, &watch, Offset::new(600)).await;
            logs.push((log, watch, written));
        }
        // The first that is read is damaged as it is read.
        disk.fail(Fault::next(FaultKind::Read, FaultEffect::Garble).on(".segment"));
        for (log, _, _) in &logs {
            log.set_config(compacted_config()).await.unwrap();
        }
        engine_rt::sleep(Duration::from_secs(30)).await;
        let mut left_alone = 0;
        for (log, _, written) in &logs {
            let found = read_keyed(log).await;
            assert_eq!(last_of_each(&found), last_of_each(written));
            left_alone += usize::from(found.len() == written.len());
        }
        assert_eq!(left_alone, 1);
        node.stop().await;
    })
    .unwrap();
}
