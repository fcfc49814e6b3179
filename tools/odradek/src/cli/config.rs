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
    /// Give settings of a topic or of running brokers a value
    #[command(
        after_help = "Examples:\n  odradek config set --topic greetings retention.ms=7d segment.bytes=64MiB\n  odradek config set --all-brokers log.retention.ms=3d --dry-run"
    )]
    Set(SetArguments),
    /// Take settings of a topic or of running brokers back to their default
    #[command(
        after_help = "Examples:\n  odradek config unset --topic greetings segment.bytes\n  odradek config unset --all-brokers log.retention.ms --dry-run"
    )]
    Unset(UnsetArguments),
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
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["broker", "all_brokers"])]
    pub topic: Option<String>,
    /// Ask a broker about its own settings
    #[arg(long, value_name = "ID", conflicts_with = "all_brokers")]
    pub broker: Option<i32>,
    /// Ask a broker about what was changed for every broker
    #[arg(long)]
    pub all_brokers: bool,
    /// Show where each value comes from
    #[arg(long)]
    pub origin: bool,
    /// Only settings that somebody set
    #[arg(long)]
    pub changed: bool,
    #[command(flatten)]
    pub start: StartArguments,
}

/// Whose settings change.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct OwnerArguments {
    /// A topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// One broker
    #[arg(long, value_name = "ID")]
    pub broker: Option<i32>,
    /// Every broker of the cluster
    #[arg(long)]
    pub all_brokers: bool,
}

/// `config set`.
#[derive(Args, Debug)]
pub struct SetArguments {
    #[command(flatten)]
    pub owner: OwnerArguments,
    /// The settings and their values
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
}

/// `config unset`.
#[derive(Args, Debug)]
pub struct UnsetArguments {
    #[command(flatten)]
    pub owner: OwnerArguments,
    /// The settings
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<String>,
}

/// `config explain`.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    /// The settings
    #[arg(required = true, value_name = "KEY")]
    pub keys: Vec<String>,
}
