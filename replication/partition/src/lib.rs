//! The replica of one partition as a reactor: leadership, in-sync replicas, high watermark, waiters.
//!
//! [`Replica::step`] takes an event and pushes effects; a driver carries them out in order and
//! feeds what comes of them back as events. Nothing here does I/O, reads a clock or waits.

mod effect;
mod replica;

pub use effect::{Effect, Effects, WaitError};
pub use replica::{
    Acks, Event, LogEnds, OfflineCause, Refusal, Replica, Role, WAITERS_MAX, WaiterId,
};
