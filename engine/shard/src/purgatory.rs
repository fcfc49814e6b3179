//! The purgatory: where requests wait for something to happen to one of their keys, or for time.
//!
//! A waiter watches keys. A key that is woken is watched no more and lies in the waiter's hands
//! until it asks which keys they were; so it looks again at those, and at no others. A waiter may
//! outlive a request: what happened between two requests is told to the second one.
//!
//! Keeps:
//! - a key that was woken since a mark taken before the caller looked at it is found woken when it
//!   is watched with that mark, so nothing has to be watched before it is known to be worth it;
//! - a waiter that was dropped leaves nothing behind;
//! - at most `waiters_max` waiters watch at most `keys_max` keys in all.
//!
//! Does not: know what is waited for, nor look at it.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use engine_model::{HashMap, Moment};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

/// Wakes that are remembered; whoever looked for longer takes everything for woken.
const RECENT_MAX: usize = 1024;

/// The waiters of one shard, by what they watch. Cheap to clone.
pub struct Purgatory<K> {
    inner: Rc<RefCell<Inner<K>>>,
}

struct Inner<K> {
    by_key: BTreeSet<(K, u64)>,
    waiters: HashMap<u64, State<K>>,
    next: u64,
    /// The last keys that were woken, whether somebody watched them or not.
    recent: VecDeque<K>,
    /// How many keys were woken in all.
    wakes: u64,
    ended: bool,
    waiters_max: usize,
    keys_max: usize,
}

struct State<K> {
    watched: BTreeSet<K>,
    woken: Vec<K>,
    waker: Option<Waker>,
}

/// A moment in the sequence of wakes; see [`Purgatory::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

/// The purgatory holds as many waiters, or keys, as it may: the caller answers at once instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the purgatory is full: {waiters} waiters over {keys} keys")]
pub struct PurgatoryFull {
    /// Waiters there are now.
    pub waiters: usize,
    /// Keys that all of them watch.
    pub keys: usize,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// A key was woken, or all waiting has ended.
    Woken,
    /// The deadline came first.
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
            .field("waiters", &inner.waiters.len())
            .field("keys", &inner.by_key.len())
            .finish_non_exhaustive()
    }
}

impl<K: Ord + Clone> Purgatory<K> {
    /// An empty purgatory for at most `waiters_max` waiters with at most `keys_max` keys in all.
    pub fn new(waiters_max: usize, keys_max: usize) -> Self {
        Self {
            inner: Rc::new(RefCell::new(Inner {
                by_key: BTreeSet::new(),
                waiters: HashMap::default(),
                next: 0,
                recent: VecDeque::new(),
                wakes: 0,
                ended: false,
                waiters_max,
                keys_max,
            })),
        }
    }

    /// Remembers now. Take a mark, look, and watch with it what was not as wanted: then no wake
    /// between the look and the watch is missed.
    pub fn mark(&self) -> Mark {
        Mark(self.inner.borrow().wakes)
    }

    /// Whether `key` was woken since `mark`; also true when that cannot be told any more.
    pub fn is_woken_since(&self, key: &K, mark: Mark) -> bool {
        self.inner.borrow().is_woken_since(key, mark)
    }

    /// A waiter that watches nothing yet.
    pub fn enter(&self) -> Result<Waiter<K>, PurgatoryFull> {
        let mut inner = self.inner.borrow_mut();
        if inner.waiters.len() >= inner.waiters_max {
            return Err(inner.full());
        }
        let id = inner.next;
        inner.next = inner.next.wrapping_add(1);
        let state = State {
            watched: BTreeSet::new(),
            woken: Vec::new(),
            waker: None,
        };
        inner.waiters.insert(id, state);
        drop(inner);
        Ok(Waiter {
            id,
            inner: Rc::clone(&self.inner),
        })
    }

    /// Wakes every waiter that watches `key` and returns how many there were.
    pub fn wake(&self, key: &K) -> usize {
        let mut wakers = Vec::new();
        let mut inner = self.inner.borrow_mut();
        inner.wakes = inner.wakes.wrapping_add(1);
        if inner.recent.len() >= RECENT_MAX {
            inner.recent.pop_front();
        }
        inner.recent.push_back(key.clone());
        let ids: Vec<u64> = inner
            .by_key
            .range((key.clone(), 0)..=(key.clone(), u64::MAX))
            .map(|(_, id)| *id)
            .collect();
        for id in &ids {
            inner.unwatch(key, *id);
            if let Some(state) = inner.waiters.get_mut(id) {
                state.woken.push(key.clone());
                wakers.extend(state.waker.take());
            }
        }
        drop(inner);
        // Outside of the borrow: a waker may run anything.
        wakers.into_iter().for_each(Waker::wake);
        ids.len()
    }

    /// Ends all waiting, now and from now on: the shard stops.
    pub fn end(&self) {
        let mut wakers = Vec::new();
        let mut inner = self.inner.borrow_mut();
        inner.ended = true;
        for state in inner.waiters.values_mut() {
            wakers.extend(state.waker.take());
        }
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waiters there are now.
    pub fn len(&self) -> usize {
        self.inner.borrow().waiters.len()
    }

    /// Whether there is no waiter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys watched by all waiters.
    pub fn key_count(&self) -> usize {
        self.inner.borrow().by_key.len()
    }

    /// Whether a waiter watches `key`.
    pub fn is_watched(&self, key: &K) -> bool {
        self.inner
            .borrow()
            .by_key
            .range((key.clone(), 0)..=(key.clone(), u64::MAX))
            .next()
            .is_some()
    }
}

impl<K: Ord + Clone> Inner<K> {
    fn full(&self) -> PurgatoryFull {
        PurgatoryFull {
            waiters: self.waiters.len(),
            keys: self.by_key.len(),
        }
    }

    /// Keys woken since `mark`, if they are all remembered.
    fn recent_since(&self, mark: Mark) -> Option<impl Iterator<Item = &K>> {
        let count = usize::try_from(self.wakes.wrapping_sub(mark.0)).unwrap_or(usize::MAX);
        let skipped = self.recent.len().checked_sub(count)?;
        Some(self.recent.range(skipped..))
    }

    fn is_woken_since(&self, key: &K, mark: Mark) -> bool {
        self.recent_since(mark)
            .is_none_or(|mut recent| recent.any(|woken| woken == key))
    }

    fn unwatch(&mut self, key: &K, id: u64) {
        self.by_key.remove(&(key.clone(), id));
        if let Some(state) = self.waiters.get_mut(&id) {
            state.watched.remove(key);
        }
    }
}

/// Watches keys until it is dropped.
pub struct Waiter<K: Ord + Clone> {
    id: u64,
    inner: Rc<RefCell<Inner<K>>>,
}

impl<K: Ord + Clone> fmt::Debug for Waiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<K: Ord + Clone> Waiter<K> {
    /// Watches `keys`, each until it is woken once; those woken since `mark` are found woken now.
    /// Watches none of them where there is no room for all.
    pub fn watch(&self, keys: &[K], mark: Mark) -> Result<(), PurgatoryFull> {
        let mut inner = self.inner.borrow_mut();
        if inner.by_key.len().saturating_add(keys.len()) > inner.keys_max {
            return Err(inner.full());
        }
        // Taken from the list: as a rule nothing, or very little, was woken meanwhile.
        let recent: Option<BTreeSet<K>> = inner
            .recent_since(mark)
            .map(|recent| recent.cloned().collect());
        for key in keys {
            let is_woken = recent.as_ref().is_none_or(|recent| recent.contains(key));
            if !is_woken {
                inner.by_key.insert((key.clone(), self.id));
            }
            if let Some(state) = inner.waiters.get_mut(&self.id) {
                if is_woken {
                    state.woken.push(key.clone());
                } else {
                    state.watched.insert(key.clone());
                }
            }
        }
        Ok(())
    }

    /// Watches `key` no more.
    pub fn unwatch(&self, key: &K) {
        self.inner.borrow_mut().unwatch(key, self.id);
    }

    /// Takes the keys that were woken; they are watched no more.
    pub fn take_woken(&self) -> Vec<K> {
        let mut inner = self.inner.borrow_mut();
        inner
            .waiters
            .get_mut(&self.id)
            .map(|state| core::mem::take(&mut state.woken))
            .unwrap_or_default()
    }

    /// Waits until a key is woken that was not taken yet, or until `deadline`. Cancel: safe.
    pub fn woken(&self, deadline: Moment) -> Woken<'_, K> {
        Woken {
            waiter: self,
            deadline,
            timer: None,
        }
    }
}

impl<K: Ord + Clone> Drop for Waiter<K> {
    fn drop(&mut self) {
        let mut inner = self.inner.borrow_mut();
        if let Some(state) = inner.waiters.remove(&self.id) {
            for key in state.watched {
                inner.by_key.remove(&(key, self.id));
            }
        }
    }
}

/// One wait of a waiter; see [`Waiter::woken`].
pub struct Woken<'a, K: Ord + Clone> {
    waiter: &'a Waiter<K>,
    deadline: Moment,
    timer: Option<engine_rt::Sleep>,
}

impl<K: Ord + Clone> fmt::Debug for Woken<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Woken")
            .field("waiter", &self.waiter)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<K: Ord + Clone> Unpin for Woken<'_, K> {}

impl<K: Ord + Clone> Future for Woken<'_, K> {
    type Output = WaitEnd;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<WaitEnd> {
        {
            let mut inner = self.waiter.inner.borrow_mut();
            if inner.ended {
                return Poll::Ready(WaitEnd::Woken);
            }
            match inner.waiters.get_mut(&self.waiter.id) {
                Some(state) if state.woken.is_empty() => {
                    state.waker = Some(context.waker().clone());
                }
                _ => return Poll::Ready(WaitEnd::Woken),
            }
        }
        let deadline = self.deadline;
        // The timer is made late: many waits end at their first poll.
        let timer = self
            .timer
            .get_or_insert_with(|| engine_rt::sleep_until(deadline));
        Pin::new(timer).poll(context).map(|()| WaitEnd::Expired)
    }
}

#[cfg(test)]
mod tests;
