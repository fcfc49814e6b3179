//! The broker of one shard: answers the requests of its connections, and the questions of other
//! shards about the partitions it owns.
//!
//! ```text
//!   connection -> Service (decode) -> handlers::* -> Broker::ask -> mesh -> owner -> replica
//!              <- encode           <-             <-           <-      <-
//! ```
//!
//! Keeps: a partition is touched on its owner's shard only; errors of the floors below become
//! Kafka's codes in `error` and nowhere else.
//! Does not: keep records or metadata, or know files and sockets.

mod advertised;
mod broker;
mod config_entries;
mod error;
mod features;
mod fetch_set;
mod handlers;
mod owner;
mod patience;
mod producer_ids;
mod question;
mod request_budget;
mod routes;
mod service;
mod sessions;
mod slab;
mod watchers;

pub use advertised::Advertised;
pub use broker::{Broker, BrokerParts};
pub use error::Fault;
pub use question::{Answer, Question};
pub use request_budget::RequestBudget;
