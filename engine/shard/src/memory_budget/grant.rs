//! A charge that waits for its turn.
//!
//! Keeps: a grant that nobody takes goes back. The first in its queue looks again now and then
//! where other shards may give back, since they do not say so.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use engine_rt::Sleep;
use std::rc::Rc;

use super::{Inner, Queue};

/// How soon what another shard gave back is seen.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Waiting {
    pub(super) bytes: usize,
    pub(super) state: Cell<State>,
    /// It stands first.
    leading: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Granted { express: bool },
    Gone,
}

impl Waiting {
    pub(super) fn grant(&self, express: bool, wakers: &mut Vec<Waker>) {
        self.state.set(State::Granted { express });
        wakers.extend(self.waker.borrow_mut().take());
    }

    /// It stands first now and is not granted.
    pub(super) fn leads(&self, wakers: &mut Vec<Waker>) {
        if !self.leading.replace(true) {
            wakers.extend(self.waker.borrow_mut().take());
        }
    }
}

/// Resolves to whether the bytes are in the express part.
pub(super) struct Grant {
    inner: Rc<Inner>,
    waiting: Rc<Waiting>,
    again: Option<Pin<Box<Sleep>>>,
    taken: bool,
}

impl Grant {
    pub(super) fn new(inner: &Rc<Inner>, bytes: usize, queue: Queue) -> Self {
        let waiting = Rc::new(Waiting {
            bytes,
            state: Cell::new(State::Waiting),
            leading: Cell::new(false),
            waker: RefCell::new(None),
        });
        inner
            .queue(queue)
            .borrow_mut()
            .push_back(Rc::clone(&waiting));
        inner.serve();
        Self {
            inner: Rc::clone(inner),
            waiting,
            again: None,
            taken: false,
        }
    }
}

impl Future for Grant {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let this = &mut *self;
        loop {
            if let State::Granted { express } = this.waiting.state.get() {
                this.taken = true;
                return Poll::Ready(express);
            }
            *this.waiting.waker.borrow_mut() = Some(context.waker().clone());
            if !this.waiting.leading.get() || !this.inner.pool.has_others() {
                return Poll::Pending;
            }
            let again = this
                .again
                .get_or_insert_with(|| Box::pin(engine_rt::sleep(LOOK_AGAIN)));
            if again.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.again = None;
            this.inner.serve();
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        match self.waiting.state.replace(State::Gone) {
            State::Granted { express: true } => {
                self.inner.pool.give_express_back();
                self.inner.serve();
            }
            State::Granted { express: false } => self.inner.give_back(self.waiting.bytes),
            // Those behind it may fit.
            _ => self.inner.serve(),
        }
    }
}
