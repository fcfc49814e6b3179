//! Crash tests of the store: a small workload, ended at every write, flush and directory
//! operation by a kill or a power cut, then recovered and compared with an oracle.
//!
//! Every failure prints the seed, the crash point and the draw; the same numbers give it again.
//! `ODRADEK_TEST_CRASH_SEEDS=N` runs N workloads instead of the few of the short form, and
//! `ODRADEK_TEST_CRASH_SEEDS=N-N` only that one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code: a failure is the report"
)]

mod arbitrary;
mod draw;
mod faulty;
mod forged;
mod life;
mod model;
mod oracle;
mod rot;
mod swapped;
mod workload;

use engine_rt::sim::{CrashKind, DiskImage};
use life::{Lived, Plan, fresh_oracle, run};
use oracle::{Ended, Oracle};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Steps of each driver in one life.
const STEPS: usize = 60;

/// A crash that is compared: how the node went down, and which of the possible outcomes it had.
type Draw = (CrashKind, u64);

/// The seeds to go through: so many from 1, or what `ODRADEK_TEST_CRASH_SEEDS` says.
fn seeds(short: u64) -> RangeInclusive<u64> {
    let Ok(asked) = std::env::var("ODRADEK_TEST_CRASH_SEEDS") else {
        return 1..=short;
    };
    let number = |text: &str| text.parse::<u64>().expect("a number, or two as in 3-7");
    match asked.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => 1..=number(&asked),
    }
}

fn is_long() -> bool {
    std::env::var_os("ODRADEK_TEST_CRASH_SEEDS").is_some()
}

fn ended(kind: CrashKind) -> Ended {
    match kind {
        CrashKind::Kill => Ended::Kill,
        CrashKind::Power => Ended::Power,
    }
}

/// What two crashes, between which nothing was made durable, leave together.
fn weaker(first: CrashKind, second: CrashKind) -> Ended {
    match (first, second) {
        (CrashKind::Kill, CrashKind::Kill) => Ended::Kill,
        _ => Ended::Power,
    }
}

fn working(seed: u64) -> Plan {
    Plan {
        seed,
        shards: if seed.is_multiple_of(3) { 2 } else { 1 },
        steps: STEPS,
        probe: false,
        stop: seed.is_multiple_of(2),
        linger: Duration::ZERO,
        rot: false,
        fault: None,
    }
}

/// Shards that a node comes back with: mostly as many as before, but not always.
fn shards_after(point: u64) -> usize {
    match point % 8 {
        0 => 3,
        1 => 2,
        _ => 1,
    }
}

/// What a sweep went through.
#[derive(Default, Debug)]
struct Swept {
    crashes: u64,
    recoveries: u64,
    acknowledged: usize,
    /// Groups of segments that compaction replaced in lives that came to their end.
    compactions: u64,
}

/// Runs the workload of `seed` once for each change of the disk it makes, crashes there, and
/// hands the life over; at last, as point 0, the one that came to its end.
fn at_every_point(
    plan: Plan,
    disk: &DiskImage,
    before: Ended,
    oracle: &Oracle,
    mut look: impl FnMut(u64, &Lived) -> Result<(), String>,
) -> Result<u64, String> {
    for point in 1.. {
        let lived = run(plan, disk, before, oracle, Some(point))
            .map_err(|what| format!("seed {}, while it ran to point {point}: {what}", plan.seed))?;
        if !lived.crashed {
            look(0, &lived).map_err(|what| format!("seed {}, at its end: {what}", plan.seed))?;
            return Ok(point - 1);
        }
        look(point, &lived)
            .map_err(|what| format!("seed {}, crash point {point}: {what}", plan.seed))?;
    }
    Ok(0)
}

/// Crashes the workload of `seed` everywhere, in each of these ways, and recovers.
///
/// After some of the crashes a second life goes on working, crashes at a drawn point and is
/// recovered in turn, so that frames of older runs lie in the lane.
fn sweep(seed: u64, draws: &[Draw], swept: &mut Swept) -> Result<(), String> {
    let empty = DiskImage::default();
    let oracle = fresh_oracle();
    at_every_point(
        working(seed),
        &empty,
        Ended::Checked,
        &oracle,
        |point, lived| {
            if point == 0 {
                swept.compactions += lived.oracle.compactions;
                return Ok(());
            }
            swept.crashes += 1;
            swept.acknowledged += lived.oracle.acknowledged;
            for (kind, draw) in draws {
                let image = lived.image(*kind, point.wrapping_mul(97).wrapping_add(*draw));
                let probe = Plan {
                    probe: true,
                    ..Plan::recover(seed ^ point, shards_after(point))
                };
                run(probe, &image, ended(*kind), &lived.oracle, None)
                    .map_err(|what| format!("{kind:?}, draw {draw}: {what}"))?;
                swept.recoveries += 1;
                if (point + draw).is_multiple_of(5) {
                    second_life(seed, point, &image, *kind, &lived.oracle, swept)
                        .map_err(|what| format!("{kind:?}, draw {draw}, {what}"))?;
                }
            }
            Ok(())
        },
    )?;
    Ok(())
}

fn second_life(
    seed: u64,
    point: u64,
    image: &DiskImage,
    kind: CrashKind,
    oracle: &Oracle,
    swept: &mut Swept,
) -> Result<(), String> {
    let mut chance = draw::Draw(seed.wrapping_mul(1_000_003).wrapping_add(point));
    let plan = Plan {
        seed: chance.next(),
        shards: shards_after(point / 5),
        steps: STEPS / 2,
        ..working(seed)
    };
    let crash_at = 20 + chance.below(180);
    let what = |life: &str, what: String| format!("{life} life to point {crash_at}: {what}");
    let second = run(plan, image, ended(kind), oracle, Some(crash_at))
        .map_err(|error| what("second", error))?;
    let second_kind = if chance.below(2) == 0 {
        CrashKind::Kill
    } else {
        CrashKind::Power
    };
    let before = if !second.crashed && plan.stop {
        Ended::Clean
    } else if second.oracle.is_checked {
        ended(second_kind)
    } else {
        // The recovery did not end: what the first crash left had to last through both.
        weaker(kind, second_kind)
    };
    swept.crashes += 1;
    let image = second.image(second_kind, chance.next());
    let probe = Plan {
        probe: true,
        ..Plan::recover(seed ^ point, shards_after(point))
    };
    run(probe, &image, before, &second.oracle, None).map_err(|error| what("third", error))?;
    swept.recoveries += 1;
    Ok(())
}

const KILL: &[Draw] = &[(CrashKind::Kill, 1)];
const POWER: &[Draw] = &[(CrashKind::Power, 1), (CrashKind::Power, 2)];

fn sweep_all(draws: &[Draw], workloads: u64) {
    let mut swept = Swept::default();
    for seed in seeds(workloads) {
        if let Err(what) = sweep(seed, draws, &mut swept) {
            panic!("{what}");
        }
    }
    println!("{swept:?}");
    assert!(swept.crashes > 150, "too few crashes: {swept:?}");
    assert!(swept.compactions > 0, "nothing was compacted: {swept:?}");
    assert!(
        swept.acknowledged > 1000,
        "hardly anything acknowledged: {swept:?}"
    );
}

#[test]
fn what_is_acknowledged_survives_a_kill_at_every_operation() {
    sweep_all(KILL, 2);
}

#[test]
fn what_is_acknowledged_survives_a_power_cut_at_every_operation() {
    sweep_all(POWER, 2);
}

/// Recovers the same crash again and again: undisturbed, and with a crash at every change of the
/// disk that the recovery makes.
fn recover_everywhere(seed: u64, every: u64, kind: CrashKind) -> Result<u64, String> {
    let empty = DiskImage::default();
    let mut recoveries = 0;
    at_every_point(
        working(seed),
        &empty,
        Ended::Checked,
        &fresh_oracle(),
        |point, lived| {
            if point == 0 || !(point + seed).is_multiple_of(every) {
                return Ok(());
            }
            let image = lived.image(kind, point);
            let recover = Plan::recover(point, 1);
            let once = run(recover, &image, ended(kind), &lived.oracle, None)?;
            at_every_point(recover, &image, ended(kind), &lived.oracle, |inner, cut| {
                if inner == 0 {
                    return Ok(());
                }
                recoveries += 1;
                // After a kill what was written but not flushed still stands; a power cut now would
                // take it.
                let image = cut.image(kind, inner);
                let twice = run(
                    Plan::recover(inner, shards_after(inner)),
                    &image,
                    ended(kind),
                    &lived.oracle,
                    None,
                )?;
                if twice.dumps == once.dumps {
                    Ok(())
                } else {
                    Err("recovering after a crash in the recovery gave something else".to_owned())
                }
            })
            .map_err(|what| format!("{kind:?}, recovery: {what}"))?;
            // And once more, over what the first recovery left.
            let image = once.image(kind, point);
            let mut known = lived.oracle.clone();
            known.check(ended(kind), &once.dumps, &BTreeSet::new())?;
            let again = run(recover, &image, ended(kind), &known, None)?;
            if again.dumps == once.dumps {
                Ok(())
            } else {
                Err("recovering twice gave something else than recovering once".to_owned())
            }
        },
    )?;
    Ok(recoveries)
}

#[test]
fn a_crash_in_the_recovery_changes_nothing_of_its_result() {
    let mut recoveries = 0;
    for seed in seeds(1) {
        let every = if is_long() { 7 } else { 40 };
        for kind in [CrashKind::Power, CrashKind::Kill] {
            match recover_everywhere(seed, every, kind) {
                Ok(count) => recoveries += count,
                Err(what) => panic!("{what}"),
            }
        }
    }
    println!("{recoveries} recoveries cut short");
    assert!(
        recoveries > 50,
        "only {recoveries} recoveries were cut short"
    );
}

#[test]
fn another_number_of_shards_keeps_everything() {
    for seed in seeds(2) {
        let mut disk = DiskImage::default();
        let mut oracle = fresh_oracle();
        let mut before = Ended::Checked;
        for (life, shards) in [1, 3, 2, 4, 1].into_iter().enumerate() {
            let stop = life % 2 == 0;
            let plan = Plan {
                seed: seed * 100 + shards,
                shards: usize::try_from(shards).unwrap(),
                steps: STEPS,
                probe: true,
                stop,
                ..working(seed)
            };
            let lived = match run(plan, &disk, before, &oracle, None) {
                Ok(lived) => lived,
                Err(what) => panic!("seed {seed}, life {life} with {shards} shards: {what}"),
            };
            disk = lived.image(CrashKind::Power, seed);
            oracle = lived.oracle.clone();
            before = if stop { Ended::Clean } else { Ended::Power };
        }
    }
}

/// Turns single bits over in the files of a node that sat still for a while and was killed.
///
/// Whatever the bit, no wrong byte is served and nothing acknowledged is silently missing: the
/// start is refused, the log is set apart, the read fails, or nothing is amiss.
fn flip_bits(seed: u64, flips: u64) -> Result<(), String> {
    let plan = Plan {
        linger: Duration::from_secs(1),
        stop: false,
        ..working(seed)
    };
    let empty = DiskImage::default();
    let lived = run(plan, &empty, Ended::Checked, &fresh_oracle(), None)
        .map_err(|what| format!("seed {seed}: {what}"))?;
    let image = lived.image(CrashKind::Kill, seed);
    let recover = Plan {
        rot: true,
        ..Plan::recover(seed, 1)
    };
    let mut draw = draw::Draw(seed);
    let files = image.files();
    let kinds = ["lane", "manifest", "segment", "CURRENT"];
    for flip in 0..flips {
        let kind = kinds[draw.index(kinds.len())];
        let of_kind: Vec<_> = files
            .iter()
            .filter(|(path, _)| path.ends_with(kind))
            .collect();
        let (path, size) = of_kind[draw.index(of_kind.len())];
        if *size == 0 {
            continue;
        }
        let bytes = image.read(path).unwrap();
        // Most of a file may be empty: half of the flips go where something is.
        let at = if flip % 2 == 0 {
            draw.below(*size)
        } else {
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            draw.below(u64::try_from(used).unwrap() + 1)
        };
        let bit = u8::try_from(draw.below(8)).unwrap();
        let mut rotten = image.clone();
        rotten.flip_bit(path, at, bit).unwrap();
        run(recover, &rotten, Ended::Kill, &lived.oracle, None)
            .map_err(|what| format!("seed {seed}, bit {bit} of {path} at {at}: {what}"))?;
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_never_served_and_never_cuts_what_is_acknowledged() {
    for seed in seeds(2) {
        if let Err(what) = flip_bits(seed, 150) {
            panic!("{what}");
        }
    }
}

/// Seeds that found something, kept: 27 turned a bit of the frame that creates a log, which was
/// then neither there nor set apart, and its files were swept at the next start.
#[test]
fn flipped_bits_that_once_found_something_find_nothing() {
    flip_bits(27, 150).unwrap();
}

/// With a mistake compiled in and chosen: the tests above must find it, and find nothing if none
/// is chosen. `tests/planted` runs this once for each.
#[cfg(odradek_planted)]
#[test]
fn the_planted_bug_is_caught() {
    use engine_log::planted::{Bug, select};
    let name = std::env::var("ODRADEK_PLANTED").unwrap_or_default();
    let bug = (!name.is_empty()).then(|| Bug::parse(&name).expect("a bug of that name"));
    select(bug);
    let mut swept = Swept::default();
    let mut found = None;
    for seed in seeds(6) {
        let hunt = flip_bits(seed, 60)
            .and_then(|()| swapped::swap_segments(seed))
            .and_then(|()| faulty::fail_disks(seed).map(drop))
            .and_then(|()| sweep(seed, POWER, &mut swept))
            .and_then(|()| sweep(seed, KILL, &mut swept))
            .and_then(|()| recover_everywhere(seed, 40, CrashKind::Power).map(drop))
            .and_then(|()| recover_everywhere(seed, 40, CrashKind::Kill).map(drop));
        if let Err(what) = hunt {
            found = Some((seed, what));
            break;
        }
    }
    let crashes = swept.crashes;
    match (bug, found) {
        (Some(_), Some((seed, what))) => {
            println!(
                "CAUGHT seeds={seed} crashes={crashes} {}",
                what.replace('\n', " ")
            );
        }
        (None, None) => println!("CLEAN crashes={crashes}"),
        (Some(bug), None) => panic!("{} escaped {crashes} crashes", bug.name()),
        (None, Some((_, what))) => panic!("found without any planted bug: {what}"),
    }
}
