//! `kill -9` of the broker under its clients: what was acknowledged is there, of either class.

use crate::broker::{Broker, Start};
use crate::mounts::Place;
use crate::random::Random;
use crate::workload::Workload;
use crate::writer::Violation;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kills on one directory before a new one is made, so that a full read stays short.
const KILLS_PER_DIRECTORY: u64 = 25;
/// Acknowledged batches before a kill, at most.
const BATCHES_MAX: u64 = 300;
/// Nothing is acknowledged for so long: the broker hangs.
const PATIENCE: Duration = Duration::from_mins(1);
const SETTINGS: &[&str] = &["lane.bytes=16MiB"];

/// What to try.
#[derive(Clone, Debug)]
pub struct Kills {
    /// How many kills.
    pub kills: u64,
    /// What decides everything but the timing of threads.
    pub seed: u64,
    /// Whether to say how it goes.
    pub is_verbose: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct KillReport {
    /// Kills done.
    pub kills: u64,
    /// Of which hit a broker that was starting.
    pub in_start: u64,
    /// Records acknowledged, all of them read back.
    pub records: u64,
    /// How long the starts took, sorted.
    pub starts: Vec<Duration>,
    /// What was wrong, by kill.
    pub violations: Vec<(u64, Violation)>,
}

impl KillReport {
    /// Starts that took less than the rest: of 100, so many.
    pub fn start_percentile(&self, percent: usize) -> Duration {
        let index = (self.starts.len() * percent / 100).min(self.starts.len().saturating_sub(1));
        self.starts.get(index).copied().unwrap_or_default()
    }
}

impl Kills {
    /// Runs all of them.
    pub fn run(&self) -> KillReport {
        let mut report = KillReport::default();
        let mut random = Random::new(self.seed);
        let begun = Instant::now();
        while report.kills < self.kills && report.violations.is_empty() {
            let last = self.kills.min(report.kills + KILLS_PER_DIRECTORY);
            run_directory(last, &mut random, &mut report);
            if self.is_verbose {
                let took = begun.elapsed();
                eprintln!(
                    "{} kills in {took:.0?}: {} records",
                    report.kills, report.records
                );
            }
        }
        report.starts.sort();
        report
    }
}

fn run_directory(last: u64, random: &mut Random, report: &mut KillReport) {
    let place = Place::new();
    let directory = place.folder("data");
    let mut broker = start(&directory, report);
    let large_percent = [0, 2, 30][usize::try_from(random.below(3)).unwrap()];
    let mut workload = Workload::new(broker.address(), random.draw(), large_percent);
    while report.kills < last {
        let kill = report.kills;
        report.kills += 1;
        let batches = 1 + random.below(BATCHES_MAX);
        let address = broker.address();
        let ends = workload.run(address, |signs| {
            assert!(
                signs.wait(batches, PATIENCE),
                "nothing is acknowledged any more"
            );
            broker.kill();
        });
        while random.chance(15) {
            let moment = Instant::now() + Duration::from_millis(random.below(300));
            drop(Broker::start(&directory, SETTINGS, || {
                Instant::now() >= moment
            }));
            report.kills += 1;
            report.in_start += 1;
        }
        broker = start(&directory, report);
        let checked = ends.and_then(|_| workload.check(broker.address(), false));
        if let Err(violation) = checked {
            eprintln!("kill {kill}: {violation}\n{}", broker.said());
            report.violations.push((kill, violation));
            break;
        }
        assert_eq!(broker.complaints(), Vec::<String>::new(), "kill {kill}");
    }
    report.records += workload.acknowledged();
}

fn start(directory: &Path, report: &mut KillReport) -> Broker {
    let begun = Instant::now();
    match Broker::start(directory, SETTINGS, || false) {
        Start::Ready(broker) => {
            report.starts.push(begun.elapsed());
            broker
        }
        other => panic!("kill {}: no start: {other:?}", report.kills),
    }
}
