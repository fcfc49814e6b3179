//! The mesh: calls between the shards of one process.
//!
//! Every shard can call every other one; a call is one letter there and one back. Letters for one
//! shard that are written in the same scheduler turn travel as one packet.
//!
//! Keeps:
//! - calls from one shard to another *begin* in the order they were made: the handler's future
//!   is polled once, in that order, before it may wait among others;
//! - at most `calls_max` calls from a shard to another are unanswered; a caller waits in line;
//! - a call is answered once, also when its handler panics, and never after `Mesh::stop`;
//! - `stop` returns when every shard has stopped calling and every call was answered.
//!
//! Does not: know what is asked. A call to the own shard goes straight to the handler.

mod peer;
mod serve;

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use engine_model::ShardId;
use engine_rt::System;
use engine_rt::{JoinHandle, MailReceiver, MailSender};
use std::rc::Rc;

use peer::{Packet, Peer};

/// Limits of a mesh.
#[derive(Clone, Copy, Debug)]
pub struct MeshOptions {
    /// Calls from one shard to another that may be unanswered at a time.
    pub calls_max: usize,
    /// Packets that a mailbox between two shards holds.
    pub mailbox_packets: usize,
}

impl Default for MeshOptions {
    fn default() -> Self {
        Self {
            calls_max: 1024,
            mailbox_packets: 64,
        }
    }
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// That shard has gone, or this one is stopping. Nothing is known about the request.
    #[error("shard {to} has stopped")]
    Closed {
        /// The shard called.
        to: ShardId,
    },
    /// The handler ended without an answer. Nothing is known about the request.
    #[error("shard {to} failed to answer")]
    Failed {
        /// The shard called.
        to: ShardId,
    },
    /// There is no such shard.
    #[error("there is no shard {to}")]
    NoSuchShard {
        /// The shard called.
        to: ShardId,
    },
}

/// What one shard needs to start its side of the mesh; made before the shards run.
pub struct MeshSeed<Q, A> {
    shard: ShardId,
    links: Vec<Option<Link<Q, A>>>,
    options: MeshOptions,
}

struct Link<Q, A> {
    sender: MailSender<Packet<Q, A>>,
    receiver: MailReceiver<Packet<Q, A>>,
}

impl<Q, A> fmt::Debug for MeshSeed<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshSeed")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// A place for each pair of shards.
type Table<T> = Vec<Vec<Option<T>>>;

/// Builds one seed a shard, in shard order.
pub fn build<Q: Send + 'static, A: Send + 'static>(
    system: &System,
    options: MeshOptions,
) -> Vec<MeshSeed<Q, A>> {
    let count = u16::try_from(system.shard_count()).unwrap_or(u16::MAX);
    let mut senders: Table<MailSender<Packet<Q, A>>> = Vec::new();
    let mut receivers: Table<MailReceiver<Packet<Q, A>>> = Vec::new();
    for _ in 0..count {
        senders.push((0..count).map(|_| None).collect());
        receivers.push((0..count).map(|_| None).collect());
    }
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let (from, to) = (ShardId(from), ShardId(to));
            let (sender, receiver) = system.mailbox(from, to, options.mailbox_packets);
            put(&mut senders, from, to, sender);
            put(&mut receivers, to, from, receiver);
        }
    }
    senders
        .into_iter()
        .zip(receivers)
        .enumerate()
        .map(|(shard, (senders, receivers))| MeshSeed {
            shard: ShardId(u16::try_from(shard).unwrap_or(u16::MAX)),
            links: senders
                .into_iter()
                .zip(receivers)
                .map(|link| match link {
                    (Some(sender), Some(receiver)) => Some(Link { sender, receiver }),
                    _ => None,
                })
                .collect(),
            options,
        })
        .collect()
}

fn put<T>(table: &mut [Vec<Option<T>>], row: ShardId, column: ShardId, value: T) {
    if let Some(place) = table
        .get_mut(row.index())
        .and_then(|row| row.get_mut(column.index()))
    {
        *place = Some(value);
    }
}

/// A future of this shard.
type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;
/// What answers calls on a shard: who asks, and what.
type Handler<Q, A> = dyn Fn(ShardId, Q) -> LocalFuture<A>;

/// One shard's side of the mesh. Cheap to clone.
pub struct Mesh<Q, A> {
    inner: Rc<Inner<Q, A>>,
}

struct Inner<Q, A> {
    shard: ShardId,
    handler: Box<Handler<Q, A>>,
    peers: Vec<Option<Rc<Peer<Q, A>>>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
    stopping: Cell<bool>,
}

impl<Q, A> Clone for Mesh<Q, A> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<Q, A> fmt::Debug for Mesh<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh")
            .field("shard", &self.inner.shard)
            .field("shards", &self.inner.peers.len())
            .finish_non_exhaustive()
    }
}

impl<Q: Send + 'static, A: Send + 'static> MeshSeed<Q, A> {
    /// The shard this seed is for.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Starts this shard's side: `handler` answers the calls of all shards, this one included.
    ///
    /// What a handler does before its first wait happens in the order the calls were made.
    pub fn start<F>(self, handler: impl Fn(ShardId, Q) -> F + 'static) -> Mesh<Q, A>
    where
        F: Future<Output = A> + 'static,
    {
        let handler: Box<Handler<Q, A>> =
            Box::new(move |from, question| Box::pin(handler(from, question)));
        let mut peers = Vec::new();
        let mut links = Vec::new();
        for (index, link) in self.links.into_iter().enumerate() {
            let shard = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
            let Some(link) = link else {
                peers.push(None);
                continue;
            };
            let peer = Rc::new(Peer::new(shard, self.options.calls_max));
            peers.push(Some(Rc::clone(&peer)));
            links.push((peer, link));
        }
        let mesh = Mesh {
            inner: Rc::new(Inner {
                shard: self.shard,
                handler,
                peers,
                tasks: RefCell::default(),
                stopping: Cell::new(false),
            }),
        };
        let mut tasks = Vec::new();
        for (peer, link) in links {
            tasks.push(engine_rt::spawn(peer::flush(Rc::clone(&peer), link.sender)));
            tasks.push(engine_rt::spawn(serve::serve(
                mesh.clone(),
                peer,
                link.receiver,
            )));
        }
        mesh.inner.tasks.replace(tasks);
        mesh
    }
}

impl<Q: Send + 'static, A: Send + 'static> Mesh<Q, A> {
    /// This shard.
    pub fn shard(&self) -> ShardId {
        self.inner.shard
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.inner.peers.len()
    }

    /// Asks shard `to` and returns its answer.
    ///
    /// Calls to one shard begin there in the order in which this was first polled here.
    /// Cancel: safe, but a question already sent is answered all the same, to nobody.
    pub async fn call(&self, to: ShardId, question: Q) -> Result<A, MeshError> {
        if to == self.inner.shard {
            return Ok((self.inner.handler)(to, question).await);
        }
        match self.inner.peers.get(to.index()) {
            Some(Some(peer)) => peer.call(question).await,
            _ => Err(MeshError::NoSuchShard { to }),
        }
    }

    /// Stops this side: makes no more calls, answers those of others until they all stop too.
    ///
    /// Returns when every shard has called this (or has gone) and all is answered. Call it once
    /// nothing of this shard makes calls any more. Cancel: not safe.
    pub async fn stop(&self) {
        if self.inner.stopping.replace(true) {
            return;
        }
        for peer in self.inner.peers.iter().flatten() {
            peer.say_goodbye();
        }
        let tasks = self.inner.tasks.take();
        for task in tasks {
            if task.await.is_err() {
                tracing::error!(shard = self.inner.shard.0, "a task of the mesh panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests;
