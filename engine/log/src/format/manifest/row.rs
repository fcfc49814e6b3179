//! The rows of a manifest: its head, and the image of one log with its segments and state.

use crate::format::wire::{Fields, length_field, put_file_id, put_log_id, size};
use crate::format::{FileId, FormatError};
use bytes::{BufMut, Bytes};
use engine_model::{LogId, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};

pub(super) const WHAT: &str = "manifest row";
const KIND_HEAD: u8 = 1;
const KIND_LOG: u8 = 2;
const SEGMENT_BYTES: usize = 64;
const NO_POSITION: u64 = u64::MAX;

/// What a manifest says of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The run that wrote it.
    pub run: u64,
    /// The logs are as of this sequence: replay begins at the one after it.
    pub sequence: u64,
    /// The next counter of a log id, file or other thing that this lane numbers in this run.
    pub next_counter: u32,
    /// Logs that follow.
    pub logs: u32,
}

/// One segment as the manifest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentImage {
    /// Its file.
    pub file: FileId,
    /// The first offset it may hold.
    pub base_offset: Offset,
    /// One past the last offset it holds; what lies behind is cut away and counts no more.
    pub end_offset: Offset,
    /// Bytes of the file that count.
    pub bytes: u64,
    /// Bytes of its batches, extent headers and padding not counted.
    pub record_bytes: u64,
    /// The largest timestamp of its records, or `NONE`.
    pub max_timestamp: Timestamp,
    /// Position of its last index block, if any.
    pub last_index: Option<u64>,
    /// Whether it takes no more extents.
    pub sealed: bool,
    /// Whether compaction wrote it: with the compacted ones before it, it holds each key once.
    pub compacted: bool,
}

/// Where a snapshot of a log's state is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateImage {
    /// There is none: the state is empty.
    #[default]
    Empty,
    /// In the manifest itself.
    Inline(Bytes),
    /// In a state extent.
    Extent {
        /// The file it is in.
        file: FileId,
        /// Its position there.
        position: u64,
        /// Its bytes, header and padding included.
        bytes: u32,
    },
}

/// One log as of the manifest's sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogImage {
    /// Its identity.
    pub id: LogId,
    /// The partition it is a replica of.
    pub partition: TopicPartition,
    /// How often it was truncated.
    pub generation: u32,
    /// Kept but not served: some of its acknowledged bytes are lost or unreadable.
    pub quarantined: bool,
    /// Its first offset.
    pub log_start: Offset,
    /// One past its last offset.
    pub log_end: Offset,
    /// Its segments, in order of offsets.
    pub segments: Vec<SegmentImage>,
    /// Its leader epochs (`epochs`).
    pub epochs: StateImage,
    /// Its producers (`producers`).
    pub producers: StateImage,
    /// Its aborted transactions.
    pub aborted_transactions: StateImage,
}

/// A row as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Head(ManifestHead),
    Log(LogImage),
}

fn flag(fields: &mut Fields<'_>, name: &'static str) -> Result<bool, FormatError> {
    match fields.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(fields.field(name, u64::from(other))),
    }
}

impl ManifestHead {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(KIND_HEAD);
        out.put_u64_le(self.run);
        out.put_u64_le(self.sequence);
        out.put_u32_le(self.next_counter);
        out.put_u32_le(self.logs);
    }
}

impl SegmentImage {
    /// Writes a count and that many segments.
    pub(in crate::format) fn encode_list(segments: &[Self], out: &mut Vec<u8>) {
        out.put_u64_le(u64::try_from(segments.len()).unwrap_or(u64::MAX));
        for segment in segments {
            put_file_id(out, segment.file);
            out.put_u8(u8::from(segment.sealed));
            out.put_u8(u8::from(segment.compacted));
            out.put_i64_le(segment.base_offset.get());
            out.put_i64_le(segment.end_offset.get());
            out.put_u64_le(segment.bytes);
            out.put_u64_le(segment.record_bytes);
            out.put_i64_le(segment.max_timestamp.0);
            out.put_u64_le(segment.last_index.unwrap_or(NO_POSITION));
        }
    }

    /// Reads what `encode_list` wrote. The count is believed only as far as there are bytes.
    pub(in crate::format) fn decode_list(
        fields: &mut Fields<'_>,
    ) -> Result<Vec<Self>, FormatError> {
        let count = fields.u64()?;
        let there = fields.remaining().checked_div(SEGMENT_BYTES).unwrap_or(0);
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= there)
            .ok_or_else(|| fields.field("segment count", count))?;
        let mut segments = Vec::with_capacity(count);
        for _ in 0..count {
            segments.push(Self::decode(fields)?);
        }
        Ok(segments)
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let file = fields.file_id()?;
        let sealed = flag(fields, "sealed flag")?;
        let compacted = flag(fields, "compacted flag")?;
        let segment = Self {
            file,
            sealed,
            compacted,
            base_offset: fields.offset()?,
            end_offset: fields.offset()?,
            bytes: fields.u64()?,
            record_bytes: fields.u64()?,
            max_timestamp: fields.timestamp()?,
            last_index: Some(fields.u64()?).filter(|position| *position != NO_POSITION),
        };
        if segment.base_offset < Offset::ZERO || segment.end_offset < segment.base_offset {
            let value = u64::from_le_bytes(segment.end_offset.get().to_le_bytes());
            return Err(fields.field("segment end", value));
        }
        Ok(segment)
    }
}

impl StateImage {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        match self {
            Self::Empty => out.put_u8(0),
            Self::Inline(bytes) => {
                out.put_u8(1);
                out.put_u32_le(length_field(WHAT, bytes.len())?);
                out.put_slice(bytes);
            }
            Self::Extent {
                file,
                position,
                bytes,
            } => {
                out.put_u8(2);
                put_file_id(out, *file);
                out.put_u64_le(*position);
                out.put_u32_le(*bytes);
            }
        }
        Ok(())
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        Ok(match fields.u8()? {
            0 => Self::Empty,
            1 => {
                let length = fields.u32()?;
                // A copy: a row is let go of once its log stands, and must not hold the piece.
                Self::Inline(Bytes::copy_from_slice(fields.take(size(length))?))
            }
            2 => Self::Extent {
                file: fields.file_id()?,
                position: fields.u64()?,
                bytes: fields.u32()?,
            },
            other => return Err(fields.field("state kind", u64::from(other))),
        })
    }
}

impl LogImage {
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.put_u8(KIND_LOG);
        put_log_id(out, self.id);
        out.put_slice(&self.partition.topic_id.to_bytes());
        out.put_i32_le(self.partition.partition.get());
        out.put_u32_le(self.generation);
        out.put_u8(u8::from(self.quarantined));
        out.put_i64_le(self.log_start.get());
        out.put_i64_le(self.log_end.get());
        SegmentImage::encode_list(&self.segments, out);
        self.epochs.encode(out)?;
        self.producers.encode(out)?;
        self.aborted_transactions.encode(out)
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let id = fields.log_id()?;
        let partition = TopicPartition {
            topic_id: TopicId::from_bytes(fields.array()?),
            partition: PartitionIndex::new(fields.i32()?),
        };
        let generation = fields.u32()?;
        let quarantined = flag(fields, "quarantine flag")?;
        let log = Self {
            id,
            partition,
            generation,
            quarantined,
            log_start: fields.offset()?,
            log_end: fields.offset()?,
            segments: SegmentImage::decode_list(fields)?,
            epochs: StateImage::decode(fields)?,
            producers: StateImage::decode(fields)?,
            aborted_transactions: StateImage::decode(fields)?,
        };
        if log.log_start < Offset::ZERO || log.log_end < log.log_start {
            let value = u64::from_le_bytes(log.log_end.get().to_le_bytes());
            return Err(fields.field("log end", value));
        }
        Ok(log)
    }
}

impl Row {
    pub(super) fn decode(row: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, row);
        let row = match fields.u8()? {
            KIND_HEAD => Self::Head(ManifestHead {
                run: fields.u64()?,
                sequence: fields.u64()?,
                next_counter: fields.u32()?,
                logs: fields.u32()?,
            }),
            KIND_LOG => Self::Log(LogImage::decode(&mut fields)?),
            other => return Err(fields.field("kind", u64::from(other))),
        };
        fields.end()?;
        Ok(row)
    }
}
