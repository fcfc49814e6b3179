//! The disk against a model that keeps whole byte vectors and, for every byte, all it may become.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::sim::random::SeededRandom;

fn file(disk: &mut Disk, directory: NodeNumber, name: &str) -> NodeNumber {
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    disk.open_file(directory, name, mode).unwrap()
}

fn contents(disk: &Disk, node: NodeNumber) -> Vec<u8> {
    let mut out = vec![0xEE; usize::try_from(disk.size(node).unwrap()).unwrap()];
    let length = out.len();
    assert_eq!(disk.read(node, 0, &mut out), Ok(length));
    out
}

fn names(disk: &Disk, directory: NodeNumber) -> Vec<String> {
    let list = disk.list(directory).unwrap();
    list.into_iter().map(|(name, _)| name.to_string()).collect()
}

/// The outcomes of 300 power cuts of copies of `disk`.
fn power_cuts(disk: &Disk) -> Vec<Disk> {
    (0..300)
        .map(|seed| {
            let mut copy = disk.snapshot();
            copy.crash(CrashKind::Power, &mut SeededRandom::new(seed));
            copy
        })
        .collect()
}

#[test]
fn unwritten_ranges_read_as_zeros_and_reads_end_at_the_end() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.write(node, 10_000, Bytes::from_static(b"xyz"))
        .unwrap();
    let mut out = [9_u8; 10];
    assert_eq!(disk.read(node, 9_996, &mut out), Ok(7));
    assert_eq!(&out, b"\0\0\0\0xyz\x09\x09\x09");
    assert_eq!(disk.read(node, 10_003, &mut out), Ok(0));
    disk.set_size(node, 10_001).unwrap();
    disk.set_size(node, 10_003).unwrap();
    assert_eq!(disk.read(node, 10_000, &mut out), Ok(3));
    assert_eq!(&out[..3], b"x\0\0");
    disk.allocate(node, 4096, 16_384).unwrap();
    assert_eq!(disk.size(node), Ok(20_480));
}

#[test]
fn errors_are_those_of_the_system() {
    let mut disk = Disk::default();
    let directory = disk.make_directory(Disk::ROOT, "d").unwrap();
    let node = file(&mut disk, directory, "f");
    let new = OpenMode {
        create_new: true,
        ..OpenMode::default()
    };
    let plain = OpenMode::default();
    assert_eq!(disk.open_file(directory, "f", new), Err(libc::EEXIST));
    assert_eq!(disk.open_file(directory, "g", plain), Err(libc::ENOENT));
    assert_eq!(disk.open_file(Disk::ROOT, "d", plain), Err(libc::EISDIR));
    assert_eq!(disk.open_file(node, "x", new), Err(libc::ENOTDIR));
    assert_eq!(disk.open_file(directory, "a/b", new), Err(libc::EINVAL));
    assert_eq!(disk.make_directory(Disk::ROOT, "d"), Err(libc::EEXIST));
    assert_eq!(disk.unlink(Disk::ROOT, "d"), Err(libc::EISDIR));
    assert_eq!(disk.remove_directory(Disk::ROOT, "d"), Err(libc::ENOTEMPTY));
    assert_eq!(disk.rename(directory, "g", "h"), Err(libc::ENOENT));
    assert_eq!(disk.allocate(node, 0, 0), Err(libc::EINVAL));
    assert_eq!(disk.resolve("/d/f"), Ok(node));
    assert_eq!(disk.resolve("/d/f/x"), Err(libc::ENOTDIR));
}

#[test]
fn a_full_disk_refuses_growth_and_takes_it_again_when_files_are_gone() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    // The root directory takes a page as well.
    disk.set_capacity(3 * PAGE_BYTES);
    disk.allocate(node, 0, 2 * PAGE_BYTES).unwrap();
    let other = file(&mut disk, Disk::ROOT, "b");
    let data = Bytes::from_static(b"1");
    assert_eq!(disk.write(other, 0, data.clone()), Err(libc::ENOSPC));
    disk.write(node, 100, data.clone()).unwrap();
    disk.unlink(Disk::ROOT, "a").unwrap();
    assert_eq!(disk.write(other, 0, data.clone()), Err(libc::ENOSPC));
    disk.close(node);
    disk.write(other, 0, data).unwrap();
}

#[test]
fn an_unlinked_file_lives_until_its_last_descriptor_closes() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.write(node, 0, Bytes::from_static(b"x")).unwrap();
    disk.unlink(Disk::ROOT, "a").unwrap();
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    assert_eq!(contents(&disk, node), b"x");
    disk.close(node);
    assert_eq!(disk.size(node), Err(libc::EBADF));
}

#[test]
fn a_kill_keeps_every_completed_change_but_makes_none_durable() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.write(node, 0, Bytes::from_static(b"x")).unwrap();
    disk.crash(CrashKind::Kill, &mut SeededRandom::new(1));
    assert_eq!(disk.files(), [("/a".to_owned(), 1)]);
    let gone = power_cuts(&disk)
        .iter()
        .filter(|d| d.files().is_empty())
        .count();
    assert!(gone > 0, "the kill made the name durable");
}

#[test]
fn a_flush_covers_only_what_completed_before_it_was_requested() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    disk.write(node, 0, Bytes::from(vec![1; 512])).unwrap();
    let mark = disk.mark();
    disk.write(node, 512, Bytes::from(vec![2; 512])).unwrap();
    disk.flush(node, mark).unwrap();
    let cuts = power_cuts(&disk);
    assert!(cuts.iter().any(|d| contents(d, node).get(512) != Some(&2)));
    // The second write touches the block of the first, so garbage may take both.
    let kept = cuts.iter().filter(|d| contents(d, node)[..512] == [1; 512]);
    assert!(kept.count() > 150);
    disk.flush(node, disk.mark()).unwrap();
    for cut in power_cuts(&disk) {
        assert_eq!(contents(&cut, node), contents(&disk, node));
    }
}

#[test]
fn a_flushed_file_without_a_synced_directory_may_lose_its_name_but_not_half_of_it() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.write(node, 0, Bytes::from_static(b"x")).unwrap();
    disk.flush(node, disk.mark()).unwrap();
    let seen: BTreeSet<Vec<String>> = power_cuts(&disk)
        .iter()
        .map(|d| names(d, Disk::ROOT))
        .collect();
    assert_eq!(seen, BTreeSet::from([vec![], vec!["a".to_owned()]]));
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    for cut in power_cuts(&disk) {
        assert_eq!(contents(&cut, node), b"x");
    }
}

#[test]
fn a_rename_over_a_file_shows_the_old_or_the_new_and_after_the_sync_the_new() {
    let mut disk = Disk::default();
    for (name, byte) in [("CURRENT", b"1"), ("CURRENT.new", b"2")] {
        let node = file(&mut disk, Disk::ROOT, name);
        disk.write(node, 0, Bytes::from_static(byte)).unwrap();
        disk.flush(node, disk.mark()).unwrap();
        disk.close(node);
    }
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    disk.rename(Disk::ROOT, "CURRENT.new", "CURRENT").unwrap();
    let current = |disk: &Disk| contents(disk, disk.resolve("CURRENT").unwrap());
    assert_eq!(current(&disk), b"2");
    let seen: BTreeSet<(Vec<u8>, usize)> = power_cuts(&disk)
        .iter()
        .map(|d| (current(d), names(d, Disk::ROOT).len()))
        .collect();
    assert_eq!(
        seen,
        BTreeSet::from([(b"1".to_vec(), 2), (b"2".to_vec(), 1)])
    );
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    for cut in power_cuts(&disk) {
        assert_eq!(current(&cut), b"2");
        assert_eq!(names(&cut, Disk::ROOT), ["CURRENT"]);
    }
}

#[test]
fn a_failed_flush_leaves_bytes_that_read_well_and_never_become_durable() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    disk.write(node, 0, Bytes::from(vec![7; 512])).unwrap();
    assert_eq!(disk.fail_flush(node, disk.mark(), || true), 1);
    disk.flush(node, disk.mark()).unwrap();
    assert_eq!(contents(&disk, node), [7; 512]);
    for cut in power_cuts(&disk) {
        assert!(!contents(&cut, node).contains(&7));
    }
}

#[test]
fn power_cuts_reach_loss_tearing_garbage_and_survival() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.allocate(node, 0, 16_384).unwrap();
    disk.flush(node, disk.mark()).unwrap();
    disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
    disk.write(node, 4096, Bytes::from(vec![1; 4096])).unwrap();
    let (mut whole, mut lost, mut torn, mut garbled) = (0, 0, 0, 0);
    for cut in power_cuts(&disk) {
        let bytes = contents(&cut, node);
        let block = &bytes[4096..8192];
        assert!(bytes[..4096].iter().chain(&bytes[8192..]).all(|b| *b == 0));
        if block.iter().any(|b| *b > 1) {
            garbled += 1;
        } else if block.iter().all(|b| *b == 1) {
            whole += 1;
        } else if block.iter().all(|b| *b == 0) {
            lost += 1;
        } else {
            torn += 1;
            for sector in block.chunks(512) {
                assert!(sector.iter().all(|b| *b == sector[0]), "a torn sector");
            }
        }
    }
    assert!(whole > 20 && lost > 20 && torn > 20 && garbled > 20);
}

#[test]
fn corrupted_bytes_stay_corrupted() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.write(node, 0, Bytes::from(vec![1; 1000])).unwrap();
    disk.corrupt(node, 500, &Bytes::from_static(&[9])).unwrap();
    disk.flush(node, disk.mark()).unwrap();
    assert_eq!(contents(&disk, node)[499..502], [1, 9, 1]);
    assert_eq!(
        disk.corrupt(node, 1000, &Bytes::from_static(&[9])),
        Err(libc::EINVAL)
    );
}

#[test]
fn a_snapshot_does_not_follow_and_equals_by_what_is_read() {
    let mut disk = Disk::default();
    let node = file(&mut disk, Disk::ROOT, "a");
    disk.write(node, 0, Bytes::from(vec![0; 5000])).unwrap();
    let before = disk.snapshot();
    let mut other = Disk::default();
    let same = file(&mut other, Disk::ROOT, "a");
    other.set_size(same, 5000).unwrap();
    assert_eq!(before, other);
    disk.write(node, 4999, Bytes::from_static(b"x")).unwrap();
    assert_ne!(before, disk);
    assert_eq!(contents(&before, node), [0; 5000]);
}

/// For every byte of one file: what it is, and all it may be after a power cut.
#[derive(Clone, Debug, Default)]
struct Model {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// What each flush since covers: ranges and values, or a size.
    pending: Vec<ModelChange>,
}

#[derive(Clone, Debug)]
enum ModelChange {
    Write(usize, Vec<u8>),
    Size(usize),
    Extend(usize),
}

fn model_apply(bytes: &mut Vec<u8>, change: &ModelChange) {
    match change {
        ModelChange::Write(at, data) => {
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(data);
        }
        ModelChange::Size(size) => bytes.resize(*size, 0),
        ModelChange::Extend(size) => bytes.resize((*size).max(bytes.len()), 0),
    }
}

impl Model {
    fn change(&mut self, change: ModelChange) {
        model_apply(&mut self.now, &change);
        self.pending.push(change);
    }

    fn flush(&mut self, covered: usize) {
        for change in self.pending.drain(..covered) {
            model_apply(&mut self.durable, &change);
        }
    }

    /// Checks what a power cut left; at most one block may be garbage, where a write touched it.
    fn check(&self, after: &[u8]) {
        let mut sizes = vec![self.durable.len()];
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            model_apply(&mut bytes, change);
            sizes.push(bytes.len());
        }
        let largest = sizes.iter().copied().max().unwrap();
        assert!(after.len() <= largest);
        assert!(after.len() >= sizes.iter().copied().min().unwrap());
        let cut_to = self.pending.iter().filter_map(|change| match change {
            ModelChange::Size(size) => Some(*size),
            _ => None,
        });
        let zeros_from = cut_to.chain([self.durable.len()]).min().unwrap();
        let mut garbage = None;
        for (at, byte) in after.iter().enumerate() {
            let mut allowed =
                self.durable.get(at) == Some(byte) || (at >= zeros_from && *byte == 0);
            let mut touched = false;
            for change in &self.pending {
                if let ModelChange::Write(from, data) = change {
                    let block = at / 4096;
                    touched |= from / 4096 <= block && block <= (from + data.len() - 1) / 4096;
                    allowed |= at >= *from && data.get(at - from) == Some(byte);
                }
            }
            if !allowed {
                assert!(touched, "byte {at} changed under nobody's hand");
                assert!(
                    *garbage.get_or_insert(at / 4096) == at / 4096,
                    "two blocks of garbage"
                );
            }
        }
    }
}

/// A change of names in one directory, of files numbered by their making.
#[derive(Clone, Debug)]
enum NameStep {
    Make(u8),
    Remove(u8),
    Rename(u8, u8),
    Sync,
    SyncAskedEarlier(usize),
    Snapshot(u64),
}

fn any_name_step() -> impl Strategy<Value = NameStep> {
    prop_oneof![
        4 => (0..5_u8).prop_map(NameStep::Make),
        2 => (0..5_u8).prop_map(NameStep::Remove),
        3 => (0..5_u8, 0..5_u8).prop_map(|(from, to)| NameStep::Rename(from, to)),
        1 => Just(NameStep::Sync),
        1 => (0..4_usize).prop_map(NameStep::SyncAskedEarlier),
        2 => any::<u64>().prop_map(NameStep::Snapshot),
    ]
}

type NameMap = BTreeMap<String, Vec<u8>>;

fn with_contents(disk: &Disk) -> NameMap {
    let named = names(disk, Disk::ROOT).into_iter();
    named
        .map(|name| {
            let node = disk.resolve(&name).unwrap();
            (name, contents(disk, node))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn names_change_one_by_one_and_synced_ones_stay(
        steps in proptest::collection::vec(any_name_step(), 1..30),
    ) {
        let mut disk = Disk::default();
        let mut model = NameMap::new();
        // What a power cut may leave: `durable`, with any of `pending` applied in order.
        let mut durable = NameMap::new();
        let mut pending: Vec<(u64, NameChangeModel)> = Vec::new();
        let mut made = 0_u32;
        for step in steps {
            let mark = disk.mark();
            match step {
                NameStep::Make(name) => {
                    let name = name.to_string();
                    let new = OpenMode { create_new: true, ..OpenMode::default() };
                    let opened = disk.open_file(Disk::ROOT, &name, new);
                    prop_assert_eq!(opened.is_err(), model.contains_key(&name));
                    if let Ok(node) = opened {
                        made += 1;
                        let content = made.to_be_bytes().to_vec();
                        pending.push((mark, (None, Some((name.clone(), content.clone())))));
                        disk.write(node, 0, Bytes::from(content.clone())).unwrap();
                        disk.flush(node, disk.mark()).unwrap();
                        disk.close(node);
                        model.insert(name, content);
                    }
                }
                NameStep::Remove(name) => {
                    let name = name.to_string();
                    let removed = disk.unlink(Disk::ROOT, &name);
                    prop_assert_eq!(removed.is_ok(), model.remove(&name).is_some());
                    if removed.is_ok() {
                        pending.push((mark, (Some(name), None)));
                    }
                }
                NameStep::Rename(from, to) => {
                    let (from, to) = (from.to_string(), to.to_string());
                    let renamed = disk.rename(Disk::ROOT, &from, &to);
                    prop_assert_eq!(renamed.is_ok(), model.contains_key(&from));
                    if renamed.is_ok() && from != to {
                        let content = model.remove(&from).unwrap();
                        model.insert(to.clone(), content.clone());
                        pending.push((mark, (Some(from), Some((to, content)))));
                    }
                }
                NameStep::Sync | NameStep::SyncAskedEarlier(_) => {
                    let back = match step {
                        NameStep::SyncAskedEarlier(back) => back,
                        _ => 0,
                    };
                    let covered = pending.len().saturating_sub(back);
                    let mark = pending.get(covered).map_or(disk.mark(), |(mark, _)| *mark);
                    disk.sync_directory(Disk::ROOT, mark).unwrap();
                    for (_, change) in pending.drain(..covered) {
                        apply_names(&mut durable, &change);
                    }
                }
                NameStep::Snapshot(seed) => {
                    let mut cut = disk.snapshot();
                    cut.crash(CrashKind::Power, &mut SeededRandom::new(seed));
                    let mut allowed = BTreeSet::from([durable.clone()]);
                    // At most 2^8 outcomes are spelled out; longer lists check the parts below.
                    if pending.len() <= 8 {
                        for (_, change) in &pending {
                            let applied: Vec<NameMap> = allowed.iter().cloned().collect();
                            for mut names in applied {
                                apply_names(&mut names, change);
                                allowed.insert(names);
                            }
                        }
                        let found = with_contents(&cut);
                        prop_assert!(allowed.contains(&found), "{:?} not in {:?}", found, allowed);
                    }
                    let mut killed = disk.snapshot();
                    killed.crash(CrashKind::Kill, &mut SeededRandom::new(seed));
                    prop_assert_eq!(&killed, &disk);
                }
            }
            prop_assert_eq!(&with_contents(&disk), &model);
        }
    }
}

/// The name that goes, and the one that comes with what it leads to.
type NameChangeModel = (Option<String>, Option<(String, Vec<u8>)>);

fn apply_names(names: &mut NameMap, (gone, come): &NameChangeModel) {
    if let Some(gone) = gone {
        names.remove(gone);
    }
    if let Some((name, content)) = come {
        names.retain(|_, other| other != content);
        names.insert(name.clone(), content.clone());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize, u8),
    Size(usize),
    Extend(usize),
    Flush,
    FlushAskedEarlier(usize),
    Kill,
    PowerCut(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..20_000_usize, 1..9000_usize, 1..=255_u8).prop_map(|(o, l, b)| Step::Write(o, l, b)),
        2 => (0..5_usize, 1..=2_usize, 1..=255_u8)
            .prop_map(|(o, l, b)| Step::Write(o * 4096, l * 4096, b)),
        1 => (0..25_000_usize).prop_map(Step::Size),
        1 => (1..25_000_usize).prop_map(Step::Extend),
        2 => Just(Step::Flush),
        2 => (0..6_usize).prop_map(Step::FlushAskedEarlier),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn files_read_as_written_and_power_cuts_stay_within_the_rules(
        steps in proptest::collection::vec(any_step(), 1..30),
    ) {
        let mut disk = Disk::default();
        let node = file(&mut disk, Disk::ROOT, "a");
        disk.sync_directory(Disk::ROOT, disk.mark()).unwrap();
        let mut model = Model::default();
        // The mark of every change still pending, oldest first.
        let mut marks: Vec<u64> = Vec::new();
        for step in steps {
            let to_u64 = |n: usize| u64::try_from(n).unwrap();
            match step {
                Step::Write(at, length, byte) => {
                    marks.push(disk.mark());
                    disk.write(node, to_u64(at), Bytes::from(vec![byte; length])).unwrap();
                    model.change(ModelChange::Write(at, vec![byte; length]));
                }
                Step::Size(size) => {
                    marks.push(disk.mark());
                    disk.set_size(node, to_u64(size)).unwrap();
                    model.change(ModelChange::Size(size));
                }
                Step::Extend(size) => {
                    marks.push(disk.mark());
                    disk.allocate(node, 0, to_u64(size)).unwrap();
                    model.change(ModelChange::Extend(size));
                }
                Step::Flush => {
                    disk.flush(node, disk.mark()).unwrap();
                    model.flush(marks.len());
                    marks.clear();
                }
                Step::FlushAskedEarlier(back) => {
                    let covered = marks.len().saturating_sub(back);
                    let mark = marks.get(covered).copied().unwrap_or(disk.mark());
                    disk.flush(node, mark).unwrap();
                    model.flush(covered);
                    marks.drain(..covered);
                }
                Step::Kill => {
                    disk.crash(CrashKind::Kill, &mut SeededRandom::new(0));
                }
                Step::PowerCut(seed) => {
                    disk.crash(CrashKind::Power, &mut SeededRandom::new(seed));
                    let after = contents(&disk, node);
                    model.check(&after);
                    model = Model { now: after.clone(), durable: after, pending: Vec::new() };
                    marks.clear();
                    // A second cut finds nothing to take.
                    let again = disk.clone();
                    disk.crash(CrashKind::Power, &mut SeededRandom::new(!seed));
                    prop_assert_eq!(&again, &disk);
                }
            }
            prop_assert_eq!(&contents(&disk, node), &model.now);
        }
    }
}
