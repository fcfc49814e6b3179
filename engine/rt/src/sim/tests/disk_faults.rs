//! Disks that lie, write to the wrong place, misread, or take their time.

use super::*;

/// Writes a block of each byte and flushes file and directory.
async fn store(bytes: &'static [u8]) -> Result<()> {
    let dir = Dir::create("/data").await?;
    let file = dir.open_file("file", FileOptions::CREATE_NEW).await?;
    for (block, byte) in (0..).zip(bytes) {
        let data = Bytes::from(vec![*byte; 4096]);
        file.write_at(block * 4096, data).await?;
    }
    file.sync_data().await?;
    dir.sync().await
}

async fn load() -> Option<Bytes> {
    let dir = Dir::open("/data").await.ok()?;
    let file = dir.open_file("file", FileOptions::READ).await.ok()?;
    Some(file.read_at(0, 1 << 20).await.unwrap())
}

fn blocks(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte; 4096]).collect()
}

/// What files a power cut left whole and not, over many seeds, after `fault`.
fn after_power_cuts(fault: &Fault) -> (u32, u32, FaultCounts) {
    let (mut whole, mut damaged) = (0, 0);
    let mut counts = FaultCounts::default();
    for seed in 0..40 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        sim.disk(node).fail(fault.clone());
        assert_eq!(sim.block_on(node, MINUTE, || store(b"abc")), Ok(Ok(())));
        sim.crash(node, CrashKind::Power);
        counts = sim.disk(node).counts();
        sim.disk(node).heal();
        let found = sim.block_on(node, MINUTE, load).unwrap();
        if found.as_deref() == Some(&blocks(b"abc")) {
            whole += 1;
        } else {
            damaged += 1;
        }
    }
    (whole, damaged, counts)
}

#[test]
fn a_flush_that_lies_loses_what_it_promised() {
    let never = Fault::next(FaultKind::Flush, FaultEffect::Lie).times(0);
    let (whole, damaged, _) = after_power_cuts(&never);
    assert_eq!((whole, damaged), (40, 0));
    let lie = Fault::next(FaultKind::Flush, FaultEffect::Lie);
    let (_, damaged, counts) = after_power_cuts(&lie);
    assert!(damaged > 10, "{damaged}");
    assert_eq!(counts.lies, 1);
}

#[test]
fn a_directory_sync_that_lies_loses_names() {
    let mut lost = 0;
    for seed in 0..40 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        let lie = Fault::next(FaultKind::Directory, FaultEffect::Lie).times(u64::MAX);
        sim.disk(node).fail(lie);
        assert_eq!(sim.block_on(node, MINUTE, || store(b"a")), Ok(Ok(())));
        sim.crash(node, CrashKind::Power);
        assert!(sim.disk(node).counts().lies > 0);
        sim.disk(node).heal();
        lost += u32::from(sim.block_on(node, MINUTE, load).unwrap().is_none());
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn a_write_that_lies_leaves_the_old_bytes() {
    let mut sim = Simulation::new(2);
    let node = sim.add_node(1);
    assert_eq!(sim.block_on(node, MINUTE, || store(b"abc")), Ok(Ok(())));
    sim.disk(node)
        .fail(Fault::next(FaultKind::Write, FaultEffect::Lie));
    let rewritten = sim.block_on(node, MINUTE, || async {
        let dir = Dir::open("/data").await?;
        let file = dir.open_file("file", FileOptions::READ_WRITE).await?;
        file.write_at(0, Bytes::from(vec![b'X'; 4096])).await
    });
    assert_eq!(rewritten, Ok(Ok(())));
    let found = sim.block_on(node, MINUTE, load).unwrap();
    assert_eq!(found.as_deref(), Some(&*blocks(b"abc")));
    assert_eq!(sim.disk(node).counts().lies, 1);
}

#[test]
fn a_misdirected_write_lands_in_another_block() {
    let mut places = BTreeSet::new();
    for seed in 0..40 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        assert_eq!(sim.block_on(node, MINUTE, || store(b"abc")), Ok(Ok(())));
        sim.disk(node)
            .fail(Fault::next(FaultKind::Write, FaultEffect::Misdirect));
        let rewritten = sim.block_on(node, MINUTE, || async {
            let dir = Dir::open("/data").await?;
            let file = dir.open_file("file", FileOptions::READ_WRITE).await?;
            file.write_at(4096, Bytes::from(vec![b'X'; 4096])).await
        });
        assert_eq!(rewritten, Ok(Ok(())));
        let found = sim.block_on(node, MINUTE, load).unwrap().unwrap();
        let hit = (0..3).find(|block| found[block * 4096] == b'X');
        places.insert(hit);
        assert_eq!(sim.disk(node).counts().writes_misdirected, 1);
    }
    assert_eq!(places, BTreeSet::from([Some(0), Some(1), Some(2)]));
}

#[test]
fn a_garbled_read_is_wrong_once_by_one_bit() {
    for seed in 0..20 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        assert_eq!(sim.block_on(node, MINUTE, || store(b"abc")), Ok(Ok(())));
        sim.disk(node)
            .fail(Fault::next(FaultKind::Read, FaultEffect::Garble));
        let wrong = sim.block_on(node, MINUTE, load).unwrap().unwrap();
        let right = sim.block_on(node, MINUTE, load).unwrap().unwrap();
        assert_eq!(right, blocks(b"abc"));
        let bits: u32 = wrong
            .iter()
            .zip(&right)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert_eq!(bits, 1, "seed {seed}");
    }
}

#[test]
fn a_slow_disk_takes_its_time_until_it_is_healed() {
    let mut sim = Simulation::new(2);
    let node = sim.add_node(1);
    sim.disk(node)
        .slow_down(FaultKind::Flush, Duration::from_secs(5));
    let timed = || async {
        let before = now();
        store(b"a").await.unwrap();
        now().0 - before.0
    };
    let slow = sim.block_on(node, MINUTE, timed).unwrap();
    assert!(slow >= 5_000_000_000);
    assert_eq!(sim.disk(node).counts().operations_slowed, 1);
    sim.disk(node).heal();
    let other = sim.add_node(1);
    let quick = sim.block_on(other, MINUTE, timed).unwrap();
    assert!(quick < 1_000_000_000);
}

#[test]
fn faults_keep_one_seed_one_trace() {
    let run = |seed| {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        let disk = sim.disk(node);
        disk.fail(Fault::next(FaultKind::Write, FaultEffect::Misdirect));
        disk.fail(Fault::next(FaultKind::Flush, FaultEffect::Lie));
        disk.slow_down(FaultKind::Write, Duration::from_millis(3));
        sim.block_on(node, MINUTE, || store(b"abcdef"))
            .unwrap()
            .unwrap();
        (sim.trace_hash(), sim.disk(node).read("/data/file").unwrap())
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn files_of_an_image_are_replaced_and_removed_for_good() {
    let mut image = DiskImage::default();
    image.put("a", b"first and long").unwrap();
    image.put("a", b"second").unwrap();
    image.put("b", b"").unwrap();
    assert!(image.put("no such directory/a", b"x").is_err());
    let after = image.after_crash(CrashKind::Power, 1);
    assert_eq!(after.files(), [("/a".to_owned(), 6), ("/b".to_owned(), 0)]);
    assert_eq!(after.read("a").unwrap(), b"second");
    image.remove("a").unwrap();
    assert!(image.remove("a").is_err());
    let after = image.after_crash(CrashKind::Power, 2);
    assert_eq!(after.files(), [("/b".to_owned(), 0)]);
}
