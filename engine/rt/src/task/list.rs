//! Every task alive on a shard, so that the shard can drop them when it ends.

use std::cell::RefCell;
use std::rc::Rc;

use super::Task;

/// See the module's comment.
#[derive(Default)]
pub(crate) struct TaskList {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    tasks: Vec<Option<Rc<dyn Task>>>,
    free: Vec<usize>,
}

impl TaskList {
    pub(super) fn insert(&self, task: Rc<dyn Task>) -> usize {
        let mut inner = self.inner.borrow_mut();
        if let Some(index) = inner.free.pop()
            && let Some(slot) = inner.tasks.get_mut(index)
        {
            *slot = Some(task);
            return index;
        }
        inner.tasks.push(Some(task));
        inner.tasks.len().saturating_sub(1)
    }

    pub(super) fn remove(&self, index: usize) {
        let removed = {
            let mut inner = self.inner.borrow_mut();
            let removed = inner.tasks.get_mut(index).and_then(Option::take);
            if removed.is_some() {
                inner.free.push(index);
            }
            removed
        };
        drop(removed);
    }

    /// Tasks alive.
    pub(crate) fn len(&self) -> usize {
        let inner = self.inner.borrow();
        inner.tasks.len().saturating_sub(inner.free.len())
    }

    /// Drops the future of every task, those included that such drops start, but not of one that
    /// is being polled.
    pub(crate) fn drop_all(&self) {
        let mut before = usize::MAX;
        while self.len() > 0 && self.len() < before {
            before = self.len();
            let mut index = 0_usize;
            loop {
                let task = match self.inner.borrow().tasks.get(index) {
                    None => break,
                    Some(slot) => slot.clone(),
                };
                if let Some(task) = task {
                    task.drop_future();
                }
                index = index.saturating_add(1);
            }
        }
    }
}
