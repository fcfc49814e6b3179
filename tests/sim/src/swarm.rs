//! The swarm: whole runs of a broker under faults, each of which a seed decides to the last draw.
//!
//! [`run()`] draws a [`Plan`] (sizes, topics, clients, which kinds of mishaps may happen and when),
//! lets the node live and die by it while clients of all kinds work, heals everything, lets the
//! clients find out what became of their requests, reads every partition, and has the
//! [`checker`](crate::checker) judge what the clients saw.
//!
//! Keeps: one seed gives one trace.

mod admin;
mod caller;
mod consumer;
mod journal;
mod mischief;
mod plan;
mod producer;
mod run;

pub use journal::Figures;
pub use mischief::Strikes;
pub use plan::{Mishap, Plan};
pub use run::{Outcome, run};
