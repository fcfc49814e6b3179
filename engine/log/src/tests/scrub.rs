//! The scrub: finds what a check of the same directory finds, at its own pace, and changes nothing.

use super::support::*;
use super::verify::{Memory, check, fill};
use crate::offline::verify::Severity;
use crate::{ReadOptions, StorageOptions, StoreStats};
use core::time::Duration;
use engine_model::Offset;
use engine_rt::sim::{CrashKind, SimNode, Simulation};
use std::path::Path;

const LIMIT: Duration = Duration::from_hours(2);

fn options(scrub_bytes_per_second: u64) -> StorageOptions {
    StorageOptions {
        scrub_interval: Duration::from_mins(10),
        scrub_bytes_per_second,
        ..small_options()
    }
}

fn filled() -> (Simulation, SimNode) {
    let mut sim = Simulation::new(31);
    let node = sim.add_node(1);
    sim.block_on(node, LIMIT, fill).unwrap();
    sim.block_on(node, LIMIT, || async {
        start(Path::new("/data"), &small_options())
            .await
            .stop()
            .await;
    })
    .unwrap();
    (sim, node)
}

/// What a store has done after so many seconds without any other work.
fn scrubbed(
    sim: &mut Simulation,
    node: SimNode,
    options: StorageOptions,
    seconds: u64,
) -> StoreStats {
    sim.block_on(node, LIMIT, move || async move {
        let node = start(Path::new("/data"), &options).await;
        engine_rt::sleep(Duration::from_secs(seconds)).await;
        let stats = node.store.stats();
        node.stop().await;
        stats
    })
    .unwrap()
}

#[test]
fn everything_is_read_once_an_interval_and_no_faster_than_it_may() {
    let (mut sim, node) = filled();
    let (_, verified) = check(&Memory::of(&sim.disk(node).snapshot()));
    let logs = verified.picture.logs.values();
    let all: u64 = logs
        .flat_map(|log| &log.segments)
        .map(|segment| segment.bytes)
        .sum();
    assert!(all > 300_000, "{all}");
    let off = StorageOptions {
        scrub_interval: Duration::ZERO,
        ..options(1 << 20)
    };
    assert_eq!(scrubbed(&mut sim, node, off, 4000).scrub_bytes, 0);
    let early = scrubbed(&mut sim, node, options(1 << 20), 30);
    assert_eq!(early.scrub_bytes, 0, "a start is left alone");
    let once = scrubbed(&mut sim, node, options(1 << 20), 300);
    assert_eq!(once.scrub_passes, 1);
    // The manifest too.
    assert!((all..all + 100_000).contains(&once.scrub_bytes), "{once:?}");
    let often = scrubbed(&mut sim, node, options(1 << 20), 3590);
    assert_eq!(often.scrub_passes, 6);
    let slow = scrubbed(&mut sim, node, options(1000), 120);
    assert_eq!(slow.scrub_passes, 0);
    assert!(slow.scrub_bytes < 300_000, "one piece at a time: {slow:?}");
    assert_eq!(often.scrub_damaged_places, 0);
}

#[test]
fn the_scrub_finds_what_a_check_of_the_directory_finds_and_the_rest_is_served() {
    let (mut sim, node) = filled();
    let sound = sim.disk(node).snapshot();
    let (_, verified) = check(&Memory::of(&sound));
    let logs: Vec<_> = verified.picture.logs.values().collect();
    let mut places = Vec::new();
    for log in &logs {
        for segment in &log.segments {
            for at in (0..segment.bytes).step_by(30_011) {
                places.push((format!("/data/segments/{}.segment", segment.file), at));
            }
        }
    }
    assert!(places.len() > 10);
    for some in places.chunks(3) {
        sim.disk(node).restore(&sound);
        for (path, at) in some {
            sim.disk(node).flip_bit(path, *at, 5).unwrap();
        }
        let (findings, _) = check(&Memory::of(&sim.disk(node).snapshot()));
        let bad = findings
            .iter()
            .filter(|f| f.severity == Severity::Damage)
            .count();
        let stats = scrubbed(&mut sim, node, options(64 << 20), 700);
        let places = usize::try_from(stats.scrub_damaged_places).unwrap();
        assert_eq!(places, bad, "{findings:?}");
        assert!(
            stats.scrub_passes >= 2,
            "each place is told once: {stats:?}"
        );
    }
}

#[test]
fn a_rotten_manifest_is_written_anew_from_memory() {
    let (mut sim, node) = filled();
    let disk = sim.disk(node);
    let rot = disk.clone();
    sim.block_on(node, LIMIT, move || async move {
        let node = start(Path::new("/data"), &options(64 << 20)).await;
        for (path, _) in rot.files() {
            let bytes = rot.read(&path).unwrap();
            if path.ends_with(".manifest") && !bytes.is_empty() {
                rot.flip_bit(&path, 100, 0).unwrap();
            }
        }
        engine_rt::sleep(Duration::from_secs(90)).await;
        let stats = node.store.stats();
        assert_eq!(stats.scrub_damaged_places, 1);
        assert!(stats.checkpoints >= 1);
        let (log, watch) = node.find(0).await;
        append(&log, &record("more", 10)).await.unwrap();
        stable(&log, &watch, Offset::new(421)).await;
    })
    .unwrap();
    sim.crash(node, CrashKind::Power);
    sim.block_on(node, LIMIT, || async {
        let node = start(Path::new("/data"), &small_options()).await;
        let (log, _) = node.find(0).await;
        let last = ReadOptions {
            offset: Offset::new(420),
            end: Offset::MAX,
            bytes_max: 1,
            at_least_one: true,
        };
        assert_eq!(log.read(last).await.unwrap().next_offset, Offset::new(421));
        node.stop().await;
    })
    .unwrap();
}
