//! One shard as its tasks see it: operations, timers, mail, tasks, and the backend below.
//!
//! The free functions of this crate act on the shard that was last entered on this thread. The
//! uring backend enters once a thread; `sim` enters around every poll and every drop of a task,
//! because its shards share one thread.
//!
//! Keeps: no cell of it is borrowed while foreign code (a waker, a drop, a task) runs.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use engine_model::{Moment, ShardId};

use crate::mailbox::Mail;
use crate::op::{Backend, Table};
use crate::sync::Notify;
use crate::system::{Post, SystemCore};
use crate::task::TaskList;
use crate::time::Wheel;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Shard>>> = const { RefCell::new(None) };
}

/// See the module's comment.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) core: Arc<SystemCore>,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) operations: RefCell<Table>,
    pub(crate) timers: RefCell<Wheel>,
    pub(crate) mail: Mail,
    pub(crate) tasks: TaskList,
    /// Rung once, when the stop is requested.
    pub(crate) stop: Notify,
    stop_seen: Cell<bool>,
    /// When the task that runs now was polled.
    streak_start: Cell<Moment>,
    ended: Cell<bool>,
}

impl Shard {
    pub(crate) fn new(id: ShardId, core: Arc<SystemCore>, backend: Box<dyn Backend>) -> Rc<Self> {
        Rc::new(Self {
            id,
            core,
            backend,
            operations: RefCell::default(),
            timers: RefCell::default(),
            mail: Mail::default(),
            tasks: TaskList::default(),
            stop: Notify::new(),
            stop_seen: Cell::new(false),
            streak_start: Cell::new(Moment(0)),
            ended: Cell::new(false),
        })
    }

    /// Makes this the shard that free functions act on, until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        let previous = CURRENT.with(|current| current.borrow_mut().replace(Rc::clone(self)));
        Entered { previous }
    }

    /// Called by the backend right before each poll of a task.
    pub(crate) fn begin_streak(&self, now: Moment) {
        self.streak_start.set(now);
    }

    /// When the task that runs now was polled.
    pub(crate) fn streak_start(&self) -> Moment {
        self.streak_start.get()
    }

    /// Wakes every task whose timer is due; returns how many.
    pub(crate) fn fire_timers(&self, now: Moment) -> usize {
        let due = self.timers.borrow_mut().take_due(now);
        let count = due.len();
        for waker in due {
            waker.wake();
        }
        count
    }

    /// No timer is due before this moment. It may be earlier than the first timer (the wheel is
    /// coarse far ahead): firing then wakes nobody and the next answer is closer.
    pub(crate) fn next_timer(&self) -> Option<Moment> {
        self.timers.borrow().next_due()
    }

    /// This shard's mark that others have posted something.
    pub(crate) fn post(&self) -> Option<&Arc<Post>> {
        self.core.posts.get(self.id.index())
    }

    /// Looks through the mailboxes if anything was posted, and for a requested stop; wakes the
    /// tasks concerned. Returns whether anything was posted.
    pub(crate) fn deliver_mail(&self) -> bool {
        if !self.post().is_some_and(|post| post.take_pending()) {
            return false;
        }
        self.mail.deliver();
        if self.core.stop.is_requested() && !self.stop_seen.replace(true) {
            self.stop.notify_all();
        }
        true
    }

    /// From now on nothing can be submitted and descriptors are closed at once.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Drops every task (futures that wait orphan their operations). Enter the shard before.
    pub(crate) fn drop_tasks(&self) {
        self.tasks.drop_all();
    }

    /// The process died, as far as `sim` is concerned: forgets every task, timer and operation.
    /// Descriptors are handed to `Backend::close_now`. Enter the shard before.
    pub(crate) fn kill(&self) {
        self.end();
        self.drop_tasks();
        let operations = self.operations.borrow_mut().take_all();
        drop(operations);
        let timers = std::mem::take(&mut *self.timers.borrow_mut());
        drop(timers);
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// While this lives, its shard is the current one.
#[must_use = "the shard is left when this is dropped"]
pub(crate) struct Entered {
    previous: Option<Rc<Shard>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = CURRENT
            .with(|current| std::mem::replace(&mut *current.borrow_mut(), self.previous.take()));
        // May be the last reference; whatever its drop does finds nothing borrowed.
        drop(left);
    }
}

/// The current shard, if one is entered on this thread.
pub(crate) fn try_current() -> Option<Rc<Shard>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// The current shard.
///
/// Calling what needs one from outside of a task is a mistake in our own code, so it asserts.
#[track_caller]
pub(crate) fn current() -> Rc<Shard> {
    let shard = try_current();
    assert!(
        shard.is_some(),
        "this needs a shard: call it from inside a task of engine-rt"
    );
    match shard {
        Some(shard) => shard,
        // Not reachable after the assertion.
        None => std::process::abort(),
    }
}

/// As [`current`], without touching its count.
#[track_caller]
pub(crate) fn with_current<R>(act: impl FnOnce(&Shard) -> R) -> R {
    act(&current())
}
