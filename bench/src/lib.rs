//! Load programs that measure this broker or any other Kafka-protocol address.
//!
//! Keeps:
//! - the load is cheap beside the broker: batches are encoded once and sent again and again, answers are
//!   read in place, one thread serves all connections;
//! - every record that is counted was acknowledged (with acks 0: read by the broker);
//! - at a fixed rate latency counts from the moment a request was meant to leave, and a load program
//!   that was itself late says so;
//! - what a run cost is read from the kernel: broker, load program and whole machine side by side.
//!
//! Does not: stand on `engine_rt`. The yardstick is not built of what it measures, so that a change of
//! the runtime changes the broker's figures only. Nor does it print: `tools/odradek` does.

mod answer;
mod clock;
mod control;
mod cost;
mod deal;
mod e2e;
mod error;
mod fetch;
mod latency;
mod limit;
mod machine;
mod number;
mod options;
mod pace;
mod payload;
mod poller;
mod process;
mod produce;
mod report;
mod runner;
mod socket;
mod tally;
mod target;
mod template;
mod watch;

pub use e2e::e2e;
pub use error::BenchError;
pub use fetch::fetch;
pub use options::{
    Amount, Common, E2eOptions, FetchLimits, FetchOptions, From, ProduceOptions, Rate,
};
pub use produce::produce;
pub use report::{Cost, LatencyFigures, Load, Machine, Progress, Report, Settings};
