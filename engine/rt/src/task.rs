//! Tasks: futures that a shard polls, each with one owner that learns how it ended.
//!
//! Keeps: a panic in a task stays in that task and is what its [`JoinHandle`] says; the future is
//! dropped as soon as it is done; every task still alive when its shard ends is dropped there.
//! Does not: schedule (the backend does).

mod list;
mod set;
mod yielding;

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine_model::ShardId;

pub(crate) use list::TaskList;
pub use set::TaskSet;
pub use yielding::{is_yield_due, yield_if_due, yield_now};

use crate::shard::{self, Shard};

/// Which budget a task runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Somebody waits for it.
    Foreground,
    /// Flush, compaction, scrub: runs when nothing else does, and a small share of the time else.
    Background,
}

/// A task as a backend's scheduler sees it.
pub(crate) trait Task {
    /// Polls the future once; never unwinds. Ready: do not poll again.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Drops the future, unless it is being polled right now.
    fn drop_future(&self);
    fn priority(&self) -> Priority;
}

/// The task panicked instead of returning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task panicked: {message}")]
pub struct TaskPanicked {
    /// What the panic said.
    pub message: String,
}

/// The words of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(no message)".to_owned()
    }
}

struct Cellular<F: Future> {
    future: RefCell<Option<F>>,
    end: RefCell<End<F::Output>>,
    priority: Priority,
    shard: ShardId,
    /// Where its shard's list has it, until it ends: whoever keeps an ended task (a scheduler, a
    /// handle) keeps no shard alive with it.
    entry: RefCell<Option<(Rc<Shard>, usize)>>,
}

struct End<T> {
    result: Option<Result<T, TaskPanicked>>,
    waker: Option<Waker>,
    done: bool,
}

/// What a [`JoinHandle`] needs of its task.
trait Joined<T> {
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<T, TaskPanicked>>;
    fn is_done(&self) -> bool;
}

impl<F: Future> Cellular<F> {
    fn finish(&self, result: Result<F::Output, TaskPanicked>) {
        // The future goes first: whoever joins may rely on everything it held being released.
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(mut future) = self.future.try_borrow_mut() {
                *future = None;
            }
        }));
        let result = match dropped {
            Ok(()) => result,
            Err(payload) => Err(TaskPanicked {
                message: panic_message(&*payload),
            }),
        };
        let waker = {
            let mut end = self.end.borrow_mut();
            end.done = true;
            end.result = Some(result);
            end.waker.take()
        };
        let entry = self.entry.borrow_mut().take();
        if let Some((shard, index)) = entry {
            shard.tasks.remove(index);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Future> Task for Cellular<F> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = {
            let Ok(mut slot) = self.future.try_borrow_mut() else {
                return Poll::Pending;
            };
            let Some(future) = slot.as_mut() else {
                return Poll::Ready(());
            };
            // SAFETY: the future lives inside an `Rc` that is never unwrapped, and is only ever
            // dropped in place (`*slot = None`), so it does not move once polled.
            let future = unsafe { Pin::new_unchecked(future) };
            catch_unwind(AssertUnwindSafe(|| future.poll(cx)))
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => {
                self.finish(Ok(value));
                Poll::Ready(())
            }
            Err(payload) => {
                let message = panic_message(&*payload);
                tracing::error!(shard = %self.shard, message, "a task panicked");
                self.finish(Err(TaskPanicked { message }));
                Poll::Ready(())
            }
        }
    }

    fn drop_future(&self) {
        let message = "dropped because its shard ended".to_owned();
        if self.future.try_borrow_mut().is_ok() && !self.end.borrow().done {
            self.finish(Err(TaskPanicked { message }));
        }
    }

    fn priority(&self) -> Priority {
        self.priority
    }
}

impl<F: Future> Joined<F::Output> for Cellular<F> {
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<F::Output, TaskPanicked>> {
        let mut end = self.end.borrow_mut();
        if let Some(result) = end.result.take() {
            return Poll::Ready(result);
        }
        if !end.done {
            end.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn is_done(&self) -> bool {
        self.end.borrow().done
    }
}

/// Waits for the end of a task. Dropping it lets the task run on by itself.
#[must_use = "a task that nobody joins should be dropped on purpose, or owned by a TaskSet"]
pub struct JoinHandle<T> {
    task: Rc<dyn Joined<T>>,
}

impl<T> JoinHandle<T> {
    /// The task has ended; awaiting it now does not wait.
    pub fn is_finished(&self) -> bool {
        self.task.is_done()
    }

    /// Lets the task run on by itself. The shard drops it when it ends.
    pub fn detach(self) {}
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, TaskPanicked>;

    /// Cancel: safe; the task itself goes on.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.task.poll_end(cx)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Starts `future` as a task of this shard, as soon as those already runnable had their turn.
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    spawn_on(&shard::current(), Priority::Foreground, future)
}

/// Starts `future` on the background budget: it runs when nothing else wants to, and with a small
/// share of the time when something does.
///
/// It must yield (`yield_if_due`) as every task must; a poll is not interrupted.
pub fn spawn_background<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    spawn_on(&shard::current(), Priority::Background, future)
}

/// Starts `future` on a given shard of this thread.
pub(crate) fn spawn_on<F: Future + 'static>(
    shard: &Rc<Shard>,
    priority: Priority,
    future: F,
) -> JoinHandle<F::Output> {
    let task = Rc::new(Cellular {
        future: RefCell::new(Some(future)),
        end: RefCell::new(End {
            result: None,
            waker: None,
            done: false,
        }),
        priority,
        shard: shard.id,
        entry: RefCell::new(None),
    });
    if shard.has_ended() {
        task.drop_future();
    } else {
        let index = shard.tasks.insert(Rc::<Cellular<F>>::clone(&task));
        *task.entry.borrow_mut() = Some((Rc::clone(shard), index));
        shard.backend.spawn(Rc::<Cellular<F>>::clone(&task));
    }
    JoinHandle { task }
}
