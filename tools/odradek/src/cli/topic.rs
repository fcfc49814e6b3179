//! `topic`: verbs, flags and help.

use clap::{Args, Subcommand};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum TopicVerb {
    /// List topics
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  odradek topic list\n  odradek topic ls -o name --internal"
    )]
    List(ListArguments),
    /// Show the partitions of topics: leader, replicas, offsets
    #[command(
        after_help = "Examples:\n  odradek topic describe greetings\n  odradek topic describe greetings --configs --json"
    )]
    Describe(DescribeArguments),
    /// Create topics
    #[command(
        after_help = "Examples:\n  odradek topic create greetings --partitions 4\n  odradek topic create orders -p 2 -c max.message.bytes=2097152 --if-not-exists"
    )]
    Create(CreateArguments),
    /// Give topics more partitions, or other settings
    #[command(
        after_help = "Examples:\n  odradek topic alter greetings --partitions 8\n  odradek topic alter greetings -c retention.ms=7d --delete-config segment.bytes"
    )]
    Alter(AlterArguments),
    /// Show first and last offsets, or those of a time
    #[command(
        after_help = "Examples:\n  odradek topic offsets greetings\n  odradek topic offsets greetings orders --at 1h --json"
    )]
    Offsets(OffsetsArguments),
    /// Delete the records below an offset
    #[command(
        visible_alias = "trim-prefix",
        after_help = "Examples:\n  odradek topic trim orders --offset end --dry-run\n  odradek topic trim greetings --offset end -p 0 --yes"
    )]
    Trim(TrimArguments),
    /// Delete topics and all their records
    #[command(
        visible_alias = "rm",
        after_help = "Examples:\n  odradek topic delete greetings --yes\n  odradek topic rm orders payments --if-exists --yes"
    )]
    Delete(DeleteArguments),
}

/// `topic list`.
#[derive(Args, Debug)]
pub struct ListArguments {
    /// Show Kafka's internal topics too
    #[arg(long)]
    pub internal: bool,
}

/// `topic describe`.
#[derive(Args, Debug)]
pub struct DescribeArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    pub names: Vec<String>,
    /// Show the settings, and where each comes from, and not the partitions
    #[arg(short, long)]
    pub configs: bool,
}

/// `topic alter`.
#[derive(Args, Debug)]
pub struct AlterArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub changes: TopicChanges,
}

/// What is to be different about topics.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct TopicChanges {
    /// Number of partitions they shall have, those they have included
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// A setting and its new value
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    pub configs: Vec<String>,
    /// A setting that falls back to the broker's default
    #[arg(long = "delete-config", value_name = "KEY")]
    pub deleted: Vec<String>,
}

/// `topic offsets`.
#[derive(Args, Debug)]
pub struct OffsetsArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    pub names: Vec<String>,
    /// Show the first record that is not older: RFC 3339, milliseconds as @N, or an age as 15m
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `topic trim`.
#[derive(Args, Debug)]
pub struct TrimArguments {
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub name: String,
    /// The first offset to keep: a number, `end`, or a time as RFC 3339, @MILLISECONDS, or an age
    #[arg(long, required = true, value_name = "PLACE")]
    pub offset: String,
    /// Only this partition; may be given several times
    #[arg(short, long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partitions: Vec<i32>,
}

/// `topic create`.
#[derive(Args, Debug)]
pub struct CreateArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    pub names: Vec<String>,
    /// Number of partitions [default: the broker's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Number of replicas [default: the broker's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,
    /// A setting of the topic
    #[arg(short, long = "config", value_name = "KEY=VALUE")]
    pub configs: Vec<String>,
    /// A topic that is there already is no failure
    #[arg(long)]
    pub if_not_exists: bool,
}

/// `topic delete`.
#[derive(Args, Debug)]
pub struct DeleteArguments {
    /// The topics
    #[arg(required = true, value_name = "TOPIC")]
    pub names: Vec<String>,
    /// A topic that is not there is no failure
    #[arg(long)]
    pub if_exists: bool,
}
