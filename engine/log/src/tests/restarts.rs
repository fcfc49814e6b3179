//! Restarts: recovery, other shard counts, directories that are refused.

use super::support::*;
use crate::{OpenError, StorageOptions, open};
use core::time::Duration;
use engine_model::Offset;
use engine_rt::sim::{CrashKind, Simulation};
use std::cell::RefCell;
use std::rc::Rc;

const LIMIT: Duration = Duration::from_mins(10);

#[test]
fn a_clean_stop_is_known_and_loses_nothing() {
    on_both(async |path| {
        let options = small_options();
        let node = start(&path, &options).await;
        assert!(node.opened.report.formatted && node.opened.was_clean);
        let run = node.opened.run;
        let (log, watch) = node.create(0).await;
        for i in 0..300_i64 {
            append(&log, &record(&format!("{i}"), 700)).await.unwrap();
        }
        stable(&log, &watch, Offset::new(300)).await;
        let expected = read_all(&log).await;
        node.stop().await;
        for round in 1..4 {
            let node = start(&path, &options).await;
            assert!(node.opened.was_clean && !node.opened.report.formatted);
            assert_eq!(node.opened.run, run + round);
            assert_eq!(
                node.opened.report.frames, 0,
                "a clean stop leaves nothing to replay"
            );
            let (log, _) = node.find(0).await;
            assert_eq!(read_all(&log).await, expected);
            node.stop().await;
        }
    });
}

#[test]
fn a_kill_at_any_moment_keeps_what_was_stable() {
    for kind in [CrashKind::Kill, CrashKind::Power] {
        for seed in 0..20 {
            let mut sim = Simulation::new(seed);
            let node = sim.add_node(1);
            let stable_values: Rc<RefCell<Vec<String>>> = Rc::default();
            let seen = Rc::clone(&stable_values);
            for round in 0..4_u64 {
                let seen = Rc::clone(&seen);
                let system = sim.system(node);
                let main = Box::new(move || {
                    Box::pin(workload(seen)) as std::pin::Pin<Box<dyn Future<Output = ()>>>
                });
                sim.start_local(node, &system, vec![main]);
                sim.run_for(Duration::from_millis(5 + 13 * seed + 40 * round));
                sim.crash(node, kind);
            }
            let expected = stable_values.borrow().clone();
            assert!(expected.len() > 10, "seed {seed}: only {}", expected.len());
            sim.block_on(node, LIMIT, || async move {
                let node = start("/data".as_ref(), &small_options()).await;
                let (log, _) = node.find(0).await;
                let found: Vec<_> = read_all(&log).await.into_iter().map(|(_, v)| v).collect();
                assert_eq!(found.get(..expected.len()), Some(expected.as_slice()));
                node.stop().await;
            })
            .unwrap();
        }
    }
}

/// Appends numbered records for ever, and tells which are stable.
async fn workload(seen: Rc<RefCell<Vec<String>>>) {
    let node = start("/data".as_ref(), &small_options()).await;
    let (log, watch) = match node.store.find(partition(0)) {
        Some(_) => node.find(0).await,
        None => node.create(0).await,
    };
    if log.latest_leader_epoch() < EPOCH {
        log.begin_leader_epoch(EPOCH).await.unwrap();
    }
    let known = read_all(&log).await;
    *seen.borrow_mut() = known.into_iter().map(|(_, value)| value).collect();
    for i in log.log_end_offset().get().. {
        let value = format!("{i:-<600}");
        let appended = append(&log, &record(&value, 0)).await.unwrap();
        assert_eq!(appended.base_offset, Offset::new(i));
        if i % 3 == 0 {
            stable(&log, &watch, Offset::new(i + 1)).await;
            let mut seen = seen.borrow_mut();
            for i in i64::try_from(seen.len()).unwrap()..=i {
                seen.push(format!("{i:-<600}"));
            }
        }
    }
}

#[test]
fn another_number_of_shards_keeps_every_log() {
    let mut sim = Simulation::new(3);
    let node = sim.add_node(1);
    let count = 12;
    for (round, shards) in [1_usize, 3, 2, 5, 1].into_iter().enumerate() {
        let round = i64::try_from(round).unwrap();
        sim.block_on(node, LIMIT, move || async move {
            let options = StorageOptions {
                shards,
                ..small_options()
            };
            let opened = open("/data".as_ref(), &options).await.unwrap();
            assert_eq!(opened.seeds.len(), shards);
            let mut stores = Vec::new();
            for seed in opened.seeds {
                stores.push(crate::Store::start(seed).await.unwrap());
            }
            for number in 0..count {
                let home = crate::home_shard(partition(number), shards);
                let store = &stores[home.index()];
                if round == 0 {
                    let log = store
                        .create(partition(number), small_config())
                        .await
                        .unwrap();
                    log.begin_leader_epoch(EPOCH).await.unwrap();
                }
                let log = store.find(partition(number)).unwrap();
                let watch = watch(&log);
                let found: Vec<_> = read_all(&log).await.into_iter().map(|(_, v)| v).collect();
                let expected: Vec<_> = (0..round).map(|r| format!("{number} in {r}")).collect();
                assert_eq!(found, expected);
                append(&log, &record(&format!("{number} in {round}"), 1))
                    .await
                    .unwrap();
                stable(&log, &watch, Offset::new(round + 1)).await;
            }
            // Every other round ends as a crash would end it.
            if round % 2 == 0 {
                for store in &stores {
                    store.stop().await.unwrap();
                }
                opened.directory.close_clean().await.unwrap();
            }
        })
        .unwrap();
    }
}

#[test]
fn directories_that_are_not_ours_are_refused_and_left_alone() {
    let mut sim = Simulation::new(1);
    let node = sim.add_node(1);
    sim.block_on(node, LIMIT, || async {
        let root = engine_rt::Dir::create("/data").await.unwrap();
        root.create_dir("photos").await.unwrap();
        let error = open("/data".as_ref(), &small_options())
            .await
            .err()
            .unwrap();
        assert!(
            matches!(&error, OpenError::Foreign { found, .. } if found == "photos"),
            "{error}"
        );
        root.remove_dir("photos").await.unwrap();
        let opened = open("/data".as_ref(), &small_options()).await.unwrap();
        let error = open("/data".as_ref(), &small_options())
            .await
            .err()
            .unwrap();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        drop(opened);
    })
    .unwrap();
    let disk = sim.disk(node);
    let image = disk.snapshot();
    for byte in [0, 8, 20, 40] {
        disk.restore(&image);
        disk.flip_bit("/data/CURRENT", byte, 0).unwrap();
        let error = sim
            .block_on(node, LIMIT, || async {
                open("/data".as_ref(), &small_options()).await.err()
            })
            .unwrap();
        assert!(
            matches!(error, Some(OpenError::Unreadable { .. })),
            "{byte}: {error:?}"
        );
    }
}

#[test]
fn deleted_logs_and_records_give_their_space_back() {
    on_both(async |path| {
        let node = start(&path, &small_options()).await;
        let (log, watch) = node.create(0).await;
        let (kept, kept_watch) = node.create(1).await;
        for i in 0..600_i64 {
            append(&log, &record(&format!("{i}"), 1000)).await.unwrap();
            append(&kept, &record(&format!("k{i}"), 1000))
                .await
                .unwrap();
        }
        stable(&log, &watch, Offset::new(600)).await;
        stable(&kept, &kept_watch, Offset::new(600)).await;
        let segments = engine_rt::Dir::open(path.join("segments")).await.unwrap();
        let before = segments.list().await.unwrap().len();
        node.store.delete(partition(0)).await.unwrap();
        kept.advance_log_start(Offset::new(500)).await.unwrap();
        engine_rt::sleep(Duration::from_secs(4)).await;
        let after = segments.list().await.unwrap().len();
        assert!(after * 3 <= before, "{before} files became {after}");
        let found = read_all(&kept).await;
        assert_eq!(found.len(), 100);
        assert_eq!(found[0].0, 500);
        node.stop().await;
        let node = start(&path, &small_options()).await;
        assert!(node.store.find(partition(0)).is_none());
        let (kept, _) = node.find(1).await;
        assert_eq!(kept.log_start_offset(), Offset::new(500));
        assert_eq!(read_all(&kept).await, found);
        node.stop().await;
    });
}
