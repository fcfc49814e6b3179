//! Rolling and retention: what goes, what stays, and what is left on the disk.

use super::support::{
    NOW, Node, append, batch, on_sim, read_all, small_config, small_options, stable, start,
};
use crate::{
    LogConfig, LogFailure, LogListener, PartitionLog, ReadError, ReadOptions, StorageOptions,
};
use core::time::Duration;
use engine_codec::BatchOptions;
use engine_model::Offset;
use engine_rt::sim::Simulation;
use std::path::Path;
use std::rc::Rc;

const HOUR_MS: i64 = 3_600_000;
const RECORD_BYTES: usize = 1000;

/// Appends a record of that time; about 1,080 bytes.
async fn append_at(log: &PartitionLog, timestamp: i64) {
    let offset = log.log_end_offset();
    let value = format!("{offset:-<RECORD_BYTES$}");
    let records = batch(BatchOptions::default(), &[(timestamp, value)]);
    append(log, &records).await.unwrap();
}

/// Ten records to a segment.
fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 10 * 1100,
        timestamp_after_max_ms: i64::MAX,
        ..small_config()
    }
}

async fn segment_files(path: &Path) -> usize {
    let root = engine_rt::Dir::open(path).await.unwrap();
    let segments = root.open_dir("segments").await.unwrap();
    segments.list().await.unwrap().len()
}

/// Waits until the start of the log is there, or fails after a minute.
async fn started_at(log: &PartitionLog, start: i64) {
    for _ in 0..600 {
        if log.log_start_offset().get() == start {
            return;
        }
        engine_rt::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} instead of {start}", log.log_start_offset());
}

/// Which offset each read offset has: values name theirs.
async fn check(log: &PartitionLog) {
    let read = read_all(log).await;
    let expected = log.log_start_offset().get()..log.log_end_offset().get();
    let offsets: Vec<_> = read.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, expected.collect::<Vec<_>>());
    for (offset, value) in read {
        assert_eq!(value.trim_end_matches('-'), offset.to_string());
    }
}

async fn read_at(log: &PartitionLog, offset: i64) -> Result<usize, ReadError> {
    let options = ReadOptions {
        offset: Offset::new(offset),
        end: log.stable_end(),
        bytes_max: 1,
        at_least_one: true,
    };
    log.read(options).await.map(|answer| answer.bytes)
}

async fn with_records(node: &Node, times: impl Iterator<Item = i64>) -> PartitionLog {
    let (log, watch) = node.create(1).await;
    log.set_config(config()).await.unwrap();
    for time in times {
        append_at(&log, time).await;
    }
    stable(&log, &watch, log.log_end_offset()).await;
    log
}

#[test]
fn what_is_too_much_goes_from_log_memory_and_disk() {
    on_sim(&mut Simulation::new(1), |path| async move {
        let node = start(&path, &small_options()).await;
        let log = with_records(&node, std::iter::repeat_n(NOW.0, 95)).await;
        check(&log).await;
        let limited = LogConfig {
            deletes: true,
            retention_bytes: 30 * 1100,
            ..config()
        };
        log.set_config(limited.clone()).await.unwrap();
        // 95 records of 1,069 bytes and ten to a segment: of the 101,555 bytes 32,985 or more stay,
        // and one segment less would be fewer.
        started_at(&log, 60).await;
        check(&log).await;
        assert!(matches!(
            read_at(&log, 59).await,
            Err(ReadError::OffsetOutOfRange { .. })
        ));
        assert!(read_at(&log, 60).await.unwrap() > RECORD_BYTES);
        // Nothing more goes, and the files of what went do.
        engine_rt::sleep(Duration::from_mins(1)).await;
        assert_eq!(log.log_start_offset(), Offset::new(60));
        let files = segment_files(&path).await;
        assert!(files <= 5, "{files} files for four segments");
        node.stop().await;
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(1).await;
        assert_eq!(log.log_start_offset(), Offset::new(60));
        check(&log).await;
        node.stop().await;
    });
}

#[test]
fn what_is_too_old_goes_the_active_segment_included() {
    on_sim(&mut Simulation::new(2), |path| async move {
        let options = StorageOptions {
            retention_check_interval: Duration::from_secs(1),
            ..small_options()
        };
        let node = start(&path, &options).await;
        let now = engine_rt::wall_clock().0;
        // A hundred seconds of records, one segment every ten seconds.
        let times = (0..100).map(|number| now - (99 - number) / 10 * 10_000);
        let log = with_records(&node, times).await;
        let limited = LogConfig {
            deletes: true,
            retention_ms: 55_000,
            ..config()
        };
        log.set_config(limited.clone()).await.unwrap();
        started_at(&log, 40).await;
        check(&log).await;
        // Time passes, nobody appends: segment after segment goes.
        for (seconds, start) in [(10, 50), (30, 80), (90, 100)] {
            engine_rt::sleep(Duration::from_secs(seconds)).await;
            started_at(&log, start).await;
            check(&log).await;
        }
        engine_rt::sleep(Duration::from_mins(1)).await;
        assert_eq!(segment_files(&path).await, 0, "not a byte is left");
        append_at(&log, engine_rt::wall_clock().0).await;
        assert_eq!(log.log_end_offset(), Offset::new(101));
        node.stop().await;
        let node = start(&path, &options).await;
        let (log, _) = node.find(1).await;
        assert_eq!(log.log_start_offset(), Offset::new(100));
        check(&log).await;
        node.stop().await;
    });
}

/// A replica that lags behind.
struct Committed(Offset);

impl LogListener for Committed {
    fn ends_moved(&self) {}
    fn failed(&self, _failure: LogFailure) {}
    fn committed_end(&self) -> Option<Offset> {
        Some(self.0)
    }
}

#[test]
fn nothing_that_is_not_committed_goes() {
    on_sim(&mut Simulation::new(3), |path| async move {
        let options = StorageOptions {
            retention_check_interval: Duration::from_secs(1),
            ..small_options()
        };
        let node = start(&path, &options).await;
        let log = with_records(&node, std::iter::repeat_n(NOW.0, 50)).await;
        log.set_listener(Rc::new(Committed(Offset::new(25))));
        let limited = LogConfig {
            deletes: true,
            retention_bytes: 0,
            retention_ms: 0,
            ..config()
        };
        log.set_config(limited).await.unwrap();
        started_at(&log, 20).await;
        engine_rt::sleep(Duration::from_mins(1)).await;
        assert_eq!(log.log_start_offset(), Offset::new(20));
        check(&log).await;
        node.stop().await;
    });
}

#[test]
fn a_segment_is_closed_by_the_time_of_its_records() {
    on_sim(&mut Simulation::new(4), |path| async move {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(1).await;
        let rolling = LogConfig {
            segment_ms: HOUR_MS,
            timestamp_after_max_ms: i64::MAX,
            ..small_config()
        };
        log.set_config(rolling).await.unwrap();
        // The second segment begins with the fourth record, the third with the last.
        for time in [0, 10, HOUR_MS, HOUR_MS + 1, 0, 2 * HOUR_MS + 1, 4 * HOUR_MS] {
            append_at(&log, NOW.0 + time).await;
        }
        stable(&log, &watch, log.log_end_offset()).await;
        node.stop().await;
        assert_eq!(segment_files(&path).await, 3);
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(1).await;
        check(&log).await;
        node.stop().await;
    });
}

#[test]
fn readers_and_writers_go_on_while_the_oldest_records_go() {
    for seed in 5..8 {
        on_sim(&mut Simulation::new(seed), |path| async move {
            let options = StorageOptions {
                retention_check_interval: Duration::from_millis(20),
                ..small_options()
            };
            let node = start(&path, &options).await;
            let (log, watch) = node.create(1).await;
            let limited = LogConfig {
                deletes: true,
                retention_bytes: 20 * 1100,
                file_delete_delay_ms: 0,
                ..config()
            };
            log.set_config(limited).await.unwrap();
            let reader = log.clone();
            let reads = engine_rt::spawn(async move {
                let mut offset = 0;
                let mut fell_behind = 0;
                while offset < 1500 {
                    match read_at(&reader, offset).await {
                        Ok(0) => engine_rt::sleep(Duration::from_millis(1)).await,
                        Ok(_) => offset += 1,
                        Err(ReadError::OffsetOutOfRange { start, .. }) => {
                            fell_behind += 1;
                            offset = start.get();
                        }
                        Err(error) => panic!("at {offset}: {error}"),
                    }
                    if offset % 50 == 0 {
                        engine_rt::sleep(Duration::from_millis(100)).await;
                    }
                }
                fell_behind
            });
            for _ in 0..1500 {
                append_at(&log, NOW.0).await;
                if log.log_end_offset().get() % 10 == 0 {
                    stable(&log, &watch, log.log_end_offset()).await;
                    engine_rt::sleep(Duration::from_millis(2)).await;
                }
            }
            stable(&log, &watch, log.log_end_offset()).await;
            assert!(reads.await.unwrap() > 0, "no reader met what had gone");
            started_at(&log, 1470).await;
            check(&log).await;
            node.stop().await;
        });
    }
}
