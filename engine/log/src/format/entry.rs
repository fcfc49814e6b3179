//! Entries of a frame: everything that changes a log, as one table row and at most one payload.
//!
//! A row is 64 bytes and names kind, log, generation, offsets, payload length and payload
//! checksum; the checksum of the table is in the frame's header. A payload is whole record batches
//! (Append), the partition (Create) or segments (Replace); the other kinds have none.
//!
//! Does not: apply an entry to a log. Source: ../../FORMAT.md, "Entry table".

use super::manifest::SegmentImage;
use super::wire::{Fields, put_log_id};
use super::{ENTRY_BYTES, FormatError};
use bytes::{BufMut, Bytes};
use core::num::NonZeroU32;
use engine_model::{LeaderEpoch, LogId, Offset, PartitionIndex, TopicId, TopicPartition};

const WHAT: &str = "lane entry";
const FLAG_FULLY: u8 = 1;

/// What an entry does to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The log comes to be.
    Create,
    /// Record batches join its end.
    Append,
    /// A leader epoch begins.
    Epoch,
    /// Its end moves back, or it starts anew.
    Truncate,
    /// Its start moves on.
    LogStart,
    /// A run of its segments is replaced by others that hold the same offsets.
    Replace,
    /// The log ends for good.
    Delete,
}

impl EntryKind {
    const fn code(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Append => 2,
            Self::Epoch => 3,
            Self::Truncate => 4,
            Self::LogStart => 5,
            Self::Replace => 6,
            Self::Delete => 7,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Create,
            2 => Self::Append,
            3 => Self::Epoch,
            4 => Self::Truncate,
            5 => Self::LogStart,
            6 => Self::Replace,
            7 => Self::Delete,
            _ => return None,
        })
    }
}

/// Number of a commit within its frame: entries that carry the same one count together or not at
/// all. A commit never spans frames.
pub type CommitId = NonZeroU32;

/// One row of an entry table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// What the entry does.
    pub kind: EntryKind,
    /// The log it does it to.
    pub log: LogId,
    /// Generation of the log: raised by each truncation, which carries the new one.
    pub generation: u32,
    /// The commit it is part of, if any.
    pub commit: Option<CommitId>,
    /// Truncate only: everything goes, and the log starts anew at `first`.
    pub fully: bool,
    /// Leader epoch of an Append (of its batches) or an Epoch (which begins); else `NONE`.
    pub leader_epoch: LeaderEpoch,
    /// First offset of an Append or Replace; the end at which an Epoch begins; the cut of a
    /// Truncate; the new start of a LogStart; the first start of a Create; else `NONE`.
    pub first: Offset,
    /// Last offset of an Append or Replace; else `NONE`.
    pub last: Offset,
    /// Bytes of its payload.
    pub length: u32,
    /// CRC-32C of its payload.
    pub crc: u32,
}

impl EntryRow {
    /// A row without payload and with every offset `NONE`, to be filled in.
    pub const fn new(kind: EntryKind, log: LogId, generation: u32) -> Self {
        Self {
            kind,
            log,
            generation,
            commit: None,
            fully: false,
            leader_epoch: LeaderEpoch::NONE,
            first: Offset::NONE,
            last: Offset::NONE,
            length: 0,
            crc: 0,
        }
    }

    pub(super) fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.kind.code());
        out.put_u8(if self.fully { FLAG_FULLY } else { 0 });
        put_log_id(out, self.log);
        out.put_u32_le(self.generation);
        out.put_i32_le(self.leader_epoch.get());
        out.put_i64_le(self.first.get());
        out.put_i64_le(self.last.get());
        out.put_u32_le(self.commit.map_or(0, NonZeroU32::get));
        out.put_u32_le(self.length);
        out.put_u32_le(self.crc);
        out.put_bytes(0, 12);
    }

    /// Reads a row whose table's checksum was right.
    pub(super) fn decode(row: &[u8; ENTRY_BYTES]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, row);
        let code = fields.u8()?;
        let kind =
            EntryKind::from_code(code).ok_or_else(|| fields.field("kind", u64::from(code)))?;
        let flags = fields.u8()?;
        let fully = flags == FLAG_FULLY && kind == EntryKind::Truncate;
        if flags != 0 && !fully {
            return Err(fields.field("flags", u64::from(flags)));
        }
        let row = Self {
            kind,
            fully,
            log: fields.log_id()?,
            generation: fields.u32()?,
            leader_epoch: LeaderEpoch::new(fields.i32()?),
            first: fields.offset()?,
            last: fields.offset()?,
            commit: NonZeroU32::new(fields.u32()?),
            length: fields.u32()?,
            crc: fields.u32()?,
        };
        fields.zeros(12)?;
        row.check(&fields)?;
        Ok(row)
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), FormatError> {
        let ranged = matches!(self.kind, EntryKind::Append | EntryKind::Replace);
        let range_is_sound = if ranged {
            self.first >= Offset::ZERO && self.last >= self.first && self.last < Offset::MAX
        } else if self.kind == EntryKind::Delete {
            self.first == Offset::NONE && self.last == Offset::NONE
        } else {
            self.first >= Offset::ZERO && self.last == Offset::NONE
        };
        if !range_is_sound {
            return Err(fields.field(
                "first offset",
                u64::from_le_bytes(self.first.get().to_le_bytes()),
            ));
        }
        let length_is_sound = match self.kind {
            EntryKind::Create => self.length == PARTITION_BYTES,
            EntryKind::Append => self.length > 0,
            EntryKind::Replace => true,
            _ => self.length == 0,
        };
        if !length_is_sound {
            return Err(fields.field("length", u64::from(self.length)));
        }
        Ok(())
    }
}

/// An entry with its payload read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The log comes to be, empty, starting at `start`.
    Create {
        /// The log.
        log: LogId,
        /// The partition it is a replica of.
        partition: TopicPartition,
        /// Its first offset.
        start: Offset,
    },
    /// Whole record batches join the end of the log.
    Append {
        /// The log.
        log: LogId,
        /// Its generation.
        generation: u32,
        /// The commit this is part of, if any.
        commit: Option<CommitId>,
        /// Offset of the first record, as the first batch says.
        first: Offset,
        /// Offset of the last.
        last: Offset,
        /// Leader epoch of the last batch.
        leader_epoch: LeaderEpoch,
        /// The batches; a slice of the frame.
        records: Bytes,
    },
    /// Leader epoch `leader_epoch` begins at `end`, which is the log's end.
    Epoch {
        /// The log.
        log: LogId,
        /// Its generation.
        generation: u32,
        /// The epoch.
        leader_epoch: LeaderEpoch,
        /// The log's end.
        end: Offset,
    },
    /// The log ends at `cut`; or, if `fully`, is empty and starts at `cut`.
    Truncate {
        /// The log.
        log: LogId,
        /// Its new generation.
        generation: u32,
        /// The new end.
        cut: Offset,
        /// Whether everything goes and the log starts at `cut`.
        fully: bool,
    },
    /// The log starts at `start`.
    LogStart {
        /// The log.
        log: LogId,
        /// Its generation.
        generation: u32,
        /// The new start.
        start: Offset,
    },
    /// The segments that hold `first..=last` give way to these.
    Replace {
        /// The log.
        log: LogId,
        /// Its generation.
        generation: u32,
        /// First offset of the segments that go.
        first: Offset,
        /// Last offset of them.
        last: Offset,
        /// The segments that come, in order; synced before the entry was written.
        segments: Vec<SegmentImage>,
    },
    /// The log ends for good.
    Delete {
        /// The log.
        log: LogId,
        /// Its generation.
        generation: u32,
    },
}

const PARTITION_BYTES: u32 = 20;

impl Entry {
    /// The log this is about.
    pub const fn log(&self) -> LogId {
        match self {
            Self::Create { log, .. }
            | Self::Append { log, .. }
            | Self::Epoch { log, .. }
            | Self::Truncate { log, .. }
            | Self::LogStart { log, .. }
            | Self::Replace { log, .. }
            | Self::Delete { log, .. } => *log,
        }
    }

    /// Row and payload of this entry; length and checksum of the row are the frame's to fill in.
    /// `NONE` of an Append's payload is copied: it is the slice itself.
    pub(super) fn to_row(&self) -> (EntryRow, Bytes) {
        let row = EntryRow::new;
        match self {
            Self::Create {
                log,
                partition,
                start,
            } => {
                let mut payload = Vec::new();
                payload.put_slice(&partition.topic_id.to_bytes());
                payload.put_i32_le(partition.partition.get());
                let mut row = row(EntryKind::Create, *log, 0);
                row.first = *start;
                (row, payload.into())
            }
            Self::Append {
                log,
                generation,
                commit,
                first,
                last,
                leader_epoch,
                records,
            } => {
                let mut row = row(EntryKind::Append, *log, *generation);
                row.commit = *commit;
                row.first = *first;
                row.last = *last;
                row.leader_epoch = *leader_epoch;
                (row, records.clone())
            }
            Self::Epoch {
                log,
                generation,
                leader_epoch,
                end,
            } => {
                let mut row = row(EntryKind::Epoch, *log, *generation);
                row.leader_epoch = *leader_epoch;
                row.first = *end;
                (row, Bytes::new())
            }
            Self::Truncate {
                log,
                generation,
                cut,
                fully,
            } => {
                let mut row = row(EntryKind::Truncate, *log, *generation);
                row.first = *cut;
                row.fully = *fully;
                (row, Bytes::new())
            }
            Self::LogStart {
                log,
                generation,
                start,
            } => {
                let mut row = row(EntryKind::LogStart, *log, *generation);
                row.first = *start;
                (row, Bytes::new())
            }
            Self::Replace {
                log,
                generation,
                first,
                last,
                segments,
            } => {
                let mut payload = Vec::new();
                SegmentImage::encode_list(segments, &mut payload);
                let mut row = row(EntryKind::Replace, *log, *generation);
                row.first = *first;
                row.last = *last;
                (row, payload.into())
            }
            Self::Delete { log, generation } => {
                (row(EntryKind::Delete, *log, *generation), Bytes::new())
            }
        }
    }

    /// Joins a row with its payload, whose checksum was right.
    pub(super) fn from_row(row: &EntryRow, payload: Bytes) -> Result<Self, FormatError> {
        let &EntryRow {
            log,
            generation,
            commit,
            first,
            last,
            leader_epoch,
            ..
        } = row;
        Ok(match row.kind {
            EntryKind::Create => {
                let mut fields = Fields::new(WHAT, &payload);
                let partition = TopicPartition {
                    topic_id: TopicId::from_bytes(fields.array()?),
                    partition: PartitionIndex::new(fields.i32()?),
                };
                fields.end()?;
                Self::Create {
                    log,
                    partition,
                    start: first,
                }
            }
            EntryKind::Append => Self::Append {
                log,
                generation,
                commit,
                first,
                last,
                leader_epoch,
                records: payload,
            },
            EntryKind::Epoch => Self::Epoch {
                log,
                generation,
                leader_epoch,
                end: first,
            },
            EntryKind::Truncate => Self::Truncate {
                log,
                generation,
                cut: first,
                fully: row.fully,
            },
            EntryKind::LogStart => Self::LogStart {
                log,
                generation,
                start: first,
            },
            EntryKind::Replace => {
                let mut fields = Fields::new(WHAT, &payload);
                let segments = SegmentImage::decode_list(&mut fields)?;
                fields.end()?;
                Self::Replace {
                    log,
                    generation,
                    first,
                    last,
                    segments,
                }
            }
            EntryKind::Delete => Self::Delete { log, generation },
        })
    }
}
