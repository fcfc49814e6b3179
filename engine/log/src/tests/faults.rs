//! Disks that fail, fill up or rot: fences, back-pressure, quarantine.

use super::support::*;
use crate::{
    AppendError, LogFailure, LogState, OfflineReason, StorageError, StorageOptions, Store, open,
};
use core::time::Duration;
use engine_model::Offset;
use engine_rt::sim::{CrashKind, Fault, FaultKind, SimDisk, SimNode, Simulation};
use std::path::Path;

const LIMIT: Duration = Duration::from_mins(10);
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn sim_node(seed: u64) -> (Simulation, SimNode) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
    (sim, node)
}

/// The disk of the node, for use inside its program.
fn disk(sim: &Simulation, node: SimNode) -> SimDisk {
    sim.disk(node)
}

fn data() -> &'static Path {
    Path::new("/data")
}

#[test]
fn a_failed_write_or_flush_of_the_lane_fences_and_acknowledges_nothing() {
    for kind in [FaultKind::Write, FaultKind::Flush] {
        for seed in 0..5 {
            let (mut sim, node) = sim_node(seed);
            let faulty = disk(&sim, node);
            sim.block_on(node, LIMIT, move || async move {
                let node = start(data(), &small_options()).await;
                let (log, watch) = node.create(0).await;
                append(&log, &record("good", 10)).await.unwrap();
                stable(&log, &watch, Offset::new(1)).await;
                faulty.fail(Fault::once(kind, EIO).on(".lane"));
                append(&log, &record("lost", 10)).await.unwrap();
                while watch.failures.borrow().is_empty() {
                    engine_rt::sleep(Duration::from_millis(1)).await;
                }
                assert!(matches!(watch.failures.borrow()[0], LogFailure::Fenced(_)));
                assert_eq!(log.stable_end(), Offset::new(1));
                // The next operation would go well: a fence is for good all the same.
                let refused = append(&log, &record("late", 1)).await.unwrap_err();
                assert!(
                    matches!(refused, AppendError::Storage(StorageError::Fenced(_))),
                    "{refused:?}"
                );
                assert_eq!(read_all(&log).await, [(0, "good------".to_owned())]);
                assert!(node.store.fenced().is_some());
                assert!(
                    node.store
                        .create(partition(5), small_config())
                        .await
                        .is_err()
                );
                assert!(node.store.stop().await.is_err());
                assert!(node.opened.directory.close_clean().await.is_err());
            })
            .unwrap();
            sim.crash(node, CrashKind::Power);
            sim.block_on(node, LIMIT, || async {
                let node = start(data(), &small_options()).await;
                assert!(!node.opened.was_clean);
                let (log, _) = node.find(0).await;
                assert_eq!(read_all(&log).await[0], (0, "good------".to_owned()));
                node.stop().await;
            })
            .unwrap();
        }
    }
}

#[test]
fn where_segments_cannot_be_written_appends_are_told_and_a_stop_ends() {
    for kind in [FaultKind::Write, FaultKind::Flush] {
        let (mut sim, node) = sim_node(3);
        let faulty = disk(&sim, node);
        let kept = sim
            .block_on(node, LIMIT, move || async move {
                let node = start(data(), &small_options()).await;
                let (log, watch) = node.create(0).await;
                faulty.fail(Fault::always(kind, EIO).on(".segment"));
                let mut taken = 0;
                let refused = loop {
                    match append(&log, &record(&format!("{taken}"), 9000)).await {
                        Ok(_) => taken += 1,
                        Err(error) => break error,
                    }
                };
                assert!(
                    matches!(refused, AppendError::Storage(StorageError::Io { .. })),
                    "{refused:?}"
                );
                stable(&log, &watch, Offset::new(taken)).await;
                assert_eq!(node.store.fenced(), None);
                // Healed, it takes appends again by itself.
                faulty.heal();
                while append(&log, &record("later", 9000)).await.is_err() {
                    engine_rt::sleep(Duration::from_millis(50)).await;
                }
                let kept = log.log_end_offset();
                stable(&log, &watch, kept).await;
                faulty.fail(Fault::always(kind, EIO).on(".segment"));
                assert!(node.store.stop().await.is_err());
                kept
            })
            .unwrap();
        disk(&sim, node).heal();
        sim.crash(node, CrashKind::Power);
        sim.block_on(node, LIMIT, move || async move {
            let node = start(data(), &small_options()).await;
            let (log, _) = node.find(0).await;
            assert_eq!(log.log_end_offset(), kept);
            node.stop().await;
        })
        .unwrap();
    }
}

#[test]
fn a_fence_reaches_every_shard_and_is_lifted_for_all() {
    let (mut sim, node) = sim_node(2);
    let faulty = disk(&sim, node);
    sim.block_on(node, LIMIT, move || async move {
        let options = StorageOptions {
            shards: 2,
            ..small_options()
        };
        let opened = open(data(), &options).await.unwrap();
        let mut stores = Vec::new();
        for seed in opened.seeds {
            stores.push(Store::start(seed).await.unwrap());
        }
        let mut logs = Vec::new();
        for number in 0..2 {
            let home = crate::home_shard(partition(number), 2).index();
            let log = stores[home]
                .create(partition(number), small_config())
                .await
                .unwrap();
            log.begin_leader_epoch(EPOCH).await.unwrap();
            let watch = watch(&log);
            append(&log, &record("kept", 4)).await.unwrap();
            stable(&log, &watch, Offset::new(1)).await;
            logs.push((log, watch));
        }
        faulty.fail(Fault::once(FaultKind::Flush, EIO).on(".lane"));
        append(&logs[0].0, &record("lost", 4)).await.unwrap();
        engine_rt::sleep(Duration::from_secs(1)).await;
        for (log, watch) in &logs {
            assert!(matches!(
                watch.failures.borrow()[..],
                [LogFailure::Fenced(_)]
            ));
            assert!(append(log, &record("x", 1)).await.is_err());
        }
        let mut ends = Vec::new();
        for store in &stores {
            ends.push(store.stop_fenced().await);
        }
        let mut directory = opened.directory;
        let unfenced = directory.unfence(ends).await.unwrap();
        assert_eq!(unfenced.lost, []);
        let mut stores = Vec::new();
        for seed in unfenced.seeds {
            stores.push(Store::start(seed).await.unwrap());
        }
        for number in 0..2 {
            let home = crate::home_shard(partition(number), 2).index();
            let log = stores[home].find(partition(number)).unwrap();
            let watch = watch(&log);
            assert_eq!(log.state(), LogState::Online);
            assert_eq!(read_all(&log).await[0], (0, "kept".to_owned()));
            let end = log.log_end_offset();
            append(&log, &record("more", 4)).await.unwrap();
            stable(&log, &watch, end.saturating_next()).await;
        }
        for store in &stores {
            store.stop().await.unwrap();
        }
        directory.close_clean().await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_log_that_comes_back_shorter_than_acknowledged_stays_offline_for_good() {
    let lost = LogState::Offline(OfflineReason::LostStableRecords);
    let (mut sim, node) = sim_node(4);
    sim.block_on(node, LIMIT, move || async move {
        let node = start(data(), &small_options()).await;
        let (log, watch) = node.create(0).await;
        append(&log, &record("kept", 4)).await.unwrap();
        stable(&log, &watch, Offset::new(1)).await;
        let mut ends = node.store.stop_fenced().await;
        // As if a second record had been acknowledged and were gone.
        ends.ends.insert(log.id(), Offset::new(2));
        let mut directory = node.opened.directory;
        // What its store says after that is what is left, not what there was.
        for _ in 0..3 {
            let mut unfenced = directory.unfence(vec![ends]).await.unwrap();
            assert_eq!(unfenced.lost, [log.id()]);
            let store = Store::start(unfenced.seeds.remove(0)).await.unwrap();
            let log = store.find(partition(0)).unwrap();
            assert_eq!(log.state(), lost);
            assert!(append(&log, &record("x", 1)).await.is_err());
            ends = store.stop_fenced().await;
        }
        let mut unfenced = directory.unfence(vec![ends]).await.unwrap();
        let store = Store::start(unfenced.seeds.remove(0)).await.unwrap();
        store.stop().await.unwrap();
        directory.close_clean().await.unwrap();
    })
    .unwrap();
    sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        let log = node.store.find(partition(0)).unwrap();
        assert_eq!(log.state(), LogState::Offline(OfflineReason::Quarantined));
        node.store.stop().await.unwrap();
    })
    .unwrap();
}

#[test]
fn an_unfence_that_fails_anywhere_can_be_tried_again() {
    let plans = [
        (FaultKind::Write, "PROBE"),
        (FaultKind::Flush, ".lane"),
        (FaultKind::Read, "CURRENT"),
        (FaultKind::Read, ".lane"),
        (FaultKind::Read, ".manifest"),
        (FaultKind::Write, ".segment"),
        (FaultKind::Flush, ".segment"),
        (FaultKind::Directory, "segments"),
        (FaultKind::Write, ".manifest"),
        (FaultKind::Flush, ".manifest"),
        (FaultKind::Write, "CURRENT.new"),
        (FaultKind::Flush, "CURRENT.new"),
        (FaultKind::Directory, "CURRENT.new"),
    ];
    for (place, (kind, path)) in plans.into_iter().enumerate() {
        for skipped in [0, 1] {
            let (mut sim, node) = sim_node(u64::try_from(place).unwrap());
            let faulty = disk(&sim, node);
            sim.block_on(node, LIMIT, move || async move {
                let node = start(data(), &small_options()).await;
                let (log, watch) = node.create(0).await;
                for i in 0..30_i64 {
                    append(&log, &record(&format!("{i}"), 900)).await.unwrap();
                }
                stable(&log, &watch, Offset::new(30)).await;
                let ends = node.store.stop_fenced().await;
                let mut directory = node.opened.directory;
                faulty.fail(Fault::once(kind, EIO).on(path).after(skipped));
                let mut first = directory.unfence(vec![ends]).await;
                faulty.heal();
                if skipped == 0 {
                    assert!(first.is_err(), "{kind:?} of {path} never struck");
                }
                if first.is_err() {
                    first = directory.unfence(Vec::new()).await;
                }
                let mut unfenced = first.unwrap();
                assert_eq!(unfenced.lost, [], "{kind:?} of {path}");
                let store = Store::start(unfenced.seeds.remove(0)).await.unwrap();
                let log = store.find(partition(0)).unwrap();
                assert_eq!(log.state(), LogState::Online);
                let found = read_all(&log).await;
                assert_eq!(found.len(), 30, "{kind:?} of {path}");
                append(&log, &record("more", 4)).await.unwrap();
                store.stop().await.unwrap();
                directory.close_clean().await.unwrap();
            })
            .unwrap();
            sim.crash(node, CrashKind::Power);
            sim.block_on(node, LIMIT, || async {
                let node = start(data(), &small_options()).await;
                assert!(node.opened.was_clean);
                let (log, _) = node.find(0).await;
                assert_eq!(read_all(&log).await.len(), 31);
                node.stop().await;
            })
            .unwrap();
        }
    }
}

#[test]
fn a_failing_segment_is_abandoned_and_written_again() {
    for kind in [FaultKind::Write, FaultKind::Flush] {
        for skipped in [0, 1, 2, 4, 6] {
            let (mut sim, node) = sim_node(skipped);
            let faulty = disk(&sim, node);
            let count = sim
                .block_on(node, LIMIT, move || async move {
                    let node = start(data(), &small_options()).await;
                    let (log, watch) = node.create(0).await;
                    faulty.fail(Fault::once(kind, EIO).on(".segment").after(skipped));
                    for i in 0..400_i64 {
                        append(&log, &record(&format!("{i}"), 900)).await.unwrap();
                    }
                    stable(&log, &watch, Offset::new(400)).await;
                    assert_eq!(node.store.fenced(), None);
                    let all = read_all(&log).await;
                    node.stop().await;
                    all.len()
                })
                .unwrap();
            assert_eq!(count, 400);
            let counts = sim.disk(node).counts();
            assert_eq!(
                counts.writes_failed + counts.flushes_failed,
                1,
                "the fault never struck"
            );
            sim.crash(node, CrashKind::Power);
            sim.block_on(node, LIMIT, || async {
                let node = start(data(), &small_options()).await;
                let (log, _) = node.find(0).await;
                let found = read_all(&log).await;
                assert_eq!(found.len(), 400);
                for (i, (offset, value)) in (0_i64..).zip(found) {
                    assert_eq!((offset, value), (i, format!("{:-<900}", format!("{i}"))));
                }
                node.stop().await;
            })
            .unwrap();
        }
    }
}

#[test]
fn a_full_disk_is_back_pressure_and_passes() {
    let (mut sim, node) = sim_node(6);
    let faulty = disk(&sim, node);
    sim.block_on(node, LIMIT, move || async move {
        let node = start(data(), &small_options()).await;
        let (log, watch) = node.create(0).await;
        faulty.fail(Fault::always(FaultKind::Write, ENOSPC).on(".segment"));
        let mut taken = 0;
        // Both halves fill, then appends wait.
        loop {
            let records = record(&format!("{taken}"), 900);
            match engine_rt::timeout(Duration::from_secs(3), append(&log, &records)).await {
                Ok(appended) => {
                    appended.unwrap();
                    taken += 1;
                }
                Err(_) => break,
            }
        }
        assert!(taken > 50, "{taken}");
        stable(&log, &watch, Offset::new(taken)).await;
        assert_eq!(node.store.fenced(), None);
        assert_eq!(read_all(&log).await.len(), usize::try_from(taken).unwrap());
        let files = engine_rt::Dir::open("/data/segments").await.unwrap();
        let left = files.list().await.unwrap().len();
        assert!(left < 5, "{left} abandoned files are left");
        faulty.heal();
        for i in taken..taken + 300 {
            append(&log, &record(&format!("{i}"), 900)).await.unwrap();
        }
        stable(&log, &watch, Offset::new(taken + 300)).await;
        let found = read_all(&log).await;
        for (i, (offset, value)) in (0_i64..).zip(found) {
            assert_eq!((offset, value), (i, format!("{:-<900}", format!("{i}"))));
        }
        node.stop().await;
    })
    .unwrap();
}

#[test]
fn appends_are_refused_at_the_disk_reserve_and_taken_again_above_it() {
    let (mut sim, node) = sim_node(8);
    let small = disk(&sim, node);
    sim.block_on(node, LIMIT, move || async move {
        let options = StorageOptions {
            disk_reserve_bytes: 1 << 20,
            ..small_options()
        };
        small.set_capacity(64 << 20);
        let node = start(data(), &options).await;
        let (log, _) = node.create(0).await;
        append(&log, &record("x", 1)).await.unwrap();
        node.create(1).await;
        let used = (64 << 20) - small.free_bytes();
        small.set_capacity(used + (1 << 19));
        engine_rt::sleep(Duration::from_secs(2)).await;
        let refused = append(&log, &record("x", 1)).await.unwrap_err();
        assert!(
            matches!(refused, AppendError::Storage(StorageError::DiskFull { .. })),
            "{refused:?}"
        );
        // What frees space works all the same.
        log.truncate_to(Offset::ZERO).await.unwrap();
        log.begin_leader_epoch(EPOCH).await.unwrap();
        node.store.delete(partition(1)).await.unwrap();
        small.set_capacity(64 << 20);
        engine_rt::sleep(Duration::from_secs(2)).await;
        append(&log, &record("x", 1)).await.unwrap();
        node.stop().await;
    })
    .unwrap();
}

#[test]
fn a_deleted_log_gives_its_space_back_where_not_even_a_checkpoint_finds_room() {
    let (mut sim, node) = sim_node(11);
    let small = disk(&sim, node);
    sim.block_on(node, LIMIT, move || async move {
        let capacity: u64 = 64 << 20;
        small.set_capacity(capacity);
        let options = StorageOptions {
            disk_reserve_bytes: 64 << 10,
            ..small_options()
        };
        let node = start(data(), &options).await;
        let (large, watch_large) = node.create(0).await;
        for i in 0..400_i64 {
            let records = record(&format!("{i}"), 9000);
            append(&large, &records).await.unwrap();
        }
        stable(&large, &watch_large, Offset::new(400)).await;
        let (log, watch) = node.create(1).await;
        let mut taken = 0;
        while taken < 20 {
            append(&log, &record(&format!("{taken}"), 900))
                .await
                .unwrap();
            taken += 1;
        }
        stable(&log, &watch, Offset::new(taken)).await;
        // Somebody else took all there was.
        small.set_capacity(capacity - small.free_bytes());
        engine_rt::sleep(Duration::from_secs(1)).await;
        let refused = append(&log, &record("x", 1)).await.unwrap_err();
        assert!(
            matches!(refused, AppendError::Storage(StorageError::DiskFull { .. })),
            "{refused:?}"
        );
        node.store.delete(partition(0)).await.unwrap();
        engine_rt::sleep(Duration::from_secs(5)).await;
        assert!(small.free_bytes() > 3_000_000, "{}", small.free_bytes());
        for _ in 0..100 {
            let records = record(&format!("{taken}"), 900);
            append(&log, &records).await.unwrap();
            taken += 1;
        }
        stable(&log, &watch, Offset::new(taken)).await;
        assert_eq!(node.store.fenced(), None);
        // A crash finds a manifest or a deletion: the log is gone either way.
    })
    .unwrap();
    sim.crash(node, CrashKind::Power);
    sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        assert!(node.store.find(partition(0)).is_none());
        let (log, _) = node.find(1).await;
        for (i, (offset, value)) in (0_i64..).zip(read_all(&log).await) {
            assert_eq!((offset, value), (i, format!("{:-<900}", format!("{i}"))));
        }
        node.stop().await;
    })
    .unwrap();
}

#[test]
fn rot_in_a_durable_frame_sets_its_logs_apart_and_cuts_nothing() {
    let (mut sim, node) = sim_node(9);
    sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        let (a, watch_a) = node.create(0).await;
        let (b, watch_b) = node.create(1).await;
        for i in 0..5_i64 {
            append(&a, &record(&format!("a{i}"), 2000)).await.unwrap();
            stable(&a, &watch_a, Offset::new(i + 1)).await;
            append(&b, &record(&format!("b{i}"), 2000)).await.unwrap();
            stable(&b, &watch_b, Offset::new(i + 1)).await;
        }
        engine_rt::sleep(Duration::from_secs(1)).await;
    })
    .unwrap();
    sim.crash(node, CrashKind::Kill);
    let disk = sim.disk(node);
    let image = disk.snapshot();
    let (lane, at) = disk
        .files()
        .into_iter()
        .filter(|(name, _)| name.contains(".lane"))
        .find_map(|(name, _)| {
            let bytes = disk.read(&name).unwrap();
            let at = bytes.windows(3).position(|window| window == b"a3-")?;
            Some((name, at))
        })
        .unwrap();
    // A payload: its log is named by the table. A header: nobody knows whose frame it was.
    for (back, expected) in [(0, [false, true]), (at % 4096, [false, false])] {
        disk.restore(&image);
        let at = u64::try_from(at - back).unwrap();
        disk.flip_bit(&lane, at, 1).unwrap();
        // The second start finds what the first one left.
        for _ in 0..2 {
            let online = sim
                .block_on(node, LIMIT, || async {
                    let node = start(data(), &small_options()).await;
                    let mut online = Vec::new();
                    for number in 0..2 {
                        let log = node.store.find(partition(number)).unwrap();
                        online.push(log.state() == LogState::Online);
                        if log.state() == LogState::Online {
                            assert_eq!(read_all(&log).await.len(), 5);
                        } else {
                            assert!(append(&log, &record("x", 1)).await.is_err());
                        }
                    }
                    node.store.stop().await.unwrap();
                    online
                })
                .unwrap();
            assert_eq!(online, expected, "flip {back} bytes before the payload");
        }
        let still = disk.read(&lane).unwrap();
        let kept = still.windows(3).any(|window| window == b"a2-");
        assert!(kept, "the lane's file was written again");
    }
}

#[test]
fn rot_in_the_last_frame_looks_like_a_torn_tail_only_before_the_heartbeat() {
    for (pause, expected) in [
        (10, LogState::Online),
        (300, LogState::Offline(OfflineReason::Quarantined)),
    ] {
        let (mut sim, node) = sim_node(10);
        sim.block_on(node, LIMIT, move || async move {
            let node = start(data(), &small_options()).await;
            let (log, watch) = node.create(0).await;
            append(&log, &record("lastrecord", 5000)).await.unwrap();
            stable(&log, &watch, Offset::new(1)).await;
            engine_rt::sleep(Duration::from_millis(pause)).await;
        })
        .unwrap();
        sim.crash(node, CrashKind::Kill);
        let disk = sim.disk(node);
        for (name, _) in disk.files() {
            let bytes = disk.read(&name).unwrap();
            if let Some(at) = bytes.windows(10).position(|window| window == b"lastrecord") {
                disk.flip_bit(&name, u64::try_from(at).unwrap(), 0).unwrap();
            }
        }
        let state = sim
            .block_on(node, LIMIT, || async {
                let node = start(data(), &small_options()).await;
                let state = node.store.find(partition(0)).unwrap().state();
                node.store.stop().await.unwrap();
                state
            })
            .unwrap();
        assert_eq!(state, expected, "after {pause} ms");
    }
}
