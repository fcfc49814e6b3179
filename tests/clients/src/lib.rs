//! Real Kafka clients against the real binary: what the tests in `tests/` have in common.
//!
//! Everything runs on loopback, on ports the broker picks, in temporary directories. A client that
//! is not set up fails the test that needs it; `tests/run` sets all of them up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

mod broker;
mod command;
mod every_client;
mod java;
mod kcat;
mod log;
mod program;
mod record;
mod target;

pub use broker::{Broker, BrokerOptions};
pub use command::{Output, run, run_with_input};
pub use java::Java;
pub use kcat::{consume_partition, produce_partition};
pub use log::{Delivered, RecordSeen, read_partition};
pub use program::{Kind, Program, Refusal};
pub use record::Record;
pub use target::Target;

/// Every compression a client may choose.
pub const COMPRESSIONS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];
/// Every `acks` a client may choose.
pub const ACKS: &[&str] = &["0", "1", "all"];
