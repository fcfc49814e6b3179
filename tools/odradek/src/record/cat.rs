//! `odradek record cat`: kcat's letters and kcat's output.
//!
//! Keeps: what goes to stdout is byte for byte what kcat 1.7.1 writes, as a test compares.
//! Stricter where kcat takes anything: numbers have to be numbers. Exit codes are Odradek's own.
//! Does not: join groups (`-G`), begin transactions, unpack (`-s`), list a topic into being.
//! Source: kcat's help and its behaviour.

mod consume;
mod envelope;
mod escape;
mod layout;
mod letters;
mod list;
mod produce;
mod query;
mod settings;

use crate::cli::{CatArguments, Global};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use letters::{Letters, Mode};
use settings::Settings;
use std::io::{self, IsTerminal, Write};

/// Runs it.
pub fn run(global: &Global, arguments: &CatArguments) -> Result<(), Failure> {
    let letters = Letters::parse(&arguments.letters)?;
    let mut global = global.clone();
    global.quiet |= letters.is_quiet;
    global.verbose = global.verbose.saturating_add(letters.verbosity);
    if let Some(brokers) = &letters.brokers {
        global.bootstrap_server = Some(brokers.clone());
    }
    if let Some(timeout) = letters.timeout {
        global.timeout = timeout;
    }
    if letters.lists_properties {
        let mut out = io::stdout().lock();
        for name in settings::names() {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    }
    let settings = Settings::new(&global, &letters)?;
    let mode = match letters.mode {
        Some(mode) => mode,
        None if io::stdin().is_terminal() => auto(&global, Mode::Consume, "Consumer"),
        None => auto(&global, Mode::Produce, "Producer"),
    };
    if !matches!(mode, Mode::Produce | Mode::Group) && !letters.names.is_empty() {
        let what = "files are for -P only";
        return Err(Failure::new(Kind::Usage, what));
    }
    let mut driver = Driver::new(&global, &settings.client);
    match mode {
        Mode::Consume => consume::run(&mut driver, &global, &settings, &letters),
        Mode::Produce => produce::run(&mut driver, &global, &settings, &letters),
        Mode::List => list::run(&mut driver, &letters),
        Mode::Query => query::run(&mut driver, &letters),
        Mode::Group => Err(Failure::new(
            Kind::Usage,
            "-G: this release has no consumer groups yet",
        )
        .hint("-C reads without a group: all partitions, or one with -p")),
    }
}

fn auto(global: &Global, mode: Mode, name: &str) -> Mode {
    if !global.quiet {
        eprintln!("% Auto-selecting {name} mode (use -P or -C to override)");
    }
    mode
}

/// The topic, which most modes need.
fn topic(letters: &Letters) -> Result<&str, Failure> {
    let topic = letters.topics.last().map(String::as_str);
    topic
        .filter(|topic| !topic.is_empty())
        .ok_or_else(|| Failure::new(Kind::Usage, "-t TOPIC is missing"))
}
