//! Permits that tasks of one shard take and give back, first come, first served.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::wait_list::{Place, WaitList};

#[derive(Debug)]
struct State {
    free: usize,
    waiters: WaitList<usize>,
    /// Waiters whose permits are set aside and who have not been polled since.
    granted: Vec<(Place, usize)>,
}

/// A number of permits shared by the tasks of one shard.
///
/// Keeps: no waiter is overtaken, so a large request is never starved by small ones; a request
/// for more permits than there are in all waits until permits are added.
#[derive(Clone, Debug)]
pub struct Semaphore {
    state: Rc<RefCell<State>>,
}

impl Semaphore {
    /// A semaphore with `permits` to take.
    pub fn new(permits: usize) -> Self {
        Self {
            state: Rc::new(RefCell::new(State {
                free: permits,
                waiters: WaitList::default(),
                granted: Vec::new(),
            })),
        }
    }

    /// Permits nobody holds.
    pub fn available(&self) -> usize {
        self.state.borrow().free
    }

    /// Takes `count` permits, waiting for its turn. They go back when the [`Permit`] is dropped.
    ///
    /// Cancel: safe; permits set aside for a dropped waiter go to the next one.
    pub fn acquire(&self, count: usize) -> Acquire {
        Acquire {
            semaphore: self.clone(),
            count,
            place: None,
            done: false,
        }
    }

    /// Takes `count` permits if they are free and nobody waits before us.
    pub fn try_acquire(&self, count: usize) -> Option<Permit> {
        let mut state = self.state.borrow_mut();
        if !state.waiters.is_empty() {
            return None;
        }
        state.free = state.free.checked_sub(count)?;
        Some(Permit {
            semaphore: self.clone(),
            count,
        })
    }

    /// Adds `count` permits for good.
    pub fn add(&self, count: usize) {
        let mut woken = Vec::new();
        {
            let mut state = self.state.borrow_mut();
            state.free = state.free.saturating_add(count);
            while let Some(wants) = state.waiters.first().map(|w| w.wants)
                && let Some(rest) = state.free.checked_sub(wants)
                && let Some(place) = state.waiters.first_place()
                && let Some(waiter) = state.waiters.pop()
            {
                state.free = rest;
                state.granted.push((place, wants));
                woken.push(waiter.waker);
            }
        }
        for waker in woken {
            waker.wake();
        }
    }
}

/// Waits for permits of a [`Semaphore`].
#[derive(Debug)]
#[must_use = "does nothing unless awaited"]
pub struct Acquire {
    semaphore: Semaphore,
    count: usize,
    place: Option<Place>,
    done: bool,
}

impl Acquire {
    fn take_granted(&self, place: Place) -> bool {
        let mut state = self.semaphore.state.borrow_mut();
        match state.granted.iter().position(|(p, _)| *p == place) {
            Some(index) => {
                state.granted.swap_remove(index);
                true
            }
            None => false,
        }
    }
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let permit = match self.place {
            None => {
                let permit = self.semaphore.try_acquire(self.count);
                if permit.is_none() {
                    let mut state = self.semaphore.state.borrow_mut();
                    let place = state.waiters.push(cx.waker().clone(), self.count);
                    drop(state);
                    self.place = Some(place);
                }
                permit
            }
            Some(place) => {
                let waits = {
                    let mut state = self.semaphore.state.borrow_mut();
                    state.waiters.renew(place, cx.waker())
                };
                (!waits && self.take_granted(place)).then(|| Permit {
                    semaphore: self.semaphore.clone(),
                    count: self.count,
                })
            }
        };
        match permit {
            Some(permit) => {
                self.done = true;
                Poll::Ready(permit)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        if self.done {
            return;
        }
        let was_waiting = self.semaphore.state.borrow_mut().waiters.remove(place);
        if was_waiting {
            // The one behind may fit where this one did not.
            self.semaphore.add(0);
        } else if self.take_granted(place) {
            self.semaphore.add(self.count);
        }
    }
}

/// Permits held; they go back on drop.
#[derive(Debug)]
#[must_use = "permits go back when this is dropped"]
pub struct Permit {
    semaphore: Semaphore,
    count: usize,
}

impl Permit {
    /// How many permits these are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Joins `other`'s permits to these; both must be of one semaphore, else `other` comes back.
    pub fn merge(&mut self, mut other: Permit) -> Result<(), Permit> {
        if !Rc::ptr_eq(&self.semaphore.state, &other.semaphore.state) {
            return Err(other);
        }
        self.count = self.count.saturating_add(other.count);
        other.count = 0;
        Ok(())
    }

    /// Gives back `count` of these permits, at most all, at once.
    pub fn release(&mut self, count: usize) {
        let count = count.min(self.count);
        self.count = self.count.saturating_sub(count);
        self.semaphore.add(count);
    }

    /// Keeps these permits from ever going back.
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.add(self.count);
        }
    }
}
