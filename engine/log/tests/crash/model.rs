//! What one partition's log must hold: a plain list of batches and the rules of each operation.
//!
//! Nothing here is shared with the code under test but the epoch cache and the producer table,
//! each of which has a model of its own in its unit tests.

use bytes::Bytes;
use engine_codec::{Batch, BatchHeader, batches};
use engine_log::epochs::LeaderEpochs;
use engine_log::producers::{Noted, Producers, RememberedBatch};
use engine_model::{LeaderEpoch, LogId, Offset, ProducerId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A batch as it must be read back, byte for byte.
#[derive(Clone)]
pub struct Stored {
    pub header: BatchHeader,
    pub bytes: Bytes,
}

impl Stored {
    pub fn base(&self) -> i64 {
        self.header.base_offset.get()
    }

    pub fn last(&self) -> i64 {
        self.header.last_offset().get()
    }

    /// The batches of a records field.
    pub fn all(records: &Bytes) -> Vec<Self> {
        batches(records)
            .map(|batch| {
                let batch = batch.unwrap();
                Self {
                    header: *batch.header(),
                    bytes: batch.into_bytes(),
                }
            })
            .collect()
    }

    pub fn noted(&self) -> Option<Noted> {
        let header = &self.header;
        header.has_producer_id().then(|| Noted {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            batch: RememberedBatch {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                first_offset: header.base_offset,
                last_offset: header.last_offset(),
                max_timestamp: header.max_timestamp,
            },
            transactional: false,
            control: false,
        })
    }
}

/// A record, its batch aside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RecordOf {
    timestamp: i64,
    key: Vec<u8>,
    value: Option<Bytes>,
}

/// The records of one batch by offset; of what cannot be read, none.
fn records_of(batch: &Bytes) -> Option<Vec<(i64, RecordOf)>> {
    let batch = Batch::parse(batch).ok()?;
    let header = *batch.header();
    batch
        .records(1 << 20)
        .map(|record| {
            let record = record.ok()?;
            let of = RecordOf {
                timestamp: header.record_timestamp(record.timestamp_delta).0,
                key: record.key?.to_vec(),
                value: record.value,
            };
            Some((header.record_offset(record.offset_delta).get(), of))
        })
        .collect()
}

/// One change of a partition, in the order they were asked for.
#[derive(Clone)]
pub enum Op {
    Create,
    Append(Vec<Stored>),
    Epoch(i32),
    TruncateTo(i64),
    TruncateFully(i64),
    LogStart(i64),
    Delete,
}

impl Op {
    pub fn name(&self) -> String {
        match self {
            Self::Create => "create".to_owned(),
            Self::Append(stored) => {
                let first = stored.first().map_or(-1, Stored::base);
                let last = stored.last().map_or(-1, Stored::last);
                format!("append {first}..={last}")
            }
            Self::Epoch(epoch) => format!("epoch {epoch}"),
            Self::TruncateTo(offset) => format!("truncate to {offset}"),
            Self::TruncateFully(offset) => format!("start anew at {offset}"),
            Self::LogStart(offset) => format!("log start {offset}"),
            Self::Delete => "delete".to_owned(),
        }
    }

    /// Whether ends seen before it say nothing about what comes after it.
    pub fn resets_ends(&self) -> bool {
        matches!(
            self,
            Self::Create | Self::TruncateTo(_) | Self::TruncateFully(_) | Self::Delete
        )
    }
}

/// A partition after some of its operations.
#[derive(Clone, Default)]
pub struct LogState {
    pub exists: bool,
    /// The identity it was given, once known.
    pub id: Option<LogId>,
    pub start: i64,
    pub end: i64,
    /// Batches that hold an offset at or above `start`.
    pub batches: Vec<Stored>,
    /// Whether its end was ever cut: how large it is, is then only about known.
    pub was_cut: bool,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
    /// Every batch of a producer below `end`, those below `start` included.
    history: Vec<Noted>,
    /// Producers of which batches were below the log's start when a truncation rebuilt the
    /// table: whether they are still known is not promised.
    pub uncertain: BTreeSet<ProducerId>,
}

impl LogState {
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create => {
                *self = Self {
                    exists: true,
                    ..Self::default()
                };
            }
            Op::Delete => *self = Self::default(),
            Op::Append(stored) => stored.iter().for_each(|batch| self.append(batch)),
            Op::Epoch(epoch) => {
                self.epochs
                    .assign(LeaderEpoch::new(*epoch), Offset::new(self.end))
                    .unwrap();
            }
            Op::TruncateTo(offset) => self.truncate_to(*offset),
            Op::TruncateFully(offset) => {
                *self = Self {
                    exists: true,
                    id: self.id,
                    start: *offset,
                    end: *offset,
                    ..Self::default()
                };
            }
            Op::LogStart(offset) => {
                self.start = self.start.max(*offset);
                self.batches.retain(|batch| batch.last() >= self.start);
                self.epochs.truncate_from_start(Offset::new(self.start));
            }
        }
    }

    fn append(&mut self, batch: &Stored) {
        assert!(batch.base() >= self.end, "the workload appends in order");
        self.epochs
            .assign(
                batch.header.partition_leader_epoch,
                batch.header.base_offset,
            )
            .unwrap();
        if let Some(noted) = batch.noted() {
            self.producers.note(&noted, Timestamp(0));
            self.history.push(noted);
        }
        self.end = batch.last() + 1;
        self.batches.push(batch.clone());
    }

    fn truncate_to(&mut self, offset: i64) {
        if offset >= self.end {
            return;
        }
        self.was_cut = true;
        let holder = self
            .batches
            .iter()
            .find(|batch| batch.base() <= offset && offset <= batch.last());
        let cut = holder.map_or(offset, Stored::base);
        self.end = cut;
        self.batches.retain(|batch| batch.last() < cut);
        self.epochs.truncate_from_end(Offset::new(cut));
        self.history
            .retain(|noted| noted.batch.last_offset.get() < cut);
        self.producers.clear();
        for noted in &self.history {
            self.producers.note(noted, Timestamp(0));
            if noted.batch.first_offset.get() < self.start {
                self.uncertain.insert(noted.producer_id);
            }
        }
    }

    /// What is wrong with `found` as what compaction left of the batches that end below `end`.
    ///
    /// Every batch and record must be one of the log's, where it was; of each key the last record
    /// must be there. Where that is a tombstone it may be gone, but then with all before it.
    pub fn differs_compacted(&self, found: &Bytes, end: i64) -> Option<String> {
        let mut records: BTreeMap<i64, RecordOf> = BTreeMap::new();
        let mut heads: BTreeMap<i64, BatchHeader> = BTreeMap::new();
        for stored in self.batches.iter().filter(|batch| batch.last() < end) {
            heads.insert(stored.base(), stored.header);
            records.extend(records_of(&stored.bytes).unwrap());
        }
        let mut left: BTreeMap<i64, RecordOf> = BTreeMap::new();
        let mut next = i64::MIN;
        for batch in batches(found) {
            let Ok(batch) = batch else {
                return Some("a batch that cannot be read".to_owned());
            };
            let header = *batch.header();
            let base = header.base_offset.get();
            let Some(was) = heads.get(&base) else {
                return Some(format!("a batch at {base}, where none was"));
            };
            let fields = |header: &BatchHeader| {
                (
                    header.last_offset(),
                    header.partition_leader_epoch,
                    header.producer_id,
                    header.producer_epoch,
                    header.base_sequence,
                )
            };
            if base < next || fields(&header) != fields(was) || batch.check_crc().is_err() {
                return Some(format!("{header:?} instead of {was:?}"));
            }
            next = header.next_offset().get();
            let Some(of) = records_of(batch.bytes()) else {
                return Some(format!("records at {base} that cannot be read"));
            };
            left.extend(of);
        }
        if let Some((offset, record)) = left.iter().find(|(at, r)| records.get(at) != Some(r)) {
            return Some(format!("{record:?} at {offset} was never written there"));
        }
        let mut last: BTreeMap<&Vec<u8>, (i64, bool)> = BTreeMap::new();
        for (offset, record) in &records {
            last.insert(&record.key, (*offset, record.value.is_none()));
        }
        for (key, (offset, is_tombstone)) in last {
            let is_there = left.contains_key(&offset);
            let older = left.iter().find(|(at, r)| **at < offset && r.key == *key);
            if offset < self.start || is_there {
                continue;
            }
            if !is_tombstone {
                return Some(format!(
                    "the last record of key {key:?} at {offset} is gone"
                ));
            }
            if let Some((older, _)) = older {
                return Some(format!(
                    "key {key:?} was deleted at {offset}, and is back at {older}"
                ));
            }
        }
        None
    }

    /// The bytes of all batches that end below `end`, as a read from the start gives them.
    pub fn bytes_below(&self, end: i64) -> Vec<u8> {
        let whole = self.batches.iter().filter(|batch| batch.last() < end);
        whole
            .flat_map(|batch| batch.bytes.iter().copied())
            .collect()
    }
}
