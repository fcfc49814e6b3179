//! `tests-hostile --frames N --seed S`: mutated frames at the real binary, with checks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a failure is the report"
)]

use std::path::PathBuf;
use tests_hostile::Campaign;

const USAGE: &str = "usage: tests-hostile [--frames N] [--seed N] [--block N] [--first-block N] \
    [--budget-mib N] [--resident-max-mib N] [--save FOLDER]

Sends mutated requests to a broker of its own and checks, after each block, that it is the same
process, answers, keeps its memory, has not panicked, and that an honest producer and consumer
beside lost nothing. A failure names its block: repeat it with --first-block. --save keeps the frame
that made the broker complain.";

fn main() {
    let mut campaign = Campaign {
        frames: 100_000,
        seed: 1,
        block: 24_000,
        first_block: 0,
        budget: 128 << 20,
        resident_max: 192 << 20,
        save: None,
        is_verbose: true,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let Some(value) = arguments.next() else {
            eprintln!("{USAGE}");
            std::process::exit(2);
        };
        let number = || value.replace('_', "").parse::<u64>().expect("a number");
        match flag.as_str() {
            "--frames" => campaign.frames = number(),
            "--seed" => campaign.seed = number(),
            "--block" => campaign.block = number(),
            "--first-block" => campaign.first_block = number(),
            "--budget-mib" => campaign.budget = number() << 20,
            "--resident-max-mib" => campaign.resident_max = number() << 20,
            "--save" => campaign.save = Some(PathBuf::from(value)),
            _ => {
                eprintln!("{USAGE}");
                std::process::exit(2);
            }
        }
    }
    let report = campaign.run();
    println!("{report:#?}");
    println!(
        "{} frames in {:.0?}: at most {} MiB, an honest question at most {:.0?}, {} honest records kept",
        report.frames,
        report.took,
        report.resident_bytes_max >> 20,
        report.answer_max.max(report.honest_max),
        report.honest
    );
}
