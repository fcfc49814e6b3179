//! Compaction of live logs: what a reader sees before, after and across restarts.

use super::support::*;
use crate::{LogConfig, PartitionLog, StorageOptions};
use bytes::Bytes;
use core::time::Duration;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::{Offset, Timestamp};
use std::collections::BTreeMap;

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
