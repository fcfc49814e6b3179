//! `tests-sim`: runs seeds of the swarm and says what became of them.
//!
//! ```text
//! tests-sim SEED [--verbose]              one seed: its plan, its lives, figures, verdict, trace
//! tests-sim --seeds FROM..TO [--jobs N]   many; stops at the first failure and says how to replay
//! tests-sim --minutes N [--from SEED]     as many as fit
//! ```
//!
//! Exit code: 0 all is well, 1 a promise was broken, 2 the arguments are wrong, 3 too few runs
//! prove anything.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test program at the edge: it reads its arguments, a clock, and uses both cores"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tests_sim::swarm::{self, Outcome};

const USAGE: &str =
    "usage: tests-sim SEED [--verbose] | --seeds FROM..TO | --minutes N [--from SEED]
       --jobs N     seeds run side by side (default: one for each processor)
       --keep-going do not stop at the first failure";

/// Share of runs, in percent, that must prove something.
const COUNTING_PERCENT_MIN: u64 = 50;

#[derive(Debug, Default)]
struct Arguments {
    seed: Option<u64>,
    seeds: Option<Range<u64>>,
    minutes: Option<u64>,
    from: u64,
    jobs: usize,
    verbose: bool,
    keep_going: bool,
}

fn parse(arguments: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut parsed = Arguments {
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
        ..Arguments::default()
    };
    let mut left = arguments;
    while let Some(argument) = left.next() {
        match argument.as_str() {
            "--verbose" => parsed.verbose = true,
            "--keep-going" => parsed.keep_going = true,
            "--jobs" => parsed.jobs = left.next()?.parse().ok().filter(|jobs| *jobs > 0)?,
            "--minutes" => parsed.minutes = Some(left.next()?.parse().ok()?),
            "--from" => parsed.from = left.next()?.parse().ok()?,
            "--seeds" => {
                let range = left.next()?;
                let (from, to) = range.split_once("..")?;
                parsed.seeds = Some(from.parse().ok()?..to.parse().ok()?);
            }
            seed => parsed.seed = Some(seed.parse().ok()?),
        }
    }
    let wanted = [
        parsed.seed.is_some(),
        parsed.seeds.is_some(),
        parsed.minutes.is_some(),
    ];
    (wanted.iter().filter(|it| **it).count() == 1).then_some(parsed)
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match arguments.seed {
        Some(seed) => replay(seed, arguments.verbose),
        None => many(&arguments),
    }
}

/// Runs a seed; a panic in it is a failure of it.
fn run(seed: u64) -> Result<Outcome, String> {
    select_planted();
    catch_unwind(AssertUnwindSafe(|| swarm::run(seed))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        text.unwrap_or_else(|| "a panic without words".to_owned())
    })
}

/// Turns the mistake on that the environment names, in builds that have mistakes in them.
fn select_planted() {
    #[cfg(odradek_planted)]
    {
        use engine_model::planted::{Bug, select};
        let name = std::env::var("ODRADEK_PLANTED").unwrap_or_default();
        select(Bug::parse(&name));
    }
}

/// What is wrong with a run, if anything is.
fn wrongs(result: &Result<Outcome, String>) -> Vec<String> {
    match result {
        Ok(outcome) => {
            let violations = outcome.violations.iter().map(ToString::to_string);
            violations.chain(outcome.failures.iter().cloned()).collect()
        }
        Err(panic) => vec![format!("panic: {panic}")],
    }
}

fn replay(seed: u64, verbose: bool) -> ExitCode {
    if !verbose {
        println!("seed {seed}");
    }
    let result = run(seed);
    match &result {
        Ok(outcome) => {
            println!("{}", outcome.story.trim_end());
            let figures = outcome.figures;
            println!(
                "  records   {} sent, {} acknowledged, {} read",
                outcome.sent, outcome.acknowledged, outcome.read
            );
            println!(
                "  requests  {}, {} batches sent again, {} connections lost",
                figures.requests, figures.resent, figures.hangups
            );
            println!("  errors    {:?}", outcome.errors);
            println!("  strikes   {:?}", outcome.strikes);
            if !outcome.counts() {
                println!("  proves    nothing: too few acknowledgements, or nothing went wrong");
            }
            println!("  trace     {:016x}", outcome.trace);
        }
        Err(_) => println!("{}", swarm::Plan::draw(seed).to_string().trim_end()),
    }
    let wrongs = wrongs(&result);
    for wrong in &wrongs {
        println!("  WRONG     {wrong}");
    }
    if wrongs.is_empty() {
        println!("  verdict   good");
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Sums over many runs.
#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    counting: u64,
    sent: u64,
    acknowledged: u64,
    read: u64,
    requests: u64,
    resent: u64,
    deceived: u64,
    strikes: BTreeMap<&'static str, u64>,
    failed: Vec<u64>,
    /// Of all traces, in whatever order they came.
    traces: u64,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.counting += u64::from(outcome.counts());
        self.sent += outcome.sent as u64;
        self.acknowledged += outcome.acknowledged as u64;
        self.read += outcome.read as u64;
        self.requests += outcome.figures.requests;
        self.resent += outcome.figures.resent;
        self.deceived += u64::from(outcome.deceit.lied || outcome.deceit.rotted);
        for (name, count) in &outcome.strikes {
            *self.strikes.entry(name).or_default() += count;
        }
        self.traces = self.traces.wrapping_add(outcome.trace);
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let range = arguments.seeds.clone().unwrap_or(arguments.from..u64::MAX);
    let limit = arguments.minutes.map(|it| Duration::from_secs(it * 60));
    let next = AtomicU64::new(range.start);
    let is_over = AtomicBool::new(false);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = limit.is_some_and(|limit| begun.elapsed() >= limit);
                    if seed >= range.end || is_late {
                        return;
                    }
                    let result = run(seed);
                    let wrongs = wrongs(&result);
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    totals.seeds += 1;
                    if let Ok(outcome) = &result {
                        totals.add(outcome);
                    }
                    if !wrongs.is_empty() {
                        for wrong in &wrongs {
                            println!("seed {seed} WRONG {wrong}");
                        }
                        println!("  replay: cargo run -p tests-sim -- {seed} --verbose");
                        totals.failed.push(seed);
                        is_over.fetch_or(!arguments.keep_going, Ordering::Relaxed);
                    }
                    if totals.seeds % 500 == 0 {
                        eprintln!("{} seeds, {:.0?}", totals.seeds, begun.elapsed());
                    }
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(&totals, begun.elapsed())
}

fn report(totals: &Totals, took: Duration) -> ExitCode {
    let minutes = took.as_secs_f64() / 60.0;
    let seeds = f64::from(u32::try_from(totals.seeds).unwrap_or(u32::MAX));
    println!(
        "{} seeds in {took:.1?}, {:.0} a minute; {} prove something, {} were deceived by the disk",
        totals.seeds,
        seeds / minutes,
        totals.counting,
        totals.deceived
    );
    println!(
        "records: {} sent, {} acknowledged, {} read; {} requests, {} batches sent again",
        totals.sent, totals.acknowledged, totals.read, totals.requests, totals.resent
    );
    for (name, count) in &totals.strikes {
        println!("{count:>10} {name}");
    }
    println!("traces: {:016x}", totals.traces);
    // Whoever reads the output has gone: the exit code says it too.
    let _ = std::io::stdout().flush();
    if !totals.failed.is_empty() {
        println!("FAILED: {:?}", totals.failed);
        return ExitCode::from(1);
    }
    if totals.counting * 100 < totals.seeds * COUNTING_PERCENT_MIN {
        println!("TOO FEW runs prove anything");
        return ExitCode::from(3);
    }
    println!("all is well");
    ExitCode::SUCCESS
}
