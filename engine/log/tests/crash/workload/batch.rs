//! Batches as producers send them, and as the log holds them.

use super::super::model::Stored;
use super::{Character, Driver, config};
use bytes::{Bytes, BytesMut};
use engine_codec::{
    BatchBuilder, BatchOptions, RecordData, set_broker_fields, stamp_log_append_time,
};
use engine_log::TimestampType;
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

impl Driver {
    /// A batch as a producer sends it.
    pub(super) fn batch(
        &mut self,
        producer: Option<(ProducerId, ProducerEpoch, Sequence)>,
    ) -> Bytes {
        self.now += 1;
        let records = 1 + self.draw.below(3);
        let bytes = match (self.character, self.draw.below(10)) {
            (Character::Large, 0..=3) => 30_000 + self.draw.below(15_000),
            (Character::Large, _) => self.draw.below(9_000),
            (Character::Producers, _) => 100,
            (Character::Compacted, _) => 900,
            (_, 0) => self.draw.below(12_000),
            (_, 1 | 2) => 2_000,
            _ => 60 + self.draw.below(400),
        };
        self.build(producer, records, bytes, Offset::ZERO, LeaderEpoch::NONE)
    }

    pub(super) fn build(
        &mut self,
        producer: Option<(ProducerId, ProducerEpoch, Sequence)>,
        records: u64,
        bytes: u64,
        base_offset: Offset,
        partition_leader_epoch: LeaderEpoch,
    ) -> Bytes {
        let none = (ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE);
        let (producer_id, producer_epoch, base_sequence) = producer.unwrap_or(none);
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset,
            partition_leader_epoch,
            producer_id,
            producer_epoch,
            base_sequence,
            ..BatchOptions::default()
        });
        let filler = self.draw.next().to_le_bytes();
        let each = usize::try_from(bytes / records).unwrap();
        for record in 0..records {
            let mut key = [filler.as_slice(), &record.to_le_bytes()].concat();
            let mut is_tombstone = false;
            if self.character == Character::Compacted {
                key = vec![u8::try_from(self.draw.below(12)).unwrap()];
                is_tombstone = self.draw.below(8) == 0;
            }
            let value: Vec<u8> = filler.iter().copied().cycle().take(each).collect();
            let taken = builder.append(&RecordData {
                timestamp: Timestamp(self.now),
                key: Some(&key),
                value: (!is_tombstone).then_some(value.as_slice()),
                headers: &[],
            });
            assert!(taken.unwrap());
        }
        builder.build().unwrap()
    }

    /// The batch as the log will hold it.
    pub(super) fn as_stored(&self, batch: &Bytes) -> Stored {
        let mut bytes = BytesMut::from(&batch[..]);
        let end = Offset::new(self.with(|partition| partition.state.end));
        set_broker_fields(&mut bytes, end, LeaderEpoch::new(self.epoch)).unwrap();
        if config(self.character).timestamp_type == TimestampType::LogAppendTime {
            stamp_log_append_time(&mut bytes, Timestamp(self.now)).unwrap();
        }
        Stored::all(&bytes.freeze()).remove(0)
    }
}
