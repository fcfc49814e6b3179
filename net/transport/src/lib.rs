//! Frames and connections of the Kafka protocol: bytes of a socket to requests, answers to bytes.
//!
//! Keeps: a request is never larger than allowed, its memory is charged before it is received,
//! and the answers of one connection leave in the order of its requests.
//! Does not: know what a request means (`net/broker`) or who owns a partition.

mod budget;
pub mod connection;
mod connections;
mod door;
mod frame_reader;
mod frame_writer;
mod watched;

pub use budget::Budget;
pub use connection::{Client, Reply, Request, Service};
pub use connections::{CONNECTION_BYTES, Connections, TransportOptions};
pub use door::{Door, DoorLimits, Guest, Refused};
pub use frame_reader::{Frame, FrameError, FrameReader, Progress};
pub use frame_writer::{PIECES_MAX, pack};
