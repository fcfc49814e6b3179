//! `cluster`: verbs, flags and help.

use clap::Subcommand;

/// What to do with the cluster.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ClusterVerb {
    /// Show the brokers: address, rack, which one is the controller
    #[command(
        after_help = "Examples:\n  odradek cluster describe\n  odradek cluster describe --json"
    )]
    Describe,
}
