//! The one producer of a partition, which knows what the partition must hold.
//!
//! Keeps: record `n` is at offset `n`, and its bytes follow from the seed, the partition, its number
//! and how often the tail before it was lost; so whatever is read can be judged without keeping it.
//! What was sent and not answered is sent again, the same bytes with the same sequence.

use crate::random::Random;
use crate::wire::Wire;
use crate::workload::REQUEST_MS;
use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData, batches};
use engine_model::{
    ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
};
use net_protocol::Records;
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Batches under way at a time; a broker remembers five.
const UNANSWERED_MAX: usize = 4;
/// Of most values.
const VALUE_BYTES_MAX: u64 = 1500;
/// Of the others.
const LARGE_VALUE_BYTES_MAX: u64 = 96 << 10;
const BATCH_BYTES_MAX: usize = 1 << 20;
const FETCH_BYTES: i32 = 4 << 20;
const PRODUCER_ID_VERSION: i16 = 4;
const PRODUCE_VERSION: i16 = 13;
const FETCH_VERSION: i16 = 13;

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It survives a power cut.
    Fsync,
    /// It survives the end of the process.
    Written,
}

/// What is wrong with a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What kind.
    pub kind: Wrong,
    /// Where, and what was expected.
    pub text: String,
}

/// A kind of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Something acknowledged is gone.
    Lost,
    /// Other bytes, another offset, another order than what was sent; or more than was sent.
    Changed,
    /// It cannot be read.
    Refused,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

fn wrong(kind: Wrong, text: String) -> Violation {
    Violation { kind, text }
}

/// How a run of sending ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, and everything is answered.
    Stopped,
    /// The connection broke.
    Cut,
    /// The broker answered with an error.
    Refused(ErrorCode),
}

#[derive(Clone, Debug)]
struct Batch {
    first: u64,
    end: u64,
    bytes: Bytes,
}

/// The producer.
#[derive(Debug)]
pub struct Writer {
    seed: u64,
    name: String,
    topic: TopicId,
    partition: i32,
    durability: Durability,
    producer: (ProducerId, ProducerEpoch),
    random: Random,
    large_percent: u64,
    /// Records from this number on are of this era, newest last.
    eras: Vec<(u64, u64)>,
    /// Every record before this one is acknowledged.
    acknowledged: u64,
    unanswered: VecDeque<Batch>,
}

impl Writer {
    /// A producer of an empty partition. One of class [`Durability::Fsync`] is idempotent.
    pub fn new(
        address: SocketAddr,
        seed: u64,
        (name, topic, partition): (&str, TopicId, i32),
        durability: Durability,
    ) -> Self {
        let mut producer = (ProducerId::NONE, ProducerEpoch::NONE);
        if durability == Durability::Fsync {
            let mut wire = Wire::connect(address).expect("connecting");
            let answer = wire.call(
                PRODUCER_ID_VERSION,
                &InitProducerIdRequest {
                    transactional_id: None,
                    transaction_timeout_ms: 60_000,
                    ..InitProducerIdRequest::default()
                },
            );
            let answer = answer.expect("a producer id");
            assert_eq!(answer.error_code, ErrorCode::NONE);
            producer = (answer.producer_id, answer.producer_epoch);
        }
        let name = format!("{name}-{partition}");
        let part = name
            .bytes()
            .fold(7, |part: u64, byte| part.wrapping_mul(31) + u64::from(byte));
        Self {
            seed: seed ^ (part << 32),
            name,
            topic,
            partition,
            durability,
            producer,
            random: Random::new(seed ^ part),
            large_percent: 2,
            eras: vec![(0, 0)],
            acknowledged: 0,
            unanswered: VecDeque::new(),
        }
    }

    /// With so many of 100 values large.
    #[must_use]
    pub fn with_large(mut self, percent: u64) -> Self {
        self.large_percent = percent;
        self
    }

    /// Number of records acknowledged and to be kept.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    fn sent(&self) -> u64 {
        self.unanswered
            .back()
            .map_or(self.acknowledged, |batch| batch.end)
    }

    /// The value of a record.
    fn value(&self, number: u64) -> Vec<u8> {
        let (_, era) = self
            .eras
            .iter()
            .rev()
            .find(|(first, _)| *first <= number)
            .unwrap();
        let mut random = Random::new(self.seed ^ number.wrapping_mul(0x9e37_79b9) ^ (era << 48));
        let is_large = random.chance(self.large_percent);
        let length = random.below(if is_large {
            LARGE_VALUE_BYTES_MAX
        } else {
            VALUE_BYTES_MAX
        });
        let length = usize::try_from(length).unwrap();
        let mut value = format!("{} {era} {number} ", self.name).into_bytes();
        while value.len() < length {
            value.extend_from_slice(&random.draw().to_be_bytes());
        }
        value
    }

    fn next_batch(&mut self) -> Batch {
        let first = self.sent();
        let compression = match self.random.below(3) {
            0 => Compression::Lz4,
            _ => Compression::None,
        };
        let is_idempotent = self.producer.0 != ProducerId::NONE;
        let mut builder = BatchBuilder::new(BatchOptions {
            compression,
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            base_sequence: if is_idempotent {
                Sequence::new(i32::try_from(first).expect("few records"))
            } else {
                Sequence::NONE
            },
            bytes_max: BATCH_BYTES_MAX,
            ..BatchOptions::default()
        });
        let count = 1 + self.random.below(8);
        let mut end = first;
        while end < first + count {
            let value = self.value(end);
            let record = RecordData {
                timestamp: Timestamp(1_700_000_000_000),
                value: Some(&value),
                ..RecordData::default()
            };
            if !builder.append(&record).expect("a record") {
                break;
            }
            end += 1;
        }
        let bytes = builder.build().expect("a batch");
        Batch { first, end, bytes }
    }

    /// Sends one batch, or what is unanswered; whether it was acknowledged.
    pub fn write_one(&mut self, address: SocketAddr) -> bool {
        if self.unanswered.is_empty() {
            let batch = self.next_batch();
            self.unanswered.push_back(batch);
        }
        let stop = AtomicBool::new(true);
        self.run(address, &stop, &AtomicU64::new(0)) == Ok(End::Stopped)
    }

    /// Without sequences a batch behind one that is refused would take its place.
    fn unanswered_max(&self) -> usize {
        match self.producer.0 {
            ProducerId::NONE => 1,
            _ => UNANSWERED_MAX,
        }
    }

    fn send(&self, wire: &mut Wire, batch: &Batch) -> std::io::Result<()> {
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: REQUEST_MS,
            topic_data: vec![TopicProduceData {
                topic_id: self.topic,
                partition_data: vec![PartitionProduceData {
                    index: PartitionIndex::new(self.partition),
                    records: Some(Records::from(batch.bytes.clone())),
                }],
                ..TopicProduceData::default()
            }],
        };
        wire.ask(PRODUCE_VERSION, &request)
    }

    /// Sends until told to stop, until the connection breaks or the broker refuses. What was sent
    /// before and never answered goes first.
    ///
    /// `progress` counts acknowledgements. Errors: an acknowledgement of something else than what was sent.
    pub fn run(
        &mut self,
        address: SocketAddr,
        stop: &AtomicBool,
        progress: &AtomicU64,
    ) -> Result<End, Violation> {
        let Ok(mut wire) = Wire::connect(address) else {
            return Ok(End::Cut);
        };
        let mut sent = 0;
        loop {
            let is_open = sent < self.unanswered.len() || !stop.load(Ordering::Relaxed);
            if is_open && sent < self.unanswered_max() {
                if sent == self.unanswered.len() {
                    let batch = self.next_batch();
                    self.unanswered.push_back(batch);
                }
                let batch = self.unanswered[sent].clone();
                if self.send(&mut wire, &batch).is_err() {
                    return Ok(End::Cut);
                }
                sent += 1;
                continue;
            }
            if sent == 0 {
                return Ok(End::Stopped);
            }
            let Ok(answer) = wire.answer::<ProduceRequest>(PRODUCE_VERSION) else {
                return Ok(End::Cut);
            };
            let part = &answer.responses[0].partition_responses[0];
            if part.error_code != ErrorCode::NONE {
                return Ok(End::Refused(part.error_code));
            }
            let batch = self
                .unanswered
                .pop_front()
                .expect("a batch that is answered");
            sent -= 1;
            let offset = part.base_offset.get();
            if u64::try_from(offset) != Ok(batch.first) {
                let text = format!(
                    "{}: batch {} acknowledged at {offset}",
                    self.name, batch.first
                );
                return Err(wrong(Wrong::Changed, text));
            }
            self.acknowledged = batch.end;
            progress.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads the partition from its beginning to its end and compares; the number of records.
    pub fn read(&self, address: SocketAddr) -> Result<u64, Violation> {
        let refused = |text: String| wrong(Wrong::Refused, format!("{}: {text}", self.name));
        let mut wire = Wire::connect(address).map_err(|error| refused(error.to_string()))?;
        let mut next = 0;
        loop {
            let request = FetchRequest {
                max_wait_ms: 0,
                max_bytes: FETCH_BYTES,
                topics: vec![FetchTopic {
                    topic_id: self.topic,
                    partitions: vec![FetchPartition {
                        partition: PartitionIndex::new(self.partition),
                        fetch_offset: Offset::new(i64::try_from(next).unwrap()),
                        partition_max_bytes: FETCH_BYTES,
                        ..FetchPartition::default()
                    }],
                    ..FetchTopic::default()
                }],
                ..FetchRequest::default()
            };
            let answer = wire.call(FETCH_VERSION, &request);
            let mut answer = answer.map_err(|error| refused(format!("at {next}: {error}")))?;
            let data = &mut answer.responses[0].partitions[0];
            if data.error_code != ErrorCode::NONE {
                return Err(refused(format!("at {next}: {:?}", data.error_code)));
            }
            let bytes = data.records.take().unwrap_or_default().into_bytes();
            if bytes.is_empty() {
                let end = u64::try_from(data.high_watermark.get()).unwrap_or(0);
                if end != next {
                    return Err(refused(format!("ends at {next}, says {end}")));
                }
                return Ok(next);
            }
            next = self.compare(&bytes, next)?;
        }
    }

    /// Compares what a fetch gave; the offset to go on with.
    fn compare(&self, bytes: &Bytes, from: u64) -> Result<u64, Violation> {
        let changed = |text: String| wrong(Wrong::Changed, format!("{}: {text}", self.name));
        let mut next = from;
        for batch in batches(bytes) {
            let batch = batch.map_err(|error| changed(format!("after {next}: {error}")))?;
            batch
                .check_crc()
                .map_err(|error| changed(format!("after {next}: {error}")))?;
            for record in batch.records(BATCH_BYTES_MAX * 4) {
                let record = record.map_err(|error| changed(format!("after {next}: {error}")))?;
                let offset = batch.header().record_offset(record.offset_delta).get();
                if u64::try_from(offset) != Ok(next) {
                    return Err(changed(format!(
                        "record {next} expected, offset {offset} read"
                    )));
                }
                if next >= self.sent() {
                    return Err(changed(format!("record {next} was never sent")));
                }
                if record.value.unwrap_or_default() != self.value(next) {
                    return Err(changed(format!("record {next} has other bytes")));
                }
                next += 1;
            }
        }
        Ok(next)
    }

    /// Reads everything after a fault and compares it with what was acknowledged. After a power cut
    /// (`is_cut`), a partition of class [`Durability::Written`] may end earlier; the number of records
    /// it lost is returned.
    pub fn check(&mut self, address: SocketAddr, is_cut: bool) -> Result<u64, Violation> {
        let end = self.read(address)?;
        let may_lose = is_cut && self.durability == Durability::Written;
        if end < self.acknowledged && !may_lose {
            let text = format!(
                "{}: {} records acknowledged, {end} kept",
                self.name, self.acknowledged
            );
            return Err(wrong(Wrong::Lost, text));
        }
        let is_boundary = self.unanswered.iter().any(|batch| batch.end == end);
        if end > self.acknowledged && !is_boundary {
            let text = format!("{}: ends at {end}, inside of a batch", self.name);
            return Err(wrong(Wrong::Changed, text));
        }
        let lost = self.acknowledged.saturating_sub(end);
        if self.producer.0 == ProducerId::NONE {
            // Nothing tells a repeat from a new record: go on behind what is there, in a new era.
            self.unanswered.clear();
            self.acknowledged = end;
            let era = self.eras.last().map_or(0, |(_, era)| *era);
            self.eras.retain(|(first, _)| *first < end || *first == 0);
            self.eras.push((end, era + 1));
        }
        Ok(lost)
    }
}
