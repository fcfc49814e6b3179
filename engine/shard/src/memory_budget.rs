//! A budget of bytes that requests charge before they take memory, and give back when dropped.
//!
//! Keeps:
//! - what is charged never exceeds the limit, but for one charge at a time (below);
//! - grants are first come, first served; a charge that grows goes before new ones;
//! - it cannot lock up: when charges that are half way hold everything, the first of them that
//!   wants more may overdraw until it is done. So the bound is the limit plus one request.
//!
//! Does not: allocate. A charge is a promise about memory that somebody else holds.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;

/// The budget of one shard. Cheap to clone.
#[derive(Clone)]
pub struct MemoryBudget {
    inner: Rc<Inner>,
}

struct Inner {
    limit: usize,
    used: Cell<usize>,
    overdrawn: Cell<bool>,
    growing: RefCell<VecDeque<Rc<Waiting>>>,
    starting: RefCell<VecDeque<Rc<Waiting>>>,
}

struct Waiting {
    bytes: usize,
    state: Cell<State>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Granted { overdraft: bool },
    Gone,
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("limit", &self.inner.limit)
            .field("used", &self.inner.used.get())
            .finish_non_exhaustive()
    }
}

impl MemoryBudget {
    /// A budget of `limit` bytes, all free.
    pub fn new(limit: usize) -> Self {
        Self {
            inner: Rc::new(Inner {
                limit,
                used: Cell::new(0),
                overdrawn: Cell::new(false),
                growing: RefCell::default(),
                starting: RefCell::default(),
            }),
        }
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.inner.limit
    }

    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.inner.used.get()
    }

    /// Charges `bytes`, waiting until they are free. A charge above the whole limit is granted
    /// when nothing else is charged. Cancel: safe.
    pub async fn charge(&self, bytes: usize) -> Charge {
        let overdraft = Grant::new(&self.inner, bytes, Queue::Starting).await;
        Charge {
            inner: Rc::clone(&self.inner),
            bytes,
            overdraft,
        }
    }
}

impl Inner {
    fn fits(&self, bytes: usize) -> bool {
        let used = self.used.get();
        used == 0 || used.saturating_add(bytes) <= self.limit
    }

    fn take(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_add(bytes));
    }

    fn give_back(&self, bytes: usize, overdraft: bool) {
        self.used.set(self.used.get().saturating_sub(bytes));
        if overdraft {
            self.overdrawn.set(false);
        }
        self.serve();
    }

    /// Grants what can be granted now, in order.
    fn serve(&self) {
        let mut wakers = Vec::new();
        loop {
            let mut growing = self.growing.borrow_mut();
            let Some(first) = growing.front().cloned() else {
                break;
            };
            if first.state.get() == State::Waiting {
                let overdraft = !self.fits(first.bytes);
                if overdraft && self.overdrawn.get() {
                    drop(growing);
                    wakers.into_iter().for_each(Waker::wake);
                    return;
                }
                if overdraft {
                    self.overdrawn.set(true);
                }
                self.grant(&first, overdraft, &mut wakers);
            }
            growing.pop_front();
        }
        loop {
            let mut starting = self.starting.borrow_mut();
            let Some(first) = starting.front().cloned() else {
                break;
            };
            if first.state.get() == State::Waiting {
                if !self.fits(first.bytes) {
                    break;
                }
                self.grant(&first, false, &mut wakers);
            }
            starting.pop_front();
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn grant(&self, waiting: &Waiting, overdraft: bool, wakers: &mut Vec<Waker>) {
        self.take(waiting.bytes);
        waiting.state.set(State::Granted { overdraft });
        wakers.extend(waiting.waker.borrow_mut().take());
    }
}

/// Bytes charged to a budget until this is dropped.
pub struct Charge {
    inner: Rc<Inner>,
    bytes: usize,
    overdraft: bool,
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("bytes", &self.bytes)
            .field("overdraft", &self.overdraft)
            .finish_non_exhaustive()
    }
}

impl Charge {
    /// Bytes charged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges `bytes` more, waiting until they are free or this charge may overdraw.
    /// Cancel: safe; the charge then stays as it was.
    pub async fn grow(&mut self, bytes: usize) {
        if self.overdraft {
            self.inner.take(bytes);
        } else {
            self.overdraft = Grant::new(&self.inner, bytes, Queue::Growing).await;
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.inner.give_back(self.bytes, self.overdraft);
    }
}

#[derive(Clone, Copy)]
enum Queue {
    Starting,
    Growing,
}

/// Resolves to whether the grant overdraws.
struct Grant {
    inner: Rc<Inner>,
    waiting: Rc<Waiting>,
    taken: bool,
}

impl Grant {
    fn new(inner: &Rc<Inner>, bytes: usize, queue: Queue) -> Self {
        let waiting = Rc::new(Waiting {
            bytes,
            state: Cell::new(State::Waiting),
            waker: RefCell::new(None),
        });
        match queue {
            Queue::Starting => inner.starting.borrow_mut().push_back(Rc::clone(&waiting)),
            Queue::Growing => inner.growing.borrow_mut().push_back(Rc::clone(&waiting)),
        }
        inner.serve();
        Self {
            inner: Rc::clone(inner),
            waiting,
            taken: false,
        }
    }
}

impl Future for Grant {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        if let State::Granted { overdraft } = self.waiting.state.get() {
            self.taken = true;
            return Poll::Ready(overdraft);
        }
        *self.waiting.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        match self.waiting.state.replace(State::Gone) {
            State::Granted { overdraft } => self.inner.give_back(self.waiting.bytes, overdraft),
            // Those behind it may fit.
            _ => self.inner.serve(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

    fn poll<T>(future: &mut Pending<T>) -> Option<T> {
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn charge(budget: &MemoryBudget, bytes: usize) -> Pending<Charge> {
        let budget = budget.clone();
        let mut future: Pending<Charge> = Box::pin(async move { budget.charge(bytes).await });
        // Joins the queue now; ready ones are wrapped again for the caller to take.
        match poll(&mut future) {
            Some(charge) => Box::pin(core::future::ready(charge)),
            None => future,
        }
    }

    fn grow(mut charge: Charge, bytes: usize) -> Pending<Charge> {
        Box::pin(async move {
            charge.grow(bytes).await;
            charge
        })
    }

    #[test]
    fn a_charge_waits_until_bytes_come_back() {
        let budget = MemoryBudget::new(100);
        let first = poll(&mut charge(&budget, 70)).unwrap();
        let mut second = charge(&budget, 40);
        assert!(poll(&mut second).is_none());
        drop(first);
        assert_eq!(poll(&mut second).unwrap().bytes(), 40);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn grants_are_first_come_first_served() {
        let budget = MemoryBudget::new(100);
        let first = poll(&mut charge(&budget, 70)).unwrap();
        let mut large = charge(&budget, 50);
        let mut small = charge(&budget, 10);
        assert!(poll(&mut small).is_none(), "it would overtake");
        drop(first);
        assert!(poll(&mut small).is_some());
        assert!(poll(&mut large).is_some());
    }

    #[test]
    fn a_dropped_wait_lets_those_behind_it_pass() {
        let budget = MemoryBudget::new(100);
        let _first = poll(&mut charge(&budget, 70)).unwrap();
        let large = charge(&budget, 50);
        let mut small = charge(&budget, 10);
        assert!(poll(&mut small).is_none());
        drop(large);
        assert!(poll(&mut small).is_some());
    }

    #[test]
    fn a_granted_wait_that_is_dropped_untaken_gives_back() {
        let budget = MemoryBudget::new(100);
        let first = poll(&mut charge(&budget, 100)).unwrap();
        let second = charge(&budget, 60);
        drop(first);
        assert_eq!(budget.used(), 60);
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn more_than_the_limit_is_granted_alone() {
        let budget = MemoryBudget::new(100);
        let large = poll(&mut charge(&budget, 500)).unwrap();
        let mut small = charge(&budget, 1);
        assert!(poll(&mut small).is_none());
        drop(large);
        assert!(poll(&mut small).is_some());
    }

    #[test]
    fn half_received_requests_never_lock_each_other_out() {
        let budget = MemoryBudget::new(100);
        let first = poll(&mut charge(&budget, 50)).unwrap();
        let second = poll(&mut charge(&budget, 50)).unwrap();
        let mut new = charge(&budget, 1);
        let mut first = grow(first, 30);
        let first = poll(&mut first).expect("the first may overdraw");
        let mut second = grow(second, 30);
        assert!(poll(&mut second).is_none(), "only one may");
        let first = poll(&mut grow(first, 500)).expect("until it is done");
        drop(first);
        let second = poll(&mut second).expect("then the next");
        assert_eq!(second.bytes(), 80);
        assert_eq!(poll(&mut new).expect("then new ones").bytes(), 1);
    }

    proptest! {
        #[test]
        fn every_request_gets_through_and_the_bound_holds(
            sizes in proptest::collection::vec((1_usize..60, 0_usize..200), 1..40),
        ) {
            let budget = MemoryBudget::new(100);
            let largest = sizes.iter().map(|(a, b)| a + b).max().unwrap_or(0);
            let mut waiting: Vec<_> =
                sizes.iter().map(|(first, more)| (charge(&budget, *first), *more)).collect();
            let mut growing: Vec<Pending<Charge>> = Vec::new();
            for _ in 0..10 * sizes.len() {
                let mut still = Vec::new();
                for (mut future, more) in waiting {
                    match poll(&mut future) {
                        Some(charge) => growing.push(grow(charge, more)),
                        None => still.push((future, more)),
                    }
                }
                waiting = still;
                let mut still = Vec::new();
                for mut future in growing {
                    // A request that has everything ends, which drops its charge.
                    if poll(&mut future).is_none() {
                        still.push(future);
                    }
                    prop_assert!(budget.used() <= 100 + largest);
                }
                growing = still;
            }
            prop_assert!(waiting.is_empty() && growing.is_empty());
            prop_assert_eq!(budget.used(), 0);
        }
    }
}
