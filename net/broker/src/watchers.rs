//! Who wants to know when a partition of this shard changes: fetches that wait, here or elsewhere.
//!
//! Keeps:
//! - whoever watches a partition is told of its next change, once, and of one that came between the
//!   look and the watch;
//! - a shard that watches costs one entry a partition, however many of its fetches wait;
//! - signals to another shard are batched: while one call is under way the next ones gather.
//!
//! Does not: know what changed. A woken fetch looks again.

use core::cell::{Cell, RefCell};
use core::task::{Poll, Waker};
use engine_model::{ShardId, TopicPartition};
use engine_shard::{Mark, Purgatory};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Fetches that may wait on a shard, and sessions.
const WAITERS_MAX: usize = 100_000;
/// Partitions all of them may watch.
const KEYS_MAX: usize = 1_000_000;

/// The waits of one shard and the interests of others in its partitions.
pub(crate) struct Watchers {
    own: ShardId,
    waits: Purgatory<TopicPartition>,
    interests: RefCell<BTreeMap<TopicPartition, BTreeSet<ShardId>>>,
    outgoing: Vec<Outgoing>,
    stopped: Cell<bool>,
}

/// Signals on their way to one shard.
#[derive(Default)]
struct Outgoing {
    changed: RefCell<BTreeSet<TopicPartition>>,
    waker: RefCell<Option<Waker>>,
}

impl Watchers {
    pub(crate) fn new(own: ShardId, shards: usize) -> Rc<Self> {
        Rc::new(Self {
            own,
            waits: Purgatory::new(WAITERS_MAX, KEYS_MAX),
            interests: RefCell::default(),
            outgoing: (0..shards).map(|_| Outgoing::default()).collect(),
            stopped: Cell::new(false),
        })
    }

    /// The fetches of this shard's connections that wait.
    pub(crate) fn waits(&self) -> &Purgatory<TopicPartition> {
        &self.waits
    }

    /// Signals `shard` once when `partition`, which lives here, changes, or has since `mark`.
    pub(crate) fn watch(&self, partition: TopicPartition, shard: ShardId, mark: Mark) {
        // This shard's own fetches watch for themselves.
        if shard == self.own {
            return;
        }
        if self.waits.is_woken_since(&partition, mark) {
            self.signal(partition, shard);
            return;
        }
        self.interests
            .borrow_mut()
            .entry(partition)
            .or_default()
            .insert(shard);
    }

    /// A partition of this shard changed.
    pub(crate) fn changed(&self, partition: TopicPartition) {
        self.waits.wake(&partition);
        let interested = self.interests.borrow_mut().remove(&partition);
        for shard in interested.into_iter().flatten() {
            self.signal(partition, shard);
        }
    }

    fn signal(&self, partition: TopicPartition, shard: ShardId) {
        if let Some(outgoing) = self.outgoing.get(shard.index()) {
            outgoing.changed.borrow_mut().insert(partition);
            outgoing.wake();
        }
    }

    /// Partitions of other shards changed.
    pub(crate) fn signalled(&self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.waits.wake(partition);
        }
    }

    /// Waits for signals to `shard` and takes them; `None` once stopped.
    pub(crate) async fn next_signals(&self, shard: ShardId) -> Option<Vec<TopicPartition>> {
        let outgoing = self.outgoing.get(shard.index())?;
        core::future::poll_fn(|context| {
            if self.stopped.get() {
                return Poll::Ready(None);
            }
            let changed = outgoing.changed.take();
            if !changed.is_empty() {
                return Poll::Ready(Some(changed.into_iter().collect()));
            }
            *outgoing.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Ends the signalling and every wait.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
        self.waits.end();
        self.outgoing.iter().for_each(Outgoing::wake);
    }
}

impl Outgoing {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::Context;
    use engine_model::{PartitionIndex, TopicId};

    fn partition(number: i32) -> TopicPartition {
        TopicPartition {
            topic_id: TopicId::from_bytes([7; 16]),
            partition: PartitionIndex::new(number),
        }
    }

    fn signals(watchers: &Watchers, shard: u16) -> Option<Vec<TopicPartition>> {
        let mut next = Box::pin(watchers.next_signals(ShardId(shard)));
        match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(signals) => signals,
            Poll::Pending => None,
        }
    }

    use core::future::Future;

    #[test]
    fn a_shard_is_signalled_once_for_each_time_it_watches() {
        let watchers = Watchers::new(ShardId(0), 3);
        let mark = watchers.waits().mark();
        watchers.watch(partition(1), ShardId(2), mark);
        watchers.watch(partition(1), ShardId(2), mark);
        watchers.changed(partition(1));
        watchers.changed(partition(1));
        assert_eq!(signals(&watchers, 2), Some(vec![partition(1)]));
        assert_eq!(signals(&watchers, 2), None);
        assert_eq!(signals(&watchers, 1), None);
    }

    #[test]
    fn a_change_between_look_and_watch_is_signalled() {
        let watchers = Watchers::new(ShardId(0), 2);
        let mark = watchers.waits().mark();
        watchers.changed(partition(1));
        watchers.watch(partition(1), ShardId(1), mark);
        watchers.watch(partition(2), ShardId(1), mark);
        assert_eq!(signals(&watchers, 1), Some(vec![partition(1)]));
        watchers.changed(partition(2));
        assert_eq!(signals(&watchers, 1), Some(vec![partition(2)]));
    }

    #[test]
    fn signals_gather_while_nobody_takes_them() {
        let watchers = Watchers::new(ShardId(0), 2);
        for number in [3, 1, 2] {
            watchers.watch(partition(number), ShardId(1), watchers.waits().mark());
            watchers.changed(partition(number));
        }
        let expected = vec![partition(1), partition(2), partition(3)];
        assert_eq!(signals(&watchers, 1), Some(expected));
    }

    #[test]
    fn waits_of_this_shard_are_woken_by_its_own_changes_and_by_signals() {
        let watchers = Watchers::new(ShardId(0), 2);
        let waits = watchers.waits();
        let (own, remote) = (waits.enter().unwrap(), waits.enter().unwrap());
        own.watch(&[partition(1)], waits.mark()).unwrap();
        remote.watch(&[partition(2)], waits.mark()).unwrap();
        watchers.changed(partition(1));
        assert_eq!(own.take_woken(), [partition(1)]);
        assert!(remote.take_woken().is_empty());
        watchers.signalled(&[partition(2)]);
        assert_eq!(remote.take_woken(), [partition(2)]);
        drop((own, remote));
        assert!(waits.is_empty());
    }
}
