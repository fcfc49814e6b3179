//! The partitions that one request looks at, and what was found of each.
//!
//! Keeps: a partition is asked about in the order of the set; what was read and found too little is
//! given back, counted, and read again only when the answer goes out; nothing is read before it is
//! charged to the shard's memory, and where that is short, less is read.

use core::time::Duration;
use engine_model::{ErrorCode, Moment, Offset, TopicPartition};
use engine_shard::{Charge, Mark, Waiter};
use std::collections::BTreeMap;

use super::Limits;
use crate::broker::Broker;
use crate::fetch_set::{Due, FetchSet};
use crate::question::{
    Answer, FetchAnswer, FetchQuestion, MeasureQuestion, Measured, PartitionFetch, Question,
};
use crate::routes::Routes;

/// A read is not cut below this for want of memory; it waits. Nor is less charged for it: the first
/// batch comes whole whatever the limits say, and this is the largest one of most topics.
const GRANT_MIN: usize = (1 << 20) + (64 << 10);
/// How long it waits; then the answer has no records.
const GRANT_WAIT: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Round<'a> {
    broker: &'a Broker,
    limits: Limits,
    /// Whether what is settled is to be watched after the answer.
    is_session: bool,
    deadline: Moment,
    slots: Vec<Slot>,
    /// Places of slots by partition; made when a wait begins.
    by_partition: BTreeMap<TopicPartition, usize>,
    /// For the records in the slots.
    charge: Option<Charge>,
    /// Less was read than there is, for want of memory.
    is_cut: bool,
}

/// One partition.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its number in the set.
    pub(super) part: usize,
    /// What to read; `None` where there is nothing to read.
    pub(super) wanted: Option<PartitionFetch>,
    pub(super) answer: FetchAnswer,
    /// Taken before the last look at it.
    pub(super) mark: Mark,
    /// Bytes there are, which may be more than were read.
    counted: usize,
    /// What was read was given back, or has changed since.
    is_stale: bool,
    /// It has to be watched (again) before waiting.
    is_unwatched: bool,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        broker: &'a Broker,
        limits: Limits,
        is_session: bool,
        set: &mut FetchSet,
    ) -> Self {
        let mark = broker.watchers().waits().mark();
        let due = set.due(&broker.image());
        Self {
            broker,
            limits,
            is_session,
            deadline: engine_rt::now().saturating_add(limits.wait_max),
            slots: due
                .into_iter()
                .map(|due| Slot::new(&due, mark, limits.is_follower))
                .collect(),
            by_partition: BTreeMap::new(),
            charge: None,
            is_cut: false,
        }
    }

    pub(super) fn broker(&self) -> &'a Broker {
        self.broker
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn deadline(&self) -> Moment {
        self.deadline
    }

    pub(super) fn into_slots(self) -> Vec<Slot> {
        self.slots
    }

    /// Whether any partition could have records later.
    pub(super) fn can_bring_more(&self, set: &FetchSet) -> bool {
        !set.is_all_due() || self.slots.iter().any(|slot| slot.wanted.is_some())
    }

    /// Whether it is worth waiting.
    pub(super) fn has_too_little(&self) -> bool {
        let mut bytes = 0_usize;
        for slot in &self.slots {
            // A topic that is not there does not end a wait for others, as in Kafka.
            if slot.answer.is_wrong() && slot.wanted.is_some() {
                return false;
            }
            bytes = bytes.saturating_add(slot.counted);
        }
        let is_cut = self.is_cut && bytes > 0;
        bytes < self.limits.bytes_min && !is_cut && engine_rt::now() < self.deadline
    }

    /// Reads everything once, all owners at the same time.
    pub(super) async fn read_first(&mut self, may_wait: bool) {
        let places = (0..self.slots.len()).collect();
        let below = if may_wait { self.limits.bytes_min } else { 0 };
        self.read(places, below).await;
    }

    /// Watches what was looked at; false where that is not possible.
    pub(super) fn watch(&mut self, waiter: &Waiter<TopicPartition>) -> bool {
        if self.by_partition.is_empty() {
            let readable = self.slots.iter().enumerate();
            self.by_partition = readable
                .filter_map(|(place, slot)| Some((slot.wanted?.partition, place)))
                .collect();
        }
        self.charge = None;
        let mut batches: Vec<(Mark, Vec<TopicPartition>)> = Vec::new();
        for slot in &mut self.slots {
            // What was read is given back: it may be long until it is sent.
            if slot.answer.bytes > 0 {
                slot.answer.chunks = Vec::new();
                slot.answer.bytes = 0;
                slot.is_stale = true;
            }
            let Some(wanted) = slot.wanted.filter(|_| slot.is_unwatched) else {
                continue;
            };
            slot.is_unwatched = false;
            match batches.last_mut() {
                Some((mark, keys)) if *mark == slot.mark => keys.push(wanted.partition),
                _ => batches.push((slot.mark, vec![wanted.partition])),
            }
        }
        batches
            .iter()
            .all(|(mark, keys)| waiter.watch(keys, *mark).is_ok())
    }

    /// Looks again at partitions that changed.
    pub(super) async fn look_again(&mut self, set: &mut FetchSet, woken: &[TopicPartition]) {
        let mark = self.broker.watchers().waits().mark();
        let news = set.changed(woken);
        for due in set.look_up(&self.broker.image(), &news) {
            let slot = Slot::new(&due, mark, self.limits.is_follower);
            if let Some(wanted) = &slot.wanted {
                self.by_partition.insert(wanted.partition, self.slots.len());
            }
            self.slots.push(slot);
        }
        let mut places: Vec<usize> = woken
            .iter()
            .filter_map(|partition| self.by_partition.get(partition).copied())
            .collect();
        places.sort_unstable();
        places.dedup();
        // To wait for the first record is the usual thing: it is read at once.
        if self.limits.bytes_min > 1 {
            places = self.measure(places).await;
        }
        self.read(places, usize::MAX).await;
    }

    /// Counts what came; returns the places that have to be read to know.
    async fn measure(&mut self, places: Vec<usize>) -> Vec<usize> {
        let read_committed = self.limits.read_committed;
        let question = |partitions| {
            Question::Measure(MeasureQuestion {
                partitions,
                read_committed,
            })
        };
        let routes = self.look_at(places, Look::Count);
        let mut unknown = Vec::new();
        for (places, answered) in routes.call(self.broker, question).await {
            let Ok(Answer::Measure(found)) = answered else {
                unknown.extend(places);
                continue;
            };
            for (place, found) in places.into_iter().zip(found) {
                match (found, self.slots.get_mut(place)) {
                    (Measured::Bytes(bytes, end), Some(slot)) => slot.count(bytes, end),
                    _ => unknown.push(place),
                }
            }
        }
        unknown
    }

    /// Reads for the answer what was only counted, or has changed.
    pub(super) async fn read_what_is_stale(&mut self) {
        let stale = |slot: &Slot| slot.is_stale && slot.wanted.is_some();
        let places = self.slots.iter().enumerate();
        let places: Vec<usize> = places
            .filter(|(_, slot)| stale(slot))
            .map(|(place, _)| place)
            .collect();
        self.read(places, 0).await;
    }

    /// What to ask the owners about these places, which from now on count as looked at.
    fn look_at(&mut self, places: Vec<usize>, look: Look) -> Routes<PartitionFetch> {
        let mark = self.broker.watchers().waits().mark();
        let mut routes = Routes::new();
        for place in places {
            let Some(slot) = self.slots.get_mut(place) else {
                continue;
            };
            let Some(wanted) = slot.wanted else {
                continue;
            };
            slot.mark = mark;
            slot.is_stale = look == Look::Count;
            slot.is_unwatched = true;
            let offset = match look {
                Look::Read => wanted.offset,
                Look::Count => slot.answer.next_offset.max(wanted.offset),
            };
            let owner = self.broker.owner(wanted.partition);
            routes.push(owner, place, PartitionFetch { offset, ..wanted });
        }
        routes
    }

    /// Reads at these places, all owners at the same time.
    async fn read(&mut self, places: Vec<usize>, watch_below: usize) {
        let routes = self.look_at(places, Look::Read);
        let count = routes.questions().count();
        if count == 0 {
            return;
        }
        let wanted_bytes = routes
            .questions()
            .fold(0_usize, |sum, wanted| sum.saturating_add(wanted.bytes_max));
        let wanted_max = wanted_bytes.min(self.limits.bytes_max);
        let (charge, granted) = self.charge(wanted_max.max(GRANT_MIN)).await;
        let bytes_max = granted.min(wanted_max);
        let (read_committed, watch_empty) = (self.limits.read_committed, self.is_session);
        let question = |partitions: Vec<PartitionFetch>| {
            // What several owners read together has to fit as well.
            let share = bytes_max
                .saturating_mul(partitions.len())
                .checked_div(count)
                .unwrap_or_default();
            Question::Fetch(FetchQuestion {
                bytes_max: if wanted_bytes > bytes_max && share > 0 {
                    share
                } else {
                    bytes_max
                },
                partitions,
                at_least_one: charge.is_some(),
                read_committed,
                watch_below,
                watch_empty,
            })
        };
        for (places, answered) in routes.call(self.broker, question).await {
            let answers = match answered {
                Ok(Answer::Fetch(answers)) => answers,
                // The owner is going down with the node.
                _ => vec![FetchAnswer::refused(ErrorCode::NOT_LEADER_OR_FOLLOWER); places.len()],
            };
            for (place, answer) in places.into_iter().zip(answers) {
                if let Some(slot) = self.slots.get_mut(place) {
                    slot.counted = answer.bytes;
                    slot.answer = answer;
                }
            }
        }
        drop(charge);
        let held = self.slots.iter();
        let held = held.fold(0_usize, |sum, slot| sum.saturating_add(slot.answer.bytes));
        // Until the connection charges the answer.
        self.charge = (held > 0).then(|| self.broker.memory().charge_now(held));
    }

    /// Charges `wanted` bytes, or what there is; nothing where there is nothing for long.
    async fn charge(&mut self, wanted: usize) -> (Option<Charge>, usize) {
        let memory = self.broker.memory();
        let mut bytes = wanted;
        loop {
            if let Some(charge) = memory.try_charge(bytes) {
                return (Some(charge), bytes);
            }
            self.is_cut = true;
            if bytes <= GRANT_MIN {
                break;
            }
            bytes = (bytes / 2).max(GRANT_MIN);
        }
        match engine_rt::timeout(GRANT_WAIT, memory.charge(bytes)).await {
            Ok(charge) => (Some(charge), bytes),
            Err(_) => (None, 0),
        }
    }
}

/// How to look at a partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Read what is wanted.
    Read,
    /// Count what came after what was counted.
    Count,
}

impl Slot {
    fn new(due: &Due, mark: Mark, is_follower: bool) -> Self {
        let (wanted, error) = match due.read {
            Ok(_) if is_follower => (None, ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Ok(wanted) => (Some(wanted), ErrorCode::NONE),
            Err(error) => (None, error),
        };
        Self {
            part: due.part,
            wanted,
            answer: FetchAnswer::refused(error),
            mark,
            counted: 0,
            is_stale: false,
            is_unwatched: false,
        }
    }

    /// So many bytes more are there, in batches that end below `end`.
    fn count(&mut self, bytes: usize, end: Offset) {
        let most = self.wanted.map_or(0, |wanted| wanted.bytes_max);
        self.answer.next_offset = end;
        self.counted = self.counted.saturating_add(bytes).min(most);
    }

    /// A slot that was read.
    #[cfg(test)]
    pub(super) fn for_test(
        wanted: Option<PartitionFetch>,
        answer: FetchAnswer,
        mark: Mark,
    ) -> Self {
        Self {
            part: 0,
            wanted,
            counted: answer.bytes,
            answer,
            mark,
            is_stale: false,
            is_unwatched: false,
        }
    }
}
