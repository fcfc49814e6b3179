//! Batches whose frame is right, whatever their payload is.

use bytes::{BufMut, Bytes, BytesMut};
use engine_codec::{Attributes, Batch, BatchHeader, Compression, HEADER_BYTES, crc};
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// A batch with a right length and checksum around whatever the payload is.
pub fn wrap(compression: Compression, record_count: i32, payload: &[u8]) -> Batch {
    let header = BatchHeader {
        base_offset: Offset::ZERO,
        length: i32::try_from(HEADER_BYTES - 12 + payload.len()).unwrap(),
        partition_leader_epoch: LeaderEpoch::NONE,
        magic: 2,
        crc: 0,
        attributes: Attributes::default().with_compression(compression),
        last_offset_delta: record_count.saturating_sub(1).max(0),
        base_timestamp: Timestamp(0),
        max_timestamp: Timestamp(0),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: Sequence::NONE,
        record_count,
    };
    let mut bytes = BytesMut::new();
    header.write(&mut bytes);
    bytes.put_slice(payload);
    Batch::parse(&seal(bytes.to_vec())).unwrap()
}

/// The same bytes with a right checksum.
pub fn seal(mut batch: Vec<u8>) -> Bytes {
    let crc = crc::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}
