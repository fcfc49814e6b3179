//! Committing what a verb decided: append, replay, wait.

use super::ControllerDriver;
use crate::error::{ControllerError, ReplicaError};
use engine_log::{AppendError, Origin, StorageError};
use engine_model::Offset;
use engine_model::planted::{self, Bug};
use replication_metadata::{Controller, MetadataDelta, MetadataRecord, Outcome, encode_batches};
use replication_partition::{Acks, Refusal, WaitError};

impl ControllerDriver {
    /// Asks the machine, and commits what it decided; the inner error is the machine's refusal.
    pub(super) async fn commit_one<R, E>(
        &self,
        verb: impl FnOnce(&Controller) -> Result<Outcome<R>, E>,
    ) -> Result<Result<R, E>, ControllerError> {
        let outcome = match self.machine.borrow().as_ref() {
            None => return Err(ControllerError::Stopped),
            Some(machine) => verb(machine),
        };
        match outcome {
            Err(refused) => Ok(Err(refused)),
            Ok(outcome) => {
                self.commit(&outcome.records, outcome.is_atomic).await?;
                Ok(Ok(outcome.response))
            }
        }
    }

    /// Appends records and replays them; when it returns they are committed, and what they changed
    /// waits to be published. After an error some may be, unless they are one batch.
    pub(super) async fn commit(
        &self,
        records: &[MetadataRecord],
        is_atomic: bool,
    ) -> Result<(), ControllerError> {
        let mut rest = records;
        let mut batches = encode_batches(records, engine_rt::wall_clock(), is_atomic)?;
        if planted::is(Bug::HalfCommitPublished) {
            batches.clear();
            for record in records.chunks(1) {
                batches.extend(encode_batches(record, engine_rt::wall_clock(), is_atomic)?);
            }
        }
        for batch in batches {
            // The machine is ahead of the log from here until all is committed.
            let machine = self.machine.take();
            let mut machine = machine.ok_or(ControllerError::Stopped)?;
            let expected = machine.image().next_offset();
            let acks = Some(Acks::All).filter(|_| !planted::is(Bug::MetadataAnsweredEarly));
            let appended = match self
                .replica
                .append(batch, acks, Origin::Internal, None)
                .await
            {
                Ok(appended) => appended,
                Err(error) => {
                    if is_untouched(&error) {
                        *self.machine.borrow_mut() = Some(machine);
                    }
                    return Err(error.into());
                }
            };
            if appended.base_offset != expected {
                let found = appended.base_offset;
                return Err(ControllerError::Offset { expected, found });
            }
            let end = appended.last_offset.saturating_next();
            rest = replay(&mut machine, rest, end, &mut self.unpublished.borrow_mut())?;
            *self.machine.borrow_mut() = Some(machine);
        }
        Ok(())
    }

    /// Commits records and has every shard apply what came of them, whether all were or not.
    pub(super) async fn commit_and_publish(
        &self,
        records: &[MetadataRecord],
        is_atomic: bool,
    ) -> Result<(), ControllerError> {
        let committed = self.commit(records, is_atomic).await;
        self.publish_changes().await?;
        committed
    }

    /// Builds the machine anew if the last commit failed and the log has settled since.
    pub(super) async fn recover(&self) -> Result<(), ControllerError> {
        if self.machine.borrow().is_some() {
            return Ok(());
        }
        let log = self.log()?;
        if log.stable_end() != log.log_end_offset() {
            return Err(ControllerError::Uncommitted(WaitError::Offline));
        }
        let machine = self.replay_log().await?;
        *self.machine.borrow_mut() = Some(machine);
        // What became of the change that failed is news to the shards.
        self.publish_all().await
    }
}

/// Replays the first records up to `end` and answers the rest.
fn replay<'a>(
    machine: &mut Controller,
    records: &'a [MetadataRecord],
    end: Offset,
    delta: &mut MetadataDelta,
) -> Result<&'a [MetadataRecord], ControllerError> {
    let count = end.checked_distance(machine.image().next_offset());
    let count = count
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0);
    let (now, rest) = records.split_at_checked(count).unwrap_or((records, &[]));
    for record in now {
        let offset = machine.image().next_offset();
        machine.replay(offset, record, delta)?;
    }
    Ok(rest)
}

/// Whether nothing of an append that failed can be in the log.
fn is_untouched(error: &ReplicaError) -> bool {
    matches!(
        error,
        ReplicaError::Append(_) | ReplicaError::Refused(_) | ReplicaError::NotHere(_)
    )
}

impl From<ReplicaError> for ControllerError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Append(error) => error.into(),
            ReplicaError::Read(error) => error.into(),
            ReplicaError::Storage(error) => Self::Storage(error),
            ReplicaError::Wait(error) => Self::Uncommitted(error),
            ReplicaError::TimedOut | ReplicaError::Refused(Refusal::Offline(_)) => {
                Self::Uncommitted(WaitError::Offline)
            }
            ReplicaError::Refused(_) | ReplicaError::NotHere(_) | ReplicaError::Compacted => {
                Self::Stopped
            }
        }
    }
}

impl From<StorageError> for ControllerError {
    fn from(error: StorageError) -> Self {
        AppendError::Storage(error).into()
    }
}
