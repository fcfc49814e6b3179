//! An owner of tasks that drains them: nothing it started outlives its `join_all`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::{TaskPanicked, panic_message, spawn, spawn_background};
use crate::sync::Notify;

#[derive(Default)]
struct Inner {
    running: Cell<usize>,
    panics: RefCell<Vec<TaskPanicked>>,
    changed: Notify,
}

/// One running member.
struct Running(Rc<Inner>);

impl Running {
    fn new(inner: &Rc<Inner>) -> Self {
        inner.running.set(inner.running.get().saturating_add(1));
        Self(Rc::clone(inner))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get().saturating_sub(1));
        self.0.changed.notify_all();
    }
}

/// Tasks with one owner, who can wait for all of them.
///
/// A clone shares the set, so that a task may start others in it.
#[derive(Clone, Default)]
pub struct TaskSet {
    inner: Rc<Inner>,
}

impl TaskSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task in this set.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, future: F) {
        spawn(self.member(future)).detach();
    }

    /// Starts a task in this set on the background budget.
    pub fn spawn_background<F: Future<Output = ()> + 'static>(&self, future: F) {
        spawn_background(self.member(future)).detach();
    }

    /// `future` as a member: counted until it is dropped, its panic kept.
    fn member<F: Future<Output = ()> + 'static>(
        &self,
        future: F,
    ) -> impl Future<Output = ()> + use<F> {
        let running = Running::new(&self.inner);
        async move {
            let running = running;
            let mut future = pin!(future);
            let ended =
                poll_fn(
                    |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                        Ok(polled) => polled.map(Ok),
                        Err(payload) => Poll::Ready(Err(panic_message(&*payload))),
                    },
                );
            if let Err(message) = ended.await {
                tracing::error!(message, "a task panicked");
                running.0.panics.borrow_mut().push(TaskPanicked { message });
            }
        }
    }

    /// Tasks that have not ended.
    pub fn len(&self) -> usize {
        self.inner.running.get()
    }

    /// Every task has ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until fewer than `count` tasks run, to bound how many there are.
    ///
    /// Cancel: safe.
    pub async fn wait_below(&self, count: usize) {
        loop {
            let changed = self.inner.changed.notified();
            if self.len() < count {
                return;
            }
            changed.await;
        }
    }

    /// Waits for every task, those included that are started meanwhile, and returns the panics
    /// among them.
    ///
    /// Cancel: safe; the tasks go on.
    pub async fn join_all(&self) -> Vec<TaskPanicked> {
        self.wait_below(1).await;
        std::mem::take(&mut *self.inner.panics.borrow_mut())
    }
}

impl fmt::Debug for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet")
            .field("running", &self.len())
            .finish()
    }
}
