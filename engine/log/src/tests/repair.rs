//! Repair: what is given up is told, exactly; what is not damaged stays; a crash in the middle of it
//! costs nothing more.

use super::support::*;
use super::verify::{Memory, check, fill};
use crate::offline::verify::Severity;
use crate::{AcceptLoss, LogState, OpenError, ReadOptions, RepairReport, repair};
use core::time::Duration;
use engine_model::Offset;
use engine_rt::sim::{CrashKind, DiskImage, SimNode, Simulation};
use std::path::Path;

const LIMIT: Duration = Duration::from_mins(10);

fn data() -> &'static Path {
    Path::new("/data")
}

fn repaired(
    sim: &mut Simulation,
    node: SimNode,
    is_dry_run: bool,
) -> Result<RepairReport, OpenError> {
    sim.block_on(node, LIMIT, move || async move {
        let accept = AcceptLoss {
            logs: None,
            is_dry_run,
        };
        repair(data(), &small_options(), &accept).await
    })
    .unwrap()
}

type Records = Vec<(i64, String)>;

/// The records of the logs 0 and 1, as a start serves them; `None` of one that is offline.
fn served(sim: &mut Simulation, node: SimNode) -> [Option<Records>; 2] {
    let found = sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        let mut found = [None, None];
        for (number, slot) in (0..).zip(&mut found) {
            let log = node.store.find(partition(number)).unwrap();
            if log.state() == LogState::Online {
                *slot = Some(read_all(&log).await);
            }
        }
        node.store.stop().await.unwrap();
        found
    });
    found.unwrap()
}

fn filled(seed: u64) -> (Simulation, SimNode) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
    sim.block_on(node, LIMIT, fill).unwrap();
    sim.crash(node, CrashKind::Power);
    (sim, node)
}

fn files(sim: &Simulation, node: SimNode) -> Memory {
    Memory::of(&sim.disk(node).snapshot())
}

/// A repair that was cut off at each of its writes comes to the same when it is done again.
fn survives_crashes(
    sim: &mut Simulation,
    node: SimNode,
    damaged: &DiskImage,
    expected: &[Option<Records>; 2],
) {
    for point in (0..400).step_by(3) {
        sim.disk(node).restore(damaged);
        sim.disk(node).crash_after(point);
        let cut_off = sim.block_on(node, LIMIT, || async {
            let accept = AcceptLoss::default();
            repair(data(), &small_options(), &accept).await.map(drop)
        });
        if cut_off.is_ok() {
            // It has fewer writes than that.
            assert!(point > 0);
            sim.disk(node).crash_after(u64::MAX);
            return;
        }
        sim.crash(node, CrashKind::Power);
        repaired(sim, node, false).unwrap();
        assert_eq!(&served(sim, node), expected, "crash at {point}");
    }
}

#[test]
fn rot_in_a_lane_costs_what_lies_behind_it_and_repair_lifts_the_quarantine() {
    let (mut sim, node) = filled(21);
    let sound = sim.disk(node).snapshot();
    let [all, others] = served(&mut sim, node).map(Option::unwrap);
    sim.disk(node).restore(&sound);
    assert!(repaired(&mut sim, node, true).unwrap().is_sound());

    let files_before = files(&sim, node);
    let (_, verified) = check(&files_before);
    let log = verified.picture.logs.values().next().unwrap();
    // The header of the frame that holds the fifth batch that only the lane holds.
    let sequence = log.lane[5].sequence;
    let lanes = &verified.current.unwrap().lanes[0].files;
    let (path, at) = lanes
        .iter()
        .find_map(|file| {
            let path = format!("{}.lane", file.file);
            let bytes = &files_before.0[&path];
            let at = (0..bytes.len()).step_by(4096).find(|at| {
                bytes[*at..].starts_with(b"ODFR")
                    && bytes[at + 64..at + 72] == sequence.to_le_bytes()
                    && bytes[at + 32..at + 40] == 1_u64.to_le_bytes()
            })?;
            Some((path, at))
        })
        .unwrap();
    let at = u64::try_from(at + 70).unwrap();
    sim.disk(node)
        .flip_bit(&format!("/data/{path}"), at, 0)
        .unwrap();
    let damaged = sim.disk(node).snapshot();

    assert_eq!(served(&mut sim, node), [None, None]);
    assert_eq!(served(&mut sim, node), [None, None]);
    let planned = repaired(&mut sim, node, true).unwrap();
    assert_eq!(
        served(&mut sim, node),
        [None, None],
        "a dry run changes nothing"
    );
    let done = repaired(&mut sim, node, false).unwrap();
    assert_eq!(planned.logs, done.logs);
    let [left, left_others] = served(&mut sim, node).map(Option::unwrap);
    assert!(all.starts_with(&left) && others.starts_with(&left_others));
    let ends: Vec<usize> = done
        .logs
        .iter()
        .map(|log| usize::try_from(log.log_end.get()).unwrap())
        .collect();
    assert_eq!(ends, [left.len(), left_others.len()]);
    let told = &done.logs[0];
    let (first, last) = (
        Offset::new(i64::try_from(left.len()).unwrap()),
        Offset::new(419),
    );
    assert_eq!(told.lost, [(first, last)]);
    assert!(repaired(&mut sim, node, false).unwrap().is_sound());
    let findings = check(&files(&sim, node)).0;
    assert!(
        findings.iter().all(|f| f.severity == Severity::Note),
        "{findings:?}"
    );

    // Straight from the damage, and with a crash at any point, it comes to the same.
    survives_crashes(&mut sim, node, &damaged, &[Some(left), Some(left_others)]);
}

#[test]
fn rot_in_a_segment_costs_the_records_of_its_extent_and_the_rest_keeps_its_offsets() {
    let (mut sim, node) = filled(22);
    let [all, others] = served(&mut sim, node).map(Option::unwrap);
    let (_, verified) = check(&files(&sim, node));
    let log = verified.picture.logs.values().next().unwrap();
    let path = format!("/data/segments/{}.segment", log.segments[0].file);
    sim.disk(node).flip_bit(&path, 9000, 3).unwrap();
    let damaged = sim.disk(node).snapshot();
    let (findings, _) = check(&files(&sim, node));
    let found: Vec<_> = findings
        .iter()
        .filter(|f| f.severity == Severity::Damage)
        .collect();
    assert_eq!(found.len(), 1);

    // The log goes on, and only what is damaged is refused.
    sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        let (log, watch) = node.find(0).await;
        let read = |offset| ReadOptions {
            offset: Offset::new(offset),
            end: Offset::MAX,
            bytes_max: 1,
            at_least_one: true,
        };
        let refused = log.read(read(0)).await.unwrap_err().to_string();
        assert!(refused.contains("damaged"), "{refused}");
        assert_eq!(
            log.read(read(400)).await.unwrap().next_offset,
            Offset::new(401)
        );
        append(&log, &record("more", 10)).await.unwrap();
        stable(&log, &watch, Offset::new(421)).await;
        node.stop().await;
    })
    .unwrap();
    sim.disk(node).restore(&damaged);

    let planned = repaired(&mut sim, node, true).unwrap();
    let done = repaired(&mut sim, node, false).unwrap();
    assert_eq!(planned.logs, done.logs);
    assert_eq!(done.logs.len(), 1);
    let lost = done.logs[0].lost.clone();
    assert_eq!(lost, [found[0].offsets.unwrap()]);
    let expected: Records = all
        .into_iter()
        .filter(|(offset, _)| !(lost[0].0.get()..=lost[0].1.get()).contains(offset))
        .collect();
    assert_eq!(
        served(&mut sim, node),
        [Some(expected.clone()), Some(others.clone())]
    );
    assert!(repaired(&mut sim, node, false).unwrap().is_sound());
    survives_crashes(&mut sim, node, &damaged, &[Some(expected), Some(others)]);
}

#[test]
fn a_lost_end_of_the_last_segment_moves_the_end_of_the_log() {
    let (mut sim, node) = filled(23);
    let [all, others] = served(&mut sim, node).map(Option::unwrap);
    let (_, verified) = check(&files(&sim, node));
    let log = verified.picture.logs.values().next().unwrap();
    let file = log.segments.last().unwrap().file;
    let name = format!("{file}.segment");
    sim.block_on(node, LIMIT, move || async move {
        let segments = engine_rt::Dir::open("/data/segments").await.unwrap();
        segments.remove_file(&name).await.unwrap();
    })
    .unwrap();
    let done = repaired(&mut sim, node, false).unwrap();
    let left = usize::try_from(done.logs[0].log_end.get()).unwrap();
    assert_eq!(
        done.logs[0].lost,
        [(done.logs[0].log_end, Offset::new(419))]
    );
    assert!(left > 0 && left < 420);
    assert_eq!(
        served(&mut sim, node),
        [Some(all[..left].to_vec()), Some(others)]
    );
}

#[test]
fn current_is_put_together_again_and_nothing_is_lost() {
    for is_removed in [true, false] {
        let (mut sim, node) = filled(24);
        let sound = sim.disk(node).snapshot();
        let expected = served(&mut sim, node);
        sim.disk(node).restore(&sound);
        if is_removed {
            sim.block_on(node, LIMIT, || async {
                let root = engine_rt::Dir::open("/data").await.unwrap();
                root.remove_file("CURRENT").await.unwrap();
            })
            .unwrap();
        } else {
            sim.disk(node).flip_bit("/data/CURRENT", 60, 1).unwrap();
        }
        let planned = repaired(&mut sim, node, true).unwrap();
        assert!(planned.rebuilt_current && planned.logs.is_empty());
        let done = repaired(&mut sim, node, false).unwrap();
        assert!(done.rebuilt_current && done.logs.is_empty());
        assert_eq!(served(&mut sim, node), expected);
    }
}

#[test]
fn a_directory_that_lost_the_log_of_the_brokers_is_not_repaired() {
    let (mut sim, node) = filled(25);
    for (path, bytes) in &files(&sim, node).0 {
        if path.ends_with(".manifest") && !bytes.is_empty() {
            sim.disk(node)
                .flip_bit(&format!("/data/{path}"), 70, 1)
                .unwrap();
        }
    }
    let before = files(&sim, node);
    for is_dry_run in [true, false] {
        let refused = repaired(&mut sim, node, is_dry_run).unwrap_err();
        assert!(matches!(refused, OpenError::Unreadable { .. }), "{refused}");
    }
    let after = files(&sim, node);
    assert_eq!(
        before.0.keys().collect::<Vec<_>>(),
        after.0.keys().collect::<Vec<_>>()
    );
}

/// Two logs of five records each in the lane, and a header of a frame of the first one flipped.
fn set_apart(seed: u64) -> (Simulation, SimNode) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
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
    let header = u64::try_from(at - at % 4096).unwrap();
    disk.flip_bit(&lane, header + 20, 1).unwrap();
    (sim, node)
}

#[test]
fn a_log_that_an_unreadable_frame_cannot_have_changed_keeps_everything() {
    let (mut sim, node) = set_apart(26);
    assert_eq!(served(&mut sim, node), [None, None]);
    let done = repaired(&mut sim, node, false).unwrap();
    let [a, b] = served(&mut sim, node).map(Option::unwrap);
    assert_eq!((a.len(), b.len()), (3, 5));
    let lost: Vec<_> = done.logs.iter().map(|log| log.lost.clone()).collect();
    let told = vec![(Offset::new(3), Offset::new(4))];
    assert_eq!(lost, [told, vec![]]);
}

#[test]
fn logs_set_apart_stay_so_until_they_are_deleted_and_then_their_files_go() {
    let (mut sim, node) = set_apart(27);
    for _ in 0..3 {
        assert_eq!(served(&mut sim, node), [None, None]);
    }
    let count = |sim: &Simulation| {
        let files = files(sim, node);
        let lanes = files.0.keys().filter(|path| path.ends_with("lane")).count();
        let segments = files.0.keys().filter(|p| p.ends_with(".segment")).count();
        (lanes, segments)
    };
    let (lanes, segments) = count(&sim);
    assert!(
        lanes > 2 && segments >= 2,
        "kept for repair: {lanes} {segments}"
    );
    sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        for number in 0..2 {
            node.store.delete(partition(number)).await.unwrap();
        }
        node.stop().await;
    })
    .unwrap();
    sim.block_on(node, LIMIT, || async {
        let node = start(data(), &small_options()).await;
        assert_eq!(node.store.logs().len(), 0);
        // A place for it is free again.
        let (log, watch) = node.create(0).await;
        append(&log, &record("new", 3)).await.unwrap();
        stable(&log, &watch, Offset::new(1)).await;
        node.stop().await;
    })
    .unwrap();
    assert_eq!(count(&sim), (2, 1));
}
