//! What was asked of the store, what it acknowledged, and what it may therefore hold afterwards.
//!
//! The rule: after a crash a partition is what some prefix of its operations makes of it, and
//! that prefix contains every operation that was acknowledged for this kind of crash. Nothing
//! acknowledged is missing, nothing is reordered or changed, nothing else is there.

use super::model::{LogState, Op};
use bytes::Bytes;
use engine_log::{Durability, PartitionLog, ReadOptions};
use engine_model::{LeaderEpoch, LogId, Offset, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// How the life before this one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was none, or its end was checked already.
    Checked,
    /// With a clean stop.
    Clean,
    Kill,
    Power,
    /// Damage took what was acknowledged: what is left must still be what there was once.
    Lost,
}

/// One partition's past and what of it must survive.
#[derive(Clone)]
pub struct Partition {
    pub durability: Durability,
    /// Records may be missing of which a later one has the same key.
    pub is_compacted: bool,
    /// What it was when this life began.
    base: LogState,
    ops: Vec<Op>,
    /// What it is now, all operations applied.
    pub state: LogState,
    /// How many of the operations survive a kill.
    floor_kill: usize,
    /// How many of them survive a power cut.
    floor_power: usize,
}

/// A partition as read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Dump {
    pub id: LogId,
    pub start: i64,
    pub end: i64,
    pub stable_end: i64,
    pub bytes: Bytes,
    /// For each epoch from 0 on, what OffsetForLeaderEpoch answers.
    pub epoch_ends: Vec<Option<(LeaderEpoch, Offset)>>,
}

#[derive(Clone, Default)]
pub struct Oracle {
    pub partitions: BTreeMap<TopicPartition, Partition>,
    /// The first thing that went wrong while the store ran.
    pub failure: Option<String>,
    /// Whether the end of the life before was checked.
    pub is_checked: bool,
    /// Whether the store served when this life ended: its stop was then not a clean one.
    pub is_serving: bool,
    /// Every identity that a log ever had.
    pub ids: BTreeSet<LogId>,
    /// Operations acknowledged in all lives: a test in which nothing was has shown nothing.
    pub acknowledged: usize,
    /// Segments that compaction replaced in this life, as far as it was asked.
    pub compactions: u64,
}

/// One more than the largest epoch any workload reaches.
pub const EPOCHS_ASKED: i32 = 80;

impl Dump {
    pub async fn of(log: &PartitionLog) -> Result<Self, String> {
        let start = log.log_start_offset();
        let end = log.log_end_offset();
        let bytes = read_all(log, start, end).await?;
        Ok(Self {
            id: log.id(),
            start: start.get(),
            end: end.get(),
            stable_end: log.stable_end().get(),
            bytes,
            epoch_ends: (0..EPOCHS_ASKED)
                .map(|epoch| log.end_offset_for_epoch(LeaderEpoch::new(epoch)))
                .collect(),
        })
    }

    /// The first difference from what the partition would be in `state`.
    fn differs(&self, state: &LogState, is_compacted: bool) -> Option<String> {
        let epoch_ends: Vec<_> = (0..EPOCHS_ASKED)
            .map(|epoch| {
                state
                    .epochs
                    .end_offset_for(LeaderEpoch::new(epoch), Offset::new(state.end))
            })
            .collect();
        if !state.exists {
            Some("it should not be there".to_owned())
        } else if state.id.is_some_and(|id| id != self.id) {
            Some(format!("id {} instead of {:?}", self.id, state.id))
        } else if self.end != state.end {
            Some(format!("end {} instead of {}", self.end, state.end))
        } else if self.start != state.start {
            Some(format!("start {} instead of {}", self.start, state.start))
        } else if self.stable_end != state.end {
            let stable = self.stable_end;
            Some(format!(
                "after a start only {stable} of {} is stable",
                self.end
            ))
        } else if let Some(what) = is_compacted
            .then(|| state.differs_compacted(&self.bytes, i64::MAX))
            .flatten()
        {
            Some(what)
        } else if !is_compacted && self.bytes != state.bytes_below(i64::MAX) {
            Some(records_differ(&self.bytes, state))
        } else if self.epoch_ends != epoch_ends {
            Some(format!(
                "epochs {:?} instead of {:?}",
                self.epoch_ends.iter().flatten().collect::<Vec<_>>(),
                epoch_ends.iter().flatten().collect::<Vec<_>>()
            ))
        } else {
            None
        }
    }
}

/// Which batches are not what they should be.
fn records_differ(found: &Bytes, state: &LogState) -> String {
    let list = |bytes: &Bytes| -> Vec<_> {
        let whole = engine_codec::batches(bytes).flatten();
        whole
            .map(|batch| {
                let header = *batch.header();
                let bytes = batch.bytes().len();
                (
                    header.base_offset.get(),
                    header.last_offset().get(),
                    header.partition_leader_epoch.get(),
                    header.max_timestamp.0,
                    bytes,
                    header.crc,
                )
            })
            .collect()
    };
    let found = list(found);
    let wanted = list(&Bytes::from(state.bytes_below(i64::MAX)));
    let place = found.iter().zip(&wanted).position(|(f, w)| f != w);
    let place = place.unwrap_or(found.len().min(wanted.len()));
    format!(
        "of {} batches (base, last, epoch, time, bytes, crc) number {place} is {:?} instead of {:?} of {}",
        found.len(),
        found.get(place),
        wanted.get(place),
        wanted.len()
    )
}

/// Reads everything in `start..end` in small and uneven bites.
pub async fn read_all(log: &PartitionLog, start: Offset, end: Offset) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let mut offset = start;
    let mut bite = 700;
    while offset < end {
        let options = ReadOptions {
            offset,
            end,
            bytes_max: bite,
            at_least_one: true,
        };
        let answer = log
            .read(options)
            .await
            .map_err(|error| format!("read at {offset} of {start}..{end}: {error}"))?;
        let count: usize = answer.chunks.iter().map(Bytes::len).sum();
        if count != answer.bytes {
            return Err(format!(
                "read at {offset}: {count} bytes, {} said",
                answer.bytes
            ));
        }
        answer
            .chunks
            .iter()
            .for_each(|chunk| bytes.extend_from_slice(chunk));
        if answer.next_offset <= offset || count == 0 {
            // What is left is a gap at the end: nothing to read below the bound.
            break;
        }
        offset = answer.next_offset;
        bite = bite * 3 % 50_000 + 100;
    }
    Ok(bytes.into())
}

impl Partition {
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            is_compacted: false,
            base: LogState::default(),
            ops: Vec::new(),
            state: LogState::default(),
            floor_kill: 0,
            floor_power: 0,
        }
    }

    /// Notes an operation that is about to be asked for; its number.
    pub fn begin(&mut self, op: Op) -> usize {
        self.state.apply(&op);
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// All operations so far are durable.
    pub fn all_durable(&mut self) {
        self.floor_kill = self.ops.len();
        self.floor_power = self.ops.len();
    }

    /// The log was created as `id`.
    pub fn created_as(&mut self, id: LogId) {
        self.state.id = Some(id);
    }

    /// The ends the log shows; returns how many more operations are acknowledged by them.
    pub fn ends(&mut self, stable_end: i64, written_end: i64) -> usize {
        let before = self.floor_kill.max(self.floor_power);
        let below = |end: i64, ops: &[Op]| {
            let since = ops.iter().rposition(Op::resets_ends).map_or(0, |at| at + 1);
            let known = ops.get(since..).unwrap_or_default();
            let acknowledged = known.iter().rposition(|op| match op {
                Op::Append(stored) => stored.last().is_some_and(|batch| batch.last() < end),
                _ => false,
            });
            acknowledged.map_or(0, |at| since + at + 1)
        };
        let stable = below(stable_end, &self.ops);
        let written = below(written_end, &self.ops);
        if self.durability == Durability::Fsync {
            self.floor_power = self.floor_power.max(stable);
        }
        self.floor_kill = self.floor_kill.max(stable).max(written);
        self.floor_kill.max(self.floor_power) - before
    }

    /// Which prefix of the operations the log is, among those the crash allows; the base of the
    /// next life, or what does not fit.
    fn judge(&self, ended: Ended, dump: Option<&Dump>) -> Result<LogState, String> {
        let floor = match ended {
            Ended::Kill => self.floor_kill.max(self.floor_power),
            Ended::Power => self.floor_power,
            Ended::Lost => 0,
            Ended::Clean | Ended::Checked => self.ops.len(),
        };
        let mut state = self.base.clone();
        let mut found = None;
        let mut reasons = Vec::new();
        for count in 0..=self.ops.len() {
            if let Some(op) = count.checked_sub(1).and_then(|at| self.ops.get(at)) {
                state.apply(op);
            }
            if count < floor {
                continue;
            }
            let difference = match dump {
                Some(dump) => dump.differs(&state, self.is_compacted),
                None if state.exists => Some("it is not there".to_owned()),
                None => None,
            };
            match difference {
                None => found = Some(state.clone()),
                Some(reason) => reasons.push(format!("    {count} operations: {reason}")),
            }
        }
        found
            .map(|mut state| {
                state.id = dump.map(|dump| dump.id);
                state
            })
            .ok_or_else(|| {
                let ops: Vec<_> = self.ops.iter().map(Op::name).collect();
                format!(
                    "after {ended:?} none of {floor}..={} operations gives what is there\n  {}\n{}",
                    self.ops.len(),
                    ops.join(", "),
                    reasons.join("\n")
                )
            })
    }
}

impl Oracle {
    pub fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    /// Compares what a start has found with what may be there, and begins the next life.
    /// Partitions that the start found damaged are left out.
    pub fn check(
        &mut self,
        ended: Ended,
        dumps: &BTreeMap<TopicPartition, Dump>,
        damaged: &BTreeSet<TopicPartition>,
    ) -> Result<(), String> {
        if let Some(unknown) = dumps.keys().find(|key| !self.partitions.contains_key(key)) {
            return Err(format!("a log of {unknown}, which nobody made"));
        }
        for (key, partition) in &mut self.partitions {
            if damaged.contains(key) {
                continue;
            }
            let state = partition
                .judge(ended, dumps.get(key))
                .map_err(|what| format!("partition {}: {what}", key.partition))?;
            partition.base = state.clone();
            partition.state = state;
            partition.ops.clear();
            partition.floor_kill = 0;
            partition.floor_power = 0;
        }
        self.ids.extend(dumps.values().map(|dump| dump.id));
        self.is_checked = true;
        self.is_serving = true;
        Ok(())
    }
}
