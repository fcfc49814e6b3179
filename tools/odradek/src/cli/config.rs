//! `config`: verbs, flags and help.

use super::StartArguments;
use clap::{Args, Subcommand};

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Show settings: of a start with these sources, or of a topic or broker that runs
    #[command(
        after_help = "Examples:\n  odradek config show --origin --changed -X num.partitions=4\n  odradek config show --topic greetings --origin"
    )]
    Show(ShowArguments),
    /// Say what a setting means, what it may be and what it is by default
    #[command(
        after_help = "Examples:\n  odradek config explain retention.ms\n  odradek config explain data.dir lane.bytes --json"
    )]
    Explain(ExplainArguments),
}

/// `config show`.
#[derive(Args, Debug)]
pub struct ShowArguments {
    /// Only these settings
    #[arg(value_name = "KEY")]
    pub keys: Vec<String>,
    /// Ask a broker about the settings of this topic
    #[arg(long, value_name = "TOPIC", conflicts_with = "broker")]
    pub topic: Option<String>,
    /// Ask a broker about its own settings
    #[arg(long, value_name = "ID")]
    pub broker: Option<i32>,
    /// Show where each value comes from
    #[arg(long)]
    pub origin: bool,
    /// Only settings that somebody set
    #[arg(long)]
    pub changed: bool,
    #[command(flatten)]
    pub start: StartArguments,
}

/// `config explain`.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    /// The settings
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<String>,
}
