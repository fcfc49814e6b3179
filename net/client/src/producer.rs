//! Appends records to one topic: batches them, sends them, tries again, and says what became of each.
//!
//! | a batch is | event                          | becomes                                         |
//! |------------|--------------------------------|-------------------------------------------------|
//! | open       | full, or `flush`               | queued                                          |
//! | queued     | its partition is free          | in flight                                       |
//! | in flight  | answer without error           | delivered                                       |
//! | in flight  | retriable error, lost answer   | queued again, in front, after a pause           |
//! | in flight  | other error                    | failed, and with it what follows if idempotent  |
//! | queued     | delivery timeout               | failed, likewise                                |
//!
//! Keeps: one batch a partition is in flight, so that order holds whatever happens; a batch that is
//! sent again is the same bytes, so that an idempotent producer writes it once; at most
//! `buffer_bytes_max` are held.
//! Does not: wait for more records (linger); its driver flushes. Source: KIP-98, KIP-480.

mod answer;
mod send;

use crate::cluster::Cluster;
use crate::error::ClientError;
use crate::partitioner::{KeyHash, Sticky};
use crate::retry::Backoff;
use bytes::Bytes;
use core::time::Duration;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::{
    Moment, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
};
use net_protocol::Text;
use std::collections::{BTreeMap, VecDeque};

/// Who must have a batch before it counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: no answer, no offset, no second try.
    None,
    /// The leader.
    Leader,
    /// All replicas in sync.
    All,
}

impl Acks {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a producer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerOptions {
    /// Who must have a batch.
    pub acks: Acks,
    /// Whether the broker drops what it has already; only with `Acks::All`.
    pub is_idempotent: bool,
    /// How a key becomes a partition.
    pub key_hash: KeyHash,
    /// How batches are compressed.
    pub compression: Compression,
    /// The size of a batch before compression; a larger record is a batch of its own.
    pub batch_bytes_max: usize,
    /// The most bytes that wait, before compression.
    pub buffer_bytes_max: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a batch may take from being closed to being delivered, all tries together.
    pub delivery_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            is_idempotent: true,
            key_hash: KeyHash::Murmur2,
            compression: Compression::None,
            batch_bytes_max: 256 << 10,
            buffer_bytes_max: 32 << 20,
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_mins(2),
        }
    }
}

/// A record to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to; `None` leaves it to the key, or to the producer.
    pub partition: Option<PartitionIndex>,
    /// Key, or null.
    pub key: Option<Bytes>,
    /// Value, or null.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Milliseconds since 1970.
    pub timestamp: Timestamp,
}

/// Why a record was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// Not yet: `poll` and try again.
    NotReady,
    /// The buffer is full: `poll` until it is not and try again.
    Full,
    /// Never.
    Refused(ClientError),
}

/// What became of a batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The partition.
    pub partition: PartitionIndex,
    /// How many records.
    pub record_count: i32,
    /// The offset of the first (`None` with acks 0), or what went wrong.
    pub result: Result<Option<Offset>, ClientError>,
}

#[derive(Debug)]
struct Batch {
    bytes: Bytes,
    /// What it counts for in the buffer.
    charged_bytes: usize,
    record_count: i32,
    deadline: Moment,
    backoff: Backoff,
    not_before: Moment,
    last_error: Option<ClientError>,
}

#[derive(Debug)]
struct PartitionQueue {
    open: Option<BatchBuilder>,
    queued: VecDeque<Batch>,
    in_flight: Option<(u64, Batch)>,
    next_sequence: Sequence,
}

impl PartitionQueue {
    const NEW: Self = Self {
        open: None,
        queued: VecDeque::new(),
        in_flight: None,
        next_sequence: Sequence::ZERO,
    };

    fn is_empty(&self) -> bool {
        self.open.is_none() && self.queued.is_empty() && self.in_flight.is_none()
    }
}

/// See the module's own words.
#[derive(Debug)]
pub struct Producer {
    topic: Text,
    options: ProducerOptions,
    cluster: Cluster,
    is_cluster_stale: bool,
    /// The id and epoch of an idempotent producer, once it has one.
    identity: Option<(ProducerId, ProducerEpoch)>,
    /// What is asked for and not answered, apart from batches.
    asking: Option<u64>,
    ask_backoff: Backoff,
    ask_not_before: Moment,
    ask_deadline: Option<Moment>,
    ask_error: Option<ClientError>,
    sticky: Sticky,
    partitions: BTreeMap<PartitionIndex, PartitionQueue>,
    buffered_bytes: usize,
    next_token: u64,
    deliveries: Vec<Delivery>,
    /// Set when an idempotent producer cannot go on.
    fatal: Option<ClientError>,
}

impl Producer {
    /// A producer for `topic`. `seed` decides where records without a key begin.
    pub fn new(topic: Text, options: ProducerOptions, seed: u64) -> Self {
        let is_idempotent = options.is_idempotent && options.acks == Acks::All;
        Self {
            topic,
            options: ProducerOptions {
                is_idempotent,
                ..options
            },
            cluster: Cluster::default(),
            is_cluster_stale: true,
            identity: None,
            asking: None,
            ask_backoff: Backoff::default(),
            ask_not_before: Moment(0),
            ask_deadline: None,
            ask_error: None,
            sticky: Sticky::new(seed),
            partitions: BTreeMap::new(),
            buffered_bytes: 0,
            next_token: 0,
            deliveries: Vec::new(),
            fatal: None,
        }
    }

    /// Takes a record into the open batch of its partition.
    ///
    /// Errors: see [`PushError`]; the record is not taken.
    pub fn push(&mut self, now: Moment, record: &NewRecord) -> Result<(), PushError> {
        if let Some(error) = &self.fatal {
            return Err(PushError::Refused(error.clone()));
        }
        let count = self.partition_count().ok_or(PushError::NotReady)?;
        if self.options.is_idempotent && self.identity.is_none() {
            return Err(PushError::NotReady);
        }
        if self.buffered_bytes >= self.options.buffer_bytes_max {
            return Err(PushError::Full);
        }
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => Some(partition),
            (None, Some(key)) => self.options.key_hash.partition(key, count),
            (None, None) => None,
        };
        let is_sticky = partition.is_none();
        let partition = partition.or_else(|| self.sticky.partition(count));
        let partition = partition.ok_or(PushError::NotReady)?;
        if self.cluster.partition(&self.topic, partition).is_none() {
            return Err(PushError::Refused(ClientError::NoSuchPartition {
                topic: self.topic.clone(),
                partition,
                count,
            }));
        }
        self.append(now, partition, record, is_sticky)
            .map_err(PushError::Refused)
    }

    fn append(
        &mut self,
        now: Moment,
        partition: PartitionIndex,
        record: &NewRecord,
        is_sticky: bool,
    ) -> Result<(), ClientError> {
        let headers: Vec<(&[u8], Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|(name, value)| (&name[..], value.as_deref()))
            .collect();
        let data = RecordData {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        // A second round at most: a fresh batch has room for any one record.
        for _ in 0..2 {
            let mut builder = match self.open(partition) {
                Some(builder) => builder,
                None => self.builder(partition),
            };
            let before = builder.bytes();
            let is_taken = builder.append(&data)?;
            let grown = builder.bytes().saturating_sub(before);
            self.buffered_bytes = self.buffered_bytes.saturating_add(grown);
            let is_full = !is_taken || builder.bytes() >= self.options.batch_bytes_max;
            self.queue(partition).open = Some(builder);
            if is_full {
                self.close(now, partition)?;
                if is_sticky {
                    self.sticky.advance();
                }
            }
            if is_taken {
                break;
            }
        }
        Ok(())
    }

    fn open(&mut self, partition: PartitionIndex) -> Option<BatchBuilder> {
        self.queue(partition).open.take()
    }

    fn queue(&mut self, partition: PartitionIndex) -> &mut PartitionQueue {
        self.partitions
            .entry(partition)
            .or_insert(PartitionQueue::NEW)
    }

    fn builder(&mut self, partition: PartitionIndex) -> BatchBuilder {
        let mut options = BatchOptions {
            compression: self.options.compression,
            bytes_max: self.options.batch_bytes_max,
            ..BatchOptions::default()
        };
        if let Some((producer_id, producer_epoch)) = self.identity {
            options.producer_id = producer_id;
            options.producer_epoch = producer_epoch;
            options.base_sequence = self.queue(partition).next_sequence;
        }
        BatchBuilder::new(options)
    }

    /// Closes the open batch of a partition and queues it.
    fn close(&mut self, now: Moment, partition: PartitionIndex) -> Result<(), ClientError> {
        let Some(builder) = self.open(partition) else {
            return Ok(());
        };
        let record_count = builder.record_count();
        let charged_bytes = builder.bytes().saturating_sub(engine_codec::HEADER_BYTES);
        let batch = Batch {
            bytes: builder.build()?,
            charged_bytes,
            record_count,
            deadline: now.saturating_add(self.options.delivery_timeout),
            backoff: Backoff::default(),
            not_before: now,
            last_error: None,
        };
        let queue = self.queue(partition);
        queue.next_sequence = queue.next_sequence.wrapping_add(record_count);
        queue.queued.push_back(batch);
        Ok(())
    }

    /// Closes every open batch, full or not: `poll` sends them.
    pub fn flush(&mut self, now: Moment) -> Result<(), ClientError> {
        let partitions: Vec<PartitionIndex> = self.partitions.keys().copied().collect();
        for partition in partitions {
            self.close(now, partition)?;
        }
        self.sticky.advance();
        Ok(())
    }

    /// Whether everything that was pushed has been delivered or has failed.
    pub fn is_drained(&self) -> bool {
        self.partitions.values().all(PartitionQueue::is_empty)
    }

    /// Whether the producer takes and sends nothing any more.
    pub const fn has_failed(&self) -> bool {
        self.fatal.is_some()
    }

    /// What became of batches since the last call.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        core::mem::take(&mut self.deliveries)
    }

    fn partition_count(&self) -> Option<usize> {
        let topic = self.cluster.topics.get(&self.topic)?;
        (!topic.error.is_error() && !topic.partitions.is_empty()).then_some(topic.partitions.len())
    }

    fn token(&mut self) -> u64 {
        self.next_token = self.next_token.wrapping_add(1);
        self.next_token
    }
}
