//! Snapshots of producer state, kept in a manifest or a state extent.
//!
//! A head (format, count), then one row a producer, by id, each with its remembered batches. The
//! unit that holds a snapshot has the checksum. Source: ../../FORMAT.md, "Producer snapshot".

use super::{BATCHES_REMEMBERED, PRODUCERS_MAX, Producer, Producers, RememberedBatch};
use crate::format::{Fields, FormatError, size};
use bytes::BufMut;
use engine_model::{Offset, ProducerEpoch, ProducerId, Sequence};

const WHAT: &str = "producer snapshot";
const SNAPSHOT_FORMAT: u16 = 1;
const FLAG_FORGOT: u8 = 1;

impl Producers {
    /// The bytes of a snapshot.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16_le(SNAPSHOT_FORMAT);
        out.put_u16_le(0);
        out.put_u32_le(u32::try_from(self.by_id.len()).unwrap_or(u32::MAX));
        for (id, producer) in &self.by_id {
            out.put_i64_le(id.0);
            out.put_i16_le(producer.epoch.get());
            out.put_u8(if producer.forgot { FLAG_FORGOT } else { 0 });
            out.put_u8(u8::try_from(producer.batches.len()).unwrap_or(u8::MAX));
            out.put_i64_le(producer.last_heard.0);
            out.put_i64_le(producer.last_offset.get());
            let start = producer.transaction_start.unwrap_or(Offset::NONE);
            out.put_i64_le(start.get());
            for batch in &producer.batches {
                out.put_i32_le(batch.first_sequence.get());
                out.put_i32_le(batch.last_sequence.get());
                out.put_i64_le(batch.first_offset.get());
                out.put_i64_le(batch.last_offset.get());
                out.put_i64_le(batch.max_timestamp.0);
            }
        }
        out
    }

    /// Reads a snapshot; an empty slice is the empty one.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut producers = Self::new();
        if bytes.is_empty() {
            return Ok(producers);
        }
        let mut fields = Fields::new(WHAT, bytes);
        let format = fields.u16()?;
        if format != SNAPSHOT_FORMAT {
            return Err(FormatError::Newer {
                what: WHAT,
                found: format,
                known: SNAPSHOT_FORMAT,
            });
        }
        fields.zeros(2)?;
        let count = fields.u32()?;
        if size(count) > PRODUCERS_MAX {
            return Err(fields.field("producer count", u64::from(count)));
        }
        let mut last = None;
        for _ in 0..count {
            let id = ProducerId(fields.i64()?);
            if last.is_some_and(|last| last >= id) {
                return Err(fields.field("producer id", u64::from_le_bytes(id.0.to_le_bytes())));
            }
            last = Some(id);
            producers.by_id.insert(id, Producer::decode(&mut fields)?);
        }
        fields.end()?;
        Ok(producers)
    }
}

impl Producer {
    fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let epoch = ProducerEpoch::new(fields.i16()?);
        let flags = fields.u8()?;
        if flags & !FLAG_FORGOT != 0 {
            return Err(fields.field("flags", u64::from(flags)));
        }
        let count = fields.u8()?;
        if usize::from(count) > BATCHES_REMEMBERED {
            return Err(fields.field("batch count", u64::from(count)));
        }
        let mut producer = Self {
            epoch,
            batches: Vec::with_capacity(usize::from(count)),
            forgot: flags == FLAG_FORGOT,
            last_heard: fields.timestamp()?,
            last_offset: fields.offset()?,
            transaction_start: Some(fields.offset()?).filter(|start| *start >= Offset::ZERO),
        };
        for _ in 0..count {
            producer.batches.push(RememberedBatch {
                first_sequence: Sequence::new(fields.i32()?),
                last_sequence: Sequence::new(fields.i32()?),
                first_offset: fields.offset()?,
                last_offset: fields.offset()?,
                max_timestamp: fields.timestamp()?,
            });
        }
        Ok(producer)
    }
}
