//! Waiting between tasks of one shard: notify, oneshot, semaphore, bounded channel.
//!
//! Keeps: wake-ups are first come, first served; a waiter that goes away hands its turn on.
//! Needs no backend: everything here is `Rc` and `Waker`, so it works the same under `sim`.
//! Does not: cross shards (`mailbox` does).

mod channel;
mod notify;
mod oneshot;
mod semaphore;
pub(crate) mod wait_list;

pub use channel::{ChannelClosed, Receiver, Sender, channel};
pub use notify::{Notified, Notify};
pub use oneshot::{OneshotReceiver, OneshotSender, SenderDropped, oneshot};
pub use semaphore::{Acquire, Permit, Semaphore};

#[cfg(test)]
mod tests;
