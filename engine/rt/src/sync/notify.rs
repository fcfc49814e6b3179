//! A bell between tasks of one shard.
//!
//! Keeps: a `notify_one` without a waiter is remembered, once; a [`Notified`] made before a
//! `notify_all` is woken by it, polled or not, so "make the future, check, await" loses nothing.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::wait_list::{Place, WaitList};

/// Tells tasks of one shard that something happened; what, they look up themselves.
#[derive(Debug, Default)]
pub struct Notify {
    /// Counts `notify_all`.
    rounds: Cell<u64>,
    /// A `notify_one` nobody has taken yet.
    stored: Cell<bool>,
    waiters: RefCell<WaitList<()>>,
    /// Waiters taken out by `notify_one` that have not been polled since.
    handed: RefCell<Vec<Place>>,
}

impl Notify {
    /// A bell nobody has rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the task that has waited longest; if none waits, the next one to wait goes on.
    pub fn notify_one(&self) {
        let waiter = {
            let mut waiters = self.waiters.borrow_mut();
            let place = waiters.first_place();
            waiters.pop().zip(place)
        };
        match waiter {
            Some((waiter, place)) => {
                self.handed.borrow_mut().push(place);
                waiter.waker.wake();
            }
            None => self.stored.set(true),
        }
    }

    /// Wakes every task that waits now and every [`Notified`] made before now.
    pub fn notify_all(&self) {
        self.rounds.set(self.rounds.get().wrapping_add(1));
        let woken = self.waiters.borrow_mut().take_all();
        for waiter in woken {
            waiter.waker.wake();
        }
    }

    /// Waits for the next notification.
    ///
    /// Cancel: safe; a `notify_one` that reached a dropped waiter goes to the next one.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            round: self.rounds.get(),
            place: None,
        }
    }

    /// Takes `place` out of the hand-over list; `true` if it was there.
    fn take_handed(&self, place: Place) -> bool {
        let mut handed = self.handed.borrow_mut();
        match handed.iter().position(|p| *p == place) {
            Some(index) => {
                handed.swap_remove(index);
                true
            }
            None => false,
        }
    }
}

/// Waits for a [`Notify`].
#[derive(Debug)]
#[must_use = "does nothing unless awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    round: u64,
    place: Option<Place>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        if let Some(place) = self.place {
            if notify.waiters.borrow_mut().renew(place, cx.waker()) {
                return Poll::Pending;
            }
            notify.take_handed(place);
            self.place = None;
            return Poll::Ready(());
        }
        if notify.rounds.get() != self.round || notify.stored.replace(false) {
            return Poll::Ready(());
        }
        let place = notify.waiters.borrow_mut().push(cx.waker().clone(), ());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place
            && !self.notify.waiters.borrow_mut().remove(place)
            && self.notify.take_handed(place)
        {
            self.notify.notify_one();
        }
    }
}
