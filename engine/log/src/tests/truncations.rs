//! Truncations and moves of the log start.

use super::support::*;
use crate::LogFailure;
use engine_codec::BatchOptions;
use engine_model::{LeaderEpoch, Offset};

#[test]
fn a_truncated_log_ends_at_the_base_of_the_batch_that_was_hit() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        // Far enough for most of it to be in segments.
        for i in 0..200_i64 {
            let values: Vec<_> = (0..2)
                .map(|j| (NOW.0, format!("{i}.{j}{:-<400}", "")))
                .collect();
            append(&log, &batch(BatchOptions::default(), &values))
                .await
                .unwrap();
        }
        stable(&log, &watch, Offset::new(400)).await;
        let all = read_all(&log).await;
        for (cut, expected) in [(399, 398), (321, 320), (320, 320), (41, 40)] {
            log.truncate_to(Offset::new(cut)).await.unwrap();
            let end = Offset::new(expected);
            assert_eq!(log.log_end_offset(), end);
            assert_eq!(log.stable_end(), end);
            let last = watch.failures.borrow_mut().pop();
            if cut != 320 {
                assert_eq!(last, Some(LogFailure::Truncated(end)));
            }
            let kept = usize::try_from(expected).unwrap();
            assert_eq!(read_all(&log).await, all[..kept]);
        }
        append(&log, &record("new", 10)).await.unwrap();
        stable(&log, &watch, Offset::new(41)).await;
        let mut expected = all[..40].to_vec();
        expected.push((40, "new-------".to_owned()));
        assert_eq!(read_all(&log).await, expected);
        node.stop().await;
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(0).await;
        assert_eq!(read_all(&log).await, expected);
        node.stop().await;
    });
}

#[test]
fn truncation_forgets_the_producers_and_epochs_behind_the_cut() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        for sequence in 0..12 {
            append(&log, &from_producer(5, 0, sequence, 1))
                .await
                .unwrap();
        }
        log.begin_leader_epoch(LeaderEpoch::new(3)).await.unwrap();
        let options = crate::AppendOptions {
            leader_epoch: LeaderEpoch::new(3),
            ..client()
        };
        log.append(from_producer(5, 0, 12, 1), options)
            .await
            .unwrap();
        stable(&log, &watch, Offset::new(13)).await;
        assert_eq!(log.epoch_at(Offset::new(12)), LeaderEpoch::new(3));
        log.truncate_to(Offset::new(10)).await.unwrap();
        watch.failures.borrow_mut().clear();
        assert_eq!(log.latest_leader_epoch(), LeaderEpoch::ZERO);
        // Sequence 9 is still there, 10 is news again.
        assert!(
            append(&log, &from_producer(5, 0, 9, 1))
                .await
                .unwrap()
                .duplicate
        );
        let appended = append(&log, &from_producer(5, 0, 10, 1)).await.unwrap();
        assert_eq!(
            (appended.duplicate, appended.base_offset),
            (false, Offset::new(10))
        );
        stable(&log, &watch, Offset::new(11)).await;
        node.stop().await;
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(0).await;
        assert!(
            append(&log, &from_producer(5, 0, 10, 1))
                .await
                .unwrap()
                .duplicate
        );
        node.stop().await;
    });
}

#[test]
fn a_log_started_anew_begins_where_it_was_told() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        for i in 0..100_i64 {
            append(&log, &record(&format!("{i}"), 900)).await.unwrap();
        }
        log.truncate_fully_and_start_at(Offset::new(1000))
            .await
            .unwrap();
        watch.failures.borrow_mut().clear();
        assert_eq!(log.log_start_offset(), Offset::new(1000));
        assert_eq!(log.log_end_offset(), Offset::new(1000));
        log.begin_leader_epoch(EPOCH).await.unwrap();
        append(&log, &record("new", 3)).await.unwrap();
        stable(&log, &watch, Offset::new(1001)).await;
        assert_eq!(read_all(&log).await, [(1000, "new".to_owned())]);
        node.stop().await;
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(0).await;
        assert_eq!(log.log_start_offset(), Offset::new(1000));
        assert_eq!(read_all(&log).await, [(1000, "new".to_owned())]);
        node.stop().await;
    });
}
