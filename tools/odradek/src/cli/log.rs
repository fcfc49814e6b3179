//! `log`: verbs, flags and help.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with a data directory, offline.
#[derive(Debug, Subcommand)]
pub enum LogVerb {
    /// Print what a data directory, or one file of it, holds; changes nothing
    #[command(
        after_help = "Examples:\n  odradek log dump odradek-data --topic greetings --deep\n  odradek log dump odradek-data/CURRENT --json

Works on the directory of a broker that runs: then it shows a moment of it. What is damaged is told
with its place, reading goes on behind it, and the exit code is 1."
    )]
    Dump(DumpArguments),
    /// Count what the logs of a data directory hold: offsets, batches, garbage
    #[command(
        after_help = "Examples:\n  odradek log stat odradek-data\n  odradek log stat odradek-data --lanes --json

Works on the directory of a broker that runs: then it shows a moment of it. What is damaged is told
with its place, reading goes on behind it, and the exit code is 1."
    )]
    Stat(StatArguments),
    /// Check every byte of a data directory, or of one file of it; changes nothing
    #[command(
        after_help = "Examples:\n  odradek log verify odradek-data\n  odradek log verify odradek-data/CURRENT --json

Checks checksums, places, offsets and indexes of all files and each against the others, as the
scrub of a running broker does. What is damaged is told with its place and the offsets that may be
lost, and the exit code is 1. Severities: `damage` (acknowledged records are lost, unreadable or not
served), `spare` (damaged, and nothing needs it), `note` (what a crash or an upgrade leaves). Works
on the directory of a broker that runs: what is found there is looked at twice."
    )]
    Verify(VerifyArguments),
}

/// `log verify`.
#[derive(Args, Debug)]
pub struct VerifyArguments {
    /// A data directory, or a file of one
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Show notes too: torn frames, files that nothing names
    #[arg(long)]
    pub notes: bool,
}

/// `log dump`.
#[derive(Args, Debug)]
pub struct DumpArguments {
    /// A data directory, or a file of one
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Print the records too
    #[arg(long)]
    pub deep: bool,
    /// Only the logs of this topic, by name or id; `__cluster_metadata` is the brokers' own
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only the logs of this partition
    #[arg(long, value_name = "N")]
    pub partition: Option<i32>,
    /// Print lanes, frames and entries as they lie in the files, and not log by log
    #[arg(long, conflicts_with_all = ["topic", "partition"])]
    pub physical: bool,
}

/// `log stat`.
#[derive(Args, Debug)]
pub struct StatArguments {
    /// A data directory
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Show the lanes, and not the logs
    #[arg(long)]
    pub lanes: bool,
}
