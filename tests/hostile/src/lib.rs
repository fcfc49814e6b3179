//! What clients may send that no client should, over TCP, at the real binary.
//!
//! `cargo run --release -p tests-hostile -- --frames 1000000 --seed 1` sends a million mutated
//! requests and checks after each block that the broker is the same process, answers, keeps its
//! memory, has not panicked, and that an honest producer and consumer beside it lost nothing. The
//! frames of a block are a function of the seed and its number.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "test code: a failure is the report"
)]

mod broker;
mod campaign;
mod honest;
mod mutation;
mod random;
mod seeds;
mod wire;

pub use broker::Broker;
pub use campaign::{Campaign, Report, replay};
pub use honest::Honest;
pub use mutation::mutate;
pub use random::Random;
pub use seeds::{Seed, TOPIC_ID_PLACE, seeds};
pub use wire::{Outcome, Wire, create_topic, with_topic_id};
