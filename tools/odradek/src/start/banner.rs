//! What a start says on stderr: who we are, where the data is, that clients are served.

use crate::start::directory::DataDirectory;
use engine_config::{BrokerConfig, Durability};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Instant;
use tools_node::Ready;

/// The address clients try when they are told nothing.
const ADDRESS_DEFAULT: &str = "127.0.0.1:9092";

/// Says something on stderr unless told to be quiet.
pub fn say(is_quiet: bool, text: &str) {
    if !is_quiet {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// What is known of a start before it is done.
pub struct Banner {
    data: String,
    is_ephemeral: bool,
    durability: Durability,
    started: Instant,
    cpus: usize,
    is_quiet: bool,
}

impl Banner {
    /// Remembers what to say.
    pub fn new(
        config: &BrokerConfig,
        directory: &DataDirectory,
        started: Instant,
        is_quiet: bool,
    ) -> Self {
        Self {
            data: directory.path().display().to_string(),
            is_ephemeral: directory.is_ephemeral(),
            durability: config.default_topic_config.durability,
            started,
            // Asked now: what it says runs on a shard, which is pinned to one of them.
            cpus: engine_rt::process::available_cpus().len(),
            is_quiet,
        }
    }

    /// Says that clients are served, and everything a person wants to know at that moment.
    pub fn ready(&self, ready: &Ready) {
        say(self.is_quiet, &self.text(ready));
    }

    fn text(&self, ready: &Ready) -> String {
        let recovery = &ready.recovery;
        let state = match (recovery.formatted, ready.was_clean) {
            (true, _) if self.is_ephemeral => "new, removed at the end".to_owned(),
            (true, _) => "new".to_owned(),
            (_, true) => "stopped clean".to_owned(),
            _ => format!("recovered, {} frames replayed", recovery.frames),
        };
        let durability = match self.durability {
            Durability::Fsync => "fsync: a record counts once it is flushed to disk",
            Durability::Written => "written: a record counts once it is handed to the disk",
        };
        let addresses: Vec<String> = ready.addresses.iter().map(SocketAddr::to_string).collect();
        let address = addresses.join(", ");
        let first = addresses.first().map_or(ADDRESS_DEFAULT, String::as_str);
        let option = if first == ADDRESS_DEFAULT {
            String::new()
        } else {
            format!(" -b {first}")
        };
        let mut lines = vec![
            format!("odradek {}", env!("CARGO_PKG_VERSION")),
            format!("  cluster     {}", ready.cluster_id),
            format!("  data        {} ({state})", self.data),
            format!(
                "  holds       {} topics, {} partitions",
                ready.topics, ready.partitions
            ),
            format!("  shards      {} on {} CPUs", ready.shards, self.cpus),
            format!("  durability  {durability}"),
        ];
        if !recovery.quarantined.is_empty() {
            let count = recovery.quarantined.len();
            lines.push(format!(
                "  DAMAGED     {count} partitions are set apart (see the log above); stop this broker, then\n              \
                 odradek storage repair {}  tells what is lost",
                self.data
            ));
        }
        let millis = self.started.elapsed().as_millis();
        lines.push(format!("ready on {address} after {millis} ms"));
        lines.push("try:".to_owned());
        for command in [
            format!("odradek topic create greetings --partitions 4{option}"),
            format!("echo hello | odradek record produce greetings{option}"),
            format!("odradek record consume greetings --from earliest -e{option}"),
        ] {
            lines.push(format!("  {command}"));
        }
        lines.join("\n")
    }
}
