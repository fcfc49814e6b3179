//! Tasks of all shards of all nodes, and which of them are ready.
//!
//! Keeps: a task is in the ready list at most once; a wake of a task that has ended or was
//! dropped by a crash does nothing.
//!
//! Does not: choose the time; [`Executor::pick`] draws among everything that is ready, the
//! background tasks seldom while others want to run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use super::random::SeededRandom;
use super::world::ShardKey;
use crate::task::{Priority, Task};

/// One background task in so many picks while foreground tasks are ready.
const BACKGROUND_SHARE: u64 = 8;

#[derive(Default)]
struct ReadyLists {
    foreground: Vec<Arc<TaskWaker>>,
    background: Vec<Arc<TaskWaker>>,
}

/// Wakers must be `Send`, so what they write to is behind a lock that nobody ever contends.
type Ready = Mutex<ReadyLists>;

struct TaskWaker {
    index: usize,
    generation: u64,
    background: bool,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            let ready = Arc::clone(&self.ready);
            let mut lists = ready.lock().unwrap_or_else(PoisonError::into_inner);
            if self.background {
                lists.background.push(self);
            } else {
                lists.foreground.push(self);
            }
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.load(Ordering::Relaxed) {
            Arc::clone(self).wake();
        }
    }
}

struct Entry {
    shard: ShardKey,
    generation: u64,
    task: Rc<dyn Task>,
    waker: Waker,
}

/// A task to poll now.
pub(super) struct Picked {
    pub(super) index: usize,
    pub(super) shard: ShardKey,
    pub(super) task: Rc<dyn Task>,
    pub(super) waker: Waker,
}

#[derive(Default)]
pub(super) struct Executor {
    tasks: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
    generation: Cell<u64>,
    ready: Arc<Ready>,
}

impl Executor {
    pub(super) fn spawn(&self, shard: ShardKey, task: Rc<dyn Task>) {
        let generation = self.generation.get() + 1;
        self.generation.set(generation);
        let mut tasks = self.tasks.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            tasks.push(None);
            tasks.len() - 1
        });
        let waker = Waker::from(Arc::new(TaskWaker {
            index,
            generation,
            background: task.priority() == Priority::Background,
            queued: AtomicBool::new(false),
            ready: Arc::clone(&self.ready),
        }));
        waker.wake_by_ref();
        if let Some(slot) = tasks.get_mut(index) {
            *slot = Some(Entry {
                shard,
                generation,
                task,
                waker,
            });
        }
    }

    /// Takes a ready task out of the list, drawn among all of them.
    pub(super) fn pick(&self, random: &mut SeededRandom) -> Option<Picked> {
        loop {
            let waker = {
                let mut lists = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
                let from_background = !lists.background.is_empty()
                    && (lists.foreground.is_empty() || random.one_in(BACKGROUND_SHARE));
                let list = if from_background {
                    &mut lists.background
                } else {
                    &mut lists.foreground
                };
                if list.is_empty() {
                    return None;
                }
                list.swap_remove(random.index(list.len()))
            };
            waker.queued.store(false, Ordering::Relaxed);
            let tasks = self.tasks.borrow();
            if let Some(Some(entry)) = tasks.get(waker.index)
                && entry.generation == waker.generation
            {
                return Some(Picked {
                    index: waker.index,
                    shard: entry.shard,
                    task: Rc::clone(&entry.task),
                    waker: entry.waker.clone(),
                });
            }
        }
    }

    /// Forgets a task that is done.
    pub(super) fn remove(&self, index: usize) {
        let entry = self
            .tasks
            .borrow_mut()
            .get_mut(index)
            .and_then(Option::take);
        if entry.is_some() {
            self.free.borrow_mut().push(index);
        }
        drop(entry);
    }

    /// Forgets the tasks of a shard whose futures were dropped.
    pub(super) fn remove_shard(&self, shard: ShardKey) {
        let indexes: Vec<usize> = self
            .tasks
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.as_ref().is_some_and(|entry| entry.shard == shard))
            .map(|(index, _)| index)
            .collect();
        for index in indexes {
            self.remove(index);
        }
    }
}
