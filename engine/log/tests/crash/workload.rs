//! A small workload: one driver a partition, each drawing its own steps from the seed.
//!
//! Every operation is told to the oracle before the store hears of it, every acknowledgement when
//! the listener does. Drivers do not wait for acknowledgements unless a step says so, so frames
//! are in flight when the crash comes.

use super::model::{Op, Stored};
use super::oracle::{Oracle, read_all};
use bytes::{Bytes, BytesMut};
use engine_codec::{
    BatchBuilder, BatchOptions, RecordData, set_broker_fields, stamp_log_append_time,
};
use engine_log::{
    AppendError, AppendOptions, Appended, Durability, LogConfig, LogFailure, LogListener, Origin,
    PartitionLog, Store, TimestampType,
};
use engine_model::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicPartition,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub type Shared = Rc<RefCell<Oracle>>;

/// What a partition's driver tends to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// Idempotent producers with retries, small batches of one size.
    Producers,
    /// Class `written`.
    Written,
    /// Truncations, follower appends, epochs, deletion.
    Replica,
    /// Large batches, rolled segments, stamped times, a moving start.
    Large,
}

pub const CHARACTERS: [Character; 4] = [
    Character::Producers,
    Character::Written,
    Character::Replica,
    Character::Large,
];

pub fn partition(number: usize) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId::from_bytes([0x0d; 16]),
        partition: PartitionIndex::new(i32::try_from(number).unwrap()),
    }
}

pub fn config(character: Character) -> LogConfig {
    let written = character == Character::Written;
    let large = character == Character::Large;
    LogConfig {
        durability: if written {
            Durability::Written
        } else {
            Durability::Fsync
        },
        segment_bytes: if large { 64 << 10 } else { 24 << 10 },
        max_message_bytes: 48 << 10,
        timestamp_type: if large {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        },
        ..LogConfig::default()
    }
}

/// SplitMix64: enough to draw steps, and the same everywhere.
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap())).unwrap()
    }
}

/// Tells the oracle what the log shows.
struct Ends {
    oracle: Shared,
    key: TopicPartition,
    log: RefCell<Option<PartitionLog>>,
}

impl LogListener for Ends {
    fn ends_moved(&self) {
        let log = self.log.borrow();
        let Some(log) = log.as_ref() else { return };
        let stable_end = log.stable_end();
        let mut oracle = self.oracle.borrow_mut();
        if stable_end > log.log_end_offset() {
            oracle.fail(format!(
                "{} is stable up to {stable_end}, past its end",
                self.key
            ));
        }
        let partition = oracle.partitions.get_mut(&self.key).unwrap();
        let more = partition.ends(stable_end.get(), log.written_end().get());
        oracle.acknowledged += more;
    }

    fn failed(&self, _failure: LogFailure) {}
}

/// Breaks the circle between log and listener when the driver ends or is dropped.
struct Listening(Rc<Ends>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.log.borrow_mut().take();
    }
}

/// One partition's driver.
pub struct Driver {
    store: Store,
    oracle: Shared,
    key: TopicPartition,
    character: Character,
    draw: Draw,
    log: Option<PartitionLog>,
    listening: Option<Listening>,
    epoch: i32,
    /// Whether this epoch was begun since the last truncation.
    leads: bool,
    now: i64,
}

type Outcome = Result<(), String>;

impl Driver {
    pub fn new(store: Store, oracle: Shared, number: usize, seed: u64) -> Self {
        let character = CHARACTERS[number % CHARACTERS.len()];
        let key = partition(number);
        Self {
            log: store.find(key),
            store,
            oracle,
            key,
            character,
            draw: Draw(
                seed.wrapping_mul(31)
                    .wrapping_add(u64::try_from(number).unwrap()),
            ),
            listening: None,
            epoch: 0,
            leads: false,
            now: 1_700_000_000_000,
        }
    }

    /// Runs `steps` steps; the first thing that went wrong is the oracle's failure.
    pub async fn run(mut self, steps: usize) {
        if let Err(what) = self.steps(steps).await {
            let what = format!("partition {}: {what}", self.key.partition);
            self.oracle.borrow_mut().fail(what);
        }
    }

    /// Appends a little and waits until it is stable: what a lane holds at the end.
    pub async fn run_appends(mut self, count: usize) {
        if let Err(what) = self.appends(count).await {
            let what = format!("partition {}, at the end: {what}", self.key.partition);
            self.oracle.borrow_mut().fail(what);
        }
    }

    async fn appends(&mut self, count: usize) -> Outcome {
        self.take_up().await?;
        for _ in 0..count {
            if self.log.is_some() {
                self.append().await?;
            }
        }
        self.wait_stable().await
    }

    /// Takes the log up where a life, or a driver, left it.
    async fn take_up(&mut self) -> Outcome {
        if let Some(log) = self.log.clone() {
            log.set_config(config(self.character))
                .await
                .map_err(|e| e.to_string())?;
            self.listen(&log);
            self.epoch = self.with(|p| p.state.epochs.latest().get()).max(0);
        }
        Ok(())
    }

    async fn steps(&mut self, steps: usize) -> Outcome {
        self.take_up().await?;
        for _ in 0..steps {
            if self.log.is_none() {
                self.create().await?;
            } else {
                self.step().await?;
            }
        }
        if self.draw.below(2) == 0 {
            self.wait_stable().await?;
        }
        Ok(())
    }

    fn with<T>(&self, look: impl FnOnce(&mut super::oracle::Partition) -> T) -> T {
        let mut oracle = self.oracle.borrow_mut();
        look(oracle.partitions.get_mut(&self.key).unwrap())
    }

    fn begin(&self, op: Op) {
        self.with(|partition| partition.begin(op));
    }

    fn log(&self) -> PartitionLog {
        self.log.clone().unwrap()
    }

    fn listen(&mut self, log: &PartitionLog) {
        let ends = Rc::new(Ends {
            oracle: Rc::clone(&self.oracle),
            key: self.key,
            log: RefCell::new(Some(log.clone())),
        });
        log.set_listener(Rc::clone(&ends) as Rc<dyn LogListener>);
        self.listening = Some(Listening(ends));
    }

    async fn create(&mut self) -> Outcome {
        self.begin(Op::Create);
        let created = self.store.create(self.key, config(self.character)).await;
        let log = created.map_err(|error| format!("create: {error}"))?;
        self.with(|partition| {
            partition.all_durable();
            partition.created_as(log.id());
        });
        self.oracle.borrow_mut().acknowledged += 1;
        self.listen(&log);
        self.log = Some(log);
        self.leads = false;
        Ok(())
    }

    async fn step(&mut self) -> Outcome {
        use Character::{Large, Producers, Replica, Written};
        match (self.character, self.draw.below(20)) {
            (_, 0) => {
                let pause = Duration::from_micros(50 + self.draw.below(3000));
                engine_rt::sleep(pause).await;
                Ok(())
            }
            (_, 1) => self.wait_stable().await,
            (_, 2) => self.read_back().await,
            (_, 3) | (Replica, 4) => self.next_epoch().await,
            (Replica, 5..=7) | (Large | Written, 16) => self.truncate().await,
            (Replica, 8) => self.truncate_fully().await,
            (Replica, 9..=13) => self.follow().await,
            (Replica, 14) => self.delete().await,
            (Large | Replica | Producers, 15) => self.advance_start().await,
            (Producers, 4..=8) => self.retry().await,
            (Producers, 9) => self.out_of_order().await,
            _ => self.append().await,
        }
    }

    async fn next_epoch(&mut self) -> Outcome {
        self.epoch += 1;
        self.begin(Op::Epoch(self.epoch));
        self.leads = true;
        let begun = self
            .log()
            .begin_leader_epoch(LeaderEpoch::new(self.epoch))
            .await;
        begun.map_err(|error| format!("epoch {}: {error}", self.epoch))
    }

    fn options(&self) -> AppendOptions {
        AppendOptions {
            leader_epoch: LeaderEpoch::new(self.epoch),
            now: Timestamp(self.now),
            origin: Origin::Client,
        }
    }

    /// A batch as a producer sends it.
    fn batch(&mut self, producer: Option<(ProducerId, ProducerEpoch, Sequence)>) -> Bytes {
        self.now += 1;
        let records = 1 + self.draw.below(3);
        let bytes = match (self.character, self.draw.below(10)) {
            (Character::Large, 0..=3) => 30_000 + self.draw.below(15_000),
            (Character::Large, _) => self.draw.below(9_000),
            (Character::Producers, _) => 100,
            (_, 0) => self.draw.below(12_000),
            (_, 1 | 2) => 2_000,
            _ => 60 + self.draw.below(400),
        };
        self.build(producer, records, bytes, Offset::ZERO, LeaderEpoch::NONE)
    }

    fn build(
        &mut self,
        producer: Option<(ProducerId, ProducerEpoch, Sequence)>,
        records: u64,
        bytes: u64,
        base_offset: Offset,
        partition_leader_epoch: LeaderEpoch,
    ) -> Bytes {
        let none = (ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE);
        let (producer_id, producer_epoch, base_sequence) = producer.unwrap_or(none);
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset,
            partition_leader_epoch,
            producer_id,
            producer_epoch,
            base_sequence,
            ..BatchOptions::default()
        });
        let filler = self.draw.next().to_le_bytes();
        let each = usize::try_from(bytes / records).unwrap();
        for record in 0..records {
            let key = [filler.as_slice(), &record.to_le_bytes()].concat();
            let value: Vec<u8> = filler.iter().copied().cycle().take(each).collect();
            let taken = builder.append(&RecordData {
                timestamp: Timestamp(self.now),
                key: Some(&key),
                value: Some(&value),
                headers: &[],
            });
            assert!(taken.unwrap());
        }
        builder.build().unwrap()
    }

    /// The batch as the log will hold it.
    fn as_stored(&self, batch: &Bytes) -> Stored {
        let mut bytes = BytesMut::from(&batch[..]);
        let end = Offset::new(self.with(|partition| partition.state.end));
        set_broker_fields(&mut bytes, end, LeaderEpoch::new(self.epoch)).unwrap();
        if config(self.character).timestamp_type == TimestampType::LogAppendTime {
            stamp_log_append_time(&mut bytes, Timestamp(self.now)).unwrap();
        }
        Stored::all(&bytes.freeze()).remove(0)
    }

    async fn append(&mut self) -> Outcome {
        if !self.leads {
            self.next_epoch().await?;
        }
        let producer = self.next_of_a_producer();
        let batch = self.batch(producer);
        self.append_batch(batch).await
    }

    fn next_of_a_producer(&mut self) -> Option<(ProducerId, ProducerEpoch, Sequence)> {
        if self.character != Character::Producers && self.draw.below(3) > 0 {
            return None;
        }
        let id = ProducerId(i64::try_from(self.draw.below(3)).unwrap());
        let bump = self.draw.below(12) == 0;
        let start = Sequence::new(i32::try_from(self.draw.below(3)).unwrap() * 1000);
        Some(
            self.with(|partition| match partition.state.producers.get(id) {
                // Any sequence would do where nothing is known, and nothing here may be.
                _ if partition.state.uncertain.contains(&id) => {
                    (ProducerId(id.0 + 100), ProducerEpoch::ZERO, Sequence::NONE)
                }
                None => (id, ProducerEpoch::ZERO, start),
                Some(known) if bump => (id, known.epoch().saturating_next(), Sequence::ZERO),
                Some(known) => (id, known.epoch(), known.last_sequence().wrapping_add(1)),
            }),
        )
        .filter(|(_, _, sequence)| *sequence != Sequence::NONE)
    }

    async fn append_batch(&mut self, batch: Bytes) -> Outcome {
        let stored = self.as_stored(&batch);
        let expected = (stored.base(), stored.last());
        self.begin(Op::Append(vec![stored]));
        let answer = self.log().append(batch, self.options()).await;
        let appended = answer.map_err(|error| format!("append at {}: {error}", expected.0))?;
        Self::expect(appended, expected, false)
    }

    fn expect(appended: Appended, expected: (i64, i64), duplicate: bool) -> Outcome {
        let found = (appended.base_offset.get(), appended.last_offset.get());
        if found == expected && appended.duplicate == duplicate {
            Ok(())
        } else {
            Err(format!(
                "{appended:?} where {expected:?} (duplicate: {duplicate}) was right"
            ))
        }
    }

    /// Sends one of the last five batches of a producer again.
    async fn retry(&mut self) -> Outcome {
        let id = ProducerId(i64::try_from(self.draw.below(3)).unwrap());
        let back = self.draw.index(5);
        let known = self.with(|partition| {
            let state = &partition.state;
            let producer = state.producers.get(id)?;
            let remembered = producer.batches().iter().rev().nth(back)?;
            let is_certain = !state.uncertain.contains(&id);
            is_certain.then_some((producer.epoch(), *remembered))
        });
        let Some((epoch, remembered)) = known else {
            return self.append().await;
        };
        if !self.leads {
            self.next_epoch().await?;
        }
        let offsets = (remembered.first_offset.get(), remembered.last_offset.get());
        let records = u64::try_from(offsets.1 - offsets.0 + 1).unwrap();
        let producer = Some((id, epoch, remembered.first_sequence));
        let batch = self.build(producer, records, 100, Offset::ZERO, LeaderEpoch::NONE);
        let answer = self.log().append(batch, self.options()).await;
        let appended = answer.map_err(|error| format!("retry of {offsets:?}: {error}"))?;
        Self::expect(appended, offsets, true)
    }

    /// Sends a batch that leaves sequences out, and one of an older epoch.
    async fn out_of_order(&mut self) -> Outcome {
        let id = ProducerId(i64::try_from(self.draw.below(3)).unwrap());
        let known = self.with(|partition| {
            let state = &partition.state;
            let producer = state.producers.get(id)?;
            let is_certain = !state.uncertain.contains(&id);
            is_certain.then(|| (producer.epoch(), producer.last_sequence()))
        });
        let Some((epoch, last)) = known else {
            return Ok(());
        };
        if !self.leads {
            self.next_epoch().await?;
        }
        let gap = Some((id, epoch, last.wrapping_add(1001)));
        let batch = self.build(gap, 1, 100, Offset::ZERO, LeaderEpoch::NONE);
        match self.log().append(batch, self.options()).await {
            Err(AppendError::OutOfOrderSequence { .. }) => {}
            other => return Err(format!("a gap in the sequence: {other:?}")),
        }
        if epoch > ProducerEpoch::ZERO {
            let old = ProducerEpoch::new(epoch.get() - 1);
            let batch = self.build(
                Some((id, old, last.wrapping_add(1))),
                1,
                100,
                Offset::ZERO,
                LeaderEpoch::NONE,
            );
            match self.log().append(batch, self.options()).await {
                Err(AppendError::InvalidProducerEpoch { .. }) => {}
                other => return Err(format!("an old producer epoch: {other:?}")),
            }
        }
        Ok(())
    }

    /// Appends one to three batches as a leader elsewhere wrote them, gaps and epochs included.
    async fn follow(&mut self) -> Outcome {
        self.leads = false;
        self.epoch += i32::try_from(self.draw.below(2)).unwrap();
        let mut next = self.with(|partition| partition.state.end);
        let mut records = BytesMut::new();
        for _ in 0..=self.draw.below(3) {
            next += i64::try_from(self.draw.below(4)).unwrap() / 2;
            self.now += 1;
            let (count, bytes) = (1 + self.draw.below(3), 60 + self.draw.below(3_000));
            let epoch = LeaderEpoch::new(self.epoch);
            let batch = self.build(None, count, bytes, Offset::new(next), epoch);
            next += i64::try_from(count).unwrap();
            records.extend_from_slice(&batch);
        }
        let records = records.freeze();
        let stored = Stored::all(&records);
        let expected = (stored[0].base(), next - 1);
        // Each batch is an entry of its own: a crash may come between them.
        for batch in stored {
            self.begin(Op::Append(vec![batch]));
        }
        let answer = self.log().append_as_follower(records).await;
        let appended = answer.map_err(|error| format!("follow at {}: {error}", expected.0))?;
        Self::expect(appended, expected, false)
    }

    async fn truncate(&mut self) -> Outcome {
        let places = self.with(|partition| {
            let state = &partition.state;
            let inner = state
                .batches
                .iter()
                .filter(|batch| batch.base() >= state.start);
            inner
                .map(|batch| (batch.base(), batch.last()))
                .collect::<Vec<_>>()
        });
        // Mostly near the end, as truncations are.
        let near = places.len().min(6);
        let Some((base, last)) = places.iter().rev().nth(self.draw.index(near)).copied() else {
            return Ok(());
        };
        let within = self.draw.below(u64::try_from(last - base + 1).unwrap());
        let offset = base + i64::try_from(within).unwrap();
        self.begin(Op::TruncateTo(offset));
        self.leads = false;
        let cut = self.log().truncate_to(Offset::new(offset)).await;
        cut.map_err(|error| format!("truncate to {offset}: {error}"))?;
        let end = self.with(|partition| partition.state.end);
        let found = self.log().log_end_offset().get();
        if found != end {
            return Err(format!(
                "truncated to {offset} it ends at {found} instead of {end}"
            ));
        }
        Ok(())
    }

    async fn truncate_fully(&mut self) -> Outcome {
        let end = self.with(|partition| partition.state.end);
        // Behind the end, as when a leader's log starts there; or anywhere before it.
        let offset = match self.draw.below(2) {
            0 => end + i64::try_from(self.draw.below(20)).unwrap(),
            _ => i64::try_from(self.draw.below(u64::try_from(end + 1).unwrap())).unwrap(),
        };
        self.begin(Op::TruncateFully(offset));
        self.leads = false;
        let cut = self
            .log()
            .truncate_fully_and_start_at(Offset::new(offset))
            .await;
        cut.map_err(|error| format!("start anew at {offset}: {error}"))
    }

    async fn advance_start(&mut self) -> Outcome {
        let (start, stable) = {
            let log = self.log();
            (log.log_start_offset().get(), log.stable_end().get())
        };
        if stable <= start {
            return Ok(());
        }
        let by = 1 + self.draw.below(u64::try_from(stable - start).unwrap());
        let offset = start + i64::try_from(by).unwrap();
        self.begin(Op::LogStart(offset));
        let moved = self.log().advance_log_start(Offset::new(offset)).await;
        moved.map_err(|error| format!("log start {offset}: {error}"))?;
        self.with(super::oracle::Partition::all_durable);
        self.oracle.borrow_mut().acknowledged += 1;
        Ok(())
    }

    async fn delete(&mut self) -> Outcome {
        if self.draw.below(2) == 0 {
            return Ok(());
        }
        self.begin(Op::Delete);
        self.listening = None;
        self.log = None;
        let deleted = self.store.delete(self.key).await;
        deleted.map_err(|error| format!("delete: {error}"))?;
        self.with(super::oracle::Partition::all_durable);
        self.oracle.borrow_mut().acknowledged += 1;
        if self.store.find(self.key).is_some() {
            return Err("a deleted log is still there".to_owned());
        }
        Ok(())
    }

    async fn wait_stable(&mut self) -> Outcome {
        let Some(log) = self.log.clone() else {
            return Ok(());
        };
        let end = log.log_end_offset();
        for _ in 0..20_000 {
            if log.stable_end() >= end {
                return Ok(());
            }
            engine_rt::sleep(Duration::from_micros(500)).await;
        }
        Err(format!(
            "{} of {end} stable after ten seconds",
            log.stable_end()
        ))
    }

    /// Reads what is acknowledged and compares it.
    async fn read_back(&mut self) -> Outcome {
        let log = self.log();
        let (start, end) = (log.log_start_offset(), log.stable_end());
        let read = read_all(&log, start, end).await?;
        let expected = self.with(|partition| partition.state.bytes_below(end.get()));
        if read != expected {
            let (found, wanted) = (read.len(), expected.len());
            return Err(format!(
                "reading {start}..{end} gave {found} bytes, not those {wanted}"
            ));
        }
        Ok(())
    }
}

/// Sends every remembered batch of every producer again and a gap after it: the answers show the
/// whole table of producers.
pub async fn probe_producers(store: &Store, oracle: &Shared) -> Outcome {
    let keys: Vec<_> = oracle.borrow().partitions.keys().copied().collect();
    for (number, key) in keys.into_iter().enumerate() {
        let Some(log) = store.find(key) else { continue };
        let state = oracle.borrow().partitions[&key].state.clone();
        let mut driver = Driver::new(store.clone(), Rc::clone(oracle), number, 1);
        driver.epoch = state.epochs.latest().get().max(0);
        driver.log = Some(log);
        driver.next_epoch().await?;
        for (id, producer) in state.producers.iter() {
            if state.uncertain.contains(&id) {
                continue;
            }
            for remembered in producer.batches() {
                let offsets = (remembered.first_offset.get(), remembered.last_offset.get());
                let records = u64::try_from(offsets.1 - offsets.0 + 1).unwrap();
                let fields = Some((id, producer.epoch(), remembered.first_sequence));
                let batch = driver.build(fields, records, 100, Offset::ZERO, LeaderEpoch::NONE);
                let answer = driver.log().append(batch, driver.options()).await;
                answer
                    .map_err(|error| error.to_string())
                    .and_then(|appended| Driver::expect(appended, offsets, true))
                    .map_err(|what| format!("partition {number}, producer {id}: {what}"))?;
            }
            let gap = producer.last_sequence().wrapping_add(5);
            let fields = Some((id, producer.epoch(), gap));
            let batch = driver.build(fields, 1, 100, Offset::ZERO, LeaderEpoch::NONE);
            let answer = driver.log().append(batch, driver.options()).await;
            if !matches!(answer, Err(AppendError::OutOfOrderSequence { .. })) {
                return Err(format!(
                    "partition {number}, producer {id}, a gap: {answer:?}"
                ));
            }
        }
    }
    Ok(())
}
