//! Appends: offsets, acknowledgements, duplicates, refusals.

use super::support::*;
use crate::{
    AppendError, AppendOptions, Durability, LogConfig, LogFailure, Origin, StorageError,
    TimestampType,
};
use bytes::Bytes;
use engine_codec::{BatchOptions, Compression};
use engine_model::{LeaderEpoch, Offset, Timestamp};

#[test]
fn appended_records_are_stable_and_read_back() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let mut expected = Vec::new();
        for i in 0..20_i64 {
            let appended = append(&log, &record(&format!("r{i}"), 10)).await.unwrap();
            assert_eq!(appended.base_offset, Offset::new(i));
            assert_eq!(appended.last_offset, Offset::new(i));
            assert!(!appended.duplicate);
            expected.push((i, format!("{:-<10}", format!("r{i}"))));
        }
        stable(&log, &watch, Offset::new(20)).await;
        assert_eq!(log.log_end_offset(), Offset::new(20));
        assert_eq!(log.written_end(), Offset::new(20));
        assert_eq!(read_all(&log).await, expected);
        node.stop().await;
    });
}

#[test]
fn many_logs_share_a_lane_that_wraps_often() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let mut logs = Vec::new();
        for number in 0..4 {
            logs.push(node.create(number).await);
        }
        for i in 0..400_i64 {
            for (number, (log, watch)) in logs.iter().enumerate() {
                append(log, &record(&format!("{number}.{i}"), 500))
                    .await
                    .unwrap();
                if i % 50 == 49 {
                    stable(log, watch, Offset::new(i + 1)).await;
                }
            }
        }
        assert!(
            node.store.stats().checkpoints > 3,
            "{:?}",
            node.store.stats()
        );
        for (number, (log, _)) in logs.iter().enumerate() {
            let found = read_all(log).await;
            assert_eq!(found.len(), 400);
            for (i, (offset, value)) in (0_i64..).zip(found) {
                assert_eq!(offset, i);
                assert_eq!(value, format!("{:-<500}", format!("{number}.{i}")));
            }
        }
        let held = node.store.stats().frame_bytes_held;
        assert!(held <= (128 << 10) + (16 << 10), "{held} bytes are held");
        node.stop().await;
    });
}

#[test]
fn a_duplicate_is_answered_with_its_originals_offsets() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        append(&log, &record("first", 5)).await.unwrap();
        let original = append(&log, &from_producer(9, 0, 0, 3)).await.unwrap();
        assert_eq!(
            (original.base_offset, original.last_offset),
            (Offset::new(1), Offset::new(3))
        );
        // Its original is in flight: the answer has to wait for the same end.
        let repeat = append(&log, &from_producer(9, 0, 0, 3)).await.unwrap();
        assert!(repeat.duplicate);
        assert_eq!(repeat.base_offset, original.base_offset);
        assert_eq!(repeat.last_offset, original.last_offset);
        assert!(log.stable_end() <= repeat.last_offset);
        stable(&log, &watch, Offset::new(4)).await;
        assert_eq!(log.log_end_offset(), Offset::new(4));
        let gap = append(&log, &from_producer(9, 0, 7, 1)).await;
        assert!(
            matches!(gap, Err(AppendError::OutOfOrderSequence { .. })),
            "{gap:?}"
        );
        append(&log, &from_producer(9, 1, 0, 1)).await.unwrap();
        let old = append(&log, &from_producer(9, 0, 3, 1)).await;
        assert!(
            matches!(old, Err(AppendError::InvalidProducerEpoch { .. })),
            "{old:?}"
        );
        node.stop().await;
        // After a restart the state is the same.
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(0).await;
        assert!(
            append(&log, &from_producer(9, 1, 0, 1))
                .await
                .unwrap()
                .duplicate
        );
        node.stop().await;
    });
}

/// Whether an error is the right one.
type Check = fn(&AppendError) -> bool;

#[test]
fn what_a_topic_does_not_take_is_refused_and_leaves_nothing() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, _) = node.create(0).await;
        let mut corrupt = record("x", 10).to_vec();
        *corrupt.last_mut().unwrap() ^= 1;
        let transactional = BatchOptions {
            producer_id: engine_model::ProducerId(1),
            producer_epoch: engine_model::ProducerEpoch::ZERO,
            base_sequence: engine_model::Sequence::ZERO,
            is_transactional: true,
            ..BatchOptions::default()
        };
        let control = BatchOptions {
            is_control: true,
            ..BatchOptions::default()
        };
        let horizon = BatchOptions {
            delete_horizon: Some(NOW),
            ..BatchOptions::default()
        };
        let value = |time: i64| vec![(time, "v".to_owned())];
        let two = [record("a", 1), record("b", 1)].concat();
        let cases: [(&str, Bytes, Check); 8] = [
            ("nothing", Bytes::new(), |e| {
                matches!(e, AppendError::InvalidRecord { .. })
            }),
            ("corrupt", corrupt.into(), |e| {
                matches!(e, AppendError::Corrupt { .. })
            }),
            ("large", record("x", 20_000), |e| {
                matches!(e, AppendError::TooLarge { .. })
            }),
            ("two batches", two.into(), |e| {
                matches!(e, AppendError::InvalidRecord { .. })
            }),
            ("transactional", batch(transactional, &value(NOW.0)), |e| {
                matches!(e, AppendError::InvalidTxnState { .. })
            }),
            ("control", batch(control, &value(NOW.0)), |e| {
                matches!(e, AppendError::InvalidRecord { .. })
            }),
            ("horizon", batch(horizon, &value(NOW.0)), |e| {
                matches!(e, AppendError::InvalidRecord { .. })
            }),
            (
                "future",
                batch(BatchOptions::default(), &value(NOW.0 + 3_600_001)),
                |e| matches!(e, AppendError::InvalidTimestamp { errors, .. } if errors.len() == 1),
            ),
        ];
        for (name, records, is_right) in cases {
            let error = append(&log, &records).await.unwrap_err();
            assert!(is_right(&error), "{name}: {error:?}");
        }
        let newer = AppendOptions {
            leader_epoch: LeaderEpoch::new(1),
            ..client()
        };
        let error = log.append(record("x", 1), newer).await.unwrap_err();
        assert!(
            matches!(error, AppendError::UnknownLeaderEpoch { .. }),
            "{error:?}"
        );
        log.begin_leader_epoch(LeaderEpoch::new(2)).await.unwrap();
        let error = log.append(record("x", 1), newer).await.unwrap_err();
        assert!(
            matches!(error, AppendError::FencedLeaderEpoch { .. }),
            "{error:?}"
        );
        assert_eq!(log.log_end_offset(), Offset::ZERO);
        node.stop().await;
    });
}

#[test]
fn settings_stamp_recompress_and_demand_keys() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let config = LogConfig {
            timestamp_type: TimestampType::LogAppendTime,
            compression: Some(Compression::Zstd),
            ..small_config()
        };
        log.set_config(config).await.unwrap();
        let appended = append(&log, &record("stamped", 300)).await.unwrap();
        assert_eq!(appended.log_append_time, NOW);
        stable(&log, &watch, Offset::new(1)).await;
        let options = crate::ReadOptions {
            offset: Offset::ZERO,
            end: Offset::new(1),
            bytes_max: 10_000,
            at_least_one: true,
        };
        let answer = log.read(options).await.unwrap();
        let stored = engine_codec::Batch::parse(&answer.chunks[0]).unwrap();
        stored.check_crc().unwrap();
        let header = stored.header();
        assert_eq!(header.attributes.compression(), Some(Compression::Zstd));
        assert_eq!(header.max_timestamp, NOW);
        assert_eq!(
            values(&answer.chunks),
            [(0, format!("{:-<300}", "stamped"))]
        );
        let config = LogConfig {
            compacted: true,
            ..small_config()
        };
        log.set_config(config).await.unwrap();
        let mut builder = engine_codec::BatchBuilder::new(BatchOptions::default());
        let keyless = engine_codec::RecordData {
            timestamp: Timestamp(NOW.0),
            key: None,
            value: Some(b"v"),
            headers: &[],
        };
        assert!(builder.append(&keyless).unwrap());
        let error = append(&log, &builder.build().unwrap()).await.unwrap_err();
        assert!(
            matches!(&error, AppendError::InvalidRecord { errors, .. } if errors.len() == 1),
            "{error:?}"
        );
        node.stop().await;
    });
}

#[test]
fn the_written_class_is_stable_without_a_flush() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let config = LogConfig {
            durability: Durability::Written,
            ..small_config()
        };
        log.set_config(config).await.unwrap();
        append(&log, &record("x", 100)).await.unwrap();
        stable(&log, &watch, Offset::new(1)).await;
        let stats = node.store.stats();
        assert!(stats.durable_sequence < stats.written_sequence, "{stats:?}");
        engine_rt::sleep(std::time::Duration::from_millis(1300)).await;
        let stats = node.store.stats();
        assert_eq!(stats.durable_sequence, stats.last_sequence, "{stats:?}");
        node.stop().await;
    });
}

#[test]
fn a_heartbeat_carries_the_durable_sequence_and_then_the_lane_is_quiet() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        append(&log, &record("x", 100)).await.unwrap();
        stable(&log, &watch, Offset::new(1)).await;
        let before = node.store.stats().last_sequence;
        engine_rt::sleep(std::time::Duration::from_millis(150)).await;
        assert_eq!(node.store.stats().last_sequence, before + 1);
        engine_rt::sleep(std::time::Duration::from_millis(500)).await;
        let stats = node.store.stats();
        assert_eq!(stats.last_sequence, before + 1);
        assert_eq!(stats.durable_sequence, stats.last_sequence);
        node.stop().await;
    });
}

#[test]
fn a_deleted_log_fails_its_waiters_and_comes_back_under_another_id() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        append(&log, &record("old", 100)).await.unwrap();
        node.store.delete(partition(0)).await.unwrap();
        assert_eq!(*watch.failures.borrow(), [LogFailure::Deleted]);
        let error = append(&log, &record("late", 1)).await.unwrap_err();
        assert!(
            matches!(error, AppendError::Storage(StorageError::Offline(_))),
            "{error:?}"
        );
        let again = node.store.delete(partition(0)).await;
        assert_eq!(again, Err(StorageError::NotFound(partition(0))));
        let (new, _) = node.create(0).await;
        assert_ne!(new.id(), log.id());
        assert_eq!(new.log_end_offset(), Offset::ZERO);
        let twice = node.store.create(partition(0), small_config()).await;
        assert!(matches!(twice, Err(StorageError::AlreadyExists(_))));
        node.stop().await;
        let node = start(&path, &small_options()).await;
        assert_eq!(node.store.logs().len(), 1);
        assert_eq!(node.store.logs()[0].id(), new.id());
        node.stop().await;
    });
}

#[test]
fn followers_keep_offsets_epochs_and_gaps() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let given = |base: i64, epoch: i32| {
            let options = BatchOptions {
                base_offset: Offset::new(base),
                partition_leader_epoch: LeaderEpoch::new(epoch),
                ..BatchOptions::default()
            };
            batch(options, &[(NOW.0, format!("at {base}"))])
        };
        let both = [given(5, 3), given(9, 4)].concat();
        let appended = log.append_as_follower(both.into()).await.unwrap();
        assert_eq!(
            (appended.base_offset, appended.last_offset),
            (Offset::new(5), Offset::new(9))
        );
        stable(&log, &watch, Offset::new(10)).await;
        let expected = [(5, "at 5".to_owned()), (9, "at 9".to_owned())];
        assert_eq!(read_all(&log).await, expected);
        assert_eq!(log.epoch_at(Offset::new(5)), LeaderEpoch::new(3));
        assert_eq!(log.epoch_at(Offset::new(9)), LeaderEpoch::new(4));
        let behind = log.append_as_follower(given(9, 4)).await.unwrap_err();
        assert!(
            matches!(behind, AppendError::OffsetsOutOfOrder { .. }),
            "{behind:?}"
        );
        let older = log.append_as_follower(given(20, 3)).await.unwrap_err();
        assert!(
            matches!(older, AppendError::FencedLeaderEpoch { .. }),
            "{older:?}"
        );
        node.stop().await;
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(0).await;
        assert_eq!(read_all(&log).await, expected);
        assert_eq!(log.latest_leader_epoch(), LeaderEpoch::new(4));
        node.stop().await;
    });
}

#[test]
fn internal_appends_take_several_batches_and_control_batches() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let all = [record("a", 1), record("b", 1), record("c", 1)].concat();
        let options = AppendOptions {
            origin: Origin::Internal,
            ..client()
        };
        let appended = log.append(all.into(), options).await.unwrap();
        assert_eq!(
            (appended.base_offset, appended.last_offset),
            (Offset::ZERO, Offset::new(2))
        );
        stable(&log, &watch, Offset::new(3)).await;
        let names: Vec<_> = read_all(&log).await.into_iter().map(|(_, v)| v).collect();
        assert_eq!(names, ["a", "b", "c"]);
        node.stop().await;
    });
}
