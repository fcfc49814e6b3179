//! A bounded queue from many tasks to one, all on one shard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::semaphore::Semaphore;

#[derive(Debug)]
struct Shared<T> {
    queue: RefCell<VecDeque<T>>,
    /// One permit a free place; a send takes one for good, a receive adds one.
    room: Semaphore,
    senders: Cell<usize>,
    receiver_gone: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Shared<T> {
    fn wake_receiver(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A queue of at most `capacity` values (at least one) from many tasks to one of the same shard.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        queue: RefCell::new(VecDeque::new()),
        room: Semaphore::new(capacity.max(1)),
        senders: Cell::new(1),
        receiver_gone: Cell::new(false),
        waker: RefCell::new(None),
    });
    (
        Sender {
            shared: Rc::clone(&shared),
        },
        Receiver { shared },
    )
}

/// The receiver is gone; the value comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelClosed<T>(pub T);

/// Where values go in; clones share the queue.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts `value` in, waiting for room, first come, first served.
    ///
    /// Cancel: safe; a dropped send has put nothing in (and dropped its value).
    pub async fn send(&self, value: T) -> Result<(), ChannelClosed<T>> {
        if self.shared.receiver_gone.get() {
            return Err(ChannelClosed(value));
        }
        let permit = self.shared.room.acquire(1).await;
        if self.shared.receiver_gone.get() {
            return Err(ChannelClosed(value));
        }
        permit.forget();
        self.shared.queue.borrow_mut().push_back(value);
        self.shared.wake_receiver();
        Ok(())
    }

    /// Puts `value` in if there is room and nobody waits for it; else gives it back.
    pub fn try_send(&self, value: T) -> Result<(), ChannelClosed<T>> {
        if self.shared.receiver_gone.get() {
            return Err(ChannelClosed(value));
        }
        let Some(permit) = self.shared.room.try_acquire(1) else {
            return Err(ChannelClosed(value));
        };
        permit.forget();
        self.shared.queue.borrow_mut().push_back(value);
        self.shared.wake_receiver();
        Ok(())
    }

    /// The receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.receiver_gone.get()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared
            .senders
            .set(self.shared.senders.get().saturating_add(1));
        Self {
            shared: Rc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = self.shared.senders.get().saturating_sub(1);
        self.shared.senders.set(left);
        if left == 0 {
            self.shared.wake_receiver();
        }
    }
}

/// Where values come out.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The next value; `None` once it is empty and every sender is gone.
    ///
    /// Cancel: safe; a dropped receive has taken nothing.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| {
            if let Some(value) = self.try_recv() {
                return Poll::Ready(Some(value));
            }
            if self.shared.senders.get() == 0 {
                return Poll::Ready(None);
            }
            *self.shared.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The next value, if one is there.
    pub fn try_recv(&mut self) -> Option<T> {
        let value = self.shared.queue.borrow_mut().pop_front()?;
        self.shared.room.add(1);
        Some(value)
    }

    /// Values that wait to be received.
    pub fn len(&self) -> usize {
        self.shared.queue.borrow().len()
    }

    /// No value waits to be received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receiver_gone.set(true);
        let left = std::mem::take(&mut *self.shared.queue.borrow_mut());
        drop(left);
        // Every waiting sender finds out that nobody will receive.
        self.shared.room.add(usize::MAX / 2);
    }
}
