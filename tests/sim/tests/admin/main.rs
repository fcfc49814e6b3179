//! What the APIs of administration answer to what is wrong, and to what is right in each of their
//! versions. Codes and words are Kafka 4.3.1's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::format_push_string,
    missing_docs,
    reason = "test code: a failure is the report"
)]

mod alter_configs;
mod compaction;
mod configs;
mod epochs;
mod many;
mod metadata;
mod pages;
mod partitions;
mod records_deleted;
mod retention;
mod settings_in_force;
mod topics;
