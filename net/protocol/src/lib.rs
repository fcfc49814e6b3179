//! Kafka's requests and responses as declarative tables.
//!
//! Keeps:
//! - bytes that come in never panic, loop without bound, or make us reserve more memory than their
//!   own length justifies;
//! - a message is written exactly as Kafka 4.3.1 writes it, in every version of its range;
//! - a value that a version cannot carry is an error, never dropped in silence, unless Kafka's
//!   tables say that it may be dropped.
//!
//! Does not: know frames or connections (`net_transport`), look inside records (`engine_codec`),
//! decide anything.
//!
//! Source: Kafka's protocol guide, KIP-482 (flexible versions, tagged fields), the message tables
//! of Kafka 4.3.1. One file an API; each struct mirrors its table line by line.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[macro_use]
mod message;

mod api;
mod error;
mod header;
mod reader;
mod records;
mod text;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub mod alter_configs;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_topic_partitions;
pub mod fetch;
pub mod find_coordinator;
pub mod fuzz;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;

pub use api::{ApiKey, Version};
pub use error::{DecodeError, EncodeError};
pub use header::{RequestHeader, ResponseHeader};
pub use message::{Message, Request, request_frame, response_frame};
pub use reader::Reader;
pub use records::Records;
pub use text::Text;
pub use writer::Writer;
