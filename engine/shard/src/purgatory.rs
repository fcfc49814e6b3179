//! The purgatory: where requests wait for something to happen to one of their keys, or for time.
//!
//! Keeps:
//! - a wait that was parked before its key was woken is woken, however late it is first polled;
//! - a wait that ended or was dropped leaves nothing behind;
//! - at most `waits_max` waits over at most `keys_max` keys in all are parked.
//!
//! Does not: know what is waited for, nor re-check it. The caller parks, looks, and only then
//! awaits; in this order no wake-up can be missed.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use engine_model::{HashMap, Moment};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The waits of one shard, by what they wait for. Cheap to clone.
pub struct Purgatory<K> {
    inner: Rc<RefCell<Inner<K>>>,
}

struct Inner<K> {
    by_key: BTreeSet<(K, u64)>,
    waiters: HashMap<u64, Waiter<K>>,
    next: u64,
    waits_max: usize,
    keys_max: usize,
}

struct Waiter<K> {
    keys: Vec<K>,
    woken: bool,
    waker: Option<Waker>,
}

/// The purgatory holds as many waits, or keys, as it may: the caller answers at once instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the purgatory is full: {waits} waits over {keys} keys")]
pub struct PurgatoryFull {
    /// Waits parked now.
    pub waits: usize,
    /// Keys of all of them.
    pub keys: usize,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// One of its keys was woken.
    Woken,
    /// Its deadline came first.
    Expired,
}

impl<K> Clone for Purgatory<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<K> fmt::Debug for Purgatory<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.borrow();
        f.debug_struct("Purgatory")
            .field("waits", &inner.waiters.len())
            .field("keys", &inner.by_key.len())
            .finish_non_exhaustive()
    }
}

impl<K: Ord + Clone> Purgatory<K> {
    /// An empty purgatory for at most `waits_max` waits with at most `keys_max` keys in all.
    pub fn new(waits_max: usize, keys_max: usize) -> Self {
        Self {
            inner: Rc::new(RefCell::new(Inner {
                by_key: BTreeSet::new(),
                waiters: HashMap::default(),
                next: 0,
                waits_max,
                keys_max,
            })),
        }
    }

    /// Parks a wait that ends when one of `keys` is woken or `deadline` comes.
    ///
    /// It counts from this call on, not from its first poll. Dropping it un-parks it.
    pub fn park(&self, mut keys: Vec<K>, deadline: Moment) -> Result<Wait<K>, PurgatoryFull> {
        keys.sort_unstable();
        keys.dedup();
        let mut inner = self.inner.borrow_mut();
        if inner.waiters.len() >= inner.waits_max
            || inner.by_key.len().saturating_add(keys.len()) > inner.keys_max
        {
            return Err(PurgatoryFull {
                waits: inner.waiters.len(),
                keys: inner.by_key.len(),
            });
        }
        let id = inner.next;
        inner.next = inner.next.wrapping_add(1);
        for key in &keys {
            inner.by_key.insert((key.clone(), id));
        }
        inner.waiters.insert(
            id,
            Waiter {
                keys,
                woken: false,
                waker: None,
            },
        );
        drop(inner);
        Ok(Wait {
            id,
            deadline,
            timer: None,
            inner: Rc::clone(&self.inner),
        })
    }

    /// Wakes every wait parked on `key` and returns how many there were.
    pub fn wake(&self, key: &K) -> usize {
        let mut wakers = Vec::new();
        let mut inner = self.inner.borrow_mut();
        let ids: Vec<u64> = inner
            .by_key
            .range((key.clone(), 0)..=(key.clone(), u64::MAX))
            .map(|(_, id)| *id)
            .collect();
        for id in &ids {
            inner.by_key.remove(&(key.clone(), *id));
            if let Some(waiter) = inner.waiters.get_mut(id) {
                waiter.woken = true;
                wakers.extend(waiter.waker.take());
            }
        }
        drop(inner);
        // Outside of the borrow: a waker may run anything.
        wakers.into_iter().for_each(Waker::wake);
        ids.len()
    }

    /// Wakes every wait there is: the shard stops.
    pub fn wake_all(&self) {
        let mut wakers = Vec::new();
        let mut inner = self.inner.borrow_mut();
        inner.by_key.clear();
        for waiter in inner.waiters.values_mut() {
            waiter.woken = true;
            wakers.extend(waiter.waker.take());
        }
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits parked now.
    pub fn len(&self) -> usize {
        self.inner.borrow().waiters.len()
    }

    /// Whether nothing is parked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a wait is parked on `key`.
    pub fn is_awaited(&self, key: &K) -> bool {
        self.inner
            .borrow()
            .by_key
            .range((key.clone(), 0)..=(key.clone(), u64::MAX))
            .next()
            .is_some()
    }
}

/// One parked wait. Cancel: safe; dropping it un-parks it.
pub struct Wait<K: Ord + Clone> {
    id: u64,
    deadline: Moment,
    timer: Option<engine_rt::Sleep>,
    inner: Rc<RefCell<Inner<K>>>,
}

impl<K: Ord + Clone> fmt::Debug for Wait<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("id", &self.id)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<K: Ord + Clone> Unpin for Wait<K> {}

impl<K: Ord + Clone> Future for Wait<K> {
    type Output = WaitEnd;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<WaitEnd> {
        {
            let mut inner = self.inner.borrow_mut();
            match inner.waiters.get_mut(&self.id) {
                Some(waiter) if !waiter.woken => waiter.waker = Some(context.waker().clone()),
                _ => return Poll::Ready(WaitEnd::Woken),
            }
        }
        let deadline = self.deadline;
        // The timer is made late: most requests are answered without any wait.
        let timer = self
            .timer
            .get_or_insert_with(|| engine_rt::sleep_until(deadline));
        Pin::new(timer).poll(context).map(|()| WaitEnd::Expired)
    }
}

impl<K: Ord + Clone> Drop for Wait<K> {
    fn drop(&mut self) {
        let mut inner = self.inner.borrow_mut();
        if let Some(waiter) = inner.waiters.remove(&self.id) {
            for key in waiter.keys {
                inner.by_key.remove(&(key, self.id));
            }
        }
    }
}

#[cfg(test)]
mod tests;
