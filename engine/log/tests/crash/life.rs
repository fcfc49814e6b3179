//! One life of a node: open and recover, compare with what may be there, work, stop or crash.

use super::faulty::Strike;
use super::oracle::{Dump, Ended, Oracle, Partition};
use super::workload::{CHARACTERS, Driver, Shared, config, partition, probe_producers};
use engine_log::{LogState, Opened, StorageOptions, Store, open};
use engine_model::{LogId, TopicPartition};
use engine_rt::sim::{CrashKind, DiskImage, SimDisk, SimNode, Simulation, Unfinished};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// What a life is to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides the steps, their schedule and the disk's delays.
    pub seed: u64,
    /// Shards to open the directory for.
    pub shards: usize,
    /// Steps of each driver; none: only recover and compare.
    pub steps: usize,
    /// Whether to ask for the state of all producers after recovery (which writes).
    pub probe: bool,
    /// Whether to stop cleanly at the end.
    pub stop: bool,
    /// How long to sit still at the end, so that the durable sequence becomes durable itself.
    pub linger: Duration,
    /// Whether bits were turned over: what is found damaged may be refused, but must be found.
    pub rot: bool,
    /// What goes wrong with the disk once the node serves.
    pub fault: Option<Strike>,
}

impl Plan {
    /// Recovers, compares, and ends without a stop.
    pub const fn recover(seed: u64, shards: usize) -> Self {
        Self {
            seed,
            shards,
            steps: 0,
            probe: false,
            stop: false,
            linger: Duration::ZERO,
            rot: false,
            fault: None,
        }
    }
}

/// How a life ended.
pub struct Lived {
    pub oracle: Oracle,
    /// What the store held after recovery; empty if it was not reached.
    pub dumps: BTreeMap<TopicPartition, Dump>,
    /// What the disk holds for each way the life may have ended.
    sim: Simulation,
    node: SimNode,
    /// Whether the fault that was planned struck.
    pub was_struck: bool,
    /// Whether it came to its crash point (else it ran to its end).
    pub crashed: bool,
}

impl Lived {
    /// How often the disk was changed.
    pub fn changes(&self) -> u64 {
        self.sim.disk(self.node).mutations()
    }

    pub fn image(&self, kind: CrashKind, seed: u64) -> DiskImage {
        self.sim.crash_image(self.node, kind, seed)
    }
}

pub fn fresh_oracle() -> Oracle {
    let mut oracle = Oracle::default();
    for (number, character) in CHARACTERS.iter().enumerate() {
        let config = config(*character);
        let mut state = Partition::new(config.durability);
        state.is_compacted = config.compacted;
        oracle.partitions.insert(partition(number), state);
    }
    oracle
}

/// A lane so small that its halves wrap several times in one life.
pub fn options(shards: usize) -> StorageOptions {
    StorageOptions {
        shards,
        lane_bytes: 384 << 10,
        lane_bytes_at_start: 384 << 10,
        frame_bytes_target: 16 << 10,
        frame_bytes_early: 8 << 10,
        tail_flush_bytes: 32 << 10,
        tail_cache_bytes: 64 << 10,
        extent_bytes_target: 8 << 10,
        read_cache_bytes: 64 << 10,
        index_cache_bytes: 64 << 10,
        open_files_max: 8,
        written_flush_bytes: 64 << 10,
        disk_reserve_bytes: 1 << 20,
        // So few keys fit that a round often ends before what is dirty does.
        cleaner_dedupe_bytes: 24 * 20,
        cleaner_backoff: Duration::from_millis(1),
        ..StorageOptions::default()
    }
}

/// What an open says of itself, against how the life before ended and the files before and after.
fn check_opened(
    plan: Plan,
    opened: &Opened,
    before: &[(String, u64)],
    after: &[(String, u64)],
    (ended, was_serving): (Ended, bool),
) -> Result<(), String> {
    if !opened.report.quarantined.is_empty() {
        if !plan.rot {
            return Err(format!("a crash is no rot: {:?}", opened.report));
        }
        let after: BTreeSet<_> = after.iter().map(|(path, _)| path).collect();
        if let Some((gone, _)) = before.iter().find(|(path, _)| !after.contains(path)) {
            return Err(format!("a log is set apart, and {gone} is deleted"));
        }
    }
    if opened.was_clean && was_serving && matches!(ended, Ended::Kill | Ended::Power) {
        return Err("a crash was taken for a clean stop".to_owned());
    }
    if ended == Ended::Clean && !opened.was_clean {
        return Err("a clean stop was not recognized".to_owned());
    }
    Ok(())
}

/// Partitions that are not there while logs are set apart without a name, since the frame that
/// created them is unreadable: those may be theirs.
fn without_a_name(stores: &[Store], quarantined: &[LogId]) -> Vec<TopicPartition> {
    let listed: Vec<_> = stores.iter().flat_map(Store::logs).collect();
    if quarantined
        .iter()
        .all(|id| listed.iter().any(|log| log.id() == *id))
    {
        return Vec::new();
    }
    let all = (0..CHARACTERS.len()).map(partition);
    all.filter(|key| !listed.iter().any(|log| log.partition() == *key))
        .collect()
}

/// Groups of segments that these have compacted.
fn compacted(stores: &[Store]) -> u64 {
    let groups = stores.iter().map(|store| store.stats().compacted_groups);
    groups.sum()
}

async fn live(
    plan: Plan,
    disk: SimDisk,
    ended: Ended,
    oracle: Shared,
    dumps: Dumps,
) -> Result<(), String> {
    let before = disk.files();
    let was_serving = std::mem::take(&mut oracle.borrow_mut().is_serving);
    let opened = match open(Path::new("/data"), &options(plan.shards)).await {
        Ok(opened) => opened,
        // Found and refused: nothing is served.
        Err(_) if plan.rot => return Ok(()),
        Err(error) => return Err(format!("open: {error}")),
    };
    check_opened(plan, &opened, &before, &disk.files(), (ended, was_serving))?;
    let quarantined = opened.report.quarantined;
    let mut damaged = BTreeSet::new();
    let mut stores = Vec::new();
    for seed in opened.seeds {
        match Store::start(seed).await {
            Ok(store) => stores.push(store),
            Err(_) if plan.rot => return Ok(()),
            Err(error) => return Err(format!("start: {error}")),
        }
    }
    for store in &stores {
        for log in store.logs() {
            let found = match log.state() {
                LogState::Online => Dump::of(&log).await,
                LogState::Offline(reason) => {
                    Err(format!("{} is offline: {reason}", log.partition()))
                }
            };
            let dump = match found {
                Ok(dump) => dump,
                Err(_) if plan.rot => {
                    damaged.insert(log.partition());
                    continue;
                }
                Err(what) => return Err(what),
            };
            if dumps.borrow_mut().insert(log.partition(), dump).is_some() {
                return Err(format!("two logs of {}", log.partition()));
            }
        }
    }
    if plan.rot {
        damaged.extend(without_a_name(&stores, &quarantined));
    }
    oracle
        .borrow_mut()
        .check(ended, &dumps.borrow(), &damaged)?;
    let home = |number: usize| {
        let home = engine_log::home_shard(partition(number), plan.shards);
        stores[home.index()].clone()
    };
    if plan.probe {
        for store in &stores {
            probe_producers(store, &oracle).await?;
        }
    }
    if let Some(strike) = plan.fault {
        disk.fail(strike.fault());
    }
    let is_rotten = plan.fault.is_some_and(Strike::is_rot);
    let drivers: Vec<_> = (0..CHARACTERS.len())
        .filter(|_| plan.steps > 0)
        .map(|number| Driver::new(home(number), Rc::clone(&oracle), number, plan.seed))
        .map(|driver| driver.on_a_rotten_disk(is_rotten))
        .map(|driver| engine_rt::spawn(driver.run(plan.steps)))
        .collect();
    for driver in drivers {
        driver.await.map_err(|_| "a driver panicked".to_owned())?;
    }
    oracle.borrow_mut().compactions += compacted(&stores);
    if plan.linger > Duration::ZERO {
        // Checkpoints that deletions force are over after the first pause; what is appended then
        // is in the lane alone, and after the second the lane says that it is durable.
        engine_rt::sleep(plan.linger).await;
        for number in 0..CHARACTERS.len() {
            let driver = Driver::new(home(number), Rc::clone(&oracle), number, !plan.seed);
            driver.run_appends(6).await;
        }
        engine_rt::sleep(plan.linger).await;
    }
    if plan.stop {
        for store in &stores {
            store
                .stop()
                .await
                .map_err(|error| format!("stop: {error}"))?;
        }
        oracle.borrow_mut().is_serving = false;
        let closed = opened.directory.close_clean().await;
        closed.map_err(|error| format!("close: {error}"))?;
    }
    Ok(())
}

type Dumps = Rc<RefCell<BTreeMap<TopicPartition, Dump>>>;

/// Lives one life on a copy of `disk`, up to its `crash_at`-th change of the disk if it gets there.
///
/// The error is what is wrong with the store; whoever calls adds how to see it again.
pub fn run(
    plan: Plan,
    disk: &DiskImage,
    ended: Ended,
    oracle: &Oracle,
    crash_at: Option<u64>,
) -> Result<Lived, String> {
    let mut sim = Simulation::new(plan.seed);
    let node = sim.add_node_with_disk(1, disk);
    if let Some(point) = crash_at {
        sim.disk(node).crash_after(point);
    }
    let mut start = oracle.clone();
    start.is_checked = false;
    let oracle: Shared = Rc::new(RefCell::new(start));
    let dumps: Dumps = Rc::default();
    let result = {
        let (oracle, dumps) = (Rc::clone(&oracle), Rc::clone(&dumps));
        let disk = sim.disk(node);
        sim.block_on(node, Duration::from_mins(10), move || {
            live(plan, disk, ended, oracle, dumps)
        })
    };
    let crashed = match result {
        Ok(result) => {
            result?;
            false
        }
        Err(Unfinished::CrashPoint) => true,
        Err(other) => return Err(format!("it hangs: {other}")),
    };
    let oracle = oracle.borrow().clone();
    if let Some(failure) = oracle.failure {
        return Err(failure);
    }
    let dumps = dumps.borrow().clone();
    let counts = sim.disk(node).counts();
    let was_struck = counts.writes_failed
        + counts.flushes_failed
        + counts.writes_misdirected
        + counts.reads_garbled
        > 0;
    Ok(Lived {
        oracle,
        dumps,
        sim,
        node,
        was_struck,
        crashed,
    })
}
