//! Waiters in the order in which they came, each with a payload, removable from anywhere.

use std::collections::BTreeMap;
use std::task::Waker;

/// A place in a [`WaitList`]; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

/// A waiting task and what it waits for.
#[derive(Debug)]
pub(crate) struct Waiter<T> {
    pub(crate) waker: Waker,
    pub(crate) wants: T,
}

/// First come, first served.
#[derive(Debug)]
pub(crate) struct WaitList<T> {
    next: u64,
    waiters: BTreeMap<Place, Waiter<T>>,
}

impl<T> Default for WaitList<T> {
    fn default() -> Self {
        Self {
            next: 0,
            waiters: BTreeMap::new(),
        }
    }
}

impl<T> WaitList<T> {
    pub(crate) fn push(&mut self, waker: Waker, wants: T) -> Place {
        let place = Place(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiters.insert(place, Waiter { waker, wants });
        place
    }

    /// Replaces the waker of a waiter; `false` if it has been taken out.
    pub(crate) fn renew(&mut self, place: Place, waker: &Waker) -> bool {
        match self.waiters.get_mut(&place) {
            Some(waiter) => {
                waiter.waker.clone_from(waker);
                true
            }
            None => false,
        }
    }

    pub(crate) fn first_place(&self) -> Option<Place> {
        self.waiters.first_key_value().map(|(place, _)| *place)
    }

    pub(crate) fn first(&self) -> Option<&Waiter<T>> {
        self.waiters.first_key_value().map(|(_, waiter)| waiter)
    }

    pub(crate) fn pop(&mut self) -> Option<Waiter<T>> {
        self.waiters.pop_first().map(|(_, waiter)| waiter)
    }

    /// Takes a waiter out; `false` if it was not in.
    pub(crate) fn remove(&mut self, place: Place) -> bool {
        self.waiters.remove(&place).is_some()
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waiter<T>> + use<T> {
        std::mem::take(&mut self.waiters).into_values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
}
