//! From record batches to records.

use super::aborted::Aborted;
use super::{ConsumedRecord, Consumer};
use crate::error::ClientError;
use bytes::Bytes;
use engine_codec::{Batch, BatchError, batches};
use engine_model::{Offset, PartitionIndex};

impl Consumer {
    /// Takes the batches of a partition's answer, checking each, and moves its position behind them.
    pub(super) fn take_records(
        &mut self,
        partition: PartitionIndex,
        bytes: &Bytes,
        mut aborted: Aborted,
    ) -> Result<(), ClientError> {
        let Some(reading) = self.partitions.get(&partition) else {
            return Ok(());
        };
        let (mut position, end) = (reading.position, reading.end);
        let fetch_offset = position;
        let error = |cause| ClientError::Batch {
            topic: self.topic.clone(),
            partition,
            offset: fetch_offset,
            cause,
        };
        let mut taken = Vec::new();
        let mut is_first = true;
        for batch in batches(bytes) {
            let batch = match batch {
                // An answer may be cut inside its last batch, where a size limit fell.
                Err(BatchError::Truncated { .. }) if !is_first => break,
                other => other.map_err(error)?,
            };
            is_first = false;
            batch.check_crc().map_err(error)?;
            let next = batch.header().next_offset();
            let is_aborted = aborted.covers(&batch);
            if next <= position {
                continue;
            }
            if self.taken_bytes >= self.options.decompressed_bytes_max {
                break;
            }
            if is_aborted {
                position = next;
                continue;
            }
            let limits = (position, end, self.options.decompressed_bytes_max);
            let bytes = take_batch(partition, &batch, limits, &mut taken).map_err(error)?;
            self.taken_bytes = self.taken_bytes.saturating_add(bytes);
            position = next;
        }
        self.records.extend(taken);
        if let Some(reading) = self.partitions.get_mut(&partition) {
            reading.position = position;
        }
        Ok(())
    }
}

/// Takes the records of one batch that lie between `position` and `end`; returns what they take.
fn take_batch(
    partition: PartitionIndex,
    batch: &Batch,
    (position, end, decompressed_bytes_max): (Offset, Option<Offset>, usize),
    taken: &mut Vec<ConsumedRecord>,
) -> Result<usize, BatchError> {
    let header = batch.header();
    if header.attributes.is_control() {
        return Ok(0);
    }
    let mut bytes = 0_usize;
    for record in batch.records(decompressed_bytes_max) {
        let record = record?;
        let offset = header.record_offset(record.offset_delta);
        if offset < position || end.is_some_and(|end| offset >= end) {
            continue;
        }
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        bytes = bytes
            .saturating_add(size_of::<ConsumedRecord>())
            .saturating_add(length(&record.key))
            .saturating_add(length(&record.value));
        taken.push(ConsumedRecord {
            partition,
            offset,
            leader_epoch: header.partition_leader_epoch,
            timestamp: header.record_timestamp(record.timestamp_delta),
            timestamp_type: header.attributes.timestamp_type(),
            key: record.key,
            value: record.value,
            headers: record.headers,
        });
    }
    Ok(bytes)
}
