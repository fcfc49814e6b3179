//! Producer state of one log: what makes a repeated batch of an idempotent producer harmless.
//!
//! | batch of producer p, epoch e, sequence s | state of p            | verdict                     |
//! |------------------------------------------|-----------------------|-----------------------------|
//! | any                                      | none                  | New                         |
//! | range equal to one of the last five      | epoch e               | Duplicate (its offsets)     |
//! | s follows the last sequence (wraps to 0) | epoch e               | New                         |
//! | any other s                              | epoch e               | OutOfOrderSequence (45)     |
//! | s = 0                                    | epoch below e         | New                         |
//! | s > 0                                    | epoch below e         | OutOfOrderSequence (45)     |
//! | any                                      | epoch above e         | InvalidProducerEpoch (47)   |
//!
//! Keeps:
//! - `check` decides and changes nothing; `note` records what the log took and never refuses, so
//!   replay gives the same state as the appends did;
//! - the five batches remembered are the newest of the producer's current epoch, in log order;
//! - at most `PRODUCERS_MAX` entries: beyond it those whose last batch is oldest go.
//!
//! Where we differ from Kafka: a producer expires by the time the broker last heard of it, not by
//! the timestamps of its records, so records with old timestamps are deduplicated too.
//!
//! Does not: wait for originals still in flight, nor judge transactions beyond remembering where
//! one began. Source: KIP-98, KIP-360; Kafka 4.3's ProducerAppendInfo.

mod snapshot;

use core::time::Duration;
use engine_model::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use std::collections::BTreeMap;

/// Batches remembered of each producer; idempotent clients have at most five in flight.
pub const BATCHES_REMEMBERED: usize = 5;

/// The most producers a log remembers: some 4 MiB of memory, reached only by clients that make
/// ids faster than `producer.id.expiration.ms` forgets them.
pub const PRODUCERS_MAX: usize = 16_384;

/// How many go when the limit is reached, so that the search for them is rare.
const EVICTED_AT_ONCE: usize = PRODUCERS_MAX / 16;

/// A batch of an idempotent producer that asks to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of its first record.
    pub first_sequence: Sequence,
    /// Sequence of its last record.
    pub last_sequence: Sequence,
}

/// A batch of an idempotent producer that the log took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// What is remembered of it.
    pub batch: RememberedBatch,
    /// Whether it is part of a transaction.
    pub transactional: bool,
    /// Whether it is a control batch (the end of a transaction), which has no sequences.
    pub control: bool,
}

/// What is remembered of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedBatch {
    /// Sequence of its first record.
    pub first_sequence: Sequence,
    /// Sequence of its last record.
    pub last_sequence: Sequence,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Its largest timestamp: the log append time, where the log stamps one.
    pub max_timestamp: Timestamp,
}

/// What is to be done with a batch that may be appended or was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    New,
    /// It is in the log already, at these offsets; answer with them once they are stable.
    Duplicate(RememberedBatch),
}

/// Why a batch may not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// Its sequence does not follow the last one (45).
    #[error(
        "sequence {found} of producer {producer_id}, epoch {producer_epoch}, where {expected} follows"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's epoch.
        producer_epoch: ProducerEpoch,
        /// The sequence that would have been right.
        expected: Sequence,
        /// The one that came.
        found: Sequence,
    },
    /// Its epoch is older than the producer's (47).
    #[error("epoch {found} of producer {producer_id}, whose epoch is {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// Its epoch.
        current: ProducerEpoch,
        /// The one that came.
        found: ProducerEpoch,
    },
}

/// State of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    epoch: ProducerEpoch,
    /// The newest batches of this epoch, oldest first; empty after a control batch of a new epoch.
    batches: Vec<RememberedBatch>,
    /// Whether there were batches that are no longer remembered.
    forgot: bool,
    /// Offset of the last batch of any kind.
    last_offset: Offset,
    /// First offset of its open transaction.
    transaction_start: Option<Offset>,
    last_heard: Timestamp,
}

impl Producer {
    /// Its epoch.
    pub const fn epoch(&self) -> ProducerEpoch {
        self.epoch
    }

    /// Its last batches, oldest first.
    pub fn batches(&self) -> &[RememberedBatch] {
        &self.batches
    }

    /// Sequence of its last record, or `NONE` if nothing of this epoch has one.
    pub fn last_sequence(&self) -> Sequence {
        self.batches
            .last()
            .map_or(Sequence::NONE, |batch| batch.last_sequence)
    }

    /// First offset of its open transaction, if it has one.
    pub const fn transaction_start(&self) -> Option<Offset> {
        self.transaction_start
    }

    /// When the broker last heard of it.
    pub const fn last_heard(&self) -> Timestamp {
        self.last_heard
    }
}

/// Whether a truncation of producer state was possible without reading the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a state that needs a rebuild still knows of batches that are gone"]
pub enum Truncation {
    /// The state is as of the cut.
    Done,
    /// Nothing changed: batches before the cut were forgotten and must be read again. Take a
    /// snapshot from before the cut (or none) and `note` every batch from there to the cut.
    NeedsRebuild,
}

/// The producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    // Ordered: a client may send any id it likes.
    by_id: BTreeMap<ProducerId, Producer>,
}

impl Producers {
    /// No producers.
    pub const fn new() -> Self {
        Self {
            by_id: BTreeMap::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// One of them.
    pub fn get(&self, producer_id: ProducerId) -> Option<&Producer> {
        self.by_id.get(&producer_id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// Decides whether a batch from a client may be appended; changes nothing.
    ///
    /// Errors: `OutOfOrderSequence` and `InvalidProducerEpoch`, to be answered.
    pub fn check(&self, batch: &Candidate) -> Result<Verdict, ProducerError> {
        let Some(producer) = self.by_id.get(&batch.producer_id) else {
            return Ok(Verdict::New);
        };
        if batch.producer_epoch < producer.epoch {
            return Err(ProducerError::InvalidProducerEpoch {
                producer_id: batch.producer_id,
                current: producer.epoch,
                found: batch.producer_epoch,
            });
        }
        let expected = if batch.producer_epoch > producer.epoch {
            Sequence::ZERO
        } else if let Some(known) = producer.batches.iter().find(|known| {
            known.first_sequence == batch.first_sequence
                && known.last_sequence == batch.last_sequence
        }) {
            return Ok(Verdict::Duplicate(*known));
        } else {
            match producer.batches.last() {
                Some(last) => last.last_sequence.wrapping_add(1),
                None => Sequence::ZERO,
            }
        };
        if batch.first_sequence == expected {
            Ok(Verdict::New)
        } else {
            Err(ProducerError::OutOfOrderSequence {
                producer_id: batch.producer_id,
                producer_epoch: batch.producer_epoch,
                expected,
                found: batch.first_sequence,
            })
        }
    }

    /// Records a batch that the log took, in log order; `now` is when the broker heard of it.
    ///
    /// Sets and never chooses: replay and followers call it too, whatever the sequences are.
    pub fn note(&mut self, noted: &Noted, now: Timestamp) {
        if !self.by_id.contains_key(&noted.producer_id) {
            self.make_room();
        }
        let producer = self
            .by_id
            .entry(noted.producer_id)
            .or_insert_with(|| Producer {
                epoch: noted.producer_epoch,
                batches: Vec::new(),
                forgot: false,
                last_offset: noted.batch.last_offset,
                transaction_start: None,
                last_heard: now,
            });
        if producer.epoch != noted.producer_epoch {
            producer.epoch = noted.producer_epoch;
            producer.forgot = true;
            producer.batches.clear();
        }
        producer.last_offset = noted.batch.last_offset;
        producer.last_heard = producer.last_heard.max(now);
        if noted.control {
            // What began before is over; a cut below this marker would have to open it again.
            producer.transaction_start = None;
            producer.forgot = true;
            return;
        }
        if noted.transactional && producer.transaction_start.is_none() {
            producer.transaction_start = Some(noted.batch.first_offset);
        }
        if producer.batches.len() >= BATCHES_REMEMBERED {
            producer.forgot = true;
            producer.batches.remove(0);
        }
        producer.batches.push(noted.batch);
    }

    fn make_room(&mut self) {
        if self.by_id.len() < PRODUCERS_MAX {
            return;
        }
        // By offset, not by time: replay has the same offsets and so forgets the same producers.
        let mut ages: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, producer)| producer.transaction_start.is_none())
            .map(|(id, producer)| (producer.last_offset, *id))
            .collect();
        ages.sort_unstable();
        for (_, id) in ages.iter().take(EVICTED_AT_ONCE) {
            self.by_id.remove(id);
        }
    }

    /// The log now ends at `cut`: batches at or behind it are forgotten.
    pub fn truncate(&mut self, cut: Offset) -> Truncation {
        let is_cut = |producer: &Producer| producer.last_offset >= cut;
        if self
            .by_id
            .values()
            .any(|producer| is_cut(producer) && producer.forgot)
        {
            return Truncation::NeedsRebuild;
        }
        self.by_id.retain(|_, producer| {
            producer.batches.retain(|batch| batch.last_offset < cut);
            if let Some(last) = producer.batches.last() {
                producer.last_offset = last.last_offset;
            }
            producer.transaction_start = producer.transaction_start.filter(|start| *start < cut);
            // Nothing was ever forgotten of it, so without batches it was not there at the cut.
            !producer.batches.is_empty() || !is_cut(producer)
        });
        Truncation::Done
    }

    /// Forgets all: the log starts anew.
    pub fn clear(&mut self) {
        self.by_id.clear();
    }

    /// Forgets producers without an open transaction that were not heard of for `expiration`
    /// (`producer.id.expiration.ms`); returns how many.
    pub fn expire(&mut self, now: Timestamp, expiration: Duration) -> usize {
        let expiration_ms = i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX);
        let before = self.by_id.len();
        self.by_id.retain(|_, producer| {
            producer.transaction_start.is_some()
                || now.saturating_millis_since(producer.last_heard) < expiration_ms
        });
        before.saturating_sub(self.by_id.len())
    }
}

#[cfg(test)]
mod tests;
