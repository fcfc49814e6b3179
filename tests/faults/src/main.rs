//! `tests-faults power|control|kill|enospc|eio [--cycles N] [--seed S]`: real faults on real files.

use std::process::ExitCode;
use tests_faults::{Cuts, FullDisks, IoErrors, Kills, may_mount};

const USAGE: &str = "usage: tests-faults power|control|kill|enospc|eio [--cycles N] [--seed S]

power    power cuts under the broker, on ext4 over a disk with a volatile cache
control  the same on a disk that lies about flushes: has to find losses
kill     kill -9 of the broker under its clients
enospc   a small disk that others, or the clients, fill
eio      writes, flushes, reads and names that fail, once or until healed

Exits with 0 if nothing acknowledged was lost, doubled, reordered or changed.";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let (mut cycles, mut seed) = (20, 1);
    while let Some(flag) = arguments.next() {
        let number = arguments.next().and_then(|value| value.parse().ok());
        match (flag.as_str(), number) {
            ("--cycles", Some(number)) => cycles = number,
            ("--seed", Some(number)) => seed = number,
            _ => return usage(),
        }
    }
    if what != "kill" && !may_mount() {
        return ExitCode::FAILURE;
    }
    let is_good = match what.as_str() {
        "power" | "control" => {
            let lies = what == "control";
            let cuts = Cuts {
                cuts: cycles,
                seed,
                lies,
                is_verbose: true,
            };
            let report = cuts.run();
            println!("{report:#?}");
            lies != (report.violations.is_empty() && report.broken.is_empty())
        }
        "kill" => {
            let kills = Kills {
                kills: cycles,
                seed,
                is_verbose: true,
            };
            let report = kills.run();
            println!(
                "{} kills ({} of them in a start), {} records, start p50 {:.0?} p99 {:.0?}, wrong: {:?}",
                report.kills,
                report.in_start,
                report.records,
                report.start_percentile(50),
                report.start_percentile(99),
                report.violations
            );
            report.violations.is_empty()
        }
        "enospc" => {
            let disks = FullDisks {
                cycles,
                seed,
                is_verbose: true,
            };
            let report = disks.run();
            println!("{report:#?}");
            report.violations.is_empty()
        }
        "eio" => {
            let errors = IoErrors {
                cycles,
                seed,
                is_verbose: true,
            };
            let report = errors.run();
            println!("{report:#?}");
            report.violations.is_empty()
        }
        _ => return usage(),
    };
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
