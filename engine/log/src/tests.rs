//! The store as a whole, on the simulated and on the real backend.
//!
//! What a crash at every point does to it is pinned by `tests/` of this crate.

mod appends;
mod compactions;
mod faults;
mod reads;
mod repair;
mod restarts;
mod retention;
mod scrub;
mod support;
mod truncations;
mod verify;
