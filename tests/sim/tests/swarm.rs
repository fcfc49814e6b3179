//! One seed gives one trace, in one process and in another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use std::process::Command;
use tests_sim::swarm;

const SEEDS: [u64; 6] = [2, 7, 31, 64, 99, 1234];

/// The whole of what a process tells of a seed.
fn told_by_a_process(seed: u64) -> String {
    let program = env!("CARGO_BIN_EXE_tests-sim");
    let output = Command::new(program)
        .arg(seed.to_string())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_seed_gives_one_trace_in_every_process() {
    for seed in SEEDS {
        let once = swarm::run(seed);
        let twice = swarm::run(seed);
        assert_eq!(once.trace, twice.trace, "seed {seed}");
        assert_eq!(once.story, twice.story, "seed {seed}");
        let told = told_by_a_process(seed);
        let trace = format!("trace     {:016x}", once.trace);
        assert!(told.contains(&trace), "seed {seed}: {trace} not in\n{told}");
        assert!(told.contains(once.story.trim_end()), "seed {seed}");
    }
    assert_ne!(swarm::run(1).trace, swarm::run(3).trace);
}

#[test]
fn seeds_differ_in_what_they_draw() {
    let mut mishaps = std::collections::BTreeSet::new();
    for seed in 0..200 {
        mishaps.extend(swarm::Plan::draw(seed).mishaps);
    }
    let all: std::collections::BTreeSet<_> = swarm::Mishap::ALL.iter().copied().collect();
    assert_eq!(mishaps, all, "every kind of mishap is drawn by some seed");
}
