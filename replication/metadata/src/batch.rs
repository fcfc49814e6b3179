//! Metadata records as v2 batches, the form in which `__cluster_metadata` holds them.
//!
//! Keeps: the records of one request that belong together are one batch, so a crash keeps all of
//! them or none; no batch is larger than [`limits::BATCH_BYTES_MAX`].

use crate::limits;
use crate::record::{MetadataRecord, RecordError};
use bytes::Bytes;
use engine_codec::{Batch, BatchBuilder, BatchError, BatchOptions, BuildError, RecordData};
use engine_model::{Offset, Timestamp};

/// Why records are no batch, or a batch is not of metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataBatchError {
    /// More bytes than a batch may have. Nothing was changed; refuse the request.
    #[error("the records do not fit a batch of {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// The batch could not be written.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The batch could not be read.
    #[error("metadata batch at offset {offset}: {error}")]
    Batch {
        /// Its base offset.
        offset: Offset,
        /// Why not.
        error: BatchError,
    },
    /// A record could not be read.
    #[error("offset {offset}: {error}")]
    Record {
        /// Its offset.
        offset: Offset,
        /// Why not.
        error: RecordError,
    },
}

/// Writes records as batches, in order.
///
/// `is_atomic` makes one batch of them, or fails with `TooLarge`; else a batch is closed at
/// [`limits::BATCH_BYTES_TARGET`]. No records make no batch.
pub fn encode_batches(
    records: &[MetadataRecord],
    now: Timestamp,
    is_atomic: bool,
) -> Result<Vec<Bytes>, MetadataBatchError> {
    let bytes_max = if is_atomic {
        limits::BATCH_BYTES_MAX
    } else {
        limits::BATCH_BYTES_TARGET
    };
    let new_builder = || {
        BatchBuilder::new(BatchOptions {
            bytes_max,
            ..BatchOptions::default()
        })
    };
    let mut batches = Vec::new();
    let mut builder = new_builder();
    for record in records {
        let value = record.encode();
        let data = RecordData {
            timestamp: now,
            value: Some(&value),
            ..RecordData::default()
        };
        if builder.append(&data)? {
            continue;
        }
        if is_atomic {
            return Err(MetadataBatchError::TooLarge { max: bytes_max });
        }
        batches.push(core::mem::replace(&mut builder, new_builder()).build()?);
        // The first record of a batch always has room.
        builder.append(&data)?;
    }
    if !builder.is_empty() {
        batches.push(builder.build()?);
    }
    if batches
        .iter()
        .any(|batch| batch.len() > limits::BATCH_BYTES_MAX)
    {
        return Err(MetadataBatchError::TooLarge {
            max: limits::BATCH_BYTES_MAX,
        });
    }
    Ok(batches)
}

/// Reads the records of a batch with their offsets.
pub fn decode_batch(batch: &Batch) -> Result<Vec<(Offset, MetadataRecord)>, MetadataBatchError> {
    let header = batch.header();
    let mut records = Vec::new();
    for record in batch.records(limits::BATCH_BYTES_MAX) {
        let record = record.map_err(|error| MetadataBatchError::Batch {
            offset: header.base_offset,
            error,
        })?;
        let offset = header.record_offset(record.offset_delta);
        let decoded = match &record.value {
            Some(value) => MetadataRecord::decode(value),
            None => Err(RecordError::NoValue),
        };
        let record = decoded.map_err(|error| MetadataBatchError::Record { offset, error })?;
        records.push((offset, record));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_model::{ProducerId, TopicId};

    fn removals(count: u8) -> Vec<MetadataRecord> {
        let removed = |n| MetadataRecord::TopicRemoved {
            topic_id: TopicId::from_bytes([n; 16]),
        };
        (0..count).map(removed).collect()
    }

    fn decoded(batches: &[Bytes]) -> Vec<MetadataRecord> {
        let batches = batches.iter().map(|bytes| Batch::parse(bytes).unwrap());
        batches
            .flat_map(|batch| decode_batch(&batch).unwrap())
            .map(|(_, record)| record)
            .collect()
    }

    #[test]
    fn records_that_belong_together_are_one_batch() {
        let records = removals(200);
        let batches = encode_batches(&records, Timestamp(5), true).unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(decoded(&batches), records);
        let batch = Batch::parse(&batches[0]).unwrap();
        let offsets: Vec<i64> = decode_batch(&batch)
            .unwrap()
            .iter()
            .map(|(offset, _)| offset.get())
            .collect();
        assert_eq!(offsets, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn records_that_do_not_are_parted_and_keep_their_order() {
        let value = "x".repeat(limits::CONFIG_VALUE_BYTES_MAX);
        let records: Vec<MetadataRecord> = (0..100)
            .map(|n| MetadataRecord::Config {
                resource: crate::ConfigResource::AllBrokers,
                key: n.to_string(),
                value: Some(value.clone()),
            })
            .collect();
        let batches = encode_batches(&records, Timestamp(5), false).unwrap();
        assert!(batches.len() > 1);
        assert!(
            batches
                .iter()
                .all(|batch| batch.len() <= limits::BATCH_BYTES_TARGET)
        );
        assert_eq!(decoded(&batches), records);
        let many: Vec<MetadataRecord> = records.iter().cycle().take(300).cloned().collect();
        assert!(matches!(
            encode_batches(&many, Timestamp(5), true),
            Err(MetadataBatchError::TooLarge { .. })
        ));
    }

    #[test]
    fn no_records_are_no_batch() {
        assert!(encode_batches(&[], Timestamp(5), true).unwrap().is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_read_names_its_offset() {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let good = MetadataRecord::ProducerIds {
            node_id: engine_model::NodeId(1),
            broker_epoch: 1,
            next: ProducerId(1000),
        };
        let values = [Some(good.encode()), Some(Bytes::from_static(&[9])), None];
        for value in &values {
            let data = RecordData {
                value: value.as_deref(),
                ..RecordData::default()
            };
            assert!(builder.append(&data).unwrap());
        }
        let batch = Batch::parse(&builder.build().unwrap()).unwrap();
        let error = decode_batch(&batch).unwrap_err().to_string();
        assert_eq!(
            error,
            "offset 1: metadata record of format 9; this release reads 1"
        );
    }
}
