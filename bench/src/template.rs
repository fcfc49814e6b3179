//! A request encoded once and sent again and again.
//!
//! Keeps: only bytes that differ from one sending to the next are written anew: the correlation id,
//! and with an idempotent producer the header of each batch. The rest is the same memory every time.

use crate::error::BenchError;
use bytes::{BufMut, Bytes, BytesMut};
use engine_codec::HEADER_BYTES;
use engine_codec::crc::crc32c;
use engine_model::{ProducerEpoch, ProducerId};

/// Where the correlation id of a request is: behind its size, API key and version.
const CORRELATION_ID_AT: usize = 8;
/// Bytes of the first piece that are written anew: enough for many heads to be whole in them, so that
/// a small request is one piece.
const HEAD_BYTES: usize = 256;
/// Where a batch has its checksum.
const CRC_AT: usize = 17;
/// What the checksum covers begins here.
const CRC_FROM: usize = 21;
/// Where a batch has producer id, producer epoch and sequence.
const PRODUCER_AT: usize = 43;

/// A piece of a request.
#[derive(Clone, Debug)]
enum Piece {
    /// The beginning, whose correlation id differs each time.
    Head(Bytes),
    /// The header of the batch of the request's n-th partition.
    BatchHeader(usize),
    /// The same each time.
    Same(Bytes),
}

/// Who writes, for the headers of batches.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    /// From InitProducerId.
    pub id: ProducerId,
    /// From InitProducerId.
    pub epoch: ProducerEpoch,
}

/// See the module's own words.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    header: Bytes,
    /// Checksum of what stands behind the header of the batch, and how much that is.
    rest: (u32, usize),
}

impl Template {
    /// A template of a whole request, in pieces, that carries `batch` once or several times.
    /// `is_numbered`: the header of each batch is written anew.
    pub fn new(frame: Vec<Bytes>, batch: &Bytes, is_numbered: bool) -> Self {
        let mut pieces = Vec::new();
        let mut batches = 0;
        for piece in frame {
            let mut rest = piece;
            while let Some(at) = is_numbered.then(|| find(&rest, batch)).flatten() {
                pieces.push(Piece::Same(rest.split_to(at)));
                pieces.push(Piece::BatchHeader(batches));
                batches += 1;
                let body = rest.split_to(batch.len());
                pieces.push(Piece::Same(body.slice(HEADER_BYTES.min(body.len())..)));
            }
            pieces.push(Piece::Same(rest));
        }
        if let Some(Piece::Same(first)) = pieces.first_mut() {
            let head = first.split_to(first.len().min(HEAD_BYTES));
            pieces.insert(0, Piece::Head(head));
        }
        pieces.retain(|piece| !matches!(piece, Piece::Same(bytes) if bytes.is_empty()));
        let header = batch.slice(..HEADER_BYTES.min(batch.len()));
        let behind = batch.slice(header.len()..);
        Self {
            pieces,
            rest: (crc32c(&behind), behind.len()),
            header,
        }
    }

    /// Hands on the pieces of the next sending. `sequence` tells the first sequence of the batch for
    /// the n-th partition; `arena` is where new bytes are written.
    pub fn send(
        &self,
        correlation_id: i32,
        writer: Option<Writer>,
        mut sequence: impl FnMut(usize) -> i32,
        arena: &mut BytesMut,
        mut push: impl FnMut(Bytes),
    ) -> Result<(), BenchError> {
        for piece in &self.pieces {
            match piece {
                Piece::Head(head) => {
                    arena.extend_from_slice(head);
                    let at = CORRELATION_ID_AT..CORRELATION_ID_AT + 4;
                    if let Some(place) = arena.get_mut(at) {
                        place.copy_from_slice(&correlation_id.to_be_bytes());
                    }
                    push(arena.split().freeze());
                }
                Piece::BatchHeader(place) => {
                    let writer = writer.ok_or(BenchError::Options("no producer id"))?;
                    self.number(writer, sequence(*place), arena);
                    push(arena.split().freeze());
                }
                Piece::Same(bytes) => push(bytes.clone()),
            }
        }
        Ok(())
    }

    fn number(&self, writer: Writer, sequence: i32, arena: &mut BytesMut) {
        arena.extend_from_slice(&self.header);
        if let Some(mut place) = arena.get_mut(PRODUCER_AT..PRODUCER_AT + 14) {
            place.put_i64(writer.id.0);
            place.put_i16(writer.epoch.get());
            place.put_i32(sequence);
        }
        let (crc, length) = self.rest;
        let front = crc32c(arena.get(CRC_FROM..).unwrap_or_default());
        let whole = crc32c::crc32c_combine(front, crc, length);
        if let Some(mut place) = arena.get_mut(CRC_AT..CRC_AT + 4) {
            place.put_u32(whole);
        }
    }
}

fn find(within: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() || within.len() < wanted.len() {
        return None;
    }
    within.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payload;
    use engine_codec::{Batch, Compression};
    use engine_model::PartitionIndex;
    use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    use net_protocol::{Message, Reader, Records, RequestHeader, Text, request_frame};

    fn sent(
        record_bytes: usize,
        partitions: i32,
        is_numbered: bool,
    ) -> (RequestHeader, ProduceRequest) {
        let payload = Payload::new(record_bytes, 1 << 10, Compression::None).unwrap();
        let request = ProduceRequest {
            topic_data: vec![TopicProduceData {
                name: Text::from("bench"),
                partition_data: (0..partitions)
                    .map(|index| PartitionProduceData {
                        index: PartitionIndex::new(index),
                        records: Some(Records::from(payload.batch.clone())),
                    })
                    .collect(),
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let id = Text::from("client");
        let frame = request_frame(9, 1, Some(&id), &request).unwrap();
        let template = Template::new(frame, &payload.batch, is_numbered);
        let writer = Writer {
            id: ProducerId(77),
            epoch: ProducerEpoch::new(3),
        };
        let mut bytes = BytesMut::new();
        let sequence = |place| 1000 + i32::try_from(place).unwrap();
        let push = |piece: Bytes| bytes.extend_from_slice(&piece);
        template
            .send(
                0x1234_5678,
                Some(writer),
                sequence,
                &mut BytesMut::new(),
                push,
            )
            .unwrap();
        let bytes = bytes.freeze();
        assert_eq!(
            bytes[..4],
            u32::try_from(bytes.len() - 4).unwrap().to_be_bytes()
        );
        let mut reader = Reader::new(bytes.slice(4..));
        let header = RequestHeader::decode(&mut reader).unwrap();
        (header, ProduceRequest::decode(9, &mut reader).unwrap())
    }

    #[test]
    fn only_what_differs_is_written_anew_and_batches_stay_valid() {
        // Batches that are spliced into the frame and ones that are copied into it.
        for record_bytes in [10, 900] {
            for partitions in [1, 3] {
                for is_numbered in [false, true] {
                    let (header, request) = sent(record_bytes, partitions, is_numbered);
                    assert_eq!(header.correlation_id, 0x1234_5678);
                    let data = &request.topic_data[0].partition_data;
                    assert_eq!(data.len(), usize::try_from(partitions).unwrap());
                    for (place, partition) in data.iter().enumerate() {
                        let records = partition.records.clone().unwrap().into_bytes();
                        let batch = Batch::parse(&records).unwrap();
                        batch.check_crc().unwrap();
                        let header = batch.header();
                        let sequence = 1000 + i32::try_from(place).unwrap();
                        let expected = if is_numbered {
                            (77, 3, sequence)
                        } else {
                            (-1, -1, -1)
                        };
                        assert_eq!(
                            (
                                header.producer_id.0,
                                header.producer_epoch.get(),
                                header.base_sequence.get()
                            ),
                            expected
                        );
                    }
                }
            }
        }
    }
}
