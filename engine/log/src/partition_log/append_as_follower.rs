//! Appending as a follower: batches as the leader sent them.
//!
//! Keeps: offsets, epochs and bytes as given. Gaps are legal, as compaction leaves them.

use super::append::Taken;
use super::validate::check_size;
use super::{Appended, PartitionLog};
use crate::error::AppendError;
use bytes::Bytes;
use engine_codec::{Batch, BatchError, batches};
use engine_model::{Offset, Timestamp, limits};
use std::rc::Rc;

impl PartitionLog {
    /// Appends batches as a leader sent them: offsets and epochs as given, never restamped.
    ///
    /// Errors: `OffsetsOutOfOrder` below the end, `FencedLeaderEpoch` below the last epoch,
    /// `Corrupt` for any damage; nothing is appended then. Cancel: safe, as [`PartitionLog::append`].
    pub async fn append_as_follower(&self, records: Bytes) -> Result<Appended, AppendError> {
        let core = self.core()?;
        let mut all = Vec::new();
        for batch in batches(&records) {
            let batch = batch.map_err(|error| damaged(&error))?;
            check_size(batch.bytes().len(), limits::BATCH_BYTES_MAX)?;
            engine_codec::validate(&batch, engine_codec::Origin::Replication)
                .map_err(|error| damaged(&error))?;
            all.push(batch);
        }
        let sizes = all.iter().map(|batch| batch.bytes().len());
        let _turn = self.wait_for_turn(&core, sizes, false).await?;
        core.lane().check()?;
        self.check_online()?;
        let base_offset = self.check_order(&all)?;
        let now = engine_rt::wall_clock();
        let config = Rc::clone(&self.inner.config.borrow());
        for (place, batch) in all.iter().enumerate() {
            if let Err(error) = core.lane().make_room(batch.bytes().len()) {
                return Err(self.refuse_rest(&core, place, error).into());
            }
            let header = batch.header();
            let taken = Taken {
                header,
                bytes: batch.bytes(),
                first: header.base_offset,
                leader_epoch: header.partition_leader_epoch,
                max_timestamp: header.max_timestamp,
            };
            self.put(&core, &config, &taken, now, |_| ());
        }
        Ok(Appended {
            base_offset,
            last_offset: Offset::new(self.log_end_offset().get().saturating_sub(1)),
            log_append_time: Timestamp::NONE,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
        })
    }

    /// Checks that all batches follow one another and the log; the first offset.
    fn check_order(&self, all: &[Batch]) -> Result<Offset, AppendError> {
        let mut expected = self.log_end_offset();
        let mut current = self.latest_leader_epoch();
        for batch in all {
            let header = batch.header();
            if header.base_offset < expected {
                return Err(AppendError::OffsetsOutOfOrder {
                    expected,
                    found: header.base_offset,
                });
            }
            if header.partition_leader_epoch < current {
                return Err(AppendError::FencedLeaderEpoch {
                    current,
                    found: header.partition_leader_epoch,
                });
            }
            expected = header.next_offset();
            current = header.partition_leader_epoch;
        }
        Ok(all
            .first()
            .map_or(self.log_end_offset(), |batch| batch.header().base_offset))
    }
}

/// Bytes that a leader sent and that do not hold were changed on their way.
fn damaged(error: &BatchError) -> AppendError {
    match error {
        BatchError::UnsupportedMagic { magic } => AppendError::UnsupportedMagic { magic: *magic },
        other => AppendError::Corrupt {
            reason: other.to_string(),
        },
    }
}
