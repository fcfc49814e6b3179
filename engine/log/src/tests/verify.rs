//! What a check of a directory finds: nothing where nothing is wrong, and every kind of damage.

use super::support::*;
use crate::format::SegmentImage;
use crate::offline::verify::{
    Files, Finding, Seen, SegmentCheck, Severity, Unreadable, Verified, verify_directory,
};
use bytes::Bytes;
use core::time::Duration;
use engine_model::{LogId, Offset};
use engine_rt::sim::{CrashKind, DiskImage, SimNode, Simulation};
use std::collections::BTreeMap;
use std::path::Path;

const LIMIT: Duration = Duration::from_mins(10);

/// A directory in memory.
#[derive(Clone, Default)]
pub(super) struct Memory(pub(super) BTreeMap<String, Vec<u8>>);

impl Memory {
    pub(super) fn of(image: &DiskImage) -> Self {
        let files = image.files().into_iter().filter_map(|(path, _)| {
            let name = path.strip_prefix("/data/")?.to_owned();
            Some((name, image.read(&path).unwrap()))
        });
        Self(files.collect())
    }

    fn largest(&self, ending: &str) -> String {
        let files = self.0.iter().filter(|(path, _)| path.ends_with(ending));
        let largest = files.max_by_key(|(_, bytes)| bytes.len());
        largest.unwrap().0.clone()
    }

    fn flip(&mut self, path: &str, at: usize) {
        self.0.get_mut(path).unwrap()[at] ^= 0x10;
    }
}

impl Files for Memory {
    fn list(&mut self) -> Result<Vec<(String, u64)>, Unreadable> {
        let size = |bytes: &Vec<u8>| u64::try_from(bytes.len()).unwrap();
        Ok(self
            .0
            .iter()
            .map(|(path, b)| (path.clone(), size(b)))
            .collect())
    }

    fn read(&mut self, path: &str, position: u64, bytes: usize) -> Result<Bytes, Unreadable> {
        let file = self.0.get(path).ok_or(Unreadable { errno: 2 })?;
        let from = usize::try_from(position).unwrap().min(file.len());
        let to = from.saturating_add(bytes).min(file.len());
        Ok(Bytes::copy_from_slice(&file[from..to]))
    }
}

pub(super) fn check(files: &Memory) -> (Vec<Finding>, Verified) {
    let mut findings = Vec::new();
    let verified = verify_directory(&mut files.clone(), None, |f| findings.push(f)).unwrap();
    (findings, verified)
}

fn bad(files: &Memory) -> Vec<Finding> {
    let (mut findings, _) = check(files);
    findings.retain(|finding| finding.severity > Severity::Note);
    findings
}

/// Two logs with segments of several index blocks, one of them truncated, and frames behind the
/// manifest; not stopped.
pub(super) async fn fill() {
    let node = start(Path::new("/data"), &small_options()).await;
    let (log, watch) = node.create(0).await;
    let (other, _) = node.create(1).await;
    for round in 0..300 {
        append(&log, &record(&format!("a{round}"), 900))
            .await
            .unwrap();
        if round % 5 == 0 {
            append(&other, &record(&format!("b{round}"), 50))
                .await
                .unwrap();
        }
    }
    stable(&log, &watch, Offset::new(300)).await;
    log.truncate_to(Offset::new(290)).await.unwrap();
    watch.failures.borrow_mut().clear();
    for round in 290..420 {
        append(&log, &record(&format!("a{round}"), 900))
            .await
            .unwrap();
    }
    stable(&log, &watch, Offset::new(420)).await;
    engine_rt::sleep(Duration::from_secs(1)).await;
}

async fn stop_again() {
    start(Path::new("/data"), &small_options())
        .await
        .stop()
        .await;
}

fn filled(seed: u64) -> (Simulation, SimNode, Memory) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
    sim.block_on(node, LIMIT, fill).unwrap();
    sim.crash(node, CrashKind::Power);
    let files = Memory::of(&sim.disk(node).snapshot());
    (sim, node, files)
}

#[test]
fn a_directory_without_rot_is_sound_in_use_after_a_crash_and_stopped() {
    for seed in 0..4 {
        let (mut sim, node, files) = filled(seed);
        assert_eq!(bad(&files), [], "crashed, seed {seed}");
        sim.block_on(node, LIMIT, stop_again).unwrap();
        let files = Memory::of(&sim.disk(node).snapshot());
        let (findings, verified) = check(&files);
        assert_eq!(findings, [], "stopped, seed {seed}");
        let ends: Vec<i64> = verified
            .picture
            .logs
            .values()
            .map(|l| l.log_end.get())
            .collect();
        assert_eq!(ends, [420, 60]);
    }
}

#[test]
fn every_kind_of_damage_is_told_with_its_place() {
    let (_, _, files) = filled(7);
    let segment = files.largest(".segment");
    let manifest = files.largest(".manifest");
    let name = |files: &Memory| -> Vec<(String, &'static str)> {
        bad(files)
            .iter()
            .map(|f| (f.file.clone(), f.problem.name()))
            .collect()
    };
    let mut damaged = files.clone();
    damaged.flip("CURRENT", 70);
    assert_eq!(name(&damaged)[0], ("CURRENT".to_owned(), "current"));
    damaged.0.remove("CURRENT");
    assert_eq!(name(&damaged)[0], ("CURRENT".to_owned(), "unreadable"));

    let mut damaged = files.clone();
    damaged.0.remove(&segment);
    assert_eq!(name(&damaged), [(segment.clone(), "missing")]);
    assert!(bad(&damaged)[0].offsets.is_some());

    let mut damaged = files.clone();
    let half = damaged.0[&segment].len() / 8192 * 4096 + 100;
    damaged.0.get_mut(&segment).unwrap().truncate(half);
    assert_eq!(name(&damaged), [(segment.clone(), "short")]);
    let mut damaged = files.clone();
    damaged.0.get_mut(&segment).unwrap()[8192..16384].fill(0);
    assert_eq!(name(&damaged)[0].0, segment);

    // A sound extent in another's place.
    let mut damaged = files.clone();
    damaged
        .0
        .get_mut(&segment)
        .unwrap()
        .copy_within(0..8192, 8192);
    assert_eq!(name(&damaged)[0], (segment.clone(), "extent"));

    // Both slots of the lane.
    let mut damaged = files.clone();
    for (path, bytes) in &mut damaged.0 {
        if path.ends_with(".manifest") && !bytes.is_empty() {
            bytes[90] ^= 1;
        }
    }
    let found = name(&damaged);
    assert!(
        found.iter().any(|(_, problem)| *problem == "no_manifest"),
        "{found:?}"
    );
    let _ = manifest;
}

/// Where the extents of a segment lie, and their bytes.
fn extents(files: &Memory, log: LogId, segment: SegmentImage) -> Vec<(u64, u64)> {
    let path = format!("segments/{}.segment", segment.file);
    let mut extents = Vec::new();
    let mut check = SegmentCheck::new(log, segment);
    while let Some((position, bytes)) = check.wants() {
        let bytes = files.clone().read(&path, position, bytes).unwrap();
        check.take(&bytes, |seen| match seen {
            Seen::Extent { position, view } => {
                let bytes = u64::try_from(view.header.extent_bytes()).unwrap();
                extents.push((position, bytes));
            }
            Seen::Finding(finding) => panic!("{finding}"),
        });
    }
    extents
}

#[test]
fn a_flipped_bit_anywhere_in_a_segment_costs_its_extent_and_no_more() {
    let (_, _, files) = filled(9);
    let (_, verified) = check(&files);
    for log in verified.picture.logs.values() {
        for segment in &log.segments {
            let path = format!("segments/{}.segment", segment.file);
            let extents = extents(&files, log.id, *segment);
            let end = usize::try_from(segment.bytes).unwrap();
            for at in (0..end).step_by(1021) {
                let mut damaged = files.clone();
                damaged.flip(&path, at);
                let found = bad(&damaged);
                assert_eq!(found.len(), 1, "{path} {at}: {found:?}");
                assert_eq!(found[0].file, path);
                let place = (found[0].position, found[0].bytes);
                assert!(extents.contains(&place), "{found:?} {extents:?}");
                let at = u64::try_from(at).unwrap();
                assert!((place.0..place.0 + place.1).contains(&at), "{at} {found:?}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_frame_that_counts_is_told_with_the_logs_it_hits() {
    let (_, _, files) = filled(11);
    let (_, verified) = check(&files);
    let current = verified.current.unwrap();
    let live: u64 = verified
        .picture
        .logs
        .values()
        .map(|log| log.lane.iter().map(|b| b.bytes).sum::<u64>())
        .sum();
    assert!(live > 8192, "the lane holds something: {live}");
    let (mut told, mut quiet) = (0, 0);
    for file in &current.lanes[0].files {
        let path = format!("{}.lane", file.file);
        for at in (0..files.0[&path].len()).step_by(509) {
            let mut damaged = files.clone();
            damaged.flip(&path, at);
            let (found, after) = check(&damaged);
            let is_bad = found.iter().any(|f| f.severity == Severity::Damage);
            if is_bad {
                told += 1;
                let is_set_apart = after.picture.logs.values().any(|log| log.quarantined);
                assert!(is_set_apart || !after.suspects.is_empty(), "{found:?}");
            } else {
                quiet += 1;
                // What nobody needs, or the frame behind the last durable one.
                assert_eq!(after.picture.logs.len(), 2);
            }
        }
    }
    assert!(told > 0 && quiet > 0, "{told} {quiet}");
}
