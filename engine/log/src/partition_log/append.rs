//! Appending as the leader.
//!
//! First wait for room, then, with nothing awaited: check epoch and sequences, take offsets, copy
//! the batch into the open frame. A batch that was here before is answered with its offsets.

use super::validate::{Accepted, AcceptedBatches, accept};
use super::{AppendOptions, Appended, Origin, PartitionLog, State};
use crate::config::{Durability, LogConfig, TimestampType};
use crate::error::{AppendError, FenceCause, StorageError};
use crate::format::{EntryKind, EntryRow};
use crate::lane::Put;
use crate::producers::{Candidate, Noted, ProducerError, RememberedBatch, Verdict};
use crate::store_core::StoreCore;
use bytes::Bytes;
use engine_codec::{BatchHeader, set_broker_fields, stamp_log_append_time, stamp_max_timestamp};
use engine_model::{LeaderEpoch, Offset, Timestamp};
use engine_rt::sync::Permit;
use std::rc::Rc;

impl PartitionLog {
    /// Appends records as their leader and returns the offsets they took.
    ///
    /// `records` is one v2 batch (several for [`super::Origin::Internal`]). The caller waits for
    /// [`PartitionLog::stable_end`] or [`PartitionLog::written_end`] through its listener, for a
    /// duplicate too. Appends of one log take their offsets in the order of their first poll.
    /// Cancel: safe; either all of it was taken or nothing.
    pub async fn append(
        &self,
        records: Bytes,
        options: AppendOptions,
    ) -> Result<Appended, AppendError> {
        let core = self.core()?;
        let config = Rc::clone(&self.inner.config.borrow());
        let accepted = accept(&records, &config, &options, &core.opening)?;
        let sizes = accepted.iter().map(|accepted| accepted.batch.bytes().len());
        let is_own = options.origin == Origin::Internal;
        let _turn = self.wait_for_turn(&core, sizes, is_own).await?;
        self.append_now(&core, &config, &accepted, options)
    }

    /// Waits for room for payloads of these sizes, and while a truncation reads producer state
    /// from the log. What is our own is taken on a full disk too: deletes are among it.
    pub(super) async fn wait_for_turn(
        &self,
        core: &StoreCore,
        sizes: impl Iterator<Item = usize> + Clone,
        is_own: bool,
    ) -> Result<Permit, StorageError> {
        loop {
            while self.inner.state.borrow().is_rebuilding {
                core.lane().check()?;
                core.lane().progress().await;
            }
            let turn = core.wait_for_turn(sizes.clone(), !is_own).await?;
            if !self.inner.state.borrow().is_rebuilding {
                return Ok(turn);
            }
        }
    }

    fn append_now(
        &self,
        core: &StoreCore,
        config: &LogConfig,
        accepted: &AcceptedBatches,
        options: AppendOptions,
    ) -> Result<Appended, AppendError> {
        core.lane().check()?;
        self.check_online()?;
        self.check_epoch(options.leader_epoch)?;
        if let Some(original) = self.check_sequences(accepted)? {
            return Ok(self.answer_duplicate(config, original));
        }
        let base_offset = self.log_end_offset();
        self.check_offsets(accepted)?;
        for (place, accepted) in accepted.iter().enumerate() {
            if let Err(error) = core.lane().make_room(accepted.batch.bytes().len()) {
                return Err(self.refuse_rest(core, place, error).into());
            }
            self.take(core, config, accepted, options);
        }
        let log_append_time = match config.timestamp_type {
            TimestampType::LogAppendTime => options.now,
            TimestampType::CreateTime => Timestamp::NONE,
        };
        Ok(Appended {
            base_offset,
            last_offset: Offset::new(self.log_end_offset().get().saturating_sub(1)),
            log_append_time,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
        })
    }

    /// Ends an append for which room was promised and is not there.
    ///
    /// Before the first batch that is a refusal. Later, part of the append is in the lane: nobody
    /// may ever hear that it succeeded, so the directory is fenced.
    pub(super) fn refuse_rest(
        &self,
        core: &StoreCore,
        place: usize,
        error: StorageError,
    ) -> StorageError {
        if place > 0 {
            core.fence().raise(FenceCause {
                operation: "append",
                target: self.partition().to_string().into(),
                errno: 0,
            });
            core.lane().wake_all();
        }
        error
    }

    fn check_epoch(&self, found: LeaderEpoch) -> Result<(), AppendError> {
        let current = self.latest_leader_epoch();
        match found.cmp(&current) {
            core::cmp::Ordering::Equal => Ok(()),
            core::cmp::Ordering::Less => Err(AppendError::FencedLeaderEpoch { current, found }),
            core::cmp::Ordering::Greater => Err(AppendError::UnknownLeaderEpoch { current, found }),
        }
    }

    /// The batch that was here before, if this append is its repeat.
    fn check_sequences(
        &self,
        accepted: &AcceptedBatches,
    ) -> Result<Option<RememberedBatch>, AppendError> {
        let state = self.inner.state.borrow();
        if accepted.rest.is_empty() {
            return check_sequence(&state.producers, accepted.first.batch.header());
        }
        if !accepted.iter().any(|a| a.batch.header().has_producer_id()) {
            return Ok(None);
        }
        // Each batch is judged by the state the ones before it leave.
        let mut producers = state.producers.as_ref().clone();
        for accepted in accepted.iter() {
            let header = accepted.batch.header();
            if check_sequence(&producers, header)?.is_some() {
                return Err(AppendError::OutOfOrderSequence {
                    producer_id: header.producer_id,
                    expected: engine_model::Sequence::NONE,
                    found: header.base_sequence,
                });
            }
            if let Some(noted) = noted(header, Offset::ZERO, Timestamp::NONE) {
                producers.note(&noted, Timestamp::NONE);
            }
        }
        Ok(None)
    }

    fn answer_duplicate(&self, config: &LogConfig, original: RememberedBatch) -> Appended {
        Appended {
            base_offset: original.first_offset,
            last_offset: original.last_offset,
            log_append_time: match config.timestamp_type {
                TimestampType::LogAppendTime => original.max_timestamp,
                TimestampType::CreateTime => Timestamp::NONE,
            },
            log_start_offset: self.log_start_offset(),
            duplicate: true,
        }
    }

    /// Refuses what would lead out of the range of offsets.
    fn check_offsets(&self, accepted: &AcceptedBatches) -> Result<(), AppendError> {
        let count = accepted.iter().fold(0_i64, |sum, accepted| {
            let delta = i64::from(accepted.batch.header().last_offset_delta);
            sum.saturating_add(delta).saturating_add(1)
        });
        match self.log_end_offset().checked_add(count) {
            Some(end) if end < Offset::MAX => Ok(()),
            _ => Err(AppendError::OffsetsExhausted(self.id())),
        }
    }

    /// Gives a batch its offsets and puts it into the open frame.
    fn take(
        &self,
        core: &StoreCore,
        config: &LogConfig,
        accepted: &Accepted,
        options: AppendOptions,
    ) {
        let header = accepted.batch.header();
        let first = self.log_end_offset();
        let is_stamped = config.timestamp_type == TimestampType::LogAppendTime;
        let max_timestamp = if is_stamped {
            options.now
        } else {
            accepted.max_timestamp.unwrap_or(header.max_timestamp)
        };
        let taken = Taken {
            header,
            bytes: accepted.batch.bytes(),
            first,
            leader_epoch: options.leader_epoch,
            max_timestamp,
        };
        self.put(core, config, &taken, options.now, |batch| {
            // Errors only below the size of a header, which every accepted batch has.
            let _ = set_broker_fields(batch, first, options.leader_epoch);
            if is_stamped {
                let _ = stamp_log_append_time(batch, options.now);
            } else if accepted.max_timestamp.is_some() {
                let create_time = engine_codec::TimestampType::CreateTime;
                let _ = stamp_max_timestamp(batch, create_time, max_timestamp);
            }
        });
    }

    /// Puts a batch into the open frame, which `make_room` has seen to, and lets the state follow:
    /// the entry first, so that what the state shows is always in the lane.
    pub(super) fn put(
        &self,
        core: &StoreCore,
        config: &LogConfig,
        taken: &Taken<'_>,
        now: Timestamp,
        patch: impl FnOnce(&mut [u8]),
    ) {
        let Taken {
            header,
            first,
            leader_epoch,
            max_timestamp,
            ..
        } = *taken;
        let delta = i64::from(header.last_offset_delta);
        let last = Offset::new(first.get().saturating_add(delta));
        let generation = self.inner.state.borrow().generation;
        let put = Put {
            log: self,
            row: EntryRow {
                leader_epoch,
                first,
                last,
                ..EntryRow::new(EntryKind::Append, self.id(), generation)
            },
            first,
            last,
            max_timestamp,
            wants_flush: wants_flush(config, header),
            payload: taken.bytes,
        };
        core.lane().put_append(&put, patch);
        let mut state = self.inner.state.borrow_mut();
        // A leader's epoch was begun by an entry of its own; a follower's begins with its first
        // batch. The order was checked; replay assigns the epoch of an Append in the same way.
        if leader_epoch > state.epochs.latest() {
            let _ = Rc::make_mut(&mut state.epochs).assign(leader_epoch, first);
        }
        state.note(header, first, max_timestamp, now);
        drop(state);
        let end = last.saturating_next();
        if is_transactional(header) {
            self.must_flush(first, end);
        }
        self.inner.log_end.set(end);
    }
}

/// A batch that goes into the log, with the offset and epoch it gets.
pub(super) struct Taken<'a> {
    pub(super) header: &'a BatchHeader,
    pub(super) bytes: &'a [u8],
    pub(super) first: Offset,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) max_timestamp: Timestamp,
}

/// Whether a batch must not wait for the slow flush of the class `written`.
fn wants_flush(config: &LogConfig, header: &BatchHeader) -> bool {
    config.durability == Durability::Fsync || is_transactional(header)
}

/// Whether a batch is part of a transaction or ends one.
fn is_transactional(header: &BatchHeader) -> bool {
    header.attributes.is_transactional() || header.attributes.is_control()
}

fn check_sequence(
    producers: &crate::producers::Producers,
    header: &BatchHeader,
) -> Result<Option<RememberedBatch>, AppendError> {
    if !header.has_producer_id() || header.attributes.is_control() {
        return Ok(None);
    }
    let candidate = Candidate {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        first_sequence: header.base_sequence,
        last_sequence: header.last_sequence(),
    };
    match producers.check(&candidate)? {
        Verdict::New => Ok(None),
        Verdict::Duplicate(original) => Ok(Some(original)),
    }
}

/// What producer state remembers of a batch that begins at `first`.
pub(crate) fn noted(
    header: &BatchHeader,
    first: Offset,
    max_timestamp: Timestamp,
) -> Option<Noted> {
    let delta = i64::from(header.last_offset_delta);
    header.has_producer_id().then(|| Noted {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        batch: RememberedBatch {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            first_offset: first,
            last_offset: Offset::new(first.get().saturating_add(delta)),
            max_timestamp,
        },
        transactional: header.attributes.is_transactional(),
        control: header.attributes.is_control(),
    })
}

impl State {
    /// Lets producer state follow a batch that the log takes.
    pub(super) fn note(
        &mut self,
        header: &BatchHeader,
        first: Offset,
        max_timestamp: Timestamp,
        now: Timestamp,
    ) {
        if let Some(noted) = noted(header, first, max_timestamp) {
            Rc::make_mut(&mut self.producers).note(&noted, now);
        }
    }
}

impl From<ProducerError> for AppendError {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::OutOfOrderSequence {
                producer_id,
                expected,
                found,
                ..
            } => Self::OutOfOrderSequence {
                producer_id,
                expected,
                found,
            },
            ProducerError::InvalidProducerEpoch {
                producer_id,
                current,
                found,
            } => Self::InvalidProducerEpoch {
                producer_id,
                current,
                found,
            },
        }
    }
}
