//! What a process may hold in memory for its clients, and each shard's part in it.
//!
//! ```text
//! limit = one shard's own part x shards | common, whoever needs it | express: one charge at a time
//! ```
//!
//! Requests, answers and connections charge before they take memory and give back when dropped.
//!
//! Keeps:
//! - what is waited for never goes above the limit, all shards together, but for a single charge
//!   that is larger than the express part;
//! - grants of a shard are first come, first served; a charge that grows goes before new ones;
//! - it cannot lock up: when charges that are half way hold everything, the first of them that
//!   wants more goes on in the express part, which nobody else uses, until it is done. So does the
//!   first new one that is large: it might else wait for as long as small ones come and go;
//! - no shard starves another: half of what is shared out belongs to each shard alone.
//!
//! What exists already when its size is known (an answer) is charged at once with `charge_now`,
//! which may go above the limit; nothing that waits is granted until that is covered again.
//!
//! Does not: allocate. A charge is a promise about memory that somebody else holds.

mod grant;
mod pool;

use core::cell::{Cell, RefCell};
use core::fmt;
use core::task::Waker;
use std::collections::VecDeque;
use std::rc::Rc;

use grant::{Grant, State, Waiting};
pub use pool::MemoryPool;

/// The part of one shard. Cheap to clone.
#[derive(Clone)]
pub struct MemoryBudget {
    inner: Rc<Inner>,
}

struct Inner {
    pool: MemoryPool,
    /// Charged, the express part aside.
    used: Cell<usize>,
    /// Taken from the common part.
    borrowed: Cell<usize>,
    growing: RefCell<VecDeque<Rc<Waiting>>>,
    starting: RefCell<VecDeque<Rc<Waiting>>>,
    settling: RefCell<VecDeque<Rc<Waiting>>>,
    /// This shard counts among those that are short.
    told_short: Cell<bool>,
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("pool", &self.inner.pool)
            .field("used", &self.inner.used.get())
            .finish_non_exhaustive()
    }
}

impl MemoryBudget {
    /// The budget of the only shard of a process: `limit` bytes, of which half is for one charge
    /// that could else not go on.
    pub fn new(limit: usize) -> Self {
        MemoryPool::new(limit, limit / 2, 1).budget()
    }

    fn of(pool: MemoryPool) -> Self {
        Self {
            inner: Rc::new(Inner {
                pool,
                used: Cell::new(0),
                borrowed: Cell::new(0),
                growing: RefCell::default(),
                starting: RefCell::default(),
                settling: RefCell::default(),
                told_short: Cell::new(false),
            }),
        }
    }

    /// What it is a part of.
    pub fn pool(&self) -> &MemoryPool {
        &self.inner.pool
    }

    /// Bytes charged now on this shard, the express part aside.
    pub fn used(&self) -> usize {
        self.inner.used.get()
    }

    /// Whether somebody waits for bytes, here or on another shard: whoever holds some without
    /// making use of them should let go.
    pub fn is_short(&self) -> bool {
        self.inner.pool.is_short()
    }

    /// Charges `bytes`, waiting until they are free; a large charge also until the express part
    /// is. Cancel: safe.
    pub async fn charge(&self, bytes: usize) -> Charge {
        if let Some(charge) = self.try_charge(bytes) {
            return charge;
        }
        let express = Grant::new(&self.inner, bytes, Queue::Starting).await;
        self.charged(bytes, express)
    }

    /// Charges `bytes` if they are free and nobody waits for any.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let inner = &self.inner;
        let is_first = inner.starting.borrow().is_empty() && inner.growing.borrow().is_empty();
        (is_first && inner.take_if_free(bytes)).then(|| self.charged(bytes, false))
    }

    /// Charges `bytes` that are held already, whether they are free or not.
    pub fn charge_now(&self, bytes: usize) -> Charge {
        self.inner.take_now(bytes);
        self.charged(bytes, false)
    }

    /// Waits until what was charged at once is covered. Cancel: safe.
    ///
    /// To be awaited before something is begun whose answer will be charged at once: then answers
    /// nobody reads hold back further ones, and one shard goes above the limit by what one turn of
    /// its handlers makes, no more. It waits for nobody who waits.
    pub async fn settled(&self) {
        if self.inner.missing(0) > 0 {
            Grant::new(&self.inner, 0, Queue::Settling).await;
        }
    }

    fn charged(&self, bytes: usize, express: bool) -> Charge {
        let (bytes, express_bytes) = if express { (0, bytes) } else { (bytes, 0) };
        Charge {
            inner: Rc::clone(&self.inner),
            bytes,
            express,
            express_bytes,
        }
    }
}

impl Inner {
    /// Bytes missing for `bytes` more.
    fn missing(&self, bytes: usize) -> usize {
        let held = self.pool.own().saturating_add(self.borrowed.get());
        self.used.get().saturating_add(bytes).saturating_sub(held)
    }

    fn take_if_free(&self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        if missing > 0 {
            let borrowed = self.pool.borrow(missing);
            self.borrowed
                .set(self.borrowed.get().saturating_add(borrowed));
            if borrowed < missing {
                return false;
            }
        }
        self.used.set(self.used.get().saturating_add(bytes));
        true
    }

    fn take_now(&self, bytes: usize) {
        let missing = self.missing(bytes);
        if missing > 0 {
            let borrowed = self.pool.borrow_what_is_left(missing);
            self.borrowed
                .set(self.borrowed.get().saturating_add(borrowed));
        }
        self.used.set(self.used.get().saturating_add(bytes));
    }

    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
        let held = self.pool.own().saturating_add(self.borrowed.get());
        let spare = held.saturating_sub(self.used.get());
        let back = self.pool.surplus(spare).min(self.borrowed.get());
        if back > 0 {
            self.borrowed.set(self.borrowed.get().saturating_sub(back));
            self.pool.give_back(back);
        }
        self.serve();
    }

    /// Grants what can be granted now, in order.
    fn serve(&self) {
        let mut wakers = Vec::new();
        self.serve_queue(Queue::Settling, &mut wakers);
        if self.serve_queue(Queue::Growing, &mut wakers) {
            self.serve_queue(Queue::Starting, &mut wakers);
        }
        let queues = [&self.settling, &self.growing, &self.starting];
        let is_short = queues.iter().any(|queue| !queue.borrow().is_empty());
        if self.told_short.replace(is_short) != is_short {
            self.pool.count_short(is_short);
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn queue(&self, queue: Queue) -> &RefCell<VecDeque<Rc<Waiting>>> {
        match queue {
            Queue::Settling => &self.settling,
            Queue::Growing => &self.growing,
            Queue::Starting => &self.starting,
        }
    }

    /// Whether a new charge may go on in the express part: what it reads becomes an answer, which
    /// is charged at once, so none begins on top of answers that are not covered.
    fn may_begin_large(&self, bytes: usize) -> bool {
        self.pool.is_large(bytes) && self.missing(0) == 0
    }

    /// Whether the queue is empty now.
    fn serve_queue(&self, queue: Queue, wakers: &mut Vec<Waker>) -> bool {
        loop {
            let Some(first) = self.queue(queue).borrow().front().cloned() else {
                return true;
            };
            if first.state.get() == State::Waiting {
                let express = if self.take_if_free(first.bytes) {
                    false
                } else if (matches!(queue, Queue::Growing) || self.may_begin_large(first.bytes))
                    && self.pool.take_express()
                {
                    true
                } else {
                    // It looks again by itself where another shard may give back.
                    first.leads(wakers);
                    return false;
                };
                first.grant(express, wakers);
            }
            self.queue(queue).borrow_mut().pop_front();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.give_back(self.borrowed.get());
        if self.told_short.get() {
            self.pool.count_short(false);
        }
    }
}

/// Bytes charged to a budget until this is dropped.
pub struct Charge {
    inner: Rc<Inner>,
    bytes: usize,
    /// Goes on in the express part.
    express: bool,
    express_bytes: usize,
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("bytes", &self.bytes())
            .field("express", &self.express)
            .finish_non_exhaustive()
    }
}

impl Charge {
    /// Bytes charged.
    pub fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.express_bytes)
    }

    /// Charges `bytes` more, waiting until they are free or the express part is.
    /// Cancel: safe; the charge then stays as it was.
    pub async fn grow(&mut self, bytes: usize) {
        if !self.express {
            let is_first = self.inner.growing.borrow().is_empty();
            if is_first && self.inner.take_if_free(bytes) {
                self.bytes = self.bytes.saturating_add(bytes);
                return;
            }
            if !Grant::new(&self.inner, bytes, Queue::Growing).await {
                self.bytes = self.bytes.saturating_add(bytes);
                return;
            }
            self.express = true;
        }
        self.express_bytes = self.express_bytes.saturating_add(bytes);
    }

    /// Charges `bytes` more that are held already, whether they are free or not.
    pub fn grow_now(&mut self, bytes: usize) {
        if self.express {
            self.express_bytes = self.express_bytes.saturating_add(bytes);
        } else {
            self.inner.take_now(bytes);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Gives `bytes` of it back.
    pub fn shrink(&mut self, bytes: usize) {
        let express = bytes.min(self.express_bytes);
        self.express_bytes = self.express_bytes.saturating_sub(express);
        let back = bytes.saturating_sub(express).min(self.bytes);
        self.bytes = self.bytes.saturating_sub(back);
        if back > 0 {
            self.inner.give_back(back);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.express {
            self.inner.pool.give_express_back();
        }
        self.inner.give_back(self.bytes);
    }
}

#[derive(Clone, Copy)]
enum Queue {
    Starting,
    Growing,
    Settling,
}

#[cfg(test)]
mod tests;
