//! Recovery on arbitrary bytes: whatever the files of a data directory hold, opening it ends, and
//! opening it again finds the same: recover(recover(x)) == recover(x).
//!
//! An input is bytes. They are a program that changes the files of a node that was killed at work:
//! bits, words, copied and exchanged blocks, cuts, files removed or exchanged; most changes put the
//! checksums right again, so that the code behind them is reached. Inputs that found something
//! stay in `corpus.txt`.

mod forge;

use super::draw::Draw;
use super::life::{Plan, fresh_oracle, options, run};
use super::oracle::{Dump, Ended};
use super::{is_long, seeds, working};
use bytes::Bytes;
use engine_log::offline::verify::{Files, Severity, Unreadable, verify_directory};
use engine_log::{AcceptLoss, LogState, Store, open, repair};
use engine_model::{LogId, TopicPartition};
use engine_rt::sim::{CrashKind, DiskImage, Simulation};
use forge::Forge;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A log as a start finds it.
#[derive(PartialEq, Eq)]
struct Found {
    partition: TopicPartition,
    state: LogState,
    start: i64,
    end: i64,
    /// What reading all of it gives.
    dump: Result<Dump, String>,
}

/// What a start finds.
#[derive(PartialEq, Eq)]
enum Survey {
    /// The directory is refused.
    Refused(String),
    /// These logs are there.
    Open(BTreeMap<LogId, Found>),
}

impl Survey {
    fn describe(&self) -> String {
        match self {
            Self::Refused(reason) => format!("refused: {reason}"),
            Self::Open(logs) => {
                let logs = logs.iter().map(|(id, log)| {
                    let (start, end, state) = (log.start, log.end, log.state);
                    let read = match &log.dump {
                        Ok(dump) => format!("{} bytes", dump.bytes.len()),
                        Err(what) => what.clone(),
                    };
                    let partition = log.partition.partition;
                    format!("{id}: {partition} {start}..{end} {state:?} {read}")
                });
                logs.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

async fn look() -> Survey {
    let opened = match open(Path::new("/data"), &options(1)).await {
        Ok(opened) => opened,
        Err(error) => return Survey::Refused(error.to_string()),
    };
    let mut logs = BTreeMap::new();
    for seed in opened.seeds {
        let store = match Store::start(seed).await {
            Ok(store) => store,
            Err(error) => return Survey::Refused(format!("start: {error}")),
        };
        for log in store.logs() {
            let found = Found {
                partition: log.partition(),
                state: log.state(),
                start: log.log_start_offset().get(),
                end: log.log_end_offset().get(),
                dump: match log.state() {
                    LogState::Online => Dump::of(&log).await,
                    LogState::Offline(_) => Err("offline".to_owned()),
                },
            };
            logs.insert(log.id(), found);
        }
    }
    Survey::Open(logs)
}

/// Opens the directory of a disk, and what is on the disk after that.
fn survey(disk: &DiskImage) -> Result<(Survey, DiskImage), String> {
    let mut sim = Simulation::new(1);
    let node = sim.add_node_with_disk(1, disk);
    let survey = sim
        .block_on(node, Duration::from_mins(10), look)
        .map_err(|error| format!("it hangs: {error}"))?;
    Ok((survey, sim.crash_image(node, CrashKind::Power, 1)))
}

/// Opens, opens again what that left, and compares.
fn is_idempotent(disk: &DiskImage) -> Result<Survey, String> {
    let (first, after) = survey(disk)?;
    let (second, _) = survey(&after)?;
    if first == second {
        return Ok(first);
    }
    Err(format!(
        "opened once: {}\nopened again: {}",
        first.describe(),
        second.describe()
    ))
}

/// The directory of a node killed at work, with logs in lane and segments.
fn killed(seed: u64) -> DiskImage {
    let plan = Plan {
        stop: false,
        shards: 1,
        ..working(seed)
    };
    let lived = run(
        plan,
        &DiskImage::default(),
        Ended::Checked,
        &fresh_oracle(),
        None,
    );
    lived.unwrap().image(CrashKind::Kill, seed)
}

/// Repairs such a directory, all losses accepted: that ends, a dry run changes nothing, and what a
/// repair that succeeded leaves is whole.
fn is_repaired(disk: &DiskImage) -> Result<bool, String> {
    let repairs = |disk: &DiskImage, is_dry_run: bool| {
        let mut sim = Simulation::new(1);
        let node = sim.add_node_with_disk(1, disk);
        let accept = AcceptLoss {
            is_dry_run,
            ..AcceptLoss::default()
        };
        let report = sim
            .block_on(node, Duration::from_mins(10), move || async move {
                repair(Path::new("/data"), &options(1), &accept).await
            })
            .map_err(|error| format!("the repair hangs: {error}"))?;
        Ok::<_, String>((report, sim.crash_image(node, CrashKind::Power, 1)))
    };
    let contents = |disk: &DiskImage| -> Vec<_> {
        let files = disk
            .files()
            .into_iter()
            .filter(|(path, _)| !path.ends_with("LOCK"));
        files.map(|(path, _)| (disk.read(&path), path)).collect()
    };
    let (_, after) = repairs(disk, true)?;
    if contents(disk) != contents(&after) {
        return Err("a dry run changed something".to_owned());
    }
    let (report, after) = repairs(disk, false)?;
    if report.is_err() {
        return Ok(false);
    }
    let found = is_idempotent(&after)?;
    match &found {
        Survey::Open(logs) if logs.values().all(|log| log.dump.is_ok()) => {}
        _ => return Err(format!("repaired: {}", found.describe())),
    }
    match repairs(&after, true)?.0 {
        Ok(report) if report.is_sound() => Ok(true),
        again => Err(format!("repaired, and not sound: {again:?}")),
    }
}

/// A directory in the memory of a test, for the offline check.
struct InMemory<'a>(&'a DiskImage);

impl Files for InMemory<'_> {
    fn list(&mut self) -> Result<Vec<(String, u64)>, Unreadable> {
        let files = self.0.files().into_iter();
        Ok(files
            .filter_map(|(path, bytes)| Some((path.strip_prefix("/data/")?.to_owned(), bytes)))
            .collect())
    }

    fn read(&mut self, path: &str, position: u64, bytes: usize) -> Result<Bytes, Unreadable> {
        let whole = self.0.read(&format!("/data/{path}"));
        let whole = Bytes::from(whole.map_err(|_| Unreadable { errno: 2 })?);
        let from = usize::try_from(position).unwrap().min(whole.len());
        Ok(whole.slice(from..from.saturating_add(bytes).min(whole.len())))
    }
}

/// The offline check of such a directory ends; where it finds no damage, a start serves everything.
fn is_verified(disk: &DiskImage, found: &Survey) -> Result<(), String> {
    let mut worst = Severity::Note;
    verify_directory(&mut InMemory(disk), None, |finding| {
        worst = worst.max(finding.severity);
    })
    .map_err(|error| format!("the check cannot list: {error:?}"))?;
    let is_served = match found {
        Survey::Open(logs) => logs.values().all(|log| log.dump.is_ok()),
        Survey::Refused(_) => false,
    };
    if worst < Severity::Damage && !is_served {
        return Err(format!(
            "no damage is found, and a start: {}",
            found.describe()
        ));
    }
    Ok(())
}

/// What an input says, done to the directory.
fn recover(base: &DiskImage, input: &[u8]) -> Result<Survey, String> {
    let mut forge = Forge::new(base);
    forge.run(input);
    let image = forge.into_image();
    let found = is_idempotent(&image)?;
    if input.len().is_multiple_of(4) {
        is_repaired(&image)?;
        is_verified(&image, &found)?;
    }
    Ok(found)
}

fn hex(input: &[u8]) -> String {
    input
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn inputs_that_once_found_something_find_nothing() {
    let base = killed(1);
    for line in include_str!("arbitrary/corpus.txt").lines() {
        let Some(input) = line
            .split('#')
            .next()
            .map(str::trim)
            .filter(|l| !l.is_empty())
        else {
            continue;
        };
        let input: Vec<u8> = (0..input.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&input[at..at + 2], 16).unwrap())
            .collect();
        if let Err(what) = recover(&base, &input) {
            panic!("{line}: {what}");
        }
    }
}

/// The long form is `ODRADEK_TEST_CRASH_SEEDS=N`: two hundred inputs a seed.
#[test]
fn recovery_of_arbitrary_bytes_ends_and_is_idempotent() {
    let base = killed(1);
    let (mut opened, mut refused) = (0, 0);
    for seed in seeds(1) {
        for number in 0..200 {
            let mut draw = Draw(seed.wrapping_mul(1_000_003).wrapping_add(number));
            let length = 4 + draw.index(44);
            let input: Vec<u8> = (0..length)
                .map(|_| u8::try_from(draw.below(256)).unwrap())
                .collect();
            match recover(&base, &input) {
                Ok(Survey::Open(_)) => opened += 1,
                Ok(Survey::Refused(_)) => refused += 1,
                Err(what) => panic!("input {}: {what}", hex(&input)),
            }
        }
    }
    println!("{opened} opened, {refused} refused");
    assert!(opened > 20, "only {opened} were opened at all");
}

/// Every file cut at multiples of 512 bytes: all of them in the long form.
#[test]
fn recovery_of_files_cut_anywhere_ends_and_is_idempotent() {
    let base = killed(1);
    let mut cuts = 0;
    for (path, bytes) in base.files() {
        let every = match () {
            () if is_long() => 1,
            () if path.ends_with("lane") => 29,
            () => 11,
        };
        let content = base.read(&path).unwrap();
        let places = bytes.div_ceil(512);
        for cut in (0..places).filter(|cut| cut % every == 0 || cut + 1 == places) {
            let mut image = base.clone();
            let kept = usize::try_from(cut * 512).unwrap();
            image.put(&path, &content[..kept]).unwrap();
            if let Err(what) = is_idempotent(&image) {
                panic!("{path} cut at {kept}: {what}");
            }
            cuts += 1;
        }
        let mut image = base.clone();
        image.remove(&path).unwrap();
        if let Err(what) = is_idempotent(&image) {
            panic!("{path} removed: {what}");
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 30, "only {cuts} cuts");
}
