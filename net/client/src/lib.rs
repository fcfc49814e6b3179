//! A Kafka client without I/O: it turns intentions into requests and answers into results.
//!
//! Keeps: bytes of a broker, which may be any, never panic or grow memory past named limits; every
//! queue and retry is bounded; nothing waits by itself.
//!
//! Does not: open sockets, read clocks, resolve names. A driver owns those: it asks a machine
//! ([`Producer`], [`Consumer`]) for its next [`Step`], sends the [`Call`] through a [`Connection`] to
//! the right broker of the [`Cluster`], and feeds the [`Answer`] back. The same machines so serve
//! blocking sockets, the runtime and the simulator.

mod admin;
mod call;
mod cluster;
mod connection;
mod consumer;
mod error;
mod partitioner;
mod producer;
mod retry;
mod step;
mod versions;

#[cfg(test)]
mod tests;

pub use admin::{
    NewTopic, TopicResult, create_topics, delete_topics, describe_topics, list_topics,
};
pub use call::{Answer, Call, Operation};
pub use cluster::{Broker, Cluster, Partition, Topic};
pub use connection::{Connection, Event, RESPONSE_BYTES_MAX};
pub use consumer::{ConsumedRecord, Consumer, ConsumerOptions, Isolation, OffsetReset, Start};
pub use error::ClientError;
pub use partitioner::{KeyHash, murmur2, partition_for_key};
pub use producer::{Acks, Delivery, NewRecord, Producer, ProducerOptions, PushError};
pub use retry::{Backoff, Disposition, disposition};
pub use step::{Exchange, Step, Target};
pub use versions::Versions;
