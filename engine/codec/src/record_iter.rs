//! The records of a batch, one after another, decompressed as they are needed.
//!
//! Keeps: of a compressed batch no more is held than the record at hand and one chunk; the count in
//! the header decides how many records there are, and bytes that follow the last are an error.
//! After an error the walk is over.
//! Does not: check the checksum.

use crate::batch::Batch;
use crate::compression::{Compression, Decompressor};
use crate::error::{BatchError, RecordFault};
use crate::record::{Record, RecordLayout, read_size};
use bytes::{Buf, Bytes, BytesMut};

/// Where record bytes come from.
#[derive(Debug)]
enum Source {
    Plain(Bytes),
    /// What has been decompressed and not yet been taken, and where more comes from.
    Compressed(BytesMut, Box<Decompressor>),
    /// Compression that could not even be begun; told at the first record.
    Refused(BatchError),
}

/// See [`Batch::records`].
#[derive(Debug)]
pub struct RecordIter {
    source: Source,
    record_count: i32,
    last_offset_delta: i32,
    /// Place of the next record.
    index: i32,
    is_done: bool,
}

impl RecordIter {
    pub(crate) fn new(batch: &Batch, decompressed_bytes_max: usize) -> Self {
        let header = batch.header();
        let payload = batch.payload();
        let source = match header.attributes.compression() {
            // Compaction leaves batches without records behind, and these without a payload.
            _ if header.record_count == 0 && payload.is_empty() => Source::Plain(payload),
            Some(Compression::None) => Source::Plain(payload),
            Some(compression) => {
                match Decompressor::new(compression, payload, decompressed_bytes_max) {
                    Ok(decompressor) => Source::Compressed(BytesMut::new(), Box::new(decompressor)),
                    Err(error) => Source::Refused(error.into()),
                }
            }
            None => Source::Refused(BatchError::UnknownCompression {
                id: header.attributes.compression_id(),
            }),
        };
        Self {
            source,
            record_count: header.record_count,
            last_offset_delta: header.last_offset_delta,
            index: 0,
            is_done: false,
        }
    }

    /// Walks on, giving each record's layout and body to `visit`, which says whether to go on.
    ///
    /// Nothing is allocated for a record. Only a walk to the end finds bytes after the last record.
    pub(crate) fn visit(
        mut self,
        mut visit: impl FnMut(i32, &RecordLayout, &[u8]) -> bool,
    ) -> Result<(), BatchError> {
        while let Some((skip, size)) = self.advance()? {
            let index = self.index;
            let end = skip.saturating_add(size);
            let body = self.source.present().get(skip..end).unwrap_or_default();
            let go_on = match self.layout(body) {
                Ok(layout) => visit(index, &layout, body),
                Err(fault) => return Err(BatchError::Record { index, fault }),
            };
            if !go_on {
                return Ok(());
            }
            self.source.skip(end);
            self.index = index.saturating_add(1);
        }
        Ok(())
    }

    fn layout(&self, body: &[u8]) -> Result<RecordLayout, RecordFault> {
        let layout = RecordLayout::parse(body)?;
        if layout.offset_delta < 0 || layout.offset_delta > self.last_offset_delta {
            return Err(RecordFault::OffsetOutOfRange {
                offset_delta: layout.offset_delta,
                last_offset_delta: self.last_offset_delta,
            });
        }
        Ok(layout)
    }

    /// Makes the next record present as a whole: bytes of its size field, and its size.
    /// `None` at a good end.
    fn advance(&mut self) -> Result<Option<(usize, usize)>, BatchError> {
        if self.index >= self.record_count {
            return if self.source.is_at_end()? {
                Ok(None)
            } else {
                Err(BatchError::TrailingBytes {
                    record_count: self.record_count,
                })
            };
        }
        let at_record = |index, fault| BatchError::Record { index, fault };
        let (skip, size) = loop {
            match read_size(self.source.present()).map_err(|f| at_record(self.index, f))? {
                Some(found) => break found,
                None if self.source.fill_more()? => {}
                None => return Err(at_record(self.index, RecordFault::Truncated)),
            }
        };
        while self.source.present().len() < skip.saturating_add(size) {
            if !self.source.fill_more()? {
                return Err(at_record(self.index, RecordFault::Truncated));
            }
        }
        Ok(Some((skip, size)))
    }

    fn next_record(&mut self) -> Result<Option<Record>, BatchError> {
        let Some((skip, size)) = self.advance()? else {
            return Ok(None);
        };
        let body = self.source.take(skip, size);
        let record = self
            .layout(&body)
            .and_then(|layout| layout.into_record(&body))
            .map_err(|fault| BatchError::Record {
                index: self.index,
                fault,
            })?;
        self.index = self.index.saturating_add(1);
        Ok(Some(record))
    }
}

impl Source {
    fn present(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Compressed(bytes, _) => bytes,
            Self::Refused(_) => &[],
        }
    }

    /// Gets more bytes; false when there are no more.
    fn fill_more(&mut self) -> Result<bool, BatchError> {
        match self {
            Self::Plain(_) => Ok(false),
            Self::Compressed(bytes, decompressor) => Ok(decompressor.read_into(bytes)?),
            Self::Refused(error) => Err(error.clone()),
        }
    }

    fn is_at_end(&mut self) -> Result<bool, BatchError> {
        Ok(self.present().is_empty() && !self.fill_more()?)
    }

    fn skip(&mut self, count: usize) {
        let count = count.min(self.present().len());
        match self {
            Self::Plain(bytes) => bytes.advance(count),
            Self::Compressed(bytes, _) => bytes.advance(count),
            Self::Refused(_) => {}
        }
    }

    /// Skips `skip` bytes and takes `size`, both of which are present.
    fn take(&mut self, skip: usize, size: usize) -> Bytes {
        self.skip(skip);
        let size = size.min(self.present().len());
        match self {
            Self::Plain(bytes) => bytes.split_to(size),
            Self::Compressed(bytes, _) => bytes.split_to(size).freeze(),
            Self::Refused(_) => Bytes::new(),
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let item = self.next_record().transpose();
        self.is_done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl core::iter::FusedIterator for RecordIter {}
