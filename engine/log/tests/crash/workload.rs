//! A small workload: one driver a partition, each drawing its own steps from the seed.
//!
//! Every operation is told to the oracle before the store hears of it, every acknowledgement when
//! the listener does. Drivers do not wait for acknowledgements unless a step says so, so frames
//! are in flight when the crash comes.

mod batch;
mod ends;
mod producers;
mod replica;
mod retention;

pub use producers::probe_producers;

use super::draw::Draw;
use super::model::Op;
use super::oracle::{Oracle, read_all};
use bytes::Bytes;
use ends::{Ends, Listening};
use engine_log::{
    AppendOptions, Appended, Durability, LogConfig, LogListener, Origin, PartitionLog, Store,
    TimestampType,
};
use engine_model::{LeaderEpoch, PartitionIndex, Timestamp, TopicId, TopicPartition};
use std::cell::{Cell, RefCell};
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
    /// Few keys, some tombstones, idempotent producers: compacted all the time.
    Compacted,
}

pub const CHARACTERS: [Character; 5] = [
    Character::Producers,
    Character::Written,
    Character::Replica,
    Character::Large,
    Character::Compacted,
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
    let compacted = character == Character::Compacted;
    LogConfig {
        durability: if written {
            Durability::Written
        } else {
            Durability::Fsync
        },
        segment_bytes: match character {
            Character::Large => 64 << 10,
            Character::Compacted => 4 << 10,
            _ => 24 << 10,
        },
        max_message_bytes: 48 << 10,
        file_delete_delay_ms: 20,
        timestamp_type: if large {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        },
        compacted,
        min_cleanable_dirty_ratio: 0.05,
        delete_retention_ms: 5,
        ..LogConfig::default()
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
    /// The disk turns bytes over, so that reads may be refused.
    is_rotten: bool,
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
            is_rotten: false,
        }
    }

    /// Reads may be refused, since the disk turns bytes over.
    pub fn on_a_rotten_disk(self, is_rotten: bool) -> Self {
        Self { is_rotten, ..self }
    }

    /// Runs `steps` steps; the first thing that went wrong is the oracle's failure.
    pub async fn run(mut self, steps: usize) {
        if let Err(what) = self.steps(steps).await
            && !self.is_excused(&what)
        {
            let what = format!("partition {}: {what}", self.key.partition);
            self.oracle.borrow_mut().fail(what);
        }
    }

    /// Whether a disk that was made to fail explains it: nothing goes on behind a fence, and what
    /// is known to be damaged is not served.
    fn is_excused(&self, what: &str) -> bool {
        self.store.fenced().is_some()
            || (self.is_rotten && (what.contains("damaged") || what.contains("offline")))
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
            retires: Cell::new(false),
        });
        log.set_listener(Rc::clone(&ends) as Rc<dyn LogListener>);
        self.listening = Some(Listening(ends));
    }

    fn may_retire(&self, retires: bool) {
        if let Some(listening) = &self.listening {
            listening.0.retires.set(retires);
        }
    }

    async fn create(&mut self) -> Outcome {
        self.begin(Op::Create);
        let created = self.store.create(self.key, config(self.character)).await;
        let log = created.map_err(|error| format!("create: {error}"))?;
        self.with(|partition| {
            partition.all_durable();
            partition.created_as(log.id());
        });
        let is_new = {
            let mut oracle = self.oracle.borrow_mut();
            oracle.acknowledged += 1;
            oracle.ids.insert(log.id())
        };
        if !is_new {
            return Err(format!("the identity {} is given again", log.id()));
        }
        self.listen(&log);
        self.log = Some(log);
        self.leads = false;
        Ok(())
    }

    async fn step(&mut self) -> Outcome {
        use Character::{Compacted, Large, Producers, Replica, Written};
        match (self.character, self.draw.below(20)) {
            (_, 0) => {
                let pause = Duration::from_micros(50 + self.draw.below(3000));
                engine_rt::sleep(pause).await;
                Ok(())
            }
            (Compacted, 15 | 19) if self.draw.below(4) > 0 => self.append().await,
            (Compacted, 16 | 17) => {
                // Long enough for a checkpoint, and then for compaction.
                self.wait_stable().await?;
                engine_rt::sleep(Duration::from_millis(600)).await;
                Ok(())
            }
            (_, 1) => self.wait_stable().await,
            (_, 2) => self.read_back().await,
            (_, 3) | (Replica, 4) => self.next_epoch().await,
            (Replica, 5..=7) | (Large | Written, 16) => self.truncate().await,
            (Replica, 8) | (Compacted, 19) => self.truncate_fully().await,
            (Replica, 9..=13) => self.follow().await,
            (Replica, 14) => self.delete().await,
            (Large | Replica | Producers | Compacted, 15) => self.advance_start().await,
            (Large | Written, 17) => self.retire().await,
            (Producers, 4..=8) | (Compacted, 4) => self.retry().await,
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

    async fn append(&mut self) -> Outcome {
        if !self.leads {
            self.next_epoch().await?;
        }
        let producer = self.next_of_a_producer();
        let batch = self.batch(producer);
        self.append_batch(batch).await
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
        if self.character == Character::Compacted {
            let differs =
                self.with(|partition| partition.state.differs_compacted(&read, end.get()));
            return differs.map_or(Ok(()), |what| {
                Err(format!("reading {start}..{end} of a compacted log: {what}"))
            });
        }
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
