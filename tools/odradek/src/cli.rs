//! The command line: nouns, verbs, flags, help.
//!
//! Keeps: every command has one line of help and two examples, which a test runs.

mod bench;
mod cluster;
mod completion;
mod config;
mod doctor;
mod log;
mod record;
mod start;
mod storage;
mod topic;

pub use bench::{
    BenchArguments, BenchProduceArguments, BenchVerb, FetchLimitArguments, RecordArguments,
};
pub use cluster::ClusterVerb;
pub use completion::{CompletionArguments, Shell};
pub use config::{
    ConfigVerb, ExplainArguments, OwnerArguments, SetArguments, ShowArguments, UnsetArguments,
};
pub use doctor::DoctorArguments;
pub use log::{DumpArguments, LogVerb, StatArguments, VerifyArguments};
pub use record::{CatArguments, ConsumeArguments, ProduceArguments, RecordVerb};
pub use start::StartArguments;
pub use storage::{RepairArguments, StorageVerb};
pub use topic::{
    AlterArguments, CreateArguments, DeleteArguments, DescribeArguments, ListArguments,
    OffsetsArguments, TopicVerb, TrimArguments,
};

use crate::quantity::parse_duration;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A Kafka-protocol broker and its command line.
#[derive(Debug, Parser)]
#[command(
    name = "odradek",
    version,
    propagate_version = true,
    after_help = "Without a command the broker is started: `odradek` is `odradek start`.\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 cannot connect,\n\
                  4 not allowed, 5 not found, 6 exists already, 7 timed out, 130 Ctrl-C"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub start: StartArguments,
    #[command(subcommand)]
    pub noun: Option<Noun>,
}

/// What a command is about.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// Start the broker
    #[command(after_help = start::EXAMPLES)]
    Start(StartArguments),
    /// Check whether a broker can run here, and run well
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(DoctorArguments),
    /// List, describe, create, and delete topics
    #[command(subcommand)]
    Topic(TopicVerb),
    /// Produce and consume records
    #[command(subcommand)]
    Record(RecordVerb),
    /// Measure this broker or any other
    #[command(subcommand)]
    Bench(BenchVerb),
    /// Look into a data directory without a broker
    #[command(subcommand)]
    Log(LogVerb),
    /// Repair the storage of a broker that is stopped
    #[command(subcommand)]
    Storage(StorageVerb),
    /// Show the cluster and its brokers
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Show and change settings, and say what they mean
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Print a script that completes commands in a shell
    #[command(after_help = completion::EXAMPLES)]
    Completion(CompletionArguments),
}

/// The words of the command line, with `--` behind `record cat`: what follows there is kcat's, whose
/// letters mean other things than ours.
pub fn arguments(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.collect();
    let nouns = Cli::command();
    let is_noun = |word: &OsString| {
        let word = word.to_str().unwrap_or_default();
        nouns.find_subcommand(word).is_some()
    };
    // A value of a flag in front may be a noun's name too; then it is what clap makes of it.
    let Some(noun) = words
        .iter()
        .skip(1)
        .position(is_noun)
        .map(|place| place + 1)
    else {
        return words;
    };
    let (verb, first) = (words.get(noun + 1), words.get(noun + 2));
    let is_cat = words.get(noun).is_some_and(|w| w == "record") && verb.is_some_and(|w| w == "cat");
    if is_cat && first.is_none_or(|word| word != "--help" && word != "-h") {
        words.insert(noun + 2, OsString::from("--"));
    }
    words
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "flags of a command line are yes or no, each by itself"
)]
pub struct Global {
    /// Brokers to ask first, with commas between [default: $`ODRADEK_BOOTSTRAP_SERVER`, else
    /// 127.0.0.1:9092]
    #[arg(
        short,
        long,
        global = true,
        value_name = "HOST:PORT",
        help_heading = "Global options"
    )]
    pub bootstrap_server: Option<String>,
    /// Set a property; for `start` a broker setting, else one of a client
    #[arg(
        short = 'X',
        long = "property",
        global = true,
        value_name = "KEY=VALUE",
        help_heading = "Global options"
    )]
    pub properties: Vec<String>,
    /// File of client properties as Java's clients read them; -X is stronger
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub command_config: Option<PathBuf>,
    /// How to print what was asked for
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = "Global options")]
    pub output: Format,
    /// Short for `--output json`
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Say nothing but errors on stderr
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Say more on stderr; twice for every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// When to use colours: at a terminal, always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto, help_heading = "Global options")]
    pub color: ColorChoice,
    /// How long to wait for brokers, as 500ms, 10s or 2m
    #[arg(long, global = true, value_parser = parse_duration, default_value = "30s", help_heading = "Global options")]
    pub timeout: Duration,
    /// Do not ask before deleting
    #[arg(long, global = true, help_heading = "Global options")]
    pub yes: bool,
    /// Only say what would be done
    #[arg(long, global = true, help_heading = "Global options")]
    pub dry_run: bool,
}

impl Global {
    /// How to print: `--json` wins.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// How to print what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people
    Table,
    /// {"items": [...]}
    Json,
    /// items: [...]
    Yaml,
    /// One line an item, under a line of names
    Csv,
    /// One name a line
    Name,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// At a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
