//! Bounded queues from one shard to another, and the mark that tells a shard to look into them.
//!
//! A send puts the value into a lock-free ring, marks the receiving shard's `Post` and, once a
//! turn and only if that shard sleeps, rings its bell. The shard looks through its mailboxes when
//! it finds the mark, and wakes the tasks that wait on one that changed.
//!
//! Keeps: values arrive in order; a value sent before the sender was dropped arrives; no wake-up
//! is lost: a sender marks after it has put the value in, a shard clears the mark before it looks,
//! and looks once more after it has said that it sleeps.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Poll, Waker};

use crossbeam_queue::ArrayQueue;
use engine_model::ShardId;

use crate::shard;
use crate::system::SystemCore;

/// The other side of a mailbox is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side of the mailbox is gone")]
pub struct Closed;

/// Which side of a mailbox waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Sender,
    Receiver,
}

/// Asks a mailbox whether one of its sides can go on.
trait Probe: Send + Sync {
    fn is_ready(&self, side: Side) -> bool;
}

struct Shared<T> {
    queue: ArrayQueue<T>,
    core: Arc<SystemCore>,
    from: ShardId,
    to: ShardId,
    sender_gone: AtomicBool,
    receiver_gone: AtomicBool,
    /// The sender waits for room.
    sender_waits: AtomicBool,
}

impl<T> Shared<T> {
    /// Marks a shard's post: at once, with the bell at the end of our turn if we are a shard of
    /// the same system, else right now.
    fn tell(&self, shard: ShardId) {
        let Some(post) = self.core.posts.get(shard.index()) else {
            return;
        };
        post.mark();
        match shard::try_current() {
            Some(current) if Arc::ptr_eq(&current.core, &self.core) => {
                current.backend.ring(shard.index());
            }
            _ => post.ring_if_asleep(),
        }
    }
}

impl<T: Send> Probe for Shared<T> {
    fn is_ready(&self, side: Side) -> bool {
        match side {
            Side::Receiver => !self.queue.is_empty() || self.sender_gone.load(Ordering::Acquire),
            Side::Sender => !self.queue.is_full() || self.receiver_gone.load(Ordering::Acquire),
        }
    }
}

/// Both ends of a mailbox from shard `from` to shard `to` for at most `capacity` values (at
/// least one).
pub(crate) fn mailbox<T: Send + 'static>(
    core: &Arc<SystemCore>,
    from: ShardId,
    to: ShardId,
    capacity: usize,
) -> (MailSender<T>, MailReceiver<T>) {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(capacity.max(1)),
        core: Arc::clone(core),
        from,
        to,
        sender_gone: AtomicBool::new(false),
        receiver_gone: AtomicBool::new(false),
        sender_waits: AtomicBool::new(false),
    });
    let sender = MailSender {
        shared: Arc::clone(&shared),
        entry: RefCell::new(None),
    };
    (
        sender,
        MailReceiver {
            shared,
            entry: None,
        },
    )
}

/// Where values go in; belongs to one shard.
pub struct MailSender<T> {
    shared: Arc<Shared<T>>,
    /// Its place in the [`Mail`] of its shard.
    entry: RefCell<Option<usize>>,
}

impl<T: Send + 'static> MailSender<T> {
    /// The receiving shard.
    pub fn to(&self) -> ShardId {
        self.shared.to
    }

    /// Puts `value` in if there is room and the receiver lives; else gives it back.
    pub fn try_send(&self, value: T) -> Result<(), T> {
        if self.shared.receiver_gone.load(Ordering::Acquire) {
            return Err(value);
        }
        self.shared.queue.push(value)?;
        self.shared.tell(self.shared.to);
        Ok(())
    }

    /// The receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.receiver_gone.load(Ordering::Acquire)
    }

    /// Puts `value` in, waiting for room. One task at a time may wait. Call it on the sending
    /// shard only.
    ///
    /// Cancel: safe; a dropped send has put nothing in (and dropped its value).
    pub async fn send(&self, value: T) -> Result<(), Closed> {
        let mut value = Some(value);
        poll_fn(|cx| {
            for last in [false, true] {
                if self.is_closed() {
                    return Poll::Ready(Err(Closed));
                }
                let Some(unsent) = value.take() else {
                    return Poll::Ready(Ok(()));
                };
                match self.try_send(unsent) {
                    Ok(()) => {
                        self.shared.sender_waits.store(false, Ordering::Relaxed);
                        return Poll::Ready(Ok(()));
                    }
                    Err(back) => value = Some(back),
                }
                if !last {
                    // Said before the second look: a receiver that makes room after that look
                    // finds it.
                    self.shared.sender_waits.store(true, Ordering::SeqCst);
                    fence(Ordering::SeqCst);
                    wait(
                        &self.shared,
                        Side::Sender,
                        &mut self.entry.borrow_mut(),
                        cx.waker(),
                    );
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl<T> Drop for MailSender<T> {
    fn drop(&mut self) {
        self.shared.sender_gone.store(true, Ordering::Release);
        self.shared.tell(self.shared.to);
    }
}

impl<T> fmt::Debug for MailSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailSender({} to {})", self.shared.from, self.shared.to)
    }
}

/// Where values come out; belongs to one shard.
pub struct MailReceiver<T> {
    shared: Arc<Shared<T>>,
    entry: Option<usize>,
}

impl<T: Send + 'static> MailReceiver<T> {
    /// The sending shard.
    pub fn from(&self) -> ShardId {
        self.shared.from
    }

    /// The next value, if one is there.
    pub fn try_recv(&mut self) -> Option<T> {
        let value = self.shared.queue.pop()?;
        fence(Ordering::SeqCst);
        if self.shared.sender_waits.load(Ordering::Relaxed)
            && self.shared.sender_waits.swap(false, Ordering::SeqCst)
        {
            self.shared.tell(self.shared.from);
        }
        Some(value)
    }

    /// The next value; `None` once it is empty and the sender is gone. Call it on the receiving
    /// shard only.
    ///
    /// Cancel: safe; a dropped receive has taken nothing.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| {
            if let Some(value) = self.try_recv() {
                return Poll::Ready(Some(value));
            }
            if self.shared.sender_gone.load(Ordering::Acquire) {
                // What was sent before the sender went is visible now.
                return Poll::Ready(self.try_recv());
            }
            wait(&self.shared, Side::Receiver, &mut self.entry, cx.waker());
            Poll::Pending
        })
        .await
    }
}

impl<T> Drop for MailReceiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.store(true, Ordering::Release);
        while let Some(value) = self.shared.queue.pop() {
            drop(value);
        }
        self.shared.tell(self.shared.from);
    }
}

impl<T> fmt::Debug for MailReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MailReceiver({} to {})",
            self.shared.from, self.shared.to
        )
    }
}

/// Notes that the current shard's task wants to be woken when `side` can go on.
///
/// The mark of a value that is put in meanwhile is found after this poll, so a waker that is set
/// now is not too late.
fn wait<T: Send + 'static>(
    shared: &Arc<Shared<T>>,
    side: Side,
    entry: &mut Option<usize>,
    waker: &Waker,
) {
    let current = shard::current();
    let home = match side {
        Side::Sender => shared.from,
        Side::Receiver => shared.to,
    };
    assert!(
        current.id == home && Arc::ptr_eq(&current.core, &shared.core),
        "a mailbox end is used on its own shard only"
    );
    let mut waiting = current.mail.waiting.borrow_mut();
    if let Some(known) = entry
        .and_then(|index| waiting.get_mut(index))
        .and_then(Option::as_mut)
    {
        known.waker = Some(waker.clone());
        return;
    }
    let place = Waiting {
        probe: Arc::<Shared<T>>::clone(shared),
        side,
        waker: Some(waker.clone()),
    };
    let free = waiting.iter().position(Option::is_none);
    if let Some((index, slot)) = free.and_then(|i| waiting.get_mut(i).map(|slot| (i, slot))) {
        *slot = Some(place);
        *entry = Some(index);
    } else {
        *entry = Some(waiting.len());
        waiting.push(Some(place));
    }
}

struct Waiting {
    probe: Arc<dyn Probe>,
    side: Side,
    waker: Option<Waker>,
}

/// The mailbox ends of one shard that have ever waited.
#[derive(Default)]
pub(crate) struct Mail {
    waiting: RefCell<Vec<Option<Waiting>>>,
    scratch: RefCell<Vec<Waker>>,
}

impl Mail {
    /// Wakes every task whose mailbox can go on.
    pub(crate) fn deliver(&self) {
        let mut woken = std::mem::take(&mut *self.scratch.borrow_mut());
        let mut gone = Vec::new();
        for slot in self.waiting.borrow_mut().iter_mut() {
            let Some(waiting) = slot else { continue };
            if Arc::strong_count(&waiting.probe) == 1 {
                gone.push(slot.take());
            } else if waiting.waker.is_some() && waiting.probe.is_ready(waiting.side) {
                woken.extend(waiting.waker.take());
            }
        }
        drop(gone);
        for waker in woken.drain(..) {
            waker.wake();
        }
        *self.scratch.borrow_mut() = woken;
    }
}
