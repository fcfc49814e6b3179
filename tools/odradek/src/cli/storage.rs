//! `storage`: verbs, flags and help.

use clap::{Args, Subcommand};
use engine_model::LogId;
use std::path::PathBuf;

/// What to do with the storage of a broker that is stopped.
#[derive(Debug, Subcommand)]
pub enum StorageVerb {
    /// Tell what a damaged data directory has lost; give it up with --accept-loss
    #[command(
        after_help = "Examples:\n  odradek storage repair odradek-data\n  odradek storage repair odradek-data --accept-loss --json

The broker must be stopped. Without --accept-loss nothing is changed: the logs that are damaged are
listed with the offsets that would be lost, and the exit code is 1 if there are any. With it, the
records of rotten blocks go and what follows keeps its offsets; a log that was set apart because of
its lane ends at its last good record and is served again; a `CURRENT` that cannot be read is put
together from the other files. Healthy logs are not touched. Cut off, it can be repeated. What was
given up is printed, and kept as `repair-RUN.json` in the directory. A topic whose log is gone for
good is offline until it is deleted."
    )]
    Repair(RepairArguments),
}

/// `storage repair`.
#[derive(Args, Debug)]
pub struct RepairArguments {
    /// A data directory
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Give up what cannot be saved; the only way to lose acknowledged records
    #[arg(long)]
    pub accept_loss: bool,
    /// Only this log, by the id that the list shows; may be repeated
    #[arg(long = "log", value_name = "ID", value_parser = log_id)]
    pub logs: Vec<LogId>,
}

/// Reads a log's id as it is printed.
fn log_id(text: &str) -> Result<LogId, String> {
    let mut parts = text.split('.');
    let mut part = || parts.next().ok_or("an id is RUN.LANE.COUNTER");
    let number = |_| "an id is RUN.LANE.COUNTER, in decimal";
    let id = LogId {
        run: part()?.parse().map_err(number)?,
        lane: part()?.parse().map_err(number)?,
        counter: part()?.parse().map_err(number)?,
    };
    if id.to_string() == text {
        Ok(id)
    } else {
        Err("an id is RUN.LANE.COUNTER, in decimal".to_owned())
    }
}
