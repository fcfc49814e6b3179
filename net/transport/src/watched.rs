//! A list of tasks that look at shared state again whenever it changed.
//!
//! Keeps: a change between a look and the wait that follows it is never missed, since both happen
//! in one poll. Meant for a handful of waiting tasks.

use core::cell::RefCell;
use core::future::Future;
use core::pin::pin;
use core::task::{Poll, Waker};

#[derive(Default)]
pub(crate) struct Watched {
    wakers: RefCell<Vec<Waker>>,
}

impl Watched {
    /// Makes every waiting task look again.
    pub(crate) fn changed(&self) {
        let wakers = self.wakers.take();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `look` finds what it looks for. Cancel: safe.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        core::future::poll_fn(|context| {
            if let Some(found) = look() {
                return Poll::Ready(found);
            }
            let mut wakers = self.wakers.borrow_mut();
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// Drives `future` until `end` resolves, which gives `None`. Cancel: as safe as `future` is.
pub(crate) async fn until<T>(
    end: impl Future<Output = ()>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut end = pin!(end);
    let mut future = pin!(future);
    core::future::poll_fn(|context| {
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}
