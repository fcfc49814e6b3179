//! Reads from memory and from segments, bounds, lookups by time.

use super::support::*;
use crate::{ReadError, ReadOptions, StorageError};
use engine_codec::BatchOptions;
use engine_model::{Offset, Timestamp};
use engine_rt::sim::Simulation;

fn span(offset: i64, end: i64, bytes_max: usize) -> ReadOptions {
    ReadOptions {
        offset: Offset::new(offset),
        end: Offset::new(end),
        bytes_max,
        at_least_one: true,
    }
}

#[test]
fn reads_return_whole_batches_within_their_bounds() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        for i in 0..10 {
            let values: Vec<_> = (0..3).map(|j| (NOW.0, format!("{i}.{j}"))).collect();
            append(&log, &batch(BatchOptions::default(), &values))
                .await
                .unwrap();
        }
        stable(&log, &watch, Offset::new(30)).await;
        let inside = log.read(span(4, 30, 1)).await.unwrap();
        assert_eq!(values(&inside.chunks)[0], (3, "1.0".to_owned()));
        assert_eq!(
            inside.next_offset,
            Offset::new(6),
            "one batch, though it is larger"
        );
        let bounded = log.read(span(0, 8, 100_000)).await.unwrap();
        assert_eq!(
            bounded.next_offset,
            Offset::new(6),
            "the batch over the bound is not there"
        );
        let nothing = ReadOptions {
            at_least_one: false,
            ..span(0, 30, 1)
        };
        assert_eq!(log.read(nothing).await.unwrap().bytes, 0);
        let at_end = log.read(span(30, 30, 100)).await.unwrap();
        assert_eq!((at_end.bytes, at_end.next_offset), (0, Offset::new(30)));
        let beyond = log.read(span(31, 31, 100)).await.unwrap_err();
        assert!(
            matches!(beyond, ReadError::OffsetOutOfRange { .. }),
            "{beyond:?}"
        );
        node.stop().await;
        let node = start(&path, &small_options()).await;
        let (log, _) = node.find(0).await;
        let inside = log.read(span(4, 30, 1)).await.unwrap();
        assert_eq!(values(&inside.chunks)[0], (3, "1.0".to_owned()));
        assert_eq!(inside.next_offset, Offset::new(6));
        let bounded = log.read(span(0, 8, 100_000)).await.unwrap();
        assert_eq!(bounded.next_offset, Offset::new(6));
        node.stop().await;
    });
}

#[test]
fn records_are_found_by_their_time() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let base = NOW.0 - 1_000_000;
        for i in 0..500_i64 {
            let values = [
                (base + i * 10, format!("{i:-<300}")),
                (base + i * 10 + 5, "b".into()),
            ];
            append(&log, &batch(BatchOptions::default(), &values))
                .await
                .unwrap();
        }
        let late = [(base + 100_000, "late".to_owned())];
        append(&log, &batch(BatchOptions::default(), &late))
            .await
            .unwrap();
        let last = append(&log, &record("last", 1)).await.unwrap().last_offset;
        let end = last.saturating_next();
        stable(&log, &watch, end).await;
        let cases = [
            (base - 5, Some(0)),
            (base, Some(0)),
            (base + 1, Some(1)),
            (base + 2_501, Some(501)),
            (base + 4_995, Some(999)),
            (base + 4_996, Some(1000)),
            (NOW.0, Some(1001)),
            (NOW.0 + 1, None),
        ];
        for (time, expected) in cases {
            let found = log
                .offset_for_timestamp(Timestamp(time), end)
                .await
                .unwrap();
            assert_eq!(
                found.map(|f| f.offset.get()),
                expected,
                "at {}",
                time - base
            );
        }
        let below = log
            .offset_for_timestamp(Timestamp(NOW.0), last)
            .await
            .unwrap();
        assert_eq!(below, None, "what lies behind the bound is not found");
        let largest = log.max_timestamp(last).await.unwrap().unwrap();
        assert_eq!(largest.offset, Offset::new(1000));
        assert_eq!(largest.timestamp, Timestamp(base + 100_000));
        node.stop().await;
    });
}

#[test]
fn a_flipped_bit_in_a_segment_is_an_error_and_never_an_answer() {
    let mut sim = Simulation::new(5);
    let node = sim.add_node(1);
    let limit = std::time::Duration::from_mins(1);
    sim.block_on(node, limit, || async {
        let node = start("/data".as_ref(), &small_options()).await;
        let (log, watch) = node.create(0).await;
        for i in 0..40_i64 {
            append(&log, &record(&format!("r{i}"), 200)).await.unwrap();
        }
        stable(&log, &watch, Offset::new(40)).await;
        node.stop().await;
    })
    .unwrap();
    let disk = sim.disk(node);
    let (name, bytes) = disk
        .files()
        .into_iter()
        .find(|(name, _)| name.ends_with(".segment"))
        .unwrap();
    let image = disk.snapshot();
    let mut errors = 0;
    for at in (0..bytes).step_by(97) {
        disk.restore(&image);
        disk.flip_bit(&name, at, 3).unwrap();
        let result = sim.block_on(node, limit, || async {
            let node = start("/data".as_ref(), &small_options()).await;
            let (log, _) = node.find(0).await;
            let answer = log.read(span(0, 40, 1 << 20)).await;
            node.store.stop().await.unwrap();
            answer
        });
        match result.unwrap() {
            Ok(answer) => {
                let found = values(&answer.chunks);
                assert_eq!(found.len(), 40, "flip at {at}");
                for (i, (offset, value)) in (0_i64..).zip(found) {
                    assert_eq!((offset, value), (i, format!("{:-<200}", format!("r{i}"))));
                }
            }
            Err(ReadError::Storage(StorageError::Corrupt { .. })) => errors += 1,
            Err(other) => panic!("flip at {at}: {other:?}"),
        }
    }
    assert!(errors > 50, "only {errors} flips were found");
}
