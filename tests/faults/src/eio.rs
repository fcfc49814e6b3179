//! I/O errors: the data directory lies on files that refuse what they are told to refuse.
//!
//! Keeps: nothing is acknowledged that is not there after a restart; every question is answered, if
//! only with an error; nothing wrong is read while a fault lasts; once it is healed the broker serves
//! again, by itself where it can, else after a restart.

use crate::broker::{Broker, Start};
use crate::files::Files;
use crate::mounts::Place;
use crate::random::Random;
use crate::service::{CLEAR_CODES, Probes, run_until, started};
use crate::switches::{EIO, Fault, Switches, Verb};
use crate::workload::Workload;
use crate::writer::{End, Violation};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A fault that did not happen by then has no occasion to.
const FAULT_DURATION_MAX: Duration = Duration::from_secs(8);
/// How long clients go on after a fault, to see whether they are refused.
const AFTER_FAULT: Duration = Duration::from_millis(400);
/// Clients get going within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// For ever.
const ALWAYS: u64 = u64::MAX;
/// Operations that go well before the first that fails, at most.
const SKIPS_MAX: u64 = 12;
/// The half of a lane is full soon, so that checkpoints happen.
const SETTINGS: &[&str] = &["lane.bytes=16MiB"];
/// What fails.
#[derive(Clone, Copy, Debug)]
struct Case {
    verb: Verb,
    path_holds: &'static str,
    times: u64,
}

/// Every kind of file, every operation on it, once and until it is healed.
fn cases() -> Vec<Case> {
    let places = [
        (Verb::Write, ".lane"),
        (Verb::Flush, ".lane"),
        (Verb::Write, ".segment"),
        (Verb::Read, ".segment"),
        (Verb::Flush, ".manifest"),
        (Verb::Name, ""),
        (Verb::Flush, ".segment"),
        (Verb::Write, ".manifest"),
        (Verb::Allocate, ".segment"),
    ];
    let mut cases = Vec::new();
    // A few cycles are to be of every sort: once and always by turns.
    for [even, odd] in [[1, ALWAYS], [ALWAYS, 1]] {
        for (index, (verb, path_holds)) in places.into_iter().enumerate() {
            let times = if index.is_multiple_of(2) { even } else { odd };
            cases.push(Case {
                verb,
                path_holds,
                times,
            });
        }
    }
    cases
}

/// What to try.
#[derive(Clone, Debug)]
pub struct IoErrors {
    /// How many faults; every kind comes in turn.
    pub cycles: u64,
    /// What decides everything but the timing of threads.
    pub seed: u64,
    /// Whether to say how it goes.
    pub is_verbose: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct IoReport {
    /// Cycles done.
    pub cycles: u64,
    /// Of which the fault had an occasion.
    pub hits: u64,
    /// Of which clients were refused.
    pub refused: u64,
    /// Cases in which a client was not answered while the broker ran.
    pub unanswered: Vec<String>,
    /// With which errors, how often.
    pub codes: BTreeMap<i16, u64>,
    /// The longest from a fault to the first client that was refused.
    pub refused_after_max: Duration,
    /// Of the refused, how many were served again without a restart.
    pub healed: u64,
    /// The longest that took after healing.
    pub healed_after_max: Duration,
    /// Of the refused, how many needed a restart.
    pub restarts: u64,
    /// Starts under a fault that ended with a message.
    pub starts_refused: u64,
    /// Records acknowledged, all of them read back.
    pub records: u64,
    /// What was wrong, by case.
    pub violations: Vec<(String, Violation)>,
}

impl IoErrors {
    /// Runs all of them.
    pub fn run(&self) -> IoReport {
        let mut report = IoReport::default();
        let mut random = Random::new(self.seed);
        for cycle in 0..self.cycles {
            let cases = cases();
            let index = usize::try_from(cycle).unwrap() % cases.len();
            let case = cases[index];
            let begun = Instant::now();
            let name = format!("{case:?}");
            if let Err(violation) = run_case(case, &mut random, &mut report) {
                eprintln!("{name}: {violation}");
                report.violations.push((name.clone(), violation));
            }
            report.cycles += 1;
            if self.is_verbose {
                eprintln!("{name} in {:.1?}", begun.elapsed());
            }
        }
        report
    }
}

/// One fault under a new broker.
fn run_case(case: Case, random: &mut Random, report: &mut IoReport) -> Result<(), Violation> {
    let place = Place::new();
    let files = Files::default();
    let (path, _session) = place.mount_files("files", &files);
    let directory = path.join("data");
    let mut broker = started(&directory, SETTINGS);
    let mut workload = Workload::new(broker.address(), random.draw(), 12);
    let mut probes = Probes::new(broker.address());
    if case.verb == Verb::Read {
        // What is to be read from files must be in files, and in no cache.
        run_until(&mut workload, &broker, 300)?;
        broker.kill();
        broker = started(&directory, SETTINGS);
    }
    let switches = files.switches();
    let address = broker.address();
    let fault = Fault {
        verb: case.verb,
        path_holds: case.path_holds.to_owned(),
        skips: random.below(SKIPS_MAX),
        times: case.times,
        errno: EIO,
    };
    let hits = switches.counts().faults;
    let mut refused_after = None;
    let is_read = case.verb == Verb::Read;
    if is_read {
        switches.fail(fault.clone());
        workload.look(address)?;
    }
    let ends = workload.run(address, |signs| {
        let clients = signs.at_work.load(Ordering::Relaxed);
        if !is_read {
            signs.wait(50, PATIENCE);
            switches.fail(fault.clone());
            switches.wait_faults(hits + 1, FAULT_DURATION_MAX);
        }
        let hit_at = Instant::now();
        while hit_at.elapsed() < AFTER_FAULT {
            let left = signs.at_work.load(Ordering::Relaxed);
            if left < clients && refused_after.is_none() {
                refused_after = Some(hit_at.elapsed());
            }
            if left == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    })?;
    let has_hit = switches.counts().faults > hits;
    report.hits += u64::from(has_hit);
    let (is_refused, is_unanswered) = judge(case, &ends, &mut broker, report);
    if is_unanswered {
        report.unanswered.push(format!("{case:?}"));
    }
    // While it lasts: whatever is read is right.
    workload.look(address)?;
    switches.heal();
    if is_refused || is_unanswered || !broker.is_running() {
        report.refused += 1;
        let after = refused_after.unwrap_or_default();
        report.refused_after_max = report.refused_after_max.max(after);
        let healing = Instant::now();
        if probes.are_served(&mut broker) {
            report.healed += 1;
            report.healed_after_max = report.healed_after_max.max(healing.elapsed());
        } else {
            report.restarts += 1;
            broker.kill();
            broker = started(&directory, SETTINGS);
        }
    }
    workload.check(broker.address(), false)?;
    run_until(&mut workload, &broker, 50)?;
    broker.kill();
    meet_start(case, switches, &fault, &directory, &workload, report)?;
    let broker = started(&directory, SETTINGS);
    workload.check(broker.address(), false)?;
    report.records += workload.acknowledged();
    assert_eq!(broker.complaints(), Vec::<String>::new(), "{case:?}");
    Ok(())
}

/// Whether a client was refused, with an error that says why; whether one was not answered.
fn judge(case: Case, ends: &[End], broker: &mut Broker, report: &mut IoReport) -> (bool, bool) {
    let (mut is_refused, mut is_unanswered) = (false, false);
    for end in ends {
        match end {
            End::Refused(code) => {
                is_refused = true;
                *report.codes.entry(code.0).or_default() += 1;
                let is_clear = CLEAR_CODES.contains(code);
                assert!(
                    is_clear,
                    "{case:?}: refused with {code:?}\n{}",
                    broker.said()
                );
            }
            End::Cut => is_unanswered |= broker.is_running(),
            End::Stopped => {}
        }
    }
    (is_refused, is_unanswered)
}

/// The same fault, whatever the file, meets a start, which serves what is right or says why not.
fn meet_start(
    case: Case,
    switches: &Switches,
    fault: &Fault,
    directory: &Path,
    workload: &Workload,
    report: &mut IoReport,
) -> Result<(), Violation> {
    switches.fail(Fault {
        path_holds: String::new(),
        ..fault.clone()
    });
    match Broker::start(directory, SETTINGS, || false) {
        Start::Ready(mut broker) => {
            workload.look(broker.address())?;
            broker.kill();
        }
        Start::Ended(said) => {
            assert!(!said.contains("panicked"), "{case:?}: {said}");
            assert!(
                said.contains("error"),
                "{case:?}: ended without a word: {said}"
            );
            report.starts_refused += 1;
        }
        Start::GivenUp => unreachable!("nobody gives up"),
    }
    switches.heal();
    Ok(())
}
