//! What stays of one batch: a pure decision, and the batch written anew if something goes.
//!
//! Keeps: base offset, last offset, producer fields, epoch and compression of a batch stay; its
//! largest timestamp and checksum are those of what is left; a batch of which everything stays is
//! not touched. A tombstone (and a marker that is of no use) first gets a delete horizon, which
//! takes the place of the base timestamp, and goes once that has passed.
//!
//! Source: Kafka 4.3.1, `MemoryRecords.filterTo` and the record filter of `Cleaner.cleanInto`;
//! KIP-534.

use super::offset_map::OffsetMap;
use super::transactions::CleanedTransactions;
use bytes::Bytes;
use engine_codec::{
    Batch, BatchBuilder, BatchHeader, BatchOptions, BuildError, Compression, Record, RecordData,
    empty_batch,
};
use engine_model::{Offset, ProducerEpoch, ProducerId, Timestamp, limits};
use std::collections::BTreeMap;

/// The last that is known of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastOfProducer {
    /// Of its last batch of records, if that is known.
    pub(crate) last_offset: Option<Offset>,
    pub(crate) epoch: ProducerEpoch,
}

/// What a round goes by.
pub(super) struct Rules {
    /// The wall clock when the round began.
    pub(super) now: Timestamp,
    /// `delete.retention.ms`.
    pub(super) delete_retention_ms: i64,
    /// End of the round: the batch that ends there stays even if it is empty, so that readers
    /// come to it.
    pub(super) round_end: Offset,
    /// Of one batch, decompressed.
    pub(super) decompressed_bytes_max: usize,
    /// Producers that are remembered: their last batch stays even if it is empty, so that its
    /// sequence is known to whoever reads the log anew.
    pub(super) producers: BTreeMap<ProducerId, LastOfProducer>,
}

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filtered {
    /// All of it, as it is.
    Whole,
    /// Nothing.
    Nothing,
    /// This.
    Some(Bytes),
}

/// What goes, and whether an empty batch stays.
struct Retention {
    all_go: bool,
    stays_empty: bool,
    /// The marker of a transaction of which nothing is left.
    is_idle_marker: bool,
}

impl Rules {
    /// Filters the next batch of the log; `transactions` may be missing while no batch belonged to
    /// one.
    ///
    /// Errors: records that cannot be read, or cannot be written again.
    pub(super) fn filter(
        &self,
        batch: &Batch,
        map: &OffsetMap,
        transactions: Option<&mut CleanedTransactions>,
    ) -> Result<Filtered, BuildError> {
        let header = batch.header();
        let retention = self.retention(batch, transactions);
        let nothing = || {
            if retention.stays_empty {
                empty_batch(header).map(Filtered::Some)
            } else {
                Ok(Filtered::Nothing)
            }
        };
        if header.record_count == 0 {
            return Ok(if retention.stays_empty {
                Filtered::Whole
            } else {
                Filtered::Nothing
            });
        }
        if retention.all_go {
            return nothing();
        }
        let mut kept: Vec<Record> = Vec::new();
        let mut has_tombstone = false;
        let mut all_stay = true;
        for record in batch.records(self.decompressed_bytes_max) {
            let record = record?;
            if header.attributes.is_control() || self.stays(header, &record, map) {
                has_tombstone |= record.value.is_none();
                kept.push(record);
            } else {
                all_stay = false;
            }
        }
        if kept.is_empty() {
            return nothing();
        }
        let horizon = header.delete_horizon();
        let needs_horizon = horizon.is_none() && (has_tombstone || retention.is_idle_marker);
        if all_stay && !needs_horizon {
            return Ok(Filtered::Whole);
        }
        let horizon = if needs_horizon {
            Some(Timestamp(
                self.now.0.saturating_add(self.delete_retention_ms),
            ))
        } else {
            horizon
        };
        let bytes = rebuild(header, &kept, horizon)?;
        if bytes.len() > limits::BATCH_BYTES_MAX {
            // Compressed again it grew beyond what a segment takes: nothing is won by that.
            return Ok(Filtered::Whole);
        }
        Ok(Filtered::Some(bytes))
    }

    fn retention(
        &self,
        batch: &Batch,
        transactions: Option<&mut CleanedTransactions>,
    ) -> Retention {
        let header = batch.header();
        let is_control = header.attributes.is_control();
        let may_go = transactions.is_some_and(|transactions| {
            if is_control {
                transactions.on_control_batch(batch)
            } else {
                transactions.on_batch(batch)
            }
        });
        let has_passed = header.delete_horizon().is_some_and(|at| at <= self.now);
        let is_last_of_producer = header.has_producer_id()
            && self
                .producers
                .get(&header.producer_id)
                .is_some_and(|last| match last.last_offset {
                    Some(offset) => header.last_offset() == offset,
                    None => is_control && header.producer_epoch == last.epoch,
                });
        Retention {
            all_go: may_go && (!is_control || has_passed),
            stays_empty: is_last_of_producer || header.next_offset() == self.round_end,
            is_idle_marker: may_go && is_control,
        }
    }

    fn stays(&self, header: &BatchHeader, record: &Record, map: &OffsetMap) -> bool {
        let offset = header.record_offset(record.offset_delta);
        if offset >= map.end() {
            return true;
        }
        // A record without a key is from before the topic was compacted.
        let Some(key) = &record.key else {
            return false;
        };
        let has_passed = header.delete_horizon().is_some_and(|at| at <= self.now);
        !map.is_superseded(key, offset) && (record.value.is_some() || !has_passed)
    }
}

/// Writes a batch of the records that are left, under the header it had.
fn rebuild(
    header: &BatchHeader,
    kept: &[Record],
    delete_horizon: Option<Timestamp>,
) -> Result<Bytes, BuildError> {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: header.attributes.compression().unwrap_or(Compression::None),
        compression_level: None,
        base_offset: header.base_offset,
        partition_leader_epoch: header.partition_leader_epoch,
        timestamp_type: header.attributes.timestamp_type(),
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        is_transactional: header.attributes.is_transactional(),
        is_control: header.attributes.is_control(),
        delete_horizon,
        bytes_max: usize::MAX,
    });
    let mut headers: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    for record in kept {
        headers.clear();
        headers.extend(
            record
                .headers
                .iter()
                .map(|(key, value)| (key.as_ref(), value.as_deref())),
        );
        let offset = header.record_offset(record.offset_delta);
        let record = RecordData {
            timestamp: header.record_timestamp(record.timestamp_delta),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        if !builder.append_at(offset, &record)? {
            // Without a limit of ours it never says so; a record left out would be lost.
            return Err(BuildError::TooLarge {
                field: "batch",
                bytes: builder.bytes(),
            });
        }
    }
    builder.end_at(header.last_offset())?;
    builder.build()
}

#[cfg(test)]
mod tests;
