//! Reading from replicas: records, offsets, ends of epochs. Nobody sees past the high watermark
//! who does not ask for the log's end.

use super::ReplicaManager;
use crate::error::ReplicaError;
use crate::partition_replica::PartitionReplica;
use bytes::Bytes;
use engine_log::{PartitionLog, ReadError, ReadOptions, TimestampOffset};
use engine_model::{LeaderEpoch, Offset, Timestamp, TopicPartition};

/// How far a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// To the high watermark.
    HighWatermark,
    /// To the last stable offset, which is the high watermark while there are no transactions.
    LastStableOffset,
    /// To the end of the log: a replica or a debugger.
    LogEnd,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    /// First offset wanted; a batch that holds it is returned whole.
    pub offset: Offset,
    /// The leader epoch the reader knows, or `NONE`.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record it read, or `NONE`.
    pub last_fetched_epoch: LeaderEpoch,
    /// Whole batches up to this many bytes.
    pub bytes_max: usize,
    /// Return the first batch even if it alone is larger.
    pub at_least_one: bool,
    /// How far the reader sees.
    pub horizon: Horizon,
}

/// What was read, and how the log stood in the turn that decided it.
#[derive(Clone, Debug)]
pub struct FetchAnswer {
    /// The end of what is committed.
    pub high_watermark: Offset,
    /// The end of what is decided.
    pub last_stable_offset: Offset,
    /// First offset that can be read.
    pub log_start_offset: Offset,
    /// Where the reader's log parts from this one: the epoch and where that ended. Nothing is read
    /// then.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Whole batches.
    pub chunks: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
    /// The offset after the last of them, or the one asked for.
    pub next_offset: Offset,
}

/// Which offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetTarget {
    /// The first one that can be read.
    Earliest,
    /// The end, as far as the reader sees.
    Latest,
    /// That of the first record with the largest time.
    MaxTimestamp,
    /// That of the first record at or after a time.
    Time(Timestamp),
    /// That of a tier other than the local one, of which there is none.
    Tiered,
}

/// An offset that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: Offset,
    /// The time of its record, or `NONE` where none was asked for.
    pub timestamp: Timestamp,
    /// The epoch of its record, or `NONE` where there is none.
    pub leader_epoch: LeaderEpoch,
}

impl From<TimestampOffset> for FoundOffset {
    fn from(found: TimestampOffset) -> Self {
        let TimestampOffset {
            offset,
            timestamp,
            leader_epoch,
        } = found;
        Self {
            offset,
            timestamp,
            leader_epoch,
        }
    }
}

impl ReplicaManager {
    /// Reads records.
    ///
    /// Errors: `Read(OffsetOutOfRange)` below the start or above the end of the log; `Refused`.
    /// Cancel: safe.
    pub async fn fetch(
        &self,
        partition: TopicPartition,
        options: FetchOptions,
    ) -> Result<FetchAnswer, ReplicaError> {
        let replica = self.replica(partition)?;
        if options.horizon != Horizon::LogEnd {
            replica.show_acknowledged(options.offset).await;
        }
        replica.check_leader(options.current_leader_epoch)?;
        let log = replica.log()?;
        let high_watermark = replica.high_watermark();
        let mut answer = FetchAnswer {
            high_watermark,
            last_stable_offset: high_watermark,
            log_start_offset: log.log_start_offset(),
            diverging: None,
            chunks: Vec::new(),
            bytes: 0,
            next_offset: options.offset,
        };
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let offset = options.offset;
        let out_of_range = ReadError::OffsetOutOfRange { offset, start, end };
        if offset < start {
            return Err(out_of_range.into());
        }
        // Before the end is looked at: a reader whose log is longer has to learn where to cut it.
        if options.last_fetched_epoch != LeaderEpoch::NONE {
            answer.diverging = diverging(log, options, start, end)?;
            if answer.diverging.is_some() {
                return Ok(answer);
            }
        }
        if offset > end {
            return Err(out_of_range.into());
        }
        let bound = horizon(&replica, log, options.horizon);
        let may_read = options.bytes_max > 0 || options.at_least_one;
        if offset < bound && may_read {
            let read = log
                .read(ReadOptions {
                    offset,
                    end: bound,
                    bytes_max: options.bytes_max,
                    at_least_one: options.at_least_one,
                })
                .await?;
            answer.chunks = read.chunks;
            answer.bytes = read.bytes;
            answer.next_offset = read.next_offset;
        }
        Ok(answer)
    }

    /// Counts the bytes of the batches from `offset` on that a reader sees, and where they end;
    /// `None` where that cannot be told without reading, or a read would be refused.
    pub fn bytes_from(
        &self,
        partition: TopicPartition,
        current_leader_epoch: LeaderEpoch,
        offset: Offset,
        reader: Horizon,
    ) -> Result<Option<(usize, Offset)>, ReplicaError> {
        let replica = self.replica(partition)?;
        replica.check_leader(current_leader_epoch)?;
        let log = replica.log()?;
        Ok(log.bytes_in_memory(offset, horizon(&replica, log, reader)))
    }

    /// Finds an offset; `None` where no record is so late.
    ///
    /// Cancel: safe.
    pub async fn list_offset(
        &self,
        partition: TopicPartition,
        current_leader_epoch: LeaderEpoch,
        target: OffsetTarget,
        reader: Horizon,
    ) -> Result<Option<FoundOffset>, ReplicaError> {
        let replica = self.replica(partition)?;
        if reader != Horizon::LogEnd {
            replica.show_acknowledged(replica.high_watermark()).await;
        }
        replica.check_leader(current_leader_epoch)?;
        let log = replica.log()?;
        let end = horizon(&replica, log, reader);
        let plain = |offset, leader_epoch| {
            Some(FoundOffset {
                offset,
                timestamp: Timestamp::NONE,
                leader_epoch,
            })
        };
        Ok(match target {
            OffsetTarget::Earliest => {
                let start = log.log_start_offset();
                plain(start, log.epoch_at(start))
            }
            OffsetTarget::Latest => plain(end, log.latest_leader_epoch()),
            OffsetTarget::MaxTimestamp => log.max_timestamp(end).await?.map(FoundOffset::from),
            OffsetTarget::Time(timestamp) => log
                .offset_for_timestamp(timestamp, end)
                .await?
                .map(FoundOffset::from),
            OffsetTarget::Tiered => None,
        })
    }

    /// The largest epoch at or below `epoch` and where it ended, as OffsetForLeaderEpoch answers;
    /// `None` where the log knows none.
    pub fn epoch_end(
        &self,
        partition: TopicPartition,
        current_leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReplicaError> {
        let replica = self.replica(partition)?;
        replica.check_leader(current_leader_epoch)?;
        Ok(replica.log()?.end_offset_for_epoch(epoch))
    }
}

fn horizon(replica: &PartitionReplica, log: &PartitionLog, horizon: Horizon) -> Offset {
    match horizon {
        Horizon::HighWatermark | Horizon::LastStableOffset => replica.high_watermark(),
        Horizon::LogEnd => log.log_end_offset(),
    }
}

/// Where a reader whose last record is of `last_fetched_epoch` left this log. Source: KIP-595.
fn diverging(
    log: &PartitionLog,
    options: FetchOptions,
    start: Offset,
    end: Offset,
) -> Result<Option<(LeaderEpoch, Offset)>, ReplicaError> {
    let (offset, epoch) = (options.offset, options.last_fetched_epoch);
    match log.end_offset_for_epoch(epoch) {
        None => Err(ReadError::OffsetOutOfRange { offset, start, end }.into()),
        Some((found, ended)) if found < epoch || ended < offset => Ok(Some((found, ended))),
        Some(_) => Ok(None),
    }
}
