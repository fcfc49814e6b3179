//! The whole broker in one process under one seed: a node with all its shards on a simulated
//! machine, and clients on machines of their own that speak raw protocol frames.
//!
//! [`swarm`] runs whole lives of a broker under faults that a seed draws and has the [`checker`] judge
//! what its clients saw (`cargo run -p tests-sim -- SEED`). The rest are parts that tests use:
//! [`World`] starts, stops and crashes the node and runs clients against it; [`Client`] sends
//! requests and reads answers in order; [`records`] writes and reads batches,
//! [`session`] counts a fetch session as its client does.
//! Every failure names the seed, which is all it takes to see it again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

pub mod chance;
pub mod checker;
mod client;
mod history;
pub mod payload;
pub mod records;
pub mod session;
pub mod swarm;
pub mod topics;
mod world;

pub use client::{Client, Hangup};
pub use history::{History, Workload};
pub use world::{Started, Stopped, World};
