//! The same small programs on both backends: the answers must be the same, and those written here.
//!
//! A program is one function a shard; what it says is gathered by shard. Nothing it says depends
//! on time or order, which differ between the backends and between seeds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

mod files;
mod mail;
mod sockets;
mod tasks;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;

use engine_rt::sim::Simulation;
use engine_rt::{ShardMain, System, UringConfig};

/// What a program says, line by line.
type Said = Vec<String>;
type Saying = Pin<Box<dyn Future<Output = Said>>>;
/// What one shard runs, given a directory that does not exist yet.
type Program = Box<dyn FnOnce(PathBuf) -> Saying + Send>;

/// How many seeds the simulation tries.
const SEEDS: u64 = 30;

fn program<F: Future<Output = Said> + 'static>(
    make: impl FnOnce(PathBuf) -> F + Send + 'static,
) -> Program {
    Box::new(move |path| Box::pin(make(path)))
}

fn mains(
    programs: Vec<Program>,
    path: &std::path::Path,
) -> (Vec<ShardMain>, mpsc::Receiver<(usize, Said)>) {
    let (tell, told) = mpsc::channel();
    let mains = programs
        .into_iter()
        .enumerate()
        .map(|(shard, program)| {
            let (tell, path) = (tell.clone(), path.to_owned());
            let main: ShardMain = Box::new(move || {
                Box::pin(async move {
                    let said = program(path).await;
                    tell.send((shard, said)).unwrap();
                })
            });
            main
        })
        .collect();
    (mains, told)
}

fn gather(told: &mpsc::Receiver<(usize, Said)>) -> Vec<Said> {
    let mut all: Vec<(usize, Said)> = told.try_iter().collect();
    all.sort();
    all.into_iter().map(|(_, said)| said).collect()
}

fn on_uring(shards: usize, make: &dyn Fn(&System) -> Vec<Program>) -> Vec<Said> {
    let place = tempfile::tempdir().unwrap();
    let cpus = vec![None; shards];
    let system = System::uring(UringConfig {
        cpus,
        ..UringConfig::default()
    })
    .unwrap();
    let programs = make(&system);
    let (mains, told) = mains(programs, &place.path().join("data"));
    system.run(mains).unwrap();
    gather(&told)
}

fn on_sim(seed: u64, shards: usize, make: &dyn Fn(&System) -> Vec<Program>) -> (Vec<Said>, u64) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(shards);
    let system = sim.system(node);
    let programs = make(&system);
    let (mains, told) = mains(programs, std::path::Path::new("/data"));
    sim.start(node, &system, mains);
    assert!(
        sim.run_until_idle(Duration::from_mins(10)),
        "seed {seed} does not end"
    );
    assert!(!sim.is_running(node), "seed {seed} hangs");
    assert_eq!(sim.disk(node).open_descriptors(), 0, "seed {seed}");
    assert_eq!(sim.socket_count(), 0, "seed {seed}");
    (gather(&told), sim.trace_hash())
}

/// Runs the programs on both backends; each shard says what stands in its place of `expected`.
fn check(expected: &[&[&str]], make: impl Fn(&System) -> Vec<Program>) {
    let expected: Vec<Said> = expected
        .iter()
        .map(|lines| lines.iter().map(|&line| line.to_owned()).collect())
        .collect();
    for seed in 0..SEEDS {
        let (said, trace) = on_sim(seed, expected.len(), &make);
        assert_eq!(said, expected, "sim, seed {seed}");
        assert_eq!(
            (said, trace),
            on_sim(seed, expected.len(), &make),
            "seed {seed} again"
        );
    }
    assert_eq!(on_uring(expected.len(), &make), expected, "uring");
}
