//! `start`: flags and help.

use clap::Args;
use std::path::PathBuf;

/// Run by a test.
pub const EXAMPLES: &str = "Examples:
  odradek start --ephemeral --listen 127.0.0.1:0
  odradek start --data-dir ./my-data --listen 127.0.0.1:0 --durability written -X num.partitions=4

Settings come from, the later the stronger: defaults, --config, the environment
(ODRADEK__NUM_PARTITIONS=4), flags.";

/// How to start the broker. Every flag stands for a setting.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct StartArguments {
    /// Where the data is kept; made if it is not there [default: ./odradek-data]
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Number of shards [default: the cores this process may use]
    #[arg(long, value_name = "N")]
    pub shards: Option<u16>,
    /// When a record counts as stored: once flushed, or once written [default: fsync]
    #[arg(long, value_name = "CLASS", value_parser = ["fsync", "written"])]
    pub durability: Option<String>,
    /// File of settings: TOML, or Kafka's server.properties
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the data in a temporary directory and remove it at the end
    #[arg(long)]
    pub ephemeral: bool,
}
