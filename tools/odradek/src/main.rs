//! The odradek binary: server and command line.
//!
//! Keeps: data on stdout, everything else on stderr; one exit code for each kind of failure
//! ([`failure`]). Each verb is one file below its noun.
//! Does not: know how a node works (`tools_node`) or how Kafka is spoken (`net_client`).

mod base64;
mod bench;
mod cli;
mod cluster;
mod completion;
mod config;
mod doctor;
mod driver;
mod failure;
mod log;
mod output;
mod properties;
mod quantity;
mod record;
mod start;
mod storage;
mod time;
mod topic;

use clap::Parser;
use cli::{Cli, Noun, StartArguments};
use failure::{Failure, Kind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse_from(cli::arguments(std::env::args_os()));
    output::set_color(cli.global.color);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.noun.is_some() && cli.start != StartArguments::default() {
        let what = "flags of `start` stand in front of another command";
        return Err(Failure::new(Kind::Usage, what).hint("write them behind `odradek start`"));
    }
    let is_broker = matches!(cli.noun, None | Some(Noun::Start(_)));
    if !is_broker && !matches!(cli.noun, Some(Noun::Completion(_))) {
        start::exit_130_on_ctrl_c()?;
    }
    match &cli.noun {
        None => start::run(&cli.global, &cli.start),
        Some(Noun::Start(arguments)) => start::run(&cli.global, arguments),
        Some(Noun::Doctor(arguments)) => doctor::run(&cli.global, arguments),
        Some(Noun::Topic(verb)) => topic::run(&cli.global, verb),
        Some(Noun::Record(verb)) => record::run(&cli.global, verb),
        Some(Noun::Bench(verb)) => bench::run(&cli.global, verb),
        Some(Noun::Log(verb)) => log::run(&cli.global, verb),
        Some(Noun::Storage(verb)) => storage::run(&cli.global, verb),
        Some(Noun::Cluster(verb)) => cluster::run(&cli.global, *verb),
        Some(Noun::Config(verb)) => config::run(&cli.global, verb),
        Some(Noun::Completion(arguments)) => completion::run(arguments),
    }
}
