//! The whole broker in one process under one seed: a node with all its shards on a simulated
//! machine, and clients on machines of their own that speak raw protocol frames.
//!
//! [`World`] starts, stops and crashes the node and runs clients against it; [`Client`] sends
//! requests and reads answers in order; [`records`] writes and reads batches,
//! [`session`] counts a fetch session as its client does.
//! Every failure names the seed, which is all it takes to see it again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a failure is the report"
)]

mod client;
mod history;
pub mod records;
pub mod session;
pub mod topics;
mod world;

pub use client::{Client, Hangup};
pub use history::{History, Workload};
pub use world::World;
