//! Real faults on real files, under the real binary and real clients.
//!
//! `cargo run -p tests-faults -- power|kill|enospc|eio [--cycles N] [--seed S]` runs one campaign;
//! `cargo test -p tests-faults` runs all of them in their short form. Each cycle: a fault, a
//! restart, a full read, a comparison with what was acknowledged.
//!
//! [`Files`] is a file system in memory that is mounted for real and fails as its [`Switches`] say.
//! [`Workload`] is the clients. A machine that cannot mount fails, unless
//! [`WITHOUT_MOUNTS`] says otherwise by name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

mod broker;
mod disk;
mod eio;
mod enospc;
mod files;
mod kill;
mod mounts;
mod power;
mod random;
mod service;
mod switches;
mod watchdog;
mod wire;
mod workload;
mod writer;

pub use eio::{IoErrors, IoReport};
pub use enospc::{FullDisks, FullReport};
pub use files::Files;
pub use kill::{KillReport, Kills};
pub use mounts::{Place, WITHOUT_MOUNTS, may_mount};
pub use power::{CutReport, Cuts};
pub use switches::{Fault, Switches, Verb};
pub use workload::Workload;
