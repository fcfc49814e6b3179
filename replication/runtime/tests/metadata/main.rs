//! Controller, replicas and logs together, in the simulator: life cycles, faults, and crashes at every
//! disk operation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    reason = "test code: a failure is the report"
)]

mod crash;
mod faults;
mod life;
#[cfg(odradek_planted)]
mod planted;
mod repeats;
mod rig;
mod serving;
