//! Builds the bytes of one message, with records spliced in uncopied.

use crate::api::Version;
use crate::error::EncodeError;
use crate::reader::STRING_BYTES_MAX;
use crate::records::Records;
use bytes::{BufMut, Bytes, BytesMut};

/// Records up to this many bytes are copied: cheaper than one more piece in a vectored send.
const COPY_BYTES_MAX: usize = 512;

/// Length of the size in front of a frame.
const FRAME_SIZE_BYTES: usize = 4;

/// Collects the bytes of one message: what is written, in order, with large records as pieces of
/// their own.
#[derive(Debug, Default)]
pub struct Writer {
    chunks: Vec<Bytes>,
    chunk_bytes: usize,
    buffer: BytesMut,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes written so far.
    pub fn size(&self) -> usize {
        self.chunk_bytes.saturating_add(self.buffer.len())
    }

    /// Everything written, in order; no piece is empty.
    pub fn into_chunks(mut self) -> Vec<Bytes> {
        self.cut();
        self.chunks
    }

    /// Everything written as a frame: its size in four bytes, then the bytes.
    ///
    /// Errors: `TooLong` when the size does not fit 31 bits.
    pub fn into_frame(mut self) -> Result<Vec<Bytes>, EncodeError> {
        let length = self.size();
        let size = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        self.cut();
        // The first piece holds the header and what stands before the first records: small.
        let first = self.chunks.first_mut();
        let body = first.as_ref().map_or(&[][..], |chunk| chunk);
        let mut head = BytesMut::with_capacity(body.len().saturating_add(FRAME_SIZE_BYTES));
        head.put_i32(size);
        head.extend_from_slice(body);
        let head = head.freeze();
        match first {
            Some(first) => *first = head,
            None => self.chunks.push(head),
        }
        Ok(self.chunks)
    }

    /// Everything written as one slice; copies only where records were spliced in.
    pub fn into_bytes(self) -> Bytes {
        Records::from(self.into_chunks()).into_bytes()
    }

    fn cut(&mut self) {
        if !self.buffer.is_empty() {
            let chunk = self.buffer.split().freeze();
            self.chunk_bytes = self.chunk_bytes.saturating_add(chunk.len());
            self.chunks.push(chunk);
        }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.buffer.put_u8(value);
    }

    /// A number of two bytes, big-endian.
    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// A number of four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// Bytes as they are, copied.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// An unsigned varint of one to five bytes.
    pub fn unsigned_varint(&mut self, value: u32) {
        let mut rest = value;
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.buffer.put_u8(low & 0x7f);
                return;
            }
            self.buffer.put_u8(low | 0x80);
        }
    }

    /// A length of four bytes, or compact; `None` is null.
    pub(crate) fn length(
        &mut self,
        version: Version,
        length: Option<usize>,
    ) -> Result<(), EncodeError> {
        let Some(length) = length else {
            if version.flexible {
                self.unsigned_varint(0);
            } else {
                self.i32(-1);
            }
            return Ok(());
        };
        let number = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        if version.flexible {
            self.unsigned_varint(number.unsigned_abs().saturating_add(1));
        } else {
            self.i32(number);
        }
        Ok(())
    }

    /// A string; `None` is null.
    pub(crate) fn string(
        &mut self,
        version: Version,
        text: Option<&str>,
    ) -> Result<(), EncodeError> {
        let Some(text) = text else {
            if version.flexible {
                self.unsigned_varint(0);
            } else {
                self.i16(-1);
            }
            return Ok(());
        };
        let length = i16::try_from(text.len()).map_err(|_| EncodeError::StringTooLong {
            bytes: text.len(),
            max: STRING_BYTES_MAX,
        })?;
        if version.flexible {
            self.unsigned_varint(u32::from(length.unsigned_abs()).saturating_add(1));
        } else {
            self.i16(length);
        }
        self.bytes(text.as_bytes());
        Ok(())
    }

    /// Record batches with their length; `None` is null. Large ones are spliced in, not copied.
    pub(crate) fn records(
        &mut self,
        version: Version,
        records: Option<&Records>,
    ) -> Result<(), EncodeError> {
        let size = records.map(Records::size);
        self.length(version, size)?;
        let Some(records) = records else {
            return Ok(());
        };
        if size <= Some(COPY_BYTES_MAX) {
            for chunk in records.chunks() {
                self.bytes(chunk);
            }
            return Ok(());
        }
        self.cut();
        for chunk in records.chunks() {
            self.chunk_bytes = self.chunk_bytes.saturating_add(chunk.len());
            self.chunks.push(chunk.clone());
        }
        Ok(())
    }

    /// The tagged fields at the end of a flexible struct; `fields` are in the order of their tags.
    pub(crate) fn tagged_fields(&mut self, fields: Vec<(u32, Self)>) -> Result<(), EncodeError> {
        let too_long = |length| EncodeError::TooLong { length };
        let count = fields.len();
        self.unsigned_varint(u32::try_from(count).map_err(|_| too_long(count))?);
        for (tag, field) in fields {
            let size = field.size();
            self.unsigned_varint(tag);
            self.unsigned_varint(u32::try_from(size).map_err(|_| too_long(size))?);
            for chunk in field.into_chunks() {
                self.bytes(&chunk);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    use crate::{Message, Reader, Records, RequestHeader, request_frame};
    use bytes::Bytes;

    fn request(records: &Bytes) -> ProduceRequest {
        let partition = || PartitionProduceData {
            records: Some(Records::from(records.clone())),
            ..PartitionProduceData::default()
        };
        ProduceRequest {
            topic_data: vec![TopicProduceData {
                partition_data: vec![partition(), partition()],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        }
    }

    #[test]
    fn large_records_are_spliced_in_and_come_back_as_slices_of_the_frame() {
        for (size, pieces) in [(0, 1), (512, 1), (513, 5), (100_000, 5)] {
            let records = Bytes::from(vec![7; size]);
            let frame = request_frame(9, 3, None, &request(&records)).unwrap();
            assert_eq!(frame.len(), pieces, "{size}");
            if pieces > 1 {
                // The same memory, not a copy.
                assert_eq!(frame[1].as_ptr(), records.as_ptr());
                assert_eq!(frame[3].as_ptr(), records.as_ptr());
            }
            let whole = Bytes::from(frame.concat());
            assert_eq!(
                whole[..4],
                i32::try_from(whole.len() - 4).unwrap().to_be_bytes()
            );
            let mut reader = Reader::new(whole.slice(4..));
            let header = RequestHeader::decode(&mut reader).unwrap();
            assert_eq!(
                (header.api_key, header.api_version, header.correlation_id),
                (0, 9, 3)
            );
            let decoded = ProduceRequest::decode(9, &mut reader).unwrap();
            assert_eq!(decoded, request(&records));
            if size > 0 {
                let slice = decoded.topic_data[0].partition_data[1]
                    .records
                    .clone()
                    .unwrap();
                let slice = slice.into_bytes();
                assert!(whole.as_ptr_range().contains(&slice.as_ptr()));
            }
        }
    }
}
