//! The partitions that a fetch reads: of one request, or of a session over many requests.
//!
//! A partition is **due** when it has to be looked at, and **settled** when what the client was
//! told of it still holds. Only a session has settled ones; its waiter watches them, and they
//! become due again when they change or when the client changes what it wants of them.
//!
//! | event                                        | the partition is              |
//! |----------------------------------------------|-------------------------------|
//! | added, or wanted otherwise                   | due, last or where it was     |
//! | changed (woken)                              | due, last                     |
//! | answered with records                        | due, last: others come first  |
//! | answered with an error                       | due, where it was             |
//! | answered, records left out by a limit        | due, where it was             |
//! | answered, nothing more to read               | settled, if this is a session |
//! | forgotten                                    | gone                          |
//!
//! Keeps: the order of turns, so that a client whose answers are limited in bytes gets all its
//! partitions in time; looking at a session costs by what is due, not by what is in it.
//! Does not: read, or know the protocol's sessions (`sessions`). Source: KIP-227.

use engine_model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use engine_shard::Waiter;
use net_protocol::Text;
use net_protocol::fetch::{FetchPartition, FetchTopic, ForgottenTopic, PartitionData};
use replication_metadata::{MetadataImage, TopicImage};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::question::{PartitionFetch, partition};
use crate::slab::Slab;

/// See the module.
#[derive(Debug)]
pub(crate) struct FetchSet {
    uses_ids: bool,
    topics: Slab<Topic>,
    by_name: BTreeMap<Text, usize>,
    by_id: BTreeMap<TopicId, usize>,
    parts: Slab<Part>,
    due: BTreeMap<u64, usize>,
    next_turn: u64,
    /// Watches what is settled; only a session has one.
    waiter: Option<Rc<Waiter<TopicPartition>>>,
}

#[derive(Debug)]
struct Topic {
    /// As the client wrote it; in a set by ids, as it was once found.
    name: Text,
    /// As the client wrote it; in a set by names, as it was last found.
    id: TopicId,
    parts: BTreeMap<PartitionIndex, usize>,
}

#[derive(Debug)]
struct Part {
    topic: usize,
    partition: PartitionIndex,
    wanted: Wanted,
    told: Told,
    /// Its place among those that are due.
    turn: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    offset: Offset,
    current_leader_epoch: LeaderEpoch,
    last_fetched_epoch: LeaderEpoch,
    bytes_max: usize,
}

impl From<&FetchPartition> for Wanted {
    fn from(wanted: &FetchPartition) -> Self {
        Self {
            offset: wanted.fetch_offset,
            current_leader_epoch: wanted.current_leader_epoch,
            last_fetched_epoch: wanted.last_fetched_epoch,
            bytes_max: usize::try_from(wanted.partition_max_bytes).unwrap_or_default(),
        }
    }
}

/// What the client was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: Offset,
    log_start_offset: Offset,
}

impl Told {
    const NOTHING: Self = Self {
        high_watermark: Offset::NONE,
        log_start_offset: Offset::NONE,
    };
}

/// A partition that is due.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    /// Its number in the set.
    pub(crate) part: usize,
    /// What to read, or why nothing can be.
    pub(crate) read: Result<PartitionFetch, ErrorCode>,
}

/// Where an answer belongs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) topic: Text,
    pub(crate) topic_id: TopicId,
    pub(crate) partition: PartitionIndex,
}

impl FetchSet {
    /// An empty set, of partitions named by topic id or by name.
    pub(crate) fn new(uses_ids: bool) -> Self {
        Self {
            uses_ids,
            topics: Slab::default(),
            by_name: BTreeMap::new(),
            by_id: BTreeMap::new(),
            parts: Slab::default(),
            due: BTreeMap::new(),
            next_turn: 0,
            waiter: None,
        }
    }

    /// Whether topics are named by id.
    pub(crate) fn uses_ids(&self) -> bool {
        self.uses_ids
    }

    /// How many partitions there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether every partition is due, so that nothing is left to be woken.
    pub(crate) fn is_all_due(&self) -> bool {
        self.due.len() >= self.parts.len()
    }

    /// Takes over what a request wants: its partitions are added, or wanted as it says.
    pub(crate) fn want(&mut self, topics: Vec<FetchTopic>) {
        for topic in topics {
            if topic.partitions.is_empty() {
                continue;
            }
            let number = self.topic_number(topic.topic, topic.topic_id);
            for wanted in &topic.partitions {
                self.want_one(number, wanted);
            }
        }
    }

    fn topic_number(&mut self, name: Text, id: TopicId) -> usize {
        let known = if self.uses_ids {
            self.by_id.get(&id)
        } else {
            self.by_name.get(&name)
        };
        if let Some(number) = known {
            return *number;
        }
        let number = self.topics.insert(Topic {
            name: name.clone(),
            id,
            parts: BTreeMap::new(),
        });
        if self.uses_ids {
            self.by_id.insert(id, number);
        } else {
            self.by_name.insert(name, number);
        }
        number
    }

    fn want_one(&mut self, topic: usize, wanted: &FetchPartition) {
        let Some(entry) = self.topics.get_mut(topic) else {
            return;
        };
        let known = entry.parts.get(&wanted.partition).copied();
        if let Some(part) = known {
            let id = entry.id;
            if let Some(part) = self.parts.get_mut(part) {
                part.wanted = Wanted::from(wanted);
            }
            self.unwatch(partition(id, wanted.partition));
            self.make_due(part);
            return;
        }
        let part = self.parts.insert(Part {
            topic,
            partition: wanted.partition,
            wanted: Wanted::from(wanted),
            told: Told::NOTHING,
            turn: None,
        });
        entry.parts.insert(wanted.partition, part);
        self.make_due(part);
    }

    /// Drops partitions.
    pub(crate) fn forget(&mut self, topics: &[ForgottenTopic]) {
        for forgotten in topics {
            let number = if self.uses_ids {
                self.by_id.get(&forgotten.topic_id)
            } else {
                self.by_name.get(&forgotten.topic)
            };
            if let Some(number) = number.copied() {
                for partition in &forgotten.partitions {
                    self.forget_one(number, *partition);
                }
                self.drop_if_empty(number);
            }
        }
    }

    fn forget_one(&mut self, topic: usize, index: PartitionIndex) {
        let Some(entry) = self.topics.get_mut(topic) else {
            return;
        };
        let Some(part) = entry.parts.remove(&index) else {
            return;
        };
        let watched = partition(entry.id, index);
        if let Some(part) = self.parts.remove(part)
            && let Some(turn) = part.turn
        {
            self.due.remove(&turn);
        }
        self.unwatch(watched);
    }

    fn drop_if_empty(&mut self, topic: usize) {
        let is_empty = self
            .topics
            .get(topic)
            .is_some_and(|topic| topic.parts.is_empty());
        if is_empty && let Some(gone) = self.topics.remove(topic) {
            if self.by_name.get(&gone.name) == Some(&topic) {
                self.by_name.remove(&gone.name);
            }
            if self.by_id.get(&gone.id) == Some(&topic) {
                self.by_id.remove(&gone.id);
            }
        }
    }

    fn unwatch(&self, watched: TopicPartition) {
        if let Some(waiter) = &self.waiter {
            waiter.unwatch(&watched);
        }
    }

    fn make_due(&mut self, number: usize) {
        if let Some(part) = self.parts.get_mut(number)
            && part.turn.is_none()
        {
            part.turn = Some(self.next_turn);
            self.due.insert(self.next_turn, number);
            self.next_turn = self.next_turn.wrapping_add(1);
        }
    }

    fn make_last(&mut self, number: usize) {
        self.settle(number);
        self.make_due(number);
    }

    /// Lets go of a partition that `answered` found settled.
    pub(crate) fn settle(&mut self, number: usize) {
        if let Some(part) = self.parts.get_mut(number)
            && let Some(turn) = part.turn.take()
        {
            self.due.remove(&turn);
        }
    }

    /// Takes partitions that changed; returns those that were settled and are due now.
    pub(crate) fn changed(&mut self, changed: &[TopicPartition]) -> Vec<usize> {
        let mut found = Vec::new();
        for changed in changed {
            let topic = self.by_id.get(&changed.topic_id);
            let part = topic
                .and_then(|topic| self.topics.get(*topic))
                .and_then(|topic| topic.parts.get(&changed.partition))
                .copied();
            if let Some(part) = part
                && self.parts.get(part).is_some_and(|part| part.turn.is_none())
            {
                self.make_due(part);
                found.push(part);
            }
        }
        found
    }

    /// What is due, in its order.
    pub(crate) fn due(&mut self, image: &MetadataImage) -> Vec<Due> {
        let parts: Vec<usize> = self.due.values().copied().collect();
        self.look_up(image, &parts)
    }

    /// What these partitions are now.
    pub(crate) fn look_up(&mut self, image: &MetadataImage, parts: &[usize]) -> Vec<Due> {
        let mut last: Option<(usize, Found)> = None;
        let mut due = Vec::with_capacity(parts.len());
        for number in parts {
            let Some(topic) = self.parts.get(*number).map(|part| part.topic) else {
                continue;
            };
            // Neighbours are of the same topic, as a rule.
            if last.as_ref().is_none_or(|(known, _)| *known != topic) {
                last = Some((topic, self.find(image, topic)));
            }
            if let Some(part) = self.parts.get(*number)
                && let Some((_, found)) = &last
            {
                due.push(Due {
                    part: *number,
                    read: part.read(found),
                });
            }
        }
        due
    }

    /// Finds a topic and notes what it was found as.
    fn find(&mut self, image: &MetadataImage, number: usize) -> Found {
        let Some(topic) = self.topics.get_mut(number) else {
            return Found::Missing(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if self.uses_ids {
            return match image.topic(topic.id) {
                Some(found) => {
                    if topic.name.is_empty() {
                        topic.name = Text::from(found.name.as_str());
                    }
                    Found::There(Arc::clone(found))
                }
                None if topic.name.is_empty() => Found::Missing(ErrorCode::UNKNOWN_TOPIC_ID),
                // It was there: another one of that name may be now.
                None => Found::Gone(image.topic_named(&topic.name).cloned()),
            };
        }
        let Some(found) = image.topic_named(&topic.name) else {
            return Found::Missing(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        if topic.id != found.id {
            self.by_id.remove(&topic.id);
            topic.id = found.id;
        }
        self.by_id.insert(found.id, number);
        Found::There(Arc::clone(found))
    }

    /// Where the answer of a partition belongs.
    pub(crate) fn place(&self, number: usize) -> Option<Place> {
        let part = self.parts.get(number)?;
        let topic = self.topics.get(part.topic)?;
        Some(Place {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partition: part.partition,
        })
    }

    /// Makes a session of it: what is settled is watched by `waiter`.
    pub(crate) fn keep(&mut self, waiter: Waiter<TopicPartition>) {
        self.waiter = Some(Rc::new(waiter));
    }

    /// What watches the settled partitions of a session.
    pub(crate) fn waiter(&self) -> Option<Rc<Waiter<TopicPartition>>> {
        self.waiter.clone()
    }

    /// Takes note of an answer that goes out; whether the client has to be told, and whether
    /// nothing is left to read.
    pub(crate) fn answered(&mut self, number: usize, data: &PartitionData) -> Answered {
        let Some(part) = self.parts.get_mut(number) else {
            return Answered::default();
        };
        let has_records = data.records.as_ref().is_some_and(|it| !it.is_empty());
        let is_error = data.error_code.is_error();
        let is_diverging = data.diverging_epoch.epoch != LeaderEpoch::NONE;
        let told = Told {
            // So that it is told again when the error has gone.
            high_watermark: if is_error {
                Offset::NONE
            } else {
                data.high_watermark
            },
            log_start_offset: data.log_start_offset,
        };
        let is_news = has_records || is_error || is_diverging || told != part.told;
        part.told = told;
        // The last stable offset is the high watermark or below: at it, nothing is left.
        let is_at_end = part.wanted.offset >= data.last_stable_offset;
        let is_settled = !has_records && !is_error && !is_diverging && is_at_end;
        if has_records {
            self.make_last(number);
        }
        Answered {
            is_news,
            is_settled,
        }
    }
}

/// What an answer means for its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The client does not know it yet.
    pub(crate) is_news: bool,
    /// There is nothing more to read until something changes.
    pub(crate) is_settled: bool,
}

/// What became of a topic.
enum Found {
    There(Arc<TopicImage>),
    /// The id is gone; perhaps another topic has the name.
    Gone(Option<Arc<TopicImage>>),
    Missing(ErrorCode),
}

impl Part {
    fn read(&self, found: &Found) -> Result<PartitionFetch, ErrorCode> {
        let has = |topic: &TopicImage| topic.partition(self.partition).is_some();
        match found {
            Found::There(topic) if has(topic) => Ok(PartitionFetch {
                partition: partition(topic.id, self.partition),
                offset: self.wanted.offset,
                current_leader_epoch: self.wanted.current_leader_epoch,
                last_fetched_epoch: self.wanted.last_fetched_epoch,
                bytes_max: self.wanted.bytes_max,
            }),
            Found::Gone(Some(other)) if has(other) => Err(ErrorCode::INCONSISTENT_TOPIC_ID),
            Found::There(_) | Found::Gone(_) => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Found::Missing(error) => Err(*error),
        }
    }
}

#[cfg(test)]
mod tests;
