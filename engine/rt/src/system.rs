//! The shards of one process (or of one simulated node): made, wired with mailboxes, run, stopped.

mod config;

use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine_model::ShardId;

pub use config::UringConfig;

use crate::error::{RunError, StartError};
use crate::mailbox::{self, MailReceiver, MailSender};
use crate::shard::{current, with_current};
use crate::uring;

/// What a shard runs: called on the shard's own thread, polled until it returns.
///
/// The shard ends with it: tasks still alive are dropped then.
pub type ShardMain = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The shards of a process before they run: what is needed to wire them.
pub struct System {
    core: Arc<SystemCore>,
    kind: Kind,
}

enum Kind {
    Uring(UringConfig),
    Sim,
}

/// What the shards of one system share.
pub(crate) struct SystemCore {
    /// One a shard.
    pub(crate) posts: Vec<Arc<Post>>,
    pub(crate) stop: StopFlag,
}

/// Set once, when the stop is requested.
#[derive(Debug, Default)]
pub(crate) struct StopFlag(AtomicBool);

impl StopFlag {
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Tells one shard, from any thread, that its mail or the stop flag changed.
///
/// | shard | others |
/// |-------|--------|
/// | says that it sleeps, then looks for the mark | set the mark, then look whether it sleeps |
///
/// Both in one total order (SeqCst), so at least one of the two sees the other.
#[derive(Debug, Default)]
pub(crate) struct Post {
    pending: AtomicBool,
    asleep: AtomicBool,
    /// An eventfd that ends the sleep of the shard, whose ring reads it. None under `sim`.
    bell: Option<OwnedFd>,
}

impl Post {
    pub(crate) fn with_bell(bell: OwnedFd) -> Self {
        Self {
            bell: Some(bell),
            ..Self::default()
        }
    }

    pub(crate) fn bell(&self) -> Option<&OwnedFd> {
        self.bell.as_ref()
    }

    /// Something changed.
    pub(crate) fn mark(&self) {
        self.pending.store(true, Ordering::SeqCst);
    }

    /// Something changed since this was last asked.
    pub(crate) fn take_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) && self.pending.swap(false, Ordering::SeqCst)
    }

    /// As `take_pending`, leaving the mark.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    /// The shard is about to sleep, or has woken. Look for the mark after saying the former.
    pub(crate) fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::SeqCst);
    }

    /// Rings the bell if the shard sleeps, once for each sleep.
    pub(crate) fn ring_if_asleep(&self) {
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(bell) = &self.bell
        {
            uring::ring_bell(bell);
        }
    }
}

impl System {
    /// A system of one shard a configured CPU on io_uring.
    ///
    /// Errors: what this machine lacks, in words for the person who starts us.
    pub fn uring(config: UringConfig) -> Result<Self, StartError> {
        let posts = uring::probe(&config)?;
        Ok(Self {
            core: Arc::new(SystemCore::new(posts)),
            kind: Kind::Uring(config),
        })
    }

    /// A system whose shards a simulation runs.
    pub(crate) fn simulated(shards: usize) -> Self {
        let posts = (0..shards).map(|_| Post::default()).collect();
        Self {
            core: Arc::new(SystemCore::new(posts)),
            kind: Kind::Sim,
        }
    }

    pub(crate) fn core(&self) -> &Arc<SystemCore> {
        &self.core
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.core.posts.len()
    }

    /// A queue of at most `capacity` values from one shard to another (or to itself). Its ends may
    /// move to their shards' mains and must stay there.
    pub fn mailbox<T: Send + 'static>(
        &self,
        from: ShardId,
        to: ShardId,
        capacity: usize,
    ) -> (MailSender<T>, MailReceiver<T>) {
        mailbox::mailbox(&self.core, from, to, capacity)
    }

    /// What asks every shard to stop.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle {
            core: Arc::clone(&self.core),
        }
    }

    /// Runs one main a shard, each on its own thread, and blocks until all have ended.
    ///
    /// Errors: the first shard that could not start or whose main panicked; the others are asked
    /// to stop and waited for.
    pub fn run(self, mains: Vec<ShardMain>) -> Result<(), RunError> {
        let (expected, found) = (self.shard_count(), mains.len());
        if expected != found {
            return Err(RunError::MainCount { expected, found });
        }
        match self.kind {
            Kind::Uring(config) => uring::run(&config, &self.core, mains),
            Kind::Sim => Err(RunError::Simulated),
        }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("shards", &self.shard_count())
            .finish_non_exhaustive()
    }
}

impl SystemCore {
    fn new(posts: Vec<Post>) -> Self {
        Self {
            posts: posts.into_iter().map(Arc::new).collect(),
            stop: StopFlag::default(),
        }
    }

    pub(crate) fn request_stop(&self) {
        self.stop.0.store(true, Ordering::SeqCst);
        for post in &self.posts {
            post.mark();
            post.ring_if_asleep();
        }
    }
}

/// Asks every shard of a system to stop, from any thread.
#[derive(Clone)]
pub struct StopHandle {
    core: Arc<SystemCore>,
}

impl StopHandle {
    /// Asks every shard to stop; each main sees it through [`stopped`] and [`stop_requested`].
    pub fn request_stop(&self) {
        self.core.request_stop();
    }

    /// The stop was requested.
    pub fn is_requested(&self) -> bool {
        self.core.stop.is_requested()
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopHandle")
            .field("requested", &self.is_requested())
            .finish()
    }
}

/// The stop of this system was requested.
pub fn stop_requested() -> bool {
    with_current(|shard| shard.core.stop.is_requested())
}

/// Waits until the stop of this system is requested. Cancel: safe.
pub async fn stopped() {
    let shard = current();
    loop {
        let rung = shard.stop.notified();
        if shard.core.stop.is_requested() {
            return;
        }
        rung.await;
    }
}

/// Asks every shard of this system to stop, from one of its tasks.
pub fn request_stop() {
    with_current(|shard| shard.core.request_stop());
}

/// The shard this task runs on.
pub fn shard() -> ShardId {
    with_current(|shard| shard.id)
}

/// How many shards this system has.
pub fn shard_count() -> usize {
    with_current(|shard| shard.core.posts.len())
}
