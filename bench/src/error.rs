//! Why a run came to nothing.

use engine_codec::BuildError;
use engine_model::{ErrorCode, PartitionIndex};
use net_client::ClientError;
use net_protocol::{ApiKey, EncodeError, Text};
use std::io;
use std::time::Duration;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No broker could be reached.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where it was looked for.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A connection that was up broke.
    #[error("the connection to {address} broke: {source}")]
    Broken {
        /// The broker.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The broker closed a connection; with acks 0 that is how it says no.
    #[error("the broker at {address} closed the connection")]
    Closed {
        /// The broker.
        address: String,
    },
    /// Broker and load program do not understand each other.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A request that cannot be written in the broker's version.
    #[error("the request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// Records that make no batch.
    #[error("the batch cannot be written: {0}")]
    Build(#[from] BuildError),
    /// The broker said no to the topic.
    #[error("topic '{}': {}", topic.escape_debug(), said(*code, message.as_ref()))]
    Topic {
        /// The topic.
        topic: Text,
        /// Kafka's code.
        code: ErrorCode,
        /// The broker's words.
        message: Option<Text>,
    },
    /// The broker said no to a request of the load.
    #[error("{api:?} to partition {partition}: {code}")]
    Refused {
        /// What was asked.
        api: ApiKey,
        /// The partition.
        partition: PartitionIndex,
        /// Kafka's code.
        code: ErrorCode,
    },
    /// An answer that cannot be read, or answers nothing that was asked.
    #[error("an answer to {api:?} cannot be read: {what}")]
    BadAnswer {
        /// What was asked.
        api: ApiKey,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Records that are not what was written.
    #[error("partition {partition} at offset {offset}: {what}")]
    BadRecords {
        /// The partition.
        partition: PartitionIndex,
        /// Where.
        offset: i64,
        /// What is wrong with them.
        what: &'static str,
    },
    /// Nothing came for too long.
    #[error("no answer from the broker for {waited:?}")]
    Silent {
        /// How long it was waited.
        waited: Duration,
    },
    /// A topic that has fewer partitions than were asked for.
    #[error("topic '{}' has {found} partitions, {wanted} were asked for", topic.escape_debug())]
    Partitions {
        /// The topic.
        topic: Text,
        /// What it has.
        found: usize,
        /// What was asked for.
        wanted: i32,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Options(&'static str),
    /// The kernel refused something of our own.
    #[error("{what}: {source}")]
    System {
        /// What it was.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The broker's process is not there.
    #[error("there is no process {pid} to read the cost of")]
    NoProcess {
        /// The process.
        pid: u32,
    },
}

fn said(code: ErrorCode, message: Option<&Text>) -> String {
    match message.filter(|text| !text.is_empty()) {
        Some(message) => format!("{message} ({code})"),
        None => code.to_string(),
    }
}
