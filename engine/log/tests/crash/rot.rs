//! Damage to every kind of file of a data directory: single bits, and whole files cut short,
//! zeroed, removed, swapped with another of their kind, or gone back to an older state.
//!
//! Whatever was done, no wrong byte or offset is served and nothing acknowledged is silently
//! missing: the start is refused, the log is set apart or its read fails, or nothing is amiss.
//! `ODRADEK_TEST_FLIPS=N` turns N bits over instead of the few of the short form and prints what
//! became of them.
//!
//! Exempt, because nothing else on the disk knows of them: the frames since the last checkpoint,
//! where the lane file that holds them is as it was before they were written, or all zeros. Then the log must still be what it was at an earlier moment.

use super::draw::Draw;
use super::life::{Lived, Plan, options, run};
use super::oracle::{Ended, read_all};
use super::{STEPS, fresh_oracle};
use bytes::Bytes;
use engine_log::{PartitionLog, Store, open};
use engine_rt::sim::{CrashKind, DiskImage, SimDisk, Simulation};
use engine_rt::{Dir, FileOptions};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What became of a damaged directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nothing is amiss.
    Harmless,
    /// A log is set apart or cannot be read.
    SetApart,
    /// The directory is not opened.
    Refused,
    /// See the module: the newest records are gone, and nothing else is wrong.
    Exempt,
}

/// How often each outcome came, by kind of damage and kind of file.
#[derive(Default)]
pub struct Table(BTreeMap<(&'static str, String), BTreeMap<Outcome, u64>>);

impl Table {
    fn add(&mut self, damage: &'static str, path: &str, outcome: Outcome) {
        let row = self.0.entry((damage, kind(path).to_owned())).or_default();
        *row.entry(outcome).or_default() += 1;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Outcome::{Exempt, Harmless, Refused, SetApart};
        writeln!(
            f,
            "{:10} {:10} {:>9} {:>9} {:>9} {:>9}",
            "damage", "file", "harmless", "set apart", "refused", "exempt"
        )?;
        for ((damage, kind), row) in &self.0 {
            write!(f, "{damage:10} {kind:10}")?;
            for outcome in [Harmless, SetApart, Refused, Exempt] {
                write!(f, " {:>9}", row.get(&outcome).copied().unwrap_or(0))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn kind(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit('.').next().unwrap_or(name)
}

/// A directory to damage, and what must be in it.
pub struct Victim {
    seed: u64,
    lived: Lived,
    image: DiskImage,
    /// The same directory some time before.
    earlier: DiskImage,
    logs: usize,
    shards: usize,
}

impl Victim {
    /// A node that worked, sat still until all of its durable sequence was durable, and was
    /// killed; or was stopped.
    pub fn new(seed: u64, stop: bool) -> Result<Self, String> {
        let shards = if seed.is_multiple_of(2) { 2 } else { 1 };
        let plan = Plan {
            steps: STEPS,
            linger: Duration::from_secs(1),
            stop,
            ..Plan::recover(seed, shards)
        };
        let empty = DiskImage::default();
        let born = |crash_at| run(plan, &empty, Ended::Checked, &fresh_oracle(), crash_at);
        let lived = born(None)?;
        let image = lived.image(CrashKind::Kill, seed);
        let half = lived.changes() * 2 / 3;
        let earlier = born(Some(half))?.image(CrashKind::Kill, seed);
        let mut victim = Self {
            seed,
            lived,
            image,
            earlier,
            logs: 0,
            shards,
        };
        let ended = if stop { Ended::Clean } else { Ended::Kill };
        let whole = victim.recover(&victim.image, ended)?;
        victim.logs = whole.dumps.len();
        Ok(victim)
    }

    fn recover(&self, image: &DiskImage, ended: Ended) -> Result<Lived, String> {
        let plan = Plan {
            rot: true,
            ..Plan::recover(self.seed, self.shards)
        };
        run(plan, image, ended, &self.lived.oracle, None)
    }

    /// What becomes of the directory; an error if it is none of what may.
    fn outcome(&self, damaged: &DiskImage, may_lose: bool) -> Result<Outcome, String> {
        let found = match self.recover(damaged, Ended::Kill) {
            Err(_) if may_lose => {
                // Whatever it is a prefix of, it is one: nothing changed, nothing out of order.
                self.recover(damaged, Ended::Lost)?;
                return Ok(Outcome::Exempt);
            }
            other => other?,
        };
        Ok(if !found.oracle.is_checked {
            Outcome::Refused
        } else if found.dumps.len() < self.logs {
            Outcome::SetApart
        } else {
            Outcome::Harmless
        })
    }

    /// Files with something in them.
    fn files(&self) -> Vec<String> {
        let files = self.image.files().into_iter();
        files
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(path, _)| path)
            .collect()
    }

    /// Turns bits over, as many in each kind of file, half of them where something is written.
    pub fn flip(&self, flips: u64, table: &mut Table) -> Result<(), String> {
        let mut draw = Draw(self.seed);
        let mut kinds: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        let files = self.files();
        for path in &files {
            kinds.entry(kind(path)).or_default().push(path);
        }
        let kinds: Vec<_> = kinds.into_values().collect();
        for flip in 0..flips {
            let of_kind = &kinds[usize::try_from(flip).unwrap() % kinds.len()];
            let path = of_kind[draw.index(of_kind.len())];
            let bytes = self.image.read(path).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
            let among = if draw.below(4) == 0 {
                bytes.len()
            } else {
                used
            };
            let at = u64::try_from(draw.index(among)).unwrap();
            let bit = u8::try_from(draw.below(8)).unwrap();
            let mut rotten = self.image.clone();
            rotten.flip_bit(path, at, bit).unwrap();
            let outcome = self.outcome(&rotten, false).map_err(|what| {
                format!("seed {}, bit {bit} of {path} at {at}: {what}", self.seed)
            })?;
            table.add("bit", path, outcome);
        }
        Ok(())
    }

    /// Does each kind of damage to each file.
    pub fn damage(&self, table: &mut Table) -> Result<(), String> {
        let mut draw = Draw(!self.seed);
        let files = self.files();
        for path in &files {
            let bytes = self.image.read(path).unwrap();
            let is_lane = kind(path) == "lane";
            let mut damaged: Vec<(&'static str, DiskImage, bool)> = Vec::new();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
            for length in [
                0,
                4096,
                used / 2,
                used / 2 / 4096 * 4096,
                used.saturating_sub(1),
                draw.index(bytes.len()),
            ] {
                let length = length.min(bytes.len() - 1);
                let short = with_file(&self.image, path, Some(&bytes[..length]));
                damaged.push(("cut", short, false));
            }
            let zeros = vec![0; bytes.len()];
            damaged.push((
                "zeroed",
                with_file(&self.image, path, Some(&zeros)),
                is_lane,
            ));
            damaged.push(("removed", with_file(&self.image, path, None), false));
            if let Ok(earlier) = self.earlier.read(path)
                && earlier != bytes
            {
                let older = with_file(&self.image, path, Some(&earlier));
                damaged.push(("older", older, is_lane));
            }
            for other in files
                .iter()
                .filter(|other| kind(other) == kind(path) && *other > path)
            {
                let theirs = self.image.read(other).unwrap();
                let one = with_file(&self.image, path, Some(&theirs));
                let both = with_file(&one, other, Some(&bytes));
                damaged.push(("copied", one, false));
                damaged.push(("swapped", both, false));
                if draw.below(3) > 0 {
                    // Many segments make many pairs.
                    break;
                }
            }
            for (damage, image, may_lose) in damaged {
                let outcome = self
                    .outcome(&image, may_lose)
                    .map_err(|what| format!("seed {}, {path} {damage}: {what}", self.seed))?;
                table.add(damage, path, outcome);
            }
        }
        Ok(())
    }
}

/// The same disk with other bytes in a file, or without it.
fn with_file(image: &DiskImage, path: &str, bytes: Option<&[u8]>) -> DiskImage {
    let mut sim = Simulation::new(1);
    let node = sim.add_node_with_disk(1, image);
    let (folder, name) = path.rsplit_once('/').unwrap();
    let (folder, name) = (folder.to_owned(), name.to_owned());
    let bytes = bytes.map(Bytes::copy_from_slice);
    sim.block_on(node, Duration::from_mins(1), move || async move {
        let folder = Dir::open(&folder).await.unwrap();
        folder.remove_file(&name).await.unwrap();
        if let Some(bytes) = bytes {
            let file = folder
                .open_file(&name, FileOptions::CREATE_NEW)
                .await
                .unwrap();
            if !bytes.is_empty() {
                file.write_at(0, bytes).await.unwrap();
            }
        }
    })
    .unwrap();
    sim.crash_image(node, CrashKind::Kill, 1)
}

/// How many bits to turn over: so many, or what `ODRADEK_TEST_FLIPS` says.
fn flips(short: u64) -> u64 {
    std::env::var("ODRADEK_TEST_FLIPS").map_or(short, |flips| flips.parse().expect("a number"))
}

#[test]
fn damage_to_any_file_is_never_served_and_never_loses_silently_what_is_acknowledged() {
    let mut table = Table::default();
    let flips = flips(600);
    let victims = (flips / 300).max(2);
    for seed in 1..=victims {
        let outcome = Victim::new(seed, seed % 3 == 0).and_then(|victim| {
            victim.flip(flips / victims, &mut table)?;
            victim.damage(&mut table)
        });
        if let Err(what) = outcome {
            panic!("{what}\n{table}");
        }
    }
    println!("{table}");
}

/// Turns bits of segments over under a live store, reads everything, and turns them back: a read
/// gives what was there or an error, and what was whole before is whole again.
async fn rot_under(disk: SimDisk, shards: usize, seed: u64, flips: u64) -> Result<u64, String> {
    let text = |error: &dyn fmt::Display| error.to_string();
    let opened = open(Path::new("/data"), &options(shards))
        .await
        .map_err(|error| text(&error))?;
    let mut logs = Vec::new();
    for seed in opened.seeds {
        let store = Store::start(seed).await.map_err(|error| text(&error))?;
        logs.extend(store.logs().into_iter().map(|log| (store.clone(), log)));
    }
    let read = async |log: &PartitionLog| {
        read_all(log, log.log_start_offset(), log.log_end_offset()).await
    };
    let mut whole = Vec::new();
    for (_, log) in &logs {
        whole.push(read(log).await?);
    }
    let files = disk.files();
    let segments: Vec<_> = files
        .iter()
        .filter(|(path, bytes)| kind(path) == "segment" && *bytes > 0)
        .collect();
    let mut draw = Draw(seed);
    let mut refused = 0;
    for _ in 0..flips {
        let (path, bytes) = segments[draw.index(segments.len())];
        let (at, bit) = (draw.below(*bytes), u8::try_from(draw.below(8)).unwrap());
        disk.flip_bit(path, at, bit).unwrap();
        for ((_, log), whole) in logs.iter().zip(&whole) {
            match read(log).await {
                Ok(found) if found == *whole => {}
                Ok(_) => return Err(format!("bit {bit} of {path} at {at}: other bytes")),
                Err(_) => refused += 1,
            }
        }
        disk.flip_bit(path, at, bit).unwrap();
    }
    Ok(refused)
}

#[test]
fn a_block_that_rots_under_a_live_store_is_never_served() {
    let flips = flips(300);
    for seed in [3, 6] {
        let victim = Victim::new(seed, true).unwrap();
        let mut sim = Simulation::new(seed);
        let node = sim.add_node_with_disk(1, &victim.image);
        let disk = sim.disk(node);
        let shards = victim.shards;
        let refused = sim
            .block_on(node, Duration::from_hours(1), move || {
                rot_under(disk, shards, seed, flips)
            })
            .unwrap();
        match refused {
            Ok(refused) => {
                println!("{refused} of {flips} flips were refused to a reader");
                assert!(refused > flips / 10, "{refused} of {flips} flips were met");
            }
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
}
