//! Appending to a replica, and waiting for what the producer asked for.

use super::PartitionReplica;
use crate::error::ReplicaError;
use bytes::Bytes;
use core::time::Duration;
use engine_log::{AppendOptions, Origin};
use engine_model::planted::{self, Bug};
use engine_model::{LeaderEpoch, Offset, Timestamp};
use engine_rt::sync::{OneshotReceiver, oneshot};
use replication_partition::{Acks, Event, WaitError, WaiterId};

/// How long a reader waits for the flush of records that are acknowledged already.
const SHOW_MAX: Duration = Duration::from_secs(1);

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAnswer {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The stamped time of a `LogAppendTime` topic, else `Timestamp::NONE`.
    pub log_append_time: Timestamp,
    /// Start of the log.
    pub log_start_offset: Offset,
    /// The epoch it was appended in.
    pub leader_epoch: LeaderEpoch,
}

impl PartitionReplica {
    /// Appends records and waits for what `acks` asks for; `None` is acks=0, which waits for
    /// nothing. A duplicate waits for its original.
    ///
    /// The records are in the log after the first poll if there is room for them, so appends take
    /// their places in the order of their first polls.
    /// Errors: after `Wait` and `TimedOut` the records are in the log, and may be committed.
    /// Cancel: safe; dropping it takes nothing back.
    pub async fn append(
        &self,
        records: Bytes,
        acks: Option<Acks>,
        origin: Origin,
        timeout: Option<Duration>,
    ) -> Result<AppendAnswer, ReplicaError> {
        let leader_epoch = self.machine.borrow().check_append(acks)?;
        let options = AppendOptions {
            leader_epoch,
            now: engine_rt::wall_clock(),
            origin,
        };
        let appended = self.log()?.append(records, options).await?;
        let answer = AppendAnswer {
            base_offset: appended.base_offset,
            last_offset: appended.last_offset,
            log_append_time: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
            leader_epoch,
        };
        let is_let_through = appended.duplicate && planted::is(Bug::DuplicateAcknowledgedEarly);
        let acks = acks.filter(|_| !is_let_through);
        if let Some(acks) = acks {
            let end = appended.last_offset.saturating_next();
            let mut waiting = self.wait(acks, end, leader_epoch);
            let result = match timeout {
                Some(timeout) => engine_rt::timeout(timeout, &mut waiting.receiver)
                    .await
                    .map_err(|_| ReplicaError::TimedOut)?,
                None => (&mut waiting.receiver).await,
            };
            // The sender goes only with the replica.
            result.unwrap_or(Err(WaitError::Deleted))?;
            if acks == Acks::Leader {
                let acknowledged = self.acknowledged_end.get();
                self.acknowledged_end.set(acknowledged.max(end));
            }
        }
        Ok(answer)
    }

    /// Lets a reader that is at the high watermark see what was acknowledged to acks=1.
    ///
    /// Such records are written but perhaps not flushed, and the high watermark waits for the
    /// flush. In Kafka a leader without followers in sync shows a record before it acknowledges it,
    /// so a client may rely on reading what it wrote. With followers in sync nobody may.
    /// Cancel: safe.
    pub(crate) async fn show_acknowledged(&self, offset: Offset) {
        let (end, leader_epoch) = {
            let machine = self.machine.borrow();
            let log_end = self
                .log()
                .map_or(Offset::ZERO, engine_log::PartitionLog::log_end_offset);
            let end = self.acknowledged_end.get().min(log_end);
            if offset < machine.high_watermark()
                || end <= offset.max(machine.high_watermark())
                || !machine.is_alone()
            {
                return;
            }
            (end, machine.leader_epoch())
        };
        let mut waiting = self.wait(Acks::All, end, leader_epoch);
        // A flush that does not come is not the reader's to report.
        let _ = engine_rt::timeout(SHOW_MAX, &mut waiting.receiver).await;
    }

    fn wait(&self, acks: Acks, end: Offset, leader_epoch: LeaderEpoch) -> Waiting<'_> {
        let waiter = WaiterId(self.next_waiter.get());
        self.next_waiter.set(waiter.0.saturating_add(1));
        let (sender, receiver) = oneshot();
        self.waiters.borrow_mut().insert(waiter, sender);
        self.apply_event(Event::Await {
            waiter,
            acks,
            end,
            leader_epoch,
        });
        Waiting {
            replica: self,
            waiter,
            acks,
            end,
            receiver,
        }
    }
}

/// A place in the list of waiters, given up when this is dropped.
struct Waiting<'a> {
    replica: &'a PartitionReplica,
    waiter: WaiterId,
    acks: Acks,
    end: Offset,
    receiver: OneshotReceiver<Result<(), WaitError>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waits_still = self
            .replica
            .waiters
            .borrow_mut()
            .remove(&self.waiter)
            .is_some();
        if waits_still {
            let Self {
                waiter, acks, end, ..
            } = *self;
            self.replica
                .apply_event(Event::Abandon { waiter, acks, end });
        }
    }
}
